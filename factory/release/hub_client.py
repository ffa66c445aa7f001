"""A dataset repository seen through the huggingface_hub client: where it is, what it holds, and errors with a remedy.

The token comes from the environment or from `hf auth login`; it is handed to the client and goes nowhere else.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory.errors import MissingExtra, UserError
from factory.release.folder import MANIFEST, Manifest, parse_manifest

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

LOG_IN = "log in with `hf auth login` or set HF_TOKEN"
REMEDIES = {
    400: "mend what it names and try again",
    401: f"the token was not accepted: {LOG_IN} to a valid token",
    403: "the token may not do this: use one with write access to that namespace, or another name",
    404: f"there is no such dataset, or it is private: check the name, and {LOG_IN} if it is private",
    409: "something else changed the dataset at the same time: run this again",
    412: "something else changed the dataset at the same time: run this again",
    429: "too many requests: wait some minutes and run this again",
}
NETWORK_REMEDY = (
    "check the network, HF_ENDPOINT and HF_HUB_OFFLINE, then run this again"
    " (a private Hub without Xet also needs HF_HUB_DISABLE_XET=1)"
)
OTHER_REMEDY = "the Hub has a fault: run this again later"


@dataclass(frozen=True, slots=True)
class HubDataset:
    """One dataset repository. Every method raises UserError for what the user can mend."""

    repo_id: str
    endpoint: str
    api: HfApi = field(repr=False)
    token: str | None = field(repr=False)

    def errors(self) -> AbstractContextManager[None]:
        """What the client raises inside leaves as a UserError with a remedy."""
        return hub_errors(self.repo_id, self.endpoint, self.token)

    def tags(self) -> list[str] | None:
        """The names of all tags; None if there is no dataset that this token may see."""
        from huggingface_hub.errors import RepositoryNotFoundError

        with self.errors():
            try:
                refs = self.api.list_repo_refs(self.repo_id, repo_type="dataset")
            except RepositoryNotFoundError:
                return None
        return [tag.name for tag in refs.tags]

    def commit_of(self, revision: str) -> str:
        """The 40-digit name of the commit that a branch or tag points at."""
        with self.errors():
            return str(self.api.dataset_info(self.repo_id, revision=revision).sha)

    def is_private(self) -> bool:
        """Whether only those with a token see it."""
        with self.errors():
            return bool(self.api.dataset_info(self.repo_id).private)

    def manifest(self, revision: str) -> Manifest | None:
        """The manifest at the revision; None if that holds no manifest.json."""
        from huggingface_hub.errors import RemoteEntryNotFoundError

        with tempfile.TemporaryDirectory() as folder, self.errors():
            try:
                path = self.api.hf_hub_download(
                    self.repo_id,
                    MANIFEST,
                    repo_type="dataset",
                    revision=revision,
                    local_dir=folder,
                    cache_dir=folder,
                    tqdm_class=silent_bars(),
                )
            except RemoteEntryNotFoundError:
                return None
            raw = Path(path).read_bytes()
        return parse_manifest(raw, f"{self.repo_id}/{MANIFEST} at {revision}")

    def tree(self, revision: str) -> dict[str, RepoFile]:
        """Every file at the revision, by path: its size and its content's name (git's, or SHA-256 for large ones)."""
        from huggingface_hub.hf_api import RepoFile

        with self.errors():
            entries = self.api.list_repo_tree(self.repo_id, repo_type="dataset", revision=revision, recursive=True)
            return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}

    def url(self, tag: str) -> str:
        """Where a person reads that version."""
        return f"{self.endpoint}/datasets/{self.repo_id}/tree/{tag}"


@contextmanager
def hub_errors(repo_id: str, endpoint: str, token: str | None = None) -> Iterator[None]:
    """What the client raises inside leaves as a UserError with a remedy, alone: its cause could quote the token."""
    import httpx2
    from huggingface_hub import errors

    # ConnectionError and TimeoutError come from Xet, the Hub's other way of sending large files.
    network = (httpx2.HTTPError, httpx2.InvalidURL, ConnectionError, TimeoutError)
    unreachable = (*network, errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)
    refused = (ValueError, errors.OIDCError, errors.FileMetadataError)
    try:
        yield
    except (*unreachable, *refused, RuntimeError) as raised:
        # Its uploading threads wrap whatever happened to them into a RuntimeError.
        error = raised.__cause__ if isinstance(raised, RuntimeError) else raised
        if isinstance(error, errors.HfHubHTTPError):
            said = _answered(error.response.status_code, repo_id, error.server_message)
        elif isinstance(error, unreachable):
            said = f"the Hub at {endpoint} cannot be reached ({type(error).__name__}): {NETWORK_REMEDY}"
        elif isinstance(error, refused):
            said = f"the Hub's client refused {repo_id}: {error}"
        else:
            raise
        raise UserError(_without(token, said)) from None


def _answered(status: int, repo_id: str, message: str | None) -> str:
    quoted = f" ({message})" if message else ""
    return f"the Hub answered {status} for {repo_id}{quoted}: {REMEDIES.get(status, OTHER_REMEDY)}"


def connect(repo_id: str, what: str, *, needs_token: bool) -> HubDataset:
    """A dataset on the Hub that HF_ENDPOINT names; nothing was sent yet.

    MissingExtra if the client is not installed; UserError if a token is needed and there is none.
    """
    try:
        from huggingface_hub import HfApi, constants, get_token
    except ImportError as error:
        raise MissingExtra(what, "hub") from error
    # The client reads HF_ENDPOINT once, at its import; a process that sets it later must be obeyed too.
    endpoint = (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
    with hub_errors(repo_id, endpoint):
        token = get_token()
    if needs_token and token is None:
        raise UserError(f"{what} needs a token with write access: {LOG_IN}")
    return HubDataset(repo_id, endpoint, HfApi(endpoint=endpoint, token=token or False), token)


def _without(token: str | None, text: str) -> str:
    return " ".join((text.replace(token, "***") if token else text).split())


def shown_bars() -> AbstractContextManager[object]:
    """The client's progress bars are shown inside to a person at a terminal, and not written into a log."""
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import disable_progress_bars

    asked_for = constants.HF_HUB_DISABLE_PROGRESS_BARS is False
    return nullcontext() if asked_for or sys.stderr.isatty() else disable_progress_bars()


def silent_bars() -> Any:  # noqa: ANN401 - the client types this as a class and takes any callable
    """A progress bar for the client that shows nothing."""
    from huggingface_hub.utils.tqdm import tqdm

    return partial(tqdm, disable=True)
