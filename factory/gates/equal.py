"""Whether two answers say the same, by kind, and how many answers fall into groups that do.

    number    one number and nothing else, as factory/score.py reads it: 1,000 is 1000, 50% is 0.5, 5 cm is not 5 m
    text      the same words: compatible characters, case, spaces and punctuation at the ends do not count
    math      equal as mathematics (the extra `math`): 1/2 and 0.5, (x+1)^2 and x^2+2x+1, {1, 2} and {2, 1}
    a verifier ({kind, gold, args})    both right, or wrong in the same way

Every kind reads the final answer of a full reply as the scorer does. What is not an answer of the kind is the same as
nothing, not even as itself: None.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, Timer
from typing import Any
from unicodedata import normalize

from factory.errors import FactoryError, MissingExtra, UserError, nearest
from factory.score import final_answer, score

Kind = str | Mapping[str, Any]

ENDS = " \t\n.,;:!?\"'“”‘’«»*_`"
BRACKETED = re.compile(r"\(([^()\[\]{},]*)\)")
WRAPS = " \t*_`$."
BRACKETS = re.compile(r"^\\[(\[]|\\[)\]]$")
LONGEST = 200  # characters: a longer text is a sentence or a listing, not an answer that could be compared
SECONDS = 10.0  # of one comparison; an ordinary one takes a few milliseconds
# A number with or without a unit, and no algebra: 5 m, 5cm, $1,000, 3/4; but not 5x.
NUMERAL = re.compile(
    r"[-+−$€£\s]*\d[\d,]*(?:\.\d*)?(?:\s*/\s*\d+)?(?:\s*\\?[%$€£]|\s+[A-Za-zµ°][\w/²³°]*|(?:[mcdk]m|[mk]g|ml|km/h))?"
)
BARE_FUNCTION = re.compile(r"(?<![\\A-Za-z])(?:(?:arc)?(?:sin|cos|tan)|cot|sec|csc|log|ln|exp|pi|max|min)(?![A-Za-z])")
COMMAND = re.compile(r"\\(?:begin|end)\{[a-z]+\*?\}|\\[A-Za-z]+|sqrt")
LATEX_TEXT = re.compile(r"\\(?:text|mathrm|textbf)\{([^{}]*)\}")
WORD = re.compile(r"[^\W\d_]{3,}")
# 9^{9^9}, 2^{123456}, 99999!: exact arithmetic would not end.
HUGE = re.compile(r"\^\s*(?:\{[^{}]*\d\s*\^|\d+\s*\^|\{?\s*\d{5,})|\d{4,}\s*!|!\s*!")


def same_answer(a: str, b: str, kind: Kind) -> bool | None:
    """Return whether two replies give the same answer; None where one gives none of this kind; UserError: no such kind.

    `math` without the extra raises MissingExtra where comparing by text and number does not settle it.
    """
    if isinstance(kind, Mapping):
        return _by_verifier(a, b, kind)
    if kind not in KINDS:
        raise UserError(f"there is no kind of answer '{kind}'{nearest(kind, KINDS)}")
    return KINDS[kind](final_answer(a), final_answer(b))


def is_answer(text: str, kind: Kind) -> bool:
    """Return whether a reply gives an answer of the kind."""
    return same_answer(text, text, kind) is True


def groups(answers: Sequence[str], kind: Kind) -> list[list[int]]:
    """Return the places of the answers in groups that say the same: the largest first, ties to the earliest.

    Each place is in one group; what gives no answer of the kind is alone. An answer joins the first group whose first
    member it equals.
    """
    found: list[list[int]] = []
    for place, answer in enumerate(answers):
        home = next((group for group in found if same_answer(answers[group[0]], answer, kind)), None)
        if home is None:
            found.append([place])
        else:
            home.append(place)
    return sorted(found, key=len, reverse=True)  # stable: groups were found in the order of their first members


def _text(a: str, b: str) -> bool | None:
    left, right = _bare(a), _bare(b)
    return left == right if left and right else None


def _bare(text: str) -> str:
    plain = " ".join(normalize("NFKC", text).casefold().split()).strip(ENDS)
    inside = BRACKETED.fullmatch(plain)  # (B) is B, but (0, 1] is not [0, 1)
    return inside[1].strip(ENDS) if inside else plain


def _number(a: str, b: str) -> bool | None:
    # The scorer forgives an answer more than a gold (a missing unit, say), so each is tried as the gold.
    values = [_scored(a, {"kind": "number", "gold": _plain(b)}), _scored(b, {"kind": "number", "gold": _plain(a)})]
    return None if None in values else 1.0 in values


def _plain(text: str) -> str:
    return BRACKETS.sub("", text.strip(WRAPS)).strip(WRAPS)


def _scored(answer: str, verifier: Mapping[str, Any]) -> float | None:
    return score(answer, verifier).value


def _by_verifier(a: str, b: str, verifier: Mapping[str, Any]) -> bool | None:
    """Return whether both are right, or wrong in the same way: as the scorer sees it, else word by word."""
    right = [_scored(a, verifier), _scored(b, verifier)]
    if None in right:
        return None
    if 1.0 in right:
        return right[0] == right[1]
    left, other = final_answer(a), final_answer(b)
    found = [_scored(one, {**verifier, "gold": gold}) for one, gold in ((other, left), (left, other))]
    return _text(left, other) if found == [None, None] else 1.0 in found


def _math(a: str, b: str) -> bool | None:
    left, right = (text.strip().rstrip(".").strip(WRAPS) for text in (a, b))
    if not all(text and len(text) <= LONGEST and "\n" not in text for text in (left, right)):
        return None
    if left == right:
        return True
    if NUMERAL.fullmatch(left) and NUMERAL.fullmatch(right):
        return _number(left, right)
    # The parser takes a word for a product of letters: "listen" would equal "silent".
    pair = [BARE_FUNCTION.sub(lambda name: "\\" + name[0], text) for text in sorted((left, right))]
    if any(WORD.search(COMMAND.sub(" ", text)) for text in pair):
        return _text(*(LATEX_TEXT.sub(r"\1", text) for text in (left, right)))
    return None if any(HUGE.search(text) for text in pair) else _by_algebra(*pair)


@lru_cache(maxsize=65536)
def _by_algebra(a: str, b: str) -> bool | None:
    if find_spec("math_verify") is None:
        raise MissingExtra("comparing answers as mathematics", "math")
    return _algebra(os.getpid()).equal(a, b)


KINDS: dict[str, Callable[[str, str], bool | None]] = {"number": _number, "text": _text, "math": _math}


class Algebra:
    """A child process that compares mathematics, one pair at a time; what takes too long ends it, not us.

    The library behind it guards itself by signals, which work in a main thread only, and no signal ends one long
    multiplication; it also prints. None of this happens here.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._child: subprocess.Popen[str] | None = None

    def equal(self, a: str, b: str, seconds: float = SECONDS) -> bool | None:
        """Return whether a equals b; None where one cannot be parsed or the time is over."""
        with self._lock:
            child = self._started()
            timer = Timer(seconds, child.kill)
            timer.start()
            try:
                answer = _said(child, json.dumps([a, b]))
            finally:
                timer.cancel()
            if not answer:
                self._end()
                return None
            found: bool | None = json.loads(answer)
            return found

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._end()

    def _started(self) -> subprocess.Popen[str]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._end()
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        # -P: the folder of the script holds modules with common names.
        command = [sys.executable, "-P", str(Path(__file__).with_name("algebra_child.py"))]
        self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, text=True, encoding="utf-8")
        if self._child.stdout is None or self._child.stdout.readline() != "ready\n":
            self._end()
            raise FactoryError("the process that compares mathematics did not start: is the extra 'math' whole?")
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


def _said(child: subprocess.Popen[str], line: str) -> str:
    """Return the line that the child answers; "" where it ended instead."""
    if child.stdin is None or child.stdout is None:
        return ""
    try:
        child.stdin.write(line + "\n")
        child.stdin.flush()
    except BrokenPipeError:
        return ""
    return child.stdout.readline()


@cache
def _algebra(process: int) -> Algebra:
    """Return the one of this process: pipes are not to be shared with a fork."""
    found = Algebra()
    atexit.register(found.close)
    return found
