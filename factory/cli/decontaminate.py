"""`factory decontaminate`: which rows of a file give away a benchmark, and how well such rows are found."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import polars as pl

from factory.artifacts.store import Store
from factory.cli.console import emit, say, say_table
from factory.cli.options import json_option
from factory.errors import UserError
from factory.gates.benchmark_index import index_of
from factory.gates.benchmarks_read import BenchmarkSource, columns_of, make_book, read_benchmarks
from factory.gates.decontaminate import LEVELS, DecontaminateSpec, find_hits, rejecting, settings_of
from factory.gates.leaks import self_test
from factory.seeds.read import read_table
from schemas.curation import ROWS

INSTRUCTIONS = ("instruction", "question", "prompt", "problem", "input", "text")
ANSWERS = ("answer", "response", "output", "solution", "completion")
SHOWN = 20
SHARD = 50_000


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--against", "against", multiple=True, required=True, metavar="NAME=FILE", help="A benchmark; repeat.")
@click.option("--columns", metavar="A,B", help="Columns of the benchmarks to look for; by default all that hold text.")
@click.option("--instruction", metavar="COLUMN", help="Column of FILE; by default instruction, question, prompt ...")
@click.option("--answer", metavar="COLUMN", help="Column of FILE; by default answer, response, output ...")
@click.option("--self-test", "test", is_flag=True, help="Plant leaks of these benchmarks too, and tell what is caught.")
@json_option
def decontaminate(
    file: Path,
    against: tuple[str, ...],
    columns: str | None,
    test: bool,
    as_json: bool,
    **mapped: str | None,
) -> None:
    """Look in FILE for rows that give away a benchmark; changes nothing.

    FILE and the benchmarks are JSONL, CSV or Parquet files, or hub:ORG/NAME[@REVISION].
    """
    wanted = [name.strip() for name in columns.split(",") if name.strip()] if columns else None
    spec = DecontaminateSpec(benchmarks=[_source(text, wanted) for text in against])
    rows = read_rows(str(file), mapped.get("instruction"), mapped.get("answer"))
    with tempfile.TemporaryDirectory(prefix="factory-") as folder:
        book = make_book(read_benchmarks(spec.benchmarks, Path()), Store(Path(folder)))
        params = spec.params()
        shards = [rows[start : start + SHARD] for start in range(0, rows.height, SHARD)]
        hits = pl.concat([find_hits(shard, params, book=book) for shard in shards])
        told = self_test(book, params, seed=1) if test else None
        watched = index_of(book, settings_of(params)).watched()
    result = _summary(rows, hits, watched, rejecting(params))
    if as_json:
        emit(result | {"hits": hits.drop("estimated").to_dicts()} | ({"self_test": told} if told is not None else {}))
    else:
        _show(result, hits, told)


def _source(text: str, columns: list[str] | None) -> BenchmarkSource:
    name, sign, path = text.partition("=")
    if not sign or not path:
        raise UserError(f"--against wants NAME=FILE, such as gsm8k=gsm8k-test.jsonl; found '{text}'")
    try:
        return BenchmarkSource(name=name, path=path, columns=columns)
    except ValueError:
        raise UserError(f"a benchmark's name has a-z, 0-9 and hyphens only; found '{name}'") from None


def read_rows(path: str, instruction: str | None, answer: str | None) -> pl.DataFrame:
    """Return ROWS of a file; UserError where it has no such columns. Without an answer column answers are empty."""
    asked = _first_column(path, (instruction,) if instruction else INSTRUCTIONS)
    said = _first_column(path, (answer,) if answer else ANSWERS)
    if instruction and asked is None or answer and said is None or (asked is None and said is None):
        names = [name for name in (instruction, answer) if name] or [*INSTRUCTIONS, *ANSWERS]
        raise UserError(f"{path} has none of the columns {', '.join(names)}; name its own: --instruction, --answer")
    mapped = {name: column for name, column in (("instruction", asked), ("answer", said)) if column}
    frame = read_table(path, mapped, base=Path())
    present = frame.with_columns(id=pl.format("row-{}", "row"), source=pl.lit(path))
    others = [pl.lit(None).cast(dtype).alias(n) for n, dtype in ROWS.columns.items() if n not in present.columns]
    return present.with_columns(others).select(*ROWS.columns)


def _first_column(path: str, names: Sequence[str]) -> str | None:
    """Return the first of the names that is a column of the file."""
    there = columns_of(path, Path(), None)
    return next((name for name in names if name in there), None)


def _summary(rows: pl.DataFrame, hits: pl.DataFrame, watched: pl.DataFrame, levels: Sequence[str]) -> dict[str, Any]:
    table = [
        {**row, "hits": {level: _rows_at(hits, row["against"], level) for level in LEVELS}}
        for row in watched.iter_rows(named=True)
    ]
    leaving = hits.filter(pl.col("level").is_in(levels))["row"].n_unique()
    return {"rows": rows.height, "rows_with_hits": hits["row"].n_unique(), "rejected": leaving, "benchmarks": table}


def _rows_at(hits: pl.DataFrame, against: str, level: str) -> int:
    return hits.filter((pl.col("against") == against) & (pl.col("level") == level))["row"].n_unique()


def _show(result: Mapping[str, Any], hits: pl.DataFrame, told: Sequence[Mapping[str, Any]] | None) -> None:
    say(f"{result['rejected']:,} of {result['rows']:,} rows give away a benchmark")
    head = ("benchmark", "texts", "too short", *LEVELS)
    lines = [(b["against"], b["texts"], b["too_short"], *b["hits"].values()) for b in result["benchmarks"]]
    say_table(head, lines, right=frozenset(head[1:]))
    for hit in hits.head(SHOWN).iter_rows(named=True):
        say(_line(hit))
    if hits.height > SHOWN:
        say(f"... and {hits.height - SHOWN:,} more; --json has them all")
    if told is not None:
        say()
        say_table(
            ("planted", "rows", *LEVELS, "any", "rejected"),
            [(t["kind"], t["planted"], *t["caught"].values(), t["any"], t["rejected"]) for t in told],
            right=frozenset(("rows", *LEVELS, "any", "rejected")),
        )


def _line(hit: Mapping[str, Any]) -> str:
    span = " ".join((hit["span"] or "").split())[:80]
    place = f"{hit['field']}, characters {hit['start']} to {hit['end']}"
    met = f"{hit['level']} {hit['similarity']:.2f} of {hit['against']}#{hit['place']}"
    return f'row {hit["row"]}: {met}, {place}: "{span}"'
