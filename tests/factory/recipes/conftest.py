"""Drafts of a recipe as a job would draw them: planned by the recipe, each row from a generator of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from factory.artifacts.digest import canonical_json, row_rng
from factory.gates.verify import judge
from factory.recipes.recipe import Brief, Cell, Draft, Dropped, Plan, RecipeParams, Request, Seeds
from factory.recipes.registry import RECIPES


@dataclass(frozen=True)
class Row:
    """A draft and the slot it was drawn for."""

    brief: Brief
    draft: Draft

    @property
    def gold(self) -> str:
        return str(self.draft.verifier["gold"])

    @property
    def passes(self) -> bool:
        """Whether the truth gate lets it through."""
        made = self.draft
        stored = {**made.verifier, "args": canonical_json(made.verifier["args"]).decode()}
        return type(judge(self.recipe, self.brief.level, made.tree, stored, made.steps, 7)) is int

    recipe: str = ""


@dataclass(frozen=True)
class Drawn:
    """Planned slots of one cell, and the rows that came of them."""

    plan: Plan
    rows: list[Row]
    dropped: list[Dropped]


Draw = Callable[..., Drawn]


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Draws n rows of a cell: `draw("nested", level=3, n=20, split="heldout", definitions="hidden")`."""

    def rows(
        recipe: str, level: int, n: int, split: str = "train", seeds: Seeds | None = None, seed: int = 3, **params: Any
    ) -> Drawn:
        made = params_of(recipe, **params)
        request = Request(Cell(f"level={level}", level), split, n, seed, f"0/level={level}/{split}", seeds)
        plan = RECIPES[recipe].assign(made, request)
        parents = plan.parents or [[]] * len(plan.skills)
        out, dropped = [], []
        for i, (skills, of) in enumerate(zip(plan.skills, parents, strict=True)):
            brief = Brief(level, split, skills, of, seeds)
            drawn = RECIPES[recipe].draw(made, brief, row_rng(seed, "draw", f"{request.tag}/{i}"))
            if isinstance(drawn, Draft):
                out.append(Row(brief, drawn, recipe))
            else:
                dropped.append(drawn)
        return Drawn(plan, out, dropped)

    return rows


def params_of(recipe: str, **params: Any) -> RecipeParams:
    return RECIPES[recipe].params.model_validate({"recipe": recipe, "share": 1.0, **params})
