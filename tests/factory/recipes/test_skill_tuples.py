from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.artifacts.digest import Rng, row_rng
from factory.recipes.skill_tuples import Tally, plan_tuples, spread


def rng(tag: str = "rows") -> Rng:
    return row_rng(7, "plan", tag)


def names(n: int) -> list[str]:
    return [f"skill_{i:04d}" for i in range(n)]


def planned(n: int, sizes: list[int], weights: dict[str, float] | None = None) -> Tally:
    tally = Tally()
    plan_tuples(names(n), sizes, [], rng(), weights, tally)
    return tally


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 9), st.lists(st.integers(1, 3), max_size=25), st.data())
def test_tuples_have_their_size_no_skill_twice_and_no_near_pair(n: int, sizes: list[int], data: st.DataObject) -> None:
    pairs = [frozenset(pair) for pair in combinations(names(n), 2)]
    near = data.draw(st.sets(st.sampled_from(pairs), max_size=n // 2))
    try:
        rows = plan_tuples(names(n), sizes, near, rng())
    except ValueError:
        free = [t for t in combinations(names(n), 3) if not any(frozenset(p) in near for p in combinations(t, 2))]
        assert not free
        return
    assert [len(set(row)) for row in rows] == sizes
    assert not {frozenset(pair) for row in rows for pair in combinations(row, 2)} & near


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 12), st.integers(1, 150), st.data())
def test_no_pair_comes_twice_while_one_is_unused(n: int, rows: int, data: st.DataObject) -> None:
    pairs = [frozenset(pair) for pair in combinations(names(n), 2)]
    near = data.draw(st.sets(st.sampled_from(pairs), max_size=2))
    tally = Tally()
    plan_tuples(names(n), [2] * rows, near, rng(), used=tally)
    if max(tally.pairs.values()) > 1:
        assert len(tally.pairs) == len(pairs) - len(near)


@pytest.mark.parametrize(("n", "k", "rows"), [(12, 2, 500), (40, 2, 900), (60, 3, 300), (200, 3, 2000)])
def test_every_skill_is_used_as_often_as_any_other(n: int, k: int, rows: int) -> None:
    tally = planned(n, [k] * rows)
    counts = [tally.skills[name] for name in names(n)]
    assert max(counts) - min(counts) <= k - 1


@pytest.mark.parametrize("rows", [30, 66, 100, 500])
def test_pairs_that_must_repeat_do_so_evenly(rows: int) -> None:
    tally = planned(12, [2] * rows)
    counts = [tally.pairs[pair] for pair in combinations(names(12), 2)]
    assert max(counts) - min(counts) <= 1


def test_all_three_pairs_of_a_triple_are_new_while_such_triples_are_left() -> None:
    tally = planned(100, [3] * 1000)
    assert max(tally.pairs.values()) == 1
    assert len(tally.pairs) == 3000


def test_pairs_that_make_up_no_new_triple_are_used_before_others_come_a_third_time() -> None:
    tally = planned(9, [3] * 30)
    assert len(tally.pairs) == 36


def test_twice_the_weight_is_twice_the_rows() -> None:
    weights = {name: float(1 + i % 3) for i, name in enumerate(names(30))}
    tally = planned(30, [2] * 1200, weights)
    assert all(abs(tally.skills[name] - 40 * weight) <= 1 for name, weight in weights.items())


def test_a_weight_wins_over_new_pairs() -> None:
    tally = planned(20, [2] * 200, {"skill_0000": 10.0})
    assert abs(tally.skills["skill_0000"] - 400 * 10 / 29) <= 4


def test_a_weight_of_zero_leaves_a_skill_out() -> None:
    assert planned(6, [2] * 40, {"skill_0003": 0.0}).skills.keys() == set(names(6)) - {"skill_0003"}


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_no_amount_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="the weight of skill 'skill_0001' is"):
        planned(3, [2], {"skill_0001": weight})


