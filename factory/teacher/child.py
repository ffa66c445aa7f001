"""A child process that ends when we do, however we end: a guard stands between, its life hangs on a pipe of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
GRACE = 8.0  # seconds between asking a child to end and killing it


class Child:
    """A command, its log, and the pipe that its life hangs on.

    Output goes to the log as it comes. The command has a session of its own, so Ctrl-C in our terminal does not reach
    it before `stop` does. With `fed`, lines can be sent to its stdin.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        *,
        fed: bool = False,
        grace: float = GRACE,
    ) -> None:
        self._command = list(command)
        self._log = log
        self._env = dict(env) if env is not None else None
        self._fed = fed
        self._grace = grace
        self._guard: subprocess.Popen[bytes] | None = None
        self._feed = -1
        self._from = 0

    def start(self) -> None:
        """Start the command, its output appended to the log; a child that runs is stopped first."""
        self.stop()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        reader, self._feed = os.pipe() if self._fed else (-1, -1)
        output = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._from = os.fstat(output).st_size
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), str(reader), str(self._grace), *self._command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=self._env,
                start_new_session=True,
                pass_fds=[reader] if self._fed else [],
            )
        finally:
            os.close(output)
            if self._fed:
                os.close(reader)

    def poll(self) -> int | None:
        """Return the exit status (128 + signal) of a command that ended by itself, else None."""
        return None if self._guard is None else self._guard.poll()

    @property
    def running(self) -> bool:
        """Return whether it was started and has not ended."""
        return self._guard is not None and self._guard.poll() is None

    def send(self, line: str) -> None:
        """Send a line to its stdin; BrokenPipeError when it has ended."""
        os.write(self._feed, f"{line}\n".encode())

    def stop(self) -> None:
        """End the command and all that it started; returns once they are gone."""
        if self._feed >= 0:
            os.close(self._feed)
            self._feed = -1
        guard, self._guard = self._guard, None
        if guard is None:
            return
        if guard.stdin is not None:
            guard.stdin.close()
        try:
            guard.wait(self._grace + 20)
        except subprocess.TimeoutExpired:  # a process that no signal ends (stuck in the system) must not hold us up
            guard.kill()
            guard.wait()

    def written(self, most: int = 1 << 18) -> str:
        """Return what the log holds since the last start, at most so many bytes from its end; empty without a log."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(self._from, file.seek(0, os.SEEK_END) - most))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def tail(self, lines: int = 20) -> str:
        """Return the last lines that the log holds since the last start."""
        return "\n".join(self.written().splitlines()[-lines:])
