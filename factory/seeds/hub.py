"""Seed files of a dataset on the Hub: `hub:ORG/NAME[/FOLDER][@REVISION]`."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path, PurePosixPath

from factory.errors import UserError
from factory.release.hub_client import LOG_IN, HubDataset, connect, silent_bars
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
    dataset = connect(match["repo"], "reading seeds from the Hub", needs_token=False)
    try:
        with dataset.errors():
            return _download(dataset, split, match["folder"], match["revision"])
    except OSError as error:
        raise UserError(f"hub:{match['repo']} could not be kept in the client's cache: {error}") from error


def _download(
    dataset: HubDataset, split: str | None, folder: str | None, revision: str | None
) -> list[tuple[str, Path]]:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    repo, api, label = dataset.repo_id, dataset.api, f"hub:{dataset.repo_id}"
    try:
        info = api.dataset_info(repo, revision=revision)
    except GatedRepoError as error:
        raise UserError(f"{label} is gated: accept its terms at {dataset.endpoint}, and {LOG_IN}") from error
    except RevisionNotFoundError as error:
        raise UserError(f"{label} has no revision '{revision}' at {dataset.endpoint}") from error
    except RepositoryNotFoundError as error:
        # The Hub does not tell a name that nobody has from one that this token may not see.
        raise UserError(
            f"there is no dataset '{repo}' at {dataset.endpoint}, or it is private: check the name, or {LOG_IN}"
        ) from error
    names = choose_files(label, [file.rfilename for file in info.siblings or []], split, folder)
    fetch = partial(api.hf_hub_download, repo, repo_type="dataset", revision=info.sha, tqdm_class=silent_bars())
    return [(f"{label}/{name}", Path(fetch(name))) for name in names]


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
    chosen = of_split(there, split or "train")
    if not chosen and split is None and not any(of_split(there, known) for known in SPLIT_WORDS):
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


def of_split(names: list[str], split: str) -> list[str]:
    """Return those names that say the split: whole names if there are any, else names with one of its words."""
    words = "|".join(re.escape(word) for word in SPLIT_WORDS.get(split, (split,)))
    whole = re.compile(rf"(?:.*/)?(?:{words})(?:-\d+(?:-of-\d+)?)?\.\w+", re.IGNORECASE)
    part = re.compile(rf"(?:.*[^a-z0-9])?(?:{words})(?:[^a-z].*)?", re.IGNORECASE | re.DOTALL)
    return [name for name in names if whole.fullmatch(name)] or [name for name in names if part.fullmatch(name)]


def _listed(names: list[str]) -> str:
    return (", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")) or "nothing"
