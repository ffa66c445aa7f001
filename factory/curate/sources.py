"""The sources of a curation as ROWS: shards of 50,000 places in input order, each an artifact, made once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from factory.artifacts.digest import digest
from factory.artifacts.store import Artifact, Store
from factory.curate.columns import (
    IDS_AT_ONCE,
    TOLD_NUMBERS,
    USUAL,
    RowColumns,
    Taken,
    choose_columns,
    made_ids,
    require_numbers,
    rows_from,
)
from factory.curate.locate import find_files, name_of
from factory.curate.read_rows import DataFile, Fault, first_block, names_of, read_blocks
from factory.errors import UserError
from factory.strict import Strict
from schemas.columns import REASONS
from schemas.curation import ROWS

SHARD_ROWS = IDS_AT_ONCE
STAGE = "rows"
VERSION = 1  # bump it when the same files give other rows
LISTING = "row-sources"
GATE, READABLE = "read", "row_readable"


class RowSource(Strict):
    """Rows that are curated: files, a dataset on the Hub, or a release."""

    path: str = Field(
        min_length=1,
        description="A .jsonl, .ndjson, .json (lines), .csv, .tsv or .parquet file, .gz and .zst too; a folder or "
        "pattern of such; hub:ORG/NAME[/FOLDER][@REVISION]; a release: its folder, or NAME[@VERSION].",
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$",
        description="What the source is called; the stem of the path if nobody says.",
    )
    split: str | None = Field(default=None, description="Which split of a folder, dataset or release; default: train.")
    config: str | None = Field(default=None, description="Which config of a release (default: sft) or Hub dataset.")
    columns: RowColumns = Field(
        default=RowColumns(),
        description="Which columns are what; the usual ones are found, in JSON lines by the rows at the beginning.",
    )

    @property
    def label(self) -> str:
        """Return what the source is called."""
        return self.name or name_of(self.path)


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source whose files are there, digested, and whose columns are known; nothing else of it has been read."""

    name: str
    path: str
    files: tuple[DataFile, ...]
    digest: str  # of the files' contents and what was taken of them
    taken: Taken
    watched: tuple[str, ...] = ()  # columns that would be taken too, had the beginning of its JSON lines had them


@dataclass(frozen=True, slots=True)
class ReadSource:
    """A source that was read: its places in the whole input are `first` to `first + places`."""

    source: OpenSource
    first: int
    places: int
    artifacts: tuple[Artifact, ...]
    own_ids: bool  # ids are those of its column; else made from the source's name and the place
    notes: tuple[str, ...]  # what was taken and what was not, for the report

    @property
    def rows(self) -> int:
        """Return how many rows could be read."""
        return sum(artifact.rows for artifact in self.artifacts)

    @property
    def unreadable(self) -> int:
        """Return how many could not."""
        return sum(artifact.rejects for artifact in self.artifacts)


def read_shards(sources: Sequence[RowSource], base: Path, store: Store, out: Path) -> Iterator[Artifact]:
    """Yield the sources as artifacts of ROWS, SHARD_ROWS places each, in input order; see `read_sources`."""
    for source in read_sources(sources, base, store, out):
        yield from source.artifacts


def read_sources(sources: Sequence[RowSource], base: Path, store: Store, out: Path) -> list[ReadSource]:
    """Return the sources after all their rows are in artifacts, read now or by an earlier run.

    The files are digested each time; what was read of the same bytes before is not read again. Lines that are no row
    are rejects (`row_readable`); rows and rejects together are the lines that are not blank. An id column counts if it
    names every row of all sources once; else ids are made from the source's name and the place.
    UserError for whatever the user can mend: see `find_files`, `choose_columns`, `read_blocks`.
    """
    done: list[ReadSource] = []
    for opened in open_sources(sources, base, out):
        first = done[-1].first + done[-1].places if done else 0
        done.append(_found(opened, first, done, store) or _read(opened, first, done, store))
    return done


def open_sources(sources: Sequence[RowSource], base: Path, out: Path) -> list[OpenSource]:
    """Return the sources with their files found and digested and their columns chosen."""
    labels = [source.label for source in sources]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise UserError(f"two sources are called '{twice}'; give each a `name` of its own")
    return [_open(source, base, out) for source in sources]


