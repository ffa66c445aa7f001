"""The figures of a curation, as its manifest, its card and its plots have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from factory.curate.corrupt import corruption
from factory.curate.funnel import funnel
from factory.curate.measure import (
    contamination_table,
    difficulty_bins,
    duplicate_examples,
    earlier_table,
    length_histogram,
    reason_examples,
    similarity_histogram,
)
from factory.dedupe.caps import unlabelled
from factory.gates.benchmark_index import index_of
from factory.gates.decontaminate import settings_of
from factory.gates.language import measure_languages
from factory.gates.leaks import self_test
from factory.gates.pii import measure_pii

if TYPE_CHECKING:
    from factory.curate.release import Curated

LIKENESS = ("exact", "minhash", "semantic")
COUNTS = ["row", "weak_right", "weak_tries"]
PRIVATE = ("no_personal_data", "no_secret")


def curation_facts(
    curated: Curated, lines: Mapping[str, pl.DataFrame], spoilt: pl.DataFrame, notes: Sequence[str]
) -> dict[str, Any]:
    """Return what the manifest says under `curation`."""
    job = curated.file.job
    copies = {level: left.read() for level, left in curated.copies.items() if level in LIKENESS}
    limits, people = _thresholds(curated), shows_people(curated)
    rows_in = sum(source.rows for source in curated.sources)
    stages = [name for name in curated.order if name in lines]
    return {
        "sources": [_source(curated, i) for i in range(len(curated.sources))],
        "rows_in": rows_in,
        "rows_out": int(curated.alive.sum()),
        **funnel(stages, {name: lines[name].select("row", "id", "code") for name in stages}, rows_in),
        "examples": [] if people else reason_examples(lines, curated.rows, PRIVATE),
        "thresholds": limits,
        "order": job.dedupe.keep,
        "group": job.dedupe.group,
        "duplicates": [] if people else duplicate_examples({k: v for k, v in copies.items() if v.height}, curated.rows),
        "similarities": similarity_histogram(copies, limits),
        "contamination": _contamination(curated),
        "selftest": _selftest(curated),
        "earlier": _earlier(curated),
        "lengths": length_histogram((frame, kept) for frame, kept in _shards(curated, ["instruction", "answer"])),
        "languages": _languages(curated),
        "difficulty": _difficulty(curated),
        "corrupted": corruption(spoilt, int(curated.alive.sum()), job.corrupt) if job.corrupt else None,
        "personal_data": _personal_data(curated),
        "uncapped": _uncapped(curated),
        "notes": list(notes),
    }


def shows_people(curated: Curated) -> bool:
    """Return whether personal data may be in rows that stay, so that a card must show no text."""
    filters = curated.file.job.filters
    return filters is not None and filters.pii is not None and filters.pii.act == "report"


def _source(curated: Curated, i: int) -> dict[str, Any]:
    read, told = curated.sources[i], curated.file.job.content()["sources"][i]
    return {
        "name": read.source.name,
        "path": told["path"],
        "digest": read.source.digest,
        "rows": read.rows,
        "unreadable": read.unreadable,
        "taken": list(read.notes),
    }


def _thresholds(curated: Curated) -> dict[str, Any]:
    job = curated.file.job
    out: dict[str, Any] = {}
    if job.dedupe.minhash:
        out["minhash"] = job.dedupe.minhash.threshold
    if job.dedupe.semantic:
        out["semantic"] = job.dedupe.semantic.threshold
    if job.decontaminate:
        out["words in common"] = job.decontaminate.words
        out["containment"] = job.decontaminate.containment
    return out


def _shards(curated: Curated, columns: list[str]) -> Any:
    """Yield (rows, which of them stay) shard by shard."""
    for shard in curated.shards:
        frame = shard.read(["row", *columns])
        yield frame, pl.Series(curated.alive[frame["row"].to_numpy()])


def _contamination(curated: Curated) -> list[dict[str, Any]]:
    spec = curated.file.job.decontaminate
    if spec is None or curated.tools.book is None:
        return []
    texts = curated.tools.book.texts()
    sizes = dict(texts.group_by("against", maintain_order=True).agg(pl.col("place").n_unique()).iter_rows())
    hits = pl.concat([made.read() for made in curated.passed["hits"]])
    watched = index_of(curated.tools.book, settings_of(spec.params())).watched().rows_by_key("against", named=True)
    told = contamination_table(hits, sizes, () if spec.numbers == "reject" else ("numbers",))
    return [{**one, **{k: watched[one["benchmark"]][0][k] for k in ("texts", "too_short")}} for one in told]


def _selftest(curated: Curated) -> list[dict[str, Any]] | None:
    job, tools = curated.file.job, curated.tools
    if job.decontaminate is None or tools.book is None:
        return None
    meaning = job.decontaminate.semantic
    embedder = tools.embedder(meaning.embedder if meaning else None)
    return self_test(tools.book, job.decontaminate.params(), job.seed, embedder=embedder)


def _earlier(curated: Curated) -> list[dict[str, Any]]:
    if "repeats" not in curated.passed or curated.tools.index is None:
        return []
    return earlier_table(pl.concat([made.read() for made in curated.passed["repeats"]]), curated.tools.index.pins())


def _languages(curated: Curated) -> list[dict[str, Any]]:
    return measure_languages(_shards(curated, ["id", "instruction", "answer"]))


def _personal_data(curated: Curated) -> dict[str, int]:
    """Return in how many kept rows each kind of personal data was found, where the job only reports it."""
    filters = curated.file.job.filters
    if filters is None or filters.pii is None or filters.pii.act == "reject":
        return {}
    counts: Counter[str] = Counter()
    for frame, stays in _shards(curated, ["instruction", "answer"]):
        counts.update(measure_pii(frame.filter(stays), filters.pii))
    return dict(counts)


def _uncapped(curated: Curated) -> dict[str, int]:
    """Return how many kept rows each cap leaves alone, because nobody said what they share."""
    spec = curated.file.job.caps
    if spec is None or spec.derive:
        return {}
    counts: Counter[str] = Counter()
    for frame, stays in _shards(curated, ["template", "signature", "source"]):
        counts.update(unlabelled(frame.filter(stays), spec))
    return dict(counts)


def _difficulty(curated: Curated) -> dict[str, Any] | None:
    if curated.file.job.difficulty is None:
        return None
    frame = pl.concat([shard.read(COUNTS) for shard in curated.shards])
    return difficulty_bins(frame, pl.Series(curated.alive[frame["row"].to_numpy()]))
