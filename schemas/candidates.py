"""CANDIDATES: what an attempt at a slot produced."""

from __future__ import annotations

import polars as pl

from schemas.columns import GRADES, SPLIT, STRINGS, TREE, VERIFIER
from schemas.table import Table

CANDIDATES = Table(
    name="candidates",
    version=2,
    columns={
        "id": pl.String(),  # lineage: job, seed, slot, attempt
        "slot": pl.Int64(),
        "slot_id": pl.String(),
        "attempt": pl.Int64(),
        "recipe": pl.String(),
        "cell": pl.String(),
        "level": pl.Int64(),
        "split": SPLIT,
        "skills": STRINGS,
        "parents": STRINGS,  # ids of the seeds it was built on
        "flags": STRINGS,  # what a reader must know, such as const_diff
        "pair": pl.String(),  # of a row and its twin; else empty
        "tree": TREE,  # empty where the answer is a text that no program computes
        "topology": pl.String(),
        "phrasing": pl.String(),
        "entry": pl.Int64(),
        "cap_key": pl.String(),  # digest of (entry, topology, phrasing)
        "digest": pl.String(),  # canonical problem: the same problem in other words has the same digest
        "prompt": pl.String(),
        "steps": pl.String(),
        "verifier": VERIFIER,
        "reasoning": pl.String(),  # what the teacher thought before it answered, where its server tells that apart
        "rejected": pl.String(),  # a worse reply to the same prompt; else empty
        "grades": GRADES,
    },
    rules={
        "prompt_present": pl.col("prompt").str.len_bytes() > 0,
        "prompt_not_too_long": pl.col("prompt").str.len_chars() <= 8000,
        "gold_present": pl.col("verifier").struct.field("gold").str.len_bytes() > 0,
        "gold_not_too_long": pl.col("verifier").struct.field("gold").str.len_chars()
        <= pl.when(pl.col("tree") == "").then(pl.lit(20_000)).otherwise(pl.lit(2000)),
    },
)
