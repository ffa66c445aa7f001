"""Which language a text is in, by py3langid: 140 languages, from groups of bytes, without a network.

It needs letters to go by: below LEAST_LETTERS of them a text is undecided, and so is one whose likeliest language is
not likely enough. Undecided rows are kept, and counted in the report.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field, field_validator

from factory.artifacts.digest import text_digest
from factory.errors import MissingExtra, nearest
from factory.strict import Strict

LIBRARIES = ("py3langid",)
LEAST_LETTERS = 40
READS = 300  # characters: time goes with them, and more change nothing
UNDECIDED = "und"
NO_LANGUAGE = "zxx"
SAMPLE = 20_000
NOT_PROSE = r"(?s)\$\$.*?\$\$|\$[^$\n]{1,200}\$|\\\[.*?\\\]|\\\(.*?\\\)|https?://\S+|[\d_|#*=<>{}\[\]\\]+"


class LanguageSpec(Strict):
    """Which languages are kept."""

    keep: list[str] = Field(min_length=1, description="Codes of the languages that are kept, such as en or de.")
    least: float = Field(default=0.5, ge=0, le=1, description="How likely another language must be for a row to leave.")

    @field_validator("keep")
    @classmethod
    def _known(cls, codes: list[str]) -> list[str]:
        for code in codes:
            if code not in known_languages():
                raise ValueError(f"no language has the code '{code}'{nearest(code, known_languages())}")
        return codes


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise MissingExtra("telling languages apart", "curate") from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def known_languages() -> frozenset[str]:
    """Return the codes of the languages that can be told apart."""
    return frozenset(_identifier().labels) - {NO_LANGUAGE}


def tell_languages(texts: pl.Series) -> pl.DataFrame:
    """Return (language, likely) of each text; `und` and 0 where it has too few letters to tell. A null is empty."""
    prose = texts.fill_null("").str.head(4 * READS).str.replace_all(NOT_PROSE, " ").str.head(READS)
    enough = prose.str.count_matches(r"\p{L}") >= LEAST_LETTERS
    dense = prose.str.count_matches(r"[぀-ヿ㐀-鿿가-힣]") >= LEAST_LETTERS // 4
    classify = _identifier().classify
    told = [
        classify(said) if known else (UNDECIDED, 0.0)
        for said, known in zip(prose.to_list(), (enough | dense).to_list(), strict=True)
    ]
    told = [(UNDECIDED, 0.0) if language == NO_LANGUAGE else (language, likely) for language, likely in told]
    return pl.DataFrame(told, schema={"language": pl.String, "likely": pl.Float64}, orient="row")


def language_faults(texts: pl.Series, spec: LanguageSpec) -> dict[int, dict[str, str]]:
    """Return the fault of each text, by place, that is likely in a language other than those that are kept."""
    told = tell_languages(texts)
    wrong = told.select(
        pl.col("language").is_in([*spec.keep, UNDECIDED]).not_() & (pl.col("likely") >= spec.least)
    ).to_series()
    return {
        place: {"code": "in_a_language_kept", "detail": f"{told['language'][place]} ({told['likely'][place]:.2f})"}
        for place in wrong.arg_true().to_list()
    }


def measure_languages(shards: Iterable[tuple[pl.DataFrame, pl.Series]], sample: int = SAMPLE) -> list[dict[str, Any]]:
    """Return how many rows are in each language, of all and of those that stay: language, in, out; the commonest first.

    `shards` are (rows with id, instruction and answer, which of them stay). Of more than `sample` rows those are looked
    at whose ids have the smallest digests, so that the result does not depend on shards. The answer is read, or the
    instruction where there is none.
    """
    chosen: list[tuple[str, str, bool]] = []
    for frame, kept in shards:
        said = pl.coalesce(pl.col("answer").replace("", None), "instruction").fill_null("").str.head(4 * READS)
        rows = zip(frame["id"].to_list(), frame.select(said).to_series().to_list(), kept.to_list(), strict=True)
        chosen.extend((text_digest(id_), text, bool(stays)) for id_, text, stays in rows)
        chosen = sorted(chosen)[:sample]
    told = tell_languages(pl.Series([text for _, text, _ in chosen], dtype=pl.String))["language"].to_list()
    stays = np.array([kept for _, _, kept in chosen], dtype=bool)
    languages = np.array(told, dtype=object)
    counts = {name: languages == name for name in set(told)}
    out = [{"language": name, "in": int(at.sum()), "out": int((at & stays).sum())} for name, at in counts.items()]
    return sorted(out, key=lambda row: (-row["in"], row["language"]))
