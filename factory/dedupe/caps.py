"""Caps: no more than so many rows of one template, of one way to solve, of one source; the first in order stay.

A row that one cap drops takes no place under the others. Rows of which nobody said the template or the signature are
under no such cap; `unlabelled` counts them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from factory.artifacts.digest import text_digest
from factory.dedupe.normal import Mask, Ranks
from factory.strict import Strict

KINDS = ("template", "signature", "source")
CAPPED = {"row": pl.Int64, "code": pl.String, "detail": pl.String}
SHOWN = 60  # characters
CODE_READ = 200_000  # characters: enough to tell two programs apart


class CapsSpec(Strict):
    """How many rows may share a template, a solution signature or a source."""

    template: int | None = Field(default=None, ge=1, description="Rows of one template at most; 3 is a good beginning.")
    signature: int | None = Field(default=None, ge=1, description="Rows of one solution signature at most.")
    source: int | None = Field(default=None, ge=1, description="Rows of one source at most.")
    derive: bool = Field(
        default=False,
        description="Whether a template that nobody named is read off the instruction (numbers, dates and quoted names "
        "masked), and a signature off the worked answer (its arithmetic, or its code with other names).",
    )


def over_caps(
    frame: pl.DataFrame, spec: CapsSpec, order: Ranks | None = None, alive: Mask | None = None
) -> pl.DataFrame:
    """Return (row, code, detail) of the rows of (row, template, signature, source) that are too many, by row.

    `order` and `alive` are read at `row`: its rank (by default the row itself), and whether it still takes part.
    """
    row = frame["row"].to_numpy()
    if alive is not None:
        frame, row = frame.filter(pl.Series(alive[row])), row[alive[row]]
    frame = frame[np.lexsort((row, row if order is None else order[row]))]
    caps = [cap for kind in KINDS if (cap := getattr(spec, kind)) is not None]
    kinds = [kind for kind in KINDS if getattr(spec, kind) is not None]
    groups = [_full_groups(frame[kind], cap) for kind, cap in zip(kinds, caps, strict=True)]
    doubtful = np.flatnonzero(np.any([g >= 0 for g in groups], axis=0)) if groups else np.empty(0, dtype=np.int64)
    dropped = _greedy([g[doubtful].tolist() for g in groups], caps)
    out = [_reasons(frame[doubtful[places]], kinds[k], caps[k]) for k, places in enumerate(dropped) if places]
    return pl.concat([pl.DataFrame(schema=CAPPED), *out]).sort("row")


def _full_groups(values: pl.Series, cap: int) -> npt.NDArray[np.int64]:
    """Return the place of the first row of each row's group, -1 where the group has room for all or has no name."""
    name, first = pl.col("name"), pl.col("place").first().over("name")
    group = pl.when((name == "") | (pl.len().over(name) <= cap)).then(-1).otherwise(first)
    frame = pl.DataFrame({"name": values.fill_null("")}).select("name", place=pl.int_range(pl.len(), dtype=pl.Int64))
    return frame.select(group).to_series().to_numpy()


def _greedy(groups: Sequence[Sequence[int]], caps: Sequence[int]) -> list[list[int]]:
    """Return for each cap the places of the rows that it drops, going through them in order."""
    used: list[dict[int, int]] = [{} for _ in groups]
    dropped: list[list[int]] = [[] for _ in groups]
    for place, mine in enumerate(zip(*groups, strict=True)):
        counts = [counted.get(group, 0) for counted, group in zip(used, mine, strict=True)]
        full = next((k for k, group in enumerate(mine) if group >= 0 and counts[k] >= caps[k]), None)
        if full is not None:
            dropped[full].append(place)
            continue
        for k, group in enumerate(mine):
            if group >= 0:
                used[k][group] = counts[k] + 1
    return dropped


def _reasons(frame: pl.DataFrame, kind: str, cap: int) -> pl.DataFrame:
    name = pl.col(kind)
    shown = pl.when(name.str.len_chars() > SHOWN).then(name.str.slice(0, SHOWN) + "…").otherwise(name)
    begin, end = f"{cap} {'row has' if cap == 1 else 'rows have'} the {kind} '", "' already"
    return frame.select("row", code=pl.lit(f"within_{kind}_cap"), detail=pl.lit(begin) + shown + pl.lit(end))


def labelled(frame: pl.DataFrame, spec: CapsSpec) -> pl.DataFrame:
    """Return (id, row, template, signature, source) of ROWS; if the spec says so, what nobody named is derived."""
    columns = {kind: frame[kind].fill_null("") for kind in KINDS}
    for kind, text, derived in (("template", "instruction", template_of), ("signature", "answer", signature_of)):
        bare = (columns[kind] == "").to_numpy()
        if spec.derive and getattr(spec, kind) is not None and bare.any():
            place = np.arange(frame.height)
            place[bare] = frame.height + np.arange(np.count_nonzero(bare))
            found = derived(frame[text].filter(pl.Series(bare)))
            columns[kind] = pl.concat([columns[kind], found]).gather(place)
    return frame.select("id", "row").with_columns(**columns)


