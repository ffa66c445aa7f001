"""The funnel of a curate job: where each row left first, every rule that was broken, and both told in a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

READ = {"row": pl.Int64(), "code": pl.String()}
TOP_REASONS = 5
UNRELATED = "unrelated"  # the kind of the self-test in which nothing was planted


def funnel(order: Sequence[str], rejects: Mapping[str, pl.DataFrame], rows_in: int) -> dict[str, list[dict[str, Any]]]:
    """Return `funnel` and `broken` of a manifest: rows by the first stage they left at, and by every rule they broke.

    `rejects` has a frame (row, code) for each stage, one line for each rule that a row broke. In `funnel` a row
    counts once: at the first stage of `order` that it failed, under the first code there. In `broken` it counts for
    each of its codes. A stage of `order` without a frame lost no row.
    """
    first = first_reasons(order, rejects)
    left = dict(first.group_by("stage").len().iter_rows())
    reasons = _by_reason(first, order)
    stages: list[dict[str, Any]] = []
    for stage in order:
        n = left.get(stage, 0)
        named = [{"reason": r["reason"], "rows": r["rows"]} for r in reasons if r["stage"] == stage]
        stages.append({"stage": stage, "rows_in": rows_in, "rows_out": rows_in - n, "rejects": n, "reasons": named})
        rows_in -= n
    return {"funnel": stages, "broken": _by_reason(_lines(order, rejects).unique(), order)}


def first_reasons(order: Sequence[str], rejects: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return (row, stage, code) of each row that left, in row order: the first stage of `order`, its first code."""
    lines = _lines(order, rejects).sort("place", maintain_order=True)
    first = lines.unique("row", keep="first", maintain_order=True).sort("row")
    return _named(first, order).select("row", "stage", "code")


def _lines(order: Sequence[str], rejects: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return (row, code, place of the stage) of all frames, one below the other."""
    if unknown := sorted(set(rejects) - set(order)):
        raise ValueError(f"rejects of {', '.join(unknown)}, which no funnel of {', '.join(order)} has")
    parts = [pl.DataFrame(schema=READ | {"place": pl.UInt8()})]
    for place, stage in enumerate(order):
        if stage in rejects:
            lines = rejects[stage].select(pl.col(name).cast(dtype) for name, dtype in READ.items())
            parts.append(lines.with_columns(place=pl.lit(place, pl.UInt8)))
    return pl.concat(parts)


def _named(lines: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    names = pl.DataFrame({"place": range(len(order)), "stage": list(order)}, {"place": pl.UInt8, "stage": pl.String})
    return lines.join(names, on="place", how="left", maintain_order="left")


def _by_reason(lines: pl.DataFrame, order: Sequence[str]) -> list[dict[str, Any]]:
    """Return stage, reason and rows, by stage in order and then the commonest reason first."""
    named = lines if "stage" in lines.columns else _named(lines, order)
    counts = named.group_by("stage", "code").len("rows").rename({"code": "reason"}).to_dicts()
    place = {stage: i for i, stage in enumerate(order)}
    return sorted(counts, key=lambda r: (place[r["stage"]], -r["rows"], r["reason"]))


def summary_lines(curation: Mapping[str, Any]) -> list[str]:
    """Return what a terminal shows at the end of a curate job: funnel, commonest reasons, benchmarks, releases."""
    lines = _funnel_lines(curation)
    reasons = [(r["rows"], s["stage"], r["reason"]) for s in curation["funnel"] for r in s["reasons"]]
    if reasons:
        top = sorted(reasons, key=lambda r: (-r[0], r[1], r[2]))[:TOP_REASONS]
        lines += ["", "what did not hold, most rows first", *_aligned([(f"{n:,}", f"{s}: {r}") for n, s, r in top])]
    told = [line for line in (_leaks_line(curation), _earlier_line(curation), _corrupt_line(curation)) if line]
    return lines + ([""] if told else []) + told


def _funnel_lines(curation: Mapping[str, Any]) -> list[str]:
    rows_in, rows_out = curation["rows_in"], curation["rows_out"]
    rows = [("stage", "rejects", "of rows in", "rows left"), ("rows in", "", "", f"{rows_in:,}")]
    for stage in curation["funnel"]:
        lost = stage["rejects"]
        rows.append(
            (stage["stage"], f"{lost:,}", share(lost, stage["rows_in"]) if lost else "-", f"{stage['rows_out']:,}")
        )
    rows.append(("kept", f"{rows_in - rows_out:,}", share(rows_in - rows_out, rows_in), f"{rows_out:,}"))
    unreadable = sum(source["unreadable"] for source in curation["sources"])
    rows_were = "row could not be read; it is" if unreadable == 1 else "rows could not be read; they are"
    more = [f"{unreadable:,} {rows_were} among the rejects"] if unreadable else []
    return _aligned(rows, left=1) + more


def _aligned(rows: Sequence[Sequence[str]], left: int = 0) -> list[str]:
    """Return rows as lines of aligned columns: to the right, but for the first `left` and a last one of words."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    words = len(widths) - 1 if not left else None
    out = []
    for row in rows:
        cells = [
            cell.ljust(width) if i < left or i == words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        out.append("  ".join(cells).rstrip())
    return out


def share(part: int, whole: int) -> str:
    """Return a share in per cent that is 0 or 100 only where it is exactly that; "-" of nothing."""
    if not whole:
        return "-"
    if 0 < part < whole:
        for digits in (1, 2, 3):
            text = f"{part / whole:.{digits}%}"
            if float(text[:-1]) not in (0.0, 100.0):
                return text
        return "<0.001%" if part * 2 < whole else ">99.999%"
    return f"{part / whole:.0%}"


def _leaks_line(curation: Mapping[str, Any]) -> str:
    found = curation["contamination"]
    if not found:
        return ""
    named = ", ".join(f"{c['benchmark']} {c['hit_rows']:,}{_too_short(c)}" for c in found)
    return f"rows that met a benchmark: {named}{_tested(curation.get('selftest'))}"


def _too_short(met: Mapping[str, Any]) -> str:
    """Return a warning where half of a benchmark's texts or more are too short to be looked for."""
    short, texts = met.get("too_short", 0), met.get("texts", 0)
    return f" ({short:,} of its {texts:,} texts are too short to be looked for)" if texts and 2 * short >= texts else ""


def _tested(selftest: Sequence[Mapping[str, Any]] | None) -> str:
    planted = [t for t in selftest or () if t["planted"] and t["kind"] != UNRELATED]
    told = [f"{t['kind']} {share(t['rejected'], t['planted'])}" for t in planted]
    return f"; planted leaks taken out: {', '.join(told)}" if told else ""


def _earlier_line(curation: Mapping[str, Any]) -> str:
    found = curation["earlier"]
    return "rows of earlier releases: " + ", ".join(f"{e['release']} {e['hit_rows']:,}" for e in found) if found else ""


def _corrupt_line(curation: Mapping[str, Any]) -> str:
    bad = curation["corrupted"]
    return f"CORRUPTED on purpose: {bad['rows']:,} of {curation['rows_out']:,} kept rows" if bad else ""
