"""A build that is killed, however often and wherever, is finished by the next one to the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from random import Random
from typing import Any

import killing
import psutil
import pytest
from killing import committed, contents, kill_during

JOB: dict[str, Any] = {
    "kind": "build",
    "name": "killed",
    "seed": 5,
    "mini": {"rows": 0},
    "recipes": [
        {"recipe": "chains", "share": 0.4, "levels": [1, 2, 3]},
        {"recipe": "skill-pairs", "share": 0.3},
        {"recipe": "lego", "share": 0.3, "levels": [1, 2, 3], "chain": 3, "cap": 1},
    ],
}
RUN = """
import json, sys
from factory.jobs import waves
from factory.notebook import build

if __name__ == "__main__":
    waves.SHARD_ROWS, waves.OPEN_ROWS = 10, 4
    build(json.loads(sys.argv[1]), out=sys.argv[2], workers=2)
"""


def start(out: Path, rows: int, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Return a build in two workers, all in a process group of their own."""
    return killing.start(RUN, JOB | {"rows": rows}, out, stderr)


def survive(tmp_path: Path, rows: int, kills: int, seed: int) -> dict[str, Any]:
    """Kill a build so often, let it end, and compare it with one that nobody killed."""
    out, random, seen = tmp_path / "killed", Random(seed), list[int]()
    for _ in range(3 * kills):
        if len(seen) < kills and (found := kill_during(start(out, rows), out, random, 18)) is not None:
            seen.append(found)
    for folder in (out, tmp_path / "whole"):
        ended = start(folder, rows, stderr=subprocess.PIPE)
        told = ended.communicate()[1]
        assert ended.returncode == 0, told.decode()
    release = Path("releases/killed/1.0.0")
    one, two = contents(out / release), contents(tmp_path / "whole" / release)
    return {
        "kills": len(seen),
        "artifacts_at_each_kill": seen,
        "artifacts": committed(out),
        "artifacts_of_a_whole_run": committed(tmp_path / "whole"),
        "files": len(two),
        "identical": one == two,
    }


@pytest.mark.slow
def test_a_build_killed_three_times_ends_with_the_same_bytes(tmp_path: Path) -> None:
    found = survive(tmp_path, rows=150, kills=3, seed=1)
    assert found["kills"] == 3
    assert found["files"] > 10
    assert found["identical"]
    assert found["artifacts"] == found["artifacts_of_a_whole_run"]


@pytest.mark.chaos
def test_a_build_killed_twenty_times_ends_with_the_same_bytes(tmp_path: Path) -> None:
    found = survive(tmp_path, rows=600, kills=20, seed=int(os.environ.get("CHAOS_SEED", "1")))
    print(json.dumps(found))
    assert found["kills"] == 20
    assert found["identical"]
    assert found["artifacts"] == found["artifacts_of_a_whole_run"]


@pytest.mark.slow
def test_workers_end_with_a_run_that_is_killed_alone(tmp_path: Path) -> None:
    run = start(tmp_path, rows=600)
    group = psutil.Process(run.pid)
    while not list(tmp_path.glob("artifacts/draw/*/manifest.json")) and run.poll() is None:
        time.sleep(0.01)
    workers = group.children(recursive=True)
    run.kill()
    run.wait()
    assert len(workers) >= 2
    gone, alive = psutil.wait_procs(workers, timeout=30)
    for worker in alive:
        worker.kill()
    assert not alive
    assert len(gone) == len(workers)
