"""Which skills are one: the teacher names groups, judges pairs, and only its word or certainty merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from extracting import (
    LONG,
    REFUSED,
    Held,
    alike,
    by_step,
    says,
    verdict,
)

from factory.skills.language.confirm import PART, REACH, confirm, list_doubles, settle
from factory.skills.language.extract import (
    Log,
    Memory,
    Merging,
)
from factory.skills.language.merge import LOW, SURE, Merged
from factory.skills.language.skill import LanguageSkill
from factory.teacher.fake import Answer, answer_by_example

TWO = [
    LanguageSkill("red_herring", "Leads away.", "A red one.", count=3),
    LanguageSkill("distraction", "Draws attention away.", "A loud one."),
]
PAIR = ("distraction", "red_herring")


def doubles(*groups: Sequence[int]) -> Answer:
    return says({"groups": [{"reason": "They do the same.", "numbers": list(group)} for group in groups]})


def settled(held: Held, answer: Answer, log: Log | None = None, encode: Any = None, confirming: bool = True) -> Merged:
    merging = Merging(Memory(encode or alike), SURE)
    return held(settle(TWO, merging, log or Log(), confirming=confirming), answer)


def test_a_pair_that_the_teacher_calls_the_same_is_merged(held: Held) -> None:
    merged = settled(held, by_step(verdicts=verdict("same")))
    assert len(merged.skills) == 1
    assert merged.skills[0].count == 4
    assert "teacher" in merged.merges["how"].to_list()


@pytest.mark.parametrize(
    ("position", "kept"), [("first", "distraction"), ("second", "red_herring"), ("", "red_herring")]
)
def test_the_merged_skill_is_the_entry_that_the_teacher_keeps_with_its_own_definition(
    held: Held, position: str, kept: str
) -> None:
    merged = settled(held, by_step(verdicts=verdict("same", position)))
    entry = next(skill for skill in TWO if skill.name == kept)
    assert merged.skills == [replace(entry, count=4)]
    assert merged.merges["skill"].unique().to_list() == [kept]
    hows = dict(merged.merges.select("label", "how").iter_rows())
    assert hows == {name: "kept" if name == kept else "teacher" for name in PAIR}


@pytest.mark.parametrize("relation", ["siblings", "first_broader", "second_broader"])
def test_a_pair_that_is_not_the_same_stays_two(held: Held, relation: str) -> None:
    merged = settled(held, by_step(verdicts=verdict(relation)))
    assert {skill.name for skill in merged.skills} == set(PAIR)


def test_what_the_teacher_said_of_each_pair_is_kept(held: Held) -> None:
    log = Log()
    settled(held, by_step(verdicts=verdict("first_broader")), log)
    (said,) = log.confirmations
    assert (said.first, said.second, said.relation, said.kept) == (*PAIR, "first_broader", "")
    assert said.reason == "There can be none."
    assert said.similarity == pytest.approx((LOW + SURE) / 2, abs=1e-3)


def test_doubles_that_no_vector_suggests_are_named_by_the_teacher_and_then_judged(held: Held) -> None:
    log = Log()
    far = partial(alike, cosine=0.0)
    assert len(settled(held, by_step(verdicts=verdict("same")), Log(), far).skills) == 2
    merged = settled(held, by_step(groups=doubles((2, 1, 2)), verdicts=verdict("same")), log, far)
    assert len(merged.skills) == 1
    assert [(said.first, said.second, said.similarity) for said in log.confirmations] == [(*PAIR, None)]


def test_every_pair_of_a_group_is_judged_and_a_group_of_unknown_numbers_is_noted(held: Held) -> None:
    skills = [LanguageSkill(f"craft_{letter}", LONG) for letter in "abcd"]
    lines, log = {skill.name: skill.said for skill in skills}, Log()
    pairs = held(list_doubles(skills, lines, log), doubles((3, 1, 2), (1, 5), (4, 4)))
    assert pairs == [("craft_a", "craft_b"), ("craft_a", "craft_c"), ("craft_b", "craft_c")]
    assert [r.code for r in log.rejects] == ["no_group", "no_group"]


def test_a_long_list_is_read_in_parts_each_beside_every_other(held: Held) -> None:
    skills = [LanguageSkill(f"craft_{i:03}", LONG, family="ab"[i % 2]) for i in range(3 * PART - 1)]
    assert held(list_doubles(skills, {skill.name: skill.said for skill in skills}, Log()), doubles((1, PART + 1))) == [
        ("craft_000", f"craft_{2 * PART:03}"),
        ("craft_000", f"craft_{PART + 1:03}"),
        (f"craft_{PART + 1:03}", f"craft_{2 * PART:03}"),
    ]
    assert [text.count(". craft") for text in held.said("Which of these may be one skill")] == [
        2 * PART, 2 * PART - 1, 2 * PART - 1,
    ]  # fmt: skip


def test_a_very_long_list_is_read_in_a_number_of_requests_that_grows_with_its_length(held: Held) -> None:
    asked = []
    for n in (20, 40):
        skills = [LanguageSkill(f"craft_{i:04}") for i in range(n * PART)]
        held(list_doubles(skills, {skill.name: skill.said for skill in skills}, Log()))
        asked.append(len(held.fake.asked))
    assert asked[1] <= 2 * asked[0] + REACH * REACH


def test_nobody_is_asked_about_pairs_where_that_is_not_wanted(held: Held) -> None:
    assert len(settled(held, answer_by_example, confirming=False).skills) == 2
    assert held.fake.asked == []


def test_several_pairs_go_into_one_request_and_those_without_a_verdict_are_noted(held: Held) -> None:
    pairs = [("craft_a", "craft_b"), ("craft_c", "craft_d"), ("craft_e", "craft_f")]
    said = [{"pair": i, "reason": "There can be none.", "relation": "same", "keep": "first"} for i in (1, 1, 3)]
    log = Log()
    lines = {name: name for pair in pairs for name in pair}
    held(confirm(dict.fromkeys(pairs, 0.5), lines, log), says({"verdicts": said}))
    assert len(held.fake.asked) == 1
    assert log.verdicts == {frozenset(("craft_e", "craft_f")): True}
    assert [(r.subject, r.code) for r in log.rejects] == [
        ("craft_a / craft_b", "no_verdict"), ("craft_c / craft_d", "no_verdict"),
    ]  # fmt: skip


def test_refused_verdicts_leave_the_list_as_it_is(held: Held) -> None:
    log = Log()
    merged = settled(held, lambda _: REFUSED, log)
    assert len(merged.skills) == 2
    assert [(r.step, r.code) for r in log.rejects] == [("doubles", "refused"), ("confirm", "refused")]
