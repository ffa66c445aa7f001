from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks.decontamination_texts import unrelated, word_problem
from factory.cli.decontaminate import decontaminate
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


def run(folder: Path, *arguments: str, against: str = "exam.jsonl") -> Result:
    told = ["--against", f"exam={folder / against}"]
    return CliRunner().invoke(decontaminate, [str(folder / "rows.jsonl"), *told, *arguments])


def test_rows_that_give_away_a_benchmark_are_shown_with_their_place(folder: Path) -> None:
    done = run(folder)
    assert done.exit_code == 0
    assert "1 of 11 rows give away a benchmark" in done.stdout
    assert "row 10: ngram 1.00 of exam#3, instruction, characters 0 to" in done.stdout


def test_json_has_every_hit_and_what_was_looked_for(folder: Path) -> None:
    found = json.loads(run(folder, "--json").stdout)
    assert (found["rows"], found["rejected"]) == (11, 1)
    assert found["benchmarks"][0]["hits"]["ngram"] == 1
    assert (found["benchmarks"][0]["texts"], found["benchmarks"][0]["too_short"]) == (40, 20)
    assert {hit["place"] for hit in found["hits"]} == {"3"}


def test_the_self_test_tells_what_is_caught_of_each_kind(folder: Path) -> None:
    told = {one["kind"]: one for one in json.loads(run(folder, "--json", "--self-test").stdout)["self_test"]}
    assert told["verbatim"]["rejected"] == told["verbatim"]["planted"] == 20
    assert "reordered" in run(folder, "--self-test").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--instruction", "promt"], "has none of the columns promt"),
        (["--columns", "qestion"], "did you mean 'question'"),
        (["--against", "exam"], "--against wants NAME=FILE"),
        (["--against", "My Exam=x.jsonl"], "a-z, 0-9 and hyphens only; found 'My Exam'"),
        (["--against", "other=missing.jsonl"], "benchmark 'other': there are no seeds 'missing.jsonl'"),
    ],
)
def test_mistakes_are_told_in_a_sentence(folder: Path, arguments: list[str], message: str) -> None:
    error = run(folder, *arguments).exception
    assert isinstance(error, UserError)
    assert message in str(error)
