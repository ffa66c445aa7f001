"""The draw: one attempt at every open slot of a shard, row by row, each row from its own hash-seeded generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
import polars as pl

from factory.artifacts.digest import Rng, canonical_json, row_id, row_rng, text_digest
from factory.artifacts.stage import Dependency, Stage
from factory.recipes.recipe import NOTHING, PREMISE, Brief, Draft, Dropped, Grade, RecipeParams, Sources
from factory.recipes.registry import RECIPES
from factory.skills.tree import topology
from schemas.candidates import CANDIDATES
from schemas.slots import SLOTS

MADE = (
    "flags", "tree", "topology", "phrasing", "cap_key", "digest", "prompt", "steps", "verifier", "reasoning",
    "rejected", "grades",
)  # fmt: skip


@cache
def params_of(entry: bytes) -> RecipeParams:
    """Return the params of a line of `recipes`, from its canonical JSON."""
    raw = orjson.loads(entry)
    return RECIPES[raw["recipe"]].params.model_validate(raw)


def draft_columns(draft: Draft, entry: int) -> dict[str, Any]:
    """Return the columns that a draft fills. A row without a tree is the same problem if it says the same."""
    tree = canonical_json(draft.tree).decode() if draft.tree else ""
    shape = topology(draft.tree) if draft.tree else draft.shape
    truth = draft.verifier
    return {
        "flags": draft.flags,
        "tree": tree,
        "topology": shape,
        "phrasing": draft.phrasing,
        "cap_key": text_digest(f"{entry}\x1f{shape}\x1f{draft.phrasing}"),
        "digest": problem_digest(tree, draft.prompt, draft.flags),
        "prompt": draft.prompt,
        "steps": draft.steps,
        "verifier": {
            "kind": truth["kind"], "gold": truth["gold"], "args": canonical_json(truth["args"]).decode()
        },
        "reasoning": draft.reasoning,
        "rejected": draft.rejected,
        "grades": [_grade(grade) for grade in draft.grades],
    }  # fmt: skip


def _grade(grade: Grade) -> dict[str, Any]:
    return {"name": grade.name, "value": grade.value, "votes": list(grade.votes), "agreement": grade.agreement}


def problem_digest(tree: str, prompt: str, flags: Sequence[str]) -> str:
    """Return the digest of a problem: of its tree, or of its words where it has none, case and white space folded.

    A problem with its premise missing is another problem than its twin.
    """
    content = tree or " ".join(prompt.casefold().split())
    return text_digest(f"{content}\x1f{PREMISE}" if PREMISE in flags else content)


EMPTY: dict[str, Any] = {name: None for name in MADE}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a slot before anything is made: its row's id, and what its recipe goes by."""

    id: str
    slot: int
    entry: int
    recipe: str
    params: RecipeParams
    brief: Brief
    rng: Rng


def attempts(frame: pl.DataFrame, params: Mapping[str, Any], sources: Sources) -> Iterator[Attempt]:
    """Yield an attempt at each of SLOTS, in order."""
    entries = [params_of(canonical_json(entry)) for entry in params["entries"]]
    name, seed, attempt = params["name"], params["seed"], params["attempt"]
    columns = ("id", "slot", "entry", "recipe", "level", "split", "skills", "parents", "cell", "pair")
    planned = (frame[c].to_list() for c in columns)
    for slot_id, slot, entry, recipe, level, split, skills, parents, cell, pair in zip(*planned, strict=True):
        id_ = row_id(name, seed, slot_id, attempt)
        brief = Brief(level, split, skills, parents, sources, cell, slot)
        source = f"{entry}/{pair}/{attempt}" if pair else id_  # twins draw the same
        yield Attempt(id_, slot, entry, recipe, entries[entry], brief, row_rng(seed, "draw", source))


def made_columns(attempt: Attempt, made: Draft | Dropped) -> dict[str, Any]:
    """Return the columns of what an attempt made, or of why it made nothing."""
    brief = attempt.brief
    if isinstance(made, Dropped):
        reasons = [{"gate": "draw", "code": made.code, "detail": made.detail, "twin": None}]
        return {**EMPTY, "id": attempt.id, "skills": brief.skills, "parents": brief.parents, "reasons": reasons}
    columns = draft_columns(made, attempt.entry)
    return {**columns, "id": attempt.id, "skills": made.skills or brief.skills, "parents": made.parents, "reasons": []}


def candidates_of(frame: pl.DataFrame, rows: Sequence[Mapping[str, Any]], attempt: int) -> pl.DataFrame:
    """Return CANDIDATES of SLOTS and the columns made for each, in the same order."""
    kept = ("slot", "entry", "recipe", "cell", "level", "split", "pair")
    made = {c: [row[c] for row in rows] for c in ("id", "skills", "parents", *MADE, "reasons")}
    given = {c: frame[c].to_list() for c in kept} | {"slot_id": frame["id"].to_list()}
    return CANDIDATES.frame({**given, **made, "attempt": [attempt] * frame.height})


def draw(
    frame: pl.DataFrame, params: Mapping[str, Any], *, library: Dependency, sources: Sources = NOTHING
) -> pl.DataFrame:
    """Return a candidate for each slot; those that no draw fitted carry their reason."""
    return candidates_of(frame, [_drawn(a) for a in attempts(frame, params, sources)], params["attempt"])


def _drawn(attempt: Attempt) -> dict[str, Any]:
    by_program = RECIPES[attempt.recipe].draw
    assert by_program is not None
    return made_columns(attempt, by_program(attempt.params, attempt.brief, attempt.rng))


DRAW = Stage("draw", 2, SLOTS, CANDIDATES, draw)
