"""The shipped lists of prompts/lists: complete, of the promised size, in canonical names, with nothing said twice."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import combinations
from typing import Any

import pytest
import yaml

from factory.prompts import prompts_folder
from factory.skills.language.lists import read_skills
from factory.skills.language.names import skill_name, spelling_key

# File: key of its entries, their fields, least and most entries.
LISTS: dict[str, tuple[str, tuple[str, ...], int, int]] = {
    "skills": ("skills", ("name", "family", "definition", "positive", "negative"), 120, 120),
    "query-types": ("query_types", ("name", "definition", "examples"), 16, 16),
    "topics": ("topics", ("name", "group"), 100, 100),
    "reading-comprehension": ("leaves", ("name", "group", "asks", "answer_form"), 43, 100),
    "text-editing": ("leaves", ("name", "group", "asks", "answer_form"), 18, 60),
    "transformations": ("forms", ("name", "asks"), 9, 15),
    "refinements": ("refinements", ("name", "asks", "answerability"), 8, 10),
}
LONGEST = {"definition": 220, "positive": 300, "negative": 400, "asks": 400, "examples": 250, "name": 60}
SHORTEST = {"definition": 40, "positive": 30, "negative": 60, "asks": 80, "examples": 40}
ANSWER_FORMS = {
    "short answer",
    "short answer with evidence",
    "quotation",
    "list",
    "ordered list",
    "table",
    "paragraph",
    "multiple choice with key",
    "true or false with evidence",
    "number with working",
    "edited text",
    "edited text with list of changes",
}
NEAR = 0.5


@cache
def entries(name: str) -> list[dict[str, Any]]:
    document = yaml.safe_load((prompts_folder() / "lists" / f"{name}.yaml").read_text(encoding="utf-8"))
    key = LISTS[name][0]
    assert set(document) == {"version", key}
    assert document["version"] == 1
    found: list[dict[str, Any]] = document[key]
    return found


def said(entry: dict[str, Any], field: str) -> list[str]:
    return entry[field] if isinstance(entry[field], list) else [entry[field]]


def texts(name: str) -> list[tuple[str, str, str]]:
    """Return (entry, field, text) of every text of a list."""
    return [(entry["name"], field, text) for entry in entries(name) for field in entry for text in said(entry, field)]


def likeness(first: str, second: str) -> float:
    """Return the share of common words of four letters and more."""
    one, two = (set(re.findall(r"\w{4,}", text.casefold())) for text in (first, second))
    return len(one & two) / max(len(one | two), 1)


def too_near(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the names whose texts share more words than two different things do."""
    return [(a, b) for (a, one), (b, two) in combinations(pairs, 2) if likeness(one, two) > NEAR]


every_list = pytest.mark.parametrize("name", LISTS)


def test_no_list_promised_here_is_missing_from_the_folder() -> None:
    assert {f"{name}.yaml" for name in LISTS} <= {path.name for path in (prompts_folder() / "lists").iterdir()}


@every_list
def test_a_list_has_as_many_entries_as_promised(name: str) -> None:
    _, _, least, most = LISTS[name]
    assert least <= len(entries(name)) <= most


@every_list
def test_every_entry_has_just_its_fields(name: str) -> None:
    assert {tuple(field for field in entry if field != "title") for entry in entries(name)} == {LISTS[name][1]}


def test_a_title_is_given_only_where_a_name_s_words_do_not_say_it() -> None:
    titled = {entry["name"]: entry["title"] for entry in entries("skills") if "title" in entry}
    assert titled
    assert all("-" in title and skill_name(title) == name for name, title in titled.items())


@every_list
def test_every_field_holds_text_in_one_line_within_its_bounds(name: str) -> None:
    wrong = [
        (entry, field)
        for entry, field, text in texts(name)
        if not isinstance(text, str)
        or text != " ".join(text.split())
        or not SHORTEST.get(field, 3) <= len(text) <= LONGEST.get(field, 80)
    ]
    assert wrong == []


@every_list
def test_sentences_end_as_sentences_do(name: str) -> None:
    prose = ("definition", "positive", "negative", "asks")
    wrong = [(e, f) for e, f, text in texts(name) if f in prose and not re.search(r"[.?!][\"')]?$", text)]
    assert wrong == []


@every_list
def test_marks_that_come_in_pairs_are_closed(name: str) -> None:
    wrong = [(e, f) for e, f, text in texts(name) if text.count('"') % 2 or text.count("(") != text.count(")")]
    assert wrong == []


@every_list
def test_a_list_is_plain_text_that_any_keyboard_writes(name: str) -> None:
    assert [(entry, field) for entry, field, text in texts(name) if not text.isascii()] == []


