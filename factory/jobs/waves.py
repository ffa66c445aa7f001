"""The wave loop: attempt a over the slots still open, until each is filled by its lowest passing attempt."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import polars as pl

from factory.artifacts.digest import digest, text_digest
from factory.artifacts.stage import Stage, apply, execute
from factory.artifacts.store import Artifact, Store
from factory.dedupe.earlier import Earlier
from factory.dedupe.exact import DEDUPE
from factory.errors import QuotaUnmet
from factory.gates.verify import VERIFY
from factory.jobs.draw import DRAW
from factory.jobs.engine import Engine
from factory.jobs.judging import Bench
from factory.jobs.model import Job
from factory.jobs.plan import SHARD_ROWS, plan_key, plan_shards, replan
from factory.jobs.report import Report, Watcher
from factory.jobs.screen import Screening
from factory.jobs.talk import TALK_ROWS, Conversation, Judges, Talker, unanswered
from factory.jobs.why_open import what_did_not_hold
from factory.recipes.recipe import Draft, Sources
from factory.recipes.registry import RECIPES
from factory.skills.library import Library
from schemas.candidates import CANDIDATES
from schemas.columns import REASONS
from schemas.samples import SAMPLES
from schemas.verdicts import KEPT

if TYPE_CHECKING:  # they need the extra `teacher`, which only jobs that talk do
    from factory.teacher.ledger import Ledger, Snapshot
    from factory.teacher.session import Session

SCORER = text_digest(files("factory").joinpath("score.py").read_bytes())
OPEN_ROWS = 2_500  # of a later wave, which has few slots: every core gets some
STALL_ROWS, STALL_SHARE = 200, 0.1  # a wave over so many slots that fills less than this share is the last one
STALL_TALKS = 100  # conversations in a row of which none made a row: each one is paid for
LEAST_CAP = 3  # a cap never goes below this many rows: small jobs would starve


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One attempt at the open slots of one shard, as an engine sends it to a worker."""

    slots: Artifact
    draw_params: dict[str, Any]
    verify_params: dict[str, Any]
    store: Store
    sources: Sources


def attempt_shard(task: ShardTask) -> tuple[Artifact, Artifact]:
    """Return the candidates of a shard and the verdicts on them."""
    deps: dict[str, Any] = {"library": Library()} | ({"sources": task.sources} if task.sources else {})
    gc.disable()  # trees have no cycles, and looking for some took a fifth of the time
    try:
        candidates = execute(DRAW, [task.slots], task.draw_params, task.store, **deps)
        return candidates, execute(VERIFY, [candidates], task.verify_params, task.store, library=Library())
    finally:
        gc.enable()


@dataclass(frozen=True, slots=True)
class VerifyTask:
    """The candidates of one shard, as an engine sends them to a worker."""

    candidates: Artifact
    params: dict[str, Any]
    store: Store


def verify_shard(task: VerifyTask) -> tuple[Artifact, Artifact]:
    """Return the candidates of a shard and the verdicts on them."""
    return task.candidates, execute(VERIFY, [task.candidates], task.params, task.store, library=Library())


@dataclass(frozen=True, slots=True)
class Made:
    """What one wave made of one shard of open slots. The slots lie between `first` and `last`, in order."""

    slots: Artifact
    candidates: Artifact
    verdicts: Artifact
    kept: Artifact
    first: int
    last: int
    turns: Artifact | None = None
    before: tuple[Artifact, ...] = ()  # what was kept before the last gates

    def filled(self) -> pl.Series:
        """Return the slots that it fills."""
        return self.kept.read(["slot"])["slot"]


def part_orphans(frame: pl.DataFrame, params: Mapping[str, Any]) -> pl.DataFrame:
    """Return kept rows; those of the given slots, whose twins were not kept, leave."""
    alone = pl.col("slot").is_in(params["alone"])
    reason = pl.struct(gate=pl.lit("twins"), code=pl.lit("twin_stays"), detail=pl.lit(""), twin=pl.lit(None, pl.String))
    return frame.with_columns(reasons=pl.when(alone).then(pl.concat_list(reason)).otherwise(pl.lit([], dtype=REASONS)))


TWINS = Stage("twins", 1, KEPT, KEPT, part_orphans)


