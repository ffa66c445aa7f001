from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from factory.dedupe.normal import (
    FIND_KEYS,
    ExactSpec,
    Normalise,
    exact_duplicates,
    find_keys,
    normal_keys,
    normalised,
    text_keys,
)
from schemas.curation import ROWS
from schemas.keys import KEYS

PLAIN = Normalise()
ODD_TEXTS = [
    "",
    "\x00\x01",
    "a" * 10_000_000,
    "👩‍👩‍👧 🏳️‍🌈",
    "مرحبا بالعالم",
    "שלום",
    "\u202e\u200b",
    "\ud7ff",
    "  \n\t ",
]
texts = st.lists(st.text(max_size=12) | st.sampled_from(["a", "A", " a", "b", "ß", "SS", ""]), max_size=25)


def said(*values: str | None, how: Normalise = PLAIN) -> list[str]:
    return normalised(pl.Series(values, dtype=pl.String), how).to_list()


def rows(instructions: list[str], answers: list[str] | None = None) -> pl.DataFrame:
    n = len(instructions)
    given_columns = {
        "id": [f"r{i}" for i in range(n)],
        "row": range(n),
        "instruction": instructions,
        "answer": answers or [""] * n,
    }
    blank = {name: [None] * n for name in ROWS.columns if name not in given_columns}
    return pl.DataFrame(given_columns | blank, schema=pl.Schema(ROWS.columns), strict=False).select(*ROWS.columns)


def copies(frame: pl.DataFrame, spec: ExactSpec) -> dict[int, int]:
    return dict(exact_duplicates([find_keys(frame, spec.model_dump())]).iter_rows())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello  World", " hello\nworld\t"),
        ("ﬁne", "fine"),
        ("Ｆｕｌｌ", "full"),
        ("cafe\u0301", "CAFÉ"),
        ("STRASSE", "straße"),
        ("ΣΟΦΟΣ", "σοφοσ"),
        ("a\u00a0b", "a b"),
        ("co\u00adoperate\ufeff", "cooperate"),
    ],
)
def test_texts_that_differ_in_form_case_or_white_space_are_the_same(one: str, other: str) -> None:
    assert said(one) == said(other)


@pytest.mark.parametrize(("one", "other"), [("2+3", "2-3"), ("a b", "ab"), ("a.", "a"), ("5 apples", "6 apples")])
def test_texts_that_differ_otherwise_are_not_the_same(one: str, other: str) -> None:
    assert said(one) != said(other)


def test_masked_numbers_are_all_the_same() -> None:
    masked = Normalise(numbers=True)
    assert said("Add 1,200 and 3.5", how=masked) == said("add 7 and 12", how=masked)


@pytest.mark.parametrize(
    ("one", "other"), [("Well, (yes)!", "well yes"), ("«Да»…", "да"), ("so - it - is.", "so - it - is")]
)
def test_punctuation_at_the_ends_of_words_can_be_left_out(one: str, other: str) -> None:
    marks = Normalise(punctuation=True)
    assert said(one, how=marks) == said(other, how=marks)


@pytest.mark.parametrize(("one", "other"), [("2 - 3", "2 3"), ("-3", "3"), ("5%", "5"), ("3.5", "35"), ("C#", "C")])
def test_marks_that_carry_meaning_stay_when_punctuation_is_left_out(one: str, other: str) -> None:
    marks = Normalise(punctuation=True)
    assert said(one, how=marks) != said(other, how=marks)


def test_nothing_is_changed_when_everything_counts() -> None:
    how = Normalise(unicode="none", case="keep", white_space=False)
    values = ["  A\u00adﬁ\n", "ß", "1.5"]
    assert said(*values, how=how) == values


@given(st.lists(st.text(), max_size=8), st.booleans(), st.booleans(), st.sampled_from(["NFKC", "NFC", "none"]))
def test_one_text_is_normalised_alike_in_any_company(
    values: list[str], numbers: bool, punctuation: bool, form: str
) -> None:
    how = Normalise.model_validate({"numbers": numbers, "punctuation": punctuation, "unicode": form})
    assert said(*values, how=how) == [said(value, how=how)[0] for value in values]


