"""A curation that is killed, however often and wherever, is finished by the next run to the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from killing import contents, kill_during, start

RUN = """
import json, sys
from factory.curate import sources
from factory.notebook import build

if __name__ == "__main__":
    sources.SHARD_ROWS = 10
    build(json.loads(sys.argv[1]), out=sys.argv[2], workers=2)
"""
WORDS = "tides glaciers bees bridges vaccines chess violins comets orchids locks mosaics kilns ferries lichens".split()


def job_on(folder: Path, rows: int) -> dict[str, Any]:
    """Return a job on rows of which some are copies, leaks or too short."""
    draw = Random(3)
    lines = []
    for i in range(rows):
        said = " ".join(draw.choice(WORDS) for _ in range(4))
        answer = f"A visitor should know that {said} differ from place to place, and guides explain why."
        row = {"id": f"r{i}", "instruction": f"What should a visitor know about {said}?", "answer": answer}
        lines.append(lines[i // 2].replace(f'"r{i // 2}"', f'"r{i}"') if i % 7 == 6 else json.dumps(row))
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "bench.jsonl").write_text(lines[3] + "\n")
    benchmark = {"name": "leaked", "path": str(folder / "bench.jsonl"), "columns": ["instruction"]}
    source = {"path": str(folder / "rows.jsonl"), "columns": {"id": "id"}}
    leaks = {"benchmarks": [benchmark], "containment": None}  # the wording of all rows is the same
    return {"kind": "curate", "name": "killed", "sources": [source], "decontaminate": leaks, "heldout": {"share": 0.2}}


def killed_and_finished(folder: Path, rows: int, kills: int) -> None:
    job = job_on(folder, rows)
    assert start(RUN, job, folder / "whole").wait() == 0
    out, random = folder / "killed", Random(5)
    found = [at for _ in range(kills) if (at := kill_during(start(RUN, job, out), out, random, 12)) is not None]
    assert found, "no run was killed before it had ended"
    assert start(RUN, job, out).wait() == 0
    assert contents(out / "releases") == contents(folder / "whole" / "releases")


@pytest.mark.slow
def test_a_killed_curation_is_finished_to_the_same_bytes(tmp_path: Path) -> None:
    killed_and_finished(tmp_path, 120, 3)


@pytest.mark.chaos
def test_a_curation_killed_twenty_times_is_finished_to_the_same_bytes(tmp_path: Path) -> None:
    killed_and_finished(tmp_path, 600, 20)
