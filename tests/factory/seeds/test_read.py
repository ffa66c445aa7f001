from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from factory.errors import UserError
from factory.seeds.read import DEFAULT_COLUMNS, MAX_QUESTION_CHARS, read_seeds, seed_reasons

TWO = [{"question": "2 and 3?", "answer": "5"}, {"question": "4 and 4?", "answer": "8"}]
TWO_SEEDS = pl.DataFrame(
    {"row": [0, 1], "question": ["2 and 3?", "4 and 4?"], "answer": ["5", "8"]},
    schema={"row": pl.Int64, "question": pl.String, "answer": pl.String},
)


def lines(rows: Sequence[Mapping[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def read(
    folder: Path,
    name: str,
    data: bytes | None = None,
    columns: dict[str, str] = DEFAULT_COLUMNS,
    split: str | None = None,
) -> pl.DataFrame:
    if data is not None:
        (folder / name).write_bytes(data)
    return read_seeds(name, columns, base=folder, split=split)


def refusal(folder: Path, name: str, data: bytes | None = None, columns: dict[str, str] = DEFAULT_COLUMNS) -> str:
    with pytest.raises(UserError) as caught:
        read(folder, name, data, columns)
    return str(caught.value)


@pytest.mark.parametrize("name", ["seeds.jsonl", "seeds.ndjson", "seeds.json", "SEEDS.JSONL"])
def test_json_lines_are_read(tmp_path: Path, name: str) -> None:
    assert_frame_equal(read(tmp_path, name, lines(TWO)), TWO_SEEDS)


def test_csv_is_read(tmp_path: Path) -> None:
    assert_frame_equal(read(tmp_path, "seeds.csv", b"answer,question\n5,2 and 3?\n8,4 and 4?\n"), TWO_SEEDS)


def test_parquet_is_read(tmp_path: Path) -> None:
    pl.DataFrame({"question": ["2 and 3?", "4 and 4?"], "answer": [5, 8]}).write_parquet(tmp_path / "seeds.parquet")
    assert_frame_equal(read(tmp_path, "seeds.parquet"), TWO_SEEDS)


def test_columns_are_called_by_the_names_of_the_file(tmp_path: Path) -> None:
    data = lines(
        [{"prompt": "2 and 3?", "solution": "5", "key": 17}, {"prompt": "4 and 4?", "solution": "8", "key": 18}]
    )
    seeds = read(tmp_path, "s.jsonl", data, {"question": "prompt", "answer": "solution", "id": "key"})
    assert_frame_equal(seeds, TWO_SEEDS.with_columns(id=pl.Series(["17", "18"])))


def test_unmapped_columns_keep_our_names(tmp_path: Path) -> None:
    seeds = read(tmp_path, "s.jsonl", lines([{"prompt": "2?", "answer": "2"}]), {"question": "prompt"})
    assert seeds["answer"].to_list() == ["2"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (12345678901234567890123, "12345678901234567890123"),
        (4.0, "4.0"),
        (True, "true"),
        (None, None),
        ("", ""),
        (["5", 6], '["5", 6]'),
        ({"é": 1}, '{"é": 1}'),
    ],
)
def test_json_values_turn_to_text(tmp_path: Path, value: object, text: str | None) -> None:
    seeds = read(tmp_path, "s.jsonl", lines([{"question": "q", "answer": value}]))
    assert seeds["answer"].to_list() == [text]


@pytest.mark.parametrize(
    ("series", "texts"),
    [
        (pl.Series([5, None]), ["5", None]),
        (pl.Series([4.0, 2.5]), ["4.0", "2.5"]),
        (pl.Series([True]), ["true"]),
        (pl.Series(["a", "b"], dtype=pl.Categorical), ["a", "b"]),
        (pl.Series([[1, 2], None]), ["[1, 2]", None]),
        (pl.Series([{"x": "é"}]), ['{"x": "é"}']),
        (pl.Series([None], dtype=pl.Null), [None]),
    ],
)
def test_parquet_values_turn_to_text(tmp_path: Path, series: pl.Series, texts: list[str | None]) -> None:
    pl.DataFrame({"question": series, "answer": series}).write_parquet(tmp_path / "s.parquet")
    assert read(tmp_path, "s.parquet")["answer"].to_list() == texts


def test_empty_csv_cells_are_null(tmp_path: Path) -> None:
    assert read(tmp_path, "s.csv", b"question,answer\nq,\n")["answer"].to_list() == [None]


def test_key_that_a_line_lacks_is_null(tmp_path: Path) -> None:
    seeds = read(tmp_path, "s.jsonl", lines([{"question": "q"}, {"question": "r", "answer": "1"}]))
    assert seeds["answer"].to_list() == [None, "1"]


def test_blank_lines_and_windows_line_ends_are_no_rows(tmp_path: Path) -> None:
    data = lines(TWO).replace(b"\n", b"\r\n\r\n")
    assert_frame_equal(read(tmp_path, "s.jsonl", data), TWO_SEEDS)


@pytest.mark.parametrize(
    ("name", "data"), [("s.jsonl", lines(TWO)), ("s.csv", b"question,answer\n2 and 3?,5\n4 and 4?,8\n")]
)
def test_byte_order_mark_is_no_text(tmp_path: Path, name: str, data: bytes) -> None:
    assert_frame_equal(read(tmp_path, name, b"\xef\xbb\xbf" + data), TWO_SEEDS)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_any_text_survives_json_lines(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    file = tmp_path_factory.mktemp("seeds") / "s.jsonl"
    file.write_text(
        "\n".join(json.dumps({"question": q, "answer": a}, ensure_ascii=False) for q, a in rows),
        encoding="utf-8",
        newline="",
    )
    seeds = read_seeds(str(file), {}, base=Path())
    assert seeds.select("question", "answer").rows() == rows


def test_braces_and_code_in_a_seed_stay_text(tmp_path: Path) -> None:
    question = "{question} {0} {{x}} {% if %} ${HOME} __import__('os') \u2028 end"
    data = json.dumps({"question": question, "answer": "1"}, ensure_ascii=False).encode()
    assert read(tmp_path, "s.jsonl", data)["question"].to_list() == [question]


def test_path_is_relative_to_the_job_and_may_be_absolute(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    file = tmp_path / "below" / "s.jsonl"
    file.write_bytes(lines(TWO))
    assert_frame_equal(read(tmp_path, "below/s.jsonl"), read_seeds(str(file), {}, base=Path("/nowhere")))


def test_characters_of_a_pattern_in_the_name_mean_themselves(tmp_path: Path) -> None:
    pl.DataFrame({"question": ["right"], "answer": ["1"]}).write_parquet(tmp_path / "s[1]*.parquet")
    pl.DataFrame({"question": ["wrong"], "answer": ["1"]}).write_parquet(tmp_path / "s1.parquet")
    assert read(tmp_path, "s[1]*.parquet")["question"].to_list() == ["right"]


def test_missing_file_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "problems.jsonl").touch()
    message = refusal(tmp_path, "problem.jsonl")
    assert "there are no seeds 'problem.jsonl'" in message
    assert f"{tmp_path / 'problem.jsonl'} is no file (did you mean 'problems.jsonl'?)" in message


def test_missing_folder_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path, "nowhere/s.jsonl").endswith(f"{tmp_path / 'nowhere/s.jsonl'} is no file")


def test_path_that_climbs_is_never_taken_for_a_dataset(tmp_path: Path) -> None:
    assert "is no file" in refusal(tmp_path, "../nothing-here-at-all")


def test_folder_is_refused_and_its_files_are_listed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").touch()
    message = refusal(tmp_path, "data")
    assert "'data' are a folder" in message
    assert "(one of: a.csv)" in message


def test_empty_path_is_a_folder(tmp_path: Path) -> None:
    assert "are a folder" in refusal(tmp_path, "")


def test_unknown_extension_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    message = refusal(tmp_path, "s.xlsx", b"PK")
    assert "end in '.xlsx'; those that can be read: .parquet, .jsonl, .ndjson, .csv, .json" in message


def test_split_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="are one file, which has no split 'test'; leave `split` out"):
        read(tmp_path, "s.jsonl", lines(TWO), split="test")


@pytest.mark.parametrize(
    ("name", "data"),
    [("s.jsonl", b""), ("s.jsonl", b"\n \n\n"), ("s.csv", b""), ("s.csv", b"\n"), ("s.csv", b"question,answer\n")],
)
def test_source_without_rows_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    assert f"{name} has no rows" in refusal(tmp_path, name, data)


def test_parquet_without_rows_is_refused(tmp_path: Path) -> None:
    pl.DataFrame(schema={"question": pl.String, "answer": pl.String}).write_parquet(tmp_path / "s.parquet")
    assert "s.parquet has no rows" in refusal(tmp_path, "s.parquet")


@pytest.mark.parametrize("name", ["s.jsonl", "s.csv"])
def test_text_that_is_not_utf8_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    message = refusal(tmp_path, name, b"question,answer\ncaf\xe9,1\n")
    assert message == f"{name} is not UTF-8: byte 0xe9 at offset 19 (line 2); save the file as UTF-8"


def test_malformed_json_is_refused_with_line_and_column(tmp_path: Path) -> None:
    data = lines(TWO) + b'\n{"question": "q" "answer": 1}\n'
    message = refusal(tmp_path, "s.jsonl", data)
    assert message == "s.jsonl, line 4, column 18: not JSON (Expecting ',' delimiter); each line is one JSON object"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("[1]", "an array"),
        ('"q"', "a string"),
        ("1", "a number"),
        ("1.5", "a number"),
        ("true", "true or false"),
        ("null", "null"),
    ],
)
def test_line_that_is_no_object_is_refused(tmp_path: Path, line: str, kind: str) -> None:
    assert f"line 3: {kind}, not an object" in refusal(tmp_path, "s.jsonl", lines(TWO) + line.encode())


