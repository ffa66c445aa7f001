"""The rows of data files, block by block: JSON lines, CSV and Parquet, packed or not; what is no row is a fault.

Memory holds one block, whatever the size of the file; only a file that is one JSON array is held as a whole, which may
have ARRAY_BYTES, unpacked. A row's place counts rows and faults, not blank lines.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Any, cast

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from factory.curate.columns import Values
from factory.curate.csv_rows import csv_names, csv_records
from factory.errors import UserError
from factory.seeds.parse import KINDS

BLOCK = 8 << 20  # bytes of a file that are read at once
BATCH = 8_192  # rows of a block of CSV or Parquet, at most
ARRAY_ROWS = 10_000  # of a file that is one JSON array, worked on at once
ARRAY_BYTES = 2 << 30  # of such a file, at most
PEEK = 1_000  # rows by which a file is judged
DETAIL = 200  # characters of what is said of a fault

PACKED = (".gz", ".zst")
FORMATS = {".jsonl": "json", ".ndjson": "json", ".json": "json", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
SUFFIXES = tuple(FORMATS)

Fault = tuple[int, str]  # place in its block, what is wrong


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a source, and what messages call it."""

    label: str
    path: Path

    @property
    def format(self) -> str:
        """Return how it is read: json, csv or parquet."""
        return FORMATS[suffixes_of(self.label)[0]]


def suffixes_of(name: str) -> tuple[str, str]:
    """Return (what it holds, how it is packed) by a file's name: ('.jsonl', '.gz'); empty where unknown."""
    path = PurePath(name.lower())
    packed = path.suffix if path.suffix in PACKED else ""
    kind = PurePath(path.stem).suffix if packed else path.suffix
    return (kind if kind in FORMATS and not (packed and kind == ".parquet") else ""), packed


