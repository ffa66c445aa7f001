from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.errors import UserError
from factory.teacher.keeper import Timeouts
from factory.teacher.openai_http import OpenAIHttp
from factory.teacher.outcome import Trouble, read_outcome, retry_after, same_model
from factory.teacher.protocol import CONTENT, TRANSPORT, Reply, Request, Sampling
from tests.fault_server import ALWAYS, FIRST, FaultServer, Plan

T = TypeVar("T")
QUICK = Timeouts(floor=0.25, ceiling=1.0)
FEW = Sampling(max_tokens=16)


def run(work: Coroutine[Any, Any, T], seconds: float = 30.0) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(bounded())


def asked(count: int, start: int = 0) -> dict[str, Request]:
    said = ({"role": "user", "content": f"question {i}"} for i in range(start, start + count))
    return {f"r{i}": Request(messages=(message,), sampling=FEW) for i, message in enumerate(said, start)}


async def gather(teacher: OpenAIHttp, requests: dict[str, Request]) -> dict[str, Reply]:
    found: dict[str, Reply] = {}
    async for key, reply in teacher.complete(requests):
        assert key not in found
        found[key] = reply
    return found


async def ask(plan: Plan, count: int, **options: Any) -> tuple[dict[str, Reply], FaultServer, OpenAIHttp]:
    """What `count` requests get from a server with this plan, the first one answered before (so that it is known)."""
    async with FaultServer(Plan(latency=0.005)) as server:
        teacher = OpenAIHttp([server.url], "m", **{"timeouts": QUICK, **options})
        await gather(teacher, asked(1, 10_000))
        server.plan = plan
        server.count.zero()
        found = await gather(teacher, asked(count))
        await teacher.close()
        return found, server, teacher


def kinds(found: dict[str, Reply]) -> Counter[str]:
    return Counter(reply.failure.kind if reply.failure else "ok" for reply in found.values())


@pytest.mark.parametrize("fault", FIRST)
def test_a_request_that_meets_a_passing_fault_is_answered_by_another_try(fault: str) -> None:
    found, server, _ = run(ask(Plan(latency=0.005, faults={fault: 1.0}, late=0.01, drip=0.02), 6))
    assert kinds(found) == {"ok": 6}
    assert server.count.faults[fault] == 6
    tried_again = 0 if fault in {"late", "drip"} else 6
    assert server.count.received == 6 + tried_again


@pytest.mark.parametrize(
    ("fault", "kind"), [("length", "truncated"), ("refusal", "refused"), ("empty", "empty"), ("bad", "bad_request")]
)
def test_a_fault_of_content_is_a_reply_and_never_asked_again(fault: str, kind: str) -> None:
    found, server, _ = run(ask(Plan(latency=0.005, faults={fault: 1.0}), 5))
    assert kinds(found) == {kind: 5}
    assert server.count.received == 5


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("500", "server_error"), ("reset", "connection"), ("truncated", "garbled"), ("invalid", "garbled")],
)
def test_a_fault_that_stays_ends_as_its_typed_failure_after_five_tries(fault: str, kind: str) -> None:
    found, server, _ = run(ask(Plan(latency=0.005, faults={fault: 1.0}, hits=100), 1))
    assert kinds(found) == {kind: 1}
    assert server.count.received == 5


def test_a_server_that_hangs_is_waited_for_as_long_as_it_usually_takes_and_not_longer() -> None:
    async def main() -> tuple[float, str]:
        plan = Plan(latency=0.005, faults={"hang": 1.0}, hits=1)
        began = time.monotonic()
        found, _, teacher = await ask(plan, 4, timeouts=Timeouts(floor=0.25, ceiling=600.0))
        assert teacher.stats().timeouts == 4
        return time.monotonic() - began, " ".join(kinds(found))

    seconds, kind = run(main())
    assert kind == "ok"
    assert seconds < 20  # not the 600 s of a server that was never measured


def test_requests_sent_before_anything_was_measured_are_judged_by_what_was_measured_since() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.005, faults={"hang": 0.5})) as server:
            teacher = OpenAIHttp([server.url], "m", concurrency=40, timeouts=Timeouts(floor=0.25, ceiling=600.0))
            found = await gather(teacher, asked(40))  # all at once, before the first reply
            assert kinds(found) == {"ok": 40}
            await teacher.close()

    run(main())


