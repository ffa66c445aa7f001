from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from factory.curate.columns import IDS_AT_ONCE, RowColumns, choose_columns, made_ids, rows_from, rows_of
from factory.curate.turns import answer_text, prompt_text, truth_text, turns_of, with_answer
from factory.errors import UserError
from schemas.curation import ROWS

SHAPES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "data/curate/shapes.yaml").read_text())
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "x"]), inner),
    max_leaves=8,
)


def taken_of(row: dict[str, Any]) -> dict[str, Any]:
    columns = {name: [value] for name, value in row.items()}
    return rows_from(choose_columns("a file", row), columns, "here").row(0, named=True)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "+".join(shape["row"]))
def test_instruction_and_answer_are_found_in_the_shapes_that_datasets_have(shape: dict[str, Any]) -> None:
    row = taken_of(shape["row"])
    assert (row["instruction"], row["answer"]) == (shape["instruction"], shape["answer"])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "+".join(shape["row"]))
def test_frame_gives_what_a_file_gives(shape: dict[str, Any]) -> None:
    row = rows_of(pl.DataFrame([shape["row"]])).row(0, named=True)
    assert (row["instruction"], row["answer"]) == (shape["instruction"], shape["answer"])


def test_rows_of_a_frame_keep_the_contract() -> None:
    ROWS.check(rows_of(pl.DataFrame({"question": ["a", "b"], "answer": [1, None]})))


def test_ids_of_a_frame_are_its_own_when_they_name_each_row_once() -> None:
    assert rows_of(pl.DataFrame({"id": [7, 8], "text": ["a", "b"]}))["id"].to_list() == ["7", "8"]


@pytest.mark.parametrize("ids", [[7, 7], [7, None]])
def test_ids_that_do_not_name_each_row_once_are_made_anew(ids: list[int | None]) -> None:
    rows = rows_of(pl.DataFrame({"id": ids, "text": ["a", "b"]}))
    assert rows["id"].to_list() == made_ids("frame", 0, 2).to_list()


def test_told_columns_go_before_the_usual_ones() -> None:
    frame = pl.DataFrame({"messages": ["no"], "q": ["Why?"], "a": ["So."], "answer": ["other"]})
    row = rows_of(frame, RowColumns(instruction="q", answer="a")).row(0, named=True)
    assert (row["instruction"], row["answer"]) == ("Why?", "So.")


def test_missing_column_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no column 'anwser' \(did you mean 'answer'\?\).*columns: \{answer:"):
        choose_columns("f.csv", ["question", "answer"], RowColumns(answer="anwser"))


def test_unknown_columns_are_listed_with_what_to_write() -> None:
    with pytest.raises(UserError, match=r"its columns: foo, bar; say which: `columns: \{instruction:"):
        choose_columns("f.csv", ["foo", "bar"])


def test_numbers_are_taken_and_what_is_none_is_unknown() -> None:
    frame = pl.DataFrame({"text": list("abcdef"), "q": ["0.5", "x", None, "nan", "inf", " 2 "]})
    assert rows_of(frame, RowColumns(quality="q"))["quality"].to_list() == [0.5, None, None, None, None, 2.0]


def test_counts_are_whole_numbers_or_unknown() -> None:
    frame = pl.DataFrame({"text": list("abcd"), "n": [3.0, 2.5, None, 1e300]})
    assert rows_of(frame, RowColumns(weak_right="n"))["weak_right"].to_list() == [3, None, None, None]


def test_verdicts_count_as_one_or_none() -> None:
    frame = pl.DataFrame({"text": ["a", "b"], "right": [True, False]})
    rows = rows_of(frame, RowColumns(weak_right="right", weak_tries=1))
    assert rows.select("weak_right", "weak_tries").rows() == [(1, 1), (0, 1)]


def test_shares_of_right_answers_become_counts() -> None:
    frame = pl.DataFrame({"text": list("abc"), "rate": [0.375, 1.0, None]})
    rows = rows_of(frame, RowColumns(strong_rate="rate", strong_tries=8))
    assert rows.select("strong_right", "strong_tries").rows() == [(3, 8), (8, 8), (None, 8)]


def test_share_without_tries_is_refused() -> None:
    with pytest.raises(ValueError, match="weak_rate is a share of weak_tries"):
        RowColumns(weak_rate="rate")


def test_column_of_numbers_that_holds_none_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="column 'q' holds no number for quality; the first is 'good'"):
        rows_of(pl.DataFrame({"text": ["a"], "q": ["good"]}), RowColumns(quality="q"))


def test_told_columns_can_be_asked_for() -> None:
    columns = RowColumns(quality="q")
    assert "quality" in columns
    assert "id" not in columns


def test_made_ids_depend_on_source_and_place_alone() -> None:
    whole = made_ids("s", 0, IDS_AT_ONCE + 5)
    for first, n in ((IDS_AT_ONCE, 5), (7, 3), (IDS_AT_ONCE - 2, 4), (3, 0)):
        assert whole[first : first + n].to_list() == made_ids("s", first, n).to_list()
    assert whole.n_unique() == whole.len()
    assert set(whole.str.len_chars()) == {20}
    assert not set(whole[:100]) & set(made_ids("t", 0, 100))


@given(JSONS)
def test_any_value_has_a_text(value: object) -> None:
    for say in (prompt_text, answer_text, truth_text):
        assert isinstance(say(value), str)


@given(JSONS, st.text())
def test_another_answer_can_be_put_into_any_cell(value: object, answer: str) -> None:
    retold = with_answer(value, answer)
    assert type(retold) is type(value) or retold == answer


@pytest.mark.parametrize("shape", [s for s in SHAPES if s["answer"]], ids=lambda shape: "+".join(shape["row"]))
def test_another_answer_is_found_where_the_first_one_was(shape: dict[str, Any]) -> None:
    column = choose_columns("a file", shape["row"]).answered_in
    assert column is not None
    retold = {**shape["row"], column: with_answer(shape["row"][column], "another")}
    row = taken_of(retold)
    assert (row["instruction"], row["answer"]) == (shape["instruction"], "another")


def test_turns_of_what_is_no_conversation_are_none() -> None:
    assert [turns_of(value) for value in ("text", 3, [1], {"role": "user"}, "[not json")] == [None] * 5


def test_a_column_that_may_be_the_answer_and_is_not_known_is_told() -> None:
    told = choose_columns("a.csv", ["prompt", "reply"]).describe()
    assert "NO ANSWER" in told
    assert "not used: reply" in told
    assert "NO ANSWER" not in choose_columns("a.csv", ["prompt", "response", "reply"]).describe()
