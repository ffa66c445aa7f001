"""One executable skill: a typed function with drawn parameters, its phrasings, its steps and its verifier.

Adding a skill is one value in a family file (docs/add-a-skill.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from factory.artifacts.digest import Rng
from factory.errors import UserError, nearest
from factory.skills.domains import TOP_LEVEL, Domain

Kind = Literal["number", "fraction", "text", "list", "words", "set", "table", "date", "grid", "boolean"]
# The JSON form of a kind: int, "3/4", str, [int], [str], sorted [int], {columns, rows}, ISO day, [str], bool.
Value = Any

TRIES = 12
BLOCKS = frozenset({"table", "grid"})  # kinds that need lines of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """A typed function `apply(x, **params)` that can be asked for in words.

    `x` is the domain of the main input and `knobs` those of the parameters; `needs(x, **params)` holds when the problem
    is well posed. A phrasing is a template over {x} and the knobs that reads well whether {x} is a value or a name such
    as B. `steps` is a template over {x}, {y} and the knobs, or a function of (x, y, **params): the solver's own work.
    `check(**params)` is set for text constraints: the scorer's check. `arity` 2 means apply(x, other, **params).
    """

    name: str
    family: str
    takes: Kind
    gives: Kind
    about: str
    x: Domain
    apply: Callable[..., Value]
    phrasings: tuple[str, ...]
    steps: str | Callable[..., str]
    knobs: Mapping[str, Domain] = field(default_factory=dict)
    needs: Callable[..., bool] | None = None
    check: Callable[..., dict[str, Any]] | None = None
    unit: str = ""
    arity: int = 1
    version: int = 1

    def draw(
        self, rng: Rng, level: int = TOP_LEVEL, fixed: Mapping[str, Any] | None = None
    ) -> tuple[Value, dict[str, Any]] | None:
        """Return (x, params) of a well-posed problem, or None when none was found in TRIES draws."""
        for _ in range(TRIES):
            x = self.x.draw(rng, level)
            params = self._params(rng, level, fixed)
            if self.needs is None or self.needs(x, **params):
                return x, params
        return None

    def fit(
        self, rng: Rng, x: Value, level: int = TOP_LEVEL, fixed: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """Return parameters that make a well-posed problem with a given x, or None."""
        if not self.x.holds(x):
            return None
        for _ in range(TRIES):
            params = self._params(rng, level, fixed)
            if self.needs is None or self.needs(x, **params):
                return params
        return None

    def _params(self, rng: Rng, level: int, fixed: Mapping[str, Any] | None) -> dict[str, Any]:
        params = {k: d.draw(rng, level) for k, d in self.knobs.items()}
        return {**params, **fixed} if fixed else params

    def say(self, x: str, params: Mapping[str, Any], phrasing: int) -> str:
        """Return the task in words, with x as it is shown (a rendered value or a name)."""
        return self.phrasings[phrasing].format(x=x, **shown(params))

    def trace(self, x: Value, y: Value, params: Mapping[str, Any]) -> str:
        """Return the solver's steps from x to y, one line."""
        if callable(self.steps):
            return self.steps(x, y, **params)
        return self.steps.format(x=render(x, self.takes), y=render(y, self.gives), **shown(params))

    def check_knobs(self, given: Mapping[str, Any]) -> None:
        """Raise UserError when a knob is unknown or a value is outside its range."""
        for knob, value in given.items():
            if knob not in self.knobs:
                raise UserError(f"skill '{self.name}' has no knob '{knob}'{nearest(knob, self.knobs)}")
            if not self.knobs[knob].holds(value):
                raise UserError(
                    f"knob '{knob}' of skill '{self.name}' is {value!r}; it must be {self.knobs[knob].about()}"
                )


def shown(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return parameters as they are shown in a template: lists as JSON, the rest as they are."""
    for value in params.values():
        if type(value) is list:
            return {k: orjson_text(v) if type(v) is list else v for k, v in params.items()}
    return params


def orjson_text(value: Any) -> str:
    """Return a list as readable JSON: a space after each comma."""
    if type(value) is list:
        if value and type(value[0]) is int:
            return str(value)  # lists are of one type; this is the same text, and fast
        return "[" + ", ".join(orjson_text(v) for v in value) + "]"
    return orjson.dumps(value).decode()


def render(value: Value, kind: Kind) -> str:
    """Return a value as a prompt or a trace shows it inline."""
    if kind in ("number", "date", "fraction"):
        return str(value)
    if kind == "text":
        return f'"{value}"'
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "table":
        return "; ".join(", ".join(str(c) for c in row) for row in [value["columns"], *value["rows"]])
    if kind == "set":
        return "{" + ", ".join(str(v) for v in value) + "}"
    return orjson_text(value)


def block(value: Value, kind: Kind) -> str:
    """Return a table as CSV lines, or a grid as rows."""
    if kind == "table":
        return "\n".join(",".join(str(c) for c in row) for row in [value["columns"], *value["rows"]])
    return "\n".join(value)


def gold_text(value: Value, kind: Kind) -> str:
    """Return the gold answer of a value as the scorer reads it."""
    if kind in ("number", "date", "fraction", "text"):
        return str(value)
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "table":
        return block(value, kind)
    return render(value, kind)


VERIFIER_OF: dict[Kind, str] = {
    "number": "number", "fraction": "number", "text": "text", "list": "list", "words": "list", "set": "set",
    "table": "table", "date": "date", "grid": "list", "boolean": "boolean",
}  # fmt: skip


def verifier_of(skill: Skill, value: Value) -> dict[str, Any]:
    """Return the verifier of a skill's answer: {kind, gold, args}."""
    args: dict[str, Any] = {"unit": skill.unit} if skill.unit else {}
    if skill.gives == "table":
        args["ordered"] = True
    return {"kind": VERIFIER_OF[skill.gives], "gold": gold_text(value, skill.gives), "args": args}
