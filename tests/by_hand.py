"""Conversations held with replies written by hand (tests/data/replies), and how the row ends: accepted, or its code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml

from factory.artifacts.digest import canonical_json
from factory.gates.reply import completion
from factory.gates.text import first_fault
from factory.gates.verify import judge, judge_text
from factory.jobs.talk import request_of
from factory.recipes.recipe import Ask, Draft, Dropped, Talk
from factory.teacher.model import SamplingSpec
from factory.teacher.protocol import NoReply, Reply
from factory.teacher.structured import parse

REPLIES = Path(__file__).parent / "data" / "replies"


@cache
def cases_of(recipe: str) -> dict[str, Any]:
    """Return the hand-written cases of a recipe."""
    found: dict[str, Any] = yaml.safe_load((REPLIES / f"{recipe}.yaml").read_text(encoding="utf-8"))
    return found


def named(cases: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of cases, for the ids of tests."""
    return [case["name"] for case in cases]


def as_reply(ask: Ask, said: Any) -> Reply:
    """Return what a teacher that says this sends: a text, a JSON value, or {failure: kind}."""
    if isinstance(said, dict) and set(said) == {"failure"}:
        return Reply().failed(said["failure"], "so it was")
    text = said if isinstance(said, str) else orjson.dumps(said).decode()
    schema = request_of(ask, 0, SamplingSpec()).schema
    if schema is None:
        return Reply(text=text)
    value, error = parse(schema, text)
    return Reply(text=text).failed("unparsable", error) if error else Reply(text=text, parsed=value)


def held(talk: Talk, answer: Callable[[Ask], Any]) -> Draft | Dropped:
    """Return what a conversation comes to when `answer` says what each ask gets."""
    try:
        asks = next(talk)
        while True:
            asks = talk.send([as_reply(ask, answer(ask)) for ask in asks])
    except StopIteration as end:
        made: Draft | Dropped = end.value
        return made
    except NoReply as broken:
        return Dropped(broken.failure.kind, broken.failure.detail)


def ending(recipe: str, level: int, made: Draft | Dropped) -> str:
    """Return "accepted", or the code with which the talk or the verify stage lets the row go."""
    if isinstance(made, Dropped):
        return made.code
    verifier = {**made.verifier, "args": canonical_json(made.verifier["args"]).decode()}
    if made.tree:
        found = judge(recipe, level, made.tree, verifier, made.steps)
    else:
        fault = first_fault(made.prompt, completion(made.steps, verifier))
        found = judge_text(fault, verifier, made.steps, made.rejected)
    return "accepted" if type(found) is int else str(found[0])
