"""The filters tell good rows from bad ones, name every rule that a row breaks, and never depend on other rows."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from factory.gates import filters, text
from factory.gates.filter_rules import FILTERS
from factory.gates.filters import FILTER, FiltersSpec, fields_of, filter_params, find_faults, read_rows
from schemas.curation import ROWS

DATA = Path(__file__).parents[2] / "data"
GOOD, BAD = (yaml.safe_load((DATA / "filters" / f"{name}.yaml").read_text("utf-8")) for name in ("good", "bad"))
PAIRS = yaml.safe_load((DATA / "replies" / "text-rules.yaml").read_text("utf-8"))["good"]
DEFAULT, ALL = FiltersSpec(), FiltersSpec(rules="all")


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return ROWS of an instruction and an answer each."""
    schema = {name: pl.String() if name in ("instruction", "answer") else dtype for name, dtype in ROWS.columns.items()}
    empty = {name: "" if dtype == pl.String else None for name, dtype in schema.items()}
    picked = [{k: v for k, v in row.items() if k in schema} for row in rows]
    whole = [{**empty, "id": f"r{i}", "row": i, **row} for i, row in enumerate(picked)]
    return pl.DataFrame(whole, schema=schema, orient="row")


def codes(rows: list[dict[str, Any]], spec: FiltersSpec = DEFAULT) -> list[list[str]]:
    found = find_faults(frame_of(rows), spec)
    return [[fault["code"] for fault in found.get(place, [])] for place in range(len(rows))]


def test_no_good_row_breaks_a_default_rule() -> None:
    pairs = [{"kind": p["kind"], "instruction": p["prompt"], "answer": p["response"]} for p in PAIRS]
    rows = GOOD + pairs
    assert [(row["kind"], got) for row, got in zip(rows, codes(rows), strict=True) if got] == []


def test_every_bad_row_breaks_the_rule_it_is_there_for() -> None:
    missed = [(row, got) for row, got in zip(BAD, codes(BAD), strict=True) if row["rule"] not in got]
    assert missed == []


def test_there_are_rows_enough_of_every_default_rule_that_a_short_row_can_show() -> None:
    assert len(GOOD) >= 60
    assert len(BAD) >= 60
    long = {"response_length", "answer_words", "paragraphs_differ"}
    assert {row["rule"] for row in BAD} == {name for name, rule in FILTERS.items() if rule.default} - long


@pytest.mark.parametrize("name", FILTERS)
def test_the_row_that_a_rule_carries_fails_it_alone_among_all_rules(name: str) -> None:
    rule = FILTERS[name]
    assert rule.name == name
    assert rule.says
    assert codes([dict(rule.fails)], ALL) == [[name]]


@pytest.mark.parametrize("name", [name for name, rule in FILTERS.items() if rule.doubt is not None])
def test_a_rule_holds_wherever_its_doubt_is_false(name: str) -> None:
    rule = FILTERS[name]
    assert rule.doubt is not None
    rows = [*GOOD, *BAD, *(dict(r.fails) for r in FILTERS.values())]
    seen = text.evaluate(read_rows(frame_of(rows), ALL).lazy().select(holds=rule.holds, doubt=rule.doubt))
    assert seen.filter(~pl.col("doubt") & ~pl.col("holds")).height == 0
    assert seen.filter(~pl.col("holds")).height > 0


def test_every_broken_rule_of_a_row_is_told_with_what_was_found() -> None:
    rows = frame_of([{"instruction": "Name a river in Peru.", "answer": "Sure! Here is one: the Mara\ufffdon.\x00"}])
    (reasons,) = FILTER.run(rows, {})["reasons"].to_list()
    assert [r["code"] for r in reasons] == ["no_preamble", "no_control_characters", "no_mojibake"]
    assert {r["gate"] for r in reasons} == {"filters"}
    assert all(r["detail"] for r in reasons)


def test_the_stage_gives_a_row_for_a_row_and_keeps_the_good_ones() -> None:
    rows = frame_of(GOOD + BAD)
    kept, rejects = FILTER.writes.split(FILTER.run(rows, filter_params(DEFAULT)))
    assert kept["id"].to_list() == rows["id"].to_list()[: len(GOOD)]
    assert kept.height + rejects.height == rows.height


def test_an_empty_shard_stays_empty() -> None:
    assert FILTER.run(frame_of([]), filter_params(ALL)).height == 0


def key(**asked: Any) -> str:
    return FILTER.key(["d"], filter_params(FiltersSpec.model_validate(asked)), {})


@pytest.mark.parametrize(
    ("asked", "libraries"),
    [
        ({"language": {"keep": ["en"]}}, {"py3langid"}),
        ({"pii": {}}, {"phonenumbers", "python-stdnum"}),
        ({"pii": {"act": "report"}}, set()),
        ({}, set()),
    ],
)
def test_another_version_of_a_library_that_is_asked_gives_another_key(
    asked: dict[str, Any], libraries: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, changed = key(**asked), set()
    for library in ("py3langid", "phonenumbers", "python-stdnum", "polars"):
        with monkeypatch.context() as patch:
            patch.setattr(filters, "version", lambda name, newer=library: "9999" if name == newer else version(name))
            changed |= {library} if key(**asked) != before else set()
    assert changed == libraries


def test_a_library_that_is_not_there_is_told_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "LIBRARIES", "x")
    monkeypatch.setattr(filters.pii, "LIBRARIES", ("no-such-library",))
    assert filter_params(FiltersSpec.model_validate({"pii": {}}))["x"] == {"no-such-library": None}


