"""Which indexed rows may be copies of the rows asked about: band keys merged with the sorted keys on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from factory.dedupe.index_files import bands_name, column_names
from factory.dedupe.index_sketch import I64, U64, Sketch

# A key that thousands of rows share (a template's opening) must not make thousands of comparisons for every query:
# of one row group the first PER_KEY rows of a key are looked at, and of one release the PER_ROW that share most bands.
PER_KEY = 8
PER_ROW = 24
HELD = 20_000_000  # candidate pairs in memory before they are thinned out
LOW = np.uint64(32)


def lookup(folder: Path, field: str, made: Sketch) -> tuple[tuple[I64, I64], tuple[I64, I64]]:
    """Return (query, row) pairs of equal text digests, one a query, and of shared bands, PER_ROW a query at most."""
    present = np.flatnonzero(made.present)
    if not present.size:
        nothing = np.empty(0, dtype=np.int64)
        return (nothing, nothing), (nothing, nothing)
    keys = np.column_stack([made.digests[present], made.keys[present]])
    same, pairs = _merge(pq.ParquetFile(folder / bands_name(field)), keys)
    same = np.sort(same)
    queries, rows = _split(same[np.unique(same >> LOW, return_index=True)[1]])
    near_queries, near_rows = _split(pairs)
    return (present[queries], rows), (present[near_queries], near_rows)


def _split(pairs: U64) -> tuple[I64, I64]:
    return (pairs >> LOW).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _merge(file: pq.ParquetFile, keys: U64) -> tuple[U64, U64]:
    """Return the pairs, query << 32 | row, of the text column and of the bands."""
    names = column_names(keys.shape[1] - 1)
    orders = np.argsort(keys, axis=0, kind="stable")
    ordered = np.take_along_axis(keys, orders, axis=0)
    same: list[U64] = []
    near: list[U64] = []
    held = 0
    for group in range(file.metadata.num_row_groups):
        for column, part, found in _columns_in_reach(file, group, names, ordered):
            queries, rows = _matches(ordered[part, column], *found)
            pairs = orders[part, column][queries].astype(np.uint64) << LOW | rows
            (near if column else same).append(pairs)
            held += pairs.size if column else 0
        if held > HELD:
            near = [_thinned(near)]
            held = near[0].size
    return np.concatenate([*same, np.empty(0, np.uint64)]), _thinned(near)


def _columns_in_reach(
    file: pq.ParquetFile, group: int, names: list[str], ordered: U64
) -> Iterator[tuple[int, slice, tuple[U64, npt.NDArray[np.uint32]]]]:
    """Yield (column, its queries within the group's range, (keys, rows)) where there are such queries."""
    about = file.metadata.row_group(group)
    parts: dict[int, slice] = {}
    for column in range(len(names)):
        range_ = about.column(2 * column).statistics
        low = np.searchsorted(ordered[:, column], np.uint64(range_.min), side="left")
        high = np.searchsorted(ordered[:, column], np.uint64(range_.max), side="right")
        if low < high:
            parts[column] = slice(int(low), int(high))
    table = file.read_row_group(group, columns=[c for i in parts for c in (names[i], f"{names[i]}_row")])
    for column, part in parts.items():
        yield column, part, (table[names[column]].to_numpy(), table[f"{names[column]}_row"].to_numpy())


def _matches(queries: U64, keys: U64, rows: npt.NDArray[np.uint32]) -> tuple[I64, U64]:
    """Return (place in queries, row) of equal keys; both sides are sorted. At most PER_KEY rows of a key."""
    left = np.searchsorted(keys, queries, side="left")
    hits = np.flatnonzero(keys[np.minimum(left, keys.size - 1)] == queries)
    left = left[hits]
    counts = np.minimum(np.searchsorted(keys, queries[hits], side="right") - left, PER_KEY)
    owner = np.repeat(np.arange(hits.size), counts)
    place = left[owner] + np.arange(owner.size) - (np.cumsum(counts) - counts)[owner]
    return hits[owner], rows[place].astype(np.uint64)


def _thinned(found: list[U64]) -> U64:
    """Return the distinct pairs, of each query the PER_ROW that share most bands, smaller rows first."""
    pairs, shared = np.unique(np.concatenate([*found, np.empty(0, np.uint64)]), return_counts=True)
    query = pairs >> LOW
    order = np.lexsort((pairs, -shared, query))
    ordered = query[order]
    rank = np.arange(order.size) - np.searchsorted(ordered, ordered, side="left")
    return np.sort(pairs[order[rank < PER_ROW]])
