"""Nested problems as a student reads them: the functions printed in a prompt, run in a process of their own.

A prompt of a release is a stranger's text. Its code is parsed, and refused unless it keeps to the small subset of
Python that string functions need; what is left runs in another process with limits on time, memory and files.
"""

from __future__ import annotations

import ast
import json
import re
import select
import subprocess
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Self

from factory.recipes.nested import ORIGINAL, definition
from factory.release import run_printed
from factory.release.run_printed import BUILTINS, MAIN

MAX_CODE = 8_000
MAX_LINE = 1_000
LARGEST = 10**9
WAIT = 20.0  # seconds that the parent waits for one call, however busy the machine is
GIVE_UP = 20  # calls that end their process or their time: no release of ours has one

METHODS = frozenset(
    "add append capitalize copy count endswith extend find get index insert isalnum isalpha isdigit islower isspace"
    " isupper items join keys ljust lower lstrip pop replace reverse rfind rjust rstrip sort split startswith strip"
    " swapcase title update upper values zfill".split()
)
NODES: tuple[type[ast.AST], ...] = (
    ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign, ast.For, ast.While,
    ast.If, ast.Expr, ast.Pass, ast.Break, ast.Continue, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Dict,
    ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.Compare, ast.Call,
    ast.keyword, ast.Constant, ast.Attribute, ast.Subscript, ast.Name, ast.List, ast.Tuple, ast.Slice, ast.Load,
    ast.Store, ast.And, ast.Or, ast.Add, ast.Sub, ast.Mult, ast.Mod, ast.FloorDiv, ast.Not, ast.USub, ast.Eq,
    ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn,
)  # fmt: skip
KNOWN = frozenset(BUILTINS)
FENCED = re.compile(r"```python\n(.*?)\n```\n(.*)", re.DOTALL)
ASKED = re.compile(rf"{MAIN}\((\"[^\"\\\n]*\"|'[^'\\\n]*')\)")
FUNCTION = re.compile(rf"func_[0-9]{{1,3}}|{MAIN}")


class Refused(ValueError):
    """A prompt whose functions are not run, or gave no answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What a prompt asks to run: function definitions, the last of them main_solution, and its argument."""

    code: tuple[str, ...]
    x: str


def read_prompt(prompt: str, *, hidden: bool) -> Printed:
    """Return the functions and the argument that a prompt shows; Refused where its code is not in the subset.

    With `hidden` the prompt shows main_solution alone, and the library's own definitions stand in for those it calls.
    """
    found = FENCED.fullmatch(prompt)
    if found is None or "```" in found[1] + found[2]:
        raise Refused("it does not start with one block of Python")
    asked = ASKED.findall(found[2])
    if len(asked) != 1:
        raise Refused(f"it does not ask for one value of {MAIN}")
    *parts, main = found[1].split("\n\n")
    names = [name for part in parts for name in _checked(part)]
    names += _check(main)
    if names.count(MAIN) != 1 or names[-1] != MAIN or len(set(names)) != len(names):
        raise Refused(f"its functions are {', '.join(names)}; each must be there once, {MAIN} last")
    if hidden and len(names) > 1:
        raise Refused("it shows definitions that its flag says are hidden")
    known = [definition(ORIGINAL[name]) for name in _called(main) if name in ORIGINAL] if hidden else parts
    return Printed((*known, main), asked[0][1:-1])


@lru_cache(maxsize=512)
def _checked(code: str) -> tuple[str, ...]:
    """Definitions are shared by many prompts, so that most are looked at once."""
    return _check(code)


def _check(code: str) -> tuple[str, ...]:
    """Return the names of the functions that a piece of code defines; Refused unless it does nothing else."""
    tree = _parsed(code)
    for part in ast.walk(tree):
        if fault := _fault(part):
            raise Refused(fault)
    functions = [part for part in tree.body if isinstance(part, ast.FunctionDef)]
    if not functions or len(functions) < len(tree.body):
        raise Refused("it does something else than define functions")
    for function in functions:
        _check_function(function)
    return tuple(function.name for function in functions)


