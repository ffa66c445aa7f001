from __future__ import annotations

import io
from dataclasses import dataclass

import pytest
from rich.console import Console
from rich.progress import Progress

from factory.cli.progress import PAUSE, Bars, Lines, Tallies, watching


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_wave_adds_its_open_slots_to_what_was_seen() -> None:
    tallies = Tallies(Clock())
    tallies.begin("verify", 100)
    tallies.count("verify", 80, 10)
    assert tallies.begin("verify", 20).total == 110
    assert tallies.count("verify", 20, 0).seen == 110


def test_a_stage_that_never_began_is_as_long_as_what_it_saw() -> None:
    tally = Tallies(Clock()).count("seeds", 40, 2)
    assert (tally.total, tally.seen) == (42, 42)


def test_rate_and_yield_are_told() -> None:
    clock = Clock()
    tallies = Tallies(clock)
    tallies.begin("draw", 1000)
    clock.now += 2
    assert tallies.count("draw", 750, 250).describe(clock.now) == "500 rows/s, yield 75.0%"


def test_lines_come_now_and_then_and_once_for_each_stage_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines(Tallies(clock))
    lines.stage("draw", 300)
    lines.advance("draw", 100, 0)
    clock.now += PAUSE
    lines.advance("draw", 50, 50)
    lines.advance("draw", 100, 0)
    lines.finish()
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.split() for line in told.err.splitlines()] == [
        ["draw", "200", "of", "300", "rows,", "40", "rows/s,", "yield", "75.0%"],
        ["draw", "300", "rows,", "yield", "83.3%"],
    ]


def test_a_bar_is_full_at_the_end_even_where_rows_left_before() -> None:
    progress = Progress(console=Console(file=io.StringIO()))
    bars = Bars(progress, Tallies(Clock()))
    bars.stage("verify", 100)
    bars.advance("verify", 70, 20)
    assert not progress.finished
    bars.finish()
    assert progress.finished
    assert [(task.description, task.completed) for task in progress.tasks] == [("verify", 90)]


def test_a_quiet_watcher_writes_no_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with watching(quiet=True) as watcher:
        watcher.stage("draw", 10)
        watcher.advance("draw", 10, 0)
    assert capsys.readouterr().err == ""
