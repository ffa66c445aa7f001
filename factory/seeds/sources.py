"""What a job builds on, brought in: problems, language skills, documents and instructions, each screened once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from factory.artifacts.store import Artifact, Store
from factory.errors import UserError
from factory.jobs.model import Job, JobFile
from factory.recipes.recipe import Sources
from factory.recipes.registry import RECIPES
from factory.seeds.bank import SeedBank, import_seeds
from factory.seeds.texts import document_bank, import_documents, import_instructions, instruction_bank
from factory.skills.language.lists import SkillList, listed_skills
from factory.skills.language.names import skill_name

Find = Callable[[], SkillList]


@dataclass(frozen=True, slots=True)
class Brought:
    """The sources of a job, and the artifacts behind them by stage."""

    sources: Sources = Sources()
    artifacts: dict[str, Artifact] = field(default_factory=dict)

    @property
    def seeds(self) -> Artifact | None:
        """Return the artifact of the user's problems."""
        return self.artifacts.get("seeds")


def needed(job: Job) -> set[str]:
    """Return the sources that the job's recipes cannot do without."""
    return {name for entry in job.recipes for name in RECIPES[entry.recipe].needs}


def bring_files(file: JobFile, store: Store) -> Brought:
    """Return what lies in files: all but skills that a teacher has to find."""
    job, artifacts = file.job, dict[str, Artifact]()
    for name in sorted(needed(job) - {"skills"}):
        if getattr(job, name) is None:
            recipe = next(e.recipe for e in job.recipes if name in RECIPES[e.recipe].needs)
            raise UserError(f"recipe '{recipe}' needs {name}: add `{name}: {{path: FILE}}` to the job")
    if job.seeds:
        artifacts["seeds"] = import_seeds(job.seeds, file.base, store)
    if job.documents:
        artifacts["documents"] = import_documents(job.documents, file.base, store)
    if job.instructions:
        artifacts["instructions"] = import_instructions(job.instructions, file.base, store)
    sources = Sources(
        problems=SeedBank(artifacts["seeds"]) if "seeds" in artifacts else None,
        documents=document_bank(artifacts["documents"], holds_out=_holds_out(job, "documents"))
        if "documents" in artifacts
        else None,
        instructions=instruction_bank(artifacts["instructions"], holds_out=_holds_out(job, "instructions"))
        if "instructions" in artifacts
        else None,
    )
    brought = Brought(sources, artifacts)
    if "skills" in needed(job) and not job.skills.asks:
        return bring_skills(brought, file, store, lambda: _listed(file))
    return brought


def _holds_out(job: Job, source: str) -> bool:
    """Return whether any line of `recipes` that builds on a source holds rows out."""
    return any(entry.heldout for entry in job.recipes if source in RECIPES[entry.recipe].needs)


def bring_skills(brought: Brought, file: JobFile, store: Store, find: Find) -> Brought:
    """Return what was brought with the language skills that `find` gives."""
    from factory.skills.language.bank import SkillBank, import_skills

    spec = file.job.skills
    heldout = spec.heldout if _holds_out(file.job, "skills") else 0.0
    artifact = import_skills(find(), spec.similarity, heldout, store)
    bank = SkillBank.of(artifact, _profile(file))
    return Brought(replace(brought.sources, skills=bank), {**brought.artifacts, "skills": artifact})


def _listed(file: JobFile) -> SkillList:
    path = file.job.skills.path
    return listed_skills(None if path is None else file.base / path)


def _profile(file: JobFile) -> dict[str, float] | None:
    if file.job.skills.profile is None:
        return None
    path: Path = file.base / file.job.skills.profile
    form = "it must be a JSON object {skill: weight}, weights 0 or more (1 for skills that are not in it)"
    try:
        found = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"the profile {path} cannot be read ({error.strerror}); {form}") from None
    except ValueError as error:
        raise UserError(f"the profile {path} is not JSON ({error}); {form}") from None
    if not isinstance(found, dict):
        raise UserError(f"the profile {path} holds a {type(found).__name__}; {form}")
    for name, weight in found.items():
        if type(weight) not in (int, float) or not math.isfinite(weight) or weight < 0:
            raise UserError(f"the profile {path} gives '{name}' the weight {weight!r}; {form}")
    return {skill_name(name): weight for name, weight in found.items()}
