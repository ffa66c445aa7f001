"""A tree out of a stranger's file, checked before a recipe sees it: known names, typed arguments, bounded work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from factory.skills.adapters import ADAPTERS, CONVERSIONS
from factory.skills.domains import Domain, Letters, Range
from factory.skills.families.operators import ALL_OF, KEEP, NEGATE, SEED_PROBLEM
from factory.skills.library import OPERATIONS
from factory.skills.skill import Kind, Skill, Value
from factory.skills.tree import UNDEFINED, Tree

MAX_CHARS = 20_000
MAX_DEPTH = 40
MAX_NODES = 200
MAX_TEXT = 4_000
MAX_LENGTH = 200
LARGEST = 2**63 - 1

INTEGER = Range(-LARGEST, LARGEST)
OPERATOR_PARAMS: Mapping[str, Mapping[str, Domain]] = {
    SEED_PROBLEM.name: {"seed": Letters(1, 200), "key": INTEGER, "answer": INTEGER},
    KEEP.name: {"name": Letters(1, 1)},
    NEGATE.name: {"name": Letters(1, 1)},
}
ADAPTER_PARAMS: Mapping[str, Mapping[str, Domain]] = {
    "affine": {"a": INTEGER, "b": INTEGER},
    "remainder": {"m": Range(1, LARGEST), "b": INTEGER},
    "convert": {"unit": Range(0, len(CONVERSIONS) - 1)},
    "const_diff": {"by": INTEGER},
}


class BadTree(ValueError):
    """A stored tree that no recipe can have drawn; the message says why."""


def _number(value: Any) -> bool:
    return type(value) is int and abs(value) <= LARGEST


def _text(longest: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and len(value) <= longest


def _list(holds: Callable[[Any], bool], longest: int = MAX_LENGTH) -> Callable[[Any], bool]:
    return lambda value: type(value) is list and len(value) <= longest and all(map(holds, value))


def _table(value: Any) -> bool:
    if type(value) is not dict or value.keys() != {"columns", "rows"} or not COLUMNS(value["columns"]):
        return False
    width = len(value["columns"])
    return ROWS(value["rows"]) and all(len(row) == width for row in value["rows"])


COLUMNS = _list(_text(40), 20)
ROWS = _list(_list(lambda cell: _number(cell) or _text(40)(cell), 20))
FORMS: Mapping[Kind, Callable[[Any], bool]] = {
    "number": _number,
    "fraction": _text(40),
    "text": _text(MAX_TEXT),
    "list": _list(_number),
    "words": _list(_text(80)),
    "set": _list(_number),
    "table": _table,
    "date": _text(10),
    "grid": _list(_text(40)),
    "boolean": lambda value: type(value) is bool,
}


def read_tree(text: str) -> Tree:
    """Return the tree of its JSON, evaluated once within bounds; BadTree says what a recipe cannot have drawn.

    Each skill and adapter is known, has its own parameters within their domains, and gets arguments of its kind within
    its domain; depth, size and every value on the way are capped.
    """
    if len(text) > MAX_CHARS:
        raise BadTree(f"it has {len(text)} characters, more than {MAX_CHARS}")
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadTree(f"it is not JSON: {error}") from None
    _Reading().part(tree, 0)
    found: Tree = tree
    return found


class _Reading:
    """One walk through a tree, arguments first."""

    def __init__(self) -> None:
        self._parts = 0

    def part(self, part: Any, depth: int) -> tuple[Kind, Value]:
        """Return the kind and the value of a part."""
        self._parts += 1
        if depth > MAX_DEPTH or self._parts > MAX_NODES:
            raise BadTree(f"it is deeper than {MAX_DEPTH} or has more than {MAX_NODES} parts")
        keys = part.keys() if type(part) is dict else None
        if keys in ({"x", "kind"}, {"value", "kind"}):
            return _leaf(part)
        if keys == {"skill", "params", "args"}:
            return self._node(part, depth)
        if keys == {"adapter", "params", "args"}:
            return self._edge(part, depth)
        raise BadTree("a part is neither a leaf, nor a skill, nor an adapter")

    def _node(self, part: Tree, depth: int) -> tuple[Kind, Value]:
        skill = _known(part["skill"], OPERATIONS, "skill")
        if skill is ALL_OF and depth:
            raise BadTree(f"{skill.name} is not the root")
        _check_params(skill.name, part["params"], OPERATOR_PARAMS.get(skill.name, skill.knobs))
        args = self._args(part["args"], depth)
        if not args or (len(args) != skill.arity and skill is not ALL_OF):
            raise BadTree(f"{skill.name} has {len(args)} arguments")
        if skill is ALL_OF:
            return skill.gives, [value for _, value in args]
        if any(kind != skill.takes for kind, _ in args):
            raise BadTree(f"{skill.name} takes a {skill.takes}, found {', '.join(kind for kind, _ in args)}")
        return skill.gives, _shaped(skill.name, skill.gives, _applied(skill, [v for _, v in args], part["params"]))

    def _edge(self, part: Tree, depth: int) -> tuple[Kind, Value]:
        adapter = _known(part["adapter"], ADAPTERS, "adapter")
        _check_params(adapter.name, part["params"], ADAPTER_PARAMS[adapter.name])
        args = self._args(part["args"], depth)
        if depth == 0 or [kind for kind, _ in args] != ["number"]:
            raise BadTree(f"{adapter.name} must hand one number on to a skill")
        return "number", _shaped(adapter.name, "number", adapter.apply(args[0][1], **part["params"]))

    def _args(self, args: Any, depth: int) -> list[tuple[Kind, Value]]:
        if type(args) is not list:
            raise BadTree("args is not a list")
        return [self.part(arg, depth + 1) for arg in args]


def _leaf(part: Tree) -> tuple[Kind, Value]:
    kind = _known(part["kind"], {kind: kind for kind in FORMS}, "kind")
    return kind, _shaped("a leaf", kind, part["x"] if "x" in part else part["value"])


def _known(name: Any, known: Mapping[Any, Any], what: str) -> Any:
    if type(name) is not str or name not in known:
        raise BadTree(f"there is no {what} {str(name)[:60]!r}")
    return known[name]


def _shaped(what: str, kind: Kind, value: Value) -> Value:
    if not FORMS[kind](value):
        raise BadTree(f"the value of {what} is no {kind}, or too large: {str(value)[:60]!r}")
    return value


def _check_params(name: str, params: Any, domains: Mapping[str, Domain]) -> None:
    if type(params) is not dict or params.keys() != domains.keys():
        raise BadTree(f"the parameters of {name} are not {', '.join(domains) or 'empty'}")
    for key, value in params.items():
        # 2.0 would pass for the 2 of a choice.
        if type(value) is float or not _holds(domains[key], value):
            raise BadTree(f"{key} of {name} is {str(value)[:60]!r}; it must be {domains[key].about()[:200]}")


def _holds(domain: Domain, value: Any) -> bool:
    try:
        return domain.holds(value)
    except UNDEFINED:
        return False


def _applied(skill: Skill, values: list[Value], params: Mapping[str, Any]) -> Value:
    try:
        if _holds(skill.x, values[0]) and (skill.needs is None or skill.needs(values[0], **params)):
            return skill.apply(*values, **params)
    except (*UNDEFINED, AttributeError) as error:
        raise BadTree(f"{skill.name} has no value here: {str(error)[:80]}") from None
    raise BadTree(f"{skill.name} is not made for {str(values[0])[:60]!r} with {str(params)[:80]}")
