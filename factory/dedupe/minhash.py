"""MinHash similarity within a pool, reported: each row's nearest other row by estimated Jaccard of 5-word shingles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from factory.artifacts.stage import Stage
from factory.dedupe.shingles import Shingling, shingles
from factory.dedupe.signatures import is_empty, sign
from schemas.release import POOL, SIMILARITY


def nearest_rows(frame: pl.DataFrame, params: Mapping[str, Any]) -> pl.DataFrame:
    """Return each row's nearest other row in the pool and their estimated Jaccard similarity.

    A prompt without a shingle is like no other.
    """
    signatures = sign(*shingles(frame["prompt"], Shingling()))
    empty = is_empty(signatures)
    best = np.zeros(frame.height, dtype=np.int64)
    value = np.zeros(frame.height)
    for i, signature in enumerate(signatures):
        same = (signatures == signature).mean(axis=1)
        same[empty] = 0.0
        same[i] = -1.0
        best[i] = int(same.argmax())
        value[i] = max(0.0, float(same[best[i]]))
    ids = frame["id"]
    return pl.DataFrame({"id": ids, "twin": ids.gather(best), "similarity": value})


NEAREST = Stage("similarity", 2, POOL, SIMILARITY, nearest_rows)


def summary(similarity: pl.Series) -> dict[str, float]:
    """Return the median, the 95th percentile and the share at or above 0.8 of nearest-row similarities."""
    return {
        "median": round(float(similarity.quantile(0.5) or 0), 4),
        "p95": round(float(similarity.quantile(0.95) or 0), 4),
        "share_at_0.8": round(float((similarity >= 0.8).mean() or 0), 4),  # type: ignore[arg-type]
    }
