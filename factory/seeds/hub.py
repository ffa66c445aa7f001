"""Seed files of a dataset on the Hub: `hub:ORG/NAME[/FOLDER][@REVISION]`."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from factory.errors import MissingExtra, UserError
from factory.seeds.parse import SHOWN, SUFFIXES

SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""The words by which a file's name says its split; any other split is said by its own name."""

_ADDRESS = re.compile(r"(?P<repo>\w[\w.-]*/[\w.-]+)(?:/(?P<folder>[^@]+?))?/?(?:@(?P<revision>.+))?")
_METADATA = {"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json"}


def fetch_seeds(address: str, split: str | None) -> list[tuple[str, Path]]:
    """Return (label, local file) for the data files of the split, downloaded, in the order of their names.

    All come from one commit. Without a split: those of `train`, or all of them when no name says a split.
    Raises UserError when the address, dataset, revision, folder or split is not there or the Hub cannot be reached;
    MissingExtra without huggingface_hub.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise UserError(f"'hub:{address}' is no dataset's address; write hub:ORG/NAME[/FOLDER][@REVISION]")
    try:
        import httpx2
        from huggingface_hub import HfApi, errors
    except ImportError as error:
        raise MissingExtra("reading seeds from the Hub", "hub") from error

    repo, label = match["repo"], f"hub:{match['repo']}"
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    api = HfApi(endpoint=endpoint, token=os.environ.get("HF_TOKEN"))
    try:
        info = api.dataset_info(repo, revision=match["revision"])
        names = [file.rfilename for file in info.siblings or []]
        chosen = choose_files(label, names, split, match["folder"])
        return [
            (f"{label}/{name}", Path(api.hf_hub_download(repo, name, repo_type="dataset", revision=info.sha)))
            for name in chosen
        ]
    except errors.GatedRepoError as error:
        raise UserError(f"{label} is gated: accept its terms at {endpoint} and set HF_TOKEN") from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{label} has no revision '{match['revision']}' at {endpoint}") from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"there is no dataset '{repo}' at {endpoint}, or it is private and HF_TOKEN may not read it"
        ) from error
    except errors.HFValidationError as error:
        raise UserError(f"'hub:{address}' is no dataset's address: {error}") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise UserError(f"{label} could not be read from {endpoint}: {_first_line(error)}") from error


def choose_files(label: str, names: list[str], split: str | None, folder: str | None = None) -> list[str]:
    """Return the names of the split's data files, sorted, all of one format and one folder.

    A name says its split whole (`data/train-00000-of-00002.parquet`) or, failing that, by one of its words
    (`mine_train.jsonl`, `train/0000.parquet`). When a split comes in several formats, the first of SUFFIXES is taken.
    Raises UserError when there is none, or when several folders hold the split and none of them is named.
    """
    there = sorted(name for name in names if _is_data(name) and (folder is None or name.startswith(f"{folder}/")))
    if not there:
        where = f"no folder '{folder}' with files" if folder else "no files"
        raise UserError(f"{label} has {where} that can be read ({', '.join(SUFFIXES)}); it holds: {_listed(names)}")
    chosen = _of_split(there, split or "train")
    if not chosen and split is None and not any(_of_split(there, known) for known in SPLIT_WORDS):
        chosen = there
    if not chosen:
        raise UserError(f"{label} has no split '{split or 'train'}'; its data files: {_listed(there)}")
    suffix = min((PurePosixPath(name).suffix.lower() for name in chosen), key=SUFFIXES.index)
    chosen = [name for name in chosen if name.lower().endswith(suffix)]
    folders = sorted({str(PurePosixPath(name).parent) for name in chosen})
    if len(folders) > 1:
        raise UserError(
            f"{label} holds this split in several folders: {_listed(folders)}; name one: {label}/{folders[-1]}"
        )
    return chosen


def _is_data(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix.lower() in SUFFIXES and path.name not in _METADATA and not hidden


def _of_split(names: list[str], split: str) -> list[str]:
    words = "|".join(re.escape(word) for word in SPLIT_WORDS.get(split, (split,)))
    whole = re.compile(rf"(?:.*/)?(?:{words})(?:-\d+(?:-of-\d+)?)?\.\w+", re.IGNORECASE)
    part = re.compile(rf"(?:.*[^a-z0-9])?(?:{words})(?:[^a-z].*)?", re.IGNORECASE | re.DOTALL)
    return [name for name in names if whole.fullmatch(name)] or [name for name in names if part.fullmatch(name)]


def _listed(names: list[str]) -> str:
    return (", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")) or "nothing"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
