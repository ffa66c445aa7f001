"""The metrics of Skill-Mix: the best generation of a combination, means with errors, points that nobody decided."""

from __future__ import annotations

import math
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.gates.skill_points import Points
from factory.gates.votes import krippendorff_alpha
from factory.student.skill_mix import GradedText, Mean, Standing, mean_of, of_grades, standing, standings

MET = (1.0, 1.0, 1.0)
POINT = st.sampled_from([0.0, 1.0, None])


def text(combination: int, *skills: float | None, others: tuple[float | None, ...] = MET) -> GradedText:
    return GradedText(len(skills), combination, Points(skills, others))


def values(found: Standing) -> dict[str, float | None]:
    return {name: mark.value for name, mark in found.marks.items()}


def test_the_best_generation_of_a_combination_counts() -> None:
    found = standing(2, [text(0, 0.0, 0.0), text(0, 1.0, 1.0), text(0, 1.0, 0.0)])
    assert values(found) == {"full_marks": 1.0, "all_skills": 1.0, "skill_fraction": 1.0}
    assert (found.combinations, found.texts) == (1, 3)


def test_each_mark_takes_its_own_best() -> None:
    found = standing(2, [text(0, 1.0, 1.0, others=(1.0, 1.0, 0.0)), text(0, 1.0, 0.0)])
    assert values(found) == {"full_marks": 0.0, "all_skills": 1.0, "skill_fraction": 0.5}


def test_the_mean_is_over_combinations_with_its_standard_error() -> None:
    found = standing(1, [text(0, 1.0), text(1, 0.0), text(2, 1.0), text(3, 1.0)])
    mark = found.marks["full_marks"]
    assert mark.value == 0.75
    assert mark.error == pytest.approx(stdev([1, 0, 1, 1]) / math.sqrt(4))
    assert (mark.n, mark.of, mark.low, mark.high) == (4, 4, 0.75, 0.75)


def test_one_combination_has_no_standard_error() -> None:
    assert standing(1, [text(0, 1.0)]).marks["full_marks"].error is None


def test_an_open_point_is_no_0() -> None:
    found = standing(1, [text(0, None), text(1, 1.0)])
    assert found.undecided == 1
    assert found.marks["full_marks"] == Mean(1.0, None, n=1, of=2, low=0.5, high=1.0)


def test_an_open_point_that_changes_nothing_leaves_the_combination_decided() -> None:
    found = standing(1, [text(0, None), text(0, 1.0), text(1, None, others=(0.0, 1.0, 1.0))])
    assert found.undecided == 2
    assert found.marks["full_marks"] == Mean(0.5, 0.5, n=2, of=2, low=0.5, high=0.5)


def test_where_nothing_is_decided_there_is_no_mean() -> None:
    assert mean_of([(0.0, 1.0), (0.0, 1.0)]) == Mean(None, None, n=0, of=2, low=0.0, high=1.0)


@given(st.lists(st.tuples(st.integers(0, 3), POINT, POINT, st.tuples(POINT, POINT, POINT)), min_size=1, max_size=12))
def test_a_mean_of_all_lies_between_its_bounds_however_open_points_fall(
    rows: list[tuple[int, float | None, float | None, tuple[float | None, ...]]],
) -> None:
    texts = [text(i, a, b, others=others) for i, a, b, others in rows]
    found = standing(2, texts)
    for by in (0.0, 1.0):
        closed = [
            text(
                t.combination,
                *(by if p is None else p for p in t.points.skills),
                others=tuple(by if p is None else p for p in t.points.others),
            )
            for t in texts
        ]
        for name, mark in standing(2, closed).marks.items():
            wanted = found.marks[name]
            assert mark.n == mark.of
            assert wanted.low <= (mark.value or 0.0) <= wanted.high


def test_agreement_is_over_the_points_that_judges_decide() -> None:
    votes = (
        ("skills", (1.0, 0.0, 1.0)), ("skills", (1.0, 1.0, 1.0)), ("on_topic", (0.0, 0.0, None)),
        ("makes_sense", (1.0, 1.0, 1.0)), ("within_limit", (0.0, 1.0, 0.0)),
    )  # fmt: skip
    found = standing(2, [GradedText(2, 0, Points((1.0, 1.0), MET), votes)])
    judged = [unit for name, unit in votes if name != "within_limit"]
    assert found.alpha == krippendorff_alpha(judged)
    assert found.alpha != krippendorff_alpha([unit for _, unit in votes])
    assert found.alphas["skills"] == krippendorff_alpha([votes[0][1], votes[1][1]])
    assert found.alphas["makes_sense"] is None


def test_the_votes_on_all_skills_share_a_name() -> None:
    names = ["shows_metaphor", "shows_triage", "on_topic"]
    votes = {name: (1.0, None) for name in names}
    assert [name for name, _ in of_grades(names, votes)] == ["skills", "skills", "on_topic"]


def test_every_k_has_a_standing_of_its_own() -> None:
    found = standings([text(0, 1.0, 1.0), text(0, 0.0), text(1, 0.0, 1.0)])
    assert [(one.k, one.texts) for one in found] == [(1, 1), (2, 2)]


def test_a_standing_of_no_texts_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        standing(2, [])
