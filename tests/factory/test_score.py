from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from factory.score import CHECKS, KINDS, Score, compute_score, final_answer, main, score, wrong_answers

SCORER = Path(sys.modules["factory.score"].__file__ or "")
Verifier = dict[str, Any]


def verifier(kind: str, gold: str, **args: Any) -> Verifier:
    return {"kind": kind, "gold": gold, "args": args}


def value(answer: str, kind: str, gold: str, **args: Any) -> float | None:
    return score(answer, verifier(kind, gold, **args)).value


# ---------------------------------------------------------------------------------------- verifiers of every kind

words = st.text("abcdefgh", min_size=1, max_size=6)
# A gold that itself holds the marker is another question, asked below.
lines = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(
    lambda text: text.strip() and not re.search("answer|boxed", text, re.I)
)
numbers = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.integers(0, 10**9).map(lambda n: f"{n:,}"),
    st.decimals(-1000, 1000, places=2).map(str),
    st.builds(lambda a, b: f"{a}/{b}", st.integers(-99, 99), st.integers(1, 99)),
)
scalars = st.integers(-999, 999) | st.floats(-9, 9).map(lambda x: round(x, 3)) | lines
values = st.recursive(
    scalars | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def tables(draw: st.DrawFn) -> Verifier:
    width = draw(st.integers(1, 3))
    cells = words | st.integers(0, 99).map(str) | st.sampled_from(["a,b", 'say "x"', "p|q", "1.50"])
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=4))
    return verifier("table", as_csv(rows), ordered=draw(st.booleans()))


