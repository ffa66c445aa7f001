from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from factory.artifacts.stage import apply, with_reasons
from factory.artifacts.store import Store
from factory.errors import UserError
from factory.gates import overlap
from factory.gates.benchmark_index import Settings, build_index
from factory.gates.benchmarks_read import BenchmarkSource, Book, make_book, read_benchmarks
from factory.gates.decontaminate import (
    DECONTAMINATE,
    FIND_HITS,
    DecontaminateSpec,
    Hits,
    find_hits,
    reasons_of,
)
from factory.gates.leak_words import masked, word_spans, words_of
from factory.gates.leaks import rows_of
from factory.gates.same_question import verdict_requests, with_verdicts
from factory.teacher.protocol import Reply
from schemas.curation import HITS, KEPT_ROWS

CLIPS = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
NOVEL = "Who wrote the novel Pride and Prejudice?"
SUM = "What is 2+2?"
TANK = (
    "A tank is filled by one pipe in 6 hours and by another in 9 hours; nobody closes either of them. Because the "
    "valve drips, every evening a bucket of water is lost. When will the tank be full?"
)
TEXTS = [CLIPS, NOVEL, SUM, TANK]
GARDEN = "Please describe how to look after a small garden behind a house, and which tools are needed for it in spring."


def told_of(frame: pl.DataFrame, hits: pl.DataFrame, params: dict[str, Any]) -> pl.DataFrame:
    """Return what the gate makes of a frame whose hits are known."""
    return with_reasons(frame.select("id", "row"), reasons_of(hits, params))


def spec(**settings_: Any) -> DecontaminateSpec:
    return DecontaminateSpec.model_validate({"benchmarks": [{"name": "exam", "path": "exam.jsonl"}], **settings_})


def benchmark(texts: Sequence[str], name: str = "exam") -> pl.DataFrame:
    places = [str(n) for n in range(len(texts))]
    return pl.DataFrame({"against": name, "place": places, "part": "question", "text": texts})


def rows(*instructions: str, answers: Sequence[str] | None = None) -> pl.DataFrame:
    answers = answers or [""] * len(instructions)
    return rows_of([("", *pair) for pair in zip(instructions, answers, strict=True)]).drop("against")


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return make_book(benchmark(TEXTS), Store(tmp_path))


def levels(hits: pl.DataFrame, row: int = 0) -> set[tuple[str, str]]:
    return set(hits.filter(pl.col("row") == row).select("place", "level").iter_rows())


# ----------------------------------------------------------------------------------------------------- what is found


@pytest.mark.parametrize(("place", "text"), [("0", CLIPS), ("1", NOVEL), ("3", TANK)])
def test_a_text_word_by_word_is_found_whatever_stands_around_it(book: Book, place: str, text: str) -> None:
    loud = text.upper().replace(",", " --").replace(" ", "\n ", 3)
    hits = find_hits(rows(f"{GARDEN} {loud} {GARDEN}"), spec().params(), book=book)
    assert (place, "ngram") in levels(hits)
    best = hits.filter(pl.col("level") == "ngram").row(0, named=True)
    assert best["similarity"] == 1.0
    assert words_of(pl.Series([best["span"]])).flat.tolist() == words_of(pl.Series([text])).flat.tolist()


def test_an_answer_that_gives_a_question_away_is_found_in_the_answer(book: Book) -> None:
    hits = find_hits(rows(GARDEN, answers=[f"The exam asks: {CLIPS}"]), spec().params(), book=book)
    assert set(hits["field"]) == {"answer"}


def test_thirteen_words_in_common_are_a_hit_and_twelve_are_none(book: Book) -> None:
    words = CLIPS.split()
    thirteen, twelve = " ".join(words[3:16]), " ".join(words[3:15])
    hits = find_hits(rows(f"{GARDEN} {thirteen} {GARDEN}", f"{GARDEN} {twelve} {GARDEN}"), spec().params(), book=book)
    assert levels(hits, 0) == {("0", "ngram")}
    assert levels(hits, 1) == set()


def test_the_span_is_the_widest_run_in_characters_of_the_field(book: Book) -> None:
    words = CLIPS.split()
    text = f"é🙂 {' '.join(words[:14])} stop {' '.join(words[10:26])} and on."
    hit = find_hits(rows(text), spec().params(), book=book).filter(pl.col("level") == "ngram").row(0, named=True)
    assert text[hit["start"] : hit["end"]] == hit["span"]
    assert hit["span"].split()[0] == words[10]


