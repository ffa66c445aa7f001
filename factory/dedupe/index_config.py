"""What an index is made with, written once into its index.json, and the check that it still holds.

The canary is the sketch of a known text. A library that signs, shingles or hashes otherwise than when the index was
made gives another one, and every stored signature would silently stop matching; so it is compared before each use.
"""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from factory.artifacts.digest import digest
from factory.artifacts.store import sync_folder, write_bytes
from factory.dedupe.index_sketch import sketch
from factory.dedupe.signatures import Banding, banding_for
from factory.errors import UserError, nearest

FORMAT = 1
PLACE = "index.json"
FIELDS = ("instruction", "answer")
UNITS = ("word", "char")
ENGINES = ("rensa", "datasketch")
CANARY = (
    "Grün ist 7 × 6 = 42: every earlier release answers, in the same words, to the same question it was asked. 日本語"
)


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """What a person chooses when an index is made; later never changed.

    `fields` are the columns that are compared; shingles are `size` units (words or characters) long; rows whose
    Jaccard similarity is `threshold` or more shall be found. `embedder` None: no comparison by meaning.
    """

    fields: tuple[str, ...] = ("instruction",)
    unit: str = "word"
    size: int = 5
    permutations: int = 128
    threshold: float = 0.8
    engine: str = "rensa"
    embedder: str | None = None

    def check(self) -> None:
        """Raise UserError for the first value that cannot be."""
        for field in self.fields:
            if field not in FIELDS:
                raise UserError(f"an index has no field '{field}'{nearest(field, FIELDS)}")
        if not self.fields or len(set(self.fields)) < len(self.fields):
            raise UserError(f"an index compares each field once, and at least one of {', '.join(FIELDS)}")
        for what, value, known in (("unit", self.unit, UNITS), ("engine", self.engine, ENGINES)):
            if value not in known:
                raise UserError(f"an index has no {what} '{value}'{nearest(value, known)}")
        if self.size < 1 or not 2 <= self.permutations <= 1024:
            raise UserError(
                f"an index needs a size of 1 or more and 2 to 1024 permutations, not {self.size} and"
                f" {self.permutations}"
            )
        if not (math.isfinite(self.threshold) and 0 < self.threshold <= 1):
            raise UserError(f"the threshold of an index lies above 0 and is at most 1, not {self.threshold}")


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration with what follows from it: bands, the embedder's weights, the known answer."""

    config: IndexConfig
    bands: int
    rows: int
    canary: str
    embedder_identity: str | None = None
    dimensions: int = 0

    @property
    def banding(self) -> Banding:
        """Return how signatures are cut into bands."""
        return Banding(self.bands, self.rows)

    @property
    def identity(self) -> str:
        """Return the digest of all of it."""
        return digest(format=FORMAT, settings=asdict(self))

    def require_canary(self, folder: Path) -> None:
        """Raise UserError unless the libraries sign today as they did when the index was made."""
        found = known_answer(self.config, self.banding)
        if found != self.canary:
            raise UserError(
                f"the index {folder} was made by libraries that sign texts otherwise (known answer {self.canary},"
                f" found {found}): install the versions it was made with, or move it away and build it again"
            )


def known_answer(config: IndexConfig, banding: Banding) -> str:
    """Return a digest of the shingles' signature and band keys of a known text."""
    made = sketch(pl.Series([CANARY, CANARY[:9]]), config, banding)
    content = made.digests.tobytes() + made.signatures.tobytes() + made.keys.tobytes()
    return blake2b(content, digest_size=8).hexdigest()


def settings_of(config: IndexConfig, cache: Path) -> Settings:
    """Return the settings of a new index; loads the embedder to take down its weights."""
    config.check()
    banding = banding_for(config.threshold, config.permutations)
    canary = known_answer(config, banding)
    if config.embedder is None:
        return Settings(config, banding.bands, banding.rows, canary)
    from factory.selection.embedders import embedder_of

    embedder = embedder_of(config.embedder, cache)
    return Settings(config, banding.bands, banding.rows, canary, embedder.identity, embedder.dimensions)


def require_same(there: IndexConfig, wanted: IndexConfig, folder: Path) -> None:
    """Raise UserError that names what differs, both values and the ways out."""
    pairs = [(f.name, getattr(there, f.name), getattr(wanted, f.name)) for f in fields(IndexConfig)]
    other = [f"{name} is {_said(old)}, not {_said(new)}" for name, old, new in pairs if old != new]
    if other:
        raise UserError(
            f"the index {folder} is of another configuration: {'; '.join(other)}. Use its values, or build another"
            " index in a folder of its own"
        )


def _said(value: object) -> str:
    return "+".join(value) if isinstance(value, tuple) else str(value)


def write_settings(folder: Path, settings: Settings) -> bool:
    """Put index.json in place; False if there is one already, which stays."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{PLACE}-{secrets.token_hex(4)}"
    try:
        write_bytes(draft, orjson.dumps({"format": FORMAT} | asdict(settings), option=orjson.OPT_INDENT_2) + b"\n")
        os.link(draft, folder / PLACE)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(folder)
    return True


def read_settings(folder: Path) -> Settings:
    """Return what index.json says; UserError if there is none or it cannot be understood."""
    path = folder / PLACE
    try:
        found = orjson.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"there is no index in {folder} (no {PLACE}): `factory index build` makes one; --index DIR names another"
        ) from None
    except ValueError as error:
        raise _damaged(path, f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise _damaged(path, "not an object")
    if found.pop("format", None) != FORMAT:
        raise UserError(f"{path} is of another format than {FORMAT}: move {folder} away and build the index again")
    return _settings(path, found)


def _settings(path: Path, found: Mapping[str, Any]) -> Settings:
    try:
        chosen = dict(found["config"])
        config = IndexConfig(**chosen | {"fields": tuple(chosen["fields"])})
        settings = Settings(**dict(found) | {"config": config})
        config.check()
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from None
    if settings.bands * settings.rows > config.permutations or min(settings.bands, settings.rows) < 1:
        raise _damaged(path, f"{settings.bands} bands of {settings.rows} rows of {config.permutations} permutations")
    return settings


def _damaged(path: Path, problem: str) -> UserError:
    return UserError(f"{path} cannot be understood ({problem}): move {path.parent} away and build the index again")
