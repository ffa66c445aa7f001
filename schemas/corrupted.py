"""CORRUPTED: the rows whose answers were spoilt on purpose, in what way, and what stood there before."""

from __future__ import annotations

import polars as pl

from schemas.table import Table

CORRUPTED = Table(
    name="corrupted",
    version=1,
    columns={
        "id": pl.String(),
        "row": pl.Int64(),
        "how": pl.String(),  # short, vague or wrong: what was done, which is not always what was drawn
        "original": pl.String(),
        "answer": pl.String(),
    },
    rules={"answer_changed": pl.col("answer") != pl.col("original")},
)
