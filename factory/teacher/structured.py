"""Replies that keep a JSON Schema: one strict parse, one bounded repair; and the schemas that prompts ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
from pydantic import BaseModel

from factory.artifacts.digest import canonical_json
from factory.errors import MissingExtra
from factory.teacher.around import Around
from factory.teacher.protocol import Reply, Request, Teacher
from factory.teacher.streams import closing
from schemas.table import Table

if TYPE_CHECKING:
    import jsonschema

SHOWN = 300  # characters of an error that the model, or a person, is shown
REPAIR = (
    "Your reply does not keep the JSON Schema: {error}. Reply with the corrected JSON alone:"
    " no other text, no code fence."
)


class Structured(Around):
    """Gives the replies to requests with a schema their `parsed` value, or the failure `unparsable`.

    The text must be JSON of the schema as it stands: no code fence is stripped, nothing is searched for. A text that
    is not is shown to the model once more with the error, `repairs` times, when all other replies are in; a repair is
    a request of its own, so a cache below keeps it. The reply then carries the usage and seconds of all attempts.
    """

    def __init__(self, inner: Teacher, repairs: int = 1) -> None:
        super().__init__(inner)
        self._repairs = repairs
        self.repaired = 0

    async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield exactly one (id, reply) for each request; ValueError, before anything is asked, for a bad schema."""
        for request in requests.values():
            if request.schema is not None:
                compiled(request.schema)
        asked: Mapping[str, Request] = requests
        before: dict[str, Reply] = {}
        for left in range(self._repairs, -1, -1):
            again: dict[str, Request] = {}
            async with closing(self._inner.complete(asked)) as stream:
                async for id_, reply in stream:
                    result, error = _parsed(requests[id_].schema, reply)
                    result = _with_costs(result, before.get(id_))
                    if error and left:
                        before[id_] = result
                        again[id_] = repair_of(requests[id_], reply.text, error)
                        continue
                    self.repaired += id_ in before and result.failure is None
                    yield id_, result
            if not again:
                return
            asked = again


def _parsed(schema: Mapping[str, Any] | None, reply: Reply) -> tuple[Reply, str]:
    """Return (the reply with its value, "") or (the reply as unparsable, what is wrong with its text)."""
    if schema is None or reply.failure is not None:
        return reply, ""
    value, error = parse(schema, reply.text)
    return (reply.failed("unparsable", error), error) if error else (replace(reply, parsed=value), "")


def _with_costs(reply: Reply, before: Reply | None) -> Reply:
    if before is None:
        return reply
    return replace(reply, usage=before.usage + reply.usage, latency=before.latency + reply.latency)


def parse(schema: Mapping[str, Any], text: str) -> tuple[Any, str]:
    """Return (the JSON value of a text, ""), or (None, what is wrong with it: the place and what was expected)."""
    try:
        value = orjson.loads(text)
    except ValueError as error:
        return None, f"it is not JSON ({error})"[:SHOWN]
    validator = compiled(schema)
    if validator.is_valid(value):
        return value, ""
    from jsonschema.exceptions import best_match

    worst = best_match(validator.iter_errors(value))
    return None, f"at {worst.json_path}: {_expected(worst)}"


def _expected(error: jsonschema.ValidationError) -> str:
    """Return what is wrong at one place; the rule is kept whole, a long value is cut."""
    if len(error.message) <= SHOWN:
        return str(error.message)
    rule = orjson.dumps({str(error.validator): error.validator_value}, default=str).decode()
    return f"{error.message[: SHOWN // 2]}... does not keep {rule[: SHOWN // 2]}"


def repair_of(request: Request, text: str, error: str) -> Request:
    """Return the request that shows the model its reply and the error, and asks for the JSON alone."""
    ask = REPAIR.format(error=error)
    if request.prompt is not None:
        return replace(request, prompt=f"{request.prompt}{text}\n\n{ask}\n\n")
    said = ({"role": "assistant", "content": text}, {"role": "user", "content": ask})
    return replace(request, messages=(*request.messages, *said))


def compiled(schema: Mapping[str, Any]) -> jsonschema.Draft202012Validator:
    """Return the validator of a JSON Schema (draft 2020-12), made once; ValueError says where a schema is invalid."""
    return _compiled(canonical_json(schema))


@lru_cache(maxsize=512)
def _compiled(source: bytes) -> jsonschema.Draft202012Validator:
    try:
        from jsonschema import Draft202012Validator, SchemaError
    except ImportError:
        raise MissingExtra("checking replies by a JSON Schema", "teacher") from None
    schema = orjson.loads(source)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"the schema is invalid at {error.json_path}: {error.message[:SHOWN]}") from None
    _check_references(schema)
    return Draft202012Validator(schema)


