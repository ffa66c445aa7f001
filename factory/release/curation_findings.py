"""What a curation found, section by section of its card: copies, leaks, releases, difficulty, languages, lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from factory.curate.funnel import UNRELATED, share
from factory.gates.votes import wilson
from factory.release.foreign_text import cell, code, cut, side_by_side
from factory.release.markdown import table

TEXT_SHOWN = 420
LANGUAGES_SHOWN = 15
NUMBERS_CHANGED = "numbers_changed"  # the kind of the self-test that may be a fair variant
LEVELS = {
    "ngram": "a run of words in common",
    "containment": "most of a benchmark's text inside",
    "semantic": "alike in meaning",
    "numbers": "the same text with other numbers",
    "exact": "the same text",
    "minhash": "nearly the same text",
}


def picture(name: str, about: str, pictures: Sequence[str]) -> str:
    """Return the picture of that file name, if it was drawn."""
    path = next((p for p in pictures if p.rsplit("/", 1)[-1] == name), None)
    return f"![{about}]({path})" if path else ""


def _section(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def counted(rows: int, what: str = "row") -> str:
    """Return a number of rows in words that fit one too."""
    return f"{rows:,} {what}{'' if rows == 1 else 's'}"


def corrupted(found: Mapping[str, Any]) -> str:
    """Return the warning on top of a dataset that was made worse on purpose; else nothing."""
    bad = found["corrupted"]
    if not bad:
        return ""
    rows = counted(bad["rows"])
    how = ", ".join(f"{n:,} {cell(name)}" for name, n in bad["how"].items())
    return (
        f"> **Corrupted on purpose.** The answers of {rows} ({share(bad['rows'], found['rows_out'])})"
        f" were made worse ({how}) to measure how much that costs a student. Train on it for that comparison only."
    )


# -------------------------------------------------------------------------------------------------------------- copies


def duplicates(found: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """Return near copies side by side, what differs in bold."""
    pairs = found["duplicates"]
    if not pairs:
        return ""
    parts = [
        "## Copies, side by side",
        "For each level the pair that is least alike (near the threshold), then a typical one. What differs is bold.",
        picture("similarity.png", "How alike the rows that left are to their twins", pictures),
    ]
    for level, group in groupby(pairs, key=lambda pair: str(pair["level"])):
        rows = [(f"{p['similarity']:.3f}", *side_by_side(_text(p["kept"]), _text(p["dropped"]))) for p in group]
        parts.append(f"{code(level)}\n\n{table(('similarity', 'stayed', 'left'), rows)}")
    return _section(*parts)


def _text(text: str) -> str:
    return cut(text, TEXT_SHOWN)


# --------------------------------------------------------------------------------------------------------------- leaks


def contamination(found: Mapping[str, Any]) -> str:
    """Return which benchmarks were met, and how much of what was planted was found; that none were named if so."""
    met = found["contamination"]
    if not met:
        said = (
            "The rows were compared with no benchmark. Before you report a result, check them against what you test on."
        )
        return f"## Contamination\n\n{said}"
    levels = _names(met, "by_level")
    fields = _names(met, "fields")
    rows = [
        (cell(m["benchmark"]), m["rows"], _short(m),
         m["hit_rows"], share(m["hit_rows"], found["rows_in"]), m.get("places", "-"),
         *(m["by_level"].get(name, 0) for name in levels), *(m["fields"].get(name, 0) for name in fields))
        for m in met
    ]  # fmt: skip
    head = ("benchmark", "its rows", "texts too short to look for", "rows that leak", "of all rows", "its rows met")
    columns = (*head, *(cell(n) for n in levels), *(f"in {cell(n)}" for n in fields))
    return _section(
        "## Contamination",
        "Rows that leak were taken out. All rows were looked at, also those that left for another reason. A row counts"
        " once for each level and field, so those columns may add up to more.",
        table(columns, rows),
        _levels(levels),
        _variants(met),
        _selftest(found.get("selftest")),
    )


def _short(met: Mapping[str, Any]) -> str:
    """Return how many of a benchmark's texts are too short to be evidence."""
    return f"{met['too_short']:,} of {met['texts']:,}" if "too_short" in met else "-"


