"""A teacher that counts what another is paid for, and stops before a budget is passed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace

from factory.errors import BudgetSpent
from factory.teacher.around import Around
from factory.teacher.ledger import Cost, Ledger, Snapshot
from factory.teacher.model import Budget, Price
from factory.teacher.protocol import Reply, Request, Teacher, Usage, rough_tokens
from factory.teacher.streams import Merge, closing

TEMPLATE = 64  # tokens that a chat template may put around a prompt
HANDFUL = 8  # more is handed over when there is room for an eighth of what is in flight
FIRST = 128  # until it is known, a request is taken to need 1/128 of a budget for GPU-hours


@dataclass(slots=True)
class _Call:
    """The requests of one call: those still to be handed over, and what those in flight have set aside."""

    requests: Mapping[str, Request]
    left: deque[str]
    reserved: dict[str, Cost] = field(default_factory=dict)


class Meter(Around):
    """Counts what `inner` is paid for, and hands it no request that could pass the budget.

    The worst case of a request is set aside before it is handed over, until its reply says what it did cost: all its
    max_tokens, and its prompt by `count` (default: a third of its UTF-8 bytes), corrected upwards by what replies say
    prompts really had. When the next request does not fit, those in flight are awaited and yielded, so that they can
    be kept; then BudgetSpent is raised. Meters with the same ledger add up. GPU-hours are paid for as time passes: of
    that budget, a request in flight sets aside what one has cost on average. A reply that comes without its usage goes
    on with an estimate of it.
    """

    def __init__(
        self,
        inner: Teacher,
        price: Price | None = None,
        budget: Budget | None = None,
        ledger: Ledger | None = None,
        *,
        count: Callable[[Request], int] | None = None,
    ) -> None:
        super().__init__(inner)
        self._budget = budget
        self._ledger = ledger or Ledger()
        self._tally = self._ledger.open_tally(price)
        self._count = count or estimated_prompt_tokens
        self._ratio, self._extra = 1.0, 0

    def snapshot(self) -> Snapshot:
        """Return what this meter has counted until now."""
        return self._tally.snapshot()

    async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield exactly one (id, reply) for each request; BudgetSpent after the last that the budget has room for."""
        call = _Call(requests, deque(requests))
        budget = self._budget
        try:
            async with closing(self._all(call) if budget is None else self._some(call, budget)) as stream:
                async for answered in stream:
                    yield answered
        finally:
            self._let_go(call)

    async def _all(self, call: _Call) -> AsyncIterator[tuple[str, Reply]]:
        """Hand over everything at once."""
        nothing = Cost()
        for id_ in call.requests:
            self._ledger.reserve(nothing)
            call.reserved[id_] = nothing
        self._tally.send(len(call.requests))
        async with closing(self._inner.complete(call.requests)) as stream:
            async for id_, reply in stream:
                counted = with_usage(call.requests[id_], reply)
                self._settle(id_, counted, call)
                yield id_, counted

    async def _some(self, call: _Call, budget: Budget) -> AsyncIterator[tuple[str, Reply]]:
        """Hand over what there is room for, and more as replies make room."""
        merge: Merge[tuple[str, Reply]] = Merge()
        while call.left:
            self._hand_over(call, budget, merge)
            if not call.reserved:
                await self._wait_for_others(call, budget)
            async with closing(merge.values()) as stream:
                async for id_, reply in stream:
                    counted = with_usage(call.requests[id_], reply)
                    self._learn(call.requests[id_], counted)
                    self._settle(id_, counted, call)
                    yield id_, counted
                    self._hand_over(call, budget, merge)
            self._let_go(call)

    def _hand_over(self, call: _Call, budget: Budget, merge: Merge[tuple[str, Reply]]) -> None:
        """Give `inner` the next requests: up to half of the room at once, for other calls want some of it too."""
        if not call.left:
            return
        room = self._room(budget)
        next_, handful = self._worst(call.requests[call.left[0]], budget), 1 + len(call.reserved) // HANDFUL
        batch: dict[str, Request] = {}
        if (next_ * handful).within(room * 0.5):
            share = room * 0.5
            while call.left and (worst := self._worst(call.requests[call.left[0]], budget)).within(share):
                share -= worst
                self._take(call, worst, batch)
        elif not call.reserved and next_.within(room):
            self._take(call, next_, batch)
        if batch:
            self._tally.send(len(batch))
            merge.add(self._inner.complete(batch))

    def _take(self, call: _Call, worst: Cost, batch: dict[str, Request]) -> None:
        id_ = call.left.popleft()
        self._ledger.reserve(worst)
        call.reserved[id_] = worst
        batch[id_] = call.requests[id_]

    def _settle(self, id_: str, reply: Reply, call: _Call) -> None:
        self._tally.receive(reply)
        self._ledger.settle(call.reserved.pop(id_))

    def _let_go(self, call: _Call) -> None:
        """Free what is set aside for requests whose replies will not come, as after an early end."""
        self._tally.lose(len(call.reserved))
        for worst in call.reserved.values():
            self._ledger.settle(worst)
        call.reserved.clear()

    def _room(self, budget: Budget) -> Cost:
        committed = self._ledger.committed
        return Cost(
            math.inf if budget.tokens is None else budget.tokens - committed.tokens,
            math.inf if budget.usd is None else budget.usd - committed.usd,
        )

    def _worst(self, request: Request, budget: Budget) -> Cost:
        """Return the most that a request may cost."""
        prompt = math.ceil(self._count(request) * self._ratio) + self._extra
        completion, tally = request.sampling.max_tokens, self._tally
        if tally.price.gpu_hour and budget.usd:
            usd = tally.usd / tally.requests if tally.requests else budget.usd / FIRST
        else:
            usd = tally.price_of(Usage(prompt, completion))
        return Cost(prompt + completion, usd)

    def _learn(self, request: Request, reply: Reply) -> None:
        """Correct the estimate of prompts: upwards alone, since it must stay above all of them."""
        estimate, found = max(1, self._count(request)), reply.usage.prompt_tokens
        self._ratio = max(self._ratio, (found - TEMPLATE) / estimate)
        self._extra = max(self._extra, min(found - estimate, TEMPLATE))

    async def _wait_for_others(self, call: _Call, budget: Budget) -> None:
        """Return when another call has freed something; BudgetSpent when there is none, so nothing will be freed."""
        if self._ledger.is_idle or not await self._ledger.settling():
            raise BudgetSpent(self._told(call, budget))

    def _told(self, call: _Call, budget: Budget) -> str:
        worsts = [self._worst(call.requests[id_], budget) for id_ in call.left]
        paid = self._ledger.snapshot()
        whole = " and ".join(_amounts(budget.tokens, budget.usd))
        smallest, next_ = min(worsts, key=lambda cost: (cost.tokens, cost.usd)), worsts[0]
        if not smallest.within(Cost(budget.tokens or math.inf, budget.usd or math.inf)):
            return (
                f"the budget of {whole} is smaller than one request: the smallest of the {len(worsts):,} that are left"
                f" may take {_said(smallest, budget)} (its prompt and max_tokens); raise teacher.budget"
            )
        return (
            f"the budget of {whole} has no room for the next request: {paid.requests:,} requests took"
            f" {_said(Cost(paid.usage.tokens, paid.usd), budget)}, the next may take {_said(next_, budget)} (its prompt"
            f" and max_tokens), {len(worsts):,} are left here. Every reply is kept: raise teacher.budget, or run the"
            " same command again to go on with a fresh budget"
        )


def estimated_prompt_tokens(request: Request) -> int:
    """Return a third of a request's UTF-8 bytes, rounded up: more than a tokenizer makes of nearly any text."""
    return max(1, -(-sum(len(text.encode()) for text in request.said) // 3))


def with_usage(request: Request, reply: Reply) -> Reply:
    """Return a reply that says what it took: as it is, or for text without any usage, a token for 4 characters.

    There is at least one token of each, and no more in the reply than max_tokens: the server would have cut it there.
    """
    written = len(reply.text) + len(reply.reasoning or "")
    if reply.usage.tokens or not written:
        return reply
    completion = min(rough_tokens(written), request.sampling.max_tokens)
    return replace(reply, usage=Usage(max(1, rough_tokens(sum(map(len, request.said)))), completion))


def _said(cost: Cost, budget: Budget) -> str:
    """Return a cost in what the budget is of."""
    return " and ".join(_amounts(cost.tokens if budget.tokens else None, cost.usd if budget.usd else None))


def _amounts(tokens: float | None, usd: float | None) -> list[str]:
    said = [] if tokens is None else [f"{tokens:,.0f} tokens"]
    return said if usd is None else [*said, f"{usd:,.4g} USD"]
