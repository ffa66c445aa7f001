"""`factory skills graph`: what a list of skills, an extraction or a release looks like as a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import polars as pl
from polars.exceptions import PolarsError

from factory.cli.asking import ask_once, job_option, model_option, teacher_option
from factory.cli.console import emit, say, say_table
from factory.cli.options import json_option, out_option
from factory.cli.reading import collect, scan, splits_of
from factory.errors import UserError, nearest
from factory.release.folder import MANIFEST
from factory.release.reference import find_release
from factory.skills.language.graph import (
    BEFORE,
    SEEN,
    TOGETHER,
    Coverage,
    Dropped,
    GraphTables,
    Judgement,
    acyclic,
    edges,
    graph_tables,
    rows_of_labels,
)
from factory.skills.language.lists import read_skills
from factory.skills.language.prerequisites import judge_prerequisites, worth_judging
from factory.skills.language.skill import LanguageSkill
from schemas.skills import EDGES, LABELS, ROW_SKILLS

SKILLS_FILE, LABELS_FILE, EDGES_FILE = "skills.jsonl", "labels.jsonl", "edges.csv"
UNUSED_SHOWN = 12
ENOUGH_ROWS = 30  # of fewer, who stands with whom is mostly chance


@dataclass(frozen=True, slots=True)
class Source:
    """What a graph is made of. `rows` is None where only a list of skills is known."""

    title: str
    skills: list[LanguageSkill]
    rows: pl.DataFrame | None
    before: list[Judgement]


@click.command()
@click.argument("source")
@click.option("--png", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Draw the graph here.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Draw it here, as SVG.")
@click.option("--top", type=click.IntRange(min=1), default=15, show_default=True, help="How many lines of each table.")
@click.option(
    "--prerequisites",
    "pairs",
    type=click.IntRange(1, 2_000),
    metavar="N",
    help="Ask a teacher of the N strongest pairs which skill is needed before which; kept in an extraction's folder.",
)
@teacher_option
@model_option
@job_option
@out_option
@json_option
def graph(source: str, png: Path | None, svg: Path | None, top: int, out: Path, as_json: bool, **given: Any) -> None:
    """Show how skills hang together: which stand in the same rows, which is needed before which, which nobody uses.

    Rows and their skills tell the first; the second is there once a teacher was asked, with --prerequisites.

    SOURCE is a folder that `factory skills extract` wrote, a list of skills (.jsonl, .csv, .txt and others), or a
    release: its folder, or NAME[@VERSION].
    """
    pictures = _pictures(png, svg)
    read = read_source(source, out)
    rows = read.rows if read.rows is not None else ROW_SKILLS.frame({"row": [], "skills": []})
    if given["pairs"]:
        read = replace(read, before=_asked(read, rows, Path(source), out, given, quiet=as_json))
    kept, dropped = acyclic(read.before)
    found = edges(rows, kept)
    tables = graph_tables(read.skills, found, read.rows)
    for path in pictures:
        _draw(tables, found, path, read.title, "rows" if read.rows is not None else "count")
    if as_json:
        emit(_as_json(read, tables, found, dropped, pictures, top))
        return
    _show_skills(tables.skills.head(top), has_rows=read.rows is not None)
    _show_edges(found, top)
    _show_dropped(dropped)
    say()
    _show_missing(found, has_rows=read.rows is not None, asked=bool(given["pairs"]))
    _show_coverage(tables.coverage, found, has_rows=read.rows is not None)
    for path in pictures:
        say(f"picture   {path}")


def _asked(  # noqa: PLR0913 - what is asked, about what, of whom
    read: Source, rows: pl.DataFrame, source: Path, out: Path, given: Mapping[str, Any], *, quiet: bool
) -> list[Judgement]:
    """Return which skill is needed before which, as a teacher says; an extraction's folder keeps it."""
    pairs = worth_judging(read.skills, edges(rows, []), given["pairs"])
    if not pairs:
        raise UserError(
            f"{source}: no two skills stand together in two rows or more, and more often than by chance, so there is no"
            " pair to ask about; more rows may show some"
        )
    judged = ask_once(judge_prerequisites(pairs), given, out, quiet=quiet)
    if (source / SKILLS_FILE).is_file():
        edges(rows, acyclic(judged)[0]).write_csv(source / EDGES_FILE)
    return judged


