"""Candidate pairs become hits: on the texts where the release still has them, by their signatures where not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

from factory.dedupe.index_config import Settings
from factory.dedupe.index_files import ROWS, read_signatures, signatures_name
from factory.dedupe.index_segment import Segment
from factory.dedupe.index_sketch import I64, Sketch, text_digests
from factory.dedupe.index_texts import fetch_texts, take
from factory.dedupe.pairs import Sets
from factory.dedupe.shingles import Shingling, shingle_sets
from schemas.index import POINTER

AT_ONCE = 20_000  # pairs whose texts are in memory


@dataclass(frozen=True, slots=True)
class Asked:
    """The rows asked about, one field of them."""

    field: str
    texts: pl.Series
    made: Sketch


@dataclass(frozen=True, slots=True)
class Against:
    """One earlier release as an opponent: its segment, and its folder where its texts can still be read."""

    segment: Segment
    source: Path | None
    settings: Settings

    def pointers(self, rows: I64, *columns: str) -> pl.DataFrame:
        """Return columns of rows.parquet for some rows, in their order."""
        found = pl.from_arrow(take_rows(self.segment.folder / ROWS, rows, *columns))
        assert isinstance(found, pl.DataFrame)
        return found

    def texts(self, field: str, rows: I64) -> tuple[pl.Series, npt.NDArray[np.bool_]]:
        """Return the texts of some rows, and which of them are those that were indexed."""
        if self.source is None:
            return pl.Series([None] * rows.size, dtype=pl.String), np.zeros(rows.size, dtype=np.bool_)
        pointers = self.pointers(rows, *POINTER, f"{field}_digest")
        texts = fetch_texts(self.source, pointers, field)
        same = text_digests(texts) == pointers[f"{field}_digest"].to_numpy()
        return texts, np.asarray(same & texts.is_not_null().to_numpy())


@dataclass(frozen=True, slots=True)
class Found:
    """Hits of one level: query, row of the segment, similarity, whether it was only estimated; one a query."""

    query: I64
    row: I64
    similarity: npt.NDArray[np.float64]
    estimated: npt.NDArray[np.bool_]

    def keep(self, mask: npt.NDArray[np.bool_]) -> Found:
        """Return some of the hits."""
        return Found(self.query[mask], self.row[mask], self.similarity[mask], self.estimated[mask])


def exact(asked: Asked, against: Against, pairs: tuple[I64, I64]) -> Found:
    """Return the pairs whose texts are equal, or whose digests are where the text cannot be read."""
    equal = np.ones(pairs[0].size, dtype=np.bool_)
    read = np.zeros(pairs[0].size, dtype=np.bool_)
    for part in _parts(pairs[1]):
        texts, read[part] = against.texts(asked.field, pairs[1][part])
        equal[part] = (texts == asked.texts.gather(pairs[0][part])).fill_null(value=True).to_numpy() | ~read[part]
    return Found(*pairs, np.ones(pairs[0].size), ~read).keep(equal)


def near(asked: Asked, against: Against, pairs: tuple[I64, I64], threshold: float) -> Found:
    """Return each query's most similar candidate, the smallest row among equals, if it reaches the threshold."""
    similarity = np.zeros(pairs[0].size)
    read = np.zeros(pairs[0].size, dtype=np.bool_)
    for part in _parts(pairs[1]):
        queries, rows = pairs[0][part], pairs[1][part]
        similarity[part], read[part] = _similarity(asked, against, queries, rows)
    order = np.lexsort((pairs[1], -similarity, pairs[0]))
    best = order[np.unique(pairs[0][order], return_index=True)[1]]
    found = Found(pairs[0][best], pairs[1][best], similarity[best], ~read[best])
    return found.keep(found.similarity >= threshold)


def _parts(rows: I64) -> list[I64]:
    """Return the places of the pairs in the order of their rows, cut into parts: each row group is read about once."""
    order = np.argsort(rows, kind="stable")
    return [order[start : start + AT_ONCE] for start in range(0, order.size, AT_ONCE)]


def _similarity(
    asked: Asked, against: Against, queries: I64, rows: I64
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    theirs, their_row = np.unique(rows, return_inverse=True)
    texts, read = against.texts(asked.field, theirs)
    out, exact_ = np.zeros(rows.size), read[their_row]
    config = against.settings.config
    shingling = Shingling(config.unit, config.size)  # type: ignore[arg-type]
    if exact_.any():
        ours, our_row = np.unique(queries[exact_], return_inverse=True)
        asked_sets, sets = (Sets(*shingle_sets(said, shingling)) for said in (asked.texts.gather(ours), texts))
        out[exact_] = asked_sets.with_those_of(sets).jaccard(our_row, ours.size + their_row[exact_])
    if not exact_.all():
        gone, place = np.unique(rows[~exact_], return_inverse=True)
        path = against.segment.folder / signatures_name(asked.field)
        signatures = read_signatures(take_rows(path, gone, "signature"), config.permutations)
        out[~exact_] = (signatures[place] == asked.made.signatures[queries[~exact_]]).mean(axis=1)
    return out, exact_


def take_rows(path: Path, rows: I64, *columns: str) -> pq.Table:
    """Return some rows of one of our own files, in their order."""
    file = pq.ParquetFile(path)
    ends = np.cumsum([file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)])
    groups = np.searchsorted(ends, rows, side="right")
    starts = np.concatenate([[0], ends[:-1]])
    return take(file, groups, rows - starts[np.minimum(groups, len(starts) - 1)], columns)
