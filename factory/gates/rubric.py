"""Rubrics: yes/no questions about a row, what a row must meet, and gold rows by which the judges themselves are judged.

A rubric file is prompts/rubrics/<name>.v<N>.yaml. `criteria` are asked of every row; `each`, where there is one, is
asked once for every skill of the row, with {skill} and {definition} filled in. A released version is never edited.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from factory.artifacts.digest import digest
from factory.errors import UserError, nearest
from factory.prompts import prompts_folder

FILE = re.compile(r"([a-z0-9\-]+)\.v([1-9][0-9]*)")
POINT = re.compile(r"[^\s{}]{1,120}")


@dataclass(frozen=True, slots=True)
class Criterion:
    """One point: a yes/no question that a judge can decide from the row. `about` says what counts and what does not."""

    name: str
    asks: str
    about: str = ""

    def of_skill(self, skill: str, definition: str) -> Criterion:
        """Return the criterion for one skill: {skill} in the name is its name, in the texts its label."""
        label = skill.replace("_", " ")
        said = [
            text.replace("{skill}", label).replace("{definition}", definition or label)
            for text in (self.asks, self.about)
        ]
        return Criterion(self.name.replace("{skill}", skill), *said)


@dataclass(frozen=True, slots=True)
class Full:
    """What a row must meet: each of `need`, and so many of the other criteria (all when None)."""

    need: tuple[str, ...] = ()
    others: int | None = None


@dataclass(frozen=True, slots=True)
class GoldRow:
    """A row with the verdicts of a person. `skills` (name: definition) are those that `each` is asked of."""

    inputs: Mapping[str, str]
    verdicts: Mapping[str, bool]
    why: str
    skills: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rubric:
    """What a judge is asked of a row. `inputs` are the texts it sees, by name; `gold` are rows with known verdicts."""

    name: str
    version: int
    about: str
    inputs: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    each: Criterion | None = None
    full: Full = Full()
    gold: tuple[GoldRow, ...] = ()

    @property
    def identity(self) -> str:
        """Return the digest of all that the rubric says, gold rows included."""
        return digest(rubric=asdict(self))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the criteria in the order in which they are asked."""
        return tuple(criterion.name for criterion in self.criteria)

    def with_skills(self, skills: Mapping[str, str]) -> Rubric:
        """Return the rubric of a row with these skills (name: definition): `each` for every skill, then the rest.

        A rubric without `each` stays as it is. UserError when two criteria get one name.
        """
        if self.each is None:
            return self
        asked = tuple(self.each.of_skill(skill, definition) for skill, definition in skills.items())
        need = tuple(name for wanted in self.full.need for name in self._each(wanted, skills))
        made = replace(self, criteria=(*asked, *self.criteria), each=None, full=replace(self.full, need=need))
        _check_names(made)
        return made

    def of_gold(self, row: GoldRow) -> Rubric:
        """Return the rubric as it is asked of one of its gold rows."""
        return self.with_skills(row.skills)

    def _each(self, wanted: str, skills: Mapping[str, str]) -> list[str]:
        if self.each is None or wanted != self.each.name:
            return [wanted]
        return [self.each.of_skill(skill, "").name for skill in skills]


class CriterionSpec(BaseModel):
    """A criterion as a file says it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Short, no spaces; `each` has {skill} in it.")
    asks: str = Field(min_length=8, description="A question that the text itself answers by yes or no.")
    about: str = Field(default="", description="What counts, what does not, where the border is.")


class FullSpec(BaseModel):
    """What a row must meet, as a file says it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    need: tuple[str, ...] = Field(default=(), description="Criteria that must all be met.")
    others: int | None = Field(default=None, ge=0, description="How many of the others; all of them when left out.")


class GoldSpec(BaseModel):
    """A gold row as a file says it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: dict[str, str]
    verdicts: dict[str, bool]
    why: str = Field(min_length=8)
    skills: dict[str, str] = {}


class RubricSpec(BaseModel):
    """A rubric file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: int = Field(ge=1)
    about: str
    inputs: list[str] = Field(min_length=1)
    criteria: list[CriterionSpec] = Field(min_length=1)
    each: CriterionSpec | None = None
    full: FullSpec = FullSpec()
    gold: list[GoldSpec] = []

    def rubric(self) -> Rubric:
        """Return the rubric that the file says."""
        return Rubric(
            name=self.name,
            version=self.version,
            about=self.about,
            inputs=tuple(self.inputs),
            criteria=tuple(Criterion(c.name, c.asks, c.about) for c in self.criteria),
            each=Criterion(self.each.name, self.each.asks, self.each.about) if self.each else None,
            full=Full(self.full.need, self.full.others),
            gold=tuple(GoldRow(g.inputs, g.verdicts, g.why, g.skills) for g in self.gold),
        )


