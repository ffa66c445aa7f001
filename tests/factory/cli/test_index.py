from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result

from factory.release.reference import read_config

Factory = Callable[..., Result]


@pytest.fixture(autouse=True)
def _listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        __import__("factory.cli.main", fromlist=["COMMANDS"]).COMMANDS, "index", ("factory.cli.index:index", "")
    )


@pytest.fixture
def indexed(factory: Factory, outputs: Path) -> Path:
    """An outputs root with the release tiny 1.0.0 in its index."""
    assert factory("index", "build", out=outputs).exit_code == 0
    return outputs


@pytest.fixture
def questions(built: Path) -> list[str]:
    rows = read_config(built / "releases" / "tiny" / "1.0.0", "sft", "train")
    return [turns[0]["content"] for turns in rows["messages"].to_list()]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_build_puts_every_release_in_and_says_so(factory: Factory, outputs: Path) -> None:
    done = factory("index", "build", out=outputs)
    assert "added: tiny@1.0.0, 60 rows" in done.stdout
    assert (outputs / "index" / "segments" / "tiny@1.0.0" / "segment.json").is_file()


def test_building_again_adds_nothing(factory: Factory, indexed: Path) -> None:
    assert "there already: tiny@1.0.0" in factory("index", "build", out=indexed).stdout


def test_build_as_json_tells_what_was_added(factory: Factory, outputs: Path) -> None:
    told = json.loads(factory("index", "build", "--json", out=outputs).stdout)
    assert told["releases"] == [{"release": "tiny@1.0.0", "rows": 60, "added": True}]


def test_an_index_may_lie_anywhere(factory: Factory, outputs: Path, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    assert factory("index", "build", "tiny", "--index", place, out=outputs).exit_code == 0
    assert json.loads(factory("index", "stats", "--index", place, "--json").stdout)["rows"] == 60


def test_a_release_is_added_by_its_folder_or_its_name(factory: Factory, indexed: Path) -> None:
    later = indexed / "releases" / "tiny" / "1.0.1"
    shutil.copytree(indexed / "releases" / "tiny" / "1.0.0", later)
    manifest = json.loads((later / "manifest.json").read_text())
    (later / "manifest.json").write_text(json.dumps(manifest | {"version": "1.0.1", "digest": "a" * 32}))
    assert "added: tiny@1.0.1" in factory("index", "add", later, out=indexed).stdout
    assert "there already: tiny@1.0.1" in factory("index", "add", "tiny@1.0.1", out=indexed).stdout


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_query_shows_the_rows_that_repeat_a_release(
    factory: Factory, indexed: Path, tmp_path: Path, questions: list[str], suffix: str
) -> None:
    frame = pl.DataFrame({"question": [questions[4], "What do gulls eat in the harbour of a small town?"]})
    path = tmp_path / f"new.{suffix}"
    if suffix == "parquet":
        frame.write_parquet(path)
    else:
        path.write_text(frame.write_csv() if suffix == "csv" else frame.write_ndjson(), encoding="utf-8")
    done = factory("index", "query", path, out=indexed)
    assert done.stdout.splitlines()[1].split()[:3] == ["0", "instruction", "tiny@1.0.0"]
    assert "1 of 2 rows repeat a row of the 1 releases" in done.stdout


def test_query_as_json_gives_a_line_a_hit(
    factory: Factory, indexed: Path, tmp_path: Path, questions: list[str]
) -> None:
    path = write_rows(tmp_path / "new.jsonl", [{"id": "a", "instruction": q, "output": ""} for q in questions[:1]])
    hit = json.loads(factory("index", "query", path, "--json", out=indexed).stdout)
    assert (hit["id"], hit["level"], hit["similarity"], hit["estimated"]) == ("a", "exact", 1.0, False)


def test_a_similarity_that_is_only_estimated_is_marked(
    factory: Factory, indexed: Path, tmp_path: Path, questions: list[str]
) -> None:
    shutil.rmtree(indexed / "releases")
    path = write_rows(tmp_path / "new.jsonl", [{"prompt": questions[0]}])
    assert "~1.000" in factory("index", "query", path, out=indexed).stdout
    assert "gone" in factory("index", "stats", out=indexed).stdout


def test_query_takes_the_column_it_is_told(
    factory: Factory, indexed: Path, tmp_path: Path, questions: list[str]
) -> None:
    path = write_rows(tmp_path / "new.jsonl", [{"asked": questions[0]}])
    done = factory("index", "query", path, "--instruction", "asked", out=indexed)
    assert "1 of 1 rows" in done.stdout


def test_many_hits_are_cut_for_a_person_but_not_as_json(factory: Factory, indexed: Path) -> None:
    release = indexed / "releases" / "tiny" / "1.0.0"
    assert "more; --json shows all" in factory("index", "query", release, out=indexed).stdout
    lines = factory("index", "query", release, "--json", out=indexed).stdout.splitlines()
    assert len(lines) == read_config(release, "sft", "train").height


def test_stats_show_releases_and_configuration(factory: Factory, indexed: Path) -> None:
    shown = factory("index", "stats", out=indexed).stdout
    assert "tiny@1.0.0    60" in shown
    assert "shingles of 5 words; 128 permutations in 16 bands of 8" in shown


def test_stats_can_check_every_byte(factory: Factory, indexed: Path) -> None:
    assert factory("index", "stats", "--verify", out=indexed).exit_code == 0
    path = indexed / "index" / "segments" / "tiny@1.0.0" / "signatures-instruction.parquet"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert factory("index", "stats", out=indexed).exit_code == 0
    done = factory("index", "stats", "--verify", out=indexed)
    assert done.exit_code == 2
    assert "signatures-instruction.parquet has changed" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["stats"], "`factory index build` makes one"),
        (["add", "tiny"], "`factory index build` makes one"),
        (["add"], "Missing argument"),
        (["build", "tinny"], "did you mean 'tiny'"),
        (["build", "--fields", "anser"], "did you mean 'answer'"),
        (["build", "--threshold", "2"], "above 0 and is at most 1"),
        (["build", "--size", "many"], "not a valid integer"),
        (["bild"], "No such command 'bild'"),
    ],
)
def test_a_mistake_is_told_in_a_line_and_nothing_is_made(
    factory: Factory, outputs: Path, args: list[str], said: str
) -> None:
    done = factory("index", *args, out=outputs) if args != ["bild"] else factory("index", "bild")
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (outputs / "index").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["query", "absent.jsonl"], "absent.jsonl"),
        (["query", "ROWS", "--instruction", "promt"], "did you mean 'prompt'"),
        (["query", "ROWS", "--against", "tinny@1.0.0"], "did you mean 'tiny@1.0.0'"),
        (["query", "ROWS", "--threshold", "0.3"], "0.3 cannot be asked of it"),
        (["query", "ROWS", "--threshold", "7"], "not in the range"),
        (["build", "--size", "3"], "size is 5, not 3"),
        (["build", "--embedder", "static"], "embedder is None, not static"),
        (["add", "tinny"], "did you mean 'tiny'"),
    ],
)
def test_a_mistake_with_an_index_is_told_in_a_line(
    factory: Factory, indexed: Path, tmp_path: Path, args: list[str], said: str
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"prompt": "What is it?"}])
    done = factory("index", *[str(path) if arg == "ROWS" else arg for arg in args], out=indexed)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_root_without_releases_is_told(factory: Factory, tmp_path: Path) -> None:
    done = factory("index", "build", out=tmp_path / "nothing")
    assert done.exit_code == 2
    assert "there are no releases in" in done.stderr
