"""Rules of the user's: SQL expressions over a row's columns, each with a row that must fail it.

An expression is checked before any row is read. It may only call functions that look at one row and always return, so
that it can neither open a file nor depend on other rows; patterns are those of Rust's regex, linear in the text.
"""

from __future__ import annotations

import re

import polars as pl
from pydantic import Field

from factory.errors import UserError, nearest
from factory.strict import Strict
from schemas.curation import ROWS

LONGEST = 1_000  # characters: deeply nested expressions overflow a parser's stack
FUNCTIONS = frozenset(
    """abs ceil floor round sign sqrt pow power exp ln log log2 log10 mod length char_length character_length
    octet_length bit_length lower upper initcap left right ltrim rtrim trim btrim replace reverse strpos position
    substr substring split_part starts_with ends_with regexp_like string_to_array array_length cardinality coalesce
    nullif ifnull if greatest least concat concat_ws array_contains array_get array_to_string""".split()
)
# What stands before a bracket without being a function.
OPERATORS = frozenset("and or not in between like ilike rlike regexp is when then else case end by".split())
# What reaches beyond the row, or differs from one run to the next.
FORBIDDEN = frozenset(
    """select from with over union join where having group order limit window exists any all values table cast
    current_date current_time current_timestamp localtime
    localtimestamp into insert update delete drop create""".split()
)
LITERAL = re.compile(r"'(?:[^']|'')*'")
QUOTED = re.compile(r'"((?:[^"]|"")*)"')
CALL = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
WORD = re.compile(r"\b[A-Za-z_]\w*\b")
ODD = ("", "(", "[", "\\", "x" * 300, "\x00", "e\u0301", "\u202eabc", "👩‍👩‍👧", "12", "-1", "1e999", "NaN", None)


class OwnRule(Strict):
    """A rule of the user's own."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Name of the rule, as it is told in reasons.")
    says: str = Field(default="", description="What holds of a row that is kept.")
    keep: str = Field(min_length=1, description="SQL expression over the columns of a row: true where it is kept.")
    fails: dict[str, str | int | float | None] = Field(
        min_length=1, description="A row that must fail the rule: columns and their values; others are empty."
    )
    on_null: str = Field(
        default="undecided",
        pattern="^(undecided|keep)$",
        description="A row of which it cannot be told: undecided, or keep.",
    )


def check_own_rule(rule: OwnRule) -> None:
    """Raise UserError unless the rule can be worked out for any row, and the row that must fail it does."""
    wrong = [name for name in rule.fails if name not in ROWS.columns]
    if wrong:
        raise UserError(f"own rule '{rule.name}': fails has no column '{wrong[0]}'{nearest(wrong[0], ROWS.columns)}")
    expression = parse(rule)
    try:
        sample = pl.DataFrame([_row(rule)], schema=ROWS.columns, orient="row")
    except (TypeError, pl.exceptions.PolarsError):
        raise UserError(f"own rule '{rule.name}': the values of fails are not of their columns' types") from None
    held = _work_out(rule, expression, sample)
    if held.dtype != pl.Boolean:
        raise UserError(f"own rule '{rule.name}': `{rule.keep}` gives {held.dtype}, not true or false; compare it")
    if held[0] or (held[0] is None and rule.on_null == "keep"):
        raise UserError(f"own rule '{rule.name}': the row that must fail it is kept; mend `keep` or `fails`")
    _work_out(rule, expression, _odd_rows())


def parse(rule: OwnRule) -> pl.Expr:
    """Return the rule's expression; UserError where it is not one, or not one of a row's columns alone."""
    if len(rule.keep) > LONGEST:
        raise UserError(f"own rule '{rule.name}': {len(rule.keep):,} characters; at most {LONGEST:,} are read")
    bare = LITERAL.sub("''", rule.keep)
    _check_words(rule.name, bare)
    try:
        expression = pl.sql_expr(rule.keep)
        used = expression.meta.root_names()
    except pl.exceptions.PolarsError as problem:
        raise UserError(f"own rule '{rule.name}': `{rule.keep}` cannot be read: {_line(problem)}") from None
    for name in used:
        if name not in ROWS.columns:
            raise UserError(f"own rule '{rule.name}': no column '{name}'{nearest(name, ROWS.columns)}")
    if not used:
        raise UserError(f"own rule '{rule.name}': `{rule.keep}` speaks of no column{nearest('', ROWS.columns)}")
    return expression


def _check_words(name: str, bare: str) -> None:
    unquoted = QUOTED.sub(" ", bare)
    for word in WORD.findall(unquoted):
        if word.lower() in FORBIDDEN:
            raise UserError(f"own rule '{name}': '{word}' is not for rules; write an expression of one row's columns")
    for word in CALL.findall(unquoted):
        if word.lower() not in FUNCTIONS | OPERATORS:
            raise UserError(f"own rule '{name}': no function '{word}'{nearest(word.lower(), FUNCTIONS)}")
    # A quoted name before a bracket is a function too, one that the list above would not see.
    if re.search(r'"\s*\(', bare):
        raise UserError(f"own rule '{name}': a quoted name is called as a function; write it without quotes")


def _row(rule: OwnRule) -> dict[str, object]:
    empty = {name: "" if dtype == pl.String else None for name, dtype in ROWS.columns.items()}
    return {**empty, "row": 0, **rule.fails}


def _odd_rows() -> pl.DataFrame:
    """Return rows of odd texts and numbers, to find out before a run whether an expression can fail on one."""
    odd: dict[str, list[object]] = {}
    for name, dtype in ROWS.columns.items():
        if dtype == pl.String:
            odd[name] = list(ODD)
        else:
            odd[name] = [None if i % 3 == 2 else (0, 1, -1)[i // 3 % 3] for i in range(len(ODD))]
    return pl.DataFrame(odd, schema=ROWS.columns)


def _work_out(rule: OwnRule, expression: pl.Expr, frame: pl.DataFrame) -> pl.Series:
    try:
        found = frame.select(expression.alias(rule.name)).to_series()
    except pl.exceptions.PolarsError as problem:
        raise UserError(f"own rule '{rule.name}': `{rule.keep}` cannot be worked out: {_line(problem)}") from None
    if len(found) != frame.height:
        raise UserError(f"own rule '{rule.name}': `{rule.keep}` gives {len(found)} values for {frame.height} rows")
    return found


def _line(problem: Exception) -> str:
    return str(problem).split("\n", 1)[0][:200]


def own_faults(frame: pl.DataFrame, rule: OwnRule) -> dict[int, dict[str, str]]:
    """Return the fault of each row of ROWS, by place, that does not keep the rule, or of which it cannot be told."""
    columns = [name for name in ROWS.columns if name in frame.columns]
    held = _work_out(rule, parse(rule), frame.select(columns))
    unknown = held.is_null()
    wrong = unknown if rule.on_null == "undecided" else pl.repeat(False, len(held), dtype=pl.Boolean, eager=True)
    told = {place: "undecided" for place in wrong.arg_true().to_list()}
    told |= {place: rule.says or rule.keep[:80] for place in (~held.fill_null(True)).arg_true().to_list()}
    return {place: {"code": rule.name, "detail": detail} for place, detail in sorted(told.items())}
