"""How well leaks are found: texts of the job's own benchmarks are planted in rows in known ways and looked for.

Nothing here decides about a row; it tells how far the decisions can be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from factory.artifacts.digest import Rng, row_rng
from factory.gates.benchmark_index import index_of
from factory.gates.benchmarks_read import Book
from factory.gates.decontaminate import LEVELS, find_hits, settings_of
from factory.gates.paraphrase import paraphrase
from factory.selection.embedders import Embedder
from schemas.curation import ROWS

WORDS_AN_EDIT = 15  # one word in so many is changed by a light edit, one at least
FILLERS = ("also", "maybe", "really", "overall", "quickly", "often", "certain", "simple")
CARRIERS = (
    "I am putting together a worksheet for my evening class and need one more task.",
    "Thanks for the help so far, that was just what I was looking for.",
    "Keep the tone friendly and write at most three short paragraphs, please.",
    "My cousin asked me this on the train yesterday and I could not tell her.",
    "Before you begin, note down what you know and what is still missing.",
    "The garden behind the library is open to visitors until the end of October.",
    "A colleague reviewed the draft and left a few remarks in the margin.",
    "When the kettle boils, turn the heat down and let it rest for a while.",
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_CLAUSE = re.compile(r"(?<=[,;:])\s+|\s+(?=(?:and|but|if|when|while|because|so|then)\s)")
_DIGITS = re.compile(r"\d+")


def verbatim(text: str, rng: Rng) -> str | None:
    """Return the text."""
    del rng
    return text


def edited(text: str, rng: Rng) -> str | None:
    """Return the text with a few words mistyped, replaced, put in or left out, its punctuation and case changed."""
    words = text.split()
    for place in rng.sample(range(len(words)), max(1, len(words) // WORDS_AN_EDIT)):
        words[place] = _edit(words[place], rng)
    text = " ".join(word for word in words if word)
    return (text.replace(",", " -") if rng.chance(0.5) else text.replace(".", ";")).upper() if rng.chance(0.3) else text


def _edit(word: str, rng: Rng) -> str:
    way = rng.below(4)
    if way == 0 and len(word) > 3:
        at = rng.between(0, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if way == 1:
        return rng.pick(FILLERS)
    return f"{word} {rng.pick(FILLERS)}" if way == 2 else ""


def reordered(text: str, rng: Rng) -> str | None:
    """Return the text with its sentences in another order, or its clauses where it has one sentence; None for one."""
    for border in (_SENTENCE, _CLAUSE):
        parts = [part for part in border.split(text) if part.strip()]
        if len(parts) > 1:
            moved = rng.shuffled(parts)
            return " ".join(moved if moved != parts else [*parts[1:], parts[0]])
    return None


def numbers_changed(text: str, rng: Rng) -> str | None:
    """Return the text with another number for every number; None where it has none."""
    changed = _DIGITS.sub(lambda found: _other(found[0], rng), text)
    return changed if changed != text else None


def _other(number: str, rng: Rng) -> str:
    first = rng.pick([digit for digit in "123456789" if digit != number[0]])
    return first + "".join(str(rng.below(10)) for _ in number[1:])


def shuffled(text: str, rng: Rng) -> str | None:
    """Return the words of the text in a random order: its subject without what it says."""
    return " ".join(rng.shuffled(text.split()))


KINDS: Mapping[str, Callable[[str, Rng], str | None]] = {
    "verbatim": verbatim,
    "edited": edited,
    "reordered": reordered,
    "numbers_changed": numbers_changed,
    "paraphrased": paraphrase,
    "unrelated": shuffled,  # no leak: what is caught of these is a false alarm
}


def self_test(
    book: Book, params: Mapping[str, Any], seed: int, *, most: int = 300, embedder: Embedder | None = None
) -> list[dict[str, Any]]:
    """Return for each kind of leak {kind, planted, caught: {level: rows}, any, rejected}.

    Planted are up to `most` texts of the book that are long enough to be looked for, drawn by `seed`; the same book,
    params and seed give the same figures. `any` counts rows with a hit at any level against the benchmark they are of,
    `rejected` those that would leave; for the kind `unrelated` hits against any benchmark count.
    """
    texts = _drawn(book, params, seed, most)
    return [_tell(kind, plant(texts, kind, seed), book, params, embedder) for kind in KINDS]


def _drawn(book: Book, params: Mapping[str, Any], seed: int, most: int) -> pl.DataFrame:
    index = index_of(book, settings_of(params))
    long_enough = index.frame.filter(pl.Series(index.whole != 0))
    texts = long_enough.join(book.texts(), on=["against", "place", "part"], how="left", maintain_order="left")
    chosen = row_rng(seed, "leaks", "texts").sample(range(texts.height), most)
    return texts[sorted(chosen)]


def plant(texts: pl.DataFrame, kind: str, seed: int) -> pl.DataFrame:
    """Return ROWS with one leak each of BENCHMARK_TEXTS, and the `against` it is of; not every text has every leak.

    In turn the leak stands alone, inside a longer instruction, and in the answer.
    """
    return rows_of(list(_plants(texts, kind, seed)))


def _plants(texts: pl.DataFrame, kind: str, seed: int) -> Iterator[tuple[str, str, str]]:
    for number, (against, place, part, text) in enumerate(texts.iter_rows()):
        rng = row_rng(seed, "leaks", f"{kind}/{against}/{place}/{part}")
        leak = KINDS[kind](text, rng)
        if leak is None:
            continue
        before, after = rng.sample(CARRIERS, 2)
        pairs = ((leak, after), (f"{before} {leak} {after}", ""), (before, f"{leak} {after}"))
        yield against, *pairs[number % 3]


def rows_of(planted: Sequence[tuple[str, str, str]]) -> pl.DataFrame:
    """Return ROWS with `against` of (against, instruction, answer)."""
    against, instructions, answers = zip(*planted, strict=True) if planted else ((), (), ())
    frame = pl.DataFrame(
        {"instruction": instructions, "answer": answers, "against": against},
        schema={"instruction": pl.String, "answer": pl.String, "against": pl.String},
    ).with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))
    frame = frame.with_columns(id=pl.format("leak-{}", "row"), source=pl.lit("leaks"))
    empty = {"template": "", "signature": ""}
    others = [pl.lit(empty.get(name)).cast(dtype).alias(name) for name, dtype in ROWS.columns.items()]
    missing = [column for column, name in zip(others, ROWS.columns, strict=True) if name not in frame.columns]
    return frame.with_columns(missing).select(*ROWS.columns, "against")


def _tell(
    kind: str, rows: pl.DataFrame, book: Book, params: Mapping[str, Any], embedder: Embedder | None
) -> dict[str, Any]:
    hits = find_hits(rows.drop("against"), params, book=book, embedder=embedder)
    if kind != "unrelated":
        hits = hits.join(rows.select("row", "against"), on=["row", "against"], how="semi")
    counts = dict(hits.group_by("level").agg(pl.col("row").n_unique()).iter_rows())
    lets_numbers_pass = hits.filter((pl.col("level") != "numbers") | (params["numbers"] == "reject"))
    return {
        "kind": kind,
        "planted": rows.height,
        "caught": {level: counts.get(level, 0) for level in LEVELS},
        "any": hits["row"].n_unique(),
        "rejected": lets_numbers_pass["row"].n_unique(),
    }
