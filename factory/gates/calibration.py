"""Who judges the judges: gold rows, hidden among the real ones by their form, and what each judge makes of them.

A gold row is asked exactly as a vote on a real row is. A judge whose verdicts on the gold rows are not clearly better
than chance is void: its votes should not be used. The bar is chosen by simulation (benchmarks/judges.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from factory.artifacts.digest import row_rng
from factory.errors import UserError
from factory.gates.judge import APPROACHES, grading, read_points
from factory.gates.rubric import GoldRow, Rubric
from factory.gates.votes import share_change, wilson
from factory.recipes.recipe import Ask, Asking
from factory.teacher.protocol import Reply, Role

BAR = 2 / 3  # of the given verdicts must be right: docs/judge.md has the chances to be wrong about a judge
FEWEST = 1 / 2  # of the gold decisions must get a verdict at all


@dataclass(frozen=True, slots=True)
class Standing:
    """One judge on the gold rows: decisions asked for, verdicts given, how many are right, how many say yes.

    `low` and `high` are the 95 % interval of its accuracy (Wilson). `points` has (right, given) by criterion, where
    those of each skill count as one. `void` says why its votes should not be used, "" when they may.
    """

    judge: str
    decisions: int
    given: int
    right: int
    yes: int
    low: float
    high: float
    points: dict[str, tuple[int, int]]
    void: str = ""

    @property
    def nulls(self) -> int:
        """Return how many decisions got no verdict."""
        return self.decisions - self.given

    @property
    def accuracy(self) -> float | None:
        """Return the share of given verdicts that are right; None when none were given."""
        return _of(self.right, self.given)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the judges did on the gold rows of one rubric."""

    rubric: str
    identity: str
    bar: float
    standings: tuple[Standing, ...]

    @property
    def void(self) -> frozenset[str]:
        """Return the judges whose votes should not be used."""
        return frozenset(standing.judge for standing in self.standings if standing.void)

    def report(self) -> str:
        """Return one line a judge, for people: accuracy with its interval, nulls, the weakest point, void or not."""
        head = f"rubric {self.rubric}, bar {self.bar:.0%}:"
        return "\n".join([head, *(_line(standing) for standing in self.standings)])


def _line(standing: Standing) -> str:
    end = f"; VOID: {standing.void}" if standing.void else ""
    if standing.accuracy is None:
        return f"  {standing.judge}: no verdict on {standing.decisions} decisions{end}"
    said = (
        f"  {standing.judge}: {standing.right} of {standing.given} right, {standing.accuracy:.0%}"
        f" ({standing.low:.0%} to {standing.high:.0%}), {standing.nulls} without a verdict"
    )
    weakest = min(standing.points, key=lambda name: _share(standing.points[name]))
    right, given = standing.points[weakest]
    weak = f", weakest at {weakest} ({right} of {given})" if right < given else ""
    return f"{said}{weak}{end}"


def _share(counts: tuple[int, int]) -> float:
    return counts[0] / counts[1] if counts[1] else 1.0


def calibrate(rubric: Rubric, judges: Sequence[Role], seed: int = 0, bar: float = BAR) -> Asking[Calibration]:
    """Return how each judge does on the gold rows of a rubric, each asked once, in an order of its own.

    A row is the same vote for every judge and in every run, so that none has the easier approach; rows take the
    approaches in turn.
    Void is a judge below the `bar`, or one without a verdict on half of the decisions; a bar of 0 trusts anybody.
    UserError when the rubric has no gold rows, or they are all of one verdict, so that nobody could fail.
    """
    _check_gold(rubric)
    asked = [(judge, row) for judge in judges for row in gold_order(rubric, judge, seed)]
    replies = yield [_asking(rubric, row, judge) for judge, row in asked]
    heard = list(zip(asked, replies, strict=True))
    standings = (
        _standing(rubric, judge, [(r, reply) for (j, r), reply in heard if j == judge], bar) for judge in judges
    )
    return Calibration(f"{rubric.name}.v{rubric.version}", rubric.identity, bar, tuple(standings))


