"""Shingles are the runs of a text's words or characters, whatever surrounds the text in its column."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.dedupe.shingles import (
    Hashes,
    Offsets,
    Shingling,
    distinct,
    hash_chars,
    hash_words,
    ngrams,
    normal_text,
    shingle_sets,
)

TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=40), st.text("ab .\n", max_size=20)), max_size=8)
ROWS = st.lists(st.lists(st.integers(0, 3), max_size=9), max_size=8)


def series(*texts: str | None) -> pl.Series:
    return pl.Series(texts, dtype=pl.String)


def rows(flat: Hashes, offsets: Offsets) -> list[list[int]]:
    return [flat[a:b].tolist() for a, b in zip(offsets, offsets[1:], strict=False)]


def packed(values: list[list[int]]) -> tuple[Hashes, Offsets]:
    lengths = [len(row) for row in values]
    return np.array(sum(values, []), dtype=np.uint64), np.cumsum([0, *lengths], dtype=np.int64)


def slow_words(text: str | None) -> list[str]:
    """Return the words as one would find them with Python alone."""
    text = unicodedata.normalize("NFC", text or "").lower()
    return [word for word in re.split(r"[\s\x00-\x20\x7f-\x9f.,;:!?\"'`]+", text) if word]


@given(st.lists(st.text("aBé(9-+ .,\n\t\x00\x7f'\"`", max_size=30), max_size=6))
def test_words_are_those_of_a_slow_reading(texts: list[str]) -> None:
    expected = [len(slow_words(text)) for text in texts]
    flat, offsets = hash_words(series(*texts))
    assert np.diff(offsets).tolist() == expected
    alone, _ = hash_words(series(*(word for text in texts for word in slow_words(text))))
    assert flat.tolist() == alone.tolist()


@given(TEXTS)
def test_a_text_has_the_words_it_has_alone(texts: list[str | None]) -> None:
    together = rows(*hash_words(series(*texts)))
    assert together == [rows(*hash_words(series(text)))[0] for text in texts]


@given(TEXTS)
def test_a_text_has_the_characters_it_has_alone(texts: list[str | None]) -> None:
    together = rows(*hash_chars(series(*texts)))
    assert together == [rows(*hash_chars(series(text)))[0] for text in texts]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Hello, World!", "hello world"),
        ("one  two\n\tthree", "one two three"),
        ("caf\u00e9 CAFE\u0301", "CAF\u00c9 cafe\u0301"),
        ("\u201cquoted\u201d \u2014 don\u2019t\u2026", "quoted don't"),
        ("\u00bfQu\u00e9?", "qu\u00e9"),
        (
            "\u0645\u0631\u062d\u0628\u0627\u060c \u0643\u064a\u0641",
            "\u0645\u0631\u062d\u0628\u0627 \u0643\u064a\u0641",
        ),
        ("a\u00a0b\u3000c", "a b c"),
        ("a\x00b\x1b", "a b"),
    ],
)
def test_case_white_space_and_sentence_punctuation_are_forgotten(one: str, two: str) -> None:
    first, second = rows(*hash_words(series(one, two)))
    assert first == second


@pytest.mark.parametrize(
    ("one", "two"), [("3 + 4", "3 - 4"), ("(8 - 3) * 2", "8 - (3 * 2)"), ("x\u00b2", "x2"), ("3\u00b74", "3 4")]
)
def test_signs_that_change_a_problem_are_kept(one: str, two: str) -> None:
    first, second = rows(*hash_words(series(one, two)))
    assert first != second


@pytest.mark.parametrize("text", ["", None, "   ", "\n\x00\x07", "?!...", "\u2026\u3000"])
def test_a_text_without_words_has_no_shingles(text: str | None) -> None:
    for unit in ("word", "char"):
        assert shingle_sets(series(text), Shingling(unit))[1].tolist() == [0, 0]  # type: ignore[arg-type]


def test_no_texts_have_no_shingles() -> None:
    assert shingle_sets(series(), Shingling())[1].tolist() == [0]


def test_hashes_are_those_that_were_always_made() -> None:
    """The numbers are part of what is stored: when they change, so must shingles.VERSION."""
    assert hash_words(series("word"))[0].tolist() == [16415117739589131349]
    assert shingle_sets(series("a b c d e f"), Shingling())[0].tolist() == [4883319251728037539, 14565652903163085745]


@given(ROWS, st.integers(1, 5))
def test_ngrams_are_equal_just_where_their_parts_are(values: list[list[int]], size: int) -> None:
    expected: list[list[tuple[int, ...]]] = []
    for row in values:
        whole = [tuple(row)] if row else []
        expected.append([tuple(row[i : i + size]) for i in range(len(row) - size + 1)] or whole)
    flat, offsets = packed([[17 * value + 5 for value in row] for row in values])
    found = rows(*ngrams(flat, offsets, size))
    assert [len(row) for row in found] == [len(row) for row in expected]
    names: dict[tuple[int, ...], int] = {}
    for gram, value in zip(sum(expected, []), sum(found, []), strict=True):
        assert names.setdefault(gram, value) == value
    assert len(set(names.values())) == len(names)


@given(ROWS)
def test_distinct_hashes_are_those_of_a_set(values: list[list[int]]) -> None:
    largest = 2**64 - 1
    values = [[largest if value == 3 else value for value in row] for row in values]
    assert rows(*distinct(*packed(values))) == [sorted(set(row)) for row in values]


def test_rows_of_very_different_lengths_are_each_made_distinct() -> None:
    lengths = [1, 300_000, 2, 0, 40, 70_000]
    values = [[i % 1_000 for i in range(length)] for length in lengths]
    assert [len(row) for row in rows(*distinct(*packed(values)))] == [min(1_000, length) for length in lengths]


def test_an_ngram_of_no_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one part; found size 0"):
        ngrams(*packed([[1]]), 0)


def test_a_text_of_ten_megabytes_and_one_of_one_character_are_read() -> None:
    texts = series("word " * 2_000_000, "a" * 300_000, "\U0001f600" * 1_000)
    for unit, sizes in (("word", [1, 1, 1]), ("char", [5, 1, 1])):
        assert np.diff(shingle_sets(texts, Shingling(unit))[1]).tolist() == sizes  # type: ignore[arg-type]


def test_a_part_of_a_column_is_read_as_such() -> None:
    whole = series("one two", None, "three four five", "six")
    assert normal_text(whole.slice(2, 2)).to_list() == ["three four five", "six"]
