"""A job of kind curate: which rows come in, which gates they pass, what counts as a copy, what the release says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from factory.curate.corrupt import CorruptSpec
from factory.curate.sources import RowSource
from factory.dedupe.against import AgainstSpec
from factory.dedupe.caps import CapsSpec
from factory.dedupe.near import MinHashSpec
from factory.dedupe.normal import ExactSpec
from factory.dedupe.semantic import SemanticSpec
from factory.errors import nearest
from factory.gates.decontaminate import DecontaminateSpec
from factory.gates.difficulty import DifficultySpec
from factory.gates.filters import FiltersSpec
from factory.jobs.model import ReleaseSpec, checked
from factory.release.reference import CURATED_TABLES
from factory.strict import Strict
from factory.teacher.model import TeacherSpec


class DedupeSpec(Strict):
    """What counts as a copy, and which of several copies stays."""

    exact: ExactSpec | None = Field(default=ExactSpec(), description="Equal texts, once normalised; null: off.")
    minhash: MinHashSpec | None = Field(default=MinHashSpec(), description="Nearly equal texts; null: off.")
    semantic: SemanticSpec | None = Field(default=None, description="Equal in meaning, by embeddings (extra: embed).")
    keep: Literal["first", "best", "longest"] = Field(
        default="first", description="Which of several copies stays: the first, that of best quality, the longest."
    )
    group: Literal["greedy", "components"] = Field(
        default="greedy",
        description="Of minhash: greedy drops a row only for a kept one; components also for a copy's copy.",
    )


class HeldoutSpec(Strict):
    """Rows that are kept apart, chosen by hash: a row stays on its side whatever else is curated with it."""

    share: float = Field(default=0.0, ge=0, lt=1, description="Share of the kept rows.")
    by: Literal["instruction", "template"] = Field(default="instruction", description="What stays on one side.")


class CurateJob(Strict):
    """A curation: rows in, the good ones out as a release, the others with their reasons."""

    kind: Literal["curate"] = Field(description="What the job does.")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9\-]{0,62}$", description="Name of the job and of its releases.")
    seed: int = Field(default=0, strict=True, ge=0, lt=2**63, description="Seed of every random choice.")
    sources: list[RowSource] = Field(min_length=1, description="The rows, in the order in which they count as first.")
    filters: FiltersSpec | None = Field(default=FiltersSpec(), description="Rules that every row must keep; null: off.")
    difficulty: DifficultySpec | None = Field(default=None, description="Bands of pass rates, where rows have them.")
    decontaminate: DecontaminateSpec | None = Field(default=None, description="Benchmarks that must not leak.")
    dedupe: DedupeSpec = DedupeSpec()
    against: AgainstSpec | None = Field(default=None, description="Earlier releases that no row may repeat.")
    caps: CapsSpec | None = Field(default=None, description="Most rows of one template, solution or source.")
    corrupt: CorruptSpec | None = Field(
        default=None, description="Spoil a share of the kept answers, to measure what that costs a student."
    )
    heldout: HeldoutSpec = HeldoutSpec()
    teacher: TeacherSpec | None = Field(default=None, description="Who says whether two questions are the same.")
    release: ReleaseSpec = ReleaseSpec()

    @field_validator("sources")
    @classmethod
    def _not_a_table(cls, sources: list[RowSource]) -> list[RowSource]:
        names = [source.label for source in sources]
        if taken := next((name for name in names if name in CURATED_TABLES), None):
            raise ValueError(f"a source cannot be called '{taken}', as a table of every release is; give it a `name`")
        return sources

    @model_validator(mode="after")
    def _known_domains(self) -> CurateJob:
        names = [source.label for source in self.sources]
        domains = self.difficulty.guru.domains if self.difficulty and self.difficulty.guru else {}
        if strange := next((name for name in domains if name not in names), None):
            raise ValueError(f"difficulty.guru.domains speaks of a source '{strange}'{nearest(strange, names)}")
        return self

    @model_validator(mode="after")
    def _rated(self) -> CurateJob:
        told = ("weak_right", "weak_rate", "strong_right", "strong_rate")
        if self.difficulty and not any(name in source.columns for source in self.sources for name in told):
            raise ValueError(
                "difficulty needs pass rates: name their columns in a source, such as"
                " `columns: {weak_right: YOUR_COLUMN, weak_tries: 8}`"
            )
        return self

    @model_validator(mode="after")
    def _who_judges(self) -> CurateJob:
        meaning = self.decontaminate.semantic if self.decontaminate else None
        if meaning and meaning.verdict and self.teacher is None:
            raise ValueError("decontaminate.semantic.verdict asks a teacher, and the job names none: add `teacher:`")
        return self

    @model_validator(mode="after")
    def _order(self) -> CurateJob:
        if self.dedupe.keep == "best" and not any("quality" in source.columns for source in self.sources):
            raise ValueError("dedupe.keep: best needs a column of quality: `columns: {quality: YOUR_COLUMN}`")
        return self

    def content(self) -> dict[str, Any]:
        """Return all of the job that a release depends on; of paths the file's name, for what is in it counts."""
        said = self.model_dump(mode="json", exclude={"teacher"})
        places = [*said["sources"], *((said["decontaminate"] or {}).get("benchmarks", ()))]
        for place in places:
            if not place["path"].startswith("hub:"):
                place["path"] = PurePath(place["path"]).name
        for spec in (said["dedupe"]["semantic"], (said["decontaminate"] or {}).get("semantic")):
            if spec and Path(spec["embedder"]).is_dir():
                spec["embedder"] = PurePath(spec["embedder"]).name
        if said["against"]:
            del said["against"]["index"]
        return said | ({"teacher": self.teacher.content()} if self.teacher else {})


@dataclass(frozen=True, slots=True)
class CurateFile:
    """A curate job, and the folder that its relative paths start from."""

    job: CurateJob
    base: Path


def parse_curation(raw: dict[str, Any], source: str) -> CurateJob:
    """Return the curate job of parsed YAML; UserError says what is wrong where."""
    return checked(CurateJob, raw, source)
