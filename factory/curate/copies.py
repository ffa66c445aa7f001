"""Copies within the pool, level by level, then caps: rows leave for a row that is kept at their level, in one order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import overload

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.artifacts.digest import digest
from factory.artifacts.store import NO_REJECTS, Artifact, Store
from factory.curate.job import CurateJob
from factory.dedupe.caps import labelled, over_caps
from factory.dedupe.contained import find_contained
from factory.dedupe.near import near_duplicates
from factory.dedupe.normal import exact_duplicates
from factory.dedupe.semantic import semantic_duplicates
from factory.jobs.report import Report
from schemas.curation import LEFT

LEVELS = ("exact", "minhash", "semantic", "caps")
VERSION = 1  # bump it when the same rows leave in another way
CODES = {"exact": "text_is_new", "minhash": "not_nearly_a_copy", "semantic": "meaning_is_new"}
Mask = npt.NDArray[np.bool_]
Ranks = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Frames(Sequence[pl.DataFrame]):
    """Some columns of shards, each shard read whenever it is asked for: they are not in memory together."""

    shards: Sequence[Artifact]
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.shards)

    @overload
    def __getitem__(self, place: int) -> pl.DataFrame: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[pl.DataFrame]: ...
    def __getitem__(self, place: int | slice) -> pl.DataFrame | Sequence[pl.DataFrame]:
        if isinstance(place, slice):
            return _Frames(self.shards[place], self.columns)
        return self.shards[place].read(list(self.columns))


@dataclass(frozen=True, slots=True)
class Pool:
    """All rows of a job, in shards, and which of them still stand, by `row`."""

    rows: Sequence[Artifact]
    prepared: Mapping[str, Sequence[Artifact]]  # keys, signatures, vectors: an artifact a shard
    alive: Mask

    def column(self, name: str) -> pl.Series:
        """Return a column of all rows, at `row`; null where there is none."""
        found = pl.concat([shard.read(["row", name]) for shard in self.rows])
        if found.height == self.alive.size:
            return found[name]
        everything = pl.DataFrame({"row": np.arange(self.alive.size)})
        return everything.join(found, on="row", how="left", maintain_order="left")[name]


def order_of(pool: Pool, keep: str) -> Ranks | None:
    """Return each row's place in the order of choice, at `row`; None for the order of the rows themselves."""
    if keep == "first":
        return None
    if keep == "best":
        worth = pool.column("quality").fill_null(float("-inf")).to_numpy()
    else:
        lengths = [shard.scan().select("row", n=_length()).collect() for shard in pool.rows]
        worth = np.zeros(pool.alive.size)
        for part in lengths:
            worth[part["row"].to_numpy()] = part["n"].to_numpy()
    ranks = np.empty(pool.alive.size, dtype=np.int64)
    ranks[np.argsort(-worth, kind="stable")] = np.arange(pool.alive.size)
    return ranks


def _length() -> pl.Expr:
    return pl.col("answer").str.len_chars().cast(pl.Int64) + pl.col("instruction").str.len_chars().cast(pl.Int64)


def find_copies(job: CurateJob, pool: Pool, store: Store, report: Report) -> dict[str, Artifact]:
    """Return for each level of the job the rows that left there (LEFT); `pool.alive` says afterwards what stands."""
    order = order_of(pool, job.dedupe.keep)
    out: dict[str, Artifact] = {}
    for level, find in _levels(job).items():
        came = int(pool.alive.sum())
        report.begin(level, came)
        key = digest(
            version=VERSION,
            level=level,
            job=_asked(job, level),
            sources=[a.digest for a in (*pool.prepared.get(PREPARED.get(level, ""), ()), *pool.rows)],
            alive=sha256(np.packbits(pool.alive).tobytes()).hexdigest(),
        )
        about = {"stage": "copies", "level": level}
        with report.timed(level) as entry:
            found = store.find("copies", key)
            left = found or store.commit("copies", key, find(job, pool, order), NO_REJECTS, about)
        out[level] = left
        pool.alive[left.read(["row"])["row"].to_numpy()] = False
        entry.rows_in, entry.rows_out, entry.rejects = came, came - left.rows, left.rows
        entry.made = int(found is None)
        report.watcher.advance(level, entry.rows_out, entry.rejects)
    return out


