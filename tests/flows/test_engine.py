from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from factory.errors import FactoryError, UserError


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, with Prefect's home out of the way."""
    pytest.importorskip("prefect")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    import flows.engine

    return flows.engine


class Sent:
    """A task run that does its work when it is asked for the result; `open` counts those that were not."""

    open = 0

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        Sent.open += 1

    def result(self) -> Any:
        Sent.open -= 1
        return self.work()


class Runner:
    """Stands in for the Prefect task: notes what is submitted."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def submit(self, work: Any, *told: Any) -> Sent:
        self.told.append(told)
        return Sent(work.unwrap())


@pytest.fixture
def runner(engine: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Runner:
    stand_in = Runner()
    monkeypatch.setattr(engine, "run_shard", stand_in)
    monkeypatch.setattr(engine.PrefectEngine, "work", lambda self, function, item: function(item))
    monkeypatch.setattr(Sent, "open", 0)
    return stand_in


@pytest.mark.parametrize(("workers", "n"), [(1, 0), (1, 1), (1, 9), (2, 4), (2, 5), (3, 40)])
def test_results_come_in_the_order_of_the_items(engine: ModuleType, runner: Runner, workers: int, n: int) -> None:
    assert list(engine.PrefectEngine(workers).map(str, range(n), "name")) == [str(i) for i in range(n)]
    assert runner.told == [("name", i, n) for i in range(1, n + 1)]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_at_most_two_shards_a_worker_are_in_flight(engine: ModuleType, runner: Runner, workers: int) -> None:
    results: Iterator[str] = engine.PrefectEngine(workers).map(str, range(20), "name")
    in_flight = [Sent.open + 1 for _ in results]  # with the one that was just yielded
    assert max(in_flight) == 2 * workers


def test_an_error_of_a_shard_is_raised_as_it_is(engine: ModuleType, runner: Runner) -> None:
    def refuse(item: int) -> int:
        raise UserError(f"no {item}")

    with pytest.raises(UserError, match="no 0"):
        next(engine.PrefectEngine(2).map(refuse, range(3), "name"))


def test_the_next_call_after_a_dead_worker_gets_a_new_one(engine: ModuleType) -> None:
    with engine.PrefectEngine(1) as made:
        with pytest.raises(BrokenProcessPool):
            made.work(os._exit, 1)
        assert made.work(abs, -3) == 3


def test_a_closed_engine_starts_no_worker(engine: ModuleType) -> None:
    made = engine.PrefectEngine(1)
    made.close()
    with pytest.raises(FactoryError, match="stopped"):
        made.work(abs, -3)


@pytest.mark.parametrize(("error", "again"), [(BrokenProcessPool("gone"), True), (UserError("bad"), False)])
def test_only_a_dead_worker_is_tried_again(engine: ModuleType, error: Exception, again: bool) -> None:
    from prefect.states import Failed

    assert engine.worker_died(None, None, Failed(data=error)) is again
    assert engine.run_shard.retries > 0
    assert engine.run_shard.retry_condition_fn is engine.worker_died
