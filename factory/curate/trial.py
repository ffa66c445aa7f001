"""What a curate job would do, tried on the beginning of each of its sources; nothing of it is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from factory.artifacts.digest import digest
from factory.artifacts.store import Store
from factory.curate.columns import made_ids, rows_from
from factory.curate.funnel import funnel
from factory.curate.job import CurateFile, CurateJob
from factory.curate.read_rows import read_blocks
from factory.curate.release import STAGES, Curated
from factory.curate.run import judge
from factory.curate.sources import OpenSource, ReadSource, open_sources
from factory.jobs.engine import InProcess
from factory.jobs.report import Report
from schemas.columns import REASONS
from schemas.curation import ROWS

MOST = 2_000  # rows of each source


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of the first rows of each source. Copies are looked for among these alone."""

    curated: Curated
    seconds: float

    @property
    def rows(self) -> pl.DataFrame:
        """Return the ROWS that were tried."""
        return pl.concat([shard.read() for shard in self.curated.shards])

    def lines(self) -> dict[str, pl.DataFrame]:
        """Return for each stage a line for every rule that a row broke there."""
        return self.curated.lines(self.curated.ids())

    def told(self) -> dict[str, Any]:
        """Return the figures that `summary_lines` tells."""
        lines, rows = self.lines(), sum(shard.rows for shard in self.curated.shards)
        stages = [name for name in STAGES if name in lines]
        found = funnel(stages, {name: lines[name].select("row", "id", "code") for name in stages}, rows)
        nothing: dict[str, Any] = {"contamination": [], "earlier": [], "corrupted": None}
        unreadable = [{"name": source.source.name, "unreadable": source.unreadable} for source in self.curated.sources]
        return {"sources": unreadable, "rows_in": rows, "rows_out": int(self.curated.alive.sum()), **nothing, **found}


@contextmanager
def trial(file: CurateFile, out: Path, most: int = MOST) -> Iterator[Trial]:
    """Yield a trial over the first rows of each source; its files are gone afterwards, and no teacher is asked.

    Embedders stay in `out`.
    """
    file = replace(file, job=unasked(file.job))
    with TemporaryDirectory(prefix="factory-trial-") as name:
        store, start = Store(Path(name)), time.perf_counter()
        sources: list[ReadSource] = []
        for opened in open_sources(file.job.sources, file.base, out):
            sources.append(_beginning(opened, sources, store, most))
        with InProcess(1) as engine:
            curated = judge(file, sources, store, out, engine, Report(), {})
            yield Trial(curated, time.perf_counter() - start)


def unasked(job: CurateJob) -> CurateJob:
    """Return the job without verdicts of a teacher: what means the same as a benchmark row counts as that row."""
    leaks = job.decontaminate
    if leaks is None or leaks.semantic is None or not leaks.semantic.verdict:
        return job
    meaning = leaks.semantic.model_copy(update={"verdict": False})
    return job.model_copy(update={"decontaminate": leaks.model_copy(update={"semantic": meaning})})


def _beginning(opened: OpenSource, before: list[ReadSource], store: Store, most: int) -> ReadSource:
    """Return the first `most` places of a source, read anew."""
    first = before[-1].first + before[-1].places if before else 0
    frames, faults, end = list[pl.DataFrame](), list[tuple[int, str]](), 0
    for block in chain.from_iterable(read_blocks(file, opened.taken.columns) for file in opened.files):
        places = pl.Series("row", block.places() + end, dtype=pl.Int64)
        frames.append(rows_from(opened.taken, block.columns, opened.name).with_columns(places))
        faults += [(place + end, detail) for place, detail in block.faults]
        end += block.height
        if end >= most:
            break
    rows = pl.concat(frames).filter(pl.col("row") < most)
    left = [(place, detail) for place, detail in faults if place < most]
    ids = made_ids(opened.name, 0, min(end, most))
    own = opened.taken.id is not None and not (rows["id"].is_duplicated().any() or (rows["id"] == "").any())
    frame = rows.with_columns(pl.col("row") + first, rows["id"] if own else ids.gather(rows["row"]).alias("id"))
    reasons = [[{"gate": "read", "code": "row_readable", "detail": detail, "twin": None}] for _, detail in left]
    names = pl.Series("id", ids.gather([place for place, _ in left]), pl.String)
    rejects = pl.DataFrame([names, pl.Series("reasons", reasons, dtype=REASONS)])
    key = digest(of=opened.digest, name=opened.name, first=first)
    artifact = store.commit("rows", key, frame.select(*ROWS.columns), rejects, {"stage": "rows"})
    return ReadSource(opened, first, min(end, most), (artifact,), own, (opened.taken.describe(),))
