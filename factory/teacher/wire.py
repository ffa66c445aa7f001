"""The OpenAI wire form: a request as the body that goes out, a body that came back as a reply, lines of batch files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory.artifacts.digest import digest
from factory.teacher.protocol import Failure, Reply, Request, Usage, no_reply
from factory.teacher.secret import hide

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
THINK, THOUGHT = "<think>", "</think>"  # what a server without a reasoning parser leaves in the text
TOO_LONG = ("context length", "maximum context", "max_model_len", "too long", "longer than the max", "too many tokens")


def path_of(request: Request) -> str:
    """Return the path that answers this request."""
    return CHAT if request.prompt is None else COMPLETIONS


def body_of(request: Request, model: str) -> dict[str, Any]:
    """Return the JSON body of a request to `path_of(request)`."""
    said: dict[str, Any] = {"model": model}
    if request.prompt is None:
        said["messages"] = [dict(message) for message in request.messages]
    else:
        said["prompt"] = request.prompt
    sampling = request.sampling
    # top_p is always said: vLLM puts the model's own default in the place of what is not.
    said |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens}
    if sampling.stop:
        said["stop"] = list(sampling.stop)
    if sampling.seed is not None:
        said["seed"] = seed_of(sampling.seed, request.repeat)
    if request.schema is not None:
        said["response_format"] = response_format(request.schema)
    if request.logprobs is not None:
        chat = request.prompt is None
        said |= {"logprobs": True, "top_logprobs": request.logprobs} if chat else {"logprobs": request.logprobs}
    return said


def seed_of(seed: int, repeat: int) -> int:
    """Return the seed of a repeat: hashed, so that neighbouring seeds and repeats never meet."""
    return seed if repeat == 0 else int(digest(seed=seed, repeat=repeat)[:7], 16)


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `response_format` that asks for replies of a JSON Schema."""
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": dict(schema), "strict": True}}


def reply_of(body: object, latency: float) -> Reply:
    """Return the reply of a response body; one that is not of the protocol is a `garbled` failure."""
    if isinstance(body, Mapping) and not body.get("choices"):
        said = f": {error_text(body)}" if body.get("error") else ""
        return no_reply("garbled", f"the response has no choices{said}"[:200])
    try:
        return _read(body, latency)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        said = f"the response is not of the protocol: {type(error).__name__} {error}"
        return no_reply("garbled", hide(said)[:200])


def _read(body: Any, latency: float) -> Reply:
    choice = body["choices"][0]
    message = choice.get("message") or {}
    text = message.get("content") if "message" in choice else choice["text"]
    used = body.get("usage") or {}
    thought = message.get("reasoning_content") or message.get("reasoning")
    text, thought = (text, thought) if thought else _thought_apart(text or "")
    reply = Reply(
        text=text or "",
        reasoning=thought if thought and isinstance(thought, str) else None,
        finish=str(choice.get("finish_reason") or "stop"),
        usage=Usage(int(used.get("prompt_tokens") or 0), int(used.get("completion_tokens") or 0)),
        latency=latency,
        model=str(body.get("model") or ""),
        logprobs=_logprobs(choice.get("logprobs")),
    )
    failure = _content_failure(reply, message.get("refusal"))
    return reply if failure is None else reply.failed(failure.kind, failure.detail)


def _thought_apart(text: str) -> tuple[str, str]:
    """Return the text and the thinking that it began with: what is between the first tags, if both are there."""
    thought, closed, rest = text.removeprefix(THINK).partition(THOUGHT)
    return (rest.lstrip(), thought.strip()) if closed and text.startswith(THINK) else (text, "")


def _content_failure(reply: Reply, refusal: object) -> Failure | None:
    if refusal or reply.finish == "content_filter":
        return Failure("refused", hide(str(refusal or "the server's content filter"))[:300])
    if reply.finish == "length":
        return Failure("truncated", f"the reply was cut off at {reply.usage.completion_tokens} tokens")
    if not reply.text.strip():
        return Failure("empty", f"the reply has no text (finish_reason {reply.finish})")
    return None


def _logprobs(found: Any) -> tuple[tuple[str, float], ...] | None:
    if not found:
        return None
    if "content" in found:
        return tuple((str(entry["token"]), float(entry["logprob"])) for entry in found["content"] or [])
    return tuple(zip(map(str, found["tokens"]), map(float, found["token_logprobs"]), strict=True))


def error_text(body: object) -> str:
    """Return the message of an error body, in whichever of the known places it is, with no key in it."""
    if isinstance(body, Mapping):
        inner = body.get("error")
        place = inner if isinstance(inner, Mapping) else body
        said = place.get("message") or place.get("detail") or inner
        return hide(str(said if said else dict(body)))[:500]
    return hide(str(body))[:500]


def error_names(body: object) -> set[str]:
    """Return the names by which an error body calls its error: its code and its type."""
    if not isinstance(body, Mapping):
        return set()
    places = (body, body.get("error"))
    return {str(place.get(name)) for place in places if isinstance(place, Mapping) for name in ("code", "type")}


def is_too_long(message: str) -> bool:
    """Return whether an error message of a server says that the prompt does not fit the model's context."""
    return any(words in message.lower() for words in TOO_LONG)


def batch_line(key: str, request: Request, model: str) -> dict[str, Any]:
    """Return the line of an OpenAI batch file: {custom_id, method, url, body}."""
    return {"custom_id": key, "method": "POST", "url": path_of(request), "body": body_of(request, model)}


def batch_reply(line: Mapping[str, Any]) -> Reply:
    """Return the reply of a line of a batch's result file: {custom_id, response: {status_code, body}, error}.

    A line may also just say {custom_id, content}: a reply written by hand.
    """
    if isinstance(line.get("content"), str):
        return Reply(text=line["content"]) if line["content"].strip() else Reply().failed("empty", "no text")
    response = line.get("response") or {}
    status = int(response.get("status_code") or 200)
    if response.get("body") is not None and status < 400 and not line.get("error"):
        return reply_of(response["body"], 0.0)
    said = error_text(line.get("error") or response.get("body") or "no response")
    if is_too_long(said):
        return no_reply("prompt_too_long", said)
    return no_reply("bad_request" if status in {400, 413, 422} else "server_error", said)
