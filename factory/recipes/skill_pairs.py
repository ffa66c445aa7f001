"""Instruct-SkillMix (arXiv 2408.14774) without a model: one instruction, one reply that must show k executable skills.

Tasks are answered on labelled lines; text constraints shape one note. The reply is checked skill by skill, so a partly
right one earns partial credit for each. Least-used pairs come first.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Any, Literal

import polars as pl
from pydantic import Field, field_validator

from factory.artifacts.digest import Rng
from factory.recipes.coverage import tuple_rng, tuples
from factory.recipes.recipe import (
    Brief,
    Cell,
    Demand,
    Draft,
    Dropped,
    Plan,
    Recipe,
    RecipeParams,
    Verifier,
)
from factory.score import score, wrong_answers
from factory.skills.families.operators import ALL_OF
from factory.skills.library import CONSTRAINTS, OPERATIONS, TASKS, side
from factory.skills.skill import BLOCKS, Skill, Value, block, gold_text, render, verifier_of
from factory.skills.tree import Tree, evaluate, leaf, node
from schemas.columns import STRINGS

MAX_K = 5
RESTARTS = 8
LABELS = ("first", "second", "third", "fourth", "fifth")
LENGTH_CHECKS = frozenset({"word_count", "min_words"})
TRIALS = 12  # a pair of constraints is allowed when some of this many trial notes satisfy both


class SkillPairsParams(RecipeParams):
    """What a job may say of skill pairs."""

    recipe: Literal["skill-pairs"]
    k: tuple[int, ...] = Field(default=(2,), min_length=1, description="How many skills a row combines; one cell each.")

    @field_validator("k")
    @classmethod
    def _k(cls, k: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 2 <= n <= MAX_K for n in k) or len(set(k)) != len(k):
            raise ValueError(f"k is {list(k)}; it must be different numbers from 2 to {MAX_K}")
        return k


def _pool(split: str) -> list[Skill]:
    tasks = [s for s in side(TASKS, split) if s.gives not in BLOCKS]
    return [*tasks, *side(CONSTRAINTS, split)]


@cache
def allowed_pairs(split: str) -> frozenset[frozenset[str]]:
    """Return the pairs of skills of a split that one reply can satisfy; constraints are tried on notes."""
    out = set()
    for a, b in combinations(_pool(split), 2):
        if a.check is None or b.check is None or _agree(a, b):
            out.add(frozenset((a.name, b.name)))
    return frozenset(out)


def _agree(a: Skill, b: Skill) -> bool:
    rng = tuple_rng(0, f"{a.name}+{b.name}")
    return sum(_is_sound_note([a.name, b.name], rng) for _ in range(TRIALS)) * 2 >= TRIALS


def _is_sound_note(names: list[str], rng: Rng) -> bool:
    """Return whether a trial note satisfies the constraints and no wrong answer does."""
    note = _note(names, rng)
    if note is None:
        return False
    truth = gold(node(ALL_OF, {}, note), [evaluate(note)])
    return all(score(answer, truth).value != 1.0 for answer in wrong_answers(truth).values())


def assign(params: SkillPairsParams, request: Demand) -> Plan:
    """Plan k-tuples of skills, least-used pairs first."""
    names = [s.name for s in _pool(request.split)]
    rng = tuple_rng(request.seed, f"skill-pairs/{request.tag}")
    planned = tuples(names, set(allowed_pairs(request.split)), request.cell.level, request.n, rng)
    return Plan(pl.Series(planned, dtype=STRINGS))


THINGS = (
    "garden", "market", "harbour", "library", "train", "kitchen", "bridge", "museum", "orchard", "workshop", "festival",
    "river", "classroom", "bakery", "lighthouse", "theatre", "village", "mountain", "station", "farm",
)  # fmt: skip
SENTENCES = (
    "The {a} was quiet this morning.", "We walked from the {a} to the {b}.", "Nobody expected rain near the {b}.",
    "The old {a} still draws many visitors.", "My sister painted the door of the {b} green.",
    "They plan to open the {a} again in spring.", "A small dog waited outside the {b}.",
    "We met our neighbours by the {a}.", "The lamp in the {b} burns all night.", "It smells of bread around the {a}.",
)  # fmt: skip


def _base_note(rng: Rng) -> str:
    a, b = rng.sample(THINGS, 2)
    return " ".join(s.format(a=a, b=b) for s in rng.sample(SENTENCES, rng.between(2, 4)))


def _note(names: list[str], rng: Rng) -> Tree | None:
    """Return a nest of constraints whose text satisfies them all, or None when one undid another."""
    tree = leaf(_base_note(rng), "text")
    value = tree["x"]
    for name in sorted(names, key=list(CONSTRAINTS).index):
        params = {k: d.draw(rng) for k, d in CONSTRAINTS[name].knobs.items()}
        tree, value = node(CONSTRAINTS[name], params, tree), CONSTRAINTS[name].apply(value, **params)
    verifier = {"kind": "constraints", "gold": value, "args": {"checks": _note_checks(tree, value, labelled=False)}}
    return tree if score(value, verifier).value == 1.0 else None


def _note_nodes(tree: Tree) -> list[Tree]:
    out = []
    while "args" in tree:
        out.append(tree)
        tree = tree["args"][0]
    return out[::-1]


def _note_checks(tree: Tree, value: str, *, labelled: bool) -> list[dict[str, Any]]:
    of = {"of": "note"} if labelled else {}
    checks = []
    for part in _note_nodes(tree):
        check = OPERATIONS[part["skill"]].check
        assert check is not None
        checks.append({**check(**part["params"]), "skill": part["skill"], **of})
    if not any(c["check"] in LENGTH_CHECKS for c in checks):
        checks.append({"check": "min_words", "n": _least_words(value), "skill": checks[0]["skill"], **of})
    return checks


def _least_words(note: str) -> int:
    """Return three quarters of the note's words: a note that was cut short must not pass."""
    return max(1, len(note.split()) * 3 // 4)


def draw(params: SkillPairsParams, brief: Brief, rng: Rng) -> Draft | Dropped:
    """Return one instruction over the planned skills; Dropped when the constraints never agreed."""
    constraints = [name for name in brief.skills if name in CONSTRAINTS]
    note = None
    for _ in range(RESTARTS if constraints else 0):
        note = _note(constraints, rng)
        if note is not None:
            break
    if constraints and note is None:
        return Dropped("constraints_agree", f"no note satisfied {', '.join(constraints)} in {RESTARTS} tries")
    parts: list[Tree] = []
    asks: list[str] = []
    works: list[str] = []
    picks: list[int] = []
    for name in (n for n in brief.skills if n in TASKS):
        skill = TASKS[name]
        drawn = skill.draw(rng)
        if drawn is None:
            return Dropped("task_drawn", f"no well-posed problem of {name}")
        x, knobs = drawn
        pick, i = rng.below(len(skill.phrasings)), len(parts)
        shown = f"T{i + 1}" if skill.takes in BLOCKS else render(x, skill.takes)
        lead = f"Here is a {skill.takes} {shown}:\n{block(x, skill.takes)}\n" if skill.takes in BLOCKS else ""
        parts.append(node(skill, knobs, leaf(x, skill.takes)))
        asks.append(lead + skill.say(shown, knobs, pick))
        works.append(f"{LABELS[i]}: {skill.trace(x, skill.apply(x, **knobs), knobs)}")
        picks.append(pick)
    if note is not None:
        asks.append(_ask_note(note, rng, picks))
        works.append(f"note: {_say_note_work(note)}")
        parts.append(note)
    tree = node(ALL_OF, {}, *parts)
    return _draft(tree, asks, works, picks, rng)


def _ask_note(note: Tree, rng: Rng, picks: list[int]) -> str:
    value = evaluate(note)
    sentences = []
    for part in _note_nodes(note):
        skill = OPERATIONS[part["skill"]]
        picks.append(rng.below(len(skill.phrasings)))
        sentences.append(skill.say("the note", part["params"], picks[-1]))
    checks = _note_checks(note, value, labelled=False)
    least = "" if len(checks) == len(sentences) else f" of at least {_least_words(value)} words"
    return f"Write a short note{least} about a place you know. {' '.join(sentences)}"


def _say_note_work(note: Tree) -> str:
    value = _note_nodes(note)[0]["args"][0]["x"]
    works = []
    for part in _note_nodes(note):
        skill = OPERATIONS[part["skill"]]
        out = skill.apply(value, **part["params"])
        works.append(skill.trace(value, out, part["params"]))
        value = out
    return " ".join(works)


OPENINGS = (
    "Do all of this in one reply.",
    "One reply should cover all of the following.",
    "Please handle these together.",
)


def _draft(tree: Tree, asks: list[str], works: list[str], picks: list[int], rng: Rng) -> Draft:
    opening = rng.below(len(OPENINGS))
    labels = _labels(tree)
    body = "\n".join(f"- {ask}" for ask in asks)
    if labels:
        lines = "\n".join(f"{label}: ..." for label in labels)
        close = f"Write 'Answer:' on a line of its own and then one line for each part, in this form:\n{lines}"
    else:
        close = "Write 'Answer:' on a line of its own and then the note alone."
    phrasing = f"{opening}." + ".".join(map(str, picks))
    return Draft(tree, gold(tree, evaluate(tree)), phrasing, f"{OPENINGS[opening]}\n{body}\n{close}", "\n".join(works))


def _labels(tree: Tree) -> list[str]:
    """Return the labels of a reply's lines; none when the reply is just a note."""
    tasks = [a for a in tree["args"] if a["skill"] in TASKS]
    if not tasks:
        return []
    return [*LABELS[: len(tasks)], *(["note"] if len(tasks) < len(tree["args"]) else [])]


def gold(tree: Tree, value: Value) -> Verifier:
    """Return the verifier of the whole reply, one or more checks a skill, from the tree alone."""
    labels = _labels(tree)
    lines, checks = [], []
    for i, (part, answer) in enumerate(zip(tree["args"], value, strict=True)):
        skill = OPERATIONS[part["skill"]]
        if part["skill"] in TASKS:
            lines.append(f"{labels[i]}: {gold_text(answer, skill.gives)}")
            checks.append(
                {"check": "field", "label": labels[i], "verifier": verifier_of(skill, answer), "skill": skill.name}
            )
        else:
            lines.append(f"note: {answer}" if labels else answer)
            checks.extend(_note_checks(part, answer, labelled=bool(labels)))
    return {"kind": "constraints", "gold": "\n".join(lines), "args": {"checks": checks}}


def cells(params: SkillPairsParams) -> list[Cell]:
    """Return one cell a tuple size."""
    return [Cell(f"k={k}", k) for k in params.k]


SKILL_PAIRS = Recipe(
    name="skill-pairs",
    version=1,
    about="one natural instruction that needs k executable skills at once, checked skill by skill",
    paper="Instruct-SkillMix, arXiv 2408.14774",
    params=SkillPairsParams,
    cells=cells,
    assign=assign,
    draw=draw,
    gold=gold,
    depth_is_level=False,
)
