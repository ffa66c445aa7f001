"""Write rows of a reasoning-gym generator as JSON lines, with two processes, as its users do: draw, score, write.

python reasoning_gym_rows.py DATASET ROWS FOLDER     prints one JSON object; runs in the peers' own environment

Only the standard library and reasoning-gym are here. Start-up is not timed: the clock starts when both processes have
imported everything and drawn one row.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

WORKERS = 2
SEED = 1
PATIENCE = 120.0  # seconds that one process waits for the other to be ready

Span = tuple[float, float]
_ready: Any = None  # the barrier that both processes wait at


def write_rows(name: str, rows: int, part: int, path: Path) -> Span:
    """Return when one part of the rows was begun and ended; rows whose own answer scores below 1 stay out."""
    import reasoning_gym  # type: ignore[import-not-found]

    dataset = reasoning_gym.create_dataset(name, size=rows, seed=SEED)
    indices = range(rows * part // WORKERS, rows * (part + 1) // WORKERS)
    dataset[indices[0]]  # generators are loaded on first use
    _ready.wait(PATIENCE)
    began = time.monotonic()
    with path.open("w", encoding="utf-8") as file:
        for i in indices:
            row = dataset[i]
            if dataset.score_answer(row["answer"], row) == 1.0:
                file.write(json.dumps(row, default=str) + "\n")
    return began, time.monotonic()


def _share(ready: Any) -> None:
    global _ready
    _ready = ready


def measure(name: str, rows: int, folder: Path) -> dict[str, Any]:
    """Return rows accepted, the seconds that writing them took, and how many of the questions are distinct."""
    context = multiprocessing.get_context("spawn")
    paths = [folder / f"{name}-{part}.jsonl" for part in range(WORKERS)]
    with ProcessPoolExecutor(WORKERS, context, _share, (context.Barrier(WORKERS),)) as pool:
        spans = list(pool.map(write_rows, [name] * WORKERS, [rows] * WORKERS, range(WORKERS), paths))
    seconds = max(ended for _, ended in spans) - min(began for began, _ in spans)
    questions = [json.loads(line)["question"] for path in paths for line in path.open(encoding="utf-8")]
    return {"accepted": len(questions), "seconds": seconds, "distinct": len(set(questions))}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
