"""A job file as it lies on disk: found by name or path, read safely, changed by overrides; not checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from factory.errors import UserError, nearest
from factory.teacher.model import redirected

Overrides: TypeAlias = Mapping[str, Any] | Sequence[str]


def shipped_folder() -> Path:
    """Return the folder of the shipped jobs: beside the code in a checkout, in factory/_data in a wheel."""
    here = Path(__file__).resolve().parent.parent
    packaged = here / "_data" / "jobs"
    return packaged if packaged.is_dir() else here.parent / "flows" / "jobs"


def shipped_jobs() -> dict[str, Path]:
    """Return the shipped jobs by name."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}


def read_job(
    reference: str, overrides: Overrides = (), teacher: str | None = None, model: str | None = None
) -> tuple[Any, Path]:
    """Return the YAML of a job of any kind with its overrides, not checked yet, and the file that it is from."""
    path = _job_path(reference)
    raw = _read_yaml(path)
    if (teacher or model) and isinstance(raw, dict):
        raw["teacher"] = redirected(raw.get("teacher"), teacher, model)
        if raw["teacher"].get("kind") == "fake":
            raw.pop("judge", None)
    pairs = overrides.items() if isinstance(overrides, Mapping) else [_split_override(text) for text in overrides]
    for key, value in pairs:
        _override(raw, key, _from_here(value) if _is_path(key) else value)
    return raw, path


# Keys whose paths start at the job file; one that is said on the command line starts where the command runs.
PATHS: tuple[str, ...] = (
    "seeds.path",
    "skills.path",
    "skills.rows",
    "skills.documents",
    "skills.profile",
    "documents.path",
    "instructions.path",
)


# Of `kind: curate`, where these stand in lists.
LISTED_PATHS = re.compile(r"(sources|decontaminate\.benchmarks)\.\d+\.path")


def _is_path(key: str) -> bool:
    return key in PATHS or LISTED_PATHS.fullmatch(key) is not None


def _from_here(value: Any) -> Any:
    """Return a path as it is meant on a command line: from where the command runs."""
    if not isinstance(value, str) or not value or value.startswith("hub:"):
        return value
    path = Path(value).expanduser()
    return os.path.abspath(path) if path.exists() else value


def _job_path(reference: str) -> Path:
    shipped = shipped_jobs()
    if reference in shipped:
        return shipped[reference]
    path = Path(reference)
    if path.suffix not in (".yaml", ".yml"):
        raise UserError(
            f"there is no shipped job '{reference}'{nearest(reference, shipped)}, and it is not a .yaml file"
        )
    if not path.is_file():
        raise UserError(f"job file {reference} does not exist; `factory new NAME` writes one")
    return path


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key written twice, where YAML would silently keep the last."""


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        name = loader.construct_object(key, deep=True)
        if not isinstance(name, (str, int, float, bool)):
            raise UserError(f"line {key.start_mark.line + 1}: a key must be a word, found {name!r}")
        if name in seen:
            raise UserError(f"line {key.start_mark.line + 1}: the key '{name}' is written twice")
        seen.add(name)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_bytes().decode("utf-8"), Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except UnicodeDecodeError as error:
        raise UserError(f"job file {path} is not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise UserError(f"job file {path} cannot be read: {error.strerror}") from None
    except UserError as error:
        raise UserError(f"job file {path}: {error}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: such as a 13th month
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        too_deep = isinstance(error, RecursionError)
        problem = "it is nested too deeply" if too_deep else getattr(error, "problem", None) or error
        raise UserError(f"job file {path} is not valid YAML{line}: {problem}") from None


def _split_override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[a-z_]+(\.[a-z_0-9]+)*", key):
        raise UserError(f"--set wants key=value, such as rows=200 or release.version=1.0.1; found {text!r}")
    try:
        return key, yaml.safe_load(value)
    except (yaml.YAMLError, RecursionError, ValueError):
        raise UserError(f"--set {key}: the value {value!r} is not valid YAML") from None


def _override(raw: Any, key: str, value: Any) -> None:
    *path, last = key.split(".")
    place = raw
    for part in path:
        if isinstance(place, list):
            if not part.isdigit() or int(part) >= len(place):
                raise UserError(f"--set {key}: '{part}' is not a line of the list (0 to {len(place) - 1})")
            place = place[int(part)]
        elif isinstance(place, dict):
            place = place.setdefault(part, {})
    if not isinstance(place, dict):
        raise UserError(f"--set {key}: there is nothing called '{'.'.join(path) or key}' to set it in")
    place[last] = value
