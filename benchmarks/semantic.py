"""What copies by meaning cost and how well they are told: python -m benchmarks.semantic [--rows N] [--skip-peers].

First the labelled pairs of semantic_pairs.py: precision and recall at every threshold for the static embedder, MiniLM
and SemHash (with the same static model), a changed number told apart. Then N short texts, a fifth of them edited
copies, from text to kept rows with the static embedder, beside SemHash. Prints tables and, as its last line, one JSON
object; draws the curves with --plot FILE.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.generate import GIB, ROOT, Failed, machine, use_two_cores
from benchmarks.semantic_pairs import KINDS, Pair, labelled_pairs
from factory.dedupe.semantic import SemanticSpec, semantic_duplicates
from factory.selection.embedders import BATCH, MINILM_TOKENS, Embedder, embedder_of, minilm_digest, model_folder
from factory.selection.static import static_embedder

PEERS_ENV = ROOT / ".venv-peers-semantic"
PEERS_WANT = "semhash==0.5.0"
PEERS_SCRIPT = ROOT / "benchmarks" / "peers" / "semhash_rows.py"
AT_LEAST, PRECISE, RECALLED = 20_000, 0.9, 0.98
THRESHOLDS = tuple(round(0.5 + 0.01 * i, 2) for i in range(50))
SHOWN = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
SAMPLE, BULK_THRESHOLD, FEWEST = 20_000, 0.9, 5
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Told:
    """How pairs are told at a threshold. Positives: paraphrases; negatives: same topic and unrelated."""

    threshold: float
    precision: float
    recall: float
    numbers: float  # share of the changed numbers that would leave

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both > 0 else 0.0


def told_at(scores: Floats, kinds: npt.NDArray[np.str_], threshold: float) -> Told:
    """Return how the pairs are told at a threshold; the precision of fewer than FEWEST is no number."""
    near = scores >= threshold
    right = int((near & (kinds == "paraphrase")).sum())
    wrong = int((near & ((kinds == "topic") | (kinds == "unrelated"))).sum())
    share = float(near[kinds == "number"].mean())
    precision = right / (right + wrong) if right + wrong >= FEWEST else float("nan")
    return Told(threshold, precision, right / int((kinds == "paraphrase").sum()), share)


def scores_of(embedder: Embedder, pairs: Sequence[Pair]) -> Floats:
    """Return the cosine of each pair."""
    first, second = (embedder.encode(side) for side in ([p.first for p in pairs], [p.second for p in pairs]))
    return np.asarray(np.einsum("ij,ij->i", first, second), dtype=np.float64)


def choose(curves: Mapping[str, list[Told]]) -> tuple[str, float]:
    """Return the embedder and the threshold of the highest recall at a precision of PRECISE."""
    good = [(t.recall, name, t.threshold) for name, told in curves.items() for t in told if t.precision >= PRECISE]
    _, name, threshold = max(good)
    return name, threshold


# ------------------------------------------------------------------------------------------------------------- in bulk

TEMPLATES = (
    "Explain how {a} affects {b} in {c} {d}.",
    "Write a short story about a {a} who finds {b} near the {c} and {d}.",
    "What is the difference between {a} and {b} when {c} {d}?",
    "List {n} ways to improve {a} with {b} for {c}, {d} included.",
    "A {a} sells {n} {b} to the {c} for {m} dollars. How much does each {d} cost?",
    "Summarize the role of {a} in {b} {c} during {d}.",
    "Design an experiment on {a} that measures {b} against {c} and {d}.",
    "Give me a recipe with {a}, {b}, {c} and {d}.",
    "Translate a poem about {a} and {b} into plain words for {c} {d}.",
    "Why do {a} {b} need {c}, and what happens without {d}?",
    "Compare {a} with {b} for a {c} who likes {d}.",
    "Prove that every {a} {b} has {n} {c} or {d}.",
)
BEFORE = ("Please ", "Could you ", "I need you to ", "For my class, ")
AFTER = ("", " Thanks.", " Keep it brief.", " Show your work.")
COPIES = 0.2


def bulk_texts(rows: int, seed: int = 1) -> list[str]:
    """Return so many short instructions over the words of MiniLM's vocabulary; a fifth are edited copies."""
    rng = random.Random(seed)
    spelled = (model_folder() / "vocab.txt").read_text(encoding="utf-8").splitlines()
    words = [word for word in spelled if re.fullmatch(r"[a-z]{4,12}", word)]
    texts: list[str] = []
    for _ in range(rows):
        if texts and rng.random() < COPIES:
            texts.append(edited(rng.choice(texts), words, rng))
        else:
            said = {name: rng.choice(words) for name in "abcd"}
            texts.append(rng.choice(TEMPLATES).format(n=rng.randint(2, 99), m=rng.randint(100, 999), **said))
    return texts


