from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.teacher.protocol import (
    CONTENT,
    TRANSPORT,
    Failure,
    NoReply,
    Reply,
    Request,
    Sampling,
    Usage,
    no_reply,
)

MESSAGES = ({"role": "system", "content": "be brief"}, {"role": "user", "content": "one"})
REQUEST = Request(MESSAGES, sampling=Sampling(0.7, 0.9, 64, ("END",), 3), repeat=2, schema={"type": "null"}, logprobs=1)

INGREDIENTS: dict[str, dict[str, Any]] = {
    "a message": {"messages": (*MESSAGES[:1], {"role": "user", "content": "two"})},
    "a role of a message": {"messages": ({**MESSAGES[0], "role": "user"}, MESSAGES[1])},
    "the order of messages": {"messages": MESSAGES[::-1]},
    "one message more": {"messages": (*MESSAGES, MESSAGES[1])},
    "a bare prompt": {"prompt": "one"},
    "an empty prompt": {"prompt": ""},
    "the temperature": {"sampling": replace(REQUEST.sampling, temperature=0.8)},
    "top_p": {"sampling": replace(REQUEST.sampling, top_p=0.8)},
    "max_tokens": {"sampling": replace(REQUEST.sampling, max_tokens=65)},
    "a stop text": {"sampling": replace(REQUEST.sampling, stop=("END", "."))},
    "no stop text": {"sampling": replace(REQUEST.sampling, stop=())},
    "the seed": {"sampling": replace(REQUEST.sampling, seed=4)},
    "no seed": {"sampling": replace(REQUEST.sampling, seed=None)},
    "the repeat": {"repeat": 3},
    "the schema": {"schema": {"type": "boolean"}},
    "no schema": {"schema": None},
    "logprobs": {"logprobs": 2},
    "no logprobs": {"logprobs": None},
}


@pytest.mark.parametrize("what", INGREDIENTS)
def test_another_ingredient_is_another_key(what: str) -> None:
    assert replace(REQUEST, **INGREDIENTS[what]).key("m") != REQUEST.key("m")


def test_all_these_keys_differ_from_each_other() -> None:
    keys = [replace(REQUEST, **change).key("m") for change in INGREDIENTS.values()]
    assert len({*keys, REQUEST.key("m"), REQUEST.key("n")}) == len(keys) + 2


@pytest.mark.parametrize("change", [{"role": "judge"}, {"example": "such"}])
def test_who_should_answer_and_the_example_are_not_in_the_key(change: dict[str, Any]) -> None:
    assert replace(REQUEST, **change).key("m") == REQUEST.key("m")


def test_the_order_in_which_keys_of_a_mapping_are_written_does_not_matter() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}}}
    turned = {"properties": dict(reversed(list(schema["properties"].items()))), "type": "object"}  # type: ignore[attr-defined]
    messages = tuple(dict(reversed(list(message.items()))) for message in MESSAGES)
    one, other = replace(REQUEST, schema=schema), replace(REQUEST, schema=turned, messages=messages)
    assert one.key("m") == other.key("m")


def test_the_key_is_the_same_in_another_process() -> None:
    code = (
        "from factory.teacher.protocol import Request, Sampling\n"
        "print(Request(({'role': 'user', 'content': 'ü'},), sampling=Sampling(0.1), repeat=1).key('m'))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={
        "PYTHONHASHSEED": "4711", "PYTHONPATH": ":".join(sys.path)
    }).stdout.strip()  # fmt: skip
    assert told == Request(({"role": "user", "content": "ü"},), sampling=Sampling(0.1), repeat=1).key("m")


@given(st.text(), st.text())
def test_texts_do_not_run_into_each_other(one: str, other: str) -> None:
    def two(first: str, second: str) -> Request:
        return Request(({"role": "user", "content": first}, {"role": "user", "content": second}))

    if other:
        assert two(one, other).key("m") != two(one + other, "").key("m")
    assert Request(prompt=one).key("m") != Request(({"role": "user", "content": one},)).key("m")


def test_a_failure_is_of_content_or_of_transport_and_never_of_both() -> None:
    assert not CONTENT & TRANSPORT
    assert all(Failure(kind, "").of_content for kind in CONTENT)
    assert not any(Failure(kind, "").of_content for kind in TRANSPORT)


def test_what_a_conversation_needs_is_the_value_or_the_text() -> None:
    assert Reply(text="t").need() == "t"
    assert Reply(text='{"a": 1}', parsed={"a": 1}).need() == {"a": 1}
    values: tuple[Any, ...] = (0, False, "", [], {})
    for value in values:
        assert Reply(text="x", parsed=value).need() == value


def test_without_a_usable_reply_the_failure_is_raised() -> None:
    failed = Reply(text="half", parsed={"a": 1}, usage=Usage(3, 4)).failed("truncated", "cut off")
    assert (failed.text, failed.usage, failed.parsed) == ("half", Usage(3, 4), None)
    for reply in (failed, no_reply("truncated", "cut off")):
        with pytest.raises(NoReply, match="truncated: cut off") as error:
            reply.need()
        assert error.value.failure == Failure("truncated", "cut off")


def test_usage_adds_up() -> None:
    assert sum([Usage(1, 2), Usage(30, 40)], Usage()) == Usage(31, 42)
    assert Usage(31, 42).tokens == 73
