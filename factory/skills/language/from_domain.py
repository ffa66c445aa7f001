"""Skills from nothing but a domain's name: topics, the skills of each, the query types; every step to saturation.

The seed-agnostic way of Instruct-SkillMix (arXiv 2408.14774): a strong model is asked what it knows. Unlike there, each
step goes on until a round brings next to nothing new, and every round is shown what is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from factory.errors import UserError
from factory.recipes.recipe import Ask, Asking
from factory.skills.language.confirm import settle
from factory.skills.language.extract import (
    Encode,
    Extracted,
    Growth,
    Limits,
    Log,
    Memory,
    Merging,
    QueryType,
    labels_of,
    sized,
)
from factory.skills.language.merge import Merged
from factory.skills.language.skill import LanguageSkill
from factory.teacher.protocol import Sampling

TOPICS, SKILLS, QUERY_TYPES = "skills/topics.v1", "skills/skills-of-topic.v1", "skills/query-types.v1"
TOPICS_A_ROUND, SKILLS_A_ROUND, TYPES_A_ROUND = 20, 12, 10
SAMPLES_SHOWN = 40  # skills or requests that the question for query types shows
LISTS = Sampling(temperature=0.7, max_tokens=6_144)


def from_domain(domain: str, limits: Limits, encode: Encode, origin: str = "") -> Asking[Extracted]:
    """Return the skills and query types of a domain; UserError when a step's first round has no usable reply."""
    log, merging = Log(), Merging(Memory(encode), limits.threshold)
    topics = yield from grow_topics(domain, Growth("topics", limits, log, most=limits.topics))
    growth = Growth("skills", limits, log)
    families = yield from grow_skills(domain, topics, growth)
    told = {name: f"{growth.labels[name]}: {skill.definition}" for name, skill in growth.named.items()}
    settled = yield from settle(list(growth.named.values()), merging, log, limits.confirm, told)
    found = [
        replace(skill, family=family, origin=origin or f"domain:{domain}")
        for skill, family in zip(settled.skills, usual(settled, families), strict=True)
    ]
    labels = [growth.labels.get(skill.name, skill.label) for skill in found]
    about = {"domain": domain, "topics": [topic.label for topic in topics], "skills": _spread(labels), "requests": []}
    types = yield from grow_query_types(about, Growth("query_types", limits, log))
    return Extracted(found, settled.merges, labels_of([]), types, log.rounds, log.rejects, log.confirmations)


def usual(merged: Merged, families: Mapping[str, Counter[str]]) -> list[str]:
    """Return of each skill the family in which its labels were named most often."""
    found: dict[str, Counter[str]] = {skill.name: Counter() for skill in merged.skills}
    for label, skill in merged.merges.select("label", "skill").iter_rows():
        found[skill].update(families.get(label, {}))
    return [found[skill.name].most_common(1)[0][0] if found[skill.name] else skill.family for skill in merged.skills]


def grow_topics(domain: str, growth: Growth) -> Asking[list[LanguageSkill]]:
    """Return the topics of a domain, in the order they were named, at most as many as the growth takes."""
    while True:
        inputs = {"domain": domain, "known": growth.lines()}
        replies = yield [_list_ask(TOPICS, inputs, TOPICS_EXAMPLE, growth, TOPICS_A_ROUND)]
        heard = growth.log.hear("topics", [domain], replies, needed=not growth.known)
        entries = [entry for _, value in heard for entry in value["topics"]]
        found = [topic for entry in entries for topic in growth.entry(entry["name"], {"definition": entry["about"]})]
        new = growth.grow(1, found)
        growth.note_doubles(found)
        if growth.is_over(len(new), heard=bool(heard)):
            break
    _require_some(growth, domain)
    return growth.skills


def grow_skills(domain: str, topics: Sequence[LanguageSkill], growth: Growth) -> Asking[dict[str, Counter[str]]]:
    """Let the skills of all topics grow, each topic until a reply has nothing new for it.

    Return of each name the topics in which it was named.
    """
    families: dict[str, Counter[str]] = {}
    left = list(topics)
    while True:
        replies = yield [_skills_ask(domain, topic, growth) for topic in left]
        heard = dict(growth.log.hear("skills", [t.label for t in left], replies, needed=not growth.known))
        found = [skill for i, value in heard.items() for skill in _skills_of(left[i], value, growth)]
        for skill in found:
            families.setdefault(skill.name, Counter())[skill.family] += 1
        new = growth.grow(len(left), found)
        if growth.is_over(len(new), heard=bool(heard)):
            break
        lively = {skill.family for skill in new}
        left = [topic for i, topic in enumerate(left) if topic.name in lively or i not in heard]
    _require_some(growth, domain)
    return families


