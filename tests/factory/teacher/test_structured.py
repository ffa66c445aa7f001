from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import polars as pl
import pytest
from pydantic import BaseModel, Field

from factory.errors import MissingExtra
from factory.teacher.cache import Cache
from factory.teacher.fake import Fake
from factory.teacher.protocol import NoReply, Reply, Request, Usage, no_reply
from factory.teacher.reply_store import ReplyStore
from factory.teacher.structured import Structured, bounded, compiled, parse, repair_of, schema_of
from schemas.table import Table

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "maxLength": 20},
        "steps": {"type": "array", "maxItems": 3, "items": {"type": "integer"}},
    },
    "required": ["question", "steps"],
    "additionalProperties": False,
}
GOOD = '{"question": "why", "steps": [1]}'
BAD = '{"question": "why", "steps": "one"}'


def ask(text: str = "q", schema: Mapping[str, Any] | None = SCHEMA) -> Request:
    return Request(messages=({"role": "user", "content": text},), schema=schema)


def in_turn(*texts: str) -> Callable[[Request], str]:
    """Return a function that says one text after the other."""
    left = iter(texts)
    return lambda _: next(left)


def run(teacher: Structured, requests: Mapping[str, Request]) -> dict[str, Reply]:
    async def collect() -> dict[str, Reply]:
        got: dict[str, Reply] = {}
        async for id_, reply in teacher.complete(requests):
            assert id_ not in got
            got[id_] = reply
        return got

    return asyncio.run(collect())


def test_a_reply_that_keeps_the_schema_carries_its_value() -> None:
    reply = run(Structured(Fake(lambda _: GOOD)), {"a": ask()})["a"]
    assert reply.parsed == {"question": "why", "steps": [1]}
    assert reply.need() == reply.parsed
    assert reply.text == GOOD


def test_a_reply_without_a_schema_passes_as_it_is() -> None:
    reply = run(Structured(Fake(lambda _: GOOD)), {"a": ask(schema=None)})["a"]
    assert reply.parsed is None
    assert reply.need() == GOOD


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"```json\n{GOOD}\n```", "it is not JSON"),
        (f"Here it is: {GOOD}", "it is not JSON"),
        (GOOD[:-1], "it is not JSON"),
        (f"{GOOD} {GOOD}", "it is not JSON"),
        (GOOD.replace('"why"', "NaN"), "it is not JSON"),
        (BAD, "at $.steps: 'one' is not of type 'array'"),
        ('{"question": "why"}', "at $: 'steps' is a required property"),
        ('{"question": "why", "steps": [], "more": 1}', "Additional properties are not allowed"),
        (GOOD.replace("why", "w" * 21), "at $.question: "),
        ("[]", "at $: [] is not of type 'object'"),
    ],
)
def test_a_text_that_does_not_keep_the_schema_is_unparsable_with_its_place(text: str, told: str) -> None:
    reply = run(Structured(Fake(lambda _: text), repairs=0), {"a": ask()})["a"]
    assert reply.failure is not None
    assert reply.failure.kind == "unparsable"
    assert told in reply.failure.detail
    assert reply.text == text
    assert reply.parsed is None
    with pytest.raises(NoReply):
        reply.need()


def test_a_repair_shows_the_model_its_reply_and_the_error() -> None:
    fake = Fake(in_turn(BAD, GOOD))
    teacher = Structured(fake)
    assert run(teacher, {"a": ask("the question")})["a"].parsed == {"question": "why", "steps": [1]}
    first, second = fake.asked
    assert second.messages[:1] == first.messages
    assert second.messages[1] == {"role": "assistant", "content": BAD}
    assert second.messages[2]["role"] == "user"
    assert "at $.steps: 'one' is not of type 'array'" in second.messages[2]["content"]
    assert (second.schema, second.sampling, second.repeat) == (first.schema, first.sampling, first.repeat)
    assert teacher.repaired == 1


def test_a_repair_of_a_bare_prompt_goes_on_from_the_reply() -> None:
    repaired = repair_of(Request(prompt="Q:", schema=SCHEMA), BAD, "the error")
    assert repaired.messages == ()
    assert repaired.prompt is not None
    assert repaired.prompt.startswith(f"Q:{BAD}\n\n")
    assert "the error" in repaired.prompt


