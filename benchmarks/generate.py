"""How fast rows are generated, and in how much memory: python -m benchmarks.generate [--rows N] [--small N].

Prints a table and, as its last line, one JSON object. benchmarks/README.md says what each line means.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from benchmarks.tree_memory import Peak, end, watch

ROOT = Path(__file__).resolve().parent.parent
CORES = 2
GIB = 2**30

PEERS_ENV = ROOT / ".venv-peers"
PEERS_SCRIPT = ROOT / "benchmarks" / "peers" / "reasoning_gym_rows.py"
PEERS_WANT = "reasoning-gym==0.1.25"
PEERS = ("gsm_symbolic", "string_manipulation")
PEER_ROWS = 100_000

AT_LEAST, AIM = 10_000, 25_000  # rows/s
BELOW_GIB = 2.0
FLAT = 1.2  # peak of the large run over the peak of the small one

OURS = """\
factory        plans skills and levels, draws 1 to 8 linked steps, recomputes every gold from the stored tree, scores
               the gold, a whole reply and four wrong answers, drops repeated problems, repeated prompts and rows over
               a cap, draws again until every slot is filled, and writes durable Parquet (samples and all before them).
               Timed from the start of its process."""
THEIRS = """
reasoning-gym  draws one question, scores its own answer once, and writes JSON lines (question, answer, metadata). No
               gate, no second derivation of the answer, no dedupe: rows that repeat a question stay. Timed from when
               its two processes have imported everything."""


class Failed(Exception):
    """A part of the benchmark could not be run; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One measured run. `accepted` rows were written in `seconds` of wall time."""

    name: str
    accepted: int
    seconds: float
    peak: Peak
    distinct: int  # prompts
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Return the accepted rows per second."""
        return self.accepted / self.seconds


def measure_ours(rows: int) -> Measured:
    """Return the run of a build, timed from the start of its process to its last sample Parquet."""
    began = time.monotonic()
    found, peak = run_aside([sys.executable, "-m", "benchmarks.build_rows", str(rows)], f"the build of {rows} rows")
    seconds = found["ended"] - began
    return Measured(f"factory {rows:,}", found["accepted"], seconds, peak, found["distinct"], found["stages"])


def measure_peer(dataset: str) -> Measured:
    """Return the run of one reasoning-gym generator, timed from when its two processes were ready."""
    command = [str(peers_python()), str(PEERS_SCRIPT), dataset, str(PEER_ROWS)]
    found, peak = run_aside(command, f"the peer {dataset}")
    return Measured(f"reasoning-gym {dataset}", found["accepted"], found["seconds"], peak, found["distinct"])


def run_aside(command: Sequence[str], what: str) -> tuple[dict[str, Any], Peak]:
    """Return what a command printed as JSON and its peak memory; it gets a fresh folder, which is removed after it."""
    print(f"running {what} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="factory-bench-") as folder:
        # A session of its own: Ctrl-C reaches this process alone, which then ends the other one.
        process = subprocess.Popen(
            [*command, folder], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            peak = watch(process)
            printed = process.communicate()[0]
        finally:
            end(process)
    if process.returncode:
        raise Failed(f"{what} ended with exit code {process.returncode}; what it said is above")
    return json.loads(printed), peak


def peers_python() -> Path:
    """Return the Python of the peers' environment."""
    return PEERS_ENV / "bin" / "python"


def install_peers() -> None:
    """Make the peers' environment, unless it is there."""
    if not (PEERS_ENV / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS_ENV)], check=True)
    pip = [str(peers_python()), "-m", "pip", "--disable-pip-version-check", "install", "-q", PEERS_WANT]
    if subprocess.run(pip, check=False).returncode:
        raise Failed(f"{PEERS_WANT} could not be installed in {PEERS_ENV}; go without it: --skip-peers")


def use_two_cores() -> int:
    """Return on how many cores this process and all it starts will run: two, or the one there is."""
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    return len(os.sched_getaffinity(0))


