"""What the teacher layer costs on top of asking: python -m benchmarks.teacher_overhead [--rows N] [--skip-peers].

3,000 requests, 256 in flight, against a server that answers each after 200 ms: the whole stack of a run with its
durable cache on, beside a bare aiohttp loop, the openai client, and NeMo Data Designer, in one run. Prints a table and,
as its last line, one JSON object. benchmarks/README.md says what each line means.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.generate import ROOT, Failed, machine, use_two_cores

SECONDS, IN_FLIGHT, PORT = 0.2, 256, 18_733
ROUNDS = 3  # of the bare loop and of ours, in turns; the median counts
PEERS_ENV = ROOT / ".venv-peers-teacher"
PEERS_WANT = ("data-designer==0.9.6", "openai==3.54.0")
OF_BARE, OF_DATA_DESIGNER, CACHED = 0.75, 3.0, 20_000


@contextmanager
def server() -> Iterator[str]:
    """Yield the base URL of a fixed-latency server in a process of its own."""
    command = [sys.executable, str(ROOT / "benchmarks" / "fixed_latency_server.py"), str(PORT), str(SECONDS)]
    process = subprocess.Popen(command)
    url = f"http://127.0.0.1:{PORT}"
    try:
        for _ in range(100):
            if process.poll() is not None:
                raise Failed(f"the server on port {PORT} ended at once; is the port taken?")
            try:
                stats(url)
                break
            except OSError:
                time.sleep(0.1)
        yield f"{url}/v1"
    finally:
        process.terminate()
        process.wait()


def stats(url: str) -> dict[str, Any]:
    """Return the server's counts since the last call."""
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/stats", timeout=5) as reply:
        found: dict[str, Any] = json.load(reply)
        return found


def ask(command: list[str], url: str, rows: int, folder: Path) -> float:
    """Return the rows a second of a client in a process of its own; every row must have had its reply."""
    whole = [*command, url, str(rows), str(IN_FLIGHT), str(folder)]
    done = subprocess.run(whole, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)} ended with exit code {done.returncode}")
    found = json.loads(done.stdout.splitlines()[-1])
    if found["rows"] % rows or not found["rows"]:
        raise Failed(f"{' '.join(command)} got {found['rows']} replies, not {rows}")
    return float(found["rows"] / found["seconds"])


def ours(client: str) -> list[str]:
    """Return the command of one of our clients."""
    return [sys.executable, "-m", "benchmarks.teacher_rows", client]


def peers_python() -> str:
    """Return the Python of the peers' environment, made unless it is there."""
    python = PEERS_ENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS_ENV)], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", *PEERS_WANT]
    if subprocess.run(pip, check=False).returncode:
        raise Failed(f"{' and '.join(PEERS_WANT)} could not be installed in {PEERS_ENV}; go without: --skip-peers")
    return str(python)


def measure(rows: int, *, peers: bool) -> dict[str, float]:
    """Return the rows a second of each client."""
    python = peers_python() if peers else ""
    folder = ROOT / "benchmarks" / "peers"
    with server() as url, TemporaryDirectory(prefix="factory-bench-") as scratch:
        turns: dict[str, list[float]] = {"aiohttp": [], "factory": [], "cached": []}
        for turn in range(ROUNDS):
            for client, found in turns.items():
                found.append(ask(ours(client), url, rows, Path(scratch) / str(turn)))
        out = {client: statistics.median(found) for client, found in turns.items()}
        if peers:
            out["openai"] = ask([python, str(folder / "openai_rows.py")], url, rows, Path(scratch))
            stats(url)
            ask([python, str(folder / "data_designer_rows.py")], url, rows, Path(scratch))
            seen = stats(url)  # from its first request to its last reply: its own profiling is not counted
            out["data-designer"] = seen["requests"] / (seen["last"] - seen["first"])
        return out


def bars(rates: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return what was asked for beside what was found."""
    asked = {
        "of_aiohttp": {"at_least": OF_BARE, "found": round(rates["factory"] / rates["aiohttp"], 3)},
        "cached_per_s": {"at_least": CACHED, "found": round(rates["cached"])},
    }
    if "data-designer" in rates:
        found = round(rates["factory"] / rates["data-designer"], 2)
        asked["of_data_designer"] = {"at_least": OF_DATA_DESIGNER, "found": found}
    return asked


def benchmark(rows: int, *, peers: bool) -> dict[str, Any]:
    """Return the summary, after the table was printed."""
    cores = use_two_cores()
    rates = measure(rows, peers=peers)
    ideal = IN_FLIGHT / SECONDS
    print(f"{'client':<16}{'rows/s':>10}{'of the limit':>14}   ({IN_FLIGHT} in flight / {SECONDS} s = {ideal:,.0f})")
    for client, rate in rates.items():
        share = "" if client == "cached" else f"{rate / ideal:>14.2f}"
        print(f"{client:<16}{rate:>10,.0f}{share}")
    asked = bars(rates)
    return {
        "bench": "teacher_overhead",
        "value": round(rates["factory"]),
        "unit": "rows/s",
        "ratios": {name: round(rates["factory"] / rate, 3) for name, rate in rates.items() if name != "factory"},
        "bars": asked,
        "ok": all(bar["found"] >= bar["at_least"] for bar in asked.values()),
        "rows": rows,
        "machine": machine(cores),
    }


def main() -> int:
    """Return the exit code: 0 when everything was measured, whether or not the bars are met."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.teacher_overhead", description="The client's overhead.")
    parser.add_argument("--rows", type=int, default=3_000, help="requests of each client")
    parser.add_argument("--skip-peers", action="store_true", help="measure neither openai nor Data Designer")
    given = parser.parse_args()
    try:
        print(json.dumps(benchmark(given.rows, peers=not given.skip_peers)))
    except Failed as problem:
        print(f"benchmarks.teacher_overhead: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
