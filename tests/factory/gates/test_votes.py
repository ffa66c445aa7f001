"""Votes: a missing one counts for nothing, agreement is as published, intervals hold what they should."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.gates.votes import Metric, krippendorff_alpha, majority, same_pairs, share_change, wilson

N = None
VOTES = st.lists(st.sampled_from([True, False, None]), max_size=9)
METRICS: tuple[Metric, ...] = ("nominal", "interval")
UNITS = st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), max_size=5), max_size=8)

# ------------------------------------------------------------------------------------------------------------ majority


@pytest.mark.parametrize(
    ("votes", "least", "verdict"),
    [
        ([True, True, False], 2, True),
        ([True, False, False], 2, False),
        ([True, False], 1, None),
        ([True, None, None], 1, True),
        ([True, None, None], 2, None),
        ([False, None, False], 2, False),
        ([True, True, False, False], 1, None),
        ([None, None], 0, None),
        ([], 0, None),
    ],
)
def test_more_than_half_of_the_given_votes_decide(votes: list[bool | None], least: int, verdict: bool | None) -> None:
    assert majority(votes, least) is verdict


@given(VOTES, st.integers(0, 4))
def test_a_missing_vote_never_counts_as_a_no(votes: list[bool | None], least: int) -> None:
    given_votes = [vote for vote in votes if vote is not None]
    assert majority(votes, least) is majority(given_votes, least) is majority([*votes, None, None], least)


@given(VOTES)
def test_no_and_yes_are_treated_alike(votes: list[bool | None]) -> None:
    verdict = majority(votes)
    turned = majority([None if vote is None else not vote for vote in votes])
    assert turned is (None if verdict is None else not verdict)


@pytest.mark.parametrize(
    ("votes", "share"),
    [([1.0, 1.0, 1.0], 1.0), ([1.0, 0.0, 1.0], 1 / 3), ([1.0, N, 0.0], 0.0), ([1.0, N], None), ([], None)],
)
def test_the_agreement_on_one_point_is_the_share_of_pairs_that_are_the_same(
    votes: list[float | None], share: float | None
) -> None:
    assert same_pairs(votes) == share


# --------------------------------------------------------------------------------------------------------------- alpha

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011): two observers and ten units; four and twelve.
TWO = ("0100000010", "1110010000")
FOUR = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
# The three coders and fifteen units of the article on the coefficient in Wikipedia.
THREE = (
    ".....341211 33.3".replace(" ", ""),
    "1.21334 3.......".replace(" ", ""),
    "..213 4 4.211 33.4".replace(" ", ""),
)


def by_unit(coders: tuple[str, ...]) -> list[list[float | None]]:
    return [[None if said == "." else float(said) for said in unit] for unit in zip(*coders, strict=True)]


@pytest.mark.parametrize(
    ("coders", "nominal", "interval"),
    [(TWO, 0.095, 0.095), (FOUR, 0.743, 0.849), (THREE, 0.691, 0.811)],
    ids=["two observers", "four observers", "three coders"],
)
def test_alpha_is_that_of_the_published_examples(coders: tuple[str, ...], nominal: float, interval: float) -> None:
    units = by_unit(coders)
    assert krippendorff_alpha(units) == pytest.approx(nominal, abs=6e-4)
    assert krippendorff_alpha(units, "interval") == pytest.approx(interval, abs=6e-4)


def test_agreement_on_units_that_differ_is_one() -> None:
    assert krippendorff_alpha([[1.0, 1.0, None], [0.0, 0.0, 0.0]]) == 1.0
    assert krippendorff_alpha([[1.0, 1.0], [0.5, 0.5]], "interval") == 1.0


@pytest.mark.parametrize(
    "units",
    [[], [[]], [[1.0], [0.0, None]], [[1.0, 1.0, 1.0], [1.0, 1.0, None]], [[0.0, 0.0]]],
    ids=["no units", "an empty unit", "single votes", "all votes the same", "one unit of one value"],
)
def test_alpha_is_undefined_where_chance_would_agree_as_well_or_nothing_can_be_paired(
    units: list[list[float | None]],
) -> None:
    assert krippendorff_alpha(units) is None


def test_raters_who_always_differ_are_below_chance() -> None:
    alpha = krippendorff_alpha([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert alpha is not None
    assert alpha < 0


@given(UNITS)
def test_alpha_knows_no_order_of_units_or_raters(units: list[list[float | None]]) -> None:
    turned = [list(reversed(unit)) for unit in reversed(units)]
    for metric in METRICS:
        one, other = krippendorff_alpha(units, metric), krippendorff_alpha(turned, metric)
        assert (one is None and other is None) or one == pytest.approx(other)


@given(UNITS)
def test_alpha_is_at_most_one_and_single_votes_change_nothing(units: list[list[float | None]]) -> None:
    alpha = krippendorff_alpha(units)
    assert alpha is None or alpha <= 1 + 1e-12
    assert krippendorff_alpha([*units, [0.25], [None, 0.75]]) == alpha


# ------------------------------------------------------------------------------------------------------------ intervals


def test_an_interval_of_a_share_is_wilsons() -> None:
    assert wilson(0, 200)[1] == pytest.approx(0.0188, abs=1e-4)  # 200 rows read, no error found
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_an_interval_of_a_change_is_newcombes() -> None:
    # Newcombe (1998), table II, method 10: 56/70 - 48/80 is 0.0524 to 0.3339.
    assert share_change((56, 70), (48, 80), 1.959964) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert share_change((0, 0), (3, 4)) == share_change((3, 4), (0, 0)) == (-1.0, 1.0)


COUNTS = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, COUNTS)
def test_intervals_hold_what_was_found_and_turn_with_it(now: tuple[int, int], before: tuple[int, int]) -> None:
    low, high = share_change(now, before)
    found = now[0] / now[1] - before[0] / before[1]
    assert low - 1e-12 <= found <= high + 1e-12
    assert share_change(before, now) == pytest.approx((-high, -low))
    low, high = wilson(*now)
    assert 0 <= low <= now[0] / now[1] + 1e-12
    assert now[0] / now[1] <= high + 1e-12
    assert not math.isnan(low + high)
