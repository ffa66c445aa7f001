"""A million rows of 60 words through a curate job: filters, exact and MinHash dedupe, 13-grams of 20,000 questions.

    python -m benchmarks.curation [--rows 1000000] [--small 100000]

Each size runs in a process of its own, `factory run` from Parquet to release, with the workers of this machine; its
time and the peak of its processes together are what count. A fifth of the rows are edited copies, one in 200 holds a
benchmark question, one in 50 breaks a rule.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import yaml

BENCHMARK_ROWS = 20_000
COPIES, LEAKS, LAZY = 0.2, 0.005, 0.02
MINUTES, GIB, GROWTH = 4.0, 6.0, 11.0
SMALL_WORDS = "the a this that every some its their one".split()
JOINS = "near under behind with without before after because although while".split()
REFUSAL = "I'm sorry, but I can't help with that."


class Writer:
    """Writes sentences of common and made-up words: English in form, so that the rules for texts have work to do."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        letters = "etaoinshrdlucmfwypvbgk"
        self.nouns = ["".join(self._rng.choices(letters, k=self._rng.randint(3, 9))) for _ in range(30_000)]
        self.verbs = [f"{noun}s" for noun in self.nouns[:4_000]]

    def clause(self) -> list[str]:
        """Return six words."""
        pick = self._rng.choice
        return [pick(SMALL_WORDS), pick(self.nouns), pick(self.verbs), pick(SMALL_WORDS), pick(self.nouns), pick(JOINS)]

    def text(self, words: int, end: str) -> str:
        """Return sentences of so many words together."""
        out: list[str] = []
        while len(out) < words:
            out += self.clause()
        out = out[:words]
        for i in range(0, words - 4, 12):
            out[i] = out[i].capitalize()
            if i:
                out[i - 1] += "."
        return " ".join(out) + end

    def rows(self, n: int, questions: list[str]) -> pl.DataFrame:
        """Return (instruction, answer) of n rows."""
        rng, asked, answered = self._rng, list[str](), list[str]()
        for row in range(n):
            draw = rng.random()
            if row > 100 and draw < COPIES:
                twin = rng.randrange(row)
                asked.append(asked[twin])
                answered.append(self._edited(answered[twin]))
            elif draw < COPIES + LEAKS:
                asked.append(rng.choice(questions))
                answered.append(self.text(40, "."))
            else:
                asked.append(f"What {self.text(13, '?')}")
                answered.append(REFUSAL if draw > 1 - LAZY else self.text(46, "."))
        return pl.DataFrame({"instruction": asked, "answer": answered})

    def _edited(self, text: str) -> str:
        words = text.split()
        for _ in range(int(len(words) * self._rng.choice((0, 0.02, 0.05, 0.2)))):
            words[self._rng.randrange(len(words) - 1)] = self._rng.choice(self.nouns)
        return " ".join(words)


def write_job(folder: Path, rows: int) -> Path:
    """Return the job file, after its rows and its benchmark are written."""
    writer = Writer(7)
    questions = [writer.text(30, "?") for _ in range(BENCHMARK_ROWS)]
    pl.DataFrame({"question": questions}).write_parquet(folder / "benchmark.parquet")
    writer.rows(rows, questions).write_parquet(folder / "rows.parquet")
    job = {
        "kind": "curate",
        "name": "bench",
        "sources": [{"path": "rows.parquet"}],
        "decontaminate": {"benchmarks": [{"name": "questions", "path": "benchmark.parquet", "columns": ["question"]}]},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    return folder / "job.yaml"


def measure(rows: int, home: Path) -> dict[str, Any]:
    """Return seconds, peak bytes of all processes together, and what `factory run --json` said."""
    folder = home / str(rows)
    folder.mkdir()
    job = write_job(folder, rows)
    command = [sys.executable, "-m", "factory.cli.main", "run", str(job), "--out", str(folder / "out"), "--json"]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak = [0]
        watching = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peak), daemon=True)
        watching.start()
        said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the run of {rows:,} rows ended with {process.returncode}: {said}")
    return {"seconds": time.perf_counter() - start, "peak": peak[0], **json.loads(said.splitlines()[-1])}


def _watch(process: psutil.Process, peak: list[int]) -> None:
    """Keep the peak of the memory that a process and its children hold for themselves."""
    while process.is_running():
        try:
            held = [p.memory_full_info().pss for p in (process, *process.children(recursive=True))]
        except psutil.Error:
            continue
        peak[0] = max(peak[0], sum(held))
        time.sleep(0.2)


def main() -> int:
    """Print the figures; the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        found = {n: measure(n, Path(home)) for n in (given.small, given.rows)}
    for n, told in found.items():
        print(f"{n:,} rows: {told['seconds']:.1f} s, peak {told['peak'] / 2**30:.2f} GiB, {told['rows']:,} kept")
        for stage in told["stages"]:
            print(f"  {stage['name']:<14} {stage['seconds']:>8.1f} s  {stage['rejects']:>9,} rejects")
    large, growth = found[given.rows], found[given.rows]["seconds"] / found[given.small]["seconds"]
    bars = {
        "seconds": [round(large["seconds"], 1), MINUTES * 60],
        "peak_gib": [round(large["peak"] / 2**30, 2), GIB],
        "growth": [round(growth, 2), GROWTH * given.rows / given.small / 10],
    }
    ok = all(measured <= bar for measured, bar in bars.values())
    value = round(given.rows / large["seconds"])
    print(json.dumps({"bench": "curation", "value": value, "unit": "rows/s", "ratios": {}, "bars": bars, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
