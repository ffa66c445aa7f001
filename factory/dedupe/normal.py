"""Exact dedupe up to the way a text is written: 128-bit keys of normalised texts, and which row of each key stays.

Rows of one key count as copies without a look at their texts: among a thousand million different texts the chance that
any two share an XXH3 key is about 1.5e-21. It is no defence against somebody who builds collisions on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from factory.artifacts.stage import Stage
from factory.dedupe.xxh3 import xxh3_128
from factory.strict import Strict
from schemas.curation import ROWS
from schemas.keys import KEYS

Ranks = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

IGNORABLE = r"\p{Default_Ignorable_Code_Point}"  # soft hyphens, zero-width characters, byte-order marks
EDGE_MARKS = r"[\p{P}--[\-*/%#&@_]]+"  # -3, 5%, C#, @name and __init__ are not what they are without theirs
NO_KEYS, NO_ROWS = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
NUMBER = r"\d+(?:[.,]\d+)*"


class Normalise(Strict):
    """What does not count when two texts are compared."""

    unicode: Literal["NFKC", "NFC", "none"] = Field(
        default="NFKC",
        description="The Unicode form that texts are brought to. NFKC also takes full-width letters, ligatures and "
        "superscripts for plain ones, and leaves out characters that cannot be seen.",
    )
    case: Literal["fold", "keep"] = Field(default="fold", description="Whether capitals count as small letters.")
    white_space: bool = Field(
        default=True, description="Whether runs of white space, line breaks too, count as one space."
    )
    punctuation: bool = Field(
        default=False, description="Whether punctuation at the ends of words is left out; signs of arithmetic stay."
    )
    numbers: bool = Field(default=False, description="Whether all numbers written in digits count as the same number.")


class ExactSpec(Strict):
    """Exact dedupe: of the rows that say the same, the first in the order of the job stays."""

    fields: Literal["instruction", "answer", "both"] = Field(
        default="both", description="What must be the same: the instruction, the answer, or one and the other."
    )
    normalise: Normalise = Field(default=Normalise(), description="What does not count.")
    substring: bool = Field(
        default=False,
        description="Whether a row also leaves if its instruction is part of a longer row's, word for word.",
    )
    substring_words: int = Field(
        default=8, ge=3, description="Instructions of fewer words than this are never taken for parts of others."
    )


def normalised(texts: pl.Series, how: Normalise) -> pl.Series:
    """Return the texts as they are compared; null becomes the empty text."""
    texts = texts.cast(pl.String).fill_null("")
    rare = texts.str.len_bytes() != texts.str.len_chars()  # beyond ASCII, where every form is ten times dearer
    texts = _changed(texts, rare, lambda t: _composed(t, how.unicode))
    if how.case == "fold":
        texts = _changed(texts.str.to_lowercase(), rare, lambda t: _composed(_folded(t), how.unicode))
    if how.numbers:
        texts = texts.str.replace_all(NUMBER, "0")
    if how.punctuation:
        texts = texts.str.replace_all(rf"(^|\s){EDGE_MARKS}", "$1").str.replace_all(rf"{EDGE_MARKS}(\s|$)", "$1")
    return _one_spaced(texts, rare) if how.white_space else texts


def _changed(texts: pl.Series, where: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Return the texts with those that a mask names changed; only these are worked on."""
    mask = where.to_numpy()
    if not mask.any():
        return texts
    place = np.arange(len(texts))
    place[mask] = len(texts) + np.arange(np.count_nonzero(mask))
    return pl.concat([texts, change(texts.filter(where))]).gather(place)


def _composed(texts: pl.Series, form: Literal["NFKC", "NFC", "none"]) -> pl.Series:
    if form == "NFKC":
        return texts.str.replace_all(IGNORABLE, "").str.normalize("NFKC")
    return texts.str.normalize("NFC") if form == "NFC" else texts


def _folded(texts: pl.Series) -> pl.Series:
    """Return lower-cased texts as Unicode's case folding sees them: by way of capitals, so that ß is ss and ς is σ."""
    return texts.str.to_uppercase().str.to_lowercase()


def _one_spaced(texts: pl.Series, rare: pl.Series) -> pl.Series:
    runs = rare | texts.str.contains(r"(?-u)[\t-\r]|  ")
    return _changed(texts, runs, lambda t: t.str.replace_all(r"[^\S ]\s*|\s\s+", " ")).str.strip_chars()


