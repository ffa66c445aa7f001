"""Chains in a teacher's words: facts are kept, solutions agree, and the row's steps are a right solution's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from factory.artifacts.digest import canonical_json, row_rng
from factory.errors import UserError
from factory.gates.verify import judge
from factory.jobs.model import parse_job
from factory.recipes.recipe import Ask, Brief, Cell, Demand, Draft, Dropped
from factory.recipes.registry import RECIPES
from factory.recipes.rephrased import FORMS, REPHRASE, SOLVE, RephrasedParams, facts_of, steps_of, talk
from factory.score import score
from factory.teacher.protocol import NoReply, Reply, no_reply

Author = Callable[[str], Reply]
Solver = Callable[[Ask, int], Reply]


def params(**said: Any) -> RephrasedParams:
    return RephrasedParams(recipe="rephrased", share=1.0, **said)


def briefs(n: int, level: int = 2) -> Iterator[tuple[Brief, str]]:
    """Yield planned slots and the name of each one's stream."""
    demand = Demand(Cell(f"level={level}", level), "train", n, 3, f"0/level={level}/train")
    for i, skills in enumerate(RECIPES["rephrased"].assign(params(), demand).skills.to_list()):
        yield Brief(level, "train", skills, []), f"{demand.tag}/{i}"


def said(problem: str) -> Reply:
    return Reply(text=problem, parsed={"problem": problem})


def good_solver(ask: Ask, vote: int) -> Reply:
    return Reply(text=ask.example)


def wrong_solver(ask: Ask, vote: int) -> Reply:
    return Reply(text="1. It is so.\nAnswer: something else entirely")


class Held:
    """A conversation that was held to its end: what was asked in each turn and what came of it."""

    def __init__(
        self,
        brief: Brief,
        stream: str,
        author: Author = said,
        solver: Solver = good_solver,
        of: RephrasedParams | None = None,
    ) -> None:
        self.turns: list[list[Ask]] = []
        self.made: Draft | Dropped | None = None
        speaking = talk(of or params(), brief, row_rng(3, "draw", stream))
        try:
            asks = next(speaking)
            while True:
                self.turns.append(asks)
                asks = speaking.send(self._replies(asks, author, solver))
        except StopIteration as end:
            self.made = end.value

    @property
    def draft(self) -> Draft:
        assert isinstance(self.made, Draft)
        return self.made

    @staticmethod
    def _replies(asks: Sequence[Ask], author: Author, solver: Solver) -> list[Reply]:
        return [
            author(ask.inputs["problem"]) if ask.prompt == REPHRASE else solver(ask, i) for i, ask in enumerate(asks)
        ]


@pytest.fixture(scope="module")
def slots() -> list[tuple[Brief, str]]:
    """Slots whose chain can be drawn."""
    found = [slot for slot in briefs(16) if isinstance(Held(*slot).made, Draft)]
    assert len(found) > 8
    return found


# ------------------------------------------------------------------------------------------------- the conversation


def test_the_problem_is_told_anew_and_then_solved_as_often_as_it_has_votes(slots: list[tuple[Brief, str]]) -> None:
    held = Held(*slots[0], of=params(votes=3, agree=2))
    [rephrase], solve = held.turns
    assert (rephrase.prompt, rephrase.role) == (REPHRASE, "author")
    assert rephrase.inputs["form"] in FORMS
    assert [(ask.prompt, ask.role, ask.repeat) for ask in solve] == [(SOLVE, "judge", i) for i in range(3)]
    assert {ask.inputs["problem"] for ask in solve} == {held.draft.prompt}


def test_a_row_has_the_new_words_and_the_answer_line_of_its_chain(slots: list[tuple[Brief, str]]) -> None:
    for slot in slots:
        held = Held(*slot, author=lambda problem: said(f"Listen.\n{problem}\n"))
        original = held.turns[0][0].inputs["problem"]
        draft = held.draft
        words, _, close = draft.prompt.rpartition("\n")
        assert words == f"Listen.\n{original}"
        assert "nswer" in close
        assert draft.phrasing == f"rephrased.{FORMS.index(held.turns[0][0].inputs['form'])}"


def test_a_row_is_judged_as_its_chain_is(slots: list[tuple[Brief, str]]) -> None:
    passed = 0
    for brief, stream in slots:
        draft = Held(brief, stream).draft
        stored = {**draft.verifier, "args": canonical_json(draft.verifier["args"]).decode()}
        found = judge("rephrased", brief.level, draft.tree, stored, draft.steps)
        assert found == judge("chains", brief.level, draft.tree, stored, draft.steps)
        passed += found == brief.level
    assert passed > len(slots) / 2


def test_a_chain_that_cannot_be_drawn_asks_nobody() -> None:
    held = [Held(*slot) for slot in briefs(60, level=4)]
    dropped = [h for h in held if isinstance(h.made, Dropped)]
    assert all(not h.turns for h in dropped)
    assert all(len(h.turns) == 2 for h in held if isinstance(h.made, Draft))


