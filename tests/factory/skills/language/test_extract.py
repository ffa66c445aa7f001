"""Skill extraction from a domain: it ends whatever the teacher says, and everything is accounted for."""

from __future__ import annotations

from functools import partial

import orjson
import pytest
from extracting import (
    DOMAIN,
    LONG,
    REFUSED,
    Held,
    alike,
    by_step,
    domain,
    names,
    says,
    skills_of,
)

from factory.errors import UserError
from factory.skills.language.extract import (
    KNOWN_CHARS,
    Growth,
    Limits,
    Log,
    beginning,
    shown,
)
from factory.skills.language.from_domain import from_domain
from factory.skills.language.names import skill_name
from factory.skills.language.skill import LanguageSkill
from factory.teacher.fake import Answer, answer_by_example
from factory.teacher.protocol import Reply, Request


def growing() -> Answer:
    """A teacher that always knows as many topics, skills and types as it may name, none of them known before."""
    count = iter(range(10**6))

    def fresh(request: Request, key: str, most: int) -> list[str]:
        wanted = min(most, request.schema["properties"][key]["maxItems"] if request.schema else 0)
        return [f"thing{'abcdefghij'[i % 10]}{i} craft{i}" for i in (next(count) for _ in range(wanted))]

    def topics(request: Request) -> str:
        return orjson.dumps(
            {"topics": [{"name": n, "about": f"{n} {LONG}"} for n in fresh(request, "topics", 5)]}
        ).decode()

    def skills(request: Request) -> str:
        return orjson.dumps(skills_of(*fresh(request, "skills", 10))).decode()

    def types(request: Request) -> str:
        names = fresh(request, "query_types", 4)
        found = [{"name": n, "definition": f"{n} {LONG}", "examples": [LONG, LONG]} for n in names]
        return orjson.dumps({"query_types": found}).decode()

    return by_step(topics=topics, skills=skills, query_types=types)


def test_a_domain_gives_skills_with_definition_illustrations_and_family(held: Held) -> None:
    found = held(domain())
    assert found.skills
    topics = {"weighing_options", "explaining_to_laymen", "answering_complaints"}
    for skill in found.skills:
        assert skill.name == skill_name(skill.label)
        assert all((skill.definition, skill.positive, skill.negative))
        assert skill.family in topics
        assert skill.origin == f"domain:{DOMAIN}"


def test_a_domain_gives_query_types_with_two_examples(held: Held) -> None:
    found = held(domain())
    assert [kind.name for kind in found.query_types] == ["decision_making", "error_detection"]
    assert all(len(kind.examples) == 2 for kind in found.query_types)


def test_a_teacher_that_always_says_the_same_ends_each_step_after_two_rounds(held: Held) -> None:
    found = held(domain())
    assert [(r.step, r.round) for r in found.rounds] == [
        (name, i) for name in ("topics", "skills", "query_types") for i in (1, 2)
    ]
    assert [(r.new, r.ended) for r in found.rounds if r.round == 2] == [(0, "nothing new")] * 3


def test_a_teacher_that_never_runs_dry_is_stopped_by_the_rounds(held: Held) -> None:
    found = held(domain(Limits(max_rounds=3, topics=100, saturation=0.0, confirm=False)), growing())
    rounds = {name: [r.round for r in found.rounds if r.step == name] for name in ("topics", "skills", "query_types")}
    assert set(map(tuple, rounds.values())) == {(1, 2, 3)}
    assert {r.ended for r in found.rounds if r.round == 3} == {"round limit"}


def test_no_more_topics_are_asked_about_than_wanted(held: Held) -> None:
    found = held(domain(Limits(max_rounds=1, topics=3, confirm=False)), growing())
    assert [r.asked for r in found.rounds if r.step == "skills"] == [3]
    assert len({skill.family for skill in found.skills}) == 3
    assert [(r.new, r.known, r.ended) for r in found.rounds if r.step == "topics"] == [(3, 3, "limit reached")]


def test_known_is_what_was_known_and_what_is_new(held: Held) -> None:
    found = held(domain(Limits(max_rounds=4, saturation=0.0, confirm=False)), growing())
    for name in ("topics", "skills", "query_types"):
        known = 0
        for r in (r for r in found.rounds if r.step == name):
            known += r.new
            assert (r.known, r.new <= r.named) == (known, True)


