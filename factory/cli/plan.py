"""`factory plan`: the slots of a job by cell, and what a small trial says of its time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from factory.cli.console import emit, say, say_table
from factory.cli.curation import plan_curation
from factory.cli.options import json_option, model_option, out_option, set_option, teacher_option
from factory.cli.trial import attempt, trial_sources
from factory.curate.job import CurateFile
from factory.jobs.engine import default_workers
from factory.jobs.estimate import SAMPLED, Estimate, estimate
from factory.jobs.kinds import load_any_job
from factory.jobs.model import Job, JobFile
from factory.jobs.plan import SHARD_ROWS, Quota, apportion, quotas
from factory.recipes.recipe import Sources

BUDGET = 1.2  # seconds of drawing and verifying, all recipes together
FIRST, GROWTH = 16, 4
OTHER_STAGES = 1.35  # measured: planning, dedupe and export add about a third to drawing and verifying


@dataclass(frozen=True, slots=True)
class Rate:
    """What a trial says of one line of `recipes`."""

    recipe: str
    rows: int
    attempts: int
    passed: int
    seconds: float
    reasons: Counter[str]

    @property
    def yield_(self) -> float:
        """Return the share of attempts that pass."""
        return self.passed / self.attempts

    @property
    def work(self) -> float:
        """Return the seconds of one worker for all of the rows; infinite when nothing passes."""
        return self.rows * self.seconds / self.passed if self.passed else float("inf")


@click.command()
@click.argument("job")
@set_option
@teacher_option
@model_option
@out_option
@json_option
def plan(  # noqa: PLR0913 - a command line has as many options as it has
    job: str, overrides: tuple[str, ...], teacher: str | None, model: str | None, out: Path, as_json: bool
) -> None:
    """Show how many slots each cell of JOB gets, and about how long a build takes here.

    A small trial in memory measures rate and yield; nothing is written. Of a job that curates, the trial shows what
    would become of the first rows of each source.
    """
    file = load_any_job(job, overrides, teacher, model)
    if isinstance(file, CurateFile):
        plan_curation(file, out, as_json=as_json)
        return
    planned = quotas(file.job)
    with trial_sources(file) as sources:
        rates = [
            _measure(file.job, e, rows, sources) for e, rows in enumerate(_rows_of(file.job)) if _by_program(file, e)
        ]
        asks = estimate(file.job, sources, file.base) if file.job.talks else None
    if as_json:
        emit(_as_json(file.job, planned, rates) | ({"teacher": asks.as_json()} if asks else {}))
        return
    cells = [(q.params.recipe, q.cell.name, q.split, q.n) for q in planned]
    say_table(("recipe", "cell", "split", "rows"), cells, right=frozenset({"rows"}))
    if asks:
        say()
        say(_told_of_teacher(file.job, asks))
    if not rates:
        return
    say()
    told = [(r.recipe, r.rows, f"{r.yield_:.1%}", f"{r.passed / r.seconds:,.0f}") for r in rates]
    say_table(("recipe", "rows", "yield", "rows/s"), told, right=frozenset({"rows", "yield", "rows/s"}))
    say()
    say(_sum_up(file.job, rates))


def _by_program(file: JobFile, entry: int) -> bool:
    return not file.job.asks(entry)


def _told_of_teacher(job: Job, asks: Estimate) -> str:
    """Return the requests, tokens and money of a job that talks, and what they rest on."""
    usage, usd, most = asks.usage, asks.usd(), asks.usd(most=True)
    money = "" if usd is None else f", about {usd:,.2f} USD (at most {most:,.2f})"
    models = dict.fromkeys(spec.model for role in asks.asked if (spec := job.teacher_of(role)))
    by_time = [role for role in asks.asked if (price := asks.prices[role]) is None or price.gpu_hour is not None]
    if money and by_time:
        money += f" without the {' and '.join(by_time)}, whose price is per GPU-hour or not given"
    who = f"teacher {' and '.join(models)}" if models else "a teacher, none is named yet"
    return (
        f"{who}: about {asks.requests:,} requests, {usage.prompt_tokens:,} prompt and"
        f" {usage.completion_tokens:,} completion tokens (± {asks.spread:.0%}; at most {asks.most_tokens:,} tokens, if"
        f" every reply grew to its limit){money}\n"
        f"from up to {SAMPLED} rendered conversations of each recipe, {asks.counted}, replies as long as their"
        " examples; an attempt that a gate sends back costs as much again"
    )


def _rows_of(job: Job) -> list[int]:
    return apportion(job.rows, [entry.share for entry in job.recipes])


def _measure(job: Job, entry: int, rows: int, sources: Sources) -> Rate:
    """Return the rate of one line of `recipes`, from trials that grow until its share of the time is used up."""
    attempt(job, entry, 1, sources)  # fills caches, which a build fills once
    budget, size, turn = BUDGET / len(job.recipes), FIRST, 0
    attempts, passed, seconds, reasons = 0, 0, 0.0, Counter[str]()
    while turn == 0 or seconds * (1 + GROWTH) < budget:  # the next trial takes about GROWTH times what was used
        trial = attempt(job, entry, size, sources, turn)
        attempts += trial.attempts
        passed += trial.passed.height
        seconds += trial.seconds
        reasons += trial.reasons
        size, turn = size * GROWTH, turn + 1
    return Rate(job.recipes[entry].recipe, rows, attempts, passed, seconds, reasons)


def _estimate(job: Job, rates: list[Rate]) -> tuple[float | None, int]:
    """Return (seconds of a build, workers it can use); None when a recipe gave nothing to judge by."""
    workers = min(default_workers(), -(-job.rows // SHARD_ROWS))
    work = sum(rate.work for rate in rates)
    return (work / workers * OTHER_STAGES if work != float("inf") else None), workers


def _sum_up(job: Job, rates: list[Rate]) -> str:
    seconds, workers = _estimate(job, rates)
    if seconds is None:
        worst = next(rate for rate in rates if not rate.passed)
        why = ", ".join(f"{code}: {n}" for code, n in worst.reasons.most_common(3))
        return f"{job.rows:,} rows; none of {worst.attempts} attempts of recipe '{worst.recipe}' passed ({why})"
    tries = sum(rate.rows / rate.yield_ for rate in rates)
    mini = f"; embedding {job.mini.pool:,} rows for the mini split comes on top" if job.mini.rows else ""
    rows = sum(rate.rows for rate in rates)
    which = f"{rows:,} rows" if rows == job.rows else f"{rows:,} rows without a teacher"
    return f"{which} from about {tries:,.0f} attempts, about {_readable(seconds)} on {_several(workers)}{mini}"


def _several(workers: int) -> str:
    return f"{workers} worker{'s' if workers > 1 else ''}"


def _readable(seconds: float) -> str:
    for size, unit in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"


def _as_json(job: Job, planned: list[Quota], rates: list[Rate]) -> dict[str, Any]:
    seconds, workers = _estimate(job, rates)
    return {
        "name": job.name,
        "version": job.release.version,
        "rows": job.rows,
        "cells": [
            {"entry": q.entry, "recipe": q.params.recipe, "cell": q.cell.name, "split": q.split, "rows": q.n}
            for q in planned
        ],
        "recipes": [
            {
                "recipe": r.recipe,
                "rows": r.rows,
                "attempts": r.attempts,
                "yield": round(r.yield_, 4),
                "rows_per_second": round(r.passed / r.seconds, 1),
            }
            for r in rates
        ],
        "workers": workers,
        "seconds": None if seconds is None else round(seconds, 1),
    }