@pytest.mark.parametrize("name", [name for name in LISTS if name != "topics"])
def test_names_are_canonical(name: str) -> None:
    assert [entry["name"] for entry in entries(name) if skill_name(entry["name"]) != entry["name"]] == []


@every_list
def test_no_two_names_are_one_name_in_two_spellings(name: str) -> None:
    keys = Counter(spelling_key(skill_name(entry["name"])) for entry in entries(name))
    assert [key for key, n in keys.items() if n > 1] == []


def test_no_name_stands_for_two_kinds_of_task() -> None:
    names = [entry["name"] for file in ("reading-comprehension", "text-editing") for entry in entries(file)]
    assert [name for name, n in Counter(names).items() if n > 1] == []


@pytest.mark.parametrize(
    ("name", "field"),
    [("skills", "definition"), ("query-types", "definition")]
    + [(name, "asks") for name in ("reading-comprehension", "text-editing", "transformations", "refinements")],
)
def test_no_two_entries_say_the_same(name: str, field: str) -> None:
    assert too_near([(entry["name"], entry[field]) for entry in entries(name)]) == []


@pytest.mark.parametrize(("name", "field", "of"), [("skills", "family", 12), ("topics", "group", 10)])
def test_groups_are_of_ten(name: str, field: str, of: int) -> None:
    sizes = Counter(entry[field] for entry in entries(name))
    assert len(sizes) == of
    assert set(sizes.values()) == {10}


@pytest.mark.parametrize(
    ("name", "field"),
    [("skills", "family"), ("topics", "group"), ("reading-comprehension", "group"), ("text-editing", "group")],
)
def test_groups_have_canonical_names_and_stand_together(name: str, field: str) -> None:
    groups = [entry[field] for entry in entries(name)]
    starts = [group for group, before in zip(groups, ["", *groups], strict=False) if group != before]
    assert len(starts) == len(set(groups))
    assert [group for group in starts if skill_name(group) != group] == []


@pytest.mark.parametrize("name", ["reading-comprehension", "text-editing"])
def test_no_group_of_a_taxonomy_outweighs_the_others(name: str) -> None:
    sizes = Counter(entry["group"] for entry in entries(name))
    assert min(sizes.values()) >= 3
    assert max(sizes.values()) <= 3 * min(sizes.values())


def test_the_skills_are_read_whole_as_a_list_of_skills() -> None:
    found = read_skills(prompts_folder() / "lists" / "skills.yaml", "shipped")
    assert found.rejects == []
    assert [skill.name for skill in found.skills] == [entry["name"] for entry in entries("skills")]
    assert all(skill.definition and skill.positive and skill.negative and skill.family for skill in found.skills)


def test_a_negative_says_why_it_is_one() -> None:
    reason = re.compile(r".+[.?!][\"']? \([A-Z\"].+[.]\)$")
    assert [entry["name"] for entry in entries("skills") if not reason.match(entry["negative"])] == []


def test_an_illustration_does_not_name_its_skill() -> None:
    shown = [(entry["name"], entry["positive"].casefold()) for entry in entries("skills")]
    assert [name for name, positive in shown if name.replace("_", " ") in positive] == []


def test_illustrations_of_different_skills_are_different_texts() -> None:
    assert too_near([(entry["name"], entry["positive"]) for entry in entries("skills")]) == []


def test_a_type_of_query_has_two_examples() -> None:
    assert {len(entry["examples"]) for entry in entries("query-types")} == {2}


def test_examples_of_queries_are_different_texts() -> None:
    examples = [(entry["name"], example) for entry in entries("query-types") for example in entry["examples"]]
    assert too_near(examples) == []


def test_topics_are_two_or_three_words_in_small_letters() -> None:
    assert [e["name"] for e in entries("topics") if not re.fullmatch(r"[a-z]+( [a-z]+){1,2}", e["name"])] == []


def test_every_leaf_has_a_known_form_of_answer() -> None:
    leaves = [*entries("reading-comprehension"), *entries("text-editing")]
    assert {leaf["answer_form"] for leaf in leaves} == ANSWER_FORMS


def test_every_form_but_the_identity_has_a_length_in_figures() -> None:
    without = [form["name"] for form in entries("transformations") if not re.search(r"\d", form["asks"])]
    assert without == ["identity"]


def test_a_refinement_says_whether_the_text_still_answers() -> None:
    effects = Counter(refinement["answerability"] for refinement in entries("refinements"))
    assert set(effects) == {"keeps", "removes"}
    assert effects["keeps"] > effects["removes"]