def _open(source: RowSource, base: Path, out: Path) -> OpenSource:
    files = find_files(source.path, source.split, source.config, base, out)
    named = [(file, names) for file in files if (names := names_of(file)) is not None]
    if not named:
        raise UserError(f"{source.path} has no rows: nothing to curate")
    first, names = named[0]
    taken = choose_columns(first.label, names, source.columns)
    for file, there in named[1:]:
        if file.format != "json" and (gone := next((name for name in taken.columns if name not in there), None)):
            raise UserError(f"{file.label} has no column '{gone}', which {first.label} has")
    numbers = [taken.known[name] for name in TOLD_NUMBERS if name in taken.known]
    if numbers and (block := first_block(first, numbers)) is not None:
        require_numbers(first.label, taken, block.columns)
    kept = tuple(file for file, _ in named)
    return OpenSource(
        source.label, source.path, kept, content_of(kept, taken), taken, _watched(first, names, source.columns)
    )


def _watched(file: DataFile, names: Sequence[str], told: RowColumns) -> tuple[str, ...]:
    """Return the columns that rows further down may have and that would be taken, were they in these names."""
    if file.format != "json":
        return ()
    absent = [name for name in USUAL if name not in names]
    return tuple(name for name in absent if name in choose_columns(file.label, [*names, name], told).columns)


def content_of(files: Sequence[DataFile], taken: Taken) -> str:
    """Return the digest of the files' bytes and of what is taken of them."""
    return digest(files=[[file.path.name, _sha256(file)] for file in files], taken=taken.content)


def _sha256(file: DataFile) -> str:
    try:
        with file.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{file.label} cannot be read: {error.strerror or error}") from error


# ------------------------------------------------------------------------------------------------- what was read before


def _listing_key(opened: OpenSource, first: int, done: Sequence[ReadSource]) -> str:
    named = [before.source.digest for before in done] if opened.taken.id else []  # whose ids may not come again
    return digest(**_content(opened, first), named=named)


def _content(opened: OpenSource, first: int) -> dict[str, Any]:
    return {
        "version": VERSION,
        "schema": [ROWS.name, ROWS.version],
        "source": opened.digest,
        "name": opened.name,
        "first": first,
    }


def _shard_key(opened: OpenSource, first: int, shard: int, own_ids: bool) -> str:
    return digest(**_content(opened, first), shard=shard, own_ids=own_ids)


def _found(opened: OpenSource, first: int, done: Sequence[ReadSource], store: Store) -> ReadSource | None:
    """Return the source as an earlier run read it, if all of it is still there."""
    listing = store.find(LISTING, _listing_key(opened, first, done))
    if listing is None:
        return None
    said = listing.read().row(0, named=True)
    keys = [_shard_key(opened, first, shard, said["own_ids"]) for shard in range(said["shards"])]
    artifacts = [artifact for key in keys if (artifact := store.find(STAGE, key)) is not None]
    if len(artifacts) < len(keys):
        return None
    notes = (opened.taken.describe(), *([said["why"]] if said["why"] else []))
    return ReadSource(opened, first, said["places"], tuple(artifacts), said["own_ids"], notes)


# ------------------------------------------------------------------------------------------------------------- reading


@dataclass(slots=True)
class _Ids:
    """The hashes of all ids so far. Polars' own hash will do: they are compared here and now, and not kept."""

    seen: list[pl.Series] = field(default_factory=list)

    def add(self, ids: pl.Series) -> None:
        self.seen.append(ids.hash())

    def differ(self) -> bool:
        return not self.seen or not pl.concat(self.seen).is_duplicated().any()


def _read(opened: OpenSource, first: int, done: Sequence[ReadSource], store: Store) -> ReadSource:
    """Return the source after its shards and its listing are committed."""
    remarks: list[str] = []
    late: set[str] = set()
    artifacts = None
    if opened.taken.id:
        ids = _Ids()
        for before in done:
            for artifact in before.artifacts:
                ids.add(artifact.read(["id"])["id"])
        artifacts = _commit_shards(opened, first, ids, store, late)
        if artifacts is None:
            remarks.append(f"the column '{opened.taken.id}' does not name each row once: ids are made from the places")
    own_ids = artifacts is not None
    if artifacts is None:
        artifacts = _commit_shards(opened, first, None, store, late) or []
    places = sum(artifact.rows + artifact.rejects for artifact in artifacts)
    if not places:
        raise UserError(f"{opened.path} has no rows: nothing to curate")
    if late:
        named = ", ".join(f"'{name}'" for name in opened.watched if name in late)
        remarks.append(f"{named} not taken: no row at the beginning has it; put one that has it first")
    why = "; ".join(remarks)
    listing = pl.DataFrame({"shards": [len(artifacts)], "places": [places], "own_ids": [own_ids], "why": [why]})
    store.commit(LISTING, _listing_key(opened, first, done), listing, listing[:0], {"stage": LISTING})
    notes = (opened.taken.describe(), *([why] if why else []))
    return ReadSource(opened, first, places, tuple(artifacts), own_ids, notes)


