"""What every way of extracting skills has in common: bounds, the log of rounds and rejects, growth to saturation.

The ways are from_domain.py (a domain's name and nothing else) and from_rows.py (a data set, or documents); confirm.py
asks about doubtful pairs. All are conversations (factory/jobs/converse.py holds them); no model is needed to run them.

Skill extraction is step one of Instruct-SkillMix (arXiv 2408.14774), whose lists were released and whose code was not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.errors import UserError
from factory.recipes.recipe import Ask
from factory.skills.language.lists import joined
from factory.skills.language.merge import THRESHOLD, Merged, doubtful_pairs, merge
from factory.skills.language.names import is_header, skill_name, strip_bullet
from factory.skills.language.skill import LanguageSkill
from factory.teacher.protocol import Reply
from schemas.skills import LABELS, MERGES

T = TypeVar("T")
Asking = Generator[list[Ask], list[Reply], T]
Vectors = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]

KNOWN_CHARS = 6_000  # of what is known already, as a prompt shows it
SUBJECT_CHARS = 120  # of a row or a document, as a reject names it


REMEDY = "take another model, or look at what it is asked with `factory prompts show`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where an extraction ends. A step ends when a round's share of new entries falls under `saturation`."""

    saturation: float = 0.05
    max_rounds: int = 6
    topics: int = 40
    threshold: float = THRESHOLD
    confirm: bool = True


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a step: requests asked, entries named in the replies, how many were new, how many are known now."""

    step: str
    round: int
    asked: int
    named: int
    new: int
    known: int

    @property
    def kept(self) -> float:
        """Return the share of the named entries that were new; 0 when none was named."""
        return self.new / self.named if self.named else 0.0

    def as_row(self) -> dict[str, Any]:
        """Return what rounds.json says of it."""
        names = ("step", "round", "asked", "named", "new", "known")
        return {name: getattr(self, name) for name in names} | {"kept": round(self.kept, 4)}


@dataclass(frozen=True, slots=True)
class Reject:
    """What an extraction left out: in which step, which thing, a code, a detail."""

    step: str
    subject: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class QueryType:
    """A kind of request, by what the asker wants; two examples."""

    name: str
    definition: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Extracted:
    """What an extraction found. `merges` is a MERGES frame, `labels` a LABELS frame (empty without rows)."""

    skills: list[LanguageSkill]
    merges: pl.DataFrame
    labels: pl.DataFrame
    query_types: list[QueryType]
    rounds: list[Round]
    rejects: list[Reject]


def no_merges() -> pl.DataFrame:
    """Return an empty MERGES frame."""
    return MERGES.frame({name: [] for name in MERGES.columns})


def labels_of(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return the LABELS frame of rows."""
    return LABELS.frame({name: [row[name] for row in rows] for name in LABELS.columns})


@dataclass(slots=True)
class Log:
    """What happened: rounds and rejects, in order."""

    rounds: list[Round] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def reject(self, step: str, subject: str, code: str, detail: str) -> None:
        """Note what was left out and why."""
        self.rejects.append(Reject(step, " ".join(subject.split())[:SUBJECT_CHARS], code, detail))

    def hear(
        self, step: str, subjects: Sequence[str], replies: Sequence[Reply], *, needed: bool
    ) -> list[tuple[int, Any]]:
        """Return (position, value) of each good reply; the others are rejects.

        UserError when every reply failed and the step is `needed`, that is, has nothing yet to go on with.
        """
        for subject, reply in zip(subjects, replies, strict=True):
            if reply.failure:
                self.reject(step, subject, reply.failure.kind, reply.failure.detail)
        good = [(i, reply.parsed) for i, reply in enumerate(replies) if reply.failure is None]
        if replies and not good and needed:
            raise UserError(_all_failed(step, subjects, replies))
        return good


