from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from factory.jobs.build import run_build
from factory.jobs.engine import InProcess
from factory.jobs.model import load_job
from factory.notebook import build

JOB = """kind: build
name: small
rows: 200
mini: {rows: 0}
recipes:
  - {recipe: chains, share: 0.5, levels: [1, 2, 3]}
  - {recipe: nested, share: 0.5, levels: [1, 2]}
"""
# Runs command lines one after the other in one process, so that they share the one server that takes 10 s to start.
DRIVER = """
import json, sys
from factory.cli.main import cli
for argv in json.loads(sys.argv[1]):
    try:
        cli(argv, prog_name="factory")
    except SystemExit as end:
        print("exit", end.code or 0, flush=True)
"""


def clean_environment(home: Path) -> Mapping[str, str]:
    """The environment without what this machine's user has set for Prefect."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return kept | {"HOME": str(home)}


def asked(out: Path, query: str) -> list[tuple[Any, ...]]:
    """What the server of the run wrote down."""
    with closing(sqlite3.connect(out / "prefect" / "prefect.db")) as database:
        return database.execute(query).fetchall()


class Ran(NamedTuple):
    """Three runs with one outputs folder: the first, the same again, and one that cannot fill its slots."""

    out: Path
    stdout: list[str]
    stderr: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    pytest.importorskip("prefect")
    root = tmp_path_factory.mktemp("flow")
    (root / "small.yaml").write_text(JOB, encoding="utf-8")
    first = ["flow", "run", str(root / "small.yaml"), "--out", str(root / "out"), "--json"]
    unmet = ["--set", "name=unmet", "--set", "max_attempts=1", "--set", "replans=0"]
    command = [sys.executable, "-c", DRIVER, json.dumps([first, first, [*first, *unmet]])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=clean_environment(root))
    return Ran(root / "out", done.stdout.splitlines(), done.stderr)


@pytest.mark.slow
def test_the_release_is_that_of_a_plain_run_byte_for_byte(ran: Ran, tmp_path: Path) -> None:
    job = load_job(str(ran.out.parent / "small.yaml"))
    plain = run_build(job, tmp_path, InProcess(1)).release
    made = Path(json.loads(ran.stdout[0])["release"])
    assert contents(made) == contents(plain)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_curation_runs_as_a_flow_to_the_same_bytes(ran: Ran, tmp_path: Path) -> None:
    ask = ["flow", "run", "curate-demo", "--out", str(tmp_path / "flow"), "--json"]
    command = [sys.executable, "-c", DRIVER, json.dumps([ask])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=clean_environment(tmp_path))
    made = Path(json.loads(done.stdout.splitlines()[0])["release"])
    assert contents(made) == contents(build("curate-demo", out=tmp_path / "plain").release)


@pytest.mark.slow
def test_a_second_run_finds_everything_there(ran: Ran) -> None:
    first, again = json.loads(ran.stdout[0]), json.loads(ran.stdout[2])
    assert not any(stage["cached"] for stage in first["stages"])
    assert all(stage["cached"] for stage in again["stages"])
    assert again["release"] == first["release"]
    assert ran.stdout[1::2][:2] == ["exit 0", "exit 0"]


@pytest.mark.slow
def test_a_job_that_cannot_be_filled_exits_2_with_its_message_and_no_traceback(ran: Ran) -> None:
    told = json.loads(ran.stdout[4])
    assert ran.stdout[5] == "exit 2"
    assert "slots could not be filled" in told["error"]
    assert f"error: {told['error']}" in ran.stderr.splitlines()
    assert "Traceback" not in ran.stderr


@pytest.mark.slow
def test_only_our_own_lines_reach_stderr(ran: Ran) -> None:
    said = [line for line in ran.stderr.splitlines() if not line.startswith(("starting a local Prefect", "error: "))]
    assert said == []


@pytest.mark.slow
def test_flow_runs_are_named_for_job_and_version_and_tell_how_they_ended(ran: Ran) -> None:
    runs = asked(ran.out, "select name, state_type from flow_run order by start_time")
    assert runs == [("small 1.0.0", "COMPLETED"), ("small 1.0.0", "COMPLETED"), ("unmet 1.0.0", "FAILED")]


@pytest.mark.slow
def test_each_shard_is_a_tagged_task_run_that_ran_once(ran: Ran) -> None:
    shards = asked(ran.out, "select name, tags, run_count from task_run")
    assert {name for name, _, _ in shards} > {"draw and verify, attempt 0, shard 1 of 1", "samples, shard 1 of 1"}
    assert {"shard", "small"} in [set(json.loads(tags)) for _, tags, _ in shards]
    assert {count for _, _, count in shards} == {1}


@pytest.mark.slow
def test_the_artifact_shows_the_funnel_and_the_release(ran: Ran) -> None:
    told = json.loads(ran.stdout[0])
    key, text = asked(ran.out, "select key, data from artifact order by created")[0]
    assert key == "build-small"
    assert told["release"] in text
    for stage in told["stages"]:
        assert f"| {stage['name']} | {stage['rows_in']} | {stage['rows_out']} | {stage['rejects']} |" in text


@pytest.mark.slow
def test_ctrl_c_stops_the_run_and_its_server_still_hears_of_it(ran: Ran, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(ran.out / "prefect", out / "prefect")  # a server starts faster when its database is there
    command = [sys.executable, "-m", "factory.cli.main", "flow", "run", "demo", "--set", "rows=40000", "--set"]
    child = subprocess.Popen(
        [*command, "mini.rows=0", "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(tmp_path),
        start_new_session=True,
    )
    with child:
        while child.poll() is None and not list((out / "artifacts").glob("plan*")):
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGINT)
        said = child.communicate()[1]
    assert child.returncode == 130
    assert "the same command resumes" in said
    assert "Traceback" not in said
    assert asked(out, "select state_type from flow_run where name like 'demo %'") == [("CRASHED",)]
