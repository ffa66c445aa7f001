"""Skills that are the same under several labels become one: by spelling, by meaning, by a teacher's verdicts.

Greedy in a fixed order (highest count first, then the name): a skill joins a *kept* one that it is near, never one that
is itself merged, so that A near B near C does not put A and C together. A cosine counts less where one of the two has
a nearer neighbour: siblings and broad skills are near to many, the same skill is nearest to itself. (Cross-domain local
scaling, Conneau et al. 2018, corrects hubs to the same end.) What words alone keep apart (words.py) is never
merged by meaning, however near. Memory grows with the number of skills times the size of a block, not with its square.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.selection.embed import DIMENSIONS, encode
from factory.skills.language.lists import joined
from factory.skills.language.names import skill_name, spelling_key
from factory.skills.language.skill import LanguageSkill
from factory.skills.language.words import kept_apart
from schemas.skills import MERGES

THRESHOLD = 0.575
"""Cosine, less half of what each is nearer to another one, from which two skills are one.

Chosen by benchmarks/skill_merging.py, with definitions; for a list of names alone 0.65 errs less.
"""
NEAR = 0.55
"""Cosine from which two skills are too near to be asked for together."""
SURE = 0.85
"""Cosine from which no teacher need be asked."""
LOW, NEIGHBOURS, MAX_CANDIDATES = 0.35, 1, 2_000
"""Pairs that a teacher is asked about: in each view so many nearest ones of a skill from this cosine on."""
BLOCK = 256

Vectors = npt.NDArray[np.float32]
Verdicts = Mapping[frozenset[str], bool]
How = Literal["meaning", "teacher"]


@dataclass(frozen=True, slots=True)
class Merged:
    """The skills that were kept, the highest count first, and what became of every label: a frame of MERGES."""

    skills: list[LanguageSkill]
    merges: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Spelled:
    """What all labels with one spelling key come to; `row` is the row of its vector."""

    skill: LanguageSkill
    labels: tuple[str, ...]
    row: int


@dataclass(slots=True)
class _Cluster:
    """A kept skill with those that joined it, as (position, how, similarity)."""

    members: list[tuple[int, How, float | None]] = field(default_factory=list)


def merge(
    skills: Sequence[LanguageSkill],
    threshold: float = THRESHOLD,
    verdicts: Verdicts | None = None,
    vectors: Vectors | None = None,
) -> Merged:
    """Return one skill for each meaning, the same whatever the order of the input, and a row for every label given.

    `verdicts` maps pairs of names to whether a teacher says that they are one skill: True puts them together, False
    keeps them apart, whatever the embedding says; where a chain of verdicts contradicts itself, False wins. `vectors`
    are unit vectors of the skills' `said`, row by row (made here unless given: the extra `embed`).
    """
    spelled = _by_spelling(skills)
    kept = _greedy(spelled, _vectors_of(spelled, vectors), threshold, _Teacher(spelled, verdicts or {}))
    out = []
    rows: dict[str, tuple[str, str | None, str, float | None]] = {}
    for position, cluster in kept.items():
        one = spelled[position]
        out.append(reduce(joined, (spelled[member].skill for member, _, _ in cluster.members), one.skill))
        mine = min(one.labels, key=lambda label: (label != one.skill.name, label))
        rows |= {x: (x, one.skill.name, "kept" if x == mine else "spelling", None) for x in one.labels}
        for member, how, similarity in cluster.members:
            rows |= {label: (label, one.skill.name, how, similarity) for label in spelled[member].labels}
    rows |= {s.name: (s.name, None, "empty", None) for s in skills if not skill_name(s.name)}
    frame = pl.DataFrame([rows[label] for label in sorted(rows)], schema=dict(MERGES.columns), orient="row")
    return Merged(sorted(out, key=_rank), frame)


def by_spelling(skills: Sequence[LanguageSkill]) -> list[LanguageSkill]:
    """Return one skill for each spelling, the highest count first."""
    return [one.skill for one in _by_spelling(skills)]


def candidate_pairs(
    skills: Sequence[LanguageSkill],
    views: Sequence[Vectors],
    low: float = LOW,
    neighbours: int = NEIGHBOURS,
    limit: int = MAX_CANDIDATES,
) -> list[tuple[str, str, float]]:
    """Return (name, name, cosine) of pairs that a teacher should judge, the most similar first, `limit` at most.

    These are each skill's nearest ones from `low` on in any view: unit vectors of names, of definitions, of both, row
    by row. One skill in other words is often far by its name. Opposite words and different numbers are decided.
    """
    spelled = _by_spelling(skills)
    found: dict[tuple[str, str], float] = {}
    for view in views:
        for one, other, cosine in _neighbours(_vectors_of(spelled, view), low, neighbours):
            first, second = sorted((spelled[one].skill.name, spelled[other].skill.name))
            if kept_apart(first, second) not in ("opposites", "numbers"):
                found[first, second] = max(cosine, found.get((first, second), cosine))
    ranked = sorted((-cosine, first, second) for (first, second), cosine in found.items())
    return [(first, second, -negative) for negative, first, second in ranked[:limit]]


def near_pairs(
    skills: Sequence[LanguageSkill], vectors: Vectors | None = None, threshold: float = NEAR
) -> frozenset[frozenset[str]]:
    """Return the pairs of canonical names that are too near to stand in one tuple of skills."""
    spelled = _by_spelling(skills)
    pairs = _pairs(_vectors_of(spelled, vectors), threshold)
    return frozenset(frozenset((spelled[one].skill.name, spelled[other].skill.name)) for one, other, _ in pairs)


def _rank(skill: LanguageSkill) -> tuple[int, str]:
    return -skill.count, skill.name


def _by_spelling(skills: Sequence[LanguageSkill]) -> list[_Spelled]:
    """Return the skills by spelling key, in the order of merging; labels of which nothing is left are left out."""
    groups: dict[str, list[int]] = {}
    names = [skill_name(skill.name) for skill in skills]
    for row, name in enumerate(names):
        if name:
            groups.setdefault(spelling_key(name) or name, []).append(row)
    return sorted((_spelled(skills, names, rows) for rows in groups.values()), key=lambda one: _rank(one.skill))


def _spelled(skills: Sequence[LanguageSkill], names: Sequence[str], rows: list[int]) -> _Spelled:
    counts: dict[str, int] = {}
    for row in rows:
        counts[names[row]] = counts.get(names[row], 0) + skills[row].count
    name = min(counts, key=lambda name: (-counts[name], name))
    ordered = sorted(
        rows, key=lambda row: (names[row] != name, -skills[row].count, tuple(skills[row].as_row().values()))
    )
    first = skills[ordered[0]]
    whole = reduce(joined, (skills[row] for row in ordered[1:]), first)
    told = next((row for row in ordered if skills[row].definition), ordered[0])
    fields = whole.as_row() | {"name": name}
    return _Spelled(LanguageSkill(**fields), tuple(dict.fromkeys(skills[row].name for row in ordered)), told)


def _vectors_of(spelled: Sequence[_Spelled], vectors: Vectors | None) -> Vectors:
    if vectors is not None:
        return np.asarray(vectors, dtype=np.float32)[[one.row for one in spelled]]
    if len(spelled) < 2:
        return np.zeros((len(spelled), DIMENSIONS), dtype=np.float32)
    return encode([one.skill.said for one in spelled])


class _Teacher:
    """A teacher's verdicts by positions in the order of merging."""

    def __init__(self, spelled: Sequence[_Spelled], verdicts: Verdicts) -> None:
        at = {spelling_key(one.skill.name): position for position, one in enumerate(spelled)}
        self.same: dict[int, set[int]] = {}
        self.other: dict[int, set[int]] = {}
        for pair, together in verdicts.items():
            places = {at.get(spelling_key(skill_name(name)), -1) for name in pair}
            if len(places) == 2 and -1 not in places:
                one, two = places
                side = self.same if together else self.other
                side.setdefault(one, set()).add(two)
                side.setdefault(two, set()).add(one)


