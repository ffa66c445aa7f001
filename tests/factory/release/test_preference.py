"""Rows with a worse reply beside the chosen one: the config `preference`, and what a release may not say there."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from factory.artifacts.digest import Rng
from factory.notebook import build, load
from factory.recipes.recipe import Brief, Demand, Draft, Plan, Recipe, RecipeParams, level_cells
from factory.recipes.registry import RECIPES
from factory.release.verify import verify_release
from schemas.columns import STRINGS

ROWS = 30
JOB = {
    "kind": "build", "name": "preferred", "seed": 3, "rows": ROWS, "mini": {"rows": 0},
    "recipes": [{"recipe": "toy-replies", "share": 1, "heldout": 0.2, "cap": 1}],
}  # fmt: skip


def assign(params: RecipeParams, demand: Demand) -> Plan:
    return Plan(pl.Series([[f"toy_{demand.split}"]] * demand.n, dtype=STRINGS))


def draw(params: RecipeParams, brief: Brief, rng: Rng) -> Draft:
    """A third of the rows come without a worse reply; some were thought about."""
    x = rng.below(10**9)
    verifier = {"kind": "rubric", "gold": f"Take {x}, since it was asked for.", "args": {}}
    worse = "" if x % 3 == 0 else f"Take {x + 1}, or any other."
    thought = f"They want {x}." if x % 2 else ""
    prompt = f"Which number did I just say: {x}?"
    return Draft({}, verifier, "toy", prompt, "", shape=str(x), rejected=worse, reasoning=thought)


TOY = Recipe(
    name="toy-replies", version=1, about="numbers that were said", paper="none", params=RecipeParams,
    cells=lambda params: level_cells([1]), assign=assign, draw=draw, depth_is_level=False,
)  # fmt: skip


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(RECIPES, "toy-replies", TOY)  # type: ignore[misc]
    return build(JOB, out=tmp_path).release


def change(release: Path, how: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """The pairs of train are others, and the manifest says so."""
    name = "preference/train-00000-of-00001.parquet"
    how(pl.read_parquet(release / name)).write_parquet(release / name)
    manifest, content = json.loads((release / "manifest.json").read_bytes()), (release / name).read_bytes()
    manifest["files"][name] = {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    manifest["configs"]["preference"]["train"] = pl.read_parquet(release / name).height
    (release / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def said(number: str) -> int:
    return int("".join(c for c in number if c.isdigit()))


def test_each_pair_is_of_a_row_whose_reply_is_the_chosen_one(release: Path) -> None:
    pairs = 0
    for split in ("train", "heldout"):
        chosen = {row["id"]: row["messages"] for row in load(release, "sft", split).to_dicts()}
        for row in load(release, "preference", split).to_dicts():
            assert [*row["prompt"], *row["chosen"]] == chosen[row["id"]]
            assert [message["role"] for message in row["rejected"]] == ["assistant"]
            assert said(row["rejected"][0]["content"]) == said(row["chosen"][0]["content"]) + 1
            pairs += 1
    assert 0 < pairs < ROWS


def test_rows_without_a_worse_reply_are_in_all_configs_but_that_one(release: Path) -> None:
    train, pairs = load(release, "sft", "train"), load(release, "preference", "train")
    prompts = {row["id"]: row["messages"][0]["content"] for row in train.to_dicts()}
    assert {id_ for id_, prompt in prompts.items() if said(prompt) % 3} == set(pairs["id"])


def test_the_manifest_and_the_card_tell_of_the_pairs(release: Path) -> None:
    manifest = json.loads((release / "manifest.json").read_bytes())
    told = manifest["configs"]["preference"]
    assert told == {split: load(release, "preference", split).height for split in told}
    assert "preference" in (release / "README.md").read_text("utf-8")


def test_what_was_thought_is_a_column_of_its_own(release: Path) -> None:
    for row in load(release, "sft", "train").to_dicts():
        x = said(row["messages"][0]["content"])
        assert row["reasoning"] == (f"They want {x}." if x % 2 else "")
        assert "They want" not in row["messages"][1]["content"]


def test_a_release_without_pairs_has_no_such_config(tmp_path: Path) -> None:
    made = build({**JOB, "recipes": [{"recipe": "chains", "share": 1, "levels": [1]}]}, out=tmp_path).release
    assert "preference" not in json.loads((made / "manifest.json").read_bytes())["configs"]
    assert "preference" not in (made / "README.md").read_text("utf-8")


def test_a_release_with_pairs_is_verified(release: Path) -> None:
    report = verify_release(release)
    assert report.problems == []
    assert report.rows == ROWS


def test_a_pair_of_no_row_is_a_problem(release: Path) -> None:
    other = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("nobody")).otherwise("id")
    change(release, lambda frame: frame.with_columns(other.alias("id")))
    assert any(problem.startswith("copies_agree: preference/train") for problem in verify_release(release).problems)


def test_a_row_that_is_paired_twice_is_a_problem(release: Path) -> None:
    change(release, lambda frame: pl.concat([frame, frame[:1]]))
    assert any(problem.startswith("copies_agree: preference/train") for problem in verify_release(release).problems)
