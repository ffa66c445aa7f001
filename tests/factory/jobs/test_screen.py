"""What a build's rows are held against: benchmarks, earlier releases, and the texts that a teacher wrote before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory.artifacts.digest import digest
from factory.artifacts.store import Artifact, Store
from factory.dedupe.index import Index
from factory.errors import UserError
from factory.jobs.build import run_build
from factory.jobs.engine import InProcess
from factory.jobs.model import JobFile, parse_job
from factory.jobs.record import Built
from factory.jobs.screen import Screening, Texts
from factory.release.reference import read_config, read_facts
from schemas.candidates import CANDIDATES
from schemas.columns import REASONS
from schemas.verdicts import KEPT

JOB: dict[str, Any] = {
    "kind": "build",
    "name": "held",
    "rows": 60,
    "seed": 3,
    "mini": {"rows": 0},
    "recipes": [{"recipe": "chains", "share": 1.0, "levels": [2]}],
}
NO_REJECTS = pl.DataFrame(schema={"id": pl.String(), "reasons": REASONS})


def build(folder: Path, **keys: Any) -> Built:
    with InProcess(1) as engine:
        return run_build(JobFile(parse_job({**JOB, **keys}, "the job"), folder), folder / "out", engine)


def prompts(built: Built) -> list[str]:
    return [rows[0]["content"] for rows in read_config(built.release, "sft", "train")["messages"].to_list()]


def test_a_row_of_a_benchmark_leaves_and_its_slot_is_filled_by_another(tmp_path: Path) -> None:
    first = build(tmp_path)
    leaked = prompts(first)[:3]
    (tmp_path / "bench.jsonl").write_text("".join(json.dumps({"question": text}) + "\n" for text in leaked))
    benchmark = {"name": "leaked", "path": "bench.jsonl", "columns": ["question"]}
    leaks = {"benchmarks": [benchmark], "words": 40, "containment": None}  # fewer words are the wording of all chains
    second = build(tmp_path, decontaminate=leaks, release={"version": "1.0.1"})
    assert second.rows == first.rows
    assert not set(leaked) & set(prompts(second))
    rejects = read_config(second.release, "rejects", "rejects").filter(pl.col("stage") == "screen")
    assert {twin.partition("#")[0] for twin in rejects["twin"]} == {"leaked"}
    assert rejects["id"].n_unique() >= 3
    assert "decontaminate" in read_facts(second.release)["job"]


def test_a_row_of_an_earlier_release_leaves(tmp_path: Path) -> None:
    first = build(tmp_path)
    Index.create(tmp_path / "out" / "index").add(first.release)
    second = build(tmp_path, against={}, release={"version": "1.0.1"})
    assert second.rows == first.rows
    assert not set(prompts(first)) & set(prompts(second))
    reasons = read_config(second.release, "rejects", "rejects").filter(pl.col("stage") == "screen")["reason"]
    assert set(reasons) == {"no_row_of_an_earlier_release"}


def test_an_index_that_is_not_there_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="index"):
        build(tmp_path, against={})
    assert not (tmp_path / "out" / "releases").exists()


# ------------------------------------------------------------------------------------------- a teacher's near copies

STORY = "The old lamplighter walked through the harbour town every evening and lit the lamps one after another. "


def shard(store: Store, rows: list[tuple[str, str, str, str]]) -> tuple[Artifact, Artifact]:
    """Return (candidates, kept) of rows (id, recipe, pair, prompt)."""
    blank: dict[str, Any] = {name: [None] * len(rows) for name in CANDIDATES.columns}
    verifier = {"kind": "rubric", "gold": "A reply.", "args": "{}"}
    told = {"id": 0, "recipe": 1, "pair": 2, "prompt": 3}
    cells = {**blank, **{name: [row[i] for row in rows] for name, i in told.items()}, "steps": [""] * len(rows)}
    frame = CANDIDATES.frame({**cells, "verifier": [verifier] * len(rows)} | {"split": ["train"] * len(rows)})
    candidates = store.commit("candidates", digest(rows=rows), frame, NO_REJECTS, {})
    kept = pl.DataFrame({"id": [row[0] for row in rows]}).with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in KEPT.columns.items() if name != "id"
    )
    return candidates, store.commit("dedupe", digest(kept=rows), kept.select(*KEPT.columns), NO_REJECTS, {})


def held(store: Store, *shards: list[tuple[str, str, str, str]]) -> dict[str, str | None]:
    """Return {id: twin} of the rows that left, shards coming one after another."""
    screening = Screening({"copies": 0.8, "meaning": None})
    out: dict[str, str | None] = {}
    for rows in shards:
        left = screening.without_copies(*reversed(shard(store, rows)), store)
        for id_, reasons in left.read_rejects().iter_rows():
            out[id_] = reasons[0]["twin"]
    return out


def test_a_teachers_near_copy_leaves_for_a_row_that_was_kept_in_this_shard_or_before(tmp_path: Path) -> None:
    text = STORY + "Write his letter of farewell to the new lamplighter, in at most two hundred words, please."
    near = text.replace("old", "elderly")
    other = "Explain to a new colleague how our team decides which of two urgent requests is answered first, and why."
    first = [("a", "instruct-skillmix", "", text), ("b", "instruct-skillmix", "", near)]
    second = [("c", "instruct-skillmix", "", other), ("d", "instruct-skillmix", "", near + " Sign it.")]
    assert held(Store(tmp_path), first, second) == {"b": "a", "d": "a"}


def test_a_copy_of_a_row_that_left_is_no_copy(tmp_path: Path) -> None:
    words = [f"word{i}" for i in range(60)]
    a, b, c = words[:40], words[3:43], words[6:46]  # a and b are near, b and c are near, a and c are not
    rows = [(name, "instruct-skillmix", "", " ".join(text)) for name, text in (("a", a), ("b", b), ("c", c))]
    assert held(Store(tmp_path), rows) == {"b": "a"}


def test_problems_that_a_program_draws_and_twins_may_be_alike(tmp_path: Path) -> None:
    text = STORY * 2
    rows = [("a", "chains", "", text), ("b", "chains", "", text + "Five."), ("c", "instruct-skillmix", "p", text)]
    assert held(Store(tmp_path), rows, [("d", "instruct-skillmix", "p", text)]) == {}


def test_texts_are_those_of_the_candidates_by_id(tmp_path: Path) -> None:
    candidates, _ = shard(Store(tmp_path), [("a", "chains", "", "one"), ("b", "chains", "", "two")])
    found = Texts(candidates).of(pl.Series(["b", "a"]))
    assert found["instruction"].to_list() == ["two", "one"]
    assert found["row"].to_list() == [0, 1]
