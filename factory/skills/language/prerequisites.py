"""Which skill is needed before which, asked of a teacher: several pairs at once, each pair in both orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import polars as pl

from factory.recipes.recipe import Ask, Asking
from factory.skills.language.graph import SEEN, TOGETHER, Judgement, strongest
from factory.skills.language.skill import LanguageSkill
from factory.teacher.protocol import Sampling

PREREQUISITE = "skills/prerequisite.v1"
AT_ONCE = 10  # pairs of one request
SHOWN = 400  # characters of a skill
Pair = tuple[LanguageSkill, LanguageSkill]
Verdict = Literal["first_before_second", "second_before_first", "neither"]
Ballot = Counter[tuple[int, Verdict]]
TURNED: dict[Verdict, Verdict] = {
    "first_before_second": "second_before_first",
    "second_before_first": "first_before_second",
    "neither": "neither",
}


def worth_judging(skills: Iterable[LanguageSkill], found: pl.DataFrame, most: int) -> list[Pair]:
    """Return up to `most` pairs to be judged: of EDGES, those that stand together most, seen in two rows or more."""
    known = {skill.name: skill for skill in skills}
    together = found.filter(pl.col("kind") == TOGETHER, pl.col("rows") >= SEEN, pl.col("weight") > 0)
    named = strongest(together).select("source", "target").iter_rows()
    return [(known[a], known[b]) for a, b in named if a in known and b in known][:most]


def judge_prerequisites(pairs: Sequence[Pair], votes: int = 2) -> Asking[list[Judgement]]:
    """Return, for each pair of which at least half the votes name one order and fewer the other, that judgement.

    Every second vote sees the pairs the other way round. A request whose reply is no reply counts for nothing.
    """
    lots = [range(i, min(i + AT_ONCE, len(pairs))) for i in range(0, len(pairs), AT_ONCE)]
    asked = [(lot, vote) for lot in lots for vote in range(votes)]
    if not asked:
        return []
    replies = yield [_ask([pairs[i] for i in lot], vote) for lot, vote in asked]
    ballot: Ballot = Counter()
    for (lot, vote), reply in zip(asked, replies, strict=True):
        if not reply.failure:
            _count(ballot, lot, vote, reply.need()["judgements"])
    judged = (_judgement(pair, i, ballot) for i, pair in enumerate(pairs))
    return [judgement for judgement in judged if judgement]


def _ask(pairs: Sequence[Pair], vote: int) -> Ask:
    shown = [{"first": _shown(b if vote % 2 else a), "second": _shown(a if vote % 2 else b)} for a, b in pairs]
    example = [
        {"pair": i + 1, "reason": "Somebody can do either well without the other.", "verdict": "neither"}
        for i in range(len(pairs))
    ]
    return Ask(
        PREREQUISITE, {"pairs": shown}, {"judgements": example}, role="judge", repeat=vote,
        sampling=Sampling(temperature=0.3, max_tokens=120 + 120 * len(pairs)), schema=_schema(len(pairs)),
    )  # fmt: skip


def _shown(skill: LanguageSkill) -> str:
    return " ".join(skill.said.split())[:SHOWN]


def _schema(n: int) -> dict[str, Any]:
    """Return the form of the judgements of n pairs."""
    one = {
        "type": "object",
        "additionalProperties": False,
        "required": ["pair", "reason", "verdict"],
        "properties": {
            "pair": {"type": "integer", "minimum": 1, "maximum": n},
            "reason": {"type": "string", "minLength": 1, "maxLength": 300},
            "verdict": {"type": "string", "enum": list(TURNED)},
        },
    }
    many = {"type": "array", "minItems": n, "maxItems": n, "items": one}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["judgements"],
        "properties": {"judgements": many},
    }


def _count(ballot: Ballot, lot: Sequence[int], vote: int, judgements: Sequence[dict[str, Any]]) -> None:
    """Count one reply's verdicts, each pair's first one, in the order in which the pairs were given."""
    told: dict[int, Verdict] = {}
    for judgement in judgements:
        told.setdefault(int(judgement["pair"]) - 1, judgement["verdict"])
    for at, verdict in told.items():
        ballot[lot[at], TURNED[verdict] if vote % 2 else verdict] += 1


def _judgement(pair: Pair, i: int, ballot: Ballot) -> Judgement | None:
    forward, back = ballot[i, "first_before_second"], ballot[i, "second_before_first"]
    of = forward + back + ballot[i, "neither"]
    votes = max(forward, back)
    if forward == back or votes * 2 < of:
        return None
    source, target = pair if forward > back else pair[::-1]
    return Judgement(source.name, target.name, votes, of)
