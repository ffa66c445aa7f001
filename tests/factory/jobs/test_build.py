"""A whole build: the same job is the same release, byte for byte, and what is there is not made again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory.artifacts.store import Artifact, Store
from factory.errors import QuotaUnmet, UserError
from factory.jobs import waves
from factory.jobs.record import Built
from factory.notebook import build, load

JOB: dict[str, Any] = {
    "kind": "build",
    "name": "small",
    "seed": 5,
    "rows": 150,
    "mini": {"rows": 0},
    "recipes": [
        {"recipe": "chains", "share": 0.3, "levels": [1, 2, 3]},
        {"recipe": "nested", "share": 0.2},
        {"recipe": "skill-pairs", "share": 0.2, "k": [2, 3]},
        {"recipe": "countdown", "share": 0.2},
        {"recipe": "lego", "share": 0.1, "levels": [1, 2, 3]},
    ],
}
PROBLEMS = [
    {
        "question": f"A box holds {i + 3} pens and a shop has {i + 20} boxes. How many pens?",
        "answer": (i + 3) * (i + 20),
    }
    for i in range(20)
]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def artifacts(out: Path) -> Iterator[tuple[str, str, str, int]]:
    """Yield stage, key, content and rejects of every artifact."""
    for manifest in sorted((out / "artifacts").glob("*/*/manifest.json")):
        told = json.loads(manifest.read_bytes())
        yield manifest.parent.parent.name, manifest.parent.name, told["digest"], told["rejects"]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Built]:
    """The outputs root of one build of the job, and what it left behind; not to be changed."""
    out = tmp_path_factory.mktemp("once")
    return out, build(JOB, out=out)


ELSEWHERE = """
import json, sys
from factory.notebook import build
if __name__ == "__main__":
    print(build(json.loads(sys.argv[1]), out=sys.argv[2], workers=int(sys.argv[3])).release)
