"""The engine on one machine: results in the order of the items, whatever finishes first."""

from __future__ import annotations

import math
import operator
import os
import time
from functools import partial

import psutil
import pytest

from factory.jobs.engine import InProcess, default_workers


def test_one_worker_works_in_this_process() -> None:
    seen: list[int] = []
    with InProcess(1) as engine:
        assert list(engine.map(lambda n: seen.append(n) or os.getpid(), [1, 2, 3], "x")) == [os.getpid()] * 3
    assert seen == [1, 2, 3]


def test_one_worker_works_only_as_fast_as_its_results_are_taken() -> None:
    seen: list[int] = []
    results = iter(InProcess(1).map(lambda n: seen.append(n), [1, 2, 3], "x"))
    next(results)
    assert seen == [1]


def test_one_shard_needs_no_other_process() -> None:
    with InProcess(4) as engine:
        assert list(engine.map(lambda _: os.getpid(), ["shard"], "x")) == [os.getpid()]


def test_no_shards_are_no_results() -> None:
    with InProcess(2) as engine:
        assert list(engine.map(math.factorial, [], "x")) == []


def test_results_come_in_the_order_of_the_items_and_the_workers_end_with_the_engine() -> None:
    calls = [partial(time.sleep, 0.3), *(partial(math.factorial, n) for n in range(9))]
    with InProcess(2) as engine:
        assert list(engine.map(operator.call, calls, "x")) == [None, *(math.factorial(n) for n in range(9))]
        assert list(engine.map(math.factorial, [3, 4], "y")) == [6, 24]
        workers = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
        assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    with InProcess(2) as engine, pytest.raises(ValueError, match="not defined for negative"):
        list(engine.map(math.factorial, [1, -1, 2], "x"))


def test_there_is_a_worker_for_each_core_unless_one_says_otherwise() -> None:
    assert InProcess().workers == default_workers() >= 1
    assert InProcess(3).workers == 3