def _all_failed(step: str, subjects: Sequence[str], replies: Sequence[Reply]) -> str:
    failures = [reply.failure for reply in replies if reply.failure]
    kinds = ", ".join(f"{kind}: {n}" for kind, n in Counter(f.kind for f in failures).most_common())
    subject = " ".join(subjects[0].split())[:60]
    truncated = any(failure.kind == "truncated" for failure in failures)
    remedy = "allow longer replies (teacher.sampling.max_tokens of a job, with --job)" if truncated else REMEDY
    return (
        f"the teacher gave no usable reply in the step '{step}': {len(failures)} asked, all failed ({kinds}; the first,"
        f" for '{subject}': {failures[0].detail}): {remedy}"
    )


class Memory:
    """Unit vectors of texts, each made once. What is new is encoded in the order it comes."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._known: dict[str, Vectors] = {}

    def vectors(self, skills: Sequence[LanguageSkill]) -> Vectors:
        """Return a row for each skill's `said`."""
        said = [skill.said for skill in skills]
        new = [text for text in dict.fromkeys(said) if text not in self._known]
        if new:
            self._known.update(zip(new, self._encode(new), strict=True))
        return np.stack([self._known[text] for text in said]) if said else np.zeros((0, 1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Merging:
    """How entries become one: merge.py with a threshold, over remembered vectors."""

    memory: Memory
    threshold: float = THRESHOLD

    def merge(self, skills: Sequence[LanguageSkill], verdicts: Mapping[frozenset[str], bool] | None = None) -> Merged:
        """Return the skills without doubles, and what each label became."""
        return merge(list(skills), self.threshold, verdicts, self.memory.vectors(skills))

    def doubtful(self, skills: Sequence[LanguageSkill]) -> list[tuple[str, str, float]]:
        """Return the pairs that vectors cannot decide, most similar first."""
        return doubtful_pairs(list(skills), self.memory.vectors(skills))


@dataclass(slots=True)
class Growth:
    """Entries of one kind, merged as rounds bring them. `named` has each name that was said, with its count."""

    step: str
    limits: Limits
    merging: Merging
    log: Log
    named: dict[str, LanguageSkill] = field(default_factory=dict)
    known: list[LanguageSkill] = field(default_factory=list)  # in the order in which they were first named
    rounds: int = 0

    def grow(self, asked: int, found: Sequence[LanguageSkill]) -> set[str]:
        """Take what a round named; return the names that are new."""
        before = {skill.name for skill in self.known}
        for skill in found:
            self.named[skill.name] = joined(self.named[skill.name], skill) if skill.name in self.named else skill
        order = {name: i for i, name in enumerate(self.named)}
        merged = self.merging.merge(list(self.named.values())).skills if self.named else []
        self.known = sorted(merged, key=lambda skill: order[skill.name])
        new = {skill.name for skill in self.known} - before
        self.rounds += 1
        self.log.rounds.append(Round(self.step, self.rounds, asked, len(found), len(new), len(self.known)))
        return new

    def is_over(self, new: int) -> bool:
        """Return whether a round with so many new entries was the last."""
        return self.rounds >= self.limits.max_rounds or is_few(new, len(self.known), self.limits)


def is_few(new: int, known: int, limits: Limits) -> bool:
    """Return whether so few were new that it is not worth asking on."""
    return new < max(1.0, limits.saturation * known)


def usable_name(log: Log, step: str, label: str) -> str:
    """Return the canonical name of what a teacher called a skill; "" after noting why it is none."""
    name = skill_name(label)
    if not name:
        log.reject(step, label or "(no text)", "empty", "nothing is left of the label")
    elif is_header(strip_bullet(label), capitals=False):  # bold or capitals head a list, not a value of JSON
        log.reject(step, label, "header", "a heading, not a skill")
    elif not _in_latin(name):
        log.reject(step, label, "not_english", "names are asked for in English")
    else:
        return name
    return ""


def _in_latin(name: str) -> bool:
    """Return whether most letters are Latin ones (up to U+024F)."""
    letters = [char for char in name if char.isalpha()]
    return sum(char <= "\u024f" for char in letters) * 2 > len(letters)


def shown(lines: Iterable[str], most: int = KNOWN_CHARS) -> list[str]:
    """Return the lines that fit into so many characters; of too many, evenly spread ones."""
    every = list(lines)
    total = sum(len(line) + 1 for line in every)
    if total <= most:
        return every
    step = total / most
    return [every[int(i * step)] for i in range(int(len(every) / step))]
