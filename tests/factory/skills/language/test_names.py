from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.skills.language.names import is_header, skill_name, spelling_key, split_label


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Critical Thinking", "critical_thinking"),
        ("  - problem-solving  ", "problem_solving"),
        ("12. **Code / Review**", "code_review"),
        ("“Active listening”.", "active_listening"),
        ("the ability to negotiate", "negotiate"),
        ("Skills in data analysis", "data_analysis"),
        ("Presentation skills (advanced)", "presentation"),
        ("readers' needs", "readers_needs"),
        ("C++ programming", "cpp_programming"),
        ("C# & F#", "csharp_and_fsharp"),
        ("3D Modeling", "3d_modeling"),
        ("Ｆｕｌｌ　Width", "full_width"),
        ("批判的思考", "批判的思考"),
        ("हिन्दी लेखन", "हिन्दी_लेखन"),
        ("skills", ""),
        (" ... ", ""),
    ],
)
def test_label_becomes_its_canonical_name(text: str, name: str) -> None:
    assert skill_name(text) == name


@given(st.text(max_size=40))
def test_a_canonical_name_is_its_own_canonical_name(text: str) -> None:
    name = skill_name(text)
    assert skill_name(name) == name


@given(st.text(max_size=40))
def test_a_canonical_name_has_no_space_and_no_empty_word(text: str) -> None:
    name = skill_name(text)
    assert name.split() in ([name], [])
    assert "" not in name.split("_") or not name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("organise_ideas", "organize_ideas"),
        ("behaviour_analysis", "behavior_analyses"),
        ("analysing_data", "analyzing_data"),
        ("modelling", "modeling"),
        ("decision_making", "decisionmaking"),
        ("narrative_strategy", "narrative_strategies"),
        ("business_process", "business_processes"),
        ("exercise", "exercises"),
        ("judgement", "judgments"),
        ("dialogue", "dialogs"),
        ("hypothesis", "hypotheses"),
    ],
)
def test_spellings_of_one_name_share_a_key(one: str, other: str) -> None:
    assert spelling_key(one) == spelling_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("deductive_reasoning", "inductive_reasoning"),
        ("form_filling", "form_filing"),
        ("data_analysis", "analysis_data"),
        ("negotiation", "negotiating"),
        ("moral_support", "morale_support"),
        ("four_step_plan", "for_step_plan"),
    ],
)
def test_different_names_have_different_keys(one: str, other: str) -> None:
    assert spelling_key(one) != spelling_key(other)


@pytest.mark.parametrize(
    "line",
    ["Writing:", "# Writing", "Topic 3: Clear writing", "Category: logic", "**Writing**", "--- Writing ---", "WRITING"],
)
def test_line_that_names_a_topic_is_a_header(line: str) -> None:
    assert is_header(line)


@pytest.mark.parametrize(
    "line", ["- **Writing**", "writing", "SQL", "unit testing", "part of speech tagging", "Name: what it means", ""]
)
def test_line_that_names_a_skill_is_no_header(line: str) -> None:
    assert not is_header(line)


def test_capitals_are_no_sign_where_the_caller_says_so() -> None:
    assert not is_header("CLEAR WRITING", capitals=False)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("- **Clear writing**: say it once", ("Clear writing", "say it once")),
        ("2. Rebuttal - answer an opponent", ("Rebuttal", "answer an opponent")),
        ("problem-solving", ("problem-solving", "")),
        ("a b c d e f g h i: too long to be a label", ("a b c d e f g h i: too long to be a label", "")),
    ],
)
def test_label_is_parted_from_its_definition(line: str, parts: tuple[str, str]) -> None:
    assert split_label(line) == parts
