"""Decontamination: no row may give away a benchmark. Every meeting is a hit with its place; hits become reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
from pydantic import Field

from factory.artifacts.stage import Stage, with_reasons
from factory.artifacts.store import Artifact
from factory.gates.benchmark_index import Index, Settings, index_of
from factory.gates.benchmarks_read import BenchmarkSource, Book
from factory.gates.leak_words import word_spans
from factory.gates.meaning import find_alike
from factory.gates.overlap import find_overlaps
from factory.selection.embedders import Embedder
from factory.strict import Strict
from schemas.columns import REASONS
from schemas.curation import HITS, KEPT_ROWS, ROWS

FIELDS = ("instruction", "answer")
LEVELS: Mapping[str, str] = {  # and the rule that a hit at this level breaks
    "ngram": "no_ngram_of_a_benchmark",
    "containment": "little_of_a_benchmark",
    "semantic": "no_meaning_of_a_benchmark",
    "numbers": "no_benchmark_with_other_numbers",
}
SPAN, SHOWN = 500, 80  # characters of a span that a hit keeps, and that a reason shows


class SemanticLevel(Strict):
    """Rows that mean what a benchmark row means."""

    embedder: str = Field(default="minilm", description="minilm, static, a folder, or a model on the Hub.")
    threshold: float = Field(default=0.9, gt=0, le=1, description="Least cosine of a row with a benchmark text.")
    verdict: bool = Field(default=False, description="Ask the teacher whether it is the same question.")


class DecontaminateSpec(Strict):
    """Which benchmarks no row may give away, and what counts as giving away."""

    benchmarks: list[BenchmarkSource] = Field(min_length=1, description="Benchmarks by name.")
    words: int = Field(default=13, ge=5, le=100, description="So many words in a row in common are a leak.")
    shortest: int = Field(default=6, ge=4, description="A text of fewer words is no evidence; it is counted.")
    boilerplate: int = Field(default=10, ge=1, description="What more texts than this have in common is no evidence.")
    containment: float | None = Field(
        default=0.5, gt=0, le=1, description="Least share of a text's runs of 3 words that a row holds; null: off."
    )
    numbers: Literal["report", "reject"] = Field(
        default="report", description="What to do with a row that is a benchmark's with other numbers."
    )
    semantic: SemanticLevel | None = Field(default=None, description="Also compare what rows mean.")

    def params(self) -> dict[str, Any]:
        """Return what the stages depend on beside the benchmarks' texts, as JSON."""
        return self.model_dump(mode="json", exclude={"benchmarks"})


@dataclass(frozen=True, slots=True)
class Hits:
    """The hits of one shard, as a stage depends on them."""

    artifact: Artifact

    @property
    def identity(self) -> str:
        """Return the digest of the hits."""
        return self.artifact.digest

    def read(self) -> pl.DataFrame:
        """Return HITS."""
        return self.artifact.read()


def settings_of(params: Mapping[str, Any]) -> Settings:
    """Return what the index of a book depends on."""
    return Settings(params["words"], params["shortest"], params["boilerplate"])


def find_hits(
    frame: pl.DataFrame, params: Mapping[str, Any], *, book: Book, embedder: Embedder | None = None
) -> pl.DataFrame:
    """Return HITS of ROWS against the book, in order of row, field, benchmark text and level.

    `params` are those of a DecontaminateSpec. The semantic level is looked at where `params` say so; it needs the
    embedder. A row that is empty has no hits.
    """
    index = index_of(book, settings_of(params))
    return (
        pl.concat([_hits_of(frame, field, index, params, (book, embedder)) for field in FIELDS])
        .sort("row", pl.col("field").cast(pl.Enum(FIELDS)), "at_text", "level", maintain_order=True)
        .drop("at_text")
    )