def keep_twins(wave: Sequence[Made], store: Store) -> list[Made]:
    """Return what a wave made without the rows whose twin did not stay; both slots of such a pair are open again."""
    slots = pl.concat([m.slots.read(["entry", "pair", "slot"]) for m in wave]).filter(pl.col("pair") != "")
    filled = pl.concat([m.filled() for m in wave])
    stayed = slots.filter(pl.col("slot").is_in(filled.implode()))
    alone = set(stayed.filter(pl.len().over("entry", "pair") < 2)["slot"])
    out = []
    for made in wave:
        mine = sorted(alone.intersection(made.filled()))
        if mine:
            parted = execute(TWINS, [made.kept], {"alone": mine}, store)
            made = replace(made, kept=parted, before=(*made.before, made.kept))
        out.append(made)
    return out


class KeptRows:
    """Which candidates fill the slots of a range; a dependency of the gathering."""

    def __init__(self, kept: Sequence[Artifact], first: int, last: int) -> None:
        self._kept = kept
        self._range = (first, last)

    @property
    def identity(self) -> str:
        """Return the digest of the kept rows and the range."""
        return digest(kept=[k.digest for k in self._kept], range=self._range)

    def frame(self) -> pl.DataFrame:
        """Return (id, effective_depth) of the kept rows of the range."""
        kept = pl.concat([k.read(["id", "slot", "effective_depth"]) for k in self._kept])
        return kept.filter(pl.col("slot").is_between(*self._range)).drop("slot")


def gather(frame: pl.DataFrame, params: Any, *, kept: KeptRows) -> pl.DataFrame:
    """Return the samples of a range of slots: the candidates that were kept, in slot order."""
    return frame.join(kept.frame(), on="id", how="inner").sort("slot").select(*SAMPLES.columns)


GATHER = Stage("samples", 1, CANDIDATES, SAMPLES, gather, row_wise=False)


@dataclass(frozen=True, slots=True)
class GatherTask:
    """A range of slots, with the candidates and the kept rows of every wave that reach into it."""

    candidates: list[Artifact]
    kept: list[Artifact]
    first: int
    last: int
    store: Store


def gather_range(task: GatherTask) -> Artifact:
    """Return the samples of a range of slots."""
    kept = KeptRows(task.kept, task.first, task.last)
    key = GATHER.key([c.digest for c in task.candidates], {}, {"kept": kept})
    if found := task.store.find(GATHER.name, key):
        return found
    mine = pl.col("slot").is_between(task.first, task.last)  # a later wave's shard reaches over many ranges
    frames = [c.scan().filter(mine).select(*CANDIDATES.columns).collect() for c in task.candidates]
    return apply(GATHER, pl.concat(frames), {}, task.store, key, kept=kept)


@cache
def _first_entry(slots: Artifact) -> int:
    """Return which line of `recipes` the first slot of a shard is of."""
    return int(slots.scan().head(1).select("entry").collect().item())


def paid_so_far(spent: Snapshot) -> str:
    """Return what was paid in words; nothing where every reply was there already."""
    if not spent.requests:
        return ""
    money = f", {spent.usd:,.2f} USD" if spent.usd else ""
    return f"{spent.requests:,} requests, {spent.usage.tokens:,} tokens ({spent.tokens_per_second:,.0f}/s){money}"


@dataclass(slots=True)
class Watch:
    """Tells a watcher of each conversation that ended, and of tokens and money."""

    watcher: Watcher
    ledger: Ledger

    def ended(self, conversation: Conversation) -> None:
        """Tell of one more row, or of one that left."""
        made = isinstance(conversation.made, Draft)
        self.watcher.advance("talk", int(made), int(not made))
        self.watcher.note("talk", paid_so_far(self.ledger.snapshot()))


