from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.curate.measure import (
    MOST_WORDS,
    SHOWN,
    Texts,
    contamination_table,
    difficulty_bins,
    duplicate_examples,
    earlier_table,
    excerpts,
    length_histogram,
    reason_examples,
    similarity_histogram,
    word_counts,
)
from schemas.curation import HITS

WORDS = st.lists(st.sampled_from(["a", "bc", "ñandú", "שלום", "👍🏽", "x" * 40]), max_size=30).map(" ".join)
CODES = {"row": pl.Int64, "code": pl.String, "detail": pl.String}


def pool(pairs: Sequence[tuple[str, str]]) -> Texts:
    """Return what fetches rows of a pool; the last asked for comes first."""
    frame = pl.DataFrame(
        [(row, f"id{row}", *pair) for row, pair in enumerate(pairs)],
        schema={"row": pl.Int64, "id": pl.String, "instruction": pl.String, "answer": pl.String},
        orient="row",
    )
    return lambda rows: frame.filter(pl.col("row").is_in(list(rows))).reverse()


# ------------------------------------------------------------------------------------------------------------ lengths


@given(st.lists(WORDS | st.none(), max_size=8))
def test_words_are_what_stands_between_white_space(texts: list[str | None]) -> None:
    found = word_counts(pl.Series(texts, dtype=pl.String)).to_list()
    assert found == [len((text or "").split()) for text in texts]


@pytest.mark.parametrize("text", ["x" * 10_000_000, "a " * 5_000_000, "\u202eevil\u202c", "\x00\x01", "  \n\t "])
def test_any_text_has_a_number_of_words(text: str) -> None:
    words = word_counts(pl.Series([text])).item()
    assert words >= min(len(text.split()), MOST_WORDS)


def frame_of(texts: Sequence[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"instruction": texts, "answer": texts}, schema={"instruction": pl.String, "answer": pl.String})


@given(st.lists(st.tuples(WORDS, st.booleans()), min_size=1, max_size=20), st.integers(1, 7))
def test_lengths_are_the_same_wherever_shards_are_cut(rows: list[tuple[str, bool]], size: int) -> None:
    frame, kept = frame_of([text for text, _ in rows]), pl.Series([stays for _, stays in rows])
    cut = [(frame[i : i + size], kept[i : i + size]) for i in range(0, len(rows), size)]
    assert length_histogram(cut) == length_histogram([(frame, kept)])


