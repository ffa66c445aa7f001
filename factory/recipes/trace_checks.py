"""Which skills the steps of a trace may name, and whether a trace is right: its skills, its values, its answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import polars as pl

from factory.artifacts.digest import Rng
from factory.gates.reply import completion
from factory.gates.text import faults
from factory.recipes.recipe import Brief, Draft
from factory.score import score
from factory.skills.library import OPERATIONS, TASKS, side
from factory.skills.skill import Skill
from factory.skills.tree import evaluate, nodes

MOST_STEPS = 40
LOOP = 4  # times
SENTENCE = re.compile(r"[^\n.!?]{20,}")


def label(skill: Skill) -> str:
    """Return a skill's name as prompts and steps show it."""
    return skill.name.replace("_", " ")


def closed_list(brief: Brief, distractors: int, rng: Rng) -> list[Skill]:
    """Return the chain's skills among so many others of the same split, in a random order."""
    others = [skill for skill in side(TASKS, brief.split) if skill.name not in brief.skills]
    own = [OPERATIONS[name] for name in dict.fromkeys(brief.skills)]
    return rng.shuffled([*own, *rng.shuffled(others)[:distractors]])


def schema_of(labels: Sequence[str]) -> dict[str, Any]:
    """Return the form of a reply whose steps may name these skills only."""
    step = {
        "type": "object",
        "additionalProperties": False,
        "required": ["skill", "text"],
        "properties": {"skill": {"enum": list(labels)}, "text": {"type": "string", "minLength": 3, "maxLength": 1200}},
    }
    steps = {"type": "array", "minItems": 1, "maxItems": MOST_STEPS, "items": step}
    answer = {"type": "string", "minLength": 1, "maxLength": 3000}
    form = {"type": "object", "additionalProperties": False, "required": ["steps", "answer"]}
    return {**form, "properties": {"steps": steps, "answer": answer}}


def trace_fault(trace: Mapping[str, Any], drawn: Draft, labels: Sequence[str]) -> tuple[str, str] | None:
    """Return (code, detail) of what is wrong with a trace: unknown skills, their order, values, the answer; or None."""
    steps, parts = trace["steps"], list(nodes(drawn.tree))
    if unknown := [step["skill"] for step in steps if step["skill"] not in labels]:
        return "skills_known", f"there is no skill {unknown[0]!r} in the list"
    wanted = [label(OPERATIONS[part["skill"]]) for part in parts]
    runs = [(name, "\n".join(step["text"] for step in run)) for name, run in groupby(steps, lambda s: s["skill"])]
    if [name for name, _ in runs] != [name for name, _ in groupby(wanted)]:
        return "skills_in_order", f"the steps name {', '.join(name for name, _ in runs)}, not {', '.join(wanted)}"
    texts = dict(enumerate(text for _, text in runs))
    places = [i for i, (_, same) in enumerate(groupby(wanted)) for _ in same]
    for place, part in zip(places, parts, strict=True):
        value = evaluate(part)
        if type(value) is int and not _says(texts[place], value):
            return "step_values", f"{label(OPERATIONS[part['skill']])} gives {value}, which its steps do not say"
    found = score(completion("", {**drawn.verifier, "gold": trace["answer"].strip()}), drawn.verifier)
    return None if found.value == 1.0 else ("answer_verifies", f"the answer is wrong: {found.reason}")


def _says(text: str, value: int) -> bool:
    return (
        re.search(rf"(?<!\d)(?<!\d\.){abs(value)}(?!\d)(?!\.\d)", re.sub(r"(?<=\d)[,  ](?=\d{3})", "", text))
        is not None
    )


def steps_fault(prompt: str, reply: str) -> tuple[str, str] | None:
    """Return (rule, detail) of the first rule for texts that a worked solution breaks; None where it keeps them.

    Calculations repeat their words. Repetition is a fault only where the same sentence comes again and again.
    """
    found = faults(pl.DataFrame({"prompt": [prompt], "response": [reply]})).to_list()[0]
    sentences = Counter(one.strip() for one in SENTENCE.findall(reply))
    loops = max(sentences.values(), default=0) >= LOOP
    kept = [fault for fault in found if loops or fault["code"] != "not_repetitive"]
    return (kept[0]["code"], kept[0]["detail"]) if kept else None