def as_csv(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


@st.composite
def expressions(draw: st.DrawFn) -> Verifier:
    given_numbers = draw(st.lists(st.integers(0, 25), min_size=1, max_size=5))
    parts = [(str(n), Fraction(n)) for n in given_numbers]
    while len(parts) > 1:
        (left, a), (right, b) = parts.pop(), parts.pop(draw(st.integers(0, len(parts) - 1)))
        sign = draw(st.sampled_from("+-*/" if b else "+-*"))
        total = {"+": a + b, "-": a - b, "*": a * b, "/": a / (b or 1)}[sign]
        parts.append((f"({left} {sign} {right})", total))
    text, target = parts[0]
    return verifier("expression", text, numbers=given_numbers, target=str(target))


@st.composite
def constraints(draw: st.DrawFn) -> Verifier:
    note, gold = draw(st.lists(words, min_size=1, max_size=6)), draw(numbers)
    checks = [
        {"check": "field", "skill": "solve", "label": "total", "verifier": verifier("number", gold)},
        {"check": "word_count", "skill": "length", "of": "note", "n": len(note)},
        {"check": "lowercase", "skill": "case", "of": "note"},
        {"check": "keyword", "skill": "keyword", "of": "note", "word": note[0], "n": note.count(note[0])},
    ]
    reply = [f"note: {' '.join(note)}", f"total: {gold}"]
    return verifier("constraints", "\n".join(draw(st.permutations(reply))), checks=checks)


verifiers = st.one_of(
    st.builds(verifier, st.just("text"), lines),
    st.builds(verifier, st.just("text"), lines, case=st.just(False)),
    st.builds(verifier, st.just("number"), numbers),
    st.builds(verifier, st.just("number"), numbers, unit=st.just("km"), tolerance=st.sampled_from([0.01, 5, "1.5"])),
    st.builds(verifier, st.sampled_from(["list", "set"]), st.lists(scalars, max_size=5).map(json.dumps)),
    tables(),
    st.builds(verifier, st.just("json"), values.map(json.dumps)),
    st.builds(verifier, st.just("date"), st.dates().map(str)),
    st.builds(verifier, st.just("boolean"), st.sampled_from(["true", "false", "Yes", "no"])),
    expressions(),
    constraints(),
)


@given(verifiers)
def test_gold_scores_one(row: Verifier) -> None:
    assert score(row["gold"], row) == Score(1.0, "", score(row["gold"], row).parts)


@given(verifiers)
def test_gold_at_the_end_of_a_reply_scores_one(row: Verifier) -> None:
    assert score(f"Some steps:\n1. think\nAnswer: {row['gold']}", row).value == 1.0


@given(verifiers)
@example(verifier("number", "5.00"))
@example(verifier("number", "12 km"))
@example(verifier("expression", "8*3 = 24", numbers=[3, 8], target=24))
@example(verifier("expression", "1 + 1", numbers=[1, 1], target=2))
@example(verifier("expression", "0", numbers=[0], target=0))
@example(verifier("text", "x"))
@example(verifier("text", "X", case=False))
@example(verifier("date", "9999-12-31"))
@example(verifier("date", "2024-02-29"))
@example(verifier("json", "10.00"))
@example(verifier("table", "a\n1.000000"))
def test_wrong_answers_do_not_score_one(row: Verifier) -> None:
    wrong = wrong_answers(row)
    assert list(wrong) == ["broken", "empty", "cut", "number_spam"]
    assert {name: score(answer, row).value for name, answer in wrong.items()} == dict.fromkeys(wrong, 0.0)
    assert wrong["broken"]


@given(st.text(), verifiers)
def test_any_text_is_judged_without_an_error(text: str, row: Verifier) -> None:
    assert score(text, row).value in (0.0, 1.0)


@given(st.text("0123456789+-*/()[]{}=,.'\"\\`*_$% \n:|#Aanswerbox<>", max_size=60), verifiers)
def test_marks_and_brackets_are_judged_without_an_error(text: str, row: Verifier) -> None:
    assert score(text, row).value in (0.0, 1.0)
    assert score(f"Answer: {text}", row).value in (0.0, 1.0)


@given(st.sampled_from(sorted(KINDS)), st.text(), st.text(), st.none() | st.text() | st.dictionaries(words, values))
def test_any_verifier_of_a_known_kind_is_judged_without_an_error(kind: str, gold: str, answer: str, args: Any) -> None:
    row = {"kind": kind, "gold": gold, "args": args}
    assert score(answer, row).value in (0.0, 1.0, None)
    found = [score(text, row) for text in (answer, "", "x", *wrong_answers(row).values())]
    sound = {each.value is not None or "only a judge" in each.reason for each in found}
    assert len(sound) == 1, "whether a verifier is broken must not depend on the answer"


@given(verifiers, st.text())
def test_a_score_is_the_same_again_and_for_args_as_text(row: Verifier, text: str) -> None:
    as_text = row | {"args": json.dumps(row["args"])}
    for answer in (text, row["gold"], *wrong_answers(row).values()):
        assert score(answer, row) == score(answer, row) == score(answer, as_text)


@pytest.mark.parametrize(
    "tail", ["(" * 100_000, "*" * 100_000, "\\boxed{" * 20_000, " " * 100_000 + "x", "answer note:\n" * 20_000]
)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_hostile_reply_is_judged(kind: str, tail: str) -> None:
    golds = {"list": "[1]", "set": "[1]", "date": "2024-01-01", "boolean": "true", "expression": "1"}
    args = {"numbers": [1], "target": 1, "checks": [{"check": "keyword", "of": "note", "word": "a b", "n": 1}]}
    assert value(f"note:\nAnswer:\n```\n{tail}", kind, golds.get(kind, "1"), **args) == 0.0


# ------------------------------------------------------------------------------------------------- the final answer


@pytest.mark.parametrize(
    ("reply", "line"),
    [("42", "42"), ("Answer: 42", "42"), ("answer : 42 \nI hope this helps", "42"), ("**Answer:** 42", "42")]
    + [
        ("**Answer**: 42", "42"),
        ("**Final Answer: 42**", "42"),
        ("### ANSWER: 42", "42"),
        ("Answer: 41\nAnswer: 42", "42"),
    ]
    + [("Answer:\n\n```python\n42\n```", "42"), ("Answer: $\\boxed{42}$.", "42"), ("The answer: 42", "The answer: 42")]
    + [
        ("Answer: 41, \\boxed{42}", "41, \\boxed{42}"),
        ("\\boxed{42} and \\boxed{43", "42"),
        ("Answer:", ""),
        (" \n", ""),
    ]
    + [("so \\boxed{41} or \\boxed{\\frac{1}{2}} it is {", "\\frac{1}{2}"), ("İ\nAnswer: İ", "İ")],
)
def test_final_answer_is_what_follows_the_last_marker_or_is_boxed(reply: str, line: str) -> None:
    assert final_answer(reply) == line


def test_final_answer_of_many_lines_runs_to_the_end() -> None:
    assert final_answer("Steps\n**Answer:**\na,b\n1,2\n", multi_line=True) == "a,b\n1,2"


def test_an_empty_answer_says_so() -> None:
    assert score("Answer: ", verifier("number", "3")) == Score(0.0, "empty", {})


# ----------------------------------------------------------------------------------------------------------- kinds


NUMBERS_READ = (
    "42 42. **42** **42.** `42` $42 €42.00 +42 42% 84/2 $42$ \\(42\\) 4.2e1 \\frac{84}{2} 042 \\boxed{42} \\$42"
)


@pytest.mark.parametrize("answer", [*NUMBERS_READ.split(), "```\n42\n```", "$ 42", "**Answer:** 42"])
def test_a_number_is_read_in_the_ways_it_is_written(answer: str) -> None:
    assert value(answer, "number", "42") == 1.0


NOT_42 = "142 420 -42 42k 42/0 4,2 forty-two -$-42 42e9999999 ٤٢ 0x2a 4_2 42.0.0 4² 42; 42!".split()
NOT_ONE = [
    "1 2 3 42",
    "41 or 42",
    "42 43",
    "42, 43",
    "4 2",
    "42 million",
    "42 - 0",
    "the answer is 42",
    "42 = 42",
    "42 km",
]


@pytest.mark.parametrize("answer", [*NOT_42, *NOT_ONE, "9" * 10_000])
def test_what_is_not_the_one_number_scores_zero(answer: str) -> None:
    assert value(answer, "number", "42") == 0.0


@pytest.mark.parametrize(
    ("answer", "unit", "expected"),
    [("42 km", "km", 1), ("42km.", "km", 1), ("42", "km", 1), ("42 m", "km", 0), ("$42", "km", 0), ("42%", "km", 0)]
    + [("42 hours", "hour", 1), ("42 Hours", "hours", 1), ("42 ms", "m", 0), ("42 MW", "mW", 0), ("42 km/h", "km/h", 1)]
    + [("$42", "dollars", 1), ("42 USD", "$", 1), ("€42", "$", 0), ("42 percent", "%", 1), ("42\\%", "%", 1)],
)
def test_a_unit_may_be_left_out_but_not_be_another(answer: str, unit: str, expected: int) -> None:
    assert value(answer, "number", "42", unit=unit) == expected


def test_a_percent_sign_after_a_share_means_hundredths() -> None:
    assert (value("50%", "number", "0.5"), value("0.5%", "number", "0.5"), value("100%", "number", "1")) == (
        1.0,
        0.0,
        1.0,
    )


def test_two_signs_or_two_units_are_not_one_number() -> None:
    assert (value("-$-42", "number", "-42"), value("-$42", "number", "-42"), value("$-42", "number", "-42")) == (
        0,
        1,
        1,
    )
    assert (value("$42 euros", "number", "42"), value("$42 usd", "number", "42")) == (0, 1)


@given(st.integers(-1000, 1000), st.integers(0, 300), st.integers(0, 300))
def test_tolerance_is_absolute_and_exact(gold: int, hundredths: int, off: int) -> None:
    answer = f"{gold * 100 + off}/100"
    assert value(answer, "number", str(gold), tolerance=hundredths / 100) == float(off <= hundredths)


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_numbers_are_equal_only_when_they_are(a: int, b: int) -> None:
    assert value(f"{a:,}", "number", f"{b / 1:.3f}") == float(a == b)


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        ('"ab"', "ab", 1),
        ("“ab”", "ab", 1),
        ("'ab\"", "ab", 0),
        ('"ab "', "ab", 0),
        ('" ab"', " ab", 1),
        ("ab", " ab", 1),
    ]
    + [("a b", "a  b", 0), ("AB", "ab", 0), ("ab.", "ab", 0), ("**ab**", "ab", 1), ("`ab`", "ab", 1), ("cab", "ab", 0)]
    + [("cafe\u0301", "café", 1), ("ab", '"ab"', 0), ('""ab""', '"ab"', 0), ("**", "**", 1), ("ab\ncd", "ab", 0)],
)
def test_text_is_compared_exactly(answer: str, gold: str, expected: int) -> None:
    assert value(answer, "text", gold) == expected


