"""Skills from what a user has: each row of a data set, or each passage of documents, is labelled by a teacher.

The seed-dependent way of Instruct-SkillMix (arXiv 2408.14774). Labels are free, or those of a given vocabulary. Of free
ones the teacher says which are one skill, by what they were given for, before each is defined and illustrated: whoever
defines two synonyms side by side finds a difference between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import polars as pl

from factory.errors import UserError
from factory.prompts import find_prompt
from factory.recipes.recipe import Ask, Asking
from factory.skills.language.confirm import settle
from factory.skills.language.define import Use, define
from factory.skills.language.extract import (
    Encode,
    Extracted,
    Growth,
    Limits,
    Log,
    Memory,
    Merging,
    Round,
    beginning,
    labels_of,
    no_merges,
    shown,
    usable_name,
)
from factory.skills.language.from_domain import grow_query_types, of_requests
from factory.skills.language.skill import LanguageSkill
from factory.skills.language.vocabulary import Vocabulary
from factory.teacher.protocol import Reply, Sampling
from schemas.skills import MERGES

OPEN, CLOSED, PASSAGE = "skills/label-open.v1", "skills/label-closed.v1", "skills/of-passage.v1"
MOST = {OPEN: 5, CLOSED: 5, PASSAGE: 8}
FIRST_WAVE = 50  # rows labelled without seeing other rows' labels; each next wave is as large as all before it
LABELS_SHOWN, VOCABULARY_SHOWN = 3_000, 12_000  # characters
SNIPPETS = 2  # texts that show how a label was meant
DEMANDS_SHOWN = 160  # characters, beside a label among many
ENUM = 200  # labels that a schema can list
LABELLING = Sampling(temperature=0.3, max_tokens=1_024)
EXAMPLE = {
    "demands": "A good answer compares the options by what matters to the asker and says which one to take.",
    "skills": ["weighing trade-offs", "step by step explanation"],
}


@dataclass(frozen=True, slots=True)
class Source:
    """A row of a data set (an instruction, perhaps with its answer), or a passage of a document."""

    id: str
    text: str
    answer: str = ""


@dataclass(slots=True)
class Labelling:
    """Who labelled what: for each source the labels as the teacher said them, and what it said is demanded."""

    prompt: str
    sources: Sequence[Source]
    log: Log
    given: dict[int, list[str]] = field(default_factory=dict)
    demands: dict[int, str] = field(default_factory=dict)

    def wave(self, start: int, end: int, ask: Callable[[Source], Ask]) -> Asking[int]:
        """Ask for the labels of sources[start:end]; return how many labels came."""
        wave = self.sources[start:end]
        replies: list[Reply] = yield [ask(source) for source in wave]
        needed = not any(self.given.values())
        for i, value in self.log.hear("labels", [source.id for source in wave], replies, needed=needed):
            self.demands[start + i] = value["demands"]
            self.given[start + i] = labels = list(dict.fromkeys(value["skills"]))[: MOST[self.prompt]]
            if not labels:
                self.log.reject("labels", wave[i].id, "no_skill", value["demands"])
        return sum(len(self.given.get(i, ())) for i in range(start, end))

    def each(self) -> Iterator[tuple[int, str]]:
        """Yield every label with its source's position, in the order of the sources."""
        for i in sorted(self.given):
            for label in self.given[i]:
                yield i, label


def from_rows(rows: Sequence[Source], limits: Limits, encode: Encode, origin: str) -> Asking[Extracted]:
    """Return the skills that the rows' answers must show, each row's labels, and the rows' query types."""
    labelling = Labelling(OPEN, rows, Log())
    found = yield from _open(labelling, Merging(Memory(encode), limits.threshold), limits, origin)
    requests = [beginning(row.text, 200) for row in rows]
    types = yield from grow_query_types(of_requests(requests), Growth("query_types", limits, labelling.log))
    return replace(found, query_types=types)


