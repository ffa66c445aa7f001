from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

import orjson
import pytest
from aiohttp import web

from factory.errors import UserError
from factory.teacher import wire
from factory.teacher.keeper import Timeouts
from factory.teacher.openai_http import OpenAIHttp
from factory.teacher.protocol import Reply, Request, Sampling
from factory.teacher.served import endpoint
from tests.fault_server import FaultServer, Plan, text_for

T = TypeVar("T")
SECRET = "sk-planted-4f1d"
QUICK = Timeouts(floor=0.3, ceiling=2.0)


def run(work: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(30):
            return await work

    return asyncio.run(bounded())


def asked(count: int, start: int = 0, **more: Any) -> dict[str, Request]:
    sampling = Sampling(max_tokens=16)
    return {
        f"r{i}": Request(messages=({"role": "user", "content": f"question {i}"},), sampling=sampling, **more)
        for i in range(start, start + count)
    }


async def gather(teacher: OpenAIHttp, requests: dict[str, Request]) -> dict[str, Reply]:
    found: dict[str, Reply] = {}
    async for key, reply in teacher.complete(requests):
        assert key not in found
        found[key] = reply
    return found


async def error_of(*urls: str, model: str = "m", requests: int = 0, **options: Any) -> str:
    """What a teacher says when it is started, or asked, and cannot go on."""
    teacher = OpenAIHttp(urls, model, **options)

    async def use() -> None:
        await teacher.start()
        await gather(teacher, asked(requests))

    with pytest.raises(UserError) as raised:
        await use()
    await teacher.close()
    return str(raised.value)


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def key_of(secret: str | None) -> Any:
    return lambda: secret


@pytest.mark.parametrize(
    ("base", "found"),
    [
        ("http://h:8000", "http://h:8000/v1/chat/completions"),
        ("http://h:8000/", "http://h:8000/v1/chat/completions"),
        ("http://h:8000/v1", "http://h:8000/v1/chat/completions"),
        ("http://h:8000/v1/", "http://h:8000/v1/chat/completions"),
        ("https://h/v1beta/openai", "https://h/v1beta/openai/chat/completions"),
    ],
)
def test_a_base_url_means_what_it_means_to_other_clients(base: str, found: str) -> None:
    assert endpoint(base, "/v1/chat/completions") == found


def test_every_request_gets_exactly_its_own_reply() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.002)) as server:
            teacher = OpenAIHttp([server.url], "m")
            await teacher.start()
            requests = asked(150)
            found = await gather(teacher, requests)
            raw = {key: orjson.dumps(wire.body_of(request, "m")) for key, request in requests.items()}
            assert {key: reply.text for key, reply in found.items()} == {key: text_for(raw[key]) for key in requests}
            reply = found["r7"]
            assert (reply.finish, reply.usage.completion_tokens, reply.model) == ("stop", 16, "m")
            assert reply.latency > 0
            assert server.count.received == 150
            await teacher.close()

    run(main())


def test_a_bare_prompt_goes_to_completions() -> None:
    async def main() -> None:
        async with FaultServer() as server:
            teacher = OpenAIHttp([server.url.removesuffix("/v1")], "m")
            found = await gather(teacher, {"a": Request(prompt="Once")})
            assert found["a"].text.startswith("Reply ")
            await teacher.close()

    run(main())


def test_nothing_asked_is_nothing_answered_and_nobody_is_needed() -> None:
    async def main() -> None:
        teacher = OpenAIHttp([f"http://127.0.0.1:{closed_port()}"], "m")
        assert await gather(teacher, {}) == {}
        await teacher.close()

    run(main())


def test_the_identity_tells_name_root_and_revision_apart() -> None:
    async def identity(root: str | None, model: str = "m", revision: str | None = None) -> str:
        async with FaultServer(Plan(model=model, root=root)) as server:
            teacher = OpenAIHttp([server.url], model, revision=revision)
            await teacher.start()
            await teacher.close()
            return teacher.identity

    async def main() -> None:
        told = [
            await identity("m"),
            await identity("/models/other"),
            await identity(None),
            await identity("m", "n"),
            await identity("m", revision="2"),
        ]
        assert len(set(told)) == 5
        assert await identity("m") == told[0]

    run(main())