def test_text_ignores_case_where_the_verifier_says_so() -> None:
    assert value("STRASSE", "text", "straße", case=False) == 1.0


@pytest.mark.parametrize(
    "answer", ['["a", 2, "c d"]', "['a', 2.0, 'c d']", "a, 2, c d", "[a,2,c d].", '"a", 2, c d', '["a","2","c d"]']
)
def test_a_list_is_read_in_the_ways_it_is_written(answer: str) -> None:
    assert value(answer, "list", '["a", 2, "c d"]') == 1.0


@pytest.mark.parametrize(
    "answer",
    ['["a", 2', "a, 2]", "[a, 2, c d]]", "[[a, 2, c d]]", "a 2 c d", "2, a, c d", "a, 2", "a, 2, c d,", "[a, 2, c d"]
    + ["['a', 2, 'c d]", "{a, 2, c d}", "a, 2, c d, e", "** **", "[", "]", "."],
)
def test_another_list_scores_zero(answer: str) -> None:
    assert value(answer, "list", '["a", 2, "c d"]') == 0.0


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [("{2, 1, 1}", "[1, 2]", 1), ("[2, 1]", "[1, 2, 2]", 1), ("2, 1.0", "[1, 2]", 1), ("{1}", "[1, 2]", 0)]
    + [("{}", "[]", 1), ("{0}", '[0, "x"]', 0)]
    + [("{1, 2, 3}", "[1, 2]", 0), ("\\{1, 2\\}", "[1, 2]", 1), ("{1, 2]", "[1, 2]", 0), ("x, 1", '["1", "x"]', 1)],
)
def test_a_set_forgets_order_and_repeats(answer: str, gold: str, expected: int) -> None:
    assert value(answer, "set", gold) == expected


