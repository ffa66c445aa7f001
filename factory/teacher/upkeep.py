"""Looking after a reply store: what is in it, into a file and back, and throwing away."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from factory.errors import UserError, nearest
from factory.teacher.protocol import CONTENT
from factory.teacher.reply_store import ADD, ReplyStore, decode

DAY = 86_400
ROWS = 1_000  # of one transaction, and of one Parquet row group: other processes get their turn between them
COLUMNS = pa.schema(
    [
        ("key", pa.string()),
        ("model", pa.string()),
        ("created", pa.int64()),
        ("request", pa.string()),
        ("reply", pa.string()),
    ]
)
KEY_LENGTH = 32
REPLY_KEYS = ("text", "finish", "usage", "latency", "model")
USAGE_KEYS = ("prompt_tokens", "completion_tokens")
MADE_OF_REPLIES = ("talk", "turns")  # artifacts that hold what came of replies; their keys do not name the replies


@dataclass(frozen=True, slots=True)
class ModelStats:
    """What a store holds of one model; `first` and `last` are Unix seconds."""

    model: str
    replies: int
    prompt_tokens: int
    completion_tokens: int
    first: int
    last: int
    failures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stats:
    """What a store holds, and the bytes of its file and its log."""

    replies: int
    bytes: int
    models: tuple[ModelStats, ...]


def stats(store: ReplyStore) -> Stats:
    """Return what a store holds."""
    failures: dict[str, Counter[str]] = {}
    counted = "SELECT model, failure, count(*) FROM replies WHERE failure IS NOT NULL GROUP BY model, failure"
    for model, kind, count in store.query(counted):
        failures.setdefault(model, Counter())[kind] = count
    sums = store.query(
        "SELECT model, count(*), sum(prompt_tokens), sum(completion_tokens), min(created), max(created)"
        " FROM replies GROUP BY model ORDER BY model"
    )
    models = tuple(
        ModelStats(model, replies, prompt, completion, first, last, dict(failures.get(model, {})))
        for model, replies, prompt, completion, first, last in sums
    )
    return Stats(sum(model.replies for model in models), size_of(store.path), models)


def size_of(path: Path) -> int:
    """Return the bytes of a store's file and its log."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def export(store: ReplyStore, path: Path) -> int:
    """Write every reply with its request to a new .jsonl or .parquet file, by key; returns how many."""
    write: Writer = _form(path, WRITERS)
    if path.exists():
        raise UserError(f"{path} exists already; choose another name, or remove it first")
    rows = store.query("SELECT key, model, created, request, reply FROM replies ORDER BY key")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _write_whole(write, rows, path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}): name a file in a folder that takes it"
        ) from None


