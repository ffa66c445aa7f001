"""The build as a Prefect flow: the same `run_build` as `factory run`, watched shard by shard, to the same bytes.

From the command line: factory flow run demo --set rows=200
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, runtime, tags
from prefect.artifacts import create_markdown_artifact

from factory.errors import UserError
from factory.jobs.kinds import load_any_job, run_job
from factory.jobs.report import Nobody, Report, Watcher
from flows.engine import PrefectEngine

# Who watches beside Prefect's log. Not a parameter: Prefect keeps those as JSON.
WATCHER: ContextVar[Watcher] = ContextVar("watcher", default=Nobody())  # noqa: B039 - it has no state


@dataclass(frozen=True, slots=True)
class Logged:
    """A watcher that logs the beginning of each stage; the shards that follow are task runs and need no lines."""

    beside: Watcher

    def stage(self, name: str, total: int) -> None:
        """Log the beginning of a stage."""
        get_run_logger().info("%s: %d rows", name, total)
        self.beside.stage(name, total)

    def advance(self, name: str, rows: int, rejects: int) -> None:
        """Pass it on."""
        self.beside.advance(name, rows, rejects)

    def note(self, name: str, text: str) -> None:
        """Pass it on."""
        self.beside.note(name, text)

    def remark(self, text: str) -> None:
        """Log it, and pass it on."""
        get_run_logger().info("%s", text)
        self.beside.remark(text)


def run_name() -> str:
    """Return the name and version of the job that the current flow run was asked for."""
    asked = runtime.flow_run.parameters
    try:
        job = load_any_job(asked["job"], asked["set"]).job
    except UserError:
        return str(asked["job"])  # the flow itself says what is wrong with it
    return f"{job.name} {job.release.version}"


@flow(name="build", flow_run_name=run_name, persist_result=False)
def build(  # noqa: PLR0913 - the parameters of the run form
    job: str,
    set: Sequence[str] = (),
    out: str = "outputs",
    workers: int | None = None,
    teacher: str | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """Return what `factory run --json` prints, after the release of a job is in place under out/releases.

    `job` is a shipped name or a YAML path, `set` holds `key=value` overrides, `teacher` and `model` replace where and
    whom the job asks. There are no retries of the whole: an error of the user stays one, and a run after another
    failure finds the finished shards and resumes.
    """
    file = load_any_job(job, set, teacher, model)
    with tags(file.job.name), PrefectEngine(workers) as engine:
        built = run_job(file, Path(out), engine, Report(Logged(WATCHER.get()))).as_json()
    create_markdown_artifact(funnel(built), key=f"build-{file.job.name}", description=f"The funnel of {run_name()}")
    return built


def funnel(built: Mapping[str, Any]) -> str:
    """Return the stages of a build as a Markdown table, and where its release is."""
    head = ["| stage | rows in | rows out | rejects | seconds |", "|---|---:|---:|---:|---:|"]
    lines = [
        f"| {s['name']} | {s['rows_in']:,} | {s['rows_out']:,} | {s['rejects']:,} |"
        + (" cached |" if s["cached"] else f" {s['seconds']:.1f} |")
        for s in built["stages"]
    ]
    title = f"# {built['name']} {built['version']}: {built['rows']:,} rows in {built['seconds']:.1f} s"
    return "\n".join([title, "", *head, *lines, "", f"Release: `{built['release']}`", ""])
