"""How evenly a plan of skills and query types comes out: python -m benchmarks.planning [--slots N] [--skills N].

4,000 slots of two skills out of 1,000, and 16 query types, planned least-used-first, beside the same drawn at random as
Instruct-SkillMix does. Prints a table and, as its last line, one JSON object. benchmarks/README.md says what each line
means.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from benchmarks.generate import machine, use_two_cores
from factory.artifacts.digest import Rng, row_rng
from factory.recipes.skill_tuples import plan_tuples, spread

LEAST, OFF_QUOTA = 6, 1.0
Maker = Callable[[Sequence[str], Sequence[str], int, int, Rng], tuple[list[list[str]], list[str]]]


@dataclass(frozen=True, slots=True)
class Evenness:
    """How even a plan is: uses of a skill, pairs that come again, rows of a query type off its quota."""

    least: int
    most: int
    pairs_again: int
    off_quota: float
    kinds_again: float  # share of (skill, query type) meetings that were not the first
    seconds: float


def planned(
    names: Sequence[str], kinds: Sequence[str], slots: int, k: int, rng: Rng
) -> tuple[list[list[str]], list[str]]:
    """Return the skills and the query type of each slot, least used first."""
    rows = plan_tuples(names, [k] * slots, [], rng)
    return rows, spread(kinds, rows, rng)


def drawn(
    names: Sequence[str], kinds: Sequence[str], slots: int, k: int, rng: Rng
) -> tuple[list[list[str]], list[str]]:
    """Return the skills and the query type of each slot, uniformly at random."""
    rows = []
    for _ in range(slots):
        members: list[str] = []
        while len(members) < k:
            if (name := rng.pick(names)) not in members:
                members.append(name)
        rows.append(members)
    return rows, [rng.pick(kinds) for _ in rows]


def measure(make: Maker, names: Sequence[str], kinds: Sequence[str], slots: int, k: int) -> Evenness:
    """Return how even a way of planning comes out."""
    started = time.perf_counter()
    rows, types = make(names, kinds, slots, k, row_rng(1, "benchmark", "planning"))
    seconds = time.perf_counter() - started
    uses = Counter(name for row in rows for name in row)
    pairs = Counter(pair for row in rows for pair in combinations(sorted(row), 2))
    met = Counter((name, kind) for row, kind in zip(rows, types, strict=True) for name in row)
    quotas = Counter(types)
    return Evenness(
        min(uses[name] for name in names),
        max(uses.values()),
        sum(n > 1 for n in pairs.values()),
        max(abs(quotas[kind] - slots / len(kinds)) for kind in kinds),
        1 - len(met) / sum(met.values()),
        seconds,
    )


def tell(found: dict[str, Evenness]) -> None:
    """Print the table."""
    print(
        f"{'plan':12}{'least uses':>12}{'most uses':>11}{'pairs again':>13}{'off quota':>11}{'kinds again':>13}{'s':>8}"
    )
    for name, e in found.items():
        figures = f"{e.least:>12}{e.most:>11}{e.pairs_again:>13}{e.off_quota:>11.1f}{e.kinds_again:>13.1%}"
        print(f"{name:12}{figures}{e.seconds:>8.2f}")


def summary(found: dict[str, Evenness], slots: int, skills: int, cores: int) -> dict[str, Any]:
    """Return the last line."""
    ours, random = found["planned"], found["random"]
    bars: dict[str, dict[str, Any]] = {
        "least_uses": {"found": ours.least, "at_least": LEAST, "ok": ours.least >= LEAST},
        "pairs_again": {"found": ours.pairs_again, "at_most": 0, "ok": ours.pairs_again == 0},
        "off_quota": {"found": ours.off_quota, "at_most": OFF_QUOTA, "ok": ours.off_quota <= OFF_QUOTA},
    }
    return {
        "bench": "planning",
        "value": ours.least,
        "unit": "uses of the least used skill",
        "ratios": {
            "least_uses_of_random": round(ours.least / random.least, 3) if random.least else None,
            "spread_of_random": round((ours.most - ours.least) / (random.most - random.least), 3),
        },
        "random": {"least_uses": random.least, "pairs_again": random.pairs_again, "off_quota": random.off_quota},
        "bars": bars,
        "ok": all(bar["ok"] for bar in bars.values()),
        "seconds": round(ours.seconds, 2),
        "slots": slots,
        "skills": skills,
        "machine": machine(cores),
    }


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=4_000)
    parser.add_argument("--skills", type=int, default=1_000)
    parser.add_argument("--kinds", type=int, default=16)
    parser.add_argument("-k", type=int, default=2)
    args = parser.parse_args()
    cores = use_two_cores()
    names = [f"skill_{i:05d}" for i in range(args.skills)]
    kinds = [f"query_type_{i:02d}" for i in range(args.kinds)]
    makers: dict[str, Maker] = {"planned": planned, "random": drawn}
    found = {name: measure(make, names, kinds, args.slots, args.k) for name, make in makers.items()}
    tell(found)
    print(json.dumps(summary(found, args.slots, args.skills, cores)))


if __name__ == "__main__":
    main()
