"""The Prefect engine: one task run a shard, so that a run is watched, tagged, limited and retried shard by shard.

Shards are CPU-bound Python, so threads alone would run them one at a time: a task run is a thread that waits for a
spawned worker process of our own. Prefect's ProcessPoolTaskRunner (3.8.8) is no substitute. It retries inside the
worker, so a worker that was killed left the flow hanging; and as each of its workers imports Prefect, a build of
40,000 rows on two cores took 25.9 s and 1,270 MB, where this one takes 22.2 s and 1,000 MB, and no Prefect 22.9 s.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.utilities.annotations import quote

from factory.errors import FactoryError
from factory.jobs.engine import InProcess

In = TypeVar("In")
Out = TypeVar("Out")

RETRIES = 2


def worker_died(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    """Return whether a shard failed because its worker process died; nothing else gets better by trying again."""
    return isinstance(state.data, BrokenProcessPool)


# The store is the cache: Prefect's would key a file by its path and miss that its bytes changed.
@task(
    name="shard",
    task_run_name="{name}, shard {number} of {total}",
    tags={"shard"},
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=RETRIES,
    retry_condition_fn=worker_died,
)
def run_shard(work: Callable[[], Any], name: str, number: int, total: int) -> Any:
    """Return the result of a shard's work."""
    # Work starts worker processes from this thread, and one that Ctrl-C reaches before it is ready leaves a traceback.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    return work()


class PrefectEngine(InProcess):
    """Worker processes on this machine behind one Prefect task run a shard; `map` is called inside a flow.

    At most two shards a worker are in flight. What travels is a function's name and a small dataclass that refers to
    artifacts; frames stay on disk.
    """

    def __init__(self, workers: int | None = None) -> None:
        super().__init__(workers)
        self._lock = threading.Lock()
        self._closed = False

    def map(self, function: Callable[[In], Out], items: Sequence[In], name: str) -> Iterator[Out]:
        """Yield the results in the order of the items; the first error of a shard is raised as it is."""
        sent: deque[PrefectFuture[Out]] = deque()
        for number, item in enumerate(items, 1):
            if len(sent) == 2 * self.workers:
                yield sent.popleft().result()
            work = cast("Callable[[], Out]", quote(partial(self.work, function, item)))
            sent.append(run_shard.submit(work, name, number, len(items)))  # quoted, or Prefect searches it for futures
        while sent:
            yield sent.popleft().result()

    def work(self, function: Callable[[In], Out], item: In) -> Out:
        """Return function(item) from a worker process; BrokenProcessPool when it died, and the next gets a new one."""
        pool = self._current()
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            self._drop(pool)
            raise

    def _current(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._closed:
                raise FactoryError("the run was stopped before this shard was made")
            return self._open()

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None

    def close(self) -> None:
        """Stop the workers; a shard that waits is not made any more."""
        with self._lock:
            self._closed = True
            super().close()

    def __exit__(self, *error: object) -> None:
        self.close()
        if isinstance(error[0], type) and not issubclass(error[0], Exception):
            # Ctrl-C or SIGTERM: the flow would wait for running shards; none can be half, so they end now.
            for worker in multiprocessing.active_children():
                worker.terminate()