def test_a_text_with_its_sentences_moved_and_a_word_changed_is_mostly_there(book: Book) -> None:
    first, second = CLIPS.split(". ")
    text = f"{second} {first.replace('friends', 'pals').replace('half', 'just half')}"
    assert ("0", "containment") in levels(find_hits(rows(text), spec().params(), book=book))


def test_containment_can_be_switched_off(book: Book) -> None:
    hits = find_hits(rows(CLIPS), spec(containment=None).params(), book=book)
    assert set(hits["level"]) == {"ngram"}


def test_other_numbers_are_a_level_of_their_own_and_no_reason_by_default(book: Book) -> None:
    changed = rows(TANK.replace("6", "31").replace("9", "47"))
    short = spec(words=40)
    hits = find_hits(changed, short.params(), book=book)
    assert levels(hits) == {("3", "numbers")}
    assert told_of(changed, hits, short.params())["reasons"].list.len().to_list() == [0]
    strict = spec(words=40, numbers="reject").params()
    assert told_of(changed, hits, strict)["reasons"][0][0]["code"] == "no_benchmark_with_other_numbers"


def test_a_text_too_short_to_mean_anything_is_no_evidence_and_is_counted(book: Book) -> None:
    assert find_hits(rows(SUM), spec().params(), book=book).is_empty()
    watched = build_index(benchmark(TEXTS), Settings()).watched().row(0, named=True)
    assert (watched["texts"], watched["too_short"], watched["ngram"]) == (4, 1, 3)


def test_what_many_texts_begin_with_is_no_evidence_but_each_of_them_is_found(tmp_path: Path) -> None:
    opening = "In this part of the paper every candidate should look at the picture and tell with care what it shows:"
    texts = [f"{opening} {a} {b} beside {c}" for a in ("ox", "elk", "hen") for b in ("sun", "fog") for c in "pqrst"]
    book = make_book(benchmark(texts), Store(tmp_path))
    hits = find_hits(rows(f"{opening} {GARDEN}", texts[17]), spec().params(), book=book)
    assert levels(hits, 0) == set()
    assert ("17", "ngram") in levels(hits, 1)


def test_well_known_sayings_are_no_evidence(tmp_path: Path) -> None:
    saying = "Please reason step by step, and put your final answer within \\boxed{}."
    book = make_book(benchmark([f"{CLIPS} {saying}"]), Store(tmp_path))
    assert find_hits(rows(f"{GARDEN} {saying}"), spec().params(), book=book).is_empty()


def test_a_row_of_counting_does_not_meet_a_text_that_counts(tmp_path: Path) -> None:
    count = " ".join(str(n) for n in range(1, 30))
    book = make_book(
        benchmark([f"Continue the series with care and tell which number follows: {count}"]), Store(tmp_path)
    )
    assert find_hits(rows(f"Here are numbers: {count} and so on for ever"), spec().params(), book=book).is_empty()


def test_text_without_spaces_is_found_by_its_characters(tmp_path: Path) -> None:
    text = "小明有十五个苹果他给了小红三个请问小明现在还剩下多少个苹果"
    book = make_book(benchmark([text]), Store(tmp_path))
    said = f"请回答这个问题{text}谢谢你"
    hit = find_hits(rows(said), spec().params(), book=book).row(0, named=True)
    assert hit["span"] == text


def test_a_text_twice_in_one_benchmark_is_told_once_and_in_two_benchmarks_of_each(tmp_path: Path) -> None:
    texts = pl.concat([benchmark([CLIPS, CLIPS]), benchmark([CLIPS], "other")])
    hits = find_hits(rows(CLIPS), spec().params(), book=make_book(texts, Store(tmp_path)))
    told = hits.filter(pl.col("level") == "ngram").select("against", "place").rows()
    assert told == [("exam", "0"), ("other", "0")]


# ------------------------------------------------------------------------------------------------- whatever comes in

ODD = [
    "",
    " \n",
    "🙂🙃" * 50,
    "שלום עולם " * 30,
    "\x00\x01\x1b",
    "a" * 200_000,
    "the " * 100_000,
    "İ\u0301ß½ﬁ\u0387x",
    "7 " * 500,
]


