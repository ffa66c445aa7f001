"""Commands on a release: `factory card`, `rows`, `verify`, `publish` and `pull`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from factory.cli.console import clean, emit, say
from factory.cli.options import json_option, out_option
from factory.errors import UserError
from factory.release.reference import find_release, is_curated, main_config

SHOWN = 10


@click.command()
@click.argument("ref")
@out_option
def card(ref: str, out: Path) -> None:
    """Show the card of a release. REF is its folder, or NAME[@VERSION]."""
    from factory.release.card import strip_front_matter

    path = find_release(ref, out) / "README.md"
    if not path.is_file():
        raise UserError(f"{path} is missing; `factory verify {path.parent}` says what else changed")
    text = strip_front_matter(path.read_text(encoding="utf-8", errors="replace"))
    if sys.stdout.isatty():
        _render(clean(text))
    else:
        say(text)


def _render(text: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text, hyperlinks=False))


@click.command()
@click.argument("ref")
@click.option("-n", "count", type=click.IntRange(min=1), default=5, show_default=True, help="How many rows.")
@click.option("--config", help="Config of the release, such as sft, rl, lineage; default: its first of rows.")
@click.option("--split", help="Split of the config; default: train, or its first.")
@out_option
@json_option
def rows(ref: str, count: int, config: str | None, split: str | None, out: Path, as_json: bool) -> None:
    """Show the first rows of a release. REF is its folder, or NAME[@VERSION]; --json prints JSON lines."""
    from factory.cli.reading import collect, scan, splits_of

    folder = find_release(ref, out)
    config = config or main_config(folder)
    if split is None:
        splits = splits_of(folder, config)
        split = "train" if "train" in splits else next(iter(splits), "train")
    for row in collect(scan(folder, config, split).head(count), folder).iter_rows(named=True):
        if as_json:
            emit(row)
        else:
            show(row)


def show(row: dict[str, Any]) -> None:
    """Write a row for a person: short values as `key: value`, chat turns and long texts as blocks."""
    for key, value in row.items():
        if isinstance(value, list) and value and isinstance(value[0], dict) and "content" in value[0]:
            for turn in value:
                say(f"-- {key}, {turn.get('role')}\n{turn['content']}")
        elif isinstance(value, str) and "\n" in value:
            say(f"-- {key}\n{value}")
        else:
            say(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    say()


@click.command()
@click.argument("ref")
@out_option
@json_option
@click.pass_context
def verify(ctx: click.Context, ref: str, out: Path, as_json: bool) -> None:
    """Check a release: its bytes, its rows, its gold answers. Exit code 2 when something does not hold.

    REF is the release's folder, or NAME[@VERSION].
    """
    from factory.release.verify import verify_release
    from factory.release.verify_curated import verify_curated

    folder = find_release(ref, out)
    report = verify_curated(folder) if is_curated(folder) else verify_release(folder)
    if as_json:
        emit({"release": str(folder), "ok": not report.problems, **asdict(report)})
    else:
        for name, count in report.checks.items():
            say(f"{name:<28} {count:>11,}")
        verdict = "problems were found" if report.problems else "everything holds"
        say(f"{report.rows:,} rows checked in {report.seconds:.1f} s: {verdict}")
        for problem in report.problems[:SHOWN]:
            say(f"error: {problem}", err=True)
        if len(report.problems) > SHOWN:
            say(f"error: and more; `factory verify {folder} --json` lists them", err=True)
    if report.problems:
        ctx.exit(2)


@click.command()
@click.argument("ref")
@click.option("--to", required=True, metavar="TARGET", help="file:DIR or hub:ORG/NAME.")
@click.option("--private", is_flag=True, help="Make a new dataset on the Hub private.")
@out_option
def publish(ref: str, to: str, private: bool, out: Path) -> None:
    """Put a release into a folder or on the Hub, whole and checked. REF is its folder, or NAME[@VERSION].

    A published version never changes; publishing it again sends nothing.
    """
    from factory.release.publish import publish as send

    done = send(find_release(ref, out), to, private=private)
    say(f"{'there already' if done.already else 'published'}: {done.url}")
    say(f"tag       {done.tag}, revision {done.revision}")
    say(f"load      {done.load_line}")


@click.command()
@click.argument("ref")
@out_option
def pull(ref: str, out: Path) -> None:
    """Fetch a published release into DIR/releases and check every byte. REF is ORG/NAME[@vX.Y.Z] or file:DIR."""
    from factory.release.folder import load_line
    from factory.release.pull import pull as fetch

    done = fetch(ref, out)
    say(f"{'there already' if done.already else 'pulled'}: {done.path}")
    say(f"load      {load_line(str(done.path.absolute()), done.path)}")