def _pictures(png: Path | None, svg: Path | None) -> list[Path]:
    """Return the files to draw; UserError where a suffix is not the option's."""
    for path, suffix in ((png, ".png"), (svg, ".svg")):
        if path is not None and path.suffix.lower() != suffix:
            raise UserError(f"--{suffix[1:]} wants a file whose name ends in {suffix}; found {path}")
    return [path for path in (png, svg) if path is not None]


def _draw(tables: GraphTables, found: pl.DataFrame, path: Path, title: str, unit: str) -> None:
    from factory.skills.language.picture import draw

    try:
        draw(tables.skills, found, path, title, unit)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None


def read_source(source: str, out: Path) -> Source:
    """Return the skills, rows and judgements of a SOURCE; UserError says what it could be."""
    path = Path(source)
    if path.is_file():
        return Source(f"Skills of {path.name}", read_skills(path).skills, None, [])
    if path.is_dir() and not (path / MANIFEST).is_file():
        return _extracted(path)
    try:
        folder = find_release(source, out)
    except UserError as error:
        wanted = "a folder written by `factory skills extract`, a file of skills (such as skills.txt) or a release"
        raise UserError(f"'{source}' is neither a file nor a folder, and {error}; SOURCE is {wanted}") from None
    return _released(folder)


def _extracted(folder: Path) -> Source:
    if not (folder / SKILLS_FILE).is_file():
        raise UserError(
            f"{folder} has neither {SKILLS_FILE} (an extraction) nor {MANIFEST} (a release); name a folder that"
            " `factory skills extract` wrote, a file of skills, or a release"
        )
    skills = read_skills(folder / SKILLS_FILE).skills
    labels = folder / LABELS_FILE
    rows = _label_rows(labels) if labels.is_file() and labels.read_bytes().strip() else None
    before = _judgements(folder / EDGES_FILE) if (folder / EDGES_FILE).is_file() else []
    return Source(f"Skills of {_name(folder.resolve(), skills)}", skills, rows, before)


def _name(folder: Path, skills: Sequence[LanguageSkill]) -> str:
    """Return what an extraction is of: its skills' one origin, such as a domain, else its folder."""
    kinds = {skill.origin.partition(":")[::2] for skill in skills}
    (_, what) = kinds.pop() if len(kinds) == 1 else ("", "")
    return what or (folder.parent.name if folder.name == "skills" else folder.name)


def _label_rows(path: Path) -> pl.DataFrame | None:
    """Return the rows that labels were given to, or None where no row has one."""
    wanted = ("row", "skill")
    try:
        frame = pl.read_ndjson(path, infer_schema_length=None)
        _require(frame, wanted, path)
        rows = rows_of_labels(frame.select(pl.col(name).cast(LABELS.columns[name]) for name in wanted))
    except (PolarsError, OSError) as error:
        raise UserError(f"{path} is not JSON lines of labels ({_first_line(error)}); extract it again") from None
    return rows if rows.height else None


def _judgements(path: Path) -> list[Judgement]:
    """Return the prerequisites of EDGES written as CSV; their weights as shares of 100."""
    try:
        frame = pl.read_csv(path, schema_overrides=dict(EDGES.columns))
    except (PolarsError, OSError) as error:
        raise UserError(f"{path} is not a CSV of edges ({_first_line(error)}); delete it or write it again") from None
    _require(frame, tuple(EDGES.columns)[:4], path)
    wanted = frame.filter(pl.col("kind") == BEFORE, pl.col("weight").is_between(0, 1))
    wanted = wanted.drop_nulls(["source", "target"])
    return [
        Judgement(source, target, round(100 * weight), 100)
        for source, target, weight in wanted.select("source", "target", "weight").iter_rows()
    ]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _require(frame: pl.DataFrame, columns: Sequence[str], path: Path) -> None:
    for column in columns:
        if column not in frame.columns:
            raise UserError(f"{path} has no column '{column}'{nearest(column, frame.columns)}")


def _released(folder: Path) -> Source:
    """Return the skills of a release's rows, with the families that its table of skills gives."""
    parts = [
        collect(scan(folder, "lineage", split).select(row=pl.col("id"), skills=pl.col("skills")), folder)
        for split in splits_of(folder, "lineage")
    ]
    rows = pl.concat(parts)
    names = rows["skills"].explode(empty_as_null=True).drop_nulls().unique().sort().to_list()
    if not names:
        raise UserError(f"the rows of {folder} name no skills, so there is no graph of them")
    families = _families(folder)
    skills = [LanguageSkill(name, family=families.get(name, "")) for name in names]
    return Source(f"Skills of {folder.resolve().parent.name} {folder.resolve().name}", skills, rows, [])


