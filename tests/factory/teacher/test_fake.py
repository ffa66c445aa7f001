from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from factory.errors import UserError
from factory.teacher.fake import Fake, read_script
from factory.teacher.protocol import Reply, Request, Usage, no_reply


def ask(text: str, example: str = "") -> Request:
    return Request(
        messages=({"role": "system", "content": "be brief"}, {"role": "user", "content": text}), example=example
    )


def run(fake: Fake, requests: Mapping[str, Request]) -> list[tuple[str, Reply]]:
    async def collect() -> list[tuple[str, Reply]]:
        return [answered async for answered in fake.complete(requests)]

    return asyncio.run(collect())


def say(fake: Fake, request: Request) -> Reply:
    return run(fake, {"id": request})[0][1]


def script(folder: Path, *lines: str) -> Path:
    path = folder / "replies.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_a_function_answers_each_request() -> None:
    fake = Fake(lambda request: request.messages[-1]["content"].upper())
    assert say(fake, ask("hello")).text == "HELLO"


def test_a_function_may_return_a_whole_reply() -> None:
    reply = no_reply("timeout", "too slow")
    assert say(Fake(lambda _: reply), ask("q")) is reply


def test_without_replies_a_request_is_answered_by_its_example() -> None:
    assert say(Fake(), ask("q", example="such")).text == "such"


def test_without_replies_a_request_without_an_example_fails_by_its_content() -> None:
    failure = say(Fake(), ask("q")).failure
    assert failure is not None
    assert failure.kind == "bad_request"


def test_a_mapping_answers_by_what_a_request_contains() -> None:
    fake = Fake({"sum": "4", "list": [1, 2]})
    assert say(fake, ask("the sum of 2 and 2")).text == "4"
    assert say(fake, ask("a list")).text == "[1,2]"


def test_the_first_line_of_a_script_whose_texts_all_occur_answers(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        '{"contains": ["red", "brief"], "reply": "both"}',
        "",
        '{"contains": "red", "reply": "never, since all are brief"}',
        '{"contains": ["red", "blue"], "reply": "not this one"}',
        '{"reply": {"else": true}}',
    )
    fake = Fake(read_script(path))
    assert say(fake, ask("red")).text == "both"
    assert say(fake, ask("green")).text == '{"else":true}'
    assert say(fake, Request(prompt="red, bare")).text == "never, since all are brief"


def test_a_request_that_no_line_fits_is_named(tmp_path: Path) -> None:
    failure = say(Fake(read_script(script(tmp_path, '{"contains": "x", "reply": "y"}'))), ask("green")).failure
    assert failure is not None
    assert failure.kind == "bad_request"
    assert "'be brief\\ngreen'" in failure.detail


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"reply": ', "line 2 is not JSON"),
        ('["reply"]', "line 2 has no 'reply'"),
        ('{"contains": "x"}', "line 2 has no 'reply'"),
        ('{"contain": "x", "reply": "y"}', "line 2 has an unknown key 'contain' (did you mean 'contains'?)"),
        ('{"contains": 3, "reply": "y"}', "line 2: 'contains' must be a text or a list of texts"),
        ('{"contains": ["x", 3], "reply": "y"}', "line 2: 'contains' must be a text or a list of texts"),
    ],
)
def test_a_bad_line_of_a_script_is_named(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        read_script(script(tmp_path, '{"reply": "ok"}', line))
    assert told in str(error.value)
    assert 'a line is {"contains"' in str(error.value)


def test_a_script_that_is_not_there_or_empty_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl cannot be read \(No such file or directory\)"):
        read_script(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="has no lines"):
        read_script(script(tmp_path, "", " "))


def test_a_reply_of_white_space_is_empty() -> None:
    failure = say(Fake(lambda _: " \n"), ask("q")).failure
    assert failure is not None
    assert failure.kind == "empty"


def test_calls_are_counted_and_requests_kept_in_order() -> None:
    fake = Fake(lambda _: "a")
    requests = {str(i): ask(str(i)) for i in range(5)}
    assert [id_ for id_, _ in run(fake, requests)] == list(requests)
    run(fake, {"x": ask("x")})
    assert fake.asked == [*requests.values(), ask("x")]
    assert fake.calls == 2


def test_a_shuffle_yields_every_reply_in_another_order_that_a_seed_fixes() -> None:
    requests = {str(i): ask(str(i)) for i in range(30)}
    orders = [[id_ for id_, _ in run(Fake(lambda _: "a", shuffle=seed), requests)] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != list(requests)
    assert orders[2] not in (orders[0], list(requests))
    assert sorted(orders[2]) == sorted(requests)


def test_usage_is_a_quarter_of_the_characters_rounded_up() -> None:
    assert say(Fake(lambda _: "x" * 9), Request(prompt="y" * 4)).usage == Usage(1, 3)


def test_another_script_or_name_is_another_model(tmp_path: Path) -> None:
    one = read_script(script(tmp_path, '{"reply": "one"}'))
    two = read_script(script(tmp_path, '{"reply": "two"}'))
    fakes = [Fake(one), Fake(two), Fake(), Fake(model="other")]
    assert len({fake.identity for fake in fakes}) == len(fakes)
    assert Fake(one).identity == fakes[0].identity
