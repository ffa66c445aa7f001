from __future__ import annotations

import errno
import json
from concurrent.futures.process import BrokenProcessPool

import click
import pytest
from click.testing import CliRunner, Result
from polars.exceptions import ComputeError

from factory.cli.boundary import REMEDIES, explain
from factory.cli.main import LazyGroup
from factory.cli.options import json_option
from factory.errors import FactoryError, MissingExtra, QuotaUnmet, UserError
from schemas.table import SchemaMismatch


def fail(error: BaseException, *args: str) -> Result:
    """Runs a command that raises this error."""

    @click.command()
    @json_option
    def command(as_json: bool) -> None:
        raise error

    class OneCommand(LazyGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return command

    return CliRunner().invoke(OneCommand("factory"), ["command", *args])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("mend it"), 2),
        (QuotaUnmet("fill it"), 2),
        (MissingExtra("the mini split", "embed"), 2),
        (FactoryError("ours"), 1),
        (SchemaMismatch("table 'slots' v1: column 'id' is missing"), 1),
        (BrokenProcessPool("a process ended"), 1),
        (ComputeError("parquet: underlying IO error: No space left on device (os error 28)"), 2),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), 1),
        *((OSError(number, "told by the system", "outputs/x"), 2) for number in REMEDIES),
    ],
)
def test_a_known_error_is_one_line_and_an_exit_code(error: Exception, code: int) -> None:
    done = fail(error)
    assert done.exit_code == code
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("error", [ValueError("a mistake of ours"), ComputeError("a mistake of ours"), KeyError("x")])
def test_a_mistake_in_the_code_keeps_its_traceback(error: Exception) -> None:
    assert fail(error).exception is error


def test_a_full_disk_says_what_to_do_whoever_meets_it() -> None:
    told = explain(ComputeError("underlying IO error: No space left on device (os error 28)"))
    assert told == (2, f"No space left on device: {REMEDIES[errno.ENOSPC]}")


def test_a_dead_worker_says_how_to_go_on() -> None:
    assert "run again to resume, or use --workers 1" in fail(BrokenProcessPool()).stderr


def test_with_json_the_error_is_the_last_line_of_stdout_too() -> None:
    done = fail(UserError("mend it"), "--json")
    assert json.loads(done.stdout.splitlines()[-1]) == {"ending": "failed", "error": "mend it"}
    assert "mend it" in done.stderr


def test_with_json_a_usage_error_is_told_too() -> None:
    done = fail(UserError("never raised"), "--nonsense", "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["ending"] == "failed"


def test_an_interrupt_leaves_with_130() -> None:
    done = fail(KeyboardInterrupt("shards are kept"), "--json")
    assert done.exit_code == 130
    assert done.stderr == "stopped: shards are kept\n"
    assert json.loads(done.stdout)["ending"] == "stopped"


def test_control_characters_of_an_error_do_not_reach_the_terminal() -> None:
    done = fail(UserError("row \x1b[31mred\x1b[0m\x9b \u202ereversed \udcff"))
    assert done.stderr == "error: row [31mred[0m reversed \n"


@pytest.mark.parametrize("leave", [click.exceptions.Exit(3), click.Abort()])
def test_a_command_may_leave_by_itself(leave: Exception) -> None:
    assert fail(leave).exit_code == (3 if isinstance(leave, click.exceptions.Exit) else 1)
