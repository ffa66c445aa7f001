"""MinHash signatures and their bands: what tells near copies without comparing every text with every other.

Two signatures agree at a place with the probability that is the Jaccard similarity of their sets (Broder 1997). Cut
into bands of rows, they share a whole band, so become candidates, with probability 1 - (1 - J^rows)^bands.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.dedupe.shingles import MULTIPLIER, Hashes, Offsets, Shingling, mix, shingles
from factory.errors import MissingExtra

Signatures = npt.NDArray[np.uint32]
Engine = Literal["rensa", "datasketch"]

PERMUTATIONS = 128
SEED = 42
NOTHING = np.uint32(2**32 - 1)  # every place of the signature of an empty set
ROWS_AT_ONCE = 256  # rensa hands out Python lists: so few of them stay in the cache, which halves the time

RECALL, MARGIN = 0.99, 0.05  # of the pairs that are this much above the threshold
MISS_WEIGHTS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)

CANARY = "The quick brown fox jumps over the lazy dog, and 7 * 6 is still 42; naïve façades don't change that."


@dataclass(frozen=True, slots=True)
class Banding:
    """How a signature is cut: so many bands of so many rows; what is over at the end is not used."""

    bands: int
    rows: int

    def recall(self, similarity: float) -> float:
        """Return the probability that two sets of a Jaccard similarity share a band."""
        return float(1 - (1 - similarity**self.rows) ** self.bands)


@lru_cache
def banding_for(threshold: float, permutations: int = PERMUTATIONS) -> Banding:
    """Return the bands by datasketch's optimiser, with the lightest weight on misses that finds nearly all copies.

    Nearly all: at least 0.99 of the pairs that are 0.05 above the threshold. At 0.8 and 128 permutations these are 16
    bands of 8 rows, which find 0.947 of the pairs at 0.80 and 0.994 at 0.85 (equal weights: 0.40 and 0.69 of them).
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"a threshold is above 0 and at most 1; found {threshold}")
    banding = Banding(2, permutations // 2)
    for weight in MISS_WEIGHTS:
        banding = _optimised(threshold, permutations, weight) or banding
        if banding.recall(min(1.0, threshold + MARGIN)) >= RECALL:
            break
    return banding


def _optimised(threshold: float, permutations: int, weight: float) -> Banding | None:
    try:
        from datasketch import MinHashLSH
    except ImportError as exc:
        raise MissingExtra("dedupe of near copies", "curate") from exc
    try:
        found = MinHashLSH(threshold=threshold, num_perm=permutations, weights=(1 - weight, weight))
    except ValueError:  # it would be one band
        return None
    return Banding(int(found.b), int(found.r))


def sign(flat: Hashes, offsets: Offsets, permutations: int = PERMUTATIONS, engine: Engine = "rensa") -> Signatures:
    """Return the signature of every row; repeated hashes change nothing, an empty row has NOTHING at every place.

    The engines' signatures are as good as each other, but cannot be compared with each other.
    """
    signer = ENGINES[engine]
    out = np.full((offsets.size - 1, permutations), NOTHING, dtype=np.uint32)
    for start in range(0, offsets.size - 1, ROWS_AT_ONCE):
        ends = offsets[start : start + ROWS_AT_ONCE + 1]
        block = np.ascontiguousarray(flat[ends[0] : ends[-1]])
        out[start : start + ROWS_AT_ONCE] = signer(block, ends - ends[0], permutations)
    return out


def _sign_rensa(flat: Hashes, offsets: Offsets, permutations: int) -> Signatures:
    try:
        from rensa import RMinHash
    except ImportError as exc:
        raise MissingExtra("dedupe of near copies", "curate") from exc
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets.astype(np.uint64), permutations, SEED)
    pack = struct.Struct(f"{permutations}I").pack
    packed = b"".join([pack(*row) for row in matrix.to_rows()])
    return np.frombuffer(packed, dtype=np.uint32).reshape(-1, permutations)


def _sign_datasketch(flat: Hashes, offsets: Offsets, permutations: int) -> Signatures:
    try:
        from datasketch import MinHash
    except ImportError as exc:
        raise MissingExtra("dedupe of near copies", "curate") from exc
    short = (flat >> np.uint64(32)).astype(np.uint32)
    fresh = MinHash(num_perm=permutations, seed=SEED, hashfunc=int, scheme="affine32")
    out = np.empty((offsets.size - 1, permutations), dtype=np.uint32)
    for row in range(offsets.size - 1):
        one = fresh.copy()
        one.update_batch(short[offsets[row] : offsets[row + 1]].tolist())
        out[row] = one.hashvalues
    return out


ENGINES: dict[str, Callable[[Hashes, Offsets, int], Signatures]] = {
    "rensa": _sign_rensa,
    "datasketch": _sign_datasketch,
}


def is_empty(signatures: Signatures) -> npt.NDArray[np.bool_]:
    """Return which signatures are those of empty sets."""
    empty: npt.NDArray[np.bool_] = np.all(signatures == NOTHING, axis=1)
    return empty


def band_keys(signatures: Signatures, banding: Banding) -> Hashes:
    """Return a key for every band of every signature, as (n, bands); the same rows in another band have another key."""
    n, used = len(signatures), banding.bands * banding.rows
    if used > signatures.shape[1]:
        raise ValueError(f"{banding} needs {used} permutations; found {signatures.shape[1]}")
    cut = signatures[:, :used].reshape(n, banding.bands, banding.rows)
    keys = np.broadcast_to(np.arange(1, banding.bands + 1, dtype=np.uint64), (n, banding.bands)).copy()
    for row in range(banding.rows):
        keys *= MULTIPLIER
        keys += cut[:, :, row]
        mix(keys)
    return keys


@lru_cache
def canary(shingling: Shingling, permutations: int = PERMUTATIONS, engine: Engine = "rensa") -> str:
    """Return the digest of the canary's signature: two configurations are comparable when theirs are equal."""
    signature = sign(*shingles(pl.Series([CANARY]), shingling), permutations, engine)
    return sha256(signature.astype("<u4").tobytes()).hexdigest()[:32]