def _check_references(schema: Any) -> None:
    """Raise ValueError for a $ref that leads nowhere: the validator would only notice when a reply needs it."""
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resolver = Registry().with_resource("", Resource.from_contents(schema, DRAFT202012)).resolver()
    for place, part in _parts(schema, "$"):
        if isinstance(part, Mapping) and "$ref" in part:
            try:
                resolver.lookup(part["$ref"])
            except (Unresolvable, ValueError):
                raise ValueError(f"the schema is invalid at {place}: {part['$ref']} is nowhere in it") from None


def schema_of(source: type[BaseModel] | Table, *, longest: int = 4000, most: int = 64) -> dict[str, Any]:
    """Return the JSON Schema of a pydantic model or of one row of a table contract.

    Objects are closed and every key is required. Where the source sets no bound, a string has at most `longest`
    characters and an array at most `most` values. ValueError for a column type that JSON cannot say.
    """
    if isinstance(source, Table):
        schema = _object({name: _of_dtype(name, dtype) for name, dtype in source.columns.items()})
    else:
        schema = source.model_json_schema()
    for _, part in _parts(schema, "$"):
        if isinstance(part, dict):
            _tighten(part, longest, most)
    return schema


def _tighten(part: dict[str, Any], longest: int, most: int) -> None:
    """Close an object and bound a string or an array, where that is not said."""
    if isinstance(part.get("properties"), dict):
        part["additionalProperties"] = False
        part["required"] = list(part["properties"])
    if part.get("type") == "string" and not FIXED & part.keys():
        part.setdefault("maxLength", longest)
    if part.get("type") == "array":
        part.setdefault("maxItems", most)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _of_dtype(name: str, dtype: Any) -> dict[str, Any]:
    """Return the JSON Schema of a Polars type."""
    if isinstance(dtype, pl.Enum):
        return {"type": "string", "enum": dtype.categories.to_list()}
    if isinstance(dtype, pl.List):
        return {"type": "array", "items": _of_dtype(name, dtype.inner)}
    if isinstance(dtype, pl.Struct):
        return _object({field.name: _of_dtype(f"{name}.{field.name}", field.dtype) for field in dtype.fields})
    for kind, says in (("string", dtype == pl.String), ("boolean", dtype == pl.Boolean)):
        if says:
            return {"type": kind}
    if dtype.is_numeric():
        return {"type": "integer" if dtype.is_integer() else "number"}
    raise ValueError(f"column '{name}' has the type {dtype}, which a JSON Schema cannot say")


# Where a schema holds schemas: by name, in a list, or one.
NAMED = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas")
LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
SINGLE = ("items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else")
FIXED = frozenset({"enum", "const"})
CHOICES = frozenset({"$ref", "anyOf", "oneOf", "allOf"})


def _parts(schema: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield (place, part) for a schema and every schema inside it."""
    yield place, schema
    if not isinstance(schema, Mapping):
        return
    for keyword in NAMED:
        for name, part in schema.get(keyword, {}).items():
            yield from _parts(part, f"{place}.{keyword}.{name}")
    for keyword in LISTED:
        for i, part in enumerate(schema.get(keyword, [])):
            yield from _parts(part, f"{place}.{keyword}[{i}]")
    for keyword in SINGLE:
        if keyword in schema:
            yield from _parts(schema[keyword], f"{place}.{keyword}")


def bounded(schema: Mapping[str, Any]) -> None:
    """Say nothing of a valid schema whose every reply is of bounded size; ValueError names the place that is not.

    A small local model that may go on in a string or an array does so until it is cut off.
    """
    compiled(schema)
    for place, part in _parts(schema, "$"):
        if part is False:
            continue  # nothing is allowed there
        if open_end := _open_end(part if isinstance(part, Mapping) else {}):
            raise ValueError(f"the schema has no bound at {place}: {open_end}")


def _open_end(part: Mapping[str, Any]) -> str:
    """Return what a part of a schema would have to say so that its replies end, or ""."""
    if FIXED & part.keys() or CHOICES & part.keys() and "type" not in part:
        return ""
    kinds = part.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not kinds:
        return "it needs a type"
    if "string" in kinds and "maxLength" not in part:
        return "a string needs maxLength"
    if "array" in kinds and "maxItems" not in part:
        return "an array needs maxItems"
    if "array" in kinds and not {"items", "prefixItems"} & part.keys():
        return "an array needs items"
    if "object" in kinds and part.get("additionalProperties") is not False:
        return "an object needs additionalProperties: false"
    return ""
