"""Files of requests and replies between us and an engine; what an earlier run left of them is found and used."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import orjson

LOCK, REQUESTS, REPLIES = "lock", ".requests.jsonl", ".replies.jsonl"


class WorkFiles:
    """A folder of this process alone, under one that runs share. Folders whose owner is gone are taken over.

    Replies are known by the digest of their request and model, so one that was made for an earlier run fits this one.
    """

    def __init__(self, shared: Path) -> None:
        shared.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="new-", dir=shared))
        lock = _locked(made / LOCK)  # before the folder has a name that others take over
        self.folder = made.replace(made.with_name(made.name.replace("new-", "run-", 1)))
        self._locks = {self.folder: lock}
        self._parts = 0
        self._left: dict[str, tuple[Path, int]] = {}
        for folder in sorted(shared.glob("run-*")):
            if folder != self.folder and (lock := _locked(folder / LOCK)) is not None:
                self._locks[folder] = lock
                for path in sorted(folder.glob(f"*{REPLIES}")):
                    self._left |= {key: (path, at) for key, at in _index(path)}

    def part(self) -> tuple[Path, Path]:
        """Return the paths of the next file of requests and of its replies; neither is there yet."""
        self._parts += 1
        name = f"{self._parts:05d}"
        return self.folder / f"{name}{REQUESTS}", self.folder / f"{name}{REPLIES}"

    def take(self, wanted: Container[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (key, result line) of what an earlier run left for the keys that are wanted."""
        for key in [key for key in self._left if key in wanted]:
            path, at = self._left.pop(key)
            with path.open("rb") as file:
                file.seek(at)
                yield key, orjson.loads(file.readline())

    def remove(self) -> None:
        """Remove the folder and those taken over; replies of this run that nobody took stay for the next one."""
        for folder, lock in self._locks.items():
            if folder != self.folder or not any(path.stat().st_size for path in folder.glob(f"*{REPLIES}")):
                shutil.rmtree(folder, ignore_errors=True)
            if lock is not None:
                os.close(lock)
        self._locks = {}


def _locked(path: Path) -> int | None:
    """Return a lock that ends with this process, or None when another process has it or has removed the folder."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _index(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (key, offset) of each whole line of successful replies; the last one may be torn."""
    at = 0
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                read = orjson.loads(line)
                if not read.get("error"):
                    yield read["custom_id"], at
            at += len(line)