def test_the_faults_of_a_row_do_not_depend_on_its_neighbours() -> None:
    rows = GOOD + BAD
    assert [got for row in rows[::4] for got in codes([row], ALL)] == codes(rows, ALL)[::4]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=120) | st.none(), st.text(max_size=400) | st.none()), min_size=1, max_size=8)
)
def test_any_texts_get_a_verdict_and_a_null_is_an_empty_text(pairs: list[tuple[str | None, str | None]]) -> None:
    found = codes([{"instruction": a, "answer": b} for a, b in pairs], ALL)
    assert found == codes([{"instruction": a or "", "answer": b or ""} for a, b in pairs], ALL)
    assert {code for got in found for code in got} <= set(FILTERS)


@pytest.mark.parametrize(
    "answer", ["x" * 10_000_000, "a b " * 2_500_000, "🙂" * 3_000_000, "((((" * 2_500_000, "\n" * 9_999_999 + "."]
)
def test_a_row_of_ten_megabytes_is_rejected_by_its_length_or_its_emptiness(answer: str) -> None:
    (got,) = codes([{"instruction": "What is a tide, and why?", "answer": answer}])
    assert got
    assert "response_length" in got or len(answer.strip()) < 20_000


def test_a_long_text_is_not_called_cut_off_because_only_its_beginning_is_read() -> None:
    words = " ".join(f"w{i}" for i in range(9_000))
    assert "complete" not in codes([{"instruction": "What is a tide, and why?", "answer": words + "."}])[0]


def test_a_dataset_without_answers_keeps_its_rows() -> None:
    rows = [{"instruction": "The moon pulls the sea towards it, and so makes the tide.", "answer": ""}]
    frame = frame_of(rows)
    assert fields_of([frame]) == ["instruction"]
    spec = DEFAULT.with_fields(fields_of([frame]))
    assert codes(rows, spec) == [[]]
    assert codes(rows, FiltersSpec(fields=["instruction", "answer"])) == [["response_present"]]


def test_rules_on_repetition_read_the_instruction_where_there_are_no_answers() -> None:
    repeated = FILTERS["no_ngram_dominates"].fails["answer"]
    spec = FiltersSpec(fields=["instruction"])
    assert codes([{"instruction": repeated, "answer": ""}], spec) == [["no_ngram_dominates"]]


def test_fields_that_were_given_are_kept() -> None:
    assert FiltersSpec(fields=["answer"]).with_fields(["instruction", "answer"]).fields == ["answer"]


def test_rules_are_chosen_by_name_and_left_by_name() -> None:
    row = [{"instruction": "Hi", "answer": ""}]
    assert codes(row, FiltersSpec(rules=["prompt_length"])) == [["prompt_length"]]
    assert codes(row, FiltersSpec(leave=["prompt_length", "instruction_words"])) == [["response_present"]]
    assert codes(row, FiltersSpec(rules=[])) == [[]]


def test_a_rule_whose_finding_is_always_the_same_tells_it_of_every_row() -> None:
    found = find_faults(frame_of([{"instruction": "", "answer": "x"}] * 3), FiltersSpec(rules=["prompt_present"]))
    assert found == {place: [{"code": "prompt_present", "detail": "no text"}] for place in range(3)}


def test_limits_move_a_rule() -> None:
    row = [{"instruction": "Hi", "answer": "Hello! What are you working on today?"}]
    limits = {"instruction_characters": [2, 100], "instruction_words": [1, 10], "answer_words": [9, 20]}
    assert codes(row, FiltersSpec.model_validate({"limits": limits})) == [["answer_words"]]


def test_an_unknown_rule_is_told_with_the_nearest_name() -> None:
    with pytest.raises(ValidationError, match="did you mean 'no_mojibake'"):
        FiltersSpec(leave=["no_mojibak"])


def test_a_spec_survives_its_own_dump() -> None:
    spec = FiltersSpec.model_validate(
        {"language": {"keep": ["en"]}, "pii": {"find": ["email"]}, "limits": {"links": 0.2}, "leave": ["complete"]}
    )
    assert FiltersSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_a_bad_language_an_address_and_an_own_rule_are_told_beside_the_others() -> None:
    spec = FiltersSpec.model_validate(
        {
            "language": {"keep": ["en"]},
            "pii": {"find": ["email"]},
            "own": [{"name": "not_too_polite", "keep": "NOT answer LIKE '%bitte%'", "fails": {"answer": "bitte sehr"}}],
        }
    )
    answer = "Schreiben Sie bitte an anna.huber@posteo.de, dann bekommen Sie morgen eine Antwort von uns."
    assert codes([{"instruction": "Wie erreiche ich den Verein?", "answer": answer}], spec) == [
        ["in_a_language_kept", "no_personal_data", "not_too_polite"]
    ]
