from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from click.testing import Result

from factory.release.reference import read_config

Factory = Callable[..., Result]
HOSTILE = "\x1b]0;owned\x07\x1b[2Jgone\x9b1m"


def folder_of(outputs: Path) -> Path:
    return outputs / "releases" / "tiny" / "1.0.0"


def test_card_shows_the_text_without_its_yaml_head(factory: Factory, built: Path) -> None:
    shown = factory("card", "tiny", out=built).stdout
    assert shown.startswith("# tiny v1.0.0\n")
    assert "config_name" not in shown


def test_a_release_can_be_named_by_its_folder(factory: Factory, built: Path) -> None:
    assert factory("card", folder_of(built)).stdout == factory("card", "tiny@1.0.0", out=built).stdout


def test_an_unknown_release_names_the_nearest(factory: Factory, built: Path) -> None:
    done = factory("card", "tinny", out=built)
    assert done.exit_code == 2
    assert "did you mean 'tiny'?" in done.stderr


def test_a_missing_card_is_told(factory: Factory, outputs: Path) -> None:
    (folder_of(outputs) / "README.md").unlink()
    done = factory("card", "tiny", out=outputs)
    assert done.exit_code == 2
    assert "README.md is missing" in done.stderr


@pytest.mark.parametrize("args", [["card", "tiny"], ["rows", "tiny", "-n", "1"], ["rows", "tiny", "-n", "1", "--json"]])
def test_escape_sequences_of_a_release_do_not_reach_the_terminal(
    factory: Factory, outputs: Path, args: list[str]
) -> None:
    folder = folder_of(outputs)
    (folder / "README.md").write_text(f"# A card\n{HOSTILE}", encoding="utf-8")
    pl.DataFrame({"id": ["a"], "prompt": [HOSTILE]}).write_parquet(folder / "sft" / "train-00000-of-00001.parquet")
    shown = factory(*args, out=outputs).stdout
    assert "gone" in shown
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)


@pytest.mark.parametrize("config", ["sft", "prompt_completion", "rl", "lineage"])
@pytest.mark.parametrize("split", ["train", "heldout"])
def test_rows_as_json_are_the_rows_of_the_release(factory: Factory, built: Path, config: str, split: str) -> None:
    shown = factory("rows", "tiny", "-n", 3, "--config", config, "--split", split, "--json", out=built).stdout
    assert [json.loads(line) for line in shown.splitlines()] == read_config(folder_of(built), config, split)[
        :3
    ].to_dicts()


def test_rows_for_a_person_show_the_turns_as_text(factory: Factory, built: Path) -> None:
    shown = factory("rows", "tiny", "-n", 1, out=built).stdout
    row = read_config(folder_of(built), "sft", "train").row(0, named=True)
    assert shown.startswith(f"id: {row['id']}\n")
    assert all(f"-- messages, {turn['role']}\n{turn['content']}\n" in shown for turn in row["messages"])


def test_more_rows_than_there_are_is_all_of_them(factory: Factory, built: Path) -> None:
    shown = factory("rows", "tiny", "-n", 999, "--json", out=built).stdout
    assert len(shown.splitlines()) == read_config(folder_of(built), "sft", "train").height


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (["--config", "stf"], "has no config 'stf' (did you mean 'sft'?)"),
        (["--split", "trian"], "has no split 'trian' (did you mean 'train'?)"),
        (["-n", "0"], "Invalid value for '-n'"),
    ],
)
def test_rows_that_are_not_there_are_told(factory: Factory, built: Path, args: list[str], wanted: str) -> None:
    done = factory("rows", "tiny", *args, out=built)
    assert done.exit_code == 2
    assert wanted in done.stderr


@pytest.mark.parametrize("damage", [b"not parquet", b"", None])
def test_a_damaged_file_is_told_without_a_traceback(factory: Factory, outputs: Path, damage: bytes | None) -> None:
    part = folder_of(outputs) / "sft" / "train-00000-of-00001.parquet"
    if damage is None:
        part.unlink()
    else:
        part.write_bytes(damage)
    done = factory("rows", "tiny", out=outputs)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")


@dataclass
class FakeReport:
    rows: int = 60
    problems: list[str] = field(default_factory=list)
    checks: dict[str, int] = field(default_factory=lambda: {"gold scores 1": 60})
    seconds: float = 0.5


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> FakeReport:
    """What verification will say."""
    made = FakeReport()
    fake = SimpleNamespace(verify_release=lambda folder: made)
    monkeypatch.setitem(sys.modules, "factory.release.verify", fake)
    return made


def test_verify_of_a_sound_release_leaves_with_0(factory: Factory, built: Path) -> None:
    done = factory("verify", "tiny", out=built)
    assert done.exit_code == 0
    assert "60 rows checked in" in done.stdout
    assert "everything holds" in done.stdout


def test_verify_of_a_changed_release_leaves_with_2_and_names_the_file(factory: Factory, outputs: Path) -> None:
    with (folder_of(outputs) / "score.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    done = factory("verify", "tiny", out=outputs)
    assert done.exit_code == 2
    assert "score.py" in done.stderr


def test_verify_shows_the_first_problems_and_where_the_rest_is(
    factory: Factory, built: Path, report: FakeReport
) -> None:
    report.problems = [f"row {i} is wrong" for i in range(30)]
    done = factory("verify", "tiny", out=built)
    assert done.exit_code == 2
    assert "error: row 0 is wrong" in done.stderr
    assert "row 29" not in done.stderr
    assert "--json lists them" in done.stderr.replace("`", "")


def test_verify_as_json_has_every_problem(factory: Factory, built: Path, report: FakeReport) -> None:
    report.problems = ["row 1 is wrong"]
    done = factory("verify", "tiny", "--json", out=built)
    told = json.loads(done.stdout)
    assert done.exit_code == 2
    assert (told["ok"], told["rows"], told["problems"]) == (False, 60, ["row 1 is wrong"])
    assert told["checks"] == {"gold scores 1": 60}


def test_a_release_goes_out_to_a_folder_and_comes_back(factory: Factory, built: Path, tmp_path: Path) -> None:
    out = factory("publish", "tiny", "--to", f"file:{tmp_path}/public", out=built)
    assert out.exit_code == 0
    assert "published: file://" in out.stdout
    back = factory("pull", f"file:{tmp_path}/public/tiny/1.0.0", out=tmp_path / "mine")
    assert back.exit_code == 0
    assert f'load_dataset("{folder_of(tmp_path / "mine")}", "sft")' in back.stdout
    assert "there already" in factory("publish", "tiny", "--to", f"file:{tmp_path}/public", out=built).stdout


@pytest.mark.parametrize("args", [["publish", "tiny", "--to", "elsewhere"], ["pull", "tiny"], ["publish", "tiny"]])
def test_a_target_of_no_known_form_is_told(factory: Factory, built: Path, args: list[str]) -> None:
    assert factory(*args, out=built).exit_code == 2
