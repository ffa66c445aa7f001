"""Who may judge: every judge's gold rows, asked anew for each version of a release, before any vote counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from factory.artifacts.digest import text_digest
from factory.errors import UserError, Waiting
from factory.gates.calibration import Calibration, Standing, calibrate, drift
from factory.gates.rubric import Rubric
from factory.jobs.converse import converse
from factory.jobs.model import Job
from factory.jobs.talk import Judges
from factory.recipes.registry import RECIPES
from factory.teacher.protocol import Role

if TYPE_CHECKING:
    from factory.teacher.session import Session


def rubrics_of(job: Job) -> list[Rubric]:
    """Return the rubrics that the job's recipes judge by, each once."""
    found = [rubric for entry in job.recipes for rubric in RECIPES[entry.recipe].judges_by(entry)]
    return list({rubric.identity: rubric for rubric in found}.values())


@dataclass(frozen=True, slots=True)
class Bench:
    """The judges of a job and how each did on the gold rows of each rubric."""

    judges: Judges
    calibrations: tuple[Calibration, ...] = ()

    def as_json(self) -> list[dict[str, Any]]:
        """Return what manifests and run records keep."""
        return [
            {"rubric": c.rubric, "identity": c.identity, "bar": c.bar, "judges": [asdict(s) for s in c.standings]}
            for c in self.calibrations
        ]


def take_seats(job: Job, session: Session) -> Bench:
    """Return the judges of a job after their gold rows; UserError when the votes of every judge would be void.

    Where batch files are waited for, the judges are pending: authors can be asked in the same files meanwhile.
    """
    again = int(text_digest(f"{job.name} {job.release.version}")[:6], 16)  # a new version asks them anew
    found: tuple[Calibration, ...] = ()
    pending = False
    for rubric in rubrics_of(job):
        try:
            found += (_calibrated(rubric, job, session, again),) if rubric.gold else ()
        except Waiting:
            pending = True
    if pending:
        return Bench(Judges(job.judges, pending=True))
    remedy = "Judge with another model (`judge:` in the job), or set judge_bar: 0 to let these votes count"
    return seated_by(found, job.judges, remedy)


def seated_by(found: tuple[Calibration, ...], roles: tuple[Role, ...], remedy: str) -> Bench:
    """Return the judges after their gold rows; UserError, with the remedy, when the votes of every judge are void."""
    void = frozenset(judge for calibration in found for judge in calibration.void)
    if void.issuperset(roles):
        reports = "\n".join(calibration.report() for calibration in found)
        raise UserError(
            "no judge can be trusted: each failed hidden gold rows, whose verdicts are known, so its votes are void.\n"
            f"{reports}\n{remedy}"
        )
    return Bench(Judges(roles, void), found)


def _calibrated(rubric: Rubric, job: Job, session: Session, again: int) -> Calibration:
    return converse(calibrate(rubric, job.judges, job.seed, job.judge_bar), session, again, flush=False)


def drift_of(bench: Bench, before: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return how each judge moved since an earlier run by the same rubrics, flagged where that is beyond chance."""
    earlier = {told["identity"]: told for told in before}
    out = []
    for now in bench.calibrations:
        if (told := earlier.get(now.identity)) is not None:
            changes = drift(now, _calibration(told))
            out += [{"rubric": now.rubric, **asdict(found), "flagged": found.flagged} for found in changes]
    return out


def _calibration(told: Mapping[str, Any]) -> Calibration:
    standings = [Standing(**{**s, "points": {k: tuple(v) for k, v in s["points"].items()}}) for s in told["judges"]]
    return Calibration(told["rubric"], told["identity"], told["bar"], tuple(standings))


def last_judging(name: str, out: Path) -> list[dict[str, Any]]:
    """Return what the newest run record of a job says of its judges; nothing when none says anything."""
    found = sorted((out / "runs").glob(f"*-{name}-*.json"), key=lambda p: (p.name[:16], p.stat().st_mtime_ns))
    for path in reversed(found):  # the time in a name is to the second
        try:
            told = orjson.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if told.get("name") == name and (judging := told.get("judging")):
            return list(judging["gold_rows"])
    return []
