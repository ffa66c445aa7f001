from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from benchmarks.decontamination_texts import unrelated, word_problem
from factory.cli.decontaminate import decontaminate
from factory.curate import sources
from factory.errors import UserError

PROBLEMS = [word_problem(n) for n in range(20)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    exam = [{"question": text, "answer": str(n)} for n, text in enumerate(PROBLEMS)]
    rows = [{"prompt": unrelated(n), "response": "Fine."} for n in range(10)] + [
        {"prompt": PROBLEMS[3], "response": ""}
    ]
    (tmp_path / "exam.jsonl").write_text("\n".join(map(json.dumps, exam)))
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def run(folder: Path, *arguments: str, rows: str = "rows.jsonl") -> Result:
    told = ["--against", f"exam={folder / 'exam.jsonl'}", "--out", str(folder / "outputs")]
    return CliRunner().invoke(decontaminate, [str(folder / rows), *told, *arguments])


def found(folder: Path, *arguments: str, rows: str = "rows.jsonl") -> dict[str, Any]:
    done = run(folder, "--json", *arguments, rows=rows)
    assert done.exit_code == 0, done.exception
    return dict(json.loads(done.stdout))


def test_rows_that_give_away_a_benchmark_are_shown_with_their_place(folder: Path) -> None:
    done = run(folder)
    assert done.exit_code == 0
    assert "1 of 11 rows give away a benchmark" in done.stdout
    assert "row 10: ngram 1.00 of exam#3, instruction, characters 0 to" in done.stdout


def test_json_has_every_hit_and_what_was_looked_for(folder: Path) -> None:
    told = found(folder)
    assert (told["rows"], told["unreadable"], told["rejected"]) == (11, 0, 1)
    assert told["benchmarks"][0]["hits"]["ngram"] == 1
    assert (told["benchmarks"][0]["texts"], told["benchmarks"][0]["too_short"]) == (40, 20)
    assert {hit["place"] for hit in told["hits"]} == {"3"}


def test_conversations_are_looked_at_on_both_sides(folder: Path) -> None:
    turns = [("Name a river.", PROBLEMS[5]), (PROBLEMS[6], "Seven.")]
    rows = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}
        for asked, said in turns
    ]
    (folder / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)))
    hits = found(folder, rows="chat.jsonl")["hits"]
    assert {(hit["row"], hit["field"], hit["place"]) for hit in hits} == {(0, "answer", "5"), (1, "instruction", "6")}


def test_a_bad_line_is_counted_and_the_other_rows_are_looked_at(folder: Path) -> None:
    rows = (folder / "rows.jsonl").read_text().splitlines()
    (folder / "rows.jsonl").write_text("\n".join([*rows[:4], "{", *rows[4:]]))
    told = found(folder)
    assert (told["rows"], told["unreadable"], {hit["row"] for hit in told["hits"]}) == (11, 1, {11})
    assert "rows that could not be read: 1; the first: rows.jsonl, line 5: not JSON" in run(folder).stdout


def test_a_shard_without_a_readable_row_has_no_hits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SHARD_ROWS", 2)
    rows = (folder / "rows.jsonl").read_text().splitlines()
    (folder / "rows.jsonl").write_text("\n".join([*rows[:2], "{", "{", *rows[2:]]))
    assert {hit["row"] for hit in found(folder)["hits"]} == {12}


@pytest.mark.parametrize("name", ["folder", "packed.jsonl.gz", "array.json"])
def test_whatever_can_be_curated_is_read(folder: Path, name: str) -> None:
    data = (folder / "rows.jsonl").read_bytes()
    (folder / "folder").mkdir()
    (folder / "folder" / "a.jsonl").write_bytes(data)
    (folder / "packed.jsonl.gz").write_bytes(gzip.compress(data))
    (folder / "array.json").write_bytes(b"[" + data.replace(b"\n", b",\n") + b"]")
    assert {hit["row"] for hit in found(folder, rows=name)["hits"]} == {10}


def test_a_release_is_read_by_its_name(folder: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    told = ["tiny@1.0.0", "--against", "exam=exam.jsonl", "--out", str(built), "--json"]
    assert json.loads(CliRunner().invoke(decontaminate, told).stdout)["rows"] > 0


def test_it_is_said_which_columns_were_looked_at(folder: Path) -> None:
    assert "instruction from 'prompt', answer from 'response'" in run(folder).stderr
    assert "answer from 'prompt'" in run(folder, "--answer", "prompt").stderr


def test_the_self_test_tells_what_is_caught_of_each_kind(folder: Path) -> None:
    told = {one["kind"]: one for one in json.loads(run(folder, "--json", "--self-test").stdout)["self_test"]}
    assert told["verbatim"]["rejected"] == told["verbatim"]["planted"] == 20
    assert "reordered" in run(folder, "--self-test").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--instruction", "promt"], "has no column 'promt' (did you mean 'prompt'?)"),
        (["--columns", "qestion"], "did you mean 'question'"),
        (["--against", "exam"], "--against wants NAME=FILE"),
        (["--against", "My Exam=x.jsonl"], "a-z, 0-9 and hyphens only; found 'My Exam'"),
        (["--against", "other=missing.jsonl"], "benchmark 'other': there are no benchmark rows 'missing.jsonl'"),
    ],
)
def test_mistakes_are_told_in_a_sentence(folder: Path, arguments: list[str], message: str) -> None:
    error = run(folder, *arguments).exception
    assert isinstance(error, UserError)
    assert message in str(error)