def edited(text: str, words: Sequence[str], rng: random.Random) -> str:
    """Return a text put more politely, with one word changed, or with two neighbours exchanged."""
    how, parts = rng.random(), text.split()
    if how < 0.4:
        return rng.choice(BEFORE) + text[0].lower() + text[1:] + rng.choice(AFTER)
    place = rng.randrange(len(parts) - 1)
    if how < 0.7:
        parts[place] = rng.choice(words)
    else:
        parts[place], parts[place + 1] = parts[place + 1], parts[place]
    return " ".join(parts)


def measure_bulk(embedder: Embedder, rows: int) -> dict[str, float]:
    """Return seconds and kept rows of `rows` texts, and what the lists find of what a full comparison finds."""
    texts = bulk_texts(rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    vectors = embedder.encode(texts).astype(np.float16)
    embedded = time.perf_counter() - started
    ranks, alive = np.arange(rows), np.ones(rows, np.bool_)
    found = semantic_duplicates(vectors, ranks, alive, BULK_THRESHOLD)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    some = slice(0, min(SAMPLE, rows))
    full, lists = (
        set(semantic_duplicates(vectors[some], ranks[some], alive[some], BULK_THRESHOLD, mode)["row"])
        for mode in ("full", "approximate")
    )
    return {
        "rows": rows,
        "seconds": round(seconds, 2),
        "embedding_s": round(embedded, 2),
        "rows_per_s": round(rows / seconds),
        "kept": rows - found.height,
        "peak_gib": round(peak * 1024 / GIB, 2),
        "before_gib": round(before * 1024 / GIB, 2),
        "recall_of_lists": round(len(full & lists) / max(1, len(full)), 4),
    }


# ---------------------------------------------------------------------------------------------------------- the peer


def ask_semhash(folder: Path, pairs: Sequence[Pair], texts: Sequence[str]) -> dict[str, Any]:
    """Return what SemHash says of the pairs and of the texts, with the static model of a folder."""
    if not (PEERS_ENV / "bin" / "semhash").exists() and not list(PEERS_ENV.glob("lib/*/site-packages/semhash")):
        subprocess.run([sys.executable, "-m", "venv", str(PEERS_ENV)], check=True)
        pip = [str(PEERS_ENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
        if subprocess.run([*pip, PEERS_WANT], check=False).returncode:
            raise Failed(f"{PEERS_WANT} could not be installed in {PEERS_ENV}; go without it: --skip-peers")
    task = {"pairs": [[p.first, p.second] for p in pairs], "texts": list(texts), "threshold": BULK_THRESHOLD}
    with tempfile.TemporaryDirectory() as room:
        file = Path(room) / "task.json"
        file.write_text(json.dumps(task), encoding="utf-8")
        command = [str(PEERS_ENV / "bin" / "python"), str(PEERS_SCRIPT), str(folder), str(file)]
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode:
        raise Failed("SemHash ended with an error; what it said is above")
    said: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return said


# ------------------------------------------------------------------------------------------------------------- telling


def tell(curves: Mapping[str, list[Told]]) -> None:
    """Print precision, recall and F1 against thresholds."""
    print(f"{'':10}{'threshold':>10}{'precision':>11}{'recall':>8}{'F1':>7}{'numbers leave':>15}")
    for name, told in curves.items():
        for t in told:
            if t.threshold in SHOWN:
                figures = f"{t.threshold:>10.2f}{t.precision:>11.3f}{t.recall:>8.3f}{t.f1:>7.3f}{t.numbers:>15.3f}"
                print(f"{name:10}{figures}")


def draw(curves: Mapping[str, list[Told]], file: Path) -> None:
    """Save the curves as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(curves), figsize=(4.2 * len(curves), 3.6), sharey=True, layout="constrained")
    for axis, (name, told) in zip(np.atleast_1d(axes), curves.items(), strict=True):
        steps = [t.threshold for t in told]
        axis.plot(steps, [t.precision for t in told], label="precision")
        axis.plot(steps, [t.recall for t in told], label="recall")
        axis.plot(steps, [t.f1 for t in told], label="F1", color="black", linewidth=1)
        axis.plot(steps, [t.numbers for t in told], label="changed numbers that leave", linestyle=":", color="grey")
        axis.set(title=name, xlabel="cosine threshold", ylim=(0, 1.03), xlim=(0.5, 1))
        axis.grid(alpha=0.3)
    np.atleast_1d(axes)[0].legend(loc="lower left", fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def summary(
    curves: Mapping[str, list[Told]], bulk: Mapping[str, float], ratio: float | None, cores: int
) -> dict[str, Any]:
    """Return the last line."""
    embedder, threshold = choose({name: curves[name] for name in ("static", "minilm")})
    default = SemanticSpec()
    asked: dict[str, list[float]] = {
        "rows_per_s": [bulk["rows_per_s"], AT_LEAST],
        "recall_of_lists": [bulk["recall_of_lists"], RECALLED],
    }
    best = {name: max(told, key=lambda t: t.f1) for name, told in curves.items()}
    return {
        "bench": "semantic",
        "value": bulk["rows_per_s"],
        "unit": "texts/s, text to kept",
        "ratios": {} if ratio is None else {"semhash": round(ratio, 3)},
        "bars": asked,
        "ok": all(found >= wanted for found, wanted in asked.values()),
        "best_f1": {name: [t.threshold, round(t.f1, 3)] for name, t in best.items()},
        "precise": [embedder, threshold],
        "default": [default.embedder, default.threshold],
        "bulk": dict(bulk),
        "machine": machine(cores),
    }


def main() -> int:
    """Measure, print the tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--peer-rows", type=int, default=50_000)
    parser.add_argument("--skip-peers", action="store_true")
    parser.add_argument("--cache", type=Path, default=ROOT / "outputs" / "cache")
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    cores = use_two_cores()
    static = static_embedder(given.cache, model_folder(), minilm_digest(MINILM_TOKENS, BATCH))
    minilm = embedder_of("minilm", given.cache)
    pairs = labelled_pairs()
    kinds = np.array([pair.kind for pair in pairs])
    bulk = measure_bulk(static, given.rows)
    scores, ratio = {"static": scores_of(static, pairs), "minilm": scores_of(minilm, pairs)}, None
    if not given.skip_peers:
        try:
            theirs = ask_semhash(static.folder, pairs, bulk_texts(given.peer_rows))
        except Failed as problem:
            print(f"benchmarks.semantic: {problem}", file=sys.stderr)
            return 1
        scores["semhash"] = np.array(theirs["scores"])
        ratio = bulk["rows_per_s"] / (given.peer_rows / theirs["seconds"])
    curves = {name: [told_at(found, kinds, t) for t in THRESHOLDS] for name, found in scores.items()}
    print(", ".join(f"{int((kinds == kind).sum())} {kind}" for kind in KINDS), "pairs\n")
    tell(curves)
    if given.plot:
        draw(curves, given.plot)
    print(json.dumps(summary(curves, bulk, ratio, cores)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
