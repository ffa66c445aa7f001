"""The texts of a release, each with a pointer to where it lies, and how a pointer is followed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PolarsError
from pydantic import ValidationError

from factory.curate.columns import RowColumns, Taken, Values, choose_columns, rows_from
from factory.curate.sources import RowSource
from factory.errors import UserError
from factory.release.folder import NAME, Manifest, read_manifest
from factory.release.reference import data_configs, is_curated, read_facts
from schemas.index import INDEX_TEXTS

BUILT = "sft"  # the config of a build's release that is read
WANTED = re.compile(r"(train|heldout)-\d+-of-\d+\.parquet")  # `mini` and `curriculum` hold copies
BATCH = 50_000
GROUPS = 64  # row groups read at once


@dataclass(frozen=True, slots=True)
class Readable:
    """A release that can be indexed: its manifest and the files that hold its rows, as paths relative to it."""

    folder: Path
    manifest: Manifest
    files: tuple[str, ...]
    rows: int


def readable(folder: Path) -> Readable:
    """Return a release as something to read texts from; UserError if it holds none."""
    manifest = read_manifest(folder)
    found = data_configs(folder) if is_curated(folder) else [BUILT]
    configs = [name for name in found if NAME.fullmatch(name)]  # no step out of the folder
    paths = [p for c in configs for p in sorted((folder / c).glob("*.parquet")) if WANTED.fullmatch(p.name)]
    if not paths:
        raise UserError(
            f"{folder} has no rows to index: its configs ({', '.join(configs) or 'none'}) have no train-*.parquet"
        )
    rows = sum(_open(path).metadata.num_rows for path in paths)
    return Readable(folder, manifest, tuple(p.relative_to(folder).as_posix() for p in paths), rows)


def _told(folder: Path, name: str) -> RowColumns:
    """Return the columns that the job of a curated release told for a file; what it did not tell is found."""
    job = read_facts(folder).get("job")
    config = name.partition("/")[0]
    sources = job.get("sources", []) if isinstance(job, dict) else []
    try:
        known = [RowSource.model_validate(source) for source in sources]
    except (ValidationError, TypeError):
        return RowColumns()
    named = [source for source in known if source.label == config] or known[:1]
    if not named:
        return RowColumns()
    told = named[0].columns
    return RowColumns(instruction=told.instruction, answer=told.answer, messages=told.messages)


def texts_of(folder: Path) -> Iterator[pl.DataFrame]:
    """Yield the texts of a release's splits train and heldout, INDEX_TEXTS, BATCH rows or a little more at a time."""
    release = readable(folder)
    for name in release.files:
        yield from _texts_of_file(release.folder, name)


def _texts_of_file(folder: Path, name: str) -> Iterator[pl.DataFrame]:
    path, told = folder / name, _told(folder, name)
    file = _open(path)
    taken = choose_columns(str(path), file.schema_arrow.names, told)
    sizes = [file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)]
    for groups in _batches(sizes):
        lengths = [sizes[g] for g in groups]
        yield (
            _texts(path, file, taken, groups)
            .with_columns(
                file=pl.lit(name),
                group=np.repeat(np.asarray(groups, dtype=np.int64), lengths),
                place=np.concatenate([np.arange(n, dtype=np.int64) for n in lengths]),
            )
            .select(*INDEX_TEXTS.columns)
        )


def _batches(sizes: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    rows = 0
    for group, size in enumerate(sizes):
        batch.append(group)
        rows += size
        if rows >= BATCH:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _texts(path: Path, file: pq.ParquetFile, taken: Taken, groups: Sequence[int]) -> pl.DataFrame:
    """Return (id, instruction, answer) of some row groups."""
    try:
        return _named(taken, file.read_row_groups(list(groups), columns=taken.columns))
    except (PolarsError, pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _named(taken: Taken, table: pa.Table) -> pl.DataFrame:
    """Return (id, instruction, answer) as a curation would read them: the same text has the same digest there."""
    columns: dict[str, Values] = {
        name: table[name].to_pylist() if pa.types.is_nested(table[name].type) else pl.Series(name, table[name])
        for name in taken.columns
    }
    return rows_from(taken, columns, "").select("id", "instruction", "answer")


def fetch_texts(folder: Path, pointers: pl.DataFrame, field: str) -> pl.Series:
    """Return the texts that pointers (file, group, place) lead to, in their order; null where there is none any more.

    What is found may be of another content than what was indexed: compare its digest.
    """
    found = pointers.with_row_index("at").select("at", "file", "group", "place")
    out = np.full(pointers.height, None, dtype=object)
    for (name,), rows in found.group_by(["file"], maintain_order=True):
        places = rows["at"].to_numpy()
        texts = _fetch(folder, str(name), rows["group"].to_numpy(), rows["place"].to_numpy(), field)
        if texts is not None:
            out[places] = texts
    return pl.Series(out.tolist(), dtype=pl.String)


def _fetch(
    folder: Path, name: str, groups: npt.NDArray[np.int64], places: npt.NDArray[np.int64], field: str
) -> list[str] | None:
    try:
        file = pq.ParquetFile(folder / name)
        taken = choose_columns(name, file.schema_arrow.names, _told(folder, name))
        return _named(taken, take(file, groups, places, taken.columns))[field].to_list()
    except (PolarsError, pa.ArrowException, OSError, IndexError, UserError):
        return None  # the release is gone or is not what was indexed: its signatures speak for it


def take(
    file: pq.ParquetFile, groups: npt.NDArray[np.int64], places: npt.NDArray[np.int64], columns: Sequence[str]
) -> pa.Table:
    """Return rows of a Parquet file by (row group, place in it), in the order asked for, reading no other group.

    IndexError where a group or a place is not there.
    """
    if groups.size and (groups.min() < 0 or groups.max() >= file.metadata.num_row_groups or places.min() < 0):
        raise IndexError(f"row group {groups.max()} of {file.metadata.num_row_groups}")
    needed = np.unique(groups)
    tables, order = [], []
    for start in range(0, needed.size, GROUPS):
        batch = needed[start : start + GROUPS]
        firsts = np.cumsum([0] + [file.metadata.row_group(int(g)).num_rows for g in batch])
        at = np.flatnonzero((groups >= batch[0]) & (groups <= batch[-1]))
        slot = np.searchsorted(batch, groups[at])
        rows = firsts[slot] + places[at]
        if (rows >= firsts[slot + 1]).any():
            raise IndexError(f"a row group has fewer rows than {places.max() + 1}")
        tables.append(file.read_row_groups(batch.tolist(), columns=list(columns)).take(rows))
        order.append(at)
    if not tables:
        return file.schema_arrow.empty_table().select(list(columns))
    back = np.argsort(np.concatenate(order), kind="stable")
    return pa.concat_tables(tables).take(back)


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UserError:
    problem = str(error).partition("\n")[0]
    return UserError(f"{path} cannot be read ({problem}); `factory verify` says what changed in its release")
