"""What the index keeps of a text: its digest, its MinHash signature and the keys of its bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.dedupe.shingles import Shingling, shingles
from factory.dedupe.signatures import Banding, band_keys, sign
from factory.dedupe.xxh3 import xxh3_64

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
    said = texts.fill_null("")
    return np.where((said == "").to_numpy(), np.uint64(0), xxh3_64(said).to_numpy())
