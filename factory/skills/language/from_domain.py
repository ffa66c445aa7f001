"""Skills from nothing but a domain's name: topics, the skills of each, the query types; every step to saturation.

The seed-agnostic way of Instruct-SkillMix (arXiv 2408.14774): a strong model is asked what it knows. Unlike there, each
step goes on until a round brings next to nothing new, and what it brings is merged as it comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from factory.errors import UserError
from factory.recipes.recipe import Ask
from factory.skills.language.confirm import settle
from factory.skills.language.extract import (
    Asking,
    Encode,
    Extracted,
    Growth,
    Limits,
    Log,
    Memory,
    Merging,
    QueryType,
    is_few,
    labels_of,
    shown,
    usable_name,
)
from factory.skills.language.skill import LanguageSkill
from factory.teacher.protocol import Sampling

TOPICS, SKILLS, QUERY_TYPES = "skills/topics.v1", "skills/skills-of-topic.v1", "skills/query-types.v1"
TOPICS_A_ROUND, SKILLS_A_ROUND, TYPES_A_ROUND = 15, 12, 10
SAMPLES_SHOWN = 40  # skills or requests that the question for query types shows
LISTS = Sampling(temperature=0.7, max_tokens=6_144)


def from_domain(domain: str, limits: Limits, encode: Encode, origin: str = "") -> Asking[Extracted]:
    """Return the skills and query types of a domain; UserError when a step's first round has no usable reply."""
    log, merging = Log(), Merging(Memory(encode), limits.threshold)
    topics = yield from grow_topics(domain, Growth("topics", limits, merging, log))
    skills = Growth("skills", limits, merging, log)
    yield from grow_skills(domain, topics, skills)
    settled = yield from settle(list(skills.named.values()), merging, log, limits.confirm)
    samples = [f"an answer may have to show: {skill.label}" for skill in settled.skills]
    types = yield from grow_query_types(domain, samples, Growth("query_types", limits, merging, log))
    origin = origin or f"domain:{domain}"
    found = [replace(skill, origin=origin) for skill in settled.skills]
    return Extracted(found, settled.merges, labels_of([]), types, log.rounds, log.rejects)


def grow_topics(domain: str, growth: Growth) -> Asking[list[LanguageSkill]]:
    """Return the topics of a domain, in the order they were named, at most as many as the limits say."""
    most = growth.limits.topics
    while True:
        inputs = {"domain": domain, "known": _said(growth.known), "count": min(TOPICS_A_ROUND, most)}
        replies = yield [Ask(TOPICS, inputs, TOPICS_EXAMPLE, repeat=growth.rounds, sampling=LISTS)]
        heard = growth.log.hear("topics", [domain], replies, needed=not growth.known)
        found = [
            LanguageSkill(name, entry["about"].strip())
            for _, value in heard
            for entry in value["topics"]
            if (name := usable_name(growth.log, "topics", entry["name"]))
        ]
        new = growth.grow(1, found)
        if growth.is_over(len(new)) or len(growth.known) >= most:
            break
    _require_some(growth, domain)
    return growth.known[:most]


def grow_skills(domain: str, topics: Sequence[LanguageSkill], growth: Growth) -> Asking[None]:
    """Let the skills of all topics grow; a topic is left alone once a round brought little for it."""
    left = list(topics)
    while left:
        replies = yield [_skills_ask(domain, topic, growth) for topic in left]
        heard = growth.log.hear("skills", [t.label for t in left], replies, needed=not growth.known)
        named = {left[i].name: _skills_of(left[i], value, growth.log) for i, value in heard}
        new = growth.grow(len(left), [skill for skills in named.values() for skill in skills])
        if growth.is_over(len(new)):
            break
        left = [topic for topic in left if not _is_done(topic, named.get(topic.name), new, growth)]
    _require_some(growth, domain)


def _skills_ask(domain: str, topic: LanguageSkill, growth: Growth) -> Ask:
    mine = [skill.label for skill in growth.known if skill.family == topic.name]
    others = [skill.label for skill in growth.known if skill.family != topic.name]
    own = shown(mine)
    known = own + shown(others, max(0, 4_000 - sum(map(len, own)))) if growth.known else []
    inputs = {
        "domain": domain, "topic": topic.label, "about": topic.definition, "known": known, "count": SKILLS_A_ROUND,
    }  # fmt: skip
    return Ask(SKILLS, inputs, SKILLS_EXAMPLE, repeat=growth.rounds, sampling=LISTS)


def _skills_of(topic: LanguageSkill, value: Any, log: Log) -> list[LanguageSkill]:
    return [
        LanguageSkill(
            name, entry["definition"].strip(), entry["positive"].strip(), entry["negative"].strip(), topic.name
        )
        for entry in value["skills"]
        if (name := usable_name(log, "skills", entry["name"]))
    ]


def _is_done(topic: LanguageSkill, named: Sequence[LanguageSkill] | None, new: set[str], growth: Growth) -> bool:
    """Return whether a topic's last round brought little; one whose reply failed gets another round."""
    if named is None:
        return False
    mine = sum(skill.family == topic.name for skill in growth.known)
    return is_few(len({skill.name for skill in named} & new), mine, growth.limits)


def grow_query_types(about: str, samples: Sequence[str], growth: Growth) -> Asking[list[QueryType]]:
    """Return the kinds of request in a field, told by what it is about and by samples of it."""
    seen: dict[str, QueryType] = {}
    samples = [*samples][:: max(1, -(-len(samples) // SAMPLES_SHOWN))]
    while True:
        inputs = {"about": about, "samples": samples, "known": _said(growth.known), "count": TYPES_A_ROUND}
        replies = yield [Ask(QUERY_TYPES, inputs, TYPES_EXAMPLE, repeat=growth.rounds, sampling=LISTS)]
        heard = growth.log.hear("query_types", [about], replies, needed=not growth.known)
        found = [kind for _, value in heard for entry in value["query_types"] if (kind := _query_type(entry, growth))]
        for kind in found:
            seen.setdefault(kind.name, kind)
        new = growth.grow(1, [LanguageSkill(kind.name, kind.definition) for kind in found])
        if growth.is_over(len(new)):
            return [seen[entry.name] for entry in growth.known]


def _query_type(entry: Any, growth: Growth) -> QueryType | None:
    name = usable_name(growth.log, growth.step, entry["name"])
    return (
        QueryType(name, entry["definition"].strip(), tuple(text.strip() for text in entry["examples"]))
        if name
        else None
    )


def _said(known: Sequence[LanguageSkill]) -> list[str]:
    return shown(skill.said for skill in known)


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
