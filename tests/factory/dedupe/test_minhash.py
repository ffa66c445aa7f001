"""Similarity within a pool is that of 5-word shingles, near enough."""

from __future__ import annotations

import polars as pl
import pytest

from factory.dedupe.minhash import NEAREST, summary

WORDS = [f"word{i}" for i in range(200)]


def nearest(*prompts: str) -> pl.DataFrame:
    rows = [{"id": f"p{i}", "prompt": prompt, "skills": [], "recipe": "x"} for i, prompt in enumerate(prompts)]
    return NEAREST.run(pl.DataFrame(rows, schema=dict(NEAREST.reads.columns)), {})


def test_a_copy_is_the_nearest_row_with_similarity_1() -> None:
    text = " ".join(WORDS[:20])
    found = nearest(" ".join(WORDS[50:70]), text, " ".join(WORDS[100:120]), text.upper())
    assert found.rows()[1] == ("p1", "p3", 1.0)
    assert found.rows()[3] == ("p3", "p1", 1.0)


def test_texts_without_a_shingle_in_common_have_similarity_0() -> None:
    assert nearest(" ".join(WORDS[:30]), " ".join(WORDS[50:80]))["similarity"].to_list() == [0.0, 0.0]


def test_texts_without_a_shingle_are_not_like_each_other() -> None:
    assert nearest("", " ... ", "one two")["similarity"].to_list() == [0.0, 0.0, 0.0]


def test_no_row_is_its_own_nearest_row() -> None:
    found = nearest(*(" ".join(WORDS[i * 9 : i * 9 + 12]) for i in range(20)))
    assert found.filter(pl.col("id") == pl.col("twin")).height == 0


@pytest.mark.parametrize("shared", [30, 60, 90])
def test_the_estimate_is_near_the_jaccard_similarity(shared: int) -> None:
    """Of 96 runs of five words each, `shared` - 4 are common to both texts."""
    one, two = " ".join(WORDS[:100]), " ".join(WORDS[:shared] + WORDS[100 : 200 - shared])
    common = shared - 4
    assert nearest(one, two)["similarity"][0] == pytest.approx(common / (192 - common), abs=0.15)


def test_a_summary_tells_the_middle_the_top_and_the_share_of_near_copies() -> None:
    assert summary(pl.Series([0.0, 0.1, 0.2, 0.3, 0.9])) == {"median": 0.2, "p95": 0.9, "share_at_0.8": 0.2}
