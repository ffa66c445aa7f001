"""vLLM's engine without a server, for the highest throughput: it takes whole files of requests and keeps itself full.

The engine is a child in vLLM's own environment, loaded with the first request and kept between calls. Replies are on
disk as soon as they are made, so a dead child costs what it had in flight; replies that an earlier run of ours paid for
but did not take, because it was stopped or killed, are taken from its files.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from factory.errors import UserError
from factory.teacher.child import Child
from factory.teacher.protocol import Reply, Request, no_reply
from factory.teacher.streams import closing
from factory.teacher.vllm_engine import Engine, ended, until_ready
from factory.teacher.wire import batch_line, batch_reply
from factory.teacher.work_files import WorkFiles

PROGRAM = Path(__file__).with_name("vllm_child.py")
RESTARTS = 3  # a run
LOOK = 0.05  # seconds between looks at the replies
STALL = 3_600.0  # seconds without a reply after which an engine hangs; a first one of long reasoning takes many minutes
CHUNK = 1 << 20
TEMPLATE = "name one in teacher.args (--chat-template=FILE), or take a chat model"


class VllmBatch:
    """A teacher that hands its requests to vLLM's offline engine, those that begin alike next to each other.

    Calls to `complete` take turns: there is one engine. The more requests a call has, the better.
    """

    batches = True

    def __init__(
        self,
        engine: Engine,
        *,
        restarts: int = RESTARTS,
        stall: float = STALL,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._engine = engine
        self._restarts = restarts
        self._stall = stall
        self._say = say or (lambda line: None)
        self._identity = ""
        self._child: Child | None = None
        self._work: WorkFiles | None = None
        self._places = 0
        self._answered = False
        self._one_at_a_time = asyncio.Lock()

    @property
    def model(self) -> str:
        """Return the name of the model."""
        return self._engine.name

    @property
    def identity(self) -> str:
        """Return the digest of the model, known once `start` has returned."""
        return self._identity

    async def start(self) -> None:
        """Know the model's identity; the engine is loaded with the first request."""
        self._identity = await asyncio.to_thread(self._engine.identity)

    async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield exactly one (id, reply) for each request; loads the engine if none runs."""
        ids: dict[str, list[str]] = {}  # by key: the same request under two ids is answered once
        for id_ in sorted(requests, key=lambda id_: _beginning(requests[id_])):
            ids.setdefault(requests[id_].key(self._identity), []).append(id_)
        fitted = {key: self._engine.fitted(requests[same[0]]) for key, same in ids.items()}
        async with self._one_at_a_time, closing(self._judged(fitted)) as replies:
            async for key, reply in replies:
                for id_ in ids[key]:
                    yield id_, reply

    async def close(self) -> None:
        """Stop the engine and remove the work files; returns once it is gone."""
        if self._child is not None:
            await asyncio.to_thread(self._child.stop)
            self._child = None
        if self._work is not None:
            self._work.remove()
            self._work = None

    async def _judged(self, requests: dict[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield a reply for each key; refusals wait for the first success, for what refuses all is no row's fault."""
        refused: dict[str, Reply] = {}
        async with closing(self._replies(requests)) as replies:
            async for key, reply in replies:
                if not self._answered and reply.failure is not None and reply.failure.kind == "bad_request":
                    _check_template(reply.failure.detail)
                    refused[key] = reply
                    continue
                self._answered |= reply.failure is None or reply.failure.kind in {"truncated", "empty"}
                yield key, reply
        if refused and not self._answered:
            told = next(reply.failure.detail for reply in refused.values() if reply.failure)
            raise UserError(f"vLLM refuses every request with: {told}\n  the whole log: {self._engine.log}")
        for key, reply in refused.items():
            yield key, reply

    async def _replies(self, requests: dict[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield what a killed run left, then what the engine says, loaded again for what is missing when it dies."""
        missing, idle = dict(requests), 0
        for key, line in self._files().take(missing):
            del missing[key]
            yield key, batch_reply(line)
        while missing:
            before = len(missing)
            async with closing(self._round(missing)) as lines:
                async for line in lines:
                    if missing.pop(line["custom_id"], None) is not None:
                        yield line["custom_id"], batch_reply(line)
            if missing:
                idle = idle + 1 if len(missing) == before else 0
                if not self._may_go_on(idle):
                    break
                missing = _suspects_last(missing, self._places)
        for key in missing:
            yield key, no_reply("server_error", f"the engine died before it answered; log: {self._engine.log}")

    def _may_go_on(self, idle: int) -> bool:
        """Return whether the engine may be loaded again; an error when it has never answered and dies again."""
        if idle > 1 and not self._answered:
            raise ended(self._engine, "ended twice without a reply", self._written())
        if idle > 1:
            return False
        self._restarts -= 1
        if self._restarts >= 0:
            self._say("vLLM ended; loading it again for what is missing")
        return self._restarts >= 0

    async def _round(self, missing: Mapping[str, Request]) -> AsyncIterator[dict[str, Any]]:
        """Yield the result lines of one file of requests until all are there or the engine ends."""
        child = await self._loaded()
        requests, replies = self._files().part()
        taken = False
        try:
            await asyncio.to_thread(_write, requests, missing, self.model)
            replies.touch()
            child.send(orjson.dumps({"requests": str(requests), "replies": str(replies)}).decode())
            async with closing(_lines(replies, len(missing), child, self._stall)) as lines:
                async for line in lines:
                    yield line
            taken = True
        except BrokenPipeError:
            return  # it ended before it took the file
        finally:
            requests.unlink(missing_ok=True)  # tells the engine to leave the rest
            if taken:
                replies.unlink()

    async def _loaded(self) -> Child:
        """Return the engine's process, once it is ready."""
        if self._child is None:
            self._child = await asyncio.to_thread(self._prepared)
        elif self._child.running:
            return self._child
        if self._restarts < 0:
            raise ended(self._engine, "ended too often", self._written())
        self._say(f"loading {self._engine.model} into vLLM; log: {self._engine.log}")
        self._ready.unlink(missing_ok=True)
        self._child.start()
        try:
            await until_ready(self._child, self._engine, self._is_ready)
        except BaseException:
            await asyncio.to_thread(self._child.stop)
            raise
        self._places = int(self._ready.read_text(encoding="ascii"))
        return self._child

    def _prepared(self) -> Child:
        command = [str(self._engine.interpreter()), str(PROGRAM), str(self._ready), *self._engine.arguments()]
        return Child(command, self._engine.log, self._engine.environment(), fed=True)

    @property
    def _ready(self) -> Path:
        return self._files().folder / "ready"

    async def _is_ready(self) -> bool:
        return self._ready.exists()

    def _files(self) -> WorkFiles:
        if self._work is None:
            self._work = WorkFiles(self._engine.folder / "batches")
        return self._work

    def _written(self) -> str:
        return "" if self._child is None else self._child.written()


def _beginning(request: Request) -> str:
    """Return the text that a request begins with, so that equal beginnings sort next to each other."""
    said = (f"{message['role']}\x1f{message['content']}" for message in request.messages)
    return "\x1e".join(said) if request.prompt is None else request.prompt


def _suspects_last(missing: dict[str, Request], places: int) -> dict[str, Request]:
    """Return the requests with those that were in flight at the end: should one of them kill, the others are done."""
    keys = list(missing)
    return {key: missing[key] for key in keys[places:] + keys[:places]}


def _write(path: Path, requests: Mapping[str, Request], model: str) -> None:
    with path.open("wb") as file:
        for key, request in requests.items():
            file.write(orjson.dumps(batch_line(key, request, model)) + b"\n")


async def _lines(path: Path, wanted: int, child: Child, stall: float) -> AsyncIterator[dict[str, Any]]:
    """Yield the lines of a growing file: so many, or until the child has ended. One that hangs is ended.

    A torn last line is not one.
    """
    torn, clock = b"", asyncio.get_running_loop().time
    until = clock() + stall
    with path.open("rb") as file:
        while wanted > 0:
            running = child.running  # asked before the look, so that its last lines are seen
            chunk = file.read(CHUNK)
            if not chunk:
                if not running:
                    return
                if clock() > until:
                    await asyncio.to_thread(child.stop)
                await asyncio.sleep(LOOK)
                continue
            *lines, torn = (torn + chunk).split(b"\n")
            for line in lines:
                wanted -= 1
                yield orjson.loads(line)
            until = clock() + stall


def _check_template(said: str) -> None:
    """Raise UserError when a refusal is about the model's missing chat template: no request could be answered."""
    if "chat template" in said.lower():
        raise UserError(f"vLLM cannot chat with this model: {said}\n  {TEMPLATE}")
