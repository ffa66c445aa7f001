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
MANY = -1  # several kept files may hold rows of this prefix


def prefixes(values: pl.Series) -> Prefixes:
    """Return the first 60 bits of hex digests as integers."""
    return values.str.slice(0, 15).str.to_integer(base=16).to_numpy()


class PrefixMap:
    """A sorted map from prefixes to whole numbers, 0 where there is none; adding to it copies, but never sorts, it."""

    def __init__(self) -> None:
        self._keys: Prefixes = np.empty(0, dtype=np.int64)
        self._values: Prefixes = np.empty(0, dtype=np.int64)

    def get(self, keys: Prefixes) -> Prefixes:
        """Return the value of each key."""
        place, there = self._find(keys)
        return np.where(there, self._values[place], 0) if self._keys.size else np.zeros(keys.size, dtype=np.int64)

    def count(self, keys: Prefixes) -> None:
        """Add one to the value of each key, as often as it is given."""
        distinct, times = np.unique(keys, return_counts=True)
        place, there = self._find(distinct)
        self._values[place[there]] += times[there]
        self._insert(distinct[~there], times[~there])

    def put(self, keys: Prefixes, value: int) -> None:
        """Give a value to the keys that have none; those that have one get MANY."""
        distinct = np.unique(keys)
        place, there = self._find(distinct)
        self._values[place[there]] = MANY
        self._insert(distinct[~there], np.full((~there).sum(), value, dtype=np.int64))

    def _find(self, keys: Prefixes) -> tuple[Prefixes, npt.NDArray[np.bool_]]:
        if not self._keys.size:
            return np.zeros(keys.size, dtype=np.int64), np.zeros(keys.size, dtype=np.bool_)
        place = np.minimum(np.searchsorted(self._keys, keys), self._keys.size - 1)
        return place, self._keys[place] == keys

    def _insert(self, keys: Prefixes, values: Prefixes) -> None:
        place = np.searchsorted(self._keys, keys)
        self._keys = np.insert(self._keys, place, keys)
        self._values = np.insert(self._values, place, values)


class Earlier:
    """The rows kept before the shard at hand; a dependency of its dedupe."""

    def __init__(self) -> None:
        self._seen = {key: PrefixMap() for key in KEYS}  # to the number of the artifact that holds the row, from 1
        self._caps = PrefixMap()
        self._kept: list[Artifact] = []
        self._identity = digest(kept=[])

    @property
    def identity(self) -> str:
        """Return the digest of everything kept so far, in order."""
        return self._identity

    def add(self, kept: Artifact) -> None:
        """Count a shard's kept rows as earlier."""
        frame = kept.read([*KEYS, "cap_key"])
        self._kept.append(kept)
        for key in KEYS:
            self._seen[key].put(prefixes(frame[key]), len(self._kept))
        self._caps.count(prefixes(frame["cap_key"]))
        self._identity = digest(kept=[self._identity, kept.digest])

    def used(self, cap_keys: pl.Series) -> Prefixes:
        """Return how many kept rows share each row's shape and phrasing."""
        return self._caps.get(prefixes(cap_keys))

    def suspects(self, key: str, values: pl.Series) -> pl.Series:
        """Return a mask of the values that may have been kept before."""
        return pl.Series(self._seen[key].get(prefixes(values)) != 0)

    def find(self, key: str, values: Sequence[str]) -> dict[str, str]:
        """Return {value: id} of the kept rows that have one of the values, read from disk."""
        places = set(self._seen[key].get(prefixes(pl.Series(values, dtype=pl.String))).tolist()) - {0}
        wanted = self._kept if MANY in places else [self._kept[place - 1] for place in sorted(places)]
        if not wanted:
            return {}
        rows = pl.scan_parquet([kept.folder / "rows.parquet" for kept in wanted]).select(key, "id")
        found = rows.filter(pl.col(key).is_in(list(values))).collect()
        return dict(zip(found[key], found["id"], strict=True))
