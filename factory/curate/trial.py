"""What a curate job would do, tried on the beginning of each of its sources; nothing of it is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from factory.artifacts.digest import digest
from factory.artifacts.store import Artifact, Store
from factory.curate.columns import made_ids, rows_from
from factory.curate.copies import NO_REJECTS
from factory.curate.funnel import funnel
from factory.curate.job import CurateFile
from factory.curate.read_rows import first_block
from factory.curate.release import STAGES, Curated
from factory.curate.run import judge
from factory.curate.sources import OpenSource, ReadSource, open_sources
from factory.jobs.engine import InProcess
from factory.jobs.report import Report
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
        return {"sources": [], "rows_in": rows, "rows_out": int(self.curated.alive.sum()), **nothing, **found}


@contextmanager
def trial(file: CurateFile, out: Path, most: int = MOST) -> Iterator[Trial]:
    """Yield a trial over the first rows of each source; its files are gone afterwards. Embedders stay in `out`."""
    with TemporaryDirectory(prefix="factory-trial-") as name:
        store, start = Store(Path(name)), time.perf_counter()
        sources: list[ReadSource] = []
        for opened in open_sources(file.job.sources, file.base, out):
            sources.append(_beginning(opened, sources, store, most))
        with InProcess(1) as engine:
            curated = judge(file, sources, store, out, engine, Report())
            yield Trial(curated, time.perf_counter() - start)


def _beginning(opened: OpenSource, before: list[ReadSource], store: Store, most: int) -> ReadSource:
    first = before[-1].first + before[-1].places if before else 0
    block = next((b for file in opened.files if (b := first_block(file, opened.taken.columns))), None)
    assert block is not None, "an opened source has rows"
    rows = rows_from(opened.taken, block.columns, opened.name).head(most)
    ids = made_ids(opened.name, 0, rows.height)
    own = opened.taken.id is not None and not (rows["id"].is_duplicated().any() or (rows["id"] == "").any())
    numbers = pl.int_range(first, first + rows.height, dtype=pl.Int64, eager=True).alias("row")
    frame = rows.with_columns(numbers, rows["id"] if own else ids.alias("id")).select(*ROWS.columns)
    artifact: Artifact = store.commit("rows", digest(of=opened.digest), frame, NO_REJECTS, {"stage": "rows"})
    return ReadSource(opened, first, rows.height, (artifact,), own, (opened.taken.describe(),))
