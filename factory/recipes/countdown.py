"""Countdown by expression tree (arXiv 2512.01775): pattern first, balanced by tree shape, solved exactly.

A pattern is an operator tree with unlabelled leaves, modulo commutativity and associativity: a sum of signed products,
a product of powers +1 or -1 of sums. There are 18 patterns of 3 numbers, 96 of 4 and 558 of 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement
from typing import Any, Literal

from pydantic import Field, field_validator

from factory.artifacts.digest import Rng
from factory.recipes.coverage import name_lists, stream
from factory.recipes.recipe import (
    ANSWER_LINES,
    Brief,
    Cell,
    Demand,
    Draft,
    Dropped,
    Plan,
    Recipe,
    RecipeParams,
    Verifier,
    check_levels,
)
from factory.skills.families.operators import ADD, DIVIDE, MULTIPLY, SUBTRACT
from factory.skills.skill import Skill, Value
from factory.skills.tree import Tree, evaluate, literal, node

LARGEST = 99
TRIES = 60
Pattern = tuple[Any, ...]  # ("leaf",) | ("sum" | "product", straight patterns, inverted patterns)
LEAF: Pattern = ("leaf",)
SIGNS = {ADD.name: "+", SUBTRACT.name: "-", MULTIPLY.name: "*", DIVIDE.name: "/"}


class CountdownParams(RecipeParams):
    """What a job may say of Countdown."""

    recipe: Literal["countdown"]
    numbers: tuple[int, ...] = Field(
        default=(3, 4), min_length=1, description="How many numbers, 3 to 5; one cell each."
    )

    @field_validator("numbers")
    @classmethod
    def _numbers(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        if min(numbers) < 3:
            raise ValueError(f"numbers is {list(numbers)}; each must be 3, 4 or 5")
        return check_levels(numbers, 5)


@cache
def patterns(n: int) -> tuple[Pattern, ...]:
    """Return every pattern of n numbers."""
    return (LEAF,) if n == 1 else (*_grouped("sum", n), *_grouped("product", n))


@cache
def _grouped(kind: str, n: int) -> tuple[Pattern, ...]:
    """Return the patterns of n numbers whose root is a sum (or a product) of at least two terms, one not inverted."""
    other = "product" if kind == "sum" else "sum"
    pieces = {size: (LEAF,) if size == 1 else _grouped(other, size) for size in range(1, n)}
    return tuple(
        (kind, straight, inverted)
        for straight_size in range(1, n + 1)
        for straight in _multisets(pieces, straight_size)
        for inverted in _multisets(pieces, n - straight_size)
        if len(straight) + len(inverted) > 1
    )


def _multisets(pieces: dict[int, tuple[Pattern, ...]], total: int, largest: int = 9) -> Iterator[tuple[Pattern, ...]]:
    """Yield the multisets of pieces whose sizes add up to a total, larger sizes first."""
    if total == 0:
        yield ()
        return
    for size in range(min(total, largest, max(pieces)), 0, -1):
        for times in range(total // size, 0, -1):
            for group in combinations_with_replacement(pieces[size], times):
                for rest in _multisets(pieces, total - size * times, size - 1):
                    yield (*group, *rest)


def signature(pattern: Pattern) -> str:
    """Return a pattern as text, such as (n*n-n); also the name of the skill cell it plans."""
    if pattern == LEAF:
        return "n"
    kind, straight, inverted = pattern
    plus, minus = ("+", "-") if kind == "sum" else ("*", "/")
    return f"({plus.join(map(signature, straight))}{''.join(minus + signature(p) for p in inverted)})"


@cache
def by_signature(n: int) -> dict[str, Pattern]:
    """Return the patterns of n numbers by their signatures."""
    return {signature(p): p for p in patterns(n)}


def assign(params: CountdownParams, request: Demand) -> Plan:
    """Plan patterns evenly; each tenth one is kept for held-out rows."""
    names = [s for i, s in enumerate(by_signature(request.cell.level)) if (i % 10 == 3) == (request.split == "heldout")]
    order = stream(request.seed, f"countdown/{request.tag}", len(names), request.n)
    return Plan(name_lists([f"countdown{name}" for name in names], order.reshape(-1, 1)))


def _fill(pattern: Pattern, target: int, rng: Rng) -> Tree | None:
    """Return a tree of the pattern with this value, numbers 1 to 99 and every step whole; None if a draw failed."""
    if not 1 <= target <= LARGEST:
        return None
    if pattern == LEAF:
        return literal(target, "number")
    kind, straight, inverted = pattern
    split = _split_sum if kind == "sum" else _split_product
    values = split(target, len(straight), len(inverted), rng)
    if values is None:
        return None
    trees = [_fill(p, v, rng) for p, v in zip((*straight, *inverted), values, strict=True)]
    plus, minus = (ADD, SUBTRACT) if kind == "sum" else (MULTIPLY, DIVIDE)
    return _fold(trees, [plus] * len(straight) + [minus] * len(inverted))


def _fold(trees: list[Tree | None], operators: list[Skill]) -> Tree | None:
    out = trees[0]
    for operator, tree in zip(operators[1:], trees[1:], strict=True):
        if out is None or tree is None:
            return None
        out = node(operator, {}, out, tree)
    return out


def _split_sum(target: int, n_plus: int, n_minus: int, rng: Rng) -> list[int] | None:
    minus = [rng.between(1, 40) for _ in range(n_minus)]
    total = target + sum(minus)
    plus = []
    for left in range(n_plus - 1, 0, -1):
        if total - left < 1:
            return None
        plus.append(rng.between(1, total - left))
        total -= plus[-1]
    return [*plus, total, *minus]


def _split_product(target: int, n_times: int, n_over: int, rng: Rng) -> list[int] | None:
    over = [rng.between(2, 9) for _ in range(n_over)]
    product = target
    for d in over:
        product *= d
    times = []
    for _ in range(n_times - 1):
        factors = [d for d in range(2, LARGEST + 1) if product % d == 0 and product > d]
        if not factors:
            return None  # times 1 would be no step
        times.append(rng.pick(factors))
        product //= times[-1]
    return [*times, product, *over]


def express(tree: Tree) -> str:
    """Return a tree as an arithmetic expression."""
    if "value" in tree:
        return str(tree["value"])
    left, right = tree["args"]
    return f"({express(left)} {SIGNS[tree['skill']]} {express(right)})"


def numbers_of(tree: Tree) -> list[int]:
    """Return the numbers at a tree's leaves, smallest first."""
    if "value" in tree:
        return [tree["value"]]
    return sorted(n for arg in tree["args"] for n in numbers_of(arg))


