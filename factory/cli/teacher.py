"""`factory teacher`: look at a teacher before a run, and install vLLM in an environment of its own."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from factory.cli.console import emit, say, say_table
from factory.cli.options import json_option, model_option, out_option, teacher_option
from factory.errors import MissingExtra, UserError
from factory.jobs.model import load_job, parse_teacher
from factory.teacher.model import TeacherSpec, redirected
from factory.teacher.protocol import AUTHOR

if TYPE_CHECKING:
    from factory.teacher.check import Finding

PATIENCE = 15.0  # seconds: who checks wants to know now


@click.group()
def teacher() -> None:
    """Check a teacher; install vLLM."""


@teacher.command()
@click.argument("job", required=False)
@teacher_option
@model_option
@out_option
@json_option
@click.pass_context
def check(  # noqa: PLR0913 - a command line has as many options as it has
    ctx: click.Context, job: str | None, teacher: str | None, model: str | None, out: Path, as_json: bool
) -> None:
    """Ask the teacher and the judge of JOB (or --teacher URL --model NAME) a few small things, and tell what they say.

    Reachable? Model served? Structured output kept? How many tokens a second? Costs about ten short replies. Exit code
    2 when something is wrong.
    """
    specs, base = _specs(job, teacher, model)
    findings = []
    for role, spec in specs.items():
        if spec.kind == "batch_file":
            raise UserError("a batch_file teacher cannot be asked now: its replies come later, as files")
        found = _findings(spec, base, out)
        findings += [replace(f, what=f"{role}: {f.what}") for f in found] if len(specs) > 1 else found
    if as_json:
        emit([asdict(finding) for finding in findings])
    else:
        say_table(("check", "found"), [(finding.what, finding.found) for finding in findings])
    wrong = [finding for finding in findings if finding.remedy]
    for finding in wrong:
        say(f"error: {finding.what}: {finding.remedy}", err=True)
    if wrong:
        ctx.exit(UserError.exit_code)


def _findings(spec: TeacherSpec, base: Path, out: Path) -> list[Finding]:
    try:
        from factory.teacher.check import check as ask
        from factory.teacher.loop import Loop
        from factory.teacher.session import Place, back_end
    except ImportError:
        raise MissingExtra("talking to a teacher", "teacher") from None
    hasty = spec.model_copy(update={"patience": min(spec.patience, PATIENCE)})
    end, loop = back_end(hasty, Place(base, out, tell=lambda line: say(line, err=True))), Loop()
    try:
        return loop.run(ask(end))
    finally:
        loop.run(end.close())
        loop.close()


def _specs(job: str | None, where: str | None, model: str | None) -> tuple[dict[str, TeacherSpec], Path]:
    """Return whom to check, by role, and where their relative paths start."""
    if job is not None:
        file = load_job(job, (), where, model)
        if file.job.teacher is None:
            raise UserError(f"the job {job} names no teacher: add `teacher:` to it, or give --teacher URL --model NAME")
        models = file.job.models
        return {"teacher": models.pop(AUTHOR), **models}, file.base
    if where is None:
        raise UserError("say whom to check: a job with a teacher, or --teacher URL --model NAME")
    return {"teacher": parse_teacher(redirected(None, where, model))}, Path()


@teacher.command("install-vllm")
@click.option("--cpu", is_flag=True, help="vLLM built for machines without a GPU.")
@click.option("--into", type=click.Path(path_type=Path), metavar="DIR", help="Where; default: your data folder.")
def install(cpu: bool, into: Path | None) -> None:
    """Make an environment with vLLM, in which `vllm_server` and `vllm_batch` run it.

    vLLM and Prefect cannot share an environment, so it gets its own: some minutes, 4 GB (with a GPU: more).
    """
    from factory.teacher.install import default_constraints, default_env, install_vllm

    pins = default_constraints()
    python = install_vllm(into or default_env(), cpu, constraints=pins, say=lambda line: say(line, err=True))
    say(f"python  {python}")
