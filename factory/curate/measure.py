"""What a curation report measures: lengths, pass rates, similarities, benchmark hits, and which rows are shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

FIELDS = {"instruction_words": "instruction", "answer_words": "answer"}
# Each about 1.41 times the one before: the same for every pool, so that two reports can be laid side by side.
WORD_EDGES = (
    0, 1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048, 2896, 4096, 5793,
    8192, 11585, 16384, 23170, 32768,
)  # fmt: skip
MOST_WORDS = WORD_EDGES[-1] - 1
CLIP = 1_000_000  # characters that are looked at for words: what is longer is of the last class in any case
EIGHTHS = 8  # pass rates are told to the next eighth: most rates are of 8 or 16 tries
SIMILARITY_BINS = 20
CANDIDATES = 16  # pairs whose texts are looked at to show one
SHOWN = 420  # characters of a text that is shown
LEAD = 80  # characters before the first difference of two texts that are shown from there on
REPORTED = ("numbers",)  # levels of hits that are told and reject nothing
DUPLICATES = {
    "level": pl.String(), "similarity": pl.Float64(), "kept": pl.String(), "dropped": pl.String(),
    "kept_id": pl.String(), "dropped_id": pl.String(),
}  # fmt: skip
Counts = npt.NDArray[np.int64]
Texts = Callable[[Sequence[int]], pl.DataFrame]  # rows -> (row, id, instruction, answer), in any order


# ------------------------------------------------------------------------------------------------------------ lengths


def word_counts(texts: pl.Series) -> pl.Series:
    """Return how many words, between white space, each text has: UInt32, 0 for null, of CLIP characters at most."""
    texts = texts.cast(pl.String).fill_null("").alias("text")
    if (texts.str.len_bytes() > CLIP).any():
        texts = texts.str.slice(0, CLIP)
    text = pl.col("text")  # beginnings of words are found twice as fast as words
    words = text.str.count_matches(r"\s\S") + text.str.contains(r"\A\S").cast(pl.UInt32)
    return texts.to_frame().select(words=words).to_series()


def length_histogram(shards: Iterable[tuple[pl.DataFrame, pl.Series]]) -> dict[str, dict[str, Any]]:
    """Return the lengths of both fields in words, of all rows and of those that stay.

    `shards` are (rows with instruction and answer, which of them stay). For `instruction_words` and `answer_words`:
    edges (class i holds edges[i] <= words < edges[i + 1]), in and out (rows of each class), and of both the median and
    the 95th percentile. Longer texts count as MOST_WORDS. A field without a single word is left out. The same whatever
    the shards.
    """
    tallies = {name: np.zeros((2, MOST_WORDS + 1), np.int64) for name in FIELDS}
    for frame, kept in shards:
        stays = kept.to_numpy().astype(bool)
        for name, field in FIELDS.items():
            words = np.minimum(word_counts(frame[field]).to_numpy(), MOST_WORDS)
            tallies[name][0] += np.bincount(words, minlength=MOST_WORDS + 1)
            tallies[name][1] += np.bincount(words[stays], minlength=MOST_WORDS + 1)
    return {name: _classes(*tally) for name, tally in tallies.items() if tally[0][1:].any()}


def _classes(before: Counts, after: Counts) -> dict[str, Any]:
    last = int(np.searchsorted(WORD_EDGES, np.flatnonzero(before)[-1], side="right"))
    edges = list(WORD_EDGES[: last + 1])
    told: dict[str, Any] = {"edges": edges}
    for name, counts in (("in", before), ("out", after)):
        told[name] = np.add.reduceat(counts, edges[:-1]).tolist()
        told[f"{name}_median"], told[f"{name}_p95"] = _quantile(counts, 0.5), _quantile(counts, 0.95)
    return told


def _quantile(counts: Counts, share: float) -> int | None:
    total = int(counts.sum())
    return int(np.searchsorted(np.cumsum(counts), max(1, math.ceil(share * total)))) if total else None


# --------------------------------------------------------------------------------------------------------- difficulty


def difficulty_bins(frame: pl.DataFrame, kept: pl.Series, model: str = "weak") -> dict[str, Any] | None:
    """Return how many rows have a pass rate and how it is spread, before and after; None where no row has one.

    `frame` has <model>_right and <model>_tries; null, or no try at all, is unknown, which is no rate. `bins` are the
    nine eighths; 0 and 1 hold exactly those rates, since never and always are what a band of difficulty cuts off.
    """
    right, tries = pl.col(f"{model}_right"), pl.col(f"{model}_tries")
    rate = frame.select(pl.when(tries > 0).then(right / tries)).to_series()
    if rate.is_null().all():
        return None
    known = rate.is_not_null()
    counts = [_spread(rate.filter(chosen)) for chosen in (known, known & kept)]
    bins = [
        {"rate": i / EIGHTHS, "in": before, "out": after} for i, (before, after) in enumerate(zip(*counts, strict=True))
    ]
    unknown = ~known
    return {
        "model": model, "known": int(known.sum()), "unknown": int(unknown.sum()),
        "known_out": int((known & kept).sum()), "unknown_out": int((unknown & kept).sum()), "bins": bins,
    }  # fmt: skip


def _spread(rates: pl.Series) -> list[int]:
    found = rates.to_numpy()
    inner = np.clip(np.floor(found * EIGHTHS + 0.5), 1, EIGHTHS - 1)
    places = np.where(found <= 0, 0, np.where(found >= 1, EIGHTHS, inner)).astype(np.int64)
    spread: list[int] = np.bincount(places, minlength=EIGHTHS + 1).tolist()
    return spread


# ------------------------------------------------------------------------------------------------- hits and likenesses


def similarity_histogram(
    levels: Mapping[str, pl.DataFrame], thresholds: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """Return for each level that dropped rows by likeness: its threshold, edges, and rows by similarity to their twin.

    `levels` has a frame with the column similarity; one without it (exact copies) is left out. Rows in class i have
    edges[i] <= similarity < edges[i + 1], in the last one 1 too.
    """
    out = {}
    for name, frame in levels.items():
        if "similarity" not in frame.columns or name not in thresholds or frame["similarity"].drop_nulls().is_empty():
            continue
        found = frame["similarity"].drop_nulls().to_numpy()
        # Components may hold pairs below the threshold; a step of 0.05 keeps the edges round.
        low = math.floor(max(0.0, min(thresholds[name], float(found.min())) + 1e-9) * 20) / 20
        edges = np.round(np.linspace(min(low, 0.95), 1.0, SIMILARITY_BINS + 1), 6)
        rows = np.histogram(np.clip(found, edges[0], 1.0), edges)[0]
        out[name] = {"threshold": thresholds[name], "edges": edges.tolist(), "rows": rows.tolist()}
    return out


def contamination_table(
    hits: pl.DataFrame, sizes: Mapping[str, int], reported: Sequence[str] = REPORTED
) -> list[dict[str, Any]]:
    """Return what each benchmark was met by: HITS counted in rows of the data, a row once, benchmarks as in `sizes`.

    `rows` are the benchmark's, `hit_rows` the data's that have a hit that rejects, `reported_rows` those that have hits
    at the levels `reported` only; `places` says how many of the benchmark's rows were met by a hit that rejects.
    `by_level` and `fields` count every hit, so one row may be in several.
    """
    if unknown := sorted(set(hits["against"].unique()) - set(sizes)):
        raise ValueError(f"hits of benchmarks that have no size: {', '.join(unknown)}")
    out = []
    for name, rows in sizes.items():
        mine = hits.filter(pl.col("against") == name)
        strong = mine.filter(~pl.col("level").is_in(list(reported)))
        out.append(
            {
                "benchmark": name,
                "rows": rows,
                "hit_rows": strong["row"].n_unique(),
                "reported_rows": mine["row"].n_unique() - strong["row"].n_unique(),
                "places": strong["place"].n_unique(),
                "by_level": _rows_by(mine, "level"),
                "fields": _rows_by(mine, "field"),
            }
        )
    return out


def earlier_table(hits: pl.DataFrame, digests: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what each earlier release (name to digest) was met by: rows, and how many by signatures alone."""
    out = []
    for name, digest in digests.items():
        mine = hits.filter(pl.col("against") == name)
        sure = mine.filter(~pl.col("estimated"))["row"].n_unique()
        rows = mine["row"].n_unique()
        out.append({"release": name, "digest": digest, "hit_rows": rows, "estimated": rows - sure})
    return out


