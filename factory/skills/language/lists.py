"""Lists of language skills in files: lines, tables, JSON, YAML, Parquet; what is no skill leaves with its reason."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from factory.artifacts.store import replace_file
from factory.errors import UserError, nearest
from factory.prompts import prompts_folder
from factory.skills.language.names import is_header, skill_name, split_label, strip_bullet, title_of
from factory.skills.language.skill import LanguageSkill

MAX_NAME = 80
MAX_DEFINITION = 600
MAX_ILLUSTRATION = 1000

CODES = {
    "header": "it names a topic, not a skill; what follows it is of that family",
    "empty": "nothing is left of the name",
    "duplicate": "its canonical name was there before; the counts are added",
    "too_long": f"over {MAX_NAME} characters (name), {MAX_DEFINITION} (definition) or {MAX_ILLUSTRATION} (example)",
    "not_text": "it is not text, or has no letter",
    "bad_count": "the count is not a whole number above zero",
}

_ALIASES = {
    "name": ("name", "skill", "skill_name", "label"),
    "definition": ("definition", "description"),
    "positive": ("positive", "example"),
    "negative": ("negative", "counterexample"),
    "family": ("family", "topic", "category"),
    "origin": ("origin",),
    "title": ("title",),
    "count": ("count",),
}
_CAPS = {
    "definition": MAX_DEFINITION,
    "positive": MAX_ILLUSTRATION,
    "negative": MAX_ILLUSTRATION,
    "family": MAX_NAME,
    "title": MAX_NAME,
}
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class SkillList:
    """The skills of a file in its order, and (text, code) of every entry that is none; `CODES` explains the codes."""

    skills: list[LanguageSkill]
    rejects: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry as it stands in the file: `fields` by our names, values of any kind."""

    fields: Mapping[str, Any]

    @property
    def shown(self) -> str:
        text = str(self.fields.get("name"))
        return text.encode("utf-8", "replace").decode()


def read_skills(path: Path, origin: str | None = None) -> SkillList:
    """Return the skills of a file with canonical names, each once, and the entries that left.

    .txt and .md: one a line, "name: definition" split, topic headers become the family of what follows. .csv and .tsv:
    columns name (or skill), definition, positive, negative, family, count; or one column without a header. .jsonl,
    .json, .yaml: strings or objects with those keys, or {family: [...]}, or {name: definition}. .parquet: as .csv.
    `origin` is the file's name unless said, or said by the entry itself.
    Raises UserError for a file that cannot be read as such, and for one that has no skill.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path} is no list of skills by its suffix '{path.suffix}'{nearest(path.suffix, _READERS)}")
    entries = list(reader(path, _content(path)))
    found = _collect(entries, path.name if origin is None else origin, force=origin is not None)
    if not found.skills:
        raise UserError(f"{path} has no usable skill: {_why(found.rejects)}; write one a line, or a column 'name'")
    return found


def shipped_skills() -> SkillList:
    """Return the shipped list."""
    return read_skills(prompts_folder() / "lists" / "skills.yaml", "shipped")


def listed_skills(place: Path | None) -> SkillList:
    """Return the skills of a file, of a folder that an extraction wrote, or without any the shipped ones."""
    if place is None:
        return shipped_skills()
    return read_skills(place / "skills.jsonl" if place.is_dir() else place)


def write_skills(skills: Iterable[LanguageSkill], path: Path) -> None:
    """Write the skills as JSON lines, which `read_skills` gives back, whole or not at all."""
    lines = (json.dumps(skill.as_row(), ensure_ascii=False) + "\n" for skill in skills)
    try:
        replace_file(path, "".join(lines).encode())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error


def joined(first: LanguageSkill, second: LanguageSkill) -> LanguageSkill:
    """Return the first with the counts of both; definition, illustrations and family it lacks are the second's."""
    given = {field: getattr(first, field) or getattr(second, field) for field in _CAPS}
    return replace(first, count=first.count + second.count, **given)