def test_odd_rows_are_looked_at_like_any_other(book: Book) -> None:
    frame = rows(*ODD, CLIPS, answers=[*reversed(ODD), ""])
    hits = find_hits(frame, spec().params(), book=book)
    HITS.check(hits)
    assert set(hits["row"]) == {len(ODD)}


def test_odd_benchmark_texts_do_no_harm(tmp_path: Path) -> None:
    book = make_book(benchmark([*ODD, CLIPS]), Store(tmp_path))
    assert ("9", "ngram") in levels(find_hits(rows(CLIPS, GARDEN), spec().params(), book=book))


def test_nulls_are_empty_texts(book: Book) -> None:
    frame = rows("x", CLIPS).with_columns(
        instruction=pl.when(pl.col("row") == 0).then(None).otherwise("instruction"), answer=pl.lit(None, pl.String)
    )
    assert set(find_hits(frame, spec().params(), book=book)["row"]) == {1}


def test_no_rows_give_no_hits(book: Book) -> None:
    hits = find_hits(rows(), spec().params(), book=book)
    HITS.check(hits)
    assert hits.is_empty()


@settings(max_examples=60)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_words_have_places_in_every_text(texts: list[str]) -> None:
    words = words_of(pl.Series(texts))
    assert [len(word_spans(text)) for text in texts] == np.diff(words.offsets).tolist()


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=30), st.integers(1, 15))
def test_runs_are_equal_just_where_their_words_are(letters: list[str], size: int) -> None:
    words = words_of(pl.Series([" ".join(letters)]))
    grams = words.grams(size)
    said = [tuple(letters[i : i + size]) for i in range(len(letters) - size + 1)]
    assert grams.size == len(said)
    assert len(set(grams.tolist())) == len(set(said))


def test_numbers_are_alike_when_masked_and_other_words_are_not() -> None:
    flat = masked(words_of(pl.Series(["7 08 1,250 twelve 99999 ate tent"]))).flat.tolist()
    assert len(set(flat[:6])) == 1
    assert len(set(flat)) == 3