def test_repairs_are_bounded() -> None:
    fake = Fake(in_turn(BAD, "worse", GOOD))
    teacher = Structured(fake)
    reply = run(teacher, {"a": ask()})["a"]
    assert reply.failure is not None
    assert reply.failure.kind == "unparsable"
    assert reply.text == "worse"
    assert len(fake.asked) == 2
    assert teacher.repaired == 0


def test_a_repaired_reply_carries_the_cost_of_both_attempts() -> None:
    replies = iter(
        [Reply(text=BAD, usage=Usage(10, 20), latency=1.0), Reply(text=GOOD, usage=Usage(40, 5), latency=0.5)]
    )
    reply = run(Structured(Fake(lambda _: next(replies))), {"a": ask()})["a"]
    assert (reply.usage, reply.latency) == (Usage(50, 25), 1.5)


def test_only_the_broken_replies_are_repaired_and_every_id_comes_once() -> None:
    def broken_once(request: Request) -> str:
        return BAD if len(request.messages) == 1 and int(request.messages[0]["content"]) % 3 == 0 else GOOD

    fake = Fake(broken_once, shuffle=1)
    replies = run(Structured(fake), {str(i): ask(str(i)) for i in range(30)})
    assert len(replies) == 30
    assert all(reply.parsed for reply in replies.values())
    assert len(fake.asked) == 40


@pytest.mark.parametrize("kind", ["truncated", "timeout", "refused"])
def test_a_failed_reply_is_not_repaired(kind: str) -> None:
    fake = Fake(lambda _: Reply(text=BAD).failed(kind, "why"))
    reply = run(Structured(fake), {"a": ask()})["a"]
    assert reply.failure is not None
    assert reply.failure.kind == kind
    assert len(fake.asked) == 1


def test_a_repair_that_meets_a_bad_moment_fails_as_one_so_that_it_is_asked_again() -> None:
    replies = iter([Reply(text=BAD), no_reply("timeout", "slow")])
    reply = run(Structured(Fake(lambda _: next(replies))), {"a": ask()})["a"]
    assert reply.failure is not None
    assert reply.failure.kind == "timeout"


def test_a_second_run_repairs_from_the_cache(tmp_path: Any) -> None:
    store = ReplyStore(tmp_path / "replies.sqlite")
    first = run(Structured(Cache(Fake(in_turn(BAD, GOOD)), store)), {"a": ask()})
    again = Fake(lambda _: "never asked")
    assert run(Structured(Cache(again, store)), {"a": ask()}) == first
    assert again.calls == 0
    store.close()


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "objekt"}, "$.type"),
        ({"properties": {"a": {"type": "string", "maxLength": -1}}}, "$.properties.a.maxLength"),
        ({"properties": {"a": {"type": "string", "pattern": "("}}}, "$.properties.a.pattern"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "at $.properties.a: #/$defs/none is nowhere in it"),
    ],
)
def test_an_invalid_schema_is_told_with_its_place_before_anything_is_asked(schema: dict[str, Any], place: str) -> None:
    fake = Fake(lambda _: GOOD)
    with pytest.raises(ValueError, match="the schema is invalid") as error:
        run(Structured(fake), {"a": ask(), "b": ask(schema=schema)})
    assert place in str(error.value)
    assert fake.calls == 0


def test_a_long_wrong_value_is_cut_and_the_rule_is_named() -> None:
    error = parse(SCHEMA, orjson.dumps({"question": "w" * 5_000, "steps": []}).decode())[1]
    assert len(error) < 500
    assert '{"maxLength":20}' in error


def test_without_jsonschema_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(MissingExtra, match=r"pip install -e '\.\[teacher\]'"):
        compiled({"title": "of this test alone"})


def test_a_schema_is_compiled_once() -> None:
    assert compiled(SCHEMA) is compiled(dict(reversed(SCHEMA.items())))


def test_it_starts_and_closes_its_teacher_and_has_its_name() -> None:
    inner = Fake(model="its name")
    teacher = Structured(inner)
    asyncio.run(teacher.start())
    asyncio.run(teacher.close())
    assert (inner.started, inner.closed) == (True, True)
    assert (teacher.model, teacher.identity) == ("its name", inner.identity)