def _hits_of(
    frame: pl.DataFrame,
    field: str,
    index: Index,
    params: Mapping[str, Any],
    meaning: tuple[Book, Embedder | None],
) -> pl.DataFrame:
    """Return HITS in one field of the rows, with `at_text`: the number of the benchmark text."""
    texts = frame[field].fill_null("")
    found = find_overlaps(texts, index, params["containment"])
    book, embedder = meaning
    if params.get("semantic") and embedder is not None:
        alike = find_alike(texts, index, book, embedder, params["semantic"]["threshold"])
        found = pl.concat([found, alike]).sort("at", "text", "level")
    spans = _spans(texts, found)
    at, text = found["at"].to_numpy(), found["text"].to_numpy()
    return pl.DataFrame(
        {
            "id": frame["id"].gather(at),
            "row": frame["row"].gather(at),
            "field": pl.repeat(field, found.height, dtype=pl.String, eager=True),
            **{name: index.frame[name].gather(text) for name in ("against", "place", "part")},
            "level": found["level"],
            "similarity": found["similarity"],
            "estimated": pl.repeat(value=False, n=found.height, dtype=pl.Boolean, eager=True),
            **spans,
            "at_text": found["text"],
        },
        schema={**HITS.columns, "at_text": pl.Int64()},
    )


def _spans(texts: pl.Series, found: pl.DataFrame) -> dict[str, list[Any]]:
    """Return start, end and text of the matching words; nulls for a meeting of meanings, which has no place."""
    out: dict[str, list[Any]] = {"start": [], "end": [], "span": []}
    last, places, text = -1, list[tuple[int, int]](), ""
    for at, first, stop in found.select("at", "first", "stop").iter_rows():
        span: tuple[int | None, int | None, str | None] = (None, None, None)
        if first is not None:
            if at != last:
                text = texts[at]
                last, places = at, word_spans(text)
            start, end = places[first][0], places[stop - 1][1]
            span = start, end, text[start : min(end, start + SPAN)]
        for name, value in zip(out, span, strict=True):
            out[name].append(value)
    return out


def rejecting(params: Mapping[str, Any]) -> list[str]:
    """Return the levels at which a hit is a reason; the others are counted and shown."""
    return [level for level in LEVELS if level != "numbers" or params["numbers"] == "reject"]


def reasons_of(hits: pl.DataFrame, params: Mapping[str, Any]) -> pl.DataFrame:
    """Return (id, reasons) of every row with a hit that rejects: for each level the strongest hit."""
    levels = rejecting(params)
    best = (
        hits.filter(pl.col("level").is_in(levels))
        .sort("row", pl.col("level").cast(pl.Enum(list(LEVELS))), -pl.col("similarity"), maintain_order=True)
        .unique(["row", "level"], keep="first", maintain_order=True)
    )
    told = best.select(
        "id",
        gate=pl.lit("decontaminate"),
        code=pl.col("level").replace_strict(LEVELS, return_dtype=pl.String),
        detail=_detail(),
        twin=pl.col("against") + "#" + pl.col("place"),
    )
    reason = pl.struct("gate", "code", "detail", "twin").alias("reasons")
    grouped = told.group_by("id", maintain_order=True).agg(reason)
    return grouped.cast({"reasons": REASONS})


def _detail() -> pl.Expr:
    span = pl.col("span").str.replace_all(r"\s+", " ")
    shown = pl.when(span.str.len_chars() > SHOWN).then(span.str.slice(0, SHOWN) + " ...").otherwise(span)
    placed = pl.format('{}, characters {} to {}: "{}"', "field", "start", "end", shown)
    alike = pl.col("similarity").round(2).cast(pl.String)
    return pl.when(pl.col("span").is_null()).then(pl.format("{}, cosine {}", "field", alike)).otherwise(placed)


def decontaminate(frame: pl.DataFrame, params: Mapping[str, Any], *, hits: Hits) -> pl.DataFrame:
    """Return KEPT_ROWS of ROWS, with reasons where a hit rejects."""
    return with_reasons(frame.select("id", "row"), reasons_of(hits.read(), params))


FIND_HITS = Stage("find_hits", 1, ROWS, HITS, find_hits, row_wise=False)
DECONTAMINATE = Stage("decontaminate", 1, ROWS, KEPT_ROWS, decontaminate)
