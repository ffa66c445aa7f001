from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.teacher.protocol import CONTENT, TRANSPORT, Request, Sampling, Usage
from factory.teacher.wire import (
    batch_line,
    batch_reply,
    body_of,
    error_text,
    is_too_long,
    path_of,
    reply_of,
    seed_of,
)

CHAT = Request(({"role": "user", "content": "hi"},))
BARE = Request(prompt="hi")


def body(message: dict[str, Any] | None = None, **choice: Any) -> dict[str, Any]:
    """A response as servers give it."""
    inner = {"message": message if message is not None else {"role": "assistant", "content": "yes"}}
    return {
        "model": "m", "choices": [{**inner, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }  # fmt: skip


# -------------------------------------------------------------------------------------------------------- what goes out


# An engine takes what is not said from the model's own files, so how to draw is always said.
DRAWN = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 1024}


def test_how_to_draw_is_always_said_and_the_rest_where_it_is_asked_for() -> None:
    assert body_of(CHAT, "m") == {"model": "m", "messages": [{"role": "user", "content": "hi"}], **DRAWN}


def test_a_bare_prompt_is_a_completion() -> None:
    assert body_of(BARE, "m") == {"model": "m", "prompt": "hi", **DRAWN}
    assert (path_of(BARE), path_of(CHAT)) == ("/v1/completions", "/v1/chat/completions")
    assert path_of(Request(prompt="")) == "/v1/completions"


def test_every_wish_is_said_in_the_servers_words() -> None:
    sampling = Sampling(0.5, 0.9, 64, ("END", "."), 11)
    said = body_of(Request(CHAT.messages, sampling=sampling, schema={"type": "null"}, logprobs=2), "m")
    assert (said["temperature"], said["top_p"], said["max_tokens"]) == (0.5, 0.9, 64)
    assert (said["stop"], said["seed"]) == (["END", "."], 11)
    assert said["response_format"] == {
        "type": "json_schema", "json_schema": {"name": "reply", "schema": {"type": "null"}, "strict": True}
    }  # fmt: skip
    assert (said["logprobs"], said["top_logprobs"]) == (True, 2)
    assert body_of(Request(prompt="p", logprobs=2), "m")["logprobs"] == 2


def test_what_is_ours_alone_is_never_sent() -> None:
    said = json.dumps(body_of(Request(CHAT.messages, repeat=5, role="judge", example="SUCH"), "m"))
    assert not any(word in said for word in ("SUCH", "judge", "repeat", "example", "role_"))


def test_each_repeat_has_a_seed_of_its_own_that_stays() -> None:
    seeds = {seed_of(seed, repeat) for seed in range(40) for repeat in range(1, 40)}
    assert len(seeds) == 40 * 39
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of(5, 0) == 5
    assert seed_of(5, 1) == seed_of(5, 1)
    assert body_of(Request(CHAT.messages, sampling=Sampling(seed=5), repeat=1), "m")["seed"] == seed_of(5, 1)
    assert "seed" not in body_of(Request(CHAT.messages, repeat=1), "m")


# ------------------------------------------------------------------------------------------------------ what comes back


def test_a_reply_has_text_usage_model_and_latency() -> None:
    reply = reply_of(body(), 0.5)
    assert (reply.text, reply.usage, reply.model, reply.latency) == ("yes", Usage(7, 3), "m", 0.5)
    assert (reply.finish, reply.failure, reply.reasoning, reply.logprobs) == ("stop", None, None, None)


def test_a_completion_s_text_is_read() -> None:
    told = {"choices": [{"text": "yes", "finish_reason": "stop"}]}
    assert (reply_of(told, 0).text, reply_of(told, 0).usage) == ("yes", Usage())


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_thinking_is_told_apart_from_the_answer(key: str) -> None:
    reply = reply_of(body({"content": "yes", key: "hm"}), 0)
    assert (reply.text, reply.reasoning) == ("yes", "hm")


def test_log_probabilities_are_read_in_both_forms() -> None:
    chat = body(logprobs={"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1}]})
    bare = {"choices": [{"text": "ab", "logprobs": {"tokens": ["a", "b"], "token_logprobs": [-0.5, -1]}}]}
    assert reply_of(chat, 0).logprobs == reply_of(bare, 0).logprobs == (("a", -0.5), ("b", -1.0))


CONTENTS = {
    "length": (body(finish_reason="length"), "truncated"),
    "filter": (body(finish_reason="content_filter"), "refused"),
    "refusal": (body({"content": None, "refusal": "I will not."}), "refused"),
    "no text": (body({"content": ""}), "empty"),
    "white space": (body({"content": " \n"}), "empty"),
    "null": (body({"content": None}), "empty"),
    "only thinking": (body({"content": None, "reasoning": "hm"}), "empty"),
    "cut while thinking": (body({"content": None, "reasoning": "hm"}, finish_reason="length"), "truncated"),
}


@pytest.mark.parametrize("what", CONTENTS)
def test_a_reply_of_no_use_is_a_failure_of_its_content_that_keeps_its_cost(what: str) -> None:
    told, kind = CONTENTS[what]
    reply = reply_of(told, 0)
    assert reply.failure is not None
    assert reply.failure.kind == kind
    assert reply.failure.of_content
    assert reply.usage == Usage(7, 3)


def test_what_a_server_refuses_to_say_is_told() -> None:
    failure = reply_of(CONTENTS["refusal"][0], 0).failure
    assert failure is not None
    assert failure.detail == "I will not."


GARBLED: list[object] = [
    None,
    [],
    "text",
    7,
    {},
    {"choices": []},
    {"choices": None},
    {"choices": [None]},
    {"choices": [{}]},
    {"choices": [{"message": "text"}]},
    {"choices": [{"message": {"content": 7}}]},
    {"choices": [{"text": ["a"]}]},
    {**body(), "usage": 7},
    {**body(), "usage": {"prompt_tokens": float("inf")}},
    {**body(), "usage": {"prompt_tokens": "many"}},
    body(logprobs={"tokens": ["a"]}),
    {"error": {"message": "no"}},
]


@pytest.mark.parametrize("told", GARBLED, ids=repr)
def test_a_response_that_is_not_of_the_protocol_is_garbled(told: object) -> None:
    failure = reply_of(told, 0).failure
    assert failure is not None
    assert failure.kind == "garbled"
    assert len(failure.detail) <= 200


@pytest.mark.parametrize(
    ("told", "detail"),
    [
        ({"choices": []}, "the response has no choices"),
        ({}, "the response has no choices"),
        ({"error": {"message": "no such engine"}}, "the response has no choices: no such engine"),
    ],
)
def test_a_response_without_choices_says_so(told: object, detail: str) -> None:
    failure = reply_of(told, 0).failure
    assert failure is not None
    assert failure.detail == detail


@pytest.mark.parametrize(
    ("text", "reasoning", "rest"),
    [
        ("<think>\nlet me see\n</think>\n\nyes", "let me see", "yes"),
        ("<think>\n\n</think>\n\nyes", None, "yes"),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
        ("<think>never closed", None, "<think>never closed"),
        ("so: <think>a</think>b", None, "so: <think>a</think>b"),
        ("a</think>b", None, "a</think>b"),
    ],
)
def test_thinking_at_the_very_start_of_the_text_is_told_apart(text: str, reasoning: str | None, rest: str) -> None:
    for told in (body({"content": text}), {"choices": [{"text": text}]}):
        reply = reply_of(told, 0)
        assert (reply.reasoning, reply.text) == (reasoning, rest)


def test_nothing_but_thinking_is_an_empty_reply_that_keeps_the_thinking() -> None:
    reply = reply_of(body({"content": "<think>hm</think>\n"}), 0)
    assert reply.failure is not None
    assert (reply.failure.kind, reply.reasoning) == ("empty", "hm")


@pytest.mark.parametrize("key", ["Bearer abcd1234", "sk-abcd1234"])
def test_no_key_is_in_what_a_server_is_quoted_with(key: str) -> None:
    secret = key.split()[-1]
    assert secret not in error_text({"error": {"message": f"{'x' * 490} {key}"}})
    assert secret not in error_text(f"got {key}")
    refused = reply_of(body({"content": "", "refusal": f"not for {key}"}), 0)
    garbled = reply_of({**body(), "usage": {"prompt_tokens": key}}, 0)
    line = batch_reply({"error": {"message": f"wrong: {key}"}})
    assert [reply.failure is not None for reply in (refused, garbled, line)] == [True] * 3
    assert not [reply for reply in (refused, garbled, line) if secret in repr(reply)]


KEYS = ["choices", "message", "content", "text", "finish_reason", "reasoning", "usage", "prompt_tokens", "logprobs"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_reply_or_a_failure_and_never_an_error(told: object) -> None:
    for value in (told, {"choices": [told]}, {"choices": [{"message": told}]}, body(logprobs=told)):
        reply = reply_of(value, 0)
        assert isinstance(reply.text, str)
        assert isinstance(reply.reasoning, str | None)
        assert isinstance(reply.finish, str)
        assert reply.failure is None or reply.failure.kind in CONTENT | TRANSPORT


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"error": {"message": "no model"}}, "no model"),
        ({"error": "no model"}, "no model"),
        ({"message": "no model"}, "no model"),
        ({"detail": "no model"}, "no model"),
        ({"error": {"message": "", "code": 5}}, "{'message': '', 'code': 5}"),
        ({"other": 1}, "{'other': 1}"),
        (["a"], "['a']"),
        ("x" * 900, "x" * 500),
    ],
)
def test_the_message_of_an_error_is_found_where_servers_put_it(told: object, text: str) -> None:
    assert error_text(told) == text


