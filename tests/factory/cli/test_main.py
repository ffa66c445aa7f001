from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import Result

from factory.cli.main import COMMANDS, PACKAGES, cli

Factory = Callable[..., Result]
HELP_THEN_MODULES = """
import json, sys
from factory.cli.main import cli
try:
    cli(["--help"], prog_name="factory")
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


@pytest.fixture
def entry_point(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes one command of another package known."""

    def install(name: str, value: str) -> None:
        found = [EntryPoint(name, value, PACKAGES)]
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: found if group == PACKAGES else [])

    return install


def test_help_imports_no_library_but_click() -> None:
    done = subprocess.run([sys.executable, "-c", HELP_THEN_MODULES], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stderr))
    heavy = {"polars", "pydantic", "numpy", "rich", "yaml", "orjson", "pyarrow", "prefect", "factory.jobs.model"}
    assert "click" in loaded
    assert not heavy & loaded


def test_help_lists_every_command(factory: Factory) -> None:
    shown = factory("--help").stdout
    assert all(f"\n  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_where_the_table_says(name: str, factory: Factory) -> None:
    command = cli.get_command(cli.make_context("factory", ["jobs"]), name)
    assert command is not None
    assert command.name == name
    assert command.help
    assert factory(name, "--help").exit_code == 0


@pytest.mark.parametrize(("typed", "meant"), [("rnu", "run"), ("skils", "skills"), ("publsh", "publish")])
def test_an_unknown_command_names_the_nearest(factory: Factory, typed: str, meant: str) -> None:
    done = factory(typed)
    assert done.exit_code == 2
    assert f"there is no command '{typed}' (did you mean '{meant}'?)" in done.stderr


def test_an_unknown_option_is_a_usage_error(factory: Factory) -> None:
    assert factory("--bogus").exit_code == 2


def test_the_version_is_the_installed_one(factory: Factory) -> None:
    assert factory("--version").stdout.strip().endswith(importlib.metadata.version("skill-factory"))


def test_a_command_of_another_package_is_listed_and_run(
    factory: Factory, entry_point: Callable[[str, str], None]
) -> None:
    entry_point("extra", "factory.cli.jobs:jobs")
    assert "\n  extra" in factory("--help").stdout
    assert factory("extra").stdout == factory("jobs").stdout


def test_another_package_cannot_replace_a_command_of_ours(
    factory: Factory, entry_point: Callable[[str, str], None]
) -> None:
    entry_point("jobs", "factory.cli.skills:skills")
    assert "demo" in factory("jobs").stdout


@pytest.mark.parametrize("value", ["no_such_module_at_all:flow", "factory.cli.main:COMMANDS"])
def test_a_package_command_that_cannot_be_loaded_is_told_without_a_traceback(
    factory: Factory, entry_point: Callable[[str, str], None], value: str
) -> None:
    entry_point("extra", value)
    done = factory("extra")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize("args", [["--help"], ["skills", "list"], ["skills", "list", "--json"]])
def test_a_closed_pipe_is_quiet(args: list[str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "factory.cli.main", *args]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=tmp_path, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
