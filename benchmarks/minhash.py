"""How fast near copies are found, and how surely: python -m benchmarks.minhash [--rows N] [--skip-peers].

Synthetic texts, a fifth of them edited copies, from Parquet to kept Parquet: 5-word shingles, 128 permutations,
threshold 0.8. Prints a table and, as its last line, one JSON object. benchmarks/README.md says what each line means.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.generate import machine, use_two_cores
from benchmarks.near_duplicate_corpus import near_duplicate_corpus
from factory.dedupe.near import MinHashSpec, near_duplicates, sign_params, sign_rows
from factory.dedupe.signatures import banding_for
from schemas.curation import ROWS

SPEC = MinHashSpec(fields="answer")
SHARDS = (10_000, 25_000, 100_000)
ROUNDS = 3  # of ours and of rensa: the best counts

AT_LEAST, AIM = 40_000, 80_000  # texts/s
OF_RENSA, OF_DATASKETCH = 1.2, 12.0
RECALL, SIMILAR = 0.99, 0.85

ABOUT = """\
factory     shingles in Polars and NumPy, signs with rensa shard by shard on two threads, finds candidates by their
            bands, compares the exact shingle sets of each, keeps greedily in order and writes the kept rows.
rensa       shingles in Python, signs and bands in Rust; every row that shares a band with another is flagged. Nothing
            is verified: the rows it would keep are those without a flag.
datasketch  shingles in Python, one MinHash a text, one query and insert a text. Nothing is verified."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one way of deduplicating kept of a corpus, and in how many seconds."""

    kept: frozenset[int]
    seconds: float
    copies: pl.DataFrame | None = None  # row, twin, similarity


def ours(source: Path, out: Path, shard: int = SHARDS[0], threads: int = 2) -> Found:
    """Return what the factory keeps, written to a file."""
    began = time.perf_counter()
    corpus = pl.read_parquet(source)
    params = sign_params(SPEC)
    shards = [as_rows(corpus.slice(start, shard), start) for start in range(0, corpus.height, shard)]
    with ThreadPoolExecutor(threads) as pool:
        signed = list(pool.map(lambda rows: sign_rows(rows, params), shards))
    copies = near_duplicates(signed, shards, SPEC)
    return write(corpus, copies["row"], out, began, copies)


def write(corpus: pl.DataFrame, gone: pl.Series, out: Path, began: float, copies: pl.DataFrame | None = None) -> Found:
    """Return what is kept after it is written."""
    kept = np.ones(corpus.height, dtype=np.bool_)
    kept[gone.to_numpy()] = False
    corpus.filter(pl.Series(kept)).write_parquet(out, compression="zstd", compression_level=1, statistics=False)
    seconds = time.perf_counter() - began
    return Found(frozenset(np.flatnonzero(kept).tolist()), seconds, copies)


def as_rows(part: pl.DataFrame, first: int) -> pl.DataFrame:
    """Return texts as ROWS, their number from `first` on."""
    said = {
        "id": pl.col("id"),
        "row": pl.int_range(first, first + part.height, dtype=pl.Int64),
        "answer": pl.col("text"),
    }
    return part.select(
        said[name].alias(name) if name in said else pl.lit("" if dtype == pl.String() else None).cast(dtype).alias(name)
        for name, dtype in ROWS.columns.items()
    )


def rensa_alone(source: Path, out: Path) -> Found:
    """Return what rensa does not flag; its own way for whole sets, with shingles made in Python."""
    from rensa import RMinHash, RMinHashLSH

    began = time.perf_counter()
    corpus = pl.read_parquet(source)
    sets = [list(shingles(text)) for text in corpus["text"].to_list()]
    matrix = RMinHash.digest_matrix_from_token_sets(sets, SPEC.permutations, 42)
    index = RMinHashLSH(SPEC.threshold, SPEC.permutations, banding_for(SPEC.threshold, SPEC.permutations).bands)
    flags = index.query_duplicate_flags_matrix_one_shot(matrix)
    return write(corpus, pl.Series(np.flatnonzero(flags)), out, began)


def datasketch_alone(source: Path, out: Path) -> Found:
    """Return what datasketch's index does not know yet, text by text."""
    from datasketch import MinHash, MinHashLSH

    began = time.perf_counter()
    corpus = pl.read_parquet(source)
    banding = banding_for(SPEC.threshold, SPEC.permutations)
    index = MinHashLSH(num_perm=SPEC.permutations, params=(banding.bands, banding.rows))
    gone = []
    for row, text in enumerate(corpus["text"].to_list()):
        signature = MinHash(num_perm=SPEC.permutations)
        signature.update_batch([shingle.encode() for shingle in shingles(text)])
        if index.query(signature):
            gone.append(row)
        else:
            index.insert(row, signature)
    return write(corpus, pl.Series(gone, dtype=pl.Int64), out, began)


def shingles(text: str) -> set[str]:
    """Return the 5-word shingles of a text, by Python alone."""
    words = text.split()
    return {" ".join(words[i : i + SPEC.size]) for i in range(max(1, len(words) - SPEC.size + 1))}


