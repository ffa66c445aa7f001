"""Exact dedupe for executable rows: no problem or prompt twice, no more than `cap` rows of one shape and phrasing.

Greedy in (attempt, slot) order, against kept rows only: a twin is always a row that was kept, and a copy takes no place
under a cap. So it does not matter where shards are cut.
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
DROPPED = {"id": pl.String, "code": pl.String, "detail": pl.String, "twin": pl.String}


def dedupe(frame: pl.DataFrame, params: Mapping[str, Any], *, earlier: Earlier) -> pl.DataFrame:
    """Return the rows in slot order, with a reason where they are copies of a kept row or over a cap."""
    frame = frame.sort("slot")
    caps = pl.DataFrame({"entry": range(len(params["caps"])), "cap": params["caps"]}, schema_overrides=CAP_TYPES)
    frame = frame.join(caps, on="entry", how="left", maintain_order="left")
    dropped = find_dropped(frame.with_columns(used=pl.Series(earlier.used(frame["cap_key"]))), earlier)
    frame = frame.join(dropped, on="id", how="left", maintain_order="left")
    reason = pl.struct(gate=pl.lit("dedupe"), code="code", detail="detail", twin="twin")
    reasons = pl.when(pl.col("code").is_null()).then(pl.lit([], dtype=REASONS)).otherwise(pl.concat_list(reason))
    return frame.with_columns(reasons=reasons).select(*KEPT.columns, "reasons")


CAP_TYPES = {"entry": pl.Int64, "cap": pl.Int64}


def find_dropped(frame: pl.DataFrame, earlier: Earlier) -> pl.DataFrame:
    """Return (id, code, detail, twin) of the rows that leave.

    Only rows that could leave are looked at one by one: those that share a digest with another row or a kept one, and
    those of a shape and phrasing that would pass its cap if all were kept.
    """
    doubtful = frame["used"] + frame.select(pl.len().over("cap_key")).to_series() > frame["cap"]
    for key in RULES:
        doubtful = doubtful | frame[key].is_duplicated() | earlier.suspects(key, frame[key])
    rows = frame.filter(doubtful)
    seen = {key: earlier.find(key, rows[key].to_list()) for key in RULES}
    used = dict(zip(rows["cap_key"], rows["used"], strict=True))
    out: list[tuple[str, str, str, str | None]] = []
    for id_, cap_key, cap, *values in rows.select("id", "cap_key", "cap", *RULES).iter_rows():
        keys = dict(zip(RULES, values, strict=True))
        copied = next((key for key, value in keys.items() if value in seen[key]), None)
        if copied is not None:
            out.append((id_, RULES[copied], "similarity 1", seen[copied][keys[copied]]))
        elif used[cap_key] >= cap:
            out.append((id_, "within_cap", f"cap {cap}", None))
        else:
            used[cap_key] += 1
            for key, value in keys.items():
                seen[key][value] = id_
    return pl.DataFrame(out, schema=DROPPED, orient="row")


DEDUPE = Stage("dedupe", 1, VERDICTS, KEPT, dedupe)