def _rows_by(hits: pl.DataFrame, column: str) -> dict[str, int]:
    counts = hits.group_by(column).agg(pl.col("row").n_unique())
    return dict(sorted(counts.iter_rows()))


# ----------------------------------------------------------------------------------------------------- which are shown


def duplicate_examples(levels: Mapping[str, pl.DataFrame], texts: Texts) -> list[dict[str, Any]]:
    """Return pairs to show of each level: the least alike that is readable, then a typical one (DUPLICATES as dicts).

    `levels` has frames (row, twin[, similarity]), rows and twins by number; without similarity they are copies. Of a
    few pairs near the end or the middle of the order by similarity, the first is taken whose texts differ and fit, so
    that the choice is the same in every run. Texts are cut, and begin near their first difference if that is far in.
    """
    chosen = {level: _pairs_of(frame) for level, frame in levels.items()}
    rows = sorted({row for groups in chosen.values() for group in groups for pair in group for row in pair[:2]})
    if not rows:
        return []
    found = {r["row"]: r for r in texts(rows).select("row", "id", "instruction", "answer").iter_rows(named=True)}
    return [_shown(level, *pair, found) for level, groups in chosen.items() for pair in _readable(groups, found)]


Pair = tuple[int, int, float]


def _pairs_of(frame: pl.DataFrame) -> list[list[Pair]]:
    """Return the pairs with least similarity, and those about the median."""
    if "similarity" not in frame.columns:
        frame = frame.with_columns(similarity=pl.lit(1.0))
    frame = frame.select("row", "twin", "similarity").drop_nulls().sort("similarity", "row")
    middle = max(0, frame.height // 2 - CANDIDATES // 2)
    return [list(frame[:CANDIDATES].iter_rows()), list(frame[middle : middle + CANDIDATES].iter_rows())]


def _readable(groups: Sequence[Sequence[Pair]], found: Mapping[int, Mapping[str, Any]]) -> list[Pair]:
    """Return a pair of each group, none twice: one that differs and fits, else one that differs, else the first."""
    out: list[Pair] = []
    for group in groups:
        ranked = sorted(
            (pair for pair in group if pair not in out),
            key=lambda pair: _unreadable(*(_whole(found[row]) for row in pair[:2])),
        )
        out += ranked[:1]
    return out


def _unreadable(left: str, right: str) -> tuple[bool, bool]:
    return left == right, max(len(left), len(right)) > SHOWN


def _whole(row: Mapping[str, Any]) -> str:
    parts = ((row["instruction"] or "").strip(), (row["answer"] or "").strip())
    return "\n\n".join(part for part in parts if part)


def _shown(
    level: str, row: int, twin: int, similarity: float, found: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    kept, dropped = excerpts(_whole(found[twin]), _whole(found[row]))
    return {
        "level": level, "similarity": round(similarity, 4), "kept": kept, "dropped": dropped,
        "kept_id": found[twin]["id"], "dropped_id": found[row]["id"],
    }  # fmt: skip


def excerpts(left: str, right: str) -> tuple[str, str]:
    """Return two texts cut to SHOWN characters, from a little before the place where they begin to differ."""
    same = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    start = 0 if max(len(left), len(right)) <= SHOWN or same < SHOWN - LEAD else same - LEAD
    return _window(left, start), _window(right, start)


def _window(text: str, start: int) -> str:
    head, tail = "…" if start else "", "…" if len(text) > start + SHOWN else ""
    return f"{head}{text[start : start + SHOWN].strip()}{tail}"


def reason_examples(
    rejects: Mapping[str, pl.DataFrame],
    texts: Texts,
    private: Collection[str] = (),
    unshown: Collection[str] = ("decontaminate",),
) -> list[dict[str, Any]]:
    """Return for each stage and reason one row that it holds of: stage, reason, id, detail, text.

    `rejects` has frames (row, code, detail). The row of smallest number whose text fits is taken, of the first
    CANDIDATES. Rows that broke a rule of `private` (those on personal data) are never shown; nor are rows of the stages
    `unshown`, since a card that quotes a benchmark would leak it again.
    """
    hidden = [f.filter(pl.col("code").is_in(list(private)))["row"] for f in rejects.values()]
    secret = pl.concat([s.cast(pl.Int64) for s in hidden]).unique() if hidden else pl.Series([], dtype=pl.Int64)
    groups = {}
    for stage, frame in rejects.items():
        if stage in unshown:
            continue
        open_rows = frame.filter(~pl.col("row").is_in(secret.implode()), ~pl.col("code").is_in(list(private)))
        for (code,), rows in open_rows.sort("row").group_by("code", maintain_order=True):
            groups[(stage, str(code))] = rows.select("row", "detail").head(CANDIDATES).rows()
    wanted = sorted({row for rows in groups.values() for row, *_ in rows})
    if not wanted:
        return []
    frame = texts(wanted).select("row", "id", "instruction", "answer")
    found = {r["row"]: (r["id"], _whole(r)) for r in frame.iter_rows(named=True)}
    return [_example(*key, groups[key], found) for key in sorted(groups)]


def _example(
    stage: str, reason: str, rows: Sequence[tuple[int, str | None]], found: Mapping[int, tuple[str, str]]
) -> dict[str, Any]:
    row, detail = min(rows, key=lambda r: (len(found[r[0]][1]) > SHOWN, r[0]))
    id_, text = found[row]
    return {
        "stage": stage, "reason": reason, "id": id_, "detail": (detail or "")[:SHOWN],
        "text": _window(text, 0),
    }  # fmt: skip
