"""Where the files of a source lie: a file, a folder, a pattern, a dataset on the Hub, or a release of ours."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

from factory.curate.read_rows import PACKED, SUFFIXES, DataFile, suffixes_of
from factory.errors import UserError, nearest
from factory.release.folder import MANIFEST
from factory.release.reference import config_files, data_configs, find_release, is_curated, read_facts
from factory.seeds.hub import SPLIT_WORDS, fetch_seeds, of_split
from factory.seeds.parse import SHOWN

HUB = "hub:"
CONFIG = "sft"
_PATTERN = re.compile(r"[*?\[]")
_HUB_SHAPE = re.compile(r"\w[\w.-]*/[\w.-]+")
_METADATA = {"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json"}


def find_files(path: str, split: str | None, config: str | None, base: Path, out: Path) -> list[DataFile]:
    """Return the files of a source, in order; every one has a format that can be read.

    `path`, relative to `base`: a file, a folder of shards (in the order of their names), a pattern (`data/*.jsonl`),
    `hub:ORG/NAME[/FOLDER][@REVISION]`, the folder of a release, or NAME[@VERSION] of a release under `out`. A split is
    told by the names of files. UserError says what is not there, and what is.
    """
    if path.startswith(HUB):
        return _on_hub(path.removeprefix(HUB), split, config)
    local = base / os.path.expanduser(path)
    if (local / MANIFEST).is_file():
        return _of_release(path, local, split, config)
    if local.is_dir():
        return _of_folder(path, local, split)
    if local.is_file():
        return [_one_file(path, local, split)]
    if _PATTERN.search(path):
        return _of_pattern(path, base, split)
    return _of_release(path, _release(path, local, out), split, config)


def name_of(path: str) -> str:
    """Return what a source is called when nobody says: the stem of its file, its folder, dataset or release."""
    bare = path.removeprefix(HUB).split("@")[0].rstrip("/") if path.startswith(HUB) else path.rstrip("/")
    if path.startswith(HUB):
        bare = "/".join(bare.split("/")[:2])
    last = os.path.basename(bare)
    for suffix in (*PACKED, *SUFFIXES):
        last = last.removesuffix(suffix)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last.split("@")[0]).strip("-._") or "rows"


def _on_hub(address: str, split: str | None, config: str | None) -> list[DataFile]:
    if config is not None:
        name, _, revision = address.partition("@")
        address = f"{name.rstrip('/')}/{config}" + (f"@{revision}" if revision else "")
    return [DataFile(label, file) for label, file in fetch_seeds(address, split)]


def _of_release(path: str, folder: Path, split: str | None, config: str | None) -> list[DataFile]:
    configs = read_facts(folder).get("configs")
    if not isinstance(configs, dict) or not configs:
        raise UserError(f"{folder / MANIFEST} names no configs; this is no release of the factory")
    chosen = config or (CONFIG if CONFIG in configs and not is_curated(folder) else _only(path, data_configs(folder)))
    files = config_files(folder, chosen, split or "train")
    return [DataFile(f"{path}/{file.parent.name}/{file.name}", file) for file in files]


def _only(path: str, configs: Sequence[str]) -> str:
    """Return the one config of a curated release; UserError where somebody has to choose."""
    if len(configs) != 1:
        names = ", ".join(configs)
        raise UserError(
            f"{path} has {len(configs)} configs of rows ({names}): name one with `config`, in a source each"
        )
    return configs[0]


def _release(path: str, local: Path, out: Path) -> Path:
    try:
        return find_release(path, out)
    except UserError as error:
        hint = f"; a dataset on the Hub is written hub:{path}" if _HUB_SHAPE.fullmatch(path) else ""
        close = _nearest_file(local)
        raise UserError(f"there are no rows '{path}': {local} is no file or folder{close}, and {error}{hint}") from None


def _of_folder(path: str, folder: Path, split: str | None) -> list[DataFile]:
    names = sorted(
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if _is_data(file.relative_to(folder))
    )
    if not names:
        there = ", ".join(sorted(os.listdir(folder))[:SHOWN]) or "nothing"
        raise UserError(f"the folder {path} has no file that can be read ({_readable()}); it holds: {there}")
    return _of_one_format(path, [(f"{path.rstrip('/')}/{name}", folder / name) for name in _split(path, names, split)])


def _of_pattern(path: str, base: Path, split: str | None) -> list[DataFile]:
    found = sorted(glob.glob(os.path.expanduser(path), root_dir=base, recursive=True))
    names = [name for name in found if (base / name).is_file()]
    if not names:
        raise UserError(f"no file matches '{path}' in {base}")
    if bad := next((name for name in names if not suffixes_of(name)[0]), None):
        raise UserError(f"'{path}' matches {bad}, which cannot be read; those that can: {_readable()}")
    return _of_one_format(path, [(name, base / name) for name in _split(path, names, split)])


def _split(path: str, names: list[str], split: str | None) -> list[str]:
    """Return the names of the split; without one, those of train, or all where no name says any split."""
    if chosen := of_split(names, split or "train"):
        return chosen
    if split is None and not any(of_split(names, known) for known in SPLIT_WORDS):
        return names
    raise UserError(f"{path} has no split '{split or 'train'}'; its data files: {', '.join(names[:SHOWN])}")


def _of_one_format(path: str, files: list[tuple[str, Path]]) -> list[DataFile]:
    found = [DataFile(label, file) for label, file in files]
    kinds = sorted({file.format for file in found})
    if len(kinds) > 1:
        raise UserError(f"{path} holds files of {' and '.join(kinds)}; name those of one kind: '{path}/*.jsonl'")
    return found


def _one_file(path: str, local: Path, split: str | None) -> DataFile:
    if not suffixes_of(local.name)[0]:
        raise UserError(f"'{path}' ends in '{''.join(local.suffixes[-2:])}'; those that can be read: {_readable()}")
    if split is not None:
        raise UserError(f"'{path}' is one file, which has no split '{split}'; leave `split` out")
    return DataFile(path, local)


def _is_data(name: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in name.parts)
    return bool(suffixes_of(name.name)[0]) and name.name not in _METADATA and not hidden


def _readable() -> str:
    return ", ".join(SUFFIXES) + "; all but Parquet also packed: " + ", ".join(PACKED)


def _nearest_file(local: Path) -> str:
    try:
        names = [name for name in os.listdir(local.parent) if suffixes_of(name)[0]]
    except OSError:
        return ""
    hint = nearest(local.name, names)
    return hint if "did you mean" in hint else ""
