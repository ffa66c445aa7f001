"""The rows of one seed file, from its bytes: JSON lines, CSV or Parquet, every value turned to text.

Seed text is data: it is never evaluated and never formatted as a template.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import polars as pl

from factory.errors import MissingColumn, UserError, nearest

SHOWN = 30
"""Names listed in a message at most."""


def parse_seeds(label: str, data: bytes, columns: Mapping[str, str]) -> pl.DataFrame:
    """Return the file's rows with one String column per mapped name; a null stays null.

    `label` names the file in messages and its extension decides the format; `columns` maps our names to the file's.
    Raises UserError for bytes that are not what the extension says and for a mapped column that is missing.
    """
    return _PARSERS[PurePath(label).suffix.lower()](label, data, columns)


def _parse_json_lines(label: str, data: bytes, columns: Mapping[str, str]) -> pl.DataFrame:
    cells: dict[str, list[str | None]] = {ours: [] for ours in columns}
    there: dict[str, None] = {}
    for row in _json_objects(label, _decode(label, data)):
        there |= dict.fromkeys(row)
        for ours, theirs in columns.items():
            cells[ours].append(_as_text(row.get(theirs)))
    if any(cells.values()):
        _require_columns(label, columns, there)
    return pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String))


def _parse_csv(label: str, data: bytes, columns: Mapping[str, str]) -> pl.DataFrame:
    text = _decode(label, data)
    if not text.strip():
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    try:
        frame = pl.read_csv(io.BytesIO(text.encode()), infer_schema=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _unreadable(label, "CSV", error) from error
    _require_columns(label, columns, frame.columns)
    return frame.select(pl.col(theirs).alias(ours) for ours, theirs in columns.items())


def _parse_parquet(label: str, data: bytes, columns: Mapping[str, str]) -> pl.DataFrame:
    try:
        there = pl.read_parquet_schema(io.BytesIO(data))
        _require_columns(label, columns, there)
        frame = pl.read_parquet(io.BytesIO(data), columns=list(dict.fromkeys(columns.values())))
        return frame.select(_text_series(frame[theirs]).alias(ours) for ours, theirs in columns.items())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _unreadable(label, "Parquet", error) from error


_PARSERS: dict[str, Callable[[str, bytes, Mapping[str, str]], pl.DataFrame]] = {
    ".parquet": _parse_parquet,
    ".jsonl": _parse_json_lines,
    ".ndjson": _parse_json_lines,
    ".csv": _parse_csv,
    ".json": _parse_json_lines,
}
SUFFIXES = tuple(_PARSERS)
"""The extensions that can be read, the most explicit format first."""


def _decode(label: str, data: bytes) -> str:
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{label} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start} (line {line}); "
            "save the file as UTF-8"
        ) from error


def _json_objects(label: str, text: str) -> Iterator[dict[str, Any]]:
    if text.lstrip().startswith("["):
        raise UserError(f"{label} is one JSON array; write one object per line (jq -c '.[]' OLD.json > NEW.jsonl)")
    # Not splitlines(): U+2028 and its like may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _json_object(f"{label}, line {number}", line)


def _json_object(where: str, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise UserError(
            f"{where}, column {error.colno}: not JSON ({error.msg}); each line is one JSON object"
        ) from error
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: an escape names half of a surrogate pair, which is not text") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: JSON that cannot be read ({error})") from error
    if not isinstance(row, dict):
        raise UserError(f"{where}: {KINDS[type(row)]}, not an object; each line is one JSON object")
    return row


KINDS: dict[type, str] = {
    list: "an array",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def _as_text(value: object) -> str | None:
    """Return text as it is, null as null, and any other value as its JSON text."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _text_series(series: pl.Series) -> pl.Series:
    if series.dtype.is_nested():
        return pl.Series(series.name, [_as_text(value) for value in series.to_list()], dtype=pl.String)
    return series.cast(pl.String)


def _require_columns(label: str, columns: Mapping[str, str], there: Iterable[str]) -> None:
    names = list(there)
    for ours, theirs in columns.items():
        if theirs not in names:
            hint = nearest(theirs, names)
            raise MissingColumn(
                f"{label} has no column '{theirs}'{hint if 'did you mean' in hint else ''}; "
                f"its columns: {', '.join(names[:SHOWN]) or 'none'}{', ...' if len(names) > SHOWN else ''}",
                f"say in the job which one holds the {ours}: `columns: {{{ours}: YOUR_COLUMN}}`",
            )


def _unreadable(label: str, kind: str, error: BaseException) -> UserError:
    reason = str(error).strip().partition("\n")[0]
    return UserError(f"{label} cannot be read as {kind}: {reason}")
