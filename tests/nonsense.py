"""Replies that keep a JSON Schema and mean nothing: what a small model, or a bad day of a large one, may send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory.artifacts.digest import Rng

ODD = ("", " ", "\n", "{", '"', "<text>", '"""', "---", "{{ x }}", "ß", "Ж", "🙂", "\u2028", "12", "the", "Answer:")


def nonsense(schema: Mapping[str, Any], rng: Rng) -> Any:
    """Return a value of a bounded schema: as short, as long and as odd as it allows."""
    if "enum" in schema:
        return rng.pick(schema["enum"])
    kind = schema["type"]
    if kind == "object":
        return {name: nonsense(part, rng) for name, part in schema["properties"].items()}
    if kind == "array":
        least, most = schema.get("minItems", 0), schema["maxItems"]
        return [nonsense(schema["items"], rng) for _ in range(rng.pick([least, min(least + 1, most), most]))]
    if kind == "string":
        return _text(schema.get("minLength", 0), schema["maxLength"], rng)
    return {"boolean": rng.chance(0.5), "integer": rng.between(-5, 5), "number": rng.below(100) / 7}[kind]


def _text(least: int, most: int, rng: Rng) -> str:
    length = rng.pick([least, least, min(least + 30, most), min(1_000, most)])
    said = ""
    while len(said) < length:
        said += rng.pick(ODD) + " "
    return said[: max(length, least)]
