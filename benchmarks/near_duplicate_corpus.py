"""Synthetic texts, a fifth of them edited copies: python -m benchmarks.near_duplicate_corpus ROWS OUT.

Texts have 60 to 180 words of a vocabulary of 30,000.
Columns: id, text, src (number of the row it was copied from, -1 for an original). Of a copy's words 0, 1, 3 or 20 % are
replaced.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import polars as pl

LETTERS = "etaoinshrdlucmfwypvbgk"
VOCABULARY, WORD_LENGTH = 30_000, (2, 10)
LENGTH = (60, 180)
COPIES, EDITS = 0.2, (0, 0.01, 0.03, 0.2)
FIRST_COPY = 101


def near_duplicate_corpus(rows: int, seed: int = 1) -> pl.DataFrame:
    """Return the corpus; the same rows for the same arguments."""
    rng = random.Random(seed)
    words = ["".join(rng.choice(LETTERS) for _ in range(rng.randint(*WORD_LENGTH))) for _ in range(VOCABULARY)]
    texts: list[str] = []
    sources: list[int] = []
    for row in range(rows):
        if row >= FIRST_COPY and rng.random() < COPIES:
            sources.append(rng.randrange(row))
            texts.append(_edited(texts[sources[-1]], words, rng))
        else:
            sources.append(-1)
            texts.append(" ".join(rng.choices(words, k=rng.randint(*LENGTH))))
    return pl.DataFrame({"id": [str(row) for row in range(rows)], "text": texts, "src": sources})


def _edited(text: str, words: list[str], rng: random.Random) -> str:
    copy = text.split()
    for _ in range(int(len(copy) * rng.choice(EDITS))):
        copy[rng.randrange(len(copy))] = rng.choice(words)
    return " ".join(copy)


def main() -> None:
    """Write the corpus."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.near_duplicate_corpus", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("rows", type=int)
    parser.add_argument("out", type=Path, help="Parquet file")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.rows < 1:
        parser.error(f"rows must be at least 1; found {given.rows}")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    near_duplicate_corpus(given.rows, given.seed).write_parquet(given.out)


if __name__ == "__main__":
    main()
