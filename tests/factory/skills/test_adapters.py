from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.artifacts.digest import row_rng
from factory.skills.adapters import ADAPTERS, AFFINE, CONST_DIFF, CONVERSIONS, CONVERT, REMAINDER, proposals

FACTORS = {
    ("minutes", "hours"): 60, ("hours", "days"): 24, ("days", "weeks"): 7, ("months", "years"): 12,
    ("inches", "feet"): 12, ("eggs", "dozen"): 12, ("metres", "kilometres"): 1000, ("grams", "kilograms"): 1000,
    ("cents", "dollars"): 100, ("millimetres", "centimetres"): 10,
}  # fmt: skip
whole = st.integers(-999, 10**6)


def calculate(said: str) -> int:
    """Work out what an adapter says, word by word."""
    if found := re.fullmatch(r"the number of (\w+) in (-?\d+) (\w+)", said):
        return int(found[2]) * FACTORS[(found[1], found[3])]
    if found := re.fullmatch(r"\(the remainder when (\d+) is divided by (\d+)\) \+ (\d+)", said):
        return int(found[1]) % int(found[2]) + int(found[3])
    found = re.fullmatch(r"(?:(\d+) × )?(-?\d+)(?: ([-+]) (\d+))?", said)
    assert found, said
    return int(found[1] or 1) * int(found[2]) + int(f"{found[3] or '+'}{found[4] or 0}")


@given(whole, st.integers(1, 9), st.integers(-30, 30))
def test_affine_does_what_it_says(y: int, a: int, b: int) -> None:
    assert AFFINE.apply(y, a=a, b=b) == calculate(AFFINE.say(str(y), a=a, b=b))


@given(whole, whole)
def test_constant_difference_does_what_it_says(y: int, by: int) -> None:
    assert CONST_DIFF.apply(y, by=by) == calculate(CONST_DIFF.say(str(y), by=by))


@given(st.integers(0, 10**9), st.integers(2, 97), st.integers(1, 40))
def test_remainder_does_what_it_says(y: int, m: int, b: int) -> None:
    assert REMAINDER.apply(y, m=m, b=b) == calculate(REMAINDER.say(str(y), m=m, b=b))


@pytest.mark.parametrize("unit", range(len(CONVERSIONS)))
def test_a_conversion_does_what_it_says(unit: int) -> None:
    assert CONVERT.apply(37, unit=unit) == calculate(CONVERT.say("37", unit=unit))


def test_every_unit_that_is_known_is_offered() -> None:
    assert len(CONVERSIONS) == len(FACTORS)


def test_a_name_stands_where_the_number_would() -> None:
    assert AFFINE.say("A3", a=4, b=-7) == "4 × A3 - 7"
    assert AFFINE.say("A3", a=1, b=7) == "A3 + 7"
    assert CONST_DIFF.say("A3", by=-2) == "A3 - 2"
    assert REMAINDER.say("A3", m=12, b=5) == "(the remainder when A3 is divided by 12) + 5"
    assert CONVERT.say("A3", unit=0) == "the number of minutes in A3 hours"


@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_a_proposal_always_brings_any_number_into_a_small_range(y: int, row: int) -> None:
    *_, (adapter, how) = proposals(row_rng(3, "proposals", str(row)), y)
    assert adapter is REMAINDER
    assert 2 <= adapter.apply(y, **how) <= 13


def test_the_remainder_of_a_negative_number_is_not_asked() -> None:
    assert all(adapter is not REMAINDER for adapter, _ in proposals(row_rng(3, "proposals", "0"), -1))


@given(st.integers(-50, 10**6), st.integers(0, 10**6))
def test_proposals_are_the_identity_or_adapters_that_are_known(y: int, row: int) -> None:
    made = list(proposals(row_rng(3, "proposals", str(row)), y))
    assert made.count((None, {})) == 1
    for adapter, how in made:
        if adapter is not None:
            assert ADAPTERS[adapter.name] is adapter
            assert type(adapter.apply(y, **how)) is int


def test_the_order_of_proposals_is_random() -> None:
    first = {next(proposals(row_rng(3, "order", str(i)), 40))[0] for i in range(60)}
    assert first == {None, AFFINE, CONVERT}


@pytest.mark.parametrize("y", [-3, 0, 1])
def test_no_unit_is_said_of_less_than_two_things(y: int) -> None:
    assert all(adapter is not CONVERT for i in range(30) for adapter, _ in proposals(row_rng(3, "few", str(i)), y))
