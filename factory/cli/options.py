"""Options that more than one command has."""

from __future__ import annotations

from pathlib import Path

import click

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("outputs"),
    show_default=True,
    metavar="DIR",
    help="Where releases and finished work are kept.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else.")
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the job, such as rows=200 or recipes.0.share=0.5; can be repeated.",
)
teacher_option = click.option(
    "--teacher",
    metavar="WHERE",
    help="Ask here instead: a base URL, batch:DIR, fake (no model) or fake:FILE.",
)
model_option = click.option("--model", metavar="NAME", help="Ask this model instead.")
