"""The gates that look at one row at a time: all of them over every row of a shard, in one visit of a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from factory.artifacts.stage import Stage, execute
from factory.artifacts.store import Artifact, Store
from factory.curate.job import AgainstSpec, CurateFile, CurateJob
from factory.dedupe.index import Index
from factory.dedupe.near import SIGN, sign_params
from factory.dedupe.normal import FIND_KEYS
from factory.gates.benchmarks_read import Book, make_book, read_benchmarks
from factory.gates.decontaminate import DECONTAMINATE, FIND_HITS, Hits
from factory.gates.difficulty import DIFFICULTY
from factory.gates.filters import FILTER
from factory.selection.embed_rows import embed_rows_stage
from factory.selection.embedders import Embedder, embedder_of
from schemas.columns import REASONS
from schemas.curation import HITS, KEPT_ROWS, ROWS

ROW_GATES = ("filters", "difficulty", "decontaminate", "earlier")  # in the order in which a funnel tells of them
REPEATED = "no_row_of_an_earlier_release"


def find_earlier(frame: pl.DataFrame, params: Mapping[str, Any], *, index: Index) -> pl.DataFrame:
    """Return HITS of ROWS in earlier releases."""
    return index.query(frame, threshold=params["threshold"], semantic=params["cosine"])


def part_earlier(frame: pl.DataFrame, params: Mapping[str, Any], *, hits: Hits) -> pl.DataFrame:
    """Return KEPT_ROWS of ROWS, with a reason where the instruction, or an answer alone, is an earlier release's."""
    best = hits.read().sort("row", -pl.col("similarity"), maintain_order=True).unique("row", keep="first")
    how = pl.when("estimated").then(pl.lit(", estimated")).otherwise(pl.lit(""))
    reason = pl.struct(
        gate=pl.lit("earlier"),
        code=pl.lit(REPEATED),
        detail=pl.format("{}: {} {}{}", "field", "level", pl.col("similarity").round(4), how),
        twin=pl.col("against") + "#" + pl.col("place"),
    )
    told = best.select("row", reasons=pl.concat_list(reason).cast(REASONS))
    out = frame.select("id", "row").join(told, on="row", how="left", maintain_order="left")
    return out.with_columns(pl.col("reasons").fill_null(pl.lit([], dtype=REASONS)))


FIND_EARLIER = Stage("find_earlier", 1, ROWS, HITS, find_earlier, row_wise=False)
EARLIER = Stage("earlier", 1, ROWS, KEPT_ROWS, part_earlier)


@dataclass(frozen=True, slots=True)
class Tools:
    """What the gates of a job look things up in."""

    book: Book | None = None
    index: Index | None = None
    embedders: Mapping[str, Embedder] = None  # type: ignore[assignment]

    def embedder(self, name: str | None) -> Embedder | None:
        """Return an embedder by the name that the job gives it."""
        return self.embedders[name] if name else None


def tools_of(file: CurateFile, store: Store, out: Path) -> Tools:
    """Return what a job's gates need, opened and checked: benchmarks, the index of earlier releases, embedders."""
    job, cache = file.job, out / "cache"
    leaks, alike = job.decontaminate, job.dedupe.semantic
    book = make_book(read_benchmarks(leaks.benchmarks, file.base), store) if leaks else None
    names = {spec.embedder for spec in (alike, leaks.semantic if leaks else None) if spec}
    return Tools(book, open_index(job.against, out), {name: embedder_of(name, cache) for name in sorted(names)})


def open_index(spec: AgainstSpec | None, out: Path) -> Index | None:
    """Return the index of earlier releases with those that a job is checked against."""
    if spec is None:
        return None
    index = Index.open(Path(spec.index) if spec.index else out / "index")
    return index if spec.releases == ["all"] else index.pinned(spec.releases)


@dataclass(frozen=True, slots=True)
class GateTask:
    """One shard of rows, as an engine sends it to a worker."""

    rows: Artifact
    job: CurateJob
    tools: Tools
    store: Store


def pass_gates(task: GateTask) -> dict[str, Artifact]:
    """Return what each gate, and each preparation for finding copies, made of a shard, by name."""
    job, tools = task.job, task.tools

    def made(stage: Stage, params: Mapping[str, Any], **deps: Any) -> Artifact:
        return execute(stage, [task.rows], params, task.store, **deps)

    out: dict[str, Artifact] = {}
    if job.filters:
        out["filters"] = made(FILTER, job.filters.model_dump(mode="json"))
    if job.difficulty:
        out["difficulty"] = made(DIFFICULTY, job.difficulty.model_dump(mode="json"))
    if job.decontaminate and tools.book:
        params, meaning = job.decontaminate.params(), job.decontaminate.semantic
        deps = {"embedder": tools.embedder(meaning.embedder)} if meaning else {}
        out["hits"] = made(FIND_HITS, params, book=tools.book, **deps)
        out["decontaminate"] = made(DECONTAMINATE, params, hits=Hits(out["hits"]))
    if job.against and tools.index:
        out["repeats"] = made(
            FIND_EARLIER, job.against.model_dump(mode="json", include={"threshold", "cosine"}), index=tools.index
        )
        out["earlier"] = made(EARLIER, {}, hits=Hits(out["repeats"]))
    if job.dedupe.exact:
        out["keys"] = made(FIND_KEYS, job.dedupe.exact.model_dump(mode="json"))
    if job.dedupe.minhash:
        out["signatures"] = made(SIGN, sign_params(job.dedupe.minhash))
    if alike := job.dedupe.semantic:
        embedder = tools.embedders[alike.embedder]
        out["vectors"] = made(embed_rows_stage(embedder.dimensions), {"fields": alike.fields}, embedder=embedder)
    return out
