"""What a run has paid: tallies of requests, tokens, money and time, and what is set aside for requests in flight."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from factory.teacher.model import Price
from factory.teacher.protocol import Reply, Usage

HOUR = 3600.0  # seconds
PATIENCE = 600.0  # seconds without any reply after which nobody waits any longer for what others have set aside


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens and USD: what was paid, what something may cost, or what there is room for."""

    tokens: float = 0
    usd: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.tokens + other.tokens, self.usd + other.usd)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.tokens - other.tokens, self.usd - other.usd)

    def __mul__(self, times: float) -> Cost:
        return Cost(self.tokens * times, self.usd * times)

    def within(self, room: Cost) -> bool:
        """Return whether there is room for this; nothing fits where nothing is left."""
        return self.tokens <= room.tokens and self.usd <= room.usd and room.tokens > 0 and room.usd > 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was counted. `requests` had a reply or a failure; `seconds` are those with requests in flight."""

    requests: int = 0
    in_flight: int = 0
    usage: Usage = Usage()
    usd: float = 0.0
    seconds: float = 0.0
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def tokens_per_second(self) -> float:
        """Return completion tokens per second; 0 when no second has passed."""
        return self.usage.completion_tokens / self.seconds if self.seconds else 0.0

    def __add__(self, other: Snapshot) -> Snapshot:
        return Snapshot(
            self.requests + other.requests,
            self.in_flight + other.in_flight,
            self.usage + other.usage,
            self.usd + other.usd,
            max(self.seconds, other.seconds),
            dict(Counter(self.failures) + Counter(other.failures)),
        )


class Tally:
    """The counts of one meter. Time passes, and GPU-hours are paid for, while something is in flight."""

    def __init__(self, price: Price | None) -> None:
        self.price = price or Price(input=0, output=0)
        self.requests = 0
        self.in_flight = 0
        self.usage = Usage()
        self.usd = 0.0
        self.seconds = 0.0
        self.failures: Counter[str] = Counter()
        self._until = 0.0  # the moment up to which time is counted

    def send(self, requests: int) -> None:
        """Note that requests are in flight from now on."""
        self.pass_time()
        self.in_flight += requests

    def lose(self, requests: int) -> None:
        """Note that nobody waits for these any longer."""
        self.pass_time()
        self.in_flight -= requests

    def receive(self, reply: Reply) -> None:
        """Count a reply; one that is pending was asked of nobody yet."""
        self.lose(1)
        if reply.failure:
            self.failures[reply.failure.kind] += 1
            if reply.failure.kind == "pending":
                return
        self.requests += 1
        self.usage += reply.usage
        self.usd += self.price_of(reply.usage)

    def price_of(self, usage: Usage) -> float:
        """Return the USD of so many tokens; 0 where GPU-hours are paid for."""
        return self.price.of(usage) or 0.0

    def pass_time(self) -> None:
        """Count the time until now."""
        now = monotonic()
        if self.in_flight:
            passed = now - self._until
            self.seconds += passed
            self.usd += passed / HOUR * (self.price.gpu_hour or 0) * self.price.gpus
        self._until = now

    def snapshot(self) -> Snapshot:
        """Return what was counted until now."""
        self.pass_time()
        return Snapshot(self.requests, self.in_flight, self.usage, self.usd, self.seconds, dict(self.failures))


class Ledger:
    """The tallies of the meters of one run, and what is set aside, so that a budget holds over all of them."""

    def __init__(self) -> None:
        self._tallies: list[Tally] = []
        self._reserved = Cost()
        self._open = 0
        self._settled = asyncio.Event()

    def open_tally(self, price: Price | None) -> Tally:
        """Return a new tally, which is part of the sum from now on."""
        self._tallies.append(Tally(price))
        return self._tallies[-1]

    def snapshot(self) -> Snapshot:
        """Return the sum of all tallies; the seconds are those of the busiest."""
        return sum((tally.snapshot() for tally in self._tallies), Snapshot())

    @property
    def paid(self) -> Cost:
        """Return what was paid until now."""
        for tally in self._tallies:
            tally.pass_time()
        return Cost(sum(tally.usage.tokens for tally in self._tallies), sum(tally.usd for tally in self._tallies))

    @property
    def committed(self) -> Cost:
        """Return what was paid and what is set aside."""
        return self.paid + self._reserved

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is set aside."""
        return not self._open

    def reserve(self, worst: Cost) -> None:
        """Set aside what a request may cost."""
        self._reserved += worst
        self._open += 1

    def settle(self, worst: Cost) -> None:
        """Free what was set aside for a request."""
        self._open -= 1
        self._reserved = self._reserved - worst if self._open else Cost()  # floats that drift start again at zero
        self._settled.set()

    async def settling(self) -> bool:
        """Wait until something is settled; False when nothing was for a long time."""
        self._settled.clear()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True
