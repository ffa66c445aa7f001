"""Where the words of rows meet the words of benchmarks: n-grams, texts that are mostly there, other numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.dedupe.shingles import mix
from factory.gates.benchmark_index import FEWEST_SHINGLES, SHINGLE, Index, Side
from factory.gates.leak_words import Places, Words, masked, words_of

FEW_SHINGLES = 8  # of fewer telling ones the common ones must be there as well
NEEDED = 0.15  # of a text's anchors must be met before its words are counted
ROOM = 10  # words that a leak may be longer than twice its text
NUMBERS_ALIKE = 0.85  # of the shingles without numbers, for the same question with other numbers
ALL_THERE = 0.95  # of them: what differs is the numbers alone
CHUNK_BYTES = 8 * 2**20  # texts looked at together; of no consequence for what is found
FOUND = {
    "at": pl.Int64,
    "text": pl.Int64,
    "level": pl.String,
    "similarity": pl.Float64,
    "first": pl.Int64,
    "stop": pl.Int64,
}


def find_overlaps(texts: pl.Series, index: Index, containment: float | None) -> pl.DataFrame:
    """Return FOUND: at (number of the text in the series), text (of the index), level, similarity, words [first, stop).

    Ordered by at, text, level; at most one row for each. `containment` is the least share of shingles for that level
    and for other numbers; None: neither is looked at.
    """
    frames = [pl.DataFrame(schema=FOUND)]
    for start, stop in _chunks(texts):
        found = _find(texts[start:stop], index, containment)
        frames.append(found.with_columns(pl.col("at") + start))
    return pl.concat(frames).sort("at", "text", "level")


def _chunks(texts: pl.Series) -> Iterator[tuple[int, int]]:
    ends = texts.str.len_bytes().fill_null(0).cum_sum().to_numpy()
    start = 0
    while start < ends.size:
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + CHUNK_BYTES, side="right")))
        yield start, stop
        start = stop


def _find(texts: pl.Series, index: Index, containment: float | None) -> pl.DataFrame:
    words = words_of(texts)
    anchors = index.real.anchors.find(words)
    ngrams = pl.concat([_ngrams(words, index), _wholes(words, index, anchors)])
    widest = (-pl.col("similarity"), pl.col("first") - pl.col("stop"), "first")
    exact = ngrams.sort("at", "text", *widest).unique(["at", "text"], keep="first", maintain_order=True)
    if containment is None:
        return exact
    return pl.concat([exact, _contained(words, index, anchors, containment)])


def _ngrams(words: Words, index: Index) -> pl.DataFrame:
    """Return each pair with a telling n-gram in common: similarity is the share of them, the span their widest run."""
    place, text, of = index.grams.find(words)
    met = pl.DataFrame({"at": words.rows(place), "text": text, "place": place, "of": of}).sort("at", "text", "place")
    shares = met.group_by("at", "text", maintain_order=True).agg(pl.col("of").n_unique())
    steps = pl.any_horizontal(pl.col("place", "of").diff() != 1, pl.col("at", "text").diff() != 0)
    runs = met.group_by(steps.fill_null(value=True).cum_sum().alias("run"), maintain_order=True)
    wide = runs.agg(pl.col("at", "text", "place").first(), pl.len().cast(pl.Int64).alias("length"))
    wide = wide.sort("at", "text", -pl.col("length"), "place").unique(["at", "text"], keep="first", maintain_order=True)
    wide = wide.join(shares, on=["at", "text"], how="left", maintain_order="left")
    first = wide["place"].to_numpy() - words.offsets[wide["at"].to_numpy()]
    return pl.DataFrame(
        {
            "at": wide["at"],
            "text": wide["text"],
            "level": pl.repeat("ngram", wide.height, eager=True),
            "similarity": wide["of"].to_numpy() / index.n_grams[wide["text"].to_numpy()],
            "first": first,
            "stop": first + wide["length"].to_numpy() + index.settings.words - 1,
        },
        schema=FOUND,
    )


def _wholes(words: Words, index: Index, anchors: tuple[Places, Places, Places]) -> pl.DataFrame:
    """Return each pair where the row says the whole text, word by word."""
    place, text, of = anchors
    lengths, starts = index.lengths()[text], place - of
    rows = words.rows(place)
    fits = (index.whole[text] != 0) & (starts >= words.offsets[rows]) & (starts + lengths <= words.offsets[rows + 1])
    rows, text, starts, lengths = rows[fits], text[fits], starts[fits], lengths[fits]
    same = words.runs(starts, lengths).view(np.int64) == index.whole[text]
    rows, text, first, lengths = rows[same], text[same], (starts - words.offsets[rows])[same], lengths[same]
    level, share = np.full(rows.size, "ngram"), np.ones(rows.size)
    columns = [rows, text, level, share, first, first + lengths]
    return pl.DataFrame(dict(zip(FOUND, columns, strict=True)), schema=FOUND)


def _contained(words: Words, index: Index, anchors: tuple[Places, Places, Places], least: float) -> pl.DataFrame:
    """Return the pairs where the row holds most of the text: containment, or numbers where these alone differ."""
    numberless = masked(words)
    real = _likely(words, index.real, anchors, least)
    met = index.numberless.anchors.find(numberless)
    other = _likely(numberless, index.numberless, met, NUMBERS_ALIKE)
    found: list[tuple[int, int, str, float, int, int]] = []
    for (at, text), center in sorted((other | real).items()):
        share, first, stop = _share(words, at, index.real, text, center)
        alike, left, right = _share(numberless, at, index.numberless, text, center)
        only_numbers = (
            share < alike and _share(numberless, at, index.numberless, text, center, all_of=True)[0] >= ALL_THERE
        )
        if share >= least and not only_numbers:
            found.append((at, text, "containment", share, first, stop))
        elif share < alike and alike >= NUMBERS_ALIKE:
            found.append((at, text, "numbers", alike, left, right))
    return pl.DataFrame(found, schema=FOUND, orient="row")


def _likely(
    words: Words, side: Side, anchors: tuple[Places, Places, Places], least: float
) -> dict[tuple[int, int], int]:
    """Return {(row, text): where most of the text is} of the pairs that may have a share of `least`."""
    place, text, of = anchors
    judged = side.shingles[text] >= FEWEST_SHINGLES
    place, text, of = place[judged], text[judged], of[judged]
    lengths = np.diff(side.words.offsets)
    needed = np.maximum(2, np.ceil(NEEDED * side.found_by)).astype(np.int64)
    pairs = words.rows(place) * np.int64(lengths.size) + text
    order = np.lexsort((place, pairs))
    pairs, place, of = pairs[order], place[order], of[order]
    kinds, begins, counts = np.unique(pairs, return_index=True, return_counts=True)
    enough = np.flatnonzero(counts >= needed[kinds % lengths.size])
    rows, texts = kinds[enough] // lengths.size, kinds[enough] % lengths.size
    kept = _upper_share(words, side, rows, texts) >= least
    out: dict[tuple[int, int], int] = {}
    for i, at, which in zip(enough[kept], rows[kept].tolist(), texts[kept].tolist(), strict=True):
        run = slice(begins[i], begins[i] + counts[i])
        start = _densest(place[run], of[run], 2 * int(lengths[which]) + ROOM, int(needed[which]))
        if start is not None:
            out[(at, which)] = start
    return out


def _upper_share(words: Words, side: Side, rows: Places, texts: Places) -> npt.NDArray[np.float64]:
    """Return for each pair what `_share` would be of the whole row: no stretch of it has more.

    All pairs at once, since rows made from the same sentences as a benchmark's meet many of its texts.
    """
    if not rows.size:
        return np.empty(0)
    looked, which = np.unique(rows, return_inverse=True)
    tags = mix(looked.astype(np.uint64) + np.uint64(1))
    begins, counts = words.offsets[looked], np.maximum(np.diff(words.offsets)[looked] - SHINGLE + 1, 0)
    said = np.sort(words.runs(_ranges(begins, counts), SHINGLE) ^ np.repeat(tags, counts))
    telling, ends = np.flatnonzero(side.telling), side.words.offsets
    borders = np.searchsorted(telling, ends)

    def share(chosen: Places, places: Places, counts: Places) -> npt.NDArray[np.float64]:
        of = np.repeat(np.arange(chosen.size), counts)
        wanted = side.words.runs(places, SHINGLE) ^ tags[which[chosen]][of]
        there = said[np.minimum(np.searchsorted(said, wanted), said.size - 1)] == wanted
        return np.asarray(np.bincount(of[there], minlength=chosen.size) / np.maximum(counts, 1))

    numbers = borders[texts + 1] - borders[texts]
    shares = share(np.arange(rows.size), telling[_ranges(borders[texts], numbers)], numbers)
    few = np.flatnonzero(numbers < FEW_SHINGLES)
    if few.size:
        wholes = np.maximum(ends[texts[few] + 1] - ends[texts[few]] - SHINGLE + 1, 0)
        shares[few] = np.minimum(shares[few], share(few, _ranges(ends[texts[few]], wholes), wholes))
    return shares


def _ranges(begins: Places, counts: Places) -> Places:
    """Return the numbers begins[i], begins[i] + 1, ... of so many counts[i], one range after the other."""
    ends = np.cumsum(counts)
    return np.asarray(np.arange(int(ends[-1])) + np.repeat(begins - (ends - counts), counts))


def _densest(places: Places, of: Places, width: int, needed: int) -> int | None:
    """Return where the stretch of `width` words begins that holds most anchors; None where it holds too few."""
    stops = np.searchsorted(places, places + width)
    counts = stops - np.arange(places.size)
    best = int(counts.argmax())
    return int(places[best]) if np.unique(of[best : stops[best]]).size >= needed else None


def _share(words: Words, at: int, side: Side, text: int, start: int, *, all_of: bool = False) -> tuple[float, int, int]:
    """Return the share of the text's telling shingles in the row near `start`, and the words [first, stop) of them.

    Where few shingles tell, or with `all_of`, it is no more than the share of all of them.
    """
    begin, end = (int(border) for border in side.words.offsets[text : text + 2])
    length, first = end - begin, int(words.offsets[at])
    left, right = max(first, start - length), min(int(words.offsets[at + 1]), start + 2 * length + ROOM)
    here = np.arange(left, right - SHINGLE + 1)
    said, wanted = words.runs(here, SHINGLE), side.words.runs(np.arange(begin, end - SHINGLE + 1), SHINGLE)
    telling = side.telling[begin : end - SHINGLE + 1]
    there = np.isin(wanted, said)
    met = here[np.isin(said, wanted[telling])]
    if not met.size:
        return 0.0, 0, 0
    share = there[telling].mean()
    if all_of or telling.sum() < FEW_SHINGLES:
        share = min(share, there.mean())
    return float(share), int(met[0]) - first, int(met[-1]) + SHINGLE - first
