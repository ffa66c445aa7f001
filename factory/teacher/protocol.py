"""What a teacher is: it maps ids to replies, `{id: Request} -> {id: Reply}`, as an async stream in any order.

Back ends (openai_http, vllm_server, vllm_batch, batch_file, fake) and wrappers (cache, meter, router, structured) keep
the same protocol, so they can be put around each other. A request that gets no reply gets a typed failure; nothing is
missing in silence.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from factory.artifacts.digest import digest

Message = Mapping[str, str]  # {role, content}
Role = str  # author, judge; further judges are judge-2, judge-3, ...
AUTHOR: Role = "author"
JUDGE: Role = "judge"

# Failures of content say something about the request: they are data, kept and never asked again.
CONTENT = frozenset({"truncated", "refused", "empty", "unparsable", "prompt_too_long", "bad_request"})
# Failures of transport say something about the moment: they are never kept, and asked again on the next run.
TRANSPORT = frozenset({"timeout", "connection", "rate_limited", "server_error", "garbled", "wrong_model", "pending"})


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a reply is drawn. `max_tokens` bounds the reply; `seed` is for engines that honour one."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One thing asked of a model: chat messages, or a bare prompt for a completion.

    `repeat` tells apart requests that are otherwise the same: the second sample of a question, the next attempt at a
    row. `schema` is a JSON Schema that the reply must keep. `role` says which model should answer; it is not part of
    the content. `example` is what a good reply looks like: never sent, it serves estimates and the fake teacher.
    `about` is what people call it, such as the name of its prompt: never sent either.
    """

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    sampling: Sampling = Sampling()
    repeat: int = 0
    schema: Mapping[str, Any] | None = None
    logprobs: int | None = None
    role: Role = "author"
    example: str = ""
    about: str = ""

    @property
    def said(self) -> tuple[str, ...]:
        """Return all texts that the request says: its prompt, or what its messages hold."""
        return (self.prompt,) if self.prompt is not None else tuple(message["content"] for message in self.messages)

    def key(self, model: str) -> str:
        """Return the digest of all that a reply depends on, given the identity of the model."""
        s = self.sampling
        return digest(
            model=model,
            messages=self.messages,
            prompt=self.prompt,
            sampling=[s.temperature, s.top_p, s.max_tokens, s.stop, s.seed],
            repeat=self.repeat,
            schema=self.schema,
            logprobs=self.logprobs,
        )


CHARACTERS = 4  # of a token of English, where neither a tokenizer nor a server says how many tokens there are


def rough_tokens(characters: int) -> int:
    """Return about how many tokens so many characters are."""
    return -(-characters // CHARACTERS)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one reply, or of many."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)

    @property
    def tokens(self) -> int:
        """Return prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no usable reply: a kind of CONTENT or TRANSPORT, and a detail for a person."""

    kind: str
    detail: str

    @property
    def of_content(self) -> bool:
        """Return whether asking again would not help."""
        return self.kind in CONTENT


class NoReply(Exception):
    """A conversation cannot go on without this reply; the row leaves with the failure as its reason."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.kind}: {failure.detail}")
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `parsed` is the JSON value of a reply that keeps the request's schema.

    `reasoning` is the thinking that the server tells apart from the answer. `latency` is in seconds. `logprobs` holds
    (token, log-probability) of each token of the reply. A reply with a failure keeps whatever text there was.
    """

    text: str = ""
    reasoning: str | None = None
    finish: str = "stop"
    usage: Usage = Usage()
    latency: float = 0.0
    model: str = ""
    parsed: Any = None
    logprobs: tuple[tuple[str, float], ...] | None = None
    failure: Failure | None = None

    def need(self) -> Any:
        """Return the parsed value, or the text where no schema was asked for; NoReply when there is neither."""
        if self.failure:
            raise NoReply(self.failure)
        return self.text if self.parsed is None else self.parsed

    def failed(self, kind: str, detail: str) -> Reply:
        """Return this reply with a failure."""
        return replace(self, failure=Failure(kind, detail), parsed=None)


def no_reply(kind: str, detail: str) -> Reply:
    """Return a reply that holds nothing but its failure."""
    return Reply(finish="", failure=Failure(kind, detail))


class Teacher(Protocol):
    """A model that answers requests, or something put around one."""

    @property
    def model(self) -> str:
        """Return the name of the model, for people."""
        ...

    @property
    def identity(self) -> str:
        """Return the digest of the model: name, root, revision. Known once `start` has returned."""
        ...

    async def start(self) -> None:
        """Find out who answers; UserError says what is wrong and what to do. Pays for nothing."""
        ...

    def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield exactly one (id, reply) for each request, as they come.

        A place in flight is given away only when the caller asks for the next reply, so what the caller stored first is
        all that a kill can cost. UserError when nothing can be asked any more (wrong key, no server).
        """
        ...

    async def close(self) -> None:
        """Let go of connections and children."""
        ...