class Step(BaseModel):
    text: str = Field(max_length=80)
    score: float | None = None


class Made(BaseModel):
    question: str
    steps: list[Step] = Field(max_length=5)
    tags: list[str]


def test_the_schema_of_a_model_is_closed_bounded_and_keeps_its_own_bounds() -> None:
    schema = schema_of(Made, longest=100, most=7)
    bounded(schema)
    assert parse(schema, Made(question="q", steps=[Step(text="s")], tags=["t"]).model_dump_json())[1] == ""
    for wrong in (
        '{"question": "q", "steps": [{"text": "s"}], "tags": []}',
        '{"question": "q", "steps": [], "tags": [], "more": 1}',
        orjson.dumps({"question": "q" * 101, "steps": [], "tags": []}).decode(),
        orjson.dumps({"question": "q", "steps": [{"text": "s" * 81, "score": 1}], "tags": []}).decode(),
        orjson.dumps({"question": "q", "steps": [], "tags": ["t"] * 8}).decode(),
        orjson.dumps({"question": "q", "steps": [{"text": "s", "score": 1}] * 6, "tags": []}).decode(),
    ):
        assert parse(schema, wrong)[1] != ""


def test_the_schema_of_a_table_says_the_types_of_its_columns() -> None:
    inner = pl.Struct({"place": pl.Int64(), "kind": pl.Enum(["a", "b"])})
    table = Table("t", 1, {"text": pl.String(), "score": pl.Float64(), "ok": pl.Boolean(), "parts": pl.List(inner)})
    schema = schema_of(table)
    bounded(schema)
    good = {"text": "x", "score": 0.5, "ok": True, "parts": [{"place": 1, "kind": "a"}]}
    assert parse(schema, orjson.dumps(good).decode()) == (good, "")
    for name, wrong in (
        ("text", 1),
        ("score", "1"),
        ("ok", 1),
        ("parts", [{"place": 1.5, "kind": "a"}]),
        ("parts", [{"place": 1, "kind": "c"}]),
        ("parts", [{"place": 1}]),
    ):
        assert parse(schema, orjson.dumps(good | {name: wrong}).decode())[1] != ""


def test_a_column_that_json_cannot_say_is_named() -> None:
    table = Table("t", 1, {"when": pl.List(pl.Struct({"day": pl.Date()}))})
    with pytest.raises(ValueError, match=r"column 'when\.day' has the type Date"):
        schema_of(table)


STRING, ARRAY = {"type": "string"}, {"type": "array", "items": {"type": "number"}}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (STRING, "at $: a string needs maxLength"),
        (ARRAY, "at $: an array needs maxItems"),
        ({"type": "array", "maxItems": 3}, "at $: an array needs items"),
        ({"type": "object", "properties": {}}, "at $: an object needs additionalProperties: false"),
        ({"type": "array", "maxItems": 2, "items": STRING}, "at $.items: a string"),
        ({"type": "array", "maxItems": 2, "items": {}}, "at $.items: it needs a type"),
        ({"anyOf": [{"type": "null"}, STRING]}, "at $.anyOf[1]: a string"),
        ({"$defs": {"s": STRING}, "$ref": "#/$defs/s"}, "at $.$defs.s: a string"),
        ({"type": ["string", "null"]}, "at $: a string"),
        (
            {"type": "object", "properties": {"a": {"type": "array", "maxItems": 1, "items": ARRAY}}}
            | {"additionalProperties": False},
            "at $.properties.a.items: an array",
        ),
    ],
)
def test_an_open_end_of_a_schema_is_named(schema: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match="the schema has no bound") as error:
        bounded(schema)
    assert told in str(error.value)


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA | {"properties": {"question": {"enum": ["a", "b"]}, "steps": {"const": "x"}}},
        {"type": "string", "enum": ["a"]},
        {"type": "string", "maxLength": 5},
        {"anyOf": [{"type": "null"}, {"type": "number"}, {"type": "boolean"}]},
        {"$defs": {"s": {"type": "string", "maxLength": 5}}, "$ref": "#/$defs/s"},
    ],
)
def test_a_bounded_schema_passes(schema: dict[str, Any]) -> None:
    bounded(schema)
