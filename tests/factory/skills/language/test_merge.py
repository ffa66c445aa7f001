from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.skills.language.merge import Vectors, by_spelling, candidate_pairs, merge, near_pairs
from factory.skills.language.skill import LanguageSkill
from schemas.skills import MERGES

WORDS = ["apple", "brook", "cloud", "dwarf", "eagle", "flint"]
SKILLS = st.lists(
    st.builds(LanguageSkill, st.sampled_from([*WORDS, "Apple", "- brook", "clouds"]), count=st.integers(1, 4)),
    min_size=1,
    max_size=10,
)


def at(*degrees: float) -> Vectors:
    """Return unit vectors at these angles."""
    turned = np.radians(np.asarray(degrees))
    return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)


def placed(skills: Sequence[LanguageSkill]) -> Vectors:
    """Return for each skill the vector of its word: neighbours in the alphabet are 20 degrees apart."""
    words = [skill.name.strip("- ").lower()[:5] for skill in skills]
    return at(*(20.0 * WORDS.index(word) for word in words))


def became(skills: Sequence[LanguageSkill], vectors: Vectors, **options: object) -> dict[str, str | None]:
    merges = merge(skills, 0.9, vectors=vectors, **options).merges  # type: ignore[arg-type]
    return dict(zip(merges["label"], merges["skill"], strict=True))


def test_spellings_become_one_with_all_counts() -> None:
    merged = merge([LanguageSkill("- Clear Writing", count=2), LanguageSkill("clear_writing"), LanguageSkill("skills")])
    assert merged.skills == [LanguageSkill("clear_writing", count=3)]
    assert merged.merges.rows() == [
        ("- Clear Writing", "clear_writing", "spelling", None),
        ("clear_writing", "clear_writing", "kept", None),
        ("skills", None, "empty", None),
    ]


def test_no_skill_gives_an_empty_frame_of_the_contract() -> None:
    merged = merge([])
    MERGES.check(merged.merges)
    assert (merged.skills, len(merged.merges)) == ([], 0)


def test_meaning_joins_the_lesser_count_to_the_greater_and_fills_what_it_lacks() -> None:
    skills = [LanguageSkill("fixing_bugs", "find the fault", family="code"), LanguageSkill("debugging", count=5)]
    merged = merge(skills, 0.9, vectors=at(0, 10))
    assert merged.skills == [LanguageSkill("debugging", "find the fault", family="code", count=6)]
    assert merged.merges.row(1) == ("fixing_bugs", "debugging", "meaning", 0.9848)


def test_chain_of_near_skills_does_not_put_its_ends_together() -> None:
    skills = [LanguageSkill(name, count=count) for name, count in (("apple", 3), ("brook", 2), ("cloud", 1))]
    assert became(skills, at(0, 15, 30)) == {"apple": "apple", "brook": "apple", "cloud": "cloud"}


def test_nearer_neighbour_elsewhere_counts_against_a_pair() -> None:
    skills = [
        LanguageSkill(name, count=count) for name, count in (("apple", 3), ("active_voice", 2), ("passive_voice", 1))
    ]
    alone = merge(skills[:2], 0.92, vectors=at(0, 22)).skills
    beside = merge(skills, 0.92, vectors=at(0, 22, 23)).skills
    assert (len(alone), len(beside)) == (1, 3)


def test_siblings_by_their_words_stay_apart_however_near() -> None:
    skills = [LanguageSkill("active_voice"), LanguageSkill("passive_voice")]
    assert len(merge(skills, 0.9, vectors=at(0, 0)).skills) == 2


def test_teacher_puts_together_what_the_embedding_keeps_apart() -> None:
    skills = [LanguageSkill("active_voice", count=2), LanguageSkill("doer_first")]
    merged = merge(skills, 0.9, {frozenset(("Active voice", "doer_first")): True}, at(0, 90))
    assert merged.merges.row(1) == ("doer_first", "active_voice", "teacher", None)


def test_teacher_keeps_apart_what_the_embedding_puts_together() -> None:
    skills = [LanguageSkill("apple"), LanguageSkill("brook")]
    verdicts = {
        frozenset(("apple", "brook")): False,
        frozenset(("apple", "unknown")): True,
        frozenset(("apple",)): True,
    }
    assert became(skills, at(0, 1), verdicts=verdicts) == {"apple": "apple", "brook": "brook"}


def test_no_skill_joins_one_that_holds_what_a_teacher_told_from_it() -> None:
    skills = [LanguageSkill(name, count=count) for name, count in (("apple", 3), ("brook", 2), ("cloud", 1))]
    verdicts = {frozenset(("brook", "cloud")): False}
    assert became(skills, at(0, 1, 0), verdicts=verdicts)["cloud"] == "cloud"


