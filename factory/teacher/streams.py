"""Streams of replies: closed when their reader leaves, and merged without asking for more than was taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def closing(stream: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Hand out a stream that is closed when the block is left, however it is left."""
    try:
        yield stream
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


class Merge(Generic[T]):
    """Many streams as one, in the order in which their values come; streams can be added while it is read.

    The next value is asked of a stream only when its last one was taken and the reader came back for more: what the
    reader stored before is all that a kill can cost. One task reads a stream from start to end, as time-outs and task
    groups inside a generator need.
    """

    def __init__(self, streams: Iterable[AsyncIterator[T]] = ()) -> None:
        self._ready: asyncio.Queue[tuple[T, asyncio.Event] | asyncio.Task[None]] = asyncio.Queue()
        self._readers: set[asyncio.Task[None]] = set()
        for stream in streams:
            self.add(stream)

    def add(self, stream: AsyncIterator[T]) -> None:
        """Read one more stream."""
        reader = asyncio.create_task(self._read(stream))
        reader.add_done_callback(self._ready.put_nowait)
        self._readers.add(reader)

    async def _read(self, stream: AsyncIterator[T]) -> None:
        go_on = asyncio.Event()
        async with closing(stream):
            async for value in stream:
                self._ready.put_nowait((value, go_on))
                await go_on.wait()
                go_on.clear()

    async def values(self) -> AsyncIterator[T]:
        """Yield every value of every stream; the first error of one ends them all."""
        try:
            while self._readers:
                ready = await self._ready.get()
                if isinstance(ready, asyncio.Task):
                    self._readers.discard(ready)
                    ready.result()
                    continue
                value, go_on = ready
                yield value
                go_on.set()
        finally:
            for reader in self._readers:
                reader.cancel()
            await asyncio.gather(*self._readers, return_exceptions=True)
