"""Unit vectors of an earlier release in half precision, laid out so that a nearest one is found without reading all.

A run of rows is cut into cells, each around one of its own rows (an inverted file whose centres are drawn, not
trained: the same rows give the same cells on every machine). A query looks into the PROBES nearest cells of each run.
Runs of up to CELL rows are one cell, so small releases are searched exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from factory.artifacts.digest import permutation
from factory.dedupe.index_files import PLAIN
from factory.dedupe.index_sketch import I64

RUN = 131_072
CELL = 256  # rows of a cell, on average
ROUNDS = 2  # of moving the centres to the middle of their cells
PROBES = 16
BLOCK = 4_096  # queries compared with the centres at once
SLACK = 2e-3  # of half-precision products: what comes so near the threshold is computed again
SAME = 1e-6
F16 = npt.NDArray[np.float16]
F32 = npt.NDArray[np.float32]


def vectors_name(field: str) -> str:
    """Return the file of a field's vectors."""
    return f"vectors-{field}.parquet"


def cells_name(field: str) -> str:
    """Return the file of the cells of a field's vectors."""
    return f"cells-{field}.parquet"


class VectorWriter:
    """Writes the vectors of one field, and their cells."""

    def __init__(self, folder: Path, field: str, dimensions: int) -> None:
        vector = pa.field("vector", pa.list_(pa.float16(), dimensions), nullable=False)
        row = pa.field("row", pa.uint32(), nullable=False)
        count = pa.field("rows", pa.uint32(), nullable=False)
        self._vectors = pq.ParquetWriter(
            folder / vectors_name(field), pa.schema([row, vector]), write_statistics=False, **PLAIN
        )
        self._cells = pq.ParquetWriter(
            folder / cells_name(field), pa.schema([count, vector]), write_statistics=False, **PLAIN
        )
        self._held: list[tuple[I64, F16]] = []
        self._size = 0

    def add(self, rows: I64, vectors: F32) -> None:
        """Append the vectors of some rows, one a row."""
        while rows.size:
            room = RUN - self._size
            self._held.append((rows[:room], vectors[:room].astype(np.float16)))
            self._size += self._held[-1][0].size
            rows, vectors = rows[room:], vectors[room:]
            if self._size == RUN:
                self._flush()

    def close(self) -> None:
        """Finish both files."""
        if self._size:
            self._flush()
        self._vectors.close()
        self._cells.close()

    def _flush(self) -> None:
        rows, vectors = (np.concatenate(part) for part in zip(*self._held, strict=True))
        self._held, self._size = [], 0
        centres = vectors[np.sort(permutation(0, "cells", len(vectors))[: -(-len(vectors) // CELL)])]
        cell = _nearest(vectors, centres)
        for _ in range(ROUNDS):
            centres = _middles(vectors, cell, centres)
            cell = _nearest(vectors, centres)
        order = np.argsort(cell, kind="stable")
        _write(self._vectors, rows[order], vectors[order])
        _write(self._cells, np.bincount(cell, minlength=len(centres)), centres)


def _nearest(vectors: F16, centres: F16) -> I64:
    across = centres.astype(np.float32).T
    parts = [
        np.argmax(vectors[i : i + BLOCK].astype(np.float32) @ across, axis=1) for i in range(0, len(vectors), BLOCK)
    ]
    return np.concatenate(parts)


def _middles(vectors: F16, cell: I64, centres: F16) -> F16:
    """Return the unit vectors in the middle of the cells; an empty cell keeps its centre."""
    order = np.argsort(cell, kind="stable")
    filled, starts = np.unique(cell[order], return_index=True)
    out = centres.copy()
    for which, part in zip(filled, np.split(order, starts[1:]), strict=True):
        total = vectors[part].sum(axis=0, dtype=np.float64)
        out[which] = (total / max(float(np.linalg.norm(total)), 1e-12)).astype(np.float16)
    return out


def _write(writer: pq.ParquetWriter, numbers: npt.NDArray[np.integer], vectors: F16) -> None:
    """Write one run as one row group."""
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    table = pa.Table.from_arrays([pa.array(numbers.astype(np.uint32)), column], schema=writer.schema)
    writer.write_table(table, row_group_size=max(1, table.num_rows))


@dataclass(frozen=True, slots=True)
class _Best:
    """The nearest row of each query so far, with its stored vector; changed in place."""

    cosine: F32  # rough: from products of half precision numbers
    row: I64
    vector: F16

    def offer(self, queries: I64, cosine: F32, row: I64, vectors: F16) -> None:
        """Take the rows that are nearer, or as near and smaller; each query comes once."""
        before = self.cosine[queries]
        better = (cosine > before + SAME) | ((cosine > before - SAME) & (row < self.row[queries]))
        at = queries[better]
        self.cosine[at], self.row[at], self.vector[at] = cosine[better], row[better], vectors[better]


def nearest(folder: Path, field: str, queries: F32, threshold: float) -> tuple[I64, I64, npt.NDArray[np.float64]]:
    """Return (query, row, cosine) of each query's nearest row, where the cosine is `threshold` or more.

    The cosine is computed in double precision from what is stored. Rows as near as that one: the first.
    """
    n = len(queries)
    best = _Best(
        np.full(n, -np.inf, np.float32), np.full(n, -1, dtype=np.int64), np.zeros((n, queries.shape[1]), np.float16)
    )
    vectors, cells = pq.ParquetFile(folder / vectors_name(field)), pq.ParquetFile(folder / cells_name(field))
    for run in range(vectors.metadata.num_row_groups):
        _search_run(queries, _read(vectors, run, "row"), _read(cells, run, "rows"), best, threshold)
    found = np.flatnonzero(best.cosine >= threshold - SLACK)
    cosine = _cosine(queries[found].astype(np.float64), best.vector[found].astype(np.float64))
    enough = cosine >= threshold
    return found[enough], best.row[found[enough]], cosine[enough]


def _cosine(ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the cosines of pairs, to six places: the last bits of a sum differ from machine to machine."""
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return np.asarray(np.round(np.einsum("ij,ij->i", ours, theirs) / np.maximum(norms, 1e-12), 6))


def _read(file: pq.ParquetFile, run: int, column: str) -> tuple[I64, F16]:
    table = file.read_row_group(run)
    vectors = table["vector"].combine_chunks()
    flat = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float16, copy=False)
    return table[column].to_numpy().astype(np.int64), flat.reshape(len(vectors), -1)


def _search_run(queries: F32, run: tuple[I64, F16], cells: tuple[I64, F16], best: _Best, threshold: float) -> None:
    (rows, stored), (counts, centres) = run, cells
    ends = np.cumsum(counts)
    probed = _probes(queries, centres.astype(np.float32))
    order = np.argsort(probed, axis=None, kind="stable")
    borders = np.searchsorted(probed.ravel()[order], np.arange(len(counts) + 1))
    for cell in np.flatnonzero(counts):
        who = order[borders[cell] : borders[cell + 1]] // probed.shape[1]
        part = slice(ends[cell] - counts[cell], ends[cell])
        for start in range(0, who.size, BLOCK):
            _search_cell(queries, who[start : start + BLOCK], (rows[part], stored[part]), best, threshold)


def _probes(queries: F32, centres: F32) -> I64:
    """Return (queries, probes): the nearest cells of each."""
    probes = min(PROBES, len(centres))
    if probes == len(centres):
        return np.tile(np.arange(probes), (len(queries), 1))
    parts = [
        np.argpartition(queries[i : i + BLOCK] @ centres.T, -probes, axis=1)[:, -probes:]
        for i in range(0, len(queries), BLOCK)
    ]
    return np.concatenate([np.empty((0, probes), dtype=np.int64), *parts])


def _search_cell(queries: F32, who: I64, cell: tuple[I64, F16], best: _Best, threshold: float) -> None:
    rows, stored = cell
    cosine = queries[who] @ stored.astype(np.float32).T
    top = cosine.max(axis=1)
    near = np.flatnonzero(top >= threshold - SLACK)
    first = (cosine[near] >= top[near, None] - SAME).argmax(axis=1)  # rows of a cell are in order
    best.offer(who[near], top[near], rows[first], stored[first])
