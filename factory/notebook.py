"""The three calls of a notebook: build a job, load a release, score an answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from factory.jobs.engine import InProcess
from factory.jobs.kinds import any_job, load_any_job, run_job
from factory.jobs.record import Built
from factory.release.reference import find_release, main_config, read_config


def build(
    job: str | Mapping[str, Any], *, out: str | Path = "outputs", workers: int | None = 1, **overrides: Any
) -> Built:
    """Return the release of a shipped job, a YAML path or a mapping with a job file's keys; overrides replace keys.

    `workers` is 1 by default: a notebook's cells cannot always be sent to other processes.
    """
    if isinstance(job, str):
        file = load_any_job(job, overrides)
    else:
        file = any_job({**job, **overrides}, "the job", Path())
    with InProcess(workers) as engine:
        return run_job(file, Path(out), engine)


def load(
    ref: str | Path, config: str | None = None, split: str = "train", *, out: str | Path = "outputs"
) -> pl.DataFrame:
    """Return the rows of one config and split of a release: a folder, or NAME[@VERSION] under `out`.

    The config is `sft` unless said; of a curated release its first.
    """
    folder = find_release(str(ref), Path(out))
    return read_config(folder, config or main_config(folder), split)