def test_a_list_of_strings_keeps_commas_and_quotes_inside() -> None:
    assert value("['a, b', 'it\\'s']", "list", '["a, b", "it\'s"]') == 1.0


GOLD_TABLE = "city,km\nRome,1200\nBonn,7"


@pytest.mark.parametrize(
    ("answer", "ordered", "expected"),
    [("| city | km |\n|:--|--:|\n| Rome | 1,200.0 |\n| Bonn | 7 |", True, 1), (f"```csv\n{GOLD_TABLE}\n```", True, 1)]
    + [("city,km\nBonn,7\nRome,1200", True, 0), ("city,km\nBonn,7\nRome,1200", False, 1), ("city,km", False, 0)]
    + [("km,city\n1200,Rome\n7,Bonn", False, 0), (GOLD_TABLE + "\nBonn,7", False, 0), ("Rome,1200\nBonn,7", True, 0)],
)
def test_a_table_is_its_header_and_cells(answer: str, ordered: bool, expected: int) -> None:
    assert value(answer, "table", GOLD_TABLE, ordered=ordered) == expected


def test_rows_keep_their_order_where_nothing_is_said() -> None:
    assert (value("a\n1\n2", "table", "a\n2\n1"), value('a, "b, c"\n1, 2', "table", 'a,"b, c"\n1,2')) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [('{"b": 2, "a": 1.0}', '{"a": 1, "b": 2}', 1), ("[1]", "[true]", 0), ("[true]", "[1]", 0), ("[1, 1]", "[1]", 0)]
    + [('{"a": 0, "a": 1}', '{"a": 1}', 0), ("NaN", "1", 0), ('"1"', "1", 0), ("null", "0", 0), ("1e9999", "null", 0)]
    + [("```json\n[1]\n```", "[1]", 1), ("[" * 100_000, "[1]", 0)],
)
def test_json_is_compared_by_value(answer: str, gold: str, expected: int) -> None:
    assert value(answer, "json", gold) == expected


@pytest.mark.parametrize(
    "answer", ["2024-03-03", "3 March 2024", "March 3, 2024", "3 Mar 2024", "Mar. 3rd, 2024.", "03 march 2024"]
)
def test_a_date_is_read_in_the_ways_it_is_written(answer: str) -> None:
    assert value(answer, "date", "2024-03-03") == 1.0


@pytest.mark.parametrize(
    "answer",
    ["2024-03-04", "2024-02-30", "2023-02-29", "30 February 2024", "2024", "3 Foo 2024", "03/03/2024"],
)
def test_another_or_an_impossible_date_scores_zero(answer: str) -> None:
    assert value(answer, "date", "2024-03-03") == 0.0


