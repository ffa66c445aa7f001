"""TURNS: what was asked of a teacher for each candidate, and what came back; rows that left are among them."""

from __future__ import annotations

import polars as pl

from schemas.table import Table

TURNS = Table(
    name="turns",
    version=1,
    columns={
        "id": pl.String(),  # of the candidate
        "slot": pl.Int64(),
        "turn": pl.Int64(),  # from 0
        "part": pl.Int64(),  # which of the turn's requests
        "prompt": pl.String(),  # the prompt file: name.vN
        "role": pl.String(),
        "model": pl.String(),
        "text": pl.String(),
        "reasoning": pl.String(),  # null where the server tells none apart
        "finish": pl.String(),
        "failure": pl.String(),  # null for a usable reply
        "prompt_tokens": pl.Int64(),
        "completion_tokens": pl.Int64(),
    },
)
