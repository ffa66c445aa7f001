from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.dedupe import index_files, index_lookup, index_vectors
from factory.dedupe.index_files import SketchWriter, signatures_name
from factory.dedupe.index_lookup import PER_KEY, PER_ROW, lookup
from factory.dedupe.index_sketch import Sketch, text_digests
from factory.dedupe.index_texts import take
from factory.dedupe.index_vectors import VectorWriter, nearest
from factory.dedupe.index_verify import take_rows

BANDS = 3
F32 = index_vectors.F32


def of_keys(rows: list[tuple[int, list[int]]]) -> Sketch:
    """A sketch with the given text digests and band keys; digest 0 is a row without text."""
    digests = np.array([digest for digest, _ in rows], dtype=np.uint64)
    keys = np.array([keys for _, keys in rows], dtype=np.uint64).reshape(len(rows), BANDS)
    return Sketch(digests, np.zeros((len(rows), 4), dtype=np.uint32), keys, digests > 0)


def write(folder: Path, rows: list[tuple[int, list[int]]], batch: int) -> None:
    writer = SketchWriter(folder, "answer", 4, BANDS)
    for start in range(0, len(rows), batch):
        writer.add(of_keys(rows[start : start + batch]))
    writer.close()


KEY = st.one_of(st.integers(1, 6), st.sampled_from([2**63, 2**64 - 1]))
ROWS = st.lists(st.tuples(st.one_of(st.just(0), KEY), st.lists(KEY, min_size=BANDS, max_size=BANDS)), max_size=PER_KEY)


@settings(max_examples=60)
@given(old=ROWS, new=ROWS, batch=st.integers(1, 4), run=st.integers(1, 5), group=st.integers(1, 4))
def test_a_lookup_finds_just_the_rows_that_share_a_key_however_the_file_is_cut(
    tmp_path_factory: pytest.TempPathFactory,
    old: list[tuple[int, list[int]]],
    new: list[tuple[int, list[int]]],
    batch: int,
    run: int,
    group: int,
) -> None:
    folder = tmp_path_factory.mktemp("segment")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_files, "RUN", run)
        patch.setattr(index_files, "BANDS_GROUP", group)
        write(folder, old, batch)
    same, near = (
        list(zip(*map(np.ndarray.tolist, part), strict=True)) for part in lookup(folder, "answer", of_keys(new))
    )
    there = [(row, digest, keys) for row, (digest, keys) in enumerate(old) if digest]
    asked = [(query, digest, keys) for query, (digest, keys) in enumerate(new) if digest]
    first = [(q, next((r for r, theirs, _ in there if theirs == ours), None)) for q, ours, _ in asked]
    assert same == [(q, r) for q, r in first if r is not None]
    shared = [(q, r) for q, _, ours in asked for r, _, theirs in there if any(map(int.__eq__, ours, theirs))]
    assert sorted(near) == shared


def test_of_a_key_that_thousands_share_few_rows_are_looked_at_those_that_share_most_first(tmp_path: Path) -> None:
    crowd = [(i + 1, [7, i, i]) for i in range(3_000)]
    crowd[2_000] = (2_001, [7, 5, 9])
    write(tmp_path, crowd, 500)
    (_, _), (queries, rows) = lookup(tmp_path, "answer", of_keys([(9_999, [7, 5, 9]), (9_998, [7, 10**6, 10**6])]))
    assert 2_000 in rows[queries == 0]
    assert all(0 < (queries == query).sum() <= PER_ROW for query in (0, 1))


def test_candidates_are_thinned_out_when_they_are_too_many_to_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, [(i + 1, [i % 5, i % 7, i % 3]) for i in range(200)], 50)
    asked = of_keys([(10**6 + i, [i % 5, i % 7, i % 3]) for i in range(30)])
    whole = lookup(tmp_path, "answer", asked)[1]
    monkeypatch.setattr(index_lookup, "HELD", 1)
    monkeypatch.setattr(index_lookup, "PER_ROW", 10**6)
    thinned = lookup(tmp_path, "answer", asked)[1]
    assert set(zip(*map(np.ndarray.tolist, whole), strict=True)) <= set(
        zip(*map(np.ndarray.tolist, thinned), strict=True)
    )


def test_a_text_digest_is_of_the_text_as_it_stands_and_zero_for_none() -> None:
    found = text_digests(pl.Series(["a", "A", "a ", "a", "", None])).tolist()
    assert found[0] == found[3]
    assert len({*found[:3]}) == 3
    assert found[4:] == [0, 0]


def test_text_digests_never_change() -> None:
    assert text_digests(pl.Series(["7 × 6 = 42"])).tolist() == [KNOWN]


KNOWN = 6962510884690025468  # XXH3 of its UTF-8 bytes