def from_documents(passages: Sequence[Source], limits: Limits, encode: Encode, origin: str) -> Asking[Extracted]:
    """Return the skills that it takes to write, understand or use the passages, and each passage's labels."""
    labelling = Labelling(PASSAGE, passages, Log())
    return (yield from _open(labelling, Merging(Memory(encode), limits.threshold), limits, origin))


def _open(labelling: Labelling, merging: Merging, limits: Limits, origin: str) -> Asking[Extracted]:
    """Label freely, wave by wave, each seeing the labels so far; ask which are one; define what is left."""
    log, growth = labelling.log, Growth("labels", limits, labelling.log)
    yield from _grow_labels(labelling, growth)
    bare = list(growth.named.values())
    told = {name: _line(growth.labels[name], uses) for name, uses in _uses(labelling, {}).items()}
    first = yield from settle(bare, merging.sure, log, limits.confirm, told)  # names alone say little: irony, sarcasm
    defined = yield from define(first.skills, growth.labels, _uses(labelling, _became(first.merges)), log)
    settled = (merging.sure if limits.confirm else merging).merge(defined, log.verdicts)
    merges = chained(first.merges, settled.merges)
    skills = [replace(skill, origin=origin) for skill in settled.skills]
    labels = _open_labels(labelling, merges)
    return Extracted(skills, merges, labels, [], log.rounds, log.rejects, log.confirmations)


def _grow_labels(labelling: Labelling, growth: Growth) -> Asking[None]:
    """Let every source be labelled; UserError when no usable label came."""
    start = 0
    while start < len(labelling.sources):
        end = min(len(labelling.sources), max(FIRST_WAVE, 2 * start))
        counted = sorted(growth.skills, key=lambda skill: -growth.named[skill.name].count)
        known = shown((growth.labels[skill.name] for skill in counted), LABELS_SHOWN)
        yield from labelling.wave(start, end, partial(_open_ask, labelling.prompt, known))
        growth.grow(end - start, _named(labelling, growth, start, end))
        start = end
    if not growth.known:
        raise UserError(
            f"no usable label came of {len(labelling.sources)} rows: see the rejects, or take another model"
        )
    growth.end("all labelled")


def _open_ask(prompt: str, known: Sequence[str], source: Source) -> Ask:
    inputs: dict[str, Any] = {"known": list(known), "most": MOST[prompt]}
    inputs |= {"passage": source.text} if prompt == PASSAGE else {"instruction": source.text, "answer": source.answer}
    return Ask(prompt, inputs, EXAMPLE, sampling=LABELLING)


def _named(labelling: Labelling, growth: Growth, start: int, end: int) -> list[LanguageSkill]:
    """Return a skill for each usable label of a wave, once a source; those that are none are noted."""
    out = []
    for i in range(start, end):
        entries = [entry for label in labelling.given.get(i, ()) for entry in growth.entry(label, {})]
        out += list({entry.name: entry for entry in entries}.values())
    return out


def _uses(labelling: Labelling, became: Mapping[str, tuple[str, str, float | None]]) -> dict[str, list[Use]]:
    """Return of each skill the first things that were labelled with it."""
    out: dict[str, list[Use]] = {}
    for i, label in labelling.each():
        if not (name := _name(label)):
            continue
        uses = out.setdefault(became[name][0] if name in became else name, [])
        use = Use(labelling.sources[i].text, labelling.demands[i])
        if len(uses) < SNIPPETS and use not in uses:
            uses.append(use)
    return out


def _line(label: str, uses: Sequence[Use]) -> str:
    """Return a bare label as it was meant."""
    return f"{label} (as in: {beginning(uses[0].demands, DEMANDS_SHOWN)})"


def _became(merges: pl.DataFrame) -> dict[str, tuple[str, str, float | None]]:
    """Return what each label became: (skill, how, similarity)."""
    return {label: (skill or "", how, near) for label, skill, how, near in merges.select(*MERGES.columns).iter_rows()}


