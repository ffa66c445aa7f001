"""How many rows a second the filters read: python -m benchmarks.filters [--rows N].

Rows of 60 words (12 of the instruction, 48 of the answer) drawn from fixed words, one in a hundred spoilt in a way that
some rule must see. Prints rows a second of each rule and, as its last line, one JSON object. benchmarks/README.md says
what each line means.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import polars as pl

from benchmarks.generate import machine, use_two_cores
from factory.artifacts.digest import Rng, row_rng
from factory.gates import text
from factory.gates.filters import FiltersSpec, filter_rows, read_rows
from factory.gates.language import measure_languages
from factory.gates.pii import PiiSpec, measure_pii
from schemas.curation import ROWS

AT_LEAST = 25_000  # rows/s over the default rules
SHARD = 50_000
WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which "
    "one you were her all there would their we him been has when who will more if out so said what up its about into "
    "than them can only other new some could time these two may then do first any my now such like our over man even "
    "river bridge market engine letter garden winter captain village copper orchard lantern harbour teacher kitchen "
    "question moment evening window mountain number system water morning country problem reason result power history "
    "measure colour animal machine picture voice summer island doctor student paper leather silver forest simple early "
    "carried opened followed turned asked remained began allowed returned noticed wondered crossed painted repaired"
).split()
SPOILT: tuple[Callable[[str], str], ...] = (
    lambda answer: f"Sure! Here is the answer: {answer}",
    lambda answer: answer[: len(answer) // 2],
    lambda answer: f"{answer[:80]}. " * 5,
    lambda answer: f"{answer} [/INST]",
    lambda answer: answer.upper(),
    lambda answer: answer.replace(" the ", " thâ€™ "),
    lambda answer: "",
)


def sentence(rng: Rng, n: int, end: str) -> str:
    """Return a sentence of n words."""
    return " ".join(rng.pick(WORDS) for _ in range(n)).capitalize() + end


def make_rows(n: int) -> pl.DataFrame:
    """Return ROWS of 60 words each."""
    instructions, answers = [], []
    for i in range(n):
        rng = row_rng(1, "benchmark", f"filters-{i}")
        answer = " ".join(sentence(rng, 12, ".") for _ in range(4))
        answers.append(SPOILT[i // 100 % len(SPOILT)](answer) if i % 100 == 0 else answer)
        instructions.append(sentence(rng, 12, "?"))
    empty = {name: "" if dtype == pl.String else None for name, dtype in ROWS.columns.items()}
    columns = {name: pl.lit(value, dtype=ROWS.columns[name]) for name, value in empty.items()}
    frame = pl.DataFrame({"instruction": instructions, "answer": answers, "row": range(n)})
    frame = frame.with_columns(id=pl.format("r{}", "row"))
    return frame.with_columns(**{k: v for k, v in columns.items() if k not in frame.columns}).select(*ROWS.columns)


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """Return the least wall time of some runs."""
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def by_rule(frame: pl.DataFrame) -> dict[str, float]:
    """Return the seconds of each part, over one shard: reading the texts, then rule by rule."""
    spec = FiltersSpec()
    read = read_rows(frame, spec)
    out = {"(reading)": seconds(lambda: read_rows(frame, spec, ngrams=False))}
    out["(n-grams)"] = seconds(lambda: read_rows(frame, spec)) - out["(reading)"]
    for name, rule in spec.wanted().items():
        out[name] = seconds(lambda rule=rule, name=name: text.find_broken(read, {name: rule}))  # type: ignore[misc]
    out["(languages)"] = seconds(lambda: measure_languages([(frame, frame["row"] >= 0)], frame.height))
    out["(personal data)"] = seconds(lambda: measure_pii(frame, PiiSpec()))
    return out


def benchmark(rows: int) -> dict[str, Any]:
    """Return the summary, after the table was printed."""
    cores = use_two_cores()
    frame = make_rows(rows)
    shard = frame.head(SHARD)
    print(f"{'part':28}{'rows/s':>12}")
    for name, took in by_rule(shard).items():
        print(f"{name:28}{shard.height / max(took, 1e-9):>12,.0f}")
    params = FiltersSpec().model_dump(mode="json")
    shards = list(frame.iter_slices(SHARD))
    rejected: list[int] = []

    def run() -> None:
        rejected[:] = [filter_rows(part, params).filter(pl.col("reasons").list.len() > 0).height for part in shards]

    rate = rows / seconds(run, 2)
    print(f"\n{rows:,} rows, {sum(rejected):,} rejected, {rate:,.0f} rows/s in one process")
    bars = {"rows_per_s": [round(rate), AT_LEAST]}
    return {
        "bench": "filters",
        "value": round(rate),
        "unit": "rows/s",
        "ratios": {},
        "bars": bars,
        "ok": all(found >= asked for found, asked in bars.values()),
        "rows": rows,
        "rejected": sum(rejected),
        "machine": machine(cores),
    }


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.filters", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    given = parser.parse_args()
    if given.rows < 1:
        parser.error(f"--rows must be at least 1; found {given.rows}")
    print(json.dumps(benchmark(given.rows)))


if __name__ == "__main__":
    main()
