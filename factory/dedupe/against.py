"""Rows against earlier releases: the gate that looks each row up in the release index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from factory.artifacts.stage import Stage, with_reasons
from factory.dedupe.index import Index
from factory.gates.decontaminate import Hits
from factory.release.folder import MANIFEST
from factory.release.reference import read_facts
from factory.strict import Strict
from schemas.columns import REASONS
from schemas.curation import HITS, KEPT_ROWS, ROWS

CODE = "no_row_of_an_earlier_release"


class AgainstSpec(Strict):
    """Earlier releases that no row may repeat."""

    releases: list[str] = Field(default=["all"], description="NAME@VERSION of the index, or all.")
    index: str | None = Field(default=None, description="Folder of the index; default: index in the outputs folder.")
    threshold: float | None = Field(
        default=None, gt=0, le=1, description="Jaccard from which a row repeats an earlier one; default: the index's."
    )
    cosine: float = Field(default=0.9, gt=0, le=1, description="Cosine, where the index has embeddings.")

    def params(self) -> dict[str, Any]:
        """Return what a lookup depends on beside the index."""
        return {"threshold": self.threshold, "semantic": self.cosine}


def open_index(spec: AgainstSpec, base: Path, out: Path, name: str, version: str) -> Index:
    """Return the index with the earlier releases that release NAME@VERSION is checked against, never itself.

    One that is in place already was checked against the releases in its manifest, and is so again. A path of the index
    starts at `base`.
    """
    index = Index.open(base / spec.index if spec.index else out / "index")
    there = out / "releases" / name / version
    if (there / MANIFEST).is_file() and isinstance(pins := read_facts(there).get("against"), dict):
        return index.pinned(pins)
    if spec.releases != ["all"]:
        return index.pinned(spec.releases)
    return index.pinned([pin for pin in index.pins() if pin != f"{name}@{version}"])


def find_earlier(frame: pl.DataFrame, params: Mapping[str, Any], *, index: Index) -> pl.DataFrame:
    """Return HITS of ROWS in earlier releases."""
    return index.query(frame, **params)


def reasons_of(hits: pl.DataFrame) -> pl.DataFrame:
    """Return (row, reasons) of every row with a hit: the strongest one."""
    best = hits.sort("row", -pl.col("similarity"), maintain_order=True).unique("row", keep="first", maintain_order=True)
    how = pl.when("estimated").then(pl.lit(", estimated")).otherwise(pl.lit(""))
    reason = pl.struct(
        gate=pl.lit("earlier"),
        code=pl.lit(CODE),
        detail=pl.format("{}: {} {}{}", "field", "level", pl.col("similarity").round(4), how),
        twin=pl.col("against") + "#" + pl.col("place"),
    )
    return best.select("row", reasons=pl.concat_list(reason).cast(REASONS))


def part_earlier(frame: pl.DataFrame, params: Mapping[str, Any], *, hits: Hits) -> pl.DataFrame:
    """Return KEPT_ROWS of ROWS, with a reason where a field of the row is an earlier release's."""
    return with_reasons(frame.select("id", "row"), reasons_of(hits.read()), on="row")


FIND_EARLIER = Stage("find_earlier", 1, ROWS, HITS, find_earlier, row_wise=False)
EARLIER = Stage("earlier", 1, ROWS, KEPT_ROWS, part_earlier)
