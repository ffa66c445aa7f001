"""Which skills go together, and of which kind each row is: least-used-first, decided once, before anything is made.

Instruct-SkillMix (arXiv 2408.14774) draws both at random: the 1,000 rows that it released use 942 of its 1,132 skills,
and have from 44 to 73 rows of a query type.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt

from factory.artifacts.digest import Rng, hash_order

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
SEEDS = 2**48
STEPS = 20_000  # of one search; only lists in which nearly all skills are near each other come so far


@dataclass(slots=True)
class Tally:
    """How often each skill, and each pair of skills (in alphabetical order), was planned so far."""

    skills: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, members: Sequence[str]) -> None:
        """Count one tuple."""
        self.skills.update(members)
        self.pairs.update(combinations(sorted(members), 2))


def plan_tuples(
    names: Sequence[str],
    sizes: Sequence[int],
    near: Collection[frozenset[str]],
    rng: Rng,
    weights: Mapping[str, float] | None = None,
    used: Tally | None = None,
) -> list[list[str]]:
    """Return a tuple of sizes[i] different skills for each row i, and add them to `used`.

    The skill least used for its weight starts a tuple, and each further member is the least used of those with which
    every pair is new; ties are random. No two of a tuple are `near`. No pair comes twice while there is an unused one;
    after that a member is the one whose pairs came least often. Where a size above 2 leaves unused pairs that make up
    no whole tuple, tuples are built around them.

    `weights` are relative (1 where none is given): twice the weight is twice the rows, 0 leaves a skill out. Where
    they differ they win over the pairs: a skill that has met all others meets them again rather than fall behind.

    The result does not depend on the order of `names`, `near` and `weights`. Planning goes on where `used` ended.
    Raises ValueError where a size cannot be had.
    """
    tally = Tally() if used is None else used
    heavy = _heavy(names, weights or {})
    if wrong := [size for size in sizes if size < 1]:
        raise ValueError(f"a tuple of {wrong[0]} skills cannot be planned; sizes start at 1")
    if sizes and max(sizes) > len(heavy):
        raise ValueError(f"tuples of {max(sizes)} different skills need as many skills; there are {len(heavy)}")
    planner = _Planner(heavy, near, tally)
    seed = rng.below(SEEDS)
    out = []
    for i, size in enumerate(sizes):
        members = planner.next(size, hash_order(seed, f"row/{i}", len(heavy)))
        tally.add(members)
        out.append(members)
    return out


def _heavy(names: Sequence[str], weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights above 0 of the names, in alphabetical order."""
    found = {name: float(weights.get(name, 1.0)) for name in sorted(set(names))}
    for name, weight in found.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"the weight of skill '{name}' is {weight}; a weight is a number from 0 on")
    return {name: weight for name, weight in found.items() if weight > 0}


