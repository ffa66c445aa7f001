"""A teacher's removal of a premise from a problem, checked by program, and the abstention that names it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from factory.artifacts.digest import Rng
from factory.gates.equal import groups, is_answer
from factory.recipes.premises import END
from factory.recipes.recipe import PREMISE, Ask, Draft, Dropped, Talk
from factory.recipes.rephrased import is_right, steps_of
from factory.recipes.sampling import SOLVE, samples
from factory.teacher.protocol import Sampling

ABLATE = "missing-premise/ablate.v1"

PIECES = (
    "a whole sentence, if there is one whose loss leaves no trace in the others; otherwise part of a sentence",
    "a clause or a phrase with its number",
    "a single number, with as few other words as the grammar allows",
)
STRAY_WORDS = 6  # that may change around a removed premise, so that the sentences still read well
NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
WORD = re.compile(r"[^\W\d_]+")
GAP = re.compile(r"\[[^\]]*\]|<[^>]*>|_{2,}|\.{3}|…|\?{2,}")
EMPTY = frozenset("the and that this how many much are was were what which for with from each number value".split())
SAID = (
    "The problem does not say {missing}, and without that it has no single answer. With it, one could {then}.",
    "Something is missing: {missing} is not stated, and the answer depends on it. Once that is known, one can {then}.",
    "There is not enough information here, because {missing} is not given. If you add it, the way is to {then}.",
)


def solved(drawn: Draft, n: int, agree: int) -> Talk:
    """Return a problem with the steps of a right solution; Dropped where fewer than `agree` of n reach its answer."""
    example = f"{drawn.steps}\nAnswer: {drawn.verifier['gold']}"
    votes = yield from samples(_solving(drawn.prompt, example), n)
    right = [vote for vote in votes if is_right(vote, drawn)]
    if len(right) < agree:
        return Dropped("solutions_agree", f"{len(right)} of {n} solutions reach {drawn.verifier['gold']!r}")
    return replace(drawn, steps=steps_of(right, drawn))


def _solving(problem: str, example: str) -> Ask:
    return Ask(SOLVE, {"problem": problem}, example, "judge", sampling=Sampling(temperature=0.7, max_tokens=2048))


def without_premise(drawn: Draft, n: int, agree: int, rng: Rng) -> Talk:
    """Return a problem without a premise; Dropped where `agree` of n solutions still give the same answer."""
    question, _, close = drawn.prompt.rpartition("\n")
    given = {"problem": question, "piece": rng.pick(PIECES)}
    (reply,) = yield [Ask(ABLATE, given, example_of(question), sampling=Sampling(max_tokens=2048))]
    said = reply.need()
    if fault := removal_fault(question, said):
        return Dropped("premise_removed", fault)
    prompt, target = f"{said['rewritten'].strip()}\n{close}", abstaining(said, rng)
    votes = yield from samples(_solving(prompt, target), n)
    came = [vote.text for vote in votes if vote.failure is None]
    if len(came) < agree:
        return Dropped("undecided", f"{len(came)} of {n} solutions came, and {agree} are needed")
    answers = [text for text in came if is_answer(text, drawn.verifier["kind"])]
    if answers and (most := len(groups(answers, drawn.verifier["kind"])[0])) >= agree:
        return Dropped("still_answerable", f"{most} of {n} solutions agree on an answer without the premise")
    verifier = {"kind": "abstain", "gold": target, "args": {"names": said["names"]}}
    return Draft({}, verifier, "removed", prompt, "", drawn.parents, [PREMISE], shape=f"seed {drawn.parents[0]}")


def removal_fault(question: str, said: Mapping[str, Any]) -> str:
    """Return what is wrong with a removal, "" where it took out what it says and nothing else.

    `said` has removed (verbatim), rewritten, missing and then (clauses) and names (words for what is missing).
    """
    whole, removed, rewritten = (" ".join(text.split()) for text in (question, said["removed"], said["rewritten"]))
    if not removed or removed not in whole:
        return f"the removed text is not in the problem: {removed[:80]!r}"
    if "?" in removed:
        return "the question itself was removed"
    if gap := GAP.search(f"{rewritten}\n{said['missing']}\n{said['then']}"):
        return f"a gap is left open: {gap[0]!r}"
    rest = whole.replace(removed, " ", 1)
    if WORD.search(removed) and removed in rewritten or _figures(rewritten) - _figures(rest):
        return "what was removed, or another number, stands in the rewritten problem"
    before, now = (Counter(WORD.findall(text.casefold())) for text in (rest, rewritten))
    if (changed := max((before - now).total(), (now - before).total())) > STRAY_WORDS:
        return f"{changed} words changed beside the removed ones"
    if _figures(rest) - _figures(rewritten):
        return "another number was removed with it"
    if new := set(_figures(f"{said['missing']} {said['then']}")) - set(_figures(rest)):
        return f"the clauses tell a number that the problem no longer says: {sorted(new)[0]}"
    return _words_fault(said, whole)


def _words_fault(said: Mapping[str, Any], question: str) -> str:
    told, way, known = (_content(text) for text in (said["missing"], said["then"], question))
    if not way & known:
        return "the way that is told has nothing of the problem in it"
    for name in said["names"]:
        words = _content(name)
        if not words or not words <= told & known:
            return f"the name {name!r} says nothing, or is not of the problem and of what is missing"
    return ""


def _content(text: str) -> set[str]:
    return {word.casefold() for word in WORD.findall(text) if len(word) > 2} - EMPTY


def _figures(text: str) -> Counter[str]:
    return Counter(NUMBER.findall(text))


def abstaining(said: Mapping[str, Any], rng: Rng) -> str:
    """Return the reply to a problem without its premise, from the teacher's two clauses."""
    missing, then = (" ".join(said[part].split()).strip(" .") for part in ("missing", "then"))
    return f"{rng.pick(SAID).format(missing=missing, then=then)}\nAnswer: {rng.pick(END)}"


def example_of(question: str) -> dict[str, Any]:
    """Return a reply that takes the first number out of a problem, for estimates and the teacher that is no model."""
    figure = NUMBER.search(question)
    start, end = figure.span() if figure else (0, 0)
    names = [word for word in WORD.findall(question[end:]) if _content(word)]
    name = names[0] if names else "problem"
    rewritten = f"{question[:start]}some{question[end:]}" if figure else question
    return {
        "plan": f"The first number is needed: it says how much of the {name} there is.",
        "removed": question[start:end],
        "rewritten": rewritten,
        "missing": f"how much is meant before the word {name}",
        "then": f"put it before the word {name} and work the problem out step by step",
        "names": [name],
    }
