"""Documents and instructions that a user brings: read, screened, cut into passages, held apart by split."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import polars as pl

from factory.artifacts.digest import text_digest
from factory.artifacts.stage import Stage, apply
from factory.artifacts.store import Artifact, Store
from factory.errors import MissingColumn, UserError, nearest
from factory.jobs.model import DocumentSource, InstructionSource
from factory.recipes.recipe import Document, Instruction
from factory.seeds.bank import HELD_OUT_EVERY
from factory.seeds.read import read_table
from schemas.columns import REASONS
from schemas.texts import DOCUMENTS, INSTRUCTIONS, RAW_TEXTS

PASSAGE = 4_000  # characters of a passage at most
LEAST = 200  # characters of a document: less gives nothing to ask about
PASSAGES = 50  # of one document; what comes after them is left out, with a reason
LONGEST = 8_000  # characters of an instruction
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ufffd]")
BINARY_SHARE = 0.01  # of control characters: a text file hardly has one
SUFFIXES = (".txt", ".md")


def reason_of(text: str | None, least: int) -> str | None:
    """Return why a text cannot be used: empty, binary or too short; None where it can."""
    if text is None or not text.strip():
        return "text_present"
    if len(CONTROL.findall(text)) > len(text) * BINARY_SHARE:
        return "text_not_binary"
    return "text_not_too_short" if len(text.strip()) < least else None


def passages(text: str) -> list[str]:
    """Return a text in passages of at most PASSAGE characters, cut between paragraphs, else sentences, else words."""
    parts = [text.strip()]
    for border in ("\n\n", "\n", ". ", " "):
        parts = [piece for part in parts for piece in (_split(part, border) if len(part) > PASSAGE else [part])]
    whole = [part[i : i + PASSAGE] for part in parts for i in range(0, len(part), PASSAGE)]
    return [part.strip() for part in whole if part.strip()]


def _split(text: str, border: str) -> list[str]:
    out, now = [], ""
    for piece in text.split(border):
        longer = f"{now}{border}{piece}" if now else piece
        if len(longer) > PASSAGE and now:
            out.append(now + (border.rstrip() if border == ". " else ""))
            longer = piece
        now = longer
    return [*out, now]


def _reason(code: str, detail: str, twin: str | None = None) -> list[dict[str, Any]]:
    return [{"gate": "seeds", "code": code, "detail": detail, "twin": twin}]


def cut_documents(frame: pl.DataFrame, params: Mapping[str, Any]) -> pl.DataFrame:
    """Return the passages of documents; a document that gives none carries its reason, and so does a cut-off rest."""
    rows: list[tuple[Any, ...]] = []
    first: dict[str, str] = {}
    for id_, row, text, title in frame.select(*RAW_TEXTS.columns).iter_rows():
        code, twin = reason_of(text, LEAST), None
        if code is None and (twin := first.setdefault(" ".join(text.casefold().split()), id_)) != id_:
            code = "text_is_new"
        if code is not None:
            rows.append((id_, id_, title, "", _reason(code, f"row {row}", twin if code == "text_is_new" else None)))
            continue
        found = passages(CONTROL.sub("", text))
        usable = [passage for passage in found[:PASSAGES] if len(passage) >= LEAST] or found[:1]
        rows += [(f"{id_}#{i}", id_, title, passage, []) for i, passage in enumerate(usable, 1)]
        if len(found) > PASSAGES:
            rows.append((f"{id_}#rest", id_, title, "", _reason("document_not_too_long", f"{len(text)} characters")))
    return pl.DataFrame(rows, schema={**DOCUMENTS.columns, "reasons": REASONS}, orient="row")


def screen_instructions(frame: pl.DataFrame, params: Mapping[str, Any]) -> pl.DataFrame:
    """Return the usable instructions; a reason on each of the others."""
    rows: list[tuple[Any, ...]] = []
    first: dict[str, str] = {}
    for id_, row, text, reference in frame.select(*RAW_TEXTS.columns).iter_rows():
        code, twin = reason_of(text, 1), None
        if code is None and len(text) > LONGEST:
            code = "text_not_too_long"
        if code is None and (twin := first.setdefault(" ".join(text.casefold().split()), id_)) != id_:
            code = "text_is_new"
        reasons = _reason(code, f"row {row}", twin if code == "text_is_new" else None) if code else []
        rows.append((id_, (text or "").strip(), reference or "", reasons))
    return pl.DataFrame(rows, schema={**INSTRUCTIONS.columns, "reasons": REASONS}, orient="row")


CUT = Stage("documents", 1, RAW_TEXTS, DOCUMENTS, cut_documents, row_wise=False)
SCREEN_TEXTS = Stage("instructions", 1, RAW_TEXTS, INSTRUCTIONS, screen_instructions)


def import_documents(source: DocumentSource, base: Path, store: Store) -> Artifact:
    """Return the artifact of the passages of a user's documents: a folder of .txt and .md files, or a table."""
    folder = base / Path(source.path).expanduser()
    keys, table = "documents.column (titles: documents.title)", {"text": source.column}
    is_text = folder.is_dir() or (folder.is_file() and folder.suffix.lower() in SUFFIXES)
    raw = _folder(folder) if is_text else _table(source.path, base, table, source.title, keys)
    return _usable(CUT, raw, store, f"documents {source.path}", f"a text of at least {LEAST} characters")