@given(skills=SKILLS, seed=st.randoms())
def test_result_does_not_depend_on_the_order(skills: list[LanguageSkill], seed: st.DataObject) -> None:
    other = list(skills)
    seed.shuffle(other)  # type: ignore[attr-defined]
    one, two = merge(skills, 0.9, vectors=placed(skills)), merge(other, 0.9, vectors=placed(other))
    assert one.skills == two.skills
    assert one.merges.equals(two.merges)


@given(skills=SKILLS)
def test_every_label_has_a_row_and_no_count_is_lost(skills: list[LanguageSkill]) -> None:
    merged = merge(skills, 0.9, vectors=placed(skills))
    MERGES.check(merged.merges)
    assert set(merged.merges["label"]) == {skill.name for skill in skills}
    assert sum(skill.count for skill in merged.skills) == sum(skill.count for skill in skills)
    assert sorted(merged.merges.filter(how="kept")["skill"]) == sorted(skill.name for skill in merged.skills)


def test_blocks_do_not_change_what_is_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    skills = [LanguageSkill(f"{'bcdfghjklm'[n // 10]}{'npqrstvwxz'[n % 10]}ork", count=n) for n in range(60)]
    vectors = at(*(n * 7.3 % 360 for n in range(60)))
    whole = merge(skills, 0.95, vectors=vectors), near_pairs(skills, vectors, 0.95)
    monkeypatch.setattr("factory.skills.language.merge.BLOCK", 7)
    parts = merge(skills, 0.95, vectors=vectors), near_pairs(skills, vectors, 0.95)
    assert 1 < len(whole[0].skills) < 60
    assert (whole[0].skills, whole[1]) == (parts[0].skills, parts[1])


def test_candidates_are_each_skills_nearest_ones_most_similar_first_and_not_too_many() -> None:
    skills = [LanguageSkill(word) for word in WORDS]
    view = at(0, 10, 30, 60, 100, 150)
    found = [pair[:2] for pair in candidate_pairs(skills, [view], low=0.7, neighbours=1)]
    assert found == [("apple", "brook"), ("brook", "cloud"), ("cloud", "dwarf"), ("dwarf", "eagle")]
    assert [pair[:2] for pair in candidate_pairs(skills, [view], low=0.7, neighbours=1, limit=2)] == found[:2]
    assert ("apple", "cloud") in {pair[:2] for pair in candidate_pairs(skills, [view], low=0.7, neighbours=2)}


def test_candidates_of_any_view_are_found_once_with_their_best_cosine() -> None:
    skills = [LanguageSkill(word) for word in ("apple", "brook", "cloud")]
    found = candidate_pairs(skills, [at(0, 90, 180), at(0, 20, 110), at(0, 40, 130)], low=0.5, neighbours=1)
    assert [pair[:2] for pair in found] == [("apple", "brook")]
    assert found[0][2] == pytest.approx(np.cos(np.radians(20)), abs=1e-4)


def test_opposites_are_no_candidates_and_neither_are_spellings_of_one_skill() -> None:
    names = ("idea_generation", "idea_production", "active_voice", "passive_voice", "trade_off", "trade_offs")
    found = candidate_pairs([LanguageSkill(n) for n in names], [at(0, 0, 90, 90, 180, 180)])
    assert found == [("idea_generation", "idea_production", 1.0)]


def test_spelling_alone_makes_skills_one_and_keeps_the_definition_of_the_name() -> None:
    skills = [LanguageSkill("trade_offs", "of many", count=2), LanguageSkill("trade_off", "of one"), LanguageSkill("x")]
    assert [(one.name, one.definition, one.count) for one in by_spelling(skills)] == [
        ("trade_offs", "of many", 3), ("x", "", 1),
    ]  # fmt: skip


def test_near_pairs_are_those_from_the_threshold_on() -> None:
    skills = [LanguageSkill(name) for name in ("Apple", "brook", "cloud")]
    assert near_pairs(skills, at(0, 30, 80), 0.8) == {frozenset(("apple", "brook"))}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_packaged_embedding_joins_a_synonym_and_keeps_a_sibling() -> None:
    names = ("debugging", "fixing_bugs", "bug_fixing", "deductive_reasoning", "inductive_reasoning")
    kept = {skill.name for skill in merge([LanguageSkill(name) for name in names]).skills}
    assert kept >= {"bug_fixing", "deductive_reasoning", "inductive_reasoning"}
    assert "fixing_bugs" not in kept
