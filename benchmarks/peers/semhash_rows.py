"""What SemHash says of pairs, and how fast it is: semhash_rows.py MODEL_FOLDER TASK.json; prints JSON.

Runs in an environment of its own. TASK holds `pairs` [[first, second], ...], `texts` and `threshold`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from model2vec import StaticModel
from semhash import SemHash

LOWEST = 0.05


def similarity(model: StaticModel, first: str, second: str) -> float:
    if first == second:
        return 1.0
    found = SemHash.from_records([first, second], model=model).self_deduplicate(threshold=LOWEST)
    return max((float(row.score) for row in found.filtered), default=0.0)


def main() -> None:
    model = StaticModel.from_pretrained(sys.argv[1])
    task = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    scores = [similarity(model, *pair) for pair in task["pairs"]]
    started = time.perf_counter()
    kept = SemHash.from_records(task["texts"], model=model).self_deduplicate(threshold=task["threshold"])
    print(json.dumps({"scores": scores, "seconds": time.perf_counter() - started, "kept": len(kept.selected)}))


if __name__ == "__main__":
    main()
