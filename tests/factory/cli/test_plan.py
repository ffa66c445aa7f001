from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from factory.jobs.model import load_job
from factory.jobs.plan import quotas

Factory = Callable[..., Result]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.cli.plan.BUDGET", 0.1)


def test_the_cells_are_those_of_the_planner_and_add_up_to_the_rows(factory: Factory) -> None:
    told = json.loads(factory("plan", "demo", "--json", "--set", "rows=777").stdout)
    cells = [(c["entry"], c["recipe"], c["cell"], c["split"], c["rows"]) for c in told["cells"]]
    planned = quotas(load_job("demo", ["rows=777"]).job)
    assert cells == [(q.entry, q.params.recipe, q.cell.name, q.split, q.n) for q in planned]
    assert sum(cell[-1] for cell in cells) == told["rows"] == 777


def test_the_trial_measures_a_yield_and_a_rate_of_each_recipe(factory: Factory) -> None:
    told = json.loads(factory("plan", "demo", "--json").stdout)
    assert [r["recipe"] for r in told["recipes"]] == [entry.recipe for entry in load_job("demo").job.recipes]
    assert all(0 < r["yield"] <= 1 and r["rows_per_second"] > 0 and r["attempts"] > 0 for r in told["recipes"])
    assert told["seconds"] > 0


def test_a_person_sees_the_cells_and_the_estimate(factory: Factory, tmp_path: Path) -> None:
    shown = factory("plan", "demo", "--set", "mini.rows=0").stdout
    assert "numbers=3" in shown
    assert "5,000 rows from about" in shown
    assert "mini" not in shown
    assert list(tmp_path.iterdir()) == []


def test_the_embedding_of_the_mini_split_is_said_to_come_on_top(factory: Factory) -> None:
    assert "for the mini split" in factory("plan", "demo").stdout
