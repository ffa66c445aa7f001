"""Rows whose instruction is a part of another's, word for word: Guru drops the shorter one (arXiv 2506.14965).

A row's first few words are looked for in all others; where they are found, the stretch as long as the whole row is
compared by its hash, and what still looks the same is compared as text. So no pair of rows is ever looked at for
nothing but a common beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.dedupe.normal import NO_ROWS, ExactSpec, Mask, Ranks, normalised
from factory.dedupe.xxh3 import xxh3_64

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

ODD = 0x9E3779B97F4A7C15  # has an inverse modulo 2**64
INVERSE = pow(ODD, -1, 2**64)
FILTER_BITS = 24
AT_ONCE = 4_000_000  # stretches, which bounds the memory where very many rows begin alike
HITS = {"row": pl.Int64, "twin": pl.Int64, "words": pl.Int64}


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a shard's rows, one after another, and sums by which any stretch of them is hashed at once."""

    row: Places
    starts: Places  # of each row's words, and the end of the last
    sums: Hashes
    unscale: Hashes

    def stretches(self, first: Places, size: Places | int) -> Hashes:
        """Return the hash of the words [first, first + size)."""
        hashes: Hashes = (self.sums[first + size] - self.sums[first]) * self.unscale[first]
        return hashes

    @property
    def sizes(self) -> Places:
        """Return how many words each row has."""
        return np.diff(self.starts)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is looked for: rows by the hash of their first words, their length, and the hash of all their words."""

    anchors: Hashes  # sorted, one for each (anchor, length)
    sizes: Places
    wholes: Hashes  # sorted, one for each row
    rows: Places
    seen: Mask  # whether an anchor with these leading bits exists


def find_contained(
    shards: Sequence[pl.DataFrame], spec: ExactSpec, order: Ranks | None = None, alive: Mask | None = None
) -> pl.DataFrame:
    """Return (row, twin) of each row that is a strict part of a longer one, whole words only, by row.

    The shards have (row, instruction). The twin is the longest row that holds this one, so that it is a part of none
    itself and stays; of several, the one of smallest rank. `order` and `alive` are read at `row`.
    """
    parts = _parts(shards, spec, alive)
    found = [_hits(_words(shard, spec, alive), parts, spec.substring_words) for shard in shards]
    hits = pl.concat([pl.DataFrame(schema=HITS), *found])
    rank = hits["twin"] if order is None else pl.Series(order[hits["twin"].to_numpy()])
    best = hits.with_columns(rank=rank).sort("row", -pl.col("words"), "rank", "twin").unique("row", keep="first")
    return _verified(best.sort("row").select("row", "twin"), shards, spec)


def _texts(shard: pl.DataFrame, spec: ExactSpec) -> pl.Series:
    return normalised(shard["instruction"], spec.normalise.model_copy(update={"white_space": True}))


def _words(shard: pl.DataFrame, spec: ExactSpec, alive: Mask | None) -> Words:
    """Return the words of the rows that take part and are long enough to be a part or to hold one."""
    frame = pl.DataFrame({"row": shard["row"], "text": _texts(shard, spec)})
    if alive is not None:
        frame = frame.filter(pl.Series(alive[frame["row"].to_numpy()]))
    frame = frame.filter(pl.col("text").str.count_matches(" ", literal=True) + 1 >= spec.substring_words)
    frame = frame.with_columns(pl.col("text").str.split(" "))
    starts = np.concatenate([NO_ROWS, [0], frame["text"].list.len().cast(pl.Int64).cum_sum().to_numpy()])
    flat = xxh3_64(frame["text"].explode(empty_as_null=False)).to_numpy()
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(flat * _powers(ODD, flat.size), dtype=np.uint64)])
    return Words(frame["row"].to_numpy(), starts, sums, _powers(INVERSE, flat.size))


def _powers(of: int, n: int) -> Hashes:
    values = np.full(n, of, dtype=np.uint64)
    values[:1] = 1
    return np.multiply.accumulate(values)


def _parts(shards: Sequence[pl.DataFrame], spec: ExactSpec, alive: Mask | None) -> Parts:
    anchors, sizes, wholes, rows = [], [NO_ROWS], [], [NO_ROWS]
    for shard in shards:
        words = _words(shard, spec, alive)
        anchors.append(words.stretches(words.starts[:-1], spec.substring_words))
        sizes.append(words.sizes)
        wholes.append(words.stretches(words.starts[:-1], words.sizes))
        rows.append(words.row)
    nothing = np.empty(0, dtype=np.uint64)
    whole, row = np.concatenate([nothing, *wholes]), np.concatenate(rows)
    pairs = pl.DataFrame({"anchor": np.concatenate([nothing, *anchors]), "size": np.concatenate(sizes)})
    pairs = pairs.unique().sort("anchor", "size")
    by_whole = np.argsort(whole, kind="stable")
    seen = np.zeros(1 << FILTER_BITS, dtype=np.bool_)
    seen[_leading(pairs["anchor"].to_numpy())] = True
    return Parts(pairs["anchor"].to_numpy(), pairs["size"].to_numpy(), whole[by_whole], row[by_whole], seen)


def _leading(hashes: Hashes) -> Places:
    return (hashes >> np.uint64(64 - FILTER_BITS)).astype(np.int64)


def _hits(words: Words, parts: Parts, least: int) -> pl.DataFrame:
    """Return (row, twin, words of the twin) of the parts that the rows of a shard seem to hold."""
    out = [pl.DataFrame(schema=HITS)]
    holder = np.repeat(np.arange(words.row.size), words.sizes)
    place = np.arange(holder.size)
    fits = place + least <= words.starts[1:][holder]
    holder, place = holder[fits], place[fits]
    anchor = words.stretches(place, least)
    there = parts.seen[_leading(anchor)]
    holder, place, anchor = holder[there], place[there], anchor[there]
    low, high = (np.searchsorted(parts.anchors, anchor, side=side) for side in ("left", "right"))
    for start, end in _batches(high - low):
        many = (high - low)[start:end]
        who, at = np.repeat(holder[start:end], many), np.repeat(place[start:end], many)
        size = parts.sizes[np.repeat(low[start:end], many) + _counters(many)]
        whole = (at + size <= words.starts[1:][who]) & (size < words.sizes[who])
        out.append(_matches(words, parts, who[whole], words.stretches(at[whole], size[whole])))
    return pl.concat(out).unique()


def _matches(words: Words, parts: Parts, who: Places, stretch: Hashes) -> pl.DataFrame:
    low, high = (np.searchsorted(parts.wholes, stretch, side=side) for side in ("left", "right"))
    many = high - low
    part, holder = parts.rows[np.repeat(low, many) + _counters(many)], np.repeat(who, many)
    return pl.DataFrame({"row": part, "twin": words.row[holder], "words": words.sizes[holder]}, schema=HITS)


def _batches(many: Places) -> Iterator[tuple[int, int]]:
    """Yield the borders of runs whose numbers add up to AT_ONCE or less, but for a run of one."""
    ends = np.cumsum(many)
    start = 0
    while start < many.size:
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + AT_ONCE, side="right")))
        yield start, end
        start = end


def _counters(many: Places) -> Places:
    """Return 0, 1, ... up to each number, one after another."""
    return np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)


def _verified(pairs: pl.DataFrame, shards: Sequence[pl.DataFrame], spec: ExactSpec) -> pl.DataFrame:
    """Return the pairs whose texts bear out what their hashes say."""
    wanted = pl.concat([pairs["row"], pairs["twin"]]).unique().implode()
    said: dict[int, str] = {}
    for shard in shards if pairs.height else []:
        rows = shard.filter(pl.col("row").is_in(wanted))
        said.update(zip(rows["row"], _texts(rows, spec), strict=True))
    texts = ((said[row], said[twin]) for row, twin in pairs.iter_rows())
    kept = [part != whole and f" {part} " in f" {whole} " for part, whole in texts]
    return pairs.filter(pl.Series(kept, dtype=pl.Boolean))
