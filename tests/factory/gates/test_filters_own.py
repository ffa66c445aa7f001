"""A rule of the user's is checked before any row is read, and can do nothing but look at one row."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from factory.errors import UserError
from factory.gates.filters import FiltersSpec
from factory.gates.own_rules import FUNCTIONS, OwnRule, check_own_rule, own_faults
from schemas.curation import ROWS

SHORT = {"answer": "x", "instruction": "y"}


def rule(keep: str, **more: Any) -> OwnRule:
    return OwnRule.model_validate({"name": "mine", "keep": keep, "fails": SHORT, **more})


def rows(*answers: str | None) -> pl.DataFrame:
    empty = {name: "" if dtype == pl.String else None for name, dtype in ROWS.columns.items()}
    return pl.DataFrame([{**empty, "answer": answer} for answer in answers], schema=ROWS.columns, orient="row")


@pytest.mark.parametrize(
    "keep",
    [
        "length(answer) > 3",
        "answer ~ '[0-9]' OR length(instruction) BETWEEN 10 AND 20",
        "lower(answer) LIKE '%because%'",
        "array_length(string_to_array(answer, ' ')) >= 3",
        "CASE WHEN answer = 'x' THEN false ELSE true END",
        "coalesce(quality, 0) > 0.5",
        "answer NOT IN ('x', 'select (1)')",
        "weak_right / nullif(weak_tries, 0) < 0.9",
        "\"answer\" <> 'x'",
    ],
)
def test_an_expression_of_one_row_is_taken(keep: str) -> None:
    check_own_rule(rule(keep))


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ("read_csv('/etc/passwd')", "no function 'read_csv'"),
        ("answer IN (SELECT answer FROM read_csv('/etc/passwd'))", "'SELECT' is not for rules"),
        ("(select 1) = 1", "'select' is not for rules"),
        ("EXISTS (SELECT 1)", "'EXISTS' is not for rules"),
        ("length(answer) > 1; drop table x", "'drop' is not for rules"),
        ("count(answer) > 1", "no function 'count'"),
        ("sum(row) > 1", "no function 'sum'"),
        ("row_number() over () > 1", "'over' is not for rules"),
        ("rpad(answer, 100000000, 'x') = 'x'", "no function 'rpad'"),
        ("\"read_csv\"('/etc/passwd') = 1", "quoted name"),
        ("answer > current_date", "'current_date' is not for rules"),
        ("answr = 'x'", "no column 'answr' \\(did you mean 'answer'"),
        ("lenght(answer) > 3", "no function 'lenght' \\(did you mean 'length'"),
        ("1 = 1", "speaks of no column"),
        ("answer", "gives String, not true or false"),
        ("length(answer)", "not true or false"),
        ("length(answer) >", "cannot be read"),
        ("length(answer) > 0", "the row that must fail it is kept"),
        ("answer ~ instruction", "cannot be"),
        ("answer ~ '('", "cannot be"),
        ("regexp_like(answer, '(((((a{100}){100}){100}){100}){100})')", "cannot be worked out"),
        ("answer ~ '" + "(a+)+" * 400 + "'", "at most 1,000"),
        ("(" * 3_000 + "answer = 'y'" + ")" * 3_000, "at most 1,000"),
        ("*", "cannot be read|speaks of no column"),
    ],
)
def test_what_is_no_such_expression_is_refused_in_one_sentence(keep: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_own_rule(rule(keep))


def test_a_function_that_aggregates_or_reads_is_not_on_the_list() -> None:
    assert not FUNCTIONS & {
        "count",
        "sum",
        "avg",
        "max",
        "min",
        "first",
        "last",
        "unnest",
        "read_parquet",
        "lag",
        "columns",
    }


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_of_the_list_gives_one_value_a_row_whatever_its_neighbours(name: str) -> None:
    for arguments in ("answer", "answer, 'x'", "answer, 1", "row", "row, 2", "answer, 1, 1", "answer, 'x', 'y'"):
        try:
            expression = pl.sql_expr(f"{name}({arguments})")
            both = rows("x y", "z").with_columns(row=pl.Series([4, 9])).select(a=expression)
            one = rows("z").with_columns(row=pl.Series([9])).select(a=expression)
        except pl.exceptions.PolarsError:
            continue
        assert (both.height, both["a"].to_list()[1:]) == (2, one["a"].to_list())


def test_fails_must_name_columns_and_hold_values_of_their_types() -> None:
    with pytest.raises(UserError, match="no column 'anser' \\(did you mean 'answer'"):
        check_own_rule(rule("length(answer) > 3", fails={"anser": "x"}))
    with pytest.raises(UserError, match="types"):
        check_own_rule(rule("quality > 3", fails={"quality": "much"}))


def test_a_row_of_which_it_cannot_be_told_is_undecided_unless_the_rule_keeps_it() -> None:
    frame = rows("x", "long enough", None)
    strict = own_faults(frame, rule("length(answer) > 3", says="it is long"))
    lax = own_faults(frame, rule("length(answer) > 3", says="it is long", on_null="keep"))
    assert strict == {0: {"code": "mine", "detail": "it is long"}, 2: {"code": "mine", "detail": "undecided"}}
    assert lax == {0: {"code": "mine", "detail": "it is long"}}


def test_a_failing_row_that_would_be_kept_as_undecided_is_refused() -> None:
    with pytest.raises(UserError, match="must fail"):
        check_own_rule(rule("quality > 1", on_null="keep"))


def test_a_job_with_a_wrong_rule_or_a_name_taken_does_not_load() -> None:
    own = {"name": "mine", "keep": "length(answr) > 3", "fails": SHORT}
    with pytest.raises(ValidationError, match="did you mean 'answer'"):
        FiltersSpec.model_validate({"own": [own]})
    with pytest.raises(ValidationError, match="the name is taken"):
        FiltersSpec.model_validate({"own": [{**own, "keep": "length(answer) > 3", "name": "complete"}]})
