"""The kept rows with all columns that they came with, as the configs of a release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from factory.curate.cell_types import JSON, Types, cells_of, settled, types_of, unified
from factory.curate.read_rows import Block, read_blocks
from factory.curate.sources import OpenSource, ReadSource, content_of
from factory.curate.turns import with_answer
from factory.errors import FactoryError, UserError
from factory.release.parquet import SplitWriter, write_whole

CONFIG = "rows"
TRAIN, HELDOUT = "train", "heldout"
FLUSH_ROWS, FLUSH_BYTES = 10_000, 64 << 20

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows that stay: their numbers, sorted, and beside each its id, further columns, and whether it is held out.

    `answers` gives rows another answer than they came with.
    """

    rows: Numbers
    ids: pl.Series
    extra: pl.DataFrame = field(default_factory=pl.DataFrame)
    heldout: npt.NDArray[np.bool_] | None = None
    answers: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: rows by config and split, and what a reader should know of the columns."""

    rows: dict[str, dict[str, int]]
    notes: tuple[str, ...]

    @property
    def total(self) -> int:
        """Return how many rows were written."""
        return sum(n for splits in self.rows.values() for n in splits.values())


def write_kept(sources: Sequence[ReadSource], kept: Kept, folder: Path) -> Written:
    """Return what was written under `folder`: the kept rows in input order, with all their own columns.

    `id` comes first, then `kept.extra`, then the source's columns. A column of its own that is called like one of
    these stays as `source_NAME`, but for an `id` that is theirs. Sources with the same columns make one config,
    `rows`; else each makes its own, called as it is. Columns whose values are of types that one column cannot have
    become JSON texts, and `notes` says so. Equal input gives equal bytes; memory holds some blocks.
    UserError when a source that is to have other answers has none, or when a file is not as it was read.
    """
    plans = [_plan(source, kept) for source in sources]
    notes = [note for plan in plans for note in plan.notes()]
    written: dict[str, dict[str, int]] = {}
    for config, members in _configs(plans).items():
        written[config] = _write_config(members, kept, folder / config)
    return Written(written, tuple(notes))


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one source is written: the Arrow type of each of its columns, and what each is called."""

    source: ReadSource
    types: Types
    names: dict[str, str]

    @property
    def schema(self) -> dict[str, str]:
        """Return the columns, as written, with their types as texts: what configs are told apart by."""
        return {self.names[name]: str(dtype) for name, dtype in sorted(self.types.items())}

    def notes(self) -> list[str]:
        """Return what a reader should know."""
        name = self.source.source.name
        said = [f"{name}: '{a}' is called '{b}' here" for a, b in self.names.items() if a != b]
        mixed = [f"'{column}'" for column, dtype in self.types.items() if dtype is JSON]
        return [*said, *([f"{name}: values of several types, as JSON texts: {', '.join(mixed)}"] if mixed else [])]


def _plan(source: ReadSource, kept: Kept) -> _Plan:
    opened = source.source
    if content_of(opened.files, opened.taken) != opened.digest:
        raise UserError(f"{opened.path} was changed after it was read; run again")
    types = settled(_types(source, kept.rows))
    if _rows_in(kept.rows, source).intersection(kept.answers) if kept.answers else False:
        if opened.taken.answered_in is None:
            raise UserError(f"source '{opened.name}' has no column of answers; none of its rows can get another one")
        types = {name: _open_to_text(name, dtype, opened) for name, dtype in types.items()}
    own = opened.taken.id if source.own_ids else None
    taken = {"id", *kept.extra.columns}
    names: dict[str, str] = {}
    for name in types:
        if name == own == "id":
            continue
        called = name
        while called in taken or (called != name and called in types):
            called = f"source_{called}"
        names[name] = called
        taken.add(called)
    return _Plan(source, {name: dtype for name, dtype in types.items() if name in names}, names)


def _types(source: ReadSource, kept: Numbers) -> Types:
    """Return the type of every column, over the rows of a source that stay."""
    files, types, at = source.source.files, Types(), source.first
    for i, file in enumerate(files):
        types = unified(types, types_of(file, kept[np.searchsorted(kept, at) :] - at))
        if i + 1 < len(files):
            at += sum(block.height for block in read_blocks(file, []))
    return types


def _open_to_text(name: str, dtype: Any, opened: OpenSource) -> Any:
    """Return the type of a column that may get another answer: a number makes place for a text."""
    simple = name == opened.taken.answered_in and not pa.types.is_nested(dtype) and dtype is not JSON
    return pa.string() if simple else dtype


def _rows_in(rows: Numbers, source: ReadSource) -> set[int]:
    lo, hi = np.searchsorted(rows, (source.first, source.first + source.places))
    return set(rows[lo:hi].tolist())


