from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from factory.seeds.key_number import key_number, numeric_answer
from factory.seeds.read import DEFAULT_COLUMNS, read_seeds, seed_reasons

JOBS = Path(__file__).parents[3] / "flows" / "jobs"


@pytest.fixture(scope="module")
def problems() -> pl.DataFrame:
    return read_seeds("word_problems.jsonl", DEFAULT_COLUMNS, base=JOBS)


def test_there_are_72_problems_with_72_questions(problems: pl.DataFrame) -> None:
    assert (problems.height, problems["question"].n_unique()) == (72, 72)


def test_every_problem_can_be_composed(problems: pl.DataFrame) -> None:
    assert {seed_reasons(row["question"], row["answer"]) for row in problems.to_dicts()} == {None}


def test_worked_reasoning_ends_in_the_answer(problems: pl.DataFrame) -> None:
    for text in problems["answer"]:
        reasoning, _, last_line = text.rpartition("\n")
        assert int(re.findall(r"[0-9]+", reasoning)[-1]) == numeric_answer(text)
        assert last_line.startswith("#### ")


def test_every_equation_of_the_reasoning_holds(problems: pl.DataFrame) -> None:
    number = r"[0-9]+(?:\.[0-9]+)?"
    checked = 0
    for text in problems["answer"]:
        for chain, total in re.findall(rf"(?<![\d(] )({number}(?: [-+*/] {number})+) = ({number})", text):
            assert evaluate(chain.split()) == pytest.approx(float(total)), f"{chain} = {total}"
            checked += 1
    assert checked >= 2 * problems.height


def test_answers_are_not_negative(problems: pl.DataFrame) -> None:
    assert all((numeric_answer(text) or 0) >= 0 for text in problems["answer"])


def test_no_two_problems_share_a_skeleton(problems: pl.DataFrame) -> None:
    skeletons = {re.sub(r"[0-9]+", "#", re.sub(r"\b[A-Z]\w*", "", text)) for text in problems["question"]}
    assert len(skeletons) == problems.height


def test_key_numbers_vary(problems: pl.DataFrame) -> None:
    keys = [key.value for key in map(key_number, problems["question"]) if key is not None]
    assert len(set(keys)) >= 50
    assert min(keys) >= 2


def evaluate(tokens: list[str]) -> float:
    """The value of numbers joined by + - * /, products first."""
    terms = [float(tokens[0])]
    for operator, number in zip(tokens[1::2], map(float, tokens[2::2]), strict=True):
        if operator in "*/":
            terms[-1] = terms[-1] * number if operator == "*" else terms[-1] / number
        else:
            terms.append(number if operator == "+" else -number)
    return sum(terms)
