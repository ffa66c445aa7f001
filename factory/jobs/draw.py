"""The draw: one attempt at every open slot of a shard, row by row, each row from its own hash-seeded generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import orjson
import polars as pl

from factory.artifacts.digest import canonical_json, row_id, row_rng, text_digest
from factory.artifacts.stage import Dependency, Stage
from factory.recipes.recipe import Brief, Draft, Dropped, RecipeParams, Seeds
from factory.recipes.registry import RECIPES
from factory.skills.tree import topology
from schemas.candidates import CANDIDATES
from schemas.slots import SLOTS

MADE = ("flags", "tree", "topology", "phrasing", "cap_key", "digest", "prompt", "steps", "verifier")


@cache
def _params(entry: bytes) -> RecipeParams:
    raw = orjson.loads(entry)
    return RECIPES[raw["recipe"]].params.model_validate(raw)


def draft_columns(draft: Draft, entry: int) -> dict[str, Any]:
    """Return the columns that a draft fills."""
    tree = canonical_json(draft.tree)
    shape = topology(draft.tree)
    truth = draft.verifier
    return {
        "flags": draft.flags,
        "tree": tree.decode(),
        "topology": shape,
        "phrasing": draft.phrasing,
        "cap_key": text_digest(f"{entry}\x1f{shape}\x1f{draft.phrasing}"),
        "digest": text_digest(tree),
        "prompt": draft.prompt,
        "steps": draft.steps,
        "verifier": {
            "kind": truth["kind"], "gold": truth["gold"], "args": canonical_json(truth["args"]).decode()
        },
    }  # fmt: skip


EMPTY: dict[str, Any] = {name: None for name in MADE}


def attempts(frame: pl.DataFrame, params: Mapping[str, Any], seeds: Seeds | None) -> Iterator[dict[str, Any]]:
    """Yield the columns of each slot's attempt, in the order of the slots."""
    entries = [_params(canonical_json(entry)) for entry in params["entries"]]
    name, seed, attempt = params["name"], params["seed"], params["attempt"]
    planned = (frame[c].to_list() for c in ("id", "entry", "recipe", "level", "split", "skills", "parents"))
    for slot_id, entry, recipe, level, split, skills, parents in zip(*planned, strict=True):
        id_ = row_id(name, seed, slot_id, attempt)
        brief = Brief(level, split, skills, parents, seeds if parents else None)
        made: Draft | Dropped = RECIPES[recipe].draw(entries[entry], brief, row_rng(seed, "draw", id_))
        if isinstance(made, Dropped):
            reasons = [{"gate": "draw", "code": made.code, "detail": made.detail, "twin": None}]
            yield {**EMPTY, "id": id_, "skills": skills, "parents": parents, "reasons": reasons}
        else:
            columns = draft_columns(made, entry)
            yield {**columns, "id": id_, "skills": made.skills or skills, "parents": made.parents, "reasons": []}


def draw(
    frame: pl.DataFrame, params: Mapping[str, Any], *, library: Dependency, seeds: Seeds | None = None
) -> pl.DataFrame:
    """Return a candidate for each slot; those that no draw fitted carry their reason."""
    rows = list(attempts(frame, params, seeds))
    kept = ("slot", "entry", "recipe", "cell", "level", "split")
    made = {c: [row[c] for row in rows] for c in ("id", "skills", "parents", *MADE, "reasons")}
    given = {c: frame[c].to_list() for c in kept} | {"slot_id": frame["id"].to_list()}
    return CANDIDATES.frame({**given, **made, "attempt": [params["attempt"]] * frame.height})


DRAW = Stage("draw", 1, SLOTS, CANDIDATES, draw)