@given(st.dates())
@example(date(2000, 2, 29))
def test_a_written_date_is_the_iso_date(day: date) -> None:
    written = f"{day.day} {day:%B} {day.year:04d}"
    assert value(written, "date", day.isoformat()) == 1.0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("8/(3-8/3)", 1), ("8 ÷ (3 − 8 ÷ 3)", 1), ("8/(3-8/3) = 24", 1), ("8/(3-8/3) = 25", 0), ("24", 0), ("3*8", 0)]
    + [("8/(3-8/3", 0), ("8/(3-8/3))", 0), ("-8/(8/3-3)", 0), ("8**3-8-3", 0), ("8//3+8*3", 0), ("3*8+3*(8-8)", 0)]
    + [("8(3)8(3)", 0), ("8/(3-8/3) or 3*8", 0), ("83+8-3", 0), ("8/(3-3)+8", 0), ("\\frac{8}{3}*3*8-8", 0)]
    + [
        ("8 \\div (3 - \\frac{8}{3})", 1),
        ("(3*8)=24=24", 0),
        ("(" * 90 + "8" + ")" * 90, 0),
        ("6*4+8-8", 0),
        ("()", 0),
    ],
)
def test_an_expression_uses_each_number_once_and_reaches_the_target(answer: str, expected: int) -> None:
    assert value(answer, "expression", "8/(3-8/3)", numbers=[3, 3, 8, 8], target=24) == expected


@pytest.mark.parametrize("answer", ["0/0", "0/0 + 0", "(" * 60 + "0" + ")" * 60 + "+0"])
def test_dividing_by_zero_or_digging_deep_reaches_nothing(answer: str) -> None:
    assert value(answer, "expression", "0+0", numbers=[0, 0], target=0) == 0.0


@given(expressions(), expressions())
def test_an_expression_is_right_exactly_when_python_agrees(row: Verifier, other: Verifier) -> None:
    exact = re.sub(r"\d+", r"Fraction(\g<0>)", other["gold"])
    agrees = eval(exact) == Fraction(row["args"]["target"])
    same = sorted(other["args"]["numbers"]) == sorted(row["args"]["numbers"])
    assert score(other["gold"], row).value == float(agrees and same)


# ------------------------------------------------------------------------------------------------ broken verifiers


@pytest.mark.parametrize(
    "row",
    [
        verifier("number", "forty"),
        verifier("number", "1/0"),
        verifier("number", "4 km", unit="m"),
        verifier("text", " "),
    ]
    + [verifier("number", "4", tolerance=-1), verifier("list", "[1"), verifier("list", "[[1]]"), verifier("set", "{3")]
    + [verifier("list", "[true]"), verifier("table", "a,b\n1"), verifier("json", "{"), verifier("date", "2023-02-29")]
    + [verifier("date", "1900-02-29"), verifier("boolean", "maybe"), verifier("expression", "1+2", numbers=[1, 2])]
    + [verifier("expression", "1+2", numbers=[1, 2], target=4), verifier("expression", "1+2", numbers=[1], target=3)]
    + [verifier("constraints", "x"), verifier("constraints", "x", checks=[{"check": "word_cuont", "n": 1}])]
    + [verifier("constraints", "x", checks=[{"check": "word_count"}]), {"kind": "number", "gold": 4}, {"kind": "text"}]
    + [verifier("constraints", "x", checks=[{"check": "lowercase", "on": "n"}]), verifier("text", "x") | {"args": "["}]
    + [verifier("constraints", "x", checks=[{"check": "field", "label": "a", "verifier": verifier("date", "?")}])],
)
def test_a_broken_verifier_decides_nothing_and_says_why(row: Mapping[str, Any]) -> None:
    judged = score("a: 17", row)
    assert judged.value is None
    assert judged.reason


def test_an_unknown_check_is_answered_with_the_nearest() -> None:
    judged = score("x", verifier("constraints", "x", checks=[{"check": "word_cuont", "n": 1}]))
    assert "word_count" in judged.reason


@pytest.mark.parametrize("call", [lambda row: score("x", row), wrong_answers])
def test_an_unknown_kind_is_an_error_that_names_the_nearest(call: Any) -> None:
    with pytest.raises(ValueError, match="'numbr'.*'number'"):
        call(verifier("numbr", "3"))


# ----------------------------------------------------------------------------------------------------- constraints

