"""Benchmarks ready to be looked for: which runs of words belong to which texts, and which of them say something.

Four ways in: every telling n-gram of 13 words (Brown et al. 2020, arXiv 2005.14165, appendix C), the whole text however
short, runs of four words that lead to texts whose words are shared, and the same with numbers masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from factory.gates.benchmarks_read import Book
from factory.gates.boilerplate import SAYINGS
from factory.gates.leak_words import Flags, Hashes, Places, Words, masked, words_of

ANCHOR = 4  # words of a run by which a text is found
ANCHOR_TEXTS, POSTINGS = 16, 64  # an anchor of more texts leads to none of them, unless it is one of a text's rarest
RAREST = 4
SHINGLE = 3  # words: what containment counts
COVER = 6  # words: a run of so many that is boilerplate makes its words boilerplate
OWN_WORDS = 4  # an n-gram must have so many words beside boilerplate
VARIED = 6  # and so many different ones, all numbers taken for one
VARIED_WHOLE = 4  # and a whole text so many
FEWEST_SHINGLES = 2  # telling ones, of a text that is judged by containment
BITS = 26


@dataclass(frozen=True, slots=True)
class Settings:
    """What an index depends on beside the texts."""

    words: int = 13
    shortest: int = 6
    boilerplate: int = 10


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of `size` words: sorted hashes, and of each the (text, place in it) pairs, from begins[i] to begins[i+1]."""

    size: int
    keys: Hashes
    begins: Places
    texts: Places
    places: Places
    bits: np.ndarray[tuple[int], np.dtype[np.uint8]]

    def find(self, words: Words) -> tuple[Places, Places, Places]:
        """Return (place in words, text, place in the text) of every meeting that lies within one row."""
        grams = words.grams(self.size)
        if not self.keys.size or not grams.size:
            return (np.empty(0, dtype=np.int64),) * 3
        byte = self.bits[(grams >> np.uint64(64 - BITS + 3)).astype(np.intp)]
        bit = ((grams >> np.uint64(64 - BITS)) & np.uint64(7)).astype(np.uint8)
        places = np.flatnonzero((byte >> bit) & np.uint8(1))
        entries = np.minimum(np.searchsorted(self.keys, grams[places]), self.keys.size - 1)
        met = (self.keys[entries] == grams[places]) & within(words, places, self.size)
        return self._spread(places[met], entries[met])

    def _spread(self, places: Places, entries: Places) -> tuple[Places, Places, Places]:
        counts = self.begins[entries + 1] - self.begins[entries]
        ends = np.cumsum(counts)
        at = np.arange(int(ends[-1]) if ends.size else 0) - np.repeat(ends - counts - self.begins[entries], counts)
        return np.repeat(places, counts), self.texts[at], self.places[at]


def within(words: Words, places: Places, lengths: Places | int) -> Flags:
    """Return whether the run at each place ends in the row in which it begins."""
    return np.asarray(places + lengths <= words.offsets[words.rows(places) + 1])


@dataclass(frozen=True, slots=True)
class Side:
    """One reading of the texts, with numbers or without: their words, the anchors, and which shingles tell."""

    words: Words
    anchors: Runs
    telling: Flags  # by place: the shingle that begins there
    shingles: Places  # by text: how many different telling ones
    found_by: Places  # by text: how many anchors lead to it


@dataclass(frozen=True, slots=True)
class Index:
    """The texts of all benchmarks, ready. `frame` has (against, place, part), a row for each different text of one."""

    frame: pl.DataFrame
    grams: Runs
    n_grams: Places  # by text: telling n-grams
    whole: Places  # by text: the hash of the whole, as int64 bits; 0 where it says too little
    real: Side
    numberless: Side
    numbers: Places  # by text: how many numbers it has
    settings: Settings

    def lengths(self) -> Places:
        """Return the number of words of each text."""
        return np.diff(self.real.words.offsets)

    def watched(self) -> pl.DataFrame:
        """Return by benchmark how many texts there are and how many of them are looked for at each level."""
        return (
            self.frame.select("against")
            .with_columns(
                ngram=pl.Series(self.whole != 0),
                containment=pl.Series(self.real.shingles >= FEWEST_SHINGLES),
                numbers=pl.Series((self.numberless.shingles >= FEWEST_SHINGLES) & (self.numbers > 0)),
                too_short=pl.Series(self.whole == 0),
            )
            .group_by("against", maintain_order=True)
            .agg(pl.len().alias("texts"), pl.col("ngram", "containment", "numbers", "too_short").sum())
        )


@lru_cache(maxsize=4)
def index_of(book: Book, settings: Settings) -> Index:
    """Return the index of a book, made once in each process."""
    return build_index(book.texts(), settings)


def build_index(texts: pl.DataFrame, settings: Settings) -> Index:
    """Return the index of BENCHMARK_TEXTS; a text that a benchmark holds twice is looked for under its first place."""
    frame = texts.unique(["against", "text"], keep="first", maintain_order=True)
    words = words_of(frame["text"])
    numberless = masked(words)
    covered = _covered(words, settings.boilerplate)
    grams = _telling_grams(words, numberless, covered, settings)
    lengths = np.diff(words.offsets)
    varied = np.bincount(words.rows(np.flatnonzero(spread(numberless, 1)[1])), minlength=frame.height)
    says_something = (lengths >= settings.shortest) & (varied >= VARIED_WHOLE)
    wholes = np.where(says_something, words.runs(words.offsets[:-1], lengths), np.uint64(0))
    numbers = np.add.reduceat(np.append(words.flat != numberless.flat, False), words.offsets[:-1], dtype=np.int64)
    return Index(
        frame.select("against", "place", "part"),
        _runs(words, settings.words, grams),
        np.bincount(words.rows(grams), minlength=frame.height),
        wholes.view(np.int64),
        _side(words, numberless, settings, np.ones(frame.height, dtype=np.bool_)),
        _side(numberless, numberless, settings, numbers > 0),
        np.where(lengths > 0, numbers, 0),
        settings,
    )


