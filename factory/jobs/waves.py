"""The wave loop: attempt a over the slots still open, until each is filled by its lowest passing attempt."""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import polars as pl

from factory.artifacts.digest import digest, text_digest
from factory.artifacts.stage import Stage, execute
from factory.artifacts.store import Artifact, Store
from factory.dedupe.earlier import Earlier
from factory.dedupe.exact import DEDUPE
from factory.errors import QuotaUnmet
from factory.gates.verify import VERIFY
from factory.jobs.draw import DRAW
from factory.jobs.engine import Engine
from factory.jobs.model import Job
from factory.jobs.plan import SHARD_ROWS, plan, plan_key, replan
from factory.jobs.report import Report
from factory.recipes.registry import RECIPES
from factory.seeds.bank import SeedBank
from factory.skills.library import Library
from schemas.candidates import CANDIDATES
from schemas.samples import SAMPLES

SCORER = text_digest(files("factory").joinpath("score.py").read_bytes())
LEAST_CAP = 3  # a cap never goes below this many rows: small jobs would starve


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One attempt at the open slots of one shard, as an engine sends it to a worker."""

    slots: Artifact
    draw_params: dict[str, Any]
    verify_params: dict[str, Any]
    store: Store
    seeds: SeedBank | None


def attempt_shard(task: ShardTask) -> tuple[Artifact, Artifact]:
    """Return the candidates of a shard and the verdicts on them."""
    deps: dict[str, Any] = {"library": Library()} | ({"seeds": task.seeds} if task.seeds else {})
    gc.disable()  # trees have no cycles, and looking for some took a fifth of the time
    try:
        candidates = execute(DRAW, [task.slots], task.draw_params, task.store, **deps)
        return candidates, execute(VERIFY, [candidates], task.verify_params, task.store, library=Library())
    finally:
        gc.enable()


@dataclass(frozen=True, slots=True)
class GatherTask:
    """The candidates of one shard from every wave, and which of them were kept."""

    candidates: list[Artifact]
    kept: list[Artifact]
    store: Store


def gather(frame: pl.DataFrame, params: Any, *, kept: KeptRows) -> pl.DataFrame:
    """Return the samples of a shard: the candidates that were kept, in slot order."""
    return frame.join(kept.frame(), on="id", how="inner").sort("slot").select(*SAMPLES.columns)


class KeptRows:
    """Which candidates of a shard fill their slots; a dependency of the gathering."""

    def __init__(self, kept: Sequence[Artifact]) -> None:
        self._kept = kept

    @property
    def identity(self) -> str:
        """Return the digest of the shard's kept rows."""
        return digest(kept=[k.digest for k in self._kept])

    def frame(self) -> pl.DataFrame:
        """Return (id, effective_depth) of the kept rows."""
        return pl.concat([k.read(["id", "effective_depth"]) for k in self._kept])


GATHER = Stage("samples", 1, CANDIDATES, SAMPLES, gather, row_wise=False)


def gather_shard(task: GatherTask) -> Artifact:
    """Return the samples of a shard."""
    return execute(GATHER, task.candidates, {}, task.store, kept=KeptRows(task.kept))


@dataclass(slots=True)
class Shard:
    """A shard on its way: what was made for it, wave by wave."""

    slots: Artifact
    open: Artifact
    candidates: list[Artifact] = field(default_factory=list)
    verdicts: list[Artifact] = field(default_factory=list)
    kept: list[Artifact] = field(default_factory=list)


