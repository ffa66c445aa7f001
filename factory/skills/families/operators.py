"""Operators that recipes build trees with; they are never drawn as tasks of their own."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from factory.artifacts.digest import Rng
from factory.skills.domains import TOP_LEVEL, Booleans
from factory.skills.skill import Skill

FAMILY = "operators"


class _Anything:
    """Whatever the arguments give; another input is a number."""

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> int:
        """Return a number."""
        return rng.between(1, 10**6)

    def holds(self, value: Any) -> bool:
        """Return True."""
        return True

    def about(self) -> str:
        """Return the domain in words."""
        return "anything"


def _divide(a: Any, b: Any) -> Any:
    quotient = Fraction(a) / Fraction(b)
    return int(quotient) if quotient.denominator == 1 else quotient


def _answer_of_seed(x: Any, *, seed: str, key: int, answer: int) -> int:
    """Return the seed's answer; it is known for its own key number only."""
    if x != key:
        raise ValueError(f"the answer of seed {seed} is known for {key} only, not for {x}")
    return answer


def _operator(name: str, apply: Any, steps: str, arity: int) -> Skill:
    return Skill(
        name=name,
        family=FAMILY,
        takes="number",
        gives="number",
        about=steps,
        x=_Anything(),
        apply=apply,
        phrasings=(),
        steps=steps,
        arity=arity,
    )


ADD = _operator("add", lambda a, b: a + b, "the sum of two numbers", 2)
SUBTRACT = _operator("subtract", lambda a, b: a - b, "the difference of two numbers", 2)
MULTIPLY = _operator("multiply", lambda a, b: a * b, "the product of two numbers", 2)
DIVIDE = _operator("divide", _divide, "the quotient of two numbers", 2)
SEED_PROBLEM = _operator("seed_problem", _answer_of_seed, "the answer of a seed whose key number is the input", 1)
KEEP = Skill(
    name="keep",
    family=FAMILY,
    takes="boolean",
    gives="boolean",
    about="the same truth value",
    x=Booleans(),
    apply=lambda x, name: x,
    phrasings=(),
    steps="{x} stays {y}.",
)
NEGATE = Skill(
    name="negate",
    family=FAMILY,
    takes="boolean",
    gives="boolean",
    about="the opposite truth value",
    x=Booleans(),
    apply=lambda x, name: not x,
    phrasings=(),
    steps="not {x} is {y}.",
)
ALL_OF = Skill(
    name="all_of",
    family=FAMILY,
    takes="text",
    gives="list",
    about="all parts of one reply, in order",
    x=_Anything(),
    apply=lambda *parts: list(parts),
    phrasings=(),
    steps="",
    arity=0,
)

SKILLS = (ADD, SUBTRACT, MULTIPLY, DIVIDE, SEED_PROBLEM, KEEP, NEGATE, ALL_OF)
