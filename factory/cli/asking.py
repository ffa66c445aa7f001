"""Commands that ask a teacher outside of a job: whom, by which session, and what a conversation comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from factory.cli.progress import watching
from factory.cli.run import stoppable
from factory.errors import MissingExtra, UserError
from factory.jobs.model import load_job, parse_teacher
from factory.jobs.report import Watcher
from factory.recipes.recipe import Asking
from factory.teacher.model import TeacherSpec, redirected

if TYPE_CHECKING:
    from factory.teacher.session import Session

T = TypeVar("T")

teacher_option = click.option(
    "--teacher", metavar="WHERE", help="Whom to ask: a base URL, batch:DIR, fake (no model) or fake:FILE."
)
model_option = click.option("--model", metavar="NAME", help="The model, as its server knows it.")
job_option = click.option("--job", metavar="JOB", help="Ask the teacher of this job: its key, price and budget hold.")


def whom(given: Mapping[str, Any]) -> tuple[TeacherSpec, Path]:
    """Return the teacher that --job, --teacher and --model name, and where its relative paths start."""
    if given["job"] is not None:
        file = load_job(given["job"], (), given["teacher"], given["model"])
        if file.job.teacher is None:
            raise UserError(f"the job {given['job']} names no teacher: add `teacher:` to it, or give --teacher URL")
        return file.job.teacher, file.base
    if given["teacher"] is None:
        raise UserError("say whom to ask: --teacher URL --model NAME, or --job JOB (--teacher fake asks nobody)")
    return parse_teacher(redirected(None, given["teacher"], given["model"])), Path()


@contextmanager
def session_of(
    teacher: TeacherSpec, judges: Sequence[TeacherSpec], base: Path, out: Path, watcher: Watcher
) -> Iterator[Session]:
    """Yield a session whose replies are kept under `out`; MissingExtra without the libraries."""
    try:
        from factory.teacher.session import open_session
    except ImportError:
        raise MissingExtra("asking a model", "teacher") from None
    with open_session(teacher, judges, base, out, watcher.remark) as session:
        yield session


def hold(talk: Asking[T], session: Session, watcher: Watcher) -> T:
    """Return what a conversation comes to."""
    from factory.jobs.converse import converse

    return converse(talk, session, watcher=watcher)


def ask_once(talk: Asking[T], given: Mapping[str, Any], out: Path, *, quiet: bool) -> T:
    """Return what a conversation with the teacher of the options comes to, in a session of its own."""
    teacher, base = whom(given)
    with stoppable(), watching(quiet=quiet) as watcher, session_of(teacher, (), base, out, watcher) as session:
        return hold(talk, session, watcher)
