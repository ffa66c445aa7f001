"""Buckets hold the rows that share a key, pairs are counted once, and similarity is that of Python's sets."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from factory.dedupe.pairs import Sets, buckets, pairs_within

KEYS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=10)
SETS = st.lists(st.sets(st.sampled_from([0, 1, 2, 3, 2**64 - 1]), max_size=5), min_size=1, max_size=6)


def spread(keys: list[tuple[int, int]]) -> np.ndarray:
    """Return small keys as hashes: buckets look at the first bits."""
    return np.array(keys, dtype=np.uint64).reshape(-1, 2) * np.uint64(0x9E3779B97F4A7C15)


def expected_buckets(keys: list[tuple[int, int]]) -> set[tuple[int, ...]]:
    shared: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, row in enumerate(keys):
        for band, key in enumerate(row):
            shared[band, key].append(place)
    return {tuple(places) for places in shared.values() if len(places) > 1}


@given(KEYS)
def test_buckets_are_the_rows_that_share_a_key_in_a_band(keys: list[tuple[int, int]]) -> None:
    members, offsets = buckets(spread(keys))
    found = [tuple(members[a:b].tolist()) for a, b in zip(offsets, offsets[1:], strict=False)]
    assert len(set(found)) == len(found)
    assert set(found) == expected_buckets(keys)


@given(KEYS, st.integers(2, 5))
def test_pairs_are_those_of_small_buckets_each_once(keys: list[tuple[int, int]], largest: int) -> None:
    earlier, later = pairs_within(*buckets(spread(keys)), largest)
    found = list(zip(earlier.tolist(), later.tolist(), strict=True))
    small = [bucket for bucket in expected_buckets(keys) if len(bucket) <= largest]
    assert len(set(found)) == len(found)
    assert set(found) == {pair for bucket in small for pair in combinations(bucket, 2)}


def test_no_rows_share_nothing() -> None:
    members, offsets = buckets(np.empty((0, 0), dtype=np.uint64))
    assert (members.size, offsets.tolist()) == (0, [0])
    assert pairs_within(members, offsets, 5)[0].size == 0


def sets_of(rows: list[set[int]]) -> Sets:
    flat = np.array([value for row in rows for value in sorted(row)], dtype=np.uint64)
    return Sets(flat, np.cumsum([0, *map(len, rows)], dtype=np.int64))


@given(SETS, st.floats(0, 1))
def test_similarity_is_that_of_sets_or_0_below_what_is_asked(rows: list[set[int]], at_least: float) -> None:
    sets = sets_of(rows)
    left, right = np.array([(a, b) for a in range(len(rows)) for b in range(len(rows))]).T
    for a, b, value in zip(left, right, sets.jaccard(left, right, at_least), strict=True):
        one, two = rows[a], rows[b]
        exact = len(one & two) / len(one | two) if one or two else 0.0
        assert value == exact or (value == 0 and exact < at_least)


@given(SETS, SETS)
def test_sets_of_two_sources_are_compared_like_those_of_one(ours: list[set[int]], theirs: list[set[int]]) -> None:
    both = sets_of(ours).with_those_of(sets_of(theirs))
    left, right = np.array([(a, len(ours) + b) for a in range(len(ours)) for b in range(len(theirs))]).T
    assert both.jaccard(left, right).tolist() == sets_of(ours + theirs).jaccard(left, right).tolist()
