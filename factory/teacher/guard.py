"""A process that keeps a command and all it started from outliving us, whatever ends us.

    python -I guard.py STDIN GRACE COMMAND...

Its own stdin is a pipe that nobody writes to: when it closes (we let go, ended or were killed) the command's whole
process group is asked to end, then killed. STDIN is a file descriptor for the command's stdin, or -1. It leaves with
the command's exit status (128 + signal). Standard library only: it must start in milliseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
BEAT = 0.1  # seconds between looks at the command


class Asked(BaseException):
    """Someone asked this process to end."""


def main(argv: list[str]) -> int:
    """Run the command until it ends or our stdin does; returns its exit status."""
    stdin, grace, command = int(argv[0]), float(argv[1]), argv[2:]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _asked)
    prctl = _prctl()
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # what the command leaves behind becomes ours, so that it can be ended
    parent = os.getppid()
    try:
        child = _start(command, stdin, prctl)
    except OSError as error:
        _say(f"{command[0]} cannot be started: {error.strerror}")
        return 127
    status: int | None = None
    with contextlib.suppress(Asked):
        status = _watch(child, parent)
    left = _end(child, grace)
    if status is None:
        _say("stopped")
    elif left:
        _say(f"the command ended, {_told(status)}; ended what it left running")
    else:
        _say(f"the command ended, {_told(status)}")
    return _exit_status(child.returncode if status is None else status)


def _start(command: list[str], stdin: int, prctl: Callable[[int, int], None]) -> subprocess.Popen[bytes]:
    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # should this very process be killed

    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if stdin < 0 else stdin,
        start_new_session=True,
        preexec_fn=tie,  # noqa: PLW1509 - one thread only
    )
    if stdin >= 0:
        os.close(stdin)
    return child


def _watch(child: subprocess.Popen[bytes], parent: int) -> int | None:
    """Return the command's status, or None when whoever started us is gone or let go."""
    while (status := child.poll()) is None:
        closed, _, _ = select.select([0], [], [], BEAT)
        # A fork of our parent may hold the pipe open after it: hence the second look.
        if (closed and not os.read(0, 1)) or os.getppid() != parent:
            return None
    return status


def _end(child: subprocess.Popen[bytes], grace: float) -> bool:
    """End the command's group and all that became ours; returns whether anything still ran."""
    if not _running(child):
        return False
    _signal(child.pid, signal.SIGTERM)
    until = time.monotonic() + grace
    while _running(child) and time.monotonic() < until:
        time.sleep(BEAT / 4)
    while _running(child):
        _signal(child.pid, signal.SIGKILL)
        time.sleep(BEAT / 4)
    return True


def _running(child: subprocess.Popen[bytes]) -> bool:
    """Return whether the command or any orphan of it runs; what has ended is reaped."""
    child.poll()
    with contextlib.suppress(ChildProcessError):
        while child.returncode is not None and os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return child.returncode is None or bool(_children()) or _group_lives(child.pid)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _signal(group: int, number: signal.Signals) -> None:
    """Signal the command's group, and what left the group but became our child."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
    for pid in _children():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _children() -> list[int]:
    """Return our child processes, where the system can tell (Linux)."""
    me = os.getpid()
    try:
        return [int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def _prctl() -> Callable[[int, int], None]:
    """Return Linux's prctl(option, value), or a function that does nothing elsewhere."""
    found = getattr(ctypes.CDLL(None), "prctl", None)

    def call(option: int, value: int) -> None:
        if found is not None:
            found(option, value, 0, 0, 0)

    return call


def _told(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal {-status} ({signal.Signals(-status).name})"


def _exit_status(status: int) -> int:
    return status if status >= 0 else 128 - status


def _asked(number: int, frame: FrameType | None) -> None:
    raise Asked


def _say(what: str) -> None:
    sys.stderr.write(f"guard: {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
