"""Rows and documents for extraction: what is no text leaves with a reason before anything is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory.errors import UserError
from factory.skills.language.sources import (
    MAX_ANSWER,
    MAX_DOCUMENT,
    MAX_ROW,
    read_documents,
    read_rows,
)

TEXT = {"text": "instruction"}


def write_rows(path: Path, *texts: Any, **more: Any) -> str:
    lines = [json.dumps({"instruction": text, **more}) for text in texts]
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "text_present"),
        (" \n\t ", "text_present"),
        (None, "text_present"),
        ("PK\u0003\u0004 binary", "text_not_binary"),
        ("with a \u0000 in it", "text_not_binary"),
        ("12 + 7 = ?", "text_has_words"),
        ("x" * (MAX_ROW + 1), "text_not_too_long"),
    ],
)
def test_a_row_that_is_no_text_leaves_with_its_reason(tmp_path: Path, text: Any, code: str) -> None:
    found = read_rows(write_rows(tmp_path / "a.jsonl", "A good request", text), TEXT, 10)
    assert [source.text for source in found.sources] == ["A good request"]
    assert [(r.step, r.subject, r.code) for r in found.rejects] == [("read", "a.jsonl:1", code)]


def test_rows_in_any_language_are_taken(tmp_path: Path) -> None:
    texts = ["Erkläre mir die Gezeiten", "潮の満ち引きを説明して", "Объясни приливы", "اشرح المد والجزر"]
    found = read_rows(write_rows(tmp_path / "a.jsonl", *texts), TEXT, 10)
    assert [source.text for source in found.sources] == texts


def test_a_file_of_nothing_usable_says_why(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no row to extract skills from .2 left out: text_not_binary, text_present"):
        read_rows(write_rows(tmp_path / "a.jsonl", "", "\u0001"), TEXT, 10)


def test_a_missing_column_names_the_nearest_and_the_option(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", "A request")
    with pytest.raises(UserError, match=r"no column 'instructions' \(did you mean 'instruction'\?\).*--column NAME"):
        read_rows(path, {"text": "instructions"}, 10)


@pytest.mark.parametrize(
    ("name", "match"),
    [("mine.json", "is no file"), ("mine.xlsx", "end in '.xlsx'"), (".", "are a folder")],
)
def test_what_cannot_be_read_as_rows_says_so(tmp_path: Path, name: str, match: str) -> None:
    (tmp_path / "mine.xlsx").write_bytes(b"PK")
    with pytest.raises(UserError, match=match):
        read_rows(str(tmp_path / name), TEXT, 10)


def test_a_misspelt_file_names_the_nearest(tmp_path: Path) -> None:
    write_rows(tmp_path / "requests.jsonl", "A request")
    with pytest.raises(UserError, match="did you mean 'requests.jsonl'"):
        read_rows(str(tmp_path / "request.jsonl"), TEXT, 10)


def test_a_binary_file_with_a_tables_suffix_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"instruction\n\x00\x01\x02")
    with pytest.raises(UserError, match="binary"):
        read_rows(str(tmp_path / "a.csv"), TEXT, 10)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_are_read_with_their_answers(tmp_path: Path, suffix: str) -> None:
    frame = pl.DataFrame({"q": ["Why is the sky blue?"], "a": ["y" * (MAX_ANSWER + 9)]})
    path = tmp_path / f"t.{suffix}"
    (frame.write_csv if suffix == "csv" else frame.write_parquet)(path)
    (source,) = read_rows(str(path), {"text": "q", "answer": "a"}, 10).sources
    assert (source.id, source.text, len(source.answer)) == (f"t.{suffix}:0", "Why is the sky blue?", MAX_ANSWER)


def test_of_too_many_rows_the_same_are_drawn_each_time_in_their_order(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", *(f"Request number {i}" for i in range(50)))
    first, second = (read_rows(path, TEXT, 10).sources for _ in range(2))
    places = [int(source.id.partition(":")[2]) for source in first]
    assert first == second
    assert len(first) == 10
    assert places == sorted(places)
    assert places != list(range(10))


def test_a_row_that_was_there_before_leaves_with_the_name_of_the_first(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", "Why is it so?", "Another", " Why  is it so?\n")
    found = read_rows(path, TEXT, 10)
    assert [source.id for source in found.sources] == ["a.jsonl:0", "a.jsonl:1"]
    assert [(r.subject, r.code, r.detail) for r in found.rejects] == [
        ("a.jsonl:2", "row_is_new", "the same as a.jsonl:0")
    ]


def test_one_request_with_two_answers_is_two_rows(tmp_path: Path) -> None:
    lines = [json.dumps({"instruction": "Why?", "output": answer}) for answer in ("So.", "Hence.", "So.")]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    found = read_rows(str(tmp_path / "a.jsonl"), {**TEXT, "answer": "output"}, 10)
    assert [source.answer for source in found.sources] == ["So.", "Hence."]


def test_duplicates_are_gone_before_rows_are_drawn(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", *["The same request"] * 30, "Another request")
    assert len(read_rows(path, TEXT, 2).sources) == 2


def test_a_folder_gives_its_texts_and_leaves_the_rest(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.md").write_text("# Notice\n\nThe office is closed.", encoding="utf-8")
    (tmp_path / "sub" / "a.txt").write_text("The tenant pays.", encoding="utf-8")
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe\x00b")
    (tmp_path / "d.txt").write_bytes(b"abc\x00def")
    (tmp_path / "e.txt").write_text("", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    found = read_documents(str(tmp_path), {"text": "text"}, 10)
    assert [source.id for source in found.sources] == ["b.md", "sub/a.txt"]
    assert [(r.subject, r.code) for r in found.rejects] == [
        ("c.txt", "text_not_binary"),
        ("d.txt", "text_not_binary"),
        ("e.txt", "text_present"),
    ]


def test_a_folder_without_texts_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no .txt or .md file"):
        read_documents(str(tmp_path), {"text": "text"}, 10)


def test_a_column_of_a_table_gives_documents(tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl"
    path.write_text('{"body": "One document."}\n{"body": null}\n', encoding="utf-8")
    found = read_documents(str(path), {"text": "body"}, 10)
    assert [(source.id, source.text) for source in found.sources] == [("docs.jsonl:0", "One document.")]
    assert [r.code for r in found.rejects] == ["text_present"]


def test_an_enormous_document_is_read_up_to_a_bound_and_that_is_noted(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(
        "".join(f"A sentence of length {i:04}. " for i in range(10_000)), encoding="utf-8"
    )
    found = read_documents(str(tmp_path / "long.txt"), {"text": "text"}, 1_000)
    assert [(r.subject, r.code) for r in found.rejects] == [("long.txt#rest", "document_not_too_long")]
    assert MAX_DOCUMENT * 0.95 < sum(len(source.text) for source in found.sources) <= MAX_DOCUMENT
    assert found.sources[0].id == "long.txt#1"


def test_control_characters_that_slipped_into_a_text_are_taken_out(tmp_path: Path) -> None:
    (tmp_path / "scan.txt").write_text("Page one." * 40 + "\u0007" + "\fPage two.", encoding="utf-8")
    (source,) = read_documents(str(tmp_path / "scan.txt"), {"text": "text"}, 10).sources
    assert "\u0007" not in source.text
    assert source.text.endswith("Page two.")
