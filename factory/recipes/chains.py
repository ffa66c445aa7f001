"""h1 (arXiv 2510.07312): serial chains of short problems; each answer feeds the next, only the last is rewarded.

Atoms are parametric: their answers follow the injected value. With a user's seeds, R-HORIZON's key-number substitution
(arXiv 2510.08189) links them: every link then has a constant difference (`const_diff`), so a seed keeps its own answer,
and a model that knows the seed by heart can skip the chain. The flag says so, and the card explains it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, NamedTuple
from zlib import crc32

import numpy as np
import polars as pl
from pydantic import Field, field_validator

from factory.artifacts.digest import Rng, row_rng
from factory.recipes.coverage import distinct_tuples, name_lists, walks
from factory.recipes.recipe import (
    ANSWER_LINES,
    Bank,
    Brief,
    Cell,
    Demand,
    Draft,
    Dropped,
    Plan,
    Recipe,
    RecipeParams,
    SeedProblem,
    Verifier,
    check_levels,
    level_cells,
    levels_field,
)
from factory.skills.adapters import ADAPTERS, Adapter, proposals
from factory.skills.domains import TOP_LEVEL
from factory.skills.families.operators import SEED_PROBLEM
from factory.skills.library import OPERATIONS, TASKS, find_skill, side
from factory.skills.skill import BLOCKS, Skill, Value, block, render, verifier_of
from factory.skills.tree import UNDEFINED, Tree, edge, evaluate, input_matters, leaf, node, nodes
from schemas.columns import STRINGS

MAX_LEVEL = 8
RESTARTS = 4
TRIALS = 8
ALTERNATIVES = 3
TELLING = 3.5  # different answers to TRIALS inputs, on average
ANSWERS = tuple(f"A{i}" for i in range(1, MAX_LEVEL + 1))
INPUTS = tuple(f"B{i}" for i in range(1, MAX_LEVEL + 1))  # single letters stand in some tasks


class ChainsParams(RecipeParams):
    """What a job may say of chains."""

    recipe: Literal["chains"]
    levels: tuple[int, ...] = levels_field(MAX_LEVEL)
    atom_level: int = Field(default=4, ge=1, le=4, description="How much of each skill's knob ranges is open.")
    seed_share: float = Field(
        default=1.0, gt=0, le=1, description="With seeds: share of links after the first that are seeds, not skills."
    )
    knobs: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Fixed knob values: {skill: {knob: value}}."
    )

    @field_validator("levels")
    @classmethod
    def _levels(cls, levels: tuple[int, ...]) -> tuple[int, ...]:
        return check_levels(levels, MAX_LEVEL)

    @field_validator("knobs")
    @classmethod
    def _knobs(cls, knobs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, given in knobs.items():
            find_skill(name).check_knobs(given)
        return knobs


class OnChainsParams(RecipeParams):
    """What a job may say of a recipe that is built on chains."""

    levels: tuple[int, ...] = levels_field(MAX_LEVEL, 4)
    atom_level: int = Field(default=4, ge=1, le=4, description="How much of each skill's knob ranges is open.")

    @field_validator("levels")
    @classmethod
    def _levels(cls, levels: tuple[int, ...]) -> tuple[int, ...]:
        return check_levels(levels, MAX_LEVEL)

    @property
    def underneath(self) -> ChainsParams:
        """Return the params of the chains underneath."""
        return _underneath(self.levels, self.atom_level)


@cache
def _underneath(levels: tuple[int, ...], atom_level: int) -> ChainsParams:
    return ChainsParams(recipe="chains", share=1.0, levels=levels, atom_level=atom_level)


def assign(params: ChainsParams, request: Demand) -> Plan:
    """Plan type-correct walks through the skills, or tuples of seeds when the job has seeds."""
    level, tag = request.cell.level, f"chains/{request.tag}"
    if (bank := request.sources.problems) is None:
        names, after = successors(request.split)
        return Plan(walks(names, after, level, request.n, request.seed, tag))
    ids = bank.ids(request.split)
    if not ids:
        return Plan(pl.Series([], dtype=STRINGS))
    parents = distinct_tuples(ids, level, request.n, request.seed, tag)
    return Plan(name_lists([SEED_PROBLEM.name], np.zeros((request.n, level), dtype=np.int64)), parents)


@cache
def successors(split: str) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Return a split's skills, and for each the numbers of those that can follow it; a number fits any by adapters.

    A narrow skill ends a chain: what comes after it would hardly depend on what came before.
    """
    pool = side(TASKS, split)
    after = [
        [j for j, t in enumerate(pool) if t.takes == s.gives and _follows(s, t)] if _is_telling(s) else [] for s in pool
    ]
    return tuple(s.name for s in pool), tuple(tuple(options) for options in after)


