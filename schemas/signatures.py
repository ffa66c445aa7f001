"""SIGNED: what MinHash remembers of a row."""

from __future__ import annotations

import polars as pl

from schemas.table import Table

SIGNED = Table(
    name="signed",
    version=1,
    columns={
        "id": pl.String(),
        "row": pl.Int64(),
        "bands": pl.List(pl.UInt64()),  # a key for every band of the signature; none for a row without a shingle
    },
)
