"""Spoil a share of the answers on purpose: short, vague or wrong ones, to measure what they cost a student.

Instruct-SkillMix (arXiv 2408.14774) replaced 20 rows in 100 by answers that shirk, and much of the gain was gone. Which
rows are spoilt follows from their ids and the seed alone. A release made so must say it loudly: see `corruption`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from factory.artifacts.digest import Rng, row_rng
from factory.curate.vague import vague_text
from factory.strict import Strict

How = Literal["short", "vague", "wrong"]

TAG = "corrupt"
DONORS = 256  # answers of other rows to choose a wrong one from
SHORTEST, BRIEF = 80, 280  # characters: a second sentence follows a shorter first, and none goes on beyond
NO_ANSWER = "I could not work this out."
OTHER_NO_ANSWER = "This one is not clear to me."
_SENTENCE = re.compile(r".+?(?:[.!?。！？]+(?=\s|$)|$)", re.DOTALL)


class Weights(Strict):
    """How often each way to spoil an answer is drawn, in proportion."""

    short: float = Field(default=1.0, ge=0, description="The first sentence or two of the answer.")
    vague: float = Field(default=1.0, ge=0, description="A long text that names the topic and says nothing.")
    wrong: float = Field(default=1.0, ge=0, description="A wrong answer: the one of another row.")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.short + self.vague + self.wrong > 0:
            raise ValueError("short, vague and wrong are all 0; give at least one of them a weight")
        return self


class CorruptSpec(Strict):
    """What share of the kept rows get a bad answer, and of what sort."""

    share: float = Field(ge=0, le=1, description="The share of the rows whose answers are spoilt; 0.2 in the paper.")
    how: Weights = Field(default=Weights(), description="Weights of the ways to spoil an answer.")
    seed: int = Field(default=0, description="Another seed spoils other rows.")


# ---------------------------------------------------------------------------------------------------------- which rows


def _hash(seed: int, id_: str) -> str:
    return blake2b(f"{seed}\x1f{TAG}\x1f{id_}".encode(), digest_size=8).hexdigest()


def _not_after(ids: pl.Series, last: str, seed: int) -> pl.Series:
    return pl.Series("chosen", [_hash(seed, id_) + id_ <= last for id_ in ids.to_list()], dtype=pl.Boolean)


@dataclass(frozen=True, slots=True)
class Pool:
    """What spoiling a row needs to know of the others: where the choice ends, and answers to give instead.

    `last` is the greatest hash and id of the rows that are chosen, empty where none are: so a shard can tell its rows
    without knowing the others.
    """

    last: str
    donors: tuple[str, ...]


def make_pool(shards: Iterable[pl.DataFrame], spec: CorruptSpec) -> Pool:
    """Return the pool of a dataset in shards of (id, answer); ids must be distinct, the order of rows does not matter.

    The round(share * n) rows are chosen that come first by hash. The donors are answers of the rows whose hashes are
    smallest under another tag, each answer once. All ids are held, but of the answers no more than a shard's.
    """
    places: list[str] = []
    first = pl.DataFrame(schema={"id": pl.String, "answer": pl.String, "hash": pl.String})
    for shard in shards:
        places.extend(_hash(spec.seed, id_) + id_ for id_ in shard["id"].to_list())
        said = shard.select("id", pl.col("answer").cast(pl.String).fill_null("")).filter(pl.col("answer") != "")
        hashes = [_hash(spec.seed, "donor\x1f" + id_) for id_ in said["id"].to_list()]
        both = pl.concat([first, said.with_columns(hash=pl.Series(hashes, dtype=pl.String))])
        first = both.sort("hash", "id").head(4 * DONORS)
    n = round(spec.share * len(places))
    donors = first["answer"].unique(maintain_order=True).head(DONORS)
    return Pool(sorted(places)[n - 1] if n else "", tuple(donors.to_list()))


# ----------------------------------------------------------------------------------------------------- how it is spoilt


def shortened(answer: str) -> str:
    """Return the first sentence of an answer, or two if it is very short; half of its words where that is all of it.

    Empty where nothing shorter can be made.
    """
    text = answer.strip()
    sentences = [found.group().strip() for found in _SENTENCE.finditer(text[: 4 * BRIEF])]
    taken = sentences[:2] if sentences and len(sentences[0]) < SHORTEST else sentences[:1]
    short = _trimmed(" ".join(taken))
    if len(short) < len(text):
        return short
    words = text.split()
    return " ".join(words[: len(words) // 2])


def _trimmed(text: str) -> str:
    if len(text) <= BRIEF:
        return text
    cut = text[:BRIEF]
    return (cut.rsplit(None, 1)[0] if " " in cut else cut).rstrip(".,;:") + "."


def _wrong(answer: str, donors: Sequence[str], rng: Rng) -> str:
    """Return the answer of another row, other than this one."""
    start = rng.below(len(donors)) if donors else 0
    others = (donors[(start + i) % len(donors)] for i in range(len(donors)))
    return next((other for other in others if not _same(other, answer)), NO_ANSWER)


def _same(one: str, other: str) -> bool:
    return one.split() == other.split()


def spoilt(row: Mapping[str, str], spec: CorruptSpec, pool: Pool) -> tuple[How, str]:
    """Return (how, answer) for a row of (id, instruction, answer); the answer is never the row's own.

    Where the way that was drawn cannot make another answer (half of one word), the answer is vague.
    """
    rng = row_rng(spec.seed, TAG, row["id"])
    drawn, answer = _draw(spec.how, rng), row["answer"]
    makers: dict[How, Callable[[], str]] = {
        "short": lambda: shortened(answer),
        "vague": lambda: vague_text(row["instruction"], rng),
        "wrong": lambda: _wrong(answer, pool.donors, rng),
    }
    ways: tuple[How, ...] = (drawn, "vague")
    for how in ways:
        made = makers[how]()
        if made.strip() and not _same(made, answer):
            return how, made
    return "vague", OTHER_NO_ANSWER if _same(answer, NO_ANSWER) else NO_ANSWER


def _draw(weights: Weights, rng: Rng) -> How:
    ways: tuple[tuple[How, float], ...] = (("short", weights.short), ("vague", weights.vague), ("wrong", weights.wrong))
    point = (rng.below(2**53) / 2**53) * sum(weight for _, weight in ways)
    for how, weight in ways:
        if point < weight:
            return how
        point -= weight
    return next(how for how, weight in reversed(ways) if weight)


def find_corrupted(frame: pl.DataFrame, spec: CorruptSpec, pool: Pool) -> pl.DataFrame:
    """Return the CORRUPTED of those ROWS that are chosen."""
    texts = pl.col("instruction", "answer").fill_null("")
    rows = frame.select("id", "row", texts).filter(_not_after(frame["id"], pool.last, spec.seed))
    made = [spoilt(row, spec, pool) for row in rows.iter_rows(named=True)]
    return rows.select(
        "id",
        "row",
        how=pl.Series([how for how, _ in made], dtype=pl.String),
        original="answer",
        answer=pl.Series([answer for _, answer in made], dtype=pl.String),
    )


def corruption(corrupted: pl.DataFrame, rows: int, spec: CorruptSpec) -> dict[str, Any]:
    """Return what a release says of its corrupted rows: figures for the manifest and a `flag` for the card."""
    how = dict(corrupted.group_by("how").len().sort("how").iter_rows())
    told = ", ".join(f"{n:,} {name}" for name, n in how.items()) or "none"
    flag = (
        f"CORRUPTED ON PURPOSE: {corrupted.height:,} of {rows:,} answers were replaced by bad ones ({told}), to "
        "measure what they cost. Do not train on this release for anything else."
    )
    return {
        "rows": corrupted.height,
        "of": rows,
        "share": spec.share,
        "seed": spec.seed,
        "how": how,
        "flag": flag,
    }
