"""Texts as words, the way a leak is looked for: runs of letters and digits, whatever stands between them.

Punctuation, brackets and case do not count, so a leak cannot hide behind them. Scripts that write no spaces count
every character as a word. Hashes come from factory/dedupe/shingles.py; the hash of any run of words is had in O(1) from
a running sum, so that n-grams of every length cost the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from factory.dedupe.shingles import hash_words, mix

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FACTOR = 0x9E3779B97F4A7C15 | 1
INVERSE = pow(FACTOR, -1, 2**64)
NUMBER = np.uint64(0x6E756D626572)  # what a number becomes where numbers are masked
SPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"  # no spaces between words
WORD = re.compile(rf"[{SPACED}]|[^\s{SPACED}]+")
BEYOND = r"[^\p{L}\p{M}\p{N}]"
ASCII = bytes(code if code >= 128 or chr(code).isalnum() else 32 for code in range(256))
NAMED = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million twice half"
)
LARGEST_NUMBER = 99_999  # whole numbers up to here, and those of two and three digits with zeros before them


def plain(texts: pl.Series) -> pl.Series:
    """Return the texts with a space for every character that is no letter, mark or digit; lengths stay as they are."""
    texts = texts.fill_null("")
    if not texts.len():
        return texts
    beyond = texts.str.len_bytes() != texts.str.len_chars()
    array = texts.to_arrow().cast(pa.large_string())
    _, offsets, data = array.buffers()
    offsets = offsets.slice(8 * array.offset, 8 * (len(array) + 1))
    folded = pa.py_buffer(memoryview(data).tobytes().translate(ASCII) if data else b"")
    out = pl.Series(pa.LargeStringArray.from_buffers(len(array), offsets, folded))
    if beyond.any():
        out = out.scatter(beyond.arg_true(), out.filter(beyond).str.replace_all(BEYOND, " "))
    return out


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return (start, end) in characters of every word of a text, as many as `Words` holds for it."""
    return [found.span() for found in WORD.finditer(plain(pl.Series([text], dtype=pl.String)).item())]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of many texts: text i is flat[offsets[i] : offsets[i + 1]]; `sums` and `powers` serve `runs`."""

    flat: Hashes
    offsets: Places
    sums: Hashes
    powers: Hashes

    def runs(self, starts: Places, lengths: Places | int) -> Hashes:
        """Return the hash of the run of so many words that begins at each place; runs may not pass the end of flat."""
        return mix((self.sums[starts + lengths] - self.sums[starts]) * self.powers[starts])

    def grams(self, size: int) -> Hashes:
        """Return the hash of the run of `size` words at every place where one fits, row borders not regarded."""
        n = self.flat.size - size + 1
        if n <= 0:
            return np.empty(0, dtype=np.uint64)
        out: Hashes = self.sums[size:] - self.sums[:n]
        out *= self.powers[:n]
        return mix(out)

    def whole(self, size: int) -> Flags:
        """Return for each place of `grams(size)` whether the run lies within one row."""
        n = max(0, self.flat.size - size + 1)
        inside = np.ones(n + size, dtype=np.bool_)
        for back in range(1, size):
            ends = self.offsets[1:] - back
            inside[ends[ends >= 0]] = False
        return inside[:n]

    def rows(self, places: Places) -> Places:
        """Return the row of each place."""
        return np.searchsorted(self.offsets, places, side="right") - 1


def words_of(texts: pl.Series) -> Words:
    """Return the words of texts; a null has none."""
    clean = plain(texts)
    spaced = clean.str.contains(f"[{SPACED}]")
    if spaced.any():
        apart = clean.filter(spaced).str.replace_all(f"([{SPACED}])", " $1 ")
        clean = clean.scatter(spaced.arg_true(), apart)
    return _summed(*hash_words(clean))


def masked(words: Words) -> Words:
    """Return the words with one sign for every number."""
    numbers = _is_number(words.flat)
    return _summed(np.where(numbers, NUMBER, words.flat), words.offsets)


def _summed(flat: Hashes, offsets: Places) -> Words:
    powers, inverses = _powers(1 << max(10, int(flat.size + 1).bit_length()))
    sums = np.zeros(flat.size + 1, dtype=np.uint64)
    np.cumsum(flat * inverses[: flat.size], out=sums[1:])
    return Words(flat, offsets, sums, powers)


@lru_cache(maxsize=1)
def _powers(n: int) -> tuple[Hashes, Hashes]:
    both = []
    for base in (FACTOR, INVERSE):
        out = np.full(n, base, dtype=np.uint64)
        out[0] = 1
        both.append(np.cumprod(out, dtype=np.uint64))
    return both[0], both[1]


@lru_cache(maxsize=1)
def _numbers() -> tuple[Hashes, Flags]:
    """Return the hashes of numbers, sorted, and a table by their first 20 bits that few other words share."""
    names = [str(n) for n in range(LARGEST_NUMBER + 1)]
    names += [f"{n:02}" for n in range(10)] + [f"{n:03}" for n in range(100)] + NAMED.split()
    hashes = np.unique(hash_words(pl.Series(names))[0])
    table = np.zeros(1 << 20, dtype=np.bool_)
    table[(hashes >> np.uint64(44)).astype(np.intp)] = True
    return hashes, table


def _is_number(flat: Hashes) -> Flags:
    hashes, table = _numbers()
    found = table[(flat >> np.uint64(44)).astype(np.intp)]
    places = np.flatnonzero(found)
    at = np.minimum(np.searchsorted(hashes, flat[places]), hashes.size - 1)
    found[places] = hashes[at] == flat[places]
    return found
