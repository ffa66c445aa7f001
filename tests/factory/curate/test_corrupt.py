from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from factory.artifacts.digest import Rng
from factory.curate.corrupt import DONORS, CorruptSpec, corruption, find_corrupted, make_pool, shortened
from factory.curate.vague import topics_of, vague_text
from schemas.corrupted import CORRUPTED
from schemas.curation import ROWS

LONG = "Paris is the capital of France. It lies on the Seine. It is known for the Louvre, and for much else besides."
ids = st.lists(st.text("abcdef", min_size=1, max_size=4), unique=True, max_size=40)
shares = st.floats(0, 1)


def rows(answers: list[str | None], first: int = 0) -> pl.DataFrame:
    n = len(answers)
    given_columns = {
        "id": [f"r{first + i}" for i in range(n)],
        "row": range(first, first + n),
        "instruction": [f"Tell me about the capital of country {first + i}" for i in range(n)],
        "answer": answers,
    }
    blank = {name: [None] * n for name in ROWS.columns if name not in given_columns}
    return pl.DataFrame(given_columns | blank, schema=pl.Schema(ROWS.columns), strict=False).select(*ROWS.columns)


def only(how: str, share: float = 1.0, seed: int = 0) -> CorruptSpec:
    weights = {"short": 0.0, "vague": 0.0, "wrong": 0.0} | {how: 1.0}
    return CorruptSpec.model_validate({"share": share, "how": weights, "seed": seed})


def found(frame: pl.DataFrame, spec: CorruptSpec, size: int = 1000) -> pl.DataFrame:
    parts = [frame[i : i + size] for i in range(0, max(1, frame.height), size)]
    pool = make_pool(parts, spec)
    return pl.concat([find_corrupted(part, spec, pool) for part in parts])


def chosen_of(names: list[str], share: float, seed: int) -> list[str]:
    frame = rows([LONG] * len(names)).with_columns(id=pl.Series(names, dtype=pl.String))
    return found(frame, only("short", share, seed))["id"].to_list()


@given(ids, shares, st.integers(0, 3))
def test_just_the_share_is_chosen(names: list[str], share: float, seed: int) -> None:
    assert len(chosen_of(names, share, seed)) == round(share * len(names))


@given(ids, shares)
def test_the_order_of_rows_does_not_matter(names: list[str], share: float) -> None:
    assert chosen_of(names, share, 1) == chosen_of(names[::-1], share, 1)[::-1]


@given(ids, shares, shares)
def test_a_greater_share_holds_the_rows_of_a_smaller_one(names: list[str], one: float, other: float) -> None:
    few, many = (set(chosen_of(names, share, 1)) for share in sorted((one, other)))
    assert few <= many


def test_another_seed_chooses_other_rows() -> None:
    names = [f"r{i}" for i in range(100)]
    assert chosen_of(names, 0.2, 1) != chosen_of(names, 0.2, 2)


@given(st.lists(st.text(max_size=30) | st.sampled_from(["Paris.", LONG, ""]), max_size=20), st.integers(0, 3))
def test_no_answer_stays_as_it_was_and_none_is_empty(answers: list[str], seed: int) -> None:
    made = found(rows(list(answers)), CorruptSpec(share=1.0, seed=seed))
    assert made.height == len(answers)
    assert all(new.strip() and new.split() != old.split() for new, old in made.select("answer", "original").iter_rows())


@given(st.integers(1, 9))
def test_the_shard_size_changes_no_answer(size: int) -> None:
    frame = rows([f"Answer number {i}. It goes on for a while." for i in range(20)])
    assert found(frame, CorruptSpec(share=0.5), size).equals(found(frame, CorruptSpec(share=0.5)))


def test_a_short_answer_is_how_the_long_one_began() -> None:
    made = found(rows([LONG]), only("short"))
    assert made.select("how", "original", "answer").rows() == [("short", LONG, LONG[:53])]


