"""Definitions and illustrations for labels that have none, asked of a teacher in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from factory.recipes.recipe import Ask, Asking
from factory.skills.language.extract import Log, beginning, sized
from factory.skills.language.names import skill_name
from factory.skills.language.skill import LanguageSkill
from factory.teacher.protocol import Sampling

DEFINE = "skills/define.v1"
BATCH = 8  # labels of a request
SNIPPET = 160  # characters of a text that a label was given to
DEFINING = Sampling(temperature=0.7, max_tokens=4_096)


@dataclass(frozen=True, slots=True)
class Use:
    """What a label was given to, and what was said to be demanded there."""

    text: str
    demands: str


def define(
    skills: Sequence[LanguageSkill], labels: Mapping[str, str], uses: Mapping[str, Sequence[Use]], log: Log
) -> Asking[list[LanguageSkill]]:
    """Return the skills with definition, illustrations and family; a label whose request failed stays bare, noted.

    `labels` has each skill's name as it was written. UserError when every request failed.
    """
    batches = [skills[i : i + BATCH] for i in range(0, len(skills), BATCH)]
    replies = yield [_ask([labels[skill.name] for skill in batch], batch, uses) for batch in batches]
    subjects = ["; ".join(labels[skill.name] for skill in batch) for batch in batches]
    said = dict(log.hear("define", subjects, replies, needed=True))
    return [_with(skill, said.get(i), log) for i, batch in enumerate(batches) for skill in batch]


def _ask(labels: Sequence[str], batch: Sequence[LanguageSkill], uses: Mapping[str, Sequence[Use]]) -> Ask:
    asked = [
        {
            "label": label,
            "uses": [
                f"{beginning(use.text, SNIPPET)} (demanded there: {use.demands})" for use in uses.get(skill.name, ())
            ],
        }
        for label, skill in zip(labels, batch, strict=True)
    ]
    return Ask(
        DEFINE,
        {"skills": asked},
        {"skills": [{**EXAMPLE, "name": label} for label in labels]},
        sampling=DEFINING,
        schema=sized(DEFINE, "skills", len(batch), len(batch)),
    )


def _with(skill: LanguageSkill, said: Any, log: Log) -> LanguageSkill:
    """Return a skill with what was said of it."""
    if said is None:
        return skill
    entry = next((entry for entry in said["skills"] if skill_name(entry["name"]) == skill.name), None)
    if entry is None:
        log.reject("define", skill.label, "not_defined", "the reply has no entry of this name")
        return skill
    told = {key: entry[key].strip() for key in ("definition", "positive", "negative", "family")}
    return replace(skill, **told | {"family": skill_name(told["family"])})


EXAMPLE = {
    "definition": "Does on purpose, and visibly in the text, what the label says; stands for a real definition.",
    "positive": "The night ferry costs ten euros more and saves a hotel, so for one night it is the cheaper way.",
    "negative": "The night ferry is a nice way to travel. (An opinion; nothing is weighed.)",
    "family": "decision making",
}
