"""A teacher that answers by files: requests are written as OpenAI batch lines, replies are read when they lie there.

The files suit paid batch APIs, `vllm run-batch`, and a person with an editor. Replies are found by `custom_id`, the
key of the request, so the names and order of result files do not matter.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from factory.artifacts.digest import digest
from factory.errors import UserError, Waiting
from factory.teacher.protocol import Reply, Request, no_reply
from factory.teacher.wire import batch_line, batch_reply

MOST_LINES, MOST_BYTES = 50_000, 100_000_000  # of a file that a batch API takes
WRITTEN = re.compile(r"requests-\d{3,}\.jsonl")  # the files that are ours to replace
ASKED = "requests"  # files whose names start so hold no replies


@dataclass(slots=True)
class _Results:
    """Where each answered key stands in the result files: which file, at which byte."""

    files: list[Path] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    open: dict[int, BinaryIO] = field(default_factory=dict)

    def read(self, key: str) -> Reply:
        """Return the reply of a key that has a place."""
        file, offset = self.places[key]
        if file not in self.open:
            self.open[file] = self.files[file].open("rb")
        self.open[file].seek(offset)
        return _reply(orjson.loads(self.open[file].readline()))

    def close(self) -> None:
        """Close the files."""
        for stream in self.open.values():
            stream.close()
        self.open.clear()


class BatchFile:
    """Replies that lie in the result files of a folder; every other request gets the failure `pending`.

    `flush` then writes the pending ones. A result that only says that the moment was bad (expired, a server's error)
    counts as not answered, so its request is written again.
    """

    batches = True

    def __init__(self, folder: Path, model: str, *, revision: str | None = None) -> None:
        self.folder = folder
        self.model = model
        self.identity = digest(name=model, root="", revision=revision)
        self._results = _Results()
        self._asked: set[str] = set()
        self._pending: dict[str, Request] = {}

    async def start(self) -> None:
        """Find the replies; UserError names the file and line that cannot be read."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UserError(f"{self.folder} is no folder: teacher.folder must name one for batch files") from None
        self._results = index(self.folder)

    async def close(self) -> None:
        """Let go of the result files."""
        self._results.close()

    @property
    def unknown(self) -> int:
        """Return how many results in the folder answer nothing that was asked until now."""
        return len(self._results.places.keys() - self._asked)

    async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield exactly one (id, reply) for each request."""
        for id_, request in requests.items():
            key = request.key(self.identity)
            self._asked.add(key)
            if key in self._results.places:
                yield id_, self._results.read(key)
            else:
                self._pending[key] = request
                yield id_, no_reply("pending", f"its reply is not in {self.folder} yet")

    def flush(self) -> Waiting | None:
        """Return what is waited for, after the pending requests are written; None when nothing is."""
        written = self._write()
        if not written:
            return None
        return Waiting(self._told(written))

    def _write(self) -> list[Path]:
        """Put the pending requests, those that start alike side by side, in the place of all earlier ones."""
        written = []
        for number, lines in enumerate(_files_of(self._lines()), start=1):
            path = self.folder / f"requests-{number:03}.jsonl"
            _replace(path, b"".join(lines))
            written.append(path)
        for path in self.folder.iterdir():
            if WRITTEN.fullmatch(path.name) and path not in written:
                path.unlink()
        return written

    def _lines(self) -> list[bytes]:
        said = [(key, batch_line(key, request, self.model)) for key, request in self._pending.items()]
        said.sort(key=lambda line: (orjson.dumps(line[1]["body"]), line[0]))
        return [orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for _, line in said]

    def _told(self, written: list[Path]) -> str:
        names = written[0].name if len(written) == 1 else f"{written[0].name} to {written[-1].name}"
        other = f" {self.unknown:,} results in the folder answer other requests than these." if self.unknown else ""
        return (
            f"{len(self._pending):,} requests wait for replies, in {self.folder}: {names}.{other} Answer each file with"
            f" `vllm run-batch -i {written[0]} -o {self._free_name()} --model {self.model}`, or give it to a batch API"
            ' and save what comes back, or write lines {"custom_id": "...", "content": "..."} by hand; put the results'
            f" into {self.folder} as .jsonl under any name that does not start with '{ASKED}', and run the same"
            " command again"
        )

    def _free_name(self) -> Path:
        names = (self.folder / f"results-{number:03}.jsonl" for number in itertools.count(1))
        return next(path for path in names if not path.exists())


def index(folder: Path) -> _Results:
    """Return where the replies in a folder's result files stand; of several to one key, the first."""
    files = sorted(path for path in folder.glob("*.jsonl") if not path.name.startswith(ASKED))
    results = _Results(files)
    for number, path in enumerate(files):
        for key, offset in _answered(path):
            results.places.setdefault(key, (number, offset))
    return results


def _answered(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (custom_id, byte) of each line that answers a request, well or with a failure of its content."""
    offset = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                key, reply = _read(line, f"{path}, line {number}")
                if reply.failure is None or reply.failure.of_content:
                    yield key, offset
            offset += len(line)


def _read(line: bytes, place: str) -> tuple[str, Reply]:
    try:
        said = orjson.loads(line)
        return str(said["custom_id"]), _reply(said)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{place} is not the result of a request ({type(error).__name__}: {error}); a line is what a batch API"
            ' answers, or {"custom_id": "...", "content": "..."}: correct the line, or move the file away'
        ) from None


def _reply(said: dict[str, Any]) -> Reply:
    content = said.get("content")
    if content is not None and not isinstance(content, str):  # JSON written by hand, as it stands
        said = said | {"content": orjson.dumps(content).decode()}
    return batch_reply(said)


def _files_of(lines: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines of each file, within what a batch API takes."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        if held and (len(held) == MOST_LINES or size + len(line) > MOST_BYTES):
            yield held
            held, size = [], 0
        held.append(line)
        size += len(line)
    if held:
        yield held


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
