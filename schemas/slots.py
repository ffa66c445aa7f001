"""SLOTS: the plan. One row a slot; a job plans exactly N of them before it makes anything."""

from __future__ import annotations

import polars as pl

from schemas.columns import SPLIT, STRINGS
from schemas.table import Table

SLOTS = Table(
    name="slots",
    version=2,
    columns={
        "id": pl.String(),  # entry/cell/split/ordinal: stays the same when other cells grow
        "slot": pl.Int64(),  # place in the release
        "entry": pl.Int64(),  # which line of the job's recipes
        "recipe": pl.String(),
        "cell": pl.String(),
        "level": pl.Int64(),
        "split": SPLIT,
        "skills": STRINGS,
        "parents": STRINGS,  # seeds to build on, by id
        "pair": pl.String(),  # of a row and its twin, which share their random numbers; else empty
        "replan": pl.Int64(),  # how often the slot was planned anew inside its cell
    },
    rules={"level_positive": pl.col("level") > 0, "skills_planned": pl.col("skills").list.len() > 0},
)
