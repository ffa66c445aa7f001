"""A report adds up what it is told and passes it on to whoever watches."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.artifacts.store import Artifact
from factory.jobs.report import Report


def artifact(rows: int, rejects: int, made: bool = True) -> Artifact:
    return Artifact("draw", "k", rows, rejects, "d", Path(), made)


class Diary:
    """A watcher that writes everything down."""

    def __init__(self) -> None:
        self.lines: list[tuple[object, ...]] = []

    def stage(self, name: str, total: int) -> None:
        self.lines.append(("stage", name, total))

    def advance(self, name: str, rows: int, rejects: int) -> None:
        self.lines.append(("advance", name, rows, rejects))


def test_artifacts_of_a_stage_add_up() -> None:
    report = Report()
    report.add("draw", artifact(7, 3))
    report.add("draw", artifact(5, 0, made=False))
    told = report.stages["draw"].as_json()
    assert {k: told[k] for k in ("rows_in", "rows_out", "rejects", "cached")} == {
        "rows_in": 15, "rows_out": 12, "rejects": 3, "cached": False
    }  # fmt: skip


def test_a_stage_that_made_nothing_was_cached() -> None:
    report = Report()
    report.add("draw", artifact(7, 0, made=False))
    assert report.stages["draw"].as_json()["cached"]


def test_the_rows_that_went_in_can_be_said() -> None:
    report = Report()
    report.add("samples", artifact(7, 0), rows_in=20)
    assert report.stages["samples"].rows_in == 20


def test_stages_stand_in_the_order_they_began() -> None:
    report = Report()
    report.begin("plan", 9)
    report.begin("draw", 9)
    report.add("draw", artifact(1, 0))
    report.add("plan", artifact(1, 0))
    assert list(report.stages) == ["plan", "draw"]


def test_a_watcher_hears_of_everything() -> None:
    diary = Diary()
    report = Report(diary)
    report.begin("draw", 10)
    report.add("draw", artifact(7, 3))
    assert diary.lines == [("stage", "draw", 10), ("advance", "draw", 7, 3)]


def test_time_adds_up_even_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1.0, 3.0, 10.0, 10.5])
    monkeypatch.setattr("factory.jobs.report.time.perf_counter", lambda: next(clock))
    report = Report()
    with report.timed("draw"):
        pass
    with pytest.raises(KeyError), report.timed("draw"):
        raise KeyError
    assert report.stages["draw"].seconds == 2.5
