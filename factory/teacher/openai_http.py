"""A model behind one or many OpenAI-compatible servers, asked over HTTP: vLLM, SGLang, llama.cpp, Ollama, hosted ones.

What is sent and what comes back is wire.py's, who is asked when is balance.py's; here the two meet, and here a try that
failed is made again or ends as a typed failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from yarl import URL

from factory.artifacts.digest import digest
from factory.errors import UserError
from factory.teacher import outcome, served, wire
from factory.teacher.balance import Balance, Replica, ReplicaStats, Ticket, backoff
from factory.teacher.call import Call
from factory.teacher.keeper import Keeper, Timeouts
from factory.teacher.outcome import Outcome, Trouble, Unknown
from factory.teacher.protocol import Reply, Request, no_reply
from factory.teacher.secret import hide, without_key

TRIES = 5
UNCOUNTED = frozenset({"rate_limited", "unserved"})  # troubles that say nothing against the request
AT_ONCE = frozenset({"bad_request", "prompt_too_long"})  # refused before any work: no measure of latency
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
CONNECT_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 4.0  # below the 5 s after which uvicorn, and so vLLM, closes an idle connection


@dataclass(frozen=True, slots=True)
class HttpStats:
    """Counters since the teacher was made: `sent` tries, `ok` replies, `retries` tries beyond a request's first.

    `rate_limited` are tries that a server had no room for; `held` is the number of places taken now.
    """

    sent: int
    ok: int
    retries: int
    rate_limited: int
    timeouts: int
    held: int
    replicas: tuple[ReplicaStats, ...]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a replica answers, and the proxy on the way there."""

    paths: Mapping[str, URL]
    proxy: str | None


def no_key() -> str | None:
    """Return no key."""
    return None


