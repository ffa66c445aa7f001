"""The planner: exactly N slots, every quota met, everything used as evenly as it can be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.errors import QuotaUnmet
from factory.jobs.model import Job, parse_job
from factory.jobs.plan import apportion, plan, plan_key, quotas, replan
from factory.recipes.chains import successors
from factory.recipes.coverage import walks
from factory.recipes.recipe import NOTHING, Sources
from factory.recipes.registry import RECIPES
from factory.skills.library import held_out
from schemas.slots import SLOTS

EVERY: list[dict[str, Any]] = [
    {"recipe": "chains", "share": 0.3, "levels": [1, 2, 4]},
    {"recipe": "nested", "share": 0.2},
    {"recipe": "skill-pairs", "share": 0.2, "k": [2, 3]},
    {"recipe": "countdown", "share": 0.2, "heldout": 0.25},
    {"recipe": "lego", "share": 0.1},
]


def job_of(*entries: dict[str, Any], rows: int = 200, seed: int = 3, **keys: Any) -> Job:
    return parse_job(
        {"kind": "build", "name": "planned", "rows": rows, "seed": seed, "recipes": [*entries], **keys}, "the job"
    )


class FewSeeds:
    """Twelve seeds, two of them held out."""

    def __init__(self, identity: str = "few", train: int = 10, heldout: int = 2) -> None:
        self.identity = identity
        self._ids = {"train": [f"t{i}" for i in range(train)], "heldout": [f"h{i}" for i in range(heldout)]}

    def ids(self, split: str) -> Sequence[str]:
        return self._ids[split]

    def get(self, id_: str) -> Any:
        raise KeyError(id_)


WEIGHTS = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=8)


@given(st.integers(0, 10**9), WEIGHTS)
def test_parts_add_up_and_are_never_negative(total: int, weights: list[float]) -> None:
    parts = apportion(total, weights)
    assert sum(parts) == total
    assert min(parts) >= 0
    assert len(parts) == len(weights)


@given(st.integers(0, 10**9), WEIGHTS)
def test_each_part_is_within_one_of_its_exact_share(total: int, weights: list[float]) -> None:
    whole = sum(map(Fraction, weights))
    for part, weight in zip(apportion(total, weights), weights, strict=True):
        assert abs(part - Fraction(weight) * total / whole) < 1


@given(st.integers(0, 10**6), WEIGHTS)
def test_a_larger_weight_never_gets_less(total: int, weights: list[float]) -> None:
    parts = [part for _, part in sorted(zip(weights, apportion(total, weights), strict=True))]
    assert parts == sorted(parts)


@given(st.integers(0, 10**6), WEIGHTS, st.sampled_from([0.5, 4.0, 1024.0]))
def test_only_the_proportions_of_the_weights_count(total: int, weights: list[float], by: float) -> None:
    assert apportion(total, [w * by for w in weights]) == apportion(total, weights)


def test_ties_go_to_the_first() -> None:
    assert apportion(5, [1, 1, 1]) == [2, 2, 1]


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    parts = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    entries = []
    for part in parts:
        recipe = draw(st.sampled_from(["chains", "nested", "countdown"]))
        levels = draw(st.lists(st.integers(3, 4), min_size=1, unique=True))
        entries.append(
            {
                "recipe": recipe,
                "share": part / sum(parts),
                "numbers" if recipe == "countdown" else "levels": levels,
                "heldout": draw(st.sampled_from([0.0, 0.1, 0.37, 0.9])),
            }
        )
    return job_of(*entries, rows=draw(st.integers(1, 10**6)))


@given(jobs())
def test_quotas_add_up_to_the_rows_of_the_job(job: Job) -> None:
    assert sum(q.n for q in quotas(job)) == job.rows
    assert min(q.n for q in quotas(job)) > 0


@given(jobs())
def test_entries_and_held_out_rows_get_their_shares(job: Job) -> None:
    by_entry: Counter[int] = Counter()
    by_cell: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for q in quotas(job):
        by_entry[q.entry] += q.n
        by_cell[q.entry, q.cell.name][q.split] += q.n
    for i, entry in enumerate(job.recipes):
        assert abs(by_entry[i] - entry.share * job.rows) < 1 + 1e-6
    for (i, _), splits in by_cell.items():
        assert abs(splits["heldout"] - job.recipes[i].heldout * splits.total()) < 1 + 1e-6


@given(jobs())
def test_cells_of_an_entry_are_filled_evenly(job: Job) -> None:
    by_cell: dict[int, Counter[str]] = defaultdict(Counter)
    for q in quotas(job):
        by_cell[q.entry][q.cell.name] += q.n
    for i, counts in by_cell.items():
        cells = [c.name for c in RECIPES[job.recipes[i].recipe].cells(job.recipes[i])]
        assert max(counts[c] for c in cells) - min(counts[c] for c in cells) <= 1


@pytest.fixture(scope="module")
def planned() -> tuple[Job, pl.DataFrame]:
    job = job_of(*EVERY, rows=1500)
    return job, plan(job, NOTHING)


def test_a_plan_keeps_its_contract_and_its_rules(planned: tuple[Job, pl.DataFrame]) -> None:
    rows, rejects = SLOTS.split(planned[1])
    assert (rows.height, rejects.height) == (1500, 0)


def test_slots_are_numbered_in_order_and_their_ids_are_unique(planned: tuple[Job, pl.DataFrame]) -> None:
    assert planned[1]["slot"].to_list() == list(range(1500))
    assert planned[1]["id"].is_unique().all()


def test_a_plan_holds_each_quota_exactly(planned: tuple[Job, pl.DataFrame]) -> None:
    job, slots = planned
    keys = ["entry", "recipe", "cell", "level", "split"]
    counted = {tuple(key): n for *key, n in slots.group_by(keys).len().rows()}
    assert counted == {(q.entry, q.params.recipe, q.cell.name, q.cell.level, q.split): q.n for q in quotas(job)}


def test_ids_say_entry_cell_split_and_ordinal(planned: tuple[Job, pl.DataFrame]) -> None:
    job, slots = planned
    expected = {f"{q.entry}/{q.cell.name}/{q.split}/{i}" for q in quotas(job) for i in range(q.n)}
    assert set(slots["id"]) == expected


def test_every_slot_of_a_level_has_that_many_skills(planned: tuple[Job, pl.DataFrame]) -> None:
    composed = planned[1].filter(pl.col("recipe").is_in(["chains", "nested", "skill-pairs"]))
    assert composed.filter(pl.col("skills").list.len() != pl.col("level")).height == 0


def test_cells_are_mixed_over_the_plan(planned: tuple[Job, pl.DataFrame]) -> None:
    first, second = (Counter(half["entry"].to_list()) for half in (planned[1][: 1500 // 2], planned[1][1500 // 2 :]))
    for entry, n in (first + second).items():
        assert abs(first[entry] - second[entry]) < n / 3


def test_the_same_job_has_the_same_plan(planned: tuple[Job, pl.DataFrame]) -> None:
    assert plan(planned[0], NOTHING).equals(planned[1])


def test_another_seed_gives_another_order_and_other_skills_under_the_same_ids() -> None:
    one, two = (plan(job_of(*EVERY, seed=seed), NOTHING) for seed in (1, 2))
    assert set(one["id"]) == set(two["id"])
    assert one["id"].to_list() != two["id"].to_list()
    assert not one.sort("id")["skills"].equals(two.sort("id")["skills"])


def test_a_job_that_grows_keeps_the_skills_of_the_slots_it_had() -> None:
    small, large = (plan(job_of(*EVERY, rows=rows), NOTHING).select("id", "skills") for rows in (200, 700))
    both = small.join(large, on="id", how="left")
    assert both.filter(pl.col("skills") != pl.col("skills_right")).height == 0
    assert both["skills_right"].null_count() == 0


def test_train_and_heldout_rows_share_no_skill(planned: tuple[Job, pl.DataFrame]) -> None:
    used = {
        split: set(planned[1].filter((pl.col("split") == split) & (pl.col("recipe") != "lego"))["skills"].explode())
        for split in ("train", "heldout")
    }
    assert used["train"]
    assert used["heldout"]
    assert not used["train"] & used["heldout"]


def test_heldout_rows_use_skills_of_the_library_that_are_held_out(planned: tuple[Job, pl.DataFrame]) -> None:
    slots = planned[1].filter(pl.col("recipe").is_in(["chains", "nested", "skill-pairs"]))
    for split, skills in slots.select(pl.col("split").cast(pl.String), "skills").iter_rows():
        assert {name in held_out() for name in skills} == {split == "heldout"}


def spread(values: Sequence[str], options: Sequence[str]) -> int:
    counts = Counter(values)
    return max(counts[o] for o in options) - min(counts[o] for o in options)


GRAPHS = st.integers(2, 6).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True), min_size=n, max_size=n)
)


@settings(deadline=None)
@given(GRAPHS, st.integers(1, 4), st.integers(1, 60))
def test_walks_follow_their_edges_and_use_the_options_of_each_choice_evenly(
    after: list[list[int]], length: int, n: int
) -> None:
    names = [chr(97 + i) for i in range(len(after))]
    rows = walks(names, after, length, n, 1, "x").to_list()
    assert [len(row) for row in rows] == [length] * n
    assert spread([row[0] for row in rows], names) <= 1
    for j in range(1, length):
        for i, name in enumerate(names):
            chosen = [row[j] for row in rows if row[j - 1] == name]
            options = [names[o] for o in after[i]]
            assert set(chosen) <= set(options)
            assert spread(chosen, options) <= 1


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_planned_chains_step_only_to_skills_that_take_what_is_given(split: str) -> None:
    names, after = successors(split)
    steps = {(names[i], names[j]) for i, options in enumerate(after) for j in options}
    slots = plan(job_of({"recipe": "chains", "share": 1, "levels": [5], "heldout": 0.5}, rows=400), NOTHING)
    rows = slots.filter(pl.col("split") == split)["skills"].to_list()
    assert {pair for row in rows for pair in pairwise(row)} <= steps


@pytest.mark.parametrize("recipe", ["chains", "nested", "countdown"])
def test_single_skills_are_used_evenly_to_within_one(recipe: str) -> None:
    setting = {"numbers": [3]} if recipe == "countdown" else {"levels": [1]}
    slots = plan(job_of({"recipe": recipe, "share": 1, **setting}, rows=1000), NOTHING)
    for split in ("train", "heldout"):
        names = slots.filter(pl.col("split") == split)["skills"].explode().to_list()
        assert spread(names, sorted(set(names))) <= 1
    kinds = {"chains": 100, "nested": 20, "countdown": 10}
    assert len(set(slots["skills"].explode())) > kinds[recipe]


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_planned_pairs_of_skills_are_used_evenly_to_within_one(split: str) -> None:
    slots = plan(job_of({"recipe": "skill-pairs", "share": 1, "heldout": 0.5}, rows=3000), NOTHING)
    counts = Counter(frozenset(row) for row in slots.filter(pl.col("split") == split)["skills"].to_list())
    assert max(counts.values()) - min(counts.values()) <= 1


def test_a_replan_keeps_ids_and_cells_and_gives_other_skills(planned: tuple[Job, pl.DataFrame]) -> None:
    job, slots = planned
    left = slots.gather_every(7).sample(fraction=1, shuffle=True, seed=1)
    again = replan(left, job, NOTHING, 2)
    kept = [c for c in slots.columns if c not in ("skills", "parents", "replan")]
    assert again.select(kept).equals(left.sort("slot").select(kept))
    assert set(again["replan"]) == {2}
    fresh = (again["skills"] != left.sort("slot")["skills"]).sum()
    assert fresh > again.height / 2
    SLOTS.check(again)


def test_each_replan_is_another_and_the_same_again(planned: tuple[Job, pl.DataFrame]) -> None:
    job, slots = planned
    left = slots.filter(pl.col("recipe") != "lego")[:200]
    one, two = (replan(left, job, NOTHING, round_) for round_ in (1, 2))
    assert not one["skills"].equals(two["skills"])
    assert replan(left, job, NOTHING, 1).equals(one)


def test_a_replan_stays_on_its_side_of_the_split(planned: tuple[Job, pl.DataFrame]) -> None:
    job, slots = planned
    again = replan(slots.filter(pl.col("recipe") == "chains"), job, NOTHING, 1)
    for split, skills in again.select(pl.col("split").cast(pl.String), "skills").iter_rows():
        assert {name in held_out() for name in skills} == {split == "heldout"}


def test_chains_on_seeds_are_planned_on_seeds_of_their_split_each_used_evenly() -> None:
    slots = plan(job_of({"recipe": "chains", "share": 1, "levels": [3], "heldout": 0.3}, rows=100), Sources(FewSeeds()))
    for split, n in (("train", 10), ("heldout", 2)):
        parents = slots.filter(pl.col("split") == split)["parents"]
        seeds = FewSeeds().ids(split)
        assert set(parents.explode()) == set(seeds)
        assert set(parents.list.len()) == {3}
        assert {len(set(row)) for row in parents.to_list()} == {min(3, n)}
        assert spread([row[0] for row in parents.to_list()], seeds) <= 1


def test_a_split_without_seeds_cannot_be_planned_and_says_what_to_do() -> None:
    job = job_of({"recipe": "chains", "share": 1, "levels": [2], "heldout": 0.3}, rows=10)
    with pytest.raises(QuotaUnmet) as caught:
        plan(job, Sources(FewSeeds(heldout=0)))
    assert "'chains', level=2, split heldout: nothing to build 3 rows on" in str(caught.value)
    assert "bring more seeds" in str(caught.value)


KEYS = {
    "rows": lambda: (job_of(*EVERY, rows=201), NOTHING),
    "seed": lambda: (job_of(*EVERY, seed=4), NOTHING),
    "recipes": lambda: (job_of(*EVERY[::-1]), NOTHING),
    "a setting": lambda: (job_of({**EVERY[0], "levels": [1, 2, 3]}, *EVERY[1:]), NOTHING),
    "seeds": lambda: (job_of(*EVERY), Sources(FewSeeds("few"))),
    "other seeds": lambda: (job_of(*EVERY), Sources(FewSeeds("other"))),
}


def test_everything_a_plan_depends_on_is_in_its_key() -> None:
    keys = {plan_key(*given()) for given in KEYS.values()} | {plan_key(job_of(*EVERY), NOTHING)}
    assert len(keys) == len(KEYS) + 1


def test_a_recipes_version_is_in_the_key_of_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    before = plan_key(job_of(*EVERY), NOTHING)
    monkeypatch.setitem(RECIPES, "nested", replace(RECIPES["nested"], version=99))  # type: ignore[misc]
    assert plan_key(job_of(*EVERY), NOTHING) != before


def test_what_a_plan_does_not_depend_on_is_not_in_its_key() -> None:
    other = job_of(*EVERY, max_attempts=9, mini={"rows": 3}, release={"version": "2.0.0"})
    assert plan_key(other, NOTHING) == plan_key(job_of(*EVERY), NOTHING)