"""


def test_another_process_in_another_folder_builds_the_same_bytes(once: tuple[Path, Built], tmp_path: Path) -> None:
    out, built = once
    env = os.environ | {"PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu"}
    command = [sys.executable, "-c", ELSEWHERE, json.dumps(JOB), str(tmp_path / "other"), "2"]
    subprocess.run(command, env=env, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    there = contents(tmp_path / "other" / "releases")
    assert there == contents(out / "releases")
    assert len(there) > 15
    assert [*artifacts(tmp_path / "other")] == [*artifacts(out)]
    assert built.rows == 150


def test_a_second_run_finds_everything_and_changes_nothing(tmp_path: Path) -> None:
    first = build(JOB, out=tmp_path)
    before = contents(tmp_path / "releases") | contents(tmp_path / "artifacts")
    again = build(JOB, out=tmp_path)
    assert not any(stage["cached"] for stage in first.stages)
    assert all(stage["cached"] for stage in again.stages)
    assert contents(tmp_path / "releases") | contents(tmp_path / "artifacts") == before
    assert again.release == first.release
    assert [s | {"seconds": 0, "cached": 0} for s in again.stages] == [
        s | {"seconds": 0, "cached": 0} for s in first.stages
    ]


def test_every_run_leaves_a_record_beside_the_releases(once: tuple[Path, Built]) -> None:
    out, built = once
    [record] = (out / "runs").glob("*.json")
    assert json.loads(record.read_bytes()) == json.loads(json.dumps(built.as_json()))


def test_the_stages_of_a_build_are_told_in_order_and_add_up(once: tuple[Path, Built]) -> None:
    stages = {stage["name"]: stage for stage in once[1].stages}
    assert list(stages) == ["plan", "draw", "verify", "dedupe", "samples", "release"]
    for stage in stages.values():
        assert stage["rows_in"] == stage["rows_out"] + stage["rejects"]
    assert stages["release"]["rows_out"] == 150


def test_a_release_does_not_depend_on_where_shards_are_cut(
    once: tuple[Path, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waves, "SHARD_ROWS", 40)
    monkeypatch.setattr(waves, "OPEN_ROWS", 2)
    build(JOB, out=tmp_path)
    here, there = contents(tmp_path / "releases"), contents(once[0] / "releases")
    data = [path for path in there if path.endswith(".parquet") and "/rejects/" not in path]
    assert len(data) > 10
    for path in data:
        assert pl.read_parquet(here[path]).equals(pl.read_parquet(there[path])), path


def test_a_changed_job_under_the_same_version_is_refused_with_the_remedy(tmp_path: Path) -> None:
    small = {**JOB, "rows": 20, "recipes": [{"recipe": "countdown", "share": 1}]}
    first = build(small, out=tmp_path)
    before = contents(first.release)
    with pytest.raises(UserError, match=r"release small 1\.0\.0 exists with other content .*release\.version=1\.0\.1"):
        build(small, out=tmp_path, seed=6)
    assert contents(first.release) == before
    assert build(small, out=tmp_path, seed=6, release={"version": "1.0.1"}).version == "1.0.1"


def write_seeds(folder: Path, n: int) -> str:
    file = folder / "problems.jsonl"
    file.write_text("".join(json.dumps(problem) + "\n" for problem in PROBLEMS[:n]))
    return str(file)


def test_a_build_on_seeds_tells_their_file_and_holds_them_apart(tmp_path: Path) -> None:
    entry = {"recipe": "chains", "share": 1, "levels": [2, 3], "cap": 0.5}
    job = {**JOB, "rows": 40, "recipes": [entry], "seeds": {"path": write_seeds(tmp_path, 20)}}
    built = build(job, out=tmp_path)
    told = json.loads((built.release / "manifest.json").read_bytes())["seeds"]
    assert (told["path"], told["usable"], told["rejected"]) == ("problems.jsonl", 20, 0)
    sides = [set(load(built.release, "lineage", split)["parents"].explode()) for split in ("train", "heldout")]
    assert [len(side) for side in sides] == [18, 2]
    assert not sides[0] & sides[1]
    assert all(stage["cached"] for stage in build(job, out=tmp_path).stages)


IMPOSSIBLE: dict[str, Callable[[Path], dict[str, Any]]] = {
    "three seeds": lambda folder: {
        "recipes": [{"recipe": "chains", "share": 1, "levels": [1], "cap": 1}],
        "seeds": {"path": write_seeds(folder, 3)},
    },
    "one clause": lambda folder: {"recipes": [{"recipe": "lego", "share": 1, "levels": [1], "chain": 1, "cap": 1}]},
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_quota_that_cannot_be_met_ends_the_build_without_a_release(what: str, tmp_path: Path) -> None:
    job = {**JOB, "rows": 500, "max_attempts": 2, "replans": 1, **IMPOSSIBLE[what](tmp_path)}
    with pytest.raises(
        QuotaUnmet, match=r"of 500 slots could not be filled in \d attempts; .*level=1, split train"
    ) as e:
        build(job, out=tmp_path / "out")
    assert e.value.exit_code == 2
    assert not (tmp_path / "out" / "releases").exists()


def test_a_place_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="the outputs folder .* cannot be written: Not a directory; choose another"):
        build(JOB, out=tmp_path / "file" / "out")


def test_a_build_that_died_in_its_release_is_finished_by_the_next(
    once: tuple[Path, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("factory.release.new_release.put_in_place", die)
        with pytest.raises(KeyboardInterrupt):
            build(JOB, out=tmp_path)
    assert not list((tmp_path / "releases" / "small").iterdir())
    again = build(JOB, out=tmp_path)
    assert [stage["name"] for stage in again.stages if not stage["cached"]] == ["release"]
    assert contents(tmp_path / "releases") == contents(once[0] / "releases")


@pytest.mark.parametrize("stage", ["draw", "verify", "dedupe", "samples"])
def test_a_build_that_died_at_a_commit_is_finished_by_the_next(
    once: tuple[Path, Built], stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Store.commit

    def die(self: Store, name: str, *args: Any) -> Artifact:
        if name == stage:
            raise KeyboardInterrupt
        return commit(self, name, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit", die)
        with pytest.raises(KeyboardInterrupt):
            build(JOB, out=tmp_path)
    build(JOB, out=tmp_path)
    assert contents(tmp_path / "releases") == contents(once[0] / "releases")


@pytest.mark.slow
def test_a_build_with_a_mini_split_is_the_same_bytes_twice(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    job = {**JOB, "mini": {"rows": 20, "pool": 120}}
    one, two = (build(job, out=tmp_path / name) for name in ("one", "two"))
    assert contents(one.release) == contents(two.release)
    assert [s["name"] for s in one.stages][-4:] == ["embed", "mini", "similarity", "release"]
    assert load(one.release, split="mini").height == 20
    assert set(load(one.release, split="mini")["id"]) <= set(load(one.release)["id"])
    again = build(job, out=tmp_path / "one")
    assert all(stage["cached"] for stage in again.stages)