def chained(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """Return what labels became by two merges, one after the other."""
    after = _became(second)
    rows = []
    for label, (skill, how, near) in _became(first).items():
        final, why, similarity = after.get(skill, (skill, "kept", None))
        moved = bool(skill) and final != skill
        rows.append((label, final or None, why if moved else how, similarity if moved else near))
    return MERGES.frame({name: [row[i] for row in rows] for i, name in enumerate(MERGES.columns)})


def _open_labels(labelling: Labelling, merges: pl.DataFrame) -> pl.DataFrame:
    """Return the LABELS of a free labelling: `new` where a row was the first to name a skill, `nearest` if merged."""
    became, seen = _became(merges), set[str]()
    out = []
    for i, label in labelling.each():
        name = _name(label)
        skill, _, near = became.get(name, ("", "", None))
        how = "rejected" if not skill else "nearest" if skill != name else "exact" if skill in seen else "new"
        seen.add(skill)
        told = {"skill": skill or None, "how": how, "similarity": near}
        out.append({"row": labelling.sources[i].id, "label": label, **told})
    return labels_of(out)


def _name(label: str) -> str:
    return usable_name(Log(), "labels", label)


def from_vocabulary(
    sources: Sequence[Source], skills: Sequence[LanguageSkill], kind: Literal["request", "passage"] = "request"
) -> Asking[Extracted]:
    """Return the skills of a vocabulary with how many sources show each, and every label, also those outside of it."""
    labelling, vocabulary = Labelling(CLOSED, sources, Log()), Vocabulary(skills)
    lines = shown(_listed(skills), VOCABULARY_SHOWN)
    given = {"vocabulary": lines, "left_out": len(skills) - len(lines), "most": MOST[CLOSED], "kind": kind}
    schema = _closed_schema(skills)
    example = EXAMPLE | {"skills": [skill.label for skill in skills[:2]]}

    def ask(source: Source) -> Ask:
        inputs = {"instruction": source.text, "answer": source.answer, **given}
        return Ask(CLOSED, inputs, example, sampling=LABELLING, schema=schema)

    named = yield from labelling.wave(0, len(sources), ask)
    labels = _closed_labels(labelling, vocabulary)
    used = Counter(labels.drop_nulls("skill").unique(["row", "skill"])["skill"].to_list())
    labelling.log.rounds.append(Round("labels", 1, len(sources), named, len(used), len(used), "all labelled"))
    shown_by = [replace(skill, count=used[skill.name]) for skill in skills]
    return Extracted(shown_by, no_merges(), labels, [], labelling.log.rounds, labelling.log.rejects)


def _listed(skills: Sequence[LanguageSkill]) -> list[str]:
    """Return the lines of a vocabulary: with definitions where they fit, else the names alone."""
    said = [skill.said for skill in skills]
    return said if sum(map(len, said)) <= VOCABULARY_SHOWN else [skill.label for skill in skills]


def _closed_schema(skills: Sequence[LanguageSkill]) -> Mapping[str, Any] | None:
    """Return the schema that lists the labels; None where there are too many, so that the prompt's own holds."""
    if len(skills) > ENUM:
        return None
    schema = dict(find_prompt(CLOSED).head.json_schema or {})
    items = {"type": "string", "enum": [skill.label for skill in skills]}
    properties = dict(schema["properties"])
    return {**schema, "properties": {**properties, "skills": {**properties["skills"], "items": items}}}


def _closed_labels(labelling: Labelling, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the LABELS of a closed labelling; a label that matches no skill is a reject as well."""
    out = []
    for i, label in labelling.each():
        id_ = labelling.sources[i].id
        match = vocabulary.match(label)
        if match.skill is None:
            labelling.log.reject("labels", f"{id_}: {label}", "not_in_vocabulary", "no skill is near it")
        told = {"skill": match.skill, "how": match.how, "similarity": match.similarity}
        out.append({"row": id_, "label": label, **told})
    return labels_of(out)
