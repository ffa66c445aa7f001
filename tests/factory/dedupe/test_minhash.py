"""Similarity within a pool is that of 5-word shingles, near enough."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.dedupe.minhash import NEAREST, shingles, summary

WORDS = [f"word{i}" for i in range(200)]


def nearest(*prompts: str) -> pl.DataFrame:
    rows = [{"id": f"p{i}", "prompt": prompt, "skills": [], "recipe": "x"} for i, prompt in enumerate(prompts)]
    return NEAREST.run(pl.DataFrame(rows, schema=dict(NEAREST.reads.columns)), {})


def jaccard(a: str, b: str) -> float:
    one, two = set(shingles(a)), set(shingles(b))
    return len(one & two) / len(one | two)


def test_shingles_are_the_distinct_runs_of_five_words() -> None:
    assert shingles("a b c d e f") == ["a b c d e", "b c d e f"]
    assert shingles("x x x x x x x") == ["x x x x x"]


def test_shingles_forget_case_and_white_space() -> None:
    assert shingles("One  Two\nthree FOUR\tfive") == ["one two three four five"]


@given(st.lists(st.sampled_from(["a", "b"]), max_size=4))
def test_a_short_text_is_one_shingle(words: list[str]) -> None:
    assert shingles(" ".join(words)) == [" ".join(words)]


def test_a_copy_is_the_nearest_row_with_similarity_1() -> None:
    text = " ".join(WORDS[:20])
    found = nearest(" ".join(WORDS[50:70]), text, " ".join(WORDS[100:120]), text.upper())
    assert found.rows()[1] == ("p1", "p3", 1.0)
    assert found.rows()[3] == ("p3", "p1", 1.0)


def test_texts_without_a_shingle_in_common_have_similarity_0() -> None:
    assert nearest(" ".join(WORDS[:30]), " ".join(WORDS[50:80]))["similarity"].to_list() == [0.0, 0.0]


def test_no_row_is_its_own_nearest_row() -> None:
    found = nearest(*(" ".join(WORDS[i * 9 : i * 9 + 12]) for i in range(20)))
    assert found.filter(pl.col("id") == pl.col("twin")).height == 0


@pytest.mark.parametrize("shared", [30, 60, 90])
def test_the_estimate_is_near_the_jaccard_similarity(shared: int) -> None:
    one, two = " ".join(WORDS[:100]), " ".join(WORDS[:shared] + WORDS[100 : 200 - shared])
    assert nearest(one, two)["similarity"][0] == pytest.approx(jaccard(one, two), abs=0.15)


def test_a_summary_tells_the_middle_the_top_and_the_share_of_near_copies() -> None:
    assert summary(pl.Series([0.0, 0.1, 0.2, 0.3, 0.9])) == {"median": 0.2, "p95": 0.9, "share_at_0.8": 0.2}
