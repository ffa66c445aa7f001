from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from factory.cli.main import cli

FLOW = "import sys; from factory.cli.main import main; sys.argv[0] = 'factory'; main()"


def test_a_bad_job_is_told_before_prefect_is_imported(tmp_path: Path) -> None:
    watched = f"{FLOW.replace('main()', '')}\ntry:\n    main()\nfinally:\n    assert 'prefect' not in sys.modules"
    command = [sys.executable, "-c", watched, "flow", "run", "demo", "--set", "rows=no", "--out", str(tmp_path / "o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: job file demo.yaml: rows:")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o").exists()


def test_without_prefect_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.cli.find_spec", lambda name: None)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    done = CliRunner().invoke(cli, ["flow", "run", "demo", "--json"])
    assert done.exit_code == 2
    assert ".[flows]" in json.loads(done.stdout)["error"]


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    pytest.importorskip("prefect")
    url = "http://127.0.0.1:9/api"
    env = os.environ | {"PREFECT_API_URL": url, "PREFECT_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", FLOW, "flow", "run", "demo", "--out", str(tmp_path / "o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: no Prefect server answers at {url}")
    assert "Traceback" not in done.stderr
