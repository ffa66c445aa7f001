"""`factory why`: where a row of a release comes from, or why an attempt was rejected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import polars as pl

from factory.cli.console import say
from factory.cli.options import out_option
from factory.cli.reading import collect, scan, splits_of
from factory.cli.releases import show
from factory.errors import UserError
from factory.gates.reply import WHOLE_REPLY
from factory.release.folder import MANIFEST
from factory.release.reference import all_releases, data_configs, find_release, is_curated, read_facts

SHORTEST = 6
SHOWN = 5
COPIES = ("exact", "minhash", "semantic")


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("release", required=False)
@out_option
def why(id_: str, release: str | None, out: Path) -> None:
    """Tell where the row ID comes from, or why it was rejected; the first six characters or more are enough.

    Looks in RELEASE (a folder, or NAME[@VERSION]), else through the releases under DIR, newest first.
    """
    folders = [find_release(release, out)] if release else all_releases(out)
    folders = sorted(folders, key=lambda f: (f / MANIFEST).stat().st_mtime_ns, reverse=True)
    if not folders:
        raise UserError(f"there is no release in {out / 'releases'}; build one with `factory run`")
    folder, full = _find(id_, folders)
    say(f"id        {full}\nrelease   {folder}")
    if is_curated(folder):
        _show_curated(folder, full)
        return
    row = _first(folder, "lineage", full)
    if row is not None:
        _show_accepted(folder, row)
    for reject in _rows(folder, "rejects", pl.col("id") == full):
        _show_reject(folder, reject)
    for turn in _rows(folder, "turns", pl.col("id") == full):
        _show_turn(turn)


def _find(wanted: str, folders: Sequence[Path]) -> tuple[Path, str]:
    """Return the newest release that knows an id, and the whole id; a prefix must fit one id only."""
    for folder in folders:
        if wanted in _ids(folder, pl.col("id") == wanted):
            return folder, wanted
    found: dict[str, Path] = {}
    if len(wanted) >= SHORTEST:
        for folder in folders:
            for id_ in _ids(folder, pl.col("id").str.starts_with(wanted)):
                found.setdefault(id_, folder)
    if len(found) > 1:
        raise UserError(f"'{wanted}' fits {len(found)} rows ({', '.join(sorted(found)[:SHOWN])}); give more of the id")
    if not found:
        short = f"; give at least {SHORTEST} characters" if len(wanted) < SHORTEST else ""
        raise UserError(f"none of {len(folders)} releases knows a row '{wanted}'{short}")
    id_, folder = next(iter(found.items()))
    return folder, id_


def _frames(folder: Path, config: str) -> Iterator[pl.LazyFrame]:
    """Yield the splits of a config; a release without rejects, or without a teacher, lacks that config."""
    if config in read_facts(folder).get("configs", ()):
        for split in splits_of(folder, config):
            yield scan(folder, config, split)


def _ids(folder: Path, wanted: pl.Expr) -> set[str]:
    homes = data_configs(folder) if is_curated(folder) else ("lineage",)
    frames = [frame.filter(wanted).select("id") for config in (*homes, "rejects") for frame in _frames(folder, config)]
    return set(collect(pl.concat(frames), folder)["id"]) if frames else set()


def _rows(folder: Path, config: str, wanted: pl.Expr) -> list[dict[str, Any]]:
    return [row for frame in _frames(folder, config) for row in collect(frame.filter(wanted), folder).to_dicts()]


def _first(folder: Path, config: str, id_: str) -> dict[str, Any] | None:
    for split in splits_of(folder, config):
        if split != "mini":
            found = collect(scan(folder, config, split).filter(pl.col("id") == id_), folder)
            if found.height:
                return found.row(0, named=True)
    return None


def _show_accepted(folder: Path, row: dict[str, Any]) -> None:
    say(f"recipe    {row['recipe']} v{row['recipe_version']}, {row['cell']}, split {row['split']}")
    say(f"slot      {row['slot_id']}, filled by attempt {row['attempt']}")
    say(f"skills    {', '.join(row['skills'])}")
    if row["tree"]:
        say(f"depth     {row['effective_depth']} skills changed their input")
    if row["flags"]:
        say(f"flags     {', '.join(row['flags'])}")
    say(f"parents   {', '.join(row['parents']) or 'none: every value was drawn'}")
    say(f"digest    {row['digest']}")
    if row["tree"]:
        say("-- tree, the last step first")
        for line in tree_lines(json.loads(row["tree"])):
            say(line)
    for grade in row.get("grades") or ():
        say(f"grade     {_grade(grade)}")
    rl, sft = _first(folder, "rl", row["id"]), _first(folder, "sft", row["id"])
    if rl is None or sft is None:
        raise UserError(f"{folder} knows the row but does not hold it; `factory verify {folder}` says what changed")
    gold, kind = rl["verifier"]["gold"], rl["verifier"]["kind"]
    say(f"-- prompt\n{sft['messages'][0]['content']}")
    if kind not in WHOLE_REPLY:
        say(f"-- steps\n{steps_of(sft['messages'][-1]['content'], gold)}")
    say(f"-- gold ({kind})\n{gold}")


def _grade(grade: Mapping[str, Any]) -> str:
    given = [vote for vote in grade["votes"] if vote is not None]
    found = {None: "no verdict", 1.0: "met", 0.0: "not met"}.get(grade["value"], grade["value"])
    return f"{grade['name']}: {found} ({sum(given):g} of {len(given)} votes)"


def _show_turn(turn: dict[str, Any]) -> None:
    ended = f", {turn['failure']}" if turn["failure"] else ""
    cost = f"{turn['prompt_tokens']:,} + {turn['completion_tokens']:,} tokens"
    say(f"-- {turn['role']} {turn['model']}, asked with {turn['prompt']} ({cost}{ended})\n{turn['text']}")


def steps_of(reply: str, gold: str) -> str:
    """Return the solver's steps of an assistant's turn: what stands before its answer line."""
    return reply.removesuffix(gold).rstrip().removesuffix("Answer:").rstrip()


def tree_lines(tree: dict[str, Any], depth: int = 0) -> Iterator[str]:
    """Yield a tree as indented lines: what is done, then what it is done to."""
    pad = "  " * depth
    if "args" not in tree:
        name, value = ("input", tree["x"]) if "x" in tree else ("value", tree["value"])
        yield f"{pad}{name} {json.dumps(value, ensure_ascii=False)} ({tree['kind']})"
        return
    name = tree["skill"] if "skill" in tree else f"by {tree['adapter']}"
    params = ", ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in tree["params"].items())
    yield f"{pad}{name}({params})" if params else f"{pad}{name}"
    for arg in tree["args"]:
        yield from tree_lines(arg, depth + 1)


def _show_curated(folder: Path, id_: str) -> None:
    """Write what a curation decided about a row; of a copy, what it is a copy of, until a row that stayed."""
    kept, mine = _kept(folder, id_), pl.col("id") == id_
    if kept is not None:
        spoilt = [
            f", with an answer that was spoilt on purpose ({row['how']})" for row in _rows(folder, "corrupted", mine)
        ]
        say(f"stayed{''.join(spoilt)}")
        show(kept)
    twin: str | None = id_
    while kept is None and twin is not None:
        rejects = _rows(folder, "rejects", pl.col("id") == twin)
        if not rejects:
            say(f"twin      {twin}")
            return
        for reject in rejects:
            say(_rejected(reject))
        following = next((reject["twin"] for reject in rejects if reject["stage"] in COPIES), None)
        kept = _kept(folder, following) if following else None
        if kept is not None:
            say(f"twin      {following}, which stayed:")
            show(kept)
        elif following:
            say(f"twin      {following}, which left itself:")
        twin = following


def _kept(folder: Path, id_: str) -> dict[str, Any] | None:
    found = (_first(folder, config, id_) for config in data_configs(folder))
    return next((row for row in found if row is not None), None)


def _rejected(reject: Mapping[str, Any]) -> str:
    detail = f": {reject['detail']}" if reject.get("detail") else ""
    return f"rejected  by {reject['stage']}: '{reject['reason']}' does not hold{detail}"


def _show_reject(folder: Path, reject: dict[str, Any]) -> None:
    say(_rejected(reject))
    twin = reject["twin"]
    if twin is None:
        return
    row = _first(folder, "lineage", twin)
    if row is None:
        say(f"twin      {twin}, an earlier seed" if reject["stage"] == "seeds" else f"twin      {twin}")
        return
    say(f"twin      {twin}, which was kept: {row['recipe']}, {row['cell']}, split {row['split']}")
    sft = _first(folder, "sft", twin)
    if sft is not None:
        say(f"-- the twin's prompt\n{sft['messages'][0]['content']}")