def spread(words: Words, size: int) -> tuple[Places, Flags]:
    """Return for each place how many texts have the run of `size` words there, and whether it is the first in its text.

    Zero and False where no run begins.
    """
    places = np.flatnonzero(words.whole(size))
    texts = words.rows(places)
    hashes = words.grams(size)[places]
    order = np.argsort(hashes, kind="stable")  # so that texts are in order within a run
    hashes, texts = hashes[order], texts[order]
    other = np.ones(places.size, dtype=np.bool_)
    other[1:] = hashes[1:] != hashes[:-1]
    fresh = other.copy()
    fresh[1:] |= texts[1:] != texts[:-1]
    kinds = np.cumsum(other) - 1
    shared, first = np.zeros(words.flat.size, dtype=np.int64), np.zeros(words.flat.size, dtype=np.bool_)
    shared[places[order]] = np.bincount(kinds[fresh])[kinds] if places.size else 0
    first[places[order]] = fresh
    return shared, first


def _covered(words: Words, most: int) -> Flags:
    """Return which words stand in a run that more than `most` texts have, or in a well-known saying."""
    says = words_of(pl.Series(SAYINGS))
    known = np.unique(says.grams(COVER)[says.whole(COVER)])
    begins = spread(words, COVER)[0] > most
    grams = words.grams(COVER)
    begins[: grams.size] |= np.isin(grams, known) & words.whole(COVER)
    steps = np.zeros(words.flat.size + COVER + 1, dtype=np.int64)
    steps[: words.flat.size] += begins
    steps[COVER : COVER + words.flat.size] -= begins
    return np.cumsum(steps)[: words.flat.size] > 0


def _telling_grams(words: Words, numberless: Words, covered: Flags, settings: Settings) -> Places:
    """Return the places of the n-grams that are evidence of a leak."""
    size = settings.words
    shared, _ = spread(words, size)
    places = np.flatnonzero((shared > 0) & (shared <= settings.boilerplate))
    if not places.size:
        return places
    own = np.concatenate([[0], np.cumsum(~covered)])
    places = places[own[places + size] - own[places] >= min(OWN_WORDS, size)]
    windows = np.sort(numberless.flat[places[:, None] + np.arange(size)], axis=1)
    varied = 1 + (windows[:, 1:] != windows[:, :-1]).sum(axis=1)
    telling: Places = places[varied >= min(VARIED, size)]
    return telling


def _runs(words: Words, size: int, places: Places) -> Runs:
    """Return the runs of `size` words at these places, by hash."""
    hashes = words.runs(places, size)
    order = np.argsort(hashes, kind="stable")
    keys, begins = np.unique(hashes[order], return_index=True)
    places = places[order]
    texts = words.rows(places)
    bits = np.zeros(1 << BITS, dtype=np.bool_)
    bits[(keys >> np.uint64(64 - BITS)).astype(np.intp)] = True
    packed = np.packbits(bits, bitorder="little")
    ends = np.append(begins, places.size).astype(np.int64)
    return Runs(size, keys, ends, texts, places - words.offsets[texts], packed)


def _side(words: Words, numberless: Words, settings: Settings, wanted: Flags) -> Side:
    """Return one reading of the texts; only those wanted can be found by it."""
    shared, first = spread(words, SHINGLE)
    telling = first & (shared <= settings.boilerplate)
    says = words_of(pl.Series(SAYINGS))
    known = np.unique(says.grams(SHINGLE)[says.whole(SHINGLE)])
    grams = words.grams(SHINGLE)
    telling[: grams.size] &= ~np.isin(grams, known)
    same = numberless.flat[1:] == numberless.flat[:-1]
    telling[: max(0, same.size - 1)] &= ~(same[1:] & same[:-1])  # such as three numbers
    shingles = np.bincount(words.rows(np.flatnonzero(telling)), minlength=words.offsets.size - 1)
    anchors = _anchors(words, wanted)
    found_by = np.bincount(anchors.texts, minlength=wanted.size)
    return Side(words, anchors, telling, shingles * wanted, found_by)


def _anchors(words: Words, wanted: Flags) -> Runs:
    """Return the anchors of the texts: those that few texts share, and of each text the rarest whatever they are."""
    shared, first = spread(words, ANCHOR)
    places = np.flatnonzero(first)
    texts = words.rows(places)
    order = np.lexsort((places, shared[places], texts))
    rank = np.empty(places.size, dtype=np.int64)
    counts = np.bincount(texts, minlength=words.offsets.size - 1)
    rank[order] = np.arange(places.size) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = ((shared[places] <= ANCHOR_TEXTS) | (rank < RAREST)) & wanted[texts]
    return _capped(_runs(words, ANCHOR, places[chosen]))


def _capped(runs: Runs) -> Runs:
    counts = np.diff(runs.begins)
    kept = np.arange(runs.texts.size) - np.repeat(runs.begins[:-1], counts) < POSTINGS
    begins = np.concatenate([[0], np.cumsum(np.minimum(counts, POSTINGS))])
    return Runs(runs.size, runs.keys, begins, runs.texts[kept], runs.places[kept], runs.bits)
