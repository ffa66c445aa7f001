from __future__ import annotations

import json
from typing import Any

import pytest

from factory.artifacts.digest import Rng, canonical_json
from factory.recipes.recipe import Brief, Draft
from factory.recipes.registry import RECIPES
from factory.release.stored_tree import MAX_DEPTH, BadTree, read_tree
from factory.skills.library import TASKS

X = {"kind": "text", "x": "abcd"}
ONE = {"kind": "number", "value": 1}


def skill(name: str, *args: Any, **params: Any) -> dict[str, Any]:
    return {"skill": name, "params": params, "args": list(args)}


def edge(name: str, arg: Any, **params: Any) -> dict[str, Any]:
    return {"adapter": name, "params": params, "args": [arg]}


def deep(levels: int) -> dict[str, Any]:
    tree = X
    for _ in range(levels):
        tree = skill("reverse_text", tree)
    return tree


GROWN = skill("repeat_text", skill("repeat_text", skill("repeat_text", X | {"x": "ab" * 50}, n=4), n=4), n=4)

HOSTILE = {
    "unknown skill": (skill("os.system", X), "no skill"),
    "skill that is no text": (skill("mirror", X) | {"skill": ["mirror"]}, "no skill"),
    "unknown adapter": (skill("digit_sum", edge("eval", ONE)), "no adapter"),
    "unknown kind": ({"kind": "code", "x": 1}, "no kind"),
    "huge knob": (skill("repeat_text", X, n=10**9), "2 to 4"),
    "knob of another type": (skill("repeat_text", X, n=3.0), "2 to 4"),
    "float among choices": (skill("lamp_is_on", ONE, rounds=3.0), "3 to 9"),
    "missing knob": (skill("repeat_text", X), "parameters"),
    "another knob": (skill("mirror", X, n=3), "parameters"),
    "parameters that are a list": (skill("mirror", X) | {"params": []}, "parameters"),
    "adapter parameter that is a text": (skill("digit_sum", edge("affine", ONE, a="x", b=1)), "a of affine"),
    "division by nothing": (skill("digit_sum", edge("remainder", ONE, m=0, b=1)), "m of remainder"),
    "unit out of range": (skill("digit_sum", edge("convert", ONE, unit=99)), "unit of convert"),
    "number that grows": (skill("digit_sum", edge("affine", ONE | {"value": 2**62}, a=2**62, b=0)), "too large"),
    "text that grows": (GROWN, "not made for"),
    "text times a number": (skill("multiply", X, ONE | {"value": 2**40}), "takes a number"),
    "leaf of another type": ({"kind": "number", "x": "7"}, "no number"),
    "truth value as a number": ({"kind": "number", "x": True}, "no number"),
    "long leaf": (skill("mirror", X | {"x": "a" * 5000}), "too large"),
    "wide list": (skill("list_sum", {"kind": "list", "x": [1] * 300}), "too large"),
    "table with odd rows": ({"kind": "table", "x": {"columns": ["a"], "rows": [[1, 2]]}}, "no table"),
    "date that is none": (skill("weekday_of", {"kind": "date", "x": "2020-99-99"}), "not made for"),
    "fraction that is none": (skill("continued_fraction", {"kind": "fraction", "x": "²/3"}), "not made"),
    "input outside the domain": (skill("reverse_digits", ONE), "not made for"),
    "problem that is not well posed": (skill("table_city_count", {"kind": "table", "x": {
        "columns": ["item", "city", "count", "price"], "rows": [["pen", "Oslo", 1, 2]]}}, city="Lima"), "not made"),
    "too few arguments": (skill("interlace", X), "arguments"),
    "too many arguments": (skill("mirror", X, X), "arguments"),
    "no arguments": (skill("all_of"), "arguments"),
    "arguments that are a text": (skill("mirror") | {"args": "ab"}, "not a list"),
    "all_of below the root": (skill("all_of", skill("all_of", X)), "not the root"),
    "adapter at the root": (edge("affine", ONE, a=1, b=1), "to a skill"),
    "other keys": (skill("mirror", X) | {"extra": 1}, "neither"),
    "no tree": ([1, 2], "neither"),
    "too deep": (deep(MAX_DEPTH + 1), "deeper"),
    "too many parts": (skill("all_of", *[X] * 300), "more than"),
}  # fmt: skip


@pytest.mark.parametrize(("tree", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_tree_is_refused_with_its_reason(tree: Any, reason: str) -> None:
    with pytest.raises(BadTree, match=reason):
        read_tree(json.dumps(tree))


@pytest.mark.parametrize("text", ["", "{", "[" * 5000, "null", "NaN", '"' + "a" * 30_000 + '"', "{'a': 1}"])
def test_text_that_is_no_tree_is_refused(text: str) -> None:
    with pytest.raises(BadTree):
        read_tree(text)


def test_a_tree_of_the_greatest_depth_is_read() -> None:
    tree = deep(MAX_DEPTH)
    assert read_tree(json.dumps(tree)) == tree


BRIEFS = {
    "nested": ["repeat_text", "interlace"],
    "countdown": ["countdown((n/n)-n)"],
    "lego": ["lego_depth_3"],
    "skill-pairs": ["digit_sum", "note_keyword"],
}


@pytest.mark.parametrize(("recipe", "skills"), BRIEFS.items())
def test_what_a_recipe_draws_is_read_as_it_was(recipe: str, skills: list[str]) -> None:
    params = RECIPES[recipe].params(recipe=recipe, share=1)
    drafts = [RECIPES[recipe].draw(params, Brief(3, "train", skills, []), Rng(seed)) for seed in range(30)]
    trees = [draft.tree for draft in drafts if isinstance(draft, Draft)]
    assert trees
    assert [read_tree(canonical_json(tree).decode()) for tree in trees] == trees


@pytest.mark.parametrize("name", TASKS)
def test_a_chain_of_any_skill_is_read_as_it_was(name: str) -> None:
    params = RECIPES["chains"].params(recipe="chains", share=1)
    drafts = [RECIPES["chains"].draw(params, Brief(1, "train", [name], []), Rng(seed)) for seed in range(4)]
    trees = [draft.tree for draft in drafts if isinstance(draft, Draft)]
    assert trees
    assert [read_tree(canonical_json(tree).decode()) for tree in trees] == trees
