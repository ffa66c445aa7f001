"""`factory cache`: the replies that were paid for, which every run uses before it asks a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from factory.cli.console import emit, say, say_table
from factory.cli.options import json_option, out_option
from factory.errors import UserError
from factory.teacher import upkeep
from factory.teacher.reply_store import PLACE, ReplyStore

ARTIFACTS = "artifacts"
HEAD = ("model", "replies", "prompt tokens", "completion tokens", "failures", "first", "last")


@click.group()
def cache() -> None:
    """Look after the replies of models that are kept for later runs."""


@contextmanager
def _opened(out: Path, *, read_only: bool = False) -> Iterator[ReplyStore]:
    path = out / PLACE
    try:
        is_there = path.is_file()
    except OSError as error:
        raise UserError(f"the reply cache {path} cannot be read ({error.strerror}): make its folder readable") from None
    if not is_there:
        raise UserError(
            f"there is no reply cache {path}: a run with a teacher makes it, and so does `factory cache import FILE`;"
            " --out DIR names another folder"
        )
    store = ReplyStore(path, read_only=read_only)
    try:
        yield store
    finally:
        store.close()


@cache.command()
@out_option
@json_option
def stats(out: Path, as_json: bool) -> None:
    """Tell how many replies there are, of which models, and what they took."""
    with _opened(out, read_only=True) as store:
        found = upkeep.stats(store)
    if as_json:
        emit(asdict(found))
        return
    rows = [
        (m.model, m.replies, m.prompt_tokens, m.completion_tokens, _failures(m), _day(m.first), _day(m.last))
        for m in found.models
    ]
    say_table(HEAD, rows, right=frozenset(HEAD[1:4]))
    say(f"{found.replies:,} replies, {found.bytes / 1e6:,.1f} MB")


def _failures(model: upkeep.ModelStats) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in sorted(model.failures.items())) or "none"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


@cache.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@out_option
@json_option
def export(file: Path, out: Path, as_json: bool) -> None:
    """Write every reply with its request to FILE, a new .jsonl or .parquet file."""
    with _opened(out, read_only=True) as store:
        count = upkeep.export(store, file)
    if as_json:
        emit({"exported": count, "file": str(file)})
    else:
        say(f"exported {count:,} replies to {file}")


@cache.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@out_option
@json_option
def import_(file: Path, out: Path, as_json: bool) -> None:
    """Add the replies of an exported FILE; those that are here already stay as they are."""
    upkeep.check_export(file)  # before a cache is made for it
    store = ReplyStore(out / PLACE)
    try:
        added, present = upkeep.import_(store, file)
    finally:
        store.close()
    if as_json:
        emit({"added": added, "present": present})
    else:
        say(f"added {added:,} replies; {present:,} were here already")


@cache.command()
@click.option("--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Only replies older than this.")
@click.option("--model", metavar="NAME", help="Only replies of this model.")
@click.option("--failures", is_flag=True, help="Only replies that were refused, cut off, empty or not usable.")
@click.option("--yes", is_flag=True, help="Remove them; without it, only say how many there are.")
@out_option
@json_option
def prune(older_than: float | None, model: str | None, failures: bool, yes: bool, out: Path, as_json: bool) -> None:
    """Remove the replies that all the given options fit; a run that needs one of them pays for it again.

    With them goes what finished work keeps of replies (artifacts/talk and artifacts/turns in the same folder): it is
    made again from the replies that are left, at no cost. Releases stay. Let no run go on at the same time.
    """
    if older_than is None and model is None and not failures:
        raise UserError("say which replies to remove: --older-than DAYS, --model NAME or --failures")
    unwanted = upkeep.Unwanted(older_than, model, failures)
    with _opened(out) as store:
        count = upkeep.prune(store, unwanted, dry=True)
        gone: list[Path] = []
        if yes and count:
            gone = upkeep.forget_made(out / ARTIFACTS)  # first: what is left of them would hide what was pruned
            count = upkeep.prune(store, unwanted, dry=False)
        left = upkeep.stats(store)
    if as_json:
        told: dict[str, object] = {"removed" if yes else "would_remove": count}
        emit(told | {"replies": left.replies, "bytes": left.bytes, "forgotten": list(map(str, gone))})
    elif yes:
        say(f"removed {count:,} replies; {left.replies:,} are left, {left.bytes / 1e6:,.1f} MB")
        if gone:
            say(
                f"removed {' and '.join(map(str, gone))} too, which held what came of them: the next run makes that"
                " again from the replies that are left, at no cost"
            )
    else:
        say(f"would remove {count:,} of {left.replies:,} replies; add --yes to remove them")