def _families(folder: Path) -> dict[str, str]:
    files = sorted((folder / "skills").glob("*.parquet"))
    if not files:
        return {}
    frame = collect(pl.scan_parquet(files).select("name", "family").drop_nulls(), folder)
    return dict(frame.iter_rows())


def _show_skills(skills: pl.DataFrame, *, has_rows: bool) -> None:
    head = ("skill", "family", "rows" if has_rows else "count", "partners", "nearest partner", "npmi")
    lines = [
        (row["skill"], row["family"], row["rows"], row["partners"], row["nearest"] or "", _number(row["weight"]))
        for row in skills.iter_rows(named=True)
    ]
    say_table(head, lines, right=frozenset({"rows", "count", "partners", "npmi"}))


def _number(weight: float | None) -> str:
    return "" if weight is None else f"{weight:.2f}"


def _show_edges(found: pl.DataFrame, top: int) -> None:
    for kind, title, weight in ((TOGETHER, "together", "npmi"), (BEFORE, "needed before", "share")):
        lines = found.filter(pl.col("kind") == kind).head(top)
        if lines.height:
            say()
            shown = [(a, b, _number(w), n) for a, b, w, n in lines.drop("kind").iter_rows()]
            say_table((title, "", weight, "rows"), shown, right=frozenset({weight, "rows"}))


def _show_dropped(dropped: Sequence[Dropped]) -> None:
    for edge in dropped:
        j = edge.judgement
        say(f"dropped   {j.source} before {j.target} ({j.share:.2f}): it closes the cycle {' > '.join(edge.way)}")


def _show_missing(found: pl.DataFrame, *, has_rows: bool, asked: bool) -> None:
    """Say why a table that the help names is not there."""
    kinds = set(found["kind"])
    if has_rows and TOGETHER not in kinds:
        say("together  none: no row shows two skills")
    if asked and BEFORE not in kinds:
        say("before    none: of no pair that was asked about one skill is needed before the other")
    elif BEFORE not in kinds:
        needs = "" if has_rows else ", of an extraction from rows or documents, or of a release"
        say(f"before    nobody was asked which skill is needed before which: --prerequisites N asks a teacher{needs}")


def _show_coverage(coverage: Coverage, found: pl.DataFrame, *, has_rows: bool) -> None:
    if not has_rows:
        say(f"coverage  {coverage.skills:,} skills; a list alone has no rows, so nothing stands together")
        return
    uses = f"{coverage.least:,} to {coverage.most:,} rows a skill, Gini {coverage.gini:.2f}"
    pairs = f"{coverage.pairs:,} of {coverage.possible_pairs:,} pairs stand together"
    say(f"coverage  {coverage.skills:,} skills in {coverage.rows:,} rows: {uses}; {pairs}")
    seen_once = found.filter(pl.col("kind") == TOGETHER, pl.col("rows") < SEEN).height
    if coverage.rows < ENOUGH_ROWS or seen_once == coverage.pairs:
        say(f"caution   this is little to go by: {coverage.rows:,} rows, {seen_once:,} of the pairs in one row only")
    if coverage.unused:
        more = len(coverage.unused) - UNUSED_SHOWN
        names = ", ".join(coverage.unused[:UNUSED_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
        say(f"unused    {len(coverage.unused):,}: {names}")
    else:
        say("unused    none: every skill stands in a row")


def _as_json(
    read: Source, tables: GraphTables, found: pl.DataFrame, dropped: Sequence[Dropped], pictures: list[Path], top: int
) -> dict[str, Any]:
    kinds = {kind: found.filter(pl.col("kind") == kind).drop("kind") for kind in (TOGETHER, BEFORE)}
    coverage = asdict(tables.coverage)
    return {
        "source": read.title.removeprefix("Skills of "),
        "coverage": coverage if read.rows is not None else {"skills": tables.coverage.skills},
        "skills": tables.skills.head(top).to_dicts(),
        "together": kinds[TOGETHER].head(top).to_dicts(),
        "before": kinds[BEFORE].head(top).to_dicts(),
        "dropped": [{**asdict(edge.judgement), "way": list(edge.way)} for edge in dropped],
        "pictures": [str(path) for path in pictures],
    }
