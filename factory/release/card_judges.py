"""The part of a card on judges: how each did on gold rows, and what they gave the rows that stayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from factory.release.markdown import table

MOST_POINTS = 20
SHOWS = "shows_"  # a point that there is one of for each skill


def judging(manifest: Mapping[str, Any]) -> str:
    """Return how the judges did on gold rows, and what they gave the rows that stayed."""
    if not manifest["grades"] and not manifest["judging"]:
        return ""
    parts = ["## Judges"]
    if manifest["judging"]:
        rows = [(told["rubric"], *_standing(standing)) for told in manifest["judging"] for standing in told["judges"]]
        head = ("rubric", "judge", "gold rows' verdicts", "right", "95 % interval", "votes")
        parts.append(
            "Before any vote counted, each judge was asked about rows whose verdicts are known, in the same form as"
            f" the real ones:\n\n{table(head, rows)}"
        )
    if manifest["grades"]:
        given = [
            (g["point"], g["rows"], _share(g["mean"]), g["undecided"], _alpha(g["alpha"]))
            for g in _folded(manifest["grades"])[:MOST_POINTS]
        ]
        parts.append(
            "Points of the rows that stayed, by majority of independent votes; a tie, or too few votes, is no verdict"
            " (`lineage` holds every vote). Alpha is Krippendorff's, of the votes over these rows: 1 is agreement, 0"
            " what chance gives, - where all votes are the same, so that nothing can be told:"
            f"\n\n{table(('point', 'rows', 'met', 'no verdict', 'alpha'), given)}"
        )
    return "\n\n".join(parts)


def _share(mean: float | None) -> str:
    return "none" if mean is None else f"{mean:.1%}"


def _alpha(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _folded(grades: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the points, those of single skills together as one line: there are as many as skills."""
    of_skills = [g for g in grades if g["point"].startswith(SHOWS)]
    if len(of_skills) < 2:
        return list(grades)
    rows = sum(g["rows"] for g in of_skills)
    met = sum(g["rows"] * g["mean"] for g in of_skills if g["mean"] is not None)
    name = f"{SHOWS}<skill>, {len(of_skills)} skills"
    one = {"point": name, "rows": rows, "mean": met / rows if rows else None}
    one |= {"undecided": sum(g["undecided"] for g in of_skills), "alpha": None}
    return [one, *(g for g in grades if not g["point"].startswith(SHOWS))]


def _standing(standing: Mapping[str, Any]) -> tuple[Any, ...]:
    given, right = standing["given"], standing["right"]
    share = f"{right} of {given} ({right / given:.0%})" if given else "none"
    interval = f"{standing['low']:.0%} to {standing['high']:.0%}" if given else "-"
    votes = f"void: {standing['void']}" if standing["void"] else "count"
    return standing["judge"], standing["decisions"], share, interval, votes
