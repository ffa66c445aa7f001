"""The release folder: every config as Parquet, the scorer, the manifest, the card; put in place whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl

from factory.artifacts.digest import digest
from factory.artifacts.store import Artifact, write_bytes
from factory.gates.votes import krippendorff_alpha
from factory.jobs.model import Job
from factory.jobs.plan import quotas
from factory.recipes.recipe import SkillPool
from factory.recipes.registry import RECIPES, task_labels
from factory.release.card import card
from factory.release.new_release import make_release
from factory.release.parquet import SplitWriter, write_whole
from factory.release.teaching import teaching, write_turns
from factory.release.views import CURRICULUM, PREFERENCE, PREFERENCE_VIEW, ROW_VIEWS, VIEWS
from factory.skills.library import SKILLS, Library, fingerprint, held_out

EXPORT_VERSION = 2
SPLITS = ("train", "heldout")
Votes = tuple[float | None, ...]
PAIRING = ("skill-pairs", "instruct-skillmix", "skill-mix")  # recipes whose pairs of skills are counted
REJECTS = {
    "id": pl.String(), "stage": pl.String(), "reason": pl.String(), "detail": pl.String(), "twin": pl.String()
}  # fmt: skip
SKILL_COLUMNS = {
    "name": pl.String(), "family": pl.String(), "version": pl.Int64(), "takes": pl.String(), "gives": pl.String(),
    "about": pl.String(), "fingerprint": pl.String(), "split": pl.String(), "rows": pl.Int64(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a release is made from."""

    job: Job
    samples: Sequence[Artifact]
    rejects: pl.DataFrame  # REJECTS
    mini: frozenset[str]  # ids
    stages: Sequence[Mapping[str, Any]]  # name, version, rows_in, rows_out, rejects
    variety: Mapping[str, Any]  # coverage of the mini split, similarity
    seeds: Mapping[str, Any] | None  # path, digest, usable, rejected
    turns: Sequence[Artifact] = ()  # TURNS: what a teacher was asked
    skills: SkillPool | None = None  # the language skills of the job
    judging: Sequence[Mapping[str, Any]] = ()  # how each judge did on the gold rows of each rubric
    against: Mapping[str, str] | None = None  # earlier releases that no row repeats: NAME@VERSION to digest

    @property
    def identity(self) -> str:
        """Return the digest of all of it: the same contents need no second export."""
        return digest(
            version=EXPORT_VERSION,
            job=self.job.content(),
            samples=[s.digest for s in self.samples],
            rejects=self.rejects.rows(),
            mini=sorted(self.mini),
            stages=list(self.stages),
            variety=self.variety,
            seeds=self.seeds,
            turns=[t.digest for t in self.turns],
            skills=self.skills.identity if self.skills else None,
            judging=list(self.judging),
            against=self.against,
            library=Library().identity,
        )


def export(contents: Contents, releases: Path) -> tuple[Path, bool]:
    """Return (release folder, made now); a version that holds other content is refused with the remedy."""
    job = contents.job

    def fill(folder: Path) -> dict[str, Any]:
        tally = _write_data(contents, folder)
        write_bytes(folder / "score.py", files("factory").joinpath("score.py").read_bytes())
        manifest = _manifest(contents, tally)
        write_bytes(folder / "README.md", card(manifest, _typical(contents)).encode())
        return manifest

    return make_release(releases / job.name / job.release.version, contents.identity, fill)


@dataclass(slots=True)
class Tally:
    """What was counted while the rows were written."""

    rows: dict[str, dict[str, int]]
    cells: Counter[tuple[str, str, str]]
    skills: Counter[str]
    pairs: Counter[str]
    flags: Counter[str]
    depths: Counter[int]
    parents: dict[str, set[str]]
    teacher: dict[str, Any] | None = None
    points: Counter[tuple[str, float | None, Votes]] = field(default_factory=Counter)  # of grades: rows alike


