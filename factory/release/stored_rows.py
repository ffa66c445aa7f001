"""What must hold of one row of a release, from its stored tree alone: what is told of it, its gold, its scoring."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from factory.artifacts.digest import canonical_json
from factory.gates.reply import WHOLE_REPLY
from factory.gates.verify import Reason, answers_reason, gold_reason
from factory.jobs.draw import problem_digest
from factory.recipes.countdown import LEAF, SIGNS, Pattern, by_signature
from factory.recipes.recipe import PREMISE
from factory.recipes.registry import RECIPES
from factory.release.printed_functions import Refused, Runner, read_prompt
from factory.release.stored_tree import BadTree, read_tree
from factory.skills.families.operators import ALL_OF, KEEP, NEGATE, SEED_PROBLEM
from factory.skills.library import CONSTRAINTS, FUNCTIONS, SKILLS, TASKS
from factory.skills.skill import Value
from factory.skills.tree import UNDEFINED, OutsideDomain, Tree, effective, nodes, topology

Row = Mapping[str, Any]
MAX_NUMBERS = 5  # of a Countdown problem

CHAINED = {*TASKS, SEED_PROBLEM.name}
# What a recipe's trees are made of: a row under another recipe's name would miss its own checks.
POOLS: Mapping[str, Collection[str]] = {
    "chains": CHAINED,
    "rephrased": CHAINED,
    "missing-premise": CHAINED,
    "contrastive-solution": CHAINED,
    "skill-traces": CHAINED,
    "nested": FUNCTIONS,
    "skill-pairs": {*TASKS, *CONSTRAINTS, ALL_OF.name},
    "countdown": SIGNS,
    "lego": {KEEP.name, NEGATE.name},
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A row, its tree, and what that evaluates to."""

    row: Row
    tree: Tree
    value: Value
    depth: int


# A recipe that is handed a well-typed tree of another recipe fails in one of these ways.
FAILURES = (*UNDEFINED, OutsideDomain, AttributeError, AssertionError)


def judge_row(row: Row, runner: Runner, broken: Reason | None) -> tuple[list[str], str]:
    """Return (the checks that a row passed, in order, and the first problem of the next one, or "").

    The row has the columns of SAMPLES but those of the plan; nothing in it needs to be trusted. `broken` is what the
    rules for texts say of a row without a tree: they are asked about many rows at once.
    """
    passed: list[str] = []
    if not row["tree"]:
        return _judge_text(row, broken)
    try:
        tree = read_tree(row["tree"])
    except BadTree as error:
        return passed, f"tree_is_known: {error}"
    value, depth = effective(tree)
    stored = Stored(row, tree, value, depth)
    for name, fault_of in ROW_CHECKS.items():
        try:
            fault = fault_of(stored)
        except FAILURES as error:
            fault = f"the tree is not one of recipe {row['recipe']!r}: {type(error).__name__} {error}"
        if fault:
            return passed, f"{name}: {fault}"
        passed.append(name)
    if row["recipe"] == "nested":
        if fault := _printed_fault(row, runner):
            return passed, f"printed_functions: {fault}"
        passed.append("printed_functions")
    return passed, ""


def _judge_text(row: Row, broken: Reason | None) -> tuple[list[str], str]:
    """Return the checks that a row without a tree passed, and the first problem."""
    passed: list[str] = []
    for name, fault_of in TEXT_CHECKS.items():
        if fault := fault_of(row):
            return passed, f"{name}: {fault}"
        passed.append(name)
    return (passed, f"text_rules: {': '.join(broken)}") if broken else ([*passed, "text_rules"], "")


def _kind_fault(row: Row) -> str:
    recipe = RECIPES.get(row["recipe"])
    abstains = row["verifier"]["kind"] == "abstain" and PREMISE in row["flags"]
    if recipe is None or (recipe.gold is not None and not (recipe.twins and abstains)):
        return f"a row of recipe {row['recipe']!r} has a tree, or there is no such recipe"
    if row["verifier"]["kind"] not in WHOLE_REPLY:
        return "" if row["steps"] else "an answer without a tree needs its steps"
    return "" if row["digest"] == problem_digest("", row["prompt"], row["flags"]) else "the digest is not its own"


def _told_fault(row: Row) -> str:
    reason = answers_reason(row["verifier"], row["steps"])
    return ": ".join(reason) if reason else ""