def _asking(rubric: Rubric, row: GoldRow, judge: Role) -> Ask:
    vote = rubric.gold.index(row) % APPROACHES
    return grading(rubric.of_gold(row), row.inputs, vote, gold=row, role=judge)


def gold_order(rubric: Rubric, judge: str, seed: int) -> list[GoldRow]:
    """Return the gold rows in the order in which a judge sees them."""
    return row_rng(seed, "calibrate", f"{rubric.name}/{judge}").shuffled(rubric.gold)


def _check_gold(rubric: Rubric) -> None:
    verdicts = {verdict for row in rubric.gold for verdict in row.verdicts.values()}
    if len(verdicts) < 2:
        found = "has no gold rows" if not verdicts else "has gold rows of one verdict only"
        raise UserError(
            f"rubric {rubric.name} {found}, so no judge can be judged by it; add rows to 'gold', as many no as yes"
        )


def _standing(rubric: Rubric, judge: str, heard: Sequence[tuple[GoldRow, Reply]], bar: float) -> Standing:
    decisions = yes = 0
    points: dict[str, tuple[int, int]] = {name: (0, 0) for name in _kinds(rubric)}
    for row, reply in heard:
        asked = rubric.of_gold(row)
        for name, vote in zip(asked.names, read_points(asked, reply), strict=True):
            kind = name if name in points or rubric.each is None else rubric.each.name
            right, given = points[kind]
            decisions += 1
            yes += vote is True
            points[kind] = (right + (vote == row.verdicts[name]), given + (vote is not None))
    right, given = (sum(counts) for counts in zip(*points.values(), strict=True))
    low, high = wilson(right, given)
    why = _void(right, given, decisions, bar)
    return Standing(judge, decisions, given, right, yes, low, high, points, why)


def _kinds(rubric: Rubric) -> list[str]:
    return [*([rubric.each.name] if rubric.each else []), *rubric.names]


def _void(right: int, given: int, decisions: int, bar: float) -> str:
    if bar == 0:
        return ""
    if given < FEWEST * decisions:
        return f"only {given} of {decisions} verdicts were given"
    return f"accuracy {right / given:.0%} is below {bar:.0%}" if right < bar * given else ""


# ---------------------------------------------------------------------------------------------------------------- drift


@dataclass(frozen=True, slots=True)
class Change:
    """How a share moved between two runs, with a 99 % interval; `flagged` when the interval leaves out no change."""

    what: str
    now: float | None
    before: float | None
    low: float
    high: float

    @property
    def flagged(self) -> bool:
        """Return whether the change is beyond chance."""
        return self.low > 0 or self.high < 0


def change(what: str, now: tuple[int, int], before: tuple[int, int]) -> Change:
    """Return the change of a share from (hits, n) before to (hits, n) now; it serves real rows as well as gold ones."""
    low, high = share_change(now, before)
    return Change(what, _of(*now), _of(*before), low, high)


def _of(hits: int, n: int) -> float | None:
    return hits / n if n else None


def drift(now: Calibration, before: Calibration) -> tuple[Change, ...]:
    """Return, for each judge of both runs, the change of its accuracy and of the share of gold points it calls met.

    The interval takes the two runs as independent, though they have the same gold rows: it is on the wide side.
    UserError when the rubrics are not the same.
    """
    if now.identity != before.identity:
        raise UserError(
            f"judges cannot be compared across rubrics {before.rubric} and {now.rubric}, whose texts or gold rows"
            " differ: calibrate again by one of them"
        )
    earlier = {standing.judge: standing for standing in before.standings}
    out: list[Change] = []
    for standing in now.standings:
        if (was := earlier.get(standing.judge)) is not None:
            out.append(change(f"{standing.judge}: accuracy", (standing.right, standing.given), (was.right, was.given)))
            out.append(change(f"{standing.judge}: points met", (standing.yes, standing.given), (was.yes, was.given)))
    return tuple(out)