@settings(max_examples=8, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*FIRST, *ALWAYS]), st.floats(0.02, 0.2), max_size=6),
    st.integers(1, 12),
    st.sampled_from(["auto", 3, 40]),
)
def test_whatever_goes_wrong_every_id_ends_in_one_reply_or_one_typed_failure(
    faults: dict[str, float], hits: int, concurrency: Any
) -> None:
    async def main() -> None:
        plan = Plan(latency=0.002, faults=faults, hits=min(hits, 2), late=0.01, drip=0.02)
        found, server, teacher = await ask(plan, 60, concurrency=concurrency)
        assert found.keys() == asked(60).keys()
        assert set(kinds(found)) <= {"ok"} | CONTENT | TRANSPORT
        stats = teacher.stats()
        assert (stats.held, [replica.in_flight for replica in stats.replicas]) == (0, [0])
        assert server.count.received <= stats.sent  # one that is given up early may never arrive

    run(main())


def test_retry_after_keeps_everything_from_the_server_until_then() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.005)) as server:
            teacher = OpenAIHttp([server.url], "m", concurrency=4)
            await gather(teacher, asked(1))
            server.plan = Plan(latency=0.005, capacity=0, retry_after="1")
            asking = asyncio.create_task(gather(teacher, asked(30, 100)))
            while server.count.faults["full"] < 1:
                await asyncio.sleep(0.002)
            refused_at = time.monotonic()
            await asyncio.sleep(0.1)  # those that were on their way arrive
            server.plan = Plan(latency=0.005)
            before = server.count.received
            while server.count.received == before:
                await asyncio.sleep(0.002)
            assert time.monotonic() - refused_at >= 0.95
            assert kinds(await asking) == {"ok": 30}
            await teacher.close()

    run(main())


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, 0.0), ("", 0.0), ("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("soon", 0.0), ("nan", 0.0)]
)
def test_a_retry_after_in_seconds_is_read(value: str | None, seconds: float) -> None:
    assert retry_after(value, 0.0) == seconds


def test_a_retry_after_as_a_date_is_read() -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    value = format_datetime(now + timedelta(seconds=90), usegmt=True)
    assert retry_after(value, now.timestamp()) == 90.0
    assert retry_after(value, now.timestamp() + 500) == 0.0


def test_a_server_that_refuses_everything_ends_the_requests_once_patience_is_over() -> None:
    found, server, _ = run(ask(Plan(capacity=0), 30, patience=0.4, concurrency=4))
    assert kinds(found) == {"rate_limited": 30}
    assert server.count.received < 150  # no hot loop


def test_rejections_do_not_count_as_tries() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.005, faults={"429": 1.0}, hits=4)) as server:
            teacher = OpenAIHttp([server.url], "m", concurrency=2)
            found = await gather(teacher, asked(2))
            assert kinds(found) == {"ok": 2}
            assert server.count.received == 10
            await teacher.close()

    run(main())


def test_a_server_beyond_its_capacity_is_used_to_its_capacity() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.02, capacity=8)) as server:
            teacher = OpenAIHttp([server.url], "m")
            await gather(teacher, asked(200))
            assert teacher.stats().replicas[0].limit <= 16
            server.count.zero()
            found = await gather(teacher, asked(400, 1000))
            assert kinds(found) == {"ok": 400}
            assert server.count.faults["full"] <= 40
            assert server.count.peak == 8
            await teacher.close()

    run(main())


def test_a_replica_that_dies_and_comes_back_loses_nothing() -> None:
    async def main() -> None:
        plan = Plan(latency=0.01)
        async with FaultServer(plan) as steady, FaultServer(plan) as mortal:
            teacher = OpenAIHttp([steady.url, mortal.url], "m", concurrency=16, timeouts=QUICK)
            found: dict[str, Reply] = {}
            requests = asked(1200)
            async for key, reply in teacher.complete(requests):
                assert key not in found
                found[key] = reply
                if len(found) == 100:
                    await mortal.down()
                    paid = mortal.count.paid
                if len(found) == 400:
                    await mortal.up()
            assert found.keys() == requests.keys()
            assert kinds(found) == {"ok": 1200}
            assert mortal.count.paid > paid
            assert steady.count.paid + mortal.count.paid <= 1200 + 16
            await teacher.close()

    run(main())


def test_a_server_that_dies_and_comes_back_is_waited_for() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.01)) as server:
            teacher = OpenAIHttp([server.url], "m", concurrency=8, timeouts=QUICK)
            requests = asked(200)
            found: dict[str, Reply] = {}
            back: asyncio.Task[None] | None = None

            async def come_back() -> None:
                await asyncio.sleep(0.7)
                await server.up()

            async for key, reply in teacher.complete(requests):
                found[key] = reply
                if len(found) == 50:
                    await server.down()
                    back = asyncio.create_task(come_back())
            assert back is not None
            await back
            assert kinds(found) == {"ok": 200}
            await teacher.close()

    run(main())


