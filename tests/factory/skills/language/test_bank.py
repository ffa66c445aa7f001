"""The skills of a job: merged with a reject each, split by family, near ones known, wanted as a profile says."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from by_example import by_words
from hypothesis import given
from hypothesis import strategies as st

from factory.artifacts.store import Artifact, Store
from factory.errors import UserError
from factory.skills.language import bank
from factory.skills.language.bank import LARGEST, SkillBank, held_out, import_skills
from factory.skills.language.lists import SkillList
from factory.skills.language.skill import LanguageSkill


@pytest.fixture(autouse=True)
def _words_for_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(bank, "encode", by_words)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def skill(name: str, definition: str = "", family: str = "", count: int = 1) -> LanguageSkill:
    return LanguageSkill(name, definition, family=family, count=count)


def imported(
    store: Store, *skills: LanguageSkill, rejects: Sequence[tuple[str, str]] = (), similarity: float | None = 0.575,
    heldout: float = 0.0,
) -> Artifact:  # fmt: skip
    return import_skills(SkillList(list(skills), list(rejects)), similarity, heldout, store)


FAMILIES = [skill(f"skill_{family}_{i}", f"words of {family}{i}", family) for family in "abcdef" for i in range(5)]


def test_skills_of_the_same_meaning_become_one_and_the_other_leaves_with_its_twin(store: Store) -> None:
    made = imported(
        store,
        skill("unit_conversion", "turn a quantity into other units", count=5),
        skill("conversion_of_units", "turn a quantity into other units"),
        skill("irony", "the opposite of what is meant"),
    )
    assert made.read().select("name", "count").rows() == [("unit_conversion", 6), ("irony", 1)]
    [(id_, [reason])] = made.read_rejects().rows()
    assert id_ == "conversion_of_units"
    assert (reason["gate"], reason["code"], reason["twin"]) == ("skills", "skill_is_new", "unit_conversion")
    assert reason["detail"].startswith("meaning, similarity 0.")


def test_a_plural_is_the_same_skill_also_where_nothing_is_merged_by_meaning(store: Store) -> None:
    made = imported(
        store,
        skill("metaphors", "one thing said as another"),
        skill("metaphor", count=2),
        skill("other_words", "one thing said as another"),
        similarity=None,
    )
    assert sorted(made.read()["name"]) == ["metaphor", "other_words"]
    [(_, [reason])] = made.read_rejects().rows()
    assert (reason["detail"], reason["twin"]) == ("spelling", "metaphor")


def test_a_line_that_is_no_skill_is_a_reject_with_its_code(store: Store) -> None:
    made = imported(store, skill("irony"), skill("syllogism"), rejects=[("Topic 3:", "header"), ("- ?", "empty")])
    assert {(id_, found[0]["code"]) for id_, found in made.read_rejects().rows()} == {
        ("line 0: Topic 3:", "header"), ("line 1: - ?", "empty")
    }  # fmt: skip
    assert made.rows == 2


def test_near_skills_are_known_to_each_other_and_told_by_the_bank(store: Store) -> None:
    made = imported(
        store,
        skill("formal_letters", "writing letters to people one does not know well"),
        skill("informal_letters", "writing letters to people one does know well"),
        skill("syllogism", "two premises and what follows"),
        similarity=None,
    )
    assert dict(made.read().select("name", "near").rows()) == {
        "formal_letters": ["informal_letters"], "informal_letters": ["formal_letters"], "syllogism": []
    }  # fmt: skip
    assert SkillBank.of(made).near == {frozenset({"formal_letters", "informal_letters"})}


def test_whole_families_are_held_out(store: Store) -> None:
    found = SkillBank.of(imported(store, *FAMILIES, heldout=0.2))
    train, held = ({name.split("_")[1] for name in found.names(split)} for split in ("train", "heldout"))
    assert not train & held
    assert train | held == set("abcdef")
    assert 0.15 <= len(found.names("heldout")) / len(FAMILIES) <= 0.4
    assert all(found.split_of(name) == split for split in ("train", "heldout") for name in found.names(split))


def test_without_a_share_nothing_is_held_out(store: Store) -> None:
    assert SkillBank.of(imported(store, *FAMILIES)).names("heldout") == []


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.floats(0, 0.5))
def test_the_held_out_skills_are_whole_groups_of_no_more_than_they_may_be(sizes: list[int], share: float) -> None:
    skills = [skill(f"s{f}_{i}", family=str(f)) for f, size in enumerate(sizes) for i in range(size)]
    held = held_out(skills, share)
    assert len(held) <= max(2 * share, LARGEST) * len(skills)
    assert held == held_out(skills[::-1], share)
    if len(sizes) > 2:
        for family, size in enumerate(sizes):
            assert sum(name.startswith(f"s{family}_") for name in held) in (0, size)
    if share == 0:
        assert held == frozenset()


def test_skills_of_one_family_are_held_out_one_by_one() -> None:
    held = held_out([skill(f"s{i}") for i in range(50)], 0.1)
    assert len(held) == 5


def test_the_bank_gives_back_what_it_was_given(store: Store) -> None:
    given = LanguageSkill("irony", "the opposite is meant", "Lovely weather.", "It rains.", "figures", "shipped", 3)
    found = SkillBank.of(imported(store, given, *FAMILIES))
    assert found.get("irony") == given
    assert sorted(found.names("train")) == list(found.names("train"))
    assert len(found.names("train")) == len(FAMILIES) + 1


def test_a_bank_goes_to_a_worker_as_what_it_is(store: Store) -> None:
    found = SkillBank.of(imported(store, *FAMILIES, heldout=0.2), {"skill_a_1": 2.0})
    again = pickle.loads(pickle.dumps(found))  # as multiprocessing sends it
    assert again == found
    assert hash(again) == hash(found)
    assert again.identity == found.identity
    assert again.names("heldout") == found.names("heldout")


def test_a_profile_is_part_of_the_identity_and_gives_the_weights(store: Store) -> None:
    made = imported(store, *FAMILIES)
    plain, wanted = SkillBank.of(made), SkillBank.of(made, {"skill_a_1": 2.0, "skill_b_1": 0})
    assert plain.identity != wanted.identity
    assert (dict(plain.weights), dict(wanted.weights)) == ({}, {"skill_a_1": 2.0, "skill_b_1": 0})


def test_a_profile_of_an_unknown_skill_names_the_nearest(store: Store) -> None:
    with pytest.raises(UserError, match=r"'skill_a_11', which is no skill of the job \(did you mean 'skill_a_1'\?\)"):
        SkillBank.of(imported(store, *FAMILIES), {"skill_a_11": 1.0})


def test_the_same_list_is_not_screened_again_and_another_share_is(store: Store) -> None:
    first, again = (imported(store, *FAMILIES, heldout=0.2) for _ in range(2))
    other = imported(store, *FAMILIES, heldout=0.3)
    assert (first.made, again.made, other.made) == (True, False, True)
    assert first.key == again.key != other.key


def test_the_order_of_a_list_changes_no_skill_split_or_neighbour(store: Store) -> None:
    skills = [*FAMILIES, skill("formal_letters", "writing letters well"), skill("informal_letters", "writing letters")]
    one, two = (SkillBank.of(imported(store, *given, heldout=0.2)) for given in (skills, skills[::-1]))
    assert one.names("train") == two.names("train")
    assert one.near == two.near
    assert {name: one.get(name) for name in one.names("train")} == {name: two.get(name) for name in two.names("train")}


def test_words_stand_in_for_the_model_with_unit_vectors() -> None:
    vectors = by_words(["a b", "a b c", "d"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert [round(float(vectors[i] @ vectors[j]), 2) for i, j in combinations(range(3), 2)] == [0.82, 0.0, 0.0]
