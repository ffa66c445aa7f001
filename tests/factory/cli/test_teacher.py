"""`factory teacher check`, and --teacher and --model of the commands that build: one line and a remedy, never more."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from factory.errors import UserError
from factory.teacher.check import COLOURS, PROBES, Finding, check
from factory.teacher.fake import Answer, Fake, answer_by_example
from factory.teacher.protocol import Reply, Request, Teacher, Usage, no_reply
from factory.teacher.session import BACK_ENDS

Factory = Callable[..., Result]
JOB = """kind: build
name: spoken
rows: 10
mini: {rows: 0}
recipes: [{recipe: rephrased, share: 1, levels: [1]}]
"""
URL = ("--teacher", "http://127.0.0.1:9/v1", "--model", "m")


def error_of(done: Result) -> str:
    """Return the one line that a failed command left on stderr."""
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    return done.stderr


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "spoken.yaml"
    path.write_text(JOB)
    return path


@pytest.fixture
def nobody() -> str:
    """A base URL at which nothing answers."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}/v1"


def answered_by(monkeypatch: pytest.MonkeyPatch, answer: Answer | None = None) -> Fake:
    fake = Fake(answer, model="m")
    monkeypatch.setitem(BACK_ENDS, "openai_http", lambda *_: fake)
    return fake


# ------------------------------------------------------------------------------------------------------- the check


def found(teacher: Teacher) -> dict[str, Finding]:
    return {finding.what: finding for finding in asyncio.run(check(teacher))}


def test_a_teacher_that_is_well_has_no_remedy() -> None:
    findings = found(Fake(model="m"))
    assert [(f.what, f.remedy) for f in findings.values()] == [
        ("reachable", ""), ("structured output", ""), ("speed", "")
    ]  # fmt: skip
    assert findings["reachable"].found == "yes; it serves m"
    assert findings["structured output"].found.startswith("honoured: {")
    assert f"tokens/s with {PROBES} requests in flight" in findings["speed"].found


def test_the_check_costs_a_reply_of_json_and_a_few_short_ones() -> None:
    fake = Fake()
    found(fake)
    assert [r.schema for r in fake.asked] == [COLOURS, *[None] * PROBES]
    assert len({r.key("m") for r in fake.asked}) == 1 + PROBES
    assert {r.sampling.max_tokens for r in fake.asked[1:]} == {64}


@pytest.mark.parametrize("text", ["Green.", '```json\n{"colour": "green", "hex": "#0f0"}\n```', '{"colour": "grue"}'])
def test_a_reply_off_the_schema_is_told_with_the_remedy(text: str) -> None:
    finding = found(Fake(lambda r: text if r.schema else "many words"))["structured output"]
    assert finding.found.startswith("not honoured (unparsable: ")
    assert "response_format json_schema" in finding.remedy


def test_a_server_that_fails_is_not_blamed_for_the_schema() -> None:
    findings = found(Fake(lambda _: no_reply("server_error", "HTTP 500: out of memory")))
    assert findings["structured output"].remedy == findings["speed"].remedy == "look into the server's log"
    assert findings["speed"].found == "no reply (server_error: HTTP 500: out of memory)"


def test_replies_that_are_cut_off_are_as_good_for_the_speed() -> None:
    def cut(request: Request) -> str | Reply:
        if request.schema:
            return answer_by_example(request)
        return Reply(text="a b", usage=Usage(9, 64), latency=0.25).failed("truncated", "cut")

    finding = found(Fake(cut))["speed"]
    assert finding.remedy == ""
    assert "slowest reply 0.25 s" in finding.found


# --------------------------------------------------------------------------------------------------- the command line


