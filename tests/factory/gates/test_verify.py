"""The truth gate lets sound candidates pass and turns away each kind of untruth with its reason."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
import polars as pl
import pytest
from by_example import make, skills_and_parents, sources_of

from factory.artifacts.digest import canonical_json, text_digest
from factory.gates import verify as gate
from factory.gates.reply import WHOLE_REPLY, completion
from factory.gates.verify import VERIFY
from factory.jobs.draw import DRAW, attempts, made_columns
from factory.jobs.draw import candidates_of as candidates_of_slots
from factory.recipes.registry import RECIPES
from factory.score import score
from factory.skills.library import OPERATIONS, Library
from factory.skills.tree import Tree, edge, effective, evaluate, leaf, node
from schemas.slots import SLOTS

Change = Callable[[dict[str, Any]], dict[str, Any]]


CELLS = 20  # of a recipe, at most: one has a hundred


@cache
def every_candidate_of(recipe: str) -> pl.DataFrame:
    """Return three candidates of each of a recipe's cells, or of as many as are enough."""
    params = RECIPES[recipe].params.model_validate({"recipe": recipe, "share": 1.0})
    rows = [
        {"id": f"{cell.name}/{i}", "slot": i, "entry": 0, "recipe": recipe, "cell": cell.name, "level": cell.level,
         "split": "train", "skills": skills, "parents": parents, "pair": "", "replan": 0}
        for cell in RECIPES[recipe].cells(params)[:CELLS]
        for i, (skills, parents) in enumerate(skills_and_parents(recipe, params, cell, "train", 3))
    ]  # fmt: skip
    settings = {"name": "gate", "seed": 7, "attempt": 0, "entries": [params.model_dump(mode="json")]}
    slots = pl.DataFrame(rows, schema=dict(SLOTS.columns))
    tried = attempts(slots, settings, sources_of(recipe))
    made = [made_columns(a, make(recipe, a.params, a.brief, a.rng)) for a in tried]
    return DRAW.writes.split(candidates_of_slots(slots, made, 0))[0]


def candidates_of(recipe: str) -> pl.DataFrame:
    """Return the candidates of a recipe that have a tree, from which their gold is recomputed."""
    return every_candidate_of(recipe).filter(pl.col("tree") != "")


def texts_of(recipe: str) -> pl.DataFrame:
    """Return the candidates of a recipe that have none: their reply is a text."""
    return every_candidate_of(recipe).filter(pl.col("tree") == "")


WITH_TREES = [name for name, recipe in RECIPES.items() if recipe.gold is not None]
WITHOUT = [name for name, recipe in RECIPES.items() if recipe.gold is None or recipe.twins]


def verdicts(candidates: pl.DataFrame) -> pl.DataFrame:
    return VERIFY.run(candidates, {"seed": 7}, library=Library())


def changed(recipe: str, change: Change) -> pl.DataFrame:
    """Return the candidates of a recipe, each changed in its own way."""
    return changed_rows(candidates_of(recipe), change)


def changed_rows(frame: pl.DataFrame, change: Change) -> pl.DataFrame:
    return pl.DataFrame([row | change(row) for row in frame.to_dicts()], schema=frame.schema)


def reasons(candidates: pl.DataFrame) -> list[tuple[str, str]]:
    """Return (code, detail) of the one reason of each candidate."""
    out = []
    for found in verdicts(candidates)["reasons"].to_list():
        assert [(r["gate"], r["twin"]) for r in found] == [("verify", None)]
        out.append((found[0]["code"], found[0]["detail"]))
    return out


@pytest.mark.parametrize("recipe", WITH_TREES)
def test_sound_candidates_pass_with_their_effective_depth(recipe: str) -> None:
    found = verdicts(candidates_of(recipe))
    passed = found["reasons"].list.len() == 0
    failed = found.filter(~passed)["reasons"].explode().struct.field("code")
    assert set(failed) <= {"input_matters"}  # a draw may fall where no input counts
    assert passed.sum() > 0.6 * found.height
    depths = pl.Series([effective(orjson.loads(tree))[1] for tree in candidates_of(recipe)["tree"]])
    assert found.filter(passed)["effective_depth"].to_list() == depths.filter(passed).to_list()
    if RECIPES[recipe].depth_is_level:
        assert depths.to_list() == candidates_of(recipe)["level"].to_list()


def test_a_verdict_keeps_what_names_its_candidate_and_digests_the_prompt() -> None:
    candidates = candidates_of("chains")
    found = verdicts(candidates)
    same = ["id", "slot", "attempt", "digest", "cap_key", "entry"]
    assert found.select(same).equals(candidates.select(same))
    assert found["prompt_digest"].to_list() == [text_digest(p) for p in candidates["prompt"]]


