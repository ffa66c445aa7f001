"""The engine protocol: `map` a function over shards. Where it runs never changes what comes out."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from factory.cores import cores

In = TypeVar("In")
Out = TypeVar("Out")


class Engine(Protocol):
    """Something that can apply a function to many shards."""

    def map(self, function: Callable[[In], Out], items: Sequence[In], name: str) -> Iterable[Out]:
        """Yield the results in the order of the items; `name` says what the work is."""
        ...


def default_workers() -> int:
    """Return the number of cores this process may use."""
    return cores()


class InProcess:
    """One machine: a pool of worker processes, or this process alone when one worker or one shard is enough.

    Workers are spawned, never forked: Polars' threads do not survive a fork. At most two shards a worker are in flight,
    so memory does not grow with the number of shards.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or default_workers()
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[In], Out], items: Sequence[In], name: str) -> Iterator[Out]:
        """Yield the results in the order of the items."""
        if self.workers == 1 or len(items) == 1:
            yield from map(function, items)
            return
        pool = self._open()
        pending: dict[Future[Out], int] = {}
        done: dict[int, Out] = {}
        to_send, to_yield = 0, 0
        while to_yield < len(items):
            with _interrupt_held():
                while to_send < len(items) and len(pending) < 2 * self.workers:
                    pending[pool.submit(function, items[to_send])] = to_send
                    to_send += 1
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                done[pending.pop(future)] = future.result()
            while to_yield in done:
                yield done.pop(to_yield)
                to_yield += 1

    def _open(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_quiet)
        return self._pool

    def close(self) -> None:
        """Stop the workers; shards that were not done are made again on resume."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _interrupt_held() -> Iterator[None]:
    """Hold Ctrl-C back while workers may start: they inherit that until `_quiet` runs, and leave no tracebacks."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _quiet(*_: Any) -> None:
    """Leave Ctrl-C to the parent, and end with it: a worker never outlives the run it works for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
