"""The planner: quotas into exactly N slots. Coverage is decided here, once, so it cannot depend on workers or yield."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import polars as pl

from factory.artifacts.digest import digest, permutation
from factory.errors import QuotaUnmet
from factory.jobs.model import Job
from factory.recipes.recipe import Cell, Demand, RecipeParams, Seeds
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
        for cell, m in zip(cells, apportion(n, [1.0] * len(cells)), strict=True):
            held = apportion(m, [1 - params.heldout, params.heldout])[1] if params.heldout else 0
            out += [Quota(i, params, cell, "train", m - held), Quota(i, params, cell, "heldout", held)]
    return [q for q in out if q.n]


def plan_shards(job: Job, seeds: Seeds | None, shard_rows: int) -> Iterator[pl.DataFrame]:
    """Yield SLOTS shard by shard: one row a slot, cells mixed in a stable random order."""
    frame = pl.concat([_slots(q, RECIPES[q.params.recipe].name, job.seed, seeds, replan=0) for q in quotas(job)])
    order = permutation(job.seed, "slots", frame.height)
    for first in range(0, frame.height, shard_rows):
        rows = frame[order[first : first + shard_rows]]
        yield rows.with_columns(slot=pl.int_range(first, first + rows.height, dtype=pl.Int64)).select(*SLOTS.columns)


def plan(job: Job, seeds: Seeds | None) -> pl.DataFrame:
    """Return the whole plan at once: for small jobs and previews."""
    return pl.concat(plan_shards(job, seeds, SHARD_ROWS))


def _slots(quota: Quota, recipe: str, seed: int, seeds: Seeds | None, replan: int) -> pl.DataFrame:
    tag = quota.tag if not replan else f"{quota.tag}/replan-{replan}"
    request = Demand(quota.cell, quota.split, quota.n, seed, tag, seeds)
    planned = RECIPES[recipe].assign(quota.params, request)
    if len(planned.skills) != quota.n:
        raise QuotaUnmet(
            f"recipe '{recipe}', {quota.cell.name}, split {quota.split}: nothing to build {quota.n} rows on"
            f" ({'too few usable seeds; bring more seeds, fewer levels or heldout: 0' if seeds else 'no skills'})"
        )
    same = {"entry": quota.entry, "recipe": recipe, "cell": quota.cell.name, "level": quota.cell.level}
    same |= {"split": quota.split, "replan": replan, "slot": 0}
    parents = pl.lit([], dtype=STRINGS) if planned.parents is None else pl.lit(planned.parents)
    return (
        pl.DataFrame({"skills": planned.skills})
        .select(
            *(pl.lit(value, dtype=SLOTS.columns[name]).alias(name) for name, value in same.items()),
            pl.format("{}/{}", pl.lit(quota.tag), pl.int_range(pl.len())).alias("id"),
            pl.col("skills").cast(STRINGS),
            parents.alias("parents").cast(STRINGS),
        )
        .select(*SLOTS.columns)
    )


def replan(open_slots: pl.DataFrame, job: Job, seeds: Seeds | None, round_: int) -> pl.DataFrame:
    """Return the slots that stayed open with new skills, drawn inside their own cells."""
    parts = []
    for quota in quotas(job):
        mine = open_slots.filter(
            (pl.col("entry") == quota.entry)
            & (pl.col("cell") == quota.cell.name)
            & (pl.col("split").cast(pl.String) == quota.split)
        )
        if mine.height:
            again = Quota(quota.entry, quota.params, quota.cell, quota.split, mine.height)
            fresh = _slots(again, quota.params.recipe, job.seed, seeds, round_)
            parts.append(mine.with_columns(fresh["skills"], fresh["parents"], replan=pl.lit(round_, dtype=pl.Int64)))
    return pl.concat(parts).sort("slot")


def plan_key(job: Job, seeds: Seeds | None) -> str:
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
        seeds=seeds.identity if seeds else None,
    )
