"""The typed expression tree, the heart of every composed problem, in its stored form: plain JSON values.

leaf      {"x": value, "kind": kind}                  the input; every such leaf of a branch is the same input
literal   {"value": value, "kind": kind}
node      {"skill": name, "params": {...}, "args": [tree, ...]}      args[0] is the main argument
edge      {"adapter": name, "params": {...}, "args": [tree]}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from factory.artifacts.digest import canonical_json, row_rng, text_digest
from factory.skills.adapters import ADAPTERS
from factory.skills.library import OPERATIONS
from factory.skills.skill import Kind, Skill, Value

Tree = dict[str, Any]

_SAME = object()
POOL = 256
TRIES = 12  # how often the input is changed to see whether the answer follows
UNDEFINED = (ValueError, ZeroDivisionError, IndexError, KeyError, OverflowError, TypeError)


def leaf(value: Value, kind: Kind) -> Tree:
    """Return the input of a problem."""
    return {"x": value, "kind": kind}


def literal(value: Value, kind: Kind) -> Tree:
    """Return a constant."""
    return {"value": value, "kind": kind}


def node(skill: Skill, params: dict[str, Any], *args: Tree) -> Tree:
    """Return a skill applied to trees."""
    return {"skill": skill.name, "params": params, "args": list(args)}


def edge(adapter: str, params: dict[str, Any], arg: Tree) -> Tree:
    """Return an adapter applied to a tree."""
    return {"adapter": adapter, "params": params, "args": [arg]}


class OutsideDomain(Exception):  # noqa: N818 - a fact about a value, not an error of ours
    """An input that a skill of the tree is not made for."""


def evaluate(tree: Tree, x: Value = _SAME) -> Value:
    """Return the tree's value, with another input if one is given.

    Raises OutsideDomain where a skill is not made for what it gets, and one of UNDEFINED where it has no answer.
    """
    args = tree.get("args")
    if args is None:
        return tree["value"] if "value" in tree else tree["x"] if x is _SAME else x
    name = tree.get("skill")
    if name is None:
        return ADAPTERS[tree["adapter"]].apply(evaluate(args[0], x), **tree["params"])
    values = [evaluate(a, x) for a in args] if len(args) > 1 else (evaluate(args[0], x),)
    return _apply(name, values, tree["params"])


def _apply(name: str, values: Sequence[Value], params: dict[str, Any]) -> Value:
    skill = OPERATIONS[name]
    if not skill.x.holds(values[0]):
        raise OutsideDomain(f"{name} is not made for {str(values[0])[:60]!r}")
    return skill.apply(*values, **params)


def effective(tree: Tree) -> tuple[Value, int]:
    """Return (value, effective depth): a node counts if its output differs from its main argument on this input.

    Raises as `evaluate` does.
    """
    args = tree.get("args")
    if args is None:
        return (tree["x"] if "x" in tree else tree["value"]), 0
    if len(args) == 1:
        first, deepest = effective(args[0])
        values: Sequence[Value] = (first,)
    else:
        below = [effective(a) for a in args]
        values, deepest = [v for v, _ in below], max(d for _, d in below)
        first = values[0]
    name = tree.get("skill")
    if name is None:
        return ADAPTERS[tree["adapter"]].apply(first, **tree["params"]), deepest
    value = _apply(name, values, tree["params"])
    return value, deepest + (value != first or type(value) is not type(first))


def nodes(tree: Tree) -> Iterator[Tree]:
    """Yield the skill nodes of a tree, arguments first."""
    for arg in tree.get("args", ()):
        yield from nodes(arg)
    if "skill" in tree:
        yield tree


def topology(tree: Tree) -> str:
    """Return the tree's signature: skills and adapters by name, values abstracted; a seed is a skill of its own."""
    args = tree.get("args")
    if args is None:
        return "x" if "x" in tree else "_"
    name = tree["skill"] if "skill" in tree else "~" + tree["adapter"]
    if "seed" in tree["params"]:
        name = f"{name}[{tree['params']['seed']}]"
    return f"{name}({','.join([topology(a) for a in args])})"


def canonical(tree: Tree) -> str:
    """Return the digest of the problem itself, whatever words it is put in."""
    return text_digest(canonical_json(tree))


@cache
def other_inputs(skill: str) -> tuple[Value, ...]:
    """Return inputs that problems of a skill are tried with: the same for every row, since drawing is slow."""
    rng = row_rng(0, "other inputs", skill)
    return tuple(OPERATIONS[skill].x.draw(rng) for _ in range(POOL))


def input_matters(tree: Tree, value: Value, start: int) -> bool:
    """Return whether at least one of TRIES other inputs, from place `start` on, changes the value.

    Branches of `all_of` are judged apart. A problem that has no answer for another input has changed too.
    """
    if tree.get("skill") == "all_of":
        return all(input_matters(a, v, start) for a, v in zip(tree["args"], value, strict=True))
    first = tree
    while "x" not in first:
        parent, first = first, first["args"][0]
        if "value" in first:
            return True  # literals only: nothing is called the input
    inputs = other_inputs(parent["skill"])
    for i in range(start, start + TRIES):
        try:
            if evaluate(tree, inputs[i % POOL]) != value:
                return True
        except OutsideDomain:
            continue  # this input cannot be asked about
        except UNDEFINED:
            return True
    return False
