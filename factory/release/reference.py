"""REF: how a person names a release: a folder, or NAME[@VERSION] under the outputs root."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from factory.errors import UserError, nearest
from factory.release.folder import MANIFEST


def find_release(ref: str, out: Path) -> Path:
    """Return the folder of a release; UserError lists what there is."""
    folder = Path(ref)
    if (folder / MANIFEST).is_file():
        return folder
    name, _, version = ref.partition("@")
    home = out / "releases" / name
    versions = sorted((p.name for p in home.glob("*") if (p / MANIFEST).is_file()), key=_order) if name else []
    if not versions:
        known = sorted(p.parent.parent.name for p in (out / "releases").glob(f"*/*/{MANIFEST}"))
        raise UserError(f"there is no release '{ref}' in {out / 'releases'}{nearest(name, set(known))}")
    wanted = version.removeprefix("v") or versions[-1]
    if wanted not in versions:
        raise UserError(f"release '{name}' has no version {wanted}{nearest(wanted, versions)}")
    return home / wanted


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else -1 for part in version.split("."))


def all_releases(out: Path) -> list[Path]:
    """Return the folders of every release under the outputs root, newest version last."""
    return sorted(
        (p.parent for p in (out / "releases").glob(f"*/*/{MANIFEST}")), key=lambda p: (p.parent, _order(p.name))
    )


def read_facts(folder: Path) -> dict[str, Any]:
    """Return a release's whole manifest."""
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
    except ValueError as error:
        raise UserError(f"{folder / MANIFEST} is not JSON ({error}); this is no release of the factory") from None
    if not isinstance(found, dict):
        raise UserError(f"{folder / MANIFEST} is not a JSON object; this is no release of the factory")
    return found


def read_config(folder: Path, config: str, split: str) -> pl.DataFrame:
    """Return the rows of one config and split; UserError names the ones there are."""
    return pl.concat([pl.read_parquet(p) for p in config_files(folder, config, split)])


def config_files(folder: Path, config: str, split: str) -> list[Path]:
    """Return the Parquet files of one config and split, in order; UserError names the ones there are."""
    configs = read_facts(folder).get("configs", {})
    if config not in configs:
        raise UserError(f"{folder} has no config '{config}'{nearest(config, configs)}")
    if split not in configs[config]:
        raise UserError(f"config '{config}' of {folder} has no split '{split}'{nearest(split, configs[config])}")
    parts = sorted((folder / config).glob(f"{split}-*-of-*.parquet"))
    if not parts:
        raise UserError(f"{folder}: the files of config '{config}', split '{split}' are gone; pull or build it again")
    return parts


def is_curated(folder: Path) -> bool:
    """Return whether a release is of a job of kind curate."""
    return read_facts(folder).get("kind") == "curate"


CURATED_TABLES = ("rejects", "hits", "triage", "corrupted")


def data_configs(folder: Path) -> list[str]:
    """Return the configs of a curated release that hold the rows which stayed."""
    configs = read_facts(folder).get("configs")
    return [name for name in configs if name not in CURATED_TABLES] if isinstance(configs, dict) else []


def main_config(folder: Path) -> str:
    """Return the config that holds the rows themselves: sft, or the first of a curated release."""
    return next(iter(data_configs(folder)), "rows") if is_curated(folder) else "sft"
