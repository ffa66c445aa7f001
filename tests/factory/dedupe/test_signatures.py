"""Signatures agree as often as sets overlap, and are the same on every day and machine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.dedupe import signatures
from factory.dedupe.shingles import Hashes, Offsets, Shingling
from factory.dedupe.signatures import (
    ENGINES,
    Banding,
    Engine,
    band_keys,
    banding_for,
    canary,
    is_empty,
    sign,
)

BOTH = pytest.mark.parametrize("engine", ["rensa", "datasketch"])
KNOWN = {"rensa": "04c9eda36bb9d4e11e15b2c3fbc13836", "datasketch": "fd9536225c9853c1dcb745bc3616feba"}
SETS = st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=5), max_size=6)


def packed(rows: list[list[int]]) -> tuple[Hashes, Offsets]:
    return np.array(sum(rows, []), dtype=np.uint64), np.cumsum([0, *map(len, rows)], dtype=np.int64)


def drawn(*sizes: int) -> list[list[int]]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 2**64, size, dtype=np.uint64).tolist() for size in sizes]


@BOTH
@pytest.mark.parametrize("shared", [10, 50, 90])
def test_the_share_of_equal_places_is_the_jaccard_similarity(engine: Engine, shared: int) -> None:
    common, one, two = drawn(shared, 100 - shared, 100 - shared)
    first, second = sign(*packed([common + one, common + two]), 512, engine)
    assert np.mean(first == second) == pytest.approx(shared / (200 - shared), abs=0.12)


@BOTH
@settings(max_examples=20)
@given(rows=SETS)
def test_neither_order_nor_repeats_nor_neighbours_change_a_signature(engine: Engine, rows: list[list[int]]) -> None:
    together = sign(*packed([row[::-1] + row for row in rows]), 32, engine)
    assert together.shape == (len(rows), 32)
    for row, signature in zip(rows, together, strict=True):
        assert sign(*packed([row]), 32, engine)[0].tolist() == signature.tolist()


@BOTH
def test_blocks_do_not_change_a_signature(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = packed(drawn(3, 0, 5, 1, 2))
    whole = sign(*rows, 16, engine)
    monkeypatch.setattr(signatures, "ROWS_AT_ONCE", 2)
    assert sign(*rows, 16, engine).tolist() == whole.tolist()


@BOTH
def test_the_signature_of_an_empty_set_is_told(engine: Engine) -> None:
    assert is_empty(sign(*packed([[], [1], []]), 16, engine)).tolist() == [True, False, True]


@BOTH
def test_the_canary_has_the_signature_it_always_had(engine: Engine) -> None:
    assert canary(Shingling(), 128, engine) == KNOWN[engine]


@BOTH
def test_an_engine_that_signs_otherwise_has_another_canary(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "SEED", 43)
    assert canary.__wrapped__(Shingling(), 128, engine) != KNOWN[engine]


def test_a_canary_tells_configurations_apart() -> None:
    songs = {
        canary(Shingling(), 64, engine)  # type: ignore[arg-type]
        for engine in ENGINES
    } | {canary(Shingling("char"), 64), canary(Shingling("word", 3), 64), canary(Shingling(), 32)}
    assert len(songs) == 5


def test_the_usual_banding_is_sixteen_bands_of_eight() -> None:
    assert banding_for(0.8, 128) == Banding(16, 8)


@given(st.integers(10, 100), st.sampled_from([64, 128]))
@settings(max_examples=12, deadline=None)
def test_bands_fit_and_find_nearly_all_pairs_above_the_threshold(percent: int, permutations: int) -> None:
    banding = banding_for(percent / 100, permutations)
    assert banding.bands * banding.rows <= permutations
    assert banding.recall(min(1.0, percent / 100 + 0.05)) >= 0.985


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1])
def test_a_threshold_that_is_no_similarity_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        banding_for(threshold)


def test_recall_is_the_chance_to_share_a_band() -> None:
    assert Banding(16, 8).recall(0.85) == pytest.approx(1 - (1 - 0.85**8) ** 16)
    assert (Banding(4, 2).recall(0), Banding(4, 2).recall(1)) == (0, 1)


def test_keys_are_equal_just_where_bands_are() -> None:
    rng = np.random.default_rng(3)
    signed = rng.integers(0, 2**32, (50, 12), dtype=np.uint32)
    other = signed.copy()
    other[:, 5] += 1  # the second of three bands of four
    same = band_keys(signed, Banding(3, 4)) == band_keys(other, Banding(3, 4))
    assert same.all(axis=0).tolist() == [True, False, True]
    assert not same[:, 1].any()


def test_the_same_places_in_another_band_have_another_key() -> None:
    keys = band_keys(np.full((1, 8), 7, dtype=np.uint32), Banding(4, 2))
    assert len(set(keys[0].tolist())) == 4


def test_what_is_over_after_the_last_band_is_not_used() -> None:
    signed = np.arange(10, dtype=np.uint32).reshape(1, 10)
    other = signed.copy()
    other[0, 9] = 99
    assert band_keys(signed, Banding(3, 3)).tolist() == band_keys(other, Banding(3, 3)).tolist()


def test_more_bands_than_a_signature_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="needs 12 permutations; found 10"):
        band_keys(np.zeros((1, 10), dtype=np.uint32), Banding(3, 4))
