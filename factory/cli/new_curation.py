"""What `factory new --kind curate` writes: a curate job whose every key is explained, and its JSON Schema.

Both come from the job's models, so a key that a model gains is in them at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from factory.cli.new_job import yaml_of
from factory.curate.job import CurateJob

# Values of a first job that differ from the defaults, by the path of their key.
START: Mapping[str, Any] = {
    "kind": "curate",
    "sources": [{"path": "rows.jsonl"}],
    "decontaminate.benchmarks": [
        {"name": "my-benchmark", "path": "benchmark.jsonl", "columns": ["question", "answer"]}
    ],
}


def curation_text(name: str) -> str:
    """Return the text of a first curate job."""
    lines = [
        f"# yaml-language-server: $schema=./{name}.schema.json",
        f"# A job of the Skill Factory. What would it keep: factory plan {name}.yaml.",
        f"# Make its release: factory run {name}.yaml. Keys with a default may be left out.",
        "",
    ]
    for key, info in CurateJob.model_fields.items():
        lines += [*_key(key, info, key, {**START, "name": name}), ""]
    return "\n".join(lines)


def _key(key: str, info: FieldInfo, path: str, start: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a key is for and the key; one that is off, or without a value, is commented out."""
    model, default = _model(info.annotation), _default(info)
    if model is None:
        value = start.get(path, default)
        yield f"# {info.description or key}"
        yield f"# {key}:" if value in (None, [], ()) else f"{key}: {yaml_of(value)}"
        return
    off = default is None
    yield f"# {'Optional. ' if off else ''}{info.description or model.__doc__ or key}"
    mark = "# " if off else ""
    yield f"{mark}{key}:"
    for inner, told in model.model_fields.items():
        yield from (f"{mark}  {line}" for line in _key(inner, told, f"{path}.{inner}", start))


def _model(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a key that is a block of keys."""
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    found = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
    return found[0] if found else None


def _default(info: FieldInfo) -> Any:
    return None if info.is_required() else info.get_default(call_default_factory=True)


def curation_schema() -> dict[str, Any]:
    """Return the JSON Schema of curate jobs."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **CurateJob.model_json_schema()}
