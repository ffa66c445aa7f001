from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.release.foreign_text import UNSEEN, cell, code, cut, fenced, side_by_side, visible

HOSTILE = (
    "a | b || c",
    "`code` ``` fence",
    "<script>alert(1)</script> <!-- x",
    "line\nbreak\r\nand\rmore\u2028end",
    "\u202etxt.exe\u202c \u2066x\u2069",
    "zero\u200bwidth\ufeff\u2060",
    "![x](http://evil.example/x.png) [y](javascript:1)",
    "**bold** _em_ ~~gone~~ $x^2$ \\| \\",
    "&lt;b&gt; &amp; &#124;",
    "z\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307algo",
    "tag\U000e0041\U000e0042s",
    "\x1b[31mred\x07\x00",
)
TEXTS = st.text(max_size=60) | st.text("|`<>*_[]()~$&\\\n\r\u202e\u200b\u200d a1:/", max_size=40)
LIVE = re.compile(r"[\\`*\[\]<>|~$\n\r]|&(?!#\d+;)")  # what acts inside a cell of a table


@given(TEXTS)
def test_a_cell_holds_nothing_that_acts(text: str) -> None:
    assert not LIVE.search(cell(text))


@given(TEXTS)
def test_a_cell_shows_the_text_but_for_its_white_space(text: str) -> None:
    assert html.unescape(cell(text)) == " ".join(visible(text).split())


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_in_their_cell(text: str) -> None:
    assert not LIVE.search(cell(text))
    assert not UNSEEN.search(cell(text))


@given(TEXTS)
def test_nothing_unseen_is_left(text: str) -> None:
    kinds = {unicodedata.category(letter) for letter in visible(text) if letter not in "\n\t\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize("text", ["👨‍👩‍👧 family", "می‌خواهم", "שלום עולם", "Việt Nam", "हिन्दी", "e\u0301", "日本語\tx"])
def test_what_scripts_need_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_marks_that_hide_are_shown_by_name() -> None:
    assert visible("a\u202eb\u200bc") == "a‹U+202E›b‹U+200B›c"
    assert visible("pay\u200dpal") == "pay‹U+200D›pal"


def test_a_pile_of_marks_is_cut_down() -> None:
    assert len(visible("z" + "\u0301" * 500)) == 5


@pytest.mark.parametrize(
    ("name", "said"), [("no_refusal", "`no_refusal`"), ("a@1.0.0", "`a@1.0.0`"), ("a`b", "a&#96;b")]
)
def test_plain_names_are_in_code_style_and_others_are_texts(name: str, said: str) -> None:
    assert code(name) == said


def test_a_name_cannot_leave_its_code_style() -> None:
    for text in HOSTILE:
        assert not LIVE.search(code(text).strip("`"))


def test_a_fence_keeps_lines_and_shows_what_hides() -> None:
    assert fenced("```\n\u202ex") == "````text\n```\n‹U+202E›x\n````"


def test_only_what_differs_is_in_bold() -> None:
    assert side_by_side("Sell 12 eggs now", "Sell 15 eggs") == ("Sell **12** eggs **now**", "Sell **15** eggs")
    assert side_by_side("same * text", "same * text") == ("same &#42; text", "same &#42; text")
    assert side_by_side("", "all new") == ("", "**all new**")


@given(TEXTS, TEXTS)
def test_bold_marks_are_all_that_is_added(left: str, right: str) -> None:
    for shown, text in zip(side_by_side(left, right), (left, right), strict=True):
        assert not LIVE.search(shown.replace("**", ""))
        assert html.unescape(shown.replace("**", "")) == " ".join(visible(text).split())


def test_a_cut_text_says_so() -> None:
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"
