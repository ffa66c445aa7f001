"""Exact dedupe for executable rows: no more than `cap` rows of one shape and phrasing, no problem or prompt twice.

Greedy in (attempt, slot) order. The cap goes first, so that the twin a copy names is always a row that was kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from factory.artifacts.stage import Stage
from factory.dedupe.earlier import Earlier
from schemas.columns import REASONS
from schemas.verdicts import KEPT, VERDICTS

RULES = {"digest": "problem_is_new", "prompt_digest": "prompt_is_new"}


def dedupe(frame: pl.DataFrame, params: Mapping[str, Any], *, earlier: Earlier) -> pl.DataFrame:
    """Return the rows in slot order, with a reason where they are over a cap or copies of a kept row."""
    frame = mark_over_cap(frame.sort("slot"), params["caps"], earlier)
    copies = find_copies(frame.filter(~pl.col("over")), earlier)
    frame = frame.join(copies, on="id", how="left", maintain_order="left")
    copy = pl.struct(gate=pl.lit("dedupe"), code="code", detail=pl.lit("similarity 1"), twin="twin")
    over = pl.struct(
        gate=pl.lit("dedupe"),
        code=pl.lit("within_cap"),
        detail=pl.format("cap {}", "cap"),
        twin=pl.lit(None, dtype=pl.String),
    )
    reasons = (
        pl.when("over").then(pl.concat_list(over))
        .when(pl.col("twin").is_not_null()).then(pl.concat_list(copy))
        .otherwise(pl.lit([], dtype=REASONS))
    )  # fmt: skip
    return frame.with_columns(reasons=reasons).select(*KEPT.columns, "reasons")


def mark_over_cap(frame: pl.DataFrame, caps: list[int], earlier: Earlier) -> pl.DataFrame:
    """Return the frame with `cap` and `over`: whether so many rows before it share its shape and phrasing."""
    limits = pl.DataFrame({"entry": range(len(caps)), "cap": caps}, schema={"entry": pl.Int64, "cap": pl.Int64})
    frame = frame.join(limits, on="entry", how="left", maintain_order="left")
    used = pl.Series(earlier.used(frame["cap_key"]))
    return frame.with_columns(over=used + pl.int_range(pl.len()).over("cap_key") >= pl.col("cap"))


def find_copies(frame: pl.DataFrame, earlier: Earlier) -> pl.DataFrame:
    """Return (id, twin, code) of the rows that repeat the problem or the prompt of a kept row before them."""
    suspect = pl.Series([False]).new_from_index(0, frame.height)
    for key in RULES:
        suspect = suspect | frame[key].is_duplicated() | earlier.suspects(key, frame[key])
    suspects = frame.filter(suspect)
    seen = {key: earlier.find(key, suspects[key].to_list()) for key in RULES}
    rows = []
    for id_, *values in zip(*(suspects[c].to_list() for c in ("id", *RULES)), strict=True):
        hits = [(seen[k][v], code) for (k, code), v in zip(RULES.items(), values, strict=True) if v in seen[k]]
        if hits:
            rows.append((id_, *hits[0]))
        else:
            for key, value in zip(RULES, values, strict=True):
                seen[key][value] = id_
    return pl.DataFrame(rows, schema={"id": pl.String, "twin": pl.String, "code": pl.String}, orient="row")


DEDUPE = Stage("dedupe", 1, VERDICTS, KEPT, dedupe)
