"""`factory score`: answers to a release's problems, scored by the verifiers that the rows were checked with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import polars as pl

from factory.cli.console import emit, say, say_table
from factory.cli.options import json_option, out_option
from factory.cli.reading import collect, scan, splits_of
from factory.errors import UserError
from factory.release.reference import find_release
from factory.score import Score
from factory.score import score as score_answer

SPLITS = ("train", "heldout")
GROUPS = ("split", "recipe", "level", "skill")
UNANSWERED = Score(0.0, "missing", {})


@dataclass(slots=True)
class Sums:
    """Sums over the rows of a group. A missing answer counts as 0; an undecided one does not count."""

    rows: int = 0
    answered: int = 0
    undecided: int = 0
    right: int = 0
    partial: float = 0.0

    def add(self, answered: bool, found: Score, credit: float) -> None:
        """Count a row."""
        self.rows += 1
        self.answered += answered
        if found.value is None:
            self.undecided += 1
        else:
            self.right += found.value == 1.0
            self.partial += credit

    def as_json(self) -> dict[str, Any]:
        """Return the group's figures; accuracy and partial credit are None where no row counts."""
        counted = self.rows - self.undecided
        return {
            "rows": self.rows,
            "answered": self.answered,
            "missing": self.rows - self.answered,
            "undecided": self.undecided,
            "right": self.right,
            "accuracy": round(self.right / counted, 6) if counted else None,
            "partial_credit": round(self.partial / counted, 6) if counted else None,
        }


@click.command()
@click.argument("ref")
@click.argument("answers", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@out_option
@json_option
@click.option("--split", type=click.Choice(SPLITS), help="Score this split; by default those that have answers.")
def score(ref: str, answers: str, out: Path, as_json: bool, split: str | None) -> None:
    """Score ANSWERS, JSON lines {"id": ..., "answer": ...} (- is stdin), against a release.

    REF is the release's folder, or NAME[@VERSION]. Partial credit is the share of a row's checks that passed, for rows
    that have several; by skill it is that skill's own.
    """
    folder = find_release(ref, out)
    problems = read_problems(folder)
    with click.open_file(answers, "rb") as lines:
        said = read_answers(lines, "stdin" if answers == "-" else answers, frozenset(problems["id"]))
    wanted = [split] if split else problems.filter(pl.col("id").is_in(list(said)))["split"].unique().to_list()
    if not said:
        raise UserError(f'{answers} has no answers; wanted lines such as {{"id": "...", "answer": "..."}}')
    found = tally(problems.filter(pl.col("split").is_in(wanted)), said)
    if as_json:
        emit({"release": str(folder), **_as_json(found)})
    else:
        _show(found)


def read_problems(folder: Path) -> pl.DataFrame:
    """Return (id, split, recipe, level, skill (a list), verifier) of every train and heldout row."""
    columns = (
        pl.col("id"),
        *(pl.col("extra_info").struct.field(name) for name in ("split", "recipe", "level")),
        pl.col("extra_info").struct.field("skills").alias("skill"),
        pl.col("verifier"),
    )
    splits = [split for split in SPLITS if split in splits_of(folder, "rl")]
    return pl.concat([collect(scan(folder, "rl", split).select(columns), folder) for split in splits])


def read_answers(lines: Iterable[bytes], source: str, known: frozenset[str]) -> dict[str, str]:
    """Return {id: answer} of JSON lines; UserError names the line that is not as it should be."""
    said: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        id_, answer = _read_line(line, f"{source}, line {number}")
        if id_ in said:
            raise UserError(f"{source}, line {number}: the id '{id_}' has an answer already; give one a row")
        if id_ not in known:
            raise UserError(f"{source}, line {number}: the release has no row '{id_}'; check that it is the right one")
        said[id_] = answer
    return said


def _read_line(line: bytes, place: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: this is not JSON ({error})") from None
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not isinstance(row.get("answer"), str):
        shown = line.decode("utf-8", "replace").strip()[:60]
        raise UserError(f'{place}: wanted {{"id": "...", "answer": "..."}}, both texts; found {shown}')
    return row["id"], row["answer"]


def tally(problems: pl.DataFrame, said: Mapping[str, str]) -> dict[tuple[str, Any], Sums]:
    """Return the sums of ("all", "") and of every group (name of the group, value)."""
    sums: dict[tuple[str, Any], Sums] = {("all", ""): Sums()}
    for row in problems.iter_rows(named=True):
        answer = said.get(row["id"])
        found = UNANSWERED if answer is None else score_answer(answer, row["verifier"])
        parts, value = found.parts, found.value or 0.0
        credit = sum(parts.values()) / len(parts) if parts else value
        keys = [("all", ""), *((name, row[name]) for name in GROUPS if name != "skill")]
        for key in keys:
            sums.setdefault(key, Sums()).add(answer is not None, found, credit)
        for skill in dict.fromkeys(row["skill"]):
            sums.setdefault(("skill", skill), Sums()).add(answer is not None, found, parts.get(skill, credit))
    return sums


def _ordered(sums: Mapping[tuple[str, Any], Sums], group: str) -> list[tuple[Any, Sums]]:
    return sorted((value, found) for (name, value), found in sums.items() if name == group)


def _as_json(sums: Mapping[tuple[str, Any], Sums]) -> dict[str, Any]:
    groups = {group: {str(value): found.as_json() for value, found in _ordered(sums, group)} for group in GROUPS}
    return sums[("all", "")].as_json() | {f"by_{group}": told for group, told in groups.items()}


def _show(sums: Mapping[tuple[str, Any], Sums]) -> None:
    rows = []
    for group in ("all", *GROUPS):
        for value, found in _ordered(sums, group):
            told = found.as_json()
            rates = [_percent(told["accuracy"]), _percent(told["partial_credit"])]
            rows.append((group, value, *rates, *(told[k] for k in ("rows", "answered", "missing", "undecided"))))
    head = ("by", "value", "accuracy", "partial", "rows", "answered", "missing", "undecided")
    say_table(head, [(g, str(v), *rest) for g, v, *rest in rows], right=frozenset(head[2:]))
    if missing := sums[("all", "")].as_json()["missing"]:
        say(f"{missing:,} rows without an answer count as 0")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
