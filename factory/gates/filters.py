"""The stage that keeps rows by rules: the named ones, a language, personal data, and the user's own.

A rule looks at one row alone, so it does not matter where shards are cut. Every rule that a row breaks is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import polars as pl
from pydantic import Field, field_validator, model_validator

from factory.artifacts.stage import Stage
from factory.errors import UserError, nearest
from factory.gates import language, pii, text
from factory.gates.filter_limits import Limits, Part
from factory.gates.filter_rules import FILTERS, FilterRule, rules_of
from factory.gates.language import LanguageSpec
from factory.gates.ngram_shares import ngram_shares
from factory.gates.own_rules import OwnRule, check_own_rule, own_faults
from factory.gates.pii import PiiSpec
from factory.gates.text_patterns import WORDS
from factory.strict import Strict
from schemas.columns import REASONS
from schemas.curation import KEPT_ROWS, ROWS

GATE = "filters"
MOST_CLIP = 200_000  # characters: a limit above it is kept, but only so much of a text is looked at
LIBRARIES = "libraries"  # among the parameters of the stage, beside those of the spec
TABLE_OR_RULE = r"^\||^[^\p{L}\p{N}]*$"


class FiltersSpec(Strict):
    """By which rules rows are kept."""

    rules: list[str] | Literal["default", "all"] = Field(
        default="default", description="Names of rules, `default` or `all`."
    )
    leave: list[str] = Field(default=[], description="Rules that are not used.")
    limits: Limits = Field(default=Limits(), description="The numbers that the rules go by.")
    fields: list[Part] | None = Field(
        default=None, description="Which fields the dataset has; null: found by the job. Rules on others are off."
    )
    language: LanguageSpec | None = Field(default=None, description="Which languages are kept.")
    pii: PiiSpec | None = Field(default=None, description="Which personal data and secrets are looked for.")
    own: list[OwnRule] = Field(default=[], description="Rules of your own.")

    @field_validator("rules", "leave")
    @classmethod
    def _known(cls, names: list[str] | str) -> list[str] | str:
        for name in names if isinstance(names, list) else ():
            if name not in FILTERS:
                raise ValueError(f"there is no filter '{name}'{nearest(name, FILTERS)}")
        return names

    @model_validator(mode="after")
    def _own_rules_work(self) -> FiltersSpec:
        names = [rule.name for rule in self.own]
        for rule in self.own:
            if names.count(rule.name) > 1 or rule.name in FILTERS:
                raise ValueError(f"own rule '{rule.name}': the name is taken; choose another")
            try:
                check_own_rule(rule)
            except UserError as problem:  # pydantic tells ValueErrors with their place in the file
                raise ValueError(str(problem)) from problem
        return self

    def with_fields(self, fields: Collection[Part]) -> FiltersSpec:
        """Return the same with the fields that the dataset has, unless they were given."""
        return self if self.fields is not None else self.model_copy(update={"fields": sorted(fields, reverse=True)})

    def wanted(self) -> dict[str, FilterRule]:
        """Return the rules that are on, in the order of FILTERS, with this job's limits."""
        has = set(self.fields if self.fields is not None else ("instruction", "answer"))
        return {
            name: rule
            for name, rule in rules_of(self.limits).items()
            if name not in self.leave and set(rule.needs) <= has and self._asks_for(rule)
        }

    @property
    def rejects_pii(self) -> bool:
        """Return whether personal data is a reason to leave."""
        return self.pii is not None and self.pii.act == "reject"

    def _asks_for(self, rule: FilterRule) -> bool:
        if isinstance(self.rules, list):
            return rule.name in self.rules
        return rule.default or self.rules == "all"


def fields_of(frames: Iterable[pl.DataFrame]) -> list[Part]:
    """Return which of the fields have any text in any of the frames."""
    found: set[Part] = set()
    names: tuple[Part, ...] = ("instruction", "answer")
    for frame in frames:
        found |= {name for name in names if (frame[name].str.strip_chars().fill_null("") != "").any()}
        if len(found) == len(names):
            break
    return [name for name in names if name in found]


