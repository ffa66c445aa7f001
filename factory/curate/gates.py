"""The gates that look at one row at a time: all of them over every row of a shard, in one visit of a worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.artifacts.stage import Stage, execute
from factory.artifacts.store import Artifact, Store
from factory.curate.copies import VERSION as COPIES
from factory.curate.job import CurateFile, CurateJob
from factory.dedupe.against import EARLIER, FIND_EARLIER, open_index
from factory.dedupe.index import Index
from factory.dedupe.near import SIGN, sign_params
from factory.dedupe.normal import FIND_KEYS
from factory.gates.benchmarks_read import Book, make_book, read_benchmarks
from factory.gates.decontaminate import DECONTAMINATE, FIND_HITS, Hits
from factory.gates.difficulty import DIFFICULTY
from factory.gates.filters import FILTER, filter_params
from factory.selection.embed_rows import embed_rows_stage
from factory.selection.embedders import Embedder, embedder_of

ROW_GATES = ("filters", "difficulty", "decontaminate", "earlier")  # in the order in which a funnel tells of them


@dataclass(frozen=True, slots=True)
class Tools:
    """What the gates of a job look things up in."""

    book: Book | None = None
    index: Index | None = None
    embedders: Mapping[str, Embedder] = field(default_factory=dict)

    def embedder(self, name: str | None) -> Embedder | None:
        """Return an embedder by the name that the job gives it."""
        return self.embedders[name] if name else None


def tools_of(file: CurateFile, store: Store, out: Path) -> Tools:
    """Return what a job's gates need, opened and checked: benchmarks, the index of earlier releases, embedders."""
    job, cache = file.job, out / "cache"
    leaks, alike = job.decontaminate, job.dedupe.semantic
    book = make_book(read_benchmarks(leaks.benchmarks, file.base), store) if leaks else None
    names = {spec.embedder for spec in (alike, leaks.semantic if leaks else None) if spec}
    index = open_index(job.against, file.base, out, job.name, job.release.version) if job.against else None
    return Tools(book, index, {name: embedder_of(name, cache) for name in sorted(names)})


@dataclass(frozen=True, slots=True)
class GateTask:
    """One shard of rows, as an engine sends it to a worker."""

    rows: Artifact
    job: CurateJob
    tools: Tools
    store: Store


STAGES: Mapping[str, Stage] = {
    "filters": FILTER,
    "difficulty": DIFFICULTY,
    "hits": FIND_HITS,
    "decontaminate": DECONTAMINATE,
    "repeats": FIND_EARLIER,
    "earlier": EARLIER,
    "keys": FIND_KEYS,
    "signatures": SIGN,
}


def stages_of(passed: Iterable[str], copies: Iterable[str]) -> list[dict[str, Any]]:
    """Return the names and versions of the stages that a run went through, for the card."""
    ran = [STAGES[name] for name in passed if name in STAGES]
    return [{"name": s.name, "version": s.version} for s in ran] + [{"name": c, "version": COPIES} for c in copies]


def pass_gates(task: GateTask) -> dict[str, Artifact]:
    """Return what each gate, and each preparation for finding copies, made of a shard, by name."""
    job, tools = task.job, task.tools

    def made(stage: Stage, params: Mapping[str, Any], **deps: Any) -> Artifact:
        return execute(stage, [task.rows], params, task.store, **deps)

    out: dict[str, Artifact] = {}
    if job.filters:
        out["filters"] = made(FILTER, filter_params(job.filters))
    if job.difficulty:
        out["difficulty"] = made(DIFFICULTY, job.difficulty.model_dump(mode="json"))
    if job.decontaminate and tools.book:
        params, meaning = job.decontaminate.params(), job.decontaminate.semantic
        deps = {"embedder": tools.embedder(meaning.embedder)} if meaning else {}
        out["hits"] = made(FIND_HITS, params, book=tools.book, **deps)
        if not (meaning and meaning.verdict):  # else a teacher is asked first
            out["decontaminate"] = made(DECONTAMINATE, params, hits=Hits(out["hits"]))
    if job.against and tools.index:
        out["repeats"] = made(FIND_EARLIER, job.against.params(), index=tools.index)
        out["earlier"] = made(EARLIER, {}, hits=Hits(out["repeats"]))
    if job.dedupe.exact:
        out["keys"] = made(FIND_KEYS, job.dedupe.exact.model_dump(mode="json"))
    if job.dedupe.minhash:
        out["signatures"] = made(SIGN, sign_params(job.dedupe.minhash))
    if alike := job.dedupe.semantic:
        embedder = tools.embedders[alike.embedder]
        out["vectors"] = made(embed_rows_stage(embedder.dimensions), {"fields": alike.fields}, embedder=embedder)
    return out
