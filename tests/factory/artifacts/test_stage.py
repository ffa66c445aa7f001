"""A stage loses no row, and its key holds everything that its output depends on."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import factory
from factory.artifacts.digest import row_id
from factory.artifacts.stage import Stage, apply, execute
from factory.artifacts.store import Store
from factory.errors import FactoryError
from schemas.columns import REASONS
from schemas.table import SchemaMismatch, Table

if TYPE_CHECKING:
    from conftest import Step

NUMBERS = Table("numbers", 1, {"id": pl.String(), "n": pl.Int64()}, {"n_small": pl.col("n") < 100})
DOUBLES = Table("doubles", 1, {"id": pl.String(), "n": pl.Int64()}, {"n_small": pl.col("n") < 100})
FRAME = pl.DataFrame({"id": ["a", "b", "c"], "n": [1, 2, 60]})
NONE = pl.DataFrame(schema={"id": pl.String(), "reasons": REASONS})


@dataclass(frozen=True, slots=True)
class Factor:
    identity: str


def double(frame: pl.DataFrame, params: dict[str, Any], **_: Factor) -> pl.DataFrame:
    return frame.with_columns(pl.col("n") * params.get("by", 2))


DOUBLE = Stage("double", 1, NUMBERS, DOUBLES, double)
GIVEN: dict[str, Any] = {"sources": ["d1", "d2"], "params": {"by": 2}, "deps": {"factor": Factor("x")}}
KEY = DOUBLE.key(**GIVEN)

OTHERS = {
    "stage name": lambda: replace(DOUBLE, name="triple").key(**GIVEN),
    "stage version": lambda: replace(DOUBLE, version=2).key(**GIVEN),
    "schema name": lambda: replace(DOUBLE, writes=replace(DOUBLES, name="halves")).key(**GIVEN),
    "schema version": lambda: replace(DOUBLE, writes=replace(DOUBLES, version=2)).key(**GIVEN),
    "source digest": lambda: DOUBLE.key(**GIVEN | {"sources": ["d1", "d3"]}),
    "order of sources": lambda: DOUBLE.key(**GIVEN | {"sources": ["d2", "d1"]}),
    "number of sources": lambda: DOUBLE.key(**GIVEN | {"sources": ["d1"]}),
    "value of a parameter": lambda: DOUBLE.key(**GIVEN | {"params": {"by": 3}}),
    "name of a parameter": lambda: DOUBLE.key(**GIVEN | {"params": {"times": 2}}),
    "one more parameter": lambda: DOUBLE.key(**GIVEN | {"params": {"by": 2, "plus": None}}),
    "dependency": lambda: DOUBLE.key(**GIVEN | {"deps": {"factor": Factor("y")}}),
    "name of a dependency": lambda: DOUBLE.key(**GIVEN | {"deps": {"divisor": Factor("x")}}),
    "no dependency": lambda: DOUBLE.key(**GIVEN | {"deps": {}}),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_each_ingredient_changes_the_key(other: Callable[[], str]) -> None:
    assert other() != KEY


def test_the_order_of_parameters_does_not_change_the_key() -> None:
    one, two = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert DOUBLE.key([], one, {}) == DOUBLE.key([], two, {})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def put(store: Store, frame: pl.DataFrame = FRAME, key: str = "k") -> Any:
    return store.commit("numbers", key, frame, NONE, {})


def test_rows_that_break_a_rule_of_the_output_leave_as_rejects(store: Store) -> None:
    made = execute(DOUBLE, [put(store)], {}, store)
    assert made.read().rows() == [("a", 2), ("b", 4)]
    assert made.read_rejects()["id"].to_list() == ["c"]


def test_a_stage_reads_its_sources_one_after_the_other(store: Store) -> None:
    sources = [put(store), put(store, FRAME[:1].with_columns(id=pl.lit("z")), "k2")]
    assert execute(DOUBLE, sources, {}, store).read()["id"].to_list() == ["a", "b", "z"]


def test_a_stage_sees_only_the_columns_it_reads(store: Store) -> None:
    source = put(store, FRAME.with_columns(extra=pl.lit(1)))
    assert execute(DOUBLE, [source], {}, store).read().columns == ["id", "n"]


def test_what_is_there_is_not_made_again(store: Store) -> None:
    source, runs = put(store), []

    def counted(frame: pl.DataFrame, params: dict[str, Any]) -> pl.DataFrame:
        runs.append(frame.height)
        return double(frame, params)

    stage = replace(DOUBLE, run=counted)
    first, second = execute(stage, [source], {}, store), execute(stage, [source], {}, store)
    assert (first.made, second.made, runs) == (True, False, [3])
    assert execute(stage, [source], {"by": 3}, store).made


def test_the_same_content_under_another_name_is_the_same_source(store: Store) -> None:
    assert execute(DOUBLE, [put(store)], {}, store).key == execute(DOUBLE, [put(store, key="k9")], {}, store).key


@pytest.mark.parametrize("lost", [lambda f: f[1:], lambda f: pl.concat([f, f[:1]])], ids=["one less", "one more"])
def test_a_row_wise_stage_that_changes_the_number_of_rows_is_refused(
    store: Store, lost: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    leaky = replace(DOUBLE, run=lambda frame, params: lost(frame))
    with pytest.raises(FactoryError, match=r"stage double: 3 rows in, [24] \+ 0 rejects out"):
        apply(leaky, FRAME, {}, store, "k")
    assert store.find("double", "k") is None


def test_a_stage_that_gathers_may_change_the_number_of_rows(store: Store) -> None:
    assert apply(replace(DOUBLE, run=lambda f, p: f[1:], row_wise=False), FRAME, {}, store, "k").rows == 2


def test_a_wrong_frame_is_refused_on_its_way_in_and_on_its_way_out(store: Store) -> None:
    with pytest.raises(SchemaMismatch, match="table 'numbers'"):
        apply(DOUBLE, FRAME.drop("n"), {}, store, "k")
    with pytest.raises(SchemaMismatch, match="table 'doubles'"):
        apply(replace(DOUBLE, run=lambda f, p: f.drop("n")), FRAME, {}, store, "k")
    assert store.find("double", "k") is None


def all_stages() -> Iterator[Stage]:
    for found in pkgutil.walk_packages(factory.__path__, "factory."):
        for value in vars(importlib.import_module(found.name)).values():
            if isinstance(value, Stage):
                yield value


STAGES = {stage.name for stage in all_stages()} - {"embed"}  # needs its model: see the selection's own tests


FINDINGS = {"find_hits", "find_earlier"}  # of rows where there is something to find, as often as there is


def test_every_stage_is_put_to_the_law(line: dict[str, Step]) -> None:
    assert set(line) == STAGES


def parents(step: Step, rows: pl.DataFrame, rejects: pl.DataFrame) -> list[str]:
    """Return the input id that each output row and each reject comes from, each as often as it left."""
    if step.stage.name == "documents":  # passages of a document are its rows; what was cut off leaves beside them
        whole = {id_.rpartition("#")[0] for id_ in rejects["id"] if id_.endswith("#rest")}
        assert whole <= set(rows["document"])
        return [*rows["document"].unique(), *(id_ for id_ in rejects["id"] if not id_.endswith("#rest"))]
    if step.stage.name not in ("draw", "talk"):
        return [*rows["id"], *rejects["id"]]
    made = {row_id("line", 5, slot, step.params["attempt"]): slot for slot in step.frame["id"]}
    assert [made[id_] for id_ in rows["id"]] == rows["slot_id"].to_list()
    return [*rows["slot_id"], *(made[id_] for id_ in rejects["id"])]


@pytest.mark.parametrize("name", sorted(STAGES - {"samples", *FINDINGS}))
def test_every_input_row_leaves_once_as_a_row_or_as_a_reject(line: dict[str, Step], name: str) -> None:
    step = line[name]
    assert step.frame["id"].is_unique().all()
    assert sorted(parents(step, *step.run())) == sorted(step.frame["id"])


def test_the_gathering_takes_every_kept_row_and_no_other_in_slot_order(line: dict[str, Step]) -> None:
    step = line["samples"]
    rows, rejects = step.run()
    kept, dropped = line["dedupe"].run()
    assert 0 < rows.height < step.frame.height
    assert rejects.height == 0
    assert set(rows["id"]) == set(kept["id"]) & set(step.frame["id"])
    assert rows["slot"].is_sorted()
    left_before = set(line["verify"].run()[1]["id"]) | set(dropped["id"])
    assert set(step.frame["id"]) - set(rows["id"]) <= left_before


CODES = {
    "seeds": {"question_present", "answer_numeric", "key_number_present", "question_not_too_long", "question_is_new"},
    "documents": {"text_present", "text_not_binary", "text_not_too_short", "text_is_new", "document_not_too_long"},
    "instructions": {"text_present", "text_not_binary", "text_not_too_long", "text_is_new"},
    "skills": {"skill_is_new", "header", "empty"},
    "draw": {"constraints_agree"},
    "talk": {"refused", "solutions_agree"},
    "verify": {"gold_recomputed"},
    "dedupe": {"problem_is_new", "prompt_is_new", "within_cap"},
    "twins": {"twin_stays"},
    "difficulty": {"undecided", "weak_not_below_band", "weak_not_above_band"},
    "decontaminate": {"no_ngram_of_a_benchmark", "little_of_a_benchmark"},
    "earlier": {"no_row_of_an_earlier_release"},
    "screen": {"no_ngram_of_a_benchmark", "little_of_a_benchmark", "no_row_of_an_earlier_release"},
    "copies": {"not_nearly_a_copy"},
}


@pytest.mark.parametrize("name", CODES)
def test_the_law_was_tried_on_rows_that_leave_for_every_reason(line: dict[str, Step], name: str) -> None:
    rows, rejects = line[name].run()
    assert rows.height
    assert set(rejects["reasons"].explode().struct.field("code")) == CODES[name]


@pytest.mark.parametrize("name", sorted(FINDINGS))
def test_what_is_found_is_found_of_rows_that_are_there(line: dict[str, Step], name: str) -> None:
    rows, rejects = line[name].run()
    assert 0 < rows["id"].n_unique() < line[name].frame.height
    assert set(rows["id"]) <= set(line[name].frame["id"])
    assert rejects.height == 0


@pytest.mark.parametrize("name", sorted(STAGES - {"similarity", "mini"}))
def test_a_stage_takes_a_frame_without_rows(line: dict[str, Step], name: str) -> None:
    rows, rejects = replace(line[name], frame=line[name].frame[:0]).run()
    assert (rows.height, rejects.height) == (0, 0)


@pytest.mark.parametrize("name", sorted(STAGES))
def test_a_stage_gives_the_same_rows_again(line: dict[str, Step], name: str) -> None:
    once, again = line[name].run(), line[name].run()
    assert once[0].equals(again[0])
    assert once[1].equals(again[1])


@pytest.mark.parametrize("name", ["draw", "verify"])
def test_rows_do_not_depend_on_the_rows_beside_them(line: dict[str, Step], name: str) -> None:
    step = line[name]
    halves = [replace(step, frame=step.frame[:11]).run(), replace(step, frame=step.frame[11:]).run()]
    assert pl.concat([rows for rows, _ in halves]).equals(step.run()[0])
