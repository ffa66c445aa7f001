from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result

from factory.cli.score import read_answers, read_problems, tally
from factory.errors import UserError

Factory = Callable[..., Result]


@pytest.fixture(scope="module")
def problems(built: Path) -> pl.DataFrame:
    return read_problems(built / "releases" / "tiny" / "1.0.0")


def golds(problems: pl.DataFrame) -> dict[str, str]:
    return {row["id"]: row["verifier"]["gold"] for row in problems.iter_rows(named=True)}


def told(factory: Factory, built: Path, answers: dict[str, str]) -> dict[str, Any]:
    lines = "\n".join(json.dumps({"id": id_, "answer": answer}) for id_, answer in answers.items())
    done = factory("score", "tiny", "-", "--json", out=built, text=lines)
    assert done.exit_code == 0
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_problems_are_those_of_train_and_heldout(problems: pl.DataFrame) -> None:
    assert problems.height == 60
    assert set(problems["split"]) == {"train", "heldout"}


def test_the_gold_answers_score_1_everywhere(factory: Factory, built: Path, problems: pl.DataFrame) -> None:
    found = told(factory, built, golds(problems))
    assert (found["accuracy"], found["partial_credit"], found["answered"], found["missing"]) == (1, 1, 60, 0)
    for group in ("by_split", "by_recipe", "by_level", "by_skill"):
        assert all(sums["accuracy"] == 1 for sums in found[group].values())


def test_groups_add_up_to_the_whole(factory: Factory, built: Path, problems: pl.DataFrame) -> None:
    answers = {id_: gold if i % 3 else "wrong" for i, (id_, gold) in enumerate(golds(problems).items()) if i % 5}
    found = told(factory, built, answers)
    for group in ("by_split", "by_recipe", "by_level"):
        for key in ("rows", "answered", "missing", "right"):
            assert sum(sums[key] for sums in found[group].values()) == found[key]
    assert found["accuracy"] == pytest.approx(found["right"] / 60, abs=1e-6)


def test_a_missing_answer_counts_as_wrong(factory: Factory, built: Path, problems: pl.DataFrame) -> None:
    id_, gold = next(iter(golds(problems).items()))
    found = told(factory, built, {id_: gold})
    same_split = problems.filter(pl.col("split") == problems.filter(pl.col("id") == id_)["split"][0]).height
    assert (found["answered"], found["missing"], found["right"]) == (1, same_split - 1, 1)
    assert found["accuracy"] == pytest.approx(1 / same_split, abs=1e-6)


def test_a_split_that_was_not_asked_is_not_counted(factory: Factory, built: Path, problems: pl.DataFrame) -> None:
    asked = problems.filter(pl.col("split") == "heldout")
    answers = {id_: gold for id_, gold in golds(problems).items() if id_ in set(asked["id"])}
    found = told(factory, built, answers)
    assert (found["rows"], found["accuracy"]) == (asked.height, 1.0)


def test_a_person_sees_the_rates_by_recipe(factory: Factory, built: Path, problems: pl.DataFrame) -> None:
    lines = [json.dumps({"id": id_, "answer": gold}) for id_, gold in golds(problems).items()]
    shown = factory("score", "tiny", "-", out=built, text="\n".join(lines[:30])).stdout
    rates = {tuple(line.split()[:2]): line.split()[2] for line in shown.splitlines() if line.startswith("recipe")}
    assert set(rates) == {("recipe", "chains"), ("recipe", "nested"), ("recipe", "countdown")}
    assert "rows without an answer count as 0" in shown


def constrained(*skills: str) -> dict[str, Any]:
    """A row whose reply must be short, lowercase and free of digits."""
    checks: list[dict[str, Any]] = [{"check": "max_words", "n": 3}, {"check": "lowercase"}, {"check": "no_digits"}]
    args = json.dumps({"checks": [{**check, "skill": skill} for check, skill in zip(checks, skills, strict=True)]})
    verifier = {"kind": "constraints", "gold": "a b", "args": args}
    return {"id": "x", "split": "train", "recipe": "r", "level": 1, "skill": list(skills), "verifier": verifier}


def test_partial_credit_is_the_share_of_checks_and_by_skill_its_own() -> None:
    sums = tally(pl.DataFrame([constrained("brief", "lower", "plain")]), {"x": "a b 7 C"})
    assert sums[("all", "")].as_json()["accuracy"] == 0
    assert sums[("all", "")].as_json()["partial_credit"] == 0
    sums = tally(pl.DataFrame([constrained("brief", "lower", "plain")]), {"x": "a b 7"})
    assert sums[("all", "")].as_json()["partial_credit"] == pytest.approx(2 / 3, abs=1e-6)
    assert [sums[("skill", s)].as_json()["partial_credit"] for s in ("brief", "lower", "plain")] == [1, 1, 0]


def test_an_answer_that_cannot_be_judged_does_not_count() -> None:
    row = constrained("brief", "lower", "plain")
    row["verifier"]["args"] = "not json"
    told = tally(pl.DataFrame([row]), {"x": "a b"})[("all", "")].as_json()
    assert (told["undecided"], told["accuracy"], told["partial_credit"]) == (1, None, None)


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (b'{"id": "a", "answer": "1"}\n{broken\n', "answers, line 2: this is not JSON"),
        (b'{"id": "a", "answer": "1"}\n\n{"id": "a", "answer": "2"}\n', "answers, line 3: the id 'a' has an answer"),
        (b'{"id": "b", "answer": "1"}\n', "answers, line 1: the release has no row 'b'"),
        (b'{"id": "a"}\n', "answers, line 1: wanted"),
        (b'{"id": "a", "answer": 7}\n', "answers, line 1: wanted"),
        (b'["a", "1"]\n', "answers, line 1: wanted"),
        (b'{"id": "a", "answer": "\xff"}\n', "answers, line 1: this is not JSON"),
        (b"[" * 100_000, "answers, line 1: this is not JSON"),
    ],
)
def test_a_bad_line_is_named(lines: bytes, wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        read_answers(lines.splitlines(), "answers", frozenset({"a"}))


def test_a_bad_answers_file_leaves_with_2(factory: Factory, built: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text("nonsense\n", encoding="utf-8")
    done = factory("score", "tiny", "answers.jsonl", out=built)
    assert done.exit_code == 2
    assert "answers.jsonl, line 1" in done.stderr
    assert factory("score", "tiny", "nowhere.jsonl", out=built).exit_code == 2