def _greedy(spelled: Sequence[_Spelled], vectors: Vectors, threshold: float, teacher: _Teacher) -> dict[int, _Cluster]:
    """Return the kept positions with what joined each."""
    kept: dict[int, _Cluster] = {}
    home: dict[int, int] = {}
    best = _nearest(vectors)
    for position, near in _near_kept(vectors, threshold, kept):
        barred = {home[place] for place in teacher.other.get(position, ()) if place in home}
        told = sorted({home[place] for place in teacher.same.get(position, ()) if place in home} - barred)
        name = spelled[position].skill.name
        means = (
            (place, cosine)
            for cosine, place in near
            if 2 * cosine - (best[position] + best[place]) / 2 >= threshold
            and place not in barred
            and kept_apart(name, spelled[place].skill.name) is None
        )
        found = next(means, None) if not told else None
        home[position] = told[0] if told else found[0] if found else position
        if home[position] == position:
            kept[position] = _Cluster()
        else:
            how: How = "teacher" if told else "meaning"
            kept[home[position]].members.append((position, how, found[1] if found else None))
    return kept


def _nearest(vectors: Vectors) -> npt.NDArray[np.float64]:
    """Return the cosine of each with the nearest other one; -1 where there is no other."""
    best = np.full(len(vectors), -1.0)
    for start in range(0, len(vectors), BLOCK):
        cosines = _cosines(vectors[start : start + BLOCK], vectors)
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -1.0
        best[start : start + BLOCK] = cosines.max(axis=1)
    return best