def test_the_same_stream_asks_the_same(slots: list[tuple[Brief, str]]) -> None:
    assert Held(*slots[0]).turns == Held(*slots[0]).turns != Held(*slots[1]).turns


# -------------------------------------------------------------------------------------------------------------- facts


@pytest.mark.parametrize(
    ("problem", "facts"),
    [
        ("Add 3 to 9 and call it A1.", []),
        ("Problem 12. Take 40.\nProblem 13. Take B2 from 41.", ["40", "41"]),
        ("(11) Take 40 pens.\n(12) Halve them.", ["40"]),
        ("Step 10: 25 pens", ["25"]),
        ("From 2024-05-13 to 13/05/2024", ["2024-05-13", "13/05/2024"]),
        ("at 9:30 and at 10:05:30", ["9:30", "10:05:30"]),
        ("3.75 litres and 0.5", ["3.75", "0.5"]),
        ("1,234 and 12,345,678 and 1,234.50", ["1,234", "12,345,678", "1,234.50"]),
        ("the list [12, 13,140]", ["12", "13,140"]),
        ("12 pens, 12 more", ["12"]),
        ("It ends with 12. Then 13, and 14; (15)", ["12", "13", "14", "15"]),
        ("reverse \"ab 12\" and 'xy'", ['"ab 12"', "'xy'"]),
        ("Anna's 12 pens and Ben's 13", ["12", "13"]),
        ("-12 and 45%", ["12", "45"]),
    ],
)
def test_facts_are_numbers_of_some_length_and_quoted_texts(problem: str, facts: list[str]) -> None:
    assert facts_of(problem) == facts


def test_the_facts_of_a_chain_are_all_in_it(slots: list[tuple[Brief, str]]) -> None:
    asked = [Held(*slot).turns[0][0].inputs for slot in slots]
    assert all(fact in given["problem"] for given in asked for fact in given["facts"])
    assert sum(bool(given["facts"]) for given in asked) > len(asked) / 2


def without(fact: str) -> Author:
    return lambda problem: said(problem.replace(fact.strip("\"'"), "some"))


def test_a_problem_that_lost_any_of_its_facts_is_dropped_before_it_is_solved(slots: list[tuple[Brief, str]]) -> None:
    tried = 0
    for slot in slots:
        for fact in Held(*slot).turns[0][0].inputs["facts"]:
            held = Held(*slot, author=without(fact))
            assert isinstance(held.made, Dropped)
            assert held.made.code == "facts_kept"
            assert held.made.detail.startswith("the rewritten problem lacks ")
            assert len(held.turns) == 1
            tried += 1
    assert tried > 10


@pytest.mark.parametrize("other", ["120", "112", "12.5", "3.12", "1 2", "twelve", ""])
def test_another_number_is_not_the_fact(other: str) -> None:
    assert kept("Take 12 pens away.", f"Take {other} pens away.") == "facts_kept"


@pytest.mark.parametrize("text", ["12", "(12)", "12.", "12, 13", "12-15", "x12y", "$12", "12%"])
def test_the_fact_is_found_in_other_surroundings(text: str) -> None:
    assert kept("Take 12 pens away.", f"Take {text} from it.") != "facts_kept"


def test_a_quoted_text_may_be_quoted_otherwise_but_not_changed() -> None:
    assert kept('Reverse "red fox".', "Reverse “red fox” now.") != "facts_kept"
    assert kept('Reverse "red fox".', 'Reverse "Red fox" now.') == "facts_kept"


def kept(original: str, rewritten: str) -> str:
    """Return the code with which a rewriting of a problem leaves, "" when it does not."""
    from factory.recipes.rephrased import _has

    return "" if all(_has(rewritten, fact) for fact in facts_of(original)) else "facts_kept"


NUMBERS = st.one_of(
    st.integers(10, 10**6).map(str),
    st.integers(1_000, 10**7).map("{:,}".format),
    st.decimals(0, 99, places=2, allow_nan=False).map(str),
    st.dates().map(str),
    st.times().map(lambda t: f"{t:%H:%M}"),
)


@given(st.lists(NUMBERS, min_size=1, max_size=6), st.data())
def test_a_rewriting_in_any_order_keeps_the_facts_and_one_without_them_does_not(
    numbers: list[str], data: st.DataObject
) -> None:
    original = " and ".join(f"take {n} pens" for n in numbers)
    shuffled = data.draw(st.permutations(numbers))
    assert set(facts_of(original)) == set(numbers)
    assert kept(original, " ".join(f"({n})" for n in shuffled)) == ""
    assert kept(original, "take all the pens") == "facts_kept"


# -------------------------------------------------------------------------------------------------------------- votes


