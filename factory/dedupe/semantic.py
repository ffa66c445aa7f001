"""Copies by meaning: a row leaves if its vector is near that of a kept, earlier row; the nearest such row is its twin.

Greedy in the order of the ranks, in blocks. The index holds kept rows alone, so that no row leaves for being near one
that left, and a pool of near copies costs no more than what is kept of it. What an index finds is only a candidate:
the cosine that decides is worked out again in full, so that precision is 1 by construction and only recall is
approximate. Small pools are compared in full; in large ones faiss looks into the lists of the nearest centroids
(inverted file, Sivic and Zisserman 2003) at product-quantized vectors (Jégou et al. 2011; 4 bits for every two
numbers, after André et al. 2015).
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from factory.artifacts.digest import permutation
from factory.cores import cores
from factory.errors import UserError
from factory.strict import Strict

FULL_UP_TO, LISTS_FROM = 20_000, 1_000
"""Rows up to which all are compared with all kept ones; rows from which lists can be trained, if they are asked for."""
BLOCK = 1_024
CHUNK = 128
NEAREST = 12
LISTS_PER_ROOT, PROBED, TRAINED_ON = 0.9, 12, 24
"""Lists for each square root of the rows; lists looked into; rows that a centroid is trained on."""
ROUNDS, SEED = 4, 1
SLACK, ROUGH_SLACK = 1e-4, 0.3
"""How far below the threshold the first estimate of a cosine may lie: of a product in float32; of quantized vectors,
which comes out too low (with 0.1, 2 % of the copies were missed)."""
DIGITS = 5

Mode = Literal["auto", "full", "approximate"]
Vectors = npt.NDArray[np.float16] | npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class SemanticSpec(Strict):
    """Copies by meaning, as a job file asks for them."""

    embedder: str = Field(default="minilm", description="static, minilm, a folder, or a Hub id (org/name[@revision])")
    threshold: float = Field(
        default=0.87, gt=0, le=1, description="cosine from which a row is a copy of a kept, earlier one"
    )
    fields: tuple[Literal["instruction", "answer"], ...] = Field(
        default=("instruction",), min_length=1, description="what is compared; several fields as one text"
    )


def semantic_duplicates(
    vectors: Vectors, ranks: npt.NDArray[np.generic], alive: Mask, threshold: float, mode: Mode = "auto"
) -> pl.DataFrame:
    """Return (row, twin, similarity) of the rows that leave, by row: positions in `vectors`, and their cosine.

    `vectors` is (n, d), of any length (zeros: no text, never a copy); `ranks` orders the greedy choice (equal ranks:
    by position); rows that are not `alive` take no part. The cosine counts in five digits. The answer depends on the
    vectors of the living rows, their order and the threshold, not on threads. Raises UserError for a threshold that
    is not in (0, 1].
    """
    if not 0 < threshold <= 1:
        raise UserError(f"the threshold of semantic dedupe is a cosine above 0 and up to 1; found {threshold}")
    from threadpoolctl import threadpool_limits

    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float32))
    order = np.argsort(ranks, kind="stable")
    order = order[(alive & (norms > 0) & np.isfinite(norms))[order]]
    pool = _Pool(_units(vectors, norms, order))
    full = mode == "full" or order.size < (FULL_UP_TO if mode == "auto" else LISTS_FROM)
    twins, cosines = np.full(order.size, -1, np.int64), np.zeros(order.size)
    workers = ThreadPoolExecutor(cores(), initializer=_use_one_thread)
    with threadpool_limits(1), workers as threads:  # products that start threads of their own spin for twice the time
        index = threads.submit(_full_index if full else _lists_index, pool).result()
        greedy = _Greedy(pool, threshold, index, SLACK if full else ROUGH_SLACK, threads, twins, cosines)
        for start in range(0, order.size, BLOCK):
            greedy.choose(np.arange(start, min(start + BLOCK, order.size)))
        greedy.wait()
    left = twins >= 0
    out = {"row": order[left], "twin": order[twins[left]], "similarity": cosines[left]}
    return pl.DataFrame(out, schema=DUPLICATES).sort("row")


def _units(vectors: Vectors, norms: Floats, order: Ints) -> Floats:
    units = np.empty((order.size, vectors.shape[1]), np.float32)
    for start in range(0, order.size, BLOCK):
        rows = order[start : start + BLOCK]
        np.divide(vectors[rows], norms[rows, None], out=units[start : start + BLOCK], dtype=np.float32)
    return units


DUPLICATES = {"row": pl.Int64, "twin": pl.Int64, "similarity": pl.Float64}


@dataclass(frozen=True, slots=True)
class _Pool:
    """The unit vectors of the living rows by place, from 0, in the order in which they are chosen: 4 d bytes a row."""

    units: Floats

    @property
    def size(self) -> int:
        """Return how many rows there are."""
        return len(self.units)

    def cosines(self, these: Ints, those: Ints) -> npt.NDArray[np.float64]:
        """Return the cosine of each pair, summed up in the same order whatever is asked for beside it."""
        found = np.empty(these.size)
        for start in range(0, these.size, 8 * BLOCK):
            part = slice(start, start + 8 * BLOCK)
            found[part] = np.einsum("ij,ij->i", self.units[these[part]], self.units[those[part]], dtype=np.float64)
        return np.round(found, DIGITS)


@dataclass(frozen=True, slots=True)
class _Greedy:
    """The choice so far: for each place its twin's place (-1: kept, or not looked at yet) and their cosine."""

    pool: _Pool
    threshold: float
    index: Any  # of the kept places
    slack: float
    threads: ThreadPoolExecutor
    twins: Ints
    cosines: npt.NDArray[np.float64]
    adding: list[Future[None]] = field(default_factory=list)

    def choose(self, places: Ints) -> None:
        """Decide on one block: first against the rows kept before it, then within it; and index what is kept of it.

        While the block before it is still being indexed, its rows are compared with one another.
        """
        block = self.pool.units[places]
        near = np.tril(block @ block.T >= self.threshold - SLACK, -1)
        self.wait()
        if self.index.ntotal:
            self.compare_with_kept(places, block)
        self.compare_within(places, near)
        kept = self.twins[places] < 0
        self.adding.append(self.threads.submit(self.index.add_with_ids, block[kept], places[kept]))

    def wait(self) -> None:
        """Have everything indexed that was kept so far."""
        while self.adding:
            self.adding.pop().result()

    def compare_with_kept(self, places: Ints, block: Floats) -> None:
        """Give those a twin that are near an indexed row: the nearest, or the earliest of several as near.

        In chunks of a fixed size, each on one thread: what is found does not depend on how many threads there are.
        """
        nearest = min(NEAREST, self.index.ntotal)

        def nearest_of(start: int) -> tuple[Ints, Ints, npt.NDArray[np.float64]]:
            chunk = slice(start, start + CHUNK)
            rough, found = self.index.search(block[chunk], nearest)
            row, column = np.nonzero((found >= 0) & (rough >= self.threshold - self.slack))
            mine, theirs = places[chunk][row], found[row, column]
            exact = self.pool.cosines(mine, theirs)
            order = np.lexsort((theirs, -exact, mine))
            order = order[exact[order] >= self.threshold]
            mine, theirs, exact = mine[order], theirs[order], exact[order]
            first = np.diff(mine, prepend=-1) != 0
            return mine[first], theirs[first], exact[first]

        for mine, theirs, exact in self.threads.map(nearest_of, range(0, len(block), CHUNK)):
            self.twins[mine], self.cosines[mine] = theirs, exact

    def compare_within(self, places: Ints, near: npt.NDArray[np.bool_]) -> None:
        """Give those a twin, or a nearer one, that are near a kept, earlier row of their own block."""
        for i in np.flatnonzero(near.any(axis=1)):
            others = places[:i][near[i, :i]]
            others = others[self.twins[others] < 0]
            if not others.size:
                continue
            exact = self.pool.cosines(np.full(others.size, places[i]), others)
            best = int(exact.argmax())
            if exact[best] >= self.threshold and exact[best] > self.cosines[places[i]]:
                self.twins[places[i]], self.cosines[places[i]] = others[best], exact[best]


