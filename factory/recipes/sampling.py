"""Sub-conversations about answers: several samples, the answer that most of them reach, the best and a worse one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import polars as pl

from factory.gates.equal import Kind, groups, is_answer
from factory.gates.text import faults
from factory.recipes.recipe import Ask, Asking, Dropped, Grade
from factory.score import final_answer
from factory.teacher.protocol import Failure, NoReply, Reply

T = TypeVar("T")
Grader: TypeAlias = Callable[[str, str], Asking[tuple[Grade, ...]]]

ANSWER, SOLVE = "answers/answer.v1", "answers/solve.v1"
MARGIN = 0.2  # of the mean grade: a reply that is worse by less is not kept as the rejected one


@dataclass(frozen=True, slots=True)
class Agreed:
    """The answer that most replies reach, the replies that reach it, and their share of all that were asked for.

    `other` is the most popular other answer and `others` the replies that reach it: "" and () where there is none.
    """

    answer: str
    members: tuple[Reply, ...]
    share: float
    other: str = ""
    others: tuple[Reply, ...] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """The best of several replies, its grades and their mean; `rejected` is a clearly worse one, "" without any."""

    text: str
    reasoning: str
    grades: tuple[Grade, ...]
    mean: float
    rejected: str = ""


def samples(ask: Ask, n: int) -> Asking[list[Reply]]:
    """Return n independent replies to one question, asked at once; ValueError where n is not positive."""
    if n < 1:
        raise ValueError(f"samples: n must be at least 1, found {n}")
    return (yield [replace(ask, repeat=ask.repeat + i) for i in range(n)])


def together(talks: Sequence[Asking[T]]) -> Asking[list[T | NoReply]]:
    """Return what each conversation ends with, all held at once; NoReply stands for one that had to break off."""
    ends: dict[int, T | NoReply] = {}
    replies: dict[int, list[Reply] | None] = dict.fromkeys(range(len(talks)))
    while replies:
        asked: dict[int, list[Ask]] = {}
        for place, got in replies.items():
            try:
                asked[place] = next(talks[place]) if got is None else talks[place].send(got)
            except StopIteration as end:
                ends[place] = end.value
            except NoReply as broken:
                ends[place] = broken
        if not asked:
            break
        came = iter((yield [ask for asks in asked.values() for ask in asks]))
        replies = {place: [next(came) for _ in asks] for place, asks in asked.items()}
    return [ends[place] for place in range(len(talks))]


def changed(talk: Asking[T], change: Callable[[Ask], Ask]) -> Asking[T]:
    """Return what a conversation comes to when each thing it asks is changed on its way."""
    try:
        asks = next(talk)
        while True:
            asks = talk.send((yield [change(ask) for ask in asks]))
    except StopIteration as end:
        made: T = end.value
        return made


def agreed(replies: Sequence[Reply], kind: Kind, at_least: int) -> Agreed | Dropped:
    """Return the answer that at least so many replies reach, more than reach any other; else Dropped.

    A reply that failed, or that gives no answer of the kind, counts as one that was asked for.
    """
    usable = [reply for reply in replies if reply.failure is None and is_answer(reply.text, kind)]
    found = groups([reply.text for reply in usable], kind)
    sizes = [len(group) for group in found] + [0, 0]
    said = f"of {len(replies)} solutions, {len(usable)} give an answer and {sizes[0]} agree"
    if sizes[0] < max(at_least, 1):
        return Dropped("solutions_agree", f"{said}; {max(at_least, 1)} must")
    if sizes[0] == sizes[1]:
        return Dropped("solutions_agree", f"{said}, but as many agree on another answer")
    members, others = [tuple(usable[place] for place in group) for group in (*found, [])[:2]]
    other = final_answer(others[0].text) if others else ""
    return Agreed(final_answer(members[0].text), members, len(members) / len(replies), other, others)


def best_of(
    instruction: str, replies: Sequence[Reply], grade: Grader, margin: float = MARGIN
) -> Asking[Chosen | Dropped]:
    """Return the reply with the most votes among those that keep the text rules; ties go to the earliest.

    Each text is graded once, all of them at the same time. Dropped, with the first broken rule or `undecided`, when
    nothing is left; NoReply when no reply came at all. The thinking of a model stays apart from its text.
    """
    came = [reply for reply in replies if reply.failure is None and reply.text.strip()]
    if not came:
        raise NoReply(next((reply.failure for reply in replies if reply.failure), Failure("empty", "no text")))
    sound = _sound(instruction, came)
    if isinstance(sound, Dropped):
        return sound
    ends = yield from together([grade(instruction, reply.text.strip()) for reply in sound])
    graded = [
        (mean, reply, end)
        for reply, end in zip(sound, ends, strict=True)
        if not isinstance(end, NoReply) and (mean := mean_grade(end)) is not None
    ]
    if not graded:
        return Dropped("undecided", f"none of {len(sound)} replies could be graded")
    best = max(graded, key=lambda one: one[0])
    worst = min(graded, key=lambda one: one[0])
    rejected = worst[1].text.strip() if best[0] - worst[0] >= margin and worst is not best else ""
    return Chosen(best[1].text.strip(), best[1].reasoning or "", best[2], best[0], rejected)


def mean_grade(grades: Sequence[Grade]) -> float | None:
    """Return the mean over the decided points of the share of votes that say yes; None where no point is decided.

    Majorities alone would not tell a text with doubts from one without.
    """
    shares = [_yes(grade) for grade in grades if grade.value is not None]
    return round(sum(shares) / len(shares), 6) if shares else None


def _yes(grade: Grade) -> float:
    given = [vote for vote in grade.votes if vote is not None]
    return sum(given) / len(given) if given else grade.value or 0.0


def _sound(instruction: str, replies: Sequence[Reply]) -> list[Reply] | Dropped:
    """Return the replies that keep the text rules, each text once; Dropped with the first fault where none does."""
    by_text: dict[str, Reply] = {}
    for reply in replies:
        by_text.setdefault(reply.text.strip(), reply)
    texts = list(by_text)
    found = faults(pl.DataFrame({"prompt": [instruction] * len(texts), "response": texts})).to_list()
    sound = [reply for reply, wrong in zip(by_text.values(), found, strict=True) if not wrong]
    if sound:
        return sound
    counts = Counter(fault["code"] for wrong in found for fault in wrong)
    first = found[0][0]
    all_codes = ", ".join(f"{code} {n}" for code, n in counts.most_common())
    return Dropped(first["code"], f"no reply passes ({all_codes}); the first: {first['detail']}")
