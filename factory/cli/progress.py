"""Who watches a run: bars on a terminal, lines elsewhere. Progress goes to stderr, so stdout is free for results."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from factory.cli.console import clean, say
from factory.jobs.report import Nobody, Watcher

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PAUSE = 5.0  # seconds between two lines of a stage that is not finished


@dataclass(slots=True)
class Tally:
    """What a stage has seen so far, over all waves."""

    began: float
    total: int = 0
    rows: int = 0
    rejects: int = 0
    note: str = ""

    @property
    def seen(self) -> int:
        """Return how many rows went in."""
        return self.rows + self.rejects

    @property
    def yield_(self) -> str:
        """Return the share of rows that stayed, in words."""
        return f"{self.rows / self.seen:.1%}" if self.seen else "-"

    def describe(self, now: float) -> str:
        """Return rate and yield in words."""
        rate = f"{self.seen / (now - self.began):,.0f}" if now > self.began else "-"
        return f"{rate} rows/s, yield {self.yield_}{self.note and ', '}{self.note}"


@dataclass(slots=True)
class Tallies:
    """The stages of a run; a wave adds its open slots to a stage's total."""

    clock: Callable[[], float] = time.monotonic
    found: dict[str, Tally] = field(default_factory=dict)

    def begin(self, name: str, total: int) -> Tally:
        """Return the stage's tally with more rows to see; rows that left before they came here are not awaited."""
        tally = self.found.setdefault(name, Tally(self.clock()))
        tally.total = tally.seen + total
        return tally

    def count(self, name: str, rows: int, rejects: int) -> Tally:
        """Return the stage's tally after it saw some rows; stages that never began are as long as what they saw."""
        tally = self.found.setdefault(name, Tally(self.clock()))
        tally.rows += rows
        tally.rejects += rejects
        tally.total = max(tally.total, tally.seen)
        return tally

    def note(self, name: str, text: str) -> Tally:
        """Return the stage's tally with a note."""
        tally = self.found.setdefault(name, Tally(self.clock()))
        tally.note = text
        return tally


@dataclass(slots=True)
class Lines:
    """A watcher that writes a line now and then, and one for each stage at the end."""

    tallies: Tallies = field(default_factory=Tallies)
    last: dict[str, float] = field(default_factory=dict)

    def stage(self, name: str, total: int) -> None:
        """Begin a stage."""
        self.last.setdefault(name, self.tallies.begin(name, total).began)

    def advance(self, name: str, rows: int, rejects: int) -> None:
        """Say how far a stage is, unless it was said a moment ago."""
        tally, now = self.tallies.count(name, rows, rejects), self.tallies.clock()
        if tally.seen and now - self.last.setdefault(name, now) >= PAUSE:
            self.last[name] = now
            say(f"{name:<10} {tally.seen:>11,} of {tally.total:,} rows, {tally.describe(now)}", err=True)

    def note(self, name: str, text: str) -> None:
        """Keep a note for the stage's next line."""
        self.tallies.note(name, text)

    def remark(self, text: str) -> None:
        """Write a line."""
        say(text, err=True)

    def finish(self) -> None:
        """Say what each stage saw."""
        for name, tally in self.tallies.found.items():
            say(f"{name:<10} {tally.seen:>11,} rows, yield {tally.yield_}{tally.note and ', '}{tally.note}", err=True)


@dataclass(slots=True)
class Bars:
    """A watcher with a bar a stage."""

    progress: Progress
    tallies: Tallies = field(default_factory=Tallies)
    tasks: dict[str, TaskID] = field(default_factory=dict)

    def stage(self, name: str, total: int) -> None:
        """Show a stage's bar, or make it longer."""
        self._show(name, self.tallies.begin(name, total))

    def advance(self, name: str, rows: int, rejects: int) -> None:
        """Move a stage's bar."""
        self._show(name, self.tallies.count(name, rows, rejects))

    def note(self, name: str, text: str) -> None:
        """Show a note beside a stage's bar."""
        self._show(name, self.tallies.note(name, text))

    def remark(self, text: str) -> None:
        """Write a line above the bars."""
        self.progress.console.print(clean(text), markup=False, highlight=False)

    def _show(self, name: str, tally: Tally) -> None:
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name, total=tally.total, told="")
        told = tally.describe(self.tallies.clock())
        self.progress.update(self.tasks[name], completed=tally.seen, total=tally.total, told=told)

    def finish(self) -> None:
        """Fill the bars of stages that saw fewer rows than there might have been."""
        for name, tally in self.tallies.found.items():
            self.progress.update(self.tasks[name], completed=tally.seen, total=tally.seen)


@contextmanager
def watching(*, quiet: bool) -> Iterator[Watcher]:
    """Yield the watcher that suits stderr; a quiet one shows bars to a person and writes no lines."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with _bars() as progress:
            bars = Bars(progress)
            yield bars
            bars.finish()
    elif quiet:
        yield Nobody()
    else:
        lines = Lines()
        yield lines
        lines.finish()


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
