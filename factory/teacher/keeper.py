"""What goes on beside the requests: late ones are ended, servers that are away are looked for, waiting has an end.

One task for all requests: a timer for each would cost more than the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from factory.errors import UserError
from factory.teacher.balance import Balance, Replica
from factory.teacher.served import Served

TICK_SHARE, TICK_LEAST = 1 / 20, 0.02  # of the shortest time-out; seconds

Look = Callable[[Replica], Awaitable[Served]]
Revive = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds after which a request is given up: never below `floor`; `ceiling` until a reply was measured."""

    floor: float = 5.0
    ceiling: float = 600.0


class Keeper:
    """Watches over a balance while requests are under way. `look` returns what a replica says of itself.

    `fail` is told the error when no replica has answered for `patience` seconds. `revive` is awaited once each time no
    replica is left; how long it takes does not count.
    """

    def __init__(
        self,
        balance: Balance,
        look: Look,
        fail: Callable[[BaseException], None],
        patience: float,
        timeouts: Timeouts,
        revive: Revive | None,
    ) -> None:
        self._balance, self._look, self._fail = balance, look, fail
        self._patience, self._timeouts, self._revive = patience, timeouts, revive
        self._watch: asyncio.Task[None] | None = None
        self._looks: dict[Replica, asyncio.Task[None]] = {}
        self._reviving: asyncio.Task[None] | None = None
        self._revived = False

    def begin(self) -> None:
        """Start watching, unless it is being done; time that went by without requests does not count as waiting."""
        if self._watch is None:
            now = asyncio.get_running_loop().time()
            self._balance.refresh(now)
            self._revived = False
            self._watch = self._start(self._keep())

    async def end(self) -> None:
        """Stop watching."""
        ending = [task for task in (self._watch, self._reviving, *self._looks.values()) if task is not None]
        self._watch = self._reviving = None
        self._looks.clear()
        self._balance.rest()
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _keep(self) -> None:
        tick = max(TICK_LEAST, self._timeouts.floor * TICK_SHARE)
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(tick)
            now = loop.time()
            self._end_late(now)
            self._look_for_lost(now)
            self._count_patience(now)
            self._balance.wake()

    def _end_late(self, now: float) -> None:
        floor, ceiling = self._timeouts.floor, self._timeouts.ceiling
        for replica in self._balance.replicas:
            for ticket in replica.tickets:
                if ticket.sent_at and ticket.task and not ticket.overdue:
                    allowed = replica.latency.allowed(ticket.max_tokens, floor, ceiling) * 2**ticket.timeouts
                    if now - ticket.sent_at > allowed:
                        ticket.overdue = True
                        ticket.task.cancel()

    def _look_for_lost(self, now: float) -> None:
        for replica in self._balance.replicas:
            lost = replica.out_since is not None and not replica.gone and now >= replica.out_until
            if lost and replica not in self._looks and self._reviving is None:
                self._looks[replica] = self._start(self._look_at(replica))

    async def _look_at(self, replica: Replica) -> None:
        try:
            said = await self._look(replica)
            if said.away:
                self._balance.take_out(replica, asyncio.get_running_loop().time(), said.away, up=said.up)
            else:
                self._balance.back(replica)
                self._revived = False
        finally:
            self._looks.pop(replica, None)

    def _count_patience(self, now: float) -> None:
        balance = self._balance
        if balance.refused_since is not None and now - balance.refused_since > self._patience:
            balance.give_up()
        if balance.away_since is None:
            self._revived = False
        elif self._revive and not self._revived:
            self._revived = True
            self._reviving = self._start(self._bring_back(self._revive))
        elif self._reviving is None and now - balance.away_since > self._patience:
            self._fail(away_too_long(balance, now - balance.away_since))

    async def _bring_back(self, revive: Revive) -> None:
        try:
            await revive()
            self._balance.refresh(asyncio.get_running_loop().time())
        finally:
            self._reviving = None

    def _start(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        task.add_done_callback(self._check)
        return task

    def _check(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)


def away_too_long(balance: Balance, seconds: float) -> UserError:
    """Return the error for a teacher that nobody answers for any more, or only with what is of no use."""
    told = "; ".join(f"{replica.url} ({replica.reason})" for replica in balance.replicas)
    kept = "and run the same command again; everything answered so far is kept"
    if any(replica.up for replica in balance.replicas):
        return UserError(
            f"the teacher at {told} answers, but has given no reply of use for {seconds:.0f} s: look into the server's"
            f" log, or correct base_url, {kept}"
        )
    return UserError(f"the teacher at {told} has been away for {seconds:.0f} s: start it {kept}")