PREPARED = {"exact": "keys", "minhash": "signatures", "semantic": "vectors"}
Find = Callable[[CurateJob, Pool, Ranks | None], pl.DataFrame]


def _levels(job: CurateJob) -> dict[str, Find]:
    spec = job.dedupe
    found: dict[str, Find | None] = {
        "exact": _exact if spec.exact else None,
        "minhash": _minhash if spec.minhash else None,
        "semantic": _semantic if spec.semantic else None,
        "caps": _caps if job.caps else None,
    }
    return {level: find for level, find in found.items() if find}


def _asked(job: CurateJob, level: str) -> object:
    """Return what of the job a level depends on."""
    if level == "caps":
        return [job.caps.model_dump(mode="json") if job.caps else None, job.dedupe.keep]
    spec = getattr(job.dedupe, level)
    return [spec.model_dump(mode="json"), job.dedupe.keep, job.dedupe.group]


def _exact(job: CurateJob, pool: Pool, order: Ranks | None) -> pl.DataFrame:
    spec = job.dedupe.exact
    assert spec is not None
    keys = ["row", "key_hi", "key_lo"]
    copies = exact_duplicates([shard.read(keys) for shard in pool.prepared["keys"]], order, pool.alive)
    found = [_left(copies, CODES["exact"], pl.lit("the same text"))]
    if spec.substring:
        alive = pool.alive.copy()
        alive[copies["row"].to_numpy()] = False
        parts = find_contained(_Frames(pool.rows, ("row", "instruction")), spec, order, alive)
        found.append(_left(parts, "no_part_of_another", pl.lit("its instruction is part of the twin's")))
    return pl.concat(found).sort("row")


def _minhash(job: CurateJob, pool: Pool, order: Ranks | None) -> pl.DataFrame:
    spec = job.dedupe.minhash
    assert spec is not None
    found = near_duplicates(
        pool.prepared["signatures"], pool.rows, spec, rank=order, alive=pool.alive, mode=job.dedupe.group
    )
    return _left(found, CODES["minhash"], pl.format("Jaccard {}", pl.col("similarity").round(4)))


def _semantic(job: CurateJob, pool: Pool, order: Ranks | None) -> pl.DataFrame:
    spec = job.dedupe.semantic
    assert spec is not None
    rows, vectors = _vectors(pool.prepared["vectors"])
    ranks = rows if order is None else order[rows]
    found = semantic_duplicates(vectors, ranks, pool.alive[rows], spec.threshold)
    numbered = found.with_columns(row=pl.Series(rows[found["row"]]), twin=pl.Series(rows[found["twin"]]))
    return _left(numbered, CODES["semantic"], pl.format("cosine {}", pl.col("similarity").round(4)))


def _vectors(shards: Sequence[Artifact]) -> tuple[Ranks, npt.NDArray[np.float16]]:
    """Return the rows of all shards and their vectors (n, d); beside them, one shard at a time is in memory."""
    n = sum(shard.rows for shard in shards)
    dtype = shards[0].scan().collect_schema()["vector"]
    assert isinstance(dtype, pl.Array), "as TEXT_VECTORS says"
    rows, vectors = np.empty(n, np.int64), np.empty((n, dtype.size), np.float16)
    end = 0
    for frame in _Frames(shards, ("row", "vector")):
        part = slice(end, end := end + frame.height)
        rows[part], vectors[part] = frame["row"].to_numpy(), frame["vector"].to_numpy()
    return rows, vectors


def _caps(job: CurateJob, pool: Pool, order: Ranks | None) -> pl.DataFrame:
    spec = job.caps
    assert spec is not None
    columns = ["id", "row", "source", "template", "signature", *(("instruction", "answer") if spec.derive else ())]
    labels = pl.concat([labelled(shard.read(columns), spec) for shard in pool.rows])
    over = over_caps(labels, spec, order, pool.alive)
    none = {"twin": pl.lit(None, pl.Int64), "similarity": pl.lit(None, pl.Float64)}
    return over.with_columns(**none).select(*LEFT.columns)


def _left(found: pl.DataFrame, code: str, detail: pl.Expr) -> pl.DataFrame:
    """Return LEFT of (row, twin[, similarity])."""
    if "similarity" not in found.columns:
        found = found.with_columns(similarity=pl.lit(1.0))
    return found.with_columns(code=pl.lit(code), detail=detail).select(*LEFT.columns)