def test_a_topic_is_asked_about_until_a_reply_has_nothing_new_for_it(held: Held) -> None:
    of = {"weighing options": iter(["a1", "a2", "a3", "a3"]), "explaining to laymen": iter(["b1", "a1", "b9"])}

    def skills(request: Request) -> str:
        topic = next((topic for topic in of if f"Topic: {topic}" in request.said[1]), "")
        return orjson.dumps(skills_of(*([f"craft {next(of[topic])}"] if topic else []))).decode()

    held(domain(Limits(saturation=0.0, confirm=False)), by_step(skills=skills))
    asked = [len(held.said(f"Topic: {topic}")) for topic in [*of, "answering complaints"]]
    assert asked == [4, 2, 1]


def test_every_name_is_shown_as_known_however_alike_they_are(held: Held) -> None:
    first = iter([True])

    def skills(_: Request) -> str:
        return orjson.dumps(skills_of(*(["Counter-offer", "settlement offer"] if next(first, False) else []))).decode()

    answer = by_step(topics=says({"topics": [{"name": "complaints", "about": LONG}]}), skills=skills)
    held(from_domain(DOMAIN, Limits(), partial(alike, cosine=0.99)), answer)
    _, second = held.said("Topic: complaints")
    assert "\nCounter-offer: Counter-offer: A sentence" in second
    assert "\nsettlement offer: settlement offer: A sentence" in second


def test_topics_and_types_are_one_by_spelling_only_and_each_double_is_noted(held: Held) -> None:
    kinds = [{"name": n, "definition": LONG, "examples": [LONG, LONG]} for n in ("a plan", "Plans", "a text")]
    answer = by_step(
        topics=says({"topics": [{"name": n, "about": LONG} for n in ("Hard cases", "hard case")]}),
        query_types=says({"query_types": kinds}),
    )
    found = held(from_domain(DOMAIN, Limits(max_rounds=1), partial(alike, cosine=0.99)), answer)
    assert [kind.name for kind in found.query_types] == ["a_plan", "plans", "a_text"]
    assert [(r.step, r.subject, r.detail) for r in found.rejects] == [("topics", "hard case", "as Hard cases")]


def test_a_skill_of_several_topics_has_the_family_that_named_it_most_often(held: Held) -> None:
    topics = [{"name": n, "about": LONG} for n in ("first field", "second field")]

    def skills(request: Request) -> str:
        return orjson.dumps(
            skills_of(*(["irony"] if "first field" in request.said[1] else ["Irony", "irony skills"]))
        ).decode()

    found = held(domain(Limits(max_rounds=1, confirm=False)), by_step(topics=says({"topics": topics}), skills=skills))
    assert [(skill.name, skill.family, skill.count) for skill in found.skills] == [("irony", "second_field", 3)]


def test_a_later_round_without_a_reply_ends_the_step_and_says_so(held: Held) -> None:
    replies = iter([None, REFUSED])
    found = held(domain(), by_step(topics=lambda r: next(replies) or answer_by_example(r)))
    assert [r.ended for r in found.rounds if r.step == "topics"] == ["", "no usable reply"]


def test_query_types_of_a_domain_are_asked_with_its_topics_and_one_list_of_skills(held: Held) -> None:
    held(domain())
    text = held.said("types of request")[0]
    assert "Topics: weighing options; explaining to laymen; answering complaints" in text
    assert "Skills: " in text
    assert "analogy; concession; counterfactual reasoning" in text


def test_a_step_ends_when_a_round_brings_less_than_the_saturation(held: Held) -> None:
    few = iter([[f"alpha{i} word{i}" for i in range(12)], ["beta one"], ["gamma two"]])

    def skills(_: Request) -> str:
        return orjson.dumps(skills_of(*next(few))).decode()

    answer = by_step(topics=says({"topics": [{"name": "complaints", "about": LONG}]}), skills=skills)
    found = held(domain(Limits(saturation=0.1, confirm=False)), answer)
    told = [(r.new, r.known, r.ended) for r in found.rounds if r.step == "skills"]
    assert told == [(12, 12, ""), (1, 13, "saturated")]


