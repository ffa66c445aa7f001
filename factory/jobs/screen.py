"""What a build's rows must not repeat: benchmarks, earlier releases, and texts that a teacher wrote nearly twice.

A row that repeats any of them leaves, and its slot stays open. Rows that a program draws are not looked at for near
copies: the same problem with other numbers is what they are meant to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from factory.artifacts.digest import digest
from factory.artifacts.stage import Stage, execute, with_reasons
from factory.artifacts.store import NO_REJECTS, Artifact, Store
from factory.dedupe.against import open_index
from factory.dedupe.against import reasons_of as repeats_of
from factory.dedupe.index import Index
from factory.dedupe.near import MinHashSpec, near_duplicates, sign_params, sign_rows
from factory.dedupe.semantic import semantic_duplicates
from factory.gates.benchmarks_read import Book, make_book, read_benchmarks
from factory.gates.decontaminate import find_hits
from factory.gates.decontaminate import reasons_of as leaks_of
from factory.jobs.model import Job
from factory.recipes.registry import RECIPES
from factory.release.views import RESPONSE
from factory.selection.embedders import Embedder, embedder_of
from schemas.columns import REASONS
from schemas.verdicts import KEPT, VERDICTS


class Texts:
    """The texts of a shard's candidates, as a stage depends on them."""

    def __init__(self, candidates: Artifact) -> None:
        self._candidates = candidates

    @property
    def identity(self) -> str:
        """Return the digest of the candidates."""
        return self._candidates.digest

    def of(self, ids: pl.Series) -> pl.DataFrame:
        """Return (id, row, recipe, pair, instruction, answer) of some candidates, in their order; row counts them."""
        found = self._candidates.read(["id", "recipe", "pair", "prompt", "steps", "verifier"])
        rows = ids.to_frame("id").join(found, on="id", how="left", maintain_order="left")
        texts = rows.select("id", "recipe", "pair", instruction="prompt", answer=RESPONSE)
        return texts.with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))


def screen(
    frame: pl.DataFrame,
    params: Mapping[str, Any],
    *,
    texts: Texts,
    book: Book | None = None,
    index: Index | None = None,
    embedder: Embedder | None = None,
) -> pl.DataFrame:
    """Return VERDICTS with reasons where a candidate repeats a benchmark or an earlier release."""
    rows = texts.of(frame["id"])
    told = [NO_REJECTS]
    if book is not None:
        hits = find_hits(rows, params["leaks"], book=book, embedder=embedder)
        told.append(leaks_of(hits, params["leaks"]))
    if index is not None:
        repeats = repeats_of(index.query(rows, **params["earlier"]))
        told.append(repeats.join(rows.select("id", "row"), on="row").select("id", "reasons"))
    return with_reasons(frame, pl.concat(told).group_by("id").agg(pl.col("reasons").explode()))


SCREEN = Stage("screen", 1, VERDICTS, VERDICTS, screen)
COPIED = ("id", "row", "instruction", "answer")


@dataclass(slots=True)
class Written:
    """The texts kept so far that a teacher wrote, with what copies of them are found by; a dependency of the search."""

    rows: list[pl.DataFrame] = field(default_factory=list)
    signed: list[pl.DataFrame] = field(default_factory=list)
    vectors: list[Any] = field(default_factory=list)
    identity: str = field(default_factory=lambda: digest(written=[]))

    @property
    def height(self) -> int:
        """Return how many texts there are."""
        return sum(frame.height for frame in self.rows)

    def add(self, rows: pl.DataFrame, params: Mapping[str, Any], embedder: Embedder | None) -> None:
        """Count some texts, numbered on from those that are there, as kept."""
        if not rows.height:
            return
        self.rows.append(rows)
        self.signed.append(sign_rows(rows, sign_params(_spec(params))))
        if embedder is not None:
            self.vectors.append(embedder.encode(rows["instruction"].to_list()).astype(np.float16))
        self.identity = digest(written=[self.identity, rows["id"].to_list(), rows["instruction"].to_list()])


def _spec(params: Mapping[str, Any]) -> MinHashSpec:
    return MinHashSpec(fields="instruction", threshold=params["copies"] or 1.0)


def written_texts(ids: pl.Series, texts: Texts, first: int) -> pl.DataFrame:
    """Return (id, row, instruction, answer) of the rows whose recipe says what of them may not be nearly a copy.

    That text stands as instruction. Twins are meant to be alike, and left out.
    """
    which = {name: recipe.copied for name, recipe in RECIPES.items()}
    rows = texts.of(ids).with_columns(copied=pl.col("recipe").replace_strict(which, return_dtype=pl.String))
    rows = rows.filter(pl.col("copied").is_not_null() & (pl.col("pair") == ""))
    text = pl.when(pl.col("copied") == "reply").then("answer").otherwise("instruction")
    numbers = pl.int_range(first, first + rows.height, dtype=pl.Int64, eager=True)
    return rows.with_columns(instruction=text, answer=pl.lit(""), row=numbers).select(COPIED)


