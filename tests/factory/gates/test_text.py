"""The text rules tell the good pairs from the bad ones, name the right rule, and never depend on other rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.gates.text import FAULTS, RULES, faults, first_fault

PAIRS: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parents[2] / "data" / "replies" / "text-rules.yaml").read_text("utf-8")
)


def codes(pairs: list[tuple[str, str]]) -> list[list[str]]:
    """Return the rules that each pair breaks."""
    frame = pl.DataFrame(pairs, schema=["prompt", "response"], orient="row")
    return [[fault["code"] for fault in found] for found in faults(frame).to_list()]


def of(pairs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(pair["prompt"], pair["response"]) for pair in pairs]


def test_no_good_pair_breaks_a_rule() -> None:
    good = PAIRS["good"]
    found = zip(
        good, faults(pl.DataFrame(of(good), schema=["prompt", "response"], orient="row")).to_list(), strict=True
    )
    assert [(pair["kind"], wrong) for pair, wrong in found if wrong] == []


def test_every_bad_pair_breaks_just_the_rule_it_is_there_for() -> None:
    bad = PAIRS["bad"]
    found = zip(bad, codes(of(bad)), strict=True)
    assert [(pair["rule"], pair["response"][:50], got) for pair, got in found if got != [pair["rule"]]] == []


def test_there_are_pairs_enough_and_of_every_rule_that_a_pair_can_show() -> None:
    assert len(PAIRS["good"]) >= 40
    assert len(PAIRS["bad"]) >= 60
    assert {pair["rule"] for pair in PAIRS["bad"]} == set(RULES) - {"response_length"}  # that would be a long file


@pytest.mark.parametrize("name", RULES)
def test_the_pair_that_a_rule_carries_breaks_it_alone(name: str) -> None:
    rule = RULES[name]
    assert rule.name == name
    assert codes([rule.fails]) == [[name]]


def test_faults_are_a_list_a_row_in_the_order_of_the_frame_with_what_was_found() -> None:
    frame = pl.DataFrame(
        {"prompt": ["Name a lake in Africa."] * 3, "response": ["Lake Chad.", "Response: Lake Chad. [END]", None]}
    )
    found = faults(frame)
    assert found.dtype == FAULTS
    assert found.to_list() == [
        [],
        [{"code": "no_residue_in_response", "detail": "Response:"}],
        [{"code": "response_present", "detail": "no text"}],
    ]


def test_an_empty_frame_has_no_faults() -> None:
    found = faults(pl.DataFrame(schema={"prompt": pl.String, "response": pl.String}))
    assert (found.dtype, len(found)) == (FAULTS, 0)


def test_one_pair_is_judged_as_in_a_frame_and_tells_its_first_fault() -> None:
    assert first_fault("Name a lake in Africa.", "Lake Chad.") is None
    assert first_fault("Hi", "Sure! Here is a lake: Chad") == ("prompt_length", "2 characters")


def test_the_faults_of_a_row_do_not_depend_on_its_neighbours() -> None:
    pairs = of(PAIRS["good"] + PAIRS["bad"])
    one_by_one = [found for start in range(0, len(pairs), 9) for found in codes(pairs[start : start + 9])]
    assert codes(pairs[::-1])[::-1] == one_by_one


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=200), st.text(max_size=300)), min_size=1, max_size=20))
def test_any_texts_get_a_verdict_that_outer_space_does_not_change(pairs: list[tuple[str, str]]) -> None:
    found = codes(pairs)
    assert found == codes([(f"\n {prompt}\n", f" {response} \n\n") for prompt, response in pairs])
    assert {code for wrong in found for code in wrong} <= set(RULES)