def test_json_array_is_refused_with_what_to_do(tmp_path: Path) -> None:
    message = refusal(tmp_path, "s.json", json.dumps(TWO, indent=1).encode())
    assert "s.json is one JSON array; write one object per line" in message


def test_half_a_surrogate_pair_is_refused_with_its_line(tmp_path: Path) -> None:
    data = lines(TWO) + rb'{"question": "\ud83d", "answer": 1}'
    assert "s.jsonl, line 3: an escape names half of a surrogate pair" in refusal(tmp_path, "s.jsonl", data)


@pytest.mark.parametrize("line", [b'{"question": ' + b"[" * 100_000, b'{"question": ' + b"9" * 5000 + b"}"])
def test_json_that_no_reader_takes_is_refused_with_its_line(tmp_path: Path, line: bytes) -> None:
    assert "s.jsonl, line 3: JSON that cannot be read" in refusal(tmp_path, "s.jsonl", lines(TWO) + line)


@pytest.mark.parametrize("name", ["s.jsonl", "s.csv", "s.parquet"])
def test_missing_column_is_refused_with_those_there_are_and_how_to_map(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"Question": ["q"], "solution": ["1"]})
    if name == "s.jsonl":
        frame.write_ndjson(tmp_path / name)
    elif name == "s.csv":
        frame.write_csv(tmp_path / name)
    else:
        frame.write_parquet(tmp_path / name)
    message = refusal(tmp_path, name)
    assert message.startswith(f"{name} has no column 'question' (did you mean 'Question'?)")
    assert "its columns: Question, solution;" in message
    assert "`columns: {question: YOUR_COLUMN}`" in message


