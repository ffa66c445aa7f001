"""The recipes by name. A new recipe is its file and its line here."""

from __future__ import annotations

from collections.abc import Mapping

from factory.recipes.chains import CHAINS
from factory.recipes.countdown import COUNTDOWN
from factory.recipes.lego import LEGO
from factory.recipes.nested import NESTED
from factory.recipes.recipe import Recipe
from factory.recipes.rephrased import REPHRASED
from factory.recipes.skill_pairs import SKILL_PAIRS

RECIPES: Mapping[str, Recipe] = {r.name: r for r in (CHAINS, NESTED, SKILL_PAIRS, COUNTDOWN, LEGO, REPHRASED)}
