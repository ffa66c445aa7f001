from __future__ import annotations

from math import comb
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from factory.gates.difficulty import (
    DIFFICULTY,
    Band,
    DifficultySpec,
    Guru,
    difficulty_reasons,
    gate_difficulty,
    lead_of_weak,
    triage,
)
from schemas.columns import REASONS
from schemas.curation import KEPT_ROWS, ROWS

Counts = tuple[int | None, int | None, int | None, int | None]
NOBODY: Counts = (None, None, None, None)
BAND = DifficultySpec(band=Band(), suspicious=False)
GURU = DifficultySpec(guru=Guru(), suspicious=False)
SUSPICIOUS = DifficultySpec()


def rows(*counts: Counts, source: str = "s") -> pl.DataFrame:
    n = len(counts)
    given_columns: dict[str, Any] = {
        "id": [f"r{i}" for i in range(n)],
        "row": range(n),
        "source": [source] * n,
        "instruction": [f"question {i}" for i in range(n)],
        "answer": [f"answer {i}" for i in range(n)],
    }
    for k, name in enumerate(("weak_right", "weak_tries", "strong_right", "strong_tries")):
        given_columns[name] = [row[k] for row in counts]
    blank = {name: [None] * n for name in ROWS.columns if name not in given_columns}
    return pl.DataFrame(given_columns | blank, schema=pl.Schema(ROWS.columns), strict=False).select(*ROWS.columns)


def codes(counts: Counts, spec: DifficultySpec, source: str = "s") -> list[str]:
    return [reason["code"] for reason in difficulty_reasons(rows(counts, source=source), spec)[0]]


def weak(right: int | None, tries: int | None) -> Counts:
    return (right, tries, None, None)


@pytest.mark.parametrize(
    "counts", [weak(1, 8), weak(7, 8), weak(2, 16), weak(14, 16), weak(1, 4), weak(3, 4), weak(1, 2)]
)
def test_a_row_inside_the_band_stays(counts: Counts) -> None:
    assert codes(counts, BAND) == []


@pytest.mark.parametrize("counts", [weak(0, 8), weak(1, 16), weak(0, 2)])
def test_a_row_below_the_band_leaves(counts: Counts) -> None:
    assert codes(counts, BAND) == ["weak_not_below_band"]


@pytest.mark.parametrize("counts", [weak(8, 8), weak(15, 16), weak(3, 3)])
def test_a_row_above_the_band_leaves(counts: Counts) -> None:
    assert codes(counts, BAND) == ["weak_not_above_band"]


def test_a_band_may_be_of_the_strong_model() -> None:
    assert codes((4, 8, 8, 8), DifficultySpec(band=Band(model="strong"), suspicious=False)) == ["strong_not_above_band"]


@pytest.mark.parametrize("right", [0, 1])
def test_one_try_does_not_tell_whether_a_row_is_in_the_band(right: int) -> None:
    assert codes(weak(right, 1), BAND) == ["undecided"]


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ((15, 16, 16, 16), ["weak_not_sure"]),
        ((30, 32, 32, 32), ["weak_not_sure"]),
        ((14, 16, 16, 16), []),
        ((0, 16, 0, 16), ["strong_can"]),
        ((0, 16, 1, 16), []),
    ],
)
def test_guru_keeps_what_the_weak_model_is_not_sure_of_and_the_strong_one_can(counts: Counts, found: list[str]) -> None:
    assert codes(counts, GURU) == found


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ((6, 16, 12, 16), ["strong_clearly_ahead_in_math"]),
        ((5, 16, 12, 16), []),
        ((5, 16, 11, 16), []),
        ((21, 40, 36, 40), ["strong_clearly_ahead_in_math"]),
    ],
)
def test_guru_in_math_drops_what_the_weak_model_is_close_in(counts: Counts, found: list[str]) -> None:
    assert codes(counts, DifficultySpec(guru=Guru(domain="math"), suspicious=False)) == found


@pytest.mark.parametrize(
    ("counts", "found"), [((0, 16, 8, 16), []), ((1, 16, 8, 16), ["strong_half_ahead_in_science"])]
)
def test_guru_in_science_wants_the_strong_model_half_ahead(counts: Counts, found: list[str]) -> None:
    assert codes(counts, DifficultySpec(guru=Guru(domain="science"), suspicious=False)) == found


def test_each_source_may_have_a_domain_of_its_own() -> None:
    spec = DifficultySpec(guru=Guru(domain="other", domains={"physics": "science"}), suspicious=False)
    assert codes((8, 16, 9, 16), spec, source="physics") == ["strong_half_ahead_in_science"]
    assert codes((8, 16, 9, 16), spec, source="stories") == []


