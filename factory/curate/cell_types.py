"""The one Arrow type of a column that many rows, blocks and files say something of; JSON where there is none."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from factory.curate.columns import Values
from factory.curate.read_rows import DataFile, names_of, read_blocks
from factory.curate.turns import as_text

MOST_FIELDS = 100  # of a struct: one with more is a map, whose keys are data


class _Json:
    def __repr__(self) -> str:
        return "JSON"


JSON: Final = _Json()  # values of several types: a column of JSON texts
Types = dict[str, Any]  # of a column: its Arrow type, or JSON

_CONFLICTS = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)


Numbers = npt.NDArray[np.int64]


def types_of(file: DataFile, kept: Numbers) -> Types:
    """Return the type of each column of a file: what Parquet says, text for CSV, and what kept rows of JSON lines have.

    `kept` are the places in the file of the rows that stay, sorted: a row that leaves has no say. CSV stays text, since
    '007' is no number; JSON lines are read whole for it.
    """
    if file.format == "parquet":
        return {field.name: field.type for field in pq.read_schema(file.path)}
    if file.format == "csv":
        return dict.fromkeys(names_of(file) or [], pa.string())
    types: Types = {}
    at = 0
    for block in read_blocks(file):
        lo, hi = np.searchsorted(kept, (at, at + block.height))
        picked = np.searchsorted(block.places(), kept[lo:hi] - at).tolist()
        told = {name: [values[i] for i in picked] for name, values in block.columns.items()} if picked else {}
        types = unified(types, {name: _type_of(values) for name, values in told.items()})
        at += block.height
    return types or dict.fromkeys(names_of(file) or [], pa.string())


def unified(a: Types, b: Types) -> Types:
    """Return the types of the columns of both, in order; JSON where they do not agree."""
    return a | {name: _common(a[name], dtype) if name in a else dtype for name, dtype in b.items()}


def settled(types: Types) -> Types:
    """Return types that every reader knows: text where all is null, JSON for structs without fields or with many."""
    return {name: JSON if dtype is JSON or _is_map(dtype) else _plain(dtype) for name, dtype in types.items()}


def cells_of(values: Values, dtype: Any) -> pa.Array:
    """Return values as an Arrow array of a type that `settled` gave for them."""
    if dtype is JSON:
        cells = values.to_list() if isinstance(values, pl.Series) else values
        said = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in cells]
        return pa.array(said, type=pa.string())
    if isinstance(values, pl.Series):
        return values.to_arrow().cast(dtype, safe=False)
    if pa.types.is_string(dtype):
        return pa.array([v if v is None or isinstance(v, str) else as_text(v) for v in values], type=dtype)
    try:
        return pa.array(values, type=dtype)
    except _CONFLICTS:
        # A whole number beyond 2**53 among floats: Arrow asks to be told that it may be rounded.
        if pa.types.is_floating(dtype):
            return pa.array([None if v is None else float(v) for v in values], type=dtype)
        return pa.array(values).cast(dtype, safe=False)


def _type_of(values: Values) -> Any:
    try:
        return pa.array(values).type
    except _CONFLICTS:
        kinds = {type(value) for value in values} - {type(None)}
        if kinds & {list, dict}:
            return JSON
        return pa.float64() if kinds <= {int, float} else pa.string()


def _common(a: Any, b: Any) -> Any:
    if a is JSON or b is JSON:
        return JSON
    if (pa.types.is_string(a) or pa.types.is_string(b)) and not any(map(pa.types.is_nested, (a, b))):
        return pa.string()  # texts stay what they are; what is none of them becomes its JSON text
    try:
        schemas = [pa.schema([("x", dtype)]) for dtype in (a, b)]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type if a != b else a
    except _CONFLICTS:
        return JSON


def _is_map(dtype: pa.DataType) -> bool:
    if pa.types.is_struct(dtype):
        fields = [dtype.field(i) for i in range(dtype.num_fields)]
        return not 0 < len(fields) <= MOST_FIELDS or any(_is_map(field.type) for field in fields)
    return bool(_is_list(dtype) and _is_map(dtype.value_type))


def _plain(dtype: pa.DataType) -> pa.DataType:
    """Return the type without what only some readers know: nulls, views, dictionaries, extensions."""
    if isinstance(dtype, pa.BaseExtensionType):
        return _plain(dtype.storage_type)
    if pa.types.is_dictionary(dtype):
        return _plain(dtype.value_type)
    if pa.types.is_struct(dtype):
        fields = [dtype.field(i) for i in range(dtype.num_fields)]
        return pa.struct([pa.field(field.name, _plain(field.type)) for field in fields])
    if _is_list(dtype):
        return pa.list_(_plain(dtype.value_type))
    texts = (pa.types.is_null, pa.types.is_large_string, pa.types.is_string_view)
    return pa.string() if any(is_such(dtype) for is_such in texts) else dtype


def _is_list(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_list_view(dtype))