TEXT_CHECKS: Mapping[str, Callable[[Row], str]] = {"kind_known": _kind_fault, "scoring": _told_fault}


def _tree_fault(stored: Stored) -> str:
    row, tree = stored.row, stored.tree
    if row["recipe"] not in RECIPES:
        return f"there is no recipe {row['recipe']!r}"
    if canonical_json(tree).decode() != row["tree"] or problem_digest(row["tree"], "", row["flags"]) != row["digest"]:
        return "the tree is not canonical JSON, or the digest is not its own"
    return "" if topology(tree) == row["topology"] else f"the tree's topology is {topology(tree)}"


def _skills_fault(stored: Stored) -> str:
    row, tree = stored.row, stored.tree
    parts = {part["skill"] for part in nodes(tree)}
    if strangers := sorted(parts.difference(POOLS.get(row["recipe"], parts))):
        return f"recipe {row['recipe']} has no {', '.join(strangers)}"
    used = sorted(parts & SKILLS.keys())
    told = [str(name) for name in row["skills"]]
    if used != sorted(set(told) & SKILLS.keys()):
        return f"the tree uses {', '.join(used) or 'none'}, told are {', '.join(told)}"
    if row["recipe"] != "countdown":
        return ""
    pattern = None
    if len(told) == 1 and 3 <= row["level"] <= MAX_NUMBERS:
        pattern = by_signature(row["level"]).get(told[0].removeprefix("countdown"))
    if pattern is None or _shape_of_pattern(pattern) != _shape_of_tree(tree):
        return f"the tree is not of the pattern {', '.join(told)} of {row['level']} numbers"
    return ""


def _shape_of_pattern(pattern: Pattern) -> str:
    if pattern == LEAF:
        return "n"
    kind, straight, inverted = pattern
    signs = "+-" if kind == "sum" else "*/"
    return _shape(signs, [_shape_of_pattern(p) for p in straight], [_shape_of_pattern(p) for p in inverted])


def _shape_of_tree(tree: Tree) -> str:
    """Return the pattern of an expression: a run of + and - down the left side is one sum, and so for * and /."""
    if "value" in tree:
        return "n"
    signs = "+-" if SIGNS[tree["skill"]] in "+-" else "*/"
    parts: dict[str, list[str]] = {sign: [] for sign in signs}
    while "skill" in tree and SIGNS[tree["skill"]] in signs:
        parts[SIGNS[tree["skill"]]].append(_shape_of_tree(tree["args"][1]))
        tree = tree["args"][0]
    parts[signs[0]].append(_shape_of_tree(tree))
    return _shape(signs, parts[signs[0]], parts[signs[1]])


def _shape(signs: str, straight: list[str], inverted: list[str]) -> str:
    return f"({signs[0].join(sorted(straight))}{''.join(signs[1] + part for part in sorted(inverted))})"


def _depth_fault(stored: Stored) -> str:
    row, depth = stored.row, stored.depth
    if depth != row["effective_depth"]:
        return f"it is {depth}, stored is {row['effective_depth']}"
    if RECIPES[row["recipe"]].depth_is_level and depth != row["level"]:
        return f"it is {depth}, the level is {row['level']}"
    return ""


def _gold_fault(stored: Stored) -> str:
    reason = gold_reason(stored.row["recipe"], stored.tree, stored.value, stored.row["verifier"])
    return reason[1] if reason else ""


def _answers_fault(stored: Stored) -> str:
    reason = answers_reason(stored.row["verifier"], stored.row["steps"])
    return ": ".join(reason) if reason else ""


def _printed_fault(row: Row, runner: Runner) -> str:
    try:
        value = runner.run(read_prompt(row["prompt"], hidden="definitions_hidden" in row["flags"]))
    except Refused as error:
        return str(error)
    gold = row["verifier"]["gold"]
    return "" if value == gold else f"the prompt's code returns {value!r}, the gold is {gold!r}"


ROW_CHECKS: Mapping[str, Callable[[Stored], str]] = {
    "tree_is_known": _tree_fault,
    "skills_told": _skills_fault,
    "effective_depth": _depth_fault,
    "gold_recomputed": _gold_fault,
    "only_gold_scores_1": _answers_fault,
}
