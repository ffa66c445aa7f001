"""The skill graph: which skills stand together in rows, which is needed before which, and how evenly all are used."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from factory.skills.language.skill import LanguageSkill
from schemas.skills import EDGES, ROW_SKILLS

TOGETHER, BEFORE = "together", "before"
SEEN = 2  # rows from which on a pair counts as more than chance: two rare skills in one row have the weight 1


@dataclass(frozen=True, slots=True)
class Judgement:
    """So many of `of` judgements say that `source` is needed before `target`."""

    source: str
    target: str
    votes: int
    of: int

    @property
    def share(self) -> float:
        """Return the share of judgements that say so."""
        return self.votes / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class Dropped:
    """A judgement that closes a cycle, and the way back from its target to its source by stronger ones."""

    judgement: Judgement
    way: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How a list of skills is used by rows. `gini` is 0 where all are used alike, near 1 where few have all."""

    rows: int
    skills: int
    unused: tuple[str, ...]
    least: int
    most: int
    gini: float
    pairs: int
    possible_pairs: int


@dataclass(frozen=True, slots=True)
class GraphTables:
    """`skills` has skill, family, rows, partners, degree, nearest, weight, is_least_used; most used skills first."""

    skills: pl.DataFrame
    coverage: Coverage


def rows_of_labels(labels: pl.DataFrame) -> pl.DataFrame:
    """Return ROW_SKILLS of LABELS: the different skills of each row that has any."""
    found = labels.drop_nulls("skill").group_by("row").agg(skills=pl.col("skill").unique().sort())
    return found.sort("row").select(list(ROW_SKILLS.columns))


def edges(rows: pl.DataFrame, before: Collection[Judgement] = ()) -> pl.DataFrame:
    """Return EDGES of ROW_SKILLS: one for each pair that stands in a row, and the judgements without cycles.

    The weight of a pair is its normalised pointwise mutual information (Bouma 2009): 1 where two skills only come
    together, 0 where they meet as often as by chance, towards -1 where they avoid each other. Strongest first.
    """
    together = _together(rows)
    shared = {(a, b): n for a, b, n in together.select("source", "target", "rows").iter_rows()}
    needed, _ = acyclic(before)
    columns: dict[str, list[object]] = {
        "source": [j.source for j in needed],
        "target": [j.target for j in needed],
        "kind": [BEFORE] * len(needed),
        "weight": [j.share for j in needed],
        "rows": [shared.get((min(j.source, j.target), max(j.source, j.target)), 0) for j in needed],
    }
    return pl.concat([strongest(together), EDGES.frame(columns)])


def strongest(frame: pl.DataFrame) -> pl.DataFrame:
    """Return EDGES by weight, those that only one row shows last."""
    order = ["weight", "rows", "source", "target"]
    down = [True, True, False, False]
    return frame.sort(pl.col("rows") >= SEEN, *order, descending=[True, *down])


def _together(rows: pl.DataFrame) -> pl.DataFrame:
    flat = rows.lazy().select("skills").with_row_index("row").explode("skills").drop_nulls().unique().collect()
    names = flat["skills"].unique().sort()
    codes = pl.DataFrame({"skills": names}).with_row_index("code")
    flat = flat.join(codes, on="skills").select("row", "code")
    total = max(flat["row"].n_unique(), 1)
    uses = flat.group_by("code").len("uses")
    left = flat.lazy()
    pairs = left.join(left, on="row", suffix="_b").filter(pl.col("code") < pl.col("code_b"))
    counted = pairs.group_by("code", "code_b").len("rows").collect()
    counted = counted.join(uses, on="code").join(uses.rename({"code": "code_b", "uses": "uses_b"}), on="code_b")
    p, chance = pl.col("rows") / total, pl.col("uses") / total * (pl.col("uses_b") / total)
    weight = pl.when(pl.col("rows") == total).then(1.0).otherwise((p / chance).log() / -p.log())
    return counted.select(
        source=names.gather(counted["code"]), target=names.gather(counted["code_b"]), kind=pl.lit(TOGETHER),
        weight=weight.clip(-1.0, 1.0), rows=pl.col("rows").cast(pl.Int64),
    )  # fmt: skip


