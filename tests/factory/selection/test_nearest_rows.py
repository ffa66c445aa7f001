from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.dedupe.minhash import NEAREST, nearest_rows, shingles, summary
from schemas.release import POOL, SIMILARITY

WORDS = [f"word{i}" for i in range(200)]


def pool(*prompts: str) -> pl.DataFrame:
    n = len(prompts)
    ids = [f"id{i}" for i in range(n)]
    return POOL.frame({"id": [*ids], "prompt": [*prompts], "skills": [["s"]] * n, "recipe": ["chains"] * n})


def text(start: int, n: int = 40) -> str:
    return " ".join(WORDS[start : start + n])


def nearest(*prompts: str) -> list[tuple[str, float]]:
    frame = nearest_rows(pool(*prompts), {})
    assert frame["id"].to_list() == [f"id{i}" for i in range(len(prompts))]
    return list(zip(frame["twin"], frame["similarity"], strict=True))


def test_the_same_text_is_fully_similar_and_names_its_twin() -> None:
    first, _, third = nearest(text(0), text(100), text(0))
    assert (first, third) == (("id2", 1.0), ("id0", 1.0))


def test_case_and_white_space_do_not_matter() -> None:
    assert nearest(text(0), text(0).upper().replace(" ", "\n  "))[0] == ("id1", 1.0)


def test_unrelated_texts_are_hardly_similar() -> None:
    assert all(similarity < 0.05 for _, similarity in nearest(text(0), text(60), text(120)))


@pytest.mark.parametrize("shared", [10, 20, 30, 36])
def test_the_estimate_is_near_the_jaccard_similarity_of_the_shingles(shared: int) -> None:
    one, two = text(0), f"{text(0, shared)} {text(100, 40 - shared)}"
    a, b = set(shingles(one)), set(shingles(two))
    (_, estimate), _ = nearest(one, two)
    assert estimate == pytest.approx(len(a & b) / len(a | b), abs=0.15)


def test_the_nearest_of_several_rows_is_named() -> None:
    near = f"{text(0, 36)} {text(100, 4)}"
    assert nearest(text(60), near, text(0), text(150))[2][0] == "id1"


def test_a_row_is_never_its_own_twin() -> None:
    frame = nearest_rows(pool(*[text(i) for i in range(12)]), {})
    assert all(frame["id"] != frame["twin"])


def test_the_stage_keeps_its_contract() -> None:
    SIMILARITY.check(NEAREST.run(pool(text(0), text(9)), {}))


@given(st.lists(st.sampled_from(WORDS[:6]), max_size=12))
def test_shingles_are_the_distinct_runs_of_five_words(words: list[str]) -> None:
    found = shingles(" ".join(words))
    runs = {tuple(words[i : i + 5]) for i in range(len(words) - 4)} or {tuple(words)}
    assert found == sorted(" ".join(run) for run in runs)


def test_a_summary_tells_the_median_the_tail_and_the_share_of_near_copies() -> None:
    values = pl.Series([0.0, 0.1, 0.2, 0.9, 1.0])
    assert summary(values) == {"median": 0.2, "p95": 1.0, "share_at_0.8": 0.4}
