"""MinHash dedupe keeps what a slow and obvious one keeps, and every twin is a kept row that verifiably matches."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.near_duplicate_corpus import near_duplicate_corpus
from factory.artifacts.stage import apply
from factory.artifacts.store import Store
from factory.dedupe import greedy as choice
from factory.dedupe import near
from factory.dedupe.near import SIGN, MinHashSpec, near_duplicates, sign_params, sign_rows
from factory.dedupe.signatures import ENGINES, Engine, canary
from schemas.curation import ROWS

BLANK = {"source": "s", "template": "", "signature": ""}
LETTERS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=7).map(" ".join), max_size=14)
LOW = MinHashSpec(fields="answer", size=1, threshold=0.5, permutations=16)


def rows_of(answers: list[str], instructions: list[str] | None = None) -> pl.DataFrame:
    columns: dict[str, Any] = {
        "id": [f"r{i}" for i in range(len(answers))],
        "row": range(len(answers)),
        "instruction": instructions or [""] * len(answers),
        "answer": answers,
    }
    frame = pl.DataFrame(columns, schema_overrides={name: ROWS.columns[name] for name in columns})
    missing = [pl.lit(BLANK.get(name)).cast(t).alias(name) for name, t in ROWS.columns.items() if name not in columns]
    return frame.with_columns(missing).select(list(ROWS.columns))


def found_in(rows: pl.DataFrame, spec: MinHashSpec, shard: int = 100_000, **options: Any) -> list[tuple[Any, ...]]:
    shards = [rows.slice(start, shard) for start in range(0, rows.height, shard)]
    signed = [sign_rows(part, sign_params(spec)) for part in shards]
    return near_duplicates(signed, shards, spec, **options).rows()


@pytest.fixture
def _all_share_a_band(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(near, "band_keys", lambda signed, cut: np.ones((len(signed), cut.bands), dtype=np.uint64))
        yield


def shingle_set(text: str, size: int = 1) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))} if words else set()


def jaccard(one: set[Any], two: set[Any]) -> float:
    return len(one & two) / len(one | two) if one and two else 0.0


def slow_greedy(sets: list[set[Any]], order: list[int], threshold: float) -> dict[int, tuple[int, float]]:
    """Return {row: (twin, similarity)} by comparing each row with every kept one before it."""
    kept: list[int] = []
    out = {}
    for row in order:
        match = next((other for other in kept if jaccard(sets[other], sets[row]) >= threshold), None)
        if match is None:
            kept.append(row)
        else:
            out[row] = (match, jaccard(sets[match], sets[row]))
    return out


def slow_components(sets: list[set[Any]], threshold: float) -> dict[int, int]:
    """Return {row: first row of its component} of the rows that are not first."""
    root = list(range(len(sets)))
    for later in range(len(sets)):
        for earlier in range(later):
            if jaccard(sets[earlier], sets[later]) >= threshold and root[earlier] != root[later]:
                old, new = max(root[earlier], root[later]), min(root[earlier], root[later])
                root = [new if r == old else r for r in root]
    return {row: first for row, first in enumerate(root) if first != row}


@pytest.mark.usefixtures("_all_share_a_band")
@pytest.mark.parametrize("small", [2, 100])
def test_rows_that_share_bands_leave_as_in_a_slow_greedy_choice(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "SMALL", small)

    @settings(max_examples=60, deadline=None)
    @given(LETTERS, st.randoms(use_true_random=False))
    def check(answers: list[str], rng: Any) -> None:
        rank = list(range(len(answers)))
        rng.shuffle(rank)
        order = sorted(range(len(answers)), key=rank.__getitem__)
        expected = slow_greedy([shingle_set(a) for a in answers], order, 0.5)
        found = found_in(rows_of(answers), LOW, rank=np.array(rank, dtype=np.int64))
        assert {row: (twin, value) for row, twin, value in found} == expected

    check()


@pytest.mark.usefixtures("_all_share_a_band")
def test_components_are_those_of_all_matches() -> None:
    @settings(max_examples=60, deadline=None)
    @given(LETTERS)
    def check(answers: list[str]) -> None:
        sets = [shingle_set(a) for a in answers]
        found = found_in(rows_of(answers), LOW, mode="components")
        assert {row: twin for row, twin, _ in found} == slow_components(sets, 0.5)
        assert all(value == jaccard(sets[row], sets[twin]) for row, twin, value in found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice, "SMALL", 100)
        check()


@pytest.fixture(scope="module")
def corpus() -> pl.DataFrame:
    return rows_of(near_duplicate_corpus(2_000, seed=3)["text"].to_list())


@pytest.fixture(scope="module")
def dropped(corpus: pl.DataFrame) -> list[tuple[Any, ...]]:
    return found_in(corpus, MinHashSpec(fields="answer"))


@pytest.mark.parametrize("shard", [7, 100])
def test_shards_do_not_change_what_is_kept(corpus: pl.DataFrame, dropped: list[Any], shard: int) -> None:
    few = corpus.head(200)
    assert found_in(few, MinHashSpec(fields="answer"), shard) == [d for d in dropped if d[0] < 200]


def test_shards_may_come_in_any_order(corpus: pl.DataFrame, dropped: list[Any]) -> None:
    parts = [corpus.slice(start, 500) for start in (1_000, 0, 1_500, 500)]
    spec = MinHashSpec(fields="answer")
    signed = [sign_rows(part, sign_params(spec)) for part in reversed(parts)]
    assert near_duplicates(signed, parts, spec).rows() == dropped


def test_every_dropped_row_matches_its_kept_earlier_twin(corpus: pl.DataFrame, dropped: list[Any]) -> None:
    answers = corpus["answer"].to_list()
    gone = {row for row, _, _ in dropped}
    assert len(gone) > 150
    for row, twin, value in dropped:
        assert twin < row
        assert twin not in gone
        assert value == jaccard(shingle_set(answers[row], 5), shingle_set(answers[twin], 5)) >= 0.8


def test_few_copies_of_a_corpus_are_missed(corpus: pl.DataFrame, dropped: list[Any]) -> None:
    sets = [shingle_set(answer, 5) for answer in corpus["answer"]]
    holders: dict[Any, list[int]] = {}
    for row, grams in enumerate(sets):
        for gram in grams:
            holders.setdefault(gram, []).append(row)
    pairs = {(a, b) for rows in holders.values() for a in rows for b in rows if a < b}
    copies = {b for a, b in pairs if jaccard(sets[a], sets[b]) >= 0.85}
    assert len(copies - {row for row, _, _ in dropped}) <= 0.01 * len(copies)


def test_the_engines_keep_the_same_rows() -> None:
    base = [" ".join(f"w{i}_{j}" for j in range(60)) for i in range(40)]
    near_copies = [text.replace("_0 ", "_0 0 ") for text in base[:20]]
    far = [" ".join(text.split()[:30] + [f"x{i}_{j}" for j in range(30)]) for i, text in enumerate(base)]
    rows = rows_of(base + near_copies + far)
    rensa, datasketch = (
        found_in(rows, MinHashSpec(fields="answer", engine=engine))  # type: ignore[arg-type]
        for engine in ("rensa", "datasketch")
    )
    assert rensa == datasketch
    assert [row for row, _, _ in rensa] == list(range(40, 60))


def test_ten_thousand_rows_that_are_all_alike_are_each_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    jaccard_of = choice.Sets.jaccard
    monkeypatch.setattr(
        choice.Sets, "jaccard", lambda self, left, *rest: compared.append(len(left)) or jaccard_of(self, left, *rest)
    )
    frame = " ".join(f"w{j}" for j in range(60))
    found = found_in(rows_of([f"{frame} {i}" for i in range(10_000)]), MinHashSpec(fields="answer"))
    assert [(row, twin) for row, twin, _ in found] == [(row, 0) for row in range(1, 10_000)]
    assert sum(compared) < 20_000


@pytest.mark.usefixtures("_all_share_a_band")
def test_a_hot_band_of_unlike_rows_costs_no_more_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "PIVOTS", 8)
    looked_at = []
    hopeful = choice.Large._hopeful
    monkeypatch.setattr(
        choice.Large,
        "_hopeful",
        lambda self, place, pivots: looked_at.append(len(pivots)) or hopeful(self, place, pivots),
    )
    answers = [" ".join(f"w{i}_{j}" for j in range(20)) for i in range(500)]
    found = found_in(rows_of([*answers, answers[3], answers[400]]), MinHashSpec(fields="answer"))
    assert found == [(500, 3, 1.0)]  # the 401st row was kept beyond the bound
    assert sum(looked_at) <= 8 * 502


@pytest.mark.parametrize("mode", ["greedy", "components"])
def test_rows_that_are_not_alive_take_no_part(mode: Any) -> None:
    rows = rows_of(["a b c d e f"] * 4)
    alive = np.array([False, True, True, False])
    found = found_in(rows, MinHashSpec(fields="answer"), alive=alive, mode=mode)
    assert found == [(2, 1, 1.0)]


def test_the_best_rank_stays() -> None:
    rows = rows_of(["a b c d e f"] * 3)
    found = found_in(rows, MinHashSpec(fields="answer"), rank=np.array([2, 1, 0]))
    assert found == [(0, 2, 1.0), (1, 2, 1.0)]


def test_rows_of_one_rank_are_taken_in_their_order() -> None:
    rows = rows_of(["a b c d e f"] * 3)
    assert found_in(rows, MinHashSpec(fields="answer"), rank=np.array([1, 1, 0])) == [(0, 2, 1.0), (1, 2, 1.0)]


def test_a_component_may_hold_rows_that_do_not_match() -> None:
    letters = "abcdefghijklmnopqrst"
    rows = rows_of([" ".join(letters[i : i + 9]) for i in range(3)])
    spec = MinHashSpec(fields="answer", size=1, threshold=0.8, permutations=256)
    assert found_in(rows, spec) == [(1, 0, 0.8)]
    assert found_in(rows, spec, mode="components") == [(1, 0, 0.8), (2, 0, 7 / 11)]


def test_the_field_decides_what_is_compared() -> None:
    same, other = "one two three four five six", "seven eight nine ten eleven twelve"
    rows = rows_of([same, same, other, other], [same, other, same, "all else is as it was"])
    assert found_in(rows, MinHashSpec(fields="answer")) == [(1, 0, 1.0), (3, 2, 1.0)]
    assert found_in(rows, MinHashSpec(fields="instruction")) == [(2, 0, 1.0)]
    assert found_in(rows, MinHashSpec(fields="both")) == [(2, 1, 1.0)]


def test_no_shingle_runs_over_the_border_of_the_fields() -> None:
    rows = rows_of(["e f g h i j", "b c d e f g h i j"], ["a b c d", "a"])
    flat, offsets = near.field_shingles(rows, "both", MinHashSpec().shingling)
    assert np.diff(offsets).tolist() == [1 + 2, 1 + 5]
    assert len(np.intersect1d(flat[: offsets[1]], flat[offsets[1] :])) == 2


HARD = ["", " \n", "...", "\x00\x07", "a", "\U0001f600\U0001f600", "\u0645\u0631\u062d\u0628\u0627", "x" * 300_000]


@pytest.mark.parametrize("unit", ["word", "char"])
def test_hard_rows_match_their_copies_and_nothing_else(unit: Any) -> None:
    rows = rows_of([*HARD, *HARD], [None, *[""] * (2 * len(HARD) - 1)])  # type: ignore[list-item]
    found = found_in(rows, MinHashSpec(fields="both", unit=unit))
    assert [(row, twin) for row, twin, _ in found] == [(row + 8, row) for row in range(4, 8)]


def test_no_rows_have_no_copies() -> None:
    assert found_in(rows_of([]), MinHashSpec()) == []
    assert near_duplicates([], [], MinHashSpec()).height == 0
    assert found_in(rows_of([""]), MinHashSpec()) == []


def test_every_row_is_signed_whatever_is_in_it() -> None:
    rows = rows_of(HARD)
    with tempfile.TemporaryDirectory() as folder:
        made = apply(SIGN, rows, sign_params(MinHashSpec()), Store(Path(folder)), "key")
        assert made.rows == rows.height
        assert made.read()["bands"].list.len().to_list() == [0, 0, 0, 0, 16, 16, 16, 16]


@pytest.mark.parametrize("engine", ["rensa", "datasketch"])
def test_libraries_that_sign_otherwise_give_the_stage_another_key(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, signer = MinHashSpec(engine=engine), ENGINES[engine]
    key = SIGN.key(["d"], sign_params(spec), {})
    monkeypatch.setattr(near, "canary", canary.__wrapped__)
    assert SIGN.key(["d"], sign_params(spec), {}) == key
    monkeypatch.setitem(ENGINES, engine, lambda *given: signer(*given) + np.uint32(1))
    assert SIGN.key(["d"], sign_params(spec), {}) != key


def test_shingles_of_another_version_give_the_stage_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    key = SIGN.key(["d"], sign_params(MinHashSpec()), {})
    monkeypatch.setattr(near, "SHINGLES", near.SHINGLES + 1)
    assert SIGN.key(["d"], sign_params(MinHashSpec()), {}) != key


def test_blocks_do_not_change_what_is_signed(monkeypatch: pytest.MonkeyPatch, corpus: pl.DataFrame) -> None:
    rows, params = corpus.head(50), sign_params(MinHashSpec())
    whole = sign_rows(rows, params)
    monkeypatch.setattr(near, "BLOCK", 7)
    assert sign_rows(rows, params).equals(whole)


def test_a_twin_is_found_in_shards_on_disk(tmp_path: Path) -> None:
    store, spec = Store(tmp_path), MinHashSpec()
    none = pl.DataFrame(schema={"id": pl.String(), "reasons": pl.List(pl.String)})
    parts = rows_of(["a b c d e f", "g h", "a b c d e f"])
    shards = [store.commit("rows", str(i), parts.slice(i, 1), none, {}) for i in range(3)]
    signed = [apply(SIGN, shard.read(), sign_params(spec), store, shard.key) for shard in shards]
    assert near_duplicates(signed, shards, spec).rows() == [(2, 0, 1.0)]


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0}, {"threshold": 1.1}, {"size": 0}, {"unit": "line"}, {"engine": "x"}, {"window": 5}]
)
def test_a_wrong_option_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        MinHashSpec(**wrong)


def test_many_alike_rows_are_one_component() -> None:
    frame = " ".join(f"w{j}" for j in range(60))
    found = found_in(rows_of([f"{frame} {i}" for i in range(50)]), MinHashSpec(fields="answer"), mode="components")
    assert [(row, twin) for row, twin, _ in found] == [(row, 0) for row in range(1, 50)]