def _neighbours(vectors: Vectors, low: float, most: int) -> Iterator[tuple[int, int, float]]:
    """Yield (position, position, cosine) of each with its nearest others from `low` on."""
    for start in range(0, len(vectors), BLOCK):
        cosines = _cosines(vectors[start : start + BLOCK], vectors)
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -1.0
        for row, nearest in enumerate(np.argsort(-cosines, axis=1, kind="stable")[:, :most]):
            for other in nearest:
                if cosines[row, other] >= low and other != start + row:
                    yield start + row, int(other), float(cosines[row, other])


def _near_kept(
    vectors: Vectors, threshold: float, kept: Mapping[int, object]
) -> Iterator[tuple[int, list[tuple[float, int]]]]:
    """Yield each position with the (cosine, position) of those in `kept` by then that are near, the nearest first."""
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        before = np.fromiter(kept, dtype=np.intp, count=len(kept))
        outside = _cosines(block, vectors[before])
        inside = _cosines(block, block)
        for row in range(len(block)):
            hits = np.flatnonzero(outside[row] >= threshold)
            near = [(float(outside[row, hit]), int(before[hit])) for hit in hits]
            own = (int(hit) for hit in np.flatnonzero(inside[row, :row] >= threshold))
            near += [(float(inside[row, hit]), start + hit) for hit in own if start + hit in kept]
            yield start + row, sorted(near, key=lambda pair: (-pair[0], pair[1]))


def _pairs(vectors: Vectors, threshold: float) -> Iterator[tuple[int, int, float]]:
    """Yield (position, later position, cosine) of all pairs from the threshold on."""
    for start in range(0, len(vectors), BLOCK):
        cosines = _cosines(vectors[start : start + BLOCK], vectors[start:])
        for row, column in zip(*np.nonzero(np.triu(cosines >= threshold, k=1)), strict=True):
            yield start + int(row), start + int(column), float(cosines[row, column])


def _cosines(left: Vectors, right: Vectors) -> npt.NDArray[np.float64]:
    """Return the cosines of unit vectors, rounded, so that the last bits of a sum decide nothing."""
    cosines = np.asarray(left @ right.T, dtype=np.float64)
    return np.round(cosines, 4, out=cosines)
