"""Rows that share a band, and the exact Jaccard similarity of their shingle sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from factory.dedupe.shingles import LARGEST, MULTIPLIER, Hashes, Offsets, mix, of_like_length

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sets:
    """Sets of shingles: that of place p is flat[offsets[p] : offsets[p + 1]], sorted and without repeats."""

    flat: Hashes
    offsets: Offsets

    @property
    def sizes(self) -> Places:
        """Return how many shingles each set has."""
        return np.diff(self.offsets)

    def with_those_of(self, other: Sets) -> Sets:
        """Return both, those of the other after these."""
        ends = np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]])
        return Sets(np.concatenate([self.flat, other.flat]), ends)

    def of(self, place: int) -> Hashes:
        """Return one set."""
        return self.flat[self.offsets[place] : self.offsets[place + 1]]

    def jaccard(self, left: Places, right: Places, at_least: float = 0.0) -> npt.NDArray[np.float64]:
        """Return the exact similarity of each pair; 0 where the sizes alone say that it is below `at_least`."""
        sizes = self.sizes
        one, two = sizes[left], sizes[right]
        out = np.zeros(left.size)
        hopeful = np.flatnonzero(np.minimum(one, two) >= at_least * np.maximum(one, two))
        for group in of_like_length((one + two)[hopeful]):
            pairs = hopeful[group]
            shared = self._shared(left[pairs], right[pairs])
            out[pairs] = shared / (one[pairs] + two[pairs] - shared)
        return out

    def _shared(self, left: Places, right: Places) -> Any:
        """Return how many shingles the sets of each pair share: those that come twice when both are sorted as one."""
        sizes = self.sizes
        first, length = sizes[left], sizes[left] + sizes[right]
        across = np.arange(length.max())
        begin = np.where(across < first[:, None], self.offsets[left][:, None], (self.offsets[right] - first)[:, None])
        both = self.flat[np.minimum(begin + across, self.flat.size - 1)]
        both[across >= length[:, None]] = LARGEST
        both.sort(axis=1)
        twice = (both[:, 1:] == both[:, :-1]) & (across[1:] < length[:, None])
        return np.sum(twice, axis=1, dtype=np.int64)


def buckets(keys: Hashes) -> tuple[Places, Offsets]:
    """Return the places (rows of `keys`) that share a key in a column, key by key and in order, as (flat, offsets).

    Keys that only one row has are left out; so are buckets of just the same members as an earlier one.
    """
    found = [_of_band(np.ascontiguousarray(keys[:, band])) for band in range(keys.shape[1])]
    members = np.concatenate([flat for flat, _ in found]) if found else np.empty(0, dtype=np.int64)
    sizes = np.concatenate([size for _, size in found]) if found else np.empty(0, dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    if not sizes.size:
        return members, np.zeros(1, dtype=np.int64)
    new = np.zeros(sizes.size, dtype=np.bool_)
    new[_first_of_each(members, starts, sizes)] = True
    return members[np.repeat(new, sizes)], np.concatenate([[0], np.cumsum(sizes[new])])


def _of_band(column: Hashes) -> tuple[Places, Places]:
    """Return the members and the sizes of the buckets of one band."""
    bits = max(10, int(column.size).bit_length() + 3)
    short = (column >> np.uint64(64 - bits)).astype(np.int64)  # a table of these finds most lone keys without a sort
    shared = np.flatnonzero(np.bincount(short, minlength=1 << bits)[short] > 1)
    order = shared[np.argsort(column[shared], kind="stable")]
    ordered = column[order]
    borders = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
    sizes = np.diff(borders) if order.size else np.empty(0, dtype=np.int64)
    several = sizes > 1
    return order[np.repeat(several, sizes)], sizes[several]


def _first_of_each(members: Places, starts: Places, sizes: Places) -> Places:
    """Return the first of the buckets that have the same size, first member and sum of mixed members."""
    sums = np.add.reduceat(mix(members.astype(np.uint64) * MULTIPLIER), starts)
    same = np.stack([sizes.astype(np.uint64), members[starts].astype(np.uint64), sums])
    order = np.lexsort(same)
    kept = np.concatenate([[True], (same[:, order[1:]] != same[:, order[:-1]]).any(axis=0)])
    first: Places = order[kept]
    return first


def pairs_within(members: Places, offsets: Offsets, largest: int) -> tuple[Places, Places]:
    """Return the distinct pairs (earlier, later) of places that share a bucket of at most so many members."""
    sizes = np.diff(offsets)
    codes = [np.empty(0, dtype=np.int64)]
    span = int(members.max()) + 1 if members.size else 1
    for size in np.unique(sizes[sizes <= largest]).tolist():
        block = members[offsets[:-1][sizes == size][:, None] + np.arange(size)]
        one, two = np.triu_indices(size, 1)
        codes.append((block[:, two] * span + block[:, one]).ravel())
    distinct = np.unique(np.concatenate(codes))
    return distinct % span, distinct // span
