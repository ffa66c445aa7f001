"""A vLLM server of our own: started when the first request must really be sent, restarted when it dies, gone with us.

To ask a server that runs already, use openai_http with its address.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Literal

import aiohttp

from factory.errors import FactoryError
from factory.teacher.child import Child
from factory.teacher.openai_http import OpenAIHttp
from factory.teacher.protocol import Reply, Request
from factory.teacher.streams import closing
from factory.teacher.vllm_engine import Engine, ended, until_ready

HOST = "127.0.0.1"
RESTARTS = 3  # a run
IN_FLIGHT = 2_048  # vLLM rejects nothing and queues what it cannot take: twice its largest default batch keeps it full
ENDING = 30.0  # seconds that a server which says it is unwell has to end by itself
# `vllm serve` brings an API server per data-parallel rank, but wants a distribution named vllm; the CPU build's is not.
PROBE = """
from importlib.metadata import PackageNotFoundError, version
try:
    version("vllm")
    print("serve")
except PackageNotFoundError:
    print("module")
"""
SERVE = ["vllm.entrypoints.cli.main", "serve"]
MODULE = ["vllm.entrypoints.openai.api_server"]


class VllmServer:
    """A teacher that starts a vLLM server and asks it over HTTP.

    The server listens on a free port of this machine alone, under a key made for this run. `start` starts nothing: a
    run that finds every reply in its cache needs no engine.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        concurrency: int | Literal["auto"] = "auto",
        patience: float = 120.0,
        restarts: int = RESTARTS,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._engine = engine
        self._concurrency = concurrency
        self._patience = patience
        self._restarts = restarts
        self._say = say or (lambda line: None)
        self._identity = ""
        self._key = secrets.token_urlsafe(24)
        self._url = ""
        self._child: Child | None = None
        self._http: OpenAIHttp | None = None
        self._one_at_a_time = asyncio.Lock()

    def __repr__(self) -> str:
        return f"VllmServer({self._engine.model!r})"

    @property
    def model(self) -> str:
        """Return the name under which the model is served."""
        return self._engine.name

    @property
    def identity(self) -> str:
        """Return the digest of the model, known once `start` has returned."""
        return self._identity

    @property
    def url(self) -> str:
        """Return where the server answers; empty while none was started."""
        return self._url

    async def start(self) -> None:
        """Know the model's identity; the server is started with the first request."""
        self._identity = await asyncio.to_thread(self._engine.identity)

    async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield exactly one (id, reply) for each request; starts the server if none runs."""
        if not requests:
            return
        http = await self._running()
        fitted = {id_: self._engine.fitted(request) for id_, request in requests.items()}
        async with closing(http.complete(fitted)) as replies:
            async for key, reply in replies:
                yield key, reply

    async def close(self) -> None:
        """Stop the server; returns once it is gone."""
        if self._http is not None:
            await self._http.close()
            self._http = None
        if self._child is not None:
            await asyncio.to_thread(self._child.stop)

    async def _running(self) -> OpenAIHttp:
        async with self._one_at_a_time:
            if self._http is None:
                self._child = await self._prepared()
                await self._launch(self._child)
                http = OpenAIHttp(
                    [f"{self._url}/v1"],
                    self.model,
                    key=lambda: self._key,
                    revision=self._engine.revision,
                    concurrency=IN_FLIGHT if self._concurrency == "auto" else self._concurrency,
                    patience=self._patience,
                    revive=self._revive,
                )
                await http.start()
                self._http = http
            return self._http

    async def _prepared(self) -> Child:
        port = _free_port()
        self._url = f"http://{HOST}:{port}"
        python = str(self._engine.interpreter())
        main = await asyncio.to_thread(_main, python)
        arguments = self._engine.arguments(positional=main is SERVE)
        command = [python, "-m", *main, *arguments, "--host", HOST, "--port", str(port)]
        return Child(command, self._engine.log, self._engine.environment(VLLM_API_KEY=self._key))

    async def _launch(self, child: Child) -> None:
        """Start the server and return once it answers; whatever goes wrong, nothing is left running."""
        self._say(f"starting vLLM with {self._engine.model}; log: {self._engine.log}")
        child.start()
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
                await until_ready(child, self._engine, lambda: self._healthy(session))
        except BaseException:
            await asyncio.to_thread(child.stop)
            raise
        self._say(f"vLLM answers at {self._url}")

    async def _healthy(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self._url}/health") as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def _revive(self) -> None:
        """Return once the server answers again, restarted if it died; an error when it died too often."""
        async with self._one_at_a_time:
            child = self._child
            if child is None or await self._recovers(child):
                return
            written = child.written()
            while True:
                if self._restarts <= 0:
                    raise ended(self._engine, "ended too often", written)
                self._restarts -= 1
                self._say("vLLM ended; starting it again")
                try:
                    await self._launch(child)
                except FactoryError:
                    written = child.written()
                else:
                    return

    async def _recovers(self, child: Child) -> bool:
        """Return whether a server that seemed away answers; one that is dying gets the time to do so."""
        clock = asyncio.get_running_loop().time
        until = clock() + ENDING
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while child.running and clock() < until:
                if await self._healthy(session):
                    return True
                await asyncio.sleep(0.1)
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _main(python: str) -> list[str]:
    """Return the module, with its command, that serves in this environment."""
    try:
        probed = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError:
        return MODULE  # the guard will say in the log that it cannot be started
    return SERVE if probed.stdout.strip() == "serve" else MODULE
