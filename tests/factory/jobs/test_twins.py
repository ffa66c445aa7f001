"""Twins stay or leave together: a toy recipe whose one half cannot be made of some numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from factory.artifacts.digest import Rng
from factory.errors import QuotaUnmet
from factory.jobs import waves
from factory.jobs.model import Job
from factory.recipes.recipe import Brief, Cell, Demand, Draft, Dropped, Plan, Recipe, RecipeParams
from factory.recipes.registry import RECIPES
from schemas.columns import STRINGS

if TYPE_CHECKING:
    from conftest import Filled

MakeJob = Callable[..., Job]
Fill = Callable[..., "Filled"]
Fails = Callable[[int, str], bool]
ENTRY = {"recipe": "toy-twins", "share": 1, "heldout": 0.2, "cap": 1}


def cells(params: RecipeParams) -> list[Cell]:
    return [Cell("whole", 1), Cell("half", 1)]


def assign(params: RecipeParams, demand: Demand) -> Plan:
    least = min(n for _, n in demand.open)
    pairs = [f"{demand.split}/{demand.round}/{i}" if i < least else "" for i in range(demand.n)]
    return Plan(pl.Series([["toy"]] * demand.n, dtype=STRINGS), pairs=pl.Series(pairs, dtype=pl.String))


def toy(fails: Fails) -> Recipe:
    def draw(params: RecipeParams, brief: Brief, rng: Rng) -> Draft | Dropped:
        x = rng.below(10**9)
        if fails(x, brief.cell):
            return Dropped(f"{brief.cell}_fails", str(x))
        verifier = {"kind": "rubric", "gold": f"It is the number {x}, {brief.cell}.", "args": {}}
        return Draft({}, verifier, "toy", f"Say the number {x}, {brief.cell}.", "", shape=str(x))

    return Recipe(
        name="toy-twins", version=1, about="numbers, whole and half", paper="none", params=RecipeParams, cells=cells,
        assign=assign, draw=draw, twins=True, depth_is_level=False,
    )  # fmt: skip


@pytest.fixture
def twins(fill: Fill, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Filled]:
    """Fills a job of twins: `twins(fails, rows=40)`."""

    def run(fails: Fails, rows: int = 40, shard: int = 6, **keys: Any) -> Filled:
        monkeypatch.setitem(RECIPES, "toy-twins", toy(fails))  # type: ignore[misc]
        monkeypatch.setattr(waves, "SHARD_ROWS", shard)
        monkeypatch.setattr(waves, "OPEN_ROWS", shard)
        return fill(make_job(ENTRY, rows=rows, **keys))

    return run


def a_quarter_of_the_halves(x: int, cell: str) -> bool:
    return cell == "half" and x % 4 == 0


def number(prompt: str) -> int:
    return int(prompt.split()[3].rstrip(","))


def orphans(filled: Filled) -> pl.DataFrame:
    """Return (id, reasons) of the rows that left because their twin did not stay."""
    frames = [made.kept.read_rejects() for made in filled.made if made.before]
    return pl.concat(frames) if frames else pl.DataFrame({"id": [], "reasons": []})


def test_both_of_a_pair_draw_the_same_and_all_pairs_are_whole(twins: Callable[..., Filled]) -> None:
    samples = twins(lambda x, cell: False).samples
    assert samples.height == 40
    assert set(Counter(samples["pair"]).values()) == {2}
    for _, pair in samples.group_by("pair"):
        assert set(pair["cell"]) == {"whole", "half"}
        assert pair["prompt"].map_elements(number, return_dtype=pl.Int64).n_unique() == 1
        assert pair["split"].n_unique() == 1


def test_what_one_half_cannot_do_sends_both_away_and_other_pairs_take_their_slots(
    twins: Callable[..., Filled],
) -> None:
    filled = twins(a_quarter_of_the_halves)
    samples = filled.samples
    assert samples.height == 40
    assert set(Counter(samples["pair"]).values()) == {2}
    numbers = samples["prompt"].map_elements(number, return_dtype=pl.Int64)
    assert (numbers % 4 != 0).all()


def test_an_orphan_is_among_the_rejects_with_its_reason(twins: Callable[..., Filled]) -> None:
    filled = twins(a_quarter_of_the_halves)
    left = orphans(filled)
    dropped = [code for code in filled.rejects().values() if code == "half_fails"]
    assert len(dropped) > 2
    assert left.height == len(dropped)  # each half that failed cost one whole row
    assert {(r["gate"], r["code"]) for row in left["reasons"] for r in row} == {("twins", "twin_stays")}
    assert not set(left["id"]) & set(filled.samples["id"])
    assert left["id"].is_unique().all()


def test_both_slots_of_a_broken_pair_are_open_again(twins: Callable[..., Filled]) -> None:
    filled = twins(a_quarter_of_the_halves)
    first = filled.samples.filter(pl.col("attempt") == 0)
    again = filled.samples.filter(pl.col("attempt") > 0)
    assert again.height > 0
    assert set(Counter(first["pair"]).values()) == set(Counter(again["pair"]).values()) == {2}
    assert Counter(again["cell"])["whole"] == Counter(again["cell"])["half"]


@pytest.mark.parametrize("shard", [1, 7, 1000])
def test_where_twins_lie_in_shards_changes_no_sample(shard: int, twins: Callable[..., Filled]) -> None:
    plain = twins(a_quarter_of_the_halves, shard=13).samples.sort("slot")
    assert twins(a_quarter_of_the_halves, shard=shard).samples.sort("slot").equals(plain)


def test_an_attempt_at_the_same_pair_draws_anew_for_both(twins: Callable[..., Filled]) -> None:
    samples = twins(a_quarter_of_the_halves, max_attempts=20, replans=0).samples
    assert samples.height == 40
    assert samples["attempt"].max() > 0  # type: ignore[operator]
    for _, pair in samples.group_by("pair"):
        assert pair["attempt"].n_unique() == 1
        assert pair["prompt"].map_elements(number, return_dtype=pl.Int64).n_unique() == 1


def test_a_slot_that_has_no_twin_is_filled_alone(twins: Callable[..., Filled]) -> None:
    samples = twins(a_quarter_of_the_halves, rows=41).samples
    counts = Counter(samples["pair"])
    assert samples.height == 41
    assert counts.pop("") == 1
    assert set(counts.values()) == {2}


def test_a_half_that_never_comes_leaves_no_row_and_says_so(twins: Callable[..., Filled]) -> None:
    with pytest.raises(QuotaUnmet, match=r"40 of 40 slots could not be filled.*(half_fails|twin_stays): \d+"):
        twins(lambda x, cell: cell == "half", replans=1)
