"""A right and a popular wrong attempt become one solution that stands alone; the wrong one stays as the rejected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from by_example import make
from by_hand import cases_of, ending, held, named
from pydantic import ValidationError

from factory.artifacts.digest import row_rng
from factory.recipes.contrastive_solution import (
    ATTEMPT,
    OTHERS,
    WRITE,
    ContrastiveSolutionParams,
    assign,
    cells,
    right_and_wrong,
    talk,
)
from factory.recipes.recipe import Ask, Brief, Cell, Demand, Draft, Dropped, SeedProblem, Sources
from factory.score import score
from factory.teacher.protocol import Reply

HAND = cases_of("contrastive-solution")
RIGHT, WRONG = HAND["texts"]["right"], HAND["texts"]["wrong"]


@dataclass(frozen=True)
class OneSeed:
    """A bank of the one seed of the hand-written cases."""

    identity: str = "one"

    def ids(self, split: str) -> Sequence[str]:
        return ["s"]

    def get(self, id_: str) -> SeedProblem:
        at = HAND["question"].index("35")
        return SeedProblem("s", HAND["question"], HAND["answer"], "140 + 72 + 20 = 232.", 35, at, at + 2)


BRIEF = Brief(1, "train", ["seed_problem"], ["s"], Sources(problems=OneSeed()), "level=1")


def params(**said: Any) -> ContrastiveSolutionParams:
    return ContrastiveSolutionParams(recipe="contrastive-solution", share=1.0, **said)


def told(attempts: Sequence[Any], solution: Any, stream: str = "x") -> tuple[Draft | Dropped, list[Ask]]:
    """Return what the talk comes to, and everything it asked."""
    asked: list[Ask] = []

    def answer(ask: Ask) -> Any:
        asked.append(ask)
        return solution if ask.prompt == WRITE else attempts[ask.repeat]

    row = held(talk(params(rollouts=len(attempts)), BRIEF, row_rng(1, "draw", stream)), answer)
    return row, asked


def solution_of(case: dict[str, Any], prompt: str) -> Any:
    said = case.get("solution", HAND["solution"])
    if said == "ECHO":
        return f"{prompt}\n{HAND['solution']}"
    if said == "LOOP":
        return "1. The notebooks and the pens are counted once more. " * 30 + "\nAnswer: 268"
    return said


@pytest.mark.parametrize("case", HAND["cases"], ids=named(HAND["cases"]))
def test_a_hand_written_reply_ends_as_it_must(case: dict[str, Any]) -> None:
    texts = [HAND["texts"].get(a, a) if isinstance(a, str) else a for a in case.get("attempts", [])]
    _, asked = told([RIGHT, WRONG], HAND["solution"])
    solution = solution_of(case, asked[-1].inputs["problem"])
    row, _ = told(texts or [RIGHT, WRONG, RIGHT, WRONG], solution)
    assert ending("contrastive-solution", 1, row) == case["ends"]


def test_the_author_attempts_with_some_heat_and_then_sees_two_attempts() -> None:
    row, asked = told([RIGHT, WRONG, RIGHT, WRONG], HAND["solution"])
    assert isinstance(row, Draft)
    assert [(ask.prompt, ask.role, ask.repeat) for ask in asked] == [
        *((ATTEMPT, "author", i) for i in range(4)), (WRITE, "author", 0),
    ]  # fmt: skip
    assert {ask.sampling.temperature for ask in asked[:4]} == {0.8}
    assert {asked[-1].inputs["first"], asked[-1].inputs["second"]} == {RIGHT, WRONG}


def test_which_attempt_comes_first_is_drawn() -> None:
    firsts = {told([RIGHT, WRONG], HAND["solution"], str(i))[1][-1].inputs["first"] for i in range(12)}
    assert firsts == {RIGHT, WRONG}


def test_the_row_has_the_written_steps_and_the_wrong_attempt_as_the_rejected_reply() -> None:
    row, _ = told([RIGHT, WRONG], HAND["solution"])
    assert isinstance(row, Draft)
    assert row.rejected == WRONG
    assert f"{row.steps}\nAnswer: 268" == HAND["solution"]
    assert score(row.rejected, row.verifier).value == 0.0


def test_the_wrong_answer_that_most_attempts_reach_is_chosen_whatever_its_form() -> None:
    texts = HAND["texts"]
    drawn, _ = told([RIGHT, WRONG], HAND["solution"])
    assert isinstance(drawn, Draft)
    attempts = [Reply(text=texts[name]) for name in ("other wrong", "same wrong", "right", "wrong", "gives up")]
    found = right_and_wrong(attempts, drawn, row_rng(1, "draw", "x"))
    assert found == (texts["right"], texts["same wrong"])


def test_a_problem_that_is_never_or_always_solved_says_how_often_it_was() -> None:
    row, asked = told([RIGHT, RIGHT, {"failure": "truncated"}], HAND["solution"])
    assert row == Dropped("pass_rate_inside", "2 of 3 attempts are right, 0 wrong, 1 failed")
    assert len(asked) == 3


@pytest.mark.parametrize(
    "text",
    [
        "Attempt A",
        "solution 2",
        "the second attempt",
        "the wrong approach",
        "both solutions",
        "one of the attempts",
        "a hint",
    ],
)
def test_words_about_attempts_are_found(text: str) -> None:
    assert OTHERS.search(f"As {text} says, 3 + 4 = 7.")


@pytest.mark.parametrize(
    "text",
    [
        "the answer A1 is 7", "in the first step, 3 + 4 = 7", "the solution is 7", "both ends count", "the second word",
        "the other number", "the correct order", "one way to check", "take two from it",
    ],
)  # fmt: skip
def test_ordinary_words_of_a_solution_are_let_through(text: str) -> None:
    assert not OTHERS.search(f"Here {text}.")


def test_words_that_the_problem_itself_uses_are_no_fault() -> None:
    class Attempts(OneSeed):
        def get(self, id_: str) -> SeedProblem:
            question = f"{HAND['question']} Count both attempts of hers as one."
            return replace(super().get(id_), question=question)

    brief = replace(BRIEF, sources=Sources(problems=Attempts()))
    solution = f"0. Both attempts count as one purchase.\n{HAND['solution']}"
    speaking = talk(params(rollouts=2), brief, row_rng(1, "draw", "x"))
    row = held(speaking, lambda ask: solution if ask.prompt == WRITE else [RIGHT, WRONG][ask.repeat])
    assert isinstance(row, Draft)


def test_the_example_replies_make_accepted_rows() -> None:
    ends = []
    for level in (1, 3, 5):
        demand = Demand(Cell(f"level={level}", level), "train", 12, 3, "t")
        for i, skills in enumerate(assign(params(), demand).skills.to_list()):
            row = make("contrastive-solution", params(), Brief(level, "train", skills, []), row_rng(3, "draw", f"{i}"))
            ends.append(ending("contrastive-solution", level, row))
    assert ends.count("accepted") > 28
    assert set(ends) <= {"accepted", "link_fits", "input_matters", "depth_is_level"}


ODD = ["", " \n", "Answer:", "Answer: ", "\\boxed{", "{", "Answer: 268", "x" * 3000, "Answer: 1e999999", "ß🙂\u2028"]


@pytest.mark.parametrize("seed", range(40))
def test_odd_replies_never_crash(seed: int) -> None:
    rng = row_rng(seed, "nonsense", "contrastive-solution")
    speaking = talk(params(), BRIEF, rng)
    row = held(speaking, lambda ask: rng.pick(ODD) if rng.chance(0.7) else rng.pick([RIGHT, WRONG]))
    assert ending("contrastive-solution", 1, row) != ""


def test_levels_and_rollouts_have_bounds() -> None:
    assert [cell.name for cell in cells(params(levels=(2, 3)))] == ["level=2", "level=3"]
    for said in ({"levels": (9,)}, {"levels": (2, 2)}, {"rollouts": 1}):
        with pytest.raises(ValidationError):
            params(**said)
