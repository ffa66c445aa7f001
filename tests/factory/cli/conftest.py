"""A tiny release, built once, and a way to run the command line on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from factory.cli.main import cli
from factory.notebook import build

JOB: dict[str, Any] = {
    "kind": "build",
    "name": "tiny",
    "recipes": [
        {"recipe": "chains", "share": 0.5, "levels": [1, 2], "heldout": 0.2},
        {"recipe": "nested", "share": 0.3},
        {"recipe": "countdown", "share": 0.2},
    ],
}
Factory = Callable[..., Result]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs root with the release tiny 1.0.0; tests that change it take a copy."""
    out = tmp_path_factory.mktemp("cli") / "outputs"
    build(JOB, out=out, rows=60, mini={"rows": 0})
    return out


@pytest.fixture
def outputs(built: Path, tmp_path: Path) -> Path:
    """A copy of the outputs root that a test may change."""
    return Path(shutil.copytree(built, tmp_path / "outputs"))


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Factory:
    """Runs the command line in a folder of the test's own: `factory("rows", "tiny", out=built)`."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object, out: Path | None = None, text: str | None = None) -> Result:
        where = ["--out", str(out)] if out else []
        result = CliRunner().invoke(cli, [*map(str, args), *where], input=text, prog_name="factory")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