def test_when_nobody_answers_the_error_says_where_and_how_to_start_it() -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    said = run(error_of(url))
    assert url in said
    assert "connection refused" in said
    assert "vllm serve m" in said
    assert "base_url" in said


def test_a_wrong_model_name_is_answered_with_what_is_served_and_the_nearest() -> None:
    async def main() -> str:
        async with FaultServer(Plan(model="qwen3-32b")) as server:
            return await error_of(server.url, model="qwen3-23b")

    said = run(main())
    assert "'qwen3-23b'" in said
    assert "did you mean 'qwen3-32b'?" in said


@pytest.mark.parametrize("key", [SECRET, None])
def test_a_refused_key_is_named_by_its_variable_and_never_shown(key: str | None) -> None:
    async def main() -> str:
        async with FaultServer(Plan(key="sk-right")) as server:
            return await error_of(server.url, key=key_of(key), key_name="MY_KEY" if key else None)

    said = run(main())
    assert ("MY_KEY" if key else "api_key_env") in said
    assert SECRET not in said


def test_an_accepted_key_is_in_no_representation_of_the_teacher() -> None:
    async def main() -> None:
        async with FaultServer(Plan(key=SECRET)) as server:
            teacher = OpenAIHttp([server.url], "m", key=key_of(SECRET))
            await teacher.start()
            assert len(await gather(teacher, asked(3))) == 3
            assert SECRET not in repr(teacher) + repr(vars(teacher)) + repr(teacher.stats())
            await teacher.close()

    run(main())


def test_a_key_that_is_refused_midway_ends_every_call_with_that_error() -> None:
    async def main() -> None:
        async with FaultServer(Plan(key=SECRET, latency=0.01)) as server:
            teacher = OpenAIHttp([server.url], "m", key=key_of(SECRET), key_name="MY_KEY", concurrency=4)
            got: list[str] = []

            async def use(start: int) -> None:
                async for key, _ in teacher.complete(asked(500, start)):
                    got.append(key)
                    if len(got) == 20:
                        server.plan = Plan(key="sk-changed")

            ends = await asyncio.gather(use(0), use(500), return_exceptions=True)
            assert all(isinstance(end, UserError) and "MY_KEY" in str(end) for end in ends), ends
            assert len(got) >= 20
            assert teacher.stats().held == 0
            await teacher.close()

    run(main())


def test_a_server_that_lists_no_models_is_accepted() -> None:
    async def main() -> None:
        async with FaultServer(Plan(lists_models=False)) as server:
            teacher = OpenAIHttp([server.url], "m")
            await teacher.start()
            assert teacher.root == ""
            assert len(await gather(teacher, asked(3))) == 3
            await teacher.close()

    run(main())


def test_replicas_with_different_roots_are_not_one_model() -> None:
    async def main() -> str:
        async with FaultServer(Plan(root="/a")) as one, FaultServer(Plan(root="/b")) as other:
            return await error_of(one.url, other.url)

    said = run(main())
    assert "/a" in said
    assert "/b" in said


def test_a_replica_that_is_away_at_the_start_is_used_once_it_is_there() -> None:
    async def main() -> None:
        port = closed_port()
        async with FaultServer(Plan(latency=0.01)) as here:
            teacher = OpenAIHttp([here.url, f"http://127.0.0.1:{port}/v1"], "m", concurrency=8, timeouts=QUICK)
            await teacher.start()
            assert [replica.out for replica in teacher.stats().replicas] == [None, "connection refused"]
            async with FaultServer(Plan(latency=0.01), port) as late:
                while not late.count.paid:
                    await gather(teacher, asked(50))
            await teacher.close()

    run(main())


def test_a_replica_without_the_model_is_left_out_with_the_reason() -> None:
    async def main() -> None:
        async with FaultServer() as right, FaultServer(Plan(model="n")) as wrong:
            teacher = OpenAIHttp([right.url, wrong.url], "m")
            await teacher.start()
            assert len(await gather(teacher, asked(30))) == 30
            assert wrong.count.received == 0
            assert "does not serve 'm'" in str(teacher.stats().replicas[1].out)
            await teacher.close()

    run(main())


