"""The rows and documents that skills are extracted from, read from files; what is no text leaves with its reason.

Nothing is asked here, so a poor file costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from factory.artifacts.digest import permutation
from factory.errors import MissingColumn, UserError
from factory.seeds.read import read_table
from factory.seeds.texts import CONTROL, SUFFIXES, passages, reason_of, text_files, text_of
from factory.skills.language.extract import Reject
from factory.skills.language.from_rows import Source

MAX_ROW = 20_000  # characters of an instruction; longer ones are documents
MAX_ANSWER = 4_000  # characters of an answer that are shown
MAX_DOCUMENT = 200_000  # characters of a document that are read
DETAILS = {"text_present": "there is no text", "text_not_binary": "it has control characters, or is not UTF-8"}

Fault = tuple[str, str]  # a code, a detail


@dataclass(frozen=True, slots=True)
class Found:
    """What can be labelled, and what cannot."""

    sources: list[Source]
    rejects: list[Reject] = field(default_factory=list)


def read_rows(path: str, columns: Mapping[str, str], most: int) -> Found:
    """Return the rows of a JSONL, CSV or Parquet file, or of a dataset on the Hub (hub:ORG/NAME), at most `most`.

    `columns` maps `text` and perhaps `answer` to the file's columns. Of too many rows a fixed random draw is taken.
    UserError when the file cannot be read as such, or when it has no usable row.
    """
    found = Found([])
    frame = _table(path, columns)
    answers = frame["answer"].to_list() if "answer" in columns else [None] * frame.height
    for i, (text, answer) in enumerate(zip(frame["text"].to_list(), answers, strict=True)):
        id_ = f"{Path(path).name}:{i}"
        if fault := fault_of(text or "", MAX_ROW):
            found.rejects.append(Reject("read", id_, *fault))
        else:
            found.sources.append(Source(id_, _clean(text), _clean(answer or "")[:MAX_ANSWER]))
    return _drawn(_distinct(_require(found, path, "row")), most)


def read_documents(path: str, columns: Mapping[str, str], most: int) -> Found:
    """Return the passages of a .txt or .md file, of all those in a folder, or of a column `text` of a table.

    A document is cut into passages; what lies behind MAX_DOCUMENT characters is left out and noted. Of more than `most`
    passages a fixed random draw is taken. UserError as `read_rows`.
    """
    found = Found([])
    for id_, text in _documents(path, columns):
        if fault := fault_of(text):
            found.rejects.append(Reject("read", id_, *fault))
            continue
        if len(text) > MAX_DOCUMENT:
            detail = f"only the first {MAX_DOCUMENT:,} of {len(text):,} characters are read"
            found.rejects.append(Reject("read", f"{id_}#rest", "document_not_too_long", detail))
        parts = passages(_clean(text[:MAX_DOCUMENT]))
        found.sources.extend(Source(f"{id_}#{i}" if len(parts) > 1 else id_, part) for i, part in enumerate(parts, 1))
    return _drawn(_distinct(_require(found, path, "document")), most)


def fault_of(text: str, most: int | None = None) -> Fault | None:
    """Return the code and the detail of why a text cannot be labelled, or None."""
    code = "text_not_binary" if "\0" in text else reason_of(text, 1)
    if code:
        return code, DETAILS[code]
    if not any(map(str.isalpha, text)):
        return "text_has_words", "there is no letter in it"
    if most and len(text) > most:
        return "text_not_too_long", f"{len(text):,} characters, more than {most:,}: extract from it with --documents"
    return None


def _clean(text: str) -> str:
    return CONTROL.sub("", text).strip()


def _documents(path: str, columns: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of each document."""
    local = Path(os.path.expanduser(path))
    if local.is_dir():
        files = text_files(local)
        if not files:
            raise UserError(f"the folder {path} has no {' or '.join(SUFFIXES)} file: nothing to extract skills from")
        yield from ((file.relative_to(local).as_posix(), text_of(file)) for file in files)
    elif local.suffix.lower() in SUFFIXES and local.is_file():
        yield local.name, text_of(local)
    else:
        texts = _table(path, columns)["text"].to_list()
        yield from ((f"{Path(path).name}:{i}", text or "") for i, text in enumerate(texts))


def _table(path: str, columns: Mapping[str, str]) -> pl.DataFrame:
    try:
        return read_table(path, columns, base=Path())
    except MissingColumn as error:
        raise error.with_remedy("say which one with --column NAME (the answers': --answer-column NAME)") from None


def _require(found: Found, path: str, what: str) -> Found:
    if not found.sources:
        codes = ", ".join(sorted({reject.code for reject in found.rejects})) or "it is empty"
        raise UserError(f"{path} has no {what} to extract skills from ({len(found.rejects)} left out: {codes})")
    return found


def _distinct(found: Found) -> Found:
    """Return each text, with its answer, once; the others are rejects that name the first."""
    first: dict[tuple[str, str], str] = {}
    out = Found([], list(found.rejects))
    for source in found.sources:
        key = (" ".join(source.text.split()), " ".join(source.answer.split()))
        if key in first:
            out.rejects.append(Reject("read", source.id, "row_is_new", f"the same as {first[key]}"))
        else:
            first[key] = source.id
            out.sources.append(source)
    return out


def _drawn(found: Found, most: int) -> Found:
    """Return at most so many sources, drawn without regard to their place, in their order."""
    if len(found.sources) <= most:
        return found
    chosen = sorted(permutation(0, "extract", len(found.sources))[:most].tolist())
    return Found([found.sources[i] for i in chosen], found.rejects)