def compared(frame: pl.DataFrame, spec: ExactSpec) -> pl.Series:
    """Return the text by which each row of a frame is compared; empty where there is nothing to compare."""
    if spec.fields != "both":
        return normalised(frame[spec.fields], spec.normalise)
    pair = [normalised(frame[name], spec.normalise) for name in ("instruction", "answer")]
    both = pl.DataFrame({"first": pair[0], "second": pair[1]})
    size = pl.col("first").str.len_bytes().cast(pl.String)  # so that no text of one field can pass for the other's
    joined = pl.when((pl.col("first") == "") & (pl.col("second") == "")).then(pl.lit(""))
    return both.select(text=joined.otherwise(size + ":" + pl.col("first") + pl.col("second"))).to_series()


def text_keys(texts: pl.Series) -> pl.DataFrame:
    """Return (key_hi, key_lo), the 128-bit XXH3 of each text; 0 and 0 for an empty one. The same on every machine."""
    frame = pl.DataFrame({"text": texts, "whole": xxh3_128(texts)})
    parts = {
        name: pl.col("whole").bin.slice(start, 8).bin.reinterpret(dtype=pl.UInt64, endianness="big")
        for name, start in (("key_hi", 0), ("key_lo", 8))
    }
    nothing = pl.lit(0, dtype=pl.UInt64)
    return frame.select(
        **{name: pl.when(pl.col("text") == "").then(nothing).otherwise(part) for name, part in parts.items()}
    )


def normal_keys(frame: pl.DataFrame, spec: ExactSpec) -> pl.DataFrame:
    """Return (key_hi, key_lo) of each row of (instruction, answer), by what the spec compares."""
    return text_keys(compared(frame, spec))


def find_keys(frame: pl.DataFrame, params: Mapping[str, Any]) -> pl.DataFrame:
    """Return the KEYS of ROWS; the parameters are those of an ExactSpec."""
    return pl.concat(
        [frame.select("id", "row"), normal_keys(frame, ExactSpec.model_validate(params))], how="horizontal"
    )


FIND_KEYS = Stage("keys", 1, ROWS, KEYS, find_keys)


def exact_duplicates(
    keys: Sequence[pl.DataFrame], order: Ranks | None = None, alive: Mask | None = None
) -> pl.DataFrame:
    """Return (row, twin) of each row that is a copy, by row: of the rows of a key, the one of smallest rank stays.

    `order` and `alive` are read at `row`: its rank (by default the row itself), and whether it still takes part (by
    default it does). Rows of equal rank go by row. Takes some 40 bytes a row, and 60 more
    for each row that has a copy.
    """
    hi, lo = (np.concatenate([NO_KEYS, *(k[name].to_numpy() for k in keys)]) for name in ("key_hi", "key_lo"))
    row = np.concatenate([NO_ROWS, *(k["row"].to_numpy() for k in keys)])
    taking_part = (hi != 0) | (lo != 0)
    if alive is not None:
        taking_part &= alive[row]
    taking_part &= _shared(hi, taking_part)
    hi, lo, row = hi[taking_part], lo[taking_part], row[taking_part]
    sorting = np.lexsort((row, row if order is None else order[row], lo, hi))
    row = row[sorting]
    first = np.ones(row.size, dtype=np.bool_)
    first[1:] = _changes(hi[sorting]) | _changes(lo[sorting])
    twin = row[first][np.cumsum(first) - 1]
    copies = pl.DataFrame({"row": row[~first], "twin": twin[~first]}, schema={"row": pl.Int64, "twin": pl.Int64})
    return copies.sort("row")


def _shared(values: npt.NDArray[np.uint64], counted: Mask) -> Mask:
    """Return which values occur more than once among the counted ones: few do, so only these are sorted whole."""
    ordered = np.sort(values[counted])
    twice = np.unique(ordered[1:][~_changes(ordered)])
    if not twice.size:
        return np.zeros(values.size, dtype=np.bool_)
    place = np.minimum(np.searchsorted(twice, values), twice.size - 1)
    shared: Mask = twice[place] == values
    return shared


def _changes(values: npt.NDArray[np.uint64]) -> Mask:
    changes: Mask = values[1:] != values[:-1]
    return changes
