"""The release of a curation: the rows that stayed, every reason, every meeting with a benchmark, a card with plots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from factory.artifacts.digest import digest
from factory.artifacts.store import Artifact, write_bytes
from factory.curate.copies import LEVELS
from factory.curate.corrupt import find_corrupted, make_pool
from factory.curate.facts import PRIVATE, curation_facts, shows_people
from factory.curate.gates import ROW_GATES, Tools, stages_of
from factory.curate.heldout import heldout_rows
from factory.curate.job import CurateFile
from factory.curate.sources import ReadSource
from factory.curate.write import Kept, write_kept
from factory.errors import UserError
from factory.gates.difficulty import DifficultySpec, triage
from factory.release.curation_card import curation_card
from factory.release.curation_plots import plots
from factory.release.export import REJECTS
from factory.release.new_release import make_release
from factory.release.parquet import write_whole
from schemas.corrupted import CORRUPTED

RELEASE_VERSION = 1
STAGES = (*ROW_GATES, *LEVELS)  # in the order in which a row that fails several counts
LINE = {"row": pl.Int64(), "id": pl.String(), "code": pl.String(), "detail": pl.String(), "twin": pl.String()}
ONE_LINE = pl.col("detail").str.replace_all(r"\s+", " ").str.slice(0, 300)


@dataclass(frozen=True, slots=True)
class Curated:
    """What became of the rows of a job's sources."""

    file: CurateFile
    sources: Sequence[ReadSource]
    passed: Mapping[str, Sequence[Artifact]]  # what each gate made, shard by shard
    copies: Mapping[str, Artifact]  # what left at each level
    alive: npt.NDArray[np.bool_]  # at `row`
    tools: Tools

    @property
    def shards(self) -> list[Artifact]:
        """Return the artifacts of ROWS."""
        return [shard for source in self.sources for shard in source.artifacts]

    @property
    def order(self) -> tuple[str, ...]:
        """Return the stages in the order in which a row that fails several counts."""
        return STAGES

    @property
    def identity(self) -> str:
        """Return the digest of all that the release is made from."""
        return digest(
            version=RELEASE_VERSION,
            job=self.file.job.content(),
            sources=[source.source.digest for source in self.sources],
            passed={name: [a.key for a in made] for name, made in self.passed.items()},
            copies={name: made.key for name, made in self.copies.items()},
        )

    def ids(self) -> pl.Series:
        """Return the id of each row, at `row`; null where it could not be read."""
        found = pl.concat([shard.read(["row", "id"]) for shard in self.shards])
        places = pl.DataFrame({"row": np.arange(self.alive.size)})
        return places.join(found, on="row", how="left", maintain_order="left")["id"]

    def rows(self, wanted: Sequence[int]) -> pl.DataFrame:
        """Return some of the ROWS, by their numbers, in order."""
        mine = pl.col("row").is_in(list(wanted))
        return pl.concat([shard.scan().filter(mine).collect() for shard in self.shards])

    def lines(self, ids: pl.Series) -> dict[str, pl.DataFrame]:
        """Return for each stage a line for every rule that a row broke there: LINE."""
        out = {name: self._gate_lines(name) for name in ROW_GATES if name in self.passed}
        for level, left in self.copies.items():
            frame = left.read()
            twins = pl.Series("twin", ids.gather(frame["twin"]), pl.String)
            own = pl.Series("id", ids.gather(frame["row"]), pl.String)
            out[level] = frame.select("row", "code", "detail").with_columns(own, twins).select(*LINE)
        return out

    def _gate_lines(self, name: str) -> pl.DataFrame:
        frames = [pl.DataFrame(schema=LINE)]
        for shard, made in zip(self.shards, self.passed[name], strict=True):
            if made.rejects:
                told = made.read_rejects().explode("reasons").unnest("reasons")
                known = told.join(shard.read(["id", "row"]), on="id", how="left", maintain_order="left")
                frames.append(known.select(*LINE))
        return pl.concat(frames)


def release_curated(curated: Curated, releases: Path) -> tuple[Path, dict[str, Any], bool]:
    """Return (release folder, the figures of its manifest, made now) once the release is in place."""
    job = curated.file.job
    target = releases / job.name / job.release.version
    if not curated.alive.any():
        raise UserError(_nothing_left(curated))
    facts: dict[str, Any] = {}

    def fill(folder: Path) -> dict[str, Any]:
        manifest = _fill(curated, folder)
        facts.update(manifest["curation"])
        return manifest

    release, fresh = make_release(target, curated.identity, fill)
    if not facts:
        from factory.release.reference import read_facts

        facts = read_facts(release)["curation"]
    return release, facts, fresh


def _nothing_left(curated: Curated) -> str:
    """Return that no row stays, and the commonest reasons."""
    codes = Counter[str]()
    for stage, frame in curated.lines(curated.ids()).items():
        codes.update({f"{stage}: {code}": n for code, n in frame["code"].value_counts().iter_rows()})
    told = ", ".join(f"{reason} ({n:,})" for reason, n in codes.most_common(3))
    rows = sum(source.rows for source in curated.sources)
    return f"none of {rows:,} rows stays, so there is no release; what did not hold: {told or 'no row could be read'}"


