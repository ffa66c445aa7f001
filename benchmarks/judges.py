"""Is a bad judge named, a fair one kept, and what do more votes buy: python -m benchmarks.judges.

Simulated judges, through the same code as real ones: the gold rows of every shipped rubric, then rows whose truth is
known, graded with 1, 3 and 5 votes. Prints tables and, as its last line, one JSON object. --plot FILE draws them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from math import comb
from pathlib import Path
from typing import Any, TypeVar

from factory.artifacts.digest import Rng, row_rng
from factory.gates.calibration import BAR, Calibration, calibrate, drift
from factory.gates.judge import grade
from factory.gates.rubric import Rubric, all_rubrics, load_rubric
from factory.gates.votes import krippendorff_alpha
from factory.recipes.recipe import Ask, Grade
from factory.teacher.protocol import Reply, no_reply

T = TypeVar("T")
Verdicts = list[bool] | None  # None: the reply failed
Judge = Callable[[list[bool], Rng], Verdicts]  # what it says of the truth
SEED = 7
ERRORS = (0.05, 0.10, 0.15, 0.20)
VOTES = (1, 3, 5)
BASES = (0.5, 0.9)  # shares of points that are truly met
BARS = (0.60, BAR, 0.70, 0.75)
LOST = 0.2  # share of replies that fail, where some do
NAMED_AT_LEAST, FALSE_AT_MOST, DRIFT_SEEN_AT_LEAST = 0.98, 0.02, 0.80


def erring(error: float) -> Judge:
    """Return a judge that errs at random."""
    return lambda truth, rng: [verdict != rng.chance(error) for verdict in truth]


def lenient(passed: float) -> Judge:
    """Return a judge that lets a share of the faults through and is right otherwise."""
    return lambda truth, rng: [verdict or rng.chance(passed) for verdict in truth]


def always(said: bool) -> Judge:
    """Return a judge that does not read."""
    return lambda truth, rng: [said] * len(truth)


def losing(inner: Judge, share: float) -> Judge:
    """Return a judge of whom a share of the replies fail."""
    return lambda truth, rng: None if rng.chance(share) else inner(truth, rng)


FAIR = {f"{error:.0%} random error": erring(error) for error in ERRORS} | {
    "30% of faults pass": lenient(0.3),
    "10% error, 20% of replies lost": losing(erring(0.10), LOST),
}
BAD = {
    "coin flip": erring(0.5),
    "always yes": always(True),
    "always no": always(False),
    "inverted (10% error)": erring(0.9),
    "right, 90% of replies lost": losing(erring(0.0), 0.9),
}


def reply(ask: Ask, verdicts: Verdicts) -> Reply:
    """Return the reply in which a judge says its verdicts."""
    if verdicts is None:
        return no_reply("unparsable", "simulated")
    said = [{"point": n, "reason": "", "met": met} for n, met in zip(ask.inputs["points"], verdicts, strict=True)]
    return Reply(parsed={"points": said})


def held(talk: Generator[list[Ask], list[Reply], T], answer: Callable[[Ask], Reply]) -> T:
    """Return what a conversation comes to."""
    try:
        asks = next(talk)
        while True:
            asks = talk.send([answer(ask) for ask in asks])
    except StopIteration as end:
        made: T = end.value
        return made


# ---------------------------------------------------------------------------------------------- who is void, by gold


def calibrated(rubric: Rubric, kind: str, judge: Judge, trials: int) -> Calibration:
    """Return how so many judges of one kind do on the gold rows."""

    def answer(ask: Ask) -> Reply:
        rng = row_rng(SEED, "gold", f"{kind}/{ask.role}/{ask.inputs['mark']}")
        return reply(ask, judge([point["met"] for point in ask.example["points"]], rng))

    return held(calibrate(rubric, [f"{kind} {i}" for i in range(trials)]), answer)


def void_share(rubric: Rubric, kind: str, judge: Judge, trials: int) -> float:
    """Return the share of judges of one kind that are found void."""
    return len(calibrated(rubric, kind, judge, trials).void) / trials


def binomial_below(n: int, p: float, bar: float) -> float:
    """Return the chance that fewer than bar * n of n verdicts are right, when each is with probability p."""
    return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1) if k < bar * n)


def bar_table(sizes: Sequence[int]) -> list[tuple[int, float, float, float]]:
    """Return (decisions, bar, chance that a coin is kept, chance that a judge of 20 % error is void): exact."""
    return [(n, bar, 1 - binomial_below(n, 0.5, bar), binomial_below(n, 0.8, bar)) for n in sizes for bar in BARS]


# -------------------------------------------------------------------------------------------------- what votes buy


@dataclass(frozen=True, slots=True)
class Bought:
    """Rows graded with so many votes: errors of the verdicts, decisions without one, agreement of the votes."""

    kind: str
    votes: int
    error: float
    undecided: float
    as_no: float  # the error if a vote that was not given counted as a no
    alpha: float | None


def graded(kind: str, judge: Judge, votes: int, rows: int, base: float, shared: float = 0.0) -> Bought:
    """Return what votes buy; `shared` is the share of decisions on which all votes of the judge err together."""
    rubric = load_rubric("instruction-response")
    inputs = dict.fromkeys(rubric.inputs, "x")
    wrong = missing = wrong_as_no = 0
    every: list[tuple[Grade, ...]] = []
    for row in range(rows):
        rng = row_rng(SEED, "truth", f"{base}/{row}")
        truth = [rng.chance(base) for _ in rubric.names]
        seen = [verdict != rng.chance(shared) for verdict in truth]

        def answer(ask: Ask, seen: list[bool] = seen, row: int = row) -> Reply:
            return reply(ask, judge(seen, row_rng(SEED, "vote", f"{kind}/{row}/{ask.repeat}")))

        grades = held(grade(rubric, inputs, votes), answer)
        every.append(grades)
        for given, verdict in zip(grades, truth, strict=True):
            missing += given.value is None
            wrong += given.value is not None and bool(given.value) != verdict
            wrong_as_no += (2 * sum(vote or 0.0 for vote in given.votes) > votes) != verdict
    n = rows * len(rubric.names)
    points = (krippendorff_alpha([grades[i].votes for grades in every]) for i in range(len(rubric.names)))
    found = [alpha for alpha in points if alpha is not None]
    alpha = sum(found) / len(found) if found else None
    return Bought(kind, votes, wrong / max(n - missing, 1), missing / n, wrong_as_no / n, alpha)


def bought(rows: int) -> list[Bought]:
    """Return what 1, 3 and 5 votes buy of each kind of judge, half of all points being met."""
    kinds = [(f"{error:.0%} random error", erring(error), 0.0) for error in ERRORS]
    kinds.append(("10% error, 20% of replies lost", losing(erring(0.10), LOST), 0.0))
    kinds.append(("10% blind spots", erring(0.0), 0.10))
    return [graded(kind, judge, votes, rows, BASES[0], shared) for kind, judge, shared in kinds for votes in VOTES]


# ------------------------------------------------------------------------------------------------------------- drift


def drift_share(before: Judge, now: Judge, trials: int) -> float:
    """Return the share of judges whose change of accuracy is flagged."""
    rubric = load_rubric("instruction-response")
    earlier, later = calibrated(rubric, "before", before, trials), calibrated(rubric, "now", now, trials)
    flags = [
        change.flagged
        for one, other in zip(later.standings, earlier.standings, strict=True)
        for change in drift(_alone(later, one), _alone(earlier, other))
        if change.what.endswith("accuracy")
    ]
    return sum(flags) / len(flags)


def _alone(calibration: Calibration, standing: Any) -> Calibration:
    """Return a calibration of one judge, called the same in both runs."""
    return replace(calibration, standings=(replace(standing, judge="judge"),))


# ------------------------------------------------------------------------------------------------------------ telling


def tell_void(shares: dict[str, dict[str, float]], sizes: dict[str, int]) -> None:
    """Print how often each kind of judge is found void."""
    print(f"found void at the bar of {BAR:.1%}, by the gold rows of")
    print(f"{'judge':<34}" + "".join(f"{f'{name} ({sizes[name]})':>28}" for name in sizes))
    for kind, by_rubric in shares.items():
        print(f"{kind:<34}" + "".join(f"{by_rubric[name]:>28.1%}" for name in sizes))


def tell_bars(rows: Sequence[tuple[int, float, float, float]]) -> None:
    """Print what other bars would do."""
    print(f"\n{'decisions':>9}{'bar':>8}{'coin kept':>12}{'20% error void':>16}   exact")
    for n, bar, kept, void in rows:
        print(f"{n:>9}{bar:>8.1%}{kept:>12.2%}{void:>16.2%}")


def tell_bought(rows: Sequence[Bought], by_base: dict[str, list[float | None]]) -> None:
    """Print what votes buy, and how alpha depends on how many points are met."""
    print(f"\n{'judge':<34}{'votes':>6}{'wrong':>8}{'undecided':>11}{'wrong if null = no':>20}{'alpha':>8}")
    for row in rows:
        alpha = "-" if row.alpha is None else f"{row.alpha:.2f}"
        print(f"{row.kind:<34}{row.votes:>6}{row.error:>8.1%}{row.undecided:>11.1%}{row.as_no:>20.1%}{alpha:>8}")
    print(f"\n{'alpha of 3 votes, points met':<34}" + "".join(f"{base:>8.0%}" for base in BASES))
    for kind, found in by_base.items():
        print(f"{kind:<34}" + "".join(f"{alpha:>8.2f}" if alpha is not None else f"{'-':>8}" for alpha in found))


def plot(path: Path, shares: dict[str, dict[str, float]], rows: Sequence[Bought]) -> None:
    """Write a picture of both tables."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), constrained_layout=True)
    kinds = list(shares)[::-1]
    worst = [max(shares[kind].values()) if kind in FAIR else min(shares[kind].values()) for kind in kinds]
    left.barh(kinds, worst, color=["#2a7f62" if kind in FAIR else "#b0413e" for kind in kinds])
    left.set(xlim=(0, 1), xlabel="share found void, on the least favourable rubric", title="Who is void")
    for kind in dict.fromkeys(row.kind for row in rows):
        mine = [row for row in rows if row.kind == kind]
        right.plot([row.votes for row in mine], [row.error for row in mine], marker="o", label=kind)
    right.set(xticks=VOTES, ylim=(0, None), xlabel="votes", ylabel="share of verdicts wrong", title="What votes buy")
    right.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def main() -> int:
    """Return the exit code: 0 when everything was measured, whether or not the bars are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judges", description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000, help="judges of each kind")
    parser.add_argument("--rows", type=int, default=2000, help="rows that are graded")
    parser.add_argument("--plot", type=Path, help="a PNG to write")
    given = parser.parse_args()
    start = time.perf_counter()
    rubrics = {rubric.name: rubric for rubric in all_rubrics().values()}
    sizes = {name: sum(len(row.verdicts) for row in rubric.gold) for name, rubric in rubrics.items()}
    shares = {
        kind: {name: void_share(rubric, kind, judge, given.trials) for name, rubric in rubrics.items()}
        for kind, judge in (FAIR | BAD).items()
    }
    rows = bought(given.rows)
    by_base = {
        f"{error:.0%} random error": [graded("base", erring(error), 3, given.rows, base).alpha for base in BASES]
        for error in ERRORS
    }
    drifts = {
        "5% to 5%": drift_share(erring(0.05), erring(0.05), given.trials),
        "20% to 20%": drift_share(erring(0.20), erring(0.20), given.trials),
        "5% to 15%": drift_share(erring(0.05), erring(0.15), given.trials),
        "5% to 30%": drift_share(erring(0.05), erring(0.30), given.trials),
        "5% to coin flip": drift_share(erring(0.05), erring(0.50), given.trials),
    }
    tell_void(shares, sizes)
    tell_bars(bar_table(sorted(set(sizes.values()))))
    tell_bought(rows, by_base)
    print("\nflagged as drift: " + ", ".join(f"{what} {share:.1%}" for what, share in drifts.items()))
    if given.plot:
        plot(given.plot, shares, rows)
    return summarise(shares, rows, drifts, time.perf_counter() - start)


def summarise(
    shares: dict[str, dict[str, float]], rows: Sequence[Bought], drifts: dict[str, float], seconds: float
) -> int:
    """Print the bars and the JSON; return the exit code."""
    single = {row.kind: row.error for row in rows if row.votes == 1}
    random_kinds = [row for row in rows if "random" in row.kind and row.votes > 1]
    bars = {
        "named": {"at_least": NAMED_AT_LEAST, "found": min(min(shares[kind].values()) for kind in BAD)},
        "false_alarms": {"at_most": FALSE_AT_MOST, "found": max(max(shares[kind].values()) for kind in FAIR)},
        "majority_by_single": {"at_most": 0.75, "found": max(row.error / single[row.kind] for row in random_kinds)},
        "false_drift": {"at_most": FALSE_AT_MOST, "found": max(drifts["5% to 5%"], drifts["20% to 20%"])},
        "drift_seen": {"at_least": DRIFT_SEEN_AT_LEAST, "found": drifts["5% to 30%"]},
    }
    for bar in bars.values():
        bar["found"] = round(bar["found"], 4)
    print()
    for name, bar in bars.items():
        sense = "at_least" if "at_least" in bar else "at_most"
        print(f"{name:<20}{sense.replace('_', ' ')} {bar[sense]}, found {bar['found']}")
    ok = all(bar["found"] >= bar.get("at_least", 0) and bar["found"] <= bar.get("at_most", 1) for bar in bars.values())
    summary = {
        "bench": "judges",
        "value": bars["named"]["found"],
        "unit": "chance that a judge that does not judge is named, worst kind and rubric",
        "ratios": {"error of 3 votes by 1, at 10%": _ratio(rows)},
        "bars": bars,
        "ok": ok,
        "seconds": round(seconds, 1),
    }
    print(json.dumps(summary))
    return 0


def _ratio(rows: Sequence[Bought]) -> float:
    found = {row.votes: row.error for row in rows if row.kind == "10% random error"}
    return round(found[3] / found[1], 3)


if __name__ == "__main__":
    sys.exit(main())