def test_missing_column_of_rows_without_any_is_refused(tmp_path: Path) -> None:
    assert "no column 'question'; its columns: none;" in refusal(tmp_path, "s.jsonl", b"{}\n")


def test_many_columns_are_listed_in_part(tmp_path: Path) -> None:
    message = refusal(tmp_path, "s.jsonl", lines([{f"c{i}": i for i in range(100)}]))
    assert "c29, ...;" in message


def test_unknown_name_of_ours_is_refused_with_the_nearest(tmp_path: Path) -> None:
    message = refusal(tmp_path, "s.jsonl", lines(TWO), {"questoin": "question"})
    assert "seeds have no 'questoin' to map a column to (did you mean 'question'?)" in message


def test_duplicate_ids_are_refused_with_both_rows(tmp_path: Path) -> None:
    data = lines([{"question": "q", "answer": "1", "id": key} for key in ("c", "a", "b", "c2", "b", "b")])
    message = refusal(tmp_path, "s.jsonl", data, {"id": "id"})
    assert "gives the id 'b' to two rows, 2 and 4 (counted from 0)" in message


def test_row_without_id_is_refused_when_ids_are_mapped(tmp_path: Path) -> None:
    data = lines([{"question": "q", "answer": "1", "id": key} for key in ("a", None, "b")])
    assert "gives row 1 (counted from 0) no id" in refusal(tmp_path, "s.jsonl", data, {"id": "id"})


@pytest.mark.parametrize("data", [b"question,answer\nq,1,2,3\n", b'question,answer\n"q,1\n'])
def test_csv_that_is_not_csv_is_refused(tmp_path: Path, data: bytes) -> None:
    message = refusal(tmp_path, "s.csv", data)
    assert message.startswith("s.csv cannot be read as CSV: ")
    assert "\n" not in message


@pytest.mark.parametrize("data", [b"", b"PAR1", b"question,answer\nq,1\n", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_parquet_that_is_not_parquet_is_refused(tmp_path: Path, data: bytes) -> None:
    assert refusal(tmp_path, "s.parquet", data).startswith("s.parquet cannot be read as Parquet: ")


def test_binary_parquet_column_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"question": [b"\xff\xfe"], "answer": ["1"]}).write_parquet(tmp_path / "s.parquet")
    assert "s.parquet cannot be read as Parquet" in refusal(tmp_path, "s.parquet")


def test_every_refusal_is_one_line(tmp_path: Path) -> None:
    messages = [
        refusal(tmp_path, "none.jsonl"),
        refusal(tmp_path, "a.jsonl", b"{"),
        refusal(tmp_path, "b.parquet", b"?"),
        refusal(tmp_path, "c.csv", b"q\n1\n"),
    ]
    assert not [message for message in messages if re.search(r"\n|Traceback", message)]


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("What is 3 and 4?", "7", None),
        (None, "7", "question_present"),
        (" \n", "7", "question_present"),
        (None, None, "question_present"),
        ("What is 3 and 4?", None, "answer_numeric"),
        ("What is 3 and 4?", "seven", "answer_numeric"),
        ("What is three and four?", "seven", "answer_numeric"),
        ("What is three and four?", "7", "key_number_present"),
        ("3 " + "x" * (MAX_QUESTION_CHARS - 2), "7", None),
        ("3 " + "x" * (MAX_QUESTION_CHARS - 1), "7", "question_not_too_long"),
    ],
)
def test_first_rule_that_a_seed_does_not_keep_is_named(
    question: str | None, answer: str | None, reason: str | None
) -> None:
    assert seed_reasons(question, answer) == reason
