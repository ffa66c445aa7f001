"""Parquet files of a release, written shard by shard: content-defined chunks, a page index, small row groups."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

FILE_ROWS = 200_000
ROW_GROUP = 1_000  # what the Hub's viewer reads at once


class SplitWriter:
    """The files of one split of one config; how many there are is known from the number of rows planned."""

    def __init__(self, folder: Path, split: str, rows: int) -> None:
        self._folder = folder
        self._split = split
        self._files = max(1, -(-rows // FILE_ROWS))
        self._writer: Any = None
        self._index = 0
        self._left = FILE_ROWS
        self.rows = 0

    def write(self, frame: pl.DataFrame) -> None:
        """Append rows, going on to the next file where one is full."""
        while frame.height:
            if self._writer is None:
                self._open(frame)
            part, frame = frame[: self._left], frame[self._left :]
            self._writer.write_table(_to_arrow(part), row_group_size=ROW_GROUP)
            self._left -= part.height
            self.rows += part.height
            if not self._left:
                self.close()

    def _open(self, frame: pl.DataFrame) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._split}-{self._index:05d}-of-{self._files:05d}.parquet"
        options = {"compression": "zstd", "use_content_defined_chunking": True, "write_page_index": True}
        self._writer = pq.ParquetWriter(path, _to_arrow(frame[:0]).schema, **options)
        self._index += 1
        self._left = FILE_ROWS

    def close(self) -> None:
        """Finish the open file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _to_arrow(frame: pl.DataFrame) -> pa.Table:
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.cast(pa.schema([pa.field(f.name, _plain(f.type)) for f in table.schema]))


def _plain(dtype: pa.DataType) -> pa.DataType:
    """Return a type with ordinary strings and lists, which every reader knows."""
    if pa.types.is_large_string(dtype):
        return pa.string()
    if pa.types.is_large_list(dtype):
        return pa.list_(_plain(dtype.value_type))
    if pa.types.is_struct(dtype):
        return pa.struct([pa.field(f.name, _plain(f.type)) for f in dtype])
    return dtype


def write_whole(folder: Path, split: str, frame: pl.DataFrame) -> int:
    """Return the number of rows after a small frame is written as one split; an empty one keeps its schema."""
    folder.mkdir(parents=True, exist_ok=True)
    options: Mapping[str, Any] = {"compression": "zstd", "use_content_defined_chunking": True, "write_page_index": True}
    pq.write_table(_to_arrow(frame), folder / f"{split}-00000-of-00001.parquet", row_group_size=ROW_GROUP, **options)
    return frame.height
