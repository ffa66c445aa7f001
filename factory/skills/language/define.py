"""Definitions and illustrations for labels that have none, asked of a teacher in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from factory.recipes.recipe import Ask
from factory.skills.language.confirm import exactly
from factory.skills.language.extract import Asking, Log
from factory.skills.language.names import skill_name
from factory.skills.language.skill import LanguageSkill
from factory.teacher.protocol import Sampling

DEFINE = "skills/define.v1"
BATCH = 8  # labels of a request
FAMILIES_SHOWN = 40
DEFINING = Sampling(temperature=0.7, max_tokens=4_096)


def define(
    skills: Sequence[LanguageSkill], snippets: Mapping[str, Sequence[str]], log: Log
) -> Asking[list[LanguageSkill]]:
    """Return the skills with definition, illustrations and family; a label whose request failed stays bare, noted.

    UserError when every request failed.
    The first batch goes alone: its families are shown to all others, so that these find common names for them.
    """
    batches = [skills[i : i + BATCH] for i in range(0, len(skills), BATCH)]
    out: list[LanguageSkill] = []
    for group in filter(None, (batches[:1], batches[1:])):
        families = [name for name, _ in Counter(s.family for s in out if s.family).most_common(FAMILIES_SHOWN)]
        replies = yield [_ask(batch, snippets, families) for batch in group]
        subjects = ["; ".join(skill.label for skill in batch) for batch in group]
        last = len(out) + sum(map(len, group)) == len(skills)
        said = dict(log.hear("define", subjects, replies, needed=last and not any(skill.definition for skill in out)))
        out += [_with(skill, said.get(i), log) for i, batch in enumerate(group) for skill in batch]
    return out


def _ask(batch: Sequence[LanguageSkill], snippets: Mapping[str, Sequence[str]], families: Sequence[str]) -> Ask:
    asked = [{"label": skill.label, "snippets": list(snippets.get(skill.name, ()))} for skill in batch]
    example = {"skills": [{**EXAMPLE, "name": skill.label} for skill in batch]}
    schema = exactly(DEFINE, "skills", len(batch))
    return Ask(
        DEFINE,
        {"skills": asked, "families": [f.replace("_", " ") for f in families]},
        example,
        sampling=DEFINING,
        schema=schema,
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
    "family": "practical thinking",
}
