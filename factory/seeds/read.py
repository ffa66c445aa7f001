"""Seeds that the user brings: problems with their answers, from a file beside the job or a dataset on the Hub."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from factory.errors import UserError, nearest
from factory.seeds.hub import fetch_seeds
from factory.seeds.key_number import key_number, numeric_answer
from factory.seeds.parse import SHOWN, SUFFIXES, parse_seeds

DEFAULT_COLUMNS = {"question": "question", "answer": "answer"}
MAX_QUESTION_CHARS = 2000

_NAMES = ("question", "answer", "id")
_HUB = "hub:"
# A last part such as "seeds.txt" is a file's name; one such as "math-v1.5" may be a dataset's.
_HUB_SHAPE = re.compile(r"\w[\w.-]*/(?!.*\.[A-Za-z]+(?:@|\Z))[\w.-]+(?:@.+)?")


def read_seeds(path: str, columns: Mapping[str, str], *, base: Path, split: str | None = None) -> pl.DataFrame:
    """Return the seeds as `row` (Int64, position in the source), `question`, `answer` and, when mapped, `id` (String).

    `path` is a .jsonl, .ndjson, .json (lines), .csv or .parquet file, relative to `base`, or a dataset on the Hub:
    `hub:ORG/NAME[/FOLDER][@REVISION]`, or `ORG/NAME` when no such file exists. `columns` maps our names to the
    source's; those not mapped are called as ours. `split` is for the Hub, `train` unless said.
    Raises UserError for whatever cannot be read as such; a poor seed is no error (see `seed_reasons`).
    """
    mapping = DEFAULT_COLUMNS | dict(columns)
    for ours in mapping:
        if ours not in _NAMES:
            raise UserError(f"seeds have no '{ours}' to map a column to{nearest(ours, _NAMES)}")
    frames = [parse_seeds(label, data, mapping) for label, data in file_contents(path, base, split)]
    seeds = pl.concat(frames).select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("row"), *(name for name in _NAMES if name in mapping)
    )
    if seeds.is_empty():
        raise UserError(f"{path} has no rows: nothing to take seeds from")
    if "id" in mapping:
        _require_distinct_ids(path, seeds)
    return seeds


def read_table(
    path: str, columns: Mapping[str, str], *, base: Path, split: str | None = None, what: str = "seeds"
) -> pl.DataFrame:
    """Return the mapped columns of a user's file or Hub dataset as text, with `row`, the position in the source."""
    frames = [parse_seeds(label, data, columns) for label, data in file_contents(path, base, split, what)]
    return pl.concat(frames).with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))


def seed_reasons(question: str | None, answer: str | None) -> str | None:
    """Return the name of the first rule that the seed does not keep, or None for one that can be composed.

    The rules, in order: `question_present`, `answer_numeric` (one integer), `key_number_present` (a number that a name
    may replace), `question_not_too_long` (at most MAX_QUESTION_CHARS characters).
    """
    if question is None or not question.strip():
        return "question_present"
    if answer is None or numeric_answer(answer) is None:
        return "answer_numeric"
    if key_number(question) is None:
        return "key_number_present"
    if len(question) > MAX_QUESTION_CHARS:
        return "question_not_too_long"
    return None


def file_contents(path: str, base: Path, split: str | None, what: str = "seeds") -> Iterator[tuple[str, bytes]]:
    """Yield (label, bytes) of each file of a source, called `what`; see `read_seeds` for what a path may be."""
    for label, file in _locate(path, base, split, what):
        try:
            yield label, file.read_bytes()
        except OSError as error:
            raise UserError(f"{label} cannot be read: {error.strerror or error}") from error


def _locate(path: str, base: Path, split: str | None, what: str) -> list[tuple[str, Path]]:
    """Return (label, local file) for each file of the source."""
    if path.startswith(_HUB):
        return fetch_seeds(path.removeprefix(_HUB), split)
    local = base / os.path.expanduser(path)
    if not os.path.lexists(local) and _HUB_SHAPE.fullmatch(path):
        return _fetch_unnamed(path, local, split)
    if os.path.isdir(local):
        raise UserError(f"the {what} '{path}' are a folder ({local}); name one file in it{_nearest_file('', local)}")
    if not os.path.isfile(local):
        raise UserError(f"there are no {what} '{path}': {local} is no file{_nearest_file(local.name, local.parent)}")
    if local.suffix.lower() not in SUFFIXES:
        raise UserError(f"the {what} '{path}' end in '{local.suffix}'; those that can be read: {', '.join(SUFFIXES)}")
    if split is not None:
        raise UserError(f"the {what} '{path}' are one file, which has no split '{split}'; leave `split` out")
    return [(path, local)]


def _fetch_unnamed(path: str, local: Path, split: str | None) -> list[tuple[str, Path]]:
    try:
        return fetch_seeds(path, split)
    except UserError as error:
        raise UserError(f"'{path}' is no file ({local}); taken as a dataset on the Hub: {error}") from error


def _nearest_file(name: str, folder: Path) -> str:
    try:
        names = sorted(file for file in os.listdir(folder) if file.lower().endswith(SUFFIXES))
    except OSError:
        return ""
    hint = nearest(name, names)
    return hint if names and ("did you mean" in hint or len(names) <= SHOWN) else ""


def _require_distinct_ids(path: str, seeds: pl.DataFrame) -> None:
    nameless = seeds.filter(pl.col("id").is_null())
    if not nameless.is_empty():
        raise UserError(
            f"{path} gives row {nameless['row'][0]} (counted from 0) no id; give each row one, or map no id"
        )
    twins = seeds.filter(pl.col("id").is_duplicated())
    if not twins.is_empty():
        name = twins["id"][0]
        first, second = twins.filter(pl.col("id") == name)["row"][:2]
        raise UserError(
            f"{path} gives the id '{name}' to two rows, {first} and {second} (counted from 0); ids must differ"
        )
