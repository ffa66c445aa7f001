from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from factory.artifacts.store import Artifact, Store
from factory.curate.copies import NO_REJECTS, Pool, find_copies
from factory.curate.job import CurateJob
from factory.jobs.report import Report
from schemas.curation import ROWS

Commit = Callable[[str, list[pl.DataFrame]], list[Artifact]]
PARTS = ["one two three four five", "six seven eight nine ten", "zero one two three four five six", "a b c d e f"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def commit(store: Store) -> Commit:
    def run(stage: str, shards: list[pl.DataFrame]) -> list[Artifact]:
        return [store.commit(stage, str(i), shard, NO_REJECTS, {}) for i, shard in enumerate(shards)]

    return run


def shards_of(texts: list[str], borders: list[int]) -> list[pl.DataFrame]:
    rows = [{"id": str(i), "row": i, "source": "a", "instruction": text, "answer": ""} for i, text in enumerate(texts)]
    frame = pl.DataFrame(rows, schema=dict(ROWS.columns))
    ends = [0, *borders, len(texts)]
    return [frame[start:stop] for start, stop in zip(ends, ends[1:], strict=False)]


def job(**dedupe: Any) -> CurateJob:
    off = {"exact": None, "minhash": None, "semantic": None}
    said = {"kind": "curate", "name": "small", "sources": [{"path": "rows.jsonl"}], "dedupe": {**off, **dedupe}}
    return CurateJob.model_validate(said)


@pytest.mark.parametrize("borders", [[], [2], [1, 1, 3]])
def test_parts_of_other_rows_are_found_in_whatever_shards_they_lie(
    commit: Commit, store: Store, borders: list[int]
) -> None:
    rows = shards_of(PARTS, borders)
    keys = [s.select("row", key_hi=pl.col("row").cast(pl.UInt64) + 1, key_lo=pl.lit(1, pl.UInt64)) for s in rows]
    pool = Pool(commit("rows", rows), {"keys": commit("keys", keys)}, np.ones(len(PARTS), dtype=np.bool_))
    left = find_copies(job(exact={"substring": True, "substring_words": 5}), pool, store, Report())["exact"].read()
    assert left.select("row", "twin", "code").rows() == [(0, 2, "no_part_of_another")]
    assert pool.alive.tolist() == [False, True, True, True]


@pytest.mark.parametrize("borders", [[], [2], [1, 1, 3]])
def test_copies_by_meaning_are_found_in_whatever_shards_their_vectors_lie(
    commit: Commit, store: Store, borders: list[int]
) -> None:
    frames = shards_of(PARTS, borders)
    vectors = np.array([[1, 0], [0, 1], [0, 0], [0, 1]], dtype=np.float16)
    made = [
        s.select("id", "row").with_columns(pl.Series("vector", vectors[s["row"].to_numpy()], pl.Array(pl.Float16, 2)))
        for s in frames
    ]
    pool = Pool(commit("rows", frames), {"vectors": commit("vectors", made)}, np.ones(len(PARTS), dtype=np.bool_))
    left = find_copies(job(semantic={"threshold": 0.9}), pool, store, Report())["semantic"].read()
    assert left.select("row", "twin", "similarity").rows() == [(3, 1, 1.0)]