UNKNOWN = [NOBODY, weak(None, 8), weak(0, 0), weak(3, None)]


@pytest.mark.parametrize("counts", UNKNOWN)
@pytest.mark.parametrize(
    ("on_unknown", "found"), [("keep", []), ("reject", ["pass_rate_known"]), ("undecided", ["undecided"])]
)
def test_an_unknown_rate_is_its_own_state(counts: Counts, on_unknown: str, found: list[str]) -> None:
    assert codes(counts, DifficultySpec.model_validate({"band": {}, "on_unknown": on_unknown})) == found


def test_an_unknown_rate_is_named() -> None:
    reason = difficulty_reasons(rows(weak(3, 8)), GURU)[0][0]
    assert reason["detail"] == "no pass rate of the strong model"


def test_a_band_of_the_weak_model_asks_for_no_strong_one() -> None:
    assert codes(weak(3, 8), DifficultySpec(band=Band())) == []


@pytest.mark.parametrize("counts", [weak(9, 8), weak(-1, 8), (1, 8, 2, -3)])
def test_counts_that_cannot_be_are_a_reason_of_their_own(counts: Counts) -> None:
    assert codes(counts, DifficultySpec(band=Band())) == ["counts_possible"]


def test_a_key_that_the_weak_model_knows_better_is_suspicious() -> None:
    assert codes((8, 8, 1, 8), SUSPICIOUS) == ["key_not_suspicious"]


@pytest.mark.parametrize(
    "counts", [(8, 8, 7, 8), (1, 1, 0, 1), (5, 16, 3, 16), (0, 8, 8, 8), (8, 8, 8, 8), (0, 8, 0, 8)]
)
def test_a_lead_that_chance_may_show_is_not_suspicious(counts: Counts) -> None:
    assert codes(counts, SUSPICIOUS) == []


@given(st.integers(1, 24), st.integers(1, 24), st.floats(0, 1))
def test_equally_good_models_are_named_in_less_than_one_row_of_forty(n: int, m: int, p: float) -> None:
    outcomes = [(w, n, s, m) for w in range(n + 1) for s in range(m + 1)]
    named = rows(*outcomes).select(lead_of_weak() > 2).to_series()
    chance = sum(
        comb(n, w) * p**w * (1 - p) ** (n - w) * comb(m, s) * p**s * (1 - p) ** (m - s)
        for (w, _, s, _), bad in zip(outcomes, named, strict=True)
        if bad
    )
    assert chance <= 0.025


@given(st.integers(1, 30), st.integers(1, 30), st.data())
def test_the_lead_has_the_sign_of_the_difference(n: int, m: int, data: st.DataObject) -> None:
    w, s = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    z = rows((w, n, s, m)).select(lead_of_weak()).item()
    assert z * (w * m - s * n) >= 0


def test_the_triage_table_has_the_worst_keys_first() -> None:
    found = triage(rows((7, 8, 1, 8), (8, 8, 8, 8), NOBODY, (8, 8, 0, 8), (9, 8, 0, 8)))
    assert found["row"].to_list() == [3, 0]
    assert found.columns == ["id", "row", "weak_rate", "strong_rate", "z", "instruction", "answer"]


def test_a_row_is_told_all_the_rules_that_it_breaks_with_its_counts() -> None:
    spec = DifficultySpec(band=Band(), guru=Guru())
    reasons = difficulty_reasons(rows((8, 8, 0, 8)), spec)[0].to_list()
    assert [r["code"] for r in reasons] == ["weak_not_above_band", "weak_not_sure", "strong_can", "key_not_suspicious"]
    assert reasons[0]["detail"] == "weak 8 of 8"
    assert all(r["gate"] == "difficulty" and r["twin"] is None for r in reasons)


def test_the_stage_gives_every_row_its_reasons() -> None:
    found = gate_difficulty(rows(weak(3, 8), weak(0, 8), NOBODY), {"band": {}})
    KEPT_ROWS.check(found)
    assert found.schema["reasons"] == REASONS
    assert DIFFICULTY.writes.split(found)[0]["id"].to_list() == ["r0"]


def test_an_empty_shard_is_no_trouble() -> None:
    assert gate_difficulty(rows(), {"band": {}, "guru": {}}).is_empty()


def test_a_band_upside_down_is_refused() -> None:
    with pytest.raises(ValidationError, match="least <= most <= of"):
        Band(least=5, most=2)