@cache
def all_rubrics() -> Mapping[str, Rubric]:
    """Return every shipped rubric by name.vN, checked."""
    paths = sorted((prompts_folder() / "rubrics").glob("*.yaml"))
    return {path.stem: read_rubric(path) for path in paths}


def load_rubric(name: str) -> Rubric:
    """Return a shipped rubric by name.vN, or by name alone in its newest version; UserError names the nearest."""
    rubrics = all_rubrics()
    if name in rubrics:
        return rubrics[name]
    versions = [rubric for rubric in rubrics.values() if rubric.name == name]
    if not versions:
        raise UserError(f"there is no rubric '{name}'{nearest(name, rubrics)}")
    return max(versions, key=lambda rubric: rubric.version)


def read_rubric(path: Path) -> Rubric:
    """Return the rubric of a file; UserError says what is wrong with it and where."""
    spec = _spec(path)
    found = FILE.fullmatch(path.stem)
    if not found or (spec.name, spec.version) != (found[1], int(found[2])):
        raise UserError(f"rubric {path.name} says it is {spec.name}.v{spec.version}; the file must be <name>.v<N>.yaml")
    rubric = spec.rubric()
    check_rubric(rubric)
    return rubric


def _spec(path: Path) -> RubricSpec:
    try:
        return RubricSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"rubric {path} cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"rubric {path.name}: {place}: {first['msg']}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: not UTF-8, or a 13th month
        raise UserError(f"rubric {path.name} is not valid YAML in UTF-8 ({' '.join(str(error).split())})") from None


def check_rubric(rubric: Rubric) -> None:
    """Say nothing of a rubric that holds together; UserError names the first criterion or gold row that does not."""
    _check_names(rubric)
    if rubric.each and "{skill}" not in rubric.each.name:
        raise UserError(
            f"rubric {rubric.name}: 'each' needs {{skill}} in its name, or all its criteria are called alike"
        )
    known = {*rubric.names, *([rubric.each.name] if rubric.each else [])}
    for name in rubric.full.need:
        if name not in known:
            raise UserError(f"rubric {rubric.name}: full needs '{name}', which is no criterion{nearest(name, known)}")
    others = len(known - set(rubric.full.need))
    if rubric.full.others is not None and not rubric.each and rubric.full.others > others:
        raise UserError(f"rubric {rubric.name}: full wants {rubric.full.others} other criteria, there are {others}")
    for number, row in enumerate(rubric.gold, start=1):
        _check_gold(rubric, row, f"rubric {rubric.name}, gold row {number}")


def _check_names(rubric: Rubric) -> None:
    for what, names in (("criterion", rubric.names), ("input", rubric.inputs)):
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise UserError(f"rubric {rubric.name}: the {what} '{doubled[0]}' is there twice; names tell votes apart")
    if wrong := [name for name in rubric.names if not POINT.fullmatch(name)]:
        raise UserError(
            f"rubric {rubric.name}: '{wrong[0]}' is no name of a criterion: no spaces, 120 characters at most"
        )


def _check_gold(rubric: Rubric, row: GoldRow, place: str) -> None:
    if bool(row.skills) != (rubric.each is not None):
        raise UserError(f"{place}: skills and 'each' go together")
    check_inputs(rubric, row.inputs, place)
    _check_keys(rubric.of_gold(row).names, row.verdicts, f"{place}: verdicts")


def check_inputs(rubric: Rubric, inputs: Mapping[str, str], place: str) -> None:
    """Say nothing when the inputs are just those of the rubric, else raise UserError."""
    _check_keys(rubric.inputs, inputs, f"{place}: inputs")


def _check_keys(wanted: tuple[str, ...], found: Mapping[str, Any], place: str) -> None:
    missing, extra = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing:
        raise UserError(f"{place} lack '{missing[0]}' (wanted: {', '.join(wanted)})")
    if extra:
        raise UserError(f"{place} have '{extra[0]}', which the rubric does not know{nearest(extra[0], wanted)}")
