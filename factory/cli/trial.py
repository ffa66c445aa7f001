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
from factory.jobs.model import Job, JobFile, SkillSource
from factory.jobs.plan import plan
from factory.recipes.recipe import Sources
from factory.recipes.registry import RECIPES
from factory.seeds.sources import bring_files, needed
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
def trial_sources(file: JobFile) -> Iterator[Sources]:
    """Yield what the job builds on, kept in a temporary folder meanwhile.

    Skills that a teacher has yet to find are stood in for by the shipped list.
    """
    with TemporaryDirectory(prefix="factory-") as folder:
        brought = bring_files(file, Store(Path(folder)))
        if "skills" in needed(file.job) and brought.sources.skills is None:
            shipped = JobFile(file.job.model_copy(update={"skills": SkillSource()}), file.base)
            brought = bring_files(shipped, Store(Path(folder)))
        yield brought.sources


def cells_of(job: Job, entry: int) -> int:
    """Return how many cells a line of `recipes` has."""
    params = job.recipes[entry]
    return len(RECIPES[params.recipe].cells(params))


def attempt(job: Job, entry: int, rows: int, sources: Sources, turn: int = 0) -> Trial:
    """Return one attempt at `rows` slots of one line of `recipes`; another turn plans and draws other rows."""
    alone = job.recipes[entry].model_copy(update={"share": 1.0})
    slots = plan(job.model_copy(update={"recipes": [alone], "rows": rows, "seed": job.seed + turn}), sources)
    params = {"name": job.name, "seed": job.seed, "attempt": turn, "entries": [alone.model_dump(mode="json")]}
    start = time.perf_counter()
    candidates, dropped = CANDIDATES.split(draw(slots, params, library=Library(), sources=sources))
    verdicts, failed = VERDICTS.split(verify(candidates, params, library=Library()))
    seconds = time.perf_counter() - start
    reasons = Counter(
        reason["code"] for rejects in (dropped, failed) for row in rejects["reasons"].to_list() for reason in row
    )
    return Trial(candidates.join(verdicts.select("id"), on="id", how="semi"), slots.height, reasons, seconds)
