"""`factory preview`: a few rows of each recipe, made in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import polars as pl

from factory.cli.console import say
from factory.cli.curation import preview_curation
from factory.cli.options import out_option, set_option
from factory.cli.trial import attempt, cells_of, trial_sources
from factory.curate.job import CurateFile
from factory.errors import QuotaUnmet
from factory.jobs.estimate import sampled
from factory.jobs.kinds import load_any_job
from factory.jobs.model import Job
from factory.jobs.talk import request_of
from factory.recipes.recipe import Sources
from factory.teacher.model import SamplingSpec

TURNS = 10


@click.command()
@click.argument("job")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=3, show_default=True, help="Rows of each recipe.")
@set_option
@out_option
def preview(job: str, count: int, overrides: tuple[str, ...], out: Path) -> None:
    """Show a few rows of each recipe of JOB, levels evenly spread: the prompt, the solver's steps, the gold answer.

    Nothing is written. The rows pass the same gate as those of a release, but they are other rows. Of a recipe that
    talks to a teacher it shows what would be asked first; nobody is asked. Of a job that curates it shows the first
    rows of each source, and what would become of them.
    """
    file = load_any_job(job, overrides)
    if isinstance(file, CurateFile):
        preview_curation(file, out, count)
        return
    with trial_sources(file) as sources:
        for entry in range(len(file.job.recipes)):
            if file.job.asks(entry):
                _show_asks(file.job, entry, count, sources)
                continue
            for row in _draw(file.job, entry, count, sources):
                show_row(row)


def _show_asks(job: Job, entry: int, count: int, sources: Sources) -> None:
    """Write what a teacher would be asked first about a few rows; nobody is asked."""
    wanted = job.teacher.sampling if job.teacher else SamplingSpec()
    asked = [c for c in sampled(job, entry, TURNS * count, sources) if c.is_open]
    for conversation in asked[:count]:
        for ask in conversation.asks:
            say(f"== {job.recipes[entry].recipe}: asks the {ask.role} with {ask.prompt}")
            for message in request_of(ask, 0, wanted).messages:
                say(f"-- {message['role']}\n{message['content']}\n")


def _draw(job: Job, entry: int, count: int, sources: Sources) -> list[dict[str, Any]]:
    """Return rows of one line of `recipes` from as many of its cells as there are rows."""
    cells = cells_of(job, entry)
    passed: list[pl.DataFrame] = []
    for turn in range(TURNS):
        trial = attempt(job, entry, cells * -(-2 * count // cells), sources, turn)
        passed.append(trial.passed)
        if sum(frame.height for frame in passed) >= count:
            break
    frame = pl.concat(passed)
    if not frame.height:
        why = ", ".join(f"{code}: {n}" for code, n in trial.reasons.most_common(3))
        raise QuotaUnmet(f"recipe '{job.recipes[entry].recipe}' (recipes.{entry}) made no row that passed ({why})")
    return spread(frame, count).to_dicts()


def spread(frame: pl.DataFrame, count: int) -> pl.DataFrame:
    """Return `count` rows (or all), their levels spread evenly from the lowest to the highest."""
    levels = sorted(set(frame["level"]))
    wanted = [levels[round(i * (len(levels) - 1) / max(count - 1, 1))] for i in range(count)]
    chosen = pl.DataFrame({"level": wanted}).with_columns(turn=pl.int_range(pl.len()).over("level"))
    ranked = frame.sort("slot").with_columns(turn=pl.int_range(pl.len()).over("level"))
    first = ranked.join(chosen, on=["level", "turn"], how="semi")
    rest = ranked.join(chosen, on=["level", "turn"], how="anti").sort("turn", "level")
    return pl.concat([first, rest.head(count - first.height)]).sort("level", "turn")


def show_row(row: dict[str, Any]) -> None:
    """Write a candidate for a person."""
    say(f"== {row['recipe']}, {row['cell']}, {row['split']}: {', '.join(row['skills'])}")
    say(row["prompt"])
    say(f"-- steps\n{row['steps']}")
    say(f"-- gold ({row['verifier']['kind']})\n{row['verifier']['gold']}\n")
