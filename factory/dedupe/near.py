"""MinHash dedupe: a row leaves only if it verifiably matches a kept row before it, and the twin is that row.

Signatures find candidates, shard by shard; the exact Jaccard similarity of the shingle sets decides (Broder 1997; Lee
et al. 2022, arXiv 2107.06499, without their connected components unless asked for). What is found depends on the rows
and their order alone: not on shards, nor on where the work is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pydantic import Field

from factory.artifacts.stage import Stage
from factory.artifacts.store import Artifact
from factory.cores import cores
from factory.dedupe.greedy import components, greedy
from factory.dedupe.pairs import Places, Sets, buckets
from factory.dedupe.shingles import VERSION as SHINGLES
from factory.dedupe.shingles import Hashes, Offsets, Shingling, distinct, shingles
from factory.dedupe.signatures import (
    PERMUTATIONS,
    Banding,
    Engine,
    Signatures,
    band_keys,
    banding_for,
    canary,
    is_empty,
    sign,
)
from factory.strict import Strict
from schemas.curation import ROWS
from schemas.signatures import SIGNED

Fields = Literal["instruction", "answer", "both"]
Mode = Literal["greedy", "components"]
Source = Artifact | pl.DataFrame

BLOCK = 2_048  # rows worked on at once: what they need stays small, and near the processor
FOUND = {"row": pl.Int64, "twin": pl.Int64, "similarity": pl.Float64}


class MinHashSpec(Strict):
    """Dedupe of near copies by shared shingles."""

    fields: Fields = Field(
        default="both", description="what is compared; both: one set of shingles, none over the border of the two"
    )
    unit: Literal["word", "char"] = Field(
        default="word", description="what a shingle is made of; char suits scripts without spaces between words"
    )
    size: int = Field(default=5, ge=1, le=50, description="words or characters in a shingle")
    permutations: int = Field(default=PERMUTATIONS, ge=16, le=1024, description="length of a signature")
    threshold: float = Field(
        default=0.8, gt=0, le=1, description="exact Jaccard similarity from which on two rows are copies"
    )
    engine: Engine = Field(default="rensa", description="which library signs: rensa (Rust) or datasketch")

    @property
    def shingling(self) -> Shingling:
        """Return what a shingle is."""
        return Shingling(self.unit, self.size)


@dataclass(frozen=True, slots=True)
class Copies:
    """Pairs (dropped row, twin), by their `row`, with their exact similarity."""

    row: Places
    twin: Places
    similarity: npt.NDArray[np.float64]

    def frame(self) -> pl.DataFrame:
        """Return them in the order of rows."""
        columns = {"row": self.row, "twin": self.twin, "similarity": self.similarity}
        return pl.DataFrame(columns, schema=FOUND).sort("row")


def field_shingles(frame: pl.DataFrame, fields: Fields, shingling: Shingling) -> tuple[Hashes, Offsets]:
    """Return the shingles of each row, with repeats; those of both fields side by side, none made of words of both."""
    if fields != "both":
        return shingles(frame[fields], shingling)
    texts = frame.select(pl.concat_list("instruction", "answer")).to_series().explode()
    flat, offsets = shingles(texts, shingling)
    return flat, offsets[::2]


def sign_params(spec: MinHashSpec) -> dict[str, Any]:
    """Return the parameters of SIGN: what a signature depends on, the libraries that sign too, and how it is cut."""
    banding = banding_for(spec.threshold, spec.permutations)
    known = {"shingles": SHINGLES, "canary": canary(spec.shingling, spec.permutations, spec.engine)}
    return spec.model_dump(exclude={"threshold"}) | {"bands": banding.bands, "rows": banding.rows, **known}


def sign_rows(frame: pl.DataFrame, params: Mapping[str, Any]) -> pl.DataFrame:
    """Return a key for every band of each row's signature; none for a row without a shingle."""
    banding = Banding(params["bands"], params["rows"])
    keys = [np.empty((0, banding.bands), dtype=np.uint64)]
    counts = [np.zeros(1, dtype=np.int64)]
    for start in range(0, frame.height, BLOCK):
        signatures = _signatures(frame.slice(start, BLOCK), params)
        full = ~is_empty(signatures)
        keys.append(band_keys(signatures[full], banding))
        counts.append(full * banding.bands)
    ends = pa.array(np.cumsum(np.concatenate(counts)))
    bands = pa.LargeListArray.from_arrays(ends, pa.array(np.concatenate(keys).ravel()))
    return frame.select("id", "row", bands=pl.Series(bands, dtype=pl.List(pl.UInt64)))


def _signatures(frame: pl.DataFrame, params: Mapping[str, Any]) -> Signatures:
    shingling = Shingling(params["unit"], params["size"])
    return sign(*field_shingles(frame, params["fields"], shingling), params["permutations"], params["engine"])


