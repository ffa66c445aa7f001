from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from factory.dedupe.caps import KINDS, CapsSpec, labelled, over_caps, signature_of, template_of, unlabelled

labels = st.lists(st.tuples(*[st.sampled_from(["", "a", "b", "c"])] * 3), max_size=30)
caps = st.none() | st.integers(1, 4)
specs = st.builds(lambda t, s, o: CapsSpec(template=t, signature=s, source=o), caps, caps, caps)


def frame(rows: list[tuple[str, ...]]) -> pl.DataFrame:
    columns = {kind: pl.Series([row[k] for row in rows], dtype=pl.String) for k, kind in enumerate(KINDS)}
    return pl.DataFrame({"row": pl.Series(range(len(rows)), dtype=pl.Int64), **columns})


def same(series: pl.Series) -> bool:
    return series.n_unique() == 1 and series[0] != ""


def test_rows_beyond_the_cap_leave_with_what_they_share() -> None:
    found = over_caps(frame([("t", "", "s")] * 4), CapsSpec(template=3))
    assert found.rows() == [(3, "within_template_cap", "3 rows have the template 't' already")]


def test_rows_of_no_template_are_under_no_cap_and_are_counted() -> None:
    rows, spec = frame([("", "", "s")] * 4), CapsSpec(template=1, signature=1)
    assert over_caps(rows, spec).is_empty()
    assert unlabelled(rows, spec) == {"template": 4, "signature": 4}


def test_a_null_label_is_no_label() -> None:
    rows = frame([("", "", "")] * 3).with_columns(template=pl.lit(None, dtype=pl.String))
    assert over_caps(rows, CapsSpec(template=1)).is_empty()


def test_a_row_dropped_by_one_cap_takes_no_place_under_another() -> None:
    rows = frame([("t", "x", ""), ("t", "y", ""), ("u", "y", "")])
    assert over_caps(rows, CapsSpec(template=1, signature=1))["row"].to_list() == [1]


def test_a_long_label_is_shown_by_its_beginning() -> None:
    found = over_caps(frame([("long " * 100, "", "")] * 2), CapsSpec(template=1))
    assert len(found["detail"][0]) < 110


@given(labels, specs, st.randoms(use_true_random=False))
def test_caps_are_kept_by_going_through_the_rows_in_order(
    rows: list[tuple[str, ...]], spec: CapsSpec, random: object
) -> None:
    n = len(rows)
    order = np.array(random.sample(range(n), n), dtype=np.int64)  # type: ignore[attr-defined]
    alive = np.array([random.random() < 0.8 for _ in range(n)], dtype=np.bool_)  # type: ignore[attr-defined]
    limits = [getattr(spec, kind) for kind in KINDS]
    counts: Counter[tuple[int, str]] = Counter()
    expected = set()
    for row in sorted((r for r in range(n) if alive[r]), key=lambda r: order[r]):
        held = [(k, rows[row][k]) for k in range(3) if limits[k] is not None and rows[row][k]]
        if any(counts[key] >= limits[key[0]] for key in held):
            expected.add(row)
        else:
            counts.update(held)
    assert over_caps(frame(rows), spec, order, alive)["row"].to_list() == sorted(expected)


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(ValidationError):
        CapsSpec(template=0)


def test_texts_that_differ_in_numbers_dates_and_quoted_names_share_a_template() -> None:
    texts = [
        "On May 3, 2021 'Bob' bought 1,200 pens.",
        "On June 13 2022  'Alice Lee' bought 7 PENS.",
        "On 2021-03-04 “X” bought -3.5 pens.",
    ]
    assert same(template_of(pl.Series(texts)))


def test_texts_that_differ_in_a_word_do_not_share_a_template() -> None:
    assert template_of(pl.Series(["5 pens and it's 'A'", "5 caps and it's 'A'"])).n_unique() == 2


def test_an_empty_text_has_neither_template_nor_signature() -> None:
    nothing = pl.Series(["", None, " \n"], dtype=pl.String)
    assert template_of(nothing).to_list() == signature_of(nothing).to_list() == ["", "", ""]


def test_the_same_sums_with_other_numbers_are_the_same_way_to_solve() -> None:
    answers = [
        "First $3 + 4 = 7$, then $7 \\times 2 = 14$.",
        "So 61+1 = 62.\n62 · 1,200 = 74,400",
        "<<1+2=3>> and <<3*4=12>>",
    ]
    assert same(signature_of(pl.Series(answers)))


def test_other_sums_are_another_way_to_solve() -> None:
    assert signature_of(pl.Series(["3+4=7, 7*2=14", "3*4=12, 12+2=14"])).n_unique() == 2


@pytest.mark.parametrize("answer", ["Paris.", "3 + 4 = 7", "It was on 2024-01-02.", "```\n```"])
def test_an_answer_with_less_than_two_sums_has_no_signature(answer: str) -> None:
    assert signature_of(pl.Series([answer])).to_list() == [""]


def test_code_with_other_names_numbers_and_comments_is_the_same_way_to_solve() -> None:
    one = "```python\ndef f(x):\n    return x + 1  # more\n```"
    other = "Here:\n```py\ndef grow(size):\n    return size + 22\n```\nDone."
    assert same(signature_of(pl.Series([one, other])))


def test_code_that_uses_its_names_otherwise_is_another_way_to_solve() -> None:
    one, other = "```\na = f(b, c)\n```", "```\na = f(b, b)\n```"
    assert signature_of(pl.Series([one, other])).n_unique() == 2


def test_labels_are_derived_only_where_nobody_gave_one_and_only_if_asked() -> None:
    rows = pl.DataFrame(
        {
            "id": ["a", "b", "c"],
            "row": [0, 1, 2],
            "source": ["s"] * 3,
            "template": ["mine", "", None],
            "signature": ["", "", ""],
            "instruction": ["Add 1 to 2", "Add 1 to 2", "Add 3 to 9"],
            "answer": ["1+2=3, 3-1=2"] * 3,
        }
    )
    asked = labelled(rows, CapsSpec(template=3, derive=True))
    assert asked["template"][0] == "mine"
    assert same(asked["template"][1:])
    assert asked["signature"].to_list() == ["", "", ""]
    assert labelled(rows, CapsSpec(template=3))["template"].to_list() == ["mine", "", ""]


def test_odd_texts_have_a_template() -> None:
    odd = pl.Series(
        ["\x00", "a" * 1_000_000, "1 " * 100_000, "👩‍👩‍👧", "مرحبا ٣", "```" * 1000, "'" * 10_000, "(" * 10_000]
    )
    assert "" not in template_of(odd).to_list()
    assert len(signature_of(odd)) == len(odd)