def _parsed(code: str) -> ast.Module:
    lines = code.split("\n")
    if len(code) > MAX_CODE or len(max(lines, key=len)) > MAX_LINE:
        raise Refused("its code is too long")
    if not code.isascii() or "\\" in code:
        raise Refused("its code has characters that are not ASCII, or a backslash")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Refused(f"its code cannot be parsed: {type(error).__name__}") from None


def _fault(part: ast.AST) -> str:
    """Return what makes a node dangerous, "" where nothing does."""
    if not isinstance(part, NODES):
        return f"its code has a part that is not allowed: {type(part).__name__}"
    if isinstance(part, ast.Attribute) and part.attr not in METHODS:
        return f"its code uses the attribute {part.attr[:40]!r}"
    if isinstance(part, ast.Constant) and not _is_plain(part.value):
        return "its code has a constant that is not a text, a truth value or a small whole number"
    if isinstance(part, ast.Name) and part.id.startswith("__"):
        return f"its code uses the name {part.id[:40]!r}"
    return ""


def _is_plain(value: object) -> bool:
    if type(value) is int:
        return abs(value) <= LARGEST
    return value is None or type(value) in (str, bool)


def _check_function(function: ast.FunctionDef) -> None:
    """Refused unless a function has plain arguments and uses only names that are its own, functions' or builtins."""
    given = function.args
    extras = (given.vararg, given.kwarg, *given.kwonlyargs, *given.posonlyargs, *given.defaults, *given.kw_defaults)
    if any(extras) or function.decorator_list or function.returns or any(arg.annotation for arg in given.args):
        raise Refused("its code has a function with more than plain arguments")
    inside = list(ast.walk(function))
    if not FUNCTION.fullmatch(function.name) or any(isinstance(p, ast.FunctionDef) for p in inside[1:]):
        raise Refused(f"its code defines {function.name[:40]!r}, or a function inside it")
    names = [part for part in inside if isinstance(part, ast.Name)]
    own = {arg.arg for arg in given.args} | {name.id for name in names if isinstance(name.ctx, ast.Store)}
    for name in (*own, *(keyword.arg for keyword in inside if isinstance(keyword, ast.keyword))):
        if name is None or name.startswith("__") or FUNCTION.fullmatch(name):
            raise Refused(f"its code uses the name {str(name)[:40]!r}")
    for name in sorted({name.id for name in names} - own - KNOWN):
        if not FUNCTION.fullmatch(name):
            raise Refused(f"its code uses the name {name[:40]!r}")


def _called(code: str) -> list[str]:
    return sorted({name.id for name in ast.walk(_parsed(code)) if isinstance(name, ast.Name)})


class Runner:
    """One process that runs printed functions, started when it is first needed and again after one was ended."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._overrun = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, printed: Printed) -> str:
        """Return what main_solution returns; Refused where it fails, overruns its limits, or too many did before."""
        if self._overrun >= GIVE_UP:
            raise Refused(f"not run: {GIVE_UP} others went over their limits")
        reply = self._ask(json.dumps({"code": printed.code, "x": printed.x}).encode() + b"\n")
        if reply is None:
            self._overrun += 1
            self.stop()
            raise Refused("its process was ended: too much time or memory")
        answer = json.loads(reply)
        if "error" in answer:
            self._overrun += answer["error"].startswith("ran ") or answer["error"] == "MemoryError"
            raise Refused(f"running it gave no answer: {answer['error']}")
        return str(answer["value"])

    def _ask(self, line: bytes) -> bytes | None:
        child = self._child = self._child or _started()
        if child.stdin is None or child.stdout is None:
            return None
        try:
            child.stdin.write(line)
            child.stdin.flush()
        except BrokenPipeError:
            return None
        ready, _, _ = select.select([child.stdout], [], [], WAIT)
        return (child.stdout.readline() or None) if ready else None

    def stop(self) -> None:
        """The process is gone, if there was one."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        child.wait()


def _started() -> subprocess.Popen[bytes]:
    """Return a new process without our environment, our folder, site packages or our terminal."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(run_printed.__file__)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={},
        start_new_session=True,
    )
