"""One call of `complete`: every request is given a place, asked in a task of its own, and its reply yielded once.

A reply's place is given back when the consumer asks for the next one. Tasks exist only for requests that have a place,
so a call with 50,000 requests has no more tasks than places.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from typing import Any

from factory.teacher.balance import Balance, Ticket
from factory.teacher.protocol import Reply, Request

Ask = Callable[[Ticket, Request], Coroutine[Any, Any, Reply]]
Doubt = Callable[[str], BaseException]
FEW, ENOUGH = 4, 16  # requests: fewer say nothing against the server; so many prompts found too long say it all


class Call:
    """The requests of one call, on their way; `fail` ends it with an error once what has come was yielded.

    With a `doubt`, nothing shows yet that the server takes any prompt: those that it finds too long are kept back
    until `prove` is called, or all was answered. If there is nothing else, or ENOUGH of them, the call ends with the
    error that `doubt` makes of the server's words. A call of a FEW requests doubts nothing.
    """

    def __init__(self, balance: Balance, requests: Mapping[str, Request], ask: Ask, doubt: Doubt | None = None) -> None:
        self._balance = balance
        self._requests = requests
        self._ask = ask
        self._come: deque[tuple[str, Reply]] = deque()
        self._tasks: dict[asyncio.Task[Reply], tuple[str, Ticket]] = {}
        self._feeder: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._fed = 0
        self._held = 0
        self._closing = False
        self._doubt = doubt if len(requests) >= FEW else None
        self._kept: list[tuple[str, Reply]] = []  # they have no place
        self._placeless: set[str] = set()  # of those that have come
        self._settled = asyncio.Event()

    async def replies(self) -> AsyncGenerator[tuple[str, Reply], None]:
        """Yield each id with its reply, as they come; the first error ends it."""
        self._balance.left += len(self._requests)
        self._feeder = asyncio.create_task(self._feed())
        self._feeder.add_done_callback(self._fed_all)
        try:
            for _ in range(len(self._requests)):
                while not self._come:
                    await self._news()
                key, reply = self._come.popleft()
                yield key, reply
                if key not in self._placeless:
                    self._give_back()
        finally:
            await self._close()

    def fail(self, error: BaseException) -> None:
        """End with this error, after the replies that have come already."""
        self._error = self._error or error
        self._tell()

    def prove(self) -> None:
        """Hand over what was kept back: the server has answered a prompt."""
        if self._doubt is None:
            return
        self._doubt = None
        self._placeless.update(key for key, _ in self._kept)
        self._come.extend(self._kept)
        self._kept.clear()
        self._settled.set()
        self._tell()

    async def _feed(self) -> None:
        for key, request in self._requests.items():
            if self._doubt and len(self._kept) >= ENOUGH:
                await self._settled.wait()
            ticket = await self._balance.enter()
            self._fed += 1
            self._held += 1
            ticket.max_tokens = request.sampling.max_tokens
            task = asyncio.create_task(self._ask(ticket, request))
            ticket.task = task
            self._tasks[task] = key, ticket
            task.add_done_callback(self._answered)

    def _fed_all(self, feeder: asyncio.Task[None]) -> None:
        if not feeder.cancelled() and (error := feeder.exception()):
            self.fail(error)

    def _answered(self, task: asyncio.Task[Reply]) -> None:
        key, ticket = self._tasks.pop(task)
        self._balance.leave(ticket)  # a task that never began, or broke, still has its slot
        if task.cancelled():
            if not self._closing:
                self.fail(asyncio.CancelledError())
        elif error := task.exception():
            self.fail(error)
        else:
            self._take(key, task.result())
            self._judge()

    def _take(self, key: str, reply: Reply) -> None:
        if self._doubt and reply.failure and reply.failure.kind == "prompt_too_long":
            self._kept.append((key, reply))
            self._give_back()
        else:
            self._come.append((key, reply))
            self._tell()

    def _judge(self) -> None:
        """End the doubt once nothing is under way that could, and nothing more is to be sent before."""
        if self._doubt is None or self._tasks or len(self._kept) < ENOUGH and self._fed < len(self._requests):
            return
        if self._kept and len(self._kept) >= min(ENOUGH, len(self._requests)):
            failure = self._kept[-1][1].failure
            self.fail(self._doubt(failure.detail if failure else ""))
        else:
            self.prove()

    def _give_back(self) -> None:
        self._held -= 1
        self._balance.free()

    async def _news(self) -> None:
        if self._error:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _tell(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _close(self) -> None:
        """End what is on its way and give every place back."""
        self._closing = True
        ending = [*self._tasks, *([self._feeder] if self._feeder else [])]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.gather(*ending, return_exceptions=True)
        self._balance.left -= len(self._requests) - self._fed
        self._balance.free(self._held)