def read_rows(frame: pl.DataFrame, spec: FiltersSpec, ngrams: bool = True) -> pl.DataFrame:
    """Return what the rules read of each row: texts clipped to the longest that is kept, counts, lines, shares.

    Expressions see no more of a text than that, so that a row of 10 MB costs no more than a long one; such a row breaks
    the length band in any case.
    """
    at = spec.limits
    clip = min(max(at.instruction_characters[1], at.answer_characters[1], 1_000), MOST_CLIP)
    whole = frame.lazy().select(prompt=pl.col("instruction").cast(pl.String), response=pl.col("answer").cast(pl.String))
    sizes = {
        f"{part}_characters": pl.col(column).str.strip_chars().str.len_chars().fill_null(0)
        for part, column in (("instruction", "prompt"), ("answer", "response"))
    }
    clipped = (pl.col("response").str.len_chars() > clip).fill_null(False)
    short = whole.with_columns(**sizes, clipped=clipped).with_columns(pl.col("prompt", "response").str.head(clip))
    main = text.PROMPT_PROSE if spec.fields is not None and "answer" not in spec.fields else text.PROSE
    rows = text.evaluate(text.read(short).with_columns(main=main, **_counts()).with_columns(**_pieces()))
    return rows.hstack(ngram_shares(rows["lines"].list.join("\n"), at.prose_words)) if ngrams else rows


def _counts() -> dict[str, pl.Expr]:
    counted = {"instruction_words": text.PROMPT, "answer_words": text.RESPONSE}
    return {name: column.str.count_matches(WORDS) for name, column in counted.items()}


def _pieces() -> dict[str, pl.Expr]:
    main = pl.col("main")
    piece = pl.element().str.strip_chars()
    said = piece.filter(~piece.str.contains(TABLE_OR_RULE))
    return {
        "main_words": main.str.count_matches(r"\S+"),
        "lines": main.str.split("\n").list.eval(said),
        "paragraphs": main.str.replace_all(r"\n\s*\n", "\u2029").str.split("\u2029").list.eval(said),
    }


def find_faults(frame: pl.DataFrame, spec: FiltersSpec) -> dict[int, list[dict[str, str]]]:
    """Return by place, for the rows of (instruction, answer, ...) that break a rule, all that they break.

    Each is {code, detail}: the rule, and what was found. Raises UserError where a rule of the user's cannot be worked
    out.
    """
    rules = spec.wanted()
    texts = read_rows(frame, spec, ngrams=bool({"no_ngram_dominates", "ngrams_differ"} & set(rules)))
    found = text.find_broken(texts, rules)
    for faults in _other_faults(frame, texts["main"], spec):
        for place, fault in faults.items():
            found.setdefault(place, []).append(fault)
    return found


def _other_faults(frame: pl.DataFrame, main: pl.Series, spec: FiltersSpec) -> Iterator[dict[int, dict[str, str]]]:
    if spec.language:
        yield language.language_faults(main, spec.language)
    if spec.pii and spec.rejects_pii:
        yield pii.pii_faults(frame, spec.pii)
    for rule in spec.own:
        yield own_faults(frame, rule)


def filter_params(spec: FiltersSpec) -> dict[str, Any]:
    """Return the parameters of FILTER: the spec, and the versions of the libraries that its gates ask."""
    asked = (*(language.LIBRARIES if spec.language else ()), *(pii.LIBRARIES if spec.rejects_pii else ()))
    return spec.model_dump(mode="json") | {LIBRARIES: {name: _version(name) for name in asked}}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # whatever cannot do without says so
        return None


def filter_rows(frame: pl.DataFrame, params: Mapping[str, Any]) -> pl.DataFrame:
    """Return KEPT_ROWS of ROWS, with every rule that a row breaks among its reasons; see filter_params."""
    spec = FiltersSpec.model_validate({name: value for name, value in params.items() if name != LIBRARIES})
    found = find_faults(frame, spec)
    reasons = {place: [{"gate": GATE, "twin": None, **fault} for fault in faults] for place, faults in found.items()}
    return frame.select("id", "row", text.in_places(reasons, frame.height, REASONS).alias("reasons"))


FILTER = Stage(GATE, 1, ROWS, KEPT_ROWS, filter_rows)
