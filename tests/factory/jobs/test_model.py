"""Whatever a person writes in a job file, it is a job or one sentence that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from factory.errors import UserError
from factory.jobs.job_file import shipped_jobs
from factory.jobs.kinds import load_any_job
from factory.jobs.model import Job, load_job, parse_job
from factory.recipes.registry import RECIPES

JOB: dict[str, Any] = {
    "kind": "build",
    "name": "written",
    "seed": 1,
    "rows": 50,
    "recipes": [
        {"recipe": "chains", "share": 0.5, "levels": [1, 2]},
        {"recipe": "skill-pairs", "share": 0.5, "k": [2]},
    ],
    "seeds": {"path": "problems.jsonl", "columns": {"question": "q", "answer": "a"}},
    "mini": {"rows": 5, "pool": 10},
    "release": {"license": "mit", "version": "1.2.3", "title": "Written"},
}
PLACES = [
    ["rows"], ["seed"], ["name"], ["kind"], ["recipes"], ["recipes", 0], ["recipes", 0, "levels"], ["recipes", 1, "k"],
    ["recipes", 0, "share"], ["recipes", 0, "recipe"], ["recipes", 0, "knobs"], ["recipes", 1, "heldout"], ["seeds"],
    ["seeds", "path"], ["seeds", "columns"], ["mini"], ["mini", "rows"], ["release"], ["release", "version"], ["other"],
    ["recipes", 0, "other"], ["replans"], ["max_attempts"], ["recipes", 0, "seed_share"], ["recipes", 1, "cap"],
]  # fmt: skip
WORDS = st.text("ab_.é{}'%", max_size=6)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(width=32)
    | WORDS
    | st.sampled_from(["chains", "train", "1.0.0", "rows", "levels"])
    | st.dates()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.integers(), inner, max_size=3),
    max_leaves=5,
)


def with_value(tree: Any, place: list[Any], value: object) -> Any:
    """Return a copy of nested mappings and lists with one value exchanged."""
    if not place:
        return value
    copy = tree.copy()
    copy[place[0]] = with_value(tree[place[0]] if len(place) > 1 else None, place[1:], value)
    return copy


def job_or_sentence(read: Callable[[], Job]) -> Job | str:
    """Return the job, or what the user is told; any other error fails the test."""
    try:
        return read()
    except UserError as error:
        return str(error)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PLACES), VALUES)
@example(["recipes", 0, "knobs"], {"remainder": {"divisor": "x"}})
@example(["recipes", 0, "knobs"], {"remainder": {"divisor": None}})
@example(["recipes", 0, "knobs"], {"no such skill": {}})
def test_any_value_anywhere_makes_a_job_or_one_sentence(place: list[Any], value: object) -> None:
    found = job_or_sentence(lambda: parse_job(with_value(JOB, place, value), "the job"))
    if isinstance(found, Job):
        assert parse_job(found.model_dump(mode="json"), "the job") == found
    else:
        assert found.startswith("the job: ")
        assert "\n" not in found


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=40) | VALUES.map(lambda value: yaml.safe_dump({"a": value})))
@example("a: &x [*x]")
@example("<<: {kind: build}\nkind: build")
@example("? [a, b]\n: c")
@example("kind: !!python/object:os.system {}")
@example("[" * 1500)
@example("a: 2024-13-45")
@example("\x00")
@example("a: !!int abc")
@example("a: !!binary '*'")
def test_any_text_makes_a_job_or_one_sentence(tmp_path_factory: pytest.TempPathFactory, text: str | bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError) as caught:
        load_job(str(file))
    assert "any.yaml" in str(caught.value)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["rows", "mini", "recipes", "0", "1", "share", "title", "x"]), min_size=1), SCALARS)
def test_any_override_makes_a_job_or_one_sentence(path: list[str], value: object) -> None:
    found = job_or_sentence(lambda: load_job("demo", {".".join(path): value}).job)
    assert isinstance(found, Job) or found


@pytest.mark.parametrize("value", ["2024-13-45", "!!int abc", "[" * 1500, "[1", "*x", "'", "!!python/none"])
def test_an_override_that_is_no_yaml_says_so(value: str) -> None:
    with pytest.raises(UserError, match=r"--set rows: the value .* is not valid YAML"):
        load_job("demo", [f"rows={value}"])


@pytest.mark.parametrize("name", shipped_jobs())
def test_every_shipped_job_is_valid_and_named_as_its_file(name: str) -> None:
    assert load_any_job(name).job.name == name


def test_the_lines_of_a_job_keep_the_settings_of_their_recipes() -> None:
    job = parse_job(JOB, "the job")
    assert [type(entry) for entry in job.recipes] == [RECIPES["chains"].params, RECIPES["skill-pairs"].params]
    assert job.model_dump(mode="json")["recipes"][0]["levels"] == [1, 2]


def test_overrides_go_into_mappings_and_lists_and_add_what_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in JOB.items() if key != "release"}))
    changes = ["rows=70", "recipes.0.levels=[3]", "release.version=2.0.0", "mini.rows=0"]
    found = load_job(str(file), changes)
    assert (found.job.rows, found.job.release.version, found.job.mini.rows) == (70, "2.0.0", 0)
    assert found.job.recipes[0].model_dump()["levels"] == (3,)
    assert found.base == tmp_path
