"""What a run tells: per stage the rows in, the rows out, the rejects, the time, and whether it was cached."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from factory.artifacts.store import Artifact


@dataclass(slots=True)
class StageReport:
    """The sums of a stage over its shards. `seconds` is wall time between its results."""

    name: str
    rows_in: int = 0
    rows_out: int = 0
    rejects: int = 0
    seconds: float = 0.0
    made: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the stage as `--json` prints it."""
        return {
            "name": self.name,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "rejects": self.rejects,
            "seconds": round(self.seconds, 3),
            "cached": self.made == 0,
        }


class Watcher(Protocol):
    """Somebody who watches a run: a progress bar, or nobody."""

    def stage(self, name: str, total: int) -> None:
        """Say that a stage begins, with the rows it will see."""
        ...

    def advance(self, name: str, rows: int, rejects: int) -> None:
        """Say that a stage finished some rows."""
        ...

    def note(self, name: str, text: str) -> None:
        """Say something about a stage that its rows do not tell, such as tokens a second and money."""
        ...

    def remark(self, text: str) -> None:
        """Say something that takes long or went wrong and was mended, such as an engine that is started."""
        ...


class Nobody:
    """A watcher that looks away."""

    def stage(self, name: str, total: int) -> None:
        """Look away."""

    def advance(self, name: str, rows: int, rejects: int) -> None:
        """Look away."""

    def note(self, name: str, text: str) -> None:
        """Look away."""

    def remark(self, text: str) -> None:
        """Look away."""


@dataclass(slots=True)
class Report:
    """The stages of a run in the order they began."""

    watcher: Watcher = field(default_factory=Nobody)
    stages: dict[str, StageReport] = field(default_factory=dict)

    def begin(self, name: str, total: int) -> None:
        """Open a stage."""
        self.stages.setdefault(name, StageReport(name))
        self.watcher.stage(name, total)

    def add(self, name: str, artifact: Artifact, rows_in: int | None = None, *, watched: bool = True) -> None:
        """Count an artifact to a stage; one whose rows the watcher saw one by one is not told again."""
        entry = self.stages.setdefault(name, StageReport(name))
        entry.rows_in += artifact.rows + artifact.rejects if rows_in is None else rows_in
        entry.rows_out += artifact.rows
        entry.rejects += artifact.rejects
        entry.made += artifact.made
        if watched:
            self.watcher.advance(name, artifact.rows, artifact.rejects)

    @contextmanager
    def timed(self, name: str) -> Iterator[StageReport]:
        """Add the time inside to a stage."""
        entry = self.stages.setdefault(name, StageReport(name))
        start = time.perf_counter()
        try:
            yield entry
        finally:
            entry.seconds += time.perf_counter() - start
