"""What a job may say of a teacher, and where --teacher and --model send it instead."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from factory.errors import UserError
from factory.jobs.model import load_job, parse_teacher
from factory.teacher.model import OWN_KEYS, Budget, Price, SamplingSpec, TeacherSpec, place_of, redirected
from factory.teacher.protocol import Sampling, Usage

HTTP: dict[str, Any] = {"model": "m", "base_url": "http://localhost:8000/v1"}


def fault(**said: Any) -> str:
    with pytest.raises(UserError) as error:
        parse_teacher(said)
    assert "\n" not in str(error.value)
    return str(error.value)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"base_url": "http://h/v1"}, "the key 'model' is missing"),
    "an empty model": ({**HTTP, "model": ""}, "model: "),
    "an unknown kind": ({"kind": "vllm", "model": "m"}, "kind: "),
    "a misspelt key": ({"model": "m", "base_ulr": "http://h/v1"}, "unknown key 'base_ulr' (did you mean 'base_url'?)"),
    "http without an address": ({"model": "m"}, "kind openai_http needs base_url, such as http://localhost:8000/v1"),
    "both addresses": ({**HTTP, "base_urls": ["http://h/v1"]}, "give base_url or base_urls, not both"),
    "no replicas": ({"model": "m", "base_urls": []}, "base_urls: "),
    "another scheme": ({"model": "m", "base_url": "ftp://h/v1"}, "a base URL looks like http://localhost:8000/v1"),
    "no scheme": ({"model": "m", "base_url": "localhost:8000"}, "a base URL looks like http://localhost:8000/v1"),
    "no host": ({"model": "m", "base_url": "http:///v1"}, "a base URL looks like http://localhost:8000/v1"),
    "a bad replica": ({"model": "m", "base_urls": ["http://h/v1", "h"]}, "a base URL looks like"),
    "a key in the address": (
        {"model": "m", "base_url": "http://u:sk-7@h/v1"},
        "put its variable's name in api_key_env",
    ),
    "a key for its variable": ({**HTTP, "api_key_env": "sk-7-abc"}, "api_key_env: "),
    "files without a folder": ({"kind": "batch_file", "model": "m"}, "kind batch_file needs a folder"),
    "a budget without a price": ({**HTTP, "budget": {"usd": 5}}, "a budget in usd needs a price"),
    "concurrency 0": ({**HTTP, "concurrency": 0}, "concurrency must be auto or a number from 1 to 10000"),
    "concurrency of words": ({**HTTP, "concurrency": "many"}, "concurrency"),
    "no patience": ({**HTTP, "patience": 0}, "patience: "),
    "a price of two kinds": ({**HTTP, "price": {"input": 1, "gpu_hour": 2}}, "a price is either input and output"),
    "a price of no kind": ({**HTTP, "price": {"gpus": 2}}, "a price is either input and output"),
    "a negative price": ({**HTTP, "price": {"input": -1}}, "price.input: "),
    "a budget of nothing": ({**HTTP, "budget": {"tokens": 0}}, "budget.tokens: "),
    "a hot temperature": ({**HTTP, "sampling": {"temperature": 2.1}}, "sampling.temperature: "),
    "a misspelt sampling": ({**HTTP, "sampling": {"max_token": 9}}, "unknown key 'sampling.max_token'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_teacher_is_one_line(what: str) -> None:
    said, told = WRONG[what]
    assert told in fault(**said)


@pytest.mark.parametrize("key", OWN_KEYS)
def test_a_key_of_another_kind_is_refused(key: str) -> None:
    values = {"base_urls": ["http://h/v1"], "args": ["--x"], "api_key_env": "KEY", "base_url": "http://h/v1"}
    others = {"openai_http", "vllm_server", "vllm_batch", "batch_file", "fake"} - set(OWN_KEYS[key])
    needed: dict[str, dict[str, Any]] = {"openai_http": {"base_url": "http://h/v1"}, "batch_file": {"folder": "f"}}
    for kind in others:
        told = fault(kind=kind, model="m", **(needed.get(kind, {}) | {key: values.get(key, "x")}))
        assert f"'{key}' belongs to kind {' or '.join(OWN_KEYS[key])}, not to {kind}" in told


@pytest.mark.parametrize("url", ["http://h:8000/v1", "https://h/v1/", "http://127.0.0.1:1", "http://[::1]:8000/v1"])
def test_addresses_are_taken_as_they_are(url: str) -> None:
    assert TeacherSpec(model="m", base_url=url).urls == (url,)
    assert TeacherSpec(model="m", base_urls=[url, url]).urls == (url, url)


def test_a_sampling_says_what_the_requests_sampling_has() -> None:
    assert list(SamplingSpec.model_fields) == list(Sampling.__dataclass_fields__)


# --------------------------------------------------------------------------------------------------------------- money


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0, 100), st.floats(0, 100))
def test_tokens_cost_their_price_per_million(prompt: int, completion: int, input_: float, output: float) -> None:
    price = Price(input=input_, output=output)
    assert price.of(Usage(prompt, completion)) == pytest.approx((prompt * input_ + completion * output) / 1e6)


def test_a_price_for_one_side_leaves_the_other_free() -> None:
    assert Price(input=2).of(Usage(10**6, 10**6)) == 2
    assert Price(output=3).of(Usage(10**6, 10**6)) == 3
    assert Price(input=0, output=0).of(Usage(5, 5)) == 0


def test_gpu_hours_are_no_price_of_tokens() -> None:
    assert Price(gpu_hour=2.5, gpus=8).of(Usage(1, 1)) is None


def test_a_budget_of_both_kinds_holds_both() -> None:
    spec = TeacherSpec(**HTTP, price=Price(input=1), budget=Budget(tokens=5, usd=0.5))
    assert spec.budget == Budget(tokens=5, usd=0.5)


# --------------------------------------------------------------------------------------------- what replies depend on

SAME: list[dict[str, Any]] = [
    {"base_url": "http://elsewhere/v1"},
    {"api_key_env": "KEY"},
    {"concurrency": 7},
    {"patience": 3},
    {"budget": {"tokens": 9}},
]
OTHER: list[dict[str, Any]] = [
    {"model": "n"},
    {"revision": "r"},
    {"sampling": {"temperature": 0.1}},
    {"price": {"input": 1}},
    {"kind": "fake", "base_url": None},
]


@pytest.mark.parametrize("change", SAME, ids=lambda change: next(iter(change)))
def test_address_key_and_speed_are_no_content(change: dict[str, Any]) -> None:
    assert parse_teacher({**HTTP, **change}).content() == parse_teacher(HTTP).content()


@pytest.mark.parametrize("change", OTHER, ids=lambda change: next(iter(change)))
def test_model_sampling_and_price_are_content(change: dict[str, Any]) -> None:
    assert parse_teacher({**HTTP, **change}).content() != parse_teacher(HTTP).content()


def test_a_model_is_the_same_however_it_is_reached() -> None:
    ways: list[dict[str, Any]] = [
        HTTP,
        {"kind": "vllm_server", "model": "m", "args": ["--x"]},
        {"kind": "vllm_batch", "model": "m", "python": "p"},
        {"kind": "batch_file", "model": "m", "folder": "f"},
    ]
    assert len({str(parse_teacher(way).content()) for way in ways}) == 1


# ------------------------------------------------------------------------------------------------------------- the key


def test_a_key_is_read_from_its_variable_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = TeacherSpec(**HTTP, api_key_env="SOME_KEY")
    monkeypatch.setenv("SOME_KEY", " sk-1\n")
    assert spec.key() == "sk-1"
    monkeypatch.setenv("SOME_KEY", "sk-2")
    assert spec.key() == "sk-2"
    assert not any("sk-" in said for said in (repr(spec), str(spec), spec.model_dump_json()))


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_key_that_is_not_set_names_its_variable(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(
        UserError, match=r"variable SOME_KEY \(api_key_env of the model \S+\) is not set: export SOME_KEY="
    ):
        TeacherSpec(**HTTP, api_key_env="SOME_KEY").key()


def test_a_server_without_a_key_needs_none() -> None:
    assert TeacherSpec(**HTTP).key() is None


# ------------------------------------------------------------------------------------------------------- another place


@pytest.mark.parametrize(
    ("to", "keys"),
    [
        ("http://h:8000/v1", {"kind": "openai_http", "base_url": "http://h:8000/v1"}),
        ("https://h/v1", {"kind": "openai_http", "base_url": "https://h/v1"}),
        ("fake", {"kind": "fake"}),
        ("fake:", {"kind": "fake"}),
    ],
)
def test_a_place_is_its_keys(to: str, keys: dict[str, Any]) -> None:
    assert place_of(to) == keys


def test_folders_and_files_start_where_the_command_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = os.getcwd()
    assert place_of("batch:asked") == {"kind": "batch_file", "folder": f"{here}/asked"}
    assert place_of("fake:a/b.jsonl") == {"kind": "fake", "replies": f"{here}/a/b.jsonl"}
    assert place_of("batch:/else:where") == {"kind": "batch_file", "folder": "/else:where"}


@pytest.mark.parametrize("to", ["nonsense", "", "batch", "batch:", "localhost:8000", "ftp://h", "fakes", "h/v1"])
def test_a_place_of_no_kind_is_refused_with_the_forms(to: str) -> None:
    with pytest.raises(UserError, match=r"a base URL such as .*, batch:DIR, fake or fake:FILE; found") as error:
        place_of(to)
    assert repr(to) in str(error.value)


SAID: dict[str, Any] = {
    "kind": "vllm_server", "model": "m", "args": ["--x"], "python": "p", "revision": "r",
    "sampling": {"temperature": 0.5}, "price": {"input": 1}, "budget": {"tokens": 9}, "concurrency": 4,
}  # fmt: skip


def test_another_place_keeps_the_model_and_drops_what_belonged_to_the_old_place() -> None:
    kept = {key: value for key, value in SAID.items() if key not in ("kind", "args", "python")}
    assert redirected(SAID, "http://h/v1", None) == {**kept, "kind": "openai_http", "base_url": "http://h/v1"}
    assert redirected(SAID, "fake", None) == {**kept, "kind": "fake"}
    parse_teacher(redirected(SAID, "http://h/v1", None))


@given(st.sampled_from(["http://h/v1", "https://a.b:1/v1", "batch:d", "fake", "fake:f.jsonl"]))
def test_any_teacher_can_be_sent_to_any_place(to: str) -> None:
    starts: list[dict[str, Any] | None] = [
        None,
        HTTP,
        SAID,
        {"kind": "batch_file", "model": "m", "folder": "f"},
        {"kind": "fake", "model": "m", "replies": "r"},
        {"model": "m", "base_urls": ["http://h/v1"], "api_key_env": "KEY"},
        {"kind": "vllm_batch", "model": "m", "args": ["--x"]},
    ]
    for start in starts:
        parse_teacher(redirected(start, to, "other"))


def test_another_model_at_the_same_place() -> None:
    assert redirected(HTTP, None, "n") == {**HTTP, "model": "n"}
    assert HTTP["model"] == "m"


def test_a_stand_in_needs_no_name() -> None:
    assert redirected(None, "fake", None) == {"kind": "fake", "model": "fake"}
    assert redirected(None, "fake", "n") == {"kind": "fake", "model": "n"}


@pytest.mark.parametrize("to", ["http://h/v1", "batch:d"])
def test_a_place_alone_does_not_say_which_model(to: str) -> None:
    with pytest.raises(UserError, match=f"say which model to ask at {to}: --model NAME"):
        redirected(None, to, None)


def test_the_options_reach_the_job_and_its_judge_stays() -> None:
    changes = {"judge": {"model": "j", "base_url": "http://j/v1"}}
    job = load_job("rephrased", changes, "http://h/v1", "m").job
    assert job.teacher == TeacherSpec(model="m", base_url="http://h/v1")
    assert job.judge == TeacherSpec(model="j", base_url="http://j/v1")
    assert job.teacher_of("judge") == job.judge
    assert load_job("rephrased", (), "fake").job.teacher_of("judge") == TeacherSpec(kind="fake", model="fake")


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        TeacherSpec(**HTTP).model = "other"
