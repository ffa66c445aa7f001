"""What a server says of itself before anything is asked of it: does it answer, is the key right, is the model there."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
import orjson

from factory.errors import UserError, nearest
from factory.teacher.outcome import not_allowed, said_by
from factory.teacher.secret import hide, without_key

LOOK_SECONDS = 10.0
NAMED = 20  # served models that a message lists


class NobodyAnswers(UserError):
    """No server of the teacher answers."""


@dataclass(frozen=True, slots=True)
class Served:
    """What one server said: `roots` by model name, None where its list cannot be read.

    `away` is why it cannot be asked, "" when it can; `up` means that it answers even so.
    """

    url: str
    roots: Mapping[str, str] | None = None
    away: str = ""
    up: bool = True


@dataclass(frozen=True, slots=True)
class Survey:
    """All replicas: `root` of the model, `away` by URL, and why one cannot serve it by URL in `without`.

    `up` are those that are away and answer even so; `listed` is whether all that can be asked told what they serve.
    """

    root: str = ""
    away: dict[str, str] = field(default_factory=dict)
    without: dict[str, str] = field(default_factory=dict)
    up: frozenset[str] = frozenset()
    listed: bool = False


def endpoint(base_url: str, path: str) -> str:
    """Return where `/v1/...` is answered: a base URL without a path gets /v1, any other one is taken as it is.

    So http://host:8000, http://host:8000/v1 and https://host/v1beta/openai all mean what they mean to other clients.
    """
    base = base_url.rstrip("/")
    return base + path if not urlsplit(base).path else base + path.removeprefix("/v1")


async def look(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], key_name: str | None, proxy: str | None
) -> Served:
    """Return what a server says at /v1/models; UserError when it will do nothing for the key."""
    timeout = aiohttp.ClientTimeout(total=LOOK_SECONDS)
    try:
        async with session.get(endpoint(url, "/v1/models"), headers=headers, timeout=timeout, proxy=proxy) as response:
            raw, status = without_key(await response.read(), headers), response.status
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return Served(url, away=why(error), up=False)
    if refused := not_allowed(url, status, raw, key_name):
        raise refused
    if status >= 500 or status == 429:
        return Served(url, away=f"HTTP {status}: {said_by(raw)}")
    return Served(url, roots=_roots(raw) if status == 200 else None)


def _roots(raw: bytes) -> dict[str, str] | None:
    try:
        listed = orjson.loads(raw)["data"]
        return {str(entry["id"]): str(entry.get("root") or "") for entry in listed}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def survey(model: str, found: Sequence[Served]) -> Survey:
    """Return what the replicas together mean; UserError when none serves the model or they serve different ones."""
    away = {one.url: one.away for one in found if one.away}
    here = [one for one in found if not one.away]
    names = {one.url: _name_in(model, one.roots) for one in here if one.roots is not None}
    without = {url: f"does not serve '{model}'" for url, name in names.items() if name is None}
    if here and len(without) == len(here):
        raise not_served(model, {name for one in here for name in one.roots or {}}, [one.url for one in here])
    roots = {one.url: one.roots[name] for one in here if one.roots is not None and (name := names[one.url])}
    if len(set(roots.values())) > 1:
        told = ", ".join(f"{url} ({root or 'no root'})" for url, root in sorted(roots.items()))
        raise UserError(
            f"the replicas do not serve the same '{model}': {told}; give replicas of one model in base_urls"
        )
    up = frozenset(one.url for one in found if one.away and one.up)
    listed = bool(here) and all(one.roots is not None for one in here)
    return Survey(next(iter(roots.values()), ""), away, without, up, listed)


def _name_in(model: str, roots: Mapping[str, str]) -> str | None:
    """Return the name by which a server knows a model; some list theirs with a prefix, such as models/NAME."""
    if model in roots:
        return model
    return next((name for name in roots if name.endswith("/" + model)), None)


def not_served(model: str, served: set[str], urls: Sequence[str]) -> UserError:
    """Return the error for a model that no replica serves."""
    names = sorted(served)
    listed = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    close = nearest(model, names[:NAMED] if len(names) > NAMED else names)
    found = f"it serves {listed}" if names else "it serves no model"
    hint = close if "did you mean" in close else ""
    return UserError(f"{', '.join(urls)} does not serve the model '{model}'{hint}: {found}; correct teacher.model")


def unknown_there(model: str, url: str, roots: Mapping[str, str] | None, said: str) -> UserError:
    """Return the error for a 404 from the last replica: the model is not there, or nothing is at that path."""
    if roots is not None and _name_in(model, roots) is None:
        return not_served(model, set(roots), [url])
    listed = f" (it serves {', '.join(sorted(roots)[:NAMED])})" if roots else ""
    return UserError(f"{url} answers HTTP 404 to requests for '{model}'{listed}: {said}; correct base_url or model")


def nobody(model: str, found: Survey) -> NobodyAnswers:
    """Return the error for a teacher none of whose servers can be asked."""
    down = [f"nothing answers at {url} ({reason})" for url, reason in found.away.items() if url not in found.up]
    up = [f"{url} answers, but with {found.away[url]}" for url in found.away if url in found.up]
    remedy = f"start it, e.g. `vllm serve {model}`" if down else "look into its log, wait until it is ready"
    return NobodyAnswers(f"{'; '.join(down + up)}: {remedy}, or correct base_url")


def why(error: BaseException) -> str:
    """Return in a few words why a connection failed."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, ConnectionRefusedError) or number == errno.ECONNREFUSED:
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return (hide(str(inner)) or type(inner).__name__)[:200]
