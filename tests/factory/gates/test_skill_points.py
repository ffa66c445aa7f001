"""The points of Skill-Mix: names in every form, sentences, the rubric, marks and what open points leave of them."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.gates.skill_points import (
    LIMIT,
    MARKS,
    OTHERS,
    Points,
    Task,
    all_skills,
    by_program,
    checks,
    forms_of,
    full_marks,
    named,
    points_of,
    rubric,
    sentences,
    settled,
    skill_fraction,
)
from factory.recipes.recipe import Grade
from factory.score import score
from factory.skills.language.skill import LanguageSkill

POINT = st.sampled_from([0.0, 1.0, None])


def task(*names: str, topic: str = "tide pools") -> Task:
    return Task(tuple(LanguageSkill(name) for name in names), topic)


# ------------------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("skill", "text"),
    [
        ("metaphor", "What a metaphor!"),
        ("metaphor", "Metaphors, all of them."),
        ("metaphor", "the metaphor's end"),
        ("metaphor", "a *metaphor* here"),
        ("metaphor", "a _metaphor_ here"),
        ("red_herring", "A red\nherring swam by."),
        ("red_herring", "his Red-Herring"),
        ("self_serving_bias", "a self-serving bias"),
        ("self_serving_bias", "a self\u2011serving bias"),
        ("self_serving_bias", "our self-serving biases"),
        ("accident_fallacy", "two accident fallacies"),
        ("straw_man", "all those straw men"),
        ("straw_man", "a strawman"),
        ("mixed_feelings", "a mixed feeling"),
        ("emotional_self_regulation", "emotional self-regulation"),
        ("false_hypothesis", "false hypotheses"),
    ],
)
def test_a_skill_is_named_in_any_of_its_forms(skill: str, text: str) -> None:
    assert [found.name for found in named(task(skill), text)] == [skill]


@pytest.mark.parametrize(
    ("skill", "text"),
    [
        ("metaphor", "The sea was metaphorical glass."),
        ("red_herring", "A herring, red with paprika."),
        ("self_serving_bias", "He was self-serving, and had a bias."),
        ("triage", "They sorted the wounded by who could wait."),
        ("full_apology", "His apology was full of holes."),
    ],
)
def test_words_that_are_not_the_name_are_free(skill: str, text: str) -> None:
    assert named(task(skill), text) == []


def test_a_topic_that_needs_the_name_may_be_written_about() -> None:
    text = "The negotiation tactics of gulls end in screams."
    assert named(task("negotiation", topic="gulls"), text)
    assert not named(task("negotiation", topic="negotiation tactics"), text)


@given(st.lists(st.text("abcdefghiesxy", min_size=1, max_size=8), min_size=1, max_size=5))
def test_forms_are_distinct_and_begin_with_the_name(words: list[str]) -> None:
    forms = forms_of(" ".join(words))
    assert forms[0] == " ".join(words)
    assert len(forms) == len(set(forms)) <= 2 * (len(words) + 1)


# -------------------------------------------------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        ("One", 1),
        ("One. Two! Three?", 3),
        ("One; still one - and one.", 1),
        ("a line\nanother line", 2),
        ("a line\n\n\n", 1),
        ('"Really?" she said.', 2),
        ("It was 3.5 metres.", 1),
    ],
)
def test_sentences_end_in_a_stop_or_a_line(text: str, n: int) -> None:
    assert sentences(text) == n


@pytest.mark.parametrize(("k", "limit"), [(1, 1), (2, 1), (3, 2), (6, 5)])
def test_a_text_of_k_skills_may_have_k_minus_one_sentences_but_one_at_least(k: int, limit: int) -> None:
    assert task(*"abcdef"[:k]).limit == limit


@given(st.text("ab .!?\n", max_size=60))
def test_the_checks_of_a_text_are_those_that_it_keeps(text: str) -> None:
    found = checks(task("a", "b", "c"), text)
    verifier = {"kind": "rubric", "gold": text, "args": {"checks": found}}
    assert score(text, verifier).value in ({1.0} if text.strip() else {0.0})


# ------------------------------------------------------------------------------------------------------- the rubric


def test_a_text_gets_exactly_k_and_three_points() -> None:
    for k in range(1, 7):
        of = task(*"abcdef"[:k])
        assert of.rubric.names == (*(f"shows_{name}" for name in "abcdef"[:k]), *OTHERS)


def test_gold_rows_have_the_limit_that_a_count_gives_and_both_verdicts_on_it() -> None:
    verdicts = [row.verdicts[LIMIT] for row in rubric().gold]
    assert {True, False} == set(verdicts)
    for row in rubric().gold:
        assert row.verdicts[LIMIT] is (sentences(row.inputs["text"]) <= max(1, len(row.skills) - 1))
        assert set(row.inputs) == set(rubric().inputs)


def test_gold_verdicts_are_balanced_so_that_who_says_always_yes_is_void() -> None:
    verdicts = [verdict for row in rubric().gold for verdict in row.verdicts.values()]
    assert 0.4 < sum(verdicts) / len(verdicts) < 0.6


def test_the_program_has_the_last_word_and_every_vote_stays() -> None:
    of = task("metaphor", "triage")
    given_ = [Grade(name, 1.0, (1.0, 1.0, None)) for name in of.rubric.names]
    after = settled(of, "This metaphor is long. Too long.", given_)
    assert [grade.value for grade in after] == [0.0, 1.0, 1.0, 1.0, 0.0]
    assert [grade.votes for grade in after] == [grade.votes for grade in given_]


def test_a_count_decides_the_limit_where_no_judge_did() -> None:
    of = task("metaphor", "triage")
    after = settled(of, "One sentence.", [Grade(name, None) for name in of.rubric.names])
    assert [grade.value for grade in after] == [None, None, None, None, 1.0]
    assert by_program(of, "One sentence.") == {LIMIT: 1.0}


# --------------------------------------------------------------------------------------------------------- the marks


@pytest.mark.parametrize(
    ("skills", "others", "full", "every", "share"),
    [
        ((1, 1), (1, 1, 1), 1, 1, 1.0),
        ((1, 1), (1, 1, 0), 0, 1, 0.0),
        ((1, 1), (1, 0, 0), 0, 0, 0.0),
        ((1, 0), (1, 1, 1), 0, 0, 0.5),
        ((0, 0), (1, 1, 1), 0, 0, 0.0),
        ((0, 0, 1), (1, 1, 1), 0, 0, 1 / 3),
    ],
)
def test_marks_are_those_of_the_paper(
    skills: tuple[float, ...], others: tuple[float, ...], full: float, every: float, share: float
) -> None:
    points = Points(skills, others)
    assert full_marks(points) == (full, full)
    assert all_skills(points) == (every, every)
    assert skill_fraction(points) == (share, share)


@given(st.lists(POINT, min_size=1, max_size=4), st.tuples(POINT, POINT, POINT))
def test_bounds_are_the_least_and_the_most_that_verdicts_could_give(
    skills: list[float | None], others: tuple[float | None, ...]
) -> None:
    ways = product(*((0.0, 1.0) if point is None else (point,) for point in (*skills, *others)))
    cases = [Points(way[: len(skills)], way[len(skills) :]) for way in ways]
    for mark in MARKS.values():
        values = [mark(case)[0] for case in cases]
        assert mark(Points(tuple(skills), others)) == (min(values), max(values))


def test_points_without_a_grade_have_no_verdict() -> None:
    points = points_of(task("metaphor"), {"on_topic": 1.0})
    assert points == Points((None,), (1.0, None, None))
    assert points.undecided == 3
