"""SEEDS: the rows a user brings, once they are known to be usable."""

from __future__ import annotations

import polars as pl

from schemas.table import Table

RAW_SEEDS = Table(
    name="raw_seeds",
    version=1,
    columns={"id": pl.String(), "row": pl.Int64(), "question": pl.String(), "answer": pl.String()},
)

SEEDS = Table(
    name="seeds",
    version=1,
    columns={
        "id": pl.String(),
        "row": pl.Int64(),  # place in the user's file
        "question": pl.String(),
        "answer": pl.Int64(),
        "work": pl.String(),  # the worked solution, if the answer came with one
        "key": pl.Int64(),  # the key number, and where it stands in the question
        "start": pl.Int64(),
        "end": pl.Int64(),
    },
    rules={"key_number_inside": (pl.col("start") >= 0) & (pl.col("end") > pl.col("start"))},
)