PASSES_AND_FAILS: dict[str, tuple[dict[str, Any], str, str]] = {
    "field": ({"label": "total", "verifier": verifier("number", "42")}, "Total: 42 \nok", "total: 42\ntotal: 42"),
    "word_count": ({"n": 3}, "one - two, three!", "one two"),
    "min_words": ({"n": 2}, "one two three", "one - ..."),
    "max_sentences": ({"n": 2}, "One. Two!", "One. Two! Three?"),
    "max_words": ({"n": 2}, "one two", "one two three"),
    "sentence_count": ({"n": 2}, "It is 3.5 km. “Really?!” ...", "One. Two. Three"),
    "line_count": ({"n": 2}, "a\n\nb", "a"),
    "paragraph_count": ({"n": 2}, "a\nb\n \n\nc", "a\nb"),
    "keyword": ({"word": "cat", "n": 2}, "Cat, cat concatenate", "cat bobcat concatenate"),
    "min_keyword": ({"word": "c++", "n": 1}, "use C++ now", "use c+"),
    "forbidden": ({"words": ["cat", "dog"]}, "concatenate", "a Dog!"),
    "lowercase": ({}, "all 3 small", "One"),
    "uppercase": ({}, "ALL 3 BIG", "ONe"),
    "title_case": ({}, "Every “Word” Of 3", "Every word"),
    "starts_with": ({"text": "Dear"}, "Dear all", "dear all"),
    "ends_with": ({"text": "The end."}, "So. The end.", "The end. Bye"),
    "no_commas": ({}, "a; b", "a, b"),
    "bullet_count": ({"n": 2}, "x\n- a\n  * b", "- a\n-b"),
    "json_object": ({"keys": ["b", "a"]}, '```json\n{"b": 1, "a": 2}\n```', '{"a": 1, "b": 2}'),
    "csv": ({"columns": ["a", "b"], "rows": 1}, 'a,b\n1,"x, y"', "a,b\n1,2,3"),
    "letter_count": ({"letter": "a", "n": 2}, "A cat", "cat"),
    "no_digits": ({}, "one", "one 1"),
    "digit_count": ({"n": 3}, "12 and 3", "12"),
    "quoted": ({}, '"yes"', '"'),
    "placeholder_count": ({"n": 2}, "[name] of [the place]", "[name] []"),
    "hashtag_count": ({"n": 2}, "#a and #b_c", "# a #b c#d"),
    "capital_words": ({"n": 2}, "The BIG red COVID-19 A", "BIG"),
    "numbered_list": ({"n": 2}, "So:\n1. a\n2. b", "1. a\n3. b"),
    "separator": ({"text": "***", "n": 2}, "a\n\n ***\nb", "a\n***\n***\nb"),
    "word_length_max": ({"n": 4}, "tiny, word!", "large"),
    "first_letters": ({"letter": "s"}, "Silly “snakes”", "silly cats"),
    "question_count": ({"n": 2}, "Who? What??", "Who?"),
    "repeat_phrase": ({"text": "Go on", "n": 2}, "Go on. Go on!", "Go on. go on"),
}


def test_every_check_has_a_row_below() -> None:
    assert set(PASSES_AND_FAILS) == set(CHECKS)


@pytest.mark.parametrize("name", PASSES_AND_FAILS)
def test_a_check_passes_and_fails(name: str) -> None:
    params, good, bad = PASSES_AND_FAILS[name]
    row = verifier("constraints", good, checks=[{"check": name, "skill": "s", **params}])
    assert score(good, row) == Score(1.0, "", {"s": 1.0})
    assert score(bad, row).value == 0.0
    assert score(bad, row).reason.startswith(name)


@pytest.mark.parametrize("name", PASSES_AND_FAILS)
def test_a_check_is_broken_on_purpose(name: str) -> None:
    params, good, _ = PASSES_AND_FAILS[name]
    row = verifier("constraints", good, checks=[{"check": name, "skill": "s", **params}])
    wrong = wrong_answers(row)
    assert wrong["broken"]
    assert score(wrong["broken"], row).value == score(wrong["cut"], row).value == 0.0


@pytest.mark.parametrize("name", sorted(set(PASSES_AND_FAILS) - {"field"}))
def test_a_check_of_a_label_reads_that_label_only(name: str) -> None:
    params, good, bad = PASSES_AND_FAILS[name]
    total = {"check": "field", "skill": "t", "label": "total", "verifier": verifier("number", "42")}
    checks = [{"check": name, "skill": "s", "of": "note", **params}, total]
    row = verifier("constraints", f"note: {good}\ntotal: 42", checks=checks)
    assert score(f"total: 42\nnote: {good}", row) == Score(1.0, "", {"s": 1.0, "t": 1.0})
    assert score(f"note: {bad}\ntotal: 42", row).parts == {"s": 0.0, "t": 1.0}
    assert score(f"total: 42\n{good}", row).parts == {"s": 0.0, "t": 1.0}


