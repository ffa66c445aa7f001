"""Does a request ever get lost, doubled or paid for too often: python -m benchmarks.teacher_faults [--requests N].

A fifth of the requests meets a fault (rejections with and without Retry-After, server errors, hangs, slow and broken
bodies, resets, cut and refused replies, another model's name, late replies) over two replicas: one is killed and comes
back twice, the other is 40 times slower. Prints what became of the requests and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import aiohttp

from factory.teacher.openai_http import HttpStats, OpenAIHttp
from factory.teacher.protocol import CONTENT, TRANSPORT, Request, Sampling
from tests.fault_server import Plan, in_process

SHARES = {
    "429": 0.02,
    "429-after": 0.02,
    "500": 0.02,
    "503": 0.02,
    "hang": 0.01,
    "drip": 0.02,
    "reset": 0.02,
    "truncated": 0.02,
    "invalid": 0.01,
    "wrong-model": 0.01,
    "late": 0.01,
    "length": 0.01,
    "refusal": 0.01,
}
LATENCY, SLOWER = 0.05, 40
DEATHS = (0.2, 0.5)  # after so much of the requests was answered
AWAY = 2.0  # seconds
PAID_AT_MOST = 1.3  # times the requests


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all requests. `ends` counts replies and failures by kind, `seen` how often each id came."""

    ends: Counter[str]
    seen: Counter[str]
    seconds: float
    stats: HttpStats
    servers: tuple[dict[str, Any], ...]


async def control(url: str, **change: Any) -> None:
    """Tell a server how to behave from now on."""
    async with aiohttp.ClientSession() as session, session.post(url.removesuffix("/v1") + "/control", json=change):
        pass


async def counters(url: str) -> dict[str, Any]:
    """Return what a server counted."""
    async with aiohttp.ClientSession() as session, session.get(url.removesuffix("/v1") + "/stats") as response:
        found: dict[str, Any] = await response.json()
        return found


async def ask(mortal: str, slow: str, count: int) -> Outcome:
    """Return what became of so many requests."""
    sampling = Sampling(max_tokens=32)
    requests = {f"r{i}": Request(prompt=f"question {i}", sampling=sampling) for i in range(count)}
    teacher = OpenAIHttp([mortal, slow], "m")
    await teacher.start()
    ends, seen = Counter[str](), Counter[str]()
    deaths = {int(share * count) for share in DEATHS}
    began = time.monotonic()
    async for key, reply in teacher.complete(requests):
        seen[key] += 1
        ends[reply.failure.kind if reply.failure else "reply"] += 1
        if seen.total() in deaths:
            await control(mortal, down=AWAY)
    seconds = time.monotonic() - began
    stats = teacher.stats()
    await teacher.close()
    return Outcome(ends, seen, seconds, stats, (await counters(mortal), await counters(slow)))


def judge(found: Outcome, count: int) -> dict[str, dict[str, float]]:
    """Return what was asked for beside what was found."""
    paid = sum(server["paid"] for server in found.servers)
    typed = sum(number for kind, number in found.ends.items() if kind in {"reply"} | CONTENT | TRANSPORT)
    return {
        "lost": {"at_most": 0, "found": count - len(found.seen)},
        "doubled": {"at_most": 0, "found": sum(number > 1 for number in found.seen.values())},
        "untyped": {"at_most": 0, "found": found.ends.total() - typed},
        "paid_per_request": {"at_most": PAID_AT_MOST, "found": round(paid / count, 3)},
    }


def tell(found: Outcome, bars: dict[str, dict[str, float]]) -> None:
    """Print what the replicas did, how the requests ended, and the bars."""
    for name, server in zip(("dies and comes back", "40 times slower"), found.servers, strict=True):
        faults = ", ".join(f"{kind} {number}" for kind, number in sorted(server["faults"].items()))
        print(f"{name:<20} received {server['received']:>6,}, paid {server['paid']:>6,}; {faults}")
    print("ends: " + ", ".join(f"{kind} {number:,}" for kind, number in found.ends.most_common()))
    stats = found.stats
    print(f"{found.seconds:.1f} s; {stats.sent:,} tries, {stats.rate_limited} rejected, {stats.timeouts} timed out")
    for name, bar in bars.items():
        print(f"{name:<18}at most {bar['at_most']}, found {bar['found']}")


def main() -> int:
    """Return the exit code: 0 when everything was measured, whether or not the bars are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.teacher_faults", description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000, help="how many are asked")
    given = parser.parse_args()
    fast, slow = Plan(latency=LATENCY, faults=SHARES), Plan(latency=LATENCY * SLOWER, faults=SHARES)
    with in_process(fast) as mortal, in_process(slow) as slower:
        found = asyncio.run(ask(mortal, slower, given.requests))
    bars = judge(found, given.requests)
    tell(found, bars)
    summary = {
        "bench": "teacher_faults",
        "value": bars["paid_per_request"]["found"],
        "unit": "paid requests per request",
        "ratios": {"hit by a fault": round(sum(SHARES.values()), 3)},
        "bars": bars,
        "ok": all(bar["found"] <= bar["at_most"] for bar in bars.values()),
        "requests": given.requests,
        "ends": dict(found.ends),
        "seconds": round(found.seconds, 1),
    }
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
