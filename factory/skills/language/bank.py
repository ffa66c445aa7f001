"""The language skills of a job: merged, split by family, with the pairs that are too alike to be asked for together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl

from factory.artifacts.digest import canonical_json, digest, text_digest
from factory.artifacts.stage import Dependency, Stage, apply
from factory.artifacts.store import Artifact, Store
from factory.errors import UserError, nearest
from factory.selection.embed import MiniLM, encode, require_embed
from factory.skills.language.lists import SkillList
from factory.skills.language.merge import merge, near_pairs
from factory.skills.language.skill import FIELDS, LanguageSkill
from schemas.columns import REASONS
from schemas.skills import RAW_SKILLS, SKILL_BANK

NEVER = 2.0  # a cosine that no two skills have: only spellings are merged
LARGEST = 1 / 3  # of a list: a family beyond it stays in train


def screen_skills(frame: pl.DataFrame, params: Mapping[str, Any], *, embedder: Dependency) -> pl.DataFrame:
    """Return the skills of a job, each with its split and the skills near it; a reason on every line that leaves."""
    usable = [LanguageSkill.of_row(row) for row in frame.filter(pl.col("code") == "").iter_rows(named=True)]
    vectors = encode([skill.said for skill in usable])
    merged = merge(usable, params["similarity"], vectors=vectors)
    kept = {skill.name: skill for skill in merged.skills}
    became = {
        label: (skill, how, similarity)
        for label, skill, how, similarity in merged.merges.select("label", "skill", "how", "similarity").iter_rows()
    }
    held = held_out(merged.skills, params["heldout"])
    place = {skill.name: i for i, skill in enumerate(usable)}
    near = _neighbours(merged.skills, vectors[[place[skill.name] for skill in merged.skills]])
    rows = []
    for row in frame.iter_rows(named=True):
        found = kept.get(row["name"]) if not row["code"] else None
        skill = found or LanguageSkill.of_row(row)
        reasons = [] if found else [_why(row, became)]
        split = "heldout" if skill.name in held else "train"
        rows.append((row["id"], *(getattr(skill, f) for f in FIELDS), split, near.get(skill.name, []), reasons))
    return pl.DataFrame(rows, schema={**SKILL_BANK.columns, "reasons": REASONS}, orient="row")


def _why(row: Mapping[str, Any], became: Mapping[str, tuple[str | None, str, float | None]]) -> dict[str, Any]:
    if row["code"]:
        return {"gate": "skills", "code": row["code"], "detail": "", "twin": None}
    skill, how, similarity = became[row["name"]]
    detail = how if similarity is None else f"{how}, similarity {similarity:.3f}"
    return {"gate": "skills", "code": "skill_is_new", "detail": detail, "twin": skill}


def _neighbours(skills: Sequence[LanguageSkill], vectors: npt.NDArray[np.float32]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for pair in near_pairs(skills, vectors):
        a, b = sorted(pair)
        out.setdefault(a, []).append(b)
        out.setdefault(b, []).append(a)
    return {name: sorted(names) for name, names in out.items()}


def held_out(skills: Sequence[LanguageSkill], share: float) -> frozenset[str]:
    """Return the skills that only heldout rows use: whole families in hash order, skills where there is one family."""
    wanted = share * len(skills)
    families: dict[str, list[str]] = {}
    for skill in skills:
        families.setdefault(skill.family, []).append(skill.name)
    groups = list(families.values()) if len(families) > 2 else [[skill.name] for skill in skills]
    out: set[str] = set()
    for group in sorted(groups, key=lambda names: text_digest(" ".join(sorted(names)))):
        if len(out) >= wanted:
            break
        if len(out) + len(group) <= max(2 * wanted, LARGEST * len(skills)):
            out.update(group)
    return frozenset(out)


SKILLS_STAGE = Stage("skills", 1, RAW_SKILLS, SKILL_BANK, screen_skills)


def import_skills(found: SkillList, similarity: float | None, heldout: float, store: Store) -> Artifact:
    """Return the artifact of the skills of a job; UserError when too few are left to combine."""
    require_embed("language skills")
    rows = [{"id": skill.name, **skill.as_row(), "code": ""} for skill in found.skills]
    blank = LanguageSkill("").as_row()
    rows += [{"id": f"line {i}: {text[:60]}", **blank, "code": code} for i, (text, code) in enumerate(found.rejects)]
    frame = pl.DataFrame(rows, schema=dict(RAW_SKILLS.columns))
    params = {"similarity": NEVER if similarity is None else similarity, "heldout": heldout}
    key = SKILLS_STAGE.key([text_digest(frame.write_ndjson())], params, {"embedder": MiniLM()})
    return store.find("skills", key) or apply(SKILLS_STAGE, frame, params, store, key, embedder=MiniLM())


@dataclass(frozen=True)
class SkillBank:
    """The language skills of a job by name; cheap to send to a worker, read there once."""

    path: Path
    content: str
    profile: str = ""  # JSON: weights by name

    @classmethod
    def of(cls, artifact: Artifact, profile: Mapping[str, float] | None = None) -> SkillBank:
        """Return the bank of an artifact; UserError for a profile with skills that are not in it."""
        bank = cls(artifact.folder / "rows.parquet", artifact.digest, canonical_json(profile or {}).decode())
        known = _read(bank.path, bank.content)
        for name in profile or {}:
            if name not in known:
                raise UserError(
                    f"the profile has a weight for '{name}', which is no skill of the job{nearest(name, known)}"
                )
        return bank

    @property
    def identity(self) -> str:
        """Return the digest of the skills and their weights."""
        return digest(skills=self.content, profile=self.profile)

    @property
    def near(self) -> frozenset[frozenset[str]]:
        """Return the pairs that are too alike to be asked for together."""
        rows = _read(self.path, self.content)
        return frozenset(frozenset((name, other)) for name, (_, _, near) in rows.items() for other in near)

    @property
    def weights(self) -> Mapping[str, float]:
        """Return how much each skill is wanted, relative to the others; empty for evenly."""
        found: dict[str, float] = orjson.loads(self.profile) if self.profile else {}
        return found

    def names(self, split: str) -> Sequence[str]:
        """Return the skills that a split may use, by name."""
        return sorted(name for name, (_, side, _) in _read(self.path, self.content).items() if side == split)

    def get(self, name: str) -> LanguageSkill:
        """Return the skill of a name."""
        return _read(self.path, self.content)[name][0]

    def split_of(self, name: str) -> str:
        """Return which rows may use a skill."""
        return _read(self.path, self.content)[name][1]


@cache
def _read(path: Path, content: str) -> dict[str, tuple[LanguageSkill, str, list[str]]]:
    rows = pl.read_parquet(path).iter_rows(named=True)
    return {row["name"]: (LanguageSkill.of_row(row), row["split"], row["near"]) for row in rows}
