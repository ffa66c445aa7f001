"""Column types, declared once."""

from __future__ import annotations

import polars as pl

STRINGS = pl.List(pl.String())
VERIFIER = pl.Struct({"kind": pl.String(), "gold": pl.String(), "args": pl.String()})
REASONS = pl.List(pl.Struct({"gate": pl.String(), "code": pl.String(), "detail": pl.String(), "twin": pl.String()}))
# What judges gave: the majority of the votes on a point, each vote (null: no verdict), the share of equal pairs.
GRADES = pl.List(
    pl.Struct({"name": pl.String(), "value": pl.Float64(), "votes": pl.List(pl.Float64()), "agreement": pl.Float64()})
)
TREE = pl.String()  # canonical JSON of a typed tree: reads the same in every tool, digests without surprises
SPLIT = pl.Enum(["train", "heldout"])
