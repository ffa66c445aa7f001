"""Trials: slots of one recipe drawn and verified in memory, so that a job can be looked at before anything is made."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from factory.artifacts.store import Store
from factory.gates.verify import verify
from factory.jobs.draw import draw
from factory.jobs.model import Job, JobFile
from factory.jobs.plan import plan
from factory.recipes.registry import RECIPES
from factory.seeds.bank import SeedBank, import_seeds
from factory.skills.library import Library
from schemas.candidates import CANDIDATES
from schemas.verdicts import VERDICTS


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial gave: CANDIDATES that passed, the number of attempts, what did not hold, and how long it took."""

    passed: pl.DataFrame
    attempts: int
    reasons: Counter[str]
    seconds: float  # of drawing and verifying; planning is not in it


@contextmanager
def trial_seeds(file: JobFile) -> Iterator[SeedBank | None]:
    """Yield the job's seeds, kept in a temporary folder meanwhile; None when it has none."""
    if file.job.seeds is None:
        yield None
        return
    with TemporaryDirectory(prefix="factory-") as folder:
        yield SeedBank(import_seeds(file.job.seeds, file.base, Store(Path(folder))))


def cells_of(job: Job, entry: int) -> int:
    """Return how many cells a line of `recipes` has."""
    params = job.recipes[entry]
    return len(RECIPES[params.recipe].cells(params))


def attempt(job: Job, entry: int, rows: int, seeds: SeedBank | None, turn: int = 0) -> Trial:
    """Return one attempt at `rows` slots of one line of `recipes`; another turn plans and draws other rows."""
    alone = job.recipes[entry].model_copy(update={"share": 1.0})
    slots = plan(job.model_copy(update={"recipes": [alone], "rows": rows, "seed": job.seed + turn}), seeds)
    params = {"name": job.name, "seed": job.seed, "attempt": turn, "entries": [alone.model_dump(mode="json")]}
    start = time.perf_counter()
    candidates, dropped = CANDIDATES.split(draw(slots, params, library=Library(), seeds=seeds))
    verdicts, failed = VERDICTS.split(verify(candidates, params, library=Library()))
    seconds = time.perf_counter() - start
    reasons = Counter(
        reason["code"] for rejects in (dropped, failed) for row in rejects["reasons"].to_list() for reason in row
    )
    return Trial(candidates.join(verdicts.select("id"), on="id", how="semi"), slots.height, reasons, seconds)