# ------------------------------------------------------------------------------------------------------------ indexes


def _use_one_thread() -> None:
    import faiss

    faiss.omp_set_num_threads(1)


def _full_index(pool: _Pool) -> Any:
    import faiss

    return faiss.IndexIDMap(faiss.IndexFlatIP(pool.units.shape[1]))


def _lists_index(pool: _Pool) -> Any:
    """Return an empty index whose centroids and codes are trained on a fixed draw of the pool."""
    import faiss

    dimensions = pool.units.shape[1]
    lists = max(1, int(LISTS_PER_ROOT * np.sqrt(pool.size)))
    drawn = permutation(SEED, "semantic centroids", pool.size)[: lists * TRAINED_ON].astype(np.int64)
    sample = pool.units[np.sort(drawn)]
    centroids = faiss.Kmeans(
        dimensions,
        lists,
        niter=ROUNDS,
        seed=SEED,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=TRAINED_ON,
    )
    centroids.train(sample)
    coarse = faiss.IndexFlatIP(dimensions)
    coarse.add(np.asarray(centroids.centroids))
    step = next(s for s in range(2, dimensions + 2) if dimensions % s == 0 or s > dimensions)
    index = faiss.IndexIVFPQFastScan(
        coarse, dimensions, lists, max(1, dimensions // step), 4, faiss.METRIC_INNER_PRODUCT, 32
    )
    index.by_residual = False
    index.nprobe = min(PROBED, lists)
    index.train(sample)
    return index