def _commit_shards(
    opened: OpenSource, first: int, ids: _Ids | None, store: Store, late: set[str]
) -> list[Artifact] | None:
    """Return the artifacts of all shards; None when `ids` are given and the source's own do not name each row once.

    `late` gets the names of the watched columns that some row has.
    """
    artifacts = []
    for shard, (rows, faults) in enumerate(_shards(opened, late)):
        at = shard * SHARD_ROWS
        made = made_ids(opened.name, at, rows.height + faults.height)
        if ids is None:
            rows = rows.with_columns(id=made.gather(rows["place"] - at))
        elif (rows["id"] == "").any() or rows["id"].is_duplicated().any():
            return None
        else:
            ids.add(rows["id"])
        rejects = _rejects(faults, made.gather(faults["place"] - at))
        rows = rows.with_columns(row=pl.col("place") + first).select(*ROWS.columns)
        ROWS.check(rows)
        key = _shard_key(opened, first, shard, ids is not None)
        about = {"stage": STAGE, "version": VERSION, "source": opened.name}
        artifacts.append(store.find(STAGE, key) or store.commit(STAGE, key, rows, rejects, about))
    return artifacts if ids is None or ids.differ() else None


def _rejects(faults: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    reason = pl.struct(gate=pl.lit(GATE), code=pl.lit(READABLE), detail="detail", twin=pl.lit(None, dtype=pl.String))
    return faults.select(ids.alias("id"), reasons=pl.concat_list(reason).cast(REASONS))


_FAULTS = {"place": pl.Int64, "detail": pl.String}


def _shards(opened: OpenSource, late: set[str]) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield (rows, faults) of SHARD_ROWS places at a time; both have `place`, from 0 in the source."""
    held: list[tuple[pl.DataFrame, pl.DataFrame]] = []
    end, border = 0, SHARD_ROWS
    for rows, faults, end in _blocks(opened, late):
        held.append((rows, faults))
        while end >= border:
            whole = _together(held)
            yield _below(whole[0], border), _below(whole[1], border)
            held = [(_from(whole[0], border), _from(whole[1], border))]
            border += SHARD_ROWS
    if end > border - SHARD_ROWS:
        yield _together(held)


def _together(held: Sequence[tuple[pl.DataFrame, pl.DataFrame]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    return pl.concat([rows for rows, _ in held]), pl.concat([faults for _, faults in held])


def _below(frame: pl.DataFrame, border: int) -> pl.DataFrame:
    return frame.filter(pl.col("place") < border)


def _from(frame: pl.DataFrame, border: int) -> pl.DataFrame:
    return frame.filter(pl.col("place") >= border)


def _blocks(opened: OpenSource, late: set[str]) -> Iterator[tuple[pl.DataFrame, pl.DataFrame, int]]:
    """Yield (rows, faults, how many places there were so far) of each block of the source's files."""
    end = 0
    for file in opened.files:
        for block in read_blocks(file, [*opened.taken.columns, *opened.watched]):
            late |= {name for name in opened.watched if any(value not in (None, "") for value in block.columns[name])}
            rows = rows_from(opened.taken, block.columns, opened.name)
            rows = rows.with_columns(pl.Series("place", block.places() + end, dtype=pl.Int64))
            yield rows, _faults(file, block.faults, end), end + block.height
            end += block.height


def _faults(file: DataFile, faults: Sequence[Fault], end: int) -> pl.DataFrame:
    cells: Mapping[str, Any] = {
        "place": np.array([place for place, _ in faults], dtype=np.int64) + end,
        "detail": [f"{file.path.name}, {detail}" for _, detail in faults],
    }
    return pl.DataFrame(cells, schema=_FAULTS)
