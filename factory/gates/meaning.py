"""Rows that mean what a benchmark text means: the nearest texts by the cosine of their embeddings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.gates.benchmark_index import Index
from factory.gates.benchmarks_read import Book
from factory.selection.embedders import Embedder

Floats = npt.NDArray[np.float32]

BLOCK = 2_000  # rows compared at once
NEAREST = 3  # texts told of a row
FEWEST_CHARACTERS = 20  # a shorter text means too little to be compared


def find_alike(texts: pl.Series, index: Index, book: Book, embedder: Embedder, threshold: float) -> pl.DataFrame:
    """Return (at, text, level semantic, similarity, first and stop null) of rows as near as `threshold` to a text."""
    wanted, vectors = _text_vectors(book, index, embedder)
    long = (
        pl.DataFrame({"said": texts}).with_row_index("row").filter(pl.col("said").str.len_chars() >= FEWEST_CHARACTERS)
    )
    said = long["said"].unique(maintain_order=True)
    met = pairs_above(embedder.encode(said.to_list()), vectors, threshold)
    met = met.with_columns(said=said.gather(met["at"]))
    found = long.join(met, on="said", maintain_order="left_right")
    return found.select(
        at=pl.col("row").cast(pl.Int64),
        text=pl.Series(wanted[found["text"].to_numpy()], dtype=pl.Int64),
        level=pl.lit("semantic"),
        similarity="similarity",
        first=pl.lit(None, dtype=pl.Int64),
        stop=pl.lit(None, dtype=pl.Int64),
    )


def pairs_above(rows: Floats, texts: Floats, threshold: float) -> pl.DataFrame:
    """Return (at, text, similarity) of unit vectors whose cosine is at least `threshold`: of each row the nearest."""
    frames = [pl.DataFrame(schema={"at": pl.Int64, "text": pl.Int64, "similarity": pl.Float64})]
    for start in range(0, len(rows) if len(texts) else 0, BLOCK):
        cosines = rows[start : start + BLOCK].astype(np.float32) @ texts.astype(np.float32).T
        at, text = np.nonzero(cosines >= threshold)
        met = pl.DataFrame({"at": at + start, "text": text, "similarity": cosines[at, text].astype(np.float64)})
        nearest = met.sort("at", -pl.col("similarity"), "text").group_by("at", maintain_order=True).head(NEAREST)
        frames.append(nearest.with_columns(pl.col("similarity").clip(-1, 1)))
    return pl.concat(frames)


_KEPT: dict[tuple[str, str], tuple[pl.DataFrame, Floats]] = {}  # of the last book and embedder of this process


def _vectors(book: Book, embedder: Embedder) -> tuple[pl.DataFrame, Floats]:
    key = (book.identity, embedder.identity)
    if key not in _KEPT:
        _KEPT.clear()
        _KEPT[key] = _encode(book, embedder)
    return _KEPT[key]


def _encode(book: Book, embedder: Embedder) -> tuple[pl.DataFrame, Floats]:
    texts = book.texts().filter(pl.col("text").str.len_chars() >= FEWEST_CHARACTERS)
    texts = texts.unique(["against", "text"], keep="first", maintain_order=True)
    return texts.select("against", "place", "part"), embedder.encode(texts["text"].to_list())


def _text_vectors(book: Book, index: Index, embedder: Embedder) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the numbers in the index of the texts that mean something, and their vectors."""
    texts, vectors = _vectors(book, embedder)
    places = index.frame.with_row_index("number").join(texts, on=["against", "place", "part"], maintain_order="right")
    return places["number"].cast(pl.Int64).to_numpy(), vectors
