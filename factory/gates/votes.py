"""What several votes come to: a majority in which a missing vote counts for nothing, and how far votes agree.

A vote is given or it is None; None is never a no. Agreement is Krippendorff's alpha (Computing Krippendorff's
Alpha-Reliability, 2011), which allows for missing votes and for agreement by chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Metric = Literal["nominal", "interval"]
Floats = npt.NDArray[np.float64]
Z95 = 1.959964
Z99 = 2.575829


def majority(votes: Sequence[bool | None], least: int = 1) -> bool | None:
    """Return what more than half of the given votes say; None for a tie, or when fewer than `least` were given."""
    given = [vote for vote in votes if vote is not None]
    if len(given) < max(least, 1):
        return None
    yes = sum(given)
    if 2 * yes == len(given):
        return None
    return 2 * yes > len(given)


def same_pairs(votes: Sequence[object]) -> float | None:
    """Return the share of pairs of given votes that are the same: 1.0 is unanimous; None below two given votes."""
    given = [vote for vote in votes if vote is not None]
    pairs = [one == other for i, one in enumerate(given) for other in given[:i]]
    return sum(pairs) / len(pairs) if pairs else None


def krippendorff_alpha(units: Sequence[Sequence[float | None]], metric: Metric = "nominal") -> float | None:
    """Return Krippendorff's alpha of units, each with its votes: 1 is agreement, 0 what chance gives, below is worse.

    `nominal` takes two votes as the same or not, `interval` by their squared distance. A unit with fewer than two given
    votes says nothing and is left out. None where alpha is undefined: no unit is left, or all votes that are left have
    one value, so that chance alone would agree as well.
    """
    given = [[vote for vote in unit if vote is not None] for unit in units]
    paired = [np.array(unit, dtype=np.float64) for unit in given if len(unit) > 1]
    if not paired:
        return None
    everything = np.concatenate(paired)
    n = len(everything)
    expected = _disagreement(everything, metric) / (n * (n - 1))
    if expected == 0:
        return None
    observed = sum(_disagreement(unit, metric) / (len(unit) - 1) for unit in paired) / n
    return float(1 - observed / expected)


def _disagreement(votes: Floats, metric: Metric) -> float:
    """Return the sum over all ordered pairs of votes of how far they are apart."""
    m = len(votes)
    if metric == "nominal":
        _, counts = np.unique(votes, return_counts=True)
        return float(m * m - (counts**2).sum())
    return float(2 * m * ((votes - votes.mean()) ** 2).sum())


def wilson(hits: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Return Wilson's score interval (1927) of a share; (0, 1) when nothing was counted."""
    if n == 0:
        return 0.0, 1.0
    p, zz = hits / n, z * z
    middle = (p + zz / (2 * n)) / (1 + zz / n)
    half = z * math.sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def share_change(now: tuple[int, int], before: tuple[int, int], z: float = Z99) -> tuple[float, float]:
    """Return an interval of the change of a share from `before` to `now`, each (hits, n): Newcombe's (1998), method 10.

    (-1, 1) when one of them counted nothing.
    """
    if not now[1] or not before[1]:
        return -1.0, 1.0
    p, q = now[0] / now[1], before[0] / before[1]
    (p_low, p_high), (q_low, q_high) = wilson(*now, z), wilson(*before, z)
    low = p - q - math.hypot(p - p_low, q_high - q)
    high = p - q + math.hypot(p_high - p, q - q_low)
    return low, high
