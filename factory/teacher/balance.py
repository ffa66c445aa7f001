"""Replicas of one model and who may ask which of them now: places, limits, health, and a choice by latency.

A request has two things. Its *place* is what bounds the work in flight: taken before it is sent, given back when its
reply was stored. Its *slot* is at one replica, held only while it is on its way there; a request that backs off keeps
its place and has no slot.
"""

from __future__ import annotations

import asyncio
import random
import resource
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory.errors import FactoryError
from factory.teacher.latency import Latency
from factory.teacher.limit import CAP, START, Limit
from factory.teacher.protocol import Reply

MUCH = 8.0  # another try goes to another replica, unless that one is so many times slower
FAILURES = 3  # in a row, of transport: a replica that fails so often is taken out
OUT_FIRST, OUT_LONGEST = 0.5, 30.0  # seconds
SOCKETS, SPARE = 16_384, 128  # the files that a process may open: asked for, and left for others
BACKOFF_LEAST, BACKOFF_FIRST = 0.02, 2.0  # seconds
BACKOFF_LONGEST = 5.0  # seconds; a server that was full must not stay idle for long once it is not


@dataclass(frozen=True, slots=True)
class ReplicaStats:
    """One replica at a moment. `latency` is in seconds; `out` says why nothing is sent there, None when it works."""

    url: str
    in_flight: int
    limit: int
    latency: float
    sent: int
    out: str | None


class Ticket:
    """One request on its way through the balance: the place it holds, and its slot while it has one."""

    __slots__ = ("granted_at", "last", "load", "max_tokens", "overdue", "replica", "sent_at", "task", "timeouts")

    def __init__(self) -> None:
        self.replica: Replica | None = None  # where it holds a slot
        self.last: Replica | None = None  # where it failed last
        self.load = 0
        self.granted_at = 0.0
        self.sent_at = 0.0  # 0: not yet on its way
        self.max_tokens = 0
        self.timeouts = 0
        self.overdue = False
        self.task: asyncio.Task[Reply] | None = None

    @property
    def seat(self) -> Replica:
        """Return the replica where it holds a slot."""
        if self.replica is None:
            raise FactoryError("a request without a slot was to be sent")
        return self.replica

    @property
    def usual(self) -> float:
        """Return the usual latency where it was last."""
        return self.last.latency.smoothed if self.last else 0.0


class Replica:
    """One server of the model: its limit, latency, health, and the requests on their way to it."""

    def __init__(self, url: str, limit: Limit) -> None:
        self.url = url
        self.limit = limit
        self.latency = Latency()
        self.tickets: dict[Ticket, None] = {}
        self.sent = 0
        self.failures = 0  # of transport, in a row
        self.rejections = 0  # in a row with nothing else on its way
        self.paused_until = 0.0
        self.out_since: float | None = None
        self.out_until = 0.0
        self.outs = 0  # in a row
        self.refuses = False  # connections
        self.gone = False
        self.up = False  # it answers, though nothing of use
        self.reason = ""

    @property
    def lives(self) -> bool:
        """Return whether requests may be sent there."""
        return self.out_since is None and not self.gone

    def has_room(self, now: float) -> bool:
        """Return whether one more request may be sent there now."""
        return self.lives and self.paused_until <= now and len(self.tickets) < self.limit.now

    def likely_latency(self, now: float, others: float) -> float:
        """Return the measured latency, else that of the other replicas or the age of the oldest request there."""
        if self.latency.count:
            return self.latency.smoothed
        oldest = next(iter(self.tickets), None)
        return max(others, now - oldest.sent_at if oldest and oldest.sent_at else 0.0)

    def stats(self) -> ReplicaStats:
        """Return what is true of it now."""
        out = None if self.lives else self.reason
        return ReplicaStats(self.url, len(self.tickets), self.limit.now, self.latency.smoothed, self.sent, out)


Waiting = deque[tuple[asyncio.Future[bool], Ticket]]


def backoff(scale: float, count: int) -> float:
    """Return the seconds to wait before try `count` + 1: doubling from half the usual latency, with jitter."""
    first = min(max(scale / 2, BACKOFF_LEAST), BACKOFF_FIRST)
    return min(first * 2.0 ** (count - 1), BACKOFF_LONGEST) * random.uniform(0.5, 1.0)


