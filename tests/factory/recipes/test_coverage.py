from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.artifacts.digest import row_rng
from factory.recipes.coverage import distinct_tuples, stream, tuples, walks

NAMES = [f"s{i}" for i in range(9)]
PAIRS = {frozenset(pair) for pair in combinations(NAMES, 2)}
LISTS = pl.List(pl.String)
seeds = st.integers(0, 99)


def as_lists(planned: Any) -> list[list[str]]:
    return pl.Series("planned", planned, dtype=LISTS).to_list()


@given(seeds, st.integers(1, 20), st.integers(0, 70))
def test_a_stream_uses_everything_once_before_anything_twice(seed: int, size: int, n: int) -> None:
    made = stream(seed, "tag", size, n).tolist()
    assert len(made) == n
    for start in range(0, n, size):
        part = made[start : start + size]
        assert len(set(part)) == len(part)


@given(seeds, st.integers(1, 20), st.integers(0, 40), st.integers(0, 40))
def test_a_longer_stream_begins_with_the_shorter_one(seed: int, size: int, n: int, more: int) -> None:
    assert stream(seed, "tag", size, n + more).tolist()[:n] == stream(seed, "tag", size, n).tolist()


def test_streams_of_other_seeds_and_tags_differ() -> None:
    made = {tuple(stream(seed, tag, 30, 30).tolist()) for seed in (1, 2) for tag in ("train", "heldout")}
    assert len(made) == 4


def test_a_walk_takes_only_steps_that_are_allowed_and_uses_them_evenly() -> None:
    after = [[1, 2], [2], [0, 1, 3], []]
    made = as_lists(walks("abcd", after, 4, 60, 1, "tag"))
    assert len(made) == 60
    steps = Counter(step for walk in made for step in zip(walk, walk[1:], strict=False))
    assert set(steps) == {(a, "abcd"[j]) for a, options in zip("abcd", after, strict=True) for j in options}
    firsts = Counter(walk[0] for walk in made)
    assert max(firsts.values()) - min(firsts.values()) <= 1


def test_a_walk_never_runs_into_a_dead_end() -> None:
    made = as_lists(walks("abcd", [[1, 3], [0, 3], [3], []], 3, 40, 1, "tag"))
    assert all(len(walk) == 3 and "d" not in walk[:2] for walk in made)


@settings(max_examples=25)
@given(seeds, st.integers(0, 90))
def test_pairs_are_used_within_one_of_each_other(seed: int, n: int) -> None:
    made = tuples(NAMES, PAIRS, 2, n, row_rng(seed, "tuples", ""))
    used = Counter(frozenset(pair) for pair in made)
    counts = [used[pair] for pair in PAIRS]
    assert sum(counts) == n
    assert max(counts) - min(counts) <= 1


@settings(max_examples=15)
@given(seeds, st.integers(3, 5))
def test_larger_tuples_spread_their_pairs_too(seed: int, k: int) -> None:
    made = tuples(NAMES, PAIRS, k, 60, row_rng(seed, "tuples", ""))
    assert all(len(set(names)) == k for names in made)
    used = Counter(frozenset(pair) for names in made for pair in combinations(names, 2))
    even = 60 * k * (k - 1) / 2 / len(PAIRS)
    assert even - 2 <= min(used[pair] for pair in PAIRS)
    assert max(used.values()) <= even + 2.5


@given(seeds, st.integers(2, 4))
def test_no_tuple_holds_a_pair_that_is_not_allowed(seed: int, k: int) -> None:
    allowed = {pair for pair in PAIRS if pair != frozenset(("s0", "s1")) and pair != frozenset(("s2", "s5"))}
    made = tuples(NAMES, allowed, k, 30, row_rng(seed, "tuples", ""))
    assert all(frozenset(pair) in allowed for names in made for pair in combinations(names, 2))


@given(seeds, st.integers(1, 4), st.integers(0, 40))
def test_tuples_of_seeds_hold_no_seed_twice_and_begin_with_all_evenly(seed: int, k: int, n: int) -> None:
    made = as_lists(distinct_tuples(NAMES, k, n, seed, "tag"))
    assert all(len(set(ids)) == k for ids in made)
    firsts = Counter(ids[0] for ids in made)
    assert not made or max(firsts[i] for i in NAMES) - min(firsts[i] for i in NAMES) <= 1


def test_a_tuple_longer_than_its_pool_repeats_only_then() -> None:
    made = as_lists(distinct_tuples(["a", "b"], 3, 8, 1, "tag"))
    assert all(len(set(ids)) == 2 and len(ids) == 3 for ids in made)
