"""Least-used-first, by construction: a stream of random permutations uses everything once before anything twice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from factory.artifacts.digest import Rng, hash_order, row_rng

Index = npt.NDArray[np.int64]


def stream(seed: int, tag: str, size: int, n: int) -> Index:
    """Return n indices in [0, size): random permutations of the whole range, one after the other."""
    rounds = -(-n // size) if n else 0
    keys = hash_order(seed, tag, rounds * size).reshape(rounds, size)
    return np.argsort(keys, axis=1, kind="stable").reshape(-1)[:n].astype(np.int64)


def name_lists(names: Sequence[str], indices: Index) -> pl.Series:
    """Return the rows of a matrix of indices as lists of names, without a Python object per row."""
    n, length = indices.shape
    flat = pl.Series(list(names), dtype=pl.String).gather(indices.reshape(-1))
    offsets = pa.array(np.arange(n + 1, dtype=np.int64) * length)
    return pl.Series(pa.LargeListArray.from_arrays(offsets, flat.to_arrow(compat_level=pl.CompatLevel.oldest())))


def walks(names: Sequence[str], after: Sequence[Sequence[int]], length: int, n: int, seed: int, tag: str) -> pl.Series:
    """Return n walks over names: `after[i]` are the indices that may follow i. Every choice uses its options evenly."""
    reach = [set(range(len(names)))]  # reach[k]: those from which k more steps are possible
    for _ in range(length - 1):
        reach.append({i for i, options in enumerate(after) if reach[-1].intersection(options)})
    steps = np.empty((n, length), dtype=np.int64)
    for j in range(length):
        able = reach[length - 1 - j]
        for before in [-1] if j == 0 else np.unique(steps[:, j - 1]).tolist():
            rows = np.arange(n) if before < 0 else np.flatnonzero(steps[:, j - 1] == before)
            pool = np.array([i for i in (range(len(names)) if before < 0 else after[before]) if i in able])
            steps[rows, j] = pool[stream(seed, f"{tag}/{j}/{before}", pool.size, rows.size)]
    return name_lists(names, steps)


def tuples(names: Sequence[str], allowed: set[frozenset[str]], k: int, n: int, rng: Rng) -> list[list[str]]:
    """Return n k-tuples of names, all of whose pairs are allowed, least-used pairs first.

    Greedy: the pair used least starts a tuple (ties in a random order), and each further member is the one whose new
    pairs were used least. Every pair's count ends within a few of every other's; at k = 2 within one. Fewer than n
    when no pair can grow to k.
    """
    used = {pair: 0 for pair in (frozenset(p) for p in combinations(names, 2)) if pair in allowed}
    order = rng.shuffled(sorted(used, key=sorted))
    out: list[list[str]] = []
    while len(out) < n and used:
        floor = min(used.values())
        starts = [p for p in order if used[p] == floor]
        for pair in starts:
            if len(out) == n:
                break
            if used.get(pair, floor + 1) > floor:
                continue  # an earlier tuple of this round took it in passing
            members = _grow(sorted(pair), names, used, k, rng)
            if len(members) < k:
                del used[pair]  # it can be no part of any tuple
                continue
            for p in combinations(members, 2):
                used[frozenset(p)] += 1
            out.append(members)
        order = [p for p in order if p in used]
    return out


def _grow(members: list[str], names: Sequence[str], used: dict[frozenset[str], int], k: int, rng: Rng) -> list[str]:
    members = list(members)
    while len(members) < k:
        fits = [c for c in names if c not in members and all(frozenset((c, m)) in used for m in members)]
        if not fits:
            break
        cost = {c: sum(used[frozenset((c, m))] for m in members) for c in fits}
        least = min(cost.values())
        members.append(rng.pick([c for c in fits if cost[c] == least]))
    return members


def distinct_tuples(names: Sequence[str], k: int, n: int, seed: int, tag: str) -> pl.Series:
    """Return n ordered k-tuples of names, each position least-used-first, no name twice in a tuple if there are k."""
    table = np.stack([stream(seed, f"{tag}/{j}", len(names), n) for j in range(k)], axis=1)
    ordered = np.sort(table, axis=1)
    for row in np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1)):
        seen: list[int] = []
        for i in table[row].tolist():
            while i in seen and len(seen) < len(names):
                i = (i + 1) % len(names)
            seen.append(i)
        table[row] = seen
    return name_lists(names, table)


def tuple_rng(seed: int, tag: str) -> Rng:
    """Return the generator that orders tuples."""
    return row_rng(seed, "plan", tag)