def test_hits_do_not_depend_on_what_is_looked_at_together(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rows(CLIPS, GARDEN, f"{GARDEN} {TANK}", "", NOVEL, TANK.replace("6", "5"))
    whole = find_hits(frame, spec().params(), book=book)
    monkeypatch.setattr(overlap, "CHUNK_BYTES", 1)
    parts = [find_hits(frame[i : i + 1], spec().params(), book=book) for i in range(frame.height)]
    assert_frame_equal(whole, pl.concat(parts))
    assert_frame_equal(whole, find_hits(frame, spec().params(), book=book))


# ------------------------------------------------------------------------------------------------------------ stages


def test_every_row_is_kept_or_rejected_with_the_place_of_its_leak(book: Book, tmp_path: Path) -> None:
    store, frame, params = Store(tmp_path), rows(CLIPS, GARDEN), spec().params()
    found = apply(FIND_HITS, frame, params, store, "k1", book=book)
    done = apply(DECONTAMINATE, frame, params, store, "k2", hits=Hits(found))
    assert done.read()["id"].to_list() == ["leak-1"]
    reasons = done.read_rejects()["reasons"][0].to_list()
    assert [reason["code"] for reason in reasons] == ["no_ngram_of_a_benchmark", "little_of_a_benchmark"]
    assert reasons[0]["twin"] == "exam#0"
    assert reasons[0]["gate"] == "decontaminate"
    assert reasons[0]["detail"].startswith('instruction, characters 0 to 154: "Natalia sold clips')
    KEPT_ROWS.check(done.read())


def test_a_book_travels_to_a_worker_and_knows_itself(book: Book, tmp_path: Path) -> None:
    sent = pickle.loads(pickle.dumps(book))
    assert sent.identity == book.identity == make_book(benchmark(TEXTS), Store(tmp_path / "other")).identity
    assert make_book(benchmark(TEXTS[:3]), Store(tmp_path)).identity != book.identity
    assert sent.texts()["text"].to_list() == TEXTS


# ---------------------------------------------------------------------------------------------------------- meanings


class FirstLetters:
    """An embedder by which two texts mean the same when their first letters are the same."""

    name, identity, dimensions = "letters", "letters-1", 26

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        out = np.zeros((len(texts), 26), dtype=np.float32)
        for i, text in enumerate(texts):
            out[i, ord(text[0].lower()) % 26] = 1
        return out


MEANT = {"semantic": {"embedder": "letters", "threshold": 0.9}}


def test_meanings_are_compared_where_the_job_asks_for_it(book: Book) -> None:
    frame = rows("Nobody here has the faintest idea of it", "Zebras are striped and live in herds")
    assert find_hits(frame, spec().params(), book=book, embedder=FirstLetters()).is_empty()
    hits = find_hits(frame, spec(**MEANT).params(), book=book, embedder=FirstLetters())
    assert hits.select("row", "place", "level", "start", "span").rows() == [(0, "0", "semantic", None, None)]
    reason = told_of(frame, hits, spec(**MEANT).params())["reasons"][0][0]
    assert (reason["code"], reason["detail"]) == ("no_meaning_of_a_benchmark", "instruction, cosine 1.0")


@pytest.mark.parametrize(
    ("said", "left"), [("same_question", ["semantic"]), ("other_numbers", ["numbers"]), ("other_question", [])]
)
def test_a_teacher_is_asked_about_meanings_alone_and_its_verdict_counts(book: Book, said: str, left: list[str]) -> None:
    frame = rows(CLIPS, "Nobody here has the faintest idea of it")
    hits = find_hits(frame, spec(**MEANT).params(), book=book, embedder=FirstLetters())
    requests = verdict_requests(hits, frame, book)
    assert len(requests) == 1
    (key, request), *_ = requests.items()
    assert "faintest idea" in request.said[-1]
    judged = with_verdicts(hits, {key: Reply(parsed={"differs_in": "", "same": said})})
    assert judged.filter(pl.col("row") == 1)["level"].to_list() == left
    assert_frame_equal(judged.filter(pl.col("row") == 0), hits.filter(pl.col("row") == 0))


def test_a_hit_without_a_verdict_stays(book: Book) -> None:
    frame = rows("Nobody here has the faintest idea of it")
    hits = find_hits(frame, spec(**MEANT).params(), book=book, embedder=FirstLetters())
    key = next(iter(verdict_requests(hits, frame, book)))
    assert_frame_equal(with_verdicts(hits, {key: Reply().failed("refused", "no")}), hits)
    assert_frame_equal(with_verdicts(hits, {}), hits)


# ----------------------------------------------------------------------------------------------------------- reading


def written(folder: Path, name: str = "exam.jsonl") -> Path:
    lines = [{"question": text, "answer": "yes" if i else None, "level": i} for i, text in enumerate(TEXTS)]
    (folder / name).write_text("\n".join(map(json.dumps, lines)))
    return folder / name


def test_every_column_of_text_is_read_by_default_and_empty_cells_are_left_out(tmp_path: Path) -> None:
    written(tmp_path)
    texts = read_benchmarks([BenchmarkSource(name="exam", path="exam.jsonl")], tmp_path)
    assert texts["part"].value_counts().sort("part").rows() == [("answer", 3), ("question", 4)]
    assert texts.filter(pl.col("part") == "question")["place"].to_list() == ["0", "1", "2", "3"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_csv_and_parquet_are_read_alike(tmp_path: Path, suffix: str) -> None:
    frame = pl.DataFrame({"question": TEXTS, "topic": ["a"] * 4})
    path = tmp_path / f"exam{suffix}"
    frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path)
    texts = read_benchmarks([BenchmarkSource(name="exam", path=path.name, columns=["question"])], tmp_path)
    assert texts["text"].to_list() == TEXTS


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"path": "exma.jsonl"}, "did you mean 'exam.jsonl'"),
        ({"path": "exam.jsonl", "columns": ["qestion"]}, "did you mean 'question'"),
        ({"path": "bad.jsonl"}, "not JSON"),
        ({"path": "empty.jsonl", "columns": ["question"]}, "no column 'question'"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_name_of_the_benchmark(
    tmp_path: Path, source: dict[str, Any], message: str
) -> None:
    written(tmp_path)
    (tmp_path / "bad.jsonl").write_text('{"question": "one"}\nnot json\n')
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(UserError, match=message) as told:
        read_benchmarks([BenchmarkSource(name="exam", **source)], tmp_path)
    assert str(told.value).startswith("benchmark 'exam': ")


def test_two_benchmarks_of_one_name_are_refused(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(UserError, match="two benchmarks are called 'exam'"):
        read_benchmarks([BenchmarkSource(name="exam", path="exam.jsonl")] * 2, tmp_path)
