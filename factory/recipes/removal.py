"""A teacher's removal of a premise from a problem, checked by program, and the abstention that names it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from factory.artifacts.digest import Rng
from factory.recipes.premises import END

STRAY_WORDS = 6  # that may change around a removed premise, so that the sentences still read well
NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
WORD = re.compile(r"[^\W\d_]+")
EMPTY = frozenset("the and that this how many much are was were what which for with from each number value".split())
SAID = (
    "The problem does not say {missing}, and without that it has no single answer. With it, one could {then}.",
    "Something is missing: {missing} is not stated, and the answer depends on it. Once that is known, one can {then}.",
    "There is not enough information here, because {missing} is not given. If you add it, the way is to {then}.",
)


def removal_fault(question: str, said: Mapping[str, Any]) -> str:
    """Return what is wrong with a removal, "" where it took out what it says and nothing else.

    `said` has removed (verbatim), rewritten, missing and then (clauses) and names (words for what is missing).
    """
    whole, removed, rewritten = (" ".join(text.split()) for text in (question, said["removed"], said["rewritten"]))
    if not removed or removed not in whole:
        return f"the removed text is not in the problem: {removed[:80]!r}"
    if "?" in removed:
        return "the question itself was removed"
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
    return _names_fault(said, whole)


def _names_fault(said: Mapping[str, Any], question: str) -> str:
    told, known = ({w.casefold() for w in WORD.findall(text)} for text in (said["missing"], question))
    for name in said["names"]:
        words = {w.casefold() for w in WORD.findall(name)}
        if not words - EMPTY or not words <= told & known:
            return f"the name {name!r} says nothing, or is not of the problem and of what is missing"
    return ""


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
    names = [
        word for word in WORD.findall(question[end:] or question) if len(word) > 2 and word.casefold() not in EMPTY
    ]
    name = names[0] if names else "problem"
    rewritten = f"{question[:start]}some{question[end:]}" if figure else question
    return {
        "plan": f"The first number is needed: it says how much of the {name} there is.",
        "removed": question[start:end],
        "rewritten": rewritten,
        "missing": f"how much is meant before the word {name}",
        "then": "put it in its place and work the problem out step by step",
        "names": [name],
    }
