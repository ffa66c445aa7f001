"""How many planted leaks are found, and how fast: python -m benchmarks.decontamination [--rows N] [--skip-speed].

4,000 benchmark texts are planted in rows as they are, lightly edited, reordered, with other numbers and paraphrased;
100,000 unrelated rows, half of which share openings with the benchmark, show false alarms; a million rows are compared
with 20,000 texts on two cores. Prints tables and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.decontamination_texts import prose_question, unrelated, with_boilerplate, word_problem
from benchmarks.generate import machine, use_two_cores
from factory.artifacts.digest import row_rng
from factory.artifacts.store import Store
from factory.gates.benchmarks_read import Book, make_book
from factory.gates.decontaminate import LEVELS, DecontaminateSpec, find_hits, rejecting
from factory.gates.leaks import rows_of, self_test
from factory.selection.embedders import Embedder, embedder_of
from schemas.curation import ROWS

SEED = 5
EACH = 2_000  # texts of each sort
SHARD = 50_000
SPEED_TEXTS = 20_000
LEAST = {"verbatim": 1.0, "reordered": 1.0, "edited": 0.98}
FALSE_ALARMS, SECONDS = 0.001, 40.0
MEANING: dict[str, Any] = {"embedder": "minilm", "threshold": 0.8}
MEANT = 100  # texts of each sort, since it is slow
PARAPHRASES = Path(__file__).resolve().parent.parent / "tests" / "data" / "leaks" / "paraphrases.jsonl"


def spec(semantic: dict[str, Any] | None = None) -> DecontaminateSpec:
    return DecontaminateSpec.model_validate({"benchmarks": [{"name": "x", "path": "x"}], "semantic": semantic})


def texts_of(columns: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Return BENCHMARK_TEXTS of named lists."""
    frames = [
        pl.DataFrame({"against": name, "place": map(str, range(len(texts))), "part": "question", "text": texts})
        for name, texts in columns.items()
    ]
    return pl.concat(frames)


def by_hand(store: Store, embedder: Embedder | None) -> dict[str, int]:
    """Return how many paraphrases that people wrote are caught of their own text, and of how many."""
    pairs = [json.loads(line) for line in PARAPHRASES.read_text().splitlines()]
    book = make_book(texts_of({"by-hand": [pair["text"] for pair in pairs]}), store)
    rows = rows_of([("by-hand", pair["paraphrase"], "") for pair in pairs]).drop("against")
    hits = find_hits(rows, spec(MEANING if embedder else None).params(), book=book, embedder=embedder)
    own = hits.filter(pl.col("place") == pl.col("row").cast(pl.String))
    return {"planted": len(pairs), "caught": own["row"].n_unique()}


def with_meanings(columns: Mapping[str, Sequence[str]], store: Store, cache: Path) -> dict[str, Any]:
    """Return what the semantic level adds: the self-test of fewer texts, paraphrases by people, false alarms."""
    embedder = embedder_of(MEANING["embedder"], cache)
    params = spec(MEANING).params()
    book = make_book(texts_of({name: texts[:MEANT] for name, texts in columns.items()}), store)
    tell(f"and meanings ({MEANING['embedder']}), {2 * MEANT} texts", self_test(book, params, SEED, embedder=embedder))
    rows = rows_of([("", unrelated(n), "") for n in range(MEANT)]).drop("against")
    alarms = find_hits(rows, params, book=book, embedder=embedder)["row"].n_unique() / MEANT
    return {"by_hand": by_hand(store, embedder), "false_alarms": alarms}


def false_alarms(book: Book, rows: int) -> float:
    """Return the share of unrelated rows that would be rejected."""
    params, caught = spec().params(), 0
    for start in range(0, rows, SHARD):
        texts = [unrelated(n) for n in range(start, min(rows, start + SHARD), 2)]
        answers = [unrelated(n + 1) for n in range(start, min(rows, start + SHARD), 2)]
        frame = rows_of([("", *pair) for pair in zip(texts, answers, strict=True)]).drop("against")
        hits = find_hits(frame, params, book=book)
        caught += hits.filter(pl.col("level").is_in(rejecting(params)))["row"].n_unique()
    return caught / (rows / 2)


def _rejected(texts: Sequence[str], book: Book) -> int:
    params = spec().params()
    hits = find_hits(rows_of([("", text, "") for text in texts]).drop("against"), params, book=book)
    return hits.filter(pl.col("level").is_in(rejecting(params)))["row"].n_unique()


