"""Drafts of a recipe as a job would draw them: planned by the recipe, each row from a generator of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest
from by_example import make

from factory.artifacts.digest import canonical_json, row_rng
from factory.gates.verify import judge
from factory.recipes.recipe import Bank, Brief, Cell, Demand, Draft, Dropped, RecipeParams, SeedProblem, Sources
from factory.recipes.registry import RECIPES


@dataclass(frozen=True)
class Row:
    """A draft and the slot it was drawn for."""

    recipe: str
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
        return type(judge(self.recipe, self.brief.level, made.tree, stored, made.steps)) is int


@dataclass(frozen=True)
class Drawn:
    """Planned slots of one cell, and the rows that came of them."""

    planned: list[list[str]]
    rows: list[Row]
    dropped: list[Dropped]


Draw = Callable[..., Drawn]


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Draws n rows of a cell: `draw("nested", level=3, n=20, split="heldout", definitions="hidden")`."""

    def rows(
        recipe: str,
        level: int,
        n: int,
        split: str = "train",
        seeds: Bank[SeedProblem] | None = None,
        seed: int = 3,
        **params: Any,
    ) -> Drawn:
        made, sources = params_of(recipe, **params), Sources(problems=seeds)
        request = Demand(Cell(f"level={level}", level), split, n, seed, f"0/level={level}/{split}", sources)
        plan = RECIPES[recipe].assign(made, request)
        skills_of, parents_of = as_lists(plan.skills), as_lists(plan.parents)
        out, dropped = [], []
        for i, skills in enumerate(skills_of):
            of = parents_of[i] if parents_of else []
            brief = Brief(level, split, skills, of, sources)
            drawn = make(recipe, made, brief, row_rng(seed, "draw", f"{request.tag}/{i}"))
            if isinstance(drawn, Draft):
                out.append(Row(recipe, brief, drawn))
            else:
                dropped.append(drawn)
        return Drawn(skills_of, out, dropped)

    return rows


def as_lists(planned: Any) -> list[list[str]]:
    """Return what a recipe planned as plain lists."""
    return pl.Series("planned", planned, dtype=pl.List(pl.String)).to_list()


def params_of(recipe: str, **params: Any) -> RecipeParams:
    return RECIPES[recipe].params.model_validate({"recipe": recipe, "share": 1.0, **params})