def _why(rejects: list[tuple[str, str]]) -> str:
    codes = Counter(code for _, code in rejects)
    return ", ".join(f"{n} x {code} ({CODES[code]})" for code, n in codes.most_common()) or "it is empty"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        beside = [p.name for p in path.parent.iterdir() if p.suffix in _READERS] if path.parent.is_dir() else []
        raise UserError(f"{path}: no such file{nearest(path.name, beside)}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


# What becomes of the entries.


def _collect(entries: list[_Entry], origin: str, *, force: bool) -> SkillList:
    """Return the skills and rejects of entries; a header's family holds until the next header."""
    skills: dict[str, LanguageSkill] = {}
    rejects: list[tuple[str, str]] = []
    family = ""
    capitals = not _mostly_capitals(entries)
    for entry in entries:
        code = _reject(entry, capitals=capitals)
        if code == "header":
            family = _topic(entry.shown)
        if code is None:
            skill = _skill(entry.fields, family, origin, force=force)
            code = "duplicate" if skill.name in skills else None
            skills[skill.name] = joined(skills[skill.name], skill) if code else skill
        if code is not None:
            rejects.append((entry.shown, code))
    return SkillList(list(skills.values()), rejects)


def _mostly_capitals(entries: list[_Entry]) -> bool:
    """Return whether capitals are how this list writes its skills, and so no sign of a header."""
    shouted = sum(entry.shown.isupper() for entry in entries)
    return shouted * 2 > len(entries)


def _topic(line: str) -> str:
    """Return the family that a header names: "Topic 3: Clear writing" gives clear_writing."""
    text = strip_bullet(line).strip("=~*_-[] ").rstrip(":：")
    before, _, after = text.partition(":")
    return skill_name(after if after.strip() and len(before.split()) <= 2 else text)[:MAX_NAME]


def _reject(entry: _Entry, *, capitals: bool) -> str | None:
    """Return the code of the first thing that keeps the entry from being a skill, or None."""
    fields = entry.fields
    name = fields.get("name")
    texts = [name, *(fields.get(field) or "" for field in _CAPS)]
    if not all(_is_text(text) for text in texts) or not isinstance(fields.get("origin") or "", str):
        return "empty" if name is None else "not_text"
    if not fields.get("definition") and is_header(str(name), capitals=capitals):
        return "header"
    if not str(name).strip():
        return "empty"
    if not any(map(str.isalpha, str(name))):
        return "not_text"
    canonical = skill_name(str(name))
    long = len(canonical) > MAX_NAME or any(len(fields.get(field) or "") > cap for field, cap in _CAPS.items())
    if not canonical or long:
        return "too_long" if canonical else "empty"
    return "bad_count" if _count(fields.get("count")) is None else None


def _is_text(value: object) -> bool:
    """Return whether the value is a string that can be written down (half a surrogate pair cannot)."""
    return isinstance(value, str) and value.encode("utf-8", "replace").decode() == value and "\0" not in value


def _count(value: object) -> int | None:
    if value is None or value == "":
        return 1
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        count = float(value)
    except ValueError:
        return None
    return int(count) if count >= 1 and count == count // 1 and count < 2**53 else None


def _skill(fields: Mapping[str, Any], family: str, origin: str, *, force: bool) -> LanguageSkill:
    return LanguageSkill(
        name=skill_name(fields["name"]),
        definition=" ".join((fields.get("definition") or "").split()),
        positive=(fields.get("positive") or "").strip(),
        negative=(fields.get("negative") or "").strip(),
        family=(fields.get("family") or family).strip(),
        origin=origin if force or fields.get("origin") is None else fields["origin"],
        count=_count(fields.get("count")) or 1,
        title=title_of(fields.get("title") or fields["name"]),
    )


# The formats.


def _text(path: Path, data: bytes) -> str:
    if b"\0" in data:
        raise UserError(f"{path} is binary, not text; save the list as UTF-8 text")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} in line {line}; save it as UTF-8"
        ) from error


def _lines(path: Path, data: bytes) -> Iterator[_Entry]:
    for line in _text(path, data).splitlines():
        if line.strip():
            yield _line(line.strip())


def _line(line: str) -> _Entry:
    if is_header(line, capitals=False):
        return _Entry({"name": line})
    label, definition = split_label(line)
    return _Entry({"name": label, "definition": definition} if definition else {"name": line})


