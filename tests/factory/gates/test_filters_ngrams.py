"""The shares of repeated n-grams are those of a slow and obvious count."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.gates.ngram_shares import AGAIN, NAMES, TOP, ngram_shares

WORDS = st.lists(st.sampled_from(["a", "bb", "ccc", "dddd", "é", "ok", "the"]), max_size=40)


def slow(words: list[str], least: int) -> dict[str, float]:
    out = dict.fromkeys(NAMES, 0.0)
    if len(words) < max(least, 2):
        return out
    total = len(" ".join(words))
    for n in (*TOP, *AGAIN):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        often = {gram: times for gram, times in Counter(grams).items() if times > 1}
        if n in TOP:
            out[f"top_{n}"] = min(1.0, max((len(" ".join(g)) * t for g, t in often.items()), default=0) / total)
        else:
            covered = {i + k for i, gram in enumerate(grams) if gram in often for k in range(n)}
            out[f"again_{n}"] = min(1.0, sum(len(words[i]) + 1 for i in covered) / total)
    return out


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, max_size=6), st.integers(1, 12))
def test_shares_are_those_of_a_slow_count(texts: list[list[str]], least: int) -> None:
    found = ngram_shares(pl.Series([" ".join(words) for words in texts], dtype=pl.String), least).rows(named=True)
    assert [pytest.approx(slow(words, least)) for words in texts] == found


def test_nulls_and_texts_without_words_have_no_shares() -> None:
    found = ngram_shares(pl.Series([None, "", " \n", "1 2 3 4 5 1 2 3 4 5", "!!! ??? !!! ???"]), 1)
    assert found.select(pl.sum_horizontal(pl.all())).to_series().sum() == 0