def _configs(plans: Sequence[_Plan]) -> dict[str, list[_Plan]]:
    if all(plan.schema == plans[0].schema for plan in plans):
        return {CONFIG: list(plans)}
    return {plan.source.source.name: [plan] for plan in plans}


# ------------------------------------------------------------------------------------------------------------- writing


def _write_config(plans: Sequence[_Plan], kept: Kept, folder: Path) -> dict[str, int]:
    """Return the rows of each split after all are written; a config without rows keeps its columns."""
    counts = _counts(plans, kept)
    writers = {split: SplitWriter(folder, split, n) for split, n in counts.items() if n}
    order = list(plans[0].names.values())
    for frame, out in _flushed(_frames(plans, kept, order)):
        for split, writer in writers.items():
            writer.write(frame.filter(out if split == HELDOUT else ~out))
    for split, writer in writers.items():
        writer.close()
        if writer.rows != counts[split]:
            raise FactoryError(f"{folder}: {counts[split]} rows of split '{split}' to write, {writer.rows} were there")
    if not writers:
        write_whole(folder, TRAIN, _frame(plans[0], Block(0, _empty(plans[0])), [], kept, slice(0, 0)).select(
            "id", *kept.extra.columns, *order
        ))  # fmt: skip
        return {TRAIN: 0}
    return {split: writer.rows for split, writer in writers.items()}


def _counts(plans: Sequence[_Plan], kept: Kept) -> dict[str, int]:
    counts = {TRAIN: 0, HELDOUT: 0}
    for plan in plans:
        lo, hi = np.searchsorted(kept.rows, (plan.source.first, plan.source.first + plan.source.places))
        out = 0 if kept.heldout is None else int(kept.heldout[lo:hi].sum())
        counts[HELDOUT] += out
        counts[TRAIN] += int(hi - lo) - out
    return counts


def _empty(plan: _Plan) -> dict[str, list[Any]]:
    return {name: [] for name in plan.types}


def _frames(plans: Sequence[_Plan], kept: Kept, order: list[str]) -> Iterator[tuple[pl.DataFrame, pl.Series]]:
    """Yield the kept rows of each block of the sources, and which of them are held out."""
    for plan in plans:
        at = plan.source.first
        for file in plan.source.source.files:
            for block in read_blocks(file):
                lo, hi = np.searchsorted(kept.rows, (at, at + block.height))
                if hi > lo:
                    picked = np.flatnonzero(np.isin(block.places(), kept.rows[lo:hi] - at)).tolist()
                    if len(picked) != hi - lo:
                        raise FactoryError(f"{file.label}: a kept row between {at} and {at + block.height} is no row")
                    frame = _frame(plan, block, picked, kept, slice(lo, hi))
                    out = np.zeros(hi - lo, dtype=np.bool_) if kept.heldout is None else kept.heldout[lo:hi]
                    yield frame.select("id", *kept.extra.columns, *order), pl.Series(out)
                at += block.height


def _frame(plan: _Plan, block: Block, picked: list[int], kept: Kept, span: slice) -> pl.DataFrame:
    """Return some rows of a block, as written."""
    answered_in, rows = plan.source.source.taken.answered_in, kept.rows[span].tolist()
    told = {i: kept.answers[row] for i, row in enumerate(rows) if row in kept.answers} if kept.answers else {}
    columns = {"id": kept.ids[span].cast(pl.String)} | {name: kept.extra[name][span] for name in kept.extra.columns}
    for name, dtype in plan.types.items():
        values = block.columns.get(name, [None] * (max(picked, default=0) + 1))
        chosen = values.gather(picked) if isinstance(values, pl.Series) else [values[i] for i in picked]
        if told and name == answered_in:
            cells = chosen.to_list() if isinstance(chosen, pl.Series) else chosen
            chosen = [with_answer(value, told[i]) if i in told else value for i, value in enumerate(cells)]
        columns[plan.names[name]] = pl.Series(plan.names[name], pl.from_arrow(cells_of(chosen, dtype)))
    return pl.DataFrame(columns)


def _flushed(frames: Iterator[tuple[pl.DataFrame, pl.Series]]) -> Iterator[tuple[pl.DataFrame, pl.Series]]:
    """Yield frames together until they are worth writing: row groups would be as small as a block's kept rows."""
    held: list[tuple[pl.DataFrame, pl.Series]] = []
    rows = size = 0
    for frame, out in frames:
        held.append((frame, out))
        rows, size = rows + frame.height, size + int(frame.estimated_size())
        if rows >= FLUSH_ROWS or size >= FLUSH_BYTES:
            yield pl.concat([frame for frame, _ in held]), pl.concat([out for _, out in held])
            held, rows, size = [], 0, 0
    if held:
        yield pl.concat([frame for frame, _ in held]), pl.concat([out for _, out in held])
