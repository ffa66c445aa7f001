"""Recipes made in tests: drawn by program, or talked through with the example replies that the recipe gives.

Recipes that build on what a user brings get sources that lie in memory: skills, documents and instructions.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import orjson

from factory.artifacts.digest import Rng, digest, text_digest
from factory.jobs.talk import request_of
from factory.recipes.recipe import (
    NOTHING,
    Ask,
    Brief,
    Cell,
    Demand,
    Document,
    Draft,
    Dropped,
    Instruction,
    RecipeParams,
    Sources,
)
from factory.recipes.registry import RECIPES
from factory.skills.language.skill import LanguageSkill
from factory.teacher.model import SamplingSpec
from factory.teacher.protocol import Reply


class HasId(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=HasId)


@dataclass(frozen=True, slots=True)
class Texts(Generic[T]):
    """A bank of texts in memory; the last one is held out."""

    texts: tuple[T, ...]

    @property
    def identity(self) -> str:
        return digest(texts=[repr(text) for text in self.texts])

    def ids(self, split: str) -> Sequence[str]:
        mine = self.texts[-1:] if split == "heldout" else self.texts[:-1]
        return [text.id for text in mine]

    def get(self, id_: str) -> T:
        return next(text for text in self.texts if text.id == id_)


@dataclass(frozen=True)
class Pool:
    """Language skills in memory; some families are held out, as in a bank on disk."""

    skills: tuple[LanguageSkill, ...]
    held: frozenset[str] = frozenset({"rhetoric"})
    near: frozenset[frozenset[str]] = frozenset()
    profile: tuple[tuple[str, float], ...] = field(default=())

    @property
    def identity(self) -> str:
        near = sorted(sorted(pair) for pair in self.near)
        return digest(skills=[repr(s) for s in self.skills], held=sorted(self.held), near=near, profile=self.profile)

    @property
    def weights(self) -> Mapping[str, float]:
        return dict(self.profile)

    def names(self, split: str) -> Sequence[str]:
        return sorted(s.name for s in self.skills if (s.family in self.held) == (split == "heldout"))

    def split_of(self, name: str) -> str:
        return "heldout" if self.get(name).family in self.held else "train"

    def get(self, name: str) -> LanguageSkill:
        return next(skill for skill in self.skills if skill.name == name)


def _skill(family: str, name: str, definition: str, positive: str) -> LanguageSkill:
    return LanguageSkill(name, definition, positive, f"Somebody talks about {name.replace('_', ' ')}.", family, "tests")


SKILLS = (
    _skill("logic", "modus_ponens", "From 'if P then Q' and P to Q.", "If it rains, the pitch is wet. It rains."),
    _skill("logic", "proof_by_cases", "Covering every case one by one.", "Either n is even or it is odd."),
    _skill("logic", "counterexample", "One instance that breaks a general claim.", "Penguins are birds; none flies."),
    _skill("numbers", "unit_conversion", "Turning a quantity into other units.", "3 miles are about 4.8 km."),
    _skill("numbers", "estimation", "A rough figure from known ones.", "Ten rows of ten: about a hundred seats."),
    _skill("numbers", "percentage_change", "A difference as a share of the start.", "From 40 to 50 is 25 % more."),
    _skill("writing", "active_listening", "Saying back what the other meant.", "So it is the waiting that hurts you."),
    _skill("writing", "summarising", "The gist in fewer words.", "In short: the bridge stays shut until May."),
    _skill("writing", "gentle_feedback", "Naming a fault without hurting.", "The plot holds; the last page rushes."),
    _skill("planning", "prioritising", "What comes first, and why.", "The leak first: it costs us by the hour."),
    _skill("planning", "risk_assessment", "What may go wrong, how likely, how bad.", "Snow is likely; we can wait."),
    _skill("planning", "delegation", "Giving work to the right person.", "Mo knows the till; the till is Mo's."),
    _skill("rhetoric", "metaphor", "Speaking of one thing as of another.", "The inbox is a tide."),
    _skill("rhetoric", "irony", "Saying the opposite of what is meant.", "Lovely weather, she said, wringing her hat."),
    _skill("rhetoric", "anaphora", "Beginning clauses with the same words.", "We came late, we came wet, we came."),
)
POOL = Pool(SKILLS)
_DOCUMENTS = {
    "Ferry": "The ferry to Lunn leaves the south quay at 7:15 every weekday. On Saturdays it leaves an hour later, and"
    " there is no boat on Sundays. A crossing takes 40 minutes. Bicycles travel free, but the deck has room for twelve."
    "\n\nIn a north wind above 60 km/h the harbour master stops the service. Passengers with tickets may then use the"
    " bus over the causeway, which needs an hour and a half.",
    "Bread": "Mix 500 g of flour with 350 g of water and leave the dough for half an hour before you add 10 g of salt."
    " This rest lets the flour take up the water, so less kneading is needed.\n\nFold the dough every thirty minutes,"
    " four times in all. It is ready for the oven when a dent from a finger comes back slowly. Bake it at 240 degrees"
    " for 20 minutes under a lid and for 25 minutes without.",
    "Library": "Members may borrow eight books for four weeks. A book can be kept for four more weeks unless another"
    " reader has asked for it. Late books cost 20 cents a day, at most 6 euros for each.\n\nThe reading room is open on"
    " Mondays until 21:00. Maps and newspapers do not leave the house; copies of them cost 10 cents a page.",
    "Mill": "The mill on the Arn was built in 1742 by two brothers who had quarrelled over their father's farm. One of"
    " them ground rye and the other oats, and for years they spoke only through the miller's boy.\n\nA flood took the"
    " wheel in 1810. The owners put up a smaller one, which turned until 1921. Since 1986 the building has been a"
    " workshop for clocks, and the race still drives a lathe.",
    "Meeting": "Present were Ana, Bert and Chidi; Dora sent her regrets. The roof will be mended before the chairs are"
    " bought, since rain came in twice in March.\n\nBert asks three builders for a price by the 12th. Chidi keeps the"
    " hall's calendar from now on. The summer fair stays on the second Saturday of June, and nobody has yet offered to"
    " run the tea stall.",
}
DOCUMENTS = Texts(tuple(Document(f"{name.lower()}.md#1", name, text) for name, text in _DOCUMENTS.items()))
INSTRUCTIONS = Texts(
    (
        Instruction("row0", "How long may I keep cooked rice in the fridge, and how do I warm it up safely?"),
        Instruction("row1", "My train is at 9:40 and the walk takes 25 minutes. When must I leave?", "At 9:15."),
        Instruction("row2", "Write two sentences that thank a neighbour for watering my plants in July."),
        Instruction("row3", "What is the difference between a sole trader and a limited company?"),
        Instruction("row4", "How do I stop my bicycle's front brake from squealing?"),
        Instruction("row5", "Which of my two job offers keeps more of my evenings free, 38 hours or 42?"),
        Instruction("row6", "Explain to a ten-year-old why ships of steel float."),
        Instruction("row7", "Turn this into one polite sentence: send me the invoice now."),
        Instruction("row8", "What should I check before I buy a used piano?"),
        Instruction("row9", "How many tins of 2.5 litres do I need for 90 square metres at 10 square metres a litre?"),
        Instruction("row10", "Suggest three opening lines for a speech at my sister's wedding."),
        Instruction("row11", "Why does bread go stale faster in the fridge?"),
        Instruction("row12", "Give me a plan for learning 20 chords on the ukulele in a month."),
        Instruction("row13", "What does it mean when a judge adjourns a hearing?"),
        Instruction("row14", "Find the mistake: all cats purr, Tom purrs, so Tom is a cat."),
        Instruction("row15", "How do I tell my landlord that the heating has failed again?"),
    )
)
_EVERY: dict[str, Any] = {"skills": POOL, "documents": DOCUMENTS, "instructions": INSTRUCTIONS}
ALL_SOURCES = Sources(**_EVERY)


def sources_of(recipe: str) -> Sources:
    """Return what a recipe cannot do without, and nothing else."""
    needs = RECIPES[recipe].needs
    return Sources(**{name: _EVERY[name] for name in needs}) if needs else NOTHING


def skills_and_parents(
    recipe: str, params: RecipeParams, cell: Cell, split: str, n: int, seed: int = 7, tag: str = ""
) -> list[tuple[list[str], list[str]]]:
    """Return the skills and the parents of n slots of a cell, as the recipe plans them on its sources."""
    demand = Demand(cell, split, n, seed, tag or cell.name, sources_of(recipe))
    plan = RECIPES[recipe].assign(params, demand)
    skills = [list(one) for one in plan.skills]
    parents = [[]] * len(skills) if plan.parents is None else [list(one) for one in plan.parents]
    return list(zip(skills, parents, strict=True))


def by_words(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return unit vectors in which texts are as near as they share words: it stands in for the embedding model."""
    out = np.zeros((len(texts), 384), dtype=np.float32)
    for row, text in zip(out, texts, strict=True):
        for word in text.lower().replace(":", " ").replace(".", " ").split():
            row[int(text_digest(word)[:8], 16) % 384] += 1
    return out / np.linalg.norm(out, axis=1, keepdims=True) if len(texts) else out


def make(recipe: str, params: Any, brief: Brief, rng: Rng) -> Draft | Dropped:
    """Return what an attempt makes when every reply is as its example."""
    found = RECIPES[recipe]
    if not found.converses(params):
        assert found.draw is not None
        return found.draw(params, brief, rng)
    assert found.talk is not None
    return told(found.talk(params, brief, rng))


def told(talk: Generator[list[Ask], list[Reply], Draft | Dropped]) -> Draft | Dropped:
    """Return what a conversation comes to when every reply is as its example."""
    try:
        asks = next(talk)
        while True:
            asks = talk.send([reply_of(ask) for ask in asks])
    except StopIteration as end:
        made: Draft | Dropped = end.value
        return made


def reply_of(ask: Ask) -> Reply:
    request = request_of(ask, 0, SamplingSpec())
    return Reply(text=request.example, parsed=orjson.loads(request.example) if request.schema else None)
