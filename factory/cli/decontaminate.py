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
from factory.cli.options import json_option, out_option
from factory.curate.columns import RowColumns
from factory.curate.sources import ReadSource, RowSource, read_sources
from factory.errors import UserError
from factory.gates.benchmark_index import index_of
from factory.gates.benchmarks_read import BenchmarkSource, make_book, read_benchmarks
from factory.gates.decontaminate import LEVELS, DecontaminateSpec, find_hits, rejecting, settings_of
from factory.gates.leaks import self_test

SHOWN = 20


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--against", "against", multiple=True, required=True, metavar="NAME=FILE", help="A benchmark; repeat.")
@click.option("--columns", metavar="A,B", help="Columns of the benchmarks to look for; by default all that hold text.")
@click.option("--instruction", metavar="COLUMN", help="Column of the instruction; the usual names are found.")
@click.option("--answer", metavar="COLUMN", help="Column of the answer; the usual names are found.")
@click.option("--self-test", "test", is_flag=True, help="Plant leaks of these benchmarks too, and tell what is caught.")
@out_option
@json_option
def decontaminate(
    file: Path,
    against: tuple[str, ...],
    columns: str | None,
    test: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Look in FILE for rows that give away a benchmark; changes nothing.

    FILE is whatever can be curated: JSONL, CSV or Parquet (.gz and .zst too), a folder or pattern of such,
    hub:ORG/NAME[@REVISION], a release (its folder, or NAME[@VERSION]). Benchmarks are files, or on the Hub too.
    """
    wanted = [name.strip() for name in columns.split(",") if name.strip()] if columns else None
    spec = DecontaminateSpec(benchmarks=[_source(text, wanted) for text in against])
    asked = RowColumns(instruction=given["instruction"], answer=given["answer"])
    with tempfile.TemporaryDirectory(prefix="factory-") as folder:
        store, params = Store(Path(folder)), spec.params()
        book = make_book(read_benchmarks(spec.benchmarks, Path()), store)
        source = _read(str(file), asked, store, given["out"])
        hits = pl.concat([find_hits(shard.read(), params, book=book) for shard in source.artifacts])
        told = self_test(book, params, seed=1) if test else None
        watched = index_of(book, settings_of(params)).watched()
        doubt = _unreadable(source) if source.unreadable else None
    result = _summary(source, hits, watched, rejecting(params))
    if as_json:
        emit(result | {"hits": hits.drop("estimated").to_dicts()} | ({"self_test": told} if told is not None else {}))
    else:
        say("; ".join(source.notes), err=True)
        _show(result, hits, told)
        if doubt:
            say(doubt)


def _source(text: str, columns: list[str] | None) -> BenchmarkSource:
    name, sign, path = text.partition("=")
    if not sign or not path:
        raise UserError(f"--against wants NAME=FILE, such as gsm8k=gsm8k-test.jsonl; found '{text}'")
    try:
        return BenchmarkSource(name=name, path=path, columns=columns)
    except ValueError:
        raise UserError(f"a benchmark's name has a-z, 0-9 and hyphens only; found '{name}'") from None


def _read(file: str, columns: RowColumns, store: Store, out: Path) -> ReadSource:
    """Return the rows of a source as a curation would read them, in shards on disk."""
    [source] = read_sources([RowSource(path=file, columns=columns)], Path.cwd(), store, out)
    return source


def _unreadable(source: ReadSource) -> str:
    """Return in words how many rows of a source could not be read, and what is wrong with the first."""
    rejects = next(shard for shard in source.artifacts if shard.rejects).read_rejects()
    return f"rows that could not be read: {source.unreadable:,}; the first: {rejects['reasons'][0][0]['detail']}"


def _summary(source: ReadSource, hits: pl.DataFrame, watched: pl.DataFrame, levels: Sequence[str]) -> dict[str, Any]:
    table = [
        {**row, "hits": {level: _rows_at(hits, row["against"], level) for level in LEVELS}}
        for row in watched.iter_rows(named=True)
    ]
    leaving = hits.filter(pl.col("level").is_in(levels))["row"].n_unique()
    counts = {"rows": source.rows, "unreadable": source.unreadable, "rows_with_hits": hits["row"].n_unique()}
    return {**counts, "rejected": leaving, "benchmarks": table}


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
