"""A small Hub on 127.0.0.1 that the unmodified huggingface_hub and datasets clients talk to over a real socket.

It keeps datasets only, in memory: commits are immutable snapshots, `main` and the tags point at them. Reads of public
datasets need no token; writes need `hf_test_write`. Set the environment of a client from `HubDouble.env(home)`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote

import yaml
from hub_socket import Answer, Refused, Request, Wire, as_json, ranged

__all__ = ["READ_TOKEN", "WRITE_TOKEN", "Blob", "HubDouble", "Refused", "Repo", "Request"]

WRITE_TOKEN = "hf_test_write"
READ_TOKEN = "hf_test_read"
LFS_SUFFIXES = (".parquet", ".arrow", ".bin", ".gz", ".zip", ".zst", ".npy")
LFS_BYTES = 10 << 20
GITATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored file; large ones (LFS) are addressed by their SHA-256."""

    data: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @property
    def git_oid(self) -> str:
        data = self.pointer if self.lfs else self.data
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.git_oid

    def entry(self, path: str) -> dict[str, object]:
        row: dict[str, object] = {"type": "file", "path": path, "oid": self.git_oid, "size": len(self.data)}
        if self.lfs:
            row["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": len(self.pointer)}
        return row


@dataclass(slots=True)
class Repo:
    """One dataset: its snapshots by commit, its `main`, its tags."""

    id: str
    private: bool = False
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    main: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def add_commit(self, files: dict[str, Blob]) -> str:
        """`main` is a new snapshot of exactly these files; returns its 40-digit name."""
        named = json.dumps([self.id, len(self.commits), sorted((path, blob.git_oid) for path, blob in files.items())])
        self.main = hashlib.sha1(named.encode()).hexdigest()
        self.commits[self.main] = dict(files)
        return self.main

    def resolve(self, revision: str) -> str:
        sha = self.main if revision in {"main", "refs/heads/main"} else self.tags.get(revision, revision)
        if sha not in self.commits:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return sha


