"""Does `concurrency: auto` find a server's limit and follow it: python -m benchmarks.teacher_adaptive.

A server has room for 64 requests, then for 16, then for 64 again. In the first two parts the throughput of auto, from
its first second on, is compared with the best of fixed settings, which are measured after they have settled. In the
last half of every part auto must have found the room. Three servers: one that answers 429 beyond its room, one that
adds `Retry-After: 1`, and one that never refuses but queues. Prints a table and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from factory.teacher.openai_http import OpenAIHttp
from factory.teacher.protocol import Request, Sampling
from tests.fault_server import Plan, in_process

ROOM = (64, 16, 64)
FIXED = (8, 16, 32, 64, 128)
LATENCY = 0.2
SETTLE, MEASURE = 2.0, 4.0  # seconds, for fixed settings
AT_LEAST = 0.9  # of the best fixed setting
MEAN_AT_LEAST = 0.95  # of the room, requests in progress once settled
ENOUGH = 1_000_000


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of server; `seconds` is how long auto runs in each part (a Retry-After costs whole seconds)."""

    name: str
    retry_after: str | None
    queues: bool
    seconds: float

    def plan(self) -> Plan:
        """Return the server with its first room."""
        return Plan(latency=LATENCY, retry_after=self.retry_after, **self.room(ROOM[0]))

    def room(self, size: int) -> dict[str, Any]:
        """Return what makes a server of this kind have so much room."""
        return {"at_once" if self.queues else "capacity": size}


VARIANTS = (
    Variant("429", None, False, 10.0),
    Variant("429, Retry-After: 1", "1", False, 24.0),
    Variant("queueing", None, True, 10.0),
)


class Endless(dict[str, Request]):
    """Requests without end, made when they are asked for."""

    def __len__(self) -> int:
        return ENOUGH

    def items(self) -> Any:
        """Yield id and request."""
        sampling = Sampling(max_tokens=32)
        return ((str(i), Request(prompt=f"sum {i}", sampling=sampling)) for i in range(ENOUGH))


async def control(url: str, **change: Any) -> None:
    """Tell a server how to behave from now on."""
    async with aiohttp.ClientSession() as session, session.post(url.removesuffix("/v1") + "/control", json=change):
        pass


async def counters(url: str) -> dict[str, Any]:
    """Return what a server counted since it was told to begin at zero."""
    async with aiohttp.ClientSession() as session, session.get(url.removesuffix("/v1") + "/stats") as response:
        found: dict[str, Any] = await response.json()
        return found


async def consume(teacher: OpenAIHttp) -> None:
    """Ask for ever."""
    async for _ in teacher.complete(Endless()):
        pass


@dataclass(frozen=True, slots=True)
class Part:
    """What a server did in one part: replies per second, and the mean of the requests in progress in its last half."""

    rate: float
    mean: float


async def run(variant: Variant, url: str, setting: int | Literal["auto"], parts: Sequence[int]) -> list[Part]:
    """Return what was reached in each part by one setting."""
    await control(url, zero=1, **variant.room(parts[0]))
    teacher = OpenAIHttp([url], "m", concurrency=setting)
    await teacher.start()
    asking = asyncio.create_task(consume(teacher))
    try:
        return [await measure(variant, url, room, setting == "auto") for room in parts]
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await teacher.close()


async def measure(variant: Variant, url: str, room: int, whole: bool) -> Part:
    """Return the rate with so much room: over the whole part, or once it has settled."""
    await control(url, **variant.room(room))
    if not whole:
        await asyncio.sleep(SETTLE)
    await control(url, zero=1)
    if not whole:
        await asyncio.sleep(MEASURE)
        found = await counters(url)
        return Part(found["answered"] / found["seconds"], found["mean"])
    await asyncio.sleep(variant.seconds / 2)
    first = await counters(url)
    await control(url, zero=1)
    await asyncio.sleep(variant.seconds / 2)
    second = await counters(url)
    seconds = first["seconds"] + second["seconds"]
    return Part((first["answered"] + second["answered"]) / seconds, second["mean"])


def compare(variant: Variant) -> list[dict[str, Any]]:
    """Return one row for each part of a variant: the best fixed setting, auto, and their ratio."""
    print(f"running {variant.name} ...", file=sys.stderr, flush=True)
    with in_process(variant.plan()) as url:
        fixed = {setting: asyncio.run(run(variant, url, setting, ROOM[:2])) for setting in FIXED}
        auto = asyncio.run(run(variant, url, "auto", ROOM))
    rows = []
    for part, room in enumerate(ROOM):
        of_fixed = {setting: parts[ROOM.index(room)].rate for setting, parts in fixed.items()}
        best = max(of_fixed, key=lambda setting: of_fixed[setting])
        rows.append(
            {
                "server": variant.name,
                "room": room,
                "fixed": {str(setting): round(rate, 1) for setting, rate in of_fixed.items()},
                "best": best,
                "auto": round(auto[part].rate, 1),
                "ratio": round(auto[part].rate / of_fixed[best], 3),
                "mean": round(auto[part].mean / room, 3),
            }
        )
    return rows


def tell(rows: Sequence[dict[str, Any]]) -> None:
    """Print one line for each part."""
    settings = "".join(f"{setting:>8}" for setting in FIXED)
    print(f"{'replies/s at':<22}{'room':>5}{settings}{'auto':>8}{'ratio':>8}{'in progress / room':>20}")
    for row in rows:
        rates = "".join(f"{rate:>8.0f}" for rate in row["fixed"].values())
        print(f"{row['server']:<22}{row['room']:>5}{rates}{row['auto']:>8.0f}{row['ratio']:>8.2f}{row['mean']:>20.2f}")


def main() -> int:
    """Return the exit code: 0 when everything was measured, whether or not the bars are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.teacher_adaptive", description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=int, choices=range(len(VARIANTS)), help="measure one kind of server")
    given = parser.parse_args()
    began = time.monotonic()
    variants = VARIANTS if given.only is None else (VARIANTS[given.only],)
    rows = [row for variant in variants for row in compare(variant)]
    tell(rows)
    worst = min(row["ratio"] for i, row in enumerate(rows) if i % len(ROOM) < 2)
    found = min(row["mean"] for row in rows)
    bars = {
        "of_best_fixed": {"at_least": AT_LEAST, "found": worst},
        "in_progress_of_room": {"at_least": MEAN_AT_LEAST, "found": found},
    }
    summary = {
        "bench": "teacher_adaptive",
        "value": worst,
        "unit": "of the best fixed setting",
        "ratios": {f"{row['server']}, part {i % len(ROOM) + 1}": row["ratio"] for i, row in enumerate(rows)},
        "bars": bars,
        "ok": all(bar["found"] >= bar["at_least"] for bar in bars.values()),
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
