"""Recipes made in tests: drawn by program, or talked through with the example replies that the recipe gives."""

from __future__ import annotations

from typing import Any

import orjson

from factory.artifacts.digest import Rng
from factory.jobs.talk import request_of
from factory.recipes.recipe import Ask, Brief, Draft, Dropped
from factory.recipes.registry import RECIPES
from factory.teacher.model import SamplingSpec
from factory.teacher.protocol import Reply


def make(recipe: str, params: Any, brief: Brief, rng: Rng) -> Draft | Dropped:
    """Return what an attempt makes when every reply is as its example."""
    found = RECIPES[recipe]
    if found.draw is not None:
        return found.draw(params, brief, rng)
    assert found.talk is not None
    talk = found.talk(params, brief, rng)
    try:
        asks = next(talk)
        while True:
            asks = talk.send([reply_of(ask) for ask in asks])
    except StopIteration as end:
        made: Draft | Dropped = end.value
        return made


def reply_of(ask: Ask) -> Reply:
    request = request_of(ask, 0, SamplingSpec())
    return Reply(text=request.example, parsed=orjson.loads(request.example) if request.schema else None)
