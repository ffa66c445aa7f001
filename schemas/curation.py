"""ROWS that are curated; KEPT_ROWS: what a gate let pass; HITS: where a row meets a benchmark or a release."""

from __future__ import annotations

import polars as pl

from schemas.table import Table

ROWS = Table(
    name="rows",
    version=1,
    columns={
        "id": pl.String(),
        "row": pl.Int64(),  # place in the whole input, from 0: the order of every greedy choice
        "source": pl.String(),  # which of the job's sources
        "instruction": pl.String(),  # empty where the source has none
        "answer": pl.String(),
        "template": pl.String(),  # what it was made by; empty where nobody said
        "signature": pl.String(),  # of its solution; empty where nobody said
        "quality": pl.Float64(),  # null where nobody said
        "weak_right": pl.Int64(),  # of `weak_tries` samples of a weak model; null: unknown
        "weak_tries": pl.Int64(),
        "strong_right": pl.Int64(),
        "strong_tries": pl.Int64(),
    },
)

KEPT_ROWS = Table(name="kept_rows", version=1, columns={"id": pl.String(), "row": pl.Int64()})

HITS = Table(
    name="hits",
    version=1,
    columns={
        "id": pl.String(),
        "row": pl.Int64(),
        "field": pl.String(),  # instruction or answer
        "against": pl.String(),  # name of the benchmark or release
        "place": pl.String(),  # which row of it: its id, or its number from 0
        "part": pl.String(),  # which column of it
        "level": pl.String(),  # ngram, containment, semantic; exact, minhash
        "similarity": pl.Float64(),  # share of n-grams, Jaccard or cosine, by level
        "estimated": pl.Boolean(),  # the texts could not be compared, only their signatures
        "start": pl.Int64(),  # the matching span of the row's field, in characters; null where there is none
        "end": pl.Int64(),
        "span": pl.String(),
    },
)

LEFT = Table(
    name="left",
    version=1,
    columns={
        "row": pl.Int64(),
        "code": pl.String(),
        "detail": pl.String(),
        "twin": pl.Int64(),  # the row that it is a copy of; null where it is none
        "similarity": pl.Float64(),
    },
)