def test_planning_goes_on_where_it_ended() -> None:
    tally = planned(40, [2] * 300)
    plan_tuples(names(40), [2] * 300, [], rng("more"), used=tally)
    assert max(tally.pairs.values()) == 1
    assert set(tally.skills.values()) == {30}


def test_a_new_skill_catches_up_with_the_others() -> None:
    tally = planned(10, [2] * 20)
    plan_tuples(names(11), [2] * 4, [], rng("more"), used=tally)
    assert tally.skills["skill_0010"] == 4


@settings(max_examples=20, deadline=None)
@given(st.permutations(names(8)))
def test_the_order_of_names_and_weights_does_not_matter(order: list[str]) -> None:
    near = [frozenset(pair) for pair in zip(order[::2], order[1::2], strict=True)]
    weights = {name: 1.0 + int(name[-1]) for name in order}
    plain = plan_tuples(names(8), [2, 3] * 9, sorted(near, key=sorted), rng(), dict(sorted(weights.items())))
    assert plan_tuples(order, [2, 3] * 9, near, rng(), weights) == plain


def test_another_generator_plans_other_tuples() -> None:
    first, second = (plan_tuples(names(30), [2] * 15, [], rng(tag)) for tag in ("a", "b"))
    assert {frozenset(row) for row in first} != {frozenset(row) for row in second}


def test_the_place_in_a_tuple_says_nothing_about_the_skill() -> None:
    rows = plan_tuples(names(20), [2] * 2000, [], rng())
    firsts = Counter(row[0] for row in rows)
    assert all(abs(firsts[name] - 100) < 40 for name in names(20))  # 4 standard deviations of a fair coin are 28


def test_fewer_skills_than_a_tuple_needs_are_refused() -> None:
    with pytest.raises(ValueError, match="tuples of 3 different skills need as many skills; there are 2"):
        planned(2, [1, 3])


def test_near_pairs_that_forbid_every_tuple_are_refused() -> None:
    near = [frozenset(pair) for pair in combinations(names(4), 2)]
    with pytest.raises(ValueError, match="no 2 of the 4 skills can stand in one tuple"):
        plan_tuples(names(4), [2], near, rng())


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="a tuple of 0 skills cannot be planned"):
        planned(3, [2, 0])


def test_no_rows_want_no_skills() -> None:
    assert plan_tuples([], [], [], rng()) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 120), st.integers(1, 9))
def test_every_kind_has_its_quota(rows: int, kinds: int) -> None:
    told = spread([f"kind {i}" for i in range(kinds)], plan_tuples(names(10), [2] * rows, [], rng()), rng("kinds"))
    counts = Counter(told)
    assert len(told) == rows
    assert all(rows // kinds <= counts[f"kind {i}"] <= -(-rows // kinds) for i in range(kinds))


def test_a_skill_meets_a_kind_again_only_after_most_others() -> None:
    rows = plan_tuples(names(100), [2] * 400, [], rng())
    told = spread([f"kind {i}" for i in range(16)], rows, rng("kinds"))
    met = {name: {kind for row, kind in zip(rows, told, strict=True) if name in row} for name in names(100)}
    assert min(len(kinds) for kinds in met.values()) >= 7  # of 8 rows each


def test_kinds_and_skills_are_less_dependent_than_by_chance() -> None:
    rows, kinds = plan_tuples(names(20), [2] * 800, [], rng()), [f"kind {i}" for i in range(8)]
    met = Counter((skill, kind) for row, kind in zip(rows, spread(kinds, rows, rng("k")), strict=True) for skill in row)
    expected = 1600 / 20 / 8
    squares = sum((met[skill, kind] - expected) ** 2 / expected for skill in names(20) for kind in kinds)
    assert squares < 19 * 7 / 4  # independence would give about 19 * 7


def test_without_kinds_nothing_can_be_spread() -> None:
    with pytest.raises(ValueError, match="no kinds"):
        spread([], [["a"]], rng())
