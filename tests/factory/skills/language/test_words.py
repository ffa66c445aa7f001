from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.skills.language.words import kept_apart, tells_same

NAMES = st.sampled_from(
    "active_voice passive_voice text_to_speech speech_to_text 2d_modeling 3d_modeling teaching teaching_methods "
    "idea_generation idea_selection moral_reasoning ethical_reasoning management_of_time time_management".split()
)


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("active_voice", "passive_voice", "opposites"),
        ("formal_writing", "using_informal_language", "opposites"),
        ("supervised_learning", "unsupervised_learning", "opposites"),
        ("2d_modeling", "3d_modeling", "numbers"),
        ("idea_generation", "idea_selection", "word"),
        ("data_analysis", "financial_data_analysis", "narrower"),
        ("speech_to_text", "text_to_speech", "order"),
        ("moral_reasoning", "ethical_reasoning", None),
        ("bias_detection", "bias_recognition", None),
        ("time_management", "management_of_time", None),
        ("jewelry_making", "jewelry_making_techniques", None),
        ("debugging", "fixing_bugs", None),
    ],
)
def test_words_tell_what_is_not_the_same(one: str, other: str, why: str | None) -> None:
    assert kept_apart(one, other) == kept_apart(other, one) == why


def test_order_and_empty_words_tell_nothing() -> None:
    assert tells_same("time_management", "effective_management_of_time")
    assert not tells_same("process_design", "design")
    assert not tells_same("speech_to_text", "text_to_speech")


@given(NAMES, NAMES)
def test_what_tells_the_same_is_not_kept_apart(one: str, other: str) -> None:
    assert tells_same(one, other) == tells_same(other, one)
    assert not (tells_same(one, other) and kept_apart(one, other))
