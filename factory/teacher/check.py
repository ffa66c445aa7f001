"""The check of a teacher before a run: is it there, does it serve the model, does it keep a schema, how fast is it?"""

from __future__ import annotations

import time
from dataclasses import dataclass

from factory.teacher.protocol import Reply, Request, Sampling, Teacher
from factory.teacher.streams import closing
from factory.teacher.structured import Structured

PROBES = 8
PROBE_TOKENS, JSON_TOKENS = 64, 2048  # a model may think before it writes its JSON
COLOURS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["colour", "hex"],
    "properties": {
        "colour": {"type": "string", "enum": ["red", "green", "blue"]},
        "hex": {"type": "string", "maxLength": 7},
    },
}
COLOUR = '{"colour": "green", "hex": "#00ff00"}'
UNHONOURED = (
    "use a server that takes response_format json_schema (vLLM does; for others look for guided or structured"
    " decoding), or a model that keeps a schema by itself"
)
LOOK = "look into the server's log"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the check. `remedy` is empty when nothing is wrong."""

    what: str
    found: str
    remedy: str = ""


async def check(teacher: Teacher) -> list[Finding]:
    """Return what was found; a server that is not there, a wrong key or model raise UserError with the remedy."""
    await teacher.start()
    listed = getattr(teacher, "listed", True)
    serves = f"it serves {teacher.model}" if listed else f"its list of models cannot be read; asking {teacher.model}"
    return [Finding("reachable", f"yes; {serves}"), await _structured(teacher), await _speed(teacher)]


async def _structured(teacher: Teacher) -> Finding:
    message = {"role": "user", "content": "Name the colour of grass and its hex code, as JSON."}
    request = Request((message,), sampling=Sampling(max_tokens=JSON_TOKENS), schema=COLOURS, example=COLOUR)
    reply = (await _ask(Structured(teacher, repairs=0), [request]))[0]
    if reply.failure is None:
        return Finding("structured output", f"honoured: {' '.join(reply.text.split())[:60]}")
    return Finding(
        "structured output",
        f"not honoured ({reply.failure.kind}: {reply.failure.detail[:120]})",
        UNHONOURED if reply.failure.kind == "unparsable" else LOOK,
    )


async def _speed(teacher: Teacher) -> Finding:
    asked = [_probe(f"Write a few sentences about the number {n}.", n) for n in range(1, PROBES + 1)]
    start = time.perf_counter()
    replies = await _ask(teacher, asked)
    seconds = time.perf_counter() - start
    usable = [r for r in replies if r.failure is None or r.failure.kind == "truncated"]
    if not usable:
        failure = replies[0].failure
        assert failure is not None
        return Finding("speed", f"no reply ({failure.kind}: {failure.detail[:120]})", LOOK)
    tokens = sum(r.usage.completion_tokens for r in usable)
    slowest = max(r.latency for r in usable)
    return Finding(
        "speed",
        f"{tokens / seconds:,.0f} tokens/s with {PROBES} requests in flight, slowest reply {slowest:.2f} s",
    )


def _probe(text: str, repeat: int) -> Request:
    message = {"role": "user", "content": text}
    return Request((message,), sampling=Sampling(max_tokens=PROBE_TOKENS), repeat=repeat, example=text)


async def _ask(teacher: Teacher, requests: list[Request]) -> list[Reply]:
    async with closing(teacher.complete({str(i): r for i, r in enumerate(requests)})) as replies:
        found = {id_: reply async for id_, reply in replies}
    return [found[str(i)] for i in range(len(requests))]