def unlabelled(frame: pl.DataFrame, spec: CapsSpec) -> dict[str, int]:
    """Return how many rows each cap of the spec leaves alone, because nobody said what they share."""
    capped = (kind for kind in KINDS if getattr(spec, kind) is not None)
    return {kind: int((frame[kind].fill_null("") == "").sum()) for kind in capped}


# ------------------------------------------------------------------------------------------------- what a text is like

_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
_MASKS = (
    (r"\s+", " "),
    (rf"(?i)\b{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?\b", "<date>"),
    (rf"(?i)\b\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}(?:,? \d{{4}})?\b", "<date>"),
    (r"\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b|\b\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b", "<date>"),
    (r'"[^"\n]{1,80}"|“[^”\n]{1,80}”|«[^»\n]{1,80}»|`[^`\n]{1,80}`', "<name>"),
    (r"(^|[\s(\[])['‘][^'’\n]{1,80}['’]", "$1<name>"),
    (r"[-−]?\d+(?:[.,]\d+)*", "<n>"),
)


def template_of(texts: pl.Series) -> pl.Series:
    """Return the template of each text, as its beginning and a digest; empty for an empty text.

    Texts of one template differ in numbers, dates, names in quotes, capitals and white space alone.
    """
    masked = texts.cast(pl.String).fill_null("")
    for pattern, mask in _MASKS:
        masked = masked.str.replace_all(pattern, mask)
    return _named(masked.str.strip_chars().str.to_lowercase())


def _named(whats: pl.Series) -> pl.Series:
    names = {what: f"{what[:40]}… #{text_digest(what)[:16]}" if what else "" for what in whats.unique()}
    return pl.Series([names[what] for what in whats], dtype=pl.String)


_FENCED = re.compile(r"```[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
_SPOKEN = (
    (r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", "($1)/($2)"),
    (r"\\(?:times|cdot)\b|[×·∙]", "*"),
    (r"\\div\b|÷", "/"),
    (r"[−–]", "-"),
    (r"[\\${}]|(\d),(\d{3})\b", "$1$2"),
)
_SUM = r"\(?\d[\d.]*%?\)?(?:\s*[-+*/^=]\s*\(*\s*-?\d[\d.]*%?\)*)+"
_TOKEN = re.compile(r"#[^\n]*|//[^\n]*|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|[^\W\d]\w*|\d[\w.]*|[^\w\s]")
_LEAST_SUMS = 2  # one sum is too little to tell ways to solve apart
_KEYWORDS = frozenset(
    "and as assert async await bool break case catch class const continue def do double elif else except false final "
    "finally float fn for from func function if import in int is lambda let long match mut new none not null or pass "
    "print public raise range return self static str string struct switch this throw true try type use using var void "
    "while with yield".split()
)


def signature_of(answers: pl.Series) -> pl.Series:
    """Return the solution signature of each worked answer, as its beginning and a digest; empty where there is none.

    It is the order of the code's tokens where there is fenced code (names by their first use, numbers and texts
    masked), else the arithmetic that is written out, with its numbers masked; fewer than two sums are no signature.
    """
    texts = answers.cast(pl.String).fill_null("")
    coded = texts.str.contains("```", literal=True)
    plain = texts
    for pattern, mask in _SPOKEN:
        plain = plain.str.replace_all(pattern, mask)
    sums = plain.str.extract_all(_SUM).list.eval(
        pl.element().str.replace_all(r"\d[\d.]*%?", "n").str.replace_all(r"[\s()]", "")
    )
    frame = pl.DataFrame({"sums": sums, "text": texts, "coded": coded})
    found = pl.when(pl.col("sums").list.len() >= _LEAST_SUMS).then(pl.col("sums").list.join("; ")).otherwise(pl.lit(""))
    rows: Any = frame.select(found, "coded", "text").iter_rows()
    return _named(pl.Series([(coded and _code_signature(text)) or sums for sums, coded, text in rows], dtype=pl.String))


def _code_signature(text: str) -> str:
    """Return the tokens of the fenced code, with names, numbers and texts masked; empty where there are none."""
    names: dict[str, str] = {}
    said = [_masked(token, names) for block in _FENCED.findall(text[:CODE_READ]) for token in _TOKEN.findall(block)]
    return " ".join(token for token in said if token)


def _masked(token: str, names: dict[str, str]) -> str:
    if token[0] == "#" or token.startswith("//"):
        return ""
    if token[0] in "'\"" and len(token) > 1:
        return "s"
    if token[0].isdigit():
        return "n"
    if token.lower() in _KEYWORDS or not (token[0].isalpha() or token[0] == "_"):
        return token
    return names.setdefault(token, f"v{len(names)}")
