"""What every way of extracting skills has in common: bounds, the log of rounds and rejects, growth to saturation.

The ways are from_domain.py (a domain's name and nothing else) and from_rows.py (a data set, or documents); confirm.py
asks which entries are one. All are conversations (factory/jobs/converse.py holds them); no model is needed to run them.

Skill extraction is step one of Instruct-SkillMix (arXiv 2408.14774), whose lists were released and whose code was not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.errors import UserError
from factory.prompts import find_prompt
from factory.skills.language.lists import joined
from factory.skills.language.merge import SURE, THRESHOLD, Merged, candidate_pairs, merge
from factory.skills.language.names import is_header, skill_name, spelling_key, strip_bullet, title_of
from factory.skills.language.skill import LanguageSkill
from factory.teacher.protocol import Reply
from schemas.skills import LABELS, MERGES

Vectors = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]

KNOWN_CHARS = 12_000  # of what is known already, as a prompt shows it
BRIEF_CHARS = 60  # of a definition, where many are shown
LATER = 3  # entries that a round after the first asks for at most: whoever is asked for a dozen fills a dozen
SUBJECT_CHARS = 120  # of a row or a document, as a reject names it
REMEDY = "take another model, or look at what it is asked with `factory prompts show`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where an extraction ends. A step ends when a round adds less than the share `saturation` of what is known."""

    saturation: float = 0.05
    max_rounds: int = 6
    topics: int = 40
    threshold: float = THRESHOLD
    confirm: bool = True


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a step: requests asked, entries named in the replies, how many were new, how many are known now.

    `ended` says of a step's last round why there was no other.
    """

    step: str
    round: int
    asked: int
    named: int
    new: int
    known: int
    ended: str = ""

    @property
    def added(self) -> float:
        """Return the share of what is known now that the round added; 0 when nothing is known."""
        return self.new / self.known if self.known else 0.0

    def as_row(self) -> dict[str, Any]:
        """Return what rounds.json says of it."""
        return asdict(self) | {"added": round(self.added, 4)}


@dataclass(frozen=True, slots=True)
class Reject:
    """What an extraction left out: in which step, which thing, a code, a detail."""

    step: str
    subject: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a teacher said of two skills: how they relate, why, and whose name and definition to keep if they are one.

    `similarity` is the cosine that put them before it; None where the teacher itself had named them together.
    """

    first: str
    second: str
    similarity: float | None
    relation: str  # same, first_broader, second_broader, siblings
    reason: str
    kept: str = ""


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
    confirmations: list[Confirmation] = field(default_factory=list)


def no_merges() -> pl.DataFrame:
    """Return an empty MERGES frame."""
    return MERGES.frame({name: [] for name in MERGES.columns})