def bars(large: Measured, small: Measured) -> dict[str, dict[str, float]]:
    """Return what was asked for beside what was found."""
    return {
        "rows_per_s": {"at_least": AT_LEAST, "aim": AIM, "found": round(large.rate)},
        "peak_gib": {"below": BELOW_GIB, "found": round(large.peak.tree / GIB, 3)},
        "flat": {"at_most": FLAT, "found": round(large.peak.tree / small.peak.tree, 3)},
    }


def met(asked: dict[str, dict[str, float]]) -> bool:
    """Return whether every bar is met."""
    rate, peak, flat = asked["rows_per_s"], asked["peak_gib"], asked["flat"]
    return rate["found"] >= rate["at_least"] and peak["found"] < peak["below"] and flat["found"] <= flat["at_most"]


def tell(runs: Sequence[Measured], asked: dict[str, dict[str, float]]) -> None:
    """Print the runs, where the time of the largest went, and the bars."""
    print(f"{'run':<34}{'rows':>11}{'distinct':>11}{'seconds':>9}{'rows/s':>9}{'tree GiB':>10}{'largest GiB':>13}")
    for run in runs:
        tree, process = run.peak.tree / GIB, run.peak.process / GIB
        print(
            f"{run.name:<34}{run.accepted:>11,}{run.distinct:>11,}{run.seconds:>9.1f}{run.rate:>9,.0f}"
            f"{tree:>10.2f}{process:>13.2f}"
        )
    print(f"(tree: peak {runs[0].peak.measure} of all processes of a run; largest: peak RSS of one of them)\n")
    print(OURS + (THEIRS if len(runs) > 2 else "") + "\n")
    large = max((run for run in runs if run.stages), key=lambda run: run.accepted)
    for name, stage in large.stages.items():
        print(f"{name:<10}{stage['rows_in']:>12,} in{stage['rows_out']:>12,} out{stage['seconds']:>9.1f} s waited for")
    print("(draw is draw and verify together: one task on a worker does both)\n")
    for name, bar in asked.items():
        print(f"{name:<12}" + ", ".join(f"{key.replace('_', ' ')} {value:,}" for key, value in bar.items()))


def machine(cores: int) -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "cores": cores,
        "cores_found": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "python": platform.python_version(),
        "polars": version("polars"),
        "system": f"{platform.system()} {platform.machine()}",
    }


def benchmark(rows: int, small: int, peers: Sequence[str]) -> dict[str, Any]:
    """Return the summary of a whole benchmark, after its table was printed."""
    cores = use_two_cores()
    if peers:
        install_peers()
    few, many = measure_ours(small), measure_ours(rows)
    others = {name: measure_peer(name) for name in peers}
    asked = bars(many, few)
    tell([few, many, *others.values()], asked)
    return {
        "bench": "generate",
        "value": round(many.rate),
        "unit": "rows/s",
        "ratios": {peer.name: round(many.rate / peer.rate, 3) for peer in others.values()},
        "bars": asked,
        "ok": met(asked),
        "rows": many.accepted,
        "machine": machine(cores),
    }


def read_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the large build")
    parser.add_argument("--small", type=int, default=100_000, help="rows of the small build, for the memory ratio")
    parser.add_argument("--skip-peers", action="store_true", help="measure no peers")
    given = parser.parse_args()
    if not 0 < given.small <= given.rows:
        parser.error(f"--small must be from 1 to --rows; found --small {given.small} and --rows {given.rows}")
    return given


def main() -> int:
    """Return the exit code: 0 when everything was measured, whether or not the bars are met."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that folders are removed and processes ended
    given = read_arguments()
    try:
        summary = benchmark(given.rows, given.small, () if given.skip_peers else PEERS)
    except KeyboardInterrupt:
        print("stopped; nothing was left behind", file=sys.stderr)
        return 130
    except Failed as problem:
        print(f"benchmarks.generate: {problem}", file=sys.stderr)
        return 1
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
