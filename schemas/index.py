"""INDEX_ROWS and INDEX_TEXTS: the rows of an earlier release, as the release index points to and reads them."""

from __future__ import annotations

import polars as pl

from schemas.table import Table

# Where a row lies in its release: a file (relative to the release), a row group of it, a place in the group.
POINTER = {"file": pl.String(), "group": pl.Int64(), "place": pl.Int64()}

INDEX_ROWS = Table(
    name="index_rows",
    version=1,
    columns={
        "id": pl.String(),
        **POINTER,
        # xxh3 of each text as it stands in the release; 0 where it is empty
        "instruction_digest": pl.UInt64(),
        "answer_digest": pl.UInt64(),
    },
)

INDEX_TEXTS = Table(
    name="index_texts",
    version=1,
    columns={"id": pl.String(), "instruction": pl.String(), "answer": pl.String(), **POINTER},
)