def speed(rows: int, folder: Path, *, kin: bool) -> dict[str, float]:
    """Return the seconds that two processes take to compare rows of 60 words with 20,000 texts, Parquet to hits.

    With `kin` half of every row is made of the benchmark's own sentences with other words, so that much has to be
    looked at closely; without, rows and benchmark share nothing but openings.
    """
    problems = [word_problem(n) for n in range(SPEED_TEXTS)]
    book = make_book(texts_of({"speed": problems}), Store(folder))
    pool = pl.Series([f"{_start(n, kin=kin)} {unrelated(n)} {unrelated(n + 1)}" for n in range(SHARD)])
    words = pool.str.split(" ").list.head(60)
    shards = []
    for number in range(-(-rows // SHARD)):
        frame = rows_of([("", text, "") for text in words.list.join(" ").sample(SHARD, shuffle=True, seed=number)])
        shards.append(folder / f"rows-{number}.parquet")
        frame.select(*ROWS.columns).write_parquet(shards[-1])
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as engine:
        list(engine.map(abs, range(8)))
        began = time.perf_counter()
        hits = sum(engine.map(_hits, shards, [book] * len(shards)))
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "hits": hits, "rows": len(shards) * SHARD, "mean_words": float(words.list.len().mean())}  # type: ignore[arg-type]


def _start(number: int, *, kin: bool) -> str:
    return word_problem(10**6 + number) if kin else f"{unrelated(2 * number)} {unrelated(2 * number + 1)}"


def _hits(path: Path, book: Book) -> int:
    return find_hits(pl.read_parquet(path), spec().params(), book=book).height


def tell(title: str, found: Sequence[dict[str, Any]]) -> None:
    print(
        f"\n{title}\n{'kind':18}{'planted':>9}"
        + "".join(f"{level:>13}" for level in LEVELS)
        + f"{'any':>9}{'rejected':>10}"
    )
    for one in found:
        n = max(1, one["planted"])
        shares = "".join(f"{one['caught'][level] / n:>13.1%}" for level in LEVELS)
        print(f"{one['kind']:18}{one['planted']:>9,}{shares}{one['any'] / n:>9.1%}{one['rejected'] / n:>10.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the speed run")
    parser.add_argument("--unrelated", type=int, default=100_000)
    parser.add_argument("--skip-speed", action="store_true")
    parser.add_argument("--skip-semantic", action="store_true")
    args = parser.parse_args()
    cores = use_two_cores()
    rng = row_rng(SEED, "benchmark", "openings")
    sorts = {"word-problems": word_problem, "prose-questions": prose_question}
    with tempfile.TemporaryDirectory(prefix="factory-bench-") as name:
        folder = Path(name)
        columns = {title: [with_boilerplate(make(n), rng) for n in range(EACH)] for title, make in sorts.items()}
        book = make_book(texts_of(columns), Store(folder))
        found = self_test(book, spec().params(), SEED, most=2 * EACH)
        tell("words alone", found)
        print(f"\nparaphrases by people: {by_hand(Store(folder), None)}")
        if not args.skip_semantic:
            print(f"with meanings: {with_meanings(columns, Store(folder), folder)}")
        siblings = [word_problem(n) for n in range(10**6, 10**6 + EACH)]
        print(f"new problems of the benchmark's own kind: {_rejected(siblings, book) / EACH:.2%} rejected")
        alarms = false_alarms(book, args.unrelated)
        print(f"false alarms: {alarms:.4%} of {args.unrelated // 2:,} rows ({args.unrelated:,} texts)")
        timed = {} if args.skip_speed else speed(args.rows, folder, kin=False)
        print(f"speed: {timed}")
        if timed:
            print(f"speed, rows of the benchmark's own kind: {speed(args.rows // 10, folder, kin=True)}")
    shares = {one["kind"]: round(one["rejected"] / max(1, one["planted"]), 5) for one in found}
    bars = {kind: [shares[kind], least] for kind, least in LEAST.items()} | {"false_alarms": [alarms, FALSE_ALARMS]}
    ok = all(shares[kind] >= least for kind, least in LEAST.items()) and alarms < FALSE_ALARMS
    if timed:
        bars["seconds_a_million"] = [round(timed["seconds"] * 1e6 / timed["rows"], 1), SECONDS]
        ok = ok and bars["seconds_a_million"][0] <= SECONDS
    summary = {
        "bench": "decontamination",
        "value": shares["edited"],
        "unit": "share of light edits caught",
        "ratios": {},
    }
    print(json.dumps(summary | {"bars": bars, "ok": ok, "reported": shares, "machine": machine(cores)}))


if __name__ == "__main__":
    main()
