from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.errors import BudgetSpent, UserError
from factory.teacher import ledger as ledgers
from factory.teacher.batch_file import BatchFile
from factory.teacher.cache import Cache
from factory.teacher.fake import Fake
from factory.teacher.ledger import Cost, Ledger
from factory.teacher.meter import Meter, estimated_prompt_tokens, with_usage
from factory.teacher.model import Budget, Price
from factory.teacher.protocol import Reply, Request, Sampling, Teacher, Usage, no_reply
from factory.teacher.reply_store import ReplyStore
from factory.teacher.streams import closing


def ask(text: str = "abc", max_tokens: int = 9) -> Request:
    return Request(prompt=text, sampling=Sampling(max_tokens=max_tokens))


def many(count: int, **changes: Any) -> dict[str, Request]:
    return {f"id{i}": ask(**changes) for i in range(count)}


async def collect(teacher: Teacher, requests: Mapping[str, Request], into: dict[str, Reply] | None = None) -> int:
    """Read all replies into a dict; an id that comes twice is an error."""
    got = {} if into is None else into
    before = len(got)
    async with asyncio.timeout(20):
        async for id_, reply in teacher.complete(requests):
            assert id_ not in got
            got[id_] = reply
    return len(got) - before


class Engine(Fake):
    """Answers all calls side by side; knows the most in flight, the tokens used, and how many calls overlap."""

    def __init__(self, usage: Callable[[Request], Usage], seconds: float = 0.0) -> None:
        super().__init__()
        self.usage, self.seconds = usage, seconds
        self.in_flight = self.peak = self.overlapping = 0
        self.used = Usage()

    async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        self.calls += 1
        self.overlapping += self.in_flight > 0
        self.asked += requests.values()
        self.in_flight += len(requests)
        self.peak = max(self.peak, self.in_flight)
        for id_, request in requests.items():
            await asyncio.sleep(self.seconds)
            used = self.usage(request)
            self.used += used
            self.in_flight -= 1
            yield id_, Reply(text="a", usage=used)


def worst(request: Request) -> Usage:
    return Usage(estimated_prompt_tokens(request), request.sampling.max_tokens)


def spend(meter: Meter, requests: Mapping[str, Request]) -> tuple[dict[str, Reply], str]:
    """Return the replies, and what BudgetSpent said or ""."""
    got: dict[str, Reply] = {}
    try:
        asyncio.run(collect(meter, requests, got))
    except BudgetSpent as error:
        return got, str(error)
    return got, ""


def test_requests_tokens_failures_and_money_are_counted() -> None:
    replies = iter(
        [
            Reply(text="a", usage=Usage(1_000, 100)),
            Reply(text="a", usage=Usage(2_000, 300)).failed("truncated", "cut"),
            no_reply("timeout", "slow"),
            no_reply("pending", "not asked yet"),
        ]
    )
    meter = Meter(Fake(lambda _: next(replies)), Price(input=2, output=10))
    asyncio.run(collect(meter, many(4)))
    found = meter.snapshot()
    assert found.usage == Usage(3_000, 400)
    assert found.requests == 3
    assert found.failures == {"truncated": 1, "timeout": 1, "pending": 1}
    assert found.usd == pytest.approx(0.006 + 0.004)
    assert found.in_flight == 0


def test_without_a_budget_all_requests_are_handed_over_in_one_call() -> None:
    inner = Fake(lambda _: "a")
    assert asyncio.run(collect(Meter(inner), many(50))) == 50
    assert inner.calls == 1


def test_gpu_hours_are_paid_while_requests_are_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr(ledgers, "monotonic", lambda: now[0])
    tally = Ledger().open_tally(Price(gpu_hour=3.0, gpus=2))
    now[0] += 500
    tally.send(2)
    now[0] += 3_600
    tally.receive(Reply(text="a", usage=Usage(5, 1_800)))
    now[0] += 1_800
    assert tally.snapshot().in_flight == 1
    tally.receive(Reply(text="a", usage=Usage(5, 900)))
    now[0] += 7_200
    found = tally.snapshot()
    assert found.seconds == 5_400
    assert found.usd == pytest.approx(1.5 * 2 * 3.0)
    assert found.tokens_per_second == 0.5


