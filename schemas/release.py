"""POOL, EMBEDDINGS, SIMILARITY and MINI: what the variety of a release is measured on."""

from __future__ import annotations

import polars as pl

from schemas.columns import STRINGS
from schemas.table import Table

POOL = Table(
    name="pool", version=1, columns={"id": pl.String(), "prompt": pl.String(), "skills": STRINGS, "recipe": pl.String()}
)

EMBEDDINGS = Table(name="embeddings", version=1, columns={"id": pl.String(), "vector": pl.List(pl.Float32())})

SIMILARITY = Table(
    name="similarity",
    version=1,
    columns={"id": pl.String(), "twin": pl.String(), "similarity": pl.Float64()},  # nearest other row, est. Jaccard
)

MINI = Table(name="mini", version=1, columns={"id": pl.String(), "cluster": pl.Int64(), "chosen": pl.Boolean()})
