"""The recipes by name. A new recipe is its file and its line here."""

from __future__ import annotations

from collections.abc import Mapping

from factory.recipes.agent_instruct import AGENT_INSTRUCT
from factory.recipes.answers import ANSWERS
from factory.recipes.chains import CHAINS
from factory.recipes.contrastive_solution import CONTRASTIVE_SOLUTION
from factory.recipes.countdown import COUNTDOWN
from factory.recipes.instruct_skillmix import INSTRUCT_SKILLMIX
from factory.recipes.lego import LEGO
from factory.recipes.missing_premise import MISSING_PREMISE
from factory.recipes.nested import NESTED
from factory.recipes.recipe import Recipe
from factory.recipes.rephrased import REPHRASED
from factory.recipes.skill_mix import SKILL_MIX
from factory.recipes.skill_pairs import SKILL_PAIRS
from factory.recipes.skill_traces import SKILL_TRACES

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        CHAINS,
        NESTED,
        SKILL_PAIRS,
        COUNTDOWN,
        LEGO,
        REPHRASED,
        INSTRUCT_SKILLMIX,
        AGENT_INSTRUCT,
        SKILL_MIX,
        MISSING_PREMISE,
        CONTRASTIVE_SOLUTION,
        SKILL_TRACES,
        ANSWERS,
    )
}


def task_labels() -> dict[str, tuple[str, str]]:
    """Return the names that recipes use for kinds of tasks in `skills`, with family and meaning."""
    return {name: told for recipe in RECIPES.values() if recipe.labels for name, told in recipe.labels().items()}
