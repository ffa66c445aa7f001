"""An event loop in a thread of its own: plain code can wait for coroutines, also inside another loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import wait
from typing import Any, TypeVar

T = TypeVar("T")

GLANCE = 0.3  # seconds; Polars' handler of Ctrl-C lets a wait go on, so a long one would sit it out


class Loop:
    """A running event loop; `run` waits for a coroutine from outside. Ctrl-C ends the wait and the coroutine."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="teacher", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return the coroutine's result, or raise its error; interrupted, it returns once everything has ended."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            while not wait([future], timeout=GLANCE).done:
                pass
            return future.result()
        except BaseException:
            if future.cancel():
                self._end()
            raise

    def _end(self) -> None:
        asyncio.run_coroutine_threadsafe(_end_all(), self._loop).result()

    def close(self) -> None:
        """End what still runs, then the loop and its thread."""
        self._end()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
