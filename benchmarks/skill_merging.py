"""Whether merging joins what is one skill and keeps siblings apart: python -m benchmarks.skill_merging

1,200 labels (skill_lists.py) in two halves by group: the threshold is chosen on the first, by F0.5, and every figure in
the summary comes from the second.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.skill_lists import LABELS, Planted, halves, planted_labels, sibling_pairs, synonym_pairs
from factory.artifacts.digest import hash_order
from factory.selection.embed import DIMENSIONS, encode
from factory.skills.language.merge import THRESHOLD, merge
from factory.skills.language.names import skill_name
from factory.skills.language.skill import LanguageSkill

THRESHOLDS = tuple(round(0.40 + 0.025 * step, 3) for step in range(23))
PICTURE = Path("docs/images/skill-merging.png")
BULK = 20_000

Partition = Mapping[str, str | None]
"""What each label became."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How well a partition of labels agrees with what they name; shares in [0, 1]."""

    copies: float
    precision: float
    recall: float
    apart: float

    @property
    def f_half(self) -> float:
        """Return F0.5 of the pairs in other words: precision counts twice as much as recall."""
        bottom = 0.25 * self.precision + self.recall
        return 1.25 * self.precision * self.recall / bottom if bottom else 0.0


def figures(labels: Sequence[Planted], became: Partition) -> Figures:
    """Return the figures of a partition: over copies, and over all pairs of hand-written labels."""
    written = [planted for planted in labels if planted.kind != "copy"]
    homes: dict[str, str | None] = {skill_name(planted.label): became[planted.label] for planted in written}
    together = {frozenset(pair) for pair in combinations(homes, 2) if homes[pair[0]] == homes[pair[1]]}
    true, siblings = synonym_pairs(list(labels)), sibling_pairs(list(labels))
    copies = [planted for planted in labels if planted.kind == "copy"]
    return Figures(
        copies=sum(became[copy.label] == became[copy.source] for copy in copies) / max(1, len(copies)),
        precision=len(together & true) / len(together) if together else 1.0,
        recall=len(together & true) / len(true),
        apart=1 - len(together & siblings) / len(siblings),
    )


def ours(labels: Sequence[Planted], *, definitions: bool) -> Callable[[float], Partition]:
    """Return what merging makes of the labels at a threshold; they are embedded once."""
    skills = [planted.skill(definitions=definitions) for planted in labels]
    vectors = encode([replace(skill, name=skill_name(skill.name)).said for skill in skills])

    def partition(threshold: float) -> Partition:
        merges = merge(skills, threshold, vectors=vectors).merges
        return dict(zip(merges["label"], merges["skill"], strict=True))

    return partition


def plain(labels: Sequence[Planted], likeness: npt.NDArray[np.float64]) -> Callable[[float], Partition]:
    """Return what the same greedy order makes of a matrix of likeness alone, without rules of words or spelling."""
    order = sorted(range(len(labels)), key=lambda row: labels[row].label)

    def partition(threshold: float) -> Partition:
        became: dict[str, str | None] = {}
        kept: list[int] = []
        for row in order:
            near = max(kept, key=lambda other: likeness[row, other], default=None)
            if near is None or likeness[row, near] < threshold:
                kept.append(near := row)
            became[labels[row].label] = labels[near].label
        return became

    return partition


def edit_likeness(labels: Sequence[Planted]) -> npt.NDArray[np.float64]:
    """Return the share of matching letters of all pairs of canonical names (difflib)."""
    names = [skill_name(planted.label).replace("_", " ") for planted in labels]
    likeness = np.eye(len(names))
    for one, other in combinations(range(len(names)), 2):
        matcher = SequenceMatcher(None, names[one], names[other], autojunk=False)
        near = matcher.real_quick_ratio() >= THRESHOLDS[0] and matcher.quick_ratio() >= THRESHOLDS[0]
        likeness[one, other] = likeness[other, one] = matcher.ratio() if near else 0.0
    return likeness


def cosine_likeness(labels: Sequence[Planted]) -> npt.NDArray[np.float64]:
    """Return the cosines of all pairs, with definitions."""
    skills = [replace(planted.skill(definitions=True), name=skill_name(planted.label)) for planted in labels]
    vectors = encode([skill.said for skill in skills])
    return np.asarray(vectors @ vectors.T, dtype=np.float64)


WAYS: dict[str, Callable[[Sequence[Planted]], Callable[[float], Partition]]] = {
    "with definitions": lambda labels: ours(labels, definitions=True),
    "names alone": lambda labels: ours(labels, definitions=False),
    "cosine alone": lambda labels: plain(labels, cosine_likeness(labels)),
    "edit distance": lambda labels: plain(labels, edit_likeness(labels)),
}