def test_every_recipe_has_candidates_of_the_kinds_it_claims() -> None:
    assert {name for name in RECIPES if candidates_of(name).height} == set(WITH_TREES)
    assert {name for name in RECIPES if texts_of(name).height} == set(WITHOUT)


@pytest.mark.parametrize("recipe", WITHOUT)
def test_sound_texts_pass_with_a_depth_of_0(recipe: str) -> None:
    found = verdicts(texts_of(recipe))
    assert found["reasons"].list.len().sum() == 0
    assert found["effective_depth"].unique().to_list() == [0]


@pytest.mark.parametrize("recipe", WITHOUT)
def test_a_text_that_breaks_a_rule_for_texts_is_turned_away_by_its_name(recipe: str) -> None:
    refusing = changed_rows(
        texts_of(recipe),
        lambda row: {
            "verifier": row["verifier"] | {"kind": "rubric", "gold": "I'm sorry, but I can't help with that."}
        },
    )
    cut = changed_rows(
        texts_of(recipe),
        lambda row: {"verifier": row["verifier"] | {"kind": "rubric", "gold": "It is the first of them, since the"}},
    )
    labelled = changed_rows(texts_of(recipe), lambda row: {"prompt": f"Improved instruction: {row['prompt']}"})
    assert {code for code, _ in reasons(refusing)} == {"no_refusal"}
    assert {code for code, _ in reasons(cut)} == {"complete"}
    assert {code for code, _ in reasons(labelled)} == {"no_residue_in_prompt"}


@pytest.mark.parametrize("recipe", WITHOUT)
def test_a_worse_reply_that_is_the_chosen_one_is_turned_away(recipe: str) -> None:
    same = changed_rows(texts_of(recipe), lambda row: {"rejected": f" {completion(row['steps'], row['verifier'])}\n"})
    assert set(reasons(same)) == {("rejected_is_another", "the rejected reply is the chosen one")}
    worse = changed_rows(texts_of(recipe), lambda row: {"rejected": "It depends."})
    assert verdicts(worse)["reasons"].list.len().sum() == 0


def test_texts_and_trees_in_one_shard_get_the_verdicts_that_each_has_alone() -> None:
    texts, trees = texts_of("instruct-skillmix")[:4], candidates_of("chains")[:4]
    bad = changed_rows(texts[:2], lambda row: {"verifier": row["verifier"] | {"gold": "I'm sorry, I can't help."}})
    parts = [trees[:2], texts[2:], bad, trees[2:]]
    assert verdicts(pl.concat(parts)).equals(pl.concat([verdicts(part) for part in parts]))


def test_a_text_whose_programmatic_check_fails_is_turned_away() -> None:
    args = canonical_json({"checks": [{"check": "max_sentences", "n": 1}]}).decode()
    long = changed_rows(texts_of("instruct-skillmix"), lambda row: {"verifier": row["verifier"] | {"args": args}})
    assert {code for code, _ in reasons(long)} == {"gold_scores_1"}


def test_a_reply_that_abstains_and_names_nothing_that_is_missing_is_turned_away() -> None:
    args = canonical_json({"names": ["the weight of the parcel"]}).decode()
    vague = changed_rows(
        texts_of("instruct-skillmix"),
        lambda row: {"verifier": {"kind": "abstain", "gold": "That cannot be determined.", "args": args}},
    )
    assert {code for code, _ in reasons(vague)} == {"gold_scores_1"}


@pytest.mark.parametrize("recipe", WITH_TREES)
def test_another_gold_is_turned_away_with_both_golds(recipe: str) -> None:
    wrong = changed(recipe, lambda row: {"verifier": row["verifier"] | {"gold": "wrong"}})
    for (code, detail), row in zip(reasons(wrong), candidates_of(recipe).to_dicts(), strict=True):
        assert code == "gold_recomputed"
        assert detail == f"the tree gives {row['verifier']['gold']!r}, stored is 'wrong'"


@pytest.mark.parametrize("recipe", WITH_TREES)
@pytest.mark.parametrize("part", [{"kind": "json"}, {"args": '{"tolerance":9}'}], ids=["kind", "arguments"])
def test_another_verifier_is_turned_away(recipe: str, part: dict[str, str]) -> None:
    wrong = changed(recipe, lambda row: {"verifier": row["verifier"] | part})
    assert set(reasons(wrong)) == {("gold_recomputed", "the tree gives another verifier")}


def test_a_gold_is_not_believed_because_it_looks_alike() -> None:
    wrong = changed("countdown", lambda row: {"verifier": row["verifier"] | {"gold": f" {row['verifier']['gold']}"}})
    assert {code for code, _ in reasons(wrong)} == {"gold_recomputed"}


def exchanged(tree: Tree, value: object) -> Tree:
    """Return a tree with another input."""
    if "x" in tree:
        return tree | {"x": value}
    return tree | {"args": [exchanged(tree["args"][0], value), *tree["args"][1:]]} if "args" in tree else tree


