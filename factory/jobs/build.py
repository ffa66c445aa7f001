"""The main job: seeds, plan, waves, samples, variety, release. Prefect's flow runs this with another engine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from factory.artifacts.digest import digest
from factory.artifacts.stage import execute
from factory.artifacts.store import Artifact, Store
from factory.dedupe.minhash import NEAREST, summary
from factory.errors import MissingExtra, UserError
from factory.jobs.engine import Engine
from factory.jobs.estimate import Estimate, estimate
from factory.jobs.judging import Bench, drift_of, last_judging, take_seats
from factory.jobs.model import Job, JobFile
from factory.jobs.record import Built, paid_by, record_end, writable, write_run_record
from factory.jobs.report import Report
from factory.jobs.screen import screening_of
from factory.jobs.talk import Judges
from factory.jobs.waves import Filling, Made, sample_shards
from factory.release.export import REJECTS, Contents, export
from factory.seeds.sources import Brought, bring_files, bring_skills, needed
from factory.selection.embed import BLOCK, EMBED, MiniLM, require_embed
from factory.selection.mini import RANDOM_DRAWS, SELECT_MINI, Vectors, against_random
from schemas.release import POOL

if TYPE_CHECKING:
    from factory.teacher.session import Session

DETAIL = pl.col("detail").str.replace_all(r"\s+", " ").str.slice(0, 200)  # one line: it may hold a teacher's words
TOLD_STAGES = (
    "seeds",
    "skills",
    "documents",
    "instructions",
    "plan",
    "draw",
    "talk",
    "verify",
    "screen",
    "dedupe",
    "copies",
    "samples",
)


@dataclass(frozen=True, slots=True)
class EmbedTask:
    """One block of the pool, as an engine sends it to a worker."""

    block: Artifact
    store: Store


def embed_block(task: EmbedTask) -> Artifact:
    """Return the embeddings of a block."""
    return execute(EMBED, [task.block], {}, task.store, embedder=MiniLM())


def run_build(file: JobFile, out: Path, engine: Engine, report: Report | None = None) -> Built:
    """Return the release of a job after it is in place under out/releases; stages that are there are not made again."""
    job, report, start = file.job, report or Report(), time.perf_counter()
    _require_teacher(job)
    if job.mini.rows:
        require_embed("the mini split (or set mini.rows=0)")
    store = Store(writable(out) / "artifacts")
    brought, planned = bring_files(file, store), None
    screening = screening_of(job, file.base, store, out)
    with _session(file, out, report) as session:
        try:
            brought = _extracted(brought, file, store, session, report)
            planned = estimate(job, brought.sources, file.base) if job.talks else None
            bench = take_seats(job, session) if session else Bench(Judges())
            made = Filling(job, store, engine, report, brought.sources, session, bench, screening).run()
        except BaseException as error:
            spent = _spent(planned, session)
            record_end(job.name, job.release.version, job.rows, error, report, spent, since=start, out=out)
            raise
    samples = sample_shards(made, job.rows, store, engine, report)
    mini, variety = _measure_variety(job, samples, store, engine, report)
    turns = [wave.turns for wave in made if wave.turns]
    facts = _seed_facts(file, brought.seeds)
    skills = brought.sources.skills
    rejects = _rejects(list(brought.artifacts.values()), made)
    told = _told(report)
    pins = screening.index.pins() if screening and screening.index else None
    contents = Contents(job, samples, rejects, mini, told, variety, facts, turns, skills, bench.as_json(), pins)
    report.begin("release", job.rows)
    with report.timed("release") as entry:
        release, fresh = export(contents, out / "releases")
    entry.rows_in = entry.rows_out = job.rows
    entry.made = int(fresh)
    report.watcher.advance("release", job.rows, 0)
    stages = [s.as_json() for s in report.stages.values()]
    seconds = time.perf_counter() - start
    spent = _spent(planned, session)
    judging = {"gold_rows": bench.as_json(), "drift": drift_of(bench, last_judging(job.name, out))}
    judging = judging if bench.calibrations else {}
    built = Built(release, job.name, job.release.version, job.rows, "filled", seconds, stages, spent, judging)
    write_run_record(job.name, built.as_json(), out)
    return built


def _extracted(brought: Brought, file: JobFile, store: Store, session: Session | None, report: Report) -> Brought:
    """Return what was brought, with the language skills that a teacher finds where the job wants that."""
    if session is not None and "skills" in needed(file.job) and file.job.skills.asks:
        from factory.jobs.find_skills import find_skills

        brought = bring_skills(brought, file, store, lambda: find_skills(file, session, report.watcher))
    for artifact in brought.artifacts.values():
        report.add(artifact.stage, artifact)
    return brought


@contextmanager
def _session(file: JobFile, out: Path, report: Report) -> Iterator[Session | None]:
    """Yield the job's teachers, ready to be asked; None when no recipe needs any."""
    job = file.job
    if not job.talks or job.teacher is None:
        yield None
        return
    try:
        from factory.teacher.session import open_session
    except ImportError:
        raise MissingExtra("a recipe that talks to a teacher", "teacher") from None
    with open_session(job.teacher, job.judge, file.base, out, report.watcher.remark) as session:
        yield session


