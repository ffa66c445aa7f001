"""The Parquet files of a release as a stranger left them: found, measured, and read a window of rows at a time."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

WINDOW = 2_000
MAX_GROUP = 2**30  # bytes of a row group, unpacked
MAX_VALUES = 500  # values a row, of any column
PLAIN = frozenset({"README.md", "score.py"})
DATA = re.compile(r"([a-z_]+)/([a-z0-9]+)-([0-9]{5})-of-([0-9]{5})\.parquet")
Files = Mapping[tuple[str, str], list[Path]]  # (config, split) to its files, in order


class Unreadable(ValueError):
    """A file that is not read: it would unpack to more than a release has."""


def data_files(folder: Path, listed: Iterable[str]) -> tuple[Files, list[str]]:
    """Return (the data files that are there, by config and split, and the listed paths that no release has)."""
    files: defaultdict[tuple[str, str], list[Path]] = defaultdict(list)
    unknown, home = [], folder.resolve()
    for name in sorted(listed):
        path, match = folder / name, DATA.fullmatch(name)
        if match is None:
            unknown += [name] if name not in PLAIN else []
        elif path.is_file() and path.resolve() == home / name:
            files[match[1], match[2]].append(path)
    return dict(files), unknown


def schema_of(path: Path) -> Mapping[str, pl.DataType]:
    """Return the columns of a file; Unreadable where its parts are larger than a release's."""
    with pq.ParquetFile(path) as file:
        facts = file.metadata
        for i in range(facts.num_row_groups):
            group = facts.row_group(i)
            values = max((group.column(j).num_values for j in range(group.num_columns)), default=0)
            if group.total_byte_size > MAX_GROUP or values > MAX_VALUES * max(group.num_rows, 1):
                raise Unreadable(f"{path.name} would unpack to {group.total_byte_size} bytes, {values} values a column")
        return pl.DataFrame(file.schema_arrow.empty_table()).schema


def rows_of(paths: Sequence[Path]) -> int:
    """Return the number of rows of files together."""
    return sum(pq.read_metadata(path).num_rows for path in paths)


def windows(paths: Sequence[Path], columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
    """Yield the rows of files in order, WINDOW at a time whatever the files' own borders are."""
    left: pl.DataFrame | None = None
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(WINDOW, columns=columns):
                batch.validate(full=True)  # Polars takes the text of Arrow on trust
                frame = pl.DataFrame(batch)
                left = frame if left is None else pl.concat([left, frame])
                while left.height >= WINDOW:
                    yield left[:WINDOW]
                    left = left[WINDOW:]
    if left is not None and left.height:
        yield left


def digests(
    rows: Sequence[Path] | pl.DataFrame, column: str | None = None, where: pl.Expr | None = None
) -> npt.NDArray[np.uint64]:
    """Return a 64-bit digest of each row in order, of one column or of the whole row; of those rows only if `where`."""
    columns = [*dict.fromkeys([column, *(where.meta.root_names() if where is not None else ())])] if column else None
    frames = [rows] if isinstance(rows, pl.DataFrame) else windows(rows, columns)
    parts = []
    for frame in frames:
        chosen = frame if where is None else frame.filter(where)
        texts = chosen.select(column) if column else chosen
        plain = texts.to_series() if texts.schema[texts.columns[0]] == pl.String and column else _as_json(texts)
        joined = b"".join([blake2b((text or "").encode(), digest_size=8).digest() for text in plain.to_list()])
        parts.append(np.frombuffer(joined, dtype=np.uint64))
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _as_json(frame: pl.DataFrame) -> pl.Series:
    return frame.to_struct("row").struct.json_encode()