@pytest.mark.parametrize(
    ("message", "too_long"),
    [
        ("This model's maximum context length is 16 tokens.", True),
        ("prompt is TOO LONG: 9 > 8", True),
        ("the prompt is longer than the maximum model length", True),
        ("Value error, max_model_len exceeded", True),
        ("the schema is invalid", False),
        ("", False),
    ],
)
def test_a_prompt_that_does_not_fit_is_told_from_other_mistakes(message: str, too_long: bool) -> None:
    assert is_too_long(message) is too_long


# -------------------------------------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("request_", [CHAT, BARE])
def test_a_line_of_a_batch_is_the_request_with_its_path(request_: Request) -> None:
    assert batch_line("k", request_, "m") == {
        "custom_id": "k", "method": "POST", "url": path_of(request_), "body": body_of(request_, "m")
    }  # fmt: skip


def test_a_line_of_results_is_the_reply_of_its_body() -> None:
    assert batch_reply({"custom_id": "k", "response": {"status_code": 200, "body": body()}}) == reply_of(body(), 0.0)
    assert batch_reply({"response": {"body": body()}, "error": None}) == reply_of(body(), 0.0)


def test_a_reply_written_by_hand_is_its_text() -> None:
    assert batch_reply({"custom_id": "k", "content": "yes"}).need() == "yes"
    failure = batch_reply({"custom_id": "k", "content": " "}).failure
    assert failure is not None
    assert failure.kind == "empty"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ({"response": {"status_code": 400, "body": {"error": {"message": "bad"}}}}, "bad_request"),
        ({"response": {"status_code": 400, "body": {"error": {"message": "context length is 8"}}}}, "prompt_too_long"),
        ({"response": {"status_code": 500, "body": {"error": {"message": "oops"}}}}, "server_error"),
        ({"response": {"status_code": 429, "body": {}}}, "server_error"),
        ({"response": None, "error": {"code": "batch_expired", "message": "expired"}}, "server_error"),
        ({"custom_id": "k"}, "server_error"),
    ],
)
def test_a_line_that_failed_is_a_failure_of_content_or_of_the_moment(line: dict[str, Any], kind: str) -> None:
    failure = batch_reply(line).failure
    assert failure is not None
    assert failure.kind == kind
