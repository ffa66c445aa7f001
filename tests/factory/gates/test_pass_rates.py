from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from factory.errors import UserError
from factory.gates.pass_rates import pass_rates, read_stored, rescore, with_pass_rates
from schemas.curation import ROWS

VERIFIERS = {
    "a": {"kind": "number", "gold": "4", "args": "{}"},
    "b": {"kind": "number", "gold": "no number", "args": "{}"},
}


def test_several_answers_to_a_row_are_counted() -> None:
    found = pass_rates([("a", "4"), ("a", "5"), ("a", "4.0")], VERIFIERS)
    assert found.rows() == [("a", 2, 3, 0)]


def test_an_answer_that_cannot_be_decided_is_no_try() -> None:
    assert pass_rates([("b", "4"), ("b", "5")], VERIFIERS).rows() == [("b", 0, 0, 2)]


def test_a_mended_verifier_recounts_stored_answers_without_a_model(tmp_path: Path) -> None:
    stored = tmp_path / "answers.jsonl"
    stored.write_text('{"id": "b", "answer": "4"}\n\n{"id": "b", "answer": "5"}\n', encoding="utf-8")
    assert rescore(stored, VERIFIERS).rows() == [("b", 0, 0, 2)]
    assert rescore(stored, VERIFIERS | {"b": VERIFIERS["a"]}).rows() == [("b", 1, 2, 0)]


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"id": 1, "answer": "x"}', b'{"id": "a"}', b"\xff"])
def test_a_line_that_is_no_answer_is_named(line: bytes) -> None:
    with pytest.raises(UserError, match="stored, line 2"):
        list(read_stored([b'{"id": "a", "answer": "x"}', line], "stored"))


def test_an_answer_to_no_row_is_named() -> None:
    with pytest.raises(UserError, match="no row 'z'"):
        pass_rates([("z", "4")], VERIFIERS)


def test_a_file_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        rescore(tmp_path / "none.jsonl", VERIFIERS)


def test_rows_without_answers_stay_unknown() -> None:
    blank = {name: [None] * 2 for name in ROWS.columns}
    frame = pl.DataFrame(blank, schema=pl.Schema(ROWS.columns)).with_columns(id=pl.Series(["a", "c"]))
    found = with_pass_rates(frame, "weak", pass_rates([("a", "4")], VERIFIERS))
    ROWS.check(found)
    assert found.select("id", "weak_right", "weak_tries").rows() == [("a", 1, 1), ("c", None, None)]
