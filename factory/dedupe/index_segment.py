"""A segment: all that the index keeps of one release, in a folder that is put in place whole and never changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from factory.artifacts.store import write_bytes
from factory.dedupe.index_config import FIELDS, Settings
from factory.dedupe.index_files import RowsWriter, SketchWriter
from factory.dedupe.index_sketch import Sketch, sketch, text_digests
from factory.dedupe.index_texts import Readable, texts_of
from factory.dedupe.index_vectors import VectorWriter
from factory.errors import UserError
from factory.release.folder import MANIFEST, FileSum, Manifest, read_manifest
from schemas.index import INDEX_ROWS

ABOUT = "segment.json"
SEGMENTS = "segments"


@dataclass(frozen=True, slots=True)
class Segment:
    """One release in an index; `release` is where it was, relative to the index where both lie side by side."""

    folder: Path
    name: str
    version: str
    digest: str
    rows: int
    settings: str  # identity of the settings it was written under
    release: str
    files: Mapping[str, FileSum]

    @property
    def pin(self) -> str:
        """Return NAME@VERSION."""
        return f"{self.name}@{self.version}"

    @property
    def bytes(self) -> int:
        """Return what it takes on disk."""
        return sum(file.bytes for file in self.files.values())

    def require_whole(self) -> None:
        """Raise UserError unless every file has its size."""
        for name, file in self.files.items():
            path = self.folder / name
            if not path.is_file() or path.stat().st_size != file.bytes:
                raise damaged(self.folder, f"{name} is missing or cut off")

    def verify(self) -> None:
        """Raise UserError unless every file has the bytes it was written with; reads all of them."""
        self.require_whole()
        for name, file in self.files.items():
            if _sum(self.folder / name) != file:
                raise damaged(self.folder, f"{name} has changed")

    def source(self) -> Path | None:
        """Return the release's folder if the same release still lies there."""
        folder = Path(os.path.normpath(self.folder.parent.parent / self.release))
        if not (folder / MANIFEST).is_file():
            return None
        try:
            return folder if read_manifest(folder).digest == self.digest else None
        except (UserError, OSError):
            return None


def damaged(folder: Path, problem: str) -> UserError:
    """Return the error for a segment that cannot be used, with the way out."""
    return UserError(f"{folder} is damaged ({problem}): remove that folder and add its release again")


def read_segment(folder: Path) -> Segment:
    """Return what segment.json says; UserError when it cannot be understood."""
    try:
        found: dict[str, Any] = orjson.loads((folder / ABOUT).read_bytes())
        files = {
            str(name): FileSum(str(entry["sha256"]), int(entry["bytes"])) for name, entry in found["files"].items()
        }
        texts = {key: str(found[key]) for key in ("name", "version", "digest", "settings", "release")}
        return Segment(folder=folder, rows=int(found["rows"]), files=files, **texts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(folder, f"{ABOUT}: {error}") from None


def write_segment(folder: Path, release: Readable, settings: Settings, embedder: Any, index: Path) -> None:
    """Fill a folder with the segment of a release; `index` is the folder of the index it is meant for."""
    folder.mkdir()
    config = settings.config
    rows = RowsWriter(folder)
    sketches = {f: SketchWriter(folder, f, config.permutations, settings.bands) for f in config.fields}
    vectors = {f: VectorWriter(folder, f, settings.dimensions) for f in config.fields} if embedder else {}
    done = 0
    for frame in texts_of(release.folder):
        made = {field: sketch(frame[field], config, settings.banding) for field in config.fields}
        rows.add(_rows(frame, made))
        for field in config.fields:
            sketches[field].add(made[field])
            if field in vectors:
                present = np.flatnonzero(made[field].present)
                vectors[field].add(present + done, embedder.encode(frame[field].gather(present).to_list()))
        done += frame.height
    rows.close()
    for field in config.fields:
        sketches[field].close()
        if field in vectors:
            vectors[field].close()
    seal(folder, release.manifest, settings, done, _place(release.folder, index))


def _rows(frame: pl.DataFrame, made: Mapping[str, Sketch]) -> pl.DataFrame:
    digests = {f: made[f].digests if f in made else text_digests(frame[f]) for f in FIELDS}
    return frame.with_columns(**{f"{field}_digest": values for field, values in digests.items()}).select(
        *INDEX_ROWS.columns
    )


def seal(folder: Path, manifest: Manifest, settings: Settings, rows: int, release: str) -> None:
    """Write segment.json, the last file of a segment: of which release it is, and what its files are."""
    about = {
        "name": manifest.name,
        "version": manifest.version,
        "digest": manifest.digest,
        "rows": rows,
        "settings": settings.identity,
        "release": release,
        "files": {path.name: asdict(_sum(path)) for path in sorted(folder.iterdir())},
    }
    write_bytes(folder / ABOUT, orjson.dumps(about, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")


def _place(release: Path, index: Path) -> str:
    """Return the release's place relative to the index if they lie under one root, so that both may be moved."""
    here, home = release.resolve(), index.resolve()
    return os.path.relpath(here, home) if here.is_relative_to(home.parent) else str(here)


def _sum(path: Path) -> FileSum:
    with path.open("rb") as file:
        return FileSum(file_digest(file, "sha256").hexdigest(), path.stat().st_size)
