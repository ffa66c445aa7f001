"""A teacher that is no model: it answers from a function, a script, or what the recipes say a good reply looks like."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from factory.artifacts.digest import digest
from factory.errors import UserError, nearest
from factory.teacher.protocol import Reply, Request, Usage, no_reply, rough_tokens

KEYS = ("contains", "reply")
FORM = 'a line is {"contains": "text" or ["texts"], "reply": "text" or any JSON value}'


@dataclass(frozen=True, slots=True)
class Script:
    """Replies by what a request contains: the first line whose texts all occur answers; no texts fit any request."""

    lines: tuple[tuple[tuple[str, ...], str], ...]

    def __call__(self, request: Request) -> str | Reply:
        """Return the reply to a request, or a bad_request failure when no line fits it."""
        said = "\n".join(request.said)
        for texts, reply in self.lines:
            if all(text in said for text in texts):
                return reply
        return no_reply("bad_request", f"no line of the script fits the request {said[:200]!r}")

    @property
    def identity(self) -> str:
        """Return the digest of the lines: another script is another model."""
        return digest(lines=self.lines)


def read_script(path: Path) -> Script:
    """Return the script of a JSONL file; UserError names the file and line of a mistake."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"the script of replies {path} cannot be read ({error.strerror}); correct 'replies'") from None
    script = Script(tuple(_line(path, i, line) for i, line in enumerate(lines, start=1) if line.strip()))
    if not script.lines:
        raise UserError(f"the script of replies {path} has no lines; {FORM}")
    return script


def _line(path: Path, number: int, line: bytes) -> tuple[tuple[str, ...], str]:
    place = f"{path}, line {number}"
    try:
        said = orjson.loads(line)
    except ValueError as error:
        raise UserError(f"{place} is not JSON ({error}); {FORM}") from None
    if not isinstance(said, dict) or "reply" not in said:
        raise UserError(f"{place} has no 'reply'; {FORM}")
    for key in said:
        if key not in KEYS:
            raise UserError(f"{place} has an unknown key '{key}'{nearest(key, KEYS)}; {FORM}")
    return _texts(place, said.get("contains", [])), _as_text(said["reply"])


def _texts(place: str, said: Any) -> tuple[str, ...]:
    texts = [said] if isinstance(said, str) else said
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UserError(f"{place}: 'contains' must be a text or a list of texts; {FORM}")
    return tuple(texts)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def answer_by_example(request: Request) -> str | Reply:
    """Return what the recipe says a good reply looks like."""
    return request.example or no_reply("bad_request", "the request has no example to answer with; give a script")


Answer = Callable[[Request], str | Reply]


class Fake:
    """Answers at once, or after `delay` seconds each, in the order asked, or shuffled by a seed.

    `replies` is a function, a script, a mapping from what a request contains to its reply, or nothing: then a request
    is answered with its own example. `calls` counts calls of `complete`, `asked` keeps the requests in order. Tokens
    are estimated at four characters each.
    """

    def __init__(
        self,
        replies: Answer | Mapping[str, Any] | None = None,
        model: str = "fake",
        *,
        delay: float = 0.0,
        shuffle: int | None = None,
    ) -> None:
        self.model = model
        self.calls = 0
        self.asked: list[Request] = []
        self.started = self.closed = False
        self._answer = _answerer(replies)
        self._delay = delay
        self._shuffle = shuffle

    @property
    def identity(self) -> str:
        """Return the digest of the name and, where there is one, the script."""
        return digest(name=self.model, script=self._answer.identity if isinstance(self._answer, Script) else "")

    async def start(self) -> None:
        """Note that the teacher was started."""
        self.started = True

    async def close(self) -> None:
        """Note that the teacher was closed."""
        self.closed = True

    async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield exactly one (id, reply) for each request."""
        self.calls += 1
        for id_ in self._ordered(requests):
            self.asked.append(requests[id_])
            await asyncio.sleep(self._delay)
            yield id_, self._reply(requests[id_])

    def _ordered(self, ids: Iterable[str]) -> list[str]:
        order = list(ids)
        if self._shuffle is not None:
            random.Random(self._shuffle).shuffle(order)
        return order

    def _reply(self, request: Request) -> Reply:
        said = self._answer(request)
        if isinstance(said, Reply):
            return said
        usage = Usage(rough_tokens(len("\n".join(request.said))), rough_tokens(len(said)))
        reply = Reply(text=said, usage=usage, latency=self._delay, model=self.model)
        return reply if said.strip() else reply.failed("empty", "the reply has no text")


def _answerer(replies: Answer | Mapping[str, Any] | None) -> Answer:
    if replies is None:
        return answer_by_example
    if isinstance(replies, Mapping):
        return Script(tuple(((text,), _as_text(value)) for text, value in replies.items()))
    return replies
