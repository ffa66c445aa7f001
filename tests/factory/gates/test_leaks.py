from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.decontamination_texts import prose_question, unrelated, word_problem
from factory.artifacts.digest import row_rng
from factory.artifacts.store import Store
from factory.gates.benchmarks_read import Book, make_book
from factory.gates.decontaminate import DecontaminateSpec, find_hits
from factory.gates.leaks import CARRIERS, KINDS, plant, reordered, rows_of, self_test
from schemas.curation import ROWS

PARAMS = DecontaminateSpec.model_validate({"benchmarks": [{"name": "x", "path": "x"}]}).params()
TEXTS = [make(n) for n in range(60) for make in (word_problem, prose_question)]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    places = [str(n) for n in range(len(TEXTS))]
    frame = pl.DataFrame({"against": "exam", "place": places, "part": "question", "text": TEXTS})
    return make_book(frame, Store(tmp_path_factory.mktemp("book")))


def test_leaks_as_they_are_and_reordered_are_all_caught_and_nearly_all_light_edits(book: Book) -> None:
    told = {one["kind"]: one for one in self_test(book, PARAMS, seed=3)}
    assert told["verbatim"]["rejected"] == told["verbatim"]["planted"] == len(TEXTS)
    assert told["reordered"]["rejected"] == told["reordered"]["planted"] > 100
    assert told["edited"]["rejected"] >= 0.98 * told["edited"]["planted"]
    assert told["unrelated"]["any"] == 0


def test_other_numbers_are_told_apart(book: Book) -> None:
    told = {one["kind"]: one for one in self_test(book, PARAMS, seed=3)}["numbers_changed"]
    assert told["caught"]["numbers"] >= 0.95 * told["planted"]
    assert told["caught"]["containment"] == 0


def test_the_same_seed_plants_the_same_leaks_and_another_one_others(book: Book) -> None:
    assert self_test(book, PARAMS, seed=3, most=20) == self_test(book, PARAMS, seed=3, most=20)
    assert not plant(book.texts(), "edited", 3).equals(plant(book.texts(), "edited", 4))


def test_a_leak_stands_alone_inside_an_instruction_and_in_an_answer(book: Book) -> None:
    rows = plant(book.texts(), "verbatim", 1)
    ROWS.check(rows.drop("against"))
    assert rows["instruction"][0] == TEXTS[0]
    assert TEXTS[1] in rows["instruction"][1]
    assert rows["instruction"][1].startswith(CARRIERS)
    assert rows["instruction"][2] in CARRIERS
    assert rows["answer"][2].startswith(TEXTS[2])


def test_a_changed_number_is_never_the_old_one() -> None:
    changed = KINDS["numbers_changed"]("7 of 10 pay 1999", row_rng(1, "t", "a")) or ""
    assert all(new != old for new, old in zip(re.findall(r"\d+", changed), ["7", "10", "1999"], strict=True))
    assert KINDS["numbers_changed"]("no number", row_rng(1, "t", "a")) is None


@given(st.integers(0, 10_000))
def test_a_reordered_text_has_the_same_words_in_another_order(seed: int) -> None:
    text = "One goes first. Two goes second. Three ends it."
    moved = reordered(text, row_rng(seed, "t", "a")) or ""
    assert sorted(moved.split()) == sorted(text.split())
    assert moved != text
    assert reordered("Only one", row_rng(seed, "t", "a")) is None


def test_unrelated_rows_raise_no_alarm_though_they_share_openings_with_the_benchmark(book: Book) -> None:
    rows = rows_of([("", unrelated(2 * n), unrelated(2 * n + 1)) for n in range(2_000)]).drop("against")
    assert find_hits(rows, PARAMS, book=book).is_empty()


def test_paraphrases_by_people_are_about_their_texts_and_share_no_run_of_words_with_them() -> None:
    lines = (Path(__file__).parents[2] / "data" / "leaks" / "paraphrases.jsonl").read_text().splitlines()
    for pair in map(json.loads, lines):
        said, text = (set(re.findall(r"\w{4,}", pair[key].lower())) for key in ("paraphrase", "text"))
        assert said & text
        assert not re.search(re.escape(" ".join(pair["text"].split()[:6])), pair["paraphrase"])
