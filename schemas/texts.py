"""DOCUMENTS and INSTRUCTIONS: texts that a user brings, once they are known to be usable; RAW_TEXTS before."""

from __future__ import annotations

import polars as pl

from schemas.table import Table

RAW_TEXTS = Table(
    name="raw_texts",
    version=1,
    columns={
        "id": pl.String(),
        "row": pl.Int64(),  # place in the user's file or folder
        "text": pl.String(),
        "other": pl.String(),  # a document's title, an instruction's reference answer
    },
)

DOCUMENTS = Table(
    name="documents",
    version=1,
    columns={"id": pl.String(), "document": pl.String(), "title": pl.String(), "text": pl.String()},
)

INSTRUCTIONS = Table(
    name="instructions",
    version=1,
    columns={"id": pl.String(), "text": pl.String(), "reference": pl.String()},
)
