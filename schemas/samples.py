"""SAMPLES: the candidates that filled their slots, in the order of the plan."""

from __future__ import annotations

import polars as pl

from schemas.candidates import CANDIDATES
from schemas.table import Table

SAMPLES = Table(
    name="samples",
    version=2,
    columns={**CANDIDATES.columns, "effective_depth": pl.Int64()},
    rules=CANDIDATES.rules,
)
