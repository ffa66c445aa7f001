"""Labels of which it is known what they name: hand-written skills with their synonyms and siblings, and planted copies.

`skill_families.txt` beside this file holds the families, one line a skill, written for this benchmark.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from factory.artifacts.digest import Rng, row_rng
from factory.skills.language.names import skill_name
from factory.skills.language.skill import LanguageSkill

FAMILIES = Path(__file__).with_name("skill_families.txt")
LABELS = 1_200
SEED = 4

_BRITISH = (
    (re.compile(r"\b(\w+)iz(e|ed|ing|ation|ations)\b"), r"\1is\2"),
    (re.compile(r"\b(\w*avi|hum|col|fav|lab)or\b"), r"\1our"),
    (re.compile(r"\bmodelling\b"), "modeling"),
    (re.compile(r"\bjudgement\b"), "judgment"),
    (re.compile(r"\bdialogue\b"), "dialog"),
    (re.compile(r"\b(\w*analy)z(e|ing)\b"), r"\1s\2"),
)


@dataclass(frozen=True, slots=True)
class Planted:
    """A label with what it truly names. `group` is shared by a skill, its synonyms and its siblings.

    `source` is the hand-written label that a copy was made of; of such a label, the label itself.
    """

    label: str
    definition: str
    concept: str
    group: int
    kind: str  # skill, synonym, sibling, copy
    source: str

    def skill(self, *, definitions: bool) -> LanguageSkill:
        """Return what is handed to merging: the label as it was written, with or without its definition."""
        return LanguageSkill(self.label, self.definition if definitions else "")


def families() -> list[Planted]:
    """Return the hand-written labels; every name in the file is another label."""
    found: list[Planted] = []
    for line in FAMILIES.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        mark = line[0] if line[0] in "=~" else ""
        label, _, definition = line.removeprefix(mark).strip().partition(": ")
        if not mark:
            found.append(Planted(label, definition, label, len(found), "skill", label))
        else:
            head = next(planted for planted in reversed(found) if planted.kind == "skill")
            concept, kind = (head.concept, "synonym") if mark == "=" else (label, "sibling")
            found.append(Planted(label, definition, concept, head.group, kind, label))
    return found


def planted_labels(labels: int = LABELS) -> list[Planted]:
    """Return the hand-written labels and copies of them in other spellings, in a random order that never changes."""
    written = families()
    rng = row_rng(SEED, "planted", "copies")
    seen = {planted.label for planted in written}
    out = list(written)
    while len(out) < labels:
        planted = rng.pick(written)
        label = rng.pick(_WAYS)(planted.label, rng)
        if label not in seen:
            seen.add(label)
            definition = planted.definition if rng.chance(0.5) else ""
            out.append(replace(planted, label=label, definition=definition, kind="copy"))
    return rng.shuffled(out)


def halves(labels: list[Planted]) -> tuple[list[Planted], list[Planted]]:
    """Return the labels in two halves; a group is whole in one of them."""
    groups = row_rng(SEED, "planted", "halves").shuffled(sorted({planted.group for planted in labels}))
    first = set(groups[: len(groups) // 2])
    return [p for p in labels if p.group in first], [p for p in labels if p.group not in first]


def synonym_pairs(labels: list[Planted]) -> set[frozenset[str]]:
    """Return the pairs of canonical names that name the same skill in other words."""
    return {frozenset(map(_name, pair)) for pair in _pairs(labels) if pair[0].concept == pair[1].concept}


def sibling_pairs(labels: list[Planted]) -> set[frozenset[str]]:
    """Return the pairs of canonical names of one group that name different skills."""
    return {frozenset(map(_name, pair)) for pair in _pairs(labels) if pair[0].concept != pair[1].concept}


def _pairs(labels: list[Planted]) -> list[tuple[Planted, Planted]]:
    groups: dict[int, list[Planted]] = {}
    for planted in labels:
        if planted.kind != "copy":
            groups.setdefault(planted.group, []).append(planted)
    return [pair for members in groups.values() for pair in combinations(members, 2)]


def _name(planted: Planted) -> str:
    return skill_name(planted.label)


def _plural(label: str, _: Rng) -> str:
    if label.endswith(("ing", "s", "ness", "cy", "ty", "ion", "ment", "work")):
        return label.title()
    return label[:-1] + "ies" if label.endswith("y") and label[-2] not in "aeiou" else label + "s"


def _over_the_sea(label: str, _: Rng) -> str:
    """Return the label in the other spelling of English, in capitals where it has but one."""
    other = label
    for pattern, spelled in _BRITISH:
        other = pattern.sub(spelled, other)
    return other if other != label else label.upper()


_WAYS: tuple[Callable[[str, Rng], str], ...] = (
    lambda label, _: label.title(),
    lambda label, _: label.replace(" ", "_"),
    lambda label, _: label.replace(" ", "-"),
    lambda label, _: f"- {label.capitalize()}",
    lambda label, _: f"**{label.title()}**",
    lambda label, rng: f"{rng.between(1, 99)}. {label}",
    lambda label, _: f"  {label.replace(' ', '  ')} ",
    lambda label, _: f'"{label}"',
    lambda label, _: f"{label}.",
    lambda label, _: f"{label} skills",
    lambda label, _: f"skills in {label}",
    lambda label, _: f"{label} (advanced)",
    _plural,
    _over_the_sea,
)
