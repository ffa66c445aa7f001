"""The seeds of a job: which rows of the user's file are usable, and the bank that recipes take them from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from factory.artifacts.digest import text_digest
from factory.artifacts.stage import Stage, apply
from factory.artifacts.store import Artifact, Store
from factory.errors import UserError
from factory.jobs.model import SeedSource
from factory.recipes.recipe import SeedProblem
from factory.seeds.key_number import key_number, numeric_answer
from factory.seeds.read import read_seeds, seed_reasons
from schemas.columns import REASONS
from schemas.seeds import RAW_SEEDS, SEEDS

HELD_OUT_EVERY = 10


def screen(frame: pl.DataFrame, params: Mapping[str, Any]) -> pl.DataFrame:
    """Return the seeds with their numeric answers and key numbers; a reason on each that chains cannot use."""
    first: dict[str, str] = {}
    rows = []
    for id_, row, question, answer in frame.select(*RAW_SEEDS.columns).iter_rows():
        code, twin = seed_reasons(question, answer), None
        if code is None and (twin := first.setdefault(" ".join(question.casefold().split()), id_)) != id_:
            code = "question_is_new"
        key = key_number(question) if code is None else None
        number = numeric_answer(answer) if code is None else None
        place = (key.value, key.start, key.end) if key else (None, None, None)
        reasons = [] if code is None else [
            {"gate": "seeds", "code": code, "detail": f"row {row}", "twin": twin if code == "question_is_new" else None}
        ]  # fmt: skip
        rows.append((id_, row, question or "", number, worked_solution(answer or ""), *place, reasons))
    return pl.DataFrame(rows, schema={**SEEDS.columns, "reasons": REASONS}, orient="row")


def worked_solution(answer: str) -> str:
    """Return what a GSM8K-style answer says before its ####, on one line, without calculator marks; else ''."""
    work, mark, _ = answer.rpartition("####")
    return " ".join(re.sub(r"<<[^<>]*>>", "", work).split()) if mark else ""


SCREEN = Stage("seeds", 1, RAW_SEEDS, SEEDS, screen)


def import_seeds(source: SeedSource, base: Path, store: Store) -> Artifact:
    """Return the artifact of the usable seeds of a user's file; UserError when there is none."""
    raw = read_seeds(
        source.path, {str(ours): theirs for ours, theirs in source.columns.items()}, base=base, split=source.split
    )
    if "id" not in raw.columns:  # a name that leads back to the file
        ids = [f"row{row}-{text_digest(str(question))[:10]}" for row, question in raw.select("row", "question").rows()]
        raw = raw.with_columns(id=pl.Series(ids, dtype=pl.String))
    raw = raw.select(*RAW_SEEDS.columns).cast(pl.Schema(RAW_SEEDS.columns))
    content = text_digest(raw.write_ndjson())
    key = SCREEN.key([content], {}, {})
    seeds = store.find(SCREEN.name, key) or apply(SCREEN, raw, {}, store, key)
    if not seeds.rows:
        codes = seeds.read_rejects().explode("reasons")["reasons"].struct.field("code").value_counts(sort=True)
        why = ", ".join(f"{code}: {n}" for code, n in codes.iter_rows())
        raise UserError(
            f"seeds {source.path}: none of {raw.height} rows can be used ({why}); a row needs a question with a"
            " stand-alone whole number and an answer that is one whole number"
        )
    return seeds


class SeedBank:
    """The usable seeds by id; cheap to send to a worker, read there once."""

    def __init__(self, artifact: Artifact) -> None:
        self._path = artifact.folder / "rows.parquet"
        self._identity = artifact.digest

    @property
    def identity(self) -> str:
        """Return the digest of the seeds."""
        return self._identity

    def ids(self, split: str) -> Sequence[str]:
        """Return the ids a split may use: of ten in hash order, the first is held out."""
        order = sorted(_read(self._path, self._identity), key=text_digest)
        return [id_ for i, id_ in enumerate(order) if (i % HELD_OUT_EVERY == 0) == (split == "heldout")]

    def get(self, id_: str) -> SeedProblem:
        """Return the seed of an id."""
        return _read(self._path, self._identity)[id_]


@cache
def _read(path: Path, identity: str) -> dict[str, SeedProblem]:
    frame = pl.read_parquet(path)
    columns = ("id", "question", "answer", "work", "key", "start", "end")
    return {row[0]: SeedProblem(*row) for row in frame.select(columns).iter_rows()}
