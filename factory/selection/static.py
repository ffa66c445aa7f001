"""The static embedder: a vector for each word piece, distilled once from the packaged MiniLM; a text is their mean.

model2vec (Tulkens and van Dongen, 2024) embeds every word piece of MiniLM's vocabulary by itself, keeps the 256
directions in which they differ most, and weighs frequent pieces down (SIF, Arora et al. 2017). A text's vector needs no
network then, only look-ups; it knows no word order. The weights are made on this machine, kept in a cache with their
checksums, and put in place whole: two processes may do so at once.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl

from factory.artifacts.digest import canonical_json, digest
from factory.artifacts.store import sync_folder, write_bytes
from factory.cores import cores
from factory.errors import FactoryError

DIMENSIONS = 256
MAX_CHARACTERS, MAX_TOKENS = 8_192, 512
BLOCK, PART = 16_384, 2_048
PACKAGES = ("model2vec", "skeletoken", "tokenizers", "torch", "transformers")
WEIGHTS, TOKENIZER, CONFIG = "model.safetensors", "tokenizer.json", "config.json"
CHECKSUMS = "checksums.json"
DISTIL = """
import sys
from model2vec.distill import distill
distill(model_name=sys.argv[1], pca_dims=int(sys.argv[3]), device="cpu").save_pretrained(sys.argv[2])
"""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StaticEmbedder:
    """Mean word-piece vectors. `identity` is the content of the weights and the tokenizer that are really used."""

    identity: str
    folder: Path
    _pieces: _Pieces = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Return the name that a job calls it by."""
        return "static"

    @property
    def dimensions(self) -> int:
        """Return how many numbers a vector has."""
        return int(self._pieces.vectors.shape[1])

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return the unit vectors (n, dimensions) of the texts' first 512 pieces; zeros where no piece is known.

        A text's bits depend on the text alone: not on its neighbours, its place or the number of threads.
        """
        out = np.empty((len(texts), self.dimensions), np.float32)
        starts = range(0, len(texts), BLOCK)
        with ThreadPoolExecutor(cores() + 1) as pool:  # one cuts the next block while the others add up
            cuts = (pool.submit(self._pieces.tokens, texts[start : start + BLOCK]) for start in starts)
            cut = next(cuts, None)
            for start in starts:
                following = next(cuts, None)
                assert cut is not None, "there is one for each start"
                self._pieces.embed(*cut.result(), out[start : start + BLOCK], pool)
                cut = following
        return out

    def __reduce__(self) -> tuple[Any, tuple[str, Path]]:
        """Send a worker the folder, not the weights."""
        return load_static, (self.identity, self.folder)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A tokenizer and the vector (float32) of each of its pieces."""

    tokenizer: Any
    unknown: int | None
    vectors: Floats

    def embed(self, ids: Ints, borders: Ints, out: Floats, pool: ThreadPoolExecutor) -> None:
        """Write the unit vectors of a block of texts, cut into pieces, into `out`."""
        parts = [(start, min(start + PART, len(out))) for start in range(0, len(out), PART)]
        list(pool.map(lambda part: self._sum(ids, borders[part[0] : part[1] + 1], out[part[0] : part[1]]), parts))

    def tokens(self, texts: Sequence[str]) -> tuple[Ints, Ints]:
        """Return (pieces of all texts, n + 1 borders): each text's first MAX_TOKENS known pieces.

        What stands between white space is tokenized once, however often it comes: the tokenizer never joins over white
        space, so that this is what it would say of the whole text.
        """
        cut = pl.Series(texts, dtype=pl.String).fill_null("").str.slice(0, MAX_CHARACTERS)
        chunks = cut.str.extract_all(r"[^ \t\r\n]+")
        spelled = chunks.list.explode(empty_as_null=False, keep_nulls=False).to_frame("chunk")
        distinct = spelled.unique(maintain_order=True).with_row_index("code")
        codes = (
            spelled.join(distinct, on="chunk", how="left", maintain_order="left")["code"].to_numpy().astype(np.int64)
        )
        found = self.tokenizer.encode_batch_fast(distinct["chunk"].to_list(), add_special_tokens=False)
        known = [[i for i in one.ids if i != self.unknown] for one in found]
        ids, sizes = _gather(known, codes)
        chunk_borders = _borders(chunks.list.len().to_numpy().astype(np.int64))
        return _cut(ids, _borders(sizes)[chunk_borders])

    def _sum(self, ids: Ints, borders: Ints, out: Floats) -> None:
        from scipy import sparse

        mine = ids[borders[0] : borders[-1]]
        counts = sparse.csr_matrix(
            (np.ones(mine.size, np.float32), mine, borders - borders[0]), shape=(len(out), len(self.vectors))
        )
        sums = counts @ self.vectors  # adds up in the order of the text, one row after the other
        norms = np.sqrt(np.einsum("ij,ij->i", sums, sums))
        np.divide(sums, np.where(norms > 0, norms, 1)[:, None], out=out)