async def until_it_dies(server: FaultServer, teacher: OpenAIHttp) -> tuple[int, UserError]:
    """How many replies were handed over before and after the server went away for good, and how that ended."""
    got = 0
    try:
        async for _ in teacher.complete(asked(500)):
            got += 1
            if got == 50:
                await server.down()
    except UserError as error:
        return got, error
    finally:
        await teacher.close()
    raise AssertionError("it went on without a server")


def test_a_server_that_stays_away_ends_the_run_after_what_came_was_handed_over() -> None:
    async def main() -> tuple[str, int, int]:
        async with FaultServer(Plan(latency=0.01)) as server:
            teacher = OpenAIHttp([server.url], "m", concurrency=8, timeouts=QUICK, patience=0.5)
            got, error = await until_it_dies(server, teacher)
            return str(error), got, server.count.answered

    said, got, answered = run(main())
    assert "has been away for" in said
    assert "run the same command again" in said
    assert got >= answered - 8


def test_reviving_is_asked_for_once_when_nobody_is_left_and_does_not_count_as_waiting() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.01)) as server:
            calls = 0

            async def revive() -> None:
                nonlocal calls
                calls += 1
                await asyncio.sleep(0.8)  # longer than the patience
                await server.up()

            teacher = OpenAIHttp([server.url], "m", concurrency=8, timeouts=QUICK, patience=0.4, revive=revive)
            found: dict[str, Reply] = {}
            async for key, reply in teacher.complete(asked(200)):
                found[key] = reply
                if len(found) == 50:
                    await server.down()
            assert (calls, kinds(found)) == (1, {"ok": 200})
            await teacher.close()

    run(main())


def test_an_error_of_reviving_ends_the_run() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.01)) as server:

            async def revive() -> None:
                raise UserError("it crashed three times")

            teacher = OpenAIHttp([server.url], "m", timeouts=QUICK, revive=revive)
            _, error = await until_it_dies(server, teacher)
            assert "crashed three times" in str(error)

    run(main())


def test_a_slower_replica_gets_less_and_holds_up_nobody() -> None:
    async def main() -> None:
        async with FaultServer(Plan(latency=0.01)) as fast, FaultServer(Plan(latency=0.4)) as slow:
            teacher = OpenAIHttp([fast.url, slow.url], "m", concurrency=8, timeouts=Timeouts(floor=5.0))
            await gather(teacher, asked(100))  # both are known now
            before = slow.count.received
            found = await gather(teacher, asked(400, 1000))
            assert kinds(found) == {"ok": 400}
            assert slow.count.received - before <= 10
            await teacher.close()

    run(main())


@pytest.mark.parametrize(
    ("said", "same"),
    [
        ("gpt-4", True),
        ("", True),
        ("gpt-4-2026-01-31", True),
        ("org/GPT-4", True),
        ("base", True),
        ("gpt-4o", False),
        ("my-gpt-4x", False),
        ("llama", False),
    ],
)
def test_a_snapshot_or_a_prefix_is_the_same_model_and_a_longer_name_is_not(said: str, same: bool) -> None:
    assert same_model(said, "gpt-4", "/models/base") is same


@pytest.mark.parametrize(
    ("status", "raw", "kind"),
    [
        (429, b"slow", "rate_limited"),
        (503, b'{"error": {"message": "loading"}}', "rate_limited"),
        (529, b"", "rate_limited"),
        (500, b"<html>", "server_error"),
        (502, b"", "server_error"),
        (504, b"", "server_error"),
        (408, b"", "timeout"),
        (200, b"", "garbled"),
        (200, b'{"choices": []}', "garbled"),
        (200, b"[1, 2]", "garbled"),
    ],
)
def test_each_trouble_has_its_type(status: int, raw: bytes, kind: str) -> None:
    got = read_outcome(status, raw, {}, 0.1)
    assert isinstance(got, Trouble)
    assert got.kind == kind


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize(
    ("said", "kind"),
    [("maximum context length is 4096 tokens", "prompt_too_long"), ("no such field", "bad_request")],
)
def test_a_refused_request_is_a_failure_of_content(status: int, said: str, kind: str) -> None:
    got = read_outcome(status, b'{"error": {"message": "%s"}}' % said.encode(), {}, 0.1)
    assert isinstance(got, Reply)
    assert got.failure is not None
    assert got.failure.kind == kind
    assert said in got.failure.detail
