"""Names and randomness that depend on content alone: canonical JSON, digests, row ids, hash-seeded generators.

Stable everywhere: blake2b over canonical JSON, and the Mersenne Twister's `random()`, the one stream that Python
promises to keep. `seed + i` is never used: neighbouring seeds make neighbouring rows collide.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import orjson

T = TypeVar("T")

_MASK = np.uint64(0xFFFFFFFFFFFFFFFF)


def canonical_json(value: object) -> bytes:
    """Return the one JSON text of a value: sorted keys, no spaces. Raises TypeError for what is not JSON."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(**parts: object) -> str:
    """Return the 128-bit hex digest of named JSON values; the names are part of it."""
    return blake2b(canonical_json(parts), digest_size=16).hexdigest()


def text_digest(text: str | bytes) -> str:
    """Return the 128-bit hex digest of a text."""
    return blake2b(text.encode() if isinstance(text, str) else text, digest_size=16).hexdigest()


def row_id(name: str, seed: int, slot_key: str, attempt: int) -> str:
    """Return the lineage id of a row: same job name, seed, slot and attempt, same id, whatever the code's version."""
    return blake2b(f"{name}\x1f{seed}\x1f{slot_key}\x1f{attempt}".encode(), digest_size=10).hexdigest()


class Rng:
    """A generator seeded by a hash; every draw is made from `random()` alone, so that streams never change."""

    __slots__ = ("_random",)

    def __init__(self, seed: int) -> None:
        self._random: Callable[[], float] = random.Random(seed).random

    def below(self, n: int) -> int:
        """Return an integer in [0, n)."""
        return int(self._random() * n)

    def between(self, lo: int, hi: int) -> int:
        """Return an integer in [lo, hi]."""
        return lo + int(self._random() * (hi - lo + 1))

    def pick(self, values: Sequence[T]) -> T:
        """Return one of the values."""
        return values[int(self._random() * len(values))]

    def chance(self, p: float) -> bool:
        """Return True with probability p."""
        return self._random() < p

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """Return the values in a random order (Fisher-Yates)."""
        out = list(values)
        for i in range(len(out) - 1, 0, -1):
            j = int(self._random() * (i + 1))
            out[i], out[j] = out[j], out[i]
        return out

    def sample(self, values: Sequence[T], k: int) -> list[T]:
        """Return k of the values, without replacement."""
        return self.shuffled(values)[:k]


def row_rng(run_seed: int, stage: str, id_: str) -> Rng:
    """Return the generator of one row in one stage; independent of order, shard and worker."""
    return Rng(int.from_bytes(blake2b(f"{run_seed}\x1f{stage}\x1f{id_}".encode(), digest_size=8).digest(), "little"))


def hash_order(run_seed: int, tag: str, n: int) -> npt.NDArray[np.uint64]:
    """Return n stable 64-bit hashes (splitmix64 of a tagged counter), for orders and draws made by column."""
    start = int.from_bytes(blake2b(f"{run_seed}\x1f{tag}".encode(), digest_size=8).digest(), "little")
    with np.errstate(over="ignore"):
        z = (np.uint64(start) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) & _MASK
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)


def permutation(run_seed: int, tag: str, n: int) -> npt.NDArray[np.intp]:
    """Return a stable random order of range(n)."""
    return np.argsort(hash_order(run_seed, tag, n), kind="stable")
