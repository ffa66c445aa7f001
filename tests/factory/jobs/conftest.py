"""A way to run the wave loop of a small job and to look at what it made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory.artifacts.store import Artifact, Store
from factory.jobs.engine import Engine, InProcess
from factory.jobs.model import Job, parse_job
from factory.jobs.report import Report
from factory.jobs.waves import Filling, Made, sample_shards
from factory.recipes.recipe import NOTHING


@dataclass(frozen=True, slots=True)
class Filled:
    """What the wave loop left behind."""

    made: list[Made]
    shards: list[Artifact]
    report: Report

    @property
    def samples(self) -> pl.DataFrame:
        return pl.concat([shard.read() for shard in self.shards])

    @property
    def digests(self) -> list[str]:
        return [shard.digest for shard in self.shards]

    def rejects(self) -> dict[str, str]:
        """Return the code with which each row left, by id."""
        out: dict[str, str] = {}
        for wave in self.made:
            for artifact in (wave.candidates, wave.verdicts, *wave.before, wave.kept):
                out |= {id_: reasons[0]["code"] for id_, reasons in artifact.read_rejects().rows()}
        return out


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)


MakeJob = Callable[..., Job]
Fill = Callable[..., Filled]


@pytest.fixture(scope="session")
def make_job() -> MakeJob:
    """Makes a job without a mini split: `make_job(entry, entry, rows=200)`."""

    def make(*entries: dict[str, Any], rows: int = 200, seed: int = 3, **keys: Any) -> Job:
        job = {"kind": "build", "name": "waves", "rows": rows, "seed": seed, "mini": {"rows": 0}, **keys}
        return parse_job({**job, "recipes": [*entries]}, "the job")

    return make


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Runs the wave loop: `fill(job, engine=..., store="one")`; a store of its own unless one is named."""
    stores: list[str] = []

    def run(job: Job, engine: Engine | None = None, store: str | None = None) -> Filled:
        stores.append(store or f"store {len(stores)}")
        place, report = Store(tmp_path / stores[-1]), Report()
        engine = engine or InProcess(1)
        made = Filling(job, place, engine, report, NOTHING).run()
        return Filled(made, sample_shards(made, job.rows, place, engine, report), report)

    return run
