"""Fixtures that more than one room of the tests needs."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import settings

settings.register_profile("calm", deadline=None)  # a busy machine is no failure
settings.load_profile("calm")

if TYPE_CHECKING:
    from hub_double import HubDouble


def _load(name: str) -> None:
    """`import name` works in every test file (a path entry for tests/ would let tests/factory hide factory)."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    if spec is None or spec.loader is None:
        raise ImportError(f"tests/{name}.py is missing")
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


_load("hub_socket")
_load("hub_double")
_load("by_example")
_load("by_hand")
_load("extracting")
_load("nonsense")
_load("curating")
_load("killing")
_load("fake_vllm")
_load("tiny_model")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The client's own way of sending a large file is deprecated in its HTTP library; that is not our warning."""
    for item in items:
        if "hub" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubDouble]:
    """A Hub of this test's own; clients in this process find it, with a token that may write."""
    from hub_double import HubDouble

    constants = pytest.importorskip("huggingface_hub.constants")
    utils = pytest.importorskip("huggingface_hub.utils")
    home = tmp_path / "hf_home"
    with HubDouble() as double:
        for name, value in double.env(home).items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        # The client reads its environment once, at import, and other tests may have imported it.
        read_at_import = {
            "HF_HOME": str(home),
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_TOKEN_PATH": str(home / "token"),
            "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_DISABLE_TELEMETRY": True,
            "HF_HUB_OFFLINE": False,
        }
        for name, constant in read_at_import.items():
            monkeypatch.setattr(constants, name, constant)
        utils.close_session()
        yield double
        utils.close_session()


MakeRelease = Callable[..., Path]
CARD = """---
configs:
- config_name: sft
  default: true
  data_files:
  - {split: train, path: "sft/train-*.parquet"}
  - {split: test, path: "sft/test-*.parquet"}
- config_name: rl
  data_files:
  - {split: train, path: "rl/train-*.parquet"}
---
# Tiny
"""


@pytest.fixture
def make_release(tmp_path: Path) -> MakeRelease:
    """Writes a small release folder: `make_release(version="1.0.0", rows=3, name="tiny", rl=True)`."""

    def write(version: str = "1.0.0", rows: int = 3, name: str = "tiny", rl: bool = True) -> Path:
        folder = tmp_path / "made" / name / version
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(CARD, encoding="utf-8")
        (folder / "score.py").write_text("def score(answer: str) -> float:\n    return 1.0\n", encoding="utf-8")
        for config, split in [("sft", "train"), ("sft", "test"), *([("rl", "train")] if rl else [])]:
            frame = pl.DataFrame({"id": [f"{config}-{split}-{i}" for i in range(rows)], "answer": range(rows)})
            frame.write_parquet(folder / config / f"{split}-00000-of-00001.parquet", mkdir=True)
        write_manifest(folder, name, version)
        return folder

    return write


def write_manifest(folder: Path, name: str, version: str) -> None:
    """manifest.json vouches for the files as they are now."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json")
    files = {
        p.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(p.read_bytes()).hexdigest(),
            "bytes": p.stat().st_size,
        }
        for p in paths
    }
    digest = hashlib.sha256(json.dumps([name, version, files]).encode()).hexdigest()
    told = {"name": name, "version": version, "digest": digest, "files": files}
    (folder / "manifest.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
