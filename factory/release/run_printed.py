"""The process that printed_functions starts: a JSON line {"code", "x"} in, {"value"} or {"error"} out.

Started by its path with `-I -S`, so it imports the standard library alone. What it runs was checked before it was sent;
the limits here hold for whatever that check let through.
"""

from __future__ import annotations

import builtins
import json
import signal
import sys
import time
from contextlib import suppress
from types import CodeType, FrameType
from typing import Any

BUILTINS = (
    "abs", "all", "any", "bool", "chr", "dict", "divmod", "enumerate", "int", "len", "list", "map", "max", "min", "ord",
    "range", "reversed", "set", "sorted", "str", "sum", "tuple", "zip",
)  # fmt: skip
MAIN = "main_solution"
SECONDS = 1.0  # computing time of one call
GRACE = 1  # more seconds, after which the process is killed: a loop inside the interpreter hears no signal
MEMORY = 512 * 2**20
LONGEST = 4_000
COMPILED = 256

FAILURES = (
    ArithmeticError, LookupError, TypeError, ValueError, NameError, AttributeError, MemoryError, RuntimeError,
    SyntaxError, StopIteration,
)  # fmt: skip


class OutOfTime(BaseException):
    """A call had its computing time."""


def main() -> int:
    """Answer every line of standard input, then return 0."""
    _limit()
    signal.signal(signal.SIGPROF, _end)
    compiled: dict[str, CodeType] = {}
    for line in sys.stdin:
        _allow(GRACE)
        sys.stdout.write(json.dumps(_answer(json.loads(line), compiled)) + "\n")
        sys.stdout.flush()
    return 0


def _limit() -> None:
    import resource

    # Where a system knows no such limit, the others and the parent's own clock still hold.
    for name, value in (("AS", MEMORY), ("DATA", MEMORY), ("FSIZE", 0), ("CORE", 0), ("NPROC", 0), ("NOFILE", 3)):
        with suppress(ValueError, OSError, AttributeError):
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def _allow(seconds: int) -> None:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + SECONDS) + seconds, hard))


def _end(number: int, frame: FrameType | None) -> None:
    raise OutOfTime


def _answer(task: dict[str, Any], compiled: dict[str, CodeType]) -> dict[str, str]:
    try:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            value = _call(task["code"], task["x"], compiled)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except OutOfTime:
        return {"error": f"ran for more than {SECONDS:g} s"}
    except FAILURES as error:
        return {"error": type(error).__name__}
    if type(value) is not str or len(value) > LONGEST:
        return {"error": f"returned no text of up to {LONGEST} characters"}
    return {"value": value}


def _call(code: list[str], x: str, compiled: dict[str, CodeType]) -> object:
    space: dict[str, Any] = {"__builtins__": {name: getattr(builtins, name) for name in BUILTINS}}
    for part in code:
        ready = compiled.get(part)
        if ready is None:
            ready = compile(part, "prompt", "exec", dont_inherit=True)
            if len(compiled) < COMPILED:
                compiled[part] = ready
        exec(ready, space)  # noqa: S102 - what this process is for
    return space[MAIN](x)


if __name__ == "__main__":
    sys.exit(main())
