"""What a run leaves beside its release: how it ended, what it took, what it paid; also when it ended early."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from factory.artifacts.store import write_bytes
from factory.errors import BudgetSpent, QuotaUnmet, UserError, Waiting
from factory.jobs.report import Report

if TYPE_CHECKING:
    from factory.teacher.session import Session

ENDINGS = {Waiting: "waiting", BudgetSpent: "budget spent", QuotaUnmet: "stalled", KeyboardInterrupt: "stopped"}


@dataclass(frozen=True, slots=True)
class Built:
    """What a run left behind."""

    release: Path
    name: str
    version: str
    rows: int
    ending: str
    seconds: float
    stages: list[dict[str, Any]]
    teacher: dict[str, Any] | None = None  # requests, tokens and money: planned, and paid in this run
    judging: dict[str, Any] | None = None  # how the judges did on gold rows, and how that moved since the last run
    curation: dict[str, Any] | None = None  # the figures of a curation, as its manifest has them

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "release": str(self.release),
            "name": self.name,
            "version": self.version,
            "rows": self.rows,
            "ending": self.ending,
            "seconds": round(self.seconds, 3),
            "stages": self.stages,
        } | {name: told for name in ("teacher", "judging", "curation") if (told := getattr(self, name))}


def record_end(  # noqa: PLR0913 - what a record says
    name: str,
    version: str,
    rows: int,
    error: BaseException,
    report: Report,
    spent: Mapping[str, Any] | None = None,
    *,
    since: float,
    out: Path,
) -> None:
    """Write the record of a run that ended early: what it paid must not be forgotten. `since` is a perf_counter."""
    ending = next((told for kind, told in ENDINGS.items() if isinstance(error, kind)), "failed")
    record = {"name": name, "version": version, "rows": rows, "ending": ending}
    record |= {"error": str(error), "seconds": round(time.perf_counter() - since, 3)}
    record |= {"stages": [s.as_json() for s in report.stages.values()]} | ({"teacher": spent} if spent else {})
    write_run_record(name, record, out)


def paid_by(session: Session) -> dict[str, Any]:
    """Return what this run asked and paid, and what it found in the cache, for the run record."""
    spent = session.ledger.snapshot()
    return {
        "requests": spent.requests,
        "prompt_tokens": spent.usage.prompt_tokens,
        "completion_tokens": spent.usage.completion_tokens,
        "usd": round(spent.usd, 6),
        "seconds": round(spent.seconds, 3),
        "failures": dict(spent.failures),
        "from_cache": session.from_cache,
    }


def writable(out: Path) -> Path:
    """Return the outputs root, made if need be; UserError when nothing can be written there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".probe-{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise UserError(f"the outputs folder {out} cannot be written: {why}; choose another with --out DIR") from None
    return out


def write_run_record(name: str, record: Mapping[str, Any], out: Path) -> None:
    """Write what differs from run to run (times, hosts, what was cached) beside the releases, never in them."""
    runs = out / "runs"
    runs.mkdir(exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    write_bytes(runs / f"{stamp}-{name}-{secrets.token_hex(3)}.json", orjson.dumps(record))
