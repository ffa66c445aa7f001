"""What was kept so far, small enough to hold for any number of rows: sorted 60-bit prefixes, not rows.

A prefix that is seen again is only a suspicion; the full digests on disk decide, and name the twin.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.artifacts.digest import digest
from factory.artifacts.store import Artifact

Prefixes = npt.NDArray[np.int64]
KEYS = ("digest", "prompt_digest")


def prefixes(values: pl.Series) -> Prefixes:
    """Return the first 60 bits of hex digests as integers."""
    return values.str.slice(0, 15).str.to_integer(base=16).to_numpy()


class Counts:
    """How often each prefix was added: two arrays, merged in linear time."""

    def __init__(self) -> None:
        self._keys: Prefixes = np.empty(0, dtype=np.int64)
        self._counts: Prefixes = np.empty(0, dtype=np.int64)

    def get(self, keys: Prefixes) -> Prefixes:
        """Return the count of each key, 0 where there is none."""
        if not self._keys.size:
            return np.zeros(keys.size, dtype=np.int64)
        place = np.minimum(np.searchsorted(self._keys, keys), self._keys.size - 1)
        return np.where(self._keys[place] == keys, self._counts[place], 0)

    def add(self, keys: Prefixes) -> None:
        """Count each key once more."""
        merged = np.concatenate([self._keys, np.sort(keys)])
        counts = np.concatenate([self._counts, np.ones(keys.size, dtype=np.int64)])
        order = np.argsort(merged, kind="stable")  # two sorted runs: a linear merge
        merged, counts = merged[order], counts[order]
        if merged.size:
            starts = np.flatnonzero(np.concatenate([[True], merged[1:] != merged[:-1]]))
            self._keys, self._counts = merged[starts], np.add.reduceat(counts, starts)


class Earlier:
    """The rows kept before the shard at hand; a dependency of its dedupe."""

    def __init__(self) -> None:
        self._seen = {key: Counts() for key in KEYS}
        self._caps = Counts()
        self._kept: list[Artifact] = []
        self._identity = digest(kept=[])

    @property
    def identity(self) -> str:
        """Return the digest of everything kept so far, in order."""
        return self._identity

    def add(self, kept: Artifact) -> None:
        """Count a shard's kept rows as earlier."""
        frame = kept.read([*KEYS, "cap_key"])
        for key in KEYS:
            self._seen[key].add(prefixes(frame[key]))
        self._caps.add(prefixes(frame["cap_key"]))
        self._kept.append(kept)
        self._identity = digest(kept=[self._identity, kept.digest])

    def used(self, cap_keys: pl.Series) -> Prefixes:
        """Return how many kept rows share each row's shape and phrasing."""
        return self._caps.get(prefixes(cap_keys))

    def suspects(self, key: str, values: pl.Series) -> pl.Series:
        """Return a mask of the values that may have been kept before."""
        return pl.Series(self._seen[key].get(prefixes(values)) > 0)

    def find(self, key: str, values: Sequence[str]) -> dict[str, str]:
        """Return {value: id} of the kept rows that have one of the values, read from disk."""
        if not values:
            return {}
        rows = [pl.scan_parquet(k.folder / "rows.parquet").select(key, "id") for k in self._kept if k.rows]
        found = pl.concat(rows).filter(pl.col(key).is_in(list(values))).collect() if rows else pl.DataFrame()
        return dict(zip(found[key], found["id"], strict=True)) if found.height else {}