def _separated(path: Path, data: bytes) -> Iterator[_Entry]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        rows = [row for row in csv.reader(io.StringIO(_text(path, data), newline=""), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise UserError(f"{path} cannot be read as a table: {error}; quote what holds commas or line ends") from error
    header = [cell.strip() for cell in rows[0]] if rows else []
    if any(cell.lower() in _ALIASES["name"] for cell in header):
        return (_entry(dict(zip(header, row, strict=False))) for row in rows[1:])
    if all(len(row) == 1 for row in rows):
        return (_Entry({"name": row[0]}) for row in rows)
    raise _no_name(path, header)


def _parquet(path: Path, data: bytes) -> Iterator[_Entry]:
    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise UserError(f"{path} cannot be read as Parquet: {str(error).strip().partition(chr(10))[0]}") from error
    if not any(name.lower() in _ALIASES["name"] for name in frame.columns):
        raise _no_name(path, frame.columns)
    return (_entry(row) for row in frame.iter_rows(named=True))


def _json_lines(path: Path, data: bytes) -> Iterator[_Entry]:
    lines = enumerate(_text(path, data).split("\n"), start=1)  # not splitlines(): U+2028 may stand inside a string
    return _values(path, [_parsed(f"{path}, line {number}", line) for number, line in lines if line.strip()])


def _json(path: Path, data: bytes) -> Iterator[_Entry]:
    text = _text(path, data)
    return _values(path, _parsed(str(path), text) if text.strip() else [])


def _parsed(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON ({error})") from error


def _yaml(path: Path, data: bytes) -> Iterator[_Entry]:
    try:
        return _values(path, yaml.safe_load(_text(path, data)) or [])
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error


def _values(path: Path, value: Any) -> Iterator[_Entry]:
    """Return the entries of what JSON or YAML holds."""
    if isinstance(value, dict) and isinstance(value.get("skills"), list | dict):
        value = value["skills"]
    if not isinstance(value, list | dict):
        raise UserError(f"{path} holds one {type(value).__name__}, not a list of skills or an object of them")
    entries = _listed(value) if isinstance(value, list) else _mapped(value)
    objects = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    if objects and len(objects) == len(value) and not any("name" in _ours(item) for item in objects):
        raise _no_name(path, [str(key) for key in objects[0]])
    return iter(entries)


def _listed(values: Iterable[Any], family: str = "") -> list[_Entry]:
    entries = [_entry(value) if isinstance(value, dict) else _Entry({"name": value}) for value in values]
    return [_Entry({"family": family, **entry.fields}) for entry in entries] if family else entries


def _mapped(values: Mapping[Any, Any]) -> list[_Entry]:
    entries: list[_Entry] = []
    for key, value in values.items():
        if isinstance(value, list):
            entries += _listed(value, skill_name(str(key)))
        elif isinstance(value, dict):
            entries.append(_Entry({"name": key, **_ours(value)}))
        else:
            entries.append(_Entry({"name": key, "definition": value}))
    return entries


def _entry(fields: Mapping[Any, Any]) -> _Entry:
    return _Entry({"name": None, **_ours(fields)})


def _ours(fields: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the fields by our names; the first alias that is there counts, and what we do not know is left out."""
    given = {str(key).strip().lower(): value for key, value in fields.items()}
    found = ((ours, next((alias for alias in aliases if alias in given), None)) for ours, aliases in _ALIASES.items())
    return {ours: given[alias] for ours, alias in found if alias is not None}


def _no_name(path: Path, columns: Iterable[str]) -> UserError:
    there = ", ".join(str(column)[:_SHOWN] for column in list(columns)[:20])
    return UserError(f"{path} has no column 'name' (or 'skill'); its columns: {there}; rename the one with the skills")


_READERS: dict[str, Callable[[Path, bytes], Iterator[_Entry]]] = {
    ".txt": _lines,
    ".md": _lines,
    ".csv": _separated,
    ".tsv": _separated,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".parquet": _parquet,
}
SUFFIXES = tuple(_READERS)
"""The suffixes of files that can be read."""
