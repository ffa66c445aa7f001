"""The commit protocol: the first writer wins, and what has no manifest does not exist."""

from __future__ import annotations

import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import orjson
import polars as pl
import pytest

from factory.artifacts.store import Artifact, Store, write_parquet
from schemas.columns import REASONS

ROWS = pl.DataFrame({"id": ["a", "b"], "n": [1, 2]})
OTHER = pl.DataFrame({"id": ["a", "b"], "n": [1, 3]})
NONE = pl.DataFrame(schema={"id": pl.String(), "reasons": REASONS})
REJECTS = pl.DataFrame(
    {"id": ["c"], "reasons": [[{"gate": "g", "code": "bad", "detail": "", "twin": None}]]}, schema=NONE.schema
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


def commit(store: Store, rows: pl.DataFrame = ROWS, rejects: pl.DataFrame = NONE) -> Artifact:
    return store.commit("draw", "k1", rows, rejects, {"stage": "draw", "version": 1})


def test_an_empty_store_finds_nothing(store: Store) -> None:
    assert store.find("draw", "k1") is None


def test_what_was_committed_is_found(store: Store) -> None:
    made = commit(store, rejects=REJECTS)
    found = store.find("draw", "k1")
    assert found is not None
    assert (found.rows, found.rejects, found.digest, found.made) == (2, 1, made.digest, False)
    assert found.read().equals(ROWS)
    assert found.read(["n"]).equals(ROWS.select("n"))
    assert found.scan().collect().equals(ROWS)
    assert found.read_rejects().equals(REJECTS)


def test_stages_and_keys_are_apart(store: Store) -> None:
    commit(store)
    assert store.find("verify", "k1") is None
    assert store.find("draw", "k2") is None


def test_the_digest_is_that_of_the_rows_file(store: Store) -> None:
    made = commit(store)
    assert made.digest == sha256((made.folder / "rows.parquet").read_bytes()).hexdigest()


def test_the_same_rows_have_the_same_digest_in_another_store(store: Store, tmp_path: Path) -> None:
    assert commit(store).digest == commit(Store(tmp_path / "b")).digest != commit(Store(tmp_path / "c"), OTHER).digest


def test_no_rejects_leave_no_file_and_read_as_typed_nothing(store: Store) -> None:
    made = commit(store)
    assert not (made.folder / "rejects.parquet").exists()
    assert made.read_rejects().equals(NONE)
    assert made.read_rejects().schema == NONE.schema


def test_the_manifest_says_what_made_it(store: Store) -> None:
    made = commit(store)
    told = orjson.loads((made.folder.parent / "manifest.json").read_bytes())
    assert told["of"] == {"stage": "draw", "version": 1}


def test_the_first_writer_wins(store: Store) -> None:
    first, second = commit(store), commit(store, OTHER)
    assert (first.made, second.made) == (True, False)
    assert second.folder == first.folder
    assert second.digest == first.digest
    assert second.read().equals(ROWS)


def test_an_artifact_without_a_manifest_is_not_found(store: Store) -> None:
    (commit(store).folder.parent / "manifest.json").unlink()
    assert store.find("draw", "k1") is None


def test_a_half_written_attempt_is_ignored(store: Store) -> None:
    rubbish = store.root / "draw" / "k1" / "0123456789abcdef"
    rubbish.mkdir(parents=True)
    write_parquet(OTHER, rubbish / "rows.parquet")
    whole = (rubbish / "rows.parquet").read_bytes()
    (rubbish / "rows.parquet").write_bytes(whole[: len(whole) // 2])
    assert store.find("draw", "k1") is None
    assert commit(store).read().equals(ROWS)
    found = store.find("draw", "k1")
    assert found is not None
    assert found.read().equals(ROWS)


KILLED = """
import os, signal, sys
from pathlib import Path
import polars as pl
from factory.artifacts import store

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "before the manifest":
    store.os.link = die
else:
    store.write_bytes = die
rows = pl.DataFrame({"id": ["z"], "n": [9]})
store.Store(Path(sys.argv[1])).commit("draw", "k1", rows, pl.DataFrame(), {})
"""


@pytest.mark.parametrize("moment", ["before the manifest", "between the parts"])
def test_a_writer_killed_before_its_manifest_leaves_nothing_to_find(store: Store, moment: str) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(store.root), moment], check=False)
    assert killed.returncode == -9
    assert list((store.root / "draw" / "k1").glob("*/rows.parquet"))
    assert store.find("draw", "k1") is None
    assert commit(store).made
    assert commit(store).read().equals(ROWS)


RACER = """
import sys, time
from pathlib import Path
import polars as pl
from factory.artifacts.store import Store

root, mine = Path(sys.argv[1]), int(sys.argv[2])
(root / f"ready-{mine}").touch()
while not (root / "go").exists():
    time.sleep(0.001)
out = []
for i in range(30):
    made = Store(root / "artifacts").commit("draw", f"k{i}", pl.DataFrame({"n": [mine]}), pl.DataFrame(), {})
    out.append(f"{made.made} {made.digest} {made.read()['n'][0]}")
print("\\n".join(out))
"""


def test_of_three_processes_that_write_at_once_one_wins_and_the_others_see_it(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(tmp_path), str(i)], stdout=subprocess.PIPE, text=True)
        for i in range(3)
    ]
    while len(list(tmp_path.glob("ready-*"))) < 3 and all(r.poll() is None for r in racers):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    told = [racer.communicate()[0].splitlines() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    for rounds in zip(*told, strict=True):
        seen = [line.split() for line in rounds]
        assert sorted(made for made, _, _ in seen) == ["False", "False", "True"]
        assert len({(content, n) for _, content, n in seen}) == 1