SIGN = Stage("signatures", 1, ROWS, SIGNED, sign_rows)


def near_duplicates(
    signed: Sequence[Source],
    rows: Sequence[Source],
    spec: MinHashSpec,
    *,
    rank: npt.NDArray[np.integer] | None = None,
    alive: npt.NDArray[np.bool_] | None = None,
    mode: Mode = "greedy",
) -> pl.DataFrame:
    """Return (row, twin, similarity) of the rows that leave, in order; twin is the `row` of a kept row.

    `signed` and `rows` are shards of SIGNED and ROWS. `rank[row]` is a row's place in the order of choice (by default
    its own number); rows that are not `alive[row]` take no part. The similarity is the exact Jaccard similarity of the
    shingle sets. Mode greedy: at least the threshold, the twin is the first kept row that matches. Mode components:
    rows linked by matches are one component, whose first row stays and is the twin, however similar.
    """
    places, keys = _ordered(*_read_bands(signed, alive), rank)
    members, offsets = buckets(keys)
    del keys
    candidates = np.unique(members)
    sets = _read_sets(rows, places[candidates], spec)
    members = np.searchsorted(candidates, members)
    decide = greedy if mode == "greedy" else components
    dropped, twin, similarity = decide(sets, members, offsets, spec.threshold)
    return Copies(places[candidates[dropped]], places[candidates[twin]], similarity).frame()


def _read_bands(signed: Sequence[Source], alive: npt.NDArray[np.bool_] | None) -> tuple[Places, Hashes]:
    """Return the rows that have shingles and are alive, and the keys of their bands."""
    rows, keys = [np.empty(0, dtype=np.int64)], []
    for source in signed:
        frame = (source.read(["row", "bands"]) if isinstance(source, Artifact) else source).filter(
            pl.col("bands").list.len() > 0
        )
        if alive is not None:
            frame = frame.filter(pl.Series(alive[frame["row"].to_numpy()], dtype=pl.Boolean))
        rows.append(frame["row"].to_numpy())
        if frame.height:
            keys.append(frame["bands"].explode().to_numpy().reshape(frame.height, -1))
    return np.concatenate(rows), np.concatenate(keys) if keys else np.empty((0, 0), dtype=np.uint64)


def _ordered(rows: Places, keys: Hashes, rank: npt.NDArray[np.integer] | None) -> tuple[Places, Hashes]:
    """Return both in the order of choice; rows of one rank in the order of their numbers."""
    order = np.argsort(rows, kind="stable") if rank is None else np.lexsort((rows, rank[rows]))
    if np.array_equal(order, np.arange(order.size)):
        return rows, keys
    return rows[order], keys[order]


def _read_sets(sources: Sequence[Source], rows: Places, spec: MinHashSpec) -> Sets:
    """Return the shingle sets of some rows, in their order; their texts are read shard by shard, and let go."""
    order = np.argsort(rows)
    ascending = rows[order]
    with ThreadPoolExecutor(cores()) as pool:
        found = list(pool.map(lambda source: _sets_of(source, ascending, spec), sources))
    sizes = np.zeros(rows.size, dtype=np.int64)
    for at, _, lengths in found:
        sizes[order[at]] = lengths
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
    flat = np.empty(offsets[-1], dtype=np.uint64)
    for at, values, lengths in found:
        starts = np.repeat(offsets[order[at]] - (np.cumsum(lengths) - lengths), lengths)
        flat[starts + np.arange(values.size)] = values
    return Sets(flat, offsets)


def _sets_of(source: Source, wanted: Places, spec: MinHashSpec) -> tuple[Places, Hashes, Places]:
    """Return which of the wanted rows (ascending) a shard has, their sets in a row, and the sizes of these."""
    columns = ["row", *(("instruction", "answer") if spec.fields == "both" else (spec.fields,))]
    frame = source.read(columns) if isinstance(source, Artifact) else source.select(columns)
    numbers = frame["row"].to_numpy()
    at = np.searchsorted(wanted, numbers)
    there = (
        wanted[np.minimum(at, wanted.size - 1)] == numbers if wanted.size else np.zeros(numbers.size, dtype=np.bool_)
    )
    frame, at = frame.filter(pl.Series(there, dtype=pl.Boolean)), at[there]
    parts = [
        distinct(*field_shingles(frame.slice(start, BLOCK), spec.fields, spec.shingling))
        for start in range(0, frame.height, BLOCK)
    ]
    flat = np.concatenate([np.empty(0, dtype=np.uint64), *(values for values, _ in parts)])
    return at, flat, np.concatenate([np.empty(0, dtype=np.int64), *(np.diff(ends) for _, ends in parts)])