class Balance:
    """Hands out places and slots over the replicas of a model. All times are of the loop's clock."""

    def __init__(self, urls: Sequence[str], concurrency: int | None) -> None:
        sockets = _sockets()
        self.replicas = tuple(Replica(url, _limit(concurrency, sockets // len(urls))) for url in urls)
        self.held = 0
        self.left = 0  # requests that have no place yet
        self.away_since: float | None = None
        self.refused_since: float | None = None
        self.hopeless = False  # every request was refused for too long
        self._cap = concurrency and min(concurrency, sockets)
        self._retries: Waiting = deque()
        self._new: Waiting = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def live(self) -> Iterator[Replica]:
        """Return the replicas to which requests may be sent."""
        return (replica for replica in self.replicas if replica.lives)

    async def enter(self) -> Ticket:
        """Return a ticket that holds a place and a slot, once there is one of each; just a place when `hopeless`."""
        ticket = Ticket()
        if self._new or self._retries or not self._admit(ticket):
            await self._queue(self._new, ticket)
        return ticket

    async def again(self, ticket: Ticket) -> bool:
        """Give a slot to a ticket that has its place, elsewhere than last time if it can be.

        False when every request was refused for too long, so that waiting is in vain.
        """
        ticket.overdue, ticket.sent_at = False, 0.0
        if self.hopeless:
            return False
        if self._retries or not self._seat(ticket):
            return await self._queue(self._retries, ticket)
        return True

    def leave(self, ticket: Ticket) -> None:
        """Take back the slot of a ticket, if it has one."""
        if ticket.replica is not None:
            del ticket.replica.tickets[ticket]
            ticket.last, ticket.replica = ticket.replica, None
            self.wake()

    def free(self, places: int = 1) -> None:
        """Take back places."""
        self.held -= places
        self.wake()

    def wake(self) -> None:
        """Hand out what is free to those who wait: first to those who were in flight already."""
        while self._retries and (self._retries[0][0].done() or self._seat(self._retries[0][1])):
            _grant(self._retries.popleft()[0], True)
        while self._new and (self._new[0][0].done() or self._admit(self._new[0][1])):
            _grant(self._new.popleft()[0], True)

    def give_up(self) -> None:
        """Tell the requests that wait for a slot that there will be none, until something was answered."""
        self.hopeless = True
        while self._retries:
            _grant(self._retries.popleft()[0], False)
        self.wake()

    def pause(self, replica: Replica, now: float, seconds: float) -> None:
        """Send nothing to a replica for so long."""
        replica.paused_until = max(replica.paused_until, now + seconds)
        self._wake_later(now)

    def failed(self, replica: Replica, now: float, reason: str, *, down: bool, up: bool = False) -> None:
        """Note a failure of transport; a replica that is down or fails too often is taken out for a while.

        `up` means that it answered, though nothing of use.
        """
        replica.failures += 1
        replica.refuses = replica.refuses or down
        if replica.lives and (down or replica.failures >= FAILURES):
            self.take_out(replica, now, reason, up=up)

    def take_out(self, replica: Replica, now: float, reason: str, *, for_good: bool = False, up: bool = False) -> None:
        """Send nothing to a replica until it was seen to answer; each time in a row for twice as long."""
        replica.outs += 1
        replica.reason, replica.gone, replica.up = reason, for_good, up
        replica.out_since = now
        replica.out_until = now + min(OUT_FIRST * 2.0 ** (replica.outs - 1), OUT_LONGEST)
        if self.away_since is None and not any(self.live):
            self.away_since = now

    def back(self, replica: Replica) -> None:
        """Send requests to a replica again."""
        replica.failures = 0  # how long it is out next time is forgotten only when it has done some work
        replica.refuses = False
        replica.out_since = self.away_since = None
        self.wake()

    def answered(self, ticket: Ticket, now: float, seconds: float, tokens: int) -> None:
        """Note the reply to a ticket that still has its slot."""
        replica = ticket.seat
        replica.latency.add(seconds, tokens)
        # From the grant on: where this process is the bottleneck, more slots bring no more either.
        replica.limit.answered(now, ticket.granted_at, now - ticket.granted_at, tokens)
        self.is_well(replica)

    def is_well(self, replica: Replica) -> None:
        """Note that a replica does its work."""
        replica.failures = replica.rejections = replica.outs = 0
        self.refused_since, self.hopeless = None, False
        # One that takes no connections is not back: this reply came over one that it had not cut yet.
        if not replica.refuses:
            replica.out_since = self.away_since = None

    def rejected(self, ticket: Ticket, now: float, wait: float) -> None:
        """Note that a server had no room for a ticket that still has its slot, and wants to be left alone so long."""
        if self.refused_since is None:
            self.refused_since = now
        replica = ticket.seat
        if wait == 0 and len(replica.tickets) == 1:
            replica.rejections += 1  # alone and refused: it is not a matter of how many at once
            wait = backoff(replica.latency.smoothed, replica.rejections)
        replica.limit.rejected(now, ticket.granted_at, ticket.load, wait)
        if wait > 0:
            self.pause(replica, now, wait)

    def refresh(self, now: float) -> None:
        """Begin to count anew how long nobody answered; who is out may be looked for at once."""
        self.refused_since, self.hopeless = None, False
        if self.away_since is not None:
            self.away_since = now
        for replica in self.replicas:
            replica.out_until = min(replica.out_until, now)

    def rest(self) -> None:
        """Let go of the timer; nothing is waiting any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_later(self, now: float) -> None:
        self.rest()
        ahead = [replica.paused_until - now for replica in self.replicas if replica.paused_until > now]
        if ahead:
            self._timer = asyncio.get_running_loop().call_later(min(ahead), self._unpause)

    def _unpause(self) -> None:
        self._wake_later(asyncio.get_running_loop().time())
        self.wake()

    async def _queue(self, queue: Waiting, ticket: Ticket) -> bool:
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiter = (future, ticket)
        queue.append(waiter)
        try:
            return await future
        except asyncio.CancelledError:
            if waiter in queue:
                queue.remove(waiter)
            if queue is self._new and future.done() and not future.cancelled():
                self.held -= 1  # granted and cancelled at once
                self.left += 1
            self.leave(ticket)
            raise

    def _admit(self, ticket: Ticket) -> bool:
        if self.held >= self._room() or not (self.hopeless or self._seat(ticket)):
            return False
        self.held += 1
        self.left -= 1
        return True

    def _room(self) -> int:
        return self._cap or max(1, sum(replica.limit.now for replica in self.replicas if replica.lives))

    def _seat(self, ticket: Ticket) -> bool:
        """Give a ticket a slot at the best replica that has one; False when there is none."""
        now = asyncio.get_running_loop().time()
        replica = self._pick(now, ticket.last)
        if replica is None:
            return False
        replica.tickets[ticket] = None
        ticket.replica, ticket.load, ticket.granted_at = replica, len(replica.tickets), now
        replica.limit.sent(ticket.load)
        return True

    def _pick(self, now: float, avoid: Replica | None) -> Replica | None:
        """Return the replica that should answer soonest: least (in flight + 1) x latency among those with room."""
        if len(self.replicas) == 1:
            return self.replicas[0] if self.replicas[0].has_room(now) else None
        able = [replica for replica in self.replicas if replica.has_room(now)]
        if not able:
            return None
        known = [replica.latency.smoothed for replica in self.replicas if replica.latency.count]
        usual = sum(known) / len(known) if known else 1.0
        latency = {replica: replica.likely_latency(now, usual) for replica in able}
        if avoid in latency:
            able = [other for other in able if other is not avoid and latency[other] < MUCH * latency[avoid]] or [avoid]
        best = min(able, key=lambda replica: (len(replica.tickets) + 1) * latency[replica])
        return None if best is not avoid and self._too_slow(best, now) else best

    def _too_slow(self, replica: Replica, now: float) -> bool:
        """Return whether the others would be done with all that is left before this one has answered one request."""
        others = [other for other in self.live if other is not replica and other.tickets and other.latency.count]
        if not replica.latency.count or not others or any(other.paused_until > now for other in others):
            return False
        rate = sum(len(other.tickets) / max(other.latency.smoothed, 1e-6) for other in others)
        soonest = min(other.latency.smoothed for other in others)
        return replica.latency.smoothed > soonest + (self.left + len(self._retries) + 1) / rate


def _limit(concurrency: int | None, sockets: int) -> Limit:
    if concurrency is None:
        return Limit(START, max(1, min(CAP, sockets)))
    return Limit(concurrency, concurrency, seeks=False)


def _sockets() -> int:
    """Return how many connections this process may have, after it was allowed as many as it can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SOCKETS if hard == resource.RLIM_INFINITY else min(hard, SOCKETS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return SOCKETS if soft == resource.RLIM_INFINITY else max(1, soft - SPARE)


def _grant(future: asyncio.Future[bool], granted: bool) -> None:
    if not future.done():
        future.set_result(granted)
