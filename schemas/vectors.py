"""TEXT_VECTORS: what an embedder says of a row's text, as unit vectors in half precision."""

from __future__ import annotations

import polars as pl

from schemas.table import Table


def text_vectors(dimensions: int) -> Table:
    """Return the contract for an embedder of so many dimensions; zeros where there was nothing to embed."""
    return Table(
        name="text_vectors",
        version=1,
        columns={"id": pl.String(), "row": pl.Int64(), "vector": pl.Array(pl.Float16(), dimensions)},
    )