class OpenAIHttp:
    """A Teacher that asks OpenAI-compatible servers, replicas of one model, each up to the limit it is found to have.

    `concurrency`: how many requests may hold a place at once over all replicas, or "auto" to find each server's limit.
    `key` is called for each request and what it returns is kept nowhere; `key_name` is its variable, for messages.
    `remembered` is the root that an earlier run found: with it `start` succeeds although nobody answers, and the error
    comes only when a request must be sent. `revive` is awaited when no replica is left. `listed` is whether the
    servers told which models they serve; False before they were asked, and where the list cannot be read.
    """

    def __init__(  # noqa: PLR0913 - each is one thing that a caller may say of a server
        self,
        urls: Sequence[str],
        model: str,
        *,
        key: Callable[[], str | None] = no_key,
        key_name: str | None = None,
        revision: str | None = None,
        concurrency: int | Literal["auto"] = "auto",
        patience: float = 120.0,
        timeouts: Timeouts | None = None,
        remembered: str | None = None,
        revive: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.model = model
        self.root = ""
        self.listed = False
        self._key, self._key_name, self._revision, self._remembered = key, key_name, revision, remembered
        self._patience = patience
        self._balance = Balance(urls, None if concurrency == "auto" else concurrency)
        self._addresses = {replica: _address(replica.url) for replica in self._balance.replicas}
        self._keeper = Keeper(self._balance, self._served, self._fail, patience, timeouts or Timeouts(), revive)
        self._session: aiohttp.ClientSession | None = None
        self._asked = False  # whether a server has said what it serves
        self._proven = False  # whether a request was ever answered
        self._rejection = "no request was let through"  # the last words of a server that was full
        self._calls: set[Call] = set()
        self._sent = self._ok = self._retries = self._rate_limited = self._timeouts = 0

    @property
    def identity(self) -> str:
        """Return the digest of name, root and revision; known once `start` has returned."""
        return digest(name=self.model, root=self.root, revision=self._revision)

    async def start(self) -> None:
        """Find out who answers and what they serve; UserError says what is wrong and what to do."""
        if self._asked:
            return
        try:
            await self._ask_around()
        except served.NobodyAnswers:
            if self._remembered is None:
                raise
            self.root = self._remembered

    async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield exactly one (id, reply) for each request, as they come; see `Teacher.complete`."""
        if not requests:
            return
        await self._start_again()
        call = Call(self._balance, requests, self._answer, None if self._proven else self._all_too_long)
        self._calls.add(call)
        self._keeper.begin()
        replies = call.replies()
        try:
            async for answered in replies:
                yield answered
        finally:
            await replies.aclose()
            self._calls.discard(call)
            if not self._calls:
                await self._keeper.end()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._keeper.end()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def stats(self) -> HttpStats:
        """Return the counters now."""
        replicas = tuple(replica.stats() for replica in self._balance.replicas)
        return HttpStats(
            self._sent, self._ok, self._retries, self._rate_limited, self._timeouts, self._balance.held, replicas
        )

    async def _start_again(self) -> None:
        """Ask around now if `start` went by what was remembered: from here on a server is needed."""
        if self._asked:
            return
        before = self._remembered
        await self._ask_around()
        if before is not None and self.root != before:
            self._asked = False
            raise UserError(
                f"'{self.model}' was remembered with the root '{before}' and is now served from '{self.root}':"
                " it is another model; run the same command again"
            )

    async def _ask_around(self) -> None:
        replicas = self._balance.replicas
        found = served.survey(self.model, await asyncio.gather(*map(self._served, replicas)))
        if len(found.away) == len(replicas):
            raise served.nobody(self.model, found)
        now = asyncio.get_running_loop().time()
        for replica in replicas:
            if reason := found.away.get(replica.url) or found.without.get(replica.url):
                gone, up = replica.url in found.without, replica.url in found.up
                self._balance.take_out(replica, now, reason, for_good=gone, up=up)
        self.root, self.listed, self._asked = found.root, found.listed, True

    async def _served(self, replica: Replica) -> served.Served:
        proxy = self._addresses[replica].proxy
        return await served.look(self._http(), replica.url, self._headers(), self._key_name, proxy)

    async def _answer(self, ticket: Ticket, request: Request) -> Reply:
        """Return the reply to a request that has a place and a slot, or the failure that its tries ended with."""
        path, body = wire.path_of(request), orjson.dumps(wire.body_of(request, self.model))
        tries = rejections = 0
        if ticket.replica is None:
            return self._refused()
        while True:
            got = await self._try(ticket, path, body)
            if isinstance(got, Reply):
                return got
            rejections += got.kind == "rate_limited"
            tries += got.kind not in UNCOUNTED
            if tries == TRIES:
                return no_reply(got.kind, f"{got.detail} (after {tries + rejections} tries)")
            self._retries += 1
            if tries + rejections:
                await asyncio.sleep(backoff(ticket.usual, tries + rejections))
            if self._refused_too_long() or not await self._balance.again(ticket):
                return self._refused()

    async def _try(self, ticket: Ticket, path: str, body: bytes) -> Reply | Trouble:
        """Return what came of one try, once everybody who learns from it has; the slot is given back."""
        got = await self._exchange(ticket, path, body)
        now = asyncio.get_running_loop().time()
        if isinstance(got, Unknown):
            got = await self._without(ticket.seat, now, got)
        elif isinstance(got, Reply):
            self._note_reply(ticket, now, got)
        else:
            self._note_trouble(ticket, now, got)
        self._balance.leave(ticket)
        return got

    async def _exchange(self, ticket: Ticket, path: str, body: bytes) -> Outcome:
        """Send a request and return what came of it; UserError when nobody's requests can succeed there."""
        replica, clock = ticket.seat, asyncio.get_running_loop().time
        address = self._addresses[replica]
        self._sent += 1
        replica.sent += 1
        headers = self._headers()
        ticket.sent_at = began = clock()
        try:
            async with self._http().post(
                address.paths[path], data=body, headers=headers, proxy=address.proxy, allow_redirects=False
            ) as response:
                raw = without_key(await response.read(), headers, reply=response.status == 200)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not ticket.overdue or task is None or task.uncancel() > 0:
                raise
            return Trouble("timeout", f"no reply from {replica.url} in {clock() - began:.1f} s")
        except aiohttp.ClientPayloadError as error:
            return Trouble("garbled", f"the response of {replica.url} broke off: {served.why(error)}")
        except (aiohttp.ClientError, OSError) as error:
            down = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
            return Trouble("connection", f"{replica.url}: {served.why(error)}", down=down)
        if wrong := outcome.mistake(replica.url, response.status, raw, response.headers, self._key_name):
            raise wrong
        got = outcome.read_outcome(response.status, raw, response.headers, clock() - began)
        if isinstance(got, Reply) and not outcome.same_model(got.model, self.model, self.root):
            return Trouble("wrong_model", f"{replica.url} answered as '{hide(got.model)}', not as '{self.model}'")
        return got

    def _note_reply(self, ticket: Ticket, now: float, reply: Reply) -> None:
        if reply.failure and reply.failure.kind in AT_ONCE:
            if reply.failure.kind == "bad_request" and not self._proven:
                raise outcome.not_understood(ticket.seat.url, self.model, reply.failure.detail)
            self._balance.is_well(ticket.seat)
            return
        self._ok += 1
        self._proven = True
        for call in self._calls:
            call.prove()
        self._balance.answered(ticket, now, reply.latency, reply.usage.completion_tokens)

    def _note_trouble(self, ticket: Ticket, now: float, trouble: Trouble) -> None:
        if trouble.kind == "rate_limited":
            self._rate_limited += 1
            self._rejection = trouble.detail
            self._balance.rejected(ticket, now, min(trouble.wait, self._patience))
            return
        if trouble.kind == "timeout":
            self._timeouts += 1
            ticket.timeouts += 1
        if trouble.kind != "wrong_model":
            self._balance.failed(ticket.seat, now, trouble.detail, down=trouble.down, up=trouble.up)

    async def _without(self, replica: Replica, now: float, unknown: Unknown) -> Trouble:
        """Take out a replica that does not know the model or the path; UserError when none is left that does."""
        self._balance.take_out(replica, now, f"HTTP 404: {unknown.detail}", for_good=True)
        if all(other.gone for other in self._balance.replicas):
            found = await self._served(replica)
            raise served.unknown_there(self.model, replica.url, found.roots, unknown.detail)
        return Trouble("unserved", unknown.detail)

    def _refused(self) -> Reply:
        return no_reply("rate_limited", f"every request was refused for {self._patience:.0f} s: {self._rejection}")

    def _refused_too_long(self) -> bool:
        since = self._balance.refused_since
        return since is not None and asyncio.get_running_loop().time() - since > self._patience

    def _all_too_long(self, said: str) -> UserError:
        return outcome.all_too_long(", ".join(replica.url for replica in self._balance.replicas), self.model, said)

    def _fail(self, error: BaseException) -> None:
        for call in self._calls:
            call.fail(error)

    def _headers(self) -> dict[str, str]:
        key = self._key()
        kind = {"Content-Type": "application/json"}
        return {"Authorization": f"Bearer {key}", **kind} if key else kind

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _address(url: str) -> Address:
    """Return where a replica answers; the proxy is the environment's, looked up once and not for each request."""
    parts = urlsplit(url)
    direct = parts.hostname in LOCAL or proxy_bypass(parts.hostname or "")
    paths = {path: URL(served.endpoint(url, path)) for path in (wire.CHAT, wire.COMPLETIONS)}
    return Address(paths, None if direct else getproxies().get(parts.scheme))
