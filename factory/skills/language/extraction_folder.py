"""What an extraction leaves on disk: seven files in one folder, there whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from factory.artifacts.store import sync_folder, write_bytes
from factory.errors import UserError
from factory.skills.language.extract import Extracted, QueryType

SKILLS, MERGES, LABELS = "skills.jsonl", "merges.csv", "labels.jsonl"
QUERY_TYPES, ROUNDS, REJECTS = "query-types.yaml", "rounds.json", "rejects.jsonl"
CONFIRMATIONS = "confirmations.jsonl"
FILES = (SKILLS, MERGES, CONFIRMATIONS, LABELS, QUERY_TYPES, ROUNDS, REJECTS)


def require_place(folder: Path) -> None:
    """Raise UserError where an extraction cannot be written: a file, or a folder that holds no earlier one."""
    if folder.is_dir():
        there = set(os.listdir(folder))
        if there and ROUNDS not in there:
            raise UserError(
                f"the folder {folder} holds {', '.join(sorted(there)[:3])} and no extraction; choose another with --out"
            )
    elif os.path.lexists(folder):
        raise UserError(f"{folder} is a file; choose a folder with --out")


def write_extraction(found: Extracted, folder: Path, about: Mapping[str, Any]) -> None:
    """Put the files in place of those of an earlier extraction; `about` joins the rounds in rounds.json.

    Other files that lie beside them, such as a picture of the graph, stay.
    """
    require_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    fresh.mkdir()
    try:
        for name, data in _files(found, about).items():
            write_bytes(fresh / name, data)
        sync_folder(fresh)
        _swap(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _swap(fresh: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}-old-{secrets.token_hex(4)}")
    if folder.is_dir():
        folder.rename(old)
        for other in set(os.listdir(old)) - set(FILES):
            (old / other).rename(fresh / other)
    fresh.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _files(found: Extracted, about: Mapping[str, Any]) -> dict[str, bytes]:
    rounds = {**about, "rounds": [entry.as_row() for entry in found.rounds]}
    return {
        SKILLS: _json_lines(skill.as_row() for skill in found.skills),
        MERGES: found.merges.write_csv().encode(),
        CONFIRMATIONS: _json_lines(asdict(said) for said in found.confirmations),
        LABELS: _json_lines(found.labels.iter_rows(named=True)),
        QUERY_TYPES: _query_types(found.query_types),
        ROUNDS: f"{json.dumps(rounds, ensure_ascii=False, indent=1)}\n".encode(),
        REJECTS: _json_lines(asdict(reject) for reject in found.rejects),
    }


def _query_types(kinds: Sequence[QueryType]) -> bytes:
    said = [{"name": k.name, "definition": k.definition, "examples": list(k.examples)} for k in kinds]
    return str(yaml.safe_dump({"version": 1, "query_types": said}, sort_keys=False, allow_unicode=True)).encode()


def _json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(f"{json.dumps(row, ensure_ascii=False)}\n".encode() for row in rows)