@pytest.mark.parametrize("value", [None, -(10**15), {}], ids=str)
def test_a_tree_without_a_value_is_turned_away(value: object) -> None:
    broken = changed(
        "chains", lambda row: {"tree": canonical_json(exchanged(orjson.loads(row["tree"]), value)).decode()}
    )
    for code, detail in reasons(broken):
        assert code == "gold_recomputed"
        assert detail.startswith("the tree has no value: ")


@pytest.mark.parametrize("recipe", [name for name, recipe in RECIPES.items() if recipe.depth_is_level])
@pytest.mark.parametrize("off", [-1, 1])
def test_a_tree_that_is_not_as_deep_as_its_level_is_turned_away(recipe: str, off: int) -> None:
    wrong = changed(recipe, lambda row: {"level": row["level"] + off})
    for (code, detail), row in zip(reasons(wrong), candidates_of(recipe).to_dicts(), strict=True):
        assert (code, detail) == ("depth_is_level", f"effective depth {row['level']}, level {row['level'] + off}")


def test_a_step_that_changes_nothing_does_not_count_as_depth() -> None:
    same = node(OPERATIONS["reverse_digits"], {}, leaf(121, "number"))
    assert reasons(candidate_with(same, level=1)) == [("depth_is_level", "effective depth 0, level 1")]


def candidate_with(tree: Tree, level: int) -> pl.DataFrame:
    """Return a candidate chain with a tree and its true gold."""
    truth = RECIPES["chains"].gold(tree, evaluate(tree))
    verifier = truth | {"args": canonical_json(truth["args"]).decode()}
    row = candidates_of("chains").row(0, named=True)
    row |= {"level": level, "tree": canonical_json(tree).decode(), "verifier": verifier, "steps": "By thought."}
    return pl.DataFrame([row], schema=candidates_of("chains").schema)


def test_an_answer_that_does_not_follow_its_input_is_turned_away() -> None:
    first = node(OPERATIONS["digit_sum"], {}, leaf(777, "number"))
    forgets = edge("remainder", {"m": 1, "b": 24}, first)  # whatever the first answer is, 24 goes on
    deaf = node(OPERATIONS["divisor_count"], {}, forgets)
    assert reasons(candidate_with(deaf, level=2)) == [("input_matters", "the answer did not follow any changed input")]
    follows = node(OPERATIONS["divisor_count"], {}, edge("remainder", {"m": 50, "b": 24}, first))
    assert verdicts(candidate_with(follows, level=2))["effective_depth"].to_list() == [2]


@pytest.mark.parametrize(
    ("name", "instead", "code", "detail"),
    [
        ("completion", lambda steps, verifier: "I will not say.", "completion_scores_1", "scored 0.0: "),
        (
            "wrong_answers",
            lambda verifier: {"cut": verifier["gold"]},
            "cut_does_not_score_1",
            "the wrong answer ",
        ),
        ("score", lambda answer, verifier: score("", verifier), "gold_scores_1", "scored 0.0: "),
    ],
    ids=["a completion that scores 0", "a wrong answer that scores 1", "a gold that scores 0"],
)
def test_a_scorer_that_cannot_be_trusted_on_a_row_turns_it_away(
    monkeypatch: pytest.MonkeyPatch, name: str, instead: object, code: str, detail: str
) -> None:
    monkeypatch.setattr(gate, name, instead)
    for found, said in reasons(candidates_of("nested")):
        assert found == code
        assert said.startswith(detail)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_completion_of_the_steps_and_the_gold_scores_1(recipe: str) -> None:
    for row in every_candidate_of(recipe).to_dicts():
        told, verifier = completion(row["steps"], row["verifier"]), row["verifier"]
        if verifier["kind"] in WHOLE_REPLY:
            assert told == verifier["gold"]
        else:
            assert told.startswith(row["steps"] + "\nAnswer:")
        assert score(told, verifier).value == 1.0


def test_only_rows_whose_answer_a_program_knows_end_with_an_answer_line() -> None:
    assert completion("One.", {"kind": "number", "gold": "4"}) == "One.\nAnswer: 4"
    assert completion("One.", {"kind": "table", "gold": "a,b\n1,2"}) == "One.\nAnswer:\na,b\n1,2"
    assert completion("One.", {"kind": "rubric", "gold": "Dear Ann,\nno."}) == "Dear Ann,\nno."
    assert completion("", {"kind": "abstain", "gold": "N is not given."}) == "N is not given."


def test_a_verdict_does_not_depend_on_where_its_row_stands() -> None:
    candidates = candidates_of("lego")
    assert verdicts(candidates.reverse()).equals(verdicts(candidates).reverse())