def import_instructions(source: InstructionSource, base: Path, store: Store) -> Artifact:
    """Return the artifact of the usable instructions of a user's file."""
    keys = "instructions.column (reference answers: instructions.answer_column)"
    raw = _table(source.path, base, {"text": source.column}, source.answer_column, keys)
    return _usable(SCREEN_TEXTS, raw, store, f"instructions {source.path}", "a text")


def text_files(folder: Path) -> list[Path]:
    """Return the .txt and .md files of a folder and of those in it, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def text_of(path: Path) -> str:
    """Return the text of a file, with a mark where it is no UTF-8; enough of them make it binary."""
    try:
        return path.read_bytes().decode("utf-8", errors="replace").removeprefix("\ufeff")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None


def _folder(folder: Path) -> pl.DataFrame:
    found = text_files(folder) if folder.is_dir() else [folder]
    if not found:
        names = [path.name for path in sorted(folder.iterdir())]
        raise UserError(f"the folder {folder} has no {' or '.join(SUFFIXES)} file{nearest('.txt', names)}")
    rows = []
    for i, path in enumerate(found):
        name = path.relative_to(folder).as_posix() if folder.is_dir() else path.name
        rows.append((name, i, text_of(path), path.stem))
    return pl.DataFrame(rows, schema=dict(RAW_TEXTS.columns), orient="row")


def _table(path: str, base: Path, columns: Mapping[str, str], other: str | None, keys: str) -> pl.DataFrame:
    try:
        raw = read_table(path, {**columns, **({"other": other} if other else {})}, base=base)
    except MissingColumn as error:
        raise error.with_remedy(f"say which column it is with {keys}") from None
    ids = [f"row{row}-{text_digest(text or '')[:10]}" for row, text in raw.select("row", "text").iter_rows()]
    other_column = pl.col("other") if other else pl.lit("").alias("other")
    return raw.with_columns(other_column.fill_null(""), id=pl.Series(ids, dtype=pl.String)).select(*RAW_TEXTS.columns)


def _usable(stage: Stage, raw: pl.DataFrame, store: Store, what: str, wanted: str) -> Artifact:
    key = stage.key([text_digest(raw.write_ndjson())], {}, {})
    made = store.find(stage.name, key) or apply(stage, raw, {}, store, key)
    if not made.rows:
        codes = made.read_rejects().explode("reasons")["reasons"].struct.field("code").value_counts(sort=True)
        why = ", ".join(f"{code}: {n}" for code, n in codes.iter_rows())
        raise UserError(f"{what}: none of {raw.height} can be used ({why}); each needs {wanted}")
    return made


T = TypeVar("T")


class TextBank(Generic[T]):
    """The usable texts by id; cheap to send to a worker, read there once. `of` is what their splits go by."""

    def __init__(
        self, artifact: Artifact, make: Callable[..., T], columns: Sequence[str], of: str, *, holds_out: bool
    ) -> None:
        self._path = artifact.folder / "rows.parquet"
        self._identity = artifact.digest
        self._make = make
        self._columns = tuple(columns)
        self._of = of
        self._holds_out = holds_out

    @property
    def identity(self) -> str:
        """Return the digest of the texts and of how they are split."""
        return self._identity if self._holds_out else f"{self._identity}/all"

    def ids(self, split: str) -> Sequence[str]:
        """Return the ids a split may use: of ten documents (or rows) in hash order, the first is held out."""
        return _sides(self._path, self._identity, self._of, self._holds_out)[split == "heldout"]

    def get(self, id_: str) -> T:
        """Return the text of an id."""
        row = _read(self._path, self._identity)[id_]
        return self._make(*(row[name] for name in self._columns))


@cache
def _read(path: Path, identity: str) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in pl.read_parquet(path).iter_rows(named=True)}


@cache
def _sides(path: Path, identity: str, of: str, holds_out: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the ids of train and of heldout, in hash order: every cell of a plan asks for them."""
    rows = _read(path, identity)
    groups = sorted({row[of] for row in rows.values()}, key=text_digest)
    held = set(groups[::HELD_OUT_EVERY]) if holds_out and len(groups) > 1 else set()
    order = sorted(rows, key=text_digest)
    train, heldout = (tuple(i for i in order if (rows[i][of] in held) == side) for side in (False, True))
    return train, heldout


def document_bank(artifact: Artifact, *, holds_out: bool = True) -> TextBank[Document]:
    """Return the bank of documents, split by document, so that no passage of one is on both sides."""
    return TextBank(artifact, Document, ("id", "title", "text"), "document", holds_out=holds_out)


def instruction_bank(artifact: Artifact, *, holds_out: bool = True) -> TextBank[Instruction]:
    """Return the bank of instructions."""
    return TextBank(artifact, Instruction, ("id", "text", "reference"), "id", holds_out=holds_out)