CHECKS_OF_A_REPLY = [
    {"check": "field", "skill": "solve", "label": "answer", "verifier": verifier("list", '["x", 2]')},
    {"check": "word_count", "skill": "form", "of": "note", "n": 2},
    {"check": "lowercase", "skill": "form", "of": "note"},
]


@pytest.mark.parametrize(
    "reply",
    ["note: so\nit\nanswer: x, 2", '**Answer:** ["x", 2]\n**Note:** so it', '{"answer": ["x", 2], "note": "so it"}'],
)
def test_a_reply_gives_its_labels_as_lines_or_as_json(reply: str) -> None:
    judged = score(reply, verifier("constraints", reply, checks=CHECKS_OF_A_REPLY))
    assert judged == Score(1.0, "", {"solve": 1.0, "form": 1.0})


def test_a_skill_with_several_checks_gets_their_mean() -> None:
    judged = score("answer: x, 2\nnote: So it", verifier("constraints", "", checks=CHECKS_OF_A_REPLY))
    assert judged == Score(0.0, "lowercase of note", {"solve": 1.0, "form": 0.5})


def test_two_values_for_one_label_pass_nothing() -> None:
    reply = '{"answer": ["x", 2], "Answer": ["y"], "note": "so it"}'
    assert score(reply, verifier("constraints", "", checks=CHECKS_OF_A_REPLY)).parts == {"solve": 0.0, "form": 1.0}


def test_an_empty_reply_earns_no_part() -> None:
    judged = score("", verifier("constraints", "", checks=CHECKS_OF_A_REPLY))
    assert judged == Score(0.0, "empty", {"solve": 0.0, "form": 0.0})


@pytest.mark.parametrize(
    "row",
    [verifier("text", "a\nAnswer: b"), verifier("text", "\\boxed{b}")]
    + [verifier("constraints", "a\nAnswer: b", checks=[{"check": "line_count", "n": 2}])],
)
def test_a_gold_that_holds_the_marker_is_still_right(row: Verifier) -> None:
    assert score(row["gold"], row).value == 1.0


def test_a_field_may_hold_a_table() -> None:
    check = {"check": "field", "skill": "s", "label": "sales", "verifier": verifier("table", GOLD_TABLE)}
    row = verifier("constraints", f"sales:\n{GOLD_TABLE}", checks=[check, {"check": "min_words", "n": 1, "of": "note"}])
    assert score(f"sales:\n{GOLD_TABLE}\nnote: ok", row).value == 1.0
    assert score(wrong_answers(row)["broken"], row).parts["s"] == 0.0


def test_the_marker_may_come_before_a_labelled_reply() -> None:
    checks = [{"check": "line_count", "skill": "s", "n": 2}]
    assert value("I think:\n\nAnswer:\na\nb", "constraints", "a\nb", checks=checks) == 1.0


# -------------------------------------------------------------------------------------------- for trainers and users


@settings(max_examples=25)
@given(verifiers)
def test_compute_score_takes_the_verifier_as_json(row: Verifier) -> None:
    assume(row["gold"])
    assert compute_score("any", f"Answer: {row['gold']}", json.dumps(row)) == 1.0
    assert compute_score("any", "", row) == 0.0


def test_compute_score_is_zero_where_nothing_is_decided() -> None:
    assert compute_score("any", "4", verifier("number", "four")) == 0.0


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_the_file_alone_scores_a_file_of_answers(tmp_path: Path) -> None:
    golds = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "four")]
    rows = write_rows(
        tmp_path / "v.jsonl", [{"id": name, "verifier": verifier("number", gold)} for name, gold in golds]
    )
    answers = write_rows(tmp_path / "a.jsonl", [{"id": name, "answer": "1"} for name in "abd"])
    copy = tmp_path / "score.py"
    copy.write_bytes(SCORER.read_bytes())
    ran = subprocess.run(
        [sys.executable, "-I", "-S", str(copy), rows, answers], capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout) == {"n": 4, "scored": 2, "missing": 1, "undecided": 1, "accuracy": 1 / 3}


