"""Pass rates from stored answers: inference and scoring are apart, so a mended verifier needs no model to recount.

A file of answers has JSON lines {"id": ..., "answer": ...}, as `factory score` reads them, but as many to a row as
there were samples.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl

from factory.errors import UserError
from factory.score import Score, score

Verifier = Mapping[str, Any]
Scorer = Callable[[str, Verifier], Score]

RATES = {"id": pl.String, "right": pl.Int64, "tries": pl.Int64, "undecided": pl.Int64}


def read_stored(lines: Iterable[bytes], source: str) -> Iterator[tuple[str, str]]:
    """Yield (id, answer) of JSON lines, in order; UserError names the line that is not as it should be."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{source}, line {number}: this is not JSON ({error})") from None
        if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not isinstance(row.get("answer"), str):
            shown = line.decode("utf-8", "replace").strip()[:60]
            raise UserError(
                f'{source}, line {number}: wanted {{"id": "...", "answer": "..."}}, both texts; found {shown}'
            )
        yield row["id"], row["answer"]


def pass_rates(
    answers: Iterable[tuple[str, str]],
    verifiers: Mapping[str, Verifier],
    scorer: Scorer = score,
    source: str = "the answers",
) -> pl.DataFrame:
    """Return (id, right, tries, undecided) of the rows that have answers, in the order of their first ones.

    An answer is right if it scores 1. One that the scorer cannot decide is no try: it is counted as undecided, and a
    row with no other has 0 tries, which is an unknown rate. UserError if an answer's id has no verifier.
    """
    counts: dict[str, list[int]] = {}
    for id_, answer in answers:
        if id_ not in verifiers:
            known = f"its ids are like '{next(iter(verifiers))}'" if verifiers else "none of its rows has one"
            raise UserError(
                f"{source}: the dataset has no row '{id_}' with a verifier ({known}); check that it is the right one"
            )
        value = scorer(answer, verifiers[id_]).value
        mine = counts.setdefault(id_, [0, 0, 0])
        if value is None:
            mine[2] += 1
        else:
            mine[0] += value == 1.0
            mine[1] += 1
    rows = [(id_, *mine) for id_, mine in counts.items()]
    return pl.DataFrame(rows, schema=RATES, orient="row")


def rescore(path: Path, verifiers: Mapping[str, Verifier], scorer: Scorer = score) -> pl.DataFrame:
    """Return the pass_rates of a file of stored answers, by the verifiers as they are now; no model is asked."""
    try:
        with path.open("rb") as lines:
            return pass_rates(read_stored(lines, str(path)), verifiers, scorer, str(path))
    except OSError as error:
        raise UserError(f"{path}: these answers cannot be read ({error.strerror}); give a file of JSON lines") from None


def with_pass_rates(frame: pl.DataFrame, model: Literal["weak", "strong"], rates: pl.DataFrame) -> pl.DataFrame:
    """Return ROWS with a model's counts from pass_rates, joined by id; those of rows without answers stay null."""
    right, tries = f"{model}_right", f"{model}_tries"
    counted = rates.select("id", pl.col("right").alias(right), pl.col("tries").alias(tries))
    joined = frame.drop(right, tries).join(counted, on="id", how="left", maintain_order="left")
    return joined.select(frame.columns)
