"""Doubtful pairs: a teacher says whether two skills are one, and the list is merged by what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from factory.prompts import find_prompt
from factory.recipes.recipe import Ask
from factory.skills.language.extract import Asking, Log, Merging
from factory.skills.language.merge import Merged
from factory.skills.language.skill import LanguageSkill
from factory.teacher.protocol import Sampling

SAME = "skills/same.v1"
PAIRS_A_REQUEST = 10
JUDGING = Sampling(temperature=0.0, max_tokens=3_072)


@dataclass(slots=True)
class Confirmed:
    """What a teacher said of pairs: whether each is one skill, and of those that are, which name is the clearer."""

    verdicts: dict[frozenset[str], bool] = field(default_factory=dict)
    names: dict[frozenset[str], str] = field(default_factory=dict)


def settle(raw: Sequence[LanguageSkill], merging: Merging, log: Log, confirming: bool) -> Asking[Merged]:
    """Return the skills without doubles; the pairs that vectors cannot decide are asked of the teacher, if wanted.

    They are asked about before anything is merged by meaning: a pair merged in error would never be seen again.
    """
    pairs = merging.doubtful(raw) if confirming else []
    if not pairs:
        return merging.merge(raw)
    confirmed = yield from confirm(raw, [(first, second) for first, second, _ in pairs], log)
    return _named(merging.merge(raw, confirmed.verdicts), confirmed)


def confirm(skills: Sequence[LanguageSkill], pairs: Sequence[tuple[str, str]], log: Log) -> Asking[Confirmed]:
    """Return the verdicts on pairs of names, asked several at a time; vectors decide where there is none."""
    by_name = {skill.name: skill for skill in skills}
    groups = [pairs[i : i + PAIRS_A_REQUEST] for i in range(0, len(pairs), PAIRS_A_REQUEST)]
    replies = yield [_ask([(by_name[a], by_name[b]) for a, b in group]) for group in groups]
    out = Confirmed()
    for i, value in log.hear("confirm", [_titles(group) for group in groups], replies, needed=False):
        _take(out, groups[i], value["verdicts"], log)
    return out


def _ask(pairs: Sequence[tuple[LanguageSkill, LanguageSkill]]) -> Ask:
    verdict = {"reason": "Each can be shown without the other.", "relation": "siblings", "name": "first"}
    return Ask(
        SAME,
        {"pairs": [{"first": first.said, "second": second.said} for first, second in pairs]},
        {"verdicts": [{"pair": i, **verdict} for i in range(1, len(pairs) + 1)]},
        sampling=JUDGING,
        schema=exactly(SAME, "verdicts", len(pairs)),
    )


def exactly(prompt: str, key: str, n: int) -> dict[str, Any]:
    """Return a prompt's schema with exactly n values in the list of a key."""
    schema = dict(find_prompt(prompt).head.json_schema or {})
    listed = {**schema["properties"][key], "minItems": n, "maxItems": n}
    return {**schema, "properties": {**schema["properties"], key: listed}}


def _titles(pairs: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{first} / {second}" for first, second in pairs)


def _take(out: Confirmed, pairs: Sequence[tuple[str, str]], said: Sequence[Mapping[str, Any]], log: Log) -> None:
    """Take the verdicts that say of which pair they are; one told twice or not at all is none."""
    numbers = [verdict["pair"] for verdict in said]
    for i, (first, second) in enumerate(pairs, start=1):
        if numbers.count(i) != 1:
            told = f"pair {i} was answered {numbers.count(i)} times"
            log.reject("confirm", f"{first} / {second}", "no_verdict", told)
            continue
        verdict, pair = said[numbers.index(i)], frozenset((first, second))
        out.verdicts[pair] = verdict["relation"] == "same"
        if out.verdicts[pair]:
            out.names[pair] = first if verdict["name"] == "first" else second


def _named(merged: Merged, confirmed: Confirmed) -> Merged:
    """Return the skills under the names that the teacher thought clearer, where it merged two."""
    became = dict(merged.merges.select("label", "skill").iter_rows())
    kept, renamed = {skill.name for skill in merged.skills}, dict[str, str]()
    for pair, name in confirmed.names.items():
        targets = {became.get(part, part) for part in pair}
        if len(targets) == 1 and name not in kept:
            renamed.setdefault(targets.pop() or "", name)
    if not renamed:
        return merged
    skills = [replace(skill, name=renamed.get(skill.name, skill.name)) for skill in merged.skills]
    hows = dict.fromkeys(renamed, "teacher") | dict.fromkeys(renamed.values(), "kept")
    how = pl.coalesce(pl.col("label").replace_strict(hows, default=None, return_dtype=pl.String), "how")
    return replace(merged, skills=skills, merges=merged.merges.with_columns(pl.col("skill").replace(renamed), how=how))
