"""Skills, seeds and marks for every cell of an entry at once: coverage does not stop at the border of a cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import polars as pl

from factory.artifacts.digest import Rng, row_rng
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
    given = pool.weights
    weights = {name: given.get(name, 1.0) for name in names} if given else None
    tuples = plan_tuples(names, [cell.level for cell in rows], pool.near, rng, weights, tally)
    out: dict[str, list[list[str]]] = {cell.name: [] for cell, _ in quotas}
    for cell, members in zip(rows, tuples, strict=True):
        out[cell.name].append(members)
    return out


# --------------------------------------------------------------------------------------------------- seeds, and marks


def dealt(demand: Demand, ids: Sequence[str], recipe: str) -> list[str]:
    """Return an id for each slot: over all cells none is used once more before each was used as often.

    Each pass over the ids has an order of its own, a cell takes none twice while it can take another, and a later
    round begins with those that the first plan used least.
    """
    planned = demand.planned or ((demand.cell, demand.n),)
    stream = f"{recipe}/{demand.entry}/{demand.split}"
    place = (demand.seed, stream, demand.round)
    return list(_deal(tuple(ids), planned, demand.open or planned, place)[demand.cell.name])


@lru_cache(maxsize=64)
def _deal(
    ids: tuple[str, ...], planned: Quotas, wanted: Quotas, place: tuple[int, str, int]
) -> dict[str, tuple[str, ...]]:
    seed, stream, round_ = place
    first, left = _passes(ids, planned, row_rng(seed, "deal", stream), [])
    if not round_:
        return first
    rng = row_rng(seed, "deal", f"{stream}/{round_}")
    return _passes(ids, wanted, rng, rng.shuffled(left))[0]


def _passes(
    ids: tuple[str, ...], quotas: Quotas, rng: Rng, left: list[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the ids of each cell, and those that are left of the last pass; passes are taken from their end."""
    out: dict[str, tuple[str, ...]] = {}
    for cell, n in quotas:
        mine: list[str] = []
        for _ in range(n if ids else 0):
            if not left:
                here = set(mine)
                left = sorted(rng.shuffled(ids), key=lambda id_: id_ not in here)
            mine.append(left.pop())
        out[cell.name] = tuple(mine)
    return out, left


def marked(demand: Demand, share: float, may: Callable[[Cell], bool], recipe: str) -> list[bool]:
    """Return which slots of the cell are marked: exactly a share of the slots of all cells that may be, spread evenly.

    The share is rounded to whole slots; where there are slots that may be marked and the share is not 0, one is.
    """
    quotas = demand.open or demand.planned or ((demand.cell, demand.n),)
    fit = [(cell.name, n) for cell, n in quotas if may(cell)]
    names, total = [name for name, _ in fit], sum(n for _, n in fit)
    if demand.cell.name not in names or not share:
        return [False] * demand.n
    count = max(1, int(total * share + 0.5))
    before = sum(n for _, n in fit[: names.index(demand.cell.name)])
    first = before + row_rng(demand.seed, "mark", f"{recipe}/{demand.entry}/{demand.split}/{demand.round}").below(total)
    return [(first + i) * count % total < count for i in range(demand.n)]
