"""The stage that embeds the texts of rows, once: semantic dedupe reads its vectors, whatever the threshold.

Decontamination embeds instruction and answer each by itself, in full precision, and keeps no vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from factory.artifacts.stage import Stage
from factory.selection.embedders import Embedder
from schemas.curation import ROWS
from schemas.vectors import text_vectors


def field_texts(frame: pl.DataFrame, fields: Sequence[str]) -> pl.Series:
    """Return one text a row: its fields under each other, white space around them and empty ones left out."""
    present = [pl.col(field).fill_null("").str.strip_chars() for field in fields]
    filled = [pl.when(text != "").then(text) for text in present]
    return frame.select(text=pl.concat_str(filled, separator="\n", ignore_nulls=True)).to_series()


def embed_rows(frame: pl.DataFrame, params: Mapping[str, Any], *, embedder: Embedder) -> pl.DataFrame:
    """Return (id, row, vector) of each row's fields (`params["fields"]`), half precision; zeros for an empty text.

    A text that an embedder cannot tell from nothing must not look like a copy of another such text.
    """
    texts = field_texts(frame, params["fields"])
    vectors = embedder.encode(texts.to_list()).astype(np.float16)
    vectors[(texts == "").to_numpy()] = 0
    column = pl.Series("vector", vectors, dtype=pl.Array(pl.Float16, embedder.dimensions))
    return frame.select("id", "row", column)


@cache
def embed_rows_stage(dimensions: int) -> Stage:
    """Return the stage for an embedder of so many dimensions; its parameter is `fields`, its dependency `embedder`."""
    return Stage("embed_rows", 1, ROWS, text_vectors(dimensions), embed_rows)
