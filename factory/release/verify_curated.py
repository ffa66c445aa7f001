"""Verifying a curated release: its bytes, its tables, that no row was lost, that every copy has a known twin."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from factory.release.export import REJECTS
from factory.release.folder import Manifest, read_manifest
from factory.release.reference import CURATED_TABLES, read_facts
from factory.release.stored_files import Files, Unreadable, rows_of, schema_of
from factory.release.verify import Findings, VerifyReport, check_sums, claims_of

COPIES = ("exact", "minhash", "semantic")
DATA = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)/([a-z]+)-[0-9]{5}-of-[0-9]{5}\.parquet")
PLAIN = re.compile(r"README\.md|plots/[a-z_]+\.png")
NAMED = 3


def verify_curated(folder: Path) -> VerifyReport:
    """Return what does not hold of a curated release. UserError where the folder is no release at all."""
    start, found = time.perf_counter(), Findings()
    manifest, facts = read_manifest(folder), read_facts(folder)
    check_sums(folder, manifest, found)
    files = _files(folder, manifest, found)
    rows = 0
    try:
        _check_counts(files, facts, found)
        rows = _check_rows(files, facts, found)
    except (Unreadable, pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        found.problem(f"contract: a file cannot be read, so that not every row was checked: {error}")
    return VerifyReport(rows, found.told(), dict(found.checks), time.perf_counter() - start)


def _files(folder: Path, manifest: Manifest, found: Findings) -> Files:
    """Return the data files by config and split; what a curated release does not have is found."""
    files: defaultdict[tuple[str, str], list[Path]] = defaultdict(list)
    for name in sorted(manifest.files):
        if match := DATA.fullmatch(name):
            files[match[1], match[2]] += [folder / name] if (folder / name).is_file() else []
        elif not PLAIN.fullmatch(name):
            found.problem(f"contract: {name!r} is no file of a release")
    return dict(files)


def _check_counts(files: Files, facts: Mapping[str, Any], found: Findings) -> None:
    claims = claims_of(facts.get("configs"))
    for place in sorted(files.keys() | claims.keys()):
        have, claimed = rows_of(files.get(place, [])), claims.get(place)
        if have == claimed:
            found.checks["row_count"] += 1
        else:
            found.problem(f"row_count: {'/'.join(place)} has {have} rows, the manifest says {claimed}")


def _check_rows(files: Files, facts: Mapping[str, Any], found: Findings) -> int:
    """Return how many rows stayed, after they and the rejects were held against each other."""
    data = [path for (config, _), paths in files.items() if config not in CURATED_TABLES for path in paths]
    kept = pl.concat([pl.scan_parquet(path).select("id").collect() for path in data])["id"]
    if kept.n_unique() == kept.len():
        found.checks["id_distinct"] += kept.len()
    else:
        found.problem(f"id_distinct: {_named(kept.filter(kept.is_duplicated()))} name more than one row")
    rejects = _rejects(files, found)
    left = rejects["id"].unique()
    both = left.filter(left.is_in(kept.implode()))
    if both.len():
        found.problem(f"left_or_stayed: {_named(both)} are rows and rejects")
    _check_sum(kept.len(), left.len(), facts.get("curation"), found)
    copies = rejects.filter(pl.col("stage").is_in(list(COPIES)))
    known = pl.concat([kept, left])
    lost = copies.filter(~pl.col("twin").is_in(known.implode()).fill_null(value=False))
    if lost.height:
        found.problem(f"twin_known: {_named(lost['id'])} are copies of no row of this release")
    else:
        found.checks["twin_known"] += copies.height
    return kept.len()


def _rejects(files: Files, found: Findings) -> pl.DataFrame:
    paths = files.get(("rejects", "rejects"), [])
    for path in paths:
        if schema_of(path) != dict(REJECTS):
            found.problem(f"contract: {path.name} must have the columns {', '.join(REJECTS)}")
            return pl.DataFrame(schema=REJECTS)
    return pl.concat([pl.DataFrame(schema=REJECTS), *(pl.read_parquet(path) for path in paths)])


def _check_sum(kept: int, left: int, told: object, found: Findings) -> None:
    curation = told if isinstance(told, dict) else {}
    sources = curation.get("sources")
    unreadable = sum(s["unreadable"] for s in sources) if isinstance(sources, list) else 0
    came = curation.get("rows_in", 0) + unreadable
    if kept + left == came:
        found.checks["nothing_lost"] += came
    else:
        found.problem(f"nothing_lost: {came:,} rows came in; {kept:,} stayed and {left:,} left")


def _named(ids: pl.Series) -> str:
    names = [str(name)[:40] for name in ids.unique().sort().head(NAMED)]
    more = ids.n_unique() - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")
