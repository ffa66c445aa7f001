"""VERDICTS: what the truth gate says of a candidate it let pass, and KEPT: which of those fill their slots."""

from __future__ import annotations

import polars as pl

from schemas.table import Table

VERDICTS = Table(
    name="verdicts",
    version=1,
    columns={
        "id": pl.String(),
        "slot": pl.Int64(),
        "attempt": pl.Int64(),
        "digest": pl.String(),
        "prompt_digest": pl.String(),
        "cap_key": pl.String(),  # digest of (entry, topology, phrasing)
        "entry": pl.Int64(),
        "effective_depth": pl.Int64(),
    },
    rules={"depth_not_negative": pl.col("effective_depth") >= 0},
)

KEPT = Table(
    name="kept",
    version=1,
    columns={
        "id": pl.String(),
        "slot": pl.Int64(),
        "attempt": pl.Int64(),
        "digest": pl.String(),
        "prompt_digest": pl.String(),
        "cap_key": pl.String(),
        "effective_depth": pl.Int64(),
    },
)