def part_copies(
    frame: pl.DataFrame,
    params: Mapping[str, Any],
    *,
    texts: Texts,
    written: Written,
    embedder: Embedder | None = None,
) -> pl.DataFrame:
    """Return KEPT with reasons where a text is nearly that of a row kept before, or means the same."""
    rows = written_texts(frame["id"], texts, written.height)
    everything = Written([*written.rows], [*written.signed], [*written.vectors])
    everything.add(rows, params, embedder)
    ids = pl.concat([pl.DataFrame(schema={"id": pl.String}), *(r.select("id") for r in everything.rows)])["id"]
    alive = np.ones(ids.len(), dtype=np.bool_)
    told = [NO_REJECTS]
    if params["copies"] is not None and rows.height:
        found = near_duplicates(everything.signed, everything.rows, _spec(params))
        alive[found["row"].to_numpy()] = False
        told.append(_told(found, ids, "not_nearly_a_copy", "Jaccard {}"))
    if embedder is not None and rows.height:
        vectors = np.concatenate(everything.vectors)
        found = semantic_duplicates(vectors, np.arange(ids.len()), alive, params["meaning"])
        told.append(_told(found, ids, "meaning_is_new", "cosine {}"))
    return with_reasons(frame, pl.concat(told))


def _told(found: pl.DataFrame, ids: pl.Series, code: str, detail: str) -> pl.DataFrame:
    reason = pl.struct(
        gate=pl.lit("copies"),
        code=pl.lit(code),
        detail=pl.format(detail, pl.col("similarity").round(4)),
        twin=pl.Series(ids.gather(found["twin"]), dtype=pl.String),
    )
    own = pl.Series("id", ids.gather(found["row"]), pl.String)
    return found.with_columns(own).select("id", reasons=pl.concat_list(reason).cast(REASONS))


COPIES = Stage("copies", 1, KEPT, KEPT, part_copies)


@dataclass(frozen=True, slots=True)
class Screening:
    """What a job's rows are held against."""

    params: Mapping[str, Any]
    book: Book | None = None
    index: Index | None = None
    meaning: Embedder | None = None  # of the benchmarks
    embedder: Embedder | None = None  # of the teacher's texts
    written: Written = field(default_factory=Written)

    @property
    def looks_up(self) -> bool:
        """Return whether rows are held against benchmarks or earlier releases."""
        return self.book is not None or self.index is not None

    @property
    def compares(self) -> bool:
        """Return whether a teacher's texts are compared with one another."""
        return self.params["copies"] is not None or self.embedder is not None

    def screened(self, verdicts: Artifact, candidates: Artifact, store: Store) -> Artifact:
        """Return the verdicts of the candidates that repeat no benchmark and no earlier release."""
        deps = {"book": self.book, "index": self.index, "embedder": self.meaning}
        there: dict[str, Any] = {name: dep for name, dep in deps.items() if dep is not None}
        return execute(SCREEN, [verdicts], self.params, store, texts=Texts(candidates), **there)

    def without_copies(self, kept: Artifact, candidates: Artifact, store: Store) -> Artifact:
        """Return the kept rows but for copies of a teacher's texts; those that stay count as written."""
        texts = Texts(candidates)
        there: dict[str, Any] = {"embedder": self.embedder} if self.embedder else {}
        params = {name: self.params.get(name) for name in ("copies", "meaning", "signing")}
        left = execute(COPIES, [kept], params, store, texts=texts, written=self.written, **there)
        self.written.add(written_texts(left.read(["id"])["id"], texts, self.written.height), params, self.embedder)
        return left


def screening_of(job: Job, base: Path, store: Store, out: Path) -> Screening | None:
    """Return what a job's rows are held against, opened and checked; None for a job that holds them against nothing.

    A fake teacher's texts are copies of one another by nature, so they are not compared.
    """
    leaks, cache = job.decontaminate, out / "cache"
    real = job.teacher is not None and job.teacher.kind != "fake"
    compares = real and any(RECIPES[entry.recipe].copied and job.asks(i) for i, entry in enumerate(job.recipes))
    copies, meaning = (job.near_copies, job.near_meaning) if compares else (None, None)
    if leaks is None and job.against is None and copies is None and meaning is None:
        return None
    params = {
        "leaks": leaks.params() if leaks else None,
        "earlier": job.against.params() if job.against else None,
        "copies": copies,
        "meaning": meaning,
        # Asked for here, so that a library that is missing is told before a teacher is paid.
        "signing": sign_params(MinHashSpec(fields="instruction", threshold=copies)) if copies is not None else None,
    }
    return Screening(
        params,
        make_book(read_benchmarks(leaks.benchmarks, base), store) if leaks else None,
        open_index(job.against, base, out, job.name, job.release.version) if job.against else None,
        embedder_of(leaks.semantic.embedder, cache) if leaks and leaks.semantic else None,
        embedder_of("minilm", cache) if meaning is not None else None,
    )
