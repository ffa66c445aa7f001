"""What a stage or a recipe makes of a fixed input is on file with its version: other output needs another version.

A store finds an artifact by the version of its stage. Were the output to change under the same version, old artifacts
would be taken for new ones. After a bump (or before the first release) `GOLDEN=write pytest FILE` writes the files anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
import pytest

from factory.artifacts.digest import canonical_json, row_rng, text_digest
from factory.artifacts.stage import Stage
from factory.dedupe.earlier import Earlier
from factory.dedupe.exact import DEDUPE
from factory.dedupe.minhash import NEAREST
from factory.gates.verify import VERIFY
from factory.jobs import draw as drawing
from factory.jobs.draw import DRAW
from factory.jobs.model import parse_job
from factory.jobs.plan import PLAN_VERSION, plan
from factory.jobs.waves import GATHER
from factory.recipes.recipe import Brief, Draft, Dropped, Request
from factory.recipes.registry import RECIPES
from factory.seeds.bank import SCREEN
from factory.selection.mini import SELECT_MINI
from factory.skills.library import OPERATIONS, Library
from factory.skills.tree import nodes

if TYPE_CHECKING:
    from conftest import Step

GOLDEN = Path(__file__).parents[2] / "data" / "golden"
WRITING = os.environ.get("GOLDEN") == "write"
REMEDY = f"GOLDEN=write pytest {Path(__file__).name} writes it anew"

STAGES: dict[str, tuple[Stage, str]] = {
    "seeds": (SCREEN, "SCREEN"),
    "draw": (DRAW, "DRAW"),
    "verify": (VERIFY, "VERIFY"),
    "dedupe": (DEDUPE, "DEDUPE"),
    "samples": (GATHER, "GATHER"),
    "similarity": (NEAREST, "NEAREST"),
    "mini": (SELECT_MINI, "SELECT_MINI"),
}


def check(name: str, bump: str, versions: Mapping[str, int], output: object) -> None:
    """Fail unless the output is the one on file, made by the versions on file."""
    file = GOLDEN / f"{name}.json"
    found = json.loads(file.read_bytes()) if file.exists() else {}
    content = text_digest(canonical_json(output))
    if WRITING:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found | {"versions": versions, "output": content}, indent=1) + "\n")
    elif not found:
        pytest.fail(f"{file.name} is missing; {REMEDY}")
    elif found["versions"] != versions:
        pytest.fail(f"{file.name} was made by {found['versions']}, here is {dict(versions)}; {REMEDY}")
    elif found["output"] != content:
        pytest.fail(f"{name} gives another output than the one on file: bump {bump}, then {REMEDY}")


def told(frame: pl.DataFrame) -> list[Any]:
    return [dict(zip(frame.columns, map(str, frame.dtypes), strict=True)), frame.to_dicts()]


def stored_input(name: str, request: pytest.FixtureRequest) -> tuple[pl.DataFrame, Step]:
    """Return the frame on file, written first if need be, and the step that says how to run the stage on it.

    The frame is on file so that a change of one stage is not taken for a change of those after it.
    """
    file = GOLDEN / "inputs" / f"{name}.json"
    step: Step = request.getfixturevalue("line")[name]
    if WRITING:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(orjson.dumps(step.frame.to_dicts(), option=orjson.OPT_INDENT_2) + b"\n")
    return pl.DataFrame(json.loads(file.read_bytes()), schema=dict(step.stage.reads.columns)), step
