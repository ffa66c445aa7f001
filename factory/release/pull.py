"""Pulling a release: `factory pull ORG/NAME[@vX.Y.Z]` fetches it into outputs/releases, checked byte by byte."""

from __future__ import annotations

import glob
import shutil
from dataclasses import dataclass
from pathlib import Path

from factory.errors import UserError
from factory.release.folder import (
    MANIFEST,
    VERSION,
    Manifest,
    beside,
    copy_release,
    is_there,
    load_line,
    put_in_place,
    read_manifest,
    verify,
    writing_to,
)
from factory.release.hub_client import LOG_IN, HubDataset, connect, silent_bars

FORMS = "ORG/NAME[@vX.Y.Z] or file:DIR/<name>/<version>"


@dataclass(frozen=True, slots=True)
class Pulled:
    """Where a release lies on this machine; `already` if it was there before, and nothing was fetched."""

    path: Path
    name: str
    version: str
    revision: str
    already: bool
    load_line: str


def pull(ref: str, outputs: Path) -> Pulled:
    """The release is at `outputs/releases/<name>/<version>`, every checksum of its manifest verified.

    `ref` is `ORG/NAME[@TAG]` (without a tag: the highest vX.Y.Z) or `file:DIR/<name>/<version>`. Prints nothing.
    UserError, and nothing left behind, for an unknown dataset or tag, changed bytes, or another release in that place.
    """
    if ref.startswith("file:"):
        return _from_folder(Path(ref.removeprefix("file:")).expanduser(), outputs)
    repo_id, _, tag = ref.removeprefix("hub:").partition("@")
    if repo_id.count("/") != 1 or ":" in repo_id or not all(repo_id.split("/")) or ref.endswith("@"):
        raise UserError(f"cannot pull {ref!r}: give {FORMS}")
    return _from_hub(connect(repo_id, "pulling from the Hub", needs_token=False), tag, outputs)


def _from_folder(source: Path, outputs: Path) -> Pulled:
    manifest = read_manifest(source)
    verify(source, manifest, "Publish it again into an empty folder")
    target = _target(outputs, manifest)
    fetched = copy_release(source, target, manifest)
    return _pulled(target, manifest, manifest.digest, already=not fetched)


def _from_hub(hub: HubDataset, tag: str, outputs: Path) -> Pulled:
    chosen = _chosen(hub, tag)
    commit = hub.commit_of(chosen)
    manifest = hub.manifest(commit)
    if manifest is None or manifest.tag != chosen:
        found = f"the manifest of {manifest.tag}" if manifest else f"no {MANIFEST}"
        raise UserError(f"{hub.repo_id} at {chosen} is no release of the factory: it has {found}")
    target = _target(outputs, manifest)
    already = is_there(target, manifest)
    if not already:
        _download(hub, commit, manifest, target)
    return _pulled(target, manifest, commit, already=already)


def _chosen(hub: HubDataset, tag: str) -> str:
    """The tag asked for, or the highest version among the tags; UserError lists those there are."""
    tags = hub.tags()
    if tags is None:
        raise UserError(f"there is no dataset {hub.repo_id} that you may see: check the name; if private, {LOG_IN}")
    versions = sorted((name for name in tags if name[:1] == "v" and VERSION.fullmatch(name[1:])), key=_numbers)
    if not versions:
        raise UserError(f"{hub.repo_id} has no version: none of its tags is of the form vX.Y.Z")
    if tag and tag not in versions:
        raise UserError(f"{hub.repo_id} has no version {tag} (it has: {', '.join(versions)})")
    return tag or versions[-1]


def _numbers(tag: str) -> tuple[int, ...]:
    return tuple(int(number) for number in tag.removeprefix("v").split("."))


def _download(hub: HubDataset, commit: str, manifest: Manifest, target: Path) -> None:
    """The release is fetched beside its place, checked there, and only then renamed."""
    with beside(target) as folder, writing_to(target):
        with hub.errors():
            hub.api.snapshot_download(
                hub.repo_id,
                repo_type="dataset",
                revision=commit,
                local_dir=folder,
                cache_dir=folder.with_name("cache"),
                # Only what the manifest vouches for; a person may have added other files on the Hub.
                allow_patterns=[glob.escape(path) for path in manifest.paths],
                tqdm_class=silent_bars(),
            )
        shutil.rmtree(folder / ".cache", ignore_errors=True)
        verify(folder, manifest, f"{hub.repo_id} does not serve what was published; nothing was kept")
        put_in_place(folder, target)


def _target(outputs: Path, manifest: Manifest) -> Path:
    return outputs / "releases" / manifest.name / manifest.version


def _pulled(target: Path, manifest: Manifest, revision: str, *, already: bool) -> Pulled:
    line = load_line(str(target), target)
    return Pulled(target, manifest.name, manifest.version, revision, already, line)
