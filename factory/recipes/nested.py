"""f(g(x)) (arXiv 2509.25123): nested string functions, with definitions shown (atoms) or hidden (composition).

What the released generator gets wrong is a rule here: the input is always used, the output follows it, a level is the
number of functions that change their input on this very row, the split goes by behaviour, lengths are capped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import Field, field_validator

from factory.artifacts.digest import Rng
from factory.recipes.coverage import distinct_tuples
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
    level_cells,
    levels_field,
)
from factory.skills.domains import Letters
from factory.skills.families.string_functions import source_of
from factory.skills.library import FUNCTIONS, OPERATIONS, side
from factory.skills.skill import Value, verifier_of
from factory.skills.tree import Tree, leaf, literal, node

MAX_LEVEL = 8
MAX_OUTPUT = 200
RESTARTS = 6
INPUT = Letters(3, 10)
OTHER = Letters(3, 6)
NAMES = {name: f"func_{i}" for i, name in enumerate(FUNCTIONS)}
ORIGINAL = {anonymous: name for name, anonymous in NAMES.items()}


class NestedParams(RecipeParams):
    """What a job may say of nested functions."""

    recipe: Literal["nested"]
    levels: tuple[int, ...] = levels_field(MAX_LEVEL)
    definitions: Literal["shown", "hidden"] = Field(
        default="shown", description="hidden: only level 1 shows definitions, the rest must be known from training."
    )

    @field_validator("levels")
    @classmethod
    def _levels(cls, levels: tuple[int, ...]) -> tuple[int, ...]:
        return check_levels(levels, MAX_LEVEL)


def assign(params: NestedParams, request: Demand) -> Plan:
    """Plan the functions from the innermost out; every position uses all functions evenly."""
    names = [s.name for s in side(FUNCTIONS, request.split)]
    tag = f"nested/{request.tag}"
    return Plan(distinct_tuples(names, request.cell.level, request.n, request.seed, tag))


def draw(params: NestedParams, brief: Brief, rng: Rng) -> Draft | Dropped:
    """Return a nest of the planned functions in which every one changes its input; Dropped when none was found."""
    for _ in range(RESTARTS):
        x = INPUT.draw(rng)
        grown = _grow(brief.skills, x, rng)
        if grown is not None:
            return _draft(params, brief, x, grown, rng)
    return Dropped("every_function_acts", f"no input made all of {', '.join(brief.skills)} change theirs")


@dataclass(frozen=True, slots=True)
class _Nest:
    """A nest of calls: its tree, what it returns, how it is written, and what each call returned."""

    tree: Tree
    value: str
    expression: str
    works: list[str]


def _grow(names: list[str], x: str, rng: Rng) -> _Nest | None:
    tree, value, expression, works = leaf(x, "text"), x, "x", []
    shown = _python(x)
    for name in names:
        skill = OPERATIONS[name]
        knobs = {k: d.draw(rng) for k, d in skill.knobs.items()}
        rest = "".join([f", {_python(v)}" for v in knobs.values()])
        if skill.arity == 2:
            other = OTHER.draw(rng)
            tree = node(skill, knobs, tree, literal(other, "text"))
            out = skill.apply(value, other, **knobs)
            rest = f", {_python(other)}{rest}"
        else:
            tree, out = node(skill, knobs, tree), skill.apply(value, **knobs)
        if out == value or not out or len(out) > MAX_OUTPUT:
            return None
        called, before, shown = NAMES[name], shown, _python(out)
        expression = f"{called}({expression}{rest})"
        works.append(f"{called}({before}{rest}) returns {shown}.")
        value = out
    return _Nest(tree, value, expression, works)


def _python(value: Any) -> str:
    return f'"{value}"' if type(value) is str and '"' not in value and "\\" not in value else repr(value)


@cache
def definition(name: str) -> str:
    """Return the source of a function under its anonymous name."""
    return re.sub(rf"\b{name}\b", NAMES[name], source_of(name))


ASKS = (
    "What does main_solution({x}) return?",
    "Work out by hand what the call main_solution({x}) returns.",
    "Give the return value of main_solution({x}).",
)


def _draft(params: NestedParams, brief: Brief, x: str, grown: _Nest, rng: Rng) -> Draft:
    hidden = params.definitions == "hidden" and brief.level > 1
    names = sorted(dict.fromkeys(brief.skills), key=lambda n: NAMES[n])
    parts = [] if hidden else [definition(n) for n in names]
    code = "\n\n".join([*parts, f"def main_solution(x):\n    return {grown.expression}"])
    ask, ending = rng.below(len(ASKS)), rng.below(len(ANSWER_LINES))
    prompt = f"```python\n{code}\n```\n{ASKS[ask].format(x=_python(x))} Write the string without quotes."
    flags = ["definitions_hidden"] if hidden else []
    truth = gold(grown.tree, grown.value)
    prompt = f"{prompt}\n{ANSWER_LINES[ending]}"
    return Draft(grown.tree, truth, f"{ask}.{ending}", prompt, "\n".join(grown.works), [], flags)


def gold(tree: Tree, value: Value) -> Verifier:
    """Return the verifier of the returned string, from the tree alone."""
    return verifier_of(OPERATIONS[tree["skill"]], value)


def cells(params: NestedParams) -> list[Cell]:
    """Return one cell a level."""
    return level_cells(params.levels)


NESTED = Recipe(
    name="nested",
    version=1,
    about="nested string functions f(g(x)); a level is the effective depth on the row's own input",
    paper="From f(x) and g(x) to f(g(x)), arXiv 2509.25123",
    params=NestedParams,
    cells=cells,
    assign=assign,
    draw=draw,
    gold=gold,
)