def acyclic(before: Collection[Judgement]) -> tuple[list[Judgement], list[Dropped]]:
    """Return the judgements without cycles, strongest first, and the weakest of each cycle, which were dropped.

    Each is taken in order of strength unless the ones already taken lead from its target back to its source; so what is
    dropped is the weakest of the cycle that it would close. Ties go by votes, then by name.
    """
    kept: list[Judgement] = []
    dropped: list[Dropped] = []
    after: dict[str, list[str]] = {}
    for judgement in sorted(before, key=lambda j: (-j.share, -j.votes, j.source, j.target)):
        if way := _way(after, judgement.target, judgement.source):
            dropped.append(Dropped(judgement, way))
        elif judgement.target not in after.get(judgement.source, []):
            kept.append(judgement)
            after.setdefault(judgement.source, []).append(judgement.target)
    return kept, dropped


def _way(after: Mapping[str, list[str]], start: str, end: str) -> tuple[str, ...]:
    """Return a shortest way from a skill to another, both included; empty where there is none."""
    came: dict[str, str | None] = {start: None}
    line = [start]
    for here in line:
        if here == end:
            way: list[str] = []
            at: str | None = here
            while at is not None:
                way.append(at)
                at = came[at]
            return tuple(reversed(way))
        for there in after.get(here, ()):
            if there not in came:
                came[there] = here
                line.append(there)
    return ()


def graph_tables(skills: Sequence[LanguageSkill], found: pl.DataFrame, rows: pl.DataFrame | None = None) -> GraphTables:
    """Return what EDGES and ROW_SKILLS say of each skill and of all together.

    A skill that rows show and the list lacks is added. Without `rows` the counts of the skills stand for their rows.
    """
    listed = {skill.name: skill for skill in skills}
    uses = {name: skill.count for name, skill in listed.items()} if rows is None else _uses(rows)
    names = sorted(listed.keys() | uses.keys(), key=lambda name: (-uses.get(name, 0), name))
    partners, degree, nearest = _neighbours(found)
    counts = [uses.get(name, 0) for name in names]
    least = min(counts, default=0)
    table = pl.DataFrame(
        {
            "skill": names,
            "family": [listed[name].family if name in listed else "" for name in names],
            "rows": counts,
            "partners": [partners.get(name, 0) for name in names],
            "degree": [degree.get(name, 0) for name in names],
            "nearest": [nearest.get(name, (None, None))[0] for name in names],
            "weight": [nearest.get(name, (None, None))[1] for name in names],
            "is_least_used": [count == least for count in counts],
        },
        schema_overrides={"nearest": pl.String(), "weight": pl.Float64()},
    )
    coverage = Coverage(
        rows=0 if rows is None else rows.height,
        skills=len(names),
        unused=tuple(sorted(name for name in names if not uses.get(name))),
        least=least,
        most=max(counts, default=0),
        gini=gini(counts),
        pairs=int((found["kind"] == TOGETHER).sum()),
        possible_pairs=len(names) * (len(names) - 1) // 2,
    )
    return GraphTables(table, coverage)


def _uses(rows: pl.DataFrame) -> dict[str, int]:
    flat = rows.select(pl.col("skills").list.unique()).explode("skills").drop_nulls()
    return dict(flat.group_by("skills").len().iter_rows())


def _neighbours(found: pl.DataFrame) -> tuple[dict[str, int], dict[str, int], dict[str, tuple[str, float]]]:
    """Return, by skill, its partners in rows, its edges of both kinds, and its nearest partner with the weight."""
    partners: dict[str, int] = {}
    degree: dict[str, int] = {}
    nearest: dict[str, tuple[str, float]] = {}
    for source, target, kind, weight, _ in strongest(found).iter_rows():
        for one, other in ((source, target), (target, source)):
            degree[one] = degree.get(one, 0) + 1
            if kind == TOGETHER:
                partners[one] = partners.get(one, 0) + 1
                nearest.setdefault(one, (other, weight))
    return partners, degree, nearest


def gini(counts: Sequence[int]) -> float:
    """Return the Gini coefficient of counts: 0 where all are the same (or all are 0)."""
    ordered = np.sort(np.asarray(counts, dtype=np.float64))
    total = float(ordered.sum())
    if not total:
        return 0.0
    n = ordered.size
    return float(2 * (np.arange(1, n + 1) * ordered).sum() / (n * total) - (n + 1) / n)
