"""Runs in process groups of their own, killed at some moment; what they had committed, and what they left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any


def start(code: str, job: dict[str, Any], out: Path, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Return a run of `code`, which finds the job and the outputs folder in its arguments."""
    command = [sys.executable, "-c", code, json.dumps(job), str(out)]
    return subprocess.Popen(command, start_new_session=True, stderr=stderr)


def committed(out: Path) -> int:
    """Return how many artifacts there are."""
    return sum(1 for _ in out.glob("artifacts/*/*/manifest.json"))


def kill_during(run: subprocess.Popen[bytes], out: Path, random: Random, most: int) -> int | None:
    """Return how many artifacts there were when a run was killed; None when it was too quick to be killed.

    It is killed fewer than `most` commits after its start (none, at times) and up to 50 ms later, so at any of its
    steps.
    """
    enough = committed(out) + random.randrange(most)
    begun = time.monotonic() + random.random()
    while run.poll() is None and not (committed(out) >= enough and time.monotonic() > begun):
        time.sleep(0.005)
    time.sleep(random.random() / 20)
    if run.poll() is not None:
        return None
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return committed(out)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
