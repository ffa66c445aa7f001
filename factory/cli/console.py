"""What reaches the terminal: text without control characters, and one-line JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import click

# C0 but tab and line feed, DEL, C1, the marks that turn text around, and lone surrogates (undecodable file names). A
# release may come from anybody; its text must not move the cursor, colour lines or hide what it says.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """Return a text without control characters."""
    return CONTROL.sub("", text)


def say(text: str = "", *, err: bool = False) -> None:
    """Write a cleaned line to stdout, or to stderr."""
    click.echo(clean(text), err=err)


def emit(value: Any) -> None:
    """Write a value as one line of JSON to stdout; control characters are escaped, so nothing is lost."""
    click.echo(CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False)))


def say_table(head: Sequence[str], rows: Sequence[Sequence[object]], *, right: frozenset[str] = frozenset()) -> None:
    """Write a table in aligned columns; those in `right` are numbers."""
    lines = [head, *([f"{v:,}" if type(v) is int else clean(str(v)) for v in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for cell, width, name in zip(line, widths, head, strict=True)
        ]
        say("  ".join(cells).rstrip())