def _is_telling(skill: Skill) -> bool:
    """Return whether other inputs to the same task mostly give other answers, measured on trial problems."""
    rng = row_rng(0, "telling", skill.name)
    distinct = 0
    for _ in range(TRIALS):
        first = skill.draw(rng)
        drawn = [skill.draw(rng, fixed=first[1]) for _ in range(TRIALS)] if first else []
        distinct += len({str(skill.apply(d[0], **d[1])) for d in drawn if d})
    return distinct >= TRIALS * TELLING


def _follows(skill: Skill, other: Skill) -> bool:
    """Return whether the answers of one skill are mostly tasks for another, whose answers follow them.

    Measured on trial problems: many sound links lose all that came before (is this text a single letter?).
    """
    rng = row_rng(0, "follows", f"{skill.name}>{other.name}")
    fits = follows = 0
    for _ in range(TRIALS):
        drawn = skill.draw(rng)
        link = None if drawn is None else _link(other, skill.apply(drawn[0], **drawn[1]), rng, TOP_LEVEL, None)
        if drawn is None or link is None:
            continue
        fits += 1
        others = (skill.draw(rng, fixed=drawn[1]) for _ in range(ALTERNATIVES))
        follows += any(link.changes(other, skill.apply(d[0], **d[1])) for d in others if d)
    return fits * 4 >= TRIALS * 3 and follows * 4 >= TRIALS * 3


class _Link(NamedTuple):
    """A skill joined to an answer: through which adapter, with which knobs, what it gets and what it gives."""

    adapter: Adapter | None
    how: dict[str, Any]
    knobs: dict[str, Any]
    x: Value
    y: Value

    def changes(self, skill: Skill, answer: Value) -> bool:
        """Return whether another answer before it would give another answer after it."""
        x = answer if self.adapter is None else self.adapter.apply(answer, **self.how)
        try:
            return skill.x.holds(x) and bool(skill.apply(x, **self.knobs) != self.y)
        except UNDEFINED:
            return True


def _link(skill: Skill, answer: Value, rng: Rng, level: int, fixed: dict[str, Any] | None) -> _Link | None:
    """Return the first join (adapters in a random order) in which the skill changes what it gets, or None."""
    options = proposals(rng, answer) if skill.takes == "number" else iter([(None, {})])
    for adapter, how in options:
        x = answer if adapter is None else adapter.apply(answer, **how)
        knobs = skill.fit(rng, x, level, fixed)
        if knobs is None:
            continue
        y = skill.apply(x, **knobs)
        if y != x or type(y) is not type(x):
            return _Link(adapter, how, knobs, x, y)
    return None


@dataclass(slots=True)
class _Chain:
    """A chain while it grows."""

    tree: Tree
    value: Value
    tasks: list[str]
    works: list[str]
    picks: list[int]
    kind: str


