"""`factory student eval`: from the options to the table and the file; wrong input is one line and what to do."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import Result

from factory.teacher.fake import Answer, Fake, answer_by_example
from factory.teacher.model import TeacherSpec
from factory.teacher.protocol import Reply, Request, no_reply
from factory.teacher.session import BACK_ENDS, Place

Factory = Callable[..., Result]
SMALL = ("--combinations", 2, "--generations", 2)
FAKES = ("--suite", "skill-mix", "--base-url", "fake", "--judge-url", "fake", "--judge-model", "j")


def unlike(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Stand in for the embedder, which takes seconds to load: no two texts are alike."""
    return np.eye(max(len(texts), 1), 400, dtype=np.float32)[: len(texts)]


@pytest.fixture(autouse=True)
def _embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.skills.language.bank.encode", unlike)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fake]:
    """The models that were asked, by name; `answering` says how."""
    found: dict[str, Fake] = {}

    def made(spec: TeacherSpec, place: Place) -> Fake:
        return found.setdefault(spec.model, Fake(model=spec.model))

    monkeypatch.setitem(BACK_ENDS, "fake", made)
    return found


def told(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def error_of(done: Result) -> str:
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""
    return done.stderr


def is_gold(request: Request) -> bool:
    return "tide pools" not in "".join(request.said) and "evenings on" not in "".join(request.said)


def test_a_student_is_asked_judged_and_told_about_in_a_table(factory: Factory, models: dict[str, Fake]) -> None:
    done = factory("student", "eval", *FAKES, *SMALL)
    assert done.exit_code == 0, done.output
    head, two, three = (line for line in done.stdout.splitlines() if line[:1] in ("k", "2", "3"))
    assert head.split("  ")[0] == "k"
    assert two.split()[:6] == ["2", "2", "4", "1.000", "±", "0.000"]
    assert three.split()[:3] == ["3", "2", "4"]
    assert "72 of 72 right" in done.stdout
    assert Path("outputs/student/fake/skill-mix.json").is_file()


def test_the_file_has_every_text_and_every_vote(factory: Factory, models: dict[str, Fake]) -> None:
    told(factory("student", "eval", *FAKES, *SMALL, "--votes", 5, "--json"))
    kept = json.loads(Path("outputs/student/fake/skill-mix.json").read_text())
    assert len(kept["texts"]) == 8
    assert all(len(text["points"]) == text["k"] + 3 for text in kept["texts"])
    assert all(point["votes"] == [1.0] * 5 for text in kept["texts"] for point in text["points"])
    assert {name for text in kept["texts"] for name in text["skills"]} == kept["skills"].keys()
    assert kept["asked"]["split"] == "heldout"
    assert kept["judging"][0]["rubric"] == "skill-mix.v1"


def test_the_same_command_again_asks_for_nothing(factory: Factory, models: dict[str, Fake]) -> None:
    first = told(factory("student", "eval", *FAKES, *SMALL, "--json"))
    again = told(factory("student", "eval", *FAKES, *SMALL, "--json"))
    assert first["cost"]["requests"] > again["cost"]["requests"] == 0
    assert first["results"] == again["results"]


def test_a_larger_run_asks_only_for_what_is_missing(factory: Factory, models: dict[str, Fake]) -> None:
    told(factory("student", "eval", *FAKES, "--combinations", 1, "--generations", 1, "--k", 2, "--json"))
    more = told(factory("student", "eval", *FAKES, "--combinations", 1, "--generations", 1, "--k", "2,3", "--json"))
    assert more["cost"]["requests"] == 2 + 3  # two turns and three votes of the text with three skills


def test_a_student_who_refuses_has_zeros_and_is_told_of(factory: Factory, models: dict[str, Fake]) -> None:
    models["fake"] = Fake(lambda request: no_reply("refused", "no"), model="fake")
    [found] = told(factory("student", "eval", *FAKES, *SMALL, "--k", 2, "--json"))["results"]
    assert (found["missing"], found["undecided"]) == (4, 0)
    assert found["marks"]["skill_fraction"]["value"] == 0.0


def test_points_that_nobody_decides_are_reported_and_are_no_zeros(factory: Factory, models: dict[str, Fake]) -> None:
    def vague(request: Request) -> str | Reply:
        return answer_by_example(request) if is_gold(request) else no_reply("unparsable", "no JSON")

    models["j"] = Fake(vague, model="j")
    [found] = told(factory("student", "eval", *FAKES, *SMALL, "--k", 2, "--json"))["results"]
    assert found["undecided"] == 4 * 4  # of five points a program counts one
    assert found["marks"]["full_marks"] == {"value": None, "error": None, "n": 0, "of": 2, "low": 0.0, "high": 1.0}
    done = factory("student", "eval", *FAKES, *SMALL, "--k", 2)
    assert "- (0 of 2; 0.000 to 1.000)" in done.stdout
    assert "16 of 20" in done.stdout


def always(met: bool) -> Answer:
    def answer(request: Request) -> str:
        said = json.loads(request.example)
        return json.dumps({"points": [point | {"met": met} for point in said["points"]]})

    return answer


def test_a_judge_who_fails_the_gold_rows_is_named_and_the_student_is_not_asked(
    factory: Factory, models: dict[str, Fake]
) -> None:
    models["j"] = Fake(always(met=True), model="j")
    said = error_of(factory("student", "eval", *FAKES, *SMALL))
    assert "no judge can be trusted" in said
    assert "judge: " in said
    assert "VOID" in said
    assert "fake" not in models or not models["fake"].asked


def test_a_void_judge_among_several_is_named_and_not_asked_for_votes(factory: Factory, models: dict[str, Fake]) -> None:
    models["bad"] = Fake(always(met=False), model="bad")
    two = (*FAKES, "--judge-url", "fake", "--judge-model", "bad")
    done = factory("student", "eval", *two, *SMALL, "--k", 2)
    assert done.exit_code == 0
    assert "judge-2: bad (VOID: its votes do not count)" in done.stdout
    assert len(models["bad"].asked) == 12  # the gold rows
    assert "1.000 ± 0.000" in done.stdout


def test_a_bar_of_zero_trusts_anybody(factory: Factory, models: dict[str, Fake]) -> None:
    models["j"] = Fake(always(met=False), model="j")
    [found] = told(factory("student", "eval", *FAKES, *SMALL, "--k", 2, "--judge-bar", 0, "--json"))["results"]
    assert found["marks"]["full_marks"]["value"] == 0.0


def test_grading_anew_does_not_ask_the_student(factory: Factory, models: dict[str, Fake]) -> None:
    first = told(factory("student", "eval", *FAKES, *SMALL, "--json"))
    asked = len(models["fake"].asked)
    other = ("--suite", "skill-mix", "--rescore", "--model", "fake", "--judge-url", "fake", "--judge-model", "j2")
    again = told(factory("student", "eval", *other, "--votes", 1, "--json"))
    assert len(models["fake"].asked) == asked
    assert {request.role for request in models["j2"].asked} == {"judge"}
    assert (again["asked"], again["student"]) == (first["asked"], first["student"])
    assert again["judges"][0]["model"] == "j2"
    kept = json.loads(Path(again["file"]).read_text())
    assert {len(point["votes"]) for text in kept["texts"] for point in text["points"]} == {1}


def test_the_student_may_judge_itself_where_that_is_said(factory: Factory, models: dict[str, Fake]) -> None:
    alone = ("--suite", "skill-mix", "--base-url", "fake", "--self-judge")
    found = told(factory("student", "eval", *alone, *SMALL, "--json"))
    assert found["judges"] == [found["student"]]
    assert models.keys() == {"fake"}


def test_a_list_of_ones_own_is_asked_from(factory: Factory, models: dict[str, Fake], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("juggling: keeping many things up\nhedging: not saying it\nwhistling: a tune\n")
    mine = ("--skills", "mine.txt", "--split", "all", "--k", 2)
    told(factory("student", "eval", *FAKES, *SMALL, *mine, "--json"))
    kept = json.loads(Path("outputs/student/fake/skill-mix.json").read_text())
    assert set(kept["skills"]) <= {"juggling", "hedging", "whistling"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--suite", "skilmix"), "there is no suite 'skilmix' (did you mean 'skill-mix'?)"),
        (("--suite", "skill-mix"), "--base-url URL --model NAME"),
        (("--suite", "skill-mix", "--base-url", "fake"), "--self-judge"),
        (("--suite", "skill-mix", "--base-url", "ftp://x", "--self-judge"), "--base-url wants a base URL"),
        (("--suite", "skill-mix", "--base-url", "batch:", "--self-judge"), "--base-url wants a base URL"),
        (("--suite", "skill-mix", "--base-url", "http://x/v1", "--self-judge"), "--model NAME"),
        ((*FAKES, "--self-judge"), "exclude each other"),
        ((*FAKES, "--judge-model", "two"), "1 x --judge-url and 2 x --judge-model"),
        ((*FAKES, "--k", "2,x"), "--k wants numbers from 1 to 6"),
        ((*FAKES, "--k", "0"), "--k wants numbers from 1 to 6"),
        ((*FAKES, "--split", "held"), "there is no split 'held' (did you mean 'heldout'?)"),
        ((*FAKES, "--skills", "nowhere.csv"), "nowhere.csv: no such file"),
        ((*FAKES, "--api-key-env", "KEY"), "'api_key_env' belongs to kind"),
        (("--suite", "skill-mix", "--rescore", "--judge-url", "fake"), "--model NAME"),
        (("--suite", "skill-mix", "--rescore", "--model", "m", "--self-judge"), "--self-judge needs the student"),
        (("--suite", "skill-mix", "--rescore", "--model", "m", "--judge-url", "fake"), "does not exist"),
    ],
)
def test_wrong_input_is_one_line_that_says_what_to_do(factory: Factory, options: tuple[str, ...], said: str) -> None:
    line = error_of(factory("student", "eval", *options))
    assert said in line
    assert line.count("\n") == 1


def test_a_k_beyond_the_skills_of_the_split_is_told_with_their_number(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("\n".join(["juggling", "hedging", "whistling", "fencing"]))
    line = error_of(factory("student", "eval", *FAKES, "--skills", "few.txt", "--split", "all", "--k", "5"))
    assert "which has 4 skills" in line


def test_a_judge_that_is_the_student_must_be_named_so(factory: Factory) -> None:
    where = ("http://127.0.0.1:9/v1", "m")
    both = ("--base-url", where[0], "--model", where[1], "--judge-url", where[0], "--judge-model", where[1])
    assert "say --self-judge" in error_of(factory("student", "eval", "--suite", "skill-mix", *both))


def test_a_server_that_is_not_there_is_told_of(factory: Factory) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        who = ("--base-url", url, "--model", "m", "--judge-url", "fake")
        assert "nothing answers at" in error_of(factory("student", "eval", "--suite", "skill-mix", *who, *SMALL))


def test_a_key_that_is_not_set_is_named_by_its_variable(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    who = ("--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--api-key-env", "NO_SUCH_KEY", "--judge-url", "fake")
    assert "NO_SUCH_KEY" in error_of(factory("student", "eval", "--suite", "skill-mix", *who, *SMALL))
