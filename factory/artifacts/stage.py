"""A stage is a plain function `run(frame, params, **deps) -> frame` with a name, a version and two contracts.

What a key leaves out, and why: workers and engine (they decide where, not what), paths (an artifact is named by its
content), progress and logging, time. Everything else a stage can see is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from factory.artifacts.digest import digest
from factory.artifacts.store import Artifact, Store
from factory.errors import FactoryError
from schemas.columns import REASONS
from schemas.table import Table


class Dependency(Protocol):
    """Something a stage uses beside its input; its identity is part of the key."""

    @property
    def identity(self) -> str:
        """Return a digest that changes whenever the dependency would behave otherwise."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """A pure step. `row_wise`: every input row leaves as one row or as one reject; else the stage may gather.

    Bump `version` whenever the same input gives other bytes; the golden tests insist on it.
    """

    name: str
    version: int
    reads: Table
    writes: Table
    run: Callable[..., pl.DataFrame]
    row_wise: bool = True

    def key(self, sources: Sequence[str], params: object, deps: Mapping[str, Dependency]) -> str:
        """Return the digest of all that the output depends on; sources are content digests."""
        return digest(
            stage=self.name,
            version=self.version,
            sources=list(sources),
            params=params,
            schema=[self.writes.name, self.writes.version],
            deps={name: dep.identity for name, dep in deps.items()},
        )


def with_reasons(frame: pl.DataFrame, told: pl.DataFrame, on: str = "id") -> pl.DataFrame:
    """Return a stage's output frame with the reasons (by id or row) that are told of some of its rows, else none."""
    out = frame.join(told, on=on, how="left", maintain_order="left")
    return out.with_columns(pl.col("reasons").fill_null(pl.lit([], dtype=REASONS)))


def execute(
    stage: Stage, sources: Sequence[Artifact], params: Mapping[str, Any], store: Store, /, **deps: Dependency
) -> Artifact:
    """Return the stage's artifact for these sources: found, or made and committed. Rejects are split off once."""
    digests = [s.digest for s in sources]
    key = stage.key(digests, params, deps)
    if found := store.find(stage.name, key):
        return found
    columns = list(stage.reads.columns)
    frame = pl.concat([s.read(columns) for s in sources])
    return apply(stage, frame, params, store, key, **deps)


def apply(
    stage: Stage, frame: pl.DataFrame, params: Mapping[str, Any], store: Store, key: str, /, **deps: Dependency
) -> Artifact:
    """Return the artifact of a stage run on a frame, committed under a key."""
    stage.reads.check(frame)
    rows, rejects = stage.writes.split(stage.run(frame, params, **deps))
    if stage.row_wise and rows.height + rejects.height != frame.height:
        raise FactoryError(f"stage {stage.name}: {frame.height} rows in, {rows.height} + {rejects.height} rejects out")
    return store.commit(stage.name, key, rows, rejects, {"stage": stage.name, "version": stage.version})
