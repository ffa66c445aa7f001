"""Which of the rows that may be copies leave: one by one in their order, each against the kept ones before it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from factory.dedupe.pairs import Places, Sets, pairs_within
from factory.dedupe.shingles import Offsets

SMALL = 12  # members of a bucket, up to which all pairs are compared at once
PIVOTS = 512  # kept rows of a larger bucket that later ones are compared with: a bound on what a hot bucket costs
FIRST, MORE = 8, 8  # kept rows looked at first, and how many times as many next
PAIRS_AT_ONCE = 2**20

Similarities = npt.NDArray[np.float64]
Decision = tuple[Places, Places, Similarities]  # dropped, twin, similarity


def greedy(sets: Sets, members: Places, offsets: Offsets, threshold: float) -> Decision:
    """Return the places that leave, with the first kept place before each that it matches and their similarity.

    `members` and `offsets` are buckets of places. In a bucket of more than SMALL members a row is compared with the
    first PIVOTS kept ones only; all else is as if every two rows of a bucket were compared.
    """
    earlier, later, similarity = matches(sets, members, offsets, threshold)
    large = Large(sets, members, offsets, threshold)
    kept = np.ones(sets.offsets.size - 1, dtype=np.bool_)
    best: dict[int, tuple[int, float]] = {}
    for place, known in _by_place(earlier, later, similarity, large):
        found = next(((other, value) for other, value in known if kept[other]), None)
        found = large.better(place, found)
        if found is None:
            large.keep(place)
        else:
            kept[place] = False
            best[place] = found
    return _decision(best)


def components(sets: Sets, members: Places, offsets: Offsets, threshold: float) -> Decision:
    """Return the places that are not the first of their component, with that first one and the similarity to it.

    Matches are the links; in a bucket of more than SMALL members, those with the rows that a greedy choice would keep.
    The similarity may be below the threshold: two rows of a component need not match.
    """
    earlier, later, similarity = matches(sets, members, offsets, threshold)
    large = Large(sets, members, offsets, threshold)
    root: dict[int, int] = {}
    for place, known in _by_place(earlier, later, similarity, large):
        linked = large.all_matches(place)
        if not linked:
            large.keep(place)
        ends = sorted({_root(root, other) for other in (*linked, *(other for other, _ in known), place)})
        root.update(dict.fromkeys(ends, ends[0]))
    dropped = np.array(sorted(place for place in root if _root(root, place) != place), dtype=np.int64)
    twin = np.array([_root(root, place) for place in dropped.tolist()], dtype=np.int64)
    return dropped, twin, sets.jaccard(twin, dropped)


def matches(sets: Sets, members: Places, offsets: Offsets, threshold: float) -> tuple[Places, Places, Similarities]:
    """Return the pairs (earlier, later, similarity) that match in buckets of at most SMALL members, by later place."""
    earlier, later = pairs_within(members, offsets, SMALL)
    similarity = np.zeros(earlier.size)
    for start in range(0, earlier.size, PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        similarity[part] = sets.jaccard(earlier[part], later[part], threshold)
    found = np.flatnonzero(similarity >= threshold)
    order = found[np.lexsort((earlier[found], later[found]))]
    return earlier[order], later[order], similarity[order]


class Large:
    """The buckets of more than SMALL members, each with the rows kept so far."""

    def __init__(self, sets: Sets, members: Places, offsets: Offsets, threshold: float) -> None:
        self._sets, self._sizes, self._threshold = sets, sets.sizes, threshold
        self._codes = (sets.flat >> np.uint64(48)).astype(np.uint16)
        self._table = np.zeros(2**16, dtype=np.bool_)
        self._buckets: dict[int, list[int]] = {}  # of a place
        self._kept: list[list[int]] = []
        for number in np.flatnonzero(np.diff(offsets) > SMALL).tolist():
            for place in members[offsets[number] : offsets[number + 1]].tolist():
                self._buckets.setdefault(place, []).append(len(self._kept))
            self._kept.append([])

    def places(self) -> list[int]:
        """Return the places that are in a large bucket."""
        return list(self._buckets)

    def keep(self, place: int) -> None:
        """Let later places of its buckets be compared with a kept one."""
        for bucket in self._buckets.get(place, ()):
            if len(self._kept[bucket]) < PIVOTS:
                self._kept[bucket].append(place)

    def better(self, place: int, found: tuple[int, float] | None) -> tuple[int, float] | None:
        """Return the first kept place that matches and its similarity: in large buckets, or as found in small ones."""
        if place not in self._buckets:
            return found
        pivots = self._pivots(place)
        if found is not None:
            pivots = pivots[: np.searchsorted(pivots, found[0])]
        return next(self._matching(place, pivots), found)

    def all_matches(self, place: int) -> list[int]:
        """Return the kept places of its large buckets that match."""
        return [other for other, _ in self._matching(place, self._pivots(place))]

    def _pivots(self, place: int) -> Places:
        kept = [self._kept[bucket] for bucket in self._buckets.get(place, ())]
        return np.array(sorted(set().union(*kept)), dtype=np.int64)

    def _matching(self, place: int, pivots: Places) -> Iterator[tuple[int, float]]:
        """Yield the pivots that match, in order, with their similarity; a few first, for mostly one of them does."""
        start, step = 0, FIRST
        while start < pivots.size:
            block = self._hopeful(place, pivots[start : start + step])
            values = self._sets.jaccard(block, np.full(block.size, place), self._threshold)
            hits = np.flatnonzero(values >= self._threshold)
            yield from zip(block[hits].tolist(), values[hits].tolist(), strict=True)
            start, step = start + step, step * MORE

    def _hopeful(self, place: int, pivots: Places) -> Places:
        """Return the pivots that may match: 16 bits of a shingle bound from above how many two sets share."""
        mine = self._codes[self._sets.offsets[place] : self._sets.offsets[place + 1]]
        lengths = self._sizes[pivots]
        ends = np.cumsum(lengths)
        theirs = np.repeat(self._sets.offsets[pivots] - (ends - lengths), lengths) + np.arange(ends[-1])
        self._table[mine] = True
        shared = np.add.reduceat(self._table[self._codes[theirs]], ends - lengths, dtype=np.int64)
        self._table[mine] = False
        return pivots[shared >= self._threshold * (lengths + mine.size - shared)]


def _by_place(
    earlier: Places, later: Places, similarity: Similarities, large: Large
) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """Yield the places that have a match or are in a large bucket, in order, with their matches in order."""
    known: dict[int, list[tuple[int, float]]] = {place: [] for place in large.places()}
    for other, place, value in zip(earlier.tolist(), later.tolist(), similarity.tolist(), strict=True):
        known.setdefault(place, []).append((other, value))
    for place in sorted(known):
        yield place, known[place]


def _root(root: dict[int, int], place: int) -> int:
    while (above := root.get(place, place)) != place:
        root[place] = root.get(above, above)
        place = above
    return place


def _decision(best: dict[int, tuple[int, float]]) -> Decision:
    dropped = np.array(list(best), dtype=np.int64)
    twin = np.array([other for other, _ in best.values()], dtype=np.int64)
    return dropped, twin, np.array([value for _, value in best.values()], dtype=np.float64)