def test_a_replica_that_loses_the_model_is_left_out_and_its_requests_go_elsewhere() -> None:
    async def main() -> None:
        async with FaultServer() as right, FaultServer() as wrong:
            teacher = OpenAIHttp([right.url, wrong.url], "m")
            await teacher.start()
            wrong.plan = Plan(knows_model=False)
            found = await gather(teacher, asked(40))
            assert all(reply.failure is None for reply in found.values())
            assert "404" in str(teacher.stats().replicas[1].out)
            await teacher.close()

    run(main())


def test_when_no_replica_has_the_model_any_more_the_error_says_what_is_served() -> None:
    async def main() -> str:
        async with FaultServer() as server:
            teacher = OpenAIHttp([server.url], "m")
            await teacher.start()
            server.plan = Plan(model="qwen3")
            with pytest.raises(UserError) as raised:
                await gather(teacher, asked(5))
            await teacher.close()
            return str(raised.value)

    assert "it serves qwen3" in run(main())


def test_with_a_remembered_root_nobody_is_needed_until_something_must_be_asked() -> None:
    async def main() -> None:
        async with FaultServer(Plan(root="/models/m")) as server:
            teacher = OpenAIHttp([server.url], "m")
            await teacher.start()
            await teacher.close()
        away = OpenAIHttp([server.url], "m", remembered=teacher.root)
        await away.start()
        assert away.identity == teacher.identity
        with pytest.raises(UserError, match="connection refused"):
            await gather(away, asked(1))
        await away.close()

    run(main())


def test_a_server_that_came_back_with_other_weights_than_remembered_is_not_asked() -> None:
    async def main() -> None:
        port = closed_port()
        teacher = OpenAIHttp([f"http://127.0.0.1:{port}"], "m", remembered="/models/old")
        await teacher.start()
        async with FaultServer(Plan(root="/models/new"), port) as server:
            for _ in range(2):
                with pytest.raises(UserError, match="/models/new"):
                    await gather(teacher, asked(3))
            assert server.count.received == 0
        await teacher.close()

    run(main())


def test_a_first_request_that_is_not_understood_is_one_error_with_its_remedy() -> None:
    async def main() -> str:
        async with FaultServer(Plan(first_400="the tokenizer has no chat template")) as server:
            return await error_of(server.url, requests=50)

    said = run(main())
    assert "has no chat template" in said
    assert "--chat-template" in said


def test_after_a_success_a_request_that_is_not_understood_fails_alone() -> None:
    async def main() -> None:
        async with FaultServer() as server:
            teacher = OpenAIHttp([server.url], "m")
            await gather(teacher, asked(1))
            server.plan = Plan(first_400="this row is odd")
            found = await gather(teacher, asked(3, 10))
            assert {reply.failure and reply.failure.kind for reply in found.values()} == {"bad_request"}
            assert server.count.received == 4
            await teacher.close()

    run(main())


def test_a_prompt_that_is_too_long_fails_alone_even_as_the_first() -> None:
    async def main() -> None:
        async with FaultServer(Plan(faults={"too-long": 1.0})) as server:
            teacher = OpenAIHttp([server.url], "m")
            found = await gather(teacher, asked(3))
            assert {reply.failure and reply.failure.kind for reply in found.values()} == {"prompt_too_long"}
            assert server.count.received == 3
            await teacher.close()

    run(main())


@pytest.mark.parametrize(
    ("model", "answers_as"), [("m", "m-2026-01-31"), ("m", "org/m"), ("m", "/models/root"), ("m", "")]
)
def test_an_alias_of_the_model_may_answer(model: str, answers_as: str) -> None:
    async def main() -> None:
        async with FaultServer(Plan(model=model, root="/models/root", answers_as=answers_as)) as server:
            teacher = OpenAIHttp([server.url], model)
            await teacher.start()
            found = await gather(teacher, asked(2))
            assert all(reply.failure is None for reply in found.values())
            await teacher.close()

    run(main())


