"""Verifying a release that may come from a stranger: its bytes, its tables, and every gold from its stored tree.

Nothing in the folder is trusted or evaluated. Rows are read a window at a time; of all rows together only 8-byte
digests of ids, prompts and problems are kept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from factory.errors import UserError
from factory.gates.verify import text_faults
from factory.recipes.registry import RECIPES, task_labels
from factory.release.export import REJECTS, SKILL_COLUMNS, SPLITS
from factory.release.folder import Manifest, read_manifest, verify
from factory.release.printed_functions import Runner
from factory.release.reference import read_facts
from factory.release.stored_files import Files, Unreadable, data_files, digests, rows_of, schema_of, windows
from factory.release.stored_rows import judge_row
from factory.release.views import CURRICULUM, PREFERENCE, PREFERENCE_VIEW, ROW_VIEWS, VIEWS, rebuilt
from factory.skills.library import OPERATIONS, SKILLS
from schemas.samples import SAMPLES
from schemas.turns import TURNS

SHOWN = 100
NAMED = 3
MAX_ROW = 100_000  # bytes of text in a row of one config
Digests = npt.NDArray[np.uint64]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found: `problems` has at most 100 lines, of which the last counts the rest; `checks` counts passes."""

    rows: int
    problems: list[str]
    checks: dict[str, int]
    seconds: float


