"""The Parquet files of a segment: written a batch at a time, in sorted runs, so that memory does not grow with them.

rows.parquet                where each row lies in its release, and the digests of its texts
signatures-<field>.parquet  one signature a row, as little-endian 32-bit numbers; read only for rows in question
bands-<field>.parquet       for the text digest and each band: keys in order, each with its row; rows without text are
                            not in it. Row groups are sorted on their own and have statistics, so a lookup reads only
                            those that can hold one of its keys
vectors-<field>.parquet     unit vectors in half precision, in runs laid out by cell (index_vectors.py)
cells-<field>.parquet       the cells of each run
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from factory.dedupe.index_sketch import U64, Sketch

ROWS = "rows.parquet"
ROWS_GROUP = 8_192
SIGNATURES_GROUP = 512
RUN = 1_000_000  # rows sorted together: 16 bands of them are 128 MB
BANDS_GROUP = 65_536
PLAIN: dict[str, Any] = {"compression": "none", "use_dictionary": False}  # hashes do not compress


def signatures_name(field: str) -> str:
    """Return the file of a field's signatures."""
    return f"signatures-{field}.parquet"


def bands_name(field: str) -> str:
    """Return the file of a field's band keys."""
    return f"bands-{field}.parquet"


def column_names(bands: int) -> list[str]:
    """Return the columns that are looked up: the text digest, then the bands."""
    return ["text", *(f"band{i:03d}" for i in range(bands))]


class RowsWriter:
    """Writes rows.parquet."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ROWS
        self._writer: Any = None

    def add(self, rows: pl.DataFrame) -> None:
        """Append rows (INDEX_ROWS)."""
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd", compression_level=1)
        self._writer.write_table(table, row_group_size=ROWS_GROUP)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


class SketchWriter:
    """Writes the signatures and the bands of one field."""

    def __init__(self, folder: Path, field: str, permutations: int, bands: int) -> None:
        signature = pa.field("signature", pa.binary(4 * permutations), nullable=False)
        self._type = signature.type
        self._columns = column_names(bands)
        parts = [(pa.field(c, pa.uint64(), nullable=False), _row_field(c)) for c in self._columns]
        self._signatures = pq.ParquetWriter(
            folder / signatures_name(field), pa.schema([signature]), write_statistics=False, **PLAIN
        )
        self._bands = pq.ParquetWriter(
            folder / bands_name(field), pa.schema([f for pair in parts for f in pair]), write_statistics=True, **PLAIN
        )
        self._keys: list[U64] = []
        self._rows: list[npt.NDArray[np.uint32]] = []
        self._held = 0
        self._next = 0

    def add(self, made: Sketch) -> None:
        """Append a batch."""
        raw = pa.py_buffer(np.ascontiguousarray(made.signatures, dtype="<u4"))
        column = pa.FixedSizeBinaryArray.from_buffers(self._type, len(made.signatures), [None, raw])
        table = pa.Table.from_arrays([column], schema=self._signatures.schema)
        self._signatures.write_table(table, row_group_size=SIGNATURES_GROUP)
        present = np.flatnonzero(made.present)
        self._keys.append(np.column_stack([made.digests[present], made.keys[present]]))
        self._rows.append((present + self._next).astype(np.uint32))
        self._next += made.present.size
        self._held += present.size
        if self._held >= RUN:
            self._flush()

    def close(self) -> None:
        """Finish both files."""
        if self._held:
            self._flush()
        self._signatures.close()
        self._bands.close()

    def _flush(self) -> None:
        rows, keys = np.concatenate(self._rows), np.concatenate(self._keys)
        self._keys, self._rows, self._held = [], [], 0
        arrays = []
        for column in range(len(self._columns)):
            order = np.argsort(keys[:, column], kind="stable")  # equal keys stay in the order of their rows
            arrays += [pa.array(keys[order, column]), pa.array(rows[order])]
        table = pa.Table.from_arrays(arrays, schema=self._bands.schema)
        self._bands.write_table(table, row_group_size=BANDS_GROUP)


def _row_field(column: str) -> pa.Field:
    return pa.field(f"{column}_row", pa.uint32(), nullable=False)


def read_signatures(table: pa.Table, permutations: int) -> npt.NDArray[np.uint32]:
    """Return (n, permutations) of a table's column `signature`."""
    column = table["signature"].combine_chunks()
    numbers = np.frombuffer(column.buffers()[1], dtype="<u4")
    return numbers[column.offset * permutations :][: len(column) * permutations].reshape(-1, permutations)