def draw(params: ChainsParams, brief: Brief, rng: Rng) -> Draft | Dropped:
    """Return a chain through the planned skills or seeds; Dropped when a link never fitted."""
    if brief.parents and brief.sources.problems is not None:
        return _draw_from_seeds(params, brief, brief.sources.problems, rng)
    skills = [OPERATIONS[name] for name in brief.skills]
    stuck = skills[0].name
    for _ in range(RESTARTS):
        chain = _first(skills[0], params, rng)
        for j, skill in enumerate(skills[1:], 1):
            if chain is None:
                break
            stuck = skill.name
            chain = _extend(chain, skill, j, params, rng)
        if chain is not None:
            return _draft(chain, len(skills), rng, [], [])
    return Dropped("link_fits", f"no value reached {stuck} in {RESTARTS} tries")


def draw_sound(params: ChainsParams, brief: Brief, rng: Rng) -> Draft | Dropped:
    """Return a chain as `draw` does; Dropped, too, where the truth gate would find that its input does not matter.

    For those who ask a teacher about it: nothing is paid for a row that cannot stay.
    """
    drawn = draw(params, brief, rng)
    if isinstance(drawn, Draft):
        if not input_matters(drawn.tree, evaluate(drawn.tree), crc32(drawn.verifier["gold"].encode())):
            return Dropped("input_matters", "the answer did not follow any changed input")
    return drawn


def _first(skill: Skill, params: ChainsParams, rng: Rng) -> _Chain | None:
    drawn = skill.draw(rng, params.atom_level, params.knobs.get(skill.name))
    if drawn is None:
        return None
    x, knobs = drawn
    y = skill.apply(x, **knobs)
    if y == x and type(y) is type(x):
        return None
    pick = rng.below(len(skill.phrasings))
    task = _given(x, skill.takes, lambda shown: skill.say(shown, knobs, pick))
    tree = node(skill, knobs, leaf(x, skill.takes))
    return _Chain(tree, y, [task], [skill.trace(x, y, knobs)], [pick], skill.gives)


def _given(x: Value, kind: Any, say: Callable[[str], str]) -> str:
    if kind in BLOCKS:
        return f"Here is a {kind} T:\n{block(x, kind)}\n{say('T')}"
    return say(render(x, kind))


def _extend(chain: _Chain, skill: Skill, j: int, params: ChainsParams, rng: Rng) -> _Chain | None:
    """Return the chain with one more skill, or None when the skill cannot take its answer."""
    name = shown = ANSWERS[j - 1]
    link = _link(skill, chain.value, rng, params.atom_level, params.knobs.get(skill.name))
    if link is None:
        return None
    pick = rng.below(len(skill.phrasings))
    lead = work = ""
    if link.adapter is not None:
        shown = INPUTS[j]
        lead = f"Let {shown} be {link.adapter.say(name, **link.how)}. "
        work = f"{shown} = {link.adapter.say(render(chain.value, 'number'), **link.how)} = {link.x}. "
        chain.tree = edge(link.adapter.name, link.how, chain.tree)
    chain.tree = node(skill, link.knobs, chain.tree)
    chain.tasks.append(lead + skill.say(shown, link.knobs, pick))
    chain.works.append(work + skill.trace(link.x, link.y, link.knobs))
    chain.picks.append(pick)
    chain.value, chain.kind = link.y, skill.gives
    return chain


def _draw_from_seeds(params: ChainsParams, brief: Brief, bank: Bank[SeedProblem], rng: Rng) -> Draft | Dropped:
    """Return a chain of the planned seeds; a link may be a skill instead (`seed_share`), whose answer follows."""
    seeds = [bank.get(i) for i in brief.parents]
    chain, used, flags = _first_seed(seeds[0]), [seeds[0].id], []
    skills = [s for s in side(TASKS, brief.split) if s.takes == "number" == s.gives]
    for j, seed in enumerate(seeds[1:], 1):
        if rng.chance(params.seed_share):
            _link_seed(chain, seed, j)
            used.append(seed.id)
            flags = ["const_diff"]
        elif _extend(chain, rng.pick(skills), j, params, rng) is None:
            return Dropped("link_fits", f"no skill could take the answer {chain.value}")
    draft = _draft(chain, len(seeds), rng, used, flags)
    return replace(draft, skills=[part["skill"] for part in nodes(chain.tree)])


