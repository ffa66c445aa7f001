"""`factory index`: what earlier releases hold, and whether new rows repeat it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory.cli.console import emit, say, say_table
from factory.cli.options import json_option, out_option
from factory.errors import UserError
from factory.release.folder import read_manifest
from factory.release.reference import all_releases, find_release

if TYPE_CHECKING:
    import polars as pl

    from factory.dedupe.index import Index

SHOWN = 20
HEAD = ("release", "rows", "MB", "texts", "digest")
HITS_HEAD = ("row", "field", "against", "place", "level", "similarity")

index_option = click.option(
    "--index",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the index.  [default: index in the outputs folder]",
)


@click.group()
def index() -> None:
    """Look after the index of earlier releases, against which new rows are checked."""


@index.command()
@click.argument("releases", nargs=-1, metavar="[RELEASE]...")
@click.option("--fields", default="instruction", show_default=True, help="What is compared: instruction, answer.")
@click.option("--unit", default="word", show_default=True, help="Shingles of this: word or char.")
@click.option("--size", default=5, show_default=True, help="Units of a shingle.")
@click.option("--threshold", default=0.8, show_default=True, help="Jaccard similarity from which on rows are found.")
@click.option("--permutations", default=128, show_default=True, help="Numbers of a signature.")
@click.option("--embedder", metavar="NAME", help="Also compare meaning: static, minilm, a Hub id or a folder.")
@index_option
@out_option
@json_option
def build(releases: tuple[str, ...], folder: Path | None, out: Path, as_json: bool, **chosen: Any) -> None:
    """Make the index and put RELEASEs in, each a folder or NAME[@VERSION]; all releases if none is named.

    An index that is there already is kept, and must be of this configuration; releases that are in it stay as they are.
    """
    from factory.dedupe.index import Index
    from factory.dedupe.index_config import IndexConfig

    fields = tuple(part.strip() for part in str(chosen.pop("fields")).split(","))
    config = IndexConfig(fields=fields, **chosen)
    config.check()
    folders = [find_release(ref, out) for ref in releases] or all_releases(out)
    if not folders:
        raise UserError(f"there are no releases in {out / 'releases'}: name the folders of some")
    made = Index.create(_place(folder, out), config, out / "cache")
    _add(made, folders, as_json)


@index.command()
@click.argument("releases", nargs=-1, required=True, metavar="RELEASE...")
@index_option
@out_option
@json_option
def add(releases: tuple[str, ...], folder: Path | None, out: Path, as_json: bool) -> None:
    """Put RELEASEs into the index, each a folder or NAME[@VERSION]; only their own rows are read."""
    from factory.dedupe.index import Index

    opened = Index.open(_place(folder, out), cache=out / "cache")
    _add(opened, [find_release(ref, out) for ref in releases], as_json)


def _add(opened: Index, folders: list[Path], as_json: bool) -> None:
    from factory.dedupe.index import pin_of

    told = []
    for release in folders:
        before = opened.pins()
        opened = opened.add(release)
        pin = pin_of(read_manifest(release))
        rows = next(s.rows for s in opened.segments if s.pin == pin)
        told.append({"release": pin, "rows": rows, "added": pin not in before})
        if not as_json:
            say(f"{'there already' if pin in before else 'added'}: {pin}, {rows:,} rows")
    if as_json:
        emit({"index": str(opened.folder), "identity": opened.identity, "releases": told})
    else:
        say(f"{opened.folder} holds {len(opened.segments):,} releases, {sum(s.rows for s in opened.segments):,} rows")


@index.command()
@click.argument("file")
@click.option("--instruction", metavar="COLUMN", help="Column of the instruction; the usual names are found.")
@click.option("--answer", metavar="COLUMN", help="Column of the answer; the usual names are found.")
@click.option("--against", multiple=True, metavar="NAME@VERSION", help="Only this release; can be repeated.")
@click.option("--threshold", type=click.FloatRange(0, 1, min_open=True), help="Jaccard similarity of a hit, at least.")
@click.option(
    "--semantic",
    type=click.FloatRange(0, 1, min_open=True),
    help="Cosine of a hit, at least.",
    default=0.9,
    show_default=True,
)
@index_option
@out_option
@json_option
def query(file: str, folder: Path | None, out: Path, as_json: bool, **asked: Any) -> None:
    """Show which rows of FILE (.jsonl, .csv, .parquet; a release) repeat a row of an earlier release.

    ~ before a similarity: only estimated from signatures, since the release's texts are gone.
    """
    from factory.dedupe.index import Index

    opened = Index.open(_place(folder, out), cache=out / "cache")
    against = tuple(asked["against"]) or None
    rows = _rows(file, asked["instruction"], asked["answer"], out)
    hits = opened.query(rows, against, asked["threshold"], asked["semantic"])
    if as_json:
        for hit in hits.select("id", "row", "field", "against", "place", "level", "similarity", "estimated").to_dicts():
            emit(hit)
        return
    if hits.height:
        say_table(HITS_HEAD, [_told(hit) for hit in hits[:SHOWN].to_dicts()], right=frozenset({"row", "similarity"}))
    if hits.height > SHOWN:
        say(f"... and {hits.height - SHOWN:,} more; --json shows all")
    found = hits["row"].n_unique()
    searched = len(against or opened.segments)
    say(f"{found:,} of {rows.height:,} rows repeat a row of the {searched:,} releases")


def _told(hit: dict[str, Any]) -> tuple[object, ...]:
    similarity = f"{'~' if hit['estimated'] else ''}{hit['similarity']:.3f}"
    return (*(hit[name] for name in HITS_HEAD[:-1]), similarity)


def _rows(file: str, instruction: str | None, answer: str | None, out: Path) -> pl.DataFrame:
    """Return the rows of a source as a curation would read them."""
    import polars as pl

    from factory.artifacts.store import Store
    from factory.curate.columns import RowColumns
    from factory.curate.sources import RowSource, read_shards

    source = RowSource(path=file, columns=RowColumns(instruction=instruction, answer=answer))
    with tempfile.TemporaryDirectory(prefix="factory-index-") as holder:
        shards = read_shards([source], Path.cwd(), Store(Path(holder)), out)
        return pl.concat([shard.read(["id", "row", "instruction", "answer"]) for shard in shards])


@index.command()
@click.option("--verify", is_flag=True, help="Read every file and compare it with its checksum.")
@index_option
@out_option
@json_option
def stats(verify: bool, folder: Path | None, out: Path, as_json: bool) -> None:
    """Tell which releases are in the index, what they take on disk, and how it was configured."""
    from factory.dedupe.index import Index

    opened = Index.open(_place(folder, out), cache=out / "cache")
    for segment in opened.segments if verify else ():
        segment.verify()
    found = opened.stats()
    if as_json:
        emit(found)
        return
    rows = [
        (
            f"{r['name']}@{r['version']}",
            r["rows"],
            f"{r['bytes'] / 1e6:,.1f}",
            "there" if r["texts"] else "gone",
            r["digest"][:12],
        )
        for r in found["releases"]
    ]
    say_table(HEAD, rows, right=frozenset({"rows", "MB"}))
    say(f"{found['rows']:,} rows, {found['bytes'] / 1e6:,.1f} MB in {found['folder']}")
    config = found["config"]
    say(
        f"{' and '.join(config['fields'])} in shingles of {config['size']} {config['unit']}s;"
        f" {config['permutations']} permutations in {config['bands']} bands of {config['band_rows']} by"
        f" {config['engine']}; threshold {config['threshold']}; embedder {config['embedder'] or 'none'}"
    )


def _place(folder: Path | None, out: Path) -> Path:
    return out / "index" if folder is None else folder