def _names(entries: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    return list(dict.fromkeys(name for entry in entries for name in entry[key]))


def _levels(names: Sequence[str]) -> str:
    told = [f"{code(name)}: {LEVELS[name]}" for name in names if name in LEVELS]
    return f"Levels: {'; '.join(told)}." if told else ""


def _variants(met: Sequence[Mapping[str, Any]]) -> str:
    n = sum(m.get("reported_rows", 0) for m in met)
    if not n:
        return ""
    return (
        f"{counted(n, 'more row')} met a benchmark with other numbers only. Such a row may be a fair variant, so no"
        " rule took it out for that; `hits` lists them."
    )


def _selftest(selftest: Sequence[Mapping[str, Any]] | None) -> str:
    if not selftest:
        return "No leaks were planted to test this, so how many leaks it misses is not known."
    planted = [t for t in selftest if t["kind"] != UNRELATED]
    levels = [name for name in _names(planted, "caught") if any(t["caught"].get(name) for t in planted)]
    rows = [
        (cell(t["kind"]), t["planted"], *(share(t["caught"].get(name, 0), t["planted"]) for name in levels),
         share(t["any"], t["planted"]), share(t["rejected"], t["planted"]), _missed(t))
        for t in planted
    ]  # fmt: skip
    columns = ("leak", "planted", *(cell(n) for n in levels), "any level", "would leave", "would stay, 95 % interval")
    return _section(
        "**Self-test.** Leaks were made from these benchmarks, hidden among rows and looked for in the same way:",
        table(columns, rows),
        _meaning(planted),
        _false_alarms(selftest),
    )


def _missed(told: Mapping[str, Any]) -> str:
    if not told["planted"]:
        return "-"
    low, high = wilson(told["planted"] - told["rejected"], told["planted"])
    return f"{low:.1%} to {high:.1%}"


def _meaning(planted: Sequence[Mapping[str, Any]]) -> str:
    told = (
        "What would stay is what this misses: of real leaks of that kind about that share is still in the data, so a"
        " result on the benchmark may owe something to it. Planted leaks are made by program; a person's rewording may"
        " be harder to see. What is no leak here may still have been in the training data of the model you start from."
    )
    if any(t["kind"] == NUMBERS_CHANGED for t in planted):
        told += " A question with other numbers may be a fair variant, so that it stays is not always a fault."
    return told


def _false_alarms(selftest: Sequence[Mapping[str, Any]]) -> str:
    told = next((t for t in selftest if t["kind"] == UNRELATED and t["planted"]), None)
    if told is None:
        return ""
    alarms, n = told["rejected"], told["planted"]
    return f"False alarms on rows without a leak: {alarms:,} of {n:,} ({share(alarms, n)})."


def earlier(found: Mapping[str, Any]) -> str:
    """Return which earlier releases the rows would have repeated; nothing where none was asked about."""
    if not found["earlier"]:
        return ""
    rows = [(cell(e["release"]), code(e["digest"][:12]), e["hit_rows"], e["estimated"]) for e in found["earlier"]]
    said = "Rows that repeat a row of an earlier release were taken out."
    if any(e["estimated"] for e in found["earlier"]):
        said += (
            " Where that release's texts could not be fetched, likeness was estimated from signatures: some of those"
            " rows may be no copies."
        )
    head = ("release", "digest", "rows that repeat it", "of them estimated")
    return f"## Against earlier releases\n\n{said}\n\n{table(head, rows)}"


# ------------------------------------------------------------------------------------ difficulty, languages and lengths


def difficulty(found: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """Return how hard the rows are for a model, as far as anybody tried."""
    told = found["difficulty"]
    if not told:
        return ""
    rows = [(rate(b["rate"]), b["in"], b["out"], share(b["out"], b["in"])) for b in told["bins"]]
    rows.append(("unknown", told["unknown"], told["unknown_out"], share(told["unknown_out"], told["unknown"])))
    return _section(
        "## Difficulty",
        f"The share of its tries at which a {cell(told['model'])} model was right. Unknown is a state of its own, not a"
        " rate of 0.",
        table(("pass rate", "before", "after", "stayed"), rows),
        picture("difficulty.png", "Pass rates before and after", pictures),
    )


def rate(value: float) -> str:
    """Return a pass rate in eighths; 0 and 1 are told as what they are."""
    return {0.0: "0 (never)", 1.0: "1 (always)"}.get(value) or f"{value * 8:g}/8"


def languages(found: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """Return the languages before and after, as guessed on a sample."""
    told = sorted(found["languages"], key=lambda t: (-t["in"], t["language"]))
    if not told:
        return ""
    total_in, total_out = sum(t["in"] for t in told), sum(t["out"] for t in told)
    rest = told[LANGUAGES_SHOWN:]
    shown = told[:LANGUAGES_SHOWN]
    rows = [(cell(t["language"]), *_both(t["in"], total_in), *_both(t["out"], total_out)) for t in shown]
    if rest:
        before, after = sum(t["in"] for t in rest), sum(t["out"] for t in rest)
        rows.append((f"{len(rest):,} others", *_both(before, total_in), *_both(after, total_out)))
    sampled = "" if total_in == found["rows_in"] else f" of a sample of {total_in:,} rows, chosen by hash"
    return _section(
        "## Languages",
        f"As a program guesses them{sampled}; short texts and mixed ones are hard to tell; `und` is undecided.",
        table(("language", "before", "share", "after", "share"), rows),
        picture("languages.png", "Languages before and after", pictures),
    )


def _both(part: int, whole: int) -> tuple[int, str]:
    return part, share(part, whole)


def lengths(found: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """Return how long both fields are in words, before and after."""
    told = found["lengths"]
    if not told:
        return ""
    rows = [
        (
            cell(name.removesuffix("_words")),
            *(_count(t.get(key)) for key in ("in_median", "out_median", "in_p95", "out_p95")),
        )
        for name, t in told.items()
    ]
    head = ("words of", "median before", "median after", "95th percentile before", "after")
    return _section("## Lengths", table(head, rows), picture("lengths.png", "Words before and after", pictures))


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