def _write_data(contents: Contents, folder: Path) -> Tally:
    planned = Counter[str]()
    for q in quotas(contents.job):
        planned[q.split] += q.n
    writers = {(v, s): SplitWriter(folder / v, s, planned[s]) for v in VIEWS for s in SPLITS if planned[s]}
    writers |= {(v, "mini"): SplitWriter(folder / v, "mini", len(contents.mini)) for v in ROW_VIEWS if contents.mini}
    horizons = Counter[str]()
    for q in quotas(contents.job):
        if q.params.recipe == "chains" and q.split == "train":
            horizons[f"h{q.cell.level}"] += q.n
    writers |= {(CURRICULUM, h): SplitWriter(folder / CURRICULUM, h, n) for h, n in horizons.items()}
    writers |= {(PREFERENCE, s): SplitWriter(folder / PREFERENCE, s, n) for s, n in _pairs(contents.samples).items()}
    tally = Tally({}, Counter(), Counter(), Counter(), Counter(), Counter(), {s: set() for s in SPLITS})
    for artifact in contents.samples:
        _write_shard(artifact.read(), contents.mini, writers, tally)
    for writer in writers.values():
        writer.close()
    for (view, split), writer in writers.items():
        tally.rows.setdefault(view, {})[split] = writer.rows
    tally.rows["skills"] = {"skills": write_whole(folder / "skills", "skills", _skills(tally, contents.skills))}
    if contents.rejects.height:  # readers stumble over a file without rows
        tally.rows["rejects"] = {"rejects": write_whole(folder / "rejects", "rejects", contents.rejects)}
    if contents.turns:
        told = write_turns(contents.turns, contents.samples, folder)
        tally.rows["turns"] = {"turns": told.turns}
        tally.teacher = teaching(contents.job, told)
    return tally


def _pairs(samples: Sequence[Artifact]) -> dict[str, int]:
    """Return how many rows of each split have a worse reply beside the chosen one."""
    found = pl.concat([s.scan().filter(pl.col("rejected") != "").select("split") for s in samples])
    counts = dict(found.group_by("split").len().collect().iter_rows())
    return {split: counts[split] for split in SPLITS if split in counts}


def _write_shard(
    frame: pl.DataFrame, mini: frozenset[str], writers: Mapping[tuple[str, str], SplitWriter], tally: Tally
) -> None:
    versions = {name: recipe.version for name, recipe in RECIPES.items()}
    frame = frame.with_columns(
        recipe_version=pl.col("recipe").replace_strict(versions, return_dtype=pl.Int64),
    )
    chosen = pl.col("id").is_in(list(mini))
    for (view, split), writer in writers.items():
        if view == CURRICULUM:
            wanted = (pl.col("recipe") == "chains") & (pl.col("split") == "train")
            rows = frame.filter(wanted & (pl.format("h{}", "level") == split)).select(VIEWS["sft"])
        elif view == PREFERENCE:
            rows = frame.filter((pl.col("rejected") != "") & (pl.col("split") == split)).select(PREFERENCE_VIEW)
        else:
            rows = frame.filter(chosen if split == "mini" else pl.col("split") == split).select(VIEWS[view])
        writer.write(rows)
    _count(frame, tally)


def _count(frame: pl.DataFrame, tally: Tally) -> None:
    for recipe, cell, split, n in frame.group_by("recipe", "cell", "split").len().iter_rows():
        tally.cells[(recipe, cell, split)] += n
    for grades in frame["grades"].to_list():
        tally.points.update((g["name"], g["value"], tuple(g["votes"])) for g in grades)
    columns = frame.select("recipe", "skills", "split", "flags", "parents", "effective_depth")
    for recipe, skills, split, flags, parents, depth in columns.iter_rows():
        tally.skills.update(set(skills))
        tally.flags.update(flags)
        tally.parents[split].update(parents)
        tally.depths[depth] += 1
        if recipe in PAIRING:
            tally.pairs.update("+".join(sorted(pair)) for pair in combinations(skills, 2))


def _skills(tally: Tally, bank: SkillPool | None) -> pl.DataFrame:
    """Return every skill that a row could show: the executable ones, the job's language skills, and patterns."""
    told = {name: bank.get(name) for split in SPLITS for name in bank.names(split)} if bank else {}
    rows: list[tuple[Any, ...]] = []
    labels = task_labels()
    library = set(SKILLS) if any(name in SKILLS for name in tally.skills) else set()
    for name in sorted(set(tally.skills) | library | set(told)):
        about: tuple[Any, ...] = ("pattern", 1, None, None, "an operator pattern of its recipe", None)
        split = None
        if skill := SKILLS.get(name):
            about = (skill.family, skill.version, skill.takes, skill.gives, skill.about, fingerprint(name))
            split = "heldout" if name in held_out() else "train"
        elif name in labels:
            about = (labels[name][0], 1, None, None, labels[name][1], None)
        elif bank and (language := told.get(name)):
            about = (language.family or "language", 1, "language", "language", language.definition, None)
            split = bank.split_of(name)
        rows.append((name, *about, split, tally.skills[name]))
    return pl.DataFrame(rows, schema=SKILL_COLUMNS, orient="row")


