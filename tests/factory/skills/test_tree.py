from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.artifacts.digest import canonical_json
from factory.skills.adapters import CONVERSIONS
from factory.skills.families.operators import ADD, ALL_OF, DIVIDE, KEEP, MULTIPLY, NEGATE, SEED_PROBLEM, SUBTRACT
from factory.skills.library import FUNCTIONS, TASKS
from factory.skills.tree import (
    OutsideDomain,
    Tree,
    canonical,
    edge,
    effective,
    evaluate,
    input_matters,
    leaf,
    literal,
    node,
    nodes,
    topology,
)

Apply = Callable[..., Any]
OPERATORS: dict[str, Apply] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "reverse_text": lambda s: s[::-1],
    "mirror": lambda s: s + s[::-1],
    "append_length": lambda s: s + str(len(s)),
    "put_before": lambda s, affix: affix + s,
    "rotate_left": lambda s, n: s[n % len(s) :] + s[: n % len(s)],
}
EDGES: dict[str, Apply] = {
    "affine": lambda y, a, b: a * y + b,
    "remainder": lambda y, m, b: y % m + b,
    "const_diff": lambda y, by: y + by,
    "convert": lambda y, unit: y * (60, 24, 7, 12, 12, 12, 1000, 1000, 100, 10)[unit],
}
few = settings(max_examples=25)
small = st.integers(-20, 20)
ADAPTED = st.one_of(
    st.builds(lambda a, b: ("affine", {"a": a, "b": b}), small, small),
    st.builds(lambda m, b: ("remainder", {"m": m, "b": b}), st.integers(1, 9), small),
    st.builds(lambda by: ("const_diff", {"by": by}), small),
    st.builds(lambda unit: ("convert", {"unit": unit}), st.integers(0, len(CONVERSIONS) - 1)),
)


