"""KEYS: what a row says, as a number: two rows of one key are copies of each other."""

from __future__ import annotations

import polars as pl

from schemas.table import Table

KEYS = Table(
    name="keys",
    version=1,
    columns={
        "id": pl.String(),
        "row": pl.Int64(),
        "key_hi": pl.UInt64(),  # both 0 where the text is empty: such rows are copies of none
        "key_lo": pl.UInt64(),
    },
)