@given(st.text())
def test_capitals_never_tell_two_texts_apart(text: str) -> None:
    assert said(text) == said(text.lower()) or text.lower().casefold() != text.casefold()


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_an_odd_text_has_a_key_and_is_a_copy_of_itself_alone(text: str) -> None:
    assert copies(rows([text, "another", text]), ExactSpec()) == ({2: 0} if said(text) != [""] else {})


def test_rows_without_text_are_copies_of_none() -> None:
    frame = rows(["", " \n", "\u200b"], ["", "  ", "\ufeff"])
    assert copies(frame, ExactSpec()) == {}


def test_a_null_is_an_empty_text() -> None:
    frame = pl.DataFrame({"instruction": [None, ""], "answer": ["x", "x"]})
    keys = normal_keys(frame, ExactSpec())
    assert keys.row(0) == keys.row(1) != (0, 0)


def test_the_two_fields_do_not_run_into_each_other() -> None:
    assert copies(rows(["ab", "a", "1:a"], ["c", "bc", "bc"]), ExactSpec()) == {}


@pytest.mark.parametrize(("fields", "found"), [("instruction", {1: 0}), ("answer", {2: 0}), ("both", {3: 0})])
def test_only_the_named_fields_must_be_the_same(fields: str, found: dict[int, int]) -> None:
    frame = rows(["q", "Q", "p", "q"], ["a", "b", "A", "A"])
    assert found.items() <= copies(frame, ExactSpec.model_validate({"fields": fields})).items()


def test_keys_are_the_same_in_another_process_and_for_ever() -> None:
    code = (
        "import polars as pl; from factory.dedupe.normal import text_keys;"
        "print(text_keys(pl.Series(['hello', 'é', ''])).rows())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    here = text_keys(pl.Series(["hello", "é", ""])).rows()
    assert other == str(here)
    assert here[0] == (0xB5E9C1AD071B3E7F, 0xC779CFAA5E523818)  # as the xxHash project's own tool gives it


@given(texts, st.integers(1, 7))
def test_the_shard_size_changes_no_copy(values: list[str], size: int) -> None:
    frame = rows(values)
    whole = find_keys(frame, {})
    parts = [find_keys(frame[i : i + size], {}) for i in range(0, frame.height, size)]
    assert exact_duplicates(parts).equals(exact_duplicates([whole]))


@given(texts, st.randoms(use_true_random=False))
def test_of_each_text_just_the_row_of_smallest_rank_that_takes_part_stays(values: list[str], random: object) -> None:
    n = len(values)
    order = np.array(random.sample(range(n), n), dtype=np.int64)  # type: ignore[attr-defined]
    alive = np.array([random.random() < 0.7 for _ in range(n)], dtype=np.bool_)  # type: ignore[attr-defined]
    found = dict(exact_duplicates([find_keys(rows(values), {})], order, alive).iter_rows())
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(said(*values)):
        if text and alive[row]:
            groups.setdefault(text, []).append(row)
    expected = {row: min(group, key=lambda r: order[r]) for group in groups.values() for row in group}
    assert found == {row: twin for row, twin in expected.items() if row != twin}


def test_keys_that_share_one_half_are_not_the_same() -> None:
    keys = pl.DataFrame({"key_hi": [1, 1, 2, 2], "key_lo": [5, 6, 5, 5], "row": [0, 1, 2, 3]})
    keys = keys.cast({"key_hi": pl.UInt64, "key_lo": pl.UInt64})
    assert exact_duplicates([keys]).rows() == [(3, 2)]


def test_no_shards_have_no_copies() -> None:
    assert exact_duplicates([]).rows() == []


def test_the_stage_keeps_its_contract() -> None:
    found = FIND_KEYS.run(rows(["a", "b"]), ExactSpec().model_dump(mode="json"))
    KEYS.check(found)
    assert found["id"].to_list() == ["r0", "r1"]


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        ExactSpec.model_validate({"fields": "prompt"})
