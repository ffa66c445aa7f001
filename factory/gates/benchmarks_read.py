"""Benchmarks by name: read from files or the Hub, and kept as one artifact of texts that every worker can open."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import polars as pl
from pydantic import Field

from factory.artifacts.digest import digest
from factory.artifacts.store import NO_REJECTS, Artifact, Store
from factory.errors import UserError, nearest
from factory.seeds.parse import SHOWN
from factory.seeds.read import file_contents, read_table
from factory.strict import Strict
from schemas.benchmark_texts import BENCHMARK_TEXTS

WHAT = "benchmark rows"


class BenchmarkSource(Strict):
    """A benchmark that no row may give away."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="What reports call it: a-z, 0-9 and hyphens.")
    path: str = Field(
        min_length=1, description="A JSONL, CSV or Parquet file beside the job, or hub:ORG/NAME[/FOLDER][@REVISION]."
    )
    columns: list[str] | None = Field(
        default=None, min_length=1, description="Columns to look for, such as [question, answer]; every text column."
    )
    split: str | None = Field(default=None, description="Split of a dataset on the Hub.")


@dataclass(frozen=True, slots=True)
class Book:
    """The texts of a job's benchmarks on disk: small to send to a worker, which opens it for itself."""

    artifact: Artifact

    @property
    def identity(self) -> str:
        """Return the digest of the texts."""
        return self.artifact.digest

    def texts(self) -> pl.DataFrame:
        """Return BENCHMARK_TEXTS: benchmarks as named in the job, their rows in order."""
        return self.artifact.read()


def make_book(texts: pl.DataFrame, store: Store) -> Book:
    """Return the book of BENCHMARK_TEXTS: found in the store, or committed to it."""
    BENCHMARK_TEXTS.check(texts)
    columns = [texts[name].fill_null("").str.join("\x1e").item() for name in BENCHMARK_TEXTS.columns]
    key = digest(texts=columns, rows=texts.height, schema=BENCHMARK_TEXTS.version)
    stage = "benchmark_texts"
    return Book(store.find(stage, key) or store.commit(stage, key, texts, NO_REJECTS, {"stage": stage}))


def read_benchmarks(sources: Sequence[BenchmarkSource], base: Path) -> pl.DataFrame:
    """Return BENCHMARK_TEXTS of all sources; paths are relative to `base`, empty cells are left out.

    Raises UserError for a name used twice, a file that is not there, a column that it lacks, and one without text.
    """
    names = [source.name for source in sources]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"two benchmarks are called '{twice}'; give each a name of its own")
    return pl.concat([_read_one(source, base) for source in sources])


def _read_one(source: BenchmarkSource, base: Path) -> pl.DataFrame:
    try:
        columns = _columns(source, base)
        frame = read_table(source.path, {name: name for name in columns}, base=base, split=source.split, what=WHAT)
    except UserError as error:
        raise UserError(f"benchmark '{source.name}': {error}") from error
    texts = (
        frame.select(pl.col("row").cast(pl.String).alias("place"), *columns)
        .unpivot(index="place", on=columns, variable_name="part", value_name="text")
        .filter(pl.col("text").fill_null("").str.strip_chars() != "")
        .select(pl.lit(source.name).alias("against"), "place", "part", "text")
    )
    if texts.is_empty():
        raise UserError(f"benchmark '{source.name}': {source.path} has no text in {', '.join(columns)}")
    return texts


def _columns(source: BenchmarkSource, base: Path) -> list[str]:
    """Return the columns to read: those that were asked for, which must be there, or all that hold text."""
    there = _columns_of(source.path, base, source.split)
    for name in source.columns or ():
        if name not in there:
            hint = nearest(name, there)
            listed = f"; its columns: {', '.join(list(there)[:SHOWN])}" if "did you mean" in hint else ""
            raise UserError(f"{source.path} has no column '{name}'{hint}{listed}")
    chosen = source.columns or [name for name, has_text in there.items() if has_text]
    if not there:
        raise UserError(f"{source.path} is empty")
    if not chosen:
        raise UserError(f"{source.path} has no column of text; its columns: {', '.join(list(there)[:SHOWN]) or 'none'}")
    return list(dict.fromkeys(chosen))


def _columns_of(path: str, base: Path, split: str | None) -> dict[str, bool]:
    """Return {column: whether it holds texts} of a file or dataset; UserError where it is not there."""
    there: dict[str, bool] = {}
    for label, data in file_contents(path, base, split, WHAT):
        for name, has_text in _names(label, data):
            there[name] = there.get(name, False) or has_text
    return there


def _names(label: str, data: bytes) -> Iterator[tuple[str, bool]]:
    """Yield (column, whether it holds texts) of a file; nothing for one that cannot be read, which reading it tells."""
    suffix = PurePath(label).suffix.lower()
    try:
        if suffix == ".parquet":
            yield from ((name, dtype == pl.String) for name, dtype in pl.read_parquet_schema(io.BytesIO(data)).items())
        elif suffix == ".csv":
            yield from ((name, True) for name in pl.read_csv(io.BytesIO(data), infer_schema=False, n_rows=0).columns)
        else:
            yield from _names_of_lines(data)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return


def _names_of_lines(data: bytes) -> Iterator[tuple[str, bool]]:
    for line in data.split(b"\n"):
        try:
            row = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError):
            continue
        yield from ((name, isinstance(value, str)) for name, value in (row if isinstance(row, dict) else {}).items())