def chosen(labels: Sequence[Planted], way: Callable[[float], Partition]) -> tuple[float, dict[float, Figures]]:
    """Return the threshold with the best F0.5 (the higher of two that are as good), and the curve."""
    curve = {threshold: figures(labels, way(threshold)) for threshold in THRESHOLDS}
    return max(curve, key=lambda threshold: (curve[threshold].f_half, threshold)), curve


def bulk(skills: int) -> float:
    """Return the seconds that merging takes, embeddings apart, where one skill in ten has a near twin."""
    draws = hash_order(0, "bulk", skills * DIMENSIONS).astype(np.float64).reshape(skills, DIMENSIONS)
    vectors = draws / 2.0**63 - 1
    vectors[::10] = vectors[1::10] + 0.3 * vectors[::10]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    named = [LanguageSkill(f"skill_{'abcdefghij'[row % 10]}x{row}") for row in range(skills)]
    began = time.perf_counter()
    merge(named, vectors=vectors.astype(np.float32))
    return time.perf_counter() - began


def draw(curves: Mapping[str, Mapping[float, Figures]], best: Mapping[str, float]) -> None:
    """Write the curves of the second half as a picture, where matplotlib is installed."""
    if find_spec("matplotlib") is None:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(curves), figsize=(3.4 * len(curves), 3.2), sharey=True)
    for axis, (title, curve) in zip(axes, curves.items(), strict=True):
        for name, colour in (("precision", "#1f4e79"), ("recall", "#c55a11"), ("apart", "#548235")):
            shown = "siblings kept apart" if name == "apart" else name
            axis.plot(list(curve), [getattr(point, name) for point in curve.values()], color=colour, label=shown)
        axis.axvline(best[title], color="#7f7f7f", linestyle=":", label="chosen on the other half")
        axis.set(title=title, xlabel="threshold", ylim=(0, 1.02))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=120, metadata={"Software": None})


def show(title: str, curve: Mapping[float, Figures], best: float) -> None:
    """Print a curve; the chosen threshold is marked."""
    print(f"\n{title}\n{'threshold':>10}{'copies':>9}{'precision':>11}{'recall':>9}{'apart':>8}{'F0.5':>8}")
    for threshold, point in curve.items():
        shares = f"{point.copies:>9.3f}{point.precision:>11.3f}{point.recall:>9.3f}{point.apart:>8.3f}"
        print(f"{threshold:>10}{shares}{point.f_half:>8.3f}{'  <- chosen' if threshold == best else ''}")


def benchmark(labels: int) -> dict[str, Any]:
    """Return the summary, after the tables were printed."""
    first, second = halves(planted_labels(labels))
    best: dict[str, float] = {}
    curves: dict[str, dict[float, Figures]] = {}
    for title, way in WAYS.items():
        best[title], _ = chosen(first, way(first))
        _, curves[title] = chosen(second, way(second))
        show(title, curves[title], best[title])
    draw(curves, best)
    found = {title: curve[best[title]] for title, curve in curves.items()}
    return summary(found, best, len(second), bulk(BULK))


def summary(found: Mapping[str, Figures], best: Mapping[str, float], labels: int, seconds: float) -> dict[str, Any]:
    """Return the JSON of the last line."""
    main = found["with definitions"]
    ratio = main.f_half / found["edit distance"].f_half
    bars: dict[str, dict[str, float]] = {
        "copies": {"at_least": 1.0, "found": main.copies},
        "of_edit_distance": {"at_least": 1.5, "found": round(ratio, 2)},
        "of_cosine_alone": {"at_least": 1.1, "found": round(main.f_half / found["cosine alone"].f_half, 2)},
        "bulk_per_s": {"at_least": 500, "found": round(BULK / seconds)},
    }
    return {
        "bench": "skill_merging",
        "value": round(main.f_half, 3),
        "unit": "F0.5 of pairs in other words",
        "ratios": {title: round(main.f_half / of.f_half, 2) for title, of in found.items() if of.f_half},
        "bars": bars,
        "ok": all(bar["found"] >= bar["at_least"] for bar in bars.values()),
        "aims": {
            "apart": {"at_least": 0.95, "found": round(main.apart, 3)},
            "precision": {"at_least": 0.75, "found": round(main.precision, 3)},
        },
        "thresholds": dict(best),
        "shipped": THRESHOLD,
        "figures": {
            title: {name: round(getattr(of, name), 3) for name in ("copies", "precision", "recall", "apart")}
            for title, of in found.items()
        },
        "labels": labels,
    }


def main() -> int:
    """Return the exit code: 0 when everything was measured, whether or not the bars are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.skill_merging", description="Merging of skills.")
    parser.add_argument("--labels", type=int, default=LABELS, help="labels in both halves together")
    print(json.dumps(benchmark(parser.parse_args().labels)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