@pytest.mark.parametrize(
    ("content", "said"),
    [("{}", "line 1"), ('{"id": 1, "answer": "x"}\n[', "line 2"), ('{"id": 1, "answer": 2}', "line 1")]
    + [('{"id": 1, "answer": "x"}\n' * 2, "twice")],
)
def test_a_bad_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str) -> None:
    rows = write_rows(tmp_path / "v.jsonl", [])
    (tmp_path / "a.jsonl").write_text(content, encoding="utf-8")
    assert main([rows, str(tmp_path / "a.jsonl")]) == 2
    assert said in capsys.readouterr().err


def test_a_missing_file_or_kind_or_argument_ends_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write_rows(tmp_path / "v.jsonl", [{"id": 1, "verifier": verifier("numbr", "1")}])
    answers = write_rows(tmp_path / "a.jsonl", [{"id": 1, "answer": "1"}])
    assert [main([]), main([rows, str(tmp_path / "none")]), main([rows, answers])] == [2, 2, 2]
    assert "number" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------- texts that no gold decides

REPLY = "Dear Ann,\nI would love to come, yet Friday is taken. Shall we say Sunday?"
RUBRIC = {"kind": "rubric", "gold": REPLY, "args": {}}
CHECKED = {"kind": "rubric", "gold": "We came. We saw.", "args": {"checks": [{"check": "max_sentences", "n": 2}]}}
ABSTAIN = {
    "kind": "abstain",
    "gold": "The width is not given, so the area cannot be known.",
    "args": {"names": ["width"]},
}


def test_the_reply_that_judges_graded_scores_1_and_of_another_nobody_knows() -> None:
    assert score(REPLY, RUBRIC).value == score(f"  {REPLY}\n", RUBRIC).value == 1.0
    other = score("Dear Ann, no.", RUBRIC)
    assert (other.value, "only a judge" in other.reason) == (None, True)
    assert score(" \n", RUBRIC).value == 0.0


def test_a_graded_text_is_taken_whole_whatever_line_it_ends_with() -> None:
    verifier = {"kind": "rubric", "gold": "Write: 'Answer: 7' and nothing else.", "args": {}}
    assert score(verifier["gold"], verifier).value == 1.0
    assert score("Answer: 7", verifier).value is None


def test_a_text_that_breaks_a_check_of_its_rubric_scores_0_though_nobody_judged_it() -> None:
    assert score("We came. We saw.", CHECKED).value == 1.0
    assert score("We went. We left.", CHECKED).value is None
    assert score("We came. We saw. We won.", CHECKED).value == 0.0


@pytest.mark.parametrize("checks", ["max_sentences", [{"check": "no_such"}], [{"check": "max_sentences"}]])
@pytest.mark.parametrize("answer", ["", "We came. We saw.", "x"])
def test_a_rubric_with_broken_checks_judges_nothing(checks: object, answer: str) -> None:
    assert score(answer, CHECKED | {"args": {"checks": checks}}).value is None


@pytest.mark.parametrize("verifier", [RUBRIC, CHECKED, ABSTAIN], ids=["rubric", "checked", "abstain"])
def test_no_wrong_answer_to_what_no_gold_decides_scores_1(verifier: Verifier) -> None:
    assert score(verifier["gold"], verifier).value == 1.0
    assert [name for name, answer in wrong_answers(verifier).items() if score(answer, verifier).value == 1.0] == []


@pytest.mark.parametrize(
    "reply",
    [
        "It can't be determined: the width is missing.",
        "There is not enough information. What is the width?",
        "We don’t know the width, and without knowing it there is no area.",
        "The area is length times WIDTH, but the width was never stated.\nAnswer: cannot be determined",
    ],
)
def test_a_reply_that_says_what_is_missing_abstains(reply: str) -> None:
    assert score(reply, ABSTAIN).value == 1.0


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("The width is not given. I take 3 m.\nAnswer: 12", "it gives an answer"),
        ("The area is 12 square metres.", "it does not say that something is missing"),
        ("Something is missing here.", "it does not name what is missing"),
        ("The height is not given.", "it does not name what is missing"),
        ("", "empty"),
    ],
)
def test_a_reply_that_answers_or_does_not_name_what_is_missing_scores_0(reply: str, reason: str) -> None:
    found = score(reply, ABSTAIN)
    assert (found.value, found.reason) == (0.0, reason)


def test_without_names_it_is_enough_to_say_that_something_is_missing() -> None:
    assert score("That cannot be determined.", ABSTAIN | {"args": {}}).value == 1.0
    assert score("That cannot be determined.", ABSTAIN | {"args": {"names": "width"}}).value is None
