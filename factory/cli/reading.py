"""Reading a release's rows lazily: a few rows of a large split cost little."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from factory.errors import UserError, nearest
from factory.release.reference import read_facts


def splits_of(folder: Path, config: str) -> list[str]:
    """Return the splits of a config; UserError names the configs there are."""
    configs = read_facts(folder).get("configs")
    if not isinstance(configs, dict) or config not in configs:
        known = configs if isinstance(configs, dict) else ()
        raise UserError(f"{folder} has no config '{config}'{nearest(config, known)}")
    return list(configs[config])


def scan(folder: Path, config: str, split: str) -> pl.LazyFrame:
    """Return the rows of one config and split, lazily; UserError names the ones there are."""
    splits = splits_of(folder, config)
    if split not in splits:
        raise UserError(f"config '{config}' of {folder} has no split '{split}'{nearest(split, splits)}")
    parts = sorted((folder / config).glob(f"{split}-*-of-*.parquet"))
    if not parts:
        raise UserError(
            f"the files of config '{config}', split '{split}' of {folder} are missing; get the release again"
        )
    return pl.scan_parquet(parts)


def collect(frame: pl.LazyFrame, folder: Path) -> pl.DataFrame:
    """Return the frame; UserError when the release's files are damaged or hold other columns."""
    try:
        return frame.collect()
    except (PolarsError, OSError) as error:
        problem = str(error).partition("\n")[0]
        raise UserError(f"{folder} cannot be read ({problem}); `factory verify {folder}` says what changed") from None
