"""Skill-Mix's metrics over graded texts (arXiv 2310.17567): per combination the best of its generations, then the mean.

A point without a verdict is not a 0. Each mark of a text is known as the least and the most that its open points leave
possible; a combination counts in a mean where the two are the same, and the mean says over how many it is taken and
between which values it would lie with all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import stdev
from typing import Any

from factory.gates.skill_points import LIMIT, MARKS, OTHERS, Bounds, Mark, Points
from factory.gates.votes import krippendorff_alpha

Votes = tuple[float | None, ...]
SKILLS = "skills"  # the name that the points of all skills share


@dataclass(frozen=True, slots=True)
class GradedText:
    """One text of a combination of k skills: its points, and the votes on each point (those of a skill as SKILLS).

    `missing` where the student gave no text: all its points are 0.
    """

    k: int
    combination: int
    points: Points
    votes: tuple[tuple[str, Votes], ...] = ()
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over `n` of `of` combinations, with its standard error; `low` and `high` bound the mean over all."""

    value: float | None
    error: float | None
    n: int
    of: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How a student did at one k: its marks, how far the votes agree (Krippendorff's alpha), what has no verdict.

    `alpha` is over all points that judges decide, `alphas` by point; None where it is undefined.
    """

    k: int
    combinations: int
    texts: int
    missing: int
    points: int
    undecided: int
    marks: dict[str, Mean]
    alpha: float | None
    alphas: dict[str, float | None]

    def as_json(self) -> dict[str, Any]:
        """Return the standing as files and `--json` have it."""
        return asdict(self)


def standings(texts: Sequence[GradedText]) -> list[Standing]:
    """Return how the student did at each k, in ascending order."""
    return [standing(k, [text for text in texts if text.k == k]) for k in sorted({text.k for text in texts})]


def standing(k: int, texts: Sequence[GradedText]) -> Standing:
    """Return how the student did on the texts of one k; ValueError without texts."""
    if not texts:
        raise ValueError("a standing needs at least one text")
    by_point: dict[str, list[Votes]] = {name: [] for name in (SKILLS, *OTHERS)}
    for text in texts:
        for name, votes in text.votes:
            by_point[name].append(votes)
    judged = [votes for name, units in by_point.items() if name != LIMIT for votes in units]
    return Standing(
        k=k,
        combinations=len({text.combination for text in texts}),
        texts=len(texts),
        missing=sum(text.missing for text in texts),
        points=len(texts) * (k + len(OTHERS)),
        undecided=sum(text.points.undecided for text in texts),
        marks={name: mean_of(best(texts, mark)) for name, mark in MARKS.items()},
        alpha=krippendorff_alpha(judged),
        alphas={name: krippendorff_alpha(units) for name, units in by_point.items()},
    )


def best(texts: Sequence[GradedText], mark: Mark) -> list[Bounds]:
    """Return for each combination the best mark of its generations, as the least and the most it can be."""
    found: dict[int, Bounds] = {}
    for text in texts:
        low, high = mark(text.points)
        before = found.get(text.combination, (0.0, 0.0))
        found[text.combination] = max(low, before[0]), max(high, before[1])
    return [found[combination] for combination in sorted(found)]


def mean_of(bounds: Sequence[Bounds]) -> Mean:
    """Return the mean of those that are decided, its standard error, and the bounds of the mean of all."""
    decided = [low for low, high in bounds if low == high]
    n = len(decided)
    return Mean(
        value=math.fsum(decided) / n if n else None,
        error=stdev(decided) / math.sqrt(n) if n > 1 else None,
        n=n,
        of=len(bounds),
        low=math.fsum(low for low, _ in bounds) / len(bounds),
        high=math.fsum(high for _, high in bounds) / len(bounds),
    )


def of_grades(names: Sequence[str], votes: Mapping[str, Votes]) -> tuple[tuple[str, Votes], ...]:
    """Return votes by the kind of their point: those of any skill as SKILLS, the others by their names."""
    return tuple((name if name in OTHERS else SKILLS, votes[name]) for name in names)