def solve(numbers: list[int], target: int) -> str | None:
    """Return an expression that uses each number once and equals the target, or None: exhaustive and exact."""
    return _solve([(Fraction(n), str(n)) for n in numbers], target)


def _solve(terms: list[tuple[Fraction, str]], target: int) -> str | None:
    if len(terms) == 1:
        return terms[0][1] if terms[0][0] == target else None
    for i, (a, left) in enumerate(terms):
        for j, (b, right) in enumerate(terms):
            if i == j:
                continue
            rest = [t for k, t in enumerate(terms) if k not in (i, j)]
            options = [(a - b, "-")] + ([(a / b, "/")] if b else [])
            if i < j:
                options += [(a + b, "+"), (a * b, "*")]
            for value, sign in options:
                found = _solve([*rest, (value, f"({left} {sign} {right})")], target)
                if found is not None:
                    return found
    return None


ASKS = (
    "Using the numbers {numbers}, each exactly once, and + - * / with parentheses, write an expression for {target}.",
    "Reach {target} with {numbers}. Use every number once; only + - * / and parentheses are allowed.",
    "Combine {numbers} (all of them, once each) with the signs + - * / and parentheses to make {target}.",
)


def draw(params: CountdownParams, brief: Brief, rng: Rng) -> Draft | Dropped:
    """Return a Countdown problem of the planned pattern; Dropped when no filling was found."""
    pattern = by_signature(brief.level)[brief.skills[0].removeprefix("countdown")]
    for _ in range(TRIES):
        tree = _fill(pattern, rng.between(2, LARGEST), rng)
        if tree is None:
            continue
        target, expression = evaluate(tree), express(tree)[1:-1]
        ask, ending = rng.below(len(ASKS)), rng.below(len(ANSWER_LINES))
        shown = ", ".join(map(str, rng.shuffled(numbers_of(tree))))
        prompt = f"{ASKS[ask].format(numbers=shown, target=target)}\n{ANSWER_LINES[ending]}"
        steps = f"{expression} uses each number once and equals {target}."
        return Draft(tree, gold(tree, target), f"{ask}.{ending}", prompt, steps)
    return Dropped("pattern_filled", f"no numbers from 1 to {LARGEST} fill {brief.skills[0]}")


def gold(tree: Tree, value: Value) -> Verifier:
    """Return the verifier: any expression over the same numbers with the same value."""
    args = {"numbers": numbers_of(tree), "target": value}
    return {"kind": "expression", "gold": express(tree)[1:-1], "args": args}


def cells(params: CountdownParams) -> list[Cell]:
    """Return one cell a count of numbers."""
    return [Cell(f"numbers={n}", n) for n in params.numbers]


COUNTDOWN = Recipe(
    name="countdown",
    version=1,
    about="reach a target with given numbers; every tree shape equally often",
    paper="How Does RL Post-training Induce Skill Composition?, arXiv 2512.01775",
    params=CountdownParams,
    cells=cells,
    assign=assign,
    draw=draw,
    gold=gold,
    depth_is_level=False,
)
