"""An OpenAI-compatible chat server with a fixed latency, for measuring clients. Loopback only.

usage: python fixed_latency_server.py PORT SECONDS [LOG]      (needs aiohttp)
The reply depends on the request alone, so a resumed run can be compared byte for byte. GET /stats returns and resets
the counters (requests, peak in flight, first and last second); with LOG, one line per request: the hash of its body.
"""

import asyncio
import hashlib
import json
import sys
import time

from aiohttp import web

PORT, LATENCY = int(sys.argv[1]), float(sys.argv[2])
LOG = open(sys.argv[3], "a", buffering=1) if len(sys.argv) > 3 else None
ZERO = {"requests": 0, "in_flight": 0, "peak": 0, "first": None, "last": None}
stats = dict(ZERO)


async def chat(request: web.Request) -> web.Response:
    body = await request.json()
    key = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    if LOG:
        print(key, file=LOG)
    stats["first"] = stats["first"] or time.time()
    stats["in_flight"] += 1
    stats["peak"] = max(stats["peak"], stats["in_flight"])
    await asyncio.sleep(LATENCY)
    stats["in_flight"] -= 1
    stats["requests"] += 1
    stats["last"] = time.time()
    text = f"Reply {key[:12]}: the sum is {int(key[:6], 16)}, since both parts are given."
    return web.json_response(
        {
            "id": f"chatcmpl-{key[:16]}",
            "object": "chat.completion",
            "created": 0,
            "model": body.get("model", "m"),
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 16, "total_tokens": 36},
        }
    )


async def models(_: web.Request) -> web.Response:
    return web.json_response(
        {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "bench", "root": "m"}]}
    )


async def show(_: web.Request) -> web.Response:
    out = dict(stats)
    stats.update(ZERO)
    return web.json_response(out)


app = web.Application()
app.router.add_post("/v1/chat/completions", chat)
app.router.add_get("/v1/models", models)
app.router.add_get("/stats", show)
web.run_app(app, host="127.0.0.1", port=PORT, print=None, access_log=None)
