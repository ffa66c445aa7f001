"""Jobs of whichever kind: read by what they say they are, run by what runs that kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from factory.curate.job import CurateFile, parse_curation
from factory.curate.run import run_curate
from factory.jobs.build import run_build
from factory.jobs.engine import Engine
from factory.jobs.job_file import Overrides, read_job
from factory.jobs.model import CURATE, JobFile, parse_job
from factory.jobs.record import Built
from factory.jobs.report import Report

AnyFile = JobFile | CurateFile


def load_any_job(
    reference: str, overrides: Overrides = (), teacher: str | None = None, model: str | None = None
) -> AnyFile:
    """Return the job of a shipped name or a YAML path, of whichever kind; see `load_job`."""
    raw, path = read_job(reference, overrides, teacher, model)
    return any_job(raw, f"job file {path.name}", path.parent)


def any_job(raw: Any, source: str, base: Path) -> AnyFile:
    """Return the job of parsed YAML, of whichever kind it says it is."""
    if isinstance(raw, dict) and raw.get("kind") == CURATE:
        return CurateFile(parse_curation(raw, source), base)
    return JobFile(parse_job(raw, source), base)


def run_job(file: AnyFile, out: Path, engine: Engine, report: Report | None = None) -> Built:
    """Return what a job left behind, after its release is in place under out/releases."""
    if isinstance(file, CurateFile):
        return run_curate(file, out, engine, report)
    return run_build(file, out, engine, report)
