"""How much of a text its repeated n-grams of words take, for many texts at once.

The measures of Gopher (arXiv 2112.11446, table A1): the share of the characters that the commonest 2-, 3- and 4-gram
take, and the share that lies in any 5- to 10-gram that comes again, characters of overlapping ones counted once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

TOP, AGAIN = (2, 3, 4), (5, 6, 7, 8, 9, 10)
NAMES = [f"top_{n}" for n in TOP] + [f"again_{n}" for n in AGAIN]
CHUNK_ROWS, CHUNK_BYTES = 50_000, 2**24  # row numbers have 16 bits in a key; bytes bound the memory
WORD = r"[^\s\d|=]*\p{Alphabetic}[^\s\d|=]*"
LENGTH_BITS, ROW_BITS = 12, 16
LONGEST = (1 << LENGTH_BITS) - 1
Longs = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def ngram_shares(texts: pl.Series, least: int) -> pl.DataFrame:
    """Return a column of shares for each of NAMES, a row a text; 0 for texts of fewer than `least` words.

    Words are what blanks part, in lower case; figures and sums are none. Takes about 10 microseconds a text of 60
    words.
    """
    out = {name: np.zeros(len(texts)) for name in NAMES}
    long = (texts.str.len_bytes().fill_null(0) >= 2 * least - 1).arg_true().to_numpy()
    for rows in _chunks(texts.gather(long).str.len_bytes().to_numpy(), long):
        words = texts.gather(rows).str.to_lowercase().str.extract_all(WORD)
        enough = (words.list.len() >= max(least, 2)).arg_true().to_numpy()
        if len(enough):
            for name, found in _Words(words.gather(enough)).shares():
                out[name][rows[enough]] = found
    return pl.DataFrame(out)


def _chunks(sizes: npt.NDArray[np.uint32], rows: npt.NDArray[np.uint32]) -> Iterator[npt.NDArray[np.uint32]]:
    begun = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    start = 0
    while start < len(rows):
        end = int(np.searchsorted(begun, begun[start] + CHUNK_BYTES, side="right")) - 1
        end = min(max(end, start + 1), start + CHUNK_ROWS, len(rows))
        yield rows[start:end]
        start = end


class _Words:
    """The words of some texts on end: their hashes, lengths and rows."""

    def __init__(self, words: pl.Series) -> None:
        counts = words.list.len().to_numpy().astype(np.int64)
        flat = words.explode()
        self.n = len(counts)
        # Polars' own hash: only whether two words of one call are equal is asked of it, so it need not be stable.
        self.hashes: Longs = flat.hash(seed=7).to_numpy()
        self.lengths: Ints = flat.str.len_chars().to_numpy().astype(np.int64) + 1  # with the blank after it
        self.row = np.repeat(np.arange(self.n, dtype=np.int64), counts)
        self.total = np.bincount(self.row, weights=self.lengths, minlength=self.n) - 1

    def shares(self) -> Iterator[tuple[str, Floats]]:
        """Yield each measure's name and its shares."""
        hashes, ends = self.hashes, np.concatenate([[0], np.cumsum(self.lengths)])
        candidates = np.ones(self.n, dtype=bool)
        for n in range(2, AGAIN[-1] + 1):
            hashes = _joined(hashes[:-1], self.hashes[n - 1 :])
            within = self.row[: len(hashes)] == self.row[n - 1 :]
            sizes = ends[n:] - ends[:-n] - 1
            if n in TOP:
                yield f"top_{n}", self._top(hashes[within], self.row[: len(hashes)][within], sizes[within])
            else:
                places = np.flatnonzero(within & candidates[self.row[: len(hashes)]])
                found = self._again(hashes[places], places, n)
                candidates &= found > 0  # what comes again in ten words comes again in five
                yield f"again_{n}", found

    def _top(self, hashes: Longs, row: Ints, sizes: Ints) -> Floats:
        """Return for each row the share of the n-gram that takes most, of those that come twice."""
        key = _keys(hashes, row) | np.minimum(sizes, LONGEST).astype(np.uint64)  # equal n-grams are of equal length
        key.sort()
        first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
        times = np.diff(np.append(first, len(key)))
        often = times >= 2
        key, times = key[first[often]], times[often]
        best = np.zeros(self.n)
        np.maximum.at(best, _rows(key), (key & np.uint64(LONGEST)).astype(np.float64) * times)
        return np.minimum(best / self.total, 1.0)

    def _again(self, hashes: Longs, places: Ints, n: int) -> Floats:
        """Return for each row the share of its characters in n-grams that come again."""
        if not len(places):
            return np.zeros(self.n)
        key = _keys(hashes, self.row[places])
        ordered = np.sort(key)
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if not len(twice):
            return np.zeros(self.n)
        begins = places[np.isin(key, twice)]
        steps = np.zeros(len(self.row) + 1, dtype=np.int64)
        np.add.at(steps, begins, 1)
        np.add.at(steps, begins + n, -1)
        covered = np.cumsum(steps[:-1]) > 0
        taken = np.bincount(self.row[covered], weights=self.lengths[covered], minlength=self.n)
        return np.minimum(taken / self.total, 1.0)


def _joined(left: Longs, right: Longs) -> Longs:
    """Return a hash of each pair, the order of which matters (the finaliser of splitmix64)."""
    mixed = left[: len(right)] * np.uint64(0x9E3779B97F4A7C15) + right
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    return mixed ^ (mixed >> np.uint64(32))


def _keys(hashes: Longs, row: Ints) -> Longs:
    """Return keys that sort by row, then by n-gram, with room for a length below."""
    top = row.astype(np.uint64) << np.uint64(64 - ROW_BITS)
    return top | ((hashes >> np.uint64(ROW_BITS + LENGTH_BITS)) << np.uint64(LENGTH_BITS))


def _rows(keys: Longs) -> Ints:
    return (keys >> np.uint64(64 - ROW_BITS)).astype(np.int64)
