"""Twins: an intact problem and the same one without a premise that is needed, which a short reply names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from by_hand import cases_of, ending, held, named
from nonsense import nonsense
from pydantic import ValidationError

from factory.artifacts.digest import row_rng
from factory.errors import UserError
from factory.jobs.build import run_build
from factory.jobs.draw import problem_digest
from factory.jobs.engine import InProcess
from factory.jobs.model import Job, JobFile, parse_job
from factory.jobs.plan import plan, replan
from factory.jobs.talk import request_of
from factory.recipes.missing_premise import INTACT, MISSING_PREMISE, MissingPremiseParams, assign, cells, draw, talk
from factory.recipes.premises import ablations, is_needed
from factory.recipes.recipe import NOTHING, PREMISE, Ask, Brief, Cell, Demand, Draft, SeedProblem, Sources
from factory.recipes.removal import ABLATE, removal_fault
from factory.release.printed_functions import Runner
from factory.release.stored_rows import judge_row
from factory.score import score
from factory.skills.library import OPERATIONS
from factory.skills.tree import evaluate, leaf, literal, node
from factory.teacher.model import SamplingSpec

HAND = cases_of("missing-premise")


@dataclass(frozen=True)
class OneSeed:
    """A bank of the one seed of the hand-written cases."""

    identity: str = "one"

    def ids(self, split: str) -> Sequence[str]:
        return ["s"]

    def get(self, id_: str) -> SeedProblem:
        question: str = HAND["question"]
        at = question.index("35")
        return SeedProblem("s", question, HAND["answer"], "4 * 35 + 6 * 12 + 20 = 232.", 35, at, at + 2)


def params(**said: Any) -> MissingPremiseParams:
    return MissingPremiseParams(recipe="missing-premise", share=1.0, **said)


def twins(level: int, n: int, split: str = "train") -> list[tuple[Draft, Draft]]:
    """Return the pairs (intact, ablated) of planned slots that could be drawn."""
    out = []
    demand = Demand(Cell(f"level={level},intact", level), split, n, 3, "t")
    for i, skills in enumerate(assign(params(), demand).skills.to_list()):
        brief = Brief(level, split, skills, [], NOTHING, f"level={level},intact")
        pair = [
            draw(params(), one, row_rng(3, "draw", f"{level}/{i}"))
            for one in (brief, replace(brief, cell=f"level={level},ablated"))
        ]
        if isinstance(pair[0], Draft):
            assert isinstance(pair[1], Draft)
            out.append((pair[0], pair[1]))
        else:
            assert pair[0] == pair[1]
    return out


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Draft, Draft]]:
    found = [pair for level in (1, 2, 3, 4) for pair in twins(level, 30)]
    assert len(found) > 90
    return found


# --------------------------------------------------------------------------------------------------------- by program


def test_twins_say_the_same_but_for_the_premise(pairs: list[tuple[Draft, Draft]]) -> None:
    for intact, ablated in pairs:
        assert intact.phrasing == ablated.phrasing
        assert len(ablated.prompt) < len(intact.prompt)
        assert ablated.prompt.rpartition("\n")[2] == intact.prompt.rpartition("\n")[2]
        if not ablated.phrasing.startswith("problem"):
            rest = iter(intact.prompt)
            assert all(letter in rest for letter in ablated.prompt)  # nothing was added


def test_every_kind_of_premise_is_removed(pairs: list[tuple[Draft, Draft]]) -> None:
    kinds = [ablated.phrasing.split(".")[0] for _, ablated in pairs]
    assert {kind: kinds.count(kind) > 8 for kind in kinds} == {"value": True, "link": True, "problem": True}


def test_the_intact_twin_is_judged_as_its_chain_and_the_other_one_as_an_abstention(
    pairs: list[tuple[Draft, Draft]],
) -> None:
    ends = [ending("missing-premise", len(list(intact.steps.split("\n"))), intact) for intact, _ in pairs]
    assert ends.count("accepted") > len(pairs) * 0.8
    assert {ending("missing-premise", 0, ablated) for _, ablated in pairs} == {"accepted"}


def test_rows_are_flagged_with_what_they_are_and_only_the_intact_one_has_a_tree(
    pairs: list[tuple[Draft, Draft]],
) -> None:
    for intact, ablated in pairs:
        assert (INTACT in intact.flags, PREMISE in intact.flags) == (True, False)
        assert (INTACT in ablated.flags, PREMISE in ablated.flags) == (False, True)
        assert intact.tree
        assert not ablated.tree
        assert ablated.shape


def test_a_target_is_short_names_what_is_missing_and_gives_no_answer(pairs: list[tuple[Draft, Draft]]) -> None:
    for intact, ablated in pairs:
        target = ablated.verifier["gold"]
        said, _, answer = target.rpartition("\nAnswer: ")
        assert 25 <= len(target.split()) < 90
        assert any(name in said for name in ablated.verifier["args"]["names"])
        assert score(target, intact.verifier).value != 1.0
        assert score(target, ablated.verifier).value == 1.0
        assert score(f"{said}\nAnswer: {intact.verifier['gold']}", ablated.verifier).value == 0.0
        assert score(f"It is {answer}.", ablated.verifier).value == 0.0  # it names nothing


def test_targets_have_many_phrasings(pairs: list[tuple[Draft, Draft]]) -> None:
    openings = {ablated.verifier["gold"].split(".")[0][:12] for _, ablated in pairs}
    assert len(openings) >= 4


def test_a_missing_name_is_used_and_nowhere_defined(pairs: list[tuple[Draft, Draft]]) -> None:
    for intact, ablated in pairs:
        [name] = ablated.verifier["args"]["names"]
        assert name.lower() in ablated.prompt.lower()
        for definition in (f"Let {name} be", f"Call the answer {name}", f"The answer is {name}", f"Here is a {name}"):
            assert definition not in ablated.prompt
        assert intact.prompt.lower().count(name.lower()) > ablated.prompt.lower().count(name.lower())


def test_a_removed_value_stands_nowhere_else() -> None:
    skill = OPERATIONS["gcd_with"]
    for other, left in ((6, 1), (12, 0)):
        prompt = f"{skill.say('12', {'other': other}, 0)}\nEnd with 'Answer:'."
        tree = node(skill, {"other": other}, leaf(12, "number"))
        drawn = Draft(tree, {"kind": "number", "gold": "6", "args": {}}, "1.0", prompt, "work")
        assert len(ablations(drawn)) == left


def test_a_value_on_which_nothing_depends_is_not_needed() -> None:
    other, modulus = OPERATIONS["gcd_with"], OPERATIONS["remainder"]
    tree = node(modulus, {"divisor": 1}, node(other, {"other": 7}, leaf(12, "number")))
    assert not is_needed(tree, tree["args"][0]["args"][0], "gcd_with")
    needed = node(modulus, {"divisor": 5}, node(other, {"other": 6}, leaf(12, "number")))
    assert is_needed(needed, needed["args"][0]["args"][0], "gcd_with")
    assert evaluate(needed) == 1
    constant = node(modulus, {"divisor": 5}, literal(12, "number"))
    assert evaluate(constant) == 2


# --------------------------------------------------------------------------------------------------------------- plan


JOB = {"kind": "build", "name": "x", "recipes": [{"recipe": "missing-premise", "share": 1}]}


def job_of(rows: int) -> Job:
    return parse_job({**JOB, "rows": rows}, "x")


@pytest.mark.parametrize("rows", [80, 83, 8])
def test_slots_come_in_pairs_of_the_same_skills_one_of_each_cell(rows: int) -> None:
    slots = plan(job_of(rows), NOTHING)
    paired = slots.filter(slots["pair"] != "")
    assert slots.height - paired.height <= 8  # a cell of an odd quota has one slot more
    for (_,), both in paired.group_by("pair"):
        assert sorted(cell.partition(",")[2] for cell in both["cell"]) == ["ablated", "intact"]
        assert both["skills"].n_unique() == both["level"].n_unique() == both["split"].n_unique() == 1
    if rows == 80:
        assert paired.height == rows


def test_slots_that_are_planned_anew_are_paired_anew() -> None:
    job = job_of(80)
    slots = plan(job, NOTHING)
    open_ = slots.filter(slots["pair"].is_in(slots["pair"].unique().sort()[:9].implode()))
    fresh = replan(open_, job, NOTHING, 1)
    assert fresh.group_by("pair").len()["len"].to_list() == [2] * 9
    assert not set(fresh["pair"]) & set(slots["pair"])
    assert fresh.group_by("pair").agg(pl.col("skills").n_unique())["skills"].to_list() == [1] * 9


def test_there_are_two_cells_a_level_and_problems_have_one_level() -> None:
    assert [cell.name for cell in cells(params(levels=(2, 4)))] == [
        "level=2,intact", "level=2,ablated", "level=4,intact", "level=4,ablated",
    ]  # fmt: skip
    assert [cell.name for cell in cells(params(base="problems"))] == ["level=1,intact", "level=1,ablated"]


def test_problems_need_seeds_and_are_shared_by_both_cells() -> None:
    demand = Demand(Cell("level=1,ablated", 1), "train", 1, 3, "t")
    with pytest.raises(UserError, match="needs seeds: add `seeds: {path: FILE}` to the job"):
        assign(params(base="problems"), demand)
    planned = assign(params(base="problems"), replace(demand, sources=Sources(problems=OneSeed())))
    assert planned.parents is not None
    assert planned.parents.to_list() == [["s"]]


def test_params_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="agree is 6, but there are only 5 votes"):
        params(agree=6)
    with pytest.raises(ValidationError, match="a problem of the seeds is of level 1 alone"):
        params(base="problems", levels=(1, 2))
    again = MissingPremiseParams.model_validate(params(base="problems").model_dump(mode="json"))
    assert again == params(base="problems")
    assert MISSING_PREMISE.converses(params(base="problems"))
    assert not MISSING_PREMISE.converses(params())


# ------------------------------------------------------------------------------------------------------------ release


def stored(**instead: Any) -> dict[str, Any]:
    """Return a row of a release without a tree."""
    prompt = "What is the remainder when B1 is divided by 7?\nEnd with 'Answer:'."
    gold = "The number B1 is not given, and the remainder depends on it.\nAnswer: cannot be determined"
    row = {"recipe": "missing-premise", "tree": "", "prompt": prompt, "steps": "", "flags": [PREMISE]}
    row |= {"verifier": {"kind": "abstain", "gold": gold, "args": '{"names":["B1"]}'}} | instead
    return row | {"digest": problem_digest("", row["prompt"], row["flags"])}


def test_a_release_may_hold_abstentions_without_a_tree_beside_rows_with_one() -> None:
    assert judge_row(stored(), Runner(), None) == (["kind_known", "scoring", "text_rules"], "")


@pytest.mark.parametrize(
    "instead",
    [
        {"recipe": "chains"},
        {"recipe": "contrastive-solution"},
        {"recipe": "no-such-recipe"},
        {"flags": []},
        {"verifier": {"kind": "number", "gold": "7", "args": "{}"}, "steps": "3 + 4 = 7"},
        {"verifier": {"kind": "rubric", "gold": "Take seven of them.", "args": "{}"}},
    ],
)
def test_no_other_row_without_a_tree_passes_for_one_of_a_recipe_with_trees(instead: dict[str, Any]) -> None:
    passed, fault = judge_row(stored(**instead), Runner(), None)
    assert passed == []
    assert fault.startswith("kind_known: ")


def test_a_built_release_holds_whole_pairs_only(tmp_path: Path) -> None:
    job = parse_job({**JOB, "rows": 24, "mini": {"rows": 0}}, "x")
    with InProcess(1) as engine:
        release = run_build(JobFile(job, tmp_path), tmp_path, engine).release
    rows = pl.concat([pl.read_parquet(path) for path in sorted((release / "lineage").glob("*.parquet"))])
    kinds = rows.group_by("pair").agg(flags=pl.col("flags").list.first().sort())
    assert kinds.height == 12
    assert {tuple(flags) for flags in kinds["flags"].to_list()} == {(PREMISE, INTACT)}
    assert rows.filter(pl.col("tree") == "")["flags"].to_list() == [[PREMISE]] * 12


# ------------------------------------------------------------------------------------------------------ with a teacher


def made(case: dict[str, Any], cell: str) -> str:
    votes = case.get("votes", HAND["open"])
    said = case.get("reply", {})
    reply = said if isinstance(said, str) or "failure" in said else {**HAND["good"], **said}

    def answer(ask: Ask) -> Any:
        if ask.prompt == ABLATE:
            return reply
        vote = votes[ask.repeat]
        return f"The pens cost 72 rupees.\nAnswer: {vote}" if isinstance(vote, str) else vote

    brief = Brief(1, "train", ["seed_problem"], ["s"], Sources(problems=OneSeed()), f"level=1,{cell}")
    return ending("missing-premise", 1, held(talk(params(base="problems"), brief, row_rng(1, "draw", "x")), answer))


@pytest.mark.parametrize("case", HAND["cases"], ids=named(HAND["cases"]))
def test_a_hand_written_reply_ends_as_it_must(case: dict[str, Any]) -> None:
    assert made(case, case.get("cell", "ablated")) == case["ends"]


def test_an_ablated_problem_of_a_teacher_has_its_words_and_a_target_of_its_clauses() -> None:
    def answer(ask: Ask) -> Any:
        return HAND["good"] if ask.prompt == ABLATE else "Answer: cannot be determined"

    brief = Brief(1, "train", ["seed_problem"], ["s"], Sources(problems=OneSeed()), "level=1,ablated")
    row = held(talk(params(base="problems"), brief, row_rng(1, "draw", "x")), answer)
    assert isinstance(row, Draft)
    assert row.prompt.startswith(HAND["good"]["rewritten"])
    assert "what one of the notebooks costs" in row.verifier["gold"]
    assert str(HAND["answer"]) not in row.prompt + row.verifier["gold"]  # no stale answer
    assert (row.parents, row.flags, row.tree, row.steps) == (["s"], [PREMISE], {}, "")


def test_the_example_replies_make_both_twins() -> None:
    for cell in ("intact", "ablated"):
        brief = Brief(1, "train", ["seed_problem"], ["s"], Sources(problems=OneSeed()), f"level=1,{cell}")
        row = held(talk(params(base="problems"), brief, row_rng(1, "draw", "x")), lambda ask: ask.example)
        assert ending("missing-premise", 1, row) == "accepted"


@pytest.mark.parametrize("seed", range(40))
def test_nonsense_of_the_right_form_never_crashes(seed: int) -> None:
    rng = row_rng(seed, "nonsense", "missing-premise")

    def answer(ask: Ask) -> Any:
        schema = request_of(ask, 0, SamplingSpec()).schema
        return nonsense(schema, rng) if schema else rng.pick(["", "Answer:", "Answer: 7", "\\boxed{", "x" * 999])

    brief = Brief(1, "train", ["seed_problem"], ["s"], Sources(problems=OneSeed()), "level=1,ablated")
    row = held(talk(params(base="problems"), brief, rng), answer)
    assert ending("missing-premise", 1, row) != "accepted"


def test_a_number_that_stands_twice_may_stay_once() -> None:
    said = {"removed": "3 red", "rewritten": "Take pens and 3 blue pens. How many?", "names": ["pens"]}
    said |= {"missing": "how many red pens", "then": "add the 3 blue pens"}
    assert removal_fault("Take 3 red pens and 3 blue pens. How many?", said) == ""
    assert removal_fault("Take 3 red pens and 4 blue pens. How many?", said) != ""