@dataclass(slots=True)
class Filling:
    """The state of a job's wave loop."""

    job: Job
    store: Store
    engine: Engine
    report: Report
    sources: Sources
    session: Session | None = None
    bench: Bench = Bench(Judges())
    screening: Screening | None = None
    earlier: Earlier = field(default_factory=Earlier)
    made: list[Made] = field(default_factory=list)
    told: dict[str, Artifact] = field(default_factory=dict)  # turns by the key of their slots

    def run(self) -> list[Made]:
        """Return what every wave made, once each slot is filled; QuotaUnmet names the cell that could not be."""
        shards, attempt, left, barren = self._plan(), 0, pl.DataFrame(), 0
        for round_ in range(self.job.replans + 1):
            if round_:
                shards = self._commit_open(replan(left, self.job, self.sources, round_), f"replan {round_}")
            for _ in range(self.job.max_attempts):
                tried, asked = sum(s.rows for s in shards), sum(s.rows for s in shards if self._talks(s))
                left = self._wave(shards, attempt)
                attempt += 1
                if not left.height:
                    return self.made
                barren = barren + asked if left.filter(self._talking()).height == asked else 0
                stalled = tried >= STALL_ROWS and left.height > tried * (1 - STALL_SHARE)
                if stalled or barren >= STALL_TALKS:
                    raise QuotaUnmet(self._why_open(left, attempt))  # hardly anything new is to be had
                shards = self._commit_open(left, f"attempt {attempt}")
        raise QuotaUnmet(self._why_open(left, attempt))

    def _talks(self, slots: Artifact) -> bool:
        return self.job.talks and self.job.asks(_first_entry(slots))  # in a job that talks no shard is mixed

    def _talking(self) -> pl.Expr:
        return pl.col("entry").is_in([i for i in range(len(self.job.recipes)) if self.job.asks(i)])

    def _cuts(self, slots: pl.DataFrame, rows: int) -> list[pl.DataFrame]:
        """Return slots in shards: those drawn by program by so many rows, those a teacher is asked for in smaller."""
        parts = ((slots.filter(~self._talking()), rows), (slots.filter(self._talking()), TALK_ROWS))
        return [part[i : i + size] for part, size in parts for i in range(0, part.height, size)]

    def _plan(self) -> list[Artifact]:
        key = plan_key(self.job, self.sources)
        keys = [digest(plan=key, shard=i, of=SHARD_ROWS) for i in range(-(-self.job.rows // SHARD_ROWS))]
        self.report.begin("plan", self.job.rows)
        with self.report.timed("plan"):
            found = [self.store.find("plan", k) for k in keys]
            if None in found:
                found = [*self._commit_slots(plan_shards(self.job, self.sources, SHARD_ROWS), "plan", keys)]
        shards = [f for f in found if f is not None]
        for shard in shards:
            self.report.add("plan", shard)
        if not self.job.talks:
            return shards
        cuts = [cut for shard in shards for cut in self._cuts(shard.read(), SHARD_ROWS)]
        return self._commit_slots(cuts, "open", [digest(cut=text_digest(cut.write_ndjson())) for cut in cuts])

    def _commit_open(self, slots: pl.DataFrame, tag: str) -> list[Artifact]:
        """Return the slots that are still open, cut into shards anew."""
        of = digest(open=self.earlier.identity, plan=plan_key(self.job, self.sources), tag=tag, rows=OPEN_ROWS)
        cuts = self._cuts(slots, OPEN_ROWS)
        return self._commit_slots(cuts, "open", [digest(open=of, shard=i) for i in range(len(cuts))])

    def _commit_slots(self, cuts: Iterable[pl.DataFrame], stage: str, keys: Sequence[str]) -> list[Artifact]:
        return [
            self.store.find(stage, key) or self.store.commit(stage, key, rows, pl.DataFrame(), {"stage": stage})
            for key, rows in zip(keys, cuts, strict=True)
        ]

    def _wave(self, shards: Sequence[Artifact], attempt: int) -> pl.DataFrame:
        """Return the slots still open after one attempt at each; dedupe follows in shard order, beside the drawing."""
        shards = sorted(shards, key=self._talks)  # stable: those drawn by program first
        wave = []
        for slots, (candidates, verdicts) in zip(shards, self._attempts(shards, attempt), strict=True):
            self.report.add("verify", verdicts)
            wave.append(self._kept(slots, candidates, verdicts))
        if any(RECIPES[entry.recipe].twins for entry in self.job.recipes):
            wave = keep_twins(wave, self.store)
        self.made += wave
        return pl.concat([m.slots.read().filter(~pl.col("slot").is_in(m.filled().implode())) for m in wave])

    def _kept(self, slots: Artifact, candidates: Artifact, verdicts: Artifact) -> Made:
        """Return what a shard made, after what it repeats has left; its kept rows count as earlier."""
        held, passed = self.screening, [verdicts]
        if held and held.looks_up:
            with self.report.timed("screen"):
                passed.append(held.screened(verdicts, candidates, self.store))
            self.report.add("screen", passed[-1])
        with self.report.timed("dedupe"):
            passed.append(execute(DEDUPE, passed[-1:], {"caps": self._caps()}, self.store, earlier=self.earlier))
        self.report.add("dedupe", passed[-1])
        if held and held.compares:
            with self.report.timed("copies"):
                passed.append(held.without_copies(passed[-1], candidates, self.store))
            self.report.add("copies", passed[-1])
        self.earlier.add(passed[-1])
        places = slots.read(["slot"])["slot"]
        made = Made(slots, candidates, verdicts, passed[-1], places[0], places[-1], self.told.get(slots.key))
        return replace(made, before=tuple(passed[1:-1]))

    def _attempts(self, shards: Sequence[Artifact], attempt: int) -> Iterator[tuple[Artifact, Artifact]]:
        """Yield the candidates and the verdicts of each shard: by program in the workers, by talk from here."""
        draws, verifies = self._params(attempt)
        programs = [s for s in shards if not self._talks(s)]
        talks = [s for s in shards if self._talks(s)]
        tasks = [ShardTask(s, draws, verifies, self.store, self.sources) for s in programs]
        for name in ("draw",) * bool(programs) + ("talk",) * bool(talks) + ("verify", "dedupe"):
            self.report.begin(name, sum(s.rows for s in {"draw": programs, "talk": talks}.get(name, shards)))
        results = iter(self.engine.map(attempt_shard, tasks, f"draw and verify, attempt {attempt}"))
        for _ in tasks:
            with self.report.timed("draw"):  # draw and verify run in one task; their time is told together
                made = next(results)
            self.report.add("draw", made[0])
            yield made
        if talks:
            spoken = self._talk(talks, draws)
            checks = [VerifyTask(candidates, verifies, self.store) for candidates in spoken]
            yield from self.engine.map(verify_shard, checks, f"verify, attempt {attempt}")

    def _talk(self, shards: Sequence[Artifact], params: dict[str, Any]) -> list[Artifact]:
        """Return the candidates that a teacher gave; when replies are missing, say which and keep the rest."""
        session = self.session
        assert session is not None
        watch = Watch(self.report.watcher, session.ledger)
        talker = Talker(session, self.bench.judges, self.store, self.sources, watch.ended)
        with self.report.timed("talk"):
            spoken = session.loop.run(talker.shards(shards, params))
        out = []
        for shard in spoken:
            if shard.candidates and shard.turns:
                self.report.add("talk", shard.candidates, watched=not shard.candidates.made)
                self.told[shard.slots.key] = shard.turns
                out.append(shard.candidates)
        if len(out) < len(spoken):
            raise session.waiting() or unanswered(spoken)
        return out

    def _params(self, attempt: int) -> tuple[dict[str, Any], dict[str, Any]]:
        versions = {entry.recipe: RECIPES[entry.recipe].version for entry in self.job.recipes}
        entries = [entry.model_dump(mode="json") for entry in self.job.recipes]
        draws = {"name": self.job.name, "seed": self.job.seed, "attempt": attempt, "entries": entries}
        return {**draws, "versions": versions}, {"scorer": SCORER, "versions": versions}

    def _caps(self) -> list[int]:
        """Return for each entry how many rows may share one topology and phrasing."""
        return [max(LEAST_CAP, math.ceil(e.cap * e.share * self.job.rows)) for e in self.job.recipes]

    def _why_open(self, left: pl.DataFrame, attempts: int) -> str:
        worst = (
            left.group_by("entry", "recipe", "cell", "split")
            .len()
            .sort("len", "entry", "cell", "split", descending=[True, False, False, False])
        )
        entry, recipe, cell, split, n = worst.row(0)
        reasons = [
            reason
            for made in self.made
            for artifact in (made.candidates, made.verdicts, *made.before, made.kept)
            for row in artifact.read_rejects()["reasons"].to_list()
            for reason in row
        ]
        return (
            f"{left.height} of {self.job.rows} slots could not be filled in {attempts} attempts; the fullest gap is"
            f" {n} rows of recipe '{recipe}' (recipes.{entry}), {cell}, split {split}."
            f" {what_did_not_hold(reasons, self.job.replans)}"
        )


def sample_shards(made: Sequence[Made], rows: int, store: Store, engine: Engine, report: Report) -> list[Artifact]:
    """Return the samples of `rows` filled slots, shard by shard in slot order."""
    tasks = []
    for first in range(0, rows, SHARD_ROWS):
        last = min(first + SHARD_ROWS, rows) - 1
        mine = [m for m in made if m.first <= last and m.last >= first]
        tasks.append(GatherTask([m.candidates for m in mine], [m.kept for m in mine], first, last, store))
    report.begin("samples", rows)
    out = []
    results = iter(engine.map(gather_range, tasks, "samples"))
    for task in tasks:
        with report.timed("samples"):
            samples = next(results)
        report.add("samples", samples, rows_in=task.last - task.first + 1)
        out.append(samples)
    return out
