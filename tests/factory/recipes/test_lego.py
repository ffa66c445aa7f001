from __future__ import annotations

import re
from typing import Any

import pytest

from factory.errors import UserError
from factory.jobs.model import parse_job
from factory.recipes.lego import LEGO

CLAUSE = re.compile(r"([a-z]) = (not )?([a-z]|true|false)")
LEVELS = range(1, 9)


@pytest.fixture(scope="module", params=LEVELS)
def rows(request: Any, draw: Any) -> Any:
    drawn = draw("lego", request.param, 30, levels=[request.param], chain=max(5, request.param))
    assert len(drawn.rows) == 30
    return drawn.rows


def read(prompt: str) -> tuple[dict[str, tuple[bool, str]], str]:
    """Return ({variable: (is negated, what it is set to)}, the variable that is asked)."""
    clauses, question, _ = prompt.split("\n")
    found = [CLAUSE.fullmatch(clause) for clause in clauses.removesuffix(".").split(". ")]
    asked = re.fullmatch(r"Is ([a-z]) true or false\?", question)
    assert asked
    return {m[1]: (bool(m[2]), m[3]) for m in found if m}, asked[1]


def follow(clauses: dict[str, tuple[bool, str]], name: str) -> tuple[bool, int]:
    """Return the truth value of a variable and how many clauses lead to it."""
    negated, source = clauses[name]
    value, depth = (source == "true", 0) if source in ("true", "false") else follow(clauses, source)
    return value != negated, depth + 1


def test_the_gold_is_what_the_printed_clauses_give(rows: Any) -> None:
    for row in rows:
        clauses, asked = read(row.draft.prompt)
        assert row.gold == str(follow(clauses, asked)[0]).lower()


def test_the_question_is_about_the_planned_depth(rows: Any) -> None:
    for row in rows:
        clauses, asked = read(row.draft.prompt)
        assert follow(clauses, asked)[1] == row.brief.level


def test_every_clause_is_printed_once_and_the_chain_is_as_long_as_asked(rows: Any) -> None:
    for row in rows:
        clauses, _ = read(row.draft.prompt)
        assert len(clauses) == max(5, row.brief.level)
        assert sum(source in ("true", "false") for _, source in clauses.values()) == 1
        assert len({source for _, source in clauses.values()}) == len(clauses)


def test_the_steps_lead_to_the_answer_and_no_further(rows: Any) -> None:
    for row in rows:
        _, asked = read(row.draft.prompt)
        steps = row.draft.steps.removesuffix(".").split(". ")
        assert len(steps) == row.brief.level
        assert steps[-1].startswith(f"{asked} = ")
        assert steps[-1].endswith(f", so {asked} is {row.gold}")


def test_every_row_passes_the_gate(rows: Any) -> None:
    assert all(row.passes for row in rows)


def test_both_answers_and_many_orders_occur(rows: Any) -> None:
    assert {row.gold for row in rows} == {"true", "false"}
    in_order = 0
    for row in rows:
        clauses, _ = read(row.draft.prompt)
        depths = [follow(clauses, name)[1] for name in clauses]
        in_order += depths == sorted(depths)
    assert in_order < len(rows) / 4


def test_the_chain_can_be_longer_than_the_deepest_question(draw: Any) -> None:
    assert all(len(read(row.draft.prompt)[0]) == 8 for row in draw("lego", 2, 5, chain=8).rows)


@pytest.mark.parametrize("bad", [{"levels": [9]}, {"levels": []}, {"levels": [1, 1]}, {"chain": 9}, {"heldout": 0.1}])
def test_levels_and_lengths_outside_1_to_8_are_refused(bad: dict[str, Any]) -> None:
    recipe = {"recipe": "lego", "share": 1.0, **bad}
    with pytest.raises(UserError, match=next(iter(bad))):
        parse_job({"kind": "build", "name": "x", "rows": 10, "recipes": [recipe]}, "job")


def test_depth_is_what_is_asked_not_what_changes() -> None:
    assert LEGO.depth_is_level is False  # `a = b` changes nothing and is a step all the same
