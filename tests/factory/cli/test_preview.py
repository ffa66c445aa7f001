from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from factory.cli.preview import spread
from factory.jobs.model import load_job

Factory = Callable[..., Result]


@pytest.mark.parametrize("count", [1, 3])
def test_preview_shows_so_many_rows_of_each_recipe(factory: Factory, count: int) -> None:
    shown = factory("preview", "demo", "-n", count).stdout
    heads = [line for line in shown.splitlines() if line.startswith("== ")]
    recipes = [entry.recipe for entry in load_job("demo").job.recipes]
    assert [line.split(",")[0].removeprefix("== ") for line in heads] == [r for r in recipes for _ in range(count)]
    assert shown.count("-- steps\n") == shown.count("-- gold (") == len(heads)


def test_preview_writes_nothing(factory: Factory, tmp_path: Path) -> None:
    assert factory("preview", "demo", "-n", 1).exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_preview_is_the_same_each_time_and_another_seed_shows_other_rows(factory: Factory) -> None:
    first = factory("preview", "demo", "-n", 2).stdout
    assert factory("preview", "demo", "-n", 2).stdout == first
    assert factory("preview", "demo", "-n", 2, "--set", "seed=8").stdout != first


def test_preview_builds_on_the_users_seeds(factory: Factory, tmp_path: Path) -> None:
    asked = "A box holds {} red pens. How many pens are in 3 boxes?"
    problems = [{"question": asked.format(n), "answer": 3 * n} for n in range(20, 60)]
    (tmp_path / "problems.jsonl").write_text("\n".join(map(json.dumps, problems)), encoding="utf-8")
    (tmp_path / "boxes.yaml").write_text(
        "{kind: build, name: boxes, rows: 9, seeds: {path: problems.jsonl},"
        " recipes: [{recipe: chains, share: 1, levels: [2]}]}",
        encoding="utf-8",
    )
    before = set(tmp_path.rglob("*"))
    done = factory("preview", "boxes.yaml", "-n", 2)
    assert done.stdout.count("red pens") >= 4
    assert set(tmp_path.rglob("*")) == before


def test_a_bad_job_is_told_as_in_a_run(factory: Factory) -> None:
    done = factory("preview", "demo", "--set", "rows=none")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")


@given(st.lists(st.integers(1, 8), min_size=1, max_size=40), st.integers(1, 20))
def test_spread_gives_the_wanted_number_with_both_ends_of_the_levels(levels: list[int], count: int) -> None:
    frame = pl.DataFrame({"level": levels, "slot": range(len(levels))})
    chosen = spread(frame, count)
    assert chosen.height == min(count, len(levels))
    assert chosen["slot"].is_unique().all()
    assert chosen["level"].is_sorted()
    assert chosen["level"][0] == min(levels)
    if 1 < count:
        assert chosen["level"][-1] == max(levels)
