from __future__ import annotations

import ast
import operator
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.errors import UserError
from factory.jobs.model import parse_job
from factory.recipes.countdown import LEAF, Pattern, by_signature, numbers_of, patterns, signature, solve
from factory.score import score
from factory.skills.tree import Tree, evaluate

SIGNS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COUNTS = {3: 18, 4: 96, 5: 558}
SIZES = [(n, split) for n in COUNTS for split in ("train", "heldout")]


@cache
def forms(n: int) -> frozenset[Pattern]:
    """Every binary tree of n leaves and the four signs, flattened: sums and products forget order and brackets."""
    if n == 1:
        return frozenset({LEAF})
    out = set()
    for left_size in range(1, n):
        for a in forms(left_size):
            for b in forms(n - left_size):
                for kind, inverted in (("sum", False), ("sum", True), ("product", False), ("product", True)):
                    (plus, minus), (more, less) = flat(a, kind), flat(b, kind)
                    if inverted:
                        more, less = less, more
                    out.add((kind, tuple(sorted(plus + more)), tuple(sorted(minus + less))))
    return frozenset(out)


def flat(form: Pattern, kind: str) -> tuple[list[Pattern], list[Pattern]]:
    return (list(form[1]), list(form[2])) if form[0] == kind else ([form], [])


def in_order(pattern: Pattern) -> Pattern:
    if pattern == LEAF:
        return LEAF
    kind, straight, inverted = pattern
    return kind, tuple(sorted(map(in_order, straight))), tuple(sorted(map(in_order, inverted)))


@pytest.mark.parametrize(("n", "count"), COUNTS.items())
def test_there_are_as_many_patterns_as_the_paper_counts(n: int, count: int) -> None:
    assert len(patterns(n)) == count


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_the_patterns_are_those_of_all_binary_trees(n: int) -> None:
    made = [in_order(pattern) for pattern in patterns(n)]
    assert set(made) == forms(n)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("n", COUNTS)
def test_every_pattern_has_a_signature_of_its_own(n: int) -> None:
    assert len(by_signature(n)) == COUNTS[n]
    assert all(signature(pattern) == text and text.count("n") == n for text, pattern in by_signature(n).items())


@pytest.mark.parametrize(("n", "split"), SIZES)
def test_every_shape_is_planned_equally_often(n: int, split: str, draw: Any) -> None:
    shapes = {f"countdown{s}" for s in by_signature(n)}
    planned = Counter(skills[0] for skills in draw("countdown", n, COUNTS[n] + 5, split).planned)
    assert set(planned) <= shapes
    assert max(planned.values()) - min(planned.values()) <= 1


@pytest.mark.parametrize("n", COUNTS)
def test_no_shape_is_on_both_sides_and_none_is_missing(n: int, draw: Any) -> None:
    train, heldout = ({s[0] for s in draw("countdown", n, COUNTS[n], split).planned} for split in ("train", "heldout"))
    assert not train & heldout
    assert len(train | heldout) == COUNTS[n]


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}-{size[1]}")
def rows(request: Any, draw: Any) -> Any:
    drawn = draw("countdown", request.param[0], 30, request.param[1])
    assert len(drawn.rows) >= 20
    return drawn.rows


def shape(tree: Tree) -> Pattern:
    """Return the pattern of a tree, from its own nodes."""
    if "value" in tree:
        return LEAF
    kind = "sum" if tree["skill"] in ("add", "subtract") else "product"
    (plus, minus), (more, less) = (flat(shape(arg), kind) for arg in tree["args"])
    if tree["skill"] in ("subtract", "divide"):
        more, less = less, more
    return kind, tuple(sorted(plus + more)), tuple(sorted(minus + less))


def test_a_row_has_the_shape_that_was_planned(rows: Any) -> None:
    for row in rows:
        planned = by_signature(row.brief.level)[row.brief.skills[0].removeprefix("countdown")]
        assert shape(row.draft.tree) == in_order(planned)


def test_numbers_targets_and_all_steps_are_whole_numbers_up_to_99(rows: Any) -> None:
    for row in rows:
        args = row.draft.verifier["args"]
        assert len(args["numbers"]) == row.brief.level
        assert all(type(n) is int and 1 <= n <= 99 for n in args["numbers"])
        assert type(args["target"]) is int
        assert 1 <= args["target"] <= 99
        assert args["target"] == evaluate(row.draft.tree) == calculate(row.gold)