@given(st.lists(st.integers(0, 49), max_size=60), st.integers(1, 3))
@settings(max_examples=40)
def test_rows_are_taken_in_the_order_asked_for_as_often_as_asked(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[int], at_once: int
) -> None:
    path = tmp_path_factory.mktemp("file") / "rows.parquet"
    pl.DataFrame({"n": range(50), "other": "x"}).write_parquet(path, row_group_size=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("factory.dedupe.index_texts.GROUPS", at_once)
        assert take_rows(path, np.array(wanted, dtype=np.int64), "n")["n"].to_pylist() == wanted


@pytest.mark.parametrize(("group", "place"), [(9, 0), (0, 7), (-1, 0), (0, -1)])
def test_a_place_that_is_not_there_is_no_other_row(tmp_path: Path, group: int, place: int) -> None:
    pl.DataFrame({"n": range(50)}).write_parquet(tmp_path / "rows.parquet", row_group_size=7)
    with pytest.raises(IndexError):
        take(pq.ParquetFile(tmp_path / "rows.parquet"), np.array([group]), np.array([place]), ["n"])


# ------------------------------------------------------------------------------------------------------------- vectors


def unit(rows: int, seed: int, dimensions: int = 32) -> F32:
    found = np.random.default_rng(seed).normal(size=(rows, dimensions))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


def lay_down(folder: Path, vectors: F32, rows: list[int] | None = None, cuts: tuple[int, ...] = ()) -> None:
    writer = VectorWriter(folder, "answer", vectors.shape[1])
    numbers = np.arange(len(vectors)) if rows is None else np.array(rows)
    for start, stop in pairwise((0, *cuts, len(vectors))):
        writer.add(numbers[start:stop], vectors[start:stop])
    writer.close()


def near_to(vectors: F32, noise: float) -> F32:
    moved = vectors + noise * unit(len(vectors), 99, vectors.shape[1])
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize("run", [10**6, 100])
def test_of_few_vectors_the_nearest_is_found_as_by_brute_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: int
) -> None:
    monkeypatch.setattr(index_vectors, "RUN", run)
    old, new = unit(700, 1), unit(50, 2)
    lay_down(tmp_path, old)
    query, row, cosine = nearest(tmp_path, "answer", new, 0.3)
    products = new @ old.T
    assert query.tolist() == np.flatnonzero(products.max(axis=1) >= 0.3).tolist()
    assert row.tolist() == products.argmax(axis=1)[query].tolist()
    assert cosine == pytest.approx(products.max(axis=1)[query], abs=1e-3)


def test_of_many_vectors_nearly_all_neighbours_are_found(tmp_path: Path) -> None:
    old = unit(20_000, 3)
    lay_down(tmp_path, old)
    query, row, _ = nearest(tmp_path, "answer", near_to(old[:500], 0.3), 0.9)
    assert (row == query).mean() == 1
    assert query.size >= 490


def test_how_the_vectors_come_in_changes_nothing(tmp_path: Path) -> None:
    old = unit(1_000, 4)
    for name, cuts in (("a", ()), ("b", (1, 400, 999))):
        (tmp_path / name).mkdir()
        lay_down(tmp_path / name, old, cuts=cuts)
    for file in ("vectors-answer.parquet", "cells-answer.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_of_equal_vectors_the_first_row_is_named(tmp_path: Path) -> None:
    one = unit(1, 5)
    lay_down(tmp_path, np.concatenate([unit(9, 6), one, one, one]), rows=[*range(9), 40, 41, 42])
    assert nearest(tmp_path, "answer", one, 0.9)[1].tolist() == [40]


def test_a_vector_of_zeros_is_near_nothing(tmp_path: Path) -> None:
    lay_down(tmp_path, np.zeros((3, 32), dtype=np.float32))
    assert nearest(tmp_path, "answer", np.zeros((2, 32), dtype=np.float32), 0.1)[0].size == 0


def test_no_vectors_are_searched_in_no_time(tmp_path: Path) -> None:
    lay_down(tmp_path, np.zeros((0, 32), dtype=np.float32))
    assert nearest(tmp_path, "answer", unit(3, 1), 0.5)[0].size == 0


def test_signatures_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = np.random.default_rng(0).integers(2**32, size=(1_500, 4), dtype=np.uint32)
    writer = SketchWriter(tmp_path, "answer", 4, BANDS)
    ones = np.ones(1_500, dtype=np.uint64)
    writer.add(Sketch(ones, made, np.ones((1_500, BANDS), dtype=np.uint64), ones > 0))
    writer.close()
    wanted = np.array([1_499, 0, 700, 0])
    found = index_files.read_signatures(take_rows(tmp_path / signatures_name("answer"), wanted, "signature"), 4)
    assert found.tolist() == made[wanted].tolist()
