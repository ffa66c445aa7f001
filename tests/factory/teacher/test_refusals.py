"""What a teacher makes of a server's words when it is refused, for one request or for all."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from aiohttp import web

from factory.errors import UserError
from factory.teacher.keeper import Timeouts
from factory.teacher.openai_http import OpenAIHttp
from factory.teacher.protocol import Reply, Request, Sampling
from tests.fault_server import FaultServer, Plan

T = TypeVar("T")
KEY = "planted-key-of-the-user-4f1d"
LISTED = {"data": [{"id": "m"}]}
TOO_LONG = "This model's maximum context length is 16 tokens."
Answer = Callable[[web.Request], Coroutine[Any, Any, web.Response]]


def run(work: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(30):
            return await work

    return asyncio.run(bounded())


def asked(count: int, start: int = 0) -> dict[str, Request]:
    said = ({"role": "user", "content": f"question {i}"} for i in range(start, start + count))
    return {f"r{i}": Request((message,), sampling=Sampling(max_tokens=16)) for i, message in enumerate(said, start)}


def error(status: int, message: str, **more: Any) -> web.Response:
    return web.json_response({"error": {"message": message, **more}}, status=status)


def reply(text: str) -> web.Response:
    message = {"role": "assistant", "content": text}
    return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "model": "m"})


async def models(_: web.Request) -> web.Response:
    return web.json_response(LISTED)


@asynccontextmanager
async def serving(answer: Answer, listing: Answer = models) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    app.router.add_get("/v1/models", listing)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def ask(answer: Answer, count: int, listing: Answer = models, **options: Any) -> tuple[dict[str, Reply], str]:
    """The replies that came, and the error that ended it, if one did."""
    found: dict[str, Reply] = {}
    async with serving(answer, listing) as url:
        teacher = OpenAIHttp([url], "m", **options)
        try:
            await teacher.start()
            async for key, got in teacher.complete(asked(count)):
                assert key not in found
                found[key] = got
        except UserError as ended:
            return found, str(ended)
        finally:
            await teacher.close()
            assert teacher.stats().held == 0
    return found, ""


def kinds(found: dict[str, Reply]) -> set[str]:
    return {got.failure.kind if got.failure else "ok" for got in found.values()}


# ----------------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("status", [200, 400, 401, 402, 403, 405, 500])
def test_a_server_that_quotes_the_key_hands_it_to_nobody(status: int) -> None:
    async def echo(request: web.Request) -> web.Response:
        said = f"you sent {request.headers['Authorization']}"
        if status == 200:
            return reply(f"{said} and {KEY}")
        return reply("yes") if b"question 0" in await request.read() and status == 400 else error(status, said)

    found, said = run(ask(echo, 3 if status == 400 else 1, key=lambda: KEY, key_name="MY_KEY", concurrency=1))
    told = repr(found) + said
    assert "you sent" in told
    assert KEY not in told
    assert "Bearer ***" in told


def test_a_model_list_that_quotes_the_key_hands_it_to_nobody() -> None:
    async def listing(request: web.Request) -> web.Response:
        return error(401, f"wrong: {request.headers['Authorization']}")

    _, said = run(ask(models, 1, listing, key=lambda: KEY, key_name="MY_KEY"))
    assert "wrong: Bearer ***" in said
    assert KEY not in said


# ------------------------------------------------------------------------------------------------------ credit, rights


@pytest.mark.parametrize("name", ["code", "type"])
@pytest.mark.parametrize("what", ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"])
def test_a_429_about_credit_ends_the_run_at_once_with_the_server_s_words(name: str, what: str) -> None:
    async def spent(_: web.Request) -> web.Response:
        return error(429, "You exceeded your current quota.", **{name: what})

    found, said = run(ask(spent, 5))
    assert found == {}
    assert "You exceeded your current quota." in said
    assert "add credit" in said


def test_a_request_that_was_refused_until_the_patience_ended_carries_the_last_words() -> None:
    async def full(_: web.Request) -> web.Response:
        return error(429, "20 requests a day are free", code="rate_limit_exceeded")

    found, _ = run(ask(full, 4, patience=0.1, concurrency=2, timeouts=Timeouts(floor=0.3)))
    assert kinds(found) == {"rate_limited"}
    assert all(got.failure and "20 requests a day are free" in got.failure.detail for got in found.values())


@pytest.mark.parametrize("at_the_list", [True, False])
def test_a_403_does_not_claim_that_the_key_is_wrong(at_the_list: bool) -> None:
    async def forbidden(_: web.Request) -> web.Response:
        return error(403, "Country, region, or territory not supported")

    _, said = run(ask(forbidden, 1, forbidden if at_the_list else models, key_name="MY_KEY"))
    assert "territory not supported" in said
    assert "may lack the right" in said
    assert "does not serve this place" in said
    assert "refused the API key" not in said


# -------------------------------------------------------------------------------------------------------- model lists


@pytest.mark.parametrize(
    ("response", "listed"),
    [
        ({"text": "<html>hello</html>", "content_type": "text/html"}, False),
        ({"text": "Not Found", "status": 404}, False),
        ({"text": '{"data": [{"id": "m"}]}'}, True),
    ],
)
def test_a_model_list_that_cannot_be_read_is_accepted_and_told(response: dict[str, Any], listed: bool) -> None:
    async def main() -> bool:
        async def listing(_: web.Request) -> web.Response:
            return web.Response(**response)

        async with serving(models, listing) as url:
            teacher = OpenAIHttp([url], "m")
            assert not teacher.listed
            await teacher.start()
            await teacher.close()
            return teacher.listed

    assert run(main()) is listed


def test_a_server_that_answers_with_errors_at_the_start_is_not_said_to_be_silent() -> None:
    async def loading(_: web.Request) -> web.Response:
        return error(503, "the model is being loaded")

    _, said = run(ask(loading, 1, loading))
    assert "answers, but with HTTP 503: the model is being loaded" in said
    assert "nothing answers" not in said


def test_a_server_that_answers_without_choices_is_up_and_is_quoted() -> None:
    async def hollow(_: web.Request) -> web.Response:
        return web.json_response({"choices": []})

    _, said = run(ask(hollow, 8, patience=0.1, timeouts=Timeouts(floor=0.3)))
    assert "answers, but has given no reply of use" in said
    assert "the response has no choices" in said
    assert "start it" not in said


# ----------------------------------------------------------------------------------------------------- prompts too long


@pytest.mark.parametrize("concurrency", [1, 3, "auto"])
@pytest.mark.parametrize("count", [4, 16, 200])
def test_when_every_prompt_is_too_long_the_run_ends_and_no_reply_is_handed_over(count: int, concurrency: Any) -> None:
    async def main() -> tuple[int, list[str], str]:
        async with FaultServer(Plan(faults={"too-long": 1.0})) as server:
            teacher = OpenAIHttp([server.url], "m", concurrency=concurrency)
            got: list[str] = []

            async def read() -> None:
                async for key, _ in teacher.complete(asked(count)):
                    got.append(key)

            with pytest.raises(UserError) as raised:
                await read()
            assert teacher.stats().held == 0
            await teacher.close()
            return server.count.received, got, str(raised.value)

    received, got, said = run(main())
    assert got == []
    assert min(16, count) <= received <= 64
    assert TOO_LONG in said
    assert "--max-model-len" in said
    assert "longer context" in said


@pytest.mark.parametrize("place", [0, 10, 15])
@pytest.mark.parametrize("concurrency", [1, 8, "auto"])
def test_one_prompt_that_fits_among_the_first_makes_the_others_rows(place: int, concurrency: Any) -> None:
    async def mostly(request: web.Request) -> web.Response:
        if f'"question {place}"'.encode() not in await request.read():
            return error(400, TOO_LONG)
        await asyncio.sleep(0.1)  # long after the others were refused
        return reply("yes")

    found, said = run(ask(mostly, 40, concurrency=concurrency))
    assert said == ""
    assert len(found) == 40
    assert [key for key, got in found.items() if got.failure is None] == [f"r{place}"]
    assert kinds(found) == {"ok", "prompt_too_long"}


def test_after_a_success_of_an_earlier_call_long_prompts_are_rows() -> None:
    async def main() -> None:
        async with FaultServer() as server:
            teacher = OpenAIHttp([server.url], "m")
            assert [key async for key, _ in teacher.complete(asked(1))] == ["r0"]
            server.plan = Plan(faults={"too-long": 1.0})
            found = {key: got async for key, got in teacher.complete(asked(30, 10))}
            assert len(found) == 30
            assert kinds(found) == {"prompt_too_long"}
            await teacher.close()

    run(main())


def test_a_success_in_another_call_ends_the_doubt_of_this_one() -> None:
    async def main() -> None:
        turns = itertools.count()

        async def answer(request: web.Request) -> web.Response:
            if b"question 9" in await request.read():
                await asyncio.sleep(0.1)
                return reply("yes")
            await asyncio.sleep(0.3 if next(turns) == 3 else 0)
            return error(400, TOO_LONG)

        async with serving(answer) as url:
            teacher = OpenAIHttp([url], "m")

            async def ask_for(requests: dict[str, Request]) -> dict[str, Reply]:
                return {key: got async for key, got in teacher.complete(requests)}

            short, long = await asyncio.gather(ask_for(asked(1, 9)), ask_for(asked(5, 100)))
            assert (kinds(short), kinds(long), len(long)) == ({"ok"}, {"prompt_too_long"}, 5)
            await teacher.close()

    run(main())


def test_long_prompts_beside_a_failure_of_transport_are_rows() -> None:
    async def answer(request: web.Request) -> web.Response:
        broken = b"question 2" in await request.read()
        return error(500, "it broke") if broken else error(400, TOO_LONG)

    found, said = run(ask(answer, 5, timeouts=Timeouts(floor=0.3)))
    assert said == ""
    assert (len(found), kinds(found)) == (5, {"prompt_too_long", "server_error"})
