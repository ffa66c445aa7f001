from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.curate.funnel import first_reasons, funnel, share, summary_lines

REPORT = Path(__file__).parents[2] / "data" / "curation-report.json"
SCHEMA = {"row": pl.Int64, "code": pl.String}
STAGES = ("filters", "exact", "caps")


def curation(**changed: Any) -> dict[str, Any]:
    return dict(json.loads(REPORT.read_bytes())["curation"]) | changed


def rejects(**stages: list[tuple[int, str]]) -> dict[str, pl.DataFrame]:
    """Return a frame for each stage from (row, code)."""
    return {stage: pl.DataFrame(lines, schema=SCHEMA, orient="row") for stage, lines in stages.items()}


LINES = st.lists(st.tuples(st.integers(0, 19), st.sampled_from(["a", "b", "c"])), max_size=25, unique=True)


def test_a_row_that_failed_two_stages_counts_at_the_first() -> None:
    told = funnel(STAGES, rejects(filters=[(3, "complete")], exact=[(3, "text_is_new"), (4, "text_is_new")]), 10)
    assert [(s["stage"], s["rows_in"], s["rejects"], s["rows_out"]) for s in told["funnel"]] == [
        ("filters", 10, 1, 9),
        ("exact", 9, 1, 8),
        ("caps", 8, 0, 8),
    ]
    assert {"stage": "exact", "reason": "text_is_new", "rows": 2} in told["broken"]


def test_a_row_that_broke_two_rules_of_a_stage_leaves_for_the_first_listed() -> None:
    told = funnel(STAGES, rejects(filters=[(3, "no_refusal"), (3, "complete")]), 5)
    assert told["funnel"][0]["reasons"] == [{"reason": "no_refusal", "rows": 1}]
    assert [b["reason"] for b in told["broken"]] == ["complete", "no_refusal"]


@given(LINES, LINES, LINES)
def test_the_funnel_is_what_one_finds_row_by_row(a: list[Any], b: list[Any], c: list[Any]) -> None:
    frames = dict(zip(STAGES, (a, b, c), strict=True))
    told = funnel(STAGES, rejects(**frames), 20)
    first: dict[int, tuple[str, str]] = {}
    for stage in STAGES:
        for row, code in frames[stage]:
            first.setdefault(row, (stage, code))
    assert {(s["stage"], r["reason"]): r["rows"] for s in told["funnel"] for r in s["reasons"]} == {
        key: list(first.values()).count(key) for key in first.values()
    }
    assert told["funnel"][-1]["rows_out"] == 20 - len(first)
    assert {(r["stage"], r["reason"]): r["rows"] for r in told["broken"]} == {
        (stage, code): sum(1 for _, other in frames[stage] if other == code)
        for stage in STAGES
        for _, code in frames[stage]
    }
    reasons = first_reasons(STAGES, rejects(**frames))
    assert {row: (stage, code) for row, stage, code in reasons.iter_rows()} == first
    assert reasons["row"].to_list() == sorted(first)


def test_reasons_of_a_stage_add_up_to_its_rejects() -> None:
    told = funnel(STAGES, rejects(filters=[(1, "a"), (1, "b"), (2, "b")], caps=[(1, "c"), (5, "c")]), 9)
    assert all(sum(r["rows"] for r in s["reasons"]) == s["rejects"] for s in told["funnel"])


def test_rejects_of_a_stage_that_the_order_lacks_are_an_error() -> None:
    with pytest.raises(ValueError, match="rejects of shadow"):
        funnel(STAGES, rejects(shadow=[(1, "a")]), 3)


def test_a_pool_without_rows_has_a_funnel() -> None:
    told = funnel(STAGES, {}, 0)
    assert [s["rows_out"] for s in told["funnel"]] == [0] * len(STAGES)
    assert told["broken"] == []


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 10, "0%"),
        (10, 10, "100%"),
        (1, 10, "10.0%"),
        (3, 10_000, "0.03%"),
        (1, 10**9, "<0.001%"),
        (9_999, 10_000, "99.99%"),
        (10**9 - 1, 10**9, ">99.999%"),
        (0, 0, "-"),
    ],
)
def test_a_share_is_0_or_100_only_where_it_is_exactly_that(part: int, whole: int, said: str) -> None:
    assert share(part, whole) == said


def test_the_summary_has_every_stage_in_aligned_columns() -> None:
    found = curation()
    lines = summary_lines(found)
    table = lines[: len(found["funnel"]) + 3]
    assert len({len(line) for line in table}) == 1
    for stage, line in zip(found["funnel"], table[2:], strict=False):
        assert line.split()[0] == stage["stage"]
        assert line.endswith(f"{stage['rows_out']:,}")
    assert "gsm8k-test 402" in "\n".join(lines)


def test_the_summary_names_the_commonest_reasons_first() -> None:
    lines = summary_lines(curation())
    at = lines.index("what did not hold, most rows first")
    counts = [int(line.split()[0].replace(",", "")) for line in lines[at + 1 : at + 6]]
    assert counts == sorted(counts, reverse=True)


def test_a_run_that_rejected_nothing_is_summed_up_too() -> None:
    bare = {"rows_in": 3, "rows_out": 3, "funnel": [], "sources": [], "contamination": [], "earlier": []}
    assert summary_lines(bare | {"selftest": None, "corrupted": None})[-1].split() == ["kept", "0", "0%", "3"]


def test_what_was_corrupted_and_what_could_not_be_read_is_said_at_the_end() -> None:
    text = "\n".join(summary_lines(curation(corrupted={"share": 0.2, "rows": 145_405, "how": {"short": 145_405}})))
    assert "CORRUPTED on purpose: 145,405" in text
    assert "17 rows could not be read" in text
