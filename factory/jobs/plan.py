"""The planner: quotas into exactly N slots. Coverage is decided here, once, so it cannot depend on workers or yield."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import polars as pl

from factory.artifacts.digest import digest, permutation
from factory.errors import QuotaUnmet
from factory.jobs.model import Job
from factory.recipes.recipe import Cell, Demand, Plan, Quotas, RecipeParams, Sources
from factory.recipes.registry import RECIPES
from factory.skills.library import Library
from schemas.columns import STRINGS
from schemas.slots import SLOTS

SHARD_ROWS = 10_000
PLAN_VERSION = 1


@dataclass(frozen=True, slots=True)
class Quota:
    """How many slots a cell of an entry has in a split."""

    entry: int
    params: RecipeParams
    cell: Cell
    split: str
    n: int

    @property
    def tag(self) -> str:
        """Return the name of the cell's stream of random orders."""
        return f"{self.entry}/{self.cell.name}/{self.split}"


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Return whole numbers in proportion to the weights that add up to the total (largest remainder, ties first)."""
    exact = [Fraction(w) * total / sum(map(Fraction, weights)) for w in weights]
    floors = [int(x) for x in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (floors[i] - exact[i], i))
    for i in by_remainder[: total - sum(floors)]:
        floors[i] += 1
    return floors


def quotas(job: Job) -> list[Quota]:
    """Return the quota of every cell; they add up to the job's rows."""
    out = []
    for i, (params, n) in enumerate(zip(job.recipes, apportion(job.rows, [e.share for e in job.recipes]), strict=True)):
        cells = RECIPES[params.recipe].cells(params)
        for cell, (m, held) in zip(cells, _of_cells(params, n, len(cells)), strict=True):
            out += [Quota(i, params, cell, "train", m - held), Quota(i, params, cell, "heldout", held)]
    return [q for q in out if q.n]


@dataclass(frozen=True, slots=True)
class Round:
    """One round of planning: the quotas of the first plan and of what is open now, by (entry, split)."""

    seed: int
    sources: Sources
    number: int
    planned: Mapping[tuple[int, str], Quotas]
    open: Mapping[tuple[int, str], Quotas]

    def demand(self, quota: Quota) -> Demand:
        """Return what a recipe is asked to plan for a quota."""
        tag = f"{quota.tag}/replan-{self.number}" if self.number else quota.tag
        beside = self.planned[quota.entry, quota.split], self.open[quota.entry, quota.split]
        return Demand(quota.cell, quota.split, quota.n, self.seed, tag, self.sources, quota.entry, self.number, *beside)


def _side_by_side(found: Sequence[Quota]) -> dict[tuple[int, str], Quotas]:
    out: dict[tuple[int, str], Quotas] = {}
    for q in found:
        out[q.entry, q.split] = (*out.get((q.entry, q.split), ()), (q.cell, q.n))
    return out


def _of_cells(params: RecipeParams, n: int, cells: int) -> list[tuple[int, int]]:
    """Return the rows of each cell and how many of them are held out: evenly, and evenly of all together.

    Twins lie in neighbouring cells, which get the same; a row that is one too many is a train row of the first.
    """
    size = 2 if RECIPES[params.recipe].twins else 1
    groups = apportion(n // size, [1.0] * (cells // size))
    held = apportion(n // size, [1 - params.heldout, params.heldout])[1] if n // size and params.heldout else 0
    held_of = apportion(held, groups) if any(groups) else groups
    out = [(m, h) for m, h in zip(groups, held_of, strict=True) for _ in range(size)]
    out[0] = (out[0][0] + n % size, out[0][1])
    return out


def plan_shards(job: Job, sources: Sources, shard_rows: int) -> Iterator[pl.DataFrame]:
    """Yield SLOTS shard by shard: one row a slot, cells mixed in a stable random order."""
    found = quotas(job)
    now = Round(job.seed, sources, 0, _side_by_side(found), _side_by_side(found))
    frame = pl.concat([_slots(q, now) for q in found])
    order = permutation(job.seed, "slots", frame.height)
    for first in range(0, frame.height, shard_rows):
        rows = frame[order[first : first + shard_rows]]
        yield rows.with_columns(slot=pl.int_range(first, first + rows.height, dtype=pl.Int64)).select(*SLOTS.columns)


def plan(job: Job, sources: Sources) -> pl.DataFrame:
    """Return the whole plan at once: for small jobs and previews."""
    return pl.concat(plan_shards(job, sources, SHARD_ROWS))


def _slots(quota: Quota, now: Round) -> pl.DataFrame:
    planned = _planned(quota, now)
    same = {"entry": quota.entry, "recipe": quota.params.recipe, "cell": quota.cell.name, "level": quota.cell.level}
    same |= {"split": quota.split, "replan": now.number, "slot": 0}
    parents = pl.lit([], dtype=STRINGS) if planned.parents is None else pl.lit(planned.parents)
    pairs = pl.lit("") if planned.pairs is None else pl.lit(planned.pairs)
    return (
        pl.DataFrame({"skills": planned.skills})
        .select(
            *(pl.lit(value, dtype=SLOTS.columns[name]).alias(name) for name, value in same.items()),
            pl.format("{}/{}", pl.lit(quota.tag), pl.int_range(pl.len())).alias("id"),
            pl.col("skills").cast(STRINGS),
            parents.alias("parents").cast(STRINGS),
            pairs.alias("pair"),
        )
        .select(*SLOTS.columns)
    )


def _planned(quota: Quota, now: Round) -> Plan:
    recipe = quota.params.recipe
    planned = RECIPES[recipe].assign(quota.params, now.demand(quota))
    if len(planned.skills) != quota.n:
        why = "too few usable seeds; bring more seeds, fewer levels or heldout: 0" if now.sources else "no skills"
        raise QuotaUnmet(
            f"recipe '{recipe}', {quota.cell.name}, split {quota.split}: nothing to build {quota.n} rows on ({why})"
        )
    return planned


def replan(open_slots: pl.DataFrame, job: Job, sources: Sources, round_: int) -> pl.DataFrame:
    """Return the slots that stayed open with new skills, drawn inside their own cells."""
    every = quotas(job)
    mine = [(quota, open_slots.filter(_is_of(quota))) for quota in every]
    again = [replace(quota, n=rows.height) for quota, rows in mine if rows.height]
    now = Round(job.seed, sources, round_, _side_by_side(every), _side_by_side(again))
    parts = []
    for quota, rows in zip(again, (rows for _, rows in mine if rows.height), strict=True):
        fresh = _slots(quota, now)
        parts.append(rows.with_columns(fresh["skills"], fresh["parents"], fresh["pair"], fresh["replan"]))
    return pl.concat(parts).sort("slot")


def _is_of(quota: Quota) -> pl.Expr:
    same_cell = (pl.col("entry") == quota.entry) & (pl.col("cell") == quota.cell.name)
    return same_cell & (pl.col("split").cast(pl.String) == quota.split)


def plan_key(job: Job, sources: Sources) -> str:
    """Return the digest of all that the plan depends on."""
    return digest(
        stage="plan",
        version=PLAN_VERSION,
        schema=SLOTS.version,
        rows=job.rows,
        seed=job.seed,
        recipes=[entry.model_dump(mode="json") for entry in job.recipes],
        recipe_versions=[RECIPES[entry.recipe].version for entry in job.recipes],
        library=Library().identity,
        sources=sources.identity,
    )
