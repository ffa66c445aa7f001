"""`factory jobs` and `factory new`: the jobs that are shipped, and a file to start one's own from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from factory.cli.console import say, say_table
from factory.curate.job import CurateJob
from factory.errors import UserError
from factory.jobs.job_file import shipped_jobs
from factory.jobs.kinds import load_any_job
from factory.jobs.model import CURATE

NAME = re.compile(r"[a-z0-9][a-z0-9\-]{0,62}")


@click.command()
def jobs() -> None:
    """List the shipped jobs; `factory run NAME` builds one."""
    rows: list[tuple[str, str, str, str]] = []
    for name in shipped_jobs():
        job = load_any_job(name).job
        if isinstance(job, CurateJob):
            rows.append((name, job.kind, "", ", ".join(source.label for source in job.sources)))
        else:
            rows.append((name, job.kind, f"{job.rows:,}", ", ".join(dict.fromkeys(e.recipe for e in job.recipes))))
    say_table(("name", "kind", "rows", "recipes or sources"), rows, right=frozenset({"rows"}))


@click.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(["build", CURATE]), default="build", show_default=True, help="What it does.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def new(name: str, kind: str, force: bool) -> None:
    """Write NAME.yaml, a job file with every key explained, and NAME.schema.json, by which editors check it."""
    from factory.cli.new_curation import curation_schema, curation_text
    from factory.cli.new_job import job_schema, job_text

    if not NAME.fullmatch(name):
        raise UserError(
            f"a job's name has small letters, digits and hyphens only, at most 63, and starts with no hyphen;"
            f" found {name!r} (the file becomes NAME.yaml)"
        )
    job, schema = Path(f"{name}.yaml"), Path(f"{name}.schema.json")
    there = [str(path) for path in (job, schema) if path.exists()]
    if there and not force:
        raise UserError(f"{' and '.join(there)} would be overwritten; choose another name, or add --force")
    text, checks = (curation_text(name), curation_schema()) if kind == CURATE else (job_text(name), job_schema())
    job.write_text(text, encoding="utf-8")
    schema.write_text(json.dumps(checks, indent=1) + "\n", encoding="utf-8")
    say(f"wrote {job} and {schema}")
    say(f"next: {'name your rows in it, then factory plan' if kind == CURATE else 'factory preview'} {job}")
