"""The wave loop: each slot filled once, by its lowest passing attempt, wherever and however often the work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from factory.artifacts.digest import row_id
from factory.errors import QuotaUnmet
from factory.jobs import waves
from factory.jobs.engine import InProcess
from factory.jobs.waves import KeptRows
from factory.recipes.registry import RECIPES
from schemas.samples import SAMPLES

if TYPE_CHECKING:
    from conftest import Fill, Filled, MakeJob

    from factory.jobs.model import Job

# Few truth-value problems exist, so that many slots need a second attempt and some a new plan.
ENTRIES: list[dict[str, Any]] = [
    {"recipe": "nested", "share": 0.5, "levels": [1, 2]},
    {"recipe": "lego", "share": 0.5, "levels": [1, 2, 3], "chain": 3, "cap": 1},
]


@pytest.fixture(scope="session")
def job(make_job: MakeJob) -> Job:
    return make_job(*ENTRIES, rows=240)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waves, "SHARD_ROWS", 40)
    monkeypatch.setattr(waves, "OPEN_ROWS", 5)


def test_every_slot_is_filled_once_and_in_order(job: Job, fill: Fill) -> None:
    samples = fill(job).samples
    assert samples["slot"].to_list() == list(range(job.rows))
    assert samples["id"].is_unique().all()
    assert samples["slot_id"].is_unique().all()
    assert samples.schema == pl.Schema(SAMPLES.columns)


def test_the_lowest_passing_attempt_fills_its_slot(job: Job, fill: Fill) -> None:
    filled = fill(job)
    rejects, tried = filled.rejects(), 0
    for id_, slot_id, attempt in filled.samples.select("id", "slot_id", "attempt").iter_rows():
        assert id_ == row_id("waves", 3, slot_id, attempt)
        assert id_ not in rejects
        earlier = [row_id("waves", 3, slot_id, a) for a in range(attempt)]
        assert all(e in rejects for e in earlier)
        tried += len(earlier)
    assert tried
    assert filled.samples["attempt"].max() > job.max_attempts  # some were planned anew


def test_no_problem_and_no_prompt_is_in_the_samples_twice(job: Job, fill: Fill) -> None:
    samples = fill(job).samples
    assert samples["digest"].is_unique().all()
    assert samples["prompt"].is_unique().all()


def test_no_shape_passes_its_cap(make_job: MakeJob, fill: Fill) -> None:
    entry = {"recipe": "lego", "share": 1, "levels": [2], "chain": 2, "cap": 0.1}
    samples = fill(make_job(entry, rows=100)).samples
    assert samples.group_by("cap_key").len()["len"].max() == 10


def test_no_cap_is_below_three(make_job: MakeJob, fill: Fill) -> None:
    entry = {"recipe": "lego", "share": 1, "levels": [2], "chain": 2, "cap": 0.001}
    samples = fill(make_job(entry, rows=25)).samples
    assert samples.group_by("cap_key").len()["len"].max() == 3


def test_a_slot_planned_anew_keeps_its_id_and_its_cell(job: Job, fill: Fill) -> None:
    filled = fill(job)
    planned = pl.concat([wave.slots.read() for wave in filled.made])
    assert planned["replan"].max() > 0
    fixed = ("slot", "entry", "recipe", "cell", "level", "split")
    assert planned.group_by("id").agg(pl.struct(fixed).n_unique()).select(pl.exclude("id")).to_series().max() == 1


def test_the_report_adds_up(job: Job, fill: Fill) -> None:
    stages = fill(job).report.stages
    assert list(stages) == ["plan", "draw", "verify", "dedupe", "samples"]
    for stage in stages.values():
        assert stage.rows_in == stage.rows_out + stage.rejects
    assert stages["verify"].rows_in == stages["draw"].rows_out
    assert stages["dedupe"].rows_in == stages["verify"].rows_out
    assert stages["samples"].rows_out == stages["dedupe"].rows_out == job.rows


def test_the_same_job_gives_the_same_samples(job: Job, fill: Fill) -> None:
    assert fill(job).digests == fill(job).digests


def test_a_second_run_on_the_same_store_makes_nothing(job: Job, fill: Fill) -> None:
    first = fill(job, store="one")
    again = fill(job, store="one")
    assert all(stage.made for stage in first.report.stages.values())
    assert not any(stage.made for stage in again.report.stages.values())
    assert again.digests == first.digests


TIGHT = [{"recipe": "lego", "share": 1, "levels": [1], "chain": 1, "cap": 0.2}]


@pytest.mark.parametrize(("entries", "rows"), [(ENTRIES, 240), (TIGHT, 60)], ids=["copies", "copies and tight caps"])
def test_where_shards_are_cut_does_not_change_the_samples(
    make_job: MakeJob, fill: Fill, entries: list[dict[str, Any]], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(*entries, rows=rows, seed=5)
    whole = fill(job)
    monkeypatch.setattr(waves, "SHARD_ROWS", 17)
    monkeypatch.setattr(waves, "OPEN_ROWS", 3)
    cut = fill(job)
    assert len(whole.shards) == 1
    assert len(cut.shards) == -(-rows // 17)
    assert cut.samples.equals(whole.samples)


class Fragile:
    """An engine that dies when it has given back some shards."""

    def __init__(self, shards: int) -> None:
        self.left = shards

    def map(self, function: Callable[[Any], Any], items: Sequence[Any], name: str) -> Iterator[Any]:
        for item in items:
            if not self.left:
                raise ConnectionError("the engine died")
            self.left -= 1
            yield function(item)


class Backwards:
    """An engine whose shards are finished last first."""

    def map(self, function: Callable[[Any], Any], items: Sequence[Any], name: str) -> Iterator[Any]:
        return iter([function(item) for item in reversed(items)][::-1])


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("survived", [0, 1, 7])
def test_a_run_that_died_is_taken_up_again_where_it_was(job: Job, fill: Fill, survived: int) -> None:
    whole = fill(job)
    with pytest.raises(ConnectionError):
        fill(job, Fragile(survived), store="died")
    resumed = fill(job, store="died")
    assert resumed.digests == whole.digests
    assert whole.report.stages["draw"].made - resumed.report.stages["draw"].made == survived


@pytest.mark.usefixtures("small_shards")
def test_a_run_that_dies_at_every_shard_still_ends_with_the_same_samples(job: Job, fill: Fill) -> None:
    deaths = 0
    while True:
        try:
            filled = fill(job, Fragile(deaths + 1), store="dies")
        except ConnectionError:
            deaths += 1
        else:
            break
    assert deaths > 6
    assert filled.digests == fill(job).digests


@pytest.mark.usefixtures("small_shards")
def test_the_order_in_which_shards_are_finished_changes_nothing(job: Job, fill: Fill) -> None:
    assert fill(job, Backwards()).digests == fill(job).digests


@pytest.mark.usefixtures("small_shards")
def test_two_workers_make_what_one_makes(job: Job, fill: Fill) -> None:
    with InProcess(2) as engine:
        assert fill(job, engine).digests == fill(job).digests


def test_a_cell_that_cannot_be_filled_is_named_with_what_did_not_hold_and_what_to_do(
    make_job: MakeJob, fill: Fill
) -> None:
    few = {"recipe": "lego", "share": 0.5, "levels": [1], "chain": 1, "cap": 1}
    with pytest.raises(QuotaUnmet) as caught:
        fill(make_job(ENTRIES[0], few, rows=500, max_attempts=2, replans=1))
    message = str(caught.value)
    assert "of 500 slots could not be filled in 4 attempts" in message
    assert "rows of recipe 'lego' (recipes.1), level=1, split train" in message
    assert "What did not hold: problem_is_new: " in message
    assert "Such as: 'similarity 1'. What helps: raise replans (now 1), which plans such slots anew;" in message
    assert message.endswith("fewer rows there, a higher cap, more levels, or more seeds.")


def test_a_job_that_hardly_gets_anywhere_is_given_up_early(make_job: MakeJob, fill: Fill) -> None:
    few = {"recipe": "lego", "share": 1, "levels": [1], "chain": 1, "cap": 1}
    with pytest.raises(QuotaUnmet, match=r"of 500 slots could not be filled in [23] attempts"):
        fill(make_job(few, rows=500, max_attempts=2, replans=50))


def test_a_job_with_another_name_or_seed_has_other_rows_throughout(make_job: MakeJob, fill: Fill) -> None:
    entries = [ENTRIES[0], {**ENTRIES[1], "chain": 8}]
    jobs = [make_job(*entries, rows=40, **keys) for keys in ({}, {"seed": 4}, {"name": "other"})]
    assert len({id_ for job in jobs for id_ in fill(job).samples["id"]}) == 120


def test_jobs_that_differ_in_their_attempts_share_what_they_have_in_common(make_job: MakeJob, fill: Fill) -> None:
    one, two = (fill(make_job(*ENTRIES, max_attempts=n), store="shared") for n in (2, 9))
    assert two.samples.filter(pl.col("attempt") < 2).equals(one.samples.filter(pl.col("attempt") < 2))
    assert two.samples["slot"].to_list() == list(range(200))
    assert two.digests == fill(make_job(*ENTRIES, max_attempts=9)).digests


@pytest.mark.parametrize("size", ["SHARD_ROWS", "OPEN_ROWS"])
def test_shards_of_another_size_are_not_taken_for_these(
    job: Job, fill: Fill, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fill(job)
    for rows in ((3 if size == "OPEN_ROWS" else 30), 1000):
        monkeypatch.setattr(waves, size, rows)
        filled = fill(job, store="shared")
        assert filled.samples.equals(whole.samples)


def test_jobs_of_two_names_do_not_meet_in_one_store(make_job: MakeJob, fill: Fill) -> None:
    one, two = (make_job(*ENTRIES, name=name) for name in ("one", "two"))
    fill(one, store="shared")
    assert fill(two, store="shared").digests == fill(two).digests


def made(filled: Filled) -> set[str]:
    """Return the stages that did any work."""
    return {name for name, stage in filled.report.stages.items() if stage.made}


def test_another_version_of_a_recipe_is_drawn_and_verified_anew(
    job: Job, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(job, store="one")
    monkeypatch.setitem(RECIPES, "nested", replace(RECIPES["nested"], version=99))  # type: ignore[misc]
    assert {"plan", "draw"} <= made(fill(job, store="one"))


def test_another_scorer_judges_the_same_candidates_anew(job: Job, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fill(job, store="one")
    monkeypatch.setattr(waves, "SCORER", "another")
    again = fill(job, store="one")
    assert made(again) == {"verify"}  # it judged alike, so that nothing after it is new
    assert again.digests == first.digests


def test_the_gathering_depends_on_the_kept_rows_and_on_the_range(job: Job, fill: Fill) -> None:
    kept = [wave.kept for wave in fill(job).made]
    identities = {KeptRows(*given).identity for given in ((kept, 0, 9), (kept, 0, 8), (kept, 1, 9), (kept[:1], 0, 9))}
    assert len(identities) == 4
    assert set(KeptRows(kept, 5, 9).frame()["id"]) == set(fill(job).samples["id"][5:10])
