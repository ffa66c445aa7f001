"""N rows by the openai client against a server: python openai_rows.py URL ROWS IN_FLIGHT FOLDER.

Runs in the peers' environment. Prints {"rows": rows with a reply, "seconds": of the loop} as its last line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from openai import AsyncOpenAI, DefaultAsyncHttpxClient


async def run(url: str, rows: int, in_flight: int) -> tuple[int, float]:
    """Return the replies and the seconds of a loop over the client."""
    places = asyncio.Semaphore(in_flight)
    async with AsyncOpenAI(base_url=url, api_key="none", http_client=DefaultAsyncHttpxClient()) as client:

        async def ask(i: int) -> int:
            async with places:
                message = {"role": "user", "content": f"Add up the parts of {i * 7919}."}
                reply = await client.chat.completions.create(model="m", messages=[message], max_tokens=256)
            return int(bool(reply.choices[0].message.content))

        began = time.perf_counter()
        found = sum(await asyncio.gather(*(ask(i) for i in range(rows))))
        return found, time.perf_counter() - began


if __name__ == "__main__":
    found, seconds = asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    print(json.dumps({"rows": found, "seconds": seconds}))
