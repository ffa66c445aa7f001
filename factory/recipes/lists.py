"""The shipped lists that language recipes are fed with: prompts/lists/<name>.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from factory.artifacts.digest import Rng, row_rng
from factory.prompts import prompts_folder


@cache
def shipped_list(name: str) -> dict[str, Any]:
    """Return a shipped list as it stands in its file: a mapping with `version` and the entries under their name."""
    found: dict[str, Any] = yaml.safe_load((prompts_folder() / "lists" / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


SITUATION = {"moment": "moments", "shape": "shapes", "register": "registers", "length": "lengths"}


def situation(rng: Rng, slot: int) -> dict[str, str]:
    """Return who writes in a slot, at what moment, in what shape and tone, and how long the response is.

    The people come in turn: everybody once, in a random order, before anybody twice.
    """
    lists = shipped_list("situations")
    turn, place = divmod(slot, len(lists["people"]))
    person = row_rng(0, "people", str(turn)).shuffled(lists["people"])[place]
    return {"person": person} | {one: rng.pick(lists[many]) for one, many in SITUATION.items()}


class QueryType(BaseModel):
    """A kind of request, as prompts tell of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=60)
    definition: str = Field(max_length=600)
    examples: tuple[str, ...] = Field(default=(), max_length=4)


def query_types(given: Sequence[QueryType] | None) -> dict[str, dict[str, Any]]:
    """Return the query types by name, each as prompts are told of it; without any given, the shipped ones."""
    found = [one.model_dump() for one in given or ()] or shipped_list("query-types")["query_types"]
    return {entry["name"]: {**entry, "name": entry["name"].replace("_", " ")} for entry in found}