def calculate(expression: str) -> Fraction:
    """Return the value of + - * / over whole numbers, exactly."""

    def value(part: ast.expr) -> Fraction:
        if isinstance(part, ast.Constant):
            return Fraction(str(part.value))
        assert isinstance(part, ast.BinOp)
        return SIGNS[type(part.op)](value(part.left), value(part.right))

    return value(ast.parse(expression, mode="eval").body)


def test_the_prompt_says_every_number_and_the_target(rows: Any) -> None:
    for row in rows:
        args = row.draft.verifier["args"]
        assert str(args["target"]) in row.draft.prompt
        found = [int(n) for n in "".join(c if c.isdigit() else " " for c in row.draft.prompt).split()]
        assert sorted(found) == sorted([*args["numbers"], args["target"]])


def test_the_solver_finds_a_solution_of_every_problem(rows: Any) -> None:
    for row in rows[:8]:
        args = row.draft.verifier["args"]
        found = solve(args["numbers"], args["target"])
        assert found is not None
        assert calculate(found) == args["target"]
        assert score(found, row.draft.verifier).value == 1.0


def swapped(tree: Tree) -> str:
    """Write a tree's expression with every sum and product turned around."""
    if "value" in tree:
        return str(tree["value"])
    left, right = map(swapped, tree["args"])
    sign = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}[tree["skill"]]
    return f"({right} {sign} {left})" if sign in "+*" else f"({left} {sign} {right})"


def test_any_correct_expression_scores_1(rows: Any) -> None:
    for row in rows:
        text, target = swapped(row.draft.tree), row.draft.verifier["args"]["target"]
        for said in (text, text[1:-1], f"Answer: {text} = {target}", f"Answer: {text[1:-1].replace('*', '×')}"):
            assert score(said, row.draft.verifier).value == 1.0, said


def test_powers_and_floor_division_do_not_score(rows: Any) -> None:
    for row in rows:
        gold, target = row.gold, row.draft.verifier["args"]["target"]
        for wrong in (gold.replace("*", "**", 1), gold.replace("/", "//", 1), f"({gold})**1", f"{target}"):
            if wrong != gold:
                assert score(f"Answer: {wrong}", row.draft.verifier).value == 0.0, wrong


def test_leaving_out_or_adding_a_number_does_not_score(rows: Any) -> None:
    for row in rows:
        assert score(f"{row.gold} + 1 - 1", row.draft.verifier).value == 0.0
        assert score(f"({row.gold}) * 1", row.draft.verifier).value == 0.0


def test_numbers_of_a_tree_are_those_of_the_verifier(rows: Any) -> None:
    assert all(numbers_of(row.draft.tree) == row.draft.verifier["args"]["numbers"] for row in rows)


def test_every_row_passes_the_gate(rows: Any) -> None:
    assert all(row.passes for row in rows)


@pytest.mark.parametrize(("numbers", "target"), [([1, 1, 1], 50), ([2, 2, 2], 5), ([5], 4), ([97, 97, 97, 97], 13)])
def test_what_cannot_be_reached_has_no_solution(numbers: list[int], target: int) -> None:
    assert solve(numbers, target) is None


@pytest.mark.parametrize(("numbers", "target"), [([3, 3, 8, 8], 24), ([1, 5, 5, 5], 24), ([2, 3], -1), ([4], 4)])
def test_a_solution_may_go_through_fractions(numbers: list[int], target: int) -> None:
    found = solve(numbers, target)
    assert found is not None
    assert calculate(found) == target


@settings(max_examples=40)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=4), st.integers(-5, 60))
def test_the_solver_is_exact_and_uses_each_number_once(numbers: list[int], target: int) -> None:
    found = solve(numbers, target)
    if found is not None:
        assert calculate(found) == target
        assert sorted(int(n) for n in "".join(c if c.isdigit() else " " for c in found).split()) == sorted(numbers)


@pytest.mark.parametrize("numbers", [[2], [6], [3, 3], []])
def test_sizes_outside_3_to_5_are_refused(numbers: list[int]) -> None:
    recipe = {"recipe": "countdown", "share": 1.0, "numbers": numbers}
    with pytest.raises(UserError, match="numbers"):
        parse_job({"kind": "build", "name": "x", "rows": 10, "recipes": [recipe]}, "job")
