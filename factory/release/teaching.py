"""What a release says of its teacher: the conversation behind every row, and the cost of the replies it uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from factory.artifacts.store import Artifact
from factory.jobs.model import Job
from factory.prompts import find_prompt
from factory.release.parquet import SplitWriter
from factory.teacher.model import Price
from factory.teacher.protocol import AUTHOR, Role, Usage

COUNTS = ("requests", "prompt_tokens", "completion_tokens")


@dataclass(frozen=True, slots=True)
class Told:
    """What the config `turns` holds: its rows, requests and tokens by (role, accepted), prompts, rows that stayed."""

    turns: int
    counts: pl.DataFrame
    prompts: frozenset[str]
    rows: int


def write_turns(turns: Sequence[Artifact], samples: Sequence[Artifact], folder: Path) -> Told:
    """Write the config `turns`; return what it holds."""
    accepted = pl.concat([s.read(["id"]) for s in samples])["id"]
    writer = SplitWriter(folder / "turns", "turns", sum(t.rows for t in turns))
    counts, prompts, rows = [], set[str](), set[str]()
    for artifact in turns:
        frame = artifact.read().with_columns(accepted=pl.col("id").is_in(accepted.implode()))
        counts.append(frame.group_by("role", "accepted").agg(
            pl.len().alias("requests"), pl.col("prompt_tokens").sum(), pl.col("completion_tokens").sum()
        ))  # fmt: skip
        prompts.update(frame["prompt"].unique().to_list())
        rows.update(frame.filter("accepted")["id"].unique().to_list())
        writer.write(frame)
    writer.close()
    by_role = pl.concat(counts).group_by("role", "accepted").sum().sort("role", "accepted")
    return Told(writer.rows, by_role, frozenset(prompts), len(rows))


def teaching(job: Job, told: Told) -> dict[str, Any]:
    """Return the manifest's part on the teacher: models, prompts, and what replies cost, per accepted row."""
    specs = {role: job.teacher_of(role) for role in (AUTHOR, *job.judges)}
    prompts = {place: find_prompt(place).identity for place in told.prompts}
    counts, rows = told.counts, told.rows
    prices = {role: spec.price if spec else None for role, spec in specs.items()}
    everything, used = _sum(counts, prices), _sum(counts.filter("accepted"), prices)
    tokens = everything["prompt_tokens"] + everything["completion_tokens"]
    usd = everything["usd"]
    return {
        "models": {role: spec.name for role, spec in specs.items() if spec and role in set(counts["role"])},
        "not_priced": [role for role, price in prices.items() if price is None or price.gpu_hour is not None],
        "prompts": dict(sorted(prompts.items())),
        "replies": everything,
        "replies_of_accepted_rows": used,
        "per_accepted_row": {
            "rows": rows,
            "tokens": round(tokens / rows, 1) if rows else None,
            "usd": round(usd / rows, 6) if rows and usd is not None else None,
        },
    }


def _sum(counts: pl.DataFrame, prices: Mapping[Role, Price | None]) -> dict[str, Any]:
    """Return requests, tokens and money; the money is that of the roles with a price per token, null without any."""
    costs = [
        price.of(Usage(prompt, completion))
        for role, prompt, completion in counts.select("role", "prompt_tokens", "completion_tokens").iter_rows()
        if (price := prices[role])
    ]
    priced = [cost for cost in costs if cost is not None]
    return {name: int(counts[name].sum()) for name in COUNTS} | {"usd": round(sum(priced), 6) if priced else None}