def _skills_ask(domain: str, topic: LanguageSkill, growth: Growth) -> Ask:
    known = growth.lines(lambda skill: skill.family == topic.name)
    inputs = {"domain": domain, "topic": topic.label, "about": topic.definition, "known": known}
    return _list_ask(SKILLS, inputs, SKILLS_EXAMPLE, growth, SKILLS_A_ROUND)


def _skills_of(topic: LanguageSkill, value: Any, growth: Growth) -> list[LanguageSkill]:
    return [skill for entry in value["skills"] for skill in growth.entry(entry["name"], entry, topic.name)]


def grow_query_types(about: Mapping[str, Any], growth: Growth) -> Asking[list[QueryType]]:
    """Return the kinds of request in a field, told by a domain with its topics and skills, or by requests of it."""
    examples: dict[str, tuple[str, ...]] = {}
    while True:
        inputs = {**about, "known": growth.lines()}
        replies = yield [_list_ask(QUERY_TYPES, inputs, TYPES_EXAMPLE, growth, TYPES_A_ROUND)]
        heard = growth.log.hear("query_types", [about["domain"] or "requests"], replies, needed=not growth.known)
        found = []
        for entry in (entry for _, value in heard for entry in value["query_types"]):
            for kind in growth.entry(entry["name"], {"definition": entry["definition"]}):
                examples.setdefault(kind.name, tuple(text.strip() for text in entry["examples"]))
                found.append(kind)
        new = growth.grow(1, found)
        growth.note_doubles(found)
        if growth.is_over(len(new), heard=bool(heard)):
            return [QueryType(kind.name, kind.definition, examples[kind.name]) for kind in growth.skills]


def of_requests(texts: Sequence[str]) -> dict[str, Any]:
    """Return what `grow_query_types` is told of a data set: some of its requests, evenly spread."""
    return {"domain": "", "topics": [], "skills": [], "requests": _spread(texts)}


def _spread(lines: Sequence[str]) -> list[str]:
    return [*lines][:: max(1, -(-len(lines) // SAMPLES_SHOWN))]


def _list_ask(prompt: str, inputs: Mapping[str, Any], example: Mapping[str, Any], growth: Growth, first: int) -> Ask:
    """Return the request of a round for a list with its one key, and with the limit that the text names."""
    count = growth.wanted(first)
    ((key, entries),) = example.items()
    schema = sized(prompt, key, 0, count)
    given = {**inputs, "count": count}
    return Ask(prompt, given, {key: entries[:count]}, repeat=growth.rounds, sampling=LISTS, schema=schema)


def _require_some(growth: Growth, domain: str) -> None:
    if not growth.known:
        raise UserError(
            f"the teacher named no usable {growth.step} of '{domain[:80]}' in {growth.rounds} rounds: say the domain in"
            " other words, or take another model"
        )


TOPICS_EXAMPLE: dict[str, Any] = {
    "topics": [
        {"name": "weighing options", "about": "Comparing courses of action by what they cost, risk and bring."},
        {"name": "explaining to laymen", "about": "Making a matter of experts clear to people from outside the field."},
        {"name": "answering complaints", "about": "Replying in writing to somebody who is angry or disappointed."},
    ]
}
SKILLS_EXAMPLE: dict[str, Any] = {
    "skills": [
        {
            "name": "counterfactual reasoning",
            "definition": "Follows what would have happened had one stated condition been otherwise, all else equal.",
            "positive": "Had the pump been serviced in May, the June flood would have stayed in the cellar.",
            "negative": "The pump broke in June and the cellar was flooded. (Reports what happened; changes nothing.)",
        },
        {
            "name": "analogy",
            "definition": "Explains an unknown matter by a known one whose parts stand in the same relations.",
            "positive": "A router is a sorting office: it reads the address and never opens the letter.",
            "negative": "A router looks like a small box with lights. (A likeness in looks, not in relations.)",
        },
        {
            "name": "concession",
            "definition": "Grants a point of the other side before it shows why the conclusion stands all the same.",
            "positive": "Trams are dear to build, that is true; over thirty years they still cost less than buses.",
            "negative": "Some say trams are dear, but they are wrong. (Denies the point and grants nothing.)",
        },
    ]
}
TYPES_EXAMPLE: dict[str, Any] = {
    "query_types": [
        {
            "name": "decision making",
            "definition": "The asker has two or more options and wants to know which to take, and why.",
            "examples": [
                "My old boiler needs a repair for 900 euros. Should I pay that or get a heat pump before the winter?",
                "I can take the night train or fly at six, and I must be rested at nine. What would you do?",
            ],
        },
        {
            "name": "error detection",
            "definition": "The asker has made something and wants to know what is wrong with it.",
            "examples": [
                "I doubled my dough, flour 500 g to 1 kg, yeast 10 g to 40 g, and it ran over. Where is my mistake?",
                "I told my landlord that I leave on the 31st of June. He says that cannot be. What did I get wrong?",
            ],
        },
    ]
}
