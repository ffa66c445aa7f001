"""`factory prompts`: what is said to a teacher, and how it reads with a row's values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from factory.cli.console import emit, say, say_table
from factory.cli.options import json_option
from factory.errors import UserError
from factory.prompts import Prompt, all_prompts, find_prompt


@click.group()
def prompts() -> None:
    """List and show the prompt files."""


@prompts.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the prompts: place, identity (digest of the file), output, inputs."""
    rows = [_facts(prompt) for prompt in all_prompts().values()]
    if as_json:
        emit(rows)
        return
    say_table(
        ("prompt", "identity", "output", "inputs"),
        [(row["prompt"], row["identity"][:12], row["output"], ", ".join(row["inputs"])) for row in rows],
    )
    say(f"{len(rows)} prompts")


def _facts(prompt: Prompt) -> dict[str, Any]:
    head = prompt.head
    return {"prompt": prompt.place, "identity": prompt.identity, "output": head.output, "inputs": head.inputs}


@prompts.command()
@click.argument("name")
@click.option(
    "--row",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Render it with the values of a JSON file (of a JSONL file: its first line).",
)
@json_option
def show(name: str, row: Path | None, as_json: bool) -> None:
    """Show a prompt, NAME or NAME.vN: its template, or with --row the messages that would be sent."""
    prompt = find_prompt(name)
    if row is not None:
        messages = prompt.render(_read_row(row))
        if as_json:
            emit({**_facts(prompt), "messages": messages})
            return
        for message in messages:
            say(f"== {message['role']}\n{message['content']}\n")
        return
    if as_json:
        emit({**_facts(prompt), "system": prompt.head.system, "body": prompt.body, "schema": prompt.head.json_schema})
        return
    say(f"prompt    {prompt.place}\nidentity  {prompt.identity}\ninputs    {', '.join(prompt.head.inputs)}")
    say(f"output    {prompt.head.output}\nnotes     {prompt.head.notes.strip()}\n")
    if prompt.head.system:
        say(f"== system\n{prompt.head.system.strip()}\n")
    say(f"== user\n{prompt.body.strip()}")
    if prompt.head.json_schema:
        say(f"\n== schema\n{json.dumps(prompt.head.json_schema, indent=1, ensure_ascii=False)}")


def _read_row(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--row {path} cannot be read: {error}") from None
    if path.suffix == ".jsonl":
        text = next((line for line in text.splitlines() if line.strip()), "")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"--row {path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"--row {path} must hold an object with the prompt's inputs, found {type(found).__name__}")
    return found