def test_a_snapshot_can_be_taken_while_requests_are_in_flight() -> None:
    meter = Meter(Engine(worst))

    async def run() -> None:
        async with closing(meter.complete(many(3))) as stream:
            await anext(stream)
            assert (meter.snapshot().requests, meter.snapshot().in_flight) == (1, 2)
        assert meter.snapshot().in_flight == 0

    asyncio.run(run())


def test_the_ledger_adds_up_its_meters() -> None:
    ledger = Ledger()
    author = Meter(Engine(lambda _: Usage(1, 2)), Price(input=1, output=1), ledger=ledger)
    judge = Meter(Engine(lambda _: Usage(10, 20)), ledger=ledger)
    asyncio.run(collect(author, many(2)))
    asyncio.run(collect(judge, many(3)))
    assert ledger.snapshot().requests == 5
    assert ledger.snapshot().usage == Usage(32, 64)
    assert ledger.snapshot().usd == pytest.approx(6e-6)


@settings(max_examples=60, deadline=None)
@given(
    budget=st.integers(1, 400),
    sizes=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 40), st.floats(0, 1)), max_size=30),
    calls=st.integers(1, 3),
)
def test_a_budget_of_tokens_is_never_passed_and_everything_paid_is_yielded(
    budget: int, sizes: list[tuple[int, int, float]], calls: int
) -> None:
    requests = {f"{i}": ask(f"{i:03}" + "x" * prompt, most) for i, (prompt, most, _) in enumerate(sizes)}
    shares = {requests[f"{i}"].prompt: share for i, (_, _, share) in enumerate(sizes)}

    def used(request: Request) -> Usage:
        most = worst(request)
        return Usage(most.prompt_tokens, int(most.completion_tokens * shares[request.prompt]))

    engine, shared = Engine(used), Ledger()
    got: dict[str, Reply] = {}
    parts = [{id_: r for id_, r in requests.items() if int(id_) % calls == part} for part in range(calls)]

    async def run() -> list[Any]:
        meters = [Meter(engine, budget=Budget(tokens=budget), ledger=shared) for _ in parts]
        return await asyncio.gather(
            *(collect(m, part, got) for m, part in zip(meters, parts, strict=True)), return_exceptions=True
        )

    ended = asyncio.run(run())
    assert engine.used.tokens <= budget
    assert len(engine.asked) == len(got)
    assert shared.is_idle
    left = [error for error in ended if isinstance(error, BaseException)]
    assert all(isinstance(error, BudgetSpent) for error in left)
    assert bool(left) == (len(got) < len(requests))
    if left:
        missing = (worst(r).tokens for id_, r in requests.items() if id_ not in got)
        assert max(missing) > budget - engine.used.tokens


def test_a_budget_is_used_up_as_far_as_a_request_fits() -> None:
    engine = Engine(worst)
    got, told = spend(Meter(engine, budget=Budget(tokens=105)), many(30))
    assert len(got) == 10
    assert engine.used.tokens == 100
    assert "the budget of 105 tokens has no room for the next request: 10 requests took 100 tokens" in told
    assert "the next may take 10 tokens" in told
    assert "20 are left here" in told
    assert "Every reply is kept: raise teacher.budget, or run the same command again" in told


def test_what_replies_did_not_use_of_their_worst_case_is_spent_on_others() -> None:
    engine = Engine(lambda _: Usage(1, 1))
    got, told = spend(Meter(engine, budget=Budget(tokens=100)), many(40, max_tokens=20))
    assert (len(got), told) == (40, "")


def test_a_budget_keeps_many_requests_in_flight() -> None:
    engine = Engine(lambda _: Usage(1, 1), seconds=0.0001)
    got, told = spend(Meter(engine, budget=Budget(tokens=2_000)), many(500))
    assert (len(got), told) == (500, "")
    assert engine.peak >= 90
    assert engine.overlapping >= engine.calls / 2  # more is handed over before what is in flight has come to its end


def test_a_budget_of_money_holds() -> None:
    engine = Engine(worst)
    price = Price(input=1_000_000, output=2_000_000)
    got, told = spend(Meter(engine, price, Budget(usd=100)), many(30))
    assert len(got) == 100 // (1 + 2 * 9)
    assert "the budget of 100 USD has no room for the next request: 5 requests took 95 USD" in told