def test_a_check_is_a_table_for_a_person_and_a_list_as_json(
    factory: Factory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = answered_by(monkeypatch)
    done = factory("teacher", "check", *URL)
    assert done.exit_code == 0
    assert "reachable" in done.stdout
    assert "honoured: {" in done.stdout
    assert fake.closed
    told = json.loads(factory("teacher", "check", *URL, "--json").stdout)
    assert [row["what"] for row in told] == ["reachable", "structured output", "speed"]
    assert list(tmp_path.iterdir()) == []


def test_a_check_that_found_something_tells_the_remedy_and_exits_with_2(
    factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered_by(monkeypatch, lambda _: "no JSON")
    done = factory("teacher", "check", *URL)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: structured output: use a server that takes response_format")
    as_json = factory("teacher", "check", *URL, "--json")
    assert as_json.exit_code == 2
    assert len(json.loads(as_json.stdout)) == 3


def test_a_stand_in_passes_the_check(factory: Factory) -> None:
    assert factory("teacher", "check", "--teacher", "fake").exit_code == 0


def test_the_teacher_of_a_job_is_checked(factory: Factory, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered_by(monkeypatch)
    job.write_text(JOB + "teacher: {model: m, base_url: 'http://127.0.0.1:9/v1'}\n")
    assert factory("teacher", "check", job).exit_code == 0


@pytest.mark.parametrize("command", [("teacher", "check"), ("run", "spoken.yaml")])
def test_where_nothing_answers_the_remedy_is_told(
    command: tuple[str, ...], factory: Factory, job: Path, nobody: str
) -> None:
    done = factory(*command, "--teacher", nobody, "--model", "m")
    assert done.exit_code == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert f"nothing answers at {nobody} (connection refused)" in errors[0]
    assert "start it, e.g. `vllm serve m`, or correct base_url" in errors[0]
    assert "Traceback" not in done.output


WRONG: dict[str, tuple[list[str], str]] = {
    "a place of no kind": (["--teacher", "nonsense", "--model", "m"], "--teacher wants a base URL such as"),
    "an address without a scheme": (["--teacher", "localhost:8000", "--model", "m"], "found 'localhost:8000'"),
    "an address without a host": (["--teacher", "http://", "--model", "m"], "a base URL looks like"),
    "a key in the address": (["--teacher", "http://me:sk-9@h/v1", "--model", "m"], "must not hold a key"),
    "no model": (["--teacher", "http://127.0.0.1:9/v1"], "--model NAME"),
    "batch without a folder": (["--teacher", "batch:", "--model", "m"], "batch:DIR"),
    "a script that is not there": (["--teacher", "fake:no.jsonl"], "no.jsonl cannot be read"),
}


COMMANDS = [("teacher", "check"), ("run", "spoken.yaml", "--json"), ("plan", "spoken.yaml")]
BOTH = [(c, what) for c in COMMANDS for what in WRONG if (c[0], what) != ("plan", "a script that is not there")]


@pytest.mark.parametrize(("command", "what"), BOTH)
def test_a_wrong_place_is_one_line(command: tuple[str, ...], what: str, factory: Factory, job: Path) -> None:
    args, told = WRONG[what]
    done = factory(*command, *args)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "sk-9" not in done.output
    assert done.stderr.count("\n") == 1


def test_whom_to_check_must_be_said(factory: Factory, job: Path) -> None:
    assert "say whom to check" in error_of(factory("teacher", "check"))
    assert "names no teacher: add `teacher:` to it" in error_of(factory("teacher", "check", job))


def test_files_cannot_be_checked_now(factory: Factory) -> None:
    assert "its replies come later" in error_of(factory("teacher", "check", "--teacher", "batch:x", "--model", "m"))


@pytest.mark.parametrize("command", [("teacher", "check"), ("run",)])
def test_a_key_whose_variable_is_not_set_names_the_variable(
    command: tuple[str, ...], factory: Factory, job: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    job.write_text(JOB + f"teacher: {{model: m, base_url: '{nobody}', api_key_env: NO_SUCH_KEY}}\n")
    done = factory(*command, job)
    assert done.exit_code == 2
    assert "the environment variable NO_SUCH_KEY (api_key_env of the model" in done.stderr
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.output


@pytest.mark.parametrize("command", [("run", "spoken.yaml"), ("run", "spoken.yaml", "--json")])
def test_a_job_that_talks_without_a_teacher_names_the_options(
    command: tuple[str, ...], factory: Factory, job: Path
) -> None:
    done = factory(*command)
    assert done.exit_code == 2
    assert "--teacher URL --model NAME" in done.stderr


def test_the_shipped_job_runs_on_a_stand_in(factory: Factory) -> None:
    done = factory("run", "rephrased", "--teacher", "fake", "--set", "rows=20", "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["rows"] == 20
    assert told["teacher"]["actual"]["requests"] == 30


def test_a_script_of_replies_answers_a_run(factory: Factory, job: Path, tmp_path: Path) -> None:
    (tmp_path / "replies.jsonl").write_text('{"reply": "nothing of use"}\n')
    done = factory("run", job, "--teacher", "fake:replies.jsonl", "--set", "replans=0")
    assert done.exit_code == 2
    assert "unparsable: 10" in done.stderr


def test_a_plan_tells_requests_and_money_without_asking(factory: Factory, job: Path, nobody: str) -> None:
    job.write_text(JOB + f"teacher: {{model: m, base_url: '{nobody}', price: {{input: 1, output: 2}}}}\n")
    shown = factory("plan", job)
    assert shown.exit_code == 0
    assert "teacher m: about 30 requests" in shown.stdout
    assert " USD (at most " in shown.stdout
    told = json.loads(factory("plan", job, "--json").stdout)["teacher"]
    assert told["requests"] == 30
    assert told["most_usd"] > told["usd"] > 0


def test_a_preview_shows_what_would_be_asked(factory: Factory, job: Path) -> None:
    shown = factory("preview", job, "-n", 2)
    assert shown.exit_code == 0
    assert shown.stdout.count("== rephrased: asks the author with rephrased/rephrase.v1") == 2


def test_a_waiting_run_has_an_exit_code_of_its_own(factory: Factory, job: Path, tmp_path: Path) -> None:
    done = factory("run", job, "--teacher", "batch:here", "--model", "m", "--json")
    assert done.exit_code == 3
    assert (tmp_path / "here" / "requests-001.jsonl").read_text().count("\n") == 10
    assert "10 requests wait for replies" in done.stderr
    assert json.loads(done.stdout)["ending"] == "waiting"


def test_a_spent_budget_is_exit_code_2_and_a_larger_one_finishes(factory: Factory, job: Path) -> None:
    spec: dict[str, Any] = {"kind": "fake", "model": "m", "budget": {"tokens": 5_000}}
    job.write_text(JOB + f"teacher: {json.dumps(spec)}\n")
    first = factory("run", job, "--json")
    assert first.exit_code == 2
    assert "raise teacher.budget" in first.stderr
    then = factory("run", job, "--json", "--set", "teacher.budget.tokens=10000000")
    assert then.exit_code == 0, then.stderr
    actual = json.loads(then.stdout)["teacher"]["actual"]
    assert 0 < actual["requests"] < 30
    assert actual["from_cache"] + actual["requests"] == 30


def test_an_engine_environment_that_cannot_be_made_is_one_line(
    factory: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(into: Path, cpu: bool, **_: object) -> Path:
        raise UserError(f"cannot make {into}, cpu {cpu}")

    monkeypatch.setattr("factory.teacher.install.install_vllm", fail)
    assert "cannot make there, cpu True" in error_of(factory("teacher", "install-vllm", "--cpu", "--into", "there"))
