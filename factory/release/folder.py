"""A release as a folder: its manifest, the check of its bytes, and how it is put in place whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from factory.errors import UserError

MANIFEST = "manifest.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
HEX = re.compile(r"[0-9a-f]{8,128}")
SHOWN = 5
LEFT_OVER = 86_400  # seconds


@dataclass(frozen=True, slots=True)
class FileSum:
    """What a file of a release must be: the SHA-256 of its content, and its length in bytes."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What manifest.json says of a release; `files` maps every path but the manifest's own to what it must be."""

    name: str
    version: str
    digest: str
    files: Mapping[str, FileSum]

    @property
    def tag(self) -> str:
        """The git tag of this version."""
        return f"v{self.version}"

    def is_of(self, other: Manifest | None) -> bool:
        """Whether both are of one version with one content; the card around it may be worded anew by later code."""
        return other is not None and self._identity == other._identity

    @property
    def _identity(self) -> tuple[str, str, str]:
        return self.name, self.version, self.digest

    @property
    def paths(self) -> list[str]:
        """Every path of the release, the manifest's own among them, in order."""
        return sorted([*self.files, MANIFEST])


def parse_manifest(raw: bytes, where: str) -> Manifest:
    """The manifest is well formed and names no place outside its folder; UserError says which entry is not."""
    try:
        loaded = json.loads(raw)
    except ValueError as error:
        raise UserError(f"{where} is not JSON ({error}); this is no release of the factory") from error
    entries = loaded.get("files") if isinstance(loaded, dict) else None
    if not isinstance(entries, dict):
        raise UserError(f"{where} has no table 'files'; this is no release of the factory")
    return Manifest(
        name=_matching(loaded, "name", NAME, where),
        version=_matching(loaded, "version", VERSION, where),
        digest=_matching(loaded, "digest", HEX, where),
        files={path: _file_sum(path, entry, where) for path, entry in entries.items()},
    )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the release in this folder; UserError if there is none."""
    try:
        raw = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"there is no release in {folder}: it has no {MANIFEST}") from error
    return parse_manifest(raw, str(folder / MANIFEST))


def verify(folder: Path, manifest: Manifest, remedy: str) -> None:
    """Every file is there with the bytes that the manifest says, and no other file is; else UserError names them."""
    found = set(_walk(folder)) - {MANIFEST}
    problems = {
        "missing": sorted(set(manifest.files) - found),
        "not in the manifest": sorted(found - set(manifest.files)),
        "changed": [path for path in sorted(found & set(manifest.files)) if _differs(folder, path, manifest)],
    }
    said = [f"{what}: {_listed(paths)}" for what, paths in problems.items() if paths]
    if said:
        raise UserError(f"{folder} is not what its {MANIFEST} says: {'; '.join(said)}. {remedy}")


def copy_release(source: Path, target: Path, manifest: Manifest) -> bool:
    """`target` holds the release, checked and durable; False if it did already.

    A folder beside the target is filled and then renamed, so no reader ever sees a part of a release. UserError if the
    target holds something else.
    """
    if is_there(target, manifest):
        return False
    with beside(target) as copy, writing_to(target):
        copy.mkdir()
        for path in manifest.paths:
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, copy / path)
        verify(copy, manifest, "The release changed while it was copied; try again")
        put_in_place(copy, target)
    return True


def is_there(target: Path, manifest: Manifest) -> bool:
    """Whether the target already holds this very release, intact; UserError if it holds anything else."""
    if not target.exists():
        return False
    if not (target / MANIFEST).is_file():
        raise UserError(f"{target} exists and is no release: move it away and try again")
    present = read_manifest(target)
    if not present.is_of(manifest):
        raise UserError(
            f"{target} holds {present.name} {present.version} with digest {present.digest[:12]}"
            f", not {manifest.digest[:12]}; a published version never changes: give the new content a new version"
        )
    verify(target, present, "Move that folder away and try again")
    return True


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A path that does not exist yet, on the target's file system; whatever is left there is removed at the end."""
    with writing_to(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        holder = tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent, ignore_cleanup_errors=True)
    with holder as name:
        yield Path(name) / "release"


def _sweep(target: Path) -> None:
    """Remove what runs that were killed left beside the target, once it is so old that none can be at work there."""
    for left in target.parent.glob(f".{target.name}.*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_OVER:
                shutil.rmtree(left, ignore_errors=True)


def put_in_place(folder: Path, target: Path) -> None:
    """The folder is at the target, all of it on disk; UserError if another process was first."""
    for path in [*folder.rglob("*"), folder]:
        _sync(path)
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        raise UserError(f"{target} was put there by another process meanwhile; run this again to compare") from error
    _sync(target.parent)


@contextmanager
def writing_to(target: Path) -> Iterator[None]:
    """A full disk, a missing permission and the like leave as a UserError that names the target."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}; free or choose another place") from error


def load_line(source: str, folder: Path, revision: str | None = None) -> str:
    """The line of Python that loads the release's default config (else its first) with `datasets`."""
    config = _default_config(folder / "README.md")
    arguments = [json.dumps(source), *([json.dumps(config)] if config else [])]
    return f"load_dataset({', '.join(arguments + ([f'revision={json.dumps(revision)}'] if revision else []))})"


def _default_config(card: Path) -> str | None:
    front = re.match(r"---\n(.*?)\n---", card.read_text(encoding="utf-8") if card.exists() else "", re.DOTALL)
    try:
        loaded = yaml.safe_load(front[1]) if front else {}
    except yaml.YAMLError as error:
        raise UserError(f"the YAML at the head of {card} cannot be read: {error}") from error
    configs = loaded.get("configs") if isinstance(loaded, dict) else None
    named = [row for row in configs or [] if isinstance(row, dict) and "config_name" in row]
    chosen = next((row for row in named if row.get("default")), named[0] if named else None)
    return str(chosen["config_name"]) if chosen else None


def _matching(loaded: Mapping[str, object], key: str, pattern: re.Pattern[str], where: str) -> str:
    value = loaded.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise UserError(f"{where}: {key!r} is {value!r}, which does not match {pattern.pattern}")
    return value


def _file_sum(path: str, entry: object, where: str) -> FileSum:
    if not _stays_inside(path):
        raise UserError(f"{where}: {path!r} is not a plain path below the release; refused")
    sha256, size = (entry.get("sha256"), entry.get("bytes")) if isinstance(entry, dict) else (None, None)
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256) or not isinstance(size, int):
        raise UserError(f"{where}: {path!r} must have 'sha256' (64 hex digits) and 'bytes', found {entry!r}")
    return FileSum(sha256, size)


def _stays_inside(path: str) -> bool:
    """Relative, with no step up, no drive, no control character, and not one of the names that have a meaning here."""
    steps = path.split("/")
    plain = all(step not in {"", ".", ".."} for step in steps) and not re.search(r"[\\:\x00-\x1f\x7f]", path)
    return plain and path != MANIFEST and steps[0] not in {".cache", ".git", ".gitattributes"}


def _walk(folder: Path) -> Iterator[str]:
    """Every regular file below, as a relative path; a link is refused, since its content is elsewhere."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise UserError(f"{path} is a link; a release holds files only")
        if not path.is_dir():
            yield path.relative_to(folder).as_posix()


def _differs(folder: Path, path: str, manifest: Manifest) -> bool:
    expected = manifest.files[path]
    if (folder / path).stat().st_size != expected.bytes:
        return True
    with (folder / path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() != expected.sha256


def _listed(paths: list[str]) -> str:
    rest = len(paths) - SHOWN
    return ", ".join(paths[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
