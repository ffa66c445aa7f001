"""Difficulty by pass rates: a band, Guru's rules for a weak and a strong model, and keys that look wrong.

A pass rate is right answers of tries; where nobody counted, it is unknown, which is a state of its own and never 0.
The rules are those of Guru (arXiv 2506.14965), but for one: that the weak model does better than the strong one counts
only where chance alone would hardly show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from factory.artifacts.stage import Stage
from factory.strict import Strict
from schemas.columns import REASONS
from schemas.curation import KEPT_ROWS, ROWS

GATE, UNDECIDED = "difficulty", "undecided"
COUNTS = ("weak_right", "weak_tries", "strong_right", "strong_tries")
STRONG_IS_SURE, GAP_IS_SMALL, GAP_IN_SCIENCE = 0.75, 6 / 16, 0.5
ROUNDING = 1e-9  # 0.9 - 0.525 is a little more than 0.375

Model = Literal["weak", "strong"]
Domain = Literal["math", "science", "other"]


class Band(Strict):
    """Rows that a model solves sometimes: `least` to `most` times in `of` tries, in proportion to the tries made."""

    model: Model = Field(default="weak", description="Whose pass rate counts.")
    least: int = Field(default=1, ge=0, description="Right answers at least.")
    most: int = Field(default=7, ge=0, description="Right answers at most.")
    of: int = Field(default=8, ge=1, description="In so many tries.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.least <= self.most <= self.of:
            raise ValueError(f"least {self.least}, most {self.most}, of {self.of}: wanted least <= most <= of")
        return self


class Guru(Strict):
    """Rows that a weak model does not solve nearly always, and a strong one does at least once."""

    weak_below: float = Field(default=15 / 16, gt=0, le=1, description="The weak model's pass rate must be below this.")
    strong_above: float = Field(default=0.0, ge=0, lt=1, description="The strong model's pass rate must be above this.")
    domain: Domain = Field(
        default="other",
        description="math: rows that the strong model is sure of and the weak one is not far behind in leave too; "
        "science: rows leave where the strong model is less than half ahead.",
    )
    domains: dict[str, Domain] = Field(
        default_factory=dict, description="The domain of single sources, by their names; the others are of `domain`."
    )


class DifficultySpec(Strict):
    """Which rows are worth training on, by how often a weak and a strong model solved them."""

    band: Band | None = Field(default=None, description="A band of pass rates of one model.")
    guru: Guru | None = Field(default=None, description="Guru's rules, for the pass rates of both models.")
    suspicious: bool = Field(
        default=True,
        description="Whether rows leave whose key looks wrong: the weak model does better, and not by chance.",
    )
    errors_apart: float = Field(
        default=2.0, gt=0, description="How many standard errors the weak model must be ahead for a key to look wrong."
    )
    on_unknown: Literal["keep", "reject", "undecided"] = Field(
        default="undecided",
        description="What becomes of rows of which a pass rate that is asked for is unknown: kept; rejected for it; "
        "or set aside as undecided.",
    )


def _known(model: Model) -> pl.Expr:
    """Return whether a model tried at all and its answers were counted."""
    return (pl.col(f"{model}_right").is_not_null() & (pl.col(f"{model}_tries") > 0)).fill_null(value=False)


def _possible(model: Model) -> pl.Expr:
    right, tries = pl.col(f"{model}_right"), pl.col(f"{model}_tries")
    return ((right >= 0) & (tries >= 0) & (right <= tries)).fill_null(value=True)


def _rate(model: Model) -> pl.Expr:
    return pl.col(f"{model}_right") / pl.col(f"{model}_tries")


WEAK, STRONG = _rate("weak"), _rate("strong")
BOTH_KNOWN = _known("weak") & _known("strong")


def lead_of_weak() -> pl.Expr:
    """Return by how many standard errors the weak model is ahead; null where a rate is unknown, at most 0 if it is not.

    The two rates are pooled, as if both models were equally good, and the difference is made smaller by half an answer
    of each (Yates). Without that, equally good models with few tries would be named up to 13 times in 100; with it no
    numbers of tries up to 64 give more than 2.5.
    """
    tries = pl.col("weak_tries"), pl.col("strong_tries")
    share = (pl.col("weak_right") + pl.col("strong_right")) / (tries[0] + tries[1])
    inverse = 1 / tries[0] + 1 / tries[1]
    error = (share * (1 - share) * inverse).sqrt()
    ahead = (WEAK - STRONG).sign() * ((WEAK - STRONG).abs() - inverse / 2).clip(lower_bound=0)
    possible = BOTH_KNOWN & _possible("weak") & _possible("strong")
    return pl.when(possible).then(pl.when(error > 0).then(ahead / error).otherwise(0.0))


def _band_rules(band: Band) -> dict[str, tuple[pl.Expr, pl.Expr]]:
    right, tries = pl.col(f"{band.model}_right"), pl.col(f"{band.model}_tries")
    told = _told(band.model)
    return {
        f"{band.model}_not_below_band": (right * band.of >= tries * band.least, told),
        f"{band.model}_not_above_band": (right * band.of <= tries * band.most, told),
    }


def _told(model: Model) -> pl.Expr:
    right, tries = (pl.col(f"{model}_{what}").cast(pl.String) for what in ("right", "tries"))
    return pl.lit(f"{model} ") + right + " of " + tries


def _both_told() -> pl.Expr:
    return _told("weak") + ", " + _told("strong")


def _guru_rules(guru: Guru) -> dict[str, tuple[pl.Expr, pl.Expr]]:
    domain = pl.col("source").replace_strict(guru.domains, default=guru.domain, return_dtype=pl.String)
    gap = STRONG - WEAK
    close = (gap <= GAP_IS_SMALL + ROUNDING) & (STRONG >= STRONG_IS_SURE - ROUNDING)
    return {
        "weak_not_sure": (WEAK < guru.weak_below - ROUNDING, _told("weak")),
        "strong_can": (STRONG > guru.strong_above + ROUNDING, _told("strong")),
        "strong_clearly_ahead_in_math": ((domain != "math") | ~close, _both_told()),
        "strong_half_ahead_in_science": ((domain != "science") | (gap >= GAP_IN_SCIENCE - ROUNDING), _both_told()),
    }


def _rules(spec: DifficultySpec) -> dict[str, tuple[pl.Expr, pl.Expr]]:
    """Return {code: (what holds, null where a rate that it needs is unknown; what to show)}."""
    rules = _band_rules(spec.band) if spec.band else {}
    if spec.guru:
        rules |= _guru_rules(spec.guru)
    if spec.suspicious:
        z = lead_of_weak()
        shown = _both_told() + pl.lit(": ahead by ") + z.round(2).cast(pl.String) + " standard errors"
        rules["key_not_suspicious"] = (z <= spec.errors_apart, shown)
    return rules


def _needed(spec: DifficultySpec) -> list[Model]:
    """Return the models whose rates the rules ask for; a key is looked at where both happen to be known."""
    if spec.guru or (spec.suspicious and not spec.band):
        return ["weak", "strong"]
    return [spec.band.model] if spec.band else []


def _too_few(band: Band) -> pl.Expr:
    """Return whether no number of right answers in the tries made lies in the band: one try shows no rate."""
    tries = pl.col(f"{band.model}_tries")
    lowest, highest = (tries * band.least + band.of - 1) // band.of, (tries * band.most) // band.of
    return (lowest > highest).fill_null(value=False)


def _unknown(spec: DifficultySpec) -> pl.Expr:
    """Return what is unknown of each row, as text; empty where all that the rules ask for is known."""
    missing: list[pl.Expr] = [
        pl.when(~_known(model)).then(pl.lit(f"no pass rate of the {model} model")) for model in _needed(spec)
    ]
    if spec.band:
        tries = pl.col(f"{spec.band.model}_tries").cast(pl.String)
        few = _known(spec.band.model) & _too_few(spec.band)
        missing.append(pl.when(few).then(pl.lit("too few tries for the band: ") + tries))
    return pl.concat_str([pl.lit(""), *missing], separator="; ", ignore_nulls=True).str.strip_prefix("; ")


def difficulty_reasons(frame: pl.DataFrame, spec: DifficultySpec) -> pl.Series:
    """Return the reasons (REASONS) why each row of ROWS leaves; an empty list where it stays."""
    possible = _possible("weak") & _possible("strong")
    checks = {"counts_possible": (~possible, _both_told())}
    checks |= {code: (possible & ~holds, shown) for code, (holds, shown) in _rules_where_enough(spec).items()}
    if spec.on_unknown != "keep":
        unknown = _unknown(spec)
        checks[UNDECIDED if spec.on_unknown == UNDECIDED else "pass_rate_known"] = (possible & (unknown != ""), unknown)
    counts = frame.select("source", *COUNTS).with_row_index("place")
    broken = counts.select(broken.fill_null(value=False).alias(code) for code, (broken, _) in checks.items())
    found = [counts.filter(broken[code]).select("place", _reason(code, shown)) for code, (_, shown) in checks.items()]
    # Lists for the rows that leave only: for a million rows 0.3 s, where a list for every row took 36 s.
    lists = pl.concat(found).sort("place", maintain_order=True).group_by("place", maintain_order=True).agg("reasons")
    joined = counts.select("place").join(lists, on="place", how="left", maintain_order="left")["reasons"]
    return joined.cast(REASONS).fill_null(pl.Series([[]], dtype=REASONS))


def _rules_where_enough(spec: DifficultySpec) -> dict[str, tuple[pl.Expr, pl.Expr]]:
    """Return the rules; those of the band hold where there are too few tries to tell."""
    rules = _rules(spec)
    if spec.band:
        for code in _band_rules(spec.band):
            holds, shown = rules[code]
            rules[code] = (holds | _too_few(spec.band), shown)
    return rules


def _reason(code: str, shown: pl.Expr) -> pl.Expr:
    twin = pl.lit(None, dtype=pl.String)
    return pl.struct(gate=pl.lit(GATE), code=pl.lit(code), detail=shown.fill_null(""), twin=twin).alias("reasons")


def gate_difficulty(frame: pl.DataFrame, params: Mapping[str, Any]) -> pl.DataFrame:
    """Return KEPT_ROWS of ROWS, with a reason for each rule that does not hold; the parameters are a DifficultySpec."""
    reasons = difficulty_reasons(frame, DifficultySpec.model_validate(params))
    return frame.select(*KEPT_ROWS.columns).with_columns(reasons=reasons)


DIFFICULTY = Stage("difficulty", 1, ROWS, KEPT_ROWS, gate_difficulty)


def triage(frame: pl.DataFrame, spec: DifficultySpec | None = None) -> pl.DataFrame:
    """Return the rows of ROWS whose keys look wrong, the worst first, for a person to look at.

    Columns: id, row, weak_rate, strong_rate, z (see lead_of_weak), instruction, answer.
    """
    apart = (spec or DifficultySpec()).errors_apart
    shown = frame.with_columns(weak_rate=WEAK, strong_rate=STRONG, z=lead_of_weak()).filter(pl.col("z") > apart)
    columns = ("id", "row", "weak_rate", "strong_rate", "z", "instruction", "answer")
    return shown.select(columns).sort("z", "row", descending=[True, False])