@dataclass(slots=True)
class Findings:
    """Problems and passes while they are collected."""

    problems: list[str] = field(default_factory=list)
    total: int = 0
    checks: Counter[str] = field(default_factory=Counter)

    def problem(self, text: str) -> None:
        """Add a problem; what a stranger wrote in it cannot move a terminal's cursor."""
        self.total += 1
        if len(self.problems) < SHOWN:
            self.problems.append("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:400]))

    def told(self) -> list[str]:
        """Return at most SHOWN lines."""
        if self.total <= SHOWN:
            return list(self.problems)
        return [*self.problems[: SHOWN - 1], f"and {self.total - SHOWN + 1} more problems"]


@dataclass(slots=True)
class Seen:
    """What is known of all rows so far."""

    rows: int = 0
    prompts: list[Digests] = field(default_factory=list)
    problems: list[Digests] = field(default_factory=list)
    skills: dict[str, set[str]] = field(default_factory=lambda: {split: set() for split in SPLITS})
    parents: dict[str, set[str]] = field(default_factory=lambda: {split: set() for split in SPLITS})


def verify_release(folder: Path, progress: Progress | None = None) -> VerifyReport:
    """Return what does not hold of the release in a folder; `progress` is told the number of rows looked at so far.

    UserError where the folder is no release at all: there is no manifest.json, or it cannot be read.
    """
    start, found, seen = time.perf_counter(), Findings(), Seen()
    manifest, facts = read_manifest(folder), read_facts(folder)
    check_sums(folder, manifest, found)
    files, unknown = data_files(folder, manifest.files)
    for path in unknown:
        found.problem(f"contract: {path!r} is no file of a release")
    try:
        if _check_tables(files, facts, found):
            same_order = _check_ids(files, found)
            _check_copies(files, found)
            _check_turns(files, found)
            _check_rows(files, same_order, seen, found, progress)
        else:
            found.problem("contract: the rows were not checked")
    except (Unreadable, pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        found.problem(f"contract: a file cannot be read, so that not every row was checked: {error}")
    return VerifyReport(seen.rows, found.told(), dict(found.checks), time.perf_counter() - start)


def check_sums(folder: Path, manifest: Manifest, found: Findings) -> None:
    """Find every file that is not as the manifest says."""
    try:
        verify(folder, manifest, "Fetch it again")
        found.checks["checksums"] = len(manifest.files)
    except UserError as error:
        found.problem(f"checksums: {error}")


# ------------------------------------------------------------------------------------------------------- contracts


TABLES: Mapping[str, Mapping[str, pl.DataType]] = {
    "skills": SKILL_COLUMNS, "rejects": REJECTS, "turns": {**TURNS.columns, "accepted": pl.Boolean()}
}  # fmt: skip


@cache
def _contract(config: str) -> Mapping[str, pl.DataType] | None:
    """Return the columns of a config, as its view gives them for samples."""
    if config in TABLES:
        return TABLES[config]
    view = PREFERENCE_VIEW if config == PREFERENCE else VIEWS.get("sft" if config == CURRICULUM else config)
    if view is None:
        return None
    none = pl.DataFrame(schema=dict(SAMPLES.columns)).with_columns(recipe_version=pl.lit(0, dtype=pl.Int64))
    return none.select(view).schema


def _plain(dtype: pl.DataType | None) -> pl.DataType | None:
    """Return a dtype as Parquet keeps it: an enum or a category is text."""
    return pl.String() if isinstance(dtype, pl.Enum | pl.Categorical) else dtype


def _check_tables(files: Files, facts: Mapping[str, Any], found: Findings) -> bool:
    """Return whether every table keeps its contract, so that its rows can be looked at."""
    before = found.total
    for (config, split), paths in files.items():
        contract = _contract(config)
        if contract is None:
            found.problem(f"contract: there is no config {config!r}")
            continue
        wanted = {name: _plain(dtype) for name, dtype in contract.items()}
        for path in paths:
            _check_schema(f"{config}/{split}", wanted, schema_of(path), found)
    for config in VIEWS:
        there = {s for c, s in files if c == config} - ({"mini"} if config in ROW_VIEWS else set())
        if there != set(_splits(files)) or not there:
            found.problem(f"contract: config {config!r} must have the splits of lineage, of {', '.join(SPLITS)}")
    sound = found.total == before
    _check_counts(files, facts, found)
    return sound


def _check_schema(where: str, wanted: Mapping[str, Any], there: Mapping[str, pl.DataType], found: Findings) -> None:
    before = found.total
    for name in (*wanted, *(name for name in there if name not in wanted)):
        have, want = _plain(there.get(name)), wanted.get(name)
        if have != want:
            found.problem(f"contract: column {name!r} of {where} must be {want or 'absent'}, found {have or 'none'}")
    found.checks["contract"] += found.total == before


def _check_counts(files: Files, facts: Mapping[str, Any], found: Findings) -> None:
    counts = {place: rows_of(paths) for place, paths in files.items()}
    claims = claims_of(facts.get("configs"))
    counts["", "rows"] = sum(n for (config, _), n in counts.items() if config == "lineage")
    claims["", "rows"] = facts.get("rows")
    for config, split in sorted(counts.keys() | claims.keys()):
        have, claimed = counts.get((config, split), 0), claims.get((config, split))
        if have == claimed:
            found.checks["row_count"] += 1
        else:
            found.problem(f"row_count: {config}/{split} has {have} rows, the manifest says {claimed}")


def claims_of(told: object) -> dict[tuple[str, str], Any]:
    """Return what a manifest says of the rows of each config and split, whatever it is."""
    tables = told.items() if isinstance(told, dict) else ()
    return {(c, s): n for c, splits in tables if isinstance(splits, dict) for s, n in splits.items()}


def _splits(files: Files) -> list[str]:
    return [split for split in SPLITS if ("lineage", split) in files]


# ------------------------------------------------------------------------------------------------------------- ids


def _check_ids(files: Files, found: Findings) -> set[str]:
    """Return the splits whose configs hold the same ids in the same order."""
    same_order, all_ids = set[str](), []
    for split in _splits(files):
        ids = _check_agreement(files, split, ("lineage", *ROW_VIEWS), found)
        all_ids.append(ids["lineage"])
        if all(np.array_equal(ids["lineage"], other) for other in ids.values()):
            same_order.add(split)
    if any(split == "mini" for _, split in files):
        _check_agreement(files, "mini", ROW_VIEWS, found)
    _check_distinct(files, "id", all_ids, found)
    return same_order


def _check_agreement(files: Files, split: str, configs: Sequence[str], found: Findings) -> dict[str, Digests]:
    """Return the ids of one split in each config, in order; they are the same ids as in the first config."""
    ids = {config: digests(files.get((config, split), []), "id") for config in configs}
    base = ids[configs[0]]
    for config, other in ids.items():
        if len(base) == len(other) and np.array_equal(np.sort(base), np.sort(other)):
            found.checks["ids_agree"] += len(base)
        else:
            lacks = _named(files.get((configs[0], split), []), "id", np.setdiff1d(base, other))
            adds = _named(files.get((config, split), []), "id", np.setdiff1d(other, base))
            found.problem(
                f"ids_agree: {config}/{split} against {configs[0]}: lacks {lacks}, adds {adds}, or has one twice"
            )
    return ids


def _check_distinct(files: Files, column: str, parts: list[Digests], found: Findings) -> None:
    """No two rows of all splits share the value of a column, of which the digests are given."""
    twice = _repeated(parts)
    if not len(twice):
        found.checks[f"{column}_distinct"] += sum(map(len, parts))
        return
    config = "rl" if column == "prompt" else "lineage"
    names = [f"{split} {_named(files[config, split], column, twice)}" for split in _splits(files)]
    found.problem(f"{column}_distinct: {len(twice)} are there more than once, among them of {'; '.join(names)}")


def _repeated(parts: list[Digests]) -> Digests:
    values, counts = np.unique(np.concatenate(parts), return_counts=True) if parts else (np.empty(0, np.uint64),) * 2
    return np.asarray(values[counts > 1], dtype=np.uint64)


def _named(paths: list[Path], column: str, wanted: Digests) -> str:
    """Return the ids of the first few rows whose digest of a column is among those wanted."""
    names: list[str] = []
    for frame in windows(paths, ["id"] if column == "id" else ["id", column]) if len(wanted) else ():
        hits = np.isin(digests(frame, column), wanted)
        names += [str(name) for name in frame.filter(pl.Series(hits))["id"].head(NAMED).to_list()]
        if len(names) >= NAMED:
            break
    return ", ".join(name[:40] for name in names[:NAMED]) or "none"


def _check_copies(files: Files, found: Findings) -> None:
    """The mini rows are train rows, and the curriculum's are the chains of train, a level a split."""
    for (config, split), paths in files.items():
        if split == "mini":
            mine, train = digests(paths), digests(files.get((config, "train"), []))
            wrong = int((~np.isin(mine, train)).sum()) + len(mine) - len(np.unique(mine))
        elif config == CURRICULUM:
            of_level = (pl.col("recipe") == "chains") & (pl.format("h{}", "level") == split)
            mine, train = digests(paths), digests(files.get(("sft", "train"), []), where=of_level)
            wrong = len(np.setxor1d(mine, train)) + abs(len(mine) - len(train))
        elif config == PREFERENCE:
            mine, rows = digests(paths, "id"), digests(files.get(("sft", split), []), "id")
            wrong = int((~np.isin(mine, rows)).sum()) + len(mine) - len(np.unique(mine))
        else:
            continue
        if wrong:
            found.problem(f"copies_agree: {config}/{split} differs from the train rows it stands for in {wrong} rows")
        else:
            found.checks["copies_agree"] += len(mine)


def _check_turns(files: Files, found: Findings) -> None:
    """Every row of a recipe that always talks has accepted turns, and every accepted turn is of a row.

    What a program can draw has turns where the job wants it judged, or worded by a teacher, and need not have any.
    """
    always = [name for name, recipe in RECIPES.items() if recipe.talk and not recipe.draw]
    parts = [
        digests(files["lineage", split], where=pl.col("recipe").is_in(always), column="id") for split in _splits(files)
    ]
    rows = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.uint64)
    told = np.unique(digests(files.get(("turns", "turns"), []), where=pl.col("accepted"), column="id"))
    drawn = [name for name, recipe in RECIPES.items() if recipe.draw]
    free = [digests(files["lineage", s], where=pl.col("recipe").is_in(drawn), column="id") for s in _splits(files)]
    wrong = len(np.setdiff1d(np.setxor1d(rows, told), np.concatenate(free) if free else np.empty(0, np.uint64)))
    if wrong:
        found.problem(f"turns_agree: {wrong} rows have accepted turns and are not there, or the other way round")
    elif len(told):
        found.checks["turns_agree"] += len(told)


# ------------------------------------------------------------------------------------------------------------ rows


def _check_rows(files: Files, same_order: set[str], seen: Seen, found: Findings, progress: Progress | None) -> None:
    with Runner() as runner:
        for split in _splits(files):
            for frames in _joined(files, split, split in same_order):
                _check_window(split, frames, runner, seen, found)
                if progress:
                    progress(seen.rows)
    _check_distinct(files, "prompt", seen.prompts, found)
    _check_distinct(files, "digest", seen.problems, found)
    _check_heldout(seen, found)
    left_out = sum(rows_of(files["lineage", split]) for split in _splits(files)) - seen.rows
    if left_out:
        found.problem(f"ids_agree: {left_out} rows could not be joined by id and were not checked")


def _joined(files: Files, split: str, same_order: bool) -> Iterator[dict[str, pl.DataFrame]]:
    """Yield the rows of all configs a window at a time, joined by id and sorted by it; other rows are left out."""
    others = [config for config in VIEWS if config != "lineage"]
    side_by_side = zip(*(windows(files[config, split]) for config in others), strict=True) if same_order else None
    for lineage in windows(files["lineage", split]):
        ids = lineage["id"]
        parts = next(side_by_side) if side_by_side else [_with_ids(files[config, split], ids) for config in others]
        frames = dict(zip((*others, "lineage"), (*parts, lineage), strict=True))
        for frame in list(frames.values()):
            ids = ids.filter(ids.is_in(frame["id"].implode()))
        wanted = pl.DataFrame({"id": ids.unique()})
        yield {
            config: frame.unique("id", keep="first").join(wanted, on="id", how="semi").sort("id")
            for config, frame in frames.items()
        }


def _with_ids(paths: list[Path], ids: pl.Series) -> pl.DataFrame:
    return pl.scan_parquet(paths).filter(pl.col("id").is_in(ids.implode())).collect()


def _check_window(split: str, frames: Mapping[str, pl.DataFrame], runner: Runner, seen: Seen, found: Findings) -> None:
    seen.rows += frames["lineage"].height
    frames = _readable(split, frames, found)
    rows = rebuilt(frames)
    for name, holds in SAMPLES.rules.items():
        for broken in rows.filter(~holds.fill_null(value=False))["id"].to_list():
            found.problem(f"contract: {split} row {broken[:40]} breaks the rule {name}")
    for config, view in VIEWS.items():
        _check_view(f"{config}/{split}", rows.select(view), frames[config], found)
    for row, broken in zip(rows.iter_rows(named=True), text_faults(rows), strict=True):
        passed, fault = judge_row(row, runner, broken)
        found.checks.update(passed)
        if fault or row["split"] != split:
            found.problem(f"{split} row {row['id'][:40]}: {fault or 'split: it says that it is of another split'}")
    seen.prompts.append(digests(frames["rl"], "prompt"))
    seen.problems.append(digests(rows, "digest"))
    for column, sides in (("skills", seen.skills), ("parents", seen.parents)):
        sides[split].update(rows[column].explode().drop_nulls().unique().to_list())


def _readable(split: str, frames: Mapping[str, pl.DataFrame], found: Findings) -> dict[str, pl.DataFrame]:
    """Return the rows that have all their values, none of them too long, in every config."""
    bad = pl.Series([], dtype=pl.String)
    for config, frame in frames.items():
        size = pl.sum_horizontal(_bytes(pl.col(name), dtype) for name, dtype in frame.schema.items())
        whole = pl.all_horizontal(pl.all().is_not_null()) & (size <= MAX_ROW)
        wrong = frame.filter(~whole.fill_null(value=False))["id"]
        for name in wrong.to_list():
            found.problem(f"contract: {config}/{split} row {name[:40]} lacks a value, or has more than {MAX_ROW} bytes")
        bad = bad.append(wrong)
    return {config: frame.filter(~pl.col("id").is_in(bad.implode())) for config, frame in frames.items()}


def _bytes(value: pl.Expr, dtype: Any) -> pl.Expr:
    """Return the bytes of text, and 8 for each other value, in a column."""
    if isinstance(dtype, pl.List):
        return value.list.eval(_bytes(pl.element(), dtype.inner)).list.sum().fill_null(0) + value.list.len()
    if isinstance(dtype, pl.Struct):
        return pl.sum_horizontal(_bytes(value.struct.field(f.name), f.dtype) for f in dtype.fields)
    return value.str.len_bytes().fill_null(0) if isinstance(dtype, pl.String) else pl.lit(8, dtype=pl.UInt32)


def _check_view(where: str, wanted: pl.DataFrame, there: pl.DataFrame, found: Findings) -> None:
    there = there.select(wanted.columns)
    differs = _as_json(wanted) != _as_json(there)
    found.checks["views_agree"] += wanted.height - int(differs.sum())
    if not differs.any():
        return
    wanted, there = wanted.filter(differs), there.filter(differs)
    columns = {
        name: (_as_json(wanted.select(name)) != _as_json(there.select(name))).to_list() for name in wanted.columns
    }
    for i, name in enumerate(there["id"].to_list()):
        wrong = ", ".join(column for column, differing in columns.items() if differing[i])
        found.problem(f"views_agree: {where} row {name[:40]}: {wrong} is not what the other configs give")


def _as_json(frame: pl.DataFrame) -> pl.Series:
    return frame.to_struct("row").struct.json_encode()


def _check_heldout(seen: Seen, found: Findings) -> None:
    operators = OPERATIONS.keys() - SKILLS.keys()  # a seed's own operator is in every chain of seeds
    operators |= task_labels().keys()
    for what, sides in (("skill", seen.skills), ("parent", seen.parents)):
        leaked = sorted((sides["train"] & sides["heldout"]) - operators)
        for name in leaked:
            found.problem(f"heldout_apart: {what} {name[:80]!r} of heldout is in train too")
        found.checks["heldout_apart"] += len(sides["heldout"]) - len(leaked)
