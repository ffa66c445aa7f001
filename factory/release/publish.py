"""Publishing a release: `factory publish outputs/releases/<name>/<version> --to file:DIR | hub:ORG/NAME`.

A published version never changes. Publishing again sends nothing; a run that died half-way is finished by the next.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from factory.errors import FactoryError, UserError
from factory.release.folder import MANIFEST, FileSum, Manifest, copy_release, load_line, read_manifest, verify
from factory.release.hub_client import HubDataset, connect, shown_bars

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.hf_api import RepoFile

FORMS = "file:DIR or hub:ORG/NAME"
# What the Hub itself puts into a new dataset, or a person by the first page of the website.
NEW_REPOSITORY = {".gitattributes", "README.md"}


@dataclass(frozen=True, slots=True)
class Published:
    """Where a release can be had; `already` if this run had nothing to send.

    `revision` is the commit on the Hub, the content's digest for a folder; `load_line` is the Python that loads it.
    """

    target: str
    revision: str
    tag: str
    url: str
    already: bool
    load_line: str


def publish(release: Path, to: str, *, private: bool = False) -> Published:
    """The release is at `to` (`file:DIR` or `hub:ORG/NAME`), whole and checked; `private` asks that of a new dataset.

    UserError, and nothing sent, if a file is not what the manifest says or that version is there with other content.
    """
    kind, _, place = to.partition(":")
    if kind not in {"file", "hub"} or not place:
        raise UserError(f"cannot publish to {to!r}: give {FORMS}")
    if kind == "hub" and (place.count("/") != 1 or not all(place.split("/"))):
        raise UserError(f"cannot publish to {to!r}: a dataset is hub:ORG/NAME")
    manifest = read_manifest(release)
    verify(release, manifest, "Build the release again rather than change it")
    if kind == "file":
        return _to_folder(release, manifest, Path(place).expanduser())
    return _to_hub(release, manifest, place, private)


def _to_folder(release: Path, manifest: Manifest, root: Path) -> Published:
    target = (root / manifest.name / manifest.version).absolute()
    sent = copy_release(release, target, manifest)
    return Published(
        target=f"file:{root}",
        revision=manifest.digest,
        tag=manifest.tag,
        url=target.as_uri(),
        already=not sent,
        load_line=load_line(str(target), target),
    )


def _to_hub(release: Path, manifest: Manifest, repo_id: str, private: bool) -> Published:
    hub = connect(repo_id, "publishing to the Hub", needs_token=True)
    tags = hub.tags()
    already = manifest.tag in (tags or [])
    if already:
        _refuse_other_content(hub, manifest)
    else:
        commit = _commit(hub, release, manifest, _head(hub, private, exists=tags is not None))
        _reload(hub, commit, release, manifest)
        with hub.errors():
            hub.api.create_tag(repo_id, tag=manifest.tag, revision=commit, repo_type="dataset")
    _reload(hub, manifest.tag, release, manifest)
    return Published(
        target=f"hub:{repo_id}",
        revision=hub.commit_of(manifest.tag),
        tag=manifest.tag,
        url=hub.url(manifest.tag),
        already=already,
        load_line=load_line(repo_id, release, manifest.tag),
    )


def _head(hub: HubDataset, private: bool, *, exists: bool) -> str:
    """The commit of `main`, in a new dataset if there was none."""
    if not exists:
        with hub.errors():
            hub.api.create_repo(hub.repo_id, repo_type="dataset", private=private, exist_ok=True)
    elif private and not hub.is_private():
        raise UserError(f"{hub.repo_id} is public and was to be private: change its settings, or use another name")
    return hub.commit_of("main")


def _commit(hub: HubDataset, release: Path, manifest: Manifest, head: str) -> str:
    """The commit that holds the release: `head` itself if an earlier run got so far, else one new commit on it."""
    present = hub.manifest(head)
    if manifest.is_of(present):
        return head
    tree = hub.tree(head)
    _refuse_another(hub, manifest, present, tree)
    operations = _operations(release, manifest, _stale(manifest, present, tree))
    with shown_bars(), hub.errors():
        done = hub.api.create_commit(
            hub.repo_id,
            operations,
            commit_message=f"{manifest.name} {manifest.version}",
            repo_type="dataset",
            parent_commit=head,
        )
    return str(done.oid)


def _operations(
    release: Path, manifest: Manifest, stale: list[str]
) -> list[CommitOperationAdd | CommitOperationDelete]:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    adds = [CommitOperationAdd(path_in_repo=path, path_or_fileobj=str(release / path)) for path in manifest.paths]
    return [*adds, *(CommitOperationDelete(path_in_repo=path, is_folder=False) for path in stale)]


def _refuse_another(hub: HubDataset, manifest: Manifest, present: Manifest | None, tree: dict[str, RepoFile]) -> None:
    """A dataset that holds something else is not overwritten."""
    if present is not None and present.name != manifest.name:
        raise UserError(f"{hub.repo_id} holds the release '{present.name}', not '{manifest.name}': use another name")
    foreign = sorted(set(tree) - NEW_REPOSITORY)
    if present is None and foreign:
        raise UserError(f"{hub.repo_id} holds files of no release ({', '.join(foreign[:3])}): use another name")


def _stale(manifest: Manifest, present: Manifest | None, tree: dict[str, RepoFile]) -> list[str]:
    """What the commit must remove: files of the version before, and others where a config's glob would find them."""
    earlier = set(present.files if present else ())
    return sorted((earlier & set(tree) | _in_our_folders(manifest, tree)) - set(manifest.paths))


def _in_our_folders(manifest: Manifest, tree: dict[str, RepoFile]) -> set[str]:
    folders = {path.partition("/")[0] for path in manifest.files if "/" in path}
    return {path for path in tree if "/" in path and path.partition("/")[0] in folders}


def _refuse_other_content(hub: HubDataset, manifest: Manifest) -> None:
    """A version that is there with another content is never moved."""
    present = hub.manifest(manifest.tag)
    if not manifest.is_of(present):
        found = f"digest {present.digest[:12]}" if present else f"no {MANIFEST}"
        raise UserError(
            f"{hub.repo_id} has a {manifest.tag} already, with {found}, not {manifest.digest[:12]}"
            "; a published version never changes: give the new content a new version"
        )


def _reload(hub: HubDataset, revision: str, release: Path, manifest: Manifest) -> None:
    """The Hub holds our version, its every file and nothing more in its folders; else do not trust the upload."""
    present = hub.manifest(revision)
    if present is None or not manifest.is_of(present):
        raise FactoryError(f"{hub.repo_id} at {revision} does not hold what was sent: {MANIFEST}")
    tree = hub.tree(revision)
    wrong = [path for path, sent in present.files.items() if not _is_there(tree.get(path), sent, release / path)]
    wrong += sorted(_in_our_folders(present, tree) - set(present.files))
    if wrong:
        raise FactoryError(f"{hub.repo_id} at {revision} does not hold what was sent: {', '.join(wrong[:5])}")


def _is_there(remote: RepoFile | None, sent: FileSum, local: Path) -> bool:
    """Compares the length and the content's name: SHA-256 for large files, git's own for small ones.

    The Hub keeps no other name, so a small file that is worded anew here (the card) is compared by its length alone.
    """
    if remote is None or remote.size != sent.bytes:
        return False
    if remote.lfs is not None:
        return remote.lfs.sha256 == sent.sha256
    data = local.read_bytes() if local.is_file() else b""
    if hashlib.sha256(data).hexdigest() != sent.sha256:
        return True
    return remote.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
