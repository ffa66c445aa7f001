"""The replies that were paid for, on disk: one durable row per request in a local SQLite file, shared by all runs.

A row is committed before its reply goes on, so a process killed at any moment loses no stored reply; the log is synced
to the disk about once a second, so a power cut costs a second. Nothing but the content of requests and replies, and the
names of models, is written: no keys, no headers.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

import orjson

from factory.errors import UserError
from factory.teacher.protocol import Failure, Reply, Request, Usage

PLACE = Path("cache") / "replies.sqlite"  # under the outputs root
OURS = 0x534B4641  # "SKFA", SQLite's application_id
VERSION = 1  # SQLite's user_version
SECONDS_TO_WAIT = 60  # for another process that is writing
SECONDS_TO_SYNC = 1.0

# Rows with a rowid: a reply is appended, and the index of keys stays small. Without one, measured over 60,000 replies
# of 0.5 kB, inserts take 2.4 times and look-ups 4 times as long. The reply stands before the request, so that reading
# it touches none of the request's pages.
TABLES = """
CREATE TABLE replies (
    key TEXT PRIMARY KEY, model TEXT NOT NULL, created INTEGER NOT NULL, failure TEXT,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, reply BLOB NOT NULL, request BLOB NOT NULL
);
CREATE TABLE models (
    name TEXT NOT NULL, where_ TEXT NOT NULL, root TEXT NOT NULL, seen INTEGER NOT NULL, PRIMARY KEY (name, where_)
);
"""
ADD = "INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
REMEMBER = "INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?)"


class ReplyStore:
    """Replies by key, in one file; safe for several processes at once. The first writer of a key wins.

    `flights` holds the keys that some call of this process is asking for now, so that none is asked twice. A store that
    is opened to read makes and changes no file, and works where nothing may be written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.flights: dict[str, asyncio.Future[Reply | None]] = {}
        self._dirty = False
        self._stop = Event()
        self._syncer: Thread | None = None
        self._connection = self._open_to_read() if read_only else self._open()

    def find(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the encoded replies of those keys that are stored; some hundred keys at a time."""
        marks = ",".join("?" * len(keys))
        return dict(self._ask(f"SELECT key, reply FROM replies WHERE key IN ({marks})", keys).fetchall())

    def get(self, key: str) -> Reply | None:
        """Return the stored reply of a key, or None."""
        found = self.find([key]).get(key)
        return None if found is None else self.decode(found)

    def put(self, key: str, model: str, request: Request, reply: Reply) -> Reply:
        """Return what is stored under a key from now on: this reply, or the one that another process stored before."""
        row = (
            key,
            model,
            int(time.time()),
            reply.failure.kind if reply.failure else None,
            reply.usage.prompt_tokens,
            reply.usage.completion_tokens,
            encode(reply),
            orjson.dumps(request_body(request)),
        )
        added = self._ask(ADD, row).rowcount
        self._written()
        return reply if added else self.get(key) or reply

    def decode(self, stored: bytes) -> Reply:
        """Return the reply of its stored form; UserError when the file was damaged."""
        try:
            return decode(stored)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise UserError(f"{self._title} holds a reply that cannot be read ({error}); {MOVE_AWAY}") from None

    def remember(self, name: str, where: str, root: str) -> None:
        """Keep what a server said its model is, so that a cached run can go on without the server."""
        self._ask(REMEMBER, (name, where, root, int(time.time())))
        self._written()

    def recall(self, name: str, where: str) -> str | None:
        """Return the root that the model of this name had there when it was last seen, or None."""
        found = self._ask("SELECT root FROM models WHERE name = ? AND where_ = ?", (name, where)).fetchone()
        return None if found is None else str(found[0])

    def sync(self) -> None:
        """Put on the disk what was committed: after that a power cut cannot take it."""
        if not self._dirty:
            return
        self._dirty = False
        try:
            log = os.open(f"{self.path}-wal", os.O_RDONLY)
        except FileNotFoundError:
            return  # another process was the last to close the file, which put everything into it
        try:
            os.fsync(log)
        finally:
            os.close(log)

    def close(self) -> None:
        """Sync and let go of the file; a store that is closed can be closed again."""
        self._stop.set()
        if self._syncer is not None:
            self._syncer.join()
            self._syncer = None
        self.sync()
        self._connection.close()

    def query(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Return the rows of a question about the tables, one by one."""
        return self._ask(sql, values)

    def change(self, sql: str, rows: Iterable[Sequence[object]]) -> int:
        """Run a statement for each row, in one transaction; returns how many rows of the tables changed."""
        before = self._connection.total_changes
        self._ask("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(sql, rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._connection.execute("ROLLBACK")
            raise self._explained(error) from None
        self._written()
        return self._connection.total_changes - before

    def shrink(self) -> None:
        """Give the space of removed rows back to the disk."""
        self._ask("VACUUM")
        self._ask("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _ask(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise self._explained(error) from None

    @property
    def _title(self) -> str:
        return f"the reply cache {self.path}"

    def _explained(self, error: sqlite3.Error) -> UserError:
        remedy = next((told for words, told in REMEDIES.items() if words in str(error)), MOVE_AWAY)
        return UserError(f"{self._title}: {error}; {remedy}")

    def _written(self) -> None:
        self._dirty = True
        if self._syncer is None:
            self._syncer = Thread(target=self._sync_now_and_then, name="reply-cache-sync", daemon=True)
            self._syncer.start()

    def _sync_now_and_then(self) -> None:
        while not self._stop.wait(SECONDS_TO_SYNC):
            self.sync()

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self._prepared()
        except sqlite3.Error as error:
            raise self._explained(error) from None
        except OSError as error:
            raise UserError(f"{self._title} cannot be made ({error.strerror}); {REMEDIES['unable to open']}") from None

    def _open_to_read(self) -> sqlite3.Connection:
        """Return a connection that reads. In a folder that takes no log, the file is read as it lies there."""
        log = self.path.with_name(f"{self.path.name}-wal")
        try:
            try:
                return self._reading("mode=ro")
            except sqlite3.OperationalError:
                if log.exists() and log.stat().st_size:  # replies that only a reader of the log can see
                    raise
                return self._reading("mode=ro&immutable=1")
        except sqlite3.Error as error:
            raise self._explained(error) from None
        except OSError as error:
            raise UserError(f"{self._title} cannot be read ({error.strerror}); make its folder readable") from None

    def _reading(self, how: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{how}", uri=True, timeout=SECONDS_TO_WAIT, isolation_level=None
        )
        try:
            self._check_owner(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepared(self) -> sqlite3.Connection:
        # A session may build its teachers in one thread and run their loop in another; SQLite itself is serialized.
        connection = sqlite3.connect(
            self.path, timeout=SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False, cached_statements=16
        )
        try:
            self._check(connection)
            mode = _write_ahead(connection)
            if mode != "wal":
                raise UserError(
                    f"{self._title} cannot keep a write-ahead log ({mode}): put it on a local disk with --out DIR"
                )
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """Make the tables of a new file; UserError for a file that is not ours or from a newer version."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _head(connection) == (0, 0, 0):
                _make_tables(connection)
            else:
                self._check_owner(connection)
        finally:
            connection.execute("COMMIT")

    def _check_owner(self, connection: sqlite3.Connection) -> None:
        owner, version, _ = _head(connection)
        if owner != OURS:
            raise UserError(f"{self._title} is a database of another program; {MOVE_AWAY}")
        if version > VERSION:
            raise UserError(
                f"{self._title} was written by a newer version of the factory (form {version}, this one reads"
                f" {VERSION}): update the factory, or use another --out DIR"
            )


MOVE_AWAY = "move it away to start with an empty one, or use another --out DIR"
REMEDIES: Mapping[str, str] = {
    "locked": "another process has been writing for a minute; wait for it or stop it, then run again",
    "full": "free some space, then run the same command again; every reply so far is kept",
    "readonly": "make it and its folder writable, or use another --out DIR",
    "unable to open": "make it readable and its folder writable, or use another --out DIR",
    "disk I/O error": "the disk fails or is full; every reply so far is kept",
    "closed database": "it was closed before its last use",
}


def _head(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Return whose file it is, of which version, and how many tables it has."""
    questions = ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    owner, version, tables = (connection.execute(question).fetchone()[0] for question in questions)
    return owner, version, tables


def _make_tables(connection: sqlite3.Connection) -> None:
    for statement in filter(str.strip, TABLES.split(";")):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {OURS}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _write_ahead(connection: sqlite3.Connection) -> str:
    """Return the journal mode after asking for a write-ahead log; SQLite does not wait for this lock by itself."""
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def encode(reply: Reply) -> bytes:
    """Return the stored form of a reply: JSON, without what is empty; `parsed` is found again from the text."""
    said: dict[str, Any] = {
        "text": reply.text,
        "finish": reply.finish,
        "usage": {
            "prompt_tokens": reply.usage.prompt_tokens,
            "completion_tokens": reply.usage.completion_tokens,
        },
        "latency": reply.latency,
        "model": reply.model,
    }
    if reply.reasoning is not None:
        said["reasoning"] = reply.reasoning
    if reply.logprobs is not None:
        said["logprobs"] = reply.logprobs
    if reply.failure is not None:
        said["failure"] = {"kind": reply.failure.kind, "detail": reply.failure.detail}
    return orjson.dumps(said)


def decode(stored: bytes) -> Reply:
    """Return the reply of its stored form; ValueError, KeyError or TypeError for anything else."""
    said = orjson.loads(stored)
    usage, logprobs, failure = said["usage"], said.get("logprobs"), said.get("failure")
    return Reply(
        text=said["text"],
        reasoning=said.get("reasoning"),
        finish=said["finish"],
        usage=Usage(usage["prompt_tokens"], usage["completion_tokens"]),
        latency=said["latency"],
        model=said["model"],
        logprobs=None if logprobs is None else tuple((token, value) for token, value in logprobs),
        failure=None if failure is None else Failure(failure["kind"], failure["detail"]),
    )


def request_body(request: Request) -> dict[str, Any]:
    """Return what a person needs to see of a request: its messages or prompt, sampling, schema, repeat."""
    sampling = request.sampling
    said: dict[str, Any] = {"messages": request.messages} if request.prompt is None else {"prompt": request.prompt}
    said["sampling"] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "stop": sampling.stop,
        "seed": sampling.seed,
    }
    optional = {"repeat": request.repeat or None, "schema": request.schema, "logprobs": request.logprobs}
    return said | {name: value for name, value in optional.items() if value is not None}
