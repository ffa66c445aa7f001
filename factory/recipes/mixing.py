"""Skill tuples for every cell of an entry at once, so that coverage does not stop at the border of a cell."""

from __future__ import annotations

from functools import lru_cache

import polars as pl

from factory.artifacts.digest import Rng
from factory.errors import UserError
from factory.recipes.coverage import tuple_rng
from factory.recipes.recipe import Cell, Demand, Quotas, SkillPool
from factory.recipes.skill_tuples import Tally, plan_tuples
from schemas.columns import STRINGS


def mixed_skills(demand: Demand, recipe: str) -> pl.Series:
    """Return as many different skills as the cell's level for each of its slots: least-used-first over all cells.

    A later round goes on where the first plan ended. UserError when the job has too few skills for the tuples.
    """
    pool = demand.sources.skills
    assert pool is not None
    planned = demand.planned or ((demand.cell, demand.n),)
    stream = f"{recipe}/{demand.entry}/{demand.split}"
    wanted = demand.open or planned
    try:
        by_cell = _mix(pool, planned, wanted, demand.split, (demand.seed, stream, demand.round))
    except ValueError as error:
        raise UserError(
            f"recipe '{recipe}', split {demand.split}: {error}. The job has {len(pool.names(demand.split))} skills for"
            " it: bring more (skills.path), ask for smaller k, or set heldout: 0"
        ) from None
    return pl.Series(by_cell[demand.cell.name], dtype=STRINGS)


@lru_cache(maxsize=64)
def _mix(
    pool: SkillPool, planned: Quotas, wanted: Quotas, split: str, stream: tuple[int, str, int]
) -> dict[str, list[list[str]]]:
    seed, name, round_ = stream
    tally = Tally()
    found = _tuples(pool, planned, split, tuple_rng(seed, name), tally)
    if not round_:
        return found
    return _tuples(pool, wanted, split, tuple_rng(seed, f"{name}/{round_}"), tally)


def _tuples(pool: SkillPool, quotas: Quotas, split: str, rng: Rng, tally: Tally) -> dict[str, list[list[str]]]:
    """Return the tuples of each cell; rows of all cells are planned in a random order, so no skill keeps to a cell."""
    rows: list[Cell] = rng.shuffled([cell for cell, n in quotas for _ in range(n)])
    names = pool.names(split)
    weights = {name: pool.weights.get(name, 0.0) for name in names} if pool.weights else None
    tuples = plan_tuples(names, [cell.level for cell in rows], pool.near, rng, weights, tally)
    out: dict[str, list[list[str]]] = {cell.name: [] for cell, _ in quotas}
    for cell, members in zip(rows, tuples, strict=True):
        out[cell.name].append(members)
    return out
