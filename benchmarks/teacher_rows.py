"""N requests through one client: python -m benchmarks.teacher_rows CLIENT URL ROWS IN_FLIGHT FOLDER.

CLIENT is factory (the whole stack of a run: repair, roles, durable cache, meter, openai_http), cached (the same again,
all in the cache of FOLDER), or aiohttp (a bare loop that keeps nothing). Prints {"rows", "seconds"} as its last line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from factory.teacher.model import TeacherSpec
from factory.teacher.protocol import Request, Sampling
from factory.teacher.session import open_session
from factory.teacher.streams import closing
from factory.teacher.wire import body_of, path_of

TURNS = 5  # passes over a cached run, which is short


def requests(rows: int) -> dict[str, Request]:
    """Return as many different requests."""
    return {
        str(i): Request(
            ({"role": "user", "content": f"Add up the parts of {i * 7919}."},), sampling=Sampling(max_tokens=256)
        )
        for i in range(rows)
    }


def factory(url: str, rows: int, in_flight: int, folder: Path) -> tuple[int, float]:
    """Return the replies and the seconds of the whole stack."""
    spec = TeacherSpec(model="m", base_url=url, concurrency=in_flight)
    asked = requests(rows)
    with open_session(spec, None, Path(), folder) as session:

        async def ask() -> int:
            async with closing(session.teacher.complete(asked)) as replies:
                return sum([reply.failure is None async for _, reply in replies])

        began = time.perf_counter()
        found = session.loop.run(ask())
        return found, time.perf_counter() - began


def cached(url: str, rows: int, in_flight: int, folder: Path) -> tuple[int, float]:
    """Return the replies and the seconds of runs whose every reply is in the cache."""
    runs = [factory(url, rows, in_flight, folder) for _ in range(TURNS)]
    return sum(found for found, _ in runs), sum(seconds for _, seconds in runs)


def bare(url: str, rows: int, in_flight: int, folder: Path) -> tuple[int, float]:
    """Return the replies and the seconds of a loop that does nothing but ask."""
    return asyncio.run(_bare(url, rows, in_flight))


async def _bare(url: str, rows: int, in_flight: int) -> tuple[int, float]:
    places = asyncio.Semaphore(in_flight)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:

        async def ask(request: Request) -> int:
            async with places, client.post(url.removesuffix("/v1") + path_of(request), json=body_of(request, "m")) as r:
                return int(bool((await r.json())["choices"][0]["message"]["content"]))

        asked: list[Awaitable[int]] = [ask(request) for request in requests(rows).values()]
        began = time.perf_counter()
        found = sum(await asyncio.gather(*asked))
        return found, time.perf_counter() - began


CLIENTS: dict[str, Callable[[str, int, int, Path], tuple[int, float]]] = {
    "factory": factory, "cached": cached, "aiohttp": bare
}  # fmt: skip


def main() -> None:
    """Run one client."""
    client, url, rows, in_flight, folder = sys.argv[1:6]
    found, seconds = CLIENTS[client](url, int(rows), int(in_flight), Path(folder))
    print(json.dumps({"rows": found, "seconds": seconds}))


if __name__ == "__main__":
    main()
