"""`factory flow`: jobs as Prefect flows. Prefect is imported when a flow runs, so that `--help` is quick."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from factory.cli.console import emit, say
from factory.cli.options import json_option, model_option, out_option, set_option, teacher_option
from factory.cli.progress import watching
from factory.cli.run import stoppable
from factory.errors import MissingExtra, UserError
from factory.jobs.kinds import load_any_job
from factory.jobs.report import Nobody, Watcher
from flows.server import local_server

NO_TELEMETRY = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
# Prefect logs a failed flow with its traceback. The terminal gets our one line; Prefect's server still keeps the log.
QUIET = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}


@click.group()
def flow() -> None:
    """Run jobs with Prefect, which watches, tags and retries them shard by shard."""


@flow.command()
@click.argument("job")
@set_option
@teacher_option
@model_option
@out_option
@click.option(
    "--workers", type=click.IntRange(min=1), help="Worker processes; default: the cores this process may use."
)
@click.option("-v", "--verbose", is_flag=True, help="Show Prefect's log instead of progress.")
@json_option
def run(  # noqa: PLR0913 - a command line has as many options as it has
    job: str,
    overrides: tuple[str, ...],
    teacher: str | None,
    model: str | None,
    out: Path,
    workers: int | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Build a release from JOB as a Prefect flow; its bytes are those of `factory run`.

    The flow reports to the server of your Prefect profile or PREFECT_API_URL. Without one, a server of its own is
    started for the run, which keeps its files in DIR/prefect.
    """
    load_any_job(job, overrides, teacher, model)  # a mistake in it is told before a server is started
    os.environ.update(NO_TELEMETRY | ({} if verbose else QUIET))
    if find_spec("prefect") is None:
        raise MissingExtra("running a flow", "flows")
    signal.siginterrupt(signal.SIGINT, True)  # Polars' handler lets waits go on, so Ctrl-C sat out the running shards
    shown: AbstractContextManager[Watcher] = nullcontext(Nobody()) if verbose else watching(quiet=as_json)
    with stoppable(), server(out, verbose=verbose), shown as watcher:
        built = _build(watcher, job=job, set=overrides, out=str(out), workers=workers, teacher=teacher, model=model)
    if as_json:
        emit(built)
    else:
        _sum_up(built)


def _build(watcher: Watcher, **parameters: Any) -> dict[str, Any]:
    from flows.build import WATCHER, build

    before = WATCHER.set(watcher)
    try:
        built: dict[str, Any] = build(**parameters)
        return built
    finally:
        WATCHER.reset(before)


@contextmanager
def server(out: Path, *, verbose: bool = False) -> Iterator[None]:
    """Have a Prefect server that answers inside: the configured one, else one of our own with its files in out/prefect.

    UserError when the configured one does not answer.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_UI_URL, temporary_settings

    configured = PREFECT_API_URL.value()
    if configured:
        _knock(configured)
        yield
        return
    say("starting a local Prefect server, about 10 s the first time (PREFECT_API_URL names a running one)", err=True)
    home = (out / "prefect").absolute()
    url = local_server(home, verbose=verbose)
    with temporary_settings({PREFECT_HOME: home, PREFECT_API_URL: url, PREFECT_UI_URL: ""}):
        yield


def _knock(url: str) -> None:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
    if problem is not None:
        raise UserError(
            f"no Prefect server answers at {url} ({problem}); start it, set another PREFECT_API_URL, or choose another"
            " Prefect profile"
        )


def _sum_up(built: Mapping[str, Any]) -> None:
    cached = all(stage["cached"] for stage in built["stages"])
    say(f"release  {built['release']}")
    say(f"rows     {built['rows']:,} in {built['seconds']:.1f} s{' (everything was there already)' if cached else ''}")
    say(f"look     factory card {built['release']}")
