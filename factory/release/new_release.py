"""How a release comes to be: filled beside its place, summed up in its manifest, then put there whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any

from factory.artifacts.digest import digest
from factory.artifacts.store import sync_folder, write_bytes
from factory.errors import UserError
from factory.release.folder import MANIFEST, beside, put_in_place, read_manifest, verify

Fill = Callable[[Path], Mapping[str, Any]]


def make_release(target: Path, inputs: str, fill: Fill) -> tuple[Path, bool]:
    """Return (target, made now) once NAME/VERSION is in place there.

    `inputs` is the digest of all that it is made from: one that is there and was made from the same is only checked.
    `fill` writes every file but the manifest into a folder, and returns what the manifest says beside the sums of the
    files. UserError for a version that holds other content.
    """
    if target.exists() and _inputs(target) == inputs:
        verify(target, read_manifest(target), f"Remove {target} and run again to make it anew")
        return target, False
    with beside(target) as folder:
        folder.mkdir()
        manifest = {**fill(folder), "inputs": inputs, "files": (sums := _sums(folder)), "digest": digest(files=sums)}
        if target.exists():
            return _compare(target, manifest["digest"])
        write_bytes(
            folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
        )
        put_in_place(folder, target)
        sync_folder(target.parent)
    return target, True


def _inputs(target: Path) -> str | None:
    try:
        found = json.loads((target / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    return str(found.get("inputs")) if isinstance(found, dict) else None


def _compare(target: Path, content: str) -> tuple[Path, bool]:
    """Return the release that is there if every file is the same; a changed one is refused under the same number."""
    if not (target / MANIFEST).is_file():
        raise UserError(f"{target} exists and has no {MANIFEST}, so it is no release: remove it and run again")
    there = read_manifest(target)
    if there.digest == content:
        return target, False
    major, minor, patch = there.version.split(".")
    raise UserError(
        f"release {there.name} {there.version} exists with other content (digest {there.digest[:12]}, this build"
        f" {content[:12]}); a version never changes: --set release.version={major}.{minor}.{int(patch) + 1}"
    )


def _sums(folder: Path) -> dict[str, dict[str, Any]]:
    out = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            content = file_digest(file, "sha256").hexdigest()
        out[path.relative_to(folder).as_posix()] = {"sha256": content, "bytes": path.stat().st_size}
    return out
