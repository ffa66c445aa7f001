"""LEGO (the chain task of Skill-It, arXiv 2307.14430): clauses 'a = not b', shuffled; one variable is asked."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from factory.artifacts.digest import Rng
from factory.recipes.coverage import name_lists
from factory.recipes.recipe import (
    ANSWER_LINES,
    Brief,
    Cell,
    Demand,
    Draft,
    Dropped,
    Plan,
    Recipe,
    RecipeParams,
    Verifier,
    check_levels,
    level_cells,
    levels_field,
)
from factory.skills.domains import ALPHABET
from factory.skills.families.operators import KEEP, NEGATE
from factory.skills.skill import Value, gold_text, render
from factory.skills.tree import Tree, evaluate, leaf, node

MAX_LEVEL = 8
OPERATORS = (KEEP, NEGATE)


class LegoParams(RecipeParams):
    """What a job may say of LEGO."""

    recipe: Literal["lego"]
    levels: tuple[int, ...] = levels_field(5)
    chain: int = Field(default=5, ge=1, le=MAX_LEVEL, description="Clauses in each problem; a level is the one asked.")
    cap: float = Field(default=0.25, gt=0, le=1, description="Largest share of rows with one run of keep and not.")
    heldout: float = Field(default=0.0, ge=0, le=0, description="LEGO has one skill, so nothing can be held out.")

    @field_validator("levels")
    @classmethod
    def _levels(cls, levels: tuple[int, ...]) -> tuple[int, ...]:
        return check_levels(levels, MAX_LEVEL)

    @model_validator(mode="after")
    def _asked_is_said(self) -> LegoParams:
        if max(self.levels) > self.chain:
            raise ValueError(f"level {max(self.levels)} asks beyond the chain of {self.chain} clauses; raise `chain`")
        return self


def assign(params: LegoParams, request: Demand) -> Plan:
    """Plan the depth asked; the clauses are drawn."""
    return Plan(name_lists([f"lego_depth_{request.cell.level}"], np.zeros((request.n, 1), dtype=np.int64)))


def draw(params: LegoParams, brief: Brief, rng: Rng) -> Draft | Dropped:
    """Return a chain of clauses and a question about the variable at the slot's depth."""
    names = rng.sample(ALPHABET, params.chain)
    tree = asked = leaf(rng.chance(0.5), "boolean")
    clauses, works, value = [], [], tree["x"]
    for i, name in enumerate(names):
        skill = rng.pick(OPERATORS)
        before = names[i - 1] if i else render(tree["x"], "boolean")
        clause = f"{name} = {'not ' if skill is NEGATE else ''}{before}"
        tree, value = node(skill, {"name": name}, tree), skill.apply(value, name=name)
        clauses.append(clause)
        if i < brief.level:
            asked = tree
            works.append(f"{clause}, so {name} is {render(value, 'boolean')}.")
    ending = rng.below(len(ANSWER_LINES))
    question = f"Is {names[brief.level - 1]} true or false?"
    prompt = f"{'. '.join(rng.shuffled(clauses))}.\n{question}\n{ANSWER_LINES[ending]}"
    return Draft(asked, gold(asked, evaluate(asked)), str(ending), prompt, " ".join(works))


def gold(tree: Tree, value: Value) -> Verifier:
    """Return the verifier of the asked variable's truth value."""
    return {"kind": "boolean", "gold": gold_text(value, "boolean"), "args": {}}


def cells(params: LegoParams) -> list[Cell]:
    """Return one cell a depth."""
    return level_cells(params.levels)


LEGO = Recipe(
    name="lego",
    version=1,
    about="chains of truth values in shuffled clauses; a level is the depth of the variable asked",
    paper="Skill-It, arXiv 2307.14430",
    params=LegoParams,
    cells=cells,
    assign=assign,
    draw=draw,
    gold=gold,
    depth_is_level=False,
)