def test_both_budgets_hold() -> None:
    price = Price(input=0, output=1_000_000)
    assert len(spend(Meter(Engine(worst), price, Budget(tokens=1_000, usd=27)), many(30))[0]) == 3
    assert len(spend(Meter(Engine(worst), price, Budget(tokens=20, usd=1_000)), many(30))[0]) == 2


def test_a_budget_of_gpu_hours_stops_when_it_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(ledgers, "monotonic", lambda: now[0])

    class Hourly(Engine):
        async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
            async for answered in super().complete(requests):
                now[0] += 36.0
                yield answered

    meter = Meter(Hourly(worst), Price(gpu_hour=10), Budget(usd=20))
    got, told = spend(meter, many(2_000))
    assert 150 <= len(got) <= 200
    assert meter.snapshot().usd <= 20.0 + 1e-6
    assert "has no room for the next request" in told


def test_a_budget_smaller_than_any_request_names_the_smallest() -> None:
    engine = Engine(worst)
    got, told = spend(Meter(engine, budget=Budget(tokens=19)), {"a": ask("x" * 60, 30), "b": ask("x" * 30, 10)})
    assert (got, engine.calls) == ({}, 0)
    assert "the budget of 19 tokens is smaller than one request: the smallest of the 2 that are left" in told
    assert "may take 20 tokens" in told
    assert "raise teacher.budget" in told


def test_author_and_judge_share_one_budget() -> None:
    ledger, budget = Ledger(), Budget(tokens=100)
    author, judge = (Meter(Engine(worst), budget=budget, ledger=ledger) for _ in range(2))
    assert len(spend(author, many(7))[0]) == 7
    got, told = spend(judge, many(7))
    assert len(got) == 3
    assert "10 requests took 100 tokens" in told


def test_a_call_waits_for_what_another_has_reserved() -> None:
    ledger, budget = Ledger(), Budget(tokens=30)
    slow, quick = Engine(lambda _: Usage(1, 1), seconds=0.01), Engine(lambda _: Usage(1, 1))

    async def run() -> list[int]:
        calls = (collect(Meter(e, budget=budget, ledger=ledger), many(4)) for e in (slow, quick))
        return await asyncio.gather(*calls)

    assert asyncio.run(run()) == [4, 4]


def test_a_call_does_not_wait_for_ever_for_what_another_has_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "PATIENCE", 0.01)
    ledger = Ledger()
    ledger.reserve(Cost(95))
    assert (
        "has no room for the next request"
        in spend(Meter(Engine(worst), budget=Budget(tokens=100), ledger=ledger), many(1))[1]
    )


def test_a_stop_loses_no_reply_that_was_paid_for(tmp_path: Any) -> None:
    store, requests = ReplyStore(tmp_path / "replies.sqlite"), {f"id{i}": ask(f"{i:03}") for i in range(25)}
    runs, paid = 0, 0
    while runs < 10:
        runs += 1
        engine = Engine(worst)
        told = ""
        try:
            asyncio.run(collect(Cache(Meter(engine, budget=Budget(tokens=100)), store), requests))
        except BudgetSpent as error:
            told = str(error)
        paid += len(engine.asked)
        if not told:
            break
    store.close()
    assert (runs, paid) == (3, 25)


def test_leaving_early_frees_what_was_reserved() -> None:
    ledger, engine = Ledger(), Engine(worst)
    meter = Meter(engine, budget=Budget(tokens=1_000), ledger=ledger)

    async def run() -> None:
        async with closing(meter.complete(many(20))) as stream:
            await anext(stream)
            assert ledger.committed.tokens > 10
        assert ledger.committed == Cost(10, 0)

    asyncio.run(run())
    assert meter.snapshot().in_flight == 0


@pytest.mark.parametrize("budget", [None, Budget(tokens=1_000)])
def test_the_error_of_the_inner_teacher_goes_through_and_frees_everything(budget: Budget | None) -> None:
    class Dead(Engine):
        async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
            raise UserError("no server")
            yield "", Reply()

    ledger = Ledger()
    with pytest.raises(UserError, match="no server"):
        asyncio.run(collect(Meter(Dead(worst), budget=budget, ledger=ledger), many(5)))
    assert ledger.is_idle