def test_solutions_that_disagree_drop_the_row_and_say_how_many_agreed(slots: list[tuple[Brief, str]]) -> None:
    def one_right(ask: Ask, vote: int) -> Reply:
        return (good_solver if vote == 0 else wrong_solver)(ask, vote)

    held = Held(*slots[0], solver=one_right, of=params(votes=3, agree=2))
    assert isinstance(held.made, Dropped)
    assert held.made.code == "solutions_agree"
    assert held.made.detail.startswith("1 of 3 solutions reach ")
    assert isinstance(Held(*slots[0], solver=one_right, of=params(votes=3, agree=1)).made, Draft)


FAILED = {
    "truncated": lambda ask: Reply(text=ask.example).failed("truncated", "cut"),
    "refused": lambda ask: no_reply("refused", "no"),
    "empty": lambda ask: no_reply("empty", "no text"),
}


@pytest.mark.parametrize("kind", FAILED)
def test_a_vote_without_a_usable_reply_is_only_a_vote_less(kind: str, slots: list[tuple[Brief, str]]) -> None:
    def first_fails(ask: Ask, vote: int) -> Reply:
        return FAILED[kind](ask) if vote == 0 else good_solver(ask, vote)

    assert isinstance(Held(*slots[0], solver=first_fails, of=params(votes=3, agree=2)).made, Draft)
    held = Held(*slots[0], solver=first_fails, of=params(votes=2, agree=2))
    assert isinstance(held.made, Dropped)
    assert held.made.code == "solutions_agree"


@pytest.mark.parametrize("kind", ["refused", "unparsable", "truncated", "empty"])
def test_without_a_rewritten_problem_the_talk_ends_with_that_failure(kind: str, slots: list[tuple[Brief, str]]) -> None:
    with pytest.raises(NoReply) as error:
        Held(*slots[0], author=lambda _: no_reply(kind, "so it was"))
    assert (error.value.failure.kind, error.value.failure.detail) == (kind, "so it was")


# -------------------------------------------------------------------------------------------------------------- steps


def test_the_steps_are_those_of_the_first_right_solution(slots: list[tuple[Brief, str]]) -> None:
    def solver(ask: Ask, vote: int) -> Reply:
        answer = "Answer:" + ask.example.rpartition("Answer:")[2]
        return Reply(text=f"1. The way of {vote}.\n\n{answer}") if vote else wrong_solver(ask, vote)

    draft = Held(*slots[0], solver=solver, of=params(votes=3, agree=2)).draft
    assert draft.steps == "1. The way of 1."


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("1. 3 + 4 = 7.\nAnswer: 7", "1. 3 + 4 = 7."),
        ("1. 3 + 4 = 7.\n\n**Final Answer:** 7\n", "1. 3 + 4 = 7."),
        ("1. 3 + 4 = 7.\n**Answer**: 7", "1. 3 + 4 = 7."),
        ("1. 3 + 4 = 7.\n> answer: 7", "1. 3 + 4 = 7."),
        ("Problem 1\nAnswer: 3\nProblem 2: 3 + 4 = 7\nAnswer: 7", "Problem 1\nAnswer: 3\nProblem 2: 3 + 4 = 7"),
        ("The answer: 7 is found so.\n1. 3 + 4 = 7.\nAnswer: 7", "The answer: 7 is found so.\n1. 3 + 4 = 7."),
        ("So 3 + 4 is \\boxed{7}", "So 3 + 4 is \\boxed{7}"),
        ("Answer: 7", "the chain's"),
        ("7", "the chain's"),
        (" \n7\n", "the chain's"),
    ],
)
def test_steps_end_where_the_answer_line_begins(text: str, steps: str) -> None:
    drawn = Draft(
        tree={}, verifier={"kind": "number", "gold": "7", "args": {}}, phrasing="", prompt="", steps="the chain's"
    )
    assert score(text, drawn.verifier).value == 1.0
    assert steps_of([Reply(text=text)], drawn) == steps


def test_a_bare_answer_gives_way_to_a_later_solution_with_steps() -> None:
    drawn = Draft(tree={}, verifier={}, phrasing="", prompt="", steps="the chain's")
    assert steps_of([Reply(text="Answer: 7"), Reply(text="1. So.\nAnswer: 7")], drawn) == "1. So."


# ------------------------------------------------------------------------------------------------------------- params


def test_more_agreement_than_votes_is_refused() -> None:
    with pytest.raises(ValidationError, match="agree is 3, but there are only 2 votes"):
        params(votes=2, agree=3)
    job = {"kind": "build", "name": "x", "rows": 9, "recipes": [{"recipe": "rephrased", "share": 1, "votes": 1}]}
    with pytest.raises(UserError, match="recipe 'rephrased': agree is 2, but there are only 1 votes"):
        parse_job(job, "the job")


@pytest.mark.parametrize("levels", [(0,), (9,), (2, 2), ()])
def test_levels_outside_of_those_of_chains_are_refused(levels: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        params(levels=levels)