def labels_of(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return the LABELS frame of rows."""
    return LABELS.frame({name: [row[name] for row in rows] for name in LABELS.columns})


@dataclass(slots=True)
class Log:
    """What happened: rounds, rejects and confirmations, in order."""

    rounds: list[Round] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    confirmations: list[Confirmation] = field(default_factory=list)

    @property
    def verdicts(self) -> dict[frozenset[str], bool]:
        """Return of each pair that was asked about whether it is one skill."""
        return {frozenset((c.first, c.second)): c.relation == "same" for c in self.confirmations}

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

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Return a row for each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._encode(new), strict=True))
        return np.stack([self._known[text] for text in texts]) if texts else np.zeros((0, 1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Merging:
    """How entries become one: merge.py with a threshold, over remembered vectors."""

    memory: Memory
    threshold: float = THRESHOLD

    @property
    def sure(self) -> Merging:
        """Return the same with a threshold that needs no teacher's word."""
        return replace(self, threshold=max(self.threshold, SURE))

    def merge(self, skills: Sequence[LanguageSkill], verdicts: Mapping[frozenset[str], bool] | None = None) -> Merged:
        """Return the skills without doubles, and what each label became."""
        return merge(list(skills), self.threshold, verdicts, self.memory.vectors([skill.said for skill in skills]))

    def candidates(self, skills: Sequence[LanguageSkill]) -> list[tuple[str, str, float]]:
        """Return the pairs nearest by names, by definitions or by both, most similar first."""
        views = [[s.said for s in skills], [s.label for s in skills], [s.definition or s.label for s in skills]]
        return candidate_pairs(skills, [self.memory.vectors(texts) for texts in views])


@dataclass(slots=True)
class Growth:
    """Entries of one kind as rounds bring them.

    Only spelling makes two of them one here: what looked alike and were hidden would be named again. `named` has each
    name that was said, with its count; `known` the first name of each spelling; `labels` how a name was first written.
    """

    step: str
    limits: Limits
    log: Log
    most: int | None = None
    named: dict[str, LanguageSkill] = field(default_factory=dict)
    known: dict[str, LanguageSkill] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    rounds: int = 0

    @property
    def skills(self) -> list[LanguageSkill]:
        """Return what is known, in the order in which it was first named."""
        return list(self.known.values())

    def wanted(self, first: int) -> int:
        """Return how many entries the next round asks for at most: `first` in the first one, few in later ones."""
        count = LATER if self.known else first
        return count if self.most is None else min(count, self.most - len(self.known))

    def entry(self, label: str, told: Mapping[str, str], family: str = "") -> list[LanguageSkill]:
        """Return the entry of what a teacher named, in a list; an empty one, after noting why, where it is none."""
        name = usable_name(self.log, self.step, label)
        if not name:
            return []
        self.labels.setdefault(name, " ".join(strip_bullet(label).split()))
        definition, positive, negative = (told.get(key, "").strip() for key in ("definition", "positive", "negative"))
        return [LanguageSkill(name, definition, positive, negative, family, title=title_of(label))]

    def grow(self, asked: int, found: Sequence[LanguageSkill]) -> list[LanguageSkill]:
        """Take what a round named; return what is new. What is one too many is a reject."""
        new = []
        for skill in found:
            key = spelling_key(skill.name) or skill.name
            if key not in self.known:
                if len(self.known) == self.most:
                    self.log.reject(self.step, self.labels[skill.name], "beyond_limit", f"{self.most} are known")
                    continue
                self.known[key] = skill
                new.append(skill)
            self.named[skill.name] = joined(self.named[skill.name], skill) if skill.name in self.named else skill
        self.rounds += 1
        self.log.rounds.append(Round(self.step, self.rounds, asked, len(found), len(new), len(self.known)))
        return new

    def note_doubles(self, found: Sequence[LanguageSkill]) -> None:
        """Note as rejects what is known by another spelling."""
        for skill in found:
            twin = self.known.get(spelling_key(skill.name) or skill.name)
            if twin is not None and twin.name != skill.name:
                self.log.reject(self.step, self.labels[skill.name], "known_already", f"as {self.labels[twin.name]}")

    def is_over(self, new: int, *, heard: bool = True) -> bool:
        """Return whether a round with so many new entries was the step's last, after noting why."""
        why = (
            ("limit reached", len(self.known) == self.most),
            ("no usable reply", not heard),
            ("nothing new", new == 0),
            ("saturated", new < self.limits.saturation * len(self.known)),
            ("round limit", self.rounds >= self.limits.max_rounds),
        )
        ended = next((reason for reason, holds in why if holds), "")
        self.end(ended)
        return bool(ended)

    def end(self, why: str) -> None:
        """Note of the last round why there is no other."""
        self.log.rounds[-1] = replace(self.log.rounds[-1], ended=why)

    def lines(self, in_full: Callable[[LanguageSkill], bool] = lambda skill: True) -> list[str]:
        """Return what is known as prompts show it: with some words of each definition while that fits.

        Where it does not, those stay with the ones that are `in_full`, then with none; names leave last.
        """
        brief = {name: beginning(skill.definition, BRIEF_CHARS) for name, skill in self.named.items()}

        def line(skill: LanguageSkill, full: bool) -> str:
            return f"{self.labels[skill.name]}: {brief[skill.name]}" if full else self.labels[skill.name]

        for choice in (lambda skill: bool(skill.definition), in_full):
            lines = [line(skill, choice(skill)) for skill in self.skills]
            if sum(len(text) + 1 for text in lines) <= KNOWN_CHARS:
                return lines
        return shown(line(skill, False) for skill in self.skills)


def sized(prompt: str, key: str, least: int, most: int) -> dict[str, Any]:
    """Return a prompt's schema with `least` to `most` values in the list of a key."""
    schema = dict(find_prompt(prompt).head.json_schema or {})
    listed = {**schema["properties"][key], "minItems": least, "maxItems": most}
    return {**schema, "properties": {**schema["properties"], key: listed}}


def beginning(text: str, most: int) -> str:
    """Return a text on one line; of a longer one so many characters at most, in whole words, with an ellipsis."""
    flat = " ".join(text.split())
    if len(flat) <= most:
        return flat
    words, _, _ = flat[: most - 1].rpartition(" ")
    return f"{words if 2 * len(words) > most else flat[: most - 2]} …"


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