@dataclass(slots=True)
class Filling:
    """The state of a job's wave loop."""

    job: Job
    store: Store
    engine: Engine
    report: Report
    seeds: SeedBank | None
    earlier: Earlier = field(default_factory=Earlier)

    def run(self) -> list[Shard]:
        """Return the shards with every slot filled; QuotaUnmet names the cell that could not be."""
        shards = self._plan()
        attempt = 0
        for round_ in range(self.job.replans + 1):
            if round_ and any(s.open.rows for s in shards):
                self._replan(shards, round_)
            for _ in range(self.job.max_attempts):
                if not any(s.open.rows for s in shards):
                    return shards
                self._wave([s for s in shards if s.open.rows], attempt)
                attempt += 1
        if any(s.open.rows for s in shards):
            raise QuotaUnmet(self._why_open(shards, attempt))
        return shards

    def _plan(self) -> list[Shard]:
        key = plan_key(self.job, self.seeds)
        total = -(-self.job.rows // SHARD_ROWS)
        self.report.begin("plan", self.job.rows)
        with self.report.timed("plan"):
            found = [self.store.find("plan", digest(plan=key, shard=i)) for i in range(total)]
            if any(f is None for f in found):
                frame = plan(self.job, self.seeds)
                found = [self._commit_slots(frame[i * SHARD_ROWS :][:SHARD_ROWS], key, i) for i in range(total)]
        shards = [Shard(f, f) for f in found if f is not None]
        for shard in shards:
            self.report.add("plan", shard.slots)
        return shards

    def _commit_slots(self, frame: pl.DataFrame, key: str, shard: int) -> Artifact:
        return self.store.commit("plan", digest(plan=key, shard=shard), frame, pl.DataFrame(), {"stage": "plan"})

    def _replan(self, shards: list[Shard], round_: int) -> None:
        frame = pl.concat([s.open.read() for s in shards if s.open.rows])
        fresh = replan(frame, self.job, self.seeds, round_)
        for shard in shards:
            if shard.open.rows:
                mine = fresh.filter(pl.col("slot").is_in(shard.open.read(["slot"])["slot"].implode()))
                shard.open = self._open_slots(shard, mine, f"replan-{round_}")

    def _wave(self, shards: list[Shard], attempt: int) -> None:
        """Make one attempt at every open slot; dedupe follows in shard order while later shards are still drawn."""
        entries = [entry.model_dump(mode="json") for entry in self.job.recipes]
        versions = {entry.recipe: RECIPES[entry.recipe].version for entry in self.job.recipes}
        shared = {"seed": self.job.seed, "versions": versions}
        draws = {"name": self.job.name, "attempt": attempt, "entries": entries, **shared}
        checks = {"scorer": SCORER, **shared}
        tasks = [ShardTask(s.open, draws, checks, self.store, self.seeds) for s in shards]
        for name in ("draw", "verify", "dedupe"):
            self.report.begin(name, sum(s.open.rows for s in shards))
        results = iter(self.engine.map(attempt_shard, tasks, f"draw and verify, attempt {attempt}"))
        for shard in shards:
            with self.report.timed("draw"):  # draw and verify run in one task; their time is told together
                candidates, verdicts = next(results)
            self.report.add("draw", candidates)
            self.report.add("verify", verdicts)
            with self.report.timed("dedupe"):
                kept = execute(DEDUPE, [verdicts], {"caps": self._caps()}, self.store, earlier=self.earlier)
                self.earlier.add(kept)
                shard.candidates.append(candidates)
                shard.verdicts.append(verdicts)
                shard.kept.append(kept)
                self._close(shard, kept)
            self.report.add("dedupe", kept)

    def _close(self, shard: Shard, kept: Artifact) -> None:
        slots = shard.open.read()
        left = slots.filter(~pl.col("slot").is_in(kept.read(["slot"])["slot"].implode()))
        shard.open = self._open_slots(shard, left, kept.digest)

    def _open_slots(self, shard: Shard, frame: pl.DataFrame, tag: str) -> Artifact:
        key = digest(open=shard.open.digest, tag=tag, plan=shard.slots.key)
        return self.store.find("open", key) or self.store.commit("open", key, frame, pl.DataFrame(), {"stage": "open"})

    def _caps(self) -> list[int]:
        """Return for each entry how many rows may share one topology and phrasing."""
        return [max(LEAST_CAP, math.ceil(e.cap * e.share * self.job.rows)) for e in self.job.recipes]

    def _why_open(self, shards: list[Shard], attempts: int) -> str:
        left = pl.concat([s.open.read(["entry", "recipe", "cell", "split"]) for s in shards])
        worst = left.group_by("entry", "recipe", "cell", "split").len().sort("len", "entry", descending=[True, False])
        entry, recipe, cell, split, n = worst.row(0)
        reasons: Counter[str] = Counter()
        for shard in shards:
            for made in (*shard.candidates, *shard.verdicts, *shard.kept):
                for row in made.read_rejects()["reasons"].to_list():
                    reasons.update(reason["code"] for reason in row)
        why = ", ".join(f"{code}: {count}" for code, count in reasons.most_common(3))
        return (
            f"{left.height} of {self.job.rows} slots could not be filled in {attempts} attempts; the fullest gap is"
            f" {n} rows of recipe '{recipe}' (recipes.{entry}), {cell}, split {split}. What did not hold: {why}."
            " Ask for fewer rows there, raise its cap, widen its levels or bring more seeds."
        )


def sample_shards(shards: list[Shard], store: Store, engine: Engine, report: Report) -> list[Artifact]:
    """Return the samples, shard by shard in slot order."""
    tasks = [GatherTask(s.candidates, s.kept, store) for s in shards]
    report.begin("samples", sum(s.slots.rows for s in shards))
    out = []
    results = iter(engine.map(gather_shard, tasks, "samples"))
    for shard in shards:
        with report.timed("samples"):
            made = next(results)
        report.add("samples", made, rows_in=sum(k.rows for k in shard.kept))
        out.append(made)
    return out