def _manifest(contents: Contents, tally: Tally) -> dict[str, Any]:
    job = contents.job
    planned = Counter[tuple[str, str, str]]()
    for q in quotas(job):
        planned[(q.params.recipe, q.cell.name, q.split)] += q.n
    library = {name: n for name, n in tally.skills.items() if name in SKILLS}
    return {
        "name": job.name,
        "version": job.release.version,
        "license": job.release.license,
        "title": job.release.title or job.name,
        "ending": "filled",
        "rows": sum(tally.rows["lineage"].values()),
        "configs": tally.rows,
        "cells": [
            {"recipe": r, "cell": c, "split": s, "planned": n, "filled": tally.cells[(r, c, s)]}
            for (r, c, s), n in sorted(planned.items())
        ],
        "recipes": {
            e.recipe: {"version": RECIPES[e.recipe].version, "paper": RECIPES[e.recipe].paper} for e in job.recipes
        },
        "skills": {"used": len(library), "counts": dict(sorted(library.items())), "library": Library().identity},
        "language_skills": _language(contents.skills, tally),
        "grades": graded_points(tally.points),
        "judging": list(contents.judging),
        "against": contents.against,
        "skill_pairs": dict(sorted(tally.pairs.items())),
        "flags": dict(sorted(tally.flags.items())),
        "effective_depth": {str(d): n for d, n in sorted(tally.depths.items())},
        "stages": list(contents.stages),
        "reject_reasons": _reason_counts(contents.rejects),
        "variety": contents.variety,
        "seeds": contents.seeds,
        "teacher": tally.teacher,
        "random_streams": {
            "seed": job.seed,
            "row": "blake2b(seed, stage, row id)",
            "split": "by slot id, never shared",
        },
        "job": job.content(),
    }


def _language(bank: SkillPool | None, tally: Tally) -> dict[str, Any] | None:
    if bank is None:
        return None
    counts = {name: tally.skills[name] for split in SPLITS for name in bank.names(split)}
    used = {name: n for name, n in sorted(counts.items()) if n}
    return {"known": len(counts), "used": len(used), "counts": used, "bank": bank.identity}


def graded_points(points: Counter[tuple[str, float | None, Votes]]) -> list[dict[str, Any]]:
    """Return for each point that judges gave: rows with a verdict, their mean, rows without one, agreement of votes."""
    by_name: dict[str, list[tuple[float | None, Votes, int]]] = {}
    for (name, value, votes), n in points.items():
        by_name.setdefault(name, []).append((value, votes, n))
    return [{"point": name, **_point(given)} for name, given in sorted(by_name.items())]


def _point(given: Sequence[tuple[float | None, Votes, int]]) -> dict[str, Any]:
    decided = [(value, n) for value, _, n in given if value is not None]
    rows = sum(n for _, n in decided)
    alpha = krippendorff_alpha([votes for _, votes, n in given for _ in range(n)])
    return {
        "rows": rows,
        "mean": round(sum(value * n for value, n in decided) / rows, 4) if rows else None,
        "undecided": sum(n for value, _, n in given if value is None),
        "alpha": None if alpha is None else round(alpha, 4),
    }


def _reason_counts(rejects: pl.DataFrame) -> list[dict[str, Any]]:
    counts = (
        rejects.group_by("stage", "reason").len("rows").sort("rows", "stage", "reason", descending=[True, False, False])
    )
    return counts.to_dicts()


def _typical(contents: Contents) -> list[dict[str, Any]]:
    """Return one middling row of each recipe: the shortest prompt of the recipe's middle level in the first shard."""
    frame = contents.samples[0].read(
        ["id", "recipe", "level", "skills", "prompt", "steps", "verifier", "flags", "split", "cell"]
    )
    out = []
    for recipe in dict.fromkeys(e.recipe for e in contents.job.recipes):
        mine = frame.filter((pl.col("recipe") == recipe) & (pl.col("split") == "train"))
        if mine.height:
            middle = mine.filter(pl.col("level") == mine["level"].sort()[mine.height // 2])
            out.append(middle.sort(pl.col("prompt").str.len_chars(), "id").row(0, named=True))
    return out
