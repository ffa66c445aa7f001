from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from factory.dedupe import semantic
from factory.dedupe.semantic import SemanticSpec, semantic_duplicates
from factory.errors import UserError

pytest.importorskip("faiss")
D = 8


def clouds(seed: int, groups: int, each: int, spread: float) -> np.ndarray:
    """Groups of near vectors, in an order that mixes them."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups, D))
    vectors = np.repeat(centres, each, axis=0) + spread * rng.normal(size=(groups * each, D))
    return vectors[rng.permutation(len(vectors))].astype(np.float16)


def all_of(vectors: np.ndarray) -> np.ndarray:
    return np.ones(len(vectors), bool)


def one_by_one(
    vectors: np.ndarray, ranks: np.ndarray, alive: np.ndarray, threshold: float
) -> dict[int, tuple[int, float]]:
    """The rule, as it is said: {row: (nearest kept, earlier row, cosine)}."""
    unit = vectors.astype(np.float64)
    norms = np.linalg.norm(unit, axis=1)
    cosines = np.round((unit @ unit.T) / np.outer(np.maximum(norms, 1e-9), np.maximum(norms, 1e-9)), 5)
    kept: list[int] = []
    left: dict[int, tuple[int, float]] = {}
    for row in np.argsort(ranks, kind="stable"):
        if not alive[row] or norms[row] == 0:
            continue
        best = max(((cosines[row, other], -i, other) for i, other in enumerate(kept)), default=(-1.0, 0, -1))
        if best[0] >= threshold:
            left[int(row)] = (int(best[2]), float(best[0]))
        else:
            kept.append(int(row))
    return left


@settings(max_examples=30)
@given(
    st.integers(0, 10_000),
    st.sampled_from([0.05, 0.2, 0.4]),
    st.sampled_from([0.8, 0.9, 0.97]),
    st.sampled_from([5, 64]),
)
def test_the_choice_is_that_of_the_rule(seed: int, spread: float, threshold: float, block: int) -> None:
    vectors = clouds(seed, 12, 6, spread)
    rng = np.random.default_rng(seed)
    ranks, alive = rng.integers(0, 40, len(vectors)), rng.random(len(vectors)) < 0.9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(semantic, "BLOCK", block)
        found = semantic_duplicates(vectors, ranks, alive, threshold)
    wanted = one_by_one(vectors, ranks, alive, threshold)
    assert found["row"].to_list() == sorted(wanted)
    assert np.allclose(found["similarity"], [wanted[row][1] for row in sorted(wanted)], atol=2e-5)


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from(["full", "approximate"]))
def test_a_twin_is_a_kept_earlier_row_at_or_above_the_threshold(seed: int, mode: semantic.Mode) -> None:
    vectors = clouds(seed, 150, 10, 0.3)
    ranks = np.random.default_rng(seed).permutation(len(vectors))
    found = semantic_duplicates(vectors, ranks, all_of(vectors), 0.9, mode)
    left = set(found["row"].to_list())
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    for row, twin, similarity in found.iter_rows():
        assert twin not in left
        assert ranks[twin] < ranks[row]
        assert similarity >= 0.9
        assert similarity == pytest.approx(unit[row] @ unit[twin], abs=2e-5)


def test_the_lists_find_nearly_all_that_a_full_comparison_finds() -> None:
    vectors = np.random.default_rng(3).normal(size=(1_500, 64))
    vectors = np.concatenate([vectors, vectors + 0.35 * np.random.default_rng(4).normal(size=vectors.shape)])
    ranks = np.arange(len(vectors))
    full, lists = (
        semantic_duplicates(vectors.astype(np.float16), ranks, all_of(ranks), 0.9, m) for m in ("full", "approximate")
    )
    assert full.height > 1_000
    assert lists.join(full, on="row").height >= 0.98 * full.height
    assert lists.join(full, on="row", how="anti").height <= 0.01 * full.height


@pytest.mark.parametrize("mode", ["full", "approximate"])
def test_the_number_of_threads_changes_nothing(mode: semantic.Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clouds(7, 300, 10, 0.25)
    found = []
    for cores in (1, 3):
        monkeypatch.setattr(semantic, "cores", lambda cores=cores: cores)
        found.append(semantic_duplicates(vectors, np.arange(len(vectors)), all_of(vectors), 0.9, mode))
    assert found[0].equals(found[1])


def test_a_row_near_one_that_left_is_kept() -> None:
    angles = np.deg2rad([0, 20, 40])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = semantic_duplicates(vectors, np.arange(3), np.ones(3, bool), 0.9)
    assert found.select("row", "twin").rows() == [(1, 0)]


def test_a_row_near_many_that_left_is_still_compared_with_what_was_kept() -> None:
    rng = np.random.default_rng(5)
    crowd = np.array([1.0, *[0.0] * (D - 1)]) + 0.01 * rng.normal(size=(3_000, D))
    found = semantic_duplicates(crowd.astype(np.float16), np.arange(3_000), np.ones(3_000, bool), 0.9)
    assert found.height == 2_999
    assert set(found["twin"]) == {0}


def test_zeros_and_what_is_no_number_are_never_copies() -> None:
    vectors = np.zeros((6, D), np.float16)
    vectors[3], vectors[4], vectors[5, 0] = np.nan, np.inf, 1
    found = semantic_duplicates(vectors, np.arange(6), np.ones(6, bool), 0.9)
    assert found.height == 0


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("mode", ["full", "approximate"])
def test_a_pool_of_none_or_one_is_kept(n: int, mode: semantic.Mode) -> None:
    found = semantic_duplicates(np.ones((n, D), np.float16), np.arange(n), np.ones(n, bool), 0.9, mode)
    assert found.height == 0
    assert dict(found.schema) == semantic.DUPLICATES


def test_a_higher_threshold_takes_the_same_vectors() -> None:
    vectors = clouds(9, 30, 8, 0.3)
    low, high = (semantic_duplicates(vectors, np.arange(240), np.ones(240, bool), t) for t in (0.8, 0.98))
    assert 0 < high.height < low.height


@pytest.mark.parametrize("threshold", [0.0, -1, 1.1, float("nan")])
def test_a_threshold_that_is_no_cosine_is_one_sentence(threshold: float) -> None:
    with pytest.raises(UserError, match="is a cosine above 0 and up to 1"):
        semantic_duplicates(np.ones((2, D), np.float16), np.arange(2), np.ones(2, bool), threshold)


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0}, {"threshold": 2}, {"fields": []}, {"fields": ["prompt"]}, {"treshold": 0.9}]
)
def test_a_wrong_part_of_a_job_file_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SemanticSpec(**wrong)
