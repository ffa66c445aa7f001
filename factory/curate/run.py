"""A curation, from sources to release: read, gates shard by shard, copies in the pool, what stays written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from factory.artifacts.store import Artifact, Store
from factory.curate.copies import Pool, find_copies
from factory.curate.gates import ROW_GATES, GateTask, Tools, pass_gates, tools_of
from factory.curate.job import CurateFile
from factory.curate.release import Curated, release_curated
from factory.curate.sources import ReadSource, read_sources
from factory.curate.verdicts import Verdicts
from factory.gates.filters import fields_of
from factory.jobs.engine import Engine
from factory.jobs.record import Built, record_end, writable, write_run_record
from factory.jobs.report import Report


def run_curate(file: CurateFile, out: Path, engine: Engine, report: Report | None = None) -> Built:
    """Return the release of a curate job after it is in place under out/releases; what is done is not done again."""
    job, report, start = file.job, report or Report(), time.perf_counter()
    store, paid = Store(writable(out) / "artifacts"), dict[str, Any]()
    try:
        curated = curate(file, store, out, engine, report, paid)
        report.begin("release", curated.alive.size)
        with report.timed("release") as entry:
            release, facts, fresh = release_curated(curated, out / "releases")
    except BaseException as error:
        record_end(job.name, job.release.version, 0, error, report, paid, since=start, out=out)
        raise
    entry.rows_in, entry.rows_out, entry.made = curated.alive.size, facts["rows_out"], int(fresh)
    report.watcher.advance("release", facts["rows_out"], 0)
    stages = [s.as_json() for s in report.stages.values()]
    seconds = time.perf_counter() - start
    built = Built(
        release, job.name, job.release.version, facts["rows_out"], "curated", seconds, stages, paid, curation=facts
    )
    write_run_record(job.name, built.as_json(), out)
    return built


def curate(  # noqa: PLR0913 - all that a run is made of
    file: CurateFile, store: Store, out: Path, engine: Engine, report: Report, paid: dict[str, Any]
) -> Curated:
    """Return which rows of a job's sources stay, and why the others leave; `paid` is told what a teacher cost."""
    return judge(file, read(file, store, out, report), store, out, engine, report, paid)


def judge(  # noqa: PLR0913 - all that a run is made of
    file: CurateFile,
    sources: Sequence[ReadSource],
    store: Store,
    out: Path,
    engine: Engine,
    report: Report,
    paid: dict[str, Any],
) -> Curated:
    """Return which of the rows that were read stay, and why the others leave; `paid` is told what a teacher cost."""
    tools = tools_of(file, store, out)
    shards = [shard for source in sources for shard in source.artifacts]
    file = with_fields(file, shards)
    passed = gate(file, shards, tools, store, engine, report)
    if "hits" in passed and "decontaminate" not in passed and tools.book:
        verdicts = Verdicts(file, tools.book, store, out, report, paid)
        passed["hits"], passed["decontaminate"] = verdicts.judged(shards, passed["hits"])
        for artifact in passed["decontaminate"]:
            report.add("decontaminate", artifact, watched=False)
    pool = Pool(shards, passed, standing(shards, passed, sources[-1].first + sources[-1].places))
    copies = find_copies(file.job, pool, store, report)
    return Curated(file, sources, passed, copies, pool.alive, tools)


def with_fields(file: CurateFile, shards: Sequence[Artifact]) -> CurateFile:
    """Return the job with the fields that its rows have at all: a rule on answers is none for rows without."""
    if file.job.filters is None or file.job.filters.fields is not None:
        return file
    fields = fields_of(shard.read(["instruction", "answer"]) for shard in shards)
    filters = file.job.filters.with_fields(fields)
    return replace(file, job=file.job.model_copy(update={"filters": filters}))


def read(file: CurateFile, store: Store, out: Path, report: Report) -> list[ReadSource]:
    """Return the sources of a job after all of their rows are in artifacts."""
    report.begin("rows", 0)
    with report.timed("rows"):
        sources = read_sources(file.job.sources, file.base, store, out)
    for source in sources:
        for note in source.notes:
            report.watcher.remark(f"{source.source.name}: {note}")
        for artifact in source.artifacts:
            report.add("rows", artifact)
    return sources


def gate(  # noqa: PLR0913 - all that a run is made of
    file: CurateFile, shards: Sequence[Artifact], tools: Tools, store: Store, engine: Engine, report: Report
) -> dict[str, list[Artifact]]:
    """Return what each gate and each preparation made of the shards; they go through workers side by side."""
    total = sum(shard.rows for shard in shards)
    tasks = [GateTask(shard, file.job, tools, store) for shard in shards]
    out: dict[str, list[Artifact]] = {}
    results = iter(engine.map(pass_gates, tasks, "gates"))
    report.begin("gates", total)
    for shard in shards:
        with report.timed("gates") as entry:  # all gates run in one task; their time is told together
            made = next(results)
        for name, artifact in made.items():
            out.setdefault(name, []).append(artifact)
            if name in ROW_GATES:
                report.add(name, artifact, watched=False)
            entry.made += artifact.made
        entry.rows_in += shard.rows
        entry.rows_out += shard.rows
        report.watcher.advance("gates", shard.rows, 0)
    return out


def standing(shards: Sequence[Artifact], passed: Mapping[str, Sequence[Artifact]], places: int) -> Any:
    """Return whether each row could be read and passed every gate, at `row`."""
    gates = [passed[name] for name in ROW_GATES if name in passed]
    given = np.zeros(places, dtype=np.int8)
    for artifacts in (shards, *gates):
        for artifact in artifacts:
            given[artifact.read(["row"])["row"].to_numpy()] += 1
    return given == 1 + len(gates)
