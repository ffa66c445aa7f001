"""Texts as sets of shingles: runs of words or characters, as stable 64-bit hashes in flat arrays with row offsets.

A text is NFC, lower case. Words are parted by white space, control characters, sentence punctuation and quotes; all
other signs (operators, brackets, hyphens) belong to words, for they change what a problem asks. Row i of (flat,
offsets) is flat[offsets[i] : offsets[i + 1]]. A null is an empty text; an empty text has no shingles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from factory.dedupe.xxh3 import xxh3_64

Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]

VERSION = 1  # of the hashes: whoever stores them stores it beside them
EMPTY_WORD = np.uint64(0x2D06800538D394C2)  # XXH3 of no bytes
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd
FINISH = np.uint64(0xD6E8FEB86659FD93)
LARGEST = np.uint64(2**64 - 1)
AT_ONCE = 2**20  # hashes sorted in one go

PARTS = b".,;:!?\"'`"
# Beyond ASCII: spaces, control characters, and punctuation that stands between words (not the multiplication dot).
PARTS_BEYOND = r"[\p{Z}\p{Cc}\p{Po}\p{Pi}\p{Pf}\p{Pd}&&[^\x00-\x7F\u{B7}]]"


def _ascii_table() -> bytes:
    table = bytearray(range(256)).lower()
    for code in (*range(33), 127, *PARTS):
        table[code] = 32
    return bytes(table)


ASCII = _ascii_table()


@dataclass(frozen=True, slots=True)
class Shingling:
    """What a shingle is: so many words, or so many characters, in a row."""

    unit: Literal["word", "char"] = "word"
    size: int = 5


def normal_text(texts: pl.Series) -> pl.Series:
    """Return the texts in lower case, NFC, with a space for every sign that parts words (runs are not folded)."""
    texts = texts.fill_null("")
    beyond = texts.str.len_bytes() != texts.str.len_chars()
    if beyond.any():
        clean = texts.filter(beyond).str.normalize("NFC").str.to_lowercase().str.replace_all(PARTS_BEYOND, " ")
        texts = texts.scatter(beyond.arg_true(), clean)
    if not texts.len():
        return texts
    array = texts.to_arrow().cast(pa.large_string())
    _, offsets, data = array.buffers()
    offsets = offsets.slice(8 * array.offset, 8 * (len(array) + 1))
    lowered = pa.py_buffer(memoryview(data).tobytes().translate(ASCII) if data else b"")
    return pl.Series(pa.LargeStringArray.from_buffers(len(array), offsets, lowered))


def hash_words(texts: pl.Series) -> tuple[Hashes, Offsets]:
    """Return the XXH3 of every word of the normal texts, in order."""
    words = normal_text(texts).str.split(" ")
    hashes = xxh3_64(words.explode()).to_numpy() if texts.len() else np.empty(0, dtype=np.uint64)
    return _without_empty(hashes, _offsets(words.list.len().to_numpy()))


def hash_chars(texts: pl.Series) -> tuple[Hashes, Offsets]:
    """Return the code point of every character of the normal texts, their runs of spaces folded into one."""
    clean = normal_text(texts).str.replace_all(" +", " ").str.strip_chars(" ")
    codes = np.frombuffer("".join(clean).encode("utf-32-le"), dtype="<u4")
    return codes.astype(np.uint64), _offsets(clean.str.len_chars().to_numpy())


def ngrams(flat: Hashes, offsets: Offsets, size: int) -> tuple[Hashes, Offsets]:
    """Return the hash of every n-gram in order; a text of fewer than `size` parts gives one of the whole text."""
    if size < 1:
        raise ValueError(f"an n-gram has at least one part; found size {size}")
    lengths = np.diff(offsets)
    lost = np.maximum(np.minimum(lengths, size) - 1, 0)  # places at the end of a row where no n-gram begins
    begins = np.ones(flat.size, dtype=np.bool_)
    for back in range(1, size):
        begins[offsets[1:][lost >= back] - back] = False
    grams = _windows(flat, size)
    for length in range(1, size):
        starts = offsets[:-1][lengths == length]
        grams[starts] = _combine([flat[starts + i] for i in range(length)])
    return mix(grams[begins]), _offsets(lengths - lost)


def shingle_sets(texts: pl.Series, shingling: Shingling) -> tuple[Hashes, Offsets]:
    """Return the distinct shingles of every text, sorted."""
    return distinct(*shingles(texts, shingling))


def shingles(texts: pl.Series, shingling: Shingling) -> tuple[Hashes, Offsets]:
    """Return the shingles of every text in order, as often as they come: all that a signature needs."""
    parts = hash_words if shingling.unit == "word" else hash_chars
    return ngrams(*parts(texts), shingling.size)


def distinct(flat: Hashes, offsets: Offsets) -> tuple[Hashes, Offsets]:
    """Return the distinct hashes of every row, sorted."""
    lengths = np.diff(offsets)
    counts = np.zeros(lengths.size, dtype=np.int64)
    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], Hashes]] = []
    for rows in of_like_length(lengths):
        block = padded(flat, offsets[rows], lengths[rows])
        block.sort(axis=1)
        first = np.arange(block.shape[1]) < lengths[rows][:, None]  # what pads a row is the largest, so comes last
        first[:, 1:] &= block[:, 1:] != block[:, :-1]
        counts[rows] = first.sum(axis=1)
        found.append((rows, first, block[first]))
    ends = _offsets(counts)
    out = np.empty(ends[-1], dtype=np.uint64)
    for rows, first, values in found:
        places = ends[rows][:, None] + np.cumsum(first, axis=1) - 1
        out[places[first]] = values
    return out, ends


def of_like_length(lengths: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Return the numbers of the rows that are not empty, in groups small enough, and alike enough, to be padded."""
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    groups = []
    start = int(np.searchsorted(ordered, 1))
    while start < order.size:
        stop = int(np.searchsorted(ordered, 1.25 * ordered[start] + 8, side="right"))
        stop = min(stop, start + max(1, AT_ONCE // int(ordered[stop - 1])))
        groups.append(order[start:stop])
        start = stop
    return groups


def padded(flat: Hashes, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Hashes:
    """Return rows side by side, as wide as the longest, filled up with the largest hash."""
    across = np.arange(lengths.max())
    places = np.minimum(starts[:, None] + across, flat.size - 1)
    return np.where(across < lengths[:, None], flat[places], LARGEST)


def _offsets(lengths: npt.NDArray[np.integer]) -> Offsets:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])


def _without_empty(flat: Hashes, offsets: Offsets) -> tuple[Hashes, Offsets]:
    kept = flat != EMPTY_WORD
    if kept.all():
        return flat, offsets
    return flat[kept], _offsets(kept)[offsets]


def _windows(flat: Hashes, size: int) -> Hashes:
    """Return at each place the combination of what is there and what follows; nonsense at the last places."""
    out = flat.copy()
    whole = max(0, flat.size - size + 1)
    out[:whole] = _combine([flat[i : i + whole] for i in range(size)])
    return out


def _combine(parts: list[Hashes]) -> Hashes:
    out = parts[0].copy()
    for part in parts[1:]:
        out *= MULTIPLIER
        out += part
    return out


def mix(hashes: Hashes) -> Hashes:
    """Spread every bit over the whole word, in place; no two hashes become one."""
    hashes ^= hashes >> np.uint64(32)
    hashes *= FINISH
    hashes ^= hashes >> np.uint64(29)
    return hashes
