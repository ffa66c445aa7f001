"""A teacher's verdict on rows that mean what a benchmark text means: is it the same question?"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from factory.artifacts.digest import text_digest
from factory.gates.benchmarks_read import Book
from factory.prompts import find_prompt
from factory.teacher.protocol import JUDGE, Reply, Request, Sampling

PROMPT = "decontaminate/same-question.v1"
LONGEST = 4_000  # characters of each text that are shown
SAMPLING = Sampling(temperature=0.0, max_tokens=300)
KEYS = ["row", "field", "against", "place", "part"]


def verdict_requests(hits: pl.DataFrame, rows: pl.DataFrame, book: Book) -> dict[str, Request]:
    """Return {id: Request} for the semantic hits that no other level confirms; `rows` are the ROWS they are of."""
    prompt = find_prompt(PROMPT)
    out: dict[str, Request] = {}
    for key, said, benchmark in _doubtful(hits, rows, book).iter_rows():
        mark = text_digest(f"{said}\x1f{benchmark}")[:8]
        inputs = {"mark": mark, "benchmark": benchmark[:LONGEST], "row": said[:LONGEST]}
        example = '{"differs_in": "the training text asks something else", "same": "other_question"}'
        out[key] = Request(
            messages=tuple(prompt.render(inputs)),
            sampling=SAMPLING,
            schema=prompt.head.json_schema,
            role=JUDGE,
            example=example,
            about=PROMPT,
        )
    return out


def with_verdicts(hits: pl.DataFrame, replies: Mapping[str, Reply]) -> pl.DataFrame:
    """Return HITS as the verdicts leave them: other questions are no hits, other numbers are hits of that level.

    A hit without a usable reply stays as it is: a row is not let through because nobody answered.
    """
    said = {key: reply.parsed["same"] for key, reply in replies.items() if reply.failure is None and reply.parsed}
    verdict = _key().replace_strict(said, default="same_question", return_dtype=pl.String) if said else pl.lit("")
    verdict = pl.when(pl.col("level") == "semantic").then(verdict).otherwise(pl.lit(""))
    level = pl.when(verdict == "other_numbers").then(pl.lit("numbers")).otherwise("level").alias("level")
    return hits.filter(verdict != "other_question").with_columns(level)


def _key() -> pl.Expr:
    return pl.concat_str("id", "field", "against", "place", "part", separator="/")


def _doubtful(hits: pl.DataFrame, rows: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return (key, text of the row, text of the benchmark) of hits by meaning alone."""
    confirmed = hits.filter(pl.col("level").is_in(["ngram", "containment"]))
    alone = hits.filter(pl.col("level") == "semantic").join(confirmed, on=KEYS, how="anti", maintain_order="left")
    texts = rows.select("row", "instruction", "answer")
    joined = alone.join(texts, on="row", how="left", maintain_order="left").join(
        book.texts(), on=["against", "place", "part"], how="left", maintain_order="left"
    )
    said = pl.when(pl.col("field") == "instruction").then("instruction").otherwise("answer")
    return joined.select(_key(), said.fill_null("").alias("said"), pl.col("text").fill_null(""))
