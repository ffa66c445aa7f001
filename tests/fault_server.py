"""An OpenAI-compatible server on 127.0.0.1 that misbehaves as told, and counts what it did.

In a test's own event loop: `async with FaultServer(Plan(latency=0.01)) as server`, or as a process of its own:
`with in_process(Plan(...)) as url`, which is `python tests/fault_server.py PORT PLAN_AS_JSON`. What a request gets
depends on its body and on how often that body was seen, so that a retried request meets the fault no second time.
GET /stats returns the counters, POST /control changes the plan: {"capacity": 16}, {"down": 1.5} (seconds), {"zero": 1}.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web

# What the first try of a body may meet, and what every try of it meets.
FIRST = ("429", "429-after", "500", "503", "hang", "drip", "reset", "truncated", "invalid", "wrong-model", "late")
ALWAYS = ("length", "refusal", "empty", "too-long", "bad")
TOKENS = 16


@dataclass(frozen=True)
class Plan:
    """How a server behaves. `latency` in seconds; `faults` is the share of bodies that meet each fault.

    Beyond `capacity` requests in progress it answers `full_status`, with `retry_after` if given; of all it takes, only
    `at_once` progress and the others queue. `hits` is how many tries of a body meet its fault.
    """

    model: str = "m"
    root: str | None = "m"
    key: str | None = None
    latency: float = 0.02
    capacity: int | None = None
    full_status: int = 429
    retry_after: str | None = None
    at_once: int | None = None
    faults: dict[str, float] = field(default_factory=dict)
    hits: int = 1
    late: float = 0.2
    drip: float = 0.3
    answers_as: str | None = None
    lists_models: bool = True
    knows_model: bool = True
    first_400: str | None = None  # the message of the 400 that every request gets


class Counts:
    """What happened. `area` is the integral of the requests in progress over time, for their mean."""

    def __init__(self) -> None:
        self.working = 0
        self.bodies: Counter[str] = Counter()
        self.zero()

    def zero(self) -> None:
        """Count anew; what is in progress, and how often each body was seen, stay."""
        self.received = self.paid = self.answered = self.looks = 0
        self.peak = self.working
        self.faults: Counter[str] = Counter()
        self.area = 0.0
        self.since = self.last = time.monotonic()

    def change(self, by: int) -> None:
        now = time.monotonic()
        self.area += self.working * (now - self.last)
        self.last = now
        self.working += by
        self.peak = max(self.peak, self.working)

    def told(self) -> dict[str, Any]:
        self.change(0)
        seconds = self.last - self.since
        return {
            "received": self.received,
            "paid": self.paid,
            "answered": self.answered,
            "looks": self.looks,
            "working": self.working,
            "peak": self.peak,
            "mean": self.area / seconds if seconds else 0.0,
            "seconds": seconds,
            "bodies": len(self.bodies),
            "most_of_one": max(self.bodies.values(), default=0),
            "faults": dict(self.faults),
        }


class FaultServer:
    """One server. `url` is its base URL; `count` its counters; `plan` may be replaced while it runs."""

    def __init__(self, plan: Plan | None = None, port: int = 0) -> None:
        self.plan = plan or Plan()
        self.port = port
        self.count = Counts()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._progressing = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._background: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> FaultServer:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/completions", self._complete)
        app.router.add_get("/stats", self._stats)
        app.router.add_post("/control", self._control)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.down()
        assert self._runner is not None
        await self._runner.cleanup()

    async def up(self) -> None:
        """Listen, on the same port as before."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True, backlog=4096)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def down(self) -> None:
        """Stop listening and cut every connection, as a killed server does."""
        assert self._runner is not None
        if self._site is not None:
            await self._site.stop()
            self._site = None
        for _ in range(3):  # some were taken a moment ago and are not made yet
            for connection in self._runner.server.connections if self._runner.server else []:
                if connection.transport is not None:
                    connection.transport.abort()
            await asyncio.sleep(0.001)

    async def _models(self, request: web.Request) -> web.Response:
        self.count.looks += 1
        if not self._key_fits(request):
            return _error(401, "Incorrect API key provided")
        if not self.plan.lists_models:
            return _error(404, "Not Found")
        known = {"id": self.plan.model, "object": "model", "owned_by": "test"}
        rooted = known if self.plan.root is None else known | {"root": self.plan.root}
        return web.json_response({"object": "list", "data": [rooted]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw)
        key = hashlib.sha256(raw).hexdigest()
        plan, count = self.plan, self.count
        count.received += 1
        if (refusal := self._refusal(request, body)) is not None:
            return refusal
        count.bodies[key] += 1
        fault = self._fault(key)
        if fault:
            count.faults[fault] += 1
        if (early := _early(fault)) is not None:
            return early
        if plan.capacity is not None and count.working >= plan.capacity:
            count.faults["full"] += 1
            headers = {"Retry-After": plan.retry_after} if plan.retry_after else {}
            return _error(plan.full_status, "the server is at its capacity", headers)
        count.paid += 1
        count.change(+1)
        try:
            await self._work(fault)
        finally:
            count.change(-1)
        return await self._respond(request, body, key, fault)

    def _refusal(self, request: web.Request, body: dict[str, Any]) -> web.Response | None:
        if not self._key_fits(request):
            return _error(401, "Incorrect API key provided")
        if not self.plan.knows_model or body.get("model") != self.plan.model:
            return _error(404, f"The model `{body.get('model')}` does not exist.")
        return _error(400, self.plan.first_400) if self.plan.first_400 else None

    def _key_fits(self, request: web.Request) -> bool:
        return self.plan.key is None or request.headers.get("Authorization") == f"Bearer {self.plan.key}"

    def _fault(self, key: str) -> str:
        at = int(key[:12], 16) / 16**12
        for name, share in self.plan.faults.items():
            if at < share:
                return name if name in ALWAYS or self.count.bodies[key] <= self.plan.hits else ""
            at -= share
        return ""

    async def _work(self, fault: str) -> None:
        await self._turn()
        try:
            await asyncio.sleep(3600 if fault == "hang" else self.plan.latency + (fault == "late") * self.plan.late)
        finally:
            self._progressing -= 1
            self._next()

    async def _turn(self) -> None:
        if self.plan.at_once is None or (not self._waiting and self._progressing < self.plan.at_once):
            self._progressing += 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._progressing -= 1
                self._next()
            raise

    def _next(self) -> None:
        while self._waiting and self._progressing < (self.plan.at_once or 10**9):
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                self._progressing += 1

    async def _respond(self, request: web.Request, body: dict[str, Any], key: str, fault: str) -> web.StreamResponse:
        told = json.dumps(_reply(body, key, fault, self.plan.answers_as)).encode()
        self.count.answered += 1
        if fault == "500":
            return _error(500, "internal error")
        if fault == "reset":
            assert request.transport is not None
            request.transport.abort()
        if fault == "invalid":
            told = told[: len(told) // 2]
        if fault in {"drip", "truncated"}:
            return await self._by_pieces(request, told, fault)
        return web.Response(body=told, content_type="application/json")

    async def _by_pieces(self, request: web.Request, told: bytes, fault: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(told)), "Content-Type": "application/json"})
        await response.prepare(request)
        half = len(told) // 2
        await response.write(told[:half])
        if fault == "truncated":
            assert request.transport is not None
            request.transport.close()
            return response
        with contextlib.suppress(ConnectionError):  # the client may have given up, or the server been killed
            for start in range(half, len(told), 1 + half // 8):
                await asyncio.sleep(self.plan.drip / 8)
                await response.write(told[start : start + 1 + half // 8])
            await response.write_eof()
        return response

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(self.count.told())

    async def _control(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked.pop("zero", None):
            self.count.zero()
        if (seconds := asked.pop("down", None)) is not None:
            task = asyncio.create_task(self._away(seconds))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        self.plan = replace(self.plan, **asked)
        self._next()
        return web.json_response(asdict(self.plan))

    async def _away(self, seconds: float) -> None:
        await asyncio.sleep(0.01)  # the answer to this order goes out first
        await self.down()
        await asyncio.sleep(seconds)
        await self.up()


def _early(fault: str) -> web.Response | None:
    if fault in {"429", "429-after"}:
        return _error(429, "slow down", {"Retry-After": "0.05"} if fault == "429-after" else {})
    if fault == "503":
        return _error(503, "the server is overloaded")
    if fault == "too-long":
        return _error(400, "This model's maximum context length is 16 tokens.")
    return _error(400, "this request is not to be answered") if fault == "bad" else None


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status, headers=headers)


def text_for(raw: bytes) -> str:
    """Return the text with which a body is answered: it depends on the body alone."""
    return f"Reply {hashlib.sha256(raw).hexdigest()[:12]}: the parts are given and add up."


def _reply(body: dict[str, Any], key: str, fault: str, answers_as: str | None) -> dict[str, Any]:
    text = "" if fault in {"empty", "refusal"} else f"Reply {key[:12]}: the parts are given and add up."
    choice: dict[str, Any] = {"index": 0, "finish_reason": "length" if fault == "length" else "stop"}
    if "prompt" in body:
        choice["text"] = text
    else:
        choice["message"] = {"role": "assistant", "content": text}
        if fault == "refusal":
            choice["message"]["refusal"] = "I will not say that."
    name = "somebody-else" if fault == "wrong-model" else answers_as or body["model"]
    usage = {"prompt_tokens": 20, "completion_tokens": TOKENS, "total_tokens": 20 + TOKENS}
    return {"id": f"c-{key[:16]}", "object": "chat.completion", "model": name, "choices": [choice], "usage": usage}


@contextlib.contextmanager
def in_process(plan: Plan, port: int = 0) -> Iterator[str]:
    """Run a server in a process of its own; the value is its base URL."""
    command = [sys.executable, str(Path(__file__).resolve()), str(port), json.dumps(asdict(plan))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


async def _serve(port: int, plan: Plan) -> None:
    async with FaultServer(plan, port) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1]), Plan(**json.loads(sys.argv[2]))))
