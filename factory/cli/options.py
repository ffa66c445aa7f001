"""Options that more than one command has."""

from __future__ import annotations

from pathlib import Path

import click

from factory.cli.boundary import JSON


def _note_json(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    ctx.meta[JSON] = value
    return value


out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("outputs"),
    show_default=True,
    metavar="DIR",
    help="Where releases and finished work are kept.",
)
# Eager, so that a mistake in another option is told as JSON too.
json_option = click.option(
    "--json", "as_json", is_flag=True, is_eager=True, callback=_note_json, help="Print JSON on stdout and nothing else."
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the job, such as rows=200 or recipes.0.share=0.5; can be repeated.",
)
