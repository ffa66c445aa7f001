"""Typed adapters: the edges of a chain, x = phi(y) (h1, arXiv 2510.07312: identity, affine, unit conversion).

Identity is the bare edge. `const_diff` is R-HORIZON's (arXiv 2510.08189): x = y + (m - y) with both numbers known when
the chain is written, so that a user's problem keeps its own answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from factory.artifacts.digest import Rng

CONVERSIONS = (
    ("the number of minutes in {y} hours", 60),
    ("the number of hours in {y} days", 24),
    ("the number of days in {y} weeks", 7),
    ("the number of months in {y} years", 12),
    ("the number of inches in {y} feet", 12),
    ("the number of eggs in {y} dozen", 12),
    ("the number of metres in {y} kilometres", 1000),
    ("the number of grams in {y} kilograms", 1000),
    ("the number of cents in {y} dollars", 100),
    ("the number of millimetres in {y} centimetres", 10),
)


@dataclass(frozen=True, slots=True)
class Adapter:
    """A function from a number to a number that can be said in words."""

    name: str
    apply: Callable[..., int]
    say: Callable[..., str]


def _say_affine(y: str, a: int, b: int) -> str:
    product = y if a == 1 else f"{a} × {y}"
    return f"{product} {'+' if b >= 0 else '-'} {abs(b)}" if b else product


def _say_const_diff(y: str, by: int) -> str:
    return f"{y} {'+' if by >= 0 else '-'} {abs(by)}"


AFFINE = Adapter("affine", lambda y, a, b: a * y + b, _say_affine)
REMAINDER = Adapter(
    "remainder",
    lambda y, m, b: y % m + b,
    lambda y, m, b: f"(the remainder when {y} is divided by {m}) + {b}",
)
CONVERT = Adapter("convert", lambda y, unit: y * CONVERSIONS[unit][1], lambda y, unit: CONVERSIONS[unit][0].format(y=y))
CONST_DIFF = Adapter("const_diff", lambda y, by: y + by, _say_const_diff)

ADAPTERS: Mapping[str, Adapter] = {a.name: a for a in (AFFINE, REMAINDER, CONVERT, CONST_DIFF)}


def proposals(rng: Rng, y: int) -> Iterator[tuple[Adapter | None, dict[str, Any]]]:
    """Yield adapters with parameters for an answer y, in a random order; None is the identity.

    The last ones reduce any number that is not negative to a small range, so that a chain can go on.
    """
    for way in rng.shuffled("=+-u" if y >= 2 else "=+-"):
        if way == "=":
            yield None, {}
        elif way == "+":
            yield AFFINE, {"a": rng.between(1, 4), "b": rng.between(1, 30)}
        elif way == "-":
            yield AFFINE, {"a": rng.between(2, 9), "b": -rng.between(1, 9)}
        else:
            yield CONVERT, {"unit": rng.below(len(CONVERSIONS))}
    if y < 0:
        return  # people do not agree on the remainder of a negative number
    yield REMAINDER, {"m": rng.between(11, 97), "b": rng.between(2, 40)}
    yield REMAINDER, {"m": rng.between(5, 10), "b": rng.between(2, 4)}
