from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.skills.language.skill import LanguageSkill
from factory.skills.language.vocabulary import Match, Vocabulary

NAMES = (
    "critical_thinking",
    "deductive_reasoning",
    "encryption",
    "risk_assessment",
    "time_management",
    "formal_writing",
    "text_to_speech",
    "3d_modeling",
    "organizing_ideas",
)
WORDS = Vocabulary(LanguageSkill(name) for name in NAMES)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("- Critical Thinking", "critical_thinking"),
        ("Risk-assessments", "risk_assessment"),
        ("organising ideas", "organizing_ideas"),
        ("3D Modelling skills", "3d_modeling"),
    ],
)
def test_other_spelling_is_exact(label: str, name: str) -> None:
    assert WORDS.match(label) == Match(name, "exact")


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("criticl thinking", "critical_thinking"),
        ("deductve reasoning", "deductive_reasoning"),
        ("encription", "encryption"),
        ("management of time", "time_management"),
        ("risk assessment techniques", "risk_assessment"),
    ],
)
def test_slip_is_the_nearest(label: str, name: str) -> None:
    match = WORDS.match(label)
    assert (match.skill, match.how) == (name, "nearest")
    assert match.similarity is not None


@pytest.mark.parametrize(
    "label",
    [
        "inductive reasoning",
        "abductive reasoning",
        "decryption",
        "risk management",
        "informal writing",
        "speech to text",
        "2d modeling",
        "creative thinking",
        "cloud computing",
        "",
        "skills",
    ],
)
def test_sibling_or_stranger_is_rejected(label: str) -> None:
    match = WORDS.match(label)
    assert (match.skill, match.how) == (None, "rejected")


@given(st.text(max_size=30))
def test_match_is_a_name_of_the_vocabulary_or_none(label: str) -> None:
    match = WORDS.match(label)
    assert (match.skill is None) == (match.how == "rejected")
    assert match.skill is None or match.skill in NAMES


def test_first_of_two_spellings_counts() -> None:
    words = Vocabulary([LanguageSkill("modelling"), LanguageSkill("modeling")])
    assert words.match("Modellings") == Match("modelling", "exact")
