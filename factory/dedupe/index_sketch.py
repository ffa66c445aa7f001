"""What the index keeps of a text: its digest, its MinHash signature and the keys of its bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.dedupe.shingles import Shingling, shingles
from factory.dedupe.signatures import Banding, band_keys, sign
from factory.errors import MissingExtra

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]


class Signing(Protocol):
    """How texts are signed; IndexConfig is one."""

    @property
    def unit(self) -> str:
        """Return `word` or `char`."""
        ...

    @property
    def size(self) -> int:
        """Return the units of a shingle."""
        ...

    @property
    def permutations(self) -> int:
        """Return the numbers of a signature."""
        ...

    @property
    def engine(self) -> str:
        """Return the library that signs."""
        ...


@dataclass(frozen=True, slots=True)
class Sketch:
    """n texts: digests (n,) with 0 for an empty one, signatures (n, permutations), keys (n, bands), present (n,)."""

    digests: U64
    signatures: npt.NDArray[np.uint32]
    keys: U64
    present: npt.NDArray[np.bool_]  # False: no shingle, so it can match nothing


def sketch(texts: pl.Series, signing: Signing, banding: Banding) -> Sketch:
    """Return what the index keeps of texts; null is empty."""
    flat, offsets = shingles(texts, Shingling(signing.unit, signing.size))  # type: ignore[arg-type]
    signatures = sign(flat, offsets, signing.permutations, signing.engine)  # type: ignore[arg-type]
    return Sketch(text_digests(texts), signatures, band_keys(signatures, banding), np.diff(offsets) > 0)


def text_digests(texts: pl.Series) -> U64:
    """Return the xxh3 of each text as it stands; 0 for an empty one and for null."""
    try:
        import polars_hash  # noqa: F401 - registers the namespace `nchash`
    except ImportError:
        raise MissingExtra("the release index", "curate") from None
    text = pl.col("text").fill_null("")
    hashed = text.nchash.xxh3_64()  # type: ignore[attr-defined]
    found = texts.rename("text").to_frame().select(pl.when(text == "").then(0).otherwise(hashed).cast(pl.UInt64))
    return found.to_series().to_numpy()


def jaccard(ours: tuple[U64, I64], theirs: tuple[U64, I64], pairs: tuple[I64, I64]) -> npt.NDArray[np.float64]:
    """Return the exact Jaccard similarity of pairs of shingle sets, each (flat, offsets); 0 where both are empty."""
    flat = np.concatenate([ours[0], theirs[0]])
    numbers = np.unique(flat, return_inverse=True)[1].astype(np.uint64)
    left, left_of = _gather(numbers[: ours[0].size], ours[1], pairs[0])
    right, right_of = _gather(numbers[ours[0].size :], theirs[1], pairs[1])
    keyed = np.sort(np.concatenate([left_of << np.uint64(32) | left, right_of << np.uint64(32) | right]))
    again = keyed[1:][keyed[1:] == keyed[:-1]] >> np.uint64(32)
    shared = np.bincount(again.astype(np.int64), minlength=pairs[0].size)
    total = np.diff(ours[1])[pairs[0]] + np.diff(theirs[1])[pairs[1]] - shared
    return np.asarray(shared / np.maximum(total, 1), dtype=np.float64)


def _gather(values: U64, offsets: I64, rows: I64) -> tuple[U64, U64]:
    """Return the values of the given rows one after another, and the place in `rows` that each belongs to."""
    counts = np.diff(offsets)[rows]
    owner = np.repeat(np.arange(rows.size), counts)
    starts = np.cumsum(counts) - counts
    place = np.arange(owner.size) - starts[owner] + offsets[rows][owner]
    return values[place], owner.astype(np.uint64)
