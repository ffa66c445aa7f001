"""The first stage of a job that wants its skills found: a teacher names them, from a domain or from the user's rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from factory.jobs.converse import converse
from factory.jobs.model import JobFile, SkillSource
from factory.jobs.report import Watcher
from factory.selection.embed import encode, require_embed
from factory.skills.language.extract import Limits
from factory.skills.language.from_domain import from_domain
from factory.skills.language.from_rows import from_documents, from_rows
from factory.skills.language.lists import SkillList
from factory.skills.language.merge import THRESHOLD
from factory.skills.language.sources import Found, read_documents, read_rows

if TYPE_CHECKING:
    from factory.teacher.session import Session


def find_skills(file: JobFile, session: Session, watcher: Watcher) -> SkillList:
    """Return the skills that a teacher finds for a job, merged; what left on the way is among the rejects."""
    require_embed("merging skills by their meaning")
    spec = file.job.skills
    limits = Limits(topics=spec.topics, threshold=spec.similarity or THRESHOLD)
    if spec.domain:
        found = converse(from_domain(spec.domain, limits, encode, f"domain:{spec.domain}"), session, watcher=watcher)
        return SkillList(found.skills, [(reject.subject, reject.code) for reject in found.rejects])
    read = _read(spec, file.base)
    label = from_rows if spec.rows else from_documents
    found = converse(
        label(read.sources, limits, encode, "rows" if spec.rows else "documents"), session, watcher=watcher
    )
    return SkillList(found.skills, [(reject.subject, reject.code) for reject in (*read.rejects, *found.rejects)])


def _read(spec: SkillSource, base: Path) -> Found:
    """Return the user's rows, or the passages of the user's documents."""
    given = spec.rows or spec.documents
    assert given is not None
    path = given if given.startswith("hub:") else str(base / given)
    if spec.rows:
        return read_rows(path, {"text": spec.column or "instruction"}, spec.max_rows)
    return read_documents(path, {"text": spec.column or "text"}, spec.max_rows)
