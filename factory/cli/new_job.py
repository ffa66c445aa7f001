"""What `factory new` writes: a job file whose every key is explained, and the JSON Schema that editors check it by.

Both come from the job's models, so a key that a model gains is in them at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema

from factory.jobs.model import DocumentSource, InstructionSource, Job, Mini, ReleaseSpec, SeedSource, SkillSource
from factory.recipes.recipe import Recipe
from factory.recipes.registry import RECIPES
from factory.teacher.model import TeacherSpec

# What the models do not say of a key themselves.
ABOUT = {
    "kind": "What kind of job this is; build makes a release.",
    "recipes": "The recipes and their shares of the rows, which add up to 1. Delete those you do not want.",
}
# Values of a first job that differ from the defaults: it must run as written, without the extra `embed`.
START: dict[str, Any] = {"kind": "build", "rows": 1000}
START_MINI = {"rows": 0}
START_RECIPE: dict[str, dict[str, Any]] = {"lego": {"levels": [3, 4, 5]}}  # below there are few different problems
START_TEACHER = {"model": "NAME", "base_url": "http://localhost:8000/v1"}
# The blocks of what recipes build on, with what they say first; none of the recipes of a first job needs any.
SOURCES: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    "seeds": (SeedSource, {"path": "problems.jsonl", "split": "train"}),
    "skills": (SkillSource, {"path": "skills.txt"}),
    "documents": (DocumentSource, {"path": "documents"}),
    "instructions": (InstructionSource, {"path": "instructions.jsonl"}),
}


def job_text(name: str) -> str:
    """Return the text of a first job file."""
    lines = [
        f"# yaml-language-server: $schema=./{name}.schema.json",
        f"# A job of the Skill Factory. Try it: factory preview {name}.yaml, factory plan {name}.yaml.",
        f"# Build its release: factory run {name}.yaml. Keys with a default may be left out.",
        "",
    ]
    for key, info in Job.model_fields.items():
        lines += [*_key(key, info, name), ""]
    return "\n".join(lines)


def _key(key: str, info: FieldInfo, name: str) -> Iterator[str]:
    if key == "recipes":
        yield f"# {ABOUT[key]}"
        yield "recipes:"
        yield from _recipes()
    elif key in SOURCES:
        model, start = SOURCES[key]
        yield f"# Optional. {model.__doc__}"
        yield from (f"# {line}" for line in _block(key, model, start))
    elif key == "teacher":
        yield f"# Optional. {info.description} Any OpenAI-compatible server, vLLM, batch files: docs/teacher.md."
        yield from (f"# {line}" for line in _block("teacher", TeacherSpec, START_TEACHER))
    elif key == "mini":
        yield f"# {Mini.__doc__}"
        yield from _block("mini", Mini, START_MINI)
    elif key == "release":
        yield f"# {ReleaseSpec.__doc__}"
        yield from _block("release", ReleaseSpec, {})
    else:
        yield from _line(key, info, {**START, "name": name})


def _block(key: str, model: type[BaseModel], start: dict[str, Any]) -> Iterator[str]:
    yield f"{key}:"
    for inner, info in model.model_fields.items():
        yield from (f"  {line}" for line in _line(inner, info, start))


def _recipes() -> Iterator[str]:
    """Yield a line of `recipes` for each; those that need a teacher are commented out."""
    drawn = [recipe for recipe in RECIPES.values() if recipe.draw]
    even = round(1 / len(drawn), 3)
    for i, recipe in enumerate(drawn):
        yield from _recipe(recipe, even if i else round(1 - even * (len(drawn) - 1), 3))
    for recipe in RECIPES.values():
        if not recipe.draw:
            yield "  # This one needs a teacher."
            yield from (f"  # {line[2:]}" for line in _recipe(recipe, even))


def _recipe(recipe: Recipe, share: float) -> Iterator[str]:
    yield f"  # {recipe.about[0].upper()}{recipe.about[1:]}."
    yield f"  # Source: {recipe.paper}."
    yield f"  - recipe: {recipe.name}"
    start = {"share": share, **START_RECIPE.get(recipe.name, {})}
    for key, info in recipe.params.model_fields.items():
        if key != "recipe":
            yield from (f"    {line}" for line in _line(key, info, start))


def _line(key: str, info: FieldInfo, start: dict[str, Any]) -> Iterator[str]:
    """Yield a key's explanation and the key; one without a value is commented out."""
    value = start.get(key, None if info.is_required() else info.get_default(call_default_factory=True))
    yield f"# {info.description or ABOUT[key]}"
    yield f"# {key}:" if value is None or isinstance(value, BaseModel) or value == [] else f"{key}: {yaml_of(value)}"


def yaml_of(value: object) -> str:
    """Return a value as YAML on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump([plain], default_flow_style=True, sort_keys=False, width=10_000).strip()[1:-1]


def job_schema() -> dict[str, Any]:
    """Return the JSON Schema of job files; a line of `recipes` is any one of the recipes' own parameters."""
    params: list[type[BaseModel]] = [recipe.params for recipe in RECIPES.values()]
    models: list[type[BaseModel]] = [Job, *params]
    refs, shared = models_json_schema([(model, "validation") for model in models])
    found: dict[str, Any] = shared["$defs"]
    job = found.pop("Job")
    found.pop("RecipeParams", None)
    job["properties"]["recipes"]["items"] = {"anyOf": [refs[(model, "validation")] for model in params]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **job, "$defs": found}
