"""Missing premises (arXiv 2504.06514): pairs of an intact problem and its twin that lacks something it needs.

The target of the twin without the premise is a short abstention that names what is missing; the intact twin keeps its
answer, so that abstaining is no shortcut. On chains all of it is done by program. On the user's problems a teacher
removes the premise, and solvers show that the intact problem has its answer and the other one none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator

from factory.artifacts.digest import Rng
from factory.errors import UserError
from factory.recipes import chains
from factory.recipes.premises import ablations, abstention
from factory.recipes.recipe import (
    NOTHING,
    PREMISE,
    Brief,
    Cell,
    Demand,
    Draft,
    Dropped,
    Plan,
    Recipe,
    Talk,
)
from factory.recipes.removal import ABLATE, solved, without_premise
from factory.recipes.sampling import SOLVE
from factory.skills.tree import topology

INTACT = "premise_given"


class MissingPremiseParams(chains.OnChainsParams):
    """What a job may say of missing premises."""

    recipe: Literal["missing-premise"]
    base: Literal["chains", "problems"] = Field(
        default="chains", description="What is ablated: chains by program, or the job's seeds by a teacher."
    )
    votes: int = Field(default=5, ge=1, le=16, description="With problems: independent solutions of each twin.")
    agree: int = Field(
        default=3, ge=1, le=16, description="So many must reach the intact answer, and fewer agree on one without."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_problems(cls, said: Any) -> Any:
        of_problems = isinstance(said, dict) and said.get("base") == "problems"
        return {"levels": (1,), **said} if of_problems else said

    @model_validator(mode="after")
    def _sound(self) -> MissingPremiseParams:
        if self.agree > self.votes:
            raise ValueError(f"agree is {self.agree}, but there are only {self.votes} votes")
        if self.base == "problems" and self.levels != (1,):
            raise ValueError(f"levels is {list(self.levels)}, but a problem of the seeds is of level 1 alone")
        return self


def cells(params: MissingPremiseParams) -> list[Cell]:
    """Return two cells a level: the intact twins and the ablated ones."""
    return [Cell(f"level={level},{kind}", level) for level in params.levels for kind in ("intact", "ablated")]


def assign(params: MissingPremiseParams, demand: Demand) -> Plan:
    """Plan the same chains or seeds for both cells of a level, in pairs; one slot too many in a cell has no pair."""
    if params.base == "problems" and demand.sources.problems is None:
        raise UserError(
            "recipe 'missing-premise' with base: problems needs seeds: add `seeds: {path: FILE}` to the job"
        )
    level, sources = demand.cell.level, demand.sources if params.base == "problems" else NOTHING
    sizes = [n for cell, n in demand.open if cell.level == level] or [demand.n]
    place = f"{demand.entry}/{demand.split}/{demand.round}/{level}"
    both = replace(demand, n=max(sizes), tag=f"missing-premise/{place}", sources=sources)
    planned = chains.assign(params.underneath, both)
    paired = min(sizes) if len(sizes) > 1 else 0 if demand.open else demand.n
    pairs = [f"{demand.split}/{demand.round}/{level}/{i}" if i < paired else "" for i in range(demand.n)]
    parents = None if planned.parents is None else planned.parents.head(demand.n)
    skills = planned.skills.head(demand.n)
    return Plan(skills, parents, pl.Series(pairs[: len(skills)], dtype=pl.String))


def draw(params: MissingPremiseParams, brief: Brief, rng: Rng) -> Draft | Dropped:
    """Return the chain of a pair, or the same chain without one premise, by the slot's cell."""
    drawn = chains.draw(params.underneath, replace(brief, sources=NOTHING), rng)
    if isinstance(drawn, Dropped):
        return drawn
    found = ablations(drawn)
    if not found:
        return Dropped("premise_needed", "no value or sentence of the chain could be removed: none is surely needed")
    kind = rng.pick(sorted({one.kind for one in found}))
    chosen = rng.pick([one for one in found if one.kind == kind])
    phrasing = f"{kind}.{drawn.phrasing}"
    if not brief.cell.endswith("ablated"):
        return replace(drawn, prompt=chosen.intact, phrasing=phrasing, flags=[*drawn.flags, INTACT])
    verifier = {"kind": "abstain", "gold": abstention(chosen, rng), "args": {"names": list(chosen.names)}}
    shape = f"{topology(drawn.tree)} without a {kind}"
    return Draft({}, verifier, phrasing, chosen.ablated, "", flags=[*drawn.flags, PREMISE], shape=shape)


def talk(params: MissingPremiseParams, brief: Brief, rng: Rng) -> Talk:
    """Have a seed solved, or its premise removed and solved in vain, by the slot's cell."""
    drawn = chains.draw(params.underneath, brief, rng)
    assert isinstance(drawn, Draft)  # one seed alone always fits
    if brief.cell.endswith("ablated"):
        return (yield from without_premise(drawn, params.votes, params.agree, rng))
    return (yield from solved(replace(drawn, flags=[*drawn.flags, INTACT]), params.votes, params.agree))


MISSING_PREMISE = Recipe(
    name="missing-premise",
    version=1,
    about="pairs of twins: a problem, and the same one without a premise it needs, whose reply names what is missing",
    paper="MiP-Overthinking, arXiv 2504.06514",
    params=MissingPremiseParams,
    cells=cells,
    assign=assign,
    draw=draw,
    talk=talk,
    talks=lambda params: params.base == "problems",
    prompts=(ABLATE, SOLVE),
    gold=chains.gold,
    twins=True,
)
