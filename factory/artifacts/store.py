"""The commit protocol: parts under a unique attempt prefix, then one manifest, written last; the first writer wins.

<root>/<stage>/<key>/manifest.json        points to the winner's parts; without it the folder is rubbish
<root>/<stage>/<key>/<attempt>/rows.parquet, rejects.parquet
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import orjson
import polars as pl

from factory.artifacts.digest import canonical_json
from factory.errors import UserError
from schemas.columns import REASONS

NO_REJECTS = pl.DataFrame(schema={"id": pl.String(), "reasons": REASONS})


@dataclass(frozen=True, slots=True)
class Artifact:
    """The committed output of a stage: rows and rejects on disk, named by what they were made from."""

    stage: str
    key: str
    rows: int
    rejects: int
    digest: str  # of the bytes of rows.parquet: what later stages' keys depend on
    folder: Path
    made: bool = False  # by this call; False when it was found

    def scan(self) -> pl.LazyFrame:
        """Return the rows, lazily."""
        return pl.scan_parquet(self.folder / "rows.parquet")

    def read(self, columns: list[str] | None = None) -> pl.DataFrame:
        """Return the rows, or some of their columns."""
        return self._read("rows.parquet", columns)

    def read_rejects(self) -> pl.DataFrame:
        """Return (id, reasons) of the rows that left here."""
        if not self.rejects:
            return NO_REJECTS
        return self._read("rejects.parquet")

    def _read(self, name: str, columns: list[str] | None = None) -> pl.DataFrame:
        try:
            return pl.read_parquet(self.folder / name, columns=columns)
        except (pl.exceptions.ComputeError, FileNotFoundError) as error:
            found, remedy = str(error).partition("\n")[0], f"remove {self.folder.parent} and run again: it is made anew"
            raise UserError(f"{self.folder / name} is damaged ({found}); {remedy}") from None


@dataclass(frozen=True, slots=True)
class Store:
    """Content-addressed artifacts in a folder."""

    root: Path

    def find(self, stage: str, key: str) -> Artifact | None:
        """Return the committed artifact of a key, or None."""
        try:
            found = orjson.loads((self.root / stage / key / "manifest.json").read_bytes())
        except FileNotFoundError:
            return None
        return Artifact(
            stage, key, found["rows"], found["rejects"], found["digest"], self.root / stage / key / found["parts"]
        )

    def commit(self, stage: str, key: str, rows: pl.DataFrame, rejects: pl.DataFrame, about: object) -> Artifact:
        """Return the artifact after its parts and its manifest are on disk; an earlier writer's, if there was one."""
        home = self.root / stage / key
        parts = home / secrets.token_hex(8)
        parts.mkdir(parents=True)
        content = write_parquet(rows, parts / "rows.parquet")
        if rejects.height:
            write_parquet(rejects, parts / "rejects.parquet")
        manifest = {"rows": rows.height, "rejects": rejects.height, "digest": content, "parts": parts.name, "of": about}
        draft = parts / "manifest.json"
        write_bytes(draft, canonical_json(manifest))
        made = True
        try:
            os.link(draft, home / "manifest.json")
        except FileExistsError:
            made = False
        sync_folder(home)
        found = self.find(stage, key)
        assert found is not None
        return Artifact(stage, key, found.rows, found.rejects, found.digest, found.folder, made)


def write_parquet(frame: pl.DataFrame, path: Path) -> str:
    """Return the sha256 of the file after the frame is durably in it."""
    frame.write_parquet(path, compression="zstd", compression_level=1, statistics=False)
    with path.open("rb+") as file:
        content = sha256(file.read()).hexdigest()
        os.fsync(file.fileno())
    return content


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file durably."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in place of what is there, whole or not at all; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        write_bytes(fresh, data)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make a folder's entries durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