def test_prompts_that_have_more_tokens_than_estimated_raise_the_estimate() -> None:
    long = "x" * 3_000  # estimated at 1,000 tokens, in truth 3,000
    engine = Engine(lambda _: Usage(3_000, 0))
    got, told = spend(Meter(engine, budget=Budget(tokens=12_000)), many(9, text=long, max_tokens=1_000))
    assert engine.used.tokens <= 12_000
    assert len(got) == 3
    assert "the next may take 4,0" in told


def test_tokens_are_counted_by_the_function_that_is_given() -> None:
    engine = Engine(lambda _: Usage(90, 9))
    got, _ = spend(Meter(engine, budget=Budget(tokens=300), count=lambda _: 90), many(9))
    assert len(got) == 3


def test_text_in_other_scripts_is_estimated_by_its_bytes() -> None:
    assert estimated_prompt_tokens(Request(prompt="abcd")) == 2
    assert estimated_prompt_tokens(Request(messages=({"role": "user", "content": "数学"},))) == 2


def test_a_meter_starts_and_closes_its_teacher_and_has_its_name() -> None:
    inner = Fake(model="its name")
    meter = Meter(inner)
    asyncio.run(meter.start())
    asyncio.run(meter.close())
    assert (inner.started, inner.closed) == (True, True)
    assert (meter.model, meter.identity) == ("its name", inner.identity)


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (Reply(text="x" * 9), Usage(3, 3)),
        (Reply(text="x"), Usage(3, 1)),
        (Reply(text="x", reasoning="y" * 8), Usage(3, 3)),
        (Reply(text="x" * 9).failed("truncated", "cut"), Usage(3, 3)),
        (Reply(text="x" * 900), Usage(3, 20)),
        (Reply(text="x" * 9, usage=Usage(7, 1)), Usage(7, 1)),
        (no_reply("timeout", "slow"), Usage()),
        (Reply().failed("empty", "no text"), Usage()),
    ],
)
@pytest.mark.parametrize("budget", [None, Budget(tokens=1_000)])
def test_usage_that_a_server_does_not_tell_is_estimated_from_the_text(
    reply: Reply, wanted: Usage, budget: Budget | None
) -> None:
    meter = Meter(Fake(lambda _: reply), budget=budget)
    got, _ = spend(meter, many(1, text="x" * 12, max_tokens=20))
    assert got["id0"] == replace(reply, usage=wanted)
    assert meter.snapshot().usage == wanted


def test_the_prompt_of_an_estimate_is_all_its_messages() -> None:
    said = ({"role": "system", "content": "x" * 8}, {"role": "user", "content": "x" * 4})
    assert with_usage(Request(messages=said), Reply(text="x")).usage == Usage(3, 1)
    assert with_usage(Request(prompt=""), Reply(text="x")).usage == Usage(1, 1)


@given(budget=st.integers(1, 400), size=st.integers(0, 60), written=st.integers(1, 200))
def test_a_budget_holds_where_no_usage_is_told(budget: int, size: int, written: int) -> None:
    meter = Meter(Fake(lambda _: Reply(text="x" * written)), budget=Budget(tokens=budget))
    got, told = spend(meter, many(30, text="x" * size))
    assert 0 <= meter.snapshot().usage.tokens <= budget
    assert bool(told) == (len(got) < 30)


def test_an_estimate_of_usage_is_what_is_stored(tmp_path: Any) -> None:
    store = ReplyStore(tmp_path / "replies.sqlite")
    asyncio.run(collect(Cache(Meter(Fake(lambda _: Reply(text="x" * 8))), store), many(1)))
    second = Cache(Meter(Fake()), store)
    got: dict[str, Reply] = {}
    asyncio.run(collect(second, many(1), got))
    store.close()
    assert (got["id0"].usage, second.hits) == (Usage(1, 2), 1)


def test_replies_by_hand_are_counted_by_their_text(tmp_path: Any) -> None:
    files = BatchFile(tmp_path, "m")
    request = ask("x" * 8)
    line = {"custom_id": request.key(files.identity), "content": "x" * 20}
    (tmp_path / "by hand.jsonl").write_text(json.dumps(line))
    meter = Meter(files)
    asyncio.run(meter.start())
    asyncio.run(collect(meter, {"a": request}))
    asyncio.run(meter.close())
    assert meter.snapshot().usage == Usage(2, 5)