@pytest.mark.parametrize("text", ["word " * 5_000, "a" * 1_000_000, "一" * 2_000, LONG * 50])
def test_a_short_answer_is_one_paragraph_of_a_few_lines(text: str) -> None:
    assert 0 < len(shortened(text)) <= 281
    assert "\n" not in shortened(text)


def test_an_answer_that_cannot_be_shorter_is_made_vague() -> None:
    assert found(rows(["Paris"]), only("short"))["how"].to_list() == ["vague"]


def test_a_vague_answer_is_long_and_names_what_was_asked_about() -> None:
    text = vague_text("How do volcanoes erupt?", Rng(1))
    assert len(text.split()) > 100
    assert "volcanoes" in text.lower() or "erupt" in text.lower()


@pytest.mark.parametrize(
    "instruction", ["", "what is it?", "{topic} {0}", "2+2", "\x00", "مرحبا بالعالم", "a" * 100_000]
)
def test_a_vague_answer_can_be_given_to_anything(instruction: str) -> None:
    assert vague_text(instruction, Rng(1)).count("\n\n") == 2
    assert topics_of(instruction)


def test_a_wrong_answer_is_another_rows() -> None:
    answers = [f"It is {word}." for word in ("Paris", "Rome", "Bern", "Oslo")]
    made = found(rows(list(answers)), only("wrong"))
    assert set(made["how"]) == {"wrong"}
    assert set(made["answer"]) <= set(answers)


def test_where_all_rows_answer_alike_a_wrong_answer_is_found_all_the_same() -> None:
    made = found(rows(["Yes.", "Yes.", " Yes. "]), only("wrong"))
    assert all(answer.split() != ["Yes."] for answer in made["answer"])


def test_weights_decide_how_often_a_way_is_drawn() -> None:
    weights = {"short": 1, "vague": 0, "wrong": 3}
    spec = CorruptSpec.model_validate({"share": 1.0, "how": weights})
    made = found(rows([f"Here is one thing, number {i}. And here is one more." for i in range(2000)]), spec)
    counts = dict(made.group_by("how").len().iter_rows())
    assert set(counts) == {"short", "wrong"}
    assert 400 < counts["short"] < 600


def test_what_is_found_is_a_table_of_the_chosen_rows_with_what_they_said() -> None:
    frame = rows([f"{LONG} {i}" for i in range(50)])
    made = found(frame, CorruptSpec(share=0.2))
    assert CORRUPTED.split(made)[1].is_empty()
    assert made.height == 10
    assert made["original"].to_list() == frame["answer"].gather(made["row"]).to_list()


def test_a_share_of_nothing_finds_nothing() -> None:
    assert found(rows([LONG, None]), CorruptSpec(share=0.0)).is_empty()


@given(st.integers(1, 400))
def test_a_pool_does_not_depend_on_the_order_of_rows_nor_on_their_shards(size: int) -> None:
    spec, frame = CorruptSpec(share=0.3), rows([f"answer {i % 700}" for i in range(6 * DONORS)])
    turned = frame[::-1]
    shards = (turned[i : i + size] for i in range(0, turned.height, size))
    assert make_pool(shards, spec) == make_pool([frame], spec)


def test_a_release_says_loudly_that_it_is_corrupted() -> None:
    frame, spec = rows([f"{LONG} {i}" for i in range(50)]), only("vague", share=0.2)
    told = corruption(found(frame, spec), frame.height, spec)
    assert told["rows"] == 10
    assert told["how"] == {"vague": 10}
    assert told["flag"].startswith("CORRUPTED ON PURPOSE: 10 of 50 answers")


@pytest.mark.parametrize("bad", [{"share": 1.5}, {"share": 0.1, "how": {"short": 0, "vague": 0, "wrong": 0}}, {}])
def test_a_spec_that_makes_no_sense_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CorruptSpec.model_validate(bad)