def _gather(known: list[list[int]], codes: Ints) -> tuple[Ints, Ints]:
    """Return (pieces of the chunks in the order of their codes, how many each chunk has)."""
    sizes = np.fromiter(map(len, known), np.int64, len(known))
    flat = np.fromiter((i for one in known for i in one), np.int64, int(sizes.sum()))
    starts = _borders(sizes)
    each = sizes[codes]
    ends = _borders(each)
    return flat[np.repeat(starts[codes] - ends[:-1], each) + np.arange(ends[-1])], each


def _borders(sizes: Ints) -> Ints:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def _cut(ids: Ints, borders: Ints) -> tuple[Ints, Ints]:
    sizes = np.diff(borders)
    if not sizes.size or sizes.max() <= MAX_TOKENS:
        return ids, borders
    place = np.arange(ids.size) - np.repeat(borders[:-1], sizes)
    return ids[place < MAX_TOKENS], _borders(np.minimum(sizes, MAX_TOKENS))


# ---------------------------------------------------------------------------------------------------- made once, cached


def static_embedder(cache: Path, source: Path, source_digest: str) -> StaticEmbedder:
    """Return the static embedder of a sentence-transformers model; distilled and put under `cache` unless it is there.

    `source_digest` is that of the model's files. A kept copy whose checksums do not hold is made again. Making it
    takes some 20 s on two cores. Raises FactoryError when it cannot be made.
    """
    folder = cache / "embedders" / recipe(source_digest)
    sums = _checksums(folder)
    if sums is None:
        _make(folder, source)
        sums = _checksums(folder)
    if sums is None:
        raise FactoryError(f"the static embedder in {folder} does not keep its checksums right after it was made")
    return load_static(digest(static=dict(sums), tokens=MAX_TOKENS, characters=MAX_CHARACTERS), folder)


def recipe(source_digest: str) -> str:
    """Return the name of the cached copy: the digest of all that goes into the distillation."""
    made_by = {name: version(name) for name in PACKAGES}
    return digest(distil=DISTIL, source=source_digest, dimensions=DIMENSIONS, made_by=made_by)


def load_static(identity: str, folder: Path) -> StaticEmbedder:
    """Return the embedder whose files are in a folder."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    vectors = load_file(folder / WEIGHTS)["embeddings"].astype(np.float32)
    return StaticEmbedder(identity, folder, _Pieces(tokenizer, tokenizer.token_to_id("[UNK]"), vectors))


def _checksums(folder: Path) -> Mapping[str, str] | None:
    """Return {file: sha256} of a kept copy, or None when there is none or it is damaged."""
    try:
        wanted = orjson.loads((folder / CHECKSUMS).read_bytes())
        found = _sums(folder)
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    return found if wanted == found else None


def _sums(folder: Path) -> dict[str, str]:
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in (WEIGHTS, TOKENIZER, CONFIG)}


def _make(folder: Path, source: Path) -> None:
    """Distil in a process of its own (it prints bars and fills memory), then put the result in place whole."""
    fresh = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    fresh.mkdir(parents=True)
    try:
        _distil(source, fresh)
        if folder.exists() and _checksums(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)  # damaged; or another process has just done the same
        _put(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _put(fresh: Path, folder: Path) -> None:
    try:
        os.rename(fresh, folder)
    except OSError:
        if _checksums(folder) is None:  # not another process that was first
            raise
    sync_folder(folder.parent)


def _distil(source: Path, folder: Path) -> None:
    command = [sys.executable, "-c", DISTIL, str(source), str(folder), str(DIMENSIONS)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    if ran.returncode:
        last = ran.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise FactoryError(f"the static embedder could not be distilled from {source}: {last[0]}")
    config = orjson.loads((folder / CONFIG).read_bytes()) | {"tokenizer_name": "all-MiniLM-L6-v2"}  # not where it lay
    write_bytes(folder / CONFIG, canonical_json(config))
    for extra in sorted(set(folder.iterdir()) - {folder / name for name in (WEIGHTS, TOKENIZER, CONFIG)}):
        extra.unlink()
    write_bytes(folder / CHECKSUMS, canonical_json(_sums(folder)))
