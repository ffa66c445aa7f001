"""A teacher that answers by files: requests are written as OpenAI batch lines, replies are read when they lie there.

The files suit paid batch APIs, `vllm run-batch`, and a person with an editor. Replies are found by `custom_id`, the
key of the request, so the names and order of result files do not matter. A file of requests stays as it was written: it
may be on its way through a paid API, so what it holds is not handed out a second time.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from factory.artifacts.digest import digest
from factory.errors import UserError, Waiting
from factory.teacher.protocol import Reply, Request, no_reply
from factory.teacher.wire import batch_line, batch_reply

MOST_LINES, MOST_BYTES = 50_000, 100_000_000  # of a file that a batch API takes
NUMBERED = re.compile(r"(?:requests|results)-(\d+)\.jsonl")  # a new file of requests takes the number after these
HANDED_OUT = "requests-*.jsonl"
ASKED = "requests"  # files whose names start so hold no replies


@dataclass(slots=True)
class _Results:
    """Where each answered key stands in the result files (which file, at which byte), and those result files that say
    of a key no more than that the moment was bad.
    """

    files: list[Path] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    came_back: dict[str, list[Path]] = field(default_factory=dict)
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


@dataclass(frozen=True, slots=True)
class _Handed:
    """What waits: the new requests by the files they were written to, and the others by the files they were in."""

    new: Mapping[Path, int]
    earlier: Mapping[Path, int]


class BatchFile:
    """Replies that lie in the result files of a folder; every other request gets the failure `pending`.

    `flush` then writes those pending ones that no file of requests in the folder holds. A result that only says that
    the moment was bad (expired, a server's error) counts as not answered, so its request is written again.
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
        with _explained(self.folder):
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
        """Return how many results in the folder answer neither what was asked until now nor a file of requests."""
        others = self._results.places.keys() - self._asked
        return len(others - handed_out(self.folder).keys()) if others else 0

    async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield exactly one (id, reply) for each request."""
        for id_, request in requests.items():
            key = request.key(self.identity)
            self._asked.add(key)
            if key in self._results.places:
                with _explained(self.folder):
                    reply = self._results.read(key)
                yield id_, reply if reply.model else replace(reply, model=self.model)
            else:
                self._pending[key] = request
                yield id_, no_reply("pending", f"its reply is not in {self.folder} yet")

    def flush(self) -> Waiting | None:
        """Return what is waited for, after the new requests are written; None when nothing is."""
        if not self._pending:
            return None
        with _explained(self.folder):
            return Waiting(self._told(self._hand_out()))

    def _hand_out(self) -> _Handed:
        """Write the pending requests that are in no file yet, or came back from each that they were in."""
        files = handed_out(self.folder)
        waiting = {key for key in self._pending if _is_out(files.get(key, []), self._results.came_back.get(key, []))}
        new: dict[Path, int] = {}
        for number, lines in enumerate(_files_of(self._lines(self._pending.keys() - waiting)), self._free_number()):
            path = self.folder / f"requests-{number:03}.jsonl"
            _replace(path, b"".join(lines))
            new[path] = len(lines)
        return _Handed(new, Counter(files[key][-1] for key in sorted(waiting)))

    def _lines(self, keys: Set[str]) -> list[bytes]:
        """Return the lines of requests, those that start alike side by side."""
        said = [(key, batch_line(key, self._pending[key], self.model)) for key in keys]
        said.sort(key=lambda line: (orjson.dumps(line[1]["body"]), line[0]))
        return [orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for _, line in said]

    def _free_number(self) -> int:
        """Return the number after those of all requests and results, whose files nobody then writes over."""
        found = (NUMBERED.fullmatch(path.name) for path in self.folder.iterdir())
        return 1 + max((int(match[1]) for match in found if match), default=0)

    def _told(self, handed: _Handed) -> str:
        unknown = self.unknown
        other = f" {unknown:,} results in the folder answer other requests than these." if unknown else ""
        return (
            f"{_waiting(len(self._pending))}{self._of_what()}, in {self.folder}: {_counted(handed)}."
            f"{other} Answer"
            f" each file with {self._command(handed)}a batch API, saving what comes back, or by hand with lines"
            ' {"custom_id": "...", "content": "..."}; put the results'
            f" into {self.folder} as .jsonl under any name that does not start with '{ASKED}', and run the same"
            " command again"
        )

    def _of_what(self) -> str:
        """Return what is asked, by prompt; nothing where requests do not say."""
        counts = Counter(request.about for request in self._pending.values() if request.about)
        return f" ({', '.join(f'{n:,} {about}' for about, n in sorted(counts.items()))})" if counts else ""

    def _command(self, handed: _Handed) -> str:
        """Return how vLLM answers the first file whose results have no file yet; nothing when there is none."""
        for path in (*handed.new, *sorted(handed.earlier)):
            results = path.with_name(path.name.replace(ASKED, "results", 1))
            if not results.exists():
                return f"`vllm run-batch -i {path} -o {results} --model {self.model}`, or with "
        return ""


def _is_out(asked: list[Path], came_back: list[Path]) -> bool:
    """Return whether a request in these files still waits: it came back from fewer, or was asked again since."""
    if len(asked) > len(came_back):
        return True
    return bool(asked) and _newest(asked) >= _newest(came_back)


def _newest(files: list[Path]) -> int:
    return max(path.stat().st_mtime_ns for path in files)


def _waiting(n: int) -> str:
    return f"{n:,} requests wait for replies" if n != 1 else "1 request waits for its reply"


def _counted(handed: _Handed) -> str:
    said = []
    if handed.new:
        said.append(f"{sum(handed.new.values()):,} are new, in {_named(handed.new)}")
    if handed.earlier:
        said.append(
            f"{sum(handed.earlier.values()):,} were handed out earlier and have no reply yet, in"
            f" {_named(handed.earlier)} (delete such a file to have its requests written anew)"
        )
    return "; ".join(said)


def _named(files: Iterable[Path]) -> str:
    """Return the names of files, in short when there are many."""
    names = sorted(path.name for path in files)
    return ", ".join(names) if len(names) < 3 else f"{names[0]} to {names[-1]} ({len(names)} files)"


def handed_out(folder: Path) -> dict[str, list[Path]]:
    """Return the request files of a folder that each key is in, in order; UserError for a line that is no request."""
    files: dict[str, list[Path]] = {}
    for path in sorted(filter(Path.is_file, folder.glob(HANDED_OUT))):
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    files.setdefault(_asked_in(line, f"{path}, line {number}"), []).append(path)
    return files


def _asked_in(line: bytes, place: str) -> str:
    try:
        return str(orjson.loads(line)["custom_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{place} is not a request ({type(error).__name__}: {error}), so it cannot be known what was handed out:"
            " delete the file to have its requests written anew, or move it away if it holds something else"
        ) from None


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Make a UserError of what the disk refuses."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise UserError(
            f"{where}: {error.strerror or error}; the batch files in {folder} must be there to read, and the folder"
            " must take new ones: mend that, or name another in teacher.folder"
        ) from None


def index(folder: Path) -> _Results:
    """Return where the replies in a folder's result files stand; of several to one key, the first."""
    files = sorted(path for path in folder.glob("*.jsonl") if path.is_file() and not path.name.startswith(ASKED))
    results = _Results(files)
    for number, path in enumerate(files):
        for key, offset, answers in _lines_of(path):
            if answers:
                results.places.setdefault(key, (number, offset))
            else:
                results.came_back.setdefault(key, []).append(path)
    return results


def _lines_of(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Yield (custom_id, byte, whether it answers the request: well, or with a failure of its content) of each line."""
    offset = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                key, reply = _read(line, f"{path}, line {number}")
                yield key, offset, reply.failure is None or reply.failure.of_content
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
