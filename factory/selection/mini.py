"""The mini split: k-means clusters over embeddings, and a choice that covers skills and fills clusters evenly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.artifacts.digest import row_rng
from factory.artifacts.stage import Stage
from factory.artifacts.store import Artifact
from schemas.release import MINI, POOL

ROWS_PER_CLUSTER = 4  # of the chosen rows: fine enough that a random choice leaves clusters out
RANDOM_DRAWS = 20


class Vectors:
    """The embeddings of a pool as a dependency."""

    def __init__(self, blocks: Sequence[Artifact]) -> None:
        self._blocks = blocks

    @property
    def identity(self) -> str:
        """Return the digest of the embeddings, block by block."""
        return " ".join(b.digest for b in self._blocks)

    def matrix(self) -> npt.NDArray[np.float32]:
        """Return the vectors, one row a pool row, in the pool's order."""
        frame = pl.concat([b.read() for b in self._blocks])
        return np.array(frame["vector"].to_list(), dtype=np.float32)


def cluster(vectors: npt.NDArray[np.float32], k: int, seed: int) -> npt.NDArray[np.int64]:
    """Return each row's k-means cluster; one thread, so that sums come in one order."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        fitted = KMeans(k, n_init=2, random_state=seed % 2**32).fit(vectors)
    return cast("npt.NDArray[np.int64]", fitted.labels_.astype(np.int64))


def choose(clusters: Sequence[int], skills: Sequence[Sequence[str]], n: int) -> list[int]:
    """Return n row numbers: first rows that show skills not shown yet, then clusters in turn, fewest rows first.

    Ties go to the emptier cluster, the rarer skills, the earlier row.
    """
    left = set(range(len(clusters)))
    used: Counter[str] = Counter()
    taken: Counter[int] = Counter()
    chosen: list[int] = []

    def take(row: int) -> None:
        left.discard(row)
        used.update(set(skills[row]))
        taken[clusters[row]] += 1
        chosen.append(row)

    fresh = left
    while len(chosen) < n and (fresh := {r for r in fresh & left if any(not used[s] for s in skills[r])}):
        take(min(fresh, key=lambda r: (-sum(not used[s] for s in set(skills[r])), taken[clusters[r]], r)))
    while len(chosen) < n and left:
        take(min(left, key=lambda r: (taken[clusters[r]], clusters[r], sum(used[s] for s in skills[r]), r)))
    return sorted(chosen)


def select_mini(frame: pl.DataFrame, params: Mapping[str, Any], *, vectors: Vectors) -> pl.DataFrame:
    """Return the pool with clusters, and which rows the mini split takes."""
    n = min(params["rows"], frame.height)
    k = max(2, min(n // ROWS_PER_CLUSTER, frame.height))
    clusters = cluster(vectors.matrix(), k, params["seed"])
    chosen = set(choose(clusters.tolist(), frame["skills"].to_list(), n))
    return frame.select("id").with_columns(
        cluster=pl.Series(clusters), chosen=pl.Series([i in chosen for i in range(frame.height)])
    )


SELECT_MINI = Stage("mini", 2, POOL, MINI, select_mini)


def coverage(clusters: Sequence[int], skills: Sequence[Sequence[str]], rows: Sequence[int]) -> dict[str, float]:
    """Return what a choice covers: clusters (share), skills (count), evenness over clusters (entropy, 0 to 1)."""
    counts = Counter(clusters[r] for r in rows)
    total, all_clusters = sum(counts.values()), len(set(clusters))
    shares = np.array([c / total for c in counts.values()])
    entropy = float(-(shares * np.log(shares)).sum() / np.log(all_clusters)) if all_clusters > 1 else 1.0
    return {
        "clusters": round(len(counts) / all_clusters, 4),
        "skills": float(len({s for r in rows for s in skills[r]})),
        "evenness": round(entropy, 4),
    }


def against_random(pool: pl.DataFrame, mini: pl.DataFrame, seed: int) -> dict[str, dict[str, float]]:
    """Return the coverage of the mini split and the mean of RANDOM_DRAWS random choices of its size."""
    clusters, skills = mini["cluster"].to_list(), pool["skills"].to_list()
    chosen = [i for i, c in enumerate(mini["chosen"].to_list()) if c]
    draws = []
    for i in range(RANDOM_DRAWS):
        rows = row_rng(seed, "mini-random", str(i)).sample(range(pool.height), len(chosen))
        draws.append(coverage(clusters, skills, rows))
    return {
        "mini": coverage(clusters, skills, chosen),
        "random": {key: round(float(np.mean([d[key] for d in draws])), 4) for key in draws[0]},
    }
