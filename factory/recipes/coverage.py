"""Least-used-first, by construction: a stream of random permutations uses everything once before anything twice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from factory.artifacts.digest import Rng, hash_order, row_rng

Index = npt.NDArray[np.int64]


def stream(seed: int, tag: str, size: int, n: int) -> Index:
    """Return n indices in [0, size): random permutations of the whole range, one after the other."""
    rounds = -(-n // size) if n else 0
    keys = hash_order(seed, tag, rounds * size).reshape(rounds, size)
    return np.argsort(keys, axis=1, kind="stable").reshape(-1)[:n].astype(np.int64)


def walks(
    names: Sequence[str], after: Sequence[Sequence[int]], length: int, n: int, seed: int, tag: str
) -> list[list[str]]:
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
    table = np.array(names, dtype=object)[steps]
    return [list(row) for row in table]


def tuples(names: Sequence[str], allowed: set[frozenset[str]], k: int, n: int, rng: Rng) -> list[list[str]]:
    """Return n k-tuples of names, all of whose pairs are allowed, least-used pairs first.

    Greedy: the pair used least starts a tuple (ties in a random order), and each further member is the one whose new
    pairs were used least. Every pair's count ends within a few of every other's; at k = 2 within one.
    """
    used = {pair: 0 for pair in (frozenset(p) for p in combinations(names, 2)) if pair in allowed}
    order = rng.shuffled(sorted(used, key=sorted))
    out: list[list[str]] = []
    while len(out) < n:
        floor = min(used.values())
        starts = [p for p in order if used[p] == floor]
        for pair in starts:
            if len(out) == n:
                break
            if used[pair] > floor:
                continue  # an earlier tuple of this round took it in passing
            members = _grow(sorted(pair), names, used, k, rng)
            for p in combinations(members, 2):
                used[frozenset(p)] += 1
            out.append(members if len(members) == k else sorted(pair))
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


def distinct_tuples(ids: Sequence[str], k: int, n: int, seed: int, tag: str) -> list[list[str]]:
    """Return n ordered k-tuples of ids, each position least-used-first, no id twice in a tuple where there are k."""
    columns = [stream(seed, f"{tag}/{j}", len(ids), n) for j in range(k)]
    out: list[list[str]] = []
    for row in zip(*(c.tolist() for c in columns), strict=True):
        seen: list[Any] = []
        for i in row:
            while i in seen and len(seen) < len(ids):
                i = (i + 1) % len(ids)
            seen.append(i)
        out.append([ids[i] for i in seen])
    return out


def tuple_rng(seed: int, tag: str) -> Rng:
    """Return the generator that orders tuples."""
    return row_rng(seed, "plan", tag)
