"""The release index: signatures and vectors of every earlier release, against which new rows are checked.

<folder>/index.json                 the configuration, its bands, the embedder's weights, a known answer; never changed
<folder>/segments/NAME@VERSION/     one release each (index_files.py), put in place by one rename and never changed

So adding a release costs what its own rows cost, a killed process leaves the index as it was, and two that add at once
do not meet: the file system decides who was first.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from factory.artifacts.digest import digest
from factory.dedupe.index_config import (
    PLACE,
    IndexConfig,
    Settings,
    read_settings,
    require_same,
    settings_of,
    write_settings,
)
from factory.dedupe.index_files import ROWS
from factory.dedupe.index_lookup import lookup
from factory.dedupe.index_segment import SEGMENTS, Segment, damaged, read_segment, write_segment
from factory.dedupe.index_sketch import sketch
from factory.dedupe.index_texts import readable
from factory.dedupe.index_vectors import F32
from factory.dedupe.index_vectors import nearest as nearest_vectors
from factory.dedupe.index_verify import Against, Asked, Found, exact, near, take_rows
from factory.errors import UserError, nearest
from factory.release.folder import Manifest, beside, put_in_place
from schemas.curation import HITS

SEMANTIC = 0.9
LEFT_OVER = 86_400  # seconds after which the folder of a killed `add` is swept


@dataclass(frozen=True, slots=True)
class Index:
    """An index as it was when it was opened: what is added later, by anybody, is not in it. Small; can be pickled."""

    folder: Path
    settings: Settings
    segments: tuple[Segment, ...]
    cache: Path  # where embedders are kept

    @classmethod
    def create(cls, folder: Path, config: IndexConfig | None = None, cache: Path | None = None) -> Index:
        """Return the index in a folder, made now unless one of the same configuration is there.

        Raises UserError if one of another configuration is there.
        """
        config = config or IndexConfig()
        cache = cache or default_cache(folder)
        if not (folder / PLACE).is_file():
            write_settings(folder, settings_of(config, cache))
        return cls.open(folder, config, cache)

    @classmethod
    def open(cls, folder: Path, config: IndexConfig | None = None, cache: Path | None = None) -> Index:
        """Return the index in a folder with all its releases.

        Raises UserError if there is none, if it is not of `config` (where given), or if a segment is not of it.
        """
        settings = read_settings(folder)
        if config is not None:
            require_same(settings.config, config, folder)
        paths = sorted(p for p in (folder / SEGMENTS).glob("*@*") if not p.name.startswith("."))
        segments = tuple(read_segment(path) for path in paths)
        for segment in segments:
            if segment.settings != settings.identity:
                raise damaged(segment.folder, "it was written for an index of another configuration")
        return cls(folder, settings, segments, cache or default_cache(folder))

    @property
    def identity(self) -> str:
        """Return the digest of what answers depend on: configuration, pinned releases, whose texts can be read."""
        texts = {segment.pin: segment.source() is not None for segment in self.segments}  # else similarity is estimated
        return digest(settings=self.settings.identity, pins=self.pins(), texts=texts)

    def pins(self) -> dict[str, str]:
        """Return {NAME@VERSION: digest} of the releases in it."""
        return {segment.pin: segment.digest for segment in self.segments}

    def pinned(self, releases: Sequence[str] | Mapping[str, str]) -> Index:
        """Return the index with these releases alone, named NAME@VERSION; of a mapping the digests must hold too."""
        there = {segment.pin: segment for segment in self.segments}
        for name in releases:
            if name not in there:
                raise UserError(
                    f"the index {self.folder} has no release '{name}'{nearest(name, there)}; "
                    "`factory index add` puts one in"
                )
            if isinstance(releases, Mapping) and there[name].digest != releases[name]:
                raise UserError(
                    f"the index {self.folder} has another {name} (digest {there[name].digest[:12]}) than the one asked"
                    f" for ({releases[name][:12]}): use the index that the release was checked against"
                )
        return replace(self, segments=tuple(s for s in self.segments if s.pin in set(releases)))

    def add(self, release: Path) -> Index:
        """Return the index with a release folder in it; its cost is that of the release's rows alone.

        One that is in already is left as it is. Raises UserError for another release under the same name and version.
        """
        found = readable(release)
        manifest = found.manifest
        target = self.folder / SEGMENTS / pin_of(manifest)
        if (there := self._there(target, manifest.digest)) is not None:
            return self._with(there)
        self.settings.require_canary(self.folder)
        _sweep(target.parent)
        with beside(target) as staged:
            write_segment(staged, found, self.settings, self._embedder(), self.folder)
            try:
                put_in_place(staged, target)
            except UserError:
                if self._there(target, manifest.digest) is None:  # else another process was first with the same
                    raise
        return self._with(read_segment(target))

    def _there(self, target: Path, content: str) -> Segment | None:
        if not target.exists():
            return None
        there = read_segment(target)
        if there.digest != content:
            raise UserError(
                f"the index {self.folder} holds {there.pin} with digest {there.digest[:12]}, not {content[:12]}; a"
                f" version never changes: give the new content a new version, or remove {target} and add it again"
            )
        return there

    def _with(self, segment: Segment) -> Index:
        others = [s for s in self.segments if s.pin != segment.pin]
        return replace(self, segments=tuple(sorted([*others, segment], key=lambda s: s.pin)))

    def _embedder(self) -> Any:
        """Return the embedder, whose weights are those of the index, or None where the index has none."""
        name = self.settings.config.embedder
        if name is None:
            return None
        from factory.selection.embedders import embedder_of

        embedder = embedder_of(name, self.cache)
        if embedder.identity != self.settings.embedder_identity:
            raise UserError(
                f"the index {self.folder} was made with '{name}' of other weights"
                f" ({str(self.settings.embedder_identity)[:12]}, here {embedder.identity[:12]}): put those back, or"
                " move the index away and build it again"
            )
        return embedder

    def query(
        self,
        frame: pl.DataFrame,
        releases: Sequence[str] | None = None,
        threshold: float | None = None,
        semantic: float = SEMANTIC,
    ) -> pl.DataFrame:
        """Return HITS: where rows (id, row, instruction, answer) meet a release, one hit a row, field and release.

        The level is the first that holds: exact (equal texts), minhash (Jaccard of shingles of `threshold` or more;
        None: the index's own), semantic (cosine of `semantic` or more). A text without any word matches nothing.
        Raises UserError for a threshold below the one of the index.
        """
        asked_for = self if releases is None else self.pinned(releases)
        least = (self._threshold(threshold), semantic)
        self.settings.require_canary(self.folder)
        hits = [_no_hits()]
        for field in self.settings.config.fields if frame.height and asked_for.segments else ():
            texts = frame[field].cast(pl.String).fill_null("")
            asked = Asked(field, texts, sketch(texts, self.settings.config, self.settings.banding))
            vectors = _vectors(asked, self._embedder())
            for segment in asked_for.segments:
                found = _search(asked, vectors, Against(segment, segment.source(), self.settings), least)
                hits.append(_hits(frame, field, segment, found))
        return pl.concat(hits).sort("row", "field", "against", maintain_order=True)

    def _threshold(self, wanted: float | None) -> float:
        least = self.settings.config.threshold
        if wanted is not None and wanted < least:
            raise UserError(
                f"the index {self.folder} finds copies from a similarity of {least} on, so {wanted} cannot be asked"
                f" of it: ask for {least} or more, or build another index with that threshold"
            )
        return least if wanted is None else wanted

    def stats(self) -> dict[str, Any]:
        """Return what is in it: releases with rows, bytes and whether their texts can be read; the configuration."""
        releases = [
            {
                "name": s.name,
                "version": s.version,
                "digest": s.digest,
                "rows": s.rows,
                "bytes": s.bytes,
                "texts": s.source() is not None,
            }
            for s in self.segments
        ]
        config = self.settings.config
        return {
            "folder": str(self.folder),
            "identity": self.identity,
            "rows": sum(s.rows for s in self.segments),
            "bytes": sum(s.bytes for s in self.segments),
            "releases": releases,
            "config": {name: getattr(config, name) for name in IndexConfig.__slots__}
            | {"bands": self.settings.bands, "band_rows": self.settings.rows},
        }


def pin_of(manifest: Manifest) -> str:
    """Return what an index calls a release: NAME@VERSION."""
    return f"{manifest.name}@{manifest.version}"


def default_cache(folder: Path) -> Path:
    """Return where embedders are kept for an index under the outputs root."""
    return folder.parent / "cache"


def _sweep(segments: Path) -> None:
    """Remove what processes that were killed long ago left behind."""
    for path in segments.glob(".*@*"):
        if path.is_dir() and time.time() - path.stat().st_mtime > LEFT_OVER:
            shutil.rmtree(path, ignore_errors=True)


def _vectors(asked: Asked, embedder: Any) -> F32 | None:
    """Return the unit vectors of the texts, zeros for those without a word."""
    if embedder is None:
        return None
    present = np.flatnonzero(asked.made.present)
    out = np.zeros((asked.texts.len(), embedder.dimensions), dtype=np.float32)
    out[present] = embedder.encode(asked.texts.gather(present).to_list())
    return out


def _search(asked: Asked, vectors: F32 | None, against: Against, least: tuple[float, float]) -> dict[str, Found]:
    """Return the hits of each level in one release; a query that was found leaves the levels below.

    `least` are the Jaccard similarity and the cosine of a hit.
    """
    segment = against.segment
    segment.require_whole()
    try:
        same, pairs = lookup(segment.folder, asked.field, asked.made)
        found = {"exact": exact(asked, against, same)}
        fresh = ~np.isin(pairs[0], found["exact"].query)
        found["minhash"] = near(asked, against, (pairs[0][fresh], pairs[1][fresh]), least[0])
        if vectors is not None:
            done = np.concatenate([f.query for f in found.values()])
            rest = np.setdiff1d(np.flatnonzero(asked.made.present), done)
            place, row, cosine = nearest_vectors(segment.folder, asked.field, vectors[rest], least[1])
            found["semantic"] = Found(rest[place], row, cosine, np.zeros(row.size, dtype=np.bool_))
    except (pa.ArrowException, OSError, IndexError) as error:
        raise damaged(segment.folder, str(error).partition("\n")[0]) from None
    return found


def _no_hits() -> pl.DataFrame:
    return pl.DataFrame(schema=dict(HITS.columns))


def _hits(frame: pl.DataFrame, field: str, segment: Segment, found: Mapping[str, Found]) -> pl.DataFrame:
    parts = [_no_hits()]
    for level, hits in found.items():
        if hits.query.size:
            parts.append(_level_hits(frame, field, segment, level, hits))
    return pl.concat(parts)


def _level_hits(frame: pl.DataFrame, field: str, segment: Segment, level: str, hits: Found) -> pl.DataFrame:
    ids = take_rows(segment.folder / ROWS, hits.row, "id")["id"].to_pylist()
    place = pl.Series([id_ or str(row) for id_, row in zip(ids, hits.row.tolist(), strict=True)], dtype=pl.String)
    rows = frame.select("id", "row")[hits.query]
    nothing = {name: pl.lit(None, dtype=HITS.columns[name]) for name in ("start", "end", "span")}
    return rows.with_columns(
        field=pl.lit(field),
        against=pl.lit(segment.pin),
        place=place,
        part=pl.lit(field),
        level=pl.lit(level),
        similarity=pl.Series(hits.similarity),
        estimated=pl.Series(hits.estimated),
        **nothing,
    ).select(*HITS.columns)
