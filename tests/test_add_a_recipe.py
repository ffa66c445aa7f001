"""The language recipe of docs/add-a-recipe.md, as it stands there, makes rows that every gate lets through."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from by_example import make, sources_of

from factory.artifacts.digest import row_rng
from factory.gates.text import first_fault
from factory.prompts import all_prompts, load_prompt
from factory.recipes.recipe import Brief, Demand, Draft, Recipe
from factory.recipes.registry import RECIPES

GUIDE = Path(__file__).parent.parent / "docs" / "add-a-recipe.md"
LONGEST = 150  # lines of a recipe


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    (code,) = [block for block in blocks("python") if "LETTERS = Recipe(" in block]
    (prompt,) = [block for block in blocks("markdown") if "name: letters/write" in block]
    assert len(code.splitlines()) < LONGEST
    path = tmp_path / "letters" / "write.v1.md"
    path.parent.mkdir()
    path.write_text(prompt, encoding="utf-8")
    prompts = {**all_prompts(), "letters/write.v1": load_prompt(path)}
    monkeypatch.setattr("factory.prompts.all_prompts", lambda: prompts)
    module = ModuleType("letters_of_the_guide")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, str(GUIDE), "exec"), module.__dict__)  # noqa: S102 - our own guide
    monkeypatch.setitem(RECIPES, "letters", module.LETTERS)  # type: ignore[misc]
    return module.LETTERS


def test_the_recipe_of_the_guide_plans_writes_and_is_judged(letters: Recipe) -> None:
    params = letters.params.model_validate({"recipe": "letters", "share": 1.0})
    sources, rows = sources_of("letters"), []
    for cell in letters.cells(params):
        plan = letters.assign(params, Demand(cell, "train", 2, 3, cell.name, sources))
        for i, skills in enumerate(plan.skills.to_list()):
            brief = Brief(cell.level, "train", skills, [], sources, cell.name, i)
            rows.append(make("letters", params, brief, row_rng(3, "draw", f"{cell.name}/{i}")))
    drafts = [row for row in rows if isinstance(row, Draft)]
    assert len(drafts) == len(rows) == 4
    for draft in drafts:
        assert first_fault(draft.prompt, draft.verifier["gold"]) is None
        assert draft.grades
        assert all(grade.value == 1.0 for grade in draft.grades)
    assert len({draft.prompt for draft in drafts}) == 4


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_that_talks_about_language_skills_is_one_short_file(name: str) -> None:
    recipe = RECIPES[name]
    if recipe.gold is None or recipe.twins:
        file = Path(sys.modules[type(recipe).__module__].__file__ or "").parent / f"{name.replace('-', '_')}.py"
        assert len(file.read_text(encoding="utf-8").splitlines()) < LONGEST
