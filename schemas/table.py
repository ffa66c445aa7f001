"""A table contract is a value: a name, a version, columns, and rules with names that say what must hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from schemas.columns import REASONS


class SchemaMismatch(TypeError):
    """A frame does not keep its table contract; the message names table, version, column and both types."""


def arrow_type(dtype: pl.DataType) -> pa.DataType:
    """Return the Arrow type that lists of Python values are built as."""
    if isinstance(dtype, pl.List):
        return pa.large_list(arrow_type(dtype.inner))  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        return pa.struct([pa.field(f.name, arrow_type(f.dtype)) for f in dtype.fields])  # type: ignore[arg-type]
    if isinstance(dtype, pl.Int64):
        return pa.int64()
    if isinstance(dtype, pl.Float64):
        return pa.float64()
    return pa.large_string()


@dataclass(frozen=True, slots=True)
class Table:
    """A contract. A wrong column raises; a row that breaks a rule is not an error, it leaves with a reason."""

    name: str
    version: int
    columns: Mapping[str, pl.DataType]
    rules: Mapping[str, pl.Expr] = field(default_factory=dict)

    def check(self, frame: pl.DataFrame) -> None:
        """Raise SchemaMismatch unless the frame has just the contract's columns (`reasons` apart) and types."""
        found = {k: v for k, v in frame.schema.items() if k != "reasons"}
        title = f"table '{self.name}' v{self.version}"
        for name, dtype in self.columns.items():
            if name not in found:
                raise SchemaMismatch(f"{title}: column '{name}' ({dtype}) is missing; found {', '.join(found)}")
            if found[name] != dtype:
                raise SchemaMismatch(f"{title}: column '{name}' must be {dtype}, found {found[name]}")
        for name in found:
            if name not in self.columns:
                raise SchemaMismatch(f"{title}: column '{name}' ({found[name]}) is not part of the contract")

    def frame(self, columns: Mapping[str, list[object]]) -> pl.DataFrame:
        """Return a frame of this table from lists, with the contract's types in the contract's order.

        Through Arrow, whose builders take nested lists at once; Polars would make a series for every row.
        """
        wanted = dict(self.columns) | ({"reasons": REASONS} if "reasons" in columns else {})
        arrays = {name: pa.array(columns[name], type=arrow_type(dtype)) for name, dtype in wanted.items()}
        return pl.DataFrame(pa.table(arrays)).cast(pl.Schema(wanted))

    def split(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return (rows, rejects): rows without `reasons`; rejects as (id, reasons), failed rules included."""
        self.check(frame)
        if "reasons" not in frame.columns:
            frame = frame.with_columns(reasons=pl.lit([], dtype=REASONS))
        untouched = pl.col("reasons").list.len() == 0
        for name, holds in self.rules.items():
            failed = pl.struct(
                gate=pl.lit("contract"), code=pl.lit(name), detail=pl.lit(""), twin=pl.lit(None, dtype=pl.String)
            )
            broken = untouched & ~holds.fill_null(value=False)
            frame = frame.with_columns(
                reasons=pl.when(broken).then(pl.concat_list("reasons", failed)).otherwise("reasons")
            )
        clean = pl.col("reasons").list.len() == 0
        return frame.filter(clean).drop("reasons"), frame.filter(~clean).select("id", "reasons")