def jaccard(one: set[str], two: set[str]) -> float:
    """Return the similarity of two sets."""
    return len(one & two) / len(one | two)


def true_pairs(corpus: pl.DataFrame) -> tuple[list[tuple[int, int]], dict[int, set[str]]]:
    """Return all pairs of similar texts that come of one original, and the shingles of all texts that have a copy.

    Texts of different originals are drawn word by word from 30,000: they share no run of five words to speak of.
    """
    root: list[int] = []
    family: dict[int, list[int]] = defaultdict(list)
    for row, source in enumerate(corpus["src"].to_list()):
        root.append(row if source < 0 else root[source])
        family[root[-1]].append(row)
    texts = corpus["text"]
    sets = {row: shingles(texts[row]) for rows in family.values() if len(rows) > 1 for row in rows}
    pairs = (pair for rows in family.values() for pair in combinations(rows, 2))
    return [(a, b) for a, b in pairs if jaccard(sets[a], sets[b]) >= SIMILAR], sets


def quality(corpus: pl.DataFrame, found: Found) -> dict[str, float]:
    """Return how many similar pairs share a band and are told apart, and how many drops are right, by sets alone."""
    pairs, sets = true_pairs(corpus)
    keys = np.stack(sign_rows(as_rows(corpus, 0), sign_params(SPEC))["bands"].to_list())
    left, right = np.array(pairs).T
    banded = (keys[left] == keys[right]).any(axis=1)
    parted = [not (a in found.kept and b in found.kept) for a, b in pairs]
    right_drops = [
        twin in found.kept and twin < row and value == jaccard(sets[row], sets[twin]) and value >= SPEC.threshold
        for row, twin, value in (found.copies if found.copies is not None else pl.DataFrame()).iter_rows()
    ]
    return {
        "pairs": len(pairs),
        "recall": float(banded.mean()),
        "parted": float(np.mean(parted)),
        "precision": float(np.mean(right_drops)),
    }


def best(run: Callable[[Path, Path], Found], source: Path, out: Path, rounds: int) -> Found:
    """Return the fastest of some rounds."""
    return min((run(source, out) for _ in range(rounds)), key=lambda found: found.seconds)


def benchmark(rows: int, peers: bool) -> dict[str, Any]:
    """Return the summary, after the table was printed."""
    cores = use_two_cores()
    with tempfile.TemporaryDirectory(prefix="factory-bench-") as folder:
        source, out = Path(folder, "corpus.parquet"), Path(folder, "kept.parquet")
        corpus = near_duplicate_corpus(rows)
        corpus.write_parquet(source)
        found = {"factory": best(ours, source, out, ROUNDS)}
        if peers:
            found["rensa"] = best(rensa_alone, source, out, ROUNDS)
            found["datasketch"] = best(datasketch_alone, source, out, 1)
        same = all(ours(source, out, shard, threads=1).kept == found["factory"].kept for shard in SHARDS)
    tell(found, rows)
    return summary(found, rows, quality(corpus, found["factory"]), same, cores)


def tell(found: dict[str, Found], rows: int) -> None:
    """Print the table."""
    print(f"{'':12}{'kept':>10}{'seconds':>9}{'texts/s':>10}")
    for name, one in found.items():
        print(f"{name:12}{len(one.kept):>10,}{one.seconds:>9.2f}{rows / one.seconds:>10,.0f}")
    print("\n" + ABOUT + "\n")


def summary(found: dict[str, Found], rows: int, measured: dict[str, float], same: bool, cores: int) -> dict[str, Any]:
    """Return the last line."""
    mine = found["factory"].seconds
    ratios = {name: round(one.seconds / mine, 2) for name, one in found.items() if name != "factory"}
    bars: dict[str, list[float]] = {
        "texts_per_s": [round(rows / mine), AT_LEAST],
        "recall": [round(measured["recall"], 5), RECALL],
        "precision": [measured["precision"], 1.0],
        "same_kept_whatever_the_shards": [float(same), 1.0],
    }
    asked = {"rensa": OF_RENSA, "datasketch": OF_DATASKETCH}
    bars |= {f"times_{name}": [ratio, asked[name]] for name, ratio in ratios.items()}
    return {
        "bench": "minhash",
        "value": round(rows / mine),
        "unit": "texts/s",
        "ratios": ratios,
        "bars": bars,
        "ok": all(value >= bar for value, bar in bars.values()),
        "aim": AIM,
        "rows": rows,
        "dropped": rows - len(found["factory"].kept),
        "similar_pairs": measured["pairs"],
        "similar_pairs_parted": round(measured["parted"], 5),
        "machine": machine(cores),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.minhash", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--skip-peers", action="store_true", help="measure no peers")
    given = parser.parse_args(arguments)
    if given.rows < 1_000:
        parser.error(f"--rows must be at least 1,000; found {given.rows}")
    print(json.dumps(benchmark(given.rows, not given.skip_peers)))


if __name__ == "__main__":
    main()