def _write_whole(write: Writer, rows: Iterable[tuple[Any, ...]], path: Path) -> int:
    """Return how many rows are in the file, which is there when all of them are."""
    draft = path.with_name(f".{path.name}.part")
    try:
        count = write(rows, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return count


def _form(path: Path, forms: Mapping[str, Any]) -> Any:
    if path.suffix not in forms:
        raise UserError(f"{path} must end in {' or '.join(forms)}, which says its form; found '{path.suffix}'")
    return forms[path.suffix]


def _write_jsonl(rows: Iterable[tuple[Any, ...]], path: Path) -> int:
    count = 0
    with path.open("wb") as out:
        for row in rows:
            said = dict(zip(COLUMNS.names, (*row[:3], *map(orjson.Fragment, row[3:])), strict=True))
            out.write(orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def _write_parquet(rows: Iterable[tuple[Any, ...]], path: Path) -> int:
    count, rest = 0, iter(rows)
    with pq.ParquetWriter(path, COLUMNS, compression="zstd") as out:
        while chunk := list(islice(rest, ROWS)):
            columns = [list(column) for column in zip(*chunk, strict=True)]
            texts = [[text.decode() for text in column] for column in columns[3:]]
            out.write_table(pa.table([*columns[:3], *texts], schema=COLUMNS))
            count += len(chunk)
    return count


Writer = Callable[[Iterable[tuple[Any, ...]], Path], int]
WRITERS: Mapping[str, Writer] = {".jsonl": _write_jsonl, ".parquet": _write_parquet}


def import_(store: ReplyStore, path: Path) -> tuple[int, int]:
    """Add the replies of an exported file; returns (added, those whose key was there already, which stay)."""
    added, seen, rows = 0, 0, _rows_of(path)
    while chunk := list(islice(rows, ROWS)):
        added += store.change(ADD, chunk)
        seen += len(chunk)
    return added, seen - added


def check_export(path: Path) -> None:
    """Return when a file starts as an export does; UserError says what is wrong with it."""
    with closing(_rows_of(path)) as rows:
        next(rows, None)


def _rows_of(path: Path) -> Generator[tuple[object, ...], None, None]:
    read = _form(path, READERS)
    if not path.is_file():
        raise UserError(f"there is no file {path} to import; `factory cache export FILE` writes one")
    try:
        with closing(read(path)) as lines:
            for place, said in lines:
                yield _row(said, place)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from None


def _read_jsonl(path: Path) -> Generator[tuple[str, Any], None, None]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            place = f"{path}, line {number}"
            try:
                yield place, orjson.loads(line)
            except ValueError as error:
                raise UserError(f"{place} is not JSON ({error}); nothing after it was imported") from None


def _read_parquet(path: Path) -> Generator[tuple[str, Any], None, None]:
    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is not a Parquet file that can be read ({error})") from None


READERS = {".jsonl": _read_jsonl, ".parquet": _read_parquet}


def _row(said: Any, place: str) -> tuple[object, ...]:
    """Return the row of REPLIES of what an export says; UserError for anything else."""
    if lack := _lack(said):
        raise UserError(
            f"{place} is not an exported reply: {lack}; a line must have {_listed(COLUMNS.names)}, its reply"
            f" {_listed(REPLY_KEYS)}, and that usage {_listed(USAGE_KEYS)}, as `factory cache export` writes them;"
            " nothing after it was imported"
        )
    try:
        key, model, created = str(said["key"]), str(said["model"]), int(said["created"])
        request, stored = _json_bytes(said["request"]), _json_bytes(said["reply"])
        reply = decode(stored)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UserError(
            f"{place} is not an exported reply ({type(error).__name__}: {error}); nothing after it was imported"
        ) from None
    kind = reply.failure.kind if reply.failure else None
    if len(key) != KEY_LENGTH or not (kind is None or kind in CONTENT):
        raise UserError(
            f"{place} is not an exported reply (key '{key}', failure {kind}); nothing after it was imported"
        )
    return key, model, created, kind, reply.usage.prompt_tokens, reply.usage.completion_tokens, stored, request


def _lack(said: Any) -> str:
    """Return what a line lacks, or "" when it has all keys."""
    reply = said.get("reply") if isinstance(said, dict) else None
    if isinstance(reply, str):  # as Parquet holds it
        try:
            reply = orjson.loads(reply)
        except ValueError:
            return "its reply is not JSON"
    usage = reply.get("usage") if isinstance(reply, dict) else None
    parts = (("it", said, COLUMNS.names), ("its reply", reply, REPLY_KEYS), ("its usage", usage, USAGE_KEYS))
    for name, part, keys in parts:
        if not isinstance(part, dict):
            return f"{name} is no object"
        if lacking := [f"'{key}'" for key in keys if key not in part]:
            return f"{name} lacks {_listed(lacking)}"
    return ""


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _json_bytes(said: Any) -> bytes:
    return orjson.dumps(orjson.loads(said) if isinstance(said, str) else said)


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Which replies to throw away: those that all of these fit."""

    older_than: float | None = None  # days
    model: str | None = None
    failures: bool = False

    def where(self, now: float) -> tuple[str, list[object]]:
        """Return the condition in SQL, and its values."""
        said: list[str] = []
        values: list[object] = []
        if self.older_than is not None:
            said.append("created < ?")
            values.append(int(now - self.older_than * DAY))
        if self.model is not None:
            said.append("model = ?")
            values.append(self.model)
        if self.failures:
            said.append("failure IS NOT NULL")
        return " AND ".join(said) or "0", values


def prune(store: ReplyStore, unwanted: Unwanted, *, dry: bool) -> int:
    """Return how many replies are unwanted, thrown away unless `dry`; the file shrinks. An empty wish is for none."""
    models = [row[0] for row in store.query("SELECT DISTINCT model FROM replies")]
    if unwanted.model is not None and unwanted.model not in models:
        raise UserError(f"the cache has no replies of a model '{unwanted.model}'{nearest(unwanted.model, models)}")
    where, values = unwanted.where(time.time())
    if dry:
        return int(next(store.query(f"SELECT count(*) FROM replies WHERE {where}", values))[0])
    gone = store.change(f"DELETE FROM replies WHERE {where}", [values])
    if gone:
        store.shrink()
    return gone


def forget_made(artifacts: Path) -> list[Path]:
    """Return the folders of artifacts that held what came of replies, which are gone; runs make them again.

    A folder leaves under another name at once, so that no run finds half of it.
    """
    gone = []
    for name in MADE_OF_REPLIES:
        folder, leaving = artifacts / name, artifacts / f".{name}.pruned"
        try:
            if leaving.exists():  # an earlier removal was interrupted
                shutil.rmtree(leaving)
            if folder.is_dir():
                folder.rename(leaving)
                shutil.rmtree(leaving)
                gone.append(folder)
        except OSError as error:
            raise UserError(
                f"{error.filename or folder} cannot be removed ({error.strerror or error}), so nothing was pruned: make"
                f" {artifacts} writable, or remove {folder} yourself, and prune again"
            ) from None
    return gone