class _Planner:
    """The tally as arrays over the skills, and the search for the next tuple."""

    def __init__(self, weights: Mapping[str, float], near: Collection[frozenset[str]], tally: Tally) -> None:
        self.names = list(weights)
        self.weight = np.array(list(weights.values()), dtype=np.float64)
        self.used = np.array([tally.skills[name] for name in self.names], dtype=np.float64)
        self.met: list[dict[int, int]] = [{} for _ in self.names]
        self.near: list[set[int]] = [{i} for i in range(len(self.names))]
        self.strict = bool((self.weight == self.weight[:1]).all())
        self.full = np.zeros(len(self.names), dtype=np.bool_)  # skills that have met all they may stand beside
        self.spent: dict[int, Mask] = {}  # by size: skills that start no tuple of new pairs any more
        self.barred: dict[int, Mask] = {}  # by size: skills that near ones keep out of every tuple
        at = {name: i for i, name in enumerate(self.names)}
        for pair in near:
            for a in pair & at.keys():
                self.near[at[a]].update(at[b] for b in pair & at.keys())
        for (first, second), n in tally.pairs.items():
            if first in at and second in at:
                self._meet(at[first], at[second], n)

    def _meet(self, a: int, b: int, n: int) -> None:
        self.met[a][b] = self.met[a].get(b, 0) + n
        self.met[b][a] = self.met[b].get(a, 0) + n

    def next(self, size: int, ties: npt.NDArray[np.uint64]) -> list[str]:
        """Return the next tuple, in an order that says nothing, and count it."""
        # Webster's divisor: as count / weight where weights are equal, and fair to light skills where they are not.
        keys = (self.used + 0.5) / self.weight
        order = np.lexsort((ties, keys))
        rank = np.empty(order.size, dtype=np.float64)
        rank[order] = np.arange(order.size)
        found = self._new(size, order, rank) or self._again(size, order, rank)
        if not found:
            raise ValueError(
                f"no {size} of the {len(self.names)} skills can stand in one tuple: of any {size}, two are near"
                " synonyms; give more skills, smaller tuples, or merge the near ones"
            )
        self.used[found] += 1
        for a, b in combinations(found, 2):
            self._meet(a, b, 1)
        return [self.names[i] for i in sorted(found, key=lambda i: int(ties[i]))]

    def _new(self, size: int, order: Index, rank: Floats) -> list[int]:
        """Return the first tuple all of whose pairs are new: of any skill, or of the first one where weights differ."""
        spent = self.spent.setdefault(size, np.zeros(order.size, dtype=np.bool_))
        barred = self._barred(size)
        for start in order[~barred[order]].tolist():
            if not spent[start]:
                if found := self._search([start], self._apart(start, new=True), size, rank, new=True):
                    return found
                spent[start] = True  # new pairs only become fewer
            if not self.strict:
                break
        return []

    def _again(self, size: int, order: Index, rank: Floats) -> list[int]:
        """Return a tuple of the pairs that came least often, around a new pair where there is one."""
        barred = self._barred(size)
        starts = order[~barred[order]].tolist()
        if self.strict and size > 1:
            starts.sort(key=self._is_full)
        for start in starts:
            if found := self._search([start], self._apart(start, new=False), size, rank, new=False):
                return found
            barred[start] = True
        return []

    def _is_full(self, i: int) -> bool:
        if not self.full[i]:
            self.full[i] = not self._apart(i, new=True).any()
        return bool(self.full[i])

    def _barred(self, size: int) -> Mask:
        return self.barred.setdefault(size, np.zeros(len(self.names), dtype=np.bool_))

    def _apart(self, i: int, *, new: bool) -> Mask:
        """Return the skills that may stand beside one; only those it has not met where pairs must be new."""
        mask = np.ones(len(self.names), dtype=np.bool_)
        mask[list(self.near[i])] = False
        if new and self.met[i]:
            mask[list(self.met[i])] = False
        return mask

    def _search(self, members: list[int], open_: Mask, size: int, rank: Floats, *, new: bool) -> list[int]:
        """Return the members grown to a size, the best first and backwards from dead ends; empty where none grows."""
        steps = 0
        stack: list[tuple[list[int], Mask, Iterator[int]]] = [(members, open_, self._best(members, open_, rank))]
        while stack:
            grown, mask, options = stack[-1]
            if len(grown) == size:
                return grown
            steps += 1
            if (pick := next(options, None)) is None or steps > STEPS:
                stack.pop()
                continue
            more = mask & self._apart(pick, new=new)
            if len(grown) + 1 == size or int(more.sum()) + len(grown) + 1 >= size:
                stack.append(([*grown, pick], more, self._best([*grown, pick], more, rank)))
            mask[pick] = False  # whatever holds it was tried
        return []

    def _best(self, members: list[int], open_: Mask, rank: Floats) -> Iterator[int]:
        """Yield the open skills: those whose pairs with the members came least often for their weight, then by rank."""
        options = np.flatnonzero(open_)
        came = np.zeros(len(self.names), dtype=np.float64)
        for member in members:
            others = self.met[member]
            came[list(others)] += list(others.values())
        cost = came[options]
        if not self.strict and cost.any():
            cost = (cost + 0.5) / self.weight[options]
        yield from options[np.lexsort((rank[options], cost))].tolist()


def spread(kinds: Sequence[str], tuples: Sequence[Sequence[str]], rng: Rng) -> list[str]:
    """Return a kind for each row of skills: every kind floor or ceil(rows / kinds) times.

    Of the kinds that have rows left, a row takes the one that its skills met least often, then the one with most rows
    left; ties are random. So a skill meets a kind again only after nearly all the others, and says nothing about it.
    """
    names = rng.shuffled(sorted(set(kinds)))
    if not names:
        raise ValueError("there are no kinds to spread rows over")
    whole, rest = divmod(len(tuples), len(names))
    left = {name: whole + (i < rest) for i, name in enumerate(names)}
    met: Counter[tuple[str, str]] = Counter()
    out = []
    for members in tuples:
        cost = {kind: (sum(met[skill, kind] for skill in members), -n) for kind, n in left.items() if n}
        least = min(cost.values())
        kind = rng.pick([name for name, value in cost.items() if value == least])
        left[kind] -= 1
        met.update((skill, kind) for skill in members)
        out.append(kind)
    return out
