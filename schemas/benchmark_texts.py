"""BENCHMARK_TEXTS: the texts of named benchmarks, as training rows are compared with them."""

from __future__ import annotations

import polars as pl

from schemas.table import Table

BENCHMARK_TEXTS = Table(
    name="benchmark_texts",
    version=1,
    columns={
        "against": pl.String(),  # name of the benchmark
        "place": pl.String(),  # number of the row in it, from 0
        "part": pl.String(),  # column of the row
        "text": pl.String(),
    },
)