def test_later_rounds_show_what_is_known_and_ask_for_something_else(held: Held) -> None:
    held(domain())
    first, second = held.said("saying what belongs to it")
    assert "Name up to 20 topics" in first
    assert "known already" not in first
    assert "Name at most 3 more; often there is none." in second
    assert "explaining to laymen: Making a matter of experts clear" in second
    assert "an empty list" in second


@pytest.mark.parametrize("what", ["topics", "skills", "query_types"])
def test_a_teacher_that_refuses_ends_it_with_the_cause(held: Held, what: str) -> None:
    with pytest.raises(UserError, match=rf"step '{what}'.*refused: \d.*I will not do that"):
        held(domain(), by_step(**{what: lambda _: REFUSED}))


def test_one_refused_topic_is_a_reject_and_is_asked_about_again(held: Held) -> None:
    refused = [True]

    def skills(request: Request) -> str | Reply:
        if "Topic: weighing options" in request.said[1] and refused:
            refused.pop()
            return REFUSED
        return answer_by_example(request)

    found = held(domain(), by_step(skills=skills))
    assert [(r.step, r.subject, r.code) for r in found.rejects] == [("skills", "weighing options", "refused")]
    assert len(held.said("Topic: weighing options")) == 2


def test_headings_and_names_that_are_no_english_are_no_skills(held: Held) -> None:
    answer = by_step(skills=says(skills_of("irony", "Topic 3: Writing", "概括能力", "résumé writing", "???")))
    found = held(domain(Limits(max_rounds=1)), answer)
    assert set(names(found)) == {"irony", "résumé_writing"}
    codes = {(r.subject, r.code) for r in found.rejects}
    assert codes == {("Topic 3: Writing", "header"), ("概括能力", "not_english"), ("???", "empty")}


def test_names_in_bold_or_in_capitals_are_names(held: Held) -> None:
    found = held(domain(), by_step(skills=says(skills_of("**Irony**", "RISK ASSESSMENT", "2. pathos"))))
    assert set(names(found)) == {"irony", "risk_assessment", "pathos"}
    assert found.rejects == []


def test_a_teacher_that_knows_no_topic_ends_it_with_what_to_do(held: Held) -> None:
    with pytest.raises(UserError, match="named no usable topics.*other words"):
        held(domain(), by_step(topics=says({"topics": []})))


def test_every_name_that_was_said_is_in_the_merges(held: Held) -> None:
    found = held(domain(), by_step(skills=says(skills_of("Irony", "irony skills", "analogies", "analogy", "pathos"))))
    assert set(names(found)) == {"irony", "analogy", "pathos"} or set(names(found)) == {"irony", "analogies", "pathos"}
    merges = {row["label"]: row for row in found.merges.iter_rows(named=True)}
    assert set(merges) == {"irony", "analogies", "analogy", "pathos"}
    assert merges["analogies"]["skill"] == merges["analogy"]["skill"]


def known(n: int) -> Growth:
    growth = Growth("skills", Limits(), Log())
    entries = [growth.entry(f"craft-{i:04}", {"definition": LONG}, "ab"[i % 2])[0] for i in range(n)]
    growth.grow(1, entries)
    return growth


def test_known_names_outlast_their_definitions() -> None:
    def own(skill: LanguageSkill) -> bool:
        return skill.family == "a"

    assert all(": A sentence" in line for line in known(10).lines(own))
    middle = known(250).lines(own)
    assert [": A sentence" in line for line in middle] == [True, False] * 125
    assert known(1_000).lines(own) == [f"craft-{i:04}" for i in range(1_000)]
    assert sum(len(line) + 1 for line in known(3_000).lines(own)) <= KNOWN_CHARS


def test_what_is_shown_fits_and_is_spread_over_all_of_it() -> None:
    lines = [f"line {i:04}" for i in range(1_000)]
    part = shown(lines, 1_000)
    assert 80 <= len(part) <= 100
    assert part[0] == "line 0000"
    assert part[-1] > "line 0980"
    assert shown(lines, 10**6) == lines


def test_a_row_without_letters_to_cut_between_is_cut_all_the_same() -> None:
    assert beginning("one  two\nthree", 20) == "one two three"
    assert beginning("one two three four", 12) == "one two …"
    assert beginning("概" * 50, 10) == "概" * 8 + " …"