def _spent(planned: Estimate | None, session: Session | None) -> dict[str, Any] | None:
    return {"planned": planned.as_json(), "actual": paid_by(session)} if session and planned else None


def _require_teacher(job: Job) -> None:
    """Raise UserError when a recipe needs a teacher and the job names none."""
    talking = [entry.recipe for i, entry in enumerate(job.recipes) if job.asks(i)]
    if talking and job.teacher is None:
        raise UserError(
            f"recipe '{talking[0]}' talks to a teacher, and the job names none: add `teacher: {{model: NAME, base_url:"
            " URL}` to the job, or run with --teacher URL --model NAME (--teacher fake tries it without a model)"
        )


def _measure_variety(
    job: Job, samples: Sequence[Artifact], store: Store, engine: Engine, report: Report
) -> tuple[frozenset[str], dict[str, Any]]:
    """Return the ids of the mini split and the figures of the card; nothing when the job wants no mini split."""
    pool = _pool(job, samples) if job.mini.rows else pl.DataFrame()
    wanted = min(job.mini.rows, pool.height // 2)
    if wanted < 2:
        return frozenset(), {}
    blocks = [_commit(store, pool[i : i + BLOCK]) for i in range(0, pool.height, BLOCK)]
    report.begin("embed", pool.height)
    vectors = []
    results = iter(engine.map(embed_block, [EmbedTask(b, store) for b in blocks], "embed"))
    for _ in blocks:
        with report.timed("embed"):
            vectors.append(next(results))
        report.add("embed", vectors[-1])
    params = {"rows": wanted, "seed": job.seed}
    with report.timed("mini"):
        chosen = execute(SELECT_MINI, blocks, params, store, vectors=Vectors(vectors))
    report.add("mini", chosen)
    with report.timed("similarity"):
        nearest = execute(NEAREST, blocks, {}, store)
    report.add("similarity", nearest)
    mini = chosen.read()
    ids = frozenset(mini.filter("chosen")["id"])
    return ids, {
        "pool": pool.height,
        "clusters": mini["cluster"].n_unique(),
        "chosen": len(ids),
        "random_draws": RANDOM_DRAWS,
        "coverage": against_random(pool, mini, job.seed),
        "similarity": summary(nearest.read()["similarity"]),
    }


def _pool(job: Job, samples: Sequence[Artifact]) -> pl.DataFrame:
    """Return the train rows with the smallest ids; ids are hashes, so this is a fair draw that ignores order."""
    best = pl.DataFrame(schema=dict(POOL.columns))
    for artifact in samples:
        frame = artifact.scan().filter(pl.col("split") == "train").select(*POOL.columns).collect()
        best = pl.concat([best, frame.bottom_k(job.mini.pool, by="id")]).bottom_k(job.mini.pool, by="id")
    return best.sort("id")


def _commit(store: Store, frame: pl.DataFrame) -> Artifact:
    key = digest(pool=frame.write_ndjson())
    return store.find("pool", key) or store.commit("pool", key, frame, pl.DataFrame(), {"stage": "pool"})


def _rejects(brought: Sequence[Artifact], waves: Sequence[Made]) -> pl.DataFrame:
    """Return every row that left the line, with its reason; in the order of stages, waves and shards."""
    made = list(brought)
    made += [wave.candidates for wave in waves]
    made += [wave.verdicts for wave in waves]
    made += [artifact for wave in waves for artifact in (*wave.before, wave.kept)]
    frames = []
    for artifact in made:
        if artifact.rejects:
            rows = artifact.read_rejects().explode("reasons").unnest("reasons")
            frames.append(rows.select("id", stage=pl.lit(artifact.stage), reason="code", detail=DETAIL, twin="twin"))
    return pl.concat(frames) if frames else pl.DataFrame(schema=REJECTS)


def _told(report: Report) -> list[Mapping[str, Any]]:
    """Return the stages for the manifest: counts only, since times differ from run to run."""
    keys = ("name", "rows_in", "rows_out", "rejects")
    found = [s.as_json() for s in report.stages.values() if s.name in TOLD_STAGES]
    return [{k: s[k] for k in keys} for s in found]


def _seed_facts(file: JobFile, seeds: Artifact | None) -> dict[str, Any] | None:
    if seeds is None or file.job.seeds is None:
        return None
    path = file.job.seeds.path
    on_hub = path.startswith("hub:") or not (file.base / path).exists()
    name = path if on_hub else Path(path).name
    return {"path": name, "digest": seeds.key, "usable": seeds.rows, "rejected": seeds.rejects, "on_hub": on_hub}
