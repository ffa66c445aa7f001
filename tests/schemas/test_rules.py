"""Every rule of every table has a row at its border that passes and one just beyond that fails."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import polars as pl
import pytest

import schemas
from schemas.columns import VERIFIER
from schemas.table import Table

MODULES = [importlib.import_module(f"schemas.{found.name}") for found in pkgutil.iter_modules(schemas.__path__)]
TABLES = {table.name: table for module in MODULES for table in vars(module).values() if isinstance(table, Table)}
RULES = [(table, rule) for table in TABLES.values() for rule in table.rules]

Row = dict[str, Any]


def verifier(gold: str | None) -> Row:
    return {"verifier": {"kind": "text", "gold": gold, "args": "{}"}}


# rule: (a row that just keeps it, a row that just breaks it); the rest of the row is sound.
CASES: dict[str, tuple[Row, Row]] = {
    "prompt_present": ({"prompt": "?"}, {"prompt": ""}),
    "prompt_not_too_long": ({"prompt": "é" * 8000}, {"prompt": "é" * 8001}),
    "gold_present": (verifier("0"), verifier("")),
    "gold_not_too_long": (verifier("é" * 2000), verifier("é" * 2001)),
    "name_present": ({"name": "a"}, {"name": ""}),
    "key_number_inside": ({"start": 0, "end": 1}, {"start": 3, "end": 3}),
    "level_positive": ({"level": 1}, {"level": 0}),
    "skills_planned": ({"skills": ["one"]}, {"skills": []}),
    "answer_changed": ({"answer": "b", "original": "a"}, {"answer": "a", "original": "a"}),
    "depth_not_negative": ({"effective_depth": 0}, {"effective_depth": -1}),
}


FILLERS: dict[str, object] = {"String": "text", "Int64": 1, "Float64": 0.5, "Boolean": True, "List(String)": ["text"]}


def filler(dtype: pl.DataType) -> object:
    """Return a value of a type that keeps the rules on it."""
    if dtype == VERIFIER:
        return verifier("7")["verifier"]
    return dtype.categories[0] if isinstance(dtype, pl.Enum) else FILLERS.get(str(dtype), [])


def frame_of(table: Table, **changed: object) -> pl.DataFrame:
    row = {name: filler(dtype) for name, dtype in table.columns.items()} | {"end": 9} | changed
    return pl.DataFrame([{name: row[name] for name in table.columns}], schema=dict(table.columns))


def titles(rules: list[tuple[Table, str]]) -> list[str]:
    return [f"{table.name}.{rule}" for table, rule in rules]


def test_the_contracts_are_found() -> None:
    assert {"slots", "candidates", "verdicts", "kept", "samples", "seeds", "raw_seeds", "pool"} <= set(TABLES)


@pytest.mark.parametrize(("table", "rule"), RULES, ids=titles(RULES))
def test_a_row_at_the_border_of_a_rule_passes(table: Table, rule: str) -> None:
    rows, rejects = table.split(frame_of(table, **CASES[rule][0]))
    assert (rows.height, rejects.height) == (1, 0)


@pytest.mark.parametrize(("table", "rule"), RULES, ids=titles(RULES))
def test_a_row_beyond_the_border_leaves_with_the_name_of_the_rule(table: Table, rule: str) -> None:
    rows, rejects = table.split(frame_of(table, **CASES[rule][1]))
    assert rows.height == 0
    assert rejects["reasons"].to_list() == [[{"gate": "contract", "code": rule, "detail": "", "twin": None}]]


@pytest.mark.parametrize(("table", "rule"), RULES, ids=titles(RULES))
def test_a_rule_that_cannot_be_answered_counts_as_broken(table: Table, rule: str) -> None:
    nothing = {name: None for name in CASES[rule][1]} | (
        {"verifier": verifier(None)["verifier"]} if "gold" in rule else {}
    )
    rows, rejects = table.split(frame_of(table, **nothing))
    assert (rows.height, rejects.height) == (0, 1)


@pytest.mark.parametrize("table", ["candidates", "samples"])
def test_a_gold_that_is_a_whole_reply_may_be_ten_times_as_long(table: str) -> None:
    bare = {"tree": ""}
    rows, _ = TABLES[table].split(frame_of(TABLES[table], **bare, **verifier("é" * 20_000)))
    assert rows.height == 1
    _, rejects = TABLES[table].split(frame_of(TABLES[table], **bare, **verifier("é" * 20_001)))
    assert rejects["reasons"][0].struct.field("code").to_list() == ["gold_not_too_long"]


def test_a_key_number_that_starts_before_the_question_breaks_its_rule() -> None:
    _, rejects = TABLES["seeds"].split(frame_of(TABLES["seeds"], start=-1, end=2))
    assert rejects["reasons"][0].struct.field("code").to_list() == ["key_number_inside"]


def test_no_case_is_left_over_from_a_rule_that_is_gone() -> None:
    assert set(CASES) == {rule for _, rule in RULES}
