"""What a student's examination left: outputs/student/<model>/<suite>.json, with every text and every vote."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from factory.artifacts.digest import text_digest
from factory.artifacts.store import replace_file
from factory.errors import UserError
from factory.gates.skill_points import Task
from factory.recipes.recipe import Grade
from factory.skills.language.skill import LanguageSkill
from factory.student.sitting import Sheet
from factory.teacher.protocol import Failure

VERSION = 1


def place_of_results(out: Path, model: str, suite: str) -> Path:
    """Return the file of a model's results; names that a folder cannot have get a digest."""
    slug = re.sub(r"[^A-Za-z0-9._\-]+", "-", model).strip("-.")
    if slug != model:
        slug = f"{slug[:80] or 'model'}-{text_digest(model)[:8]}"
    return out / "student" / slug / f"{suite}.json"


def write_results(path: Path, about: Mapping[str, Any], sheets: Sequence[Sheet]) -> None:
    """Write results at once or not at all: what they are about, the skills, and every text with its votes."""
    skills = {skill.name: skill.as_row() for sheet in sheets for skill in sheet.task.skills}
    told = {"version": VERSION, **about, "skills": skills, "texts": [_row(sheet) for sheet in sheets]}
    replace_file(path, orjson.dumps(told, option=orjson.OPT_INDENT_2))


def _row(sheet: Sheet) -> dict[str, Any]:
    return {
        "k": len(sheet.task.skills),
        "combination": sheet.combination,
        "generation": sheet.generation,
        "topic": sheet.task.topic,
        "skills": [skill.name for skill in sheet.task.skills],
        "draft": sheet.draft,
        "text": sheet.text,
        "failure": asdict(sheet.failure) if sheet.failure else None,
        "points": [asdict(grade) for grade in sheet.grades],
    }


def read_results(path: Path) -> tuple[dict[str, Any], list[Sheet]]:
    """Return what results are about, and their sheets; UserError for a file that is none."""
    try:
        told = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: there is nothing to grade anew; run without --rescore first") from None
    except (OSError, ValueError) as error:
        raise UserError(f"the results {path} cannot be read ({error})") from None
    try:
        if told["version"] != VERSION:
            raise ValueError(f"version {told['version']}, wanted {VERSION}")
        skills = {name: LanguageSkill.of_row(row) for name, row in told["skills"].items()}
        sheets = [_sheet(row, skills) for row in told["texts"]]
        kept = {key: told[key] for key in ("suite", "model", "student", "asked")}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is no result of `factory student eval` ({type(error).__name__}: {error})") from None
    return kept, sheets


def _sheet(row: Mapping[str, Any], skills: Mapping[str, LanguageSkill]) -> Sheet:
    return Sheet(
        task=Task(tuple(skills[name] for name in row["skills"]), row["topic"]),
        combination=row["combination"],
        generation=row["generation"],
        draft=row["draft"],
        text=row["text"],
        failure=Failure(**row["failure"]) if row["failure"] else None,
        grades=tuple(Grade(g["name"], g["value"], tuple(g["votes"]), g["agreement"]) for g in row["points"]),
    )
