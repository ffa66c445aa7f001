from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.teacher.balance import OUT_LONGEST, Balance, Ticket, backoff
from factory.teacher.limit import START

T = TypeVar("T")
A, B, C = "http://a", "http://b", "http://c"


def run(work: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(20):
            return await work

    return asyncio.run(bounded())


def measure(balance: Balance, **latencies: float) -> None:
    """Let each replica, by its letter, have answered in so many seconds."""
    for replica in balance.replicas:
        if seconds := latencies.get(replica.url[-1]):
            replica.latency.add(seconds)


def where(*tickets: Ticket) -> Counter[str]:
    return Counter(ticket.seat.url for ticket in tickets)


async def take(balance: Balance, count: int) -> list[Ticket]:
    balance.left += count
    return [await balance.enter() for _ in range(count)]


async def cannot_enter(balance: Balance) -> bool:
    balance.left += 1
    waiting = asyncio.create_task(balance.enter())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stuck = not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return stuck


def test_no_more_places_are_given_than_the_concurrency() -> None:
    async def main() -> None:
        balance = Balance([A, B], 3)
        tickets = await take(balance, 3)
        balance.leave(tickets[0])  # its slot, not its place
        assert balance.held == 3
        assert await cannot_enter(balance)
        balance.free()
        await take(balance, 1)

    run(main())


def test_replicas_of_equal_speed_share_the_requests() -> None:
    async def main() -> None:
        balance = Balance([A, B], 10)
        measure(balance, a=1.0, b=1.0)
        assert where(*await take(balance, 10)) == {A: 5, B: 5}

    run(main())


def test_a_replica_forty_times_slower_gets_a_fortieth() -> None:
    async def main() -> None:
        balance = Balance([A, B], 82)
        measure(balance, a=0.2, b=8.0)
        balance.left = 100_000
        assert where(*await take(balance, 82)) == {A: 80, B: 2}

    run(main())


def test_the_last_requests_do_not_go_to_a_replica_that_is_too_slow_for_them() -> None:
    async def main() -> None:
        balance = Balance([A, B], None)
        measure(balance, a=0.2, b=8.0)
        first = await take(balance, START)
        assert where(*first) == {A: START}
        assert await cannot_enter(balance)  # it is worth waiting for the fast one
        balance.left = 10_000
        assert where(await balance.enter()) == {B: 1}

    run(main())


def test_a_replica_that_was_not_measured_yet_counts_as_slow_as_the_age_of_its_oldest_request() -> None:
    async def main() -> None:
        balance = Balance([A, B], 64)
        measure(balance, a=0.2)
        balance.left = 10_000
        ticket = Ticket()
        ticket.sent_at = asyncio.get_running_loop().time() - 8.0
        balance.replicas[1].tickets[ticket] = None
        assert where(*await take(balance, 20)) == {A: 20}

    run(main())


@pytest.mark.parametrize(("slower", "goes_to"), [(4, B), (40, A)])
def test_another_try_goes_elsewhere_unless_that_is_much_slower(slower: int, goes_to: str) -> None:
    async def main() -> None:
        balance = Balance([A, B], 8)
        measure(balance, a=0.01, b=0.01 * slower)
        balance.left = 1000
        (ticket,) = await take(balance, 1)
        assert ticket.seat.url == A
        balance.leave(ticket)
        assert await balance.again(ticket)
        assert ticket.seat.url == goes_to

    run(main())


def test_another_try_goes_to_the_same_replica_when_it_is_the_only_one() -> None:
    async def main() -> None:
        balance = Balance([A, B], 8)
        balance.take_out(balance.replicas[1], 0.0, "away")
        (ticket,) = await take(balance, 1)
        balance.leave(ticket)
        assert await balance.again(ticket)
        assert ticket.seat.url == A

    run(main())


def test_who_was_in_flight_already_goes_first() -> None:
    async def main() -> None:
        balance = Balance([A], None)
        tickets = await take(balance, 16)
        balance.leave(tickets[0])
        balance.leave(tickets[1])
        balance.replicas[0].limit.now = 14
        order: list[str] = []

        async def wait(name: str, work: Coroutine[Any, Any, object]) -> None:
            await work
            order.append(name)

        balance.left += 1
        waiting = [
            asyncio.create_task(wait("new", balance.enter())),
            asyncio.create_task(wait("again", balance.again(tickets[0]))),
        ]
        await asyncio.sleep(0)
        balance.leave(tickets[2])
        await asyncio.sleep(0.01)
        assert order == ["again"]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    run(main())


def test_three_failures_in_a_row_take_a_replica_out_and_a_success_between_them_does_not() -> None:
    balance = Balance([A, B], 8)
    replica = balance.replicas[0]
    for _ in range(2):
        balance.failed(replica, 1.0, "reset", down=False)
    balance.is_well(replica)
    for _ in range(2):
        balance.failed(replica, 1.0, "reset", down=False)
    assert replica.lives
    balance.failed(replica, 1.0, "reset", down=False)
    assert not replica.lives
    assert replica.stats().out == "reset"


def test_a_refused_connection_takes_a_replica_out_at_once_and_each_time_for_twice_as_long() -> None:
    async def main() -> None:
        balance = Balance([A, B], 8)
        replica = balance.replicas[0]
        outs = []
        for _ in range(9):
            balance.failed(replica, 100.0, "connection refused", down=True)
            outs.append(replica.out_until - 100.0)
            balance.back(replica)
        assert outs[:4] == [0.5, 1.0, 2.0, 4.0]
        assert outs[-1] == OUT_LONGEST
        balance.is_well(replica)
        balance.failed(replica, 100.0, "connection refused", down=True)
        assert replica.out_until - 100.0 == 0.5

    run(main())


def test_a_reply_over_an_old_connection_does_not_bring_back_a_replica_that_takes_no_new_ones() -> None:
    balance = Balance([A], 8)
    replica = balance.replicas[0]
    for _ in range(3):
        balance.failed(replica, 1.0, "reset", down=False)
    balance.is_well(replica)
    assert replica.lives
    balance.failed(replica, 1.0, "connection refused", down=True)
    balance.is_well(replica)
    assert not replica.lives
    assert balance.away_since == 1.0


def test_the_requests_still_on_their_way_do_not_prolong_an_outage() -> None:
    balance = Balance([A], 8)
    for at in (1.0, 1.1, 1.2):
        balance.failed(balance.replicas[0], at, "connection refused", down=True)
    assert balance.replicas[0].out_until == 1.5
    assert balance.away_since == 1.0


def test_a_replica_that_asked_to_be_left_alone_gets_nothing_until_then_and_something_after() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        balance = Balance([A], 8)
        (ticket,) = await take(balance, 1)
        until = loop.time() + 0.05
        balance.rejected(ticket, loop.time(), 0.05)
        balance.leave(ticket)
        assert await balance.again(ticket)
        assert loop.time() >= until

    run(main())


def test_a_waiter_that_was_cancelled_as_it_was_served_gives_everything_back() -> None:
    async def main() -> None:
        balance = Balance([A], 1)
        (ticket,) = await take(balance, 1)
        balance.left += 1
        waiting = asyncio.create_task(balance.enter())
        await asyncio.sleep(0)
        balance.leave(ticket)
        balance.free()  # served, but not yet told
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (balance.held, len(balance.replicas[0].tickets), balance.left) == (0, 0, 1)

    run(main())


def test_giving_up_tells_those_who_wait_for_another_try() -> None:
    async def main() -> None:
        balance = Balance([A], 1)
        (ticket,) = await take(balance, 1)
        balance.take_out(balance.replicas[0], 0.0, "away")
        balance.leave(ticket)
        waiting = asyncio.create_task(balance.again(ticket))
        await asyncio.sleep(0)
        balance.give_up()
        assert await waiting is False

    run(main())


class Crowd:
    """Requests that come, wait, leave and try again, in any order."""

    def __init__(self, balance: Balance) -> None:
        self.balance = balance
        self.seated: list[Ticket] = []
        self.placed: list[Ticket] = []
        self.waiting: list[tuple[Ticket | None, asyncio.Task[Any]]] = []

    def enter(self, at: int) -> None:
        self.balance.left += 1
        self.waiting.append((None, asyncio.create_task(self.balance.enter())))

    def leave(self, at: int) -> None:
        if self.seated:
            self.placed.append(self.seated.pop(at % len(self.seated)))
            self.balance.leave(self.placed[-1])

    def again(self, at: int) -> None:
        if self.placed:
            ticket = self.placed.pop(at % len(self.placed))
            self.waiting.append((ticket, asyncio.create_task(self.balance.again(ticket))))

    def free(self, at: int) -> None:
        if self.placed:
            self.placed.pop(at % len(self.placed))
            self.balance.free()

    def out(self, at: int) -> None:
        self.balance.take_out(self.balance.replicas[at % len(self.balance.replicas)], 0.0, "away")

    def back(self, at: int) -> None:
        self.balance.back(self.balance.replicas[at % len(self.balance.replicas)])

    async def settle(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        self.seated += [ticket or task.result() for ticket, task in self.waiting if task.done()]
        self.waiting = [(ticket, task) for ticket, task in self.waiting if not task.done()]

    def inside(self) -> int:
        return len(self.seated) + len(self.placed) + sum(ticket is not None for ticket, _ in self.waiting)


@settings(max_examples=60)
@given(
    st.integers(1, 6),
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from(["enter", "leave", "again", "free", "out", "back"]), st.integers(0, 9))),
)
def test_places_and_slots_add_up_whatever_happens(most: int, replicas: int, steps: list[tuple[str, int]]) -> None:
    async def main() -> None:
        balance = Balance([A, B, C][:replicas], most)
        crowd = Crowd(balance)
        for step, at in steps:
            getattr(crowd, step)(at)
            await crowd.settle()
            assert balance.held == crowd.inside() <= most
            assert sum(len(replica.tickets) for replica in balance.replicas) == len(crowd.seated)
        for _, task in crowd.waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in crowd.waiting), return_exceptions=True)
        assert balance.held == crowd.inside()

    run(main())


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_waits_between_tries_grow_with_jitter_and_have_an_end(count: int) -> None:
    waits = [backoff(1.0, count) for _ in range(50)]
    assert len(set(waits)) > 1
    assert min(0.25 * 2 ** (count - 1), 2.5) <= min(waits)
    assert max(waits) <= min(0.5 * 2 ** (count - 1), 5.0)