@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans()), min_size=1, max_size=30))
def test_every_row_is_in_the_class_of_its_length(rows: list[tuple[int, bool]]) -> None:
    frame = frame_of(["w " * words for words, _ in rows])
    told = length_histogram([(frame, pl.Series([stays for _, stays in rows]))])
    if not any(words for words, _ in rows):
        assert told == {}
        return
    found = told["instruction_words"]
    classes = list(zip(found["edges"], found["edges"][1:], strict=False))
    assert found["in"] == [sum(low <= words < high for words, _ in rows) for low, high in classes]
    assert found["out"] == [sum(low <= words < high for words, stays in rows if stays) for low, high in classes]
    assert found["in"][-1] > 0
    ranked = sorted(words for words, _ in rows)
    assert found["in_median"] == ranked[-(-len(ranked) // 2) - 1]


def test_texts_longer_than_any_class_count_in_the_last() -> None:
    told = length_histogram([(frame_of(["w " * 60_000, "one"]), pl.Series([True, False]))])["answer_words"]
    assert (told["in"][-1], told["out"][-1], sum(told["in"])) == (1, 1, 2)
    assert told["in_p95"] == MOST_WORDS


def test_a_field_that_no_row_has_is_left_out() -> None:
    frame = pl.DataFrame({"instruction": ["two words"], "answer": [""]})
    assert set(length_histogram([(frame, pl.Series([False]))])) == {"instruction_words"}


# --------------------------------------------------------------------------------------------------------- difficulty


def rates(pairs: Sequence[tuple[int | None, int | None]]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={"weak_right": pl.Int64, "weak_tries": pl.Int64}, orient="row")


def test_never_and_always_have_a_class_of_their_own() -> None:
    frame = rates([(0, 8), (1, 64), (1, 8), (7, 8), (63, 64), (8, 8), (None, None), (0, 0), (3, None)])
    told = difficulty_bins(frame, pl.Series([True] * frame.height))
    assert told is not None
    assert [b["in"] for b in told["bins"]] == [1, 2, 0, 0, 0, 0, 0, 2, 1]
    assert (told["known"], told["unknown"]) == (6, 3)


def test_rows_that_nobody_tried_are_unknown_and_not_hard() -> None:
    told = difficulty_bins(rates([(None, None), (4, 8)]), pl.Series([True, False]))
    assert told is not None
    assert told["bins"][0] == {"rate": 0.0, "in": 0, "out": 0}
    assert (told["unknown"], told["unknown_out"], told["known_out"]) == (1, 1, 0)


def test_without_a_single_rate_there_is_nothing_to_tell() -> None:
    assert difficulty_bins(rates([(None, None), (None, 8), (0, 0)]), pl.Series([True] * 3)) is None


# ------------------------------------------------------------------------------------------------ hits and likenesses


@given(st.lists(st.floats(0.3, 1.0), min_size=1, max_size=40), st.sampled_from([0.5, 0.8, 0.93, 0.99]))
def test_every_similarity_is_in_a_class_of_the_histogram(found: list[float], threshold: float) -> None:
    told = similarity_histogram({"minhash": pl.DataFrame({"similarity": found})}, {"minhash": threshold})["minhash"]
    assert sum(told["rows"]) == len(found)
    assert told["edges"][0] <= min(threshold, *found) + 1e-9
    assert told["edges"][-1] == 1.0


def test_copies_without_a_similarity_have_no_histogram() -> None:
    assert similarity_histogram({"exact": pl.DataFrame({"row": [1], "twin": [0]})}, {"minhash": 0.8}) == {}


def hits(*rows: tuple[int, str, str, str, str, bool]) -> pl.DataFrame:
    """Return HITS from (row, field, against, place, level, estimated)."""
    frame = pl.DataFrame(rows, schema=["row", "field", "against", "place", "level", "estimated"], orient="row")
    named = {"id": pl.lit("x"), "part": pl.lit("question"), "similarity": pl.lit(1.0), "span": pl.lit("")}
    missing = {name: named.get(name, pl.lit(None)) for name in HITS.columns if name not in frame.columns}
    return frame.with_columns(**missing).select(pl.col(n).cast(t) for n, t in HITS.columns.items())


def test_a_row_with_many_hits_counts_once_for_each_benchmark() -> None:
    found = hits(
        (1, "instruction", "gsm8k", "7", "ngram", False),
        (1, "instruction", "gsm8k", "8", "ngram", False),
        (1, "answer", "gsm8k", "7", "containment", False),
        (2, "instruction", "gsm8k", "7", "numbers", False),
    )
    gsm, clean = contamination_table(found, {"gsm8k": 1319, "ifeval": 541})
    assert (gsm["rows"], gsm["hit_rows"], gsm["reported_rows"], gsm["places"]) == (1319, 1, 1, 2)
    assert gsm["by_level"] == {"containment": 1, "ngram": 1, "numbers": 1}
    assert gsm["fields"] == {"answer": 1, "instruction": 2}
    assert (clean["hit_rows"], clean["by_level"]) == (0, {})


def test_a_hit_of_an_unknown_benchmark_is_an_error() -> None:
    with pytest.raises(ValueError, match="no size: gsm8k"):
        contamination_table(hits((1, "answer", "gsm8k", "7", "ngram", False)), {})


def test_rows_are_estimated_where_no_hit_of_theirs_was_compared() -> None:
    found = hits(
        (1, "instruction", "mix@1.0.0", "a", "minhash", True),
        (1, "instruction", "mix@1.0.0", "b", "exact", False),
        (2, "instruction", "mix@1.0.0", "a", "minhash", True),
    )
    assert earlier_table(found, {"mix@1.0.0": "d", "old@0.1.0": "e"}) == [
        {"release": "mix@1.0.0", "digest": "d", "hit_rows": 2, "estimated": 1},
        {"release": "old@0.1.0", "digest": "e", "hit_rows": 0, "estimated": 0},
    ]


# ----------------------------------------------------------------------------------------------------- which are shown


def level(*pairs: tuple[int, int, float]) -> pl.DataFrame:
    schema = {"row": pl.Int64, "twin": pl.Int64, "similarity": pl.Float64}
    return pl.DataFrame(pairs, schema=schema, orient="row")


def test_the_least_alike_pair_is_shown_and_then_a_typical_one() -> None:
    texts = pool([(f"Question number {i}?", "") for i in range(100)])
    frame = level(*((i, 0, 0.8 + i / 1000) for i in range(1, 100)))
    near, typical = duplicate_examples({"minhash": frame}, texts)
    assert (near["dropped_id"], near["similarity"]) == ("id1", 0.801)
    assert 0.83 < typical["similarity"] < 0.87
    assert near["kept"] == "Question number 0?"


@given(st.permutations(list(range(1, 30))))
def test_the_choice_does_not_hang_on_the_order_of_the_frame(order: list[int]) -> None:
    texts = pool([(f"Question {i}", "x" * (i * 40)) for i in range(30)])
    pairs = {i: (i, 0, 0.8 + (i % 7) / 100) for i in order}
    found = duplicate_examples({"minhash": level(*pairs.values())}, texts)
    assert found == duplicate_examples({"minhash": level(*(pairs[i] for i in sorted(pairs)))}, texts)


def test_pairs_that_differ_are_shown_before_equal_ones() -> None:
    texts = pool([("Same", ""), ("Same", ""), ("same ", ""), ("Same", "")])
    frame = pl.DataFrame({"row": [1, 2, 3], "twin": [0, 0, 0]}, schema={"row": pl.Int64, "twin": pl.Int64})
    assert duplicate_examples({"exact": frame}, texts)[0]["dropped"] == "same"


def test_no_pair_is_shown_twice_and_a_level_without_copies_shows_none() -> None:
    texts = pool([("One", ""), ("Two", "")])
    assert len(duplicate_examples({"minhash": level((1, 0, 0.9)), "semantic": level()}, texts)) == 1
    assert duplicate_examples({"semantic": level()}, texts) == []


@given(WORDS, WORDS, WORDS)
def test_long_texts_are_shown_where_they_begin_to_differ(before: str, left: str, right: str) -> None:
    shared = "long " * 200 + before
    a, b = excerpts(shared + "L" + left, shared + "R" + right)
    assert max(len(a), len(b)) <= SHOWN + 2
    assert a != b


def reasons(*rows: tuple[int, str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=CODES, orient="row")


def test_every_reason_has_a_row_that_it_holds_of() -> None:
    texts = pool([("Hi", "x" * 900), ("Write an essay.", "No."), ("Go", "on")])
    frame = reasons((0, "no_shirking", "1 word"), (1, "no_shirking", "2 words"), (2, "complete", "it ends: on"))
    found = reason_examples({"filters": frame}, texts)
    assert [(e["reason"], e["id"]) for e in found] == [("complete", "id2"), ("no_shirking", "id1")]
    assert found[1]["text"] == "Write an essay.\n\nNo."


def test_personal_data_and_benchmarks_are_never_shown() -> None:
    texts = pool([("Mail bob@example.org", "ok"), ("A benchmark's question", "42"), ("fine", "fine")])
    frames: dict[str, Any] = {
        "filters": reasons((0, "no_email", "1 at 5"), (0, "complete", "it ends: ok")),
        "decontaminate": reasons((1, "no_ngram_of_a_benchmark", 'instruction: "A benchmark"')),
        "caps": reasons((0, "within_cap", "3"), (2, "within_cap", "3")),
    }
    found = reason_examples(frames, texts, private={"no_email"})
    assert [(e["stage"], e["id"]) for e in found] == [("caps", "id2")]


def test_no_rejects_give_no_examples() -> None:
    assert reason_examples({}, pool([])) == []
