"""What `factory plan` and `factory preview` show of a job that curates: a trial on the beginning of its sources."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from factory.cli.console import emit, say
from factory.curate.funnel import summary_lines
from factory.curate.job import CurateFile
from factory.curate.trial import MOST, Trial, trial


def plan_curation(file: CurateFile, out: Path, *, as_json: bool) -> None:
    """Show what would become of the first rows of each source."""
    with trial(file, out) as found:
        if as_json:
            emit({"name": file.job.name, "version": file.job.release.version, "trial": found.told()})
            return
        for source in found.curated.sources:
            say(f"{source.source.name}: {'; '.join(source.notes)}")
        say(f"a trial on the first {MOST:,} rows of each source at most; copies are looked for among these alone")
        say()
        for line in summary_lines(found.told()):
            say(line)
        say()
        say(f"{found.rows.height:,} rows in {found.seconds:.1f} s with one worker, start included")


def preview_curation(file: CurateFile, out: Path, count: int) -> None:
    """Show the first rows of each source, and what would become of them."""
    with trial(file, out) as found:
        told = _reasons(found)
        for rows in found.rows.partition_by("source", maintain_order=True):
            for row in rows.head(count).iter_rows(named=True):
                say(f"== {row['source']}, row {row['row']}: {'; '.join(told.get(row['row'], ['stays']))}")
                say(f"-- instruction\n{row['instruction']}\n-- answer\n{row['answer']}\n")


def _reasons(found: Trial) -> dict[int, list[str]]:
    out: dict[int, list[str]] = {}
    for stage, frame in found.lines().items():
        detail = pl.when(pl.col("detail") != "").then(pl.format(" ({})", "detail")).otherwise(pl.lit(""))
        for row, said in frame.select("row", pl.format("{}: {}{}", pl.lit(stage), "code", detail)).iter_rows():
            out.setdefault(row, []).append(said)
    return out
