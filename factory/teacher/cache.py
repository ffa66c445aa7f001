"""A teacher that asks nothing twice: what was answered before comes from the store, the rest is asked and stored.

That holds within a process. Two processes on one store that lack the same reply at the same moment may both ask and pay
for it; the reply that is stored first is the one that both go on with.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from factory.teacher.around import Around
from factory.teacher.protocol import Reply, Request, Teacher
from factory.teacher.reply_store import ReplyStore
from factory.teacher.streams import closing

CHUNK = 500  # keys looked up at once

Flight = asyncio.Future[Reply | None]


@dataclass(slots=True)
class _Asked:
    """The requests of one call that are not stored: ours to ask for, by key, and those that another call asks for."""

    ours: dict[str, list[str]] = field(default_factory=dict)
    theirs: dict[str, Flight] = field(default_factory=dict)


class Cache(Around):
    """Answers from the store, asks `inner` for the rest, and stores each reply before it asks for the next.

    A key that is asked for at this moment, by this call or another one on the same store and event loop, is not sent
    again. Failures of content are stored like replies; failures of transport never are. The store is its owner's to
    close. `hits` counts replies that nothing was sent for, `misses` the requests that were sent.
    """

    def __init__(self, inner: Teacher, store: ReplyStore) -> None:
        super().__init__(inner)
        self._store = store
        self.hits = 0
        self.misses = 0

    async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield exactly one (id, reply) for each request: first what is stored, then what comes in."""
        left, decode = requests, self._store.decode
        while left:
            asked = _Asked()
            try:
                for chunk in _chunks(left):
                    for id_, stored in self._look_up(chunk, asked):
                        yield id_, decode(stored)
                    await asyncio.sleep(0)  # a run that is all cached leaves room for others on the loop
                async with closing(self._send(requests, asked)) as stream:
                    async for answered in stream:
                        yield answered
            finally:
                for key in asked.ours:
                    self._store.flights.pop(key).set_result(None)
            left = {}
            for id_, flight in asked.theirs.items():
                await asyncio.wait([flight])  # unlike `await flight`, this does not cancel it when we are cancelled
                reply = flight.result()
                if reply is None:  # the other call was left early; it is ours to ask now
                    left[id_] = requests[id_]
                    continue
                self.hits += 1
                yield id_, reply

    def _look_up(self, requests: Mapping[str, Request], asked: _Asked) -> list[tuple[str, bytes]]:
        """Return (id, encoded reply) of what is stored; the others are in `asked` from now on."""
        identity = self.identity
        keys = [(id_, request.key(identity)) for id_, request in requests.items()]
        found = self._store.find([key for _, key in keys])
        for id_, key in keys:
            if key not in found:
                self._claim(id_, key, asked)
        stored = [(id_, found[key]) for id_, key in keys if key in found]
        self.hits += len(stored)
        return stored

    def _claim(self, id_: str, key: str, asked: _Asked) -> None:
        flights = self._store.flights
        if key in asked.ours:
            asked.ours[key].append(id_)
        elif key in flights:
            asked.theirs[id_] = flights[key]
        else:
            asked.ours[key] = [id_]
            flights[key] = asyncio.get_running_loop().create_future()

    async def _send(self, requests: Mapping[str, Request], asked: _Asked) -> AsyncIterator[tuple[str, Reply]]:
        """Yield the replies to what is ours to ask, each stored before the next one is asked for."""
        if not asked.ours:
            return
        to_send = {key: requests[ids[0]] for key, ids in asked.ours.items()}
        self.misses += len(to_send)
        async with closing(self._inner.complete(to_send)) as stream:
            async for key, reply in stream:
                kept = self._keep(key, to_send[key], reply)
                self._store.flights.pop(key).set_result(kept)
                ids = asked.ours.pop(key)
                self.hits += len(ids) - 1
                for id_ in ids:
                    yield id_, kept

    def _keep(self, key: str, request: Request, reply: Reply) -> Reply:
        if reply.failure is not None and not reply.failure.of_content:
            return reply
        return self._store.put(key, self.model, request, reply)


def _chunks(requests: Mapping[str, Request]) -> Iterator[dict[str, Request]]:
    rest = iter(requests.items())
    while chunk := dict(islice(rest, CHUNK)):
        yield chunk
