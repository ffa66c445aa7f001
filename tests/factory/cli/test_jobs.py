from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from pydantic import BaseModel

from factory.cli.new_job import SOURCES, job_schema, job_text
from factory.curate.job import CurateJob
from factory.jobs.job_file import shipped_jobs
from factory.jobs.kinds import load_any_job
from factory.jobs.model import Job, Mini, ReleaseSpec, load_job
from factory.recipes.registry import RECIPES

Factory = Callable[..., Result]


def test_jobs_lists_every_shipped_job_with_its_rows_and_recipes(factory: Factory) -> None:
    lines = {line.split()[0]: line for line in factory("jobs").stdout.splitlines()[1:]}
    assert set(lines) == set(shipped_jobs())
    for name, line in lines.items():
        job = load_any_job(name).job
        assert job.kind in line
        if isinstance(job, CurateJob):
            continue
        assert f"{job.rows:,}" in line
        assert all(entry.recipe in line for entry in job.recipes)


def test_a_new_job_is_valid_as_written(factory: Factory) -> None:
    done = factory("new", "mine")
    assert done.exit_code == 0
    job = load_job("mine.yaml").job
    assert job.name == "mine"
    assert {entry.recipe for entry in job.recipes} == {name for name, recipe in RECIPES.items() if recipe.draw}


def test_a_new_job_shows_the_recipes_that_need_a_teacher_commented_out(factory: Factory) -> None:
    factory("new", "mine")
    text = Path("mine.yaml").read_text("utf-8")
    assert all(f"# - recipe: {name}" in text for name, recipe in RECIPES.items() if not recipe.draw)
    assert "# teacher:" in text


def test_a_new_job_can_be_built_as_written(factory: Factory) -> None:
    factory("new", "mine")
    assert json.loads(factory("run", "mine.yaml", "--json").stdout)["ending"] == "filled"


def test_the_first_line_leads_editors_to_the_schema(factory: Factory, tmp_path: Path) -> None:
    factory("new", "mine")
    first = (tmp_path / "mine.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=./mine.schema.json"
    assert json.loads((tmp_path / "mine.schema.json").read_bytes())["title"] == "Job"


@pytest.mark.parametrize(
    "model", [Job, Mini, ReleaseSpec, *(m for m, _ in SOURCES.values()), *(r.params for r in RECIPES.values())]
)
def test_every_key_of_a_model_is_in_the_file_below_a_comment(model: type[BaseModel]) -> None:
    lines = [line.strip(" #") for line in job_text("mine").splitlines()]
    for key in model.model_fields:
        assert any(line.startswith((f"{key}:", f"- {key}:")) for line in lines)


@pytest.mark.parametrize("source", SOURCES)
def test_the_block_of_a_source_is_valid_once_it_is_no_comment(source: str) -> None:
    lines = job_text("mine").splitlines()
    start = lines.index(f"# {source}:")
    block = [line.removeprefix("# ") for line in lines[start : lines.index("", start)]]
    assert SOURCES[source][0].model_validate(yaml.safe_load("\n".join(block))[source]).model_dump()["path"]


@pytest.mark.parametrize("there", ["mine.yaml", "mine.schema.json"])
def test_new_does_not_overwrite_unless_forced(factory: Factory, tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious", encoding="utf-8")
    done = factory("new", "mine")
    assert done.exit_code == 2
    assert there in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text(encoding="utf-8") == "precious"
    assert factory("new", "mine", "--force").exit_code == 0
    assert load_job("mine.yaml").job.name == "mine"


@pytest.mark.parametrize("name", ["Mine", "my job", "../mine", "mine.yaml", "", "a" * 64])
def test_a_name_that_a_job_cannot_have_is_refused(factory: Factory, tmp_path: Path, name: str) -> None:
    assert factory("new", name).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def complaints(job: object) -> list[str]:
    jsonschema = pytest.importorskip("jsonschema")
    return [error.message for error in jsonschema.Draft202012Validator(job_schema()).iter_errors(job)]


BUILDS = [
    path.read_text("utf-8")
    for name, path in shipped_jobs().items()
    if not isinstance(load_any_job(name).job, CurateJob)
]


@pytest.mark.parametrize("text", [job_text("mine"), *BUILDS])
def test_the_schema_accepts_what_the_factory_accepts(text: str) -> None:
    assert complaints(yaml.safe_load(text)) == []


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_the_schema_refuses_a_key_that_a_recipe_does_not_have(recipe: str) -> None:
    job = {"kind": "build", "name": "a", "rows": 1, "recipes": [{"recipe": recipe, "share": 1}]}
    assert complaints(job) == []
    job["recipes"] = [{"recipe": recipe, "share": 1, "no_such_key": 1}]
    assert complaints(job) != []


@pytest.mark.parametrize("change", [{"rows": "many"}, {"row": 3}, {"recipes": []}, {"mini": {"row": 1}}])
def test_the_schema_refuses_what_the_factory_refuses(change: dict[str, object]) -> None:
    job = {"kind": "build", "name": "a", "rows": 1, "recipes": [{"recipe": "lego", "share": 1}]}
    assert complaints(job | change) != []