class HubDouble:
    """A running server. `calls` counts requests per route, `on[route]` is called before a request is answered.

    A hook may raise `Refused` (an error answer) or `Hangup` (no answer); `page_size` is that of the tree listing.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.log: list[tuple[str, str]] = []
        self.on: dict[str, Callable[[Request], None]] = {}
        self.roles = {WRITE_TOKEN: "write", READ_TOKEN: "read"}
        self.closed_namespaces = {"someone-else"}
        self.page_size = 1000
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self._lock = threading.RLock()
        self._wire = Wire(self.answer)
        self.endpoint = self._wire.endpoint

    def __enter__(self) -> HubDouble:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """The server no longer listens and every connection is closed; raises the first fault of its own."""
        self._wire.close()

    def env(self, home: Path, token: str | None = WRITE_TOKEN) -> dict[str, str]:
        """What a client's environment must hold to talk to this server and to nothing else."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
            **({"HF_TOKEN": token} if token else {}),
        }

    def add_dataset(self, repo_id: str, files: Mapping[str, bytes], *, private: bool = False) -> str:
        """The dataset exists (made if need be) with one more commit of these files; returns the commit's name."""
        with self._lock:
            repo = self.repos.setdefault(repo_id, Repo(repo_id, private))
            return repo.add_commit({path: _blob(path, data) for path, data in files.items()})

    def add_tag(self, repo_id: str, tag: str, revision: str = "main") -> None:
        """The tag points at the revision."""
        repo = self.repos[repo_id]
        repo.tags[tag] = repo.resolve(revision)

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """Every file of a snapshot, by path."""
        repo = self.repos[repo_id]
        return {path: blob.data for path, blob in repo.commits[repo.resolve(revision)].items()}

    def tamper(self, repo_id: str, revision: str, path: str, data: bytes) -> None:
        """The stored snapshot itself holds other bytes, as no client could make it."""
        repo = self.repos[repo_id]
        repo.commits[repo.resolve(revision)][path] = _blob(path, data)

    def answer(self, request: Request) -> Answer:
        """The answer to one request, counted under its route."""
        self.log.append((request.method, request.path))
        for method, pattern, route, handler in _ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                return self._routed(
                    route, handler, request, {k: unquote(v or "") for k, v in found.groupdict().items()}
                )
        self.calls["unknown"] += 1
        raise Refused(404, f"this double has no route for {request.method} {request.path}")

    def _routed(self, route: str, handler: _Handler, request: Request, parts: dict[str, str]) -> Answer:
        with self._lock:
            self.calls[route] += 1
        if route in self.on:
            self.on[route](request)
        with self._lock:
            return handler(self, request, parts)

    def _role(self, request: Request) -> str:
        if request.token and request.token not in self.roles:
            raise Refused(401, "Invalid credentials in Authorization header")
        return self.roles.get(request.token, "")

    def _writer(self, request: Request, repo_id: str) -> None:
        role = self._role(request)
        if not role:
            raise Refused(401, "Invalid username or password.")
        if role != "write" or repo_id.partition("/")[0] in self.closed_namespaces:
            raise Refused(403, f"You don't have the rights to write to {repo_id}")

    def _repo(self, request: Request, parts: dict[str, str]) -> Repo:
        role = self._role(request)
        repo = self.repos.get(parts["repo"])
        if repo is None or (repo.private and not role):
            raise Refused(404 if role else 401, "Repository not found", "RepoNotFound")
        return repo

    def _writable(self, request: Request, parts: dict[str, str]) -> Repo:
        repo = self._repo(request, parts)
        self._writer(request, repo.id)
        return repo

    def _whoami(self, request: Request, parts: dict[str, str]) -> Answer:
        role = self._role(request)
        if not role:
            raise Refused(401, "Invalid username or password.")
        return as_json({"type": "user", "name": "tester", "orgs": [], "auth": {"accessToken": {"role": role}}})

    def _create(self, request: Request, parts: dict[str, str]) -> Answer:
        wanted = request.json()
        repo_id = f"{wanted.get('organization') or 'tester'}/{wanted['name']}"
        self._writer(request, repo_id)
        url = f"{self.endpoint}/datasets/{repo_id}"
        if repo_id in self.repos:
            return as_json({"error": "You already created this dataset repo", "url": url}, status=409)
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        self.repos[repo_id] = Repo(repo_id, private)
        self.repos[repo_id].add_commit({".gitattributes": _blob(".gitattributes", GITATTRIBUTES)})
        return as_json({"url": url, "name": repo_id, "id": repo_id})

    def _validate_yaml(self, request: Request, parts: dict[str, str]) -> Answer:
        front = re.match(r"---\n(.*?)\n---", str(request.json()["content"]), re.DOTALL)
        try:
            yaml.safe_load(front[1] if front else "")
        except yaml.YAMLError as error:
            return as_json({"errors": [{"message": str(error)}], "warnings": []}, status=400)
        return as_json({"errors": [], "warnings": []})

    def _preupload(self, request: Request, parts: dict[str, str]) -> Answer:
        repo = self._writable(request, parts)
        known = repo.commits[repo.resolve(parts["rev"])]
        rows = []
        for wanted in _rows(request.json()["files"]):
            path = str(wanted["path"])
            mode = "lfs" if _is_lfs(path, int(str(wanted["size"]))) else "regular"
            oid = known[path].etag if path in known else None
            rows.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return as_json({"files": rows})

    def _lfs_batch(self, request: Request, parts: dict[str, str]) -> Answer:
        self._writable(request, parts)
        objects: list[dict[str, object]] = []
        for wanted in _rows(request.json()["objects"]):
            oid = str(wanted["oid"])
            verify = {"href": f"{self.endpoint}/datasets/{parts['repo']}.git/info/lfs/objects/verify"}
            actions = {"upload": {"href": f"{self.endpoint}/lfs/{oid}"}, "verify": verify}
            known = oid in self.objects
            objects.append({"oid": oid, "size": wanted["size"], **({} if known else {"actions": actions})})
        return as_json({"transfer": "basic", "objects": objects})

    def _lfs_put(self, request: Request, parts: dict[str, str]) -> Answer:
        if hashlib.sha256(request.body).hexdigest() != parts["oid"]:
            raise Refused(400, "the bytes do not have the SHA-256 of their address")
        self.objects[parts["oid"]] = request.body
        return Answer()

    def _lfs_verify(self, request: Request, parts: dict[str, str]) -> Answer:
        wanted = request.json()
        stored = self.objects.get(str(wanted["oid"]))
        if stored is None or len(stored) != wanted["size"]:
            raise Refused(404, "object not found")
        return as_json({})

    def _commit(self, request: Request, parts: dict[str, str]) -> Answer:
        repo = self._writable(request, parts)
        if parts["rev"] != "main":
            raise Refused(400, "this double commits to main only")
        files = dict(repo.commits[repo.main])
        for line in request.body.splitlines():
            step = json.loads(line)
            self._apply(repo, files, step["key"], step["value"])
        sha = repo.add_commit(files)
        url = f"{self.endpoint}/datasets/{repo.id}/commit/{sha}"
        return as_json({"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": ""})

    def _apply(self, repo: Repo, files: dict[str, Blob], key: str, value: dict[str, str]) -> None:
        if key == "header":
            if value.get("parentCommit", repo.main) != repo.main:
                raise Refused(412, "A commit has happened since. Please refresh and try again.")
        elif key == "file":
            files[value["path"]] = Blob(base64.b64decode(value["content"], validate=True), lfs=False)
        elif key == "lfsFile":
            if value["oid"] not in self.objects:
                raise Refused(400, f"LFS object {value['oid']} of {value['path']} was not uploaded")
            files[value["path"]] = Blob(self.objects[value["oid"]], lfs=True)
        elif key == "deletedFile":
            if files.pop(value["path"], None) is None:
                raise Refused(404, "A file with this name doesn't exist", "EntryNotFound")
        else:
            raise Refused(400, f"unknown step {key!r}")

    def _tag(self, request: Request, parts: dict[str, str]) -> Answer:
        repo = self._writable(request, parts)
        tag = str(request.json()["tag"])
        if tag in repo.tags:
            raise Refused(409, f"Tag reference exists already: {tag}")
        repo.tags[tag] = repo.resolve(parts["rev"])
        return as_json({})

    def _refs(self, request: Request, parts: dict[str, str]) -> Answer:
        repo = self._repo(request, parts)
        tags = [{"name": name, "ref": f"refs/tags/{name}", "targetCommit": sha} for name, sha in repo.tags.items()]
        branches = [{"name": "main", "ref": "refs/heads/main", "targetCommit": repo.main}]
        return as_json({"branches": branches, "converts": [], "tags": tags})

    def _info(self, request: Request, parts: dict[str, str]) -> Answer:
        repo = self._repo(request, parts)
        sha = repo.resolve(parts.get("rev") or "main")
        blobs = request.query.get("blobs", ["false"])[0].lower() == "true"
        siblings = [{"rfilename": path, **(_sizes(blob) if blobs else {})} for path, blob in repo.commits[sha].items()]
        known = {"id": repo.id, "_id": repo.id, "sha": sha, "private": repo.private, "gated": False, "disabled": False}
        return as_json({**known, "tags": [], "downloads": 0, "likes": 0, "siblings": siblings})

    def _tree(self, request: Request, parts: dict[str, str]) -> Answer:
        repo = self._repo(request, parts)
        files = repo.commits[repo.resolve(parts["rev"])]
        below = parts.get("path") or ""
        recursive = request.query.get("recursive", ["false"])[0].lower() == "true"
        rows = [row for row in _entries(files) if _is_listed(str(row["path"]), below, recursive)]
        if below and not rows:
            raise Refused(404, f"{below} does not exist on {parts['rev']!r}", "EntryNotFound")
        start = int(request.query.get("cursor", ["0"])[0])
        stop = start + self.page_size
        following = f"{self.endpoint}{request.path}?recursive={recursive}&cursor={stop}"
        link = {"Link": f'<{following}>; rel="next"'} if stop < len(rows) else {}
        return as_json(rows[start:stop], link)

    def _paths_info(self, request: Request, parts: dict[str, str]) -> Answer:
        repo = self._repo(request, parts)
        files = repo.commits[repo.resolve(parts["rev"])]
        is_json = "json" in request.headers.get("content-type", "")
        wanted = request.json()["paths"] if is_json else parse_qs(request.body.decode()).get("paths", [])
        asked = {str(path) for path in wanted} if isinstance(wanted, list) else {str(wanted)}
        return as_json([row for row in _entries(files) if row["path"] in asked])

    def _resolve(self, request: Request, parts: dict[str, str]) -> Answer:
        repo = self._repo(request, parts)
        sha = repo.resolve(parts["rev"])
        blob = repo.commits[sha].get(parts["path"])
        known = {"X-Repo-Commit": sha}
        if blob is None:
            raise Refused(404, "Entry not found", "EntryNotFound", known)
        linked = {"X-Linked-Etag": f'"{blob.etag}"', "X-Linked-Size": str(len(blob.data))} if blob.lfs else {}
        return ranged(request, blob.data, {**known, **linked, "ETag": f'"{blob.etag}"'})