@dataclass(frozen=True, slots=True)
class Block:
    """So many places of a file: the columns of the rows that could be read, and the faults."""

    height: int
    columns: Mapping[str, Values]
    faults: Sequence[Fault] = ()

    def places(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the place in the block of each row that could be read."""
        return np.delete(np.arange(self.height, dtype=np.int64), [place for place, _ in self.faults])


def read_blocks(file: DataFile, wanted: Collection[str] | None = None) -> Iterator[Block]:
    """Yield the file's rows in order, the wanted columns of them (default: all that are there).

    UserError for a file that cannot be read as what its name says, or of which more than half of the first PEEK rows
    cannot; a row that cannot be read is a fault of its block, and the rest goes on.
    """
    judged = False
    for block in _checked(file, _READERS[file.format](file, wanted)):
        if not judged:
            _judge(file, block)
            judged = True
        yield block


def names_of(file: DataFile) -> list[str] | None:
    """Return the names of a file's columns; None when nothing says them (an empty file).

    Of JSON lines, the keys of the rows in the first block.
    """
    if file.format == "parquet":
        with _unreadable(file), pq.ParquetFile(file.path) as parquet:
            return list(parquet.schema_arrow.names)
    if file.format == "csv":
        with _unreadable(file), _opened(file) as stream:
            return csv_names(file.label, stream)
    first = next(read_blocks(file), None)
    return None if first is None else list(first.columns)


def first_block(file: DataFile, wanted: Collection[str]) -> Block | None:
    """Return the beginning of a file, or None for one without rows."""
    return next(read_blocks(file, wanted), None)


# ---------------------------------------------------------------------------------------------------------- JSON lines


def _json_blocks(file: DataFile, wanted: Collection[str] | None) -> Iterator[Block]:
    with _opened(file) as stream:
        number = 1
        begin = stream.read(BLOCK).removeprefix(b"\xef\xbb\xbf")
        if _is_array(begin):
            yield from _array_blocks(file, _whole(file, stream, begin), wanted)
            return
        for lines in _lines(stream, begin):
            rows, faults, height = _parse_lines(lines, number)
            number += len(lines)
            if height:
                names = _keys(rows) if wanted is None else list(wanted)
                yield Block(height, {name: [row.get(name) for row in rows] for name in names}, faults)


def _is_array(begin: bytes) -> bool:
    """Return whether a file is one JSON array: it begins as one, and that is not one line among others."""
    line, _, rest = begin.lstrip().partition(b"\n")
    if line[:1] != b"[":
        return False
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return True
    return not rest.strip()


def _whole(file: DataFile, stream: IO[bytes], begin: bytes) -> bytes:
    """Return all bytes of a file that is one JSON array; UserError for more than ARRAY_BYTES."""
    if file.path.stat().st_size <= ARRAY_BYTES:
        data = begin + stream.read(ARRAY_BYTES - len(begin) + 1)
        if len(data) <= ARRAY_BYTES:
            return data
    unpack = {".gz": "gzip -dc", ".zst": "zstd -dc"}.get(suffixes_of(file.label)[1], "cat")
    raise UserError(
        f"{file.label} is one JSON array of more than {ARRAY_BYTES / 2**30:g} GiB, which would have to be in memory; "
        f"write one object a line: {unpack} OLD | jq -cn --stream 'fromstream(1|truncate_stream(inputs))' > NEW.jsonl"
    )


def _array_blocks(file: DataFile, data: bytes, wanted: Collection[str] | None) -> Iterator[Block]:
    """Yield the rows of a file that is one JSON array; unlike lines, it is read as a whole or not at all."""
    try:
        values = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UserError(
            f"{file.label} begins as a JSON array and cannot be read as one ({error}); write one object a line"
        ) from None
    for start in range(0, len(values), ARRAY_ROWS):
        part = values[start : start + ARRAY_ROWS]
        faults = [
            (i, f"element {start + i}: {KINDS[type(value)]}, not an object")
            for i, value in enumerate(part)
            if not isinstance(value, dict)
        ]
        rows = [value for value in part if isinstance(value, dict)]
        names = _keys(rows) if wanted is None else list(wanted)
        yield Block(len(part), {name: [row.get(name) for row in rows] for name in names}, faults)


def _lines(stream: IO[bytes], data: bytes) -> Iterator[list[bytes]]:
    """Yield the lines of a file that begins with `data`, so many at once as BLOCK bytes hold."""
    begun: list[bytes] = []  # of a line that is longer than what was read at once
    while data:
        whole, end, rest = data.rpartition(b"\n")
        if end:
            yield b"".join((*begun, whole)).split(b"\n")
            begun = []
        begun.append(rest)
        data = stream.read(BLOCK)
    if last := b"".join(begun):
        yield [last]


def _parse_lines(lines: list[bytes], number: int) -> tuple[list[dict[str, Any]], list[Fault], int]:
    """Return (rows, faults, height) of some lines, of which the first has this number."""
    try:
        rows = list(map(orjson.loads, lines))
        if set(map(type, rows)) == {dict}:
            return rows, [], len(rows)
    except orjson.JSONDecodeError:
        pass
    rows, faults, height = [], [], 0
    for offset, line in enumerate(lines):
        if not line.strip():
            continue
        row = _parse_line(line)
        if isinstance(row, str):
            faults.append((height, f"line {number + offset}: {row[:DETAIL]}"))
        else:
            rows.append(row)
        height += 1
    return rows, faults, height


def _parse_line(line: bytes) -> dict[str, Any] | str:
    """Return the object of a line, or what is wrong with it. Slower than orjson, and knows NaN, as Python writes it."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            row = json.loads(line.decode())
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeDecodeError as error:
            return f"not UTF-8 (byte 0x{line[error.start]:02x} at column {error.start + 1})"
        except UnicodeEncodeError:
            return "an escape names half of a surrogate pair, which is not text"
        except json.JSONDecodeError as error:
            return f"not JSON ({error.msg}, column {error.colno})"
        except (ValueError, RecursionError) as error:
            return f"JSON that cannot be read ({error})"
    return row if isinstance(row, dict) else f"{KINDS[type(row)]}, not an object"


def _keys(rows: Iterable[dict[str, Any]]) -> list[str]:
    names: dict[str, None] = {}
    for row in rows:
        if not row.keys() <= names.keys():
            names |= dict.fromkeys(row)
    return list(names)


# ----------------------------------------------------------------------------------------------------------------- CSV


def _csv_blocks(file: DataFile, wanted: Collection[str] | None) -> Iterator[Block]:
    with _opened(file) as stream, closing(csv_records(file.label, stream)) as records:
        names: list[str] = []
        rows: list[list[str]] = []
        faults: list[Fault] = []
        size = 0
        for record in records:
            if not names:
                names = list(record)
            elif isinstance(record, str):
                faults.append((len(rows) + len(faults), record[:DETAIL]))
            else:
                rows.append(record)
                size += sum(map(len, record))
            if len(rows) + len(faults) == BATCH or size >= BLOCK:
                yield _csv_block(names, rows, faults, wanted)
                rows, faults, size = [], [], 0
        if rows or faults:
            yield _csv_block(names, rows, faults, wanted)


def _csv_block(names: list[str], rows: list[list[str]], faults: list[Fault], wanted: Collection[str] | None) -> Block:
    cells = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    columns = {name: pl.Series(name, cells[name], dtype=pl.String) for name in (names if wanted is None else wanted)}
    return Block(len(rows) + len(faults), columns, faults)


# ------------------------------------------------------------------------------------------------------------- Parquet


def _parquet_blocks(file: DataFile, wanted: Collection[str] | None) -> Iterator[Block]:
    with pq.ParquetFile(file.path) as parquet:
        columns, first = None if wanted is None else list(wanted), 0
        for batch in parquet.iter_batches(batch_size=BATCH, columns=columns):
            kept, faults = _without_bad_text(batch, first)
            first += batch.num_rows
            series = {name: pl.Series(name, pl.from_arrow(kept[name])) for name in kept.schema.names}
            yield Block(batch.num_rows, series, faults)


def _without_bad_text(batch: pa.RecordBatch, first: int) -> tuple[pa.RecordBatch, list[Fault]]:
    """Return the batch without the rows in which a string is no UTF-8, which Parquet does not check, and those rows."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        faults = {}
        for name in batch.schema.names:
            if pa.types.is_string(batch[name].type) or pa.types.is_large_string(batch[name].type):
                for place, cell in enumerate(batch[name].cast(pa.binary()).to_pylist()):
                    if cell is not None and not _is_utf8(cell):
                        faults[place] = f"row {first + place}, column '{name}': not UTF-8"
        kept = batch.filter(pa.array([place not in faults for place in range(batch.num_rows)]))
        kept.validate(full=True)
        return kept, sorted(faults.items())
    return batch, []


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


_READERS: dict[str, Callable[[DataFile, Collection[str] | None], Iterator[Block]]] = {
    "json": _json_blocks,
    "csv": _csv_blocks,
    "parquet": _parquet_blocks,
}

# ------------------------------------------------------------------------------------------------------ what goes wrong


@contextmanager
def _opened(file: DataFile) -> Iterator[IO[bytes]]:
    packed = suffixes_of(file.label)[1]
    with file.path.open("rb") as raw:
        if packed == ".gz":
            with gzip.GzipFile(fileobj=raw) as stream:
                yield cast("IO[bytes]", stream)
        elif packed == ".zst":
            with pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd") as stream:
                yield stream
        else:
            yield raw


@contextmanager
def _unreadable(file: DataFile) -> Iterator[None]:
    try:
        yield
    except EOFError as error:
        raise UserError(f"{file.label} breaks off: it was not copied or packed to its end; fetch it again") from error
    except (pa.ArrowException, gzip.BadGzipFile, zlib.error, *POLARS) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{file.label} cannot be read as {suffixes_of(file.label)[0][1:]}: {reason}") from error
    except OSError as error:
        raise UserError(f"{file.label} cannot be read: {error.strerror or error}") from error


def _checked(file: DataFile, blocks: Iterator[Block]) -> Iterator[Block]:
    with _unreadable(file):
        yield from blocks


def _judge(file: DataFile, block: Block) -> None:
    seen = min(PEEK, block.height)
    bad = [detail for place, detail in block.faults if place < seen]
    if 2 * len(bad) > seen:
        raise UserError(
            f"{file.label} is not what its name says: {len(bad):,} of its first {seen:,} rows cannot be read; "
            f"{bad[0]}; {_HINTS[file.format]}"
        )


POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_HINTS = {
    "json": "each line must be one JSON object, in UTF-8 (an array: jq -c '.[]' OLD.json > NEW.jsonl)",
    "csv": "the first line must name the columns, and every row have as many cells, in UTF-8",
    "parquet": "its texts must be UTF-8",
}
