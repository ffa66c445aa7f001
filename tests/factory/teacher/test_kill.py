"""A run that is killed, however often, ends with the same replies, and pays for none twice but those in flight."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

import pytest

from factory.teacher.reply_store import ReplyStore
from factory.teacher.upkeep import export

SERVER = Path(__file__).parents[3] / "benchmarks" / "fixed_latency_server.py"
CONCURRENCY = 16
LATENCY = 0.02
PLANTED = "sk-planted-0123456789abcdef"
RUN = """
import asyncio, json, os, sys
from pathlib import Path
from factory.teacher.cache import Cache
from factory.teacher.reply_store import ReplyStore
from factory.teacher.openai_http import OpenAIHttp
from factory.teacher.protocol import Request

folder, url, count, concurrency = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
requests = {f"id{i}": Request(messages=({"role": "user", "content": f"question {i}"},)) for i in range(count)}

async def run():
    http = OpenAIHttp([url], "m", key=lambda: os.environ["PLANTED"], concurrency=concurrency)
    store = ReplyStore(folder / "replies.sqlite")
    teacher = Cache(http, store)
    await teacher.start()
    replies = {id_: reply.text async for id_, reply in teacher.complete(requests)}
    await teacher.close()
    store.close()
    (folder / "replies.json").write_text(json.dumps(replies, sort_keys=True))

asyncio.run(run())
"""


@contextmanager
def server(log: Path) -> Iterator[str]:
    """Yield the URL of a server that answers after LATENCY and logs every request that it is paid for."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(SERVER), str(port), str(LATENCY), str(log)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/v1"
        wait_for(url)
        yield url
    finally:
        running.terminate()
        running.wait()


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urlopen(f"{url}/models").close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def start(folder: Path, url: str, count: int) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", RUN, str(folder), url, str(count), str(CONCURRENCY)]
    return subprocess.Popen(command, env=os.environ | {"PLANTED": PLANTED}, stderr=subprocess.PIPE)


def paid(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def kill_during(folder: Path, url: str, log: Path, count: int, random: Random) -> bool:
    """Return whether a run was killed in its work: some requests after its start, and up to two latencies later."""
    enough = paid(log) + random.randrange(1, max(2, count // 8))
    run = start(folder, url, count)
    while run.poll() is None and paid(log) < enough:
        time.sleep(0.002)
    time.sleep(random.random() * 2 * LATENCY)
    was_running = run.poll() is None
    run.send_signal(signal.SIGKILL)
    run.communicate()
    return was_running


def finish(folder: Path, url: str, count: int) -> str:
    run = start(folder, url, count)
    told = run.communicate(timeout=120)[1]
    assert run.returncode == 0, told.decode()
    return (folder / "replies.json").read_text()


def survive(tmp_path: Path, count: int, kills: int, seed: int) -> dict[str, Any]:
    """Kill a run so often, let it end, and compare it with one that nobody killed."""
    log, random, killed = tmp_path / "log", Random(seed), 0
    with server(log) as url:
        for _ in range(kills):
            killed += kill_during(tmp_path / "killed", url, log, count, random)
        ended = finish(tmp_path / "killed", url, count)
        paid_in_all = paid(log)
        again = finish(tmp_path / "killed", url, count)
        paid_again = paid(log) - paid_in_all
        whole = finish(tmp_path / "whole", url, count)
    return {
        "requests": count,
        "kills": killed,
        "paid": paid_in_all,
        "paid_by_a_second_run": paid_again,
        "replies": len(json.loads(ended)),
        "identical": ended == again == whole,
    }


def check(found: dict[str, Any], count: int, kills: int) -> None:
    assert found["kills"] == kills
    assert found["replies"] == count
    assert found["identical"]
    assert count <= found["paid"] <= count + kills * CONCURRENCY
    assert found["paid_by_a_second_run"] == 0


@pytest.mark.slow
def test_a_run_killed_three_times_pays_twice_only_for_what_was_in_flight(tmp_path: Path) -> None:
    check(survive(tmp_path, 600, 3, seed=1), 600, 3)


@pytest.mark.chaos
def test_a_run_killed_ten_times_pays_twice_only_for_what_was_in_flight(tmp_path: Path) -> None:
    found = survive(tmp_path, 5_000, 10, seed=int(os.environ.get("CHAOS_SEED", "1")))
    print(json.dumps(found))
    check(found, 5_000, 10)


@pytest.mark.slow
def test_a_key_is_in_no_file_that_a_run_leaves(tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "run"
    with server(log) as url:
        assert kill_during(folder, url, log, 200, Random(2))
        left_by_the_kill = {path.name for path in folder.iterdir()}
        assert {"replies.sqlite", "replies.sqlite-wal"} <= left_by_the_kill
        assert not holding(PLANTED, folder)
        finish(folder, url, 200)
    store = ReplyStore(folder / "replies.sqlite")
    for name in ("all.jsonl", "all.parquet"):
        assert export(store, folder / name) == 200
    assert holding("question 7", folder)
    assert not holding(PLANTED, tmp_path)
    store.close()


def holding(text: str, folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and text.encode() in path.read_bytes()]
