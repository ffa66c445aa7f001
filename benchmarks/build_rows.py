"""Build rows of chains and nested through the stages of a job, up to the samples: one measured run in its own process.

python -m benchmarks.build_rows ROWS FOLDER     prints one JSON object; the artifacts stay in FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from factory.artifacts.store import Store
from factory.jobs.engine import InProcess
from factory.jobs.model import Job, parse_job
from factory.jobs.report import Report
from factory.jobs.waves import Filling, sample_shards

WORKERS = 2
LEVELS = list(range(1, 9))


def bench_job(rows: int) -> Job:
    """Return the job that is measured: half chains, half nested, every level, every default."""
    recipes = [{"recipe": name, "share": 0.5, "levels": LEVELS} for name in ("chains", "nested")]
    raw = {"kind": "build", "name": "bench", "seed": 1, "rows": rows, "recipes": recipes, "mini": {"rows": 0}}
    return parse_job(raw, "the benchmark's job")


def build_rows(rows: int, folder: Path) -> dict[str, Any]:
    """Return what the build did, after its last sample Parquet is in the folder; `ended` is on the monotonic clock."""
    store, report = Store(folder / "artifacts"), Report()
    with InProcess(WORKERS) as engine:
        made = Filling(bench_job(rows), store, engine, report, None).run()
        samples = sample_shards(made, rows, store, engine, report)
        ended = time.monotonic()
    prompts = np.concatenate([artifact.read(["prompt"])["prompt"].hash().to_numpy() for artifact in samples])
    stages = {stage.name: stage.as_json() for stage in report.stages.values()}
    return {"accepted": prompts.size, "distinct": np.unique(prompts).size, "ended": ended, "stages": stages}


if __name__ == "__main__":
    print(json.dumps(build_rows(int(sys.argv[1]), Path(sys.argv[2]))))