def _fill(curated: Curated, folder: Path) -> dict[str, Any]:
    """Return the manifest, after every file but itself is in the folder."""
    job, ids = curated.file.job, curated.ids()
    lines = curated.lines(ids)
    kept, spoilt = _kept(curated, ids)
    written = write_kept(curated.sources, kept, folder)
    configs: dict[str, dict[str, int]] = {**written.rows, **_tables(curated, lines, spoilt, folder)}
    manifest: dict[str, Any] = {
        "kind": job.kind,
        "name": job.name,
        "version": job.release.version,
        "title": job.release.title or job.name,
        "license": job.release.license,
        "ending": "curated",
        "against": curated.tools.index.pins() if curated.tools.index else None,
        "stages": stages_of(curated.passed, curated.copies),
        "rows": written.total,
        "configs": configs,
        "curation": curation_facts(curated, lines, spoilt, written.notes),
        "job": job.content(),
    }
    pictures = plots(manifest, folder / "plots")
    examples = [] if shows_people(curated) else _examples(folder, next(iter(written.rows)), written.rows)
    write_bytes(folder / "README.md", curation_card(manifest, examples, pictures).encode())
    return manifest


def _kept(curated: Curated, ids: pl.Series) -> tuple[Kept, pl.DataFrame]:
    """Return what is to be written, and which answers were spoilt on purpose."""
    job, rows = curated.file.job, np.flatnonzero(curated.alive)
    out = np.zeros(curated.alive.size, dtype=np.bool_)
    for shard in curated.shards if job.heldout.share else ():
        frame = shard.read(["id", "row", "template", "instruction", "answer"])
        out[frame["row"].to_numpy()] = heldout_rows(frame, job.heldout.share, job.heldout.by).to_numpy()
    spoilt = _spoilt(curated, curated.alive & ~out)
    answers = dict(spoilt.select("row", "answer").iter_rows())
    heldout = out[rows] if job.heldout.share else None
    return Kept(rows, ids.gather(rows), heldout=heldout, answers=answers), spoilt


def _spoilt(curated: Curated, train: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """Return CORRUPTED of the rows to train on; none unless the job asks for it."""
    spec = curated.file.job.corrupt
    if spec is None:
        return pl.DataFrame(schema=dict(CORRUPTED.columns))
    pool = make_pool((_of_shard(shard, train) for shard in curated.shards), spec)
    return pl.concat([find_corrupted(_of_shard(shard, train), spec, pool) for shard in curated.shards])


def _of_shard(shard: Artifact, train: npt.NDArray[np.bool_]) -> pl.DataFrame:
    frame = shard.read(["id", "row", "instruction", "answer"])
    return frame.filter(pl.Series(train[frame["row"].to_numpy()], dtype=pl.Boolean))


def _tables(
    curated: Curated, lines: Mapping[str, pl.DataFrame], spoilt: pl.DataFrame, folder: Path
) -> dict[str, dict[str, int]]:
    """Return the rows of each table beside the data, after they are written; empty ones are left out."""
    tables = {"rejects": _rejects(curated, lines), "corrupted": spoilt}
    if met := [made.read() for name in ("hits", "repeats") for made in curated.passed.get(name, ())]:
        tables["hits"] = pl.concat(met).sort("row", maintain_order=True)
    if spec := curated.file.job.difficulty:
        tables["triage"] = _triage(curated, spec, lines)
    return {name: {name: write_whole(folder / name, name, t)} for name, t in tables.items() if t.height}


def _triage(curated: Curated, spec: DifficultySpec, lines: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the rows whose keys look wrong, without the texts of those that nobody should read in a release."""
    found = pl.concat([triage(shard.read(), spec) for shard in curated.shards]).sort(
        "z", "row", descending=[True, False]
    )
    hidden = [frame.filter(pl.col("code").is_in(list(PRIVATE)))["row"] for frame in lines.values()]
    hidden += [lines["decontaminate"]["row"]] if "decontaminate" in lines else []
    secret = pl.lit(value=True) if shows_people(curated) else pl.col("row").is_in(pl.concat(hidden).implode())
    texts = [pl.when(~secret).then(name).alias(name) for name in ("instruction", "answer")]
    return found.with_columns(texts)


def _rejects(curated: Curated, lines: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return every reason of every row that left: what was no row, then in the order of stages and rows."""
    frames = []
    for shard in curated.shards:
        if shard.rejects:
            told = shard.read_rejects().explode("reasons").unnest("reasons")
            frames.append(told.select("id", stage=pl.lit("rows"), reason="code", detail=ONE_LINE, twin="twin"))
    for stage, frame in lines.items():
        frames.append(frame.select("id", stage=pl.lit(stage), reason="code", detail=ONE_LINE, twin="twin"))
    return pl.concat(frames) if frames else pl.DataFrame(schema=REJECTS)


def _examples(folder: Path, config: str, written: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """Return a row or two that stayed, for the card: those of middling length of the first."""
    split = next(iter(written[config]))
    files = sorted((folder / config).glob(f"{split}-*.parquet"))
    frame = pl.read_parquet(files[0], n_rows=200)
    if not frame.height:
        return []
    size = frame.select(pl.struct(pl.all()).struct.json_encode().str.len_chars().alias("n"))["n"]
    middle = size.arg_sort()[frame.height // 2]
    return [frame.row(middle, named=True)]