def numbers(x: int) -> st.SearchStrategy[Tree]:
    """Trees over numbers whose every input is the same x."""
    ends = st.just(leaf(x, "number")) | st.builds(literal, small, st.just("number"))

    def grow(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        both = st.builds(
            lambda skill, a, b: node(skill, {}, a, b), st.sampled_from([ADD, SUBTRACT, MULTIPLY]), *[inner] * 2
        )
        return both | st.builds(lambda how, arg: edge(how[0], how[1], arg), ADAPTED, inner)

    return st.recursive(ends, grow, max_leaves=6)


def texts(x: str) -> st.SearchStrategy[Tree]:
    """Nests of string functions over x."""
    known: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.one_of(
        st.sampled_from([("reverse_text", {}), ("mirror", {}), ("append_length", {})]),
        st.text("ab", min_size=1, max_size=2).map(lambda affix: ("put_before", {"affix": affix})),
        st.integers(1, 3).map(lambda n: ("rotate_left", {"n": n})),
    )
    return st.lists(known, max_size=4).map(lambda calls: nest(x, calls))


def nest(x: str, calls: list[tuple[str, dict[str, Any]]]) -> Tree:
    tree = leaf(x, "text")
    for name, params in calls:
        tree = node(FUNCTIONS[name], params, tree)
    return tree


trees = small.flatmap(numbers) | st.text("abc", min_size=1, max_size=4).flatmap(texts)


def brute(tree: Tree, x: Any) -> Any:
    """Evaluate a tree with operators of our own."""
    if "x" in tree:
        return x
    if "value" in tree:
        return tree["value"]
    values = [brute(arg, x) for arg in tree["args"]]
    apply = OPERATORS[tree["skill"]] if "skill" in tree else EDGES[tree["adapter"]]
    return apply(*values, **tree["params"])


def brute_depth(tree: Tree, x: Any) -> int:
    """Count, on the deepest way down, the skills that change their main argument."""
    if "args" not in tree:
        return 0
    below = max(brute_depth(arg, x) for arg in tree["args"])
    return below + ("skill" in tree and brute(tree, x) != brute(tree["args"][0], x))


def input_of(tree: Tree) -> Any:
    return tree["x"] if "x" in tree else next((v for a in tree.get("args", ()) if (v := input_of(a)) is not None), None)


@few
@given(trees)
def test_a_tree_has_the_value_that_its_parts_give(tree: Tree) -> None:
    assert evaluate(tree) == brute(tree, input_of(tree))


@few
@given(small.flatmap(numbers), small)
def test_another_input_goes_to_every_leaf(tree: Tree, x: int) -> None:
    assert evaluate(tree, x) == brute(tree, x)


@few
@given(trees)
def test_effective_depth_counts_the_skills_that_change_their_input(tree: Tree) -> None:
    assert effective(tree) == (evaluate(tree), brute_depth(tree, input_of(tree)))


@few
@given(trees)
def test_effective_depth_is_never_more_than_the_number_of_nodes(tree: Tree) -> None:
    assert effective(tree)[1] <= len(list(nodes(tree)))


@few
@given(trees)
def test_a_stored_tree_is_the_same_tree(tree: Tree) -> None:
    stored = orjson.loads(canonical_json(tree))
    assert stored == tree
    assert (evaluate(stored), effective(stored)) == (evaluate(tree), effective(tree))
    assert (topology(stored), canonical(stored)) == (topology(tree), canonical(tree))


def reordered(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: reordered(tree[key]) for key in reversed(tree)}
    return [reordered(part) for part in tree] if isinstance(tree, list) else tree


@few
@given(trees)
def test_a_canonical_problem_does_not_depend_on_the_order_of_keys(tree: Tree) -> None:
    assert canonical(reordered(tree)) == canonical(tree)


@few
@given(trees, trees)
def test_two_problems_are_canonically_equal_only_if_they_are_equal(one: Tree, two: Tree) -> None:
    assert (canonical(one) == canonical(two)) == (one == two)


def abstracted(tree: Tree, number: int) -> Tree:
    """Return a tree with every value and parameter set to a number."""
    if "args" not in tree:
        return {key: number if key in ("x", "value") else v for key, v in tree.items()}
    params = dict.fromkeys(tree["params"], number)
    return {**tree, "params": params, "args": [abstracted(arg, number) for arg in tree["args"]]}


@few
@given(trees)
def test_a_topology_forgets_values_and_parameters(tree: Tree) -> None:
    assert topology(tree) == topology(abstracted(tree, 1)) == topology(abstracted(tree, 2))


def test_a_topology_names_skills_adapters_inputs_and_constants() -> None:
    tree = node(ADD, {}, edge("affine", {"a": 2, "b": 1}, leaf(3, "number")), literal(4, "number"))
    assert topology(tree) == "add(~affine(x),_)"
    assert topology(node(SUBTRACT, {}, literal(4, "number"), leaf(3, "number"))) == "subtract(_,x)"


def test_a_seed_is_a_skill_of_its_own_in_a_topology() -> None:
    one, two = (node(SEED_PROBLEM, {"seed": s, "key": 3, "answer": 9}, leaf(3, "number")) for s in ("p1", "p2"))
    assert topology(one) == "seed_problem[p1](x)"
    assert topology(one) != topology(two)


def test_nodes_come_with_arguments_first() -> None:
    inner = node(MULTIPLY, {}, leaf(2, "number"), literal(5, "number"))
    tree = node(ADD, {}, edge("const_diff", {"by": 1}, inner), literal(1, "number"))
    assert [part["skill"] for part in nodes(tree)] == ["multiply", "add"]


def test_a_node_that_gives_back_its_input_adds_no_depth() -> None:
    tree = node(ADD, {}, node(MULTIPLY, {}, leaf(7, "number"), literal(1, "number")), literal(2, "number"))
    assert effective(tree) == (9, 1)
    assert effective(node(KEEP, {"name": "a"}, leaf(True, "boolean"))) == (True, 0)


def test_a_change_of_type_is_a_change() -> None:
    tree = node(TASKS["exactly_one_holds"], {"limit": 0, "divisor": 2}, leaf(1, "number"))
    assert effective(tree) == (True, 1)  # although True == 1 in Python


def test_an_input_that_a_skill_is_not_made_for_is_outside_its_domain() -> None:
    skill = TASKS["list_sum"]
    tree = node(skill, {}, leaf([1, 2, 3], "list"))
    with pytest.raises(OutsideDomain, match="list_sum is not made for 'no list'"):
        evaluate(tree, "no list")


def test_a_value_on_the_way_can_be_outside_a_domain_too() -> None:
    tree = node(TASKS["leap_year"], {}, edge("affine", {"a": -1, "b": 0}, leaf(-2024, "number")))
    assert evaluate(tree) is True
    with pytest.raises(OutsideDomain, match="leap_year"):
        evaluate(tree, 2024)


def matters(tree: Tree) -> bool:
    return input_matters(tree, evaluate(tree), 0)


def test_a_program_that_ignores_its_input_is_noticed() -> None:
    x = leaf(7, "number")
    assert matters(node(ADD, {}, x, literal(1, "number")))
    assert not matters(node(MULTIPLY, {}, x, literal(0, "number")))
    assert not matters(node(SUBTRACT, {}, node(ADD, {}, x, literal(3, "number")), x))


def test_every_branch_of_a_reply_must_follow_its_own_input() -> None:
    follows = node(TASKS["digit_sum"], {}, leaf(407, "number"))
    constant = node(MULTIPLY, {}, leaf(7, "number"), literal(0, "number"))
    assert matters(node(ALL_OF, {}, follows, node(NEGATE, {"name": "a"}, leaf(True, "boolean"))))
    assert not matters(node(ALL_OF, {}, follows, constant))


def test_a_problem_without_an_answer_for_other_inputs_follows_its_input() -> None:
    assert matters(node(SEED_PROBLEM, {"seed": "p1", "key": 3, "answer": 9}, leaf(3, "number")))


def test_a_tree_of_constants_has_no_input_that_could_matter() -> None:
    assert matters(node(DIVIDE, {}, literal(6, "number"), literal(3, "number")))


def test_division_is_exact() -> None:
    half = node(DIVIDE, {}, literal(1, "number"), literal(2, "number"))
    assert evaluate(node(MULTIPLY, {}, half, literal(4, "number"))) == 2
    assert type(evaluate(node(DIVIDE, {}, literal(6, "number"), literal(3, "number")))) is int