_Handler = Callable[[HubDouble, Request, dict[str, str]], Answer]

_API = r"/api/datasets/(?P<repo>[^/]+/[^/]+)"
_WEB = r"/datasets/(?P<repo>[^/]+/[^/]+?)"
_RESOLVE = _WEB + r"/resolve/(?P<rev>[^/]+)/(?P<path>.+)"
_LFS = r"/lfs/(?P<oid>[0-9a-f]{64})"
_ROUTES: tuple[tuple[str, str, str, _Handler], ...] = (
    ("GET", r"/api/whoami-v2", "whoami", HubDouble._whoami),
    ("POST", r"/api/repos/create", "create", HubDouble._create),
    ("POST", r"/api/validate-yaml", "validate-yaml", HubDouble._validate_yaml),
    ("POST", _API + r"/preupload/(?P<rev>[^/]+)", "preupload", HubDouble._preupload),
    ("POST", _WEB + r"\.git/info/lfs/objects/batch", "lfs-batch", HubDouble._lfs_batch),
    ("POST", _WEB + r"\.git/info/lfs/objects/verify", "lfs-verify", HubDouble._lfs_verify),
    ("PUT", _LFS, "lfs-put", HubDouble._lfs_put),
    ("POST", _API + r"/commit/(?P<rev>[^/]+)", "commit", HubDouble._commit),
    ("POST", _API + r"/tag/(?P<rev>[^/]+)", "tag", HubDouble._tag),
    ("GET", _API + r"/refs", "refs", HubDouble._refs),
    ("GET", _API, "info", HubDouble._info),
    ("GET", _API + r"/revision/(?P<rev>[^/]+)", "info", HubDouble._info),
    ("GET", _API + r"/tree/(?P<rev>[^/]+)(?:/(?P<path>.+))?", "tree", HubDouble._tree),
    ("POST", _API + r"/paths-info/(?P<rev>[^/]+)", "paths-info", HubDouble._paths_info),
    ("HEAD", _RESOLVE, "resolve-head", HubDouble._resolve),
    ("GET", _RESOLVE, "resolve", HubDouble._resolve),
)


def _is_lfs(path: str, size: int) -> bool:
    return path.endswith(LFS_SUFFIXES) or size >= LFS_BYTES


def _blob(path: str, data: bytes) -> Blob:
    return Blob(data, lfs=_is_lfs(path, len(data)))


def _rows(value: object) -> list[dict[str, object]]:
    if not isinstance(value, list):
        raise Refused(400, "a list was expected")
    return value


def _sizes(blob: Blob) -> dict[str, object]:
    row: dict[str, object] = {"size": len(blob.data), "blobId": blob.git_oid}
    if blob.lfs:
        row["lfs"] = {"size": len(blob.data), "sha256": blob.sha256, "pointerSize": len(blob.pointer)}
    return row


def _entries(files: Mapping[str, Blob]) -> list[dict[str, object]]:
    folders = {str(parent) for path in files for parent in Path(path).parents} - {"."}
    rows: list[dict[str, object]] = [
        {"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0}
        for path in sorted(folders)
    ]
    return rows + [blob.entry(path) for path, blob in sorted(files.items())]


def _is_listed(path: str, below: str, recursive: bool) -> bool:
    if below and not path.startswith(below + "/"):
        return False
    return recursive or "/" not in path[len(below) + 1 if below else 0 :]
