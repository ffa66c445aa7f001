"""The three calls of a notebook, used as a notebook uses them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import factory
from factory import build, load, score
from factory.errors import UserError
from factory.jobs.build import Built

JOB: dict[str, Any] = {
    "kind": "build",
    "name": "notes",
    "seed": 1,
    "rows": 24,
    "mini": {"rows": 0},
    "recipes": [
        {"recipe": "countdown", "share": 0.5, "numbers": [3]},
        {"recipe": "lego", "share": 0.5, "levels": [1, 2]},
    ],
}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def built(out: Path) -> Built:
    return build(JOB, out=out)


def test_a_mapping_is_built_into_a_release(built: Built, out: Path) -> None:
    assert built.release == out / "releases" / "notes" / "1.0.0"
    assert (built.name, built.version, built.rows, built.ending) == ("notes", "1.0.0", 24, "filled")
    assert (built.release / "manifest.json").is_file()


@pytest.mark.parametrize("ref", ["notes", "notes@1.0.0", "the folder"])
def test_rows_are_loaded_by_name_and_by_folder(ref: str, built: Built, out: Path) -> None:
    rows = load(built.release if ref == "the folder" else ref, out=out)
    assert set(rows.columns) >= {"id", "messages", "recipe", "level", "skills"}
    assert rows.height + load(ref if ref != "the folder" else built.release, split="heldout", out=out).height == 24


def test_the_gold_of_every_loaded_row_scores_1(built: Built) -> None:
    rows = load(built.release, "rl")
    for verifier in rows["verifier"]:
        assert score(verifier["gold"], verifier).value == 1.0
        assert score("", verifier).value == 0.0


def test_the_completion_of_every_loaded_row_scores_1(built: Built) -> None:
    verifiers = dict(load(built.release, "rl").select("id", "verifier").iter_rows())
    for id_, messages in load(built.release).select("id", "messages").iter_rows():
        assert score(messages[-1]["content"], verifiers[id_]).value == 1.0


def test_overrides_replace_keys_of_a_mapping(out: Path) -> None:
    made = build(JOB, out=out, rows=6, name="few")
    assert (made.name, made.rows) == ("few", 6)
    assert load("few", out=out).height == 6  # a tenth of 6 rows is no row
    assert JOB["rows"] == 24


def test_a_job_file_is_built_and_dotted_overrides_go_deeper(out: Path, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump({**JOB, "name": "from-file"}))
    overrides: dict[str, Any] = {"rows": 8, "release.version": "2.0.0", "recipes.1.levels": [2]}
    made = build(str(file), out=out, **overrides)
    assert (made.name, made.version, made.rows) == ("from-file", "2.0.0", 8)
    levels = load("from-file", "lineage", out=out).filter(recipe="lego")["level"]
    assert set(levels) == {2}


def test_a_second_build_finds_everything_made(built: Built, out: Path) -> None:
    again = build(JOB, out=out)
    assert again.release == built.release
    assert all(stage["cached"] for stage in again.stages)


@pytest.mark.parametrize(
    ("config", "split", "says"),
    [
        ("stf", "train", "has no config 'stf' (did you mean 'sft'?)"),
        ("sft", "held-out", "has no split 'held-out' (did you mean 'heldout'?)"),
        ("sft", "mini", "has no split 'mini' (one of: heldout, train)"),
    ],
)
def test_a_wrong_config_or_split_is_told_with_those_there_are(
    config: str, split: str, says: str, built: Built, out: Path
) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        load("notes", config, split, out=out)


def test_a_wrong_name_is_told_with_the_nearest_release(built: Built, out: Path) -> None:
    with pytest.raises(UserError, match=re.escape("there is no release 'nots'")) as told:
        load("nots", out=out)
    assert "did you mean 'notes'" in str(told.value)


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ("demoo", "there is no shipped job 'demoo' (did you mean 'demo'?)"),
        ("nowhere.yaml", "job file nowhere.yaml does not exist"),
        ({**JOB, "rows": 0}, "rows"),
        ({**JOB, "row": 5}, "unknown key 'row' (did you mean 'rows'?)"),
        ({**JOB, "recipes": [{"recipe": "chain", "share": 1}]}, "there is no recipe 'chain' (did you mean 'chains'?)"),
    ],
)
def test_a_job_that_cannot_be_built_is_told_in_one_sentence(job: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        build(job, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_three_names_are_offered() -> None:
    assert sorted(factory.__all__) == ["build", "load", "score"]
    with pytest.raises(AttributeError, match="module 'factory' has no attribute 'bild'"):
        _ = factory.bild


def test_the_three_names_are_there_in_a_fresh_interpreter_and_score_needs_no_library() -> None:
    code = (
        "import sys; from factory import score; assert 'polars' not in sys.modules;"
        "v = {'kind': 'number', 'gold': '42'}; assert score('Answer: 42', v).value == 1.0;"
        "from factory import build, load; assert callable(build) and callable(load)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
