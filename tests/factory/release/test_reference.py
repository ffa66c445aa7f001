from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory.errors import UserError
from factory.release.reference import all_releases, find_release, read_config, read_facts

CONFIGS = {"sft": {"train": 4, "heldout": 1}, "rejects": {"rejects": 0}}


def release(out: Path, name: str, version: str, configs: Any = CONFIGS) -> Path:
    folder = out / "releases" / name / version
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"name": name, "version": version, "configs": configs}))
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for version in ("1.9.0", "1.10.0", "0.2.11"):
        release(tmp_path, "demo", version)
    release(tmp_path, "word-problems", "1.0.0")
    (tmp_path / "releases" / "demo" / "2.0.0").mkdir()  # not finished: it has no manifest
    return tmp_path


@pytest.mark.parametrize(
    ("ref", "found"),
    [
        ("demo", "demo/1.10.0"),
        ("demo@1.9.0", "demo/1.9.0"),
        ("demo@v0.2.11", "demo/0.2.11"),
        ("word-problems", "word-problems/1.0.0"),
    ],
)
def test_a_name_is_the_newest_version_and_a_version_is_itself(ref: str, found: str, out: Path) -> None:
    assert find_release(ref, out) == out / "releases" / found


def test_a_folder_is_a_release_wherever_it_is(out: Path, tmp_path: Path) -> None:
    folder = out / "releases" / "demo" / "1.9.0"
    assert find_release(str(folder), tmp_path / "elsewhere") == folder


def test_an_unfinished_version_is_not_found(out: Path) -> None:
    with pytest.raises(UserError, match=r"release 'demo' has no version 2\.0\.0"):
        find_release("demo@2.0.0", out)


@pytest.mark.parametrize("ref", ["dmo", "dmo@1.9.0"])
def test_an_unknown_name_is_told_with_the_nearest(ref: str, out: Path) -> None:
    with pytest.raises(UserError, match=rf"there is no release '{ref}' .*\(did you mean 'demo'\?\)"):
        find_release(ref, out)


def test_an_unknown_version_is_told_with_the_nearest(out: Path) -> None:
    with pytest.raises(UserError, match=r"release 'demo' has no version 1\.9\.1 \(did you mean '1\.9\.0'\?\)"):
        find_release("demo@1.9.1", out)


@pytest.mark.parametrize("ref", ["", "@", "@1.0.0", "xyzzy"])
def test_what_is_near_no_name_lists_those_there_are(ref: str, out: Path) -> None:
    with pytest.raises(UserError, match=r"\(one of: demo, word-problems\)"):
        find_release(ref, out)


def test_without_any_release_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no release 'demo' .* \(there are none\)"):
        find_release("demo", tmp_path)
    assert all_releases(tmp_path) == []


def test_all_releases_come_name_by_name_with_the_newest_version_last(out: Path) -> None:
    found = [p.relative_to(out / "releases").as_posix() for p in all_releases(out)]
    assert found == ["demo/0.2.11", "demo/1.9.0", "demo/1.10.0", "word-problems/1.0.0"]


@pytest.mark.parametrize(("text", "why"), [("{", "is not JSON"), ("[1]", "is not a JSON object"), ("", "is not JSON")])
def test_a_manifest_that_cannot_be_read_is_told(text: str, why: str, tmp_path: Path) -> None:
    folder = release(tmp_path, "demo", "1.0.0")
    (folder / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=re.escape(why)):
        read_facts(folder)


def test_rows_of_every_file_of_a_split_are_read_in_order(tmp_path: Path) -> None:
    folder = release(tmp_path, "demo", "1.0.0")
    for i in range(2):
        frame = pl.DataFrame({"id": [f"{i}0", f"{i}1"]})
        frame.write_parquet(folder / "sft" / f"train-{i:05d}-of-00002.parquet", mkdir=True)
    pl.DataFrame({"id": ["x"]}).write_parquet(folder / "sft" / "heldout-00000-of-00001.parquet")
    assert read_config(folder, "sft", "train")["id"].to_list() == ["00", "01", "10", "11"]
    assert read_config(folder, "sft", "heldout")["id"].to_list() == ["x"]


@pytest.mark.parametrize(
    ("config", "split", "says"),
    [
        ("sfd", "train", "has no config 'sfd' (did you mean 'sft'?)"),
        ("xyz", "train", "has no config 'xyz' (one of: rejects, sft)"),
        ("sft", "trian", "has no split 'trian' (did you mean 'train'?)"),
        ("sft", "test_all", "has no split 'test_all' (one of: heldout, train)"),
        ("rejects", "train", "has no split 'train' (one of: rejects)"),
    ],
)
def test_a_config_or_split_that_is_not_there_is_told_with_those_that_are(
    config: str, split: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        read_config(release(tmp_path, "demo", "1.0.0"), config, split)