def _seed_node(seed: SeedProblem, arg: Tree) -> Tree:
    return node(SEED_PROBLEM, {"seed": seed.id, "key": seed.key, "answer": seed.answer}, arg)


def _first_seed(seed: SeedProblem) -> _Chain:
    work = _say_work(seed)
    return _Chain(_seed_node(seed, leaf(seed.key, "number")), seed.answer, [seed.question], [work], [0], "number")


def _say_work(seed: SeedProblem) -> str:
    return f"{seed.work} The answer to this problem is {seed.answer}.".lstrip()


def _link_seed(chain: _Chain, seed: SeedProblem, j: int) -> None:
    name, given, by = ANSWERS[j - 1], INPUTS[j], seed.key - chain.value
    relation = ADAPTERS["const_diff"].say
    task = seed.question[: seed.start] + given + seed.question[seed.end :]
    chain.tasks.append(f"Let {given} be {relation(name, by)}. {task}")
    chain.works.append(f"{given} = {relation(str(chain.value), by)} = {seed.key}. {_say_work(seed)}")
    chain.tree = _seed_node(seed, edge("const_diff", {"by": by}, chain.tree))
    chain.value = seed.answer
    chain.picks.append(0)


STYLES = (
    ("Solve these linked problems in order; later ones use the answers of earlier ones.", "Problem ", ". "),
    ("Work through the steps below. Each step uses what came before.", "Step ", ": "),
    ("The following questions build on each other.", "(", ") "),
)
CALLS = (" Call the answer {name}.", " Let {name} be the result.", " The answer is {name}.")
BLOCK_LINES = (
    "End with 'Answer:' and then the table as CSV, with its header.",
    "End with 'Answer:' and then the rows of the grid as one JSON list of strings.",
)
ASKS = ("Report only the last answer.", "Only the answer to the last one counts.", "Give the last answer.")


def _draft(chain: _Chain, horizon: int, rng: Rng, parents: list[str], flags: list[str]) -> Draft:
    truth = gold(chain.tree, chain.value)
    style, ending = rng.below(len(STYLES)), rng.below(len(ANSWER_LINES))
    close = ANSWER_LINES[ending]
    if chain.kind in BLOCKS:
        close = BLOCK_LINES[chain.kind != "table"]
    if horizon == 1:
        prompt = f"{chain.tasks[0]}\n{close}"
        return Draft(chain.tree, truth, f"1.{chain.picks[0]}", prompt, chain.works[0], parents, flags)
    intro, before, after = STYLES[style]
    lines = [f"{before}{i}{after}{task}" for i, task in enumerate(chain.tasks, 1)]
    for i in range(horizon - 1):
        lines[i] += CALLS[style].format(name=ANSWERS[i])
    works = [f"{i}. {work}" for i, work in enumerate(chain.works, 1)]
    picks = ".".join(map(str, chain.picks))
    prompt = "\n".join((intro, *lines, f"{ASKS[style]} {close}"))
    return Draft(chain.tree, truth, f"{style}.{picks}", prompt, "\n".join(works), parents, flags)


def gold(tree: Tree, value: Value) -> Verifier:
    """Return the verifier of the last answer, from the tree alone."""
    return verifier_of(OPERATIONS[tree["skill"]], value)


def cells(params: ChainsParams) -> list[Cell]:
    """Return one cell a horizon."""
    return level_cells(params.levels)


CHAINS = Recipe(
    name="chains",
    version=1,
    about="serial chains of horizon 1 to 8; each answer feeds the next problem, the last answer is the gold",
    paper="h1, arXiv 2510.07312; with seeds R-HORIZON, arXiv 2510.08189",
    params=ChainsParams,
    cells=cells,
    assign=assign,
    draw=draw,
    gold=gold,
)
