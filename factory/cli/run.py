"""`factory run`: build a release here, with progress, and stop cleanly when asked to."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from factory.cli.console import emit, say
from factory.cli.options import json_option, model_option, out_option, set_option, teacher_option
from factory.cli.progress import watching
from factory.jobs.engine import InProcess
from factory.jobs.kinds import load_any_job, run_job
from factory.jobs.record import Built
from factory.jobs.report import Report
from factory.release.folder import load_line

RESUME = "finished shards are kept, and the same command resumes"


@click.command()
@click.argument("job")
@set_option
@teacher_option
@model_option
@out_option
@click.option(
    "--workers", type=click.IntRange(min=1), help="Worker processes; default: the cores this process may use."
)
@json_option
def run(  # noqa: PLR0913 - a command line has as many options as it has
    job: str,
    overrides: tuple[str, ...],
    teacher: str | None,
    model: str | None,
    out: Path,
    workers: int | None,
    as_json: bool,
) -> None:
    """Build a release from JOB: the name of a shipped job (see `factory jobs`) or a YAML file.

    Run it again to resume: what is finished is not made twice.
    """
    file = load_any_job(job, overrides, teacher, model)
    with stoppable(), watching(quiet=as_json) as watcher, InProcess(workers) as engine:
        built = run_job(file, out, engine, Report(watcher))
    if as_json:
        emit(built.as_json())
    else:
        _sum_up(built)


def _sum_up(built: Built) -> None:
    if built.curation:
        from factory.curate.funnel import summary_lines

        for line in (*summary_lines(built.curation), ""):
            say(line)
    cached = all(stage["cached"] for stage in built.stages)
    came = built.curation["rows_in"] if built.curation else built.rows
    took = "everything was there already" if cached else f"{came / built.seconds:,.0f} rows/s"
    say(f"release  {built.release}")
    say(f"rows     {built.rows:,} in {built.seconds:.1f} s ({took})")
    for line in judging_lines(built.judging or {}):
        say(line)
    say(f"load     {load_line(str(built.release.absolute()), built.release)}")
    say(f"look     factory card {built.release}")


def judging_lines(judging: Mapping[str, Any]) -> Iterator[str]:
    """Yield how each judge did on gold rows, and what moved since the last run by more than chance."""
    for told in judging.get("gold_rows", ()):
        yield from (f"judge    {s['judge']}: {_standing(s)} ({told['rubric']})" for s in told["judges"])
    for moved in judging.get("drift", ()):
        if moved["flagged"]:
            yield f"drift    {moved['what']} ({moved['rubric']}): {moved['before']:.0%} before, {moved['now']:.0%} now"


def _standing(told: Mapping[str, Any]) -> str:
    """Return how a judge did on gold rows: right verdicts, the points it missed, whether its votes are void."""
    points = [f"{name} {right} of {given}" for name, (right, given) in told["points"].items() if right < given]
    missed = f"; missed: {', '.join(points)}" if points else ""
    void = f"; its votes are void: {told['void']}" if told["void"] else ""
    return f"{told['right']} of {told['given']} gold verdicts right{missed}{void}"


STOPPING = 5.0  # seconds for what watches the workers to see that they are gone


@contextmanager
def stoppable() -> Iterator[None]:
    """Stop the workers at once on Ctrl-C or SIGTERM; a shard is committed whole or not at all, so none can be half."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _interrupt) if main else None
    try:
        yield
    except KeyboardInterrupt:
        for worker in multiprocessing.active_children():
            worker.terminate()
        for thread in threading.enumerate():
            if type(thread).__name__ == "_ExecutorManagerThread":
                thread.join(STOPPING)  # else it may close the pipe that the interpreter's end writes to
        raise KeyboardInterrupt(RESUME) from None
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
