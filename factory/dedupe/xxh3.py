"""XXH3 hashes of texts, by polars-hash: the same on every machine and day. A null has none."""

from __future__ import annotations

import polars as pl

from factory.errors import MissingExtra


def xxh3_64(texts: pl.Series) -> pl.Series:
    """Return the 64-bit hash of each text, UInt64. Raises MissingExtra without polars-hash."""
    return _hashed(texts, "xxh3_64")


def xxh3_128(texts: pl.Series) -> pl.Series:
    """Return the 128-bit hash of each text, sixteen bytes, the most significant first. Raises like xxh3_64."""
    return _hashed(texts, "xxh3_128", return_binary=True, byte_order="big")


def _hashed(texts: pl.Series, how: str, **options: object) -> pl.Series:
    try:
        import polars_hash  # noqa: F401 - registers the namespace `nchash`
    except ImportError:
        raise MissingExtra("hashing texts to find copies", "curate") from None
    hashing = getattr(pl.col("text").nchash, how)  # type: ignore[attr-defined]
    return texts.rename("text").to_frame().select(hashing(**options)).to_series()
