from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from click.testing import Result

from factory.cli.run import RESUME

Factory = Callable[..., Result]
JOB = """kind: build
name: small
rows: 40
mini: {rows: 0}
recipes:
  - {recipe: nested, share: 0.5, levels: [1, 2]}
  - {recipe: countdown, share: 0.5}
"""
STAGES = ["plan", "draw", "verify", "dedupe", "samples", "release"]


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(JOB, encoding="utf-8")
    return path


def test_json_is_one_line_with_release_rows_and_stages(factory: Factory, job: Path, tmp_path: Path) -> None:
    done = factory("run", job, "--json")
    assert done.exit_code == 0
    assert done.stdout.count("\n") == 1
    told = json.loads(done.stdout)
    assert (told["version"], told["rows"], told["ending"]) == ("1.0.0", 40, "filled")
    assert (tmp_path / told["release"] / "manifest.json").is_file()
    assert [stage["name"] for stage in told["stages"]] == STAGES
    assert all(set(s) == {"name", "rows_in", "rows_out", "rejects", "seconds", "cached"} for s in told["stages"])
    assert done.stderr == ""


def test_the_same_command_again_finds_everything_there(factory: Factory, job: Path) -> None:
    factory("run", job)
    assert all(stage["cached"] for stage in json.loads(factory("run", job, "--json").stdout)["stages"])
    assert "everything was there already" in factory("run", job).stdout


def test_a_person_gets_the_load_line_and_what_to_do_next(factory: Factory, job: Path, tmp_path: Path) -> None:
    done = factory("run", job, "--set", "release.version=2.0.0", out=tmp_path / "o")
    folder = tmp_path / "o" / "releases" / "small" / "2.0.0"
    assert f'load_dataset("{folder}", "sft")' in done.stdout
    assert f"factory card {folder}" in done.stdout
    assert "rows     40 in" in done.stdout


def test_progress_goes_to_stderr_in_plain_lines(factory: Factory, job: Path) -> None:
    done = factory("run", job)
    assert [line.split()[0] for line in done.stderr.splitlines()] == STAGES
    assert "\x1b" not in done.stderr


def test_an_override_reaches_the_job(factory: Factory, job: Path) -> None:
    assert json.loads(factory("run", job, "--json", "--set", "rows=20", "--set", "seed=3").stdout)["rows"] == 20


def with_line(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


BAD_JOBS = {
    "malformed YAML": (with_line(JOB, "name: small", "name: [small"), "is not valid YAML at line"),
    "unknown key": (
        with_line(JOB, "rows: 40", "rows: 40\nreplan: 2"),
        "unknown key 'replan' (did you mean 'replans'?)",
    ),
    "unknown recipe": (with_line(JOB, "recipe: nested", "recipe: nestd"), "no recipe 'nestd' (did you mean 'nested'?)"),
    "unknown recipe key": (with_line(JOB, "levels:", "level:"), "unknown key 'level' (did you mean 'levels'?)"),
    "wrong type": (with_line(JOB, "rows: 40", "rows: many"), "found 'many'"),
    "missing key": (with_line(JOB, "rows: 40\n", ""), "the key 'rows' is missing"),
    "shares": (with_line(JOB, "recipe: countdown, share: 0.5", "recipe: countdown, share: 0.4"), "add up to 0.9"),
    "key twice": (with_line(JOB, "rows: 40", "rows: 40\nrows: 50"), "line 4: the key 'rows' is written twice"),
    "no mapping": ("- a\n- b\n", "must be a mapping"),
    "empty": ("", "must be a mapping"),
    "not UTF-8": ("kind: b\udcffuild\n", "is not UTF-8"),
    "out of range": (with_line(JOB, "levels: [1, 2]", "levels: [0]"), "level 0 is not in 1 to"),
    "unmeetable quota": (
        "kind: build\nname: small\nrows: 300\nmini: {rows: 0}\nreplans: 0\nmax_attempts: 2\n"
        "recipes: [{recipe: lego, share: 1, levels: [1], cap: 0.0001}]\n",
        "slots could not be filled",
    ),
}


@pytest.mark.parametrize("name", BAD_JOBS)
def test_a_bad_job_is_one_line_and_exit_code_2(factory: Factory, job: Path, name: str) -> None:
    text, wanted = BAD_JOBS[name]
    job.write_bytes(text.encode("utf-8", "surrogateescape"))
    done = factory("run", job)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert wanted in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (["nowhere.yaml"], "job file nowhere.yaml does not exist"),
        (["dem"], "there is no shipped job 'dem' (did you mean 'demo'?)"),
        (["demo", "--set", "rows"], "--set wants key=value"),
        (["demo", "--set", "recipes.9.share=1"], "'9' is not a line of the list"),
        (["demo", "--set", "mini.rows=0", "--out", "demo.txt/outputs"], "cannot be written"),
        (["demo", "--set", "mini.rows=0", "--out", "x" * 300], "cannot be written"),
    ],
)
def test_a_bad_argument_is_one_line_and_exit_code_2(
    factory: Factory, tmp_path: Path, args: list[str], wanted: str
) -> None:
    (tmp_path / "demo.txt").touch()
    done = factory("run", *args)
    assert done.exit_code == 2
    assert wanted in done.stderr
    assert done.stderr.count("\n") == 1


def test_with_json_a_failure_is_json_on_stdout_and_a_message_on_stderr(factory: Factory) -> None:
    done = factory("run", "nowhere.yaml", "--json")
    told = json.loads(done.stdout)
    assert told["ending"] == "failed"
    assert told["error"] in done.stderr
    assert done.exit_code == 2


@pytest.mark.parametrize("workers", ["0", "-1", "two"])
def test_a_bad_number_of_workers_is_a_usage_error(factory: Factory, workers: str) -> None:
    assert factory("run", "demo", "--workers", workers).exit_code == 2


def test_sigterm_stops_like_ctrl_c_and_its_handler_does_not_stay(
    factory: Factory, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("factory.cli.run.run_job", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    done = factory("run", job)
    assert done.exit_code == 130
    assert RESUME in done.stderr
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_says_that_the_same_command_resumes(
    factory: Factory, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("factory.cli.run.run_job", interrupt)
    done = factory("run", job)
    assert (done.exit_code, done.stderr) == (130, f"stopped: {RESUME}\n")


def test_a_stopped_run_leaves_no_worker_behind(job: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "factory.cli.main", "run", str(job), "--set", "rows=30000", "--workers", "2"]
    run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    workers = wait_for_workers(run, 2)
    run.terminate()
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert (out, err) == ("", f"stopped: {RESUME}\n")
    assert psutil.wait_procs(workers, timeout=10)[1] == []


def wait_for_workers(run: subprocess.Popen[str], n: int) -> list[psutil.Process]:
    process = psutil.Process(run.pid)
    for _ in range(600):
        found = [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]
        if len(found) == n:
            return found
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    raise TimeoutError("the workers never started")