def test_another_model_that_keeps_answering_is_a_failure_of_that_name() -> None:
    async def main() -> None:
        async with FaultServer(Plan(answers_as="quite-another")) as server:
            teacher = OpenAIHttp([server.url], "m")
            found = await gather(teacher, asked(1))
            assert found["r0"].failure is not None
            assert found["r0"].failure.kind == "wrong_model"
            assert "quite-another" in found["r0"].failure.detail
            assert server.count.received == 5
            await teacher.close()

    run(main())


def test_a_place_is_given_away_only_when_the_next_reply_is_asked_for() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.005)) as server:
            teacher = OpenAIHttp([server.url], "m", concurrency=4)
            replies = teacher.complete(asked(40))
            for taken in range(1, 11):
                await anext(replies)
                await asyncio.sleep(0.03)  # long enough for anything that may be sent
                assert server.count.received == taken - 1 + 4
            await replies.aclose()  # type: ignore[attr-defined]
            assert teacher.stats().held == 0
            await teacher.close()

    run(main())


def test_concurrent_calls_share_the_places() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.01)) as server:
            teacher = OpenAIHttp([server.url], "m", concurrency=6)
            found = await asyncio.gather(*(gather(teacher, asked(30, 100 * i)) for i in range(4)))
            assert sum(map(len, found)) == 120
            assert server.count.peak <= 6
            await teacher.close()

    run(main())


def test_a_call_that_is_left_early_takes_back_what_it_sent() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.02)) as server:
            teacher = OpenAIHttp([server.url], "m", concurrency=8)
            replies = teacher.complete(asked(1000))
            await anext(replies)
            await replies.aclose()  # type: ignore[attr-defined]
            sent = server.count.received
            stats = teacher.stats()
            assert (stats.held, stats.replicas[0].in_flight) == (0, 0)
            await asyncio.sleep(0.1)
            assert server.count.received == sent <= 16
            assert len(await gather(teacher, asked(10))) == 10  # and it can be used again
            await teacher.close()

    run(main())


def test_a_call_whose_reader_is_cancelled_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=5.0)) as server:
            teacher = OpenAIHttp([server.url], "m", concurrency=8)
            reading = asyncio.create_task(gather(teacher, asked(100)))
            while server.count.received < 8:
                await asyncio.sleep(0.005)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert teacher.stats().held == 0
            await teacher.close()
            assert [task for task in asyncio.all_tasks() if "factory" in repr(task.get_coro())] == []

    run(main())


def test_there_are_no_more_tasks_than_places() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.01)) as server:
            teacher = OpenAIHttp([server.url], "m", concurrency=3)
            most = 0
            async for _ in teacher.complete(asked(60)):
                await asyncio.sleep(0.003)
                most = max(most, sum("_answer" in repr(task.get_coro()) for task in asyncio.all_tasks()))
            assert 0 < most <= 3
            await teacher.close()

    run(main())


def test_a_redirect_is_an_error_that_says_where_to() -> None:
    async def main() -> str:
        async def moved(_: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect("https://elsewhere/v1/chat/completions")

        async def empty(_: web.Request) -> web.Response:
            return web.Response(status=404)

        app = web.Application()
        app.router.add_post("/v1/chat/completions", moved)
        app.router.add_get("/v1/models", empty)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            return await error_of(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", requests=3)
        finally:
            await runner.cleanup()

    assert "https://elsewhere/v1/chat/completions" in run(main())


def test_the_wire_carries_what_the_request_says() -> None:
    bodies: list[Any] = []

    async def main() -> None:
        async def chat(request: web.Request) -> web.Response:
            bodies.append(json.loads(await request.read()))
            message = {"role": "assistant", "content": "{}"}
            return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "model": "m"})

        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        teacher = OpenAIHttp([f"http://127.0.0.1:{runner.addresses[0][1]}"], "m")
        schema = {"type": "object"}
        await gather(teacher, asked(1, schema=schema))
        await teacher.close()
        await runner.cleanup()

    run(main())
    assert bodies == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "question 0"}],
            "temperature": 1.0,
            "top_p": 1.0,
            "max_tokens": 16,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "reply", "schema": {"type": "object"}, "strict": True},
            },
        }
    ]
