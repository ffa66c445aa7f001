"""What came of one try: a reply, a trouble that another try may mend, or the user's mistake as an error."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import orjson

from factory.errors import UserError
from factory.teacher import wire
from factory.teacher.protocol import Reply, no_reply
from factory.teacher.secret import hide

OF_THE_REQUEST = frozenset({400, 413, 422})
FULL = frozenset({429, 503, 529})
SPENT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})  # codes of a 429


@dataclass(frozen=True, slots=True)
class Trouble:
    """A try that brought no reply: a kind of TRANSPORT, what a person should know, and what the server asked for.

    `wait` is the server's Retry-After in seconds, 0 when it gave none. `down` means that nobody listens there, `up`
    that a whole answer came, though nothing of use.
    """

    kind: str
    detail: str
    wait: float = 0.0
    down: bool = False
    up: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The server does not know the model, or the path."""

    detail: str


Outcome = Reply | Trouble | Unknown


def read_outcome(status: int, raw: bytes, headers: Mapping[str, str], latency: float) -> Outcome:
    """Return what a response means; its status and body are all that counts."""
    if status == 200:
        return _read_reply(raw, latency)
    said = said_by(raw)
    if status in OF_THE_REQUEST:
        return no_reply("prompt_too_long" if wire.is_too_long(said) else "bad_request", said)
    if status in FULL:
        return Trouble("rate_limited", f"HTTP {status}: {said}", retry_after(headers.get("Retry-After"), time.time()))
    if status == 404:
        return Unknown(said)
    if status == 408:
        return Trouble("timeout", f"HTTP 408: {said}")
    return Trouble("server_error", f"HTTP {status}: {said}", up=True)


def _read_reply(raw: bytes, latency: float) -> Outcome:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return Trouble("garbled", f"the response is no JSON: {error}", up=True)
    reply = wire.reply_of(body, latency)
    if reply.failure and reply.failure.kind == "garbled":
        return Trouble("garbled", reply.failure.detail, up=True)
    return reply


def said_by(raw: bytes) -> str:
    """Return the message of an error's body, JSON or not."""
    try:
        return wire.error_text(orjson.loads(raw))
    except orjson.JSONDecodeError:
        return hide(raw.decode("utf-8", "replace").strip())[:500] or "no message"


def retry_after(value: str | None, now: float) -> float:
    """Return the seconds that a Retry-After header asks for, given as seconds or as an HTTP date; else 0."""
    if not value:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return 0.0


def same_model(said: str, model: str, root: str) -> bool:
    """Return whether the name in a response may stand for the model that was asked.

    Hosted services answer an alias with a dated snapshot (`gpt-x` with `gpt-x-2026-01-31`) or with a prefix (`org/`):
    one name is then a part of the other. `gpt-4` is no part of `gpt-4o`.
    """
    return (
        not said
        or said == model
        or any(name and (_within(said, name) or _within(name, said)) for name in (model, root))
    )


def _within(part: str, whole: str) -> bool:
    return re.search(rf"(?<![^\W_]){re.escape(part)}(?![^\W_])", whole, re.IGNORECASE) is not None


def mistake(url: str, status: int, raw: bytes, headers: Mapping[str, str], key_name: str | None) -> UserError | None:
    """Return the error for a response that no request could better: a refused key, no credit, another address."""
    if refused := not_allowed(url, status, raw, key_name):
        return refused
    if status < 300 or status in OF_THE_REQUEST or status >= 404 and status != 405:
        return None
    if status < 400:
        where = hide(headers.get("Location", "nowhere").partition("?")[0])
        return UserError(f"{url} redirects to {where} (HTTP {status}): correct base_url")
    return UserError(f"{url} does not take requests there (HTTP {status}: {said_by(raw)}): correct base_url")


def not_allowed(url: str, status: int, raw: bytes, key_name: str | None) -> UserError | None:
    """Return the error for a server that does nothing for this key: a wrong one, one without the right or credit."""
    said = f"HTTP {status}: {said_by(raw)}"
    if status == 401:
        return key_refused(url, status, said_by(raw), key_name)
    if status == 402:
        return UserError(f"{url} wants to be paid first ({said}): add credit and run again")
    if status == 403:
        key = f"the key in {key_name}" if key_name else "the key (teacher.api_key_env names none)"
        return UserError(
            f"{url} does not allow this ({said}): {key} may lack the right, or the server does not serve this place or"
            " model; give the key that right, or correct base_url or teacher.model"
        )
    if status == 429 and _is_spent(raw):
        return UserError(
            f"the quota or credit at {url} is used up ({said}): add credit or raise it there and run again"
        )
    return None


def _is_spent(raw: bytes) -> bool:
    try:
        return not SPENT.isdisjoint(wire.error_names(orjson.loads(raw)))
    except orjson.JSONDecodeError:
        return False


def key_refused(url: str, status: int, said: str, key_name: str | None) -> UserError:
    """Return the error for a key that a server does not accept; the key itself is in no message."""
    if key_name:
        remedy = f"put the right key into the environment variable {key_name}"
    else:
        remedy = "name the environment variable that holds the key in teacher.api_key_env"
    return UserError(f"{url} refused the API key (HTTP {status}: {said}): {remedy}")


def not_understood(url: str, model: str, status_said: str) -> UserError:
    """Return the error for a first request that a server refuses: it would refuse them all."""
    return UserError(f"{url} refused the first request to '{model}': {status_said}; {_remedy(status_said.lower())}")


def all_too_long(urls: str, model: str, said: str) -> UserError:
    """Return the error for a teacher that finds every prompt too long: it would find the next ones so too."""
    return UserError(
        f"every prompt so far is too long for '{model}' at {urls}: {said}; start the server with a larger"
        " --max-model-len, use a model with a longer context, or lower teacher.sampling.max_tokens; none of it is kept"
    )


REMEDIES = {
    "chat template": "pass --chat-template to the server, or use a chat model",
    "schema": "this server does not accept the JSON Schema of the reply: use an engine with structured outputs",
    "grammar": "this server does not accept the JSON Schema of the reply: use an engine with structured outputs",
    "response_format": "this server knows no response_format: use an engine with structured outputs",
    "max_tokens": "lower or change teacher.sampling.max_tokens",
    "temperature": "set teacher.sampling.temperature to what the model accepts",
    "top_p": "set teacher.sampling.top_p to what the model accepts",
}


def _remedy(said: str) -> str:
    found = (remedy for words, remedy in REMEDIES.items() if words in said)
    return next(found, "change what the message names in teacher (model, sampling) or in the server, and run again")
