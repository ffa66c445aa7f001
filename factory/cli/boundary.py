"""The one place where errors become a line on stderr and an exit code.

0 done · 1 ours · 2 the user can mend it · 3 waiting for replies · 130 stopped by Ctrl-C or SIGTERM
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from factory.cli.console import emit, say
from factory.errors import FactoryError, Waiting

OURS, THEIRS, STOPPED = 1, 2, 130
JSON = "factory.cli.json"  # the key in a context's meta that says whether JSON is wanted

DIED = "a worker process died (out of memory?); run again to resume, or use --workers 1"
REMEDIES = {
    errno.ENOSPC: "free some space or choose another folder, then run the same command again",
    errno.EDQUOT: "free some of your quota or choose another folder, then run the same command again",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "choose another folder, or change its permissions",
    errno.EPERM: "choose another folder, or change its permissions",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextmanager
def boundary(ctx: click.Context | None = None) -> Iterator[None]:
    """Leave with the exit code of what went wrong inside, told in one line; with `--json` also as JSON on stdout."""
    try:
        yield
    except (click.exceptions.Exit, click.Abort):
        raise
    except click.ClickException as error:
        _tell_json(ctx, "failed", error.format_message())
        raise
    except KeyboardInterrupt as stop:
        note = f"stopped: {stop.args[0]}" if stop.args else "stopped"
        say(note, err=True)
        _tell_json(ctx, "stopped", note)
        raise click.exceptions.Exit(STOPPED) from None
    except BrokenPipeError:
        _let_go_of_stdout()
        raise click.exceptions.Exit(0) from None
    except _known() as error:
        told = explain(error)
        if told is None:
            raise
        ending, sign = ("waiting", "waiting") if isinstance(error, Waiting) else ("failed", "error")
        say(f"{sign}: {told[1]}", err=True)
        _tell_json(ctx, ending, told[1])
        raise click.exceptions.Exit(told[0]) from None


def _known() -> tuple[type[BaseException], ...]:
    """Return the errors that can be explained; imported only once something went wrong, since Polars is heavy."""
    from concurrent.futures.process import BrokenProcessPool

    from polars.exceptions import PolarsError

    from schemas.table import SchemaMismatch

    return FactoryError, SchemaMismatch, OSError, BrokenProcessPool, PolarsError


def explain(error: BaseException) -> tuple[int, str] | None:
    """Return (exit code, message) of a known error, or None for one that is a mistake in the code."""
    number = _errno(error)
    if number in REMEDIES:
        place = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        return THEIRS, f"{os.strerror(number)}{place}: {REMEDIES[number]}"
    if isinstance(error, FactoryError):
        return error.exit_code, str(error)
    if isinstance(error, OSError):
        place = f": {error.filename}" if error.filename else ""
        return OURS, f"{error.strerror or error}{place}"
    name = type(error).__name__
    if name == "BrokenProcessPool":
        return OURS, DIED
    return (OURS, str(error)) if name == "SchemaMismatch" else None


def _errno(error: BaseException) -> int:
    """Return the system's error number, which Polars only tells in its message; 0 when there is none."""
    if isinstance(error, FactoryError):
        return 0
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else 0


def _tell_json(ctx: click.Context | None, ending: str, message: str) -> None:
    if ctx is not None and ctx.meta.get(JSON):
        emit({"ending": ending, "error": message})


def _let_go_of_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not complain when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
