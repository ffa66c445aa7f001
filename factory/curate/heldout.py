"""Rows that are held out, chosen by hash: copies fall on one side, and a row's side depends on the row alone."""

from __future__ import annotations

import unicodedata
from hashlib import blake2b
from typing import Literal

import polars as pl

By = Literal["instruction", "template"]


def heldout_rows(rows: pl.DataFrame, share: float, by: By = "instruction") -> pl.Series:
    """Return which of the ROWS are held out (Boolean), about `share` of what `by` tells apart.

    Equal instructions, but for case, white space and the ways Unicode writes one character, are on one side; so is all
    of one template under `by="template"`. An empty cell falls back on the instruction, then on the answer, then the id.
    """
    order = dict.fromkeys((by, "instruction", "answer", "id"))
    filled = pl.coalesce(pl.when(pl.col(name).str.strip_chars() != "").then(name) for name in order)
    keys = rows.select(filled.fill_null("").alias("key"))
    distinct = keys.unique(maintain_order=True)
    sides = pl.Series("out", [_draw(key) < share for key in distinct["key"]], dtype=pl.Boolean)
    return keys.join(distinct.with_columns(sides), on="key", how="left", maintain_order="left")["out"]


def _draw(text: str) -> float:
    """Return a number in [0, 1) that depends on the normalised text alone."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return int.from_bytes(blake2b(plain.encode(), digest_size=8).digest(), "big") / 2**64
