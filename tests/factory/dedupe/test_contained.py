from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.dedupe import contained
from factory.dedupe.contained import find_contained
from factory.dedupe.normal import ExactSpec

SPEC = ExactSpec(substring=True, substring_words=3)
few_words = st.lists(st.lists(st.sampled_from("abc"), max_size=10).map(" ".join), max_size=20)


def shard(values: list[str], first: int = 0) -> pl.DataFrame:
    return pl.DataFrame({"row": range(first, first + len(values)), "instruction": values}, schema_overrides=TYPES)


TYPES = {"row": pl.Int64, "instruction": pl.String}


def parts(values: list[str], spec: ExactSpec = SPEC) -> dict[int, int]:
    return dict(find_contained([shard(values)], spec).iter_rows())


def test_a_row_that_is_part_of_another_names_it() -> None:
    assert parts(["one two three", "x one two three y", "something else here"]) == {0: 1}


def test_case_and_white_space_do_not_hide_a_part() -> None:
    assert parts(["One  Two\nthree", "so one two THREE it is"]) == {0: 1}


def test_half_a_word_is_no_part() -> None:
    assert parts(["one two three", "one two threefold things"]) == {}


def test_the_same_text_is_no_part_of_itself() -> None:
    assert parts(["one two three", "one two three"]) == {}


def test_rows_of_few_words_are_never_parts() -> None:
    assert parts(["one two", "one two three four", ""]) == {}


def test_the_twin_is_the_longest_row_and_stays() -> None:
    assert parts(["a b c", "a b c d", "z a b c d"]) == {0: 2, 1: 2}


def test_of_two_longest_rows_the_one_of_smaller_rank_is_the_twin() -> None:
    order = np.array([0, 2, 1])
    assert find_contained([shard(["a b c", "a b c d", "e a b c"])], SPEC, order).rows() == [(0, 2)]


def test_a_row_that_takes_no_part_is_nobodys_twin() -> None:
    alive = np.array([True, False])
    assert find_contained([shard(["a b c", "a b c d"])], SPEC, alive=alive).rows() == []


@given(few_words, st.integers(1, 6))
def test_it_finds_what_a_look_at_every_pair_finds_however_the_shards_are_cut(values: list[str], size: int) -> None:
    cut = [shard(values[i : i + size], i) for i in range(0, len(values), size)]
    found = dict(find_contained(cut, SPEC).iter_rows())
    holds = {
        i: [j for j, b in enumerate(values) if len(b) > len(a) and f" {a} " in f" {b} "]
        for i, a in enumerate(values)
        if len(a.split()) >= 3
    }
    expected = {i: max(js, key=lambda j: (len(values[j]), -j)) for i, js in holds.items() if js}
    assert found == expected


def test_what_is_looked_at_in_small_batches_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [" ".join("abcdefghij"[:n]) for n in range(3, 11)]
    expected = parts(values)
    monkeypatch.setattr(contained, "AT_ONCE", 2)
    assert parts(values) == expected == dict.fromkeys(range(7), 7)


def test_odd_texts_are_no_trouble() -> None:
    odd = ["", "\x00\x01 \x02", "a" * 1_000_000, "a " * 100_000, "👩‍👩‍👧 🏳️‍🌈 👍", "مرحبا بالعالم كله", "a a a"]
    assert parts(odd) == {6: 3}


def test_stretches_that_only_look_the_same_are_told_apart_by_their_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    everything_alike = lambda self, first, size: np.zeros(first.size, dtype=np.uint64)  # noqa: E731 - as short as it is
    monkeypatch.setattr(contained.Words, "stretches", everything_alike)
    assert parts(["one two three", "four five six seven"]) == {}


def test_no_shards_have_no_parts() -> None:
    assert find_contained([], SPEC).rows() == []
