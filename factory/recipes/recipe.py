"""What a recipe is: how it plans cells and skills, draws a tree for a slot, says it, and what its gold answer is.

Adding a recipe is one file (docs/add-a-recipe.md) and its line in registry.py.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from factory.artifacts.digest import Rng
from factory.skills.tree import Tree
from factory.teacher.protocol import Message, Reply, Role, Sampling


class RecipeParams(BaseModel):
    """What every entry of a job's `recipes` has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    share: float = Field(gt=0, le=1, description="Share of the job's rows.")
    cap: float = Field(
        default=0.02, gt=0, le=1, description="Largest share of this entry's rows with one topology and phrasing."
    )
    heldout: float = Field(default=0.1, ge=0, lt=1, description="Share of rows whose skills no train row uses.")


@dataclass(frozen=True, slots=True)
class Cell:
    """A part of an entry with a quota of its own."""

    name: str
    level: int


@dataclass(frozen=True, slots=True)
class SeedProblem:
    """A user's problem that chains can be built on."""

    id: str
    question: str
    answer: int
    work: str
    key: int
    start: int
    end: int


class Seeds(Protocol):
    """The usable seeds of a job; a dependency of the stages that draw."""

    @property
    def identity(self) -> str:
        """Return the digest of the seeds."""
        ...

    def ids(self, split: str) -> Sequence[str]:
        """Return the ids of the seeds that a split may use, in a fixed order."""
        ...

    def get(self, id_: str) -> SeedProblem:
        """Return the seed of an id."""
        ...


@dataclass(frozen=True, slots=True)
class Demand:
    """Skills wanted for n slots of one cell and split. `tag` names the stream of random orders."""

    cell: Cell
    split: str
    n: int
    seed: int
    tag: str
    seeds: Seeds | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The skills, and the seeds to build on if there are any, of each of n slots: lists of text."""

    skills: pl.Series
    parents: pl.Series | None = None


@dataclass(frozen=True, slots=True)
class Brief:
    """One slot as its recipe sees it."""

    level: int
    split: str
    skills: list[str]
    parents: list[str]
    seeds: Seeds | None = None


Verifier = dict[str, Any]  # {kind, gold, args}


@dataclass(frozen=True, slots=True)
class Draft:
    """What an attempt made: a tree, its verifier, how it is said. The gate recomputes the verifier from the tree."""

    tree: Tree
    verifier: Verifier
    phrasing: str
    prompt: str
    steps: str
    parents: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    skills: list[str] | None = None  # where they are not the planned ones


@dataclass(frozen=True, slots=True)
class Dropped:
    """An attempt that made nothing, and why: a code and a detail."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing a recipe asks a teacher: a prompt file with its inputs, after the messages of `history`.

    `example` is what a good reply looks like, a text or the JSON value of the prompt's schema: estimates and the fake
    teacher use it. `repeat` tells independent samples of the same question apart. `sampling` is what the method needs;
    what the job says wins.
    """

    prompt: str
    inputs: Mapping[str, Any]
    example: Any
    role: Role = "author"
    repeat: int = 0
    history: tuple[Message, ...] = ()
    sampling: Sampling = Sampling()


# A conversation yields what it asks next, all at once, gets the replies in the same order, and ends with its draft.
Talk = Generator[list[Ask], list[Reply], Draft | Dropped]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A published method. `gold(tree, value)` is the verifier of a stored tree and the value it evaluates to.

    It either draws a row by program (`draw`) or talks to a teacher (`talk`), with the named files of `prompts`.
    """

    name: str
    version: int
    about: str
    paper: str
    params: type[RecipeParams]
    cells: Callable[[Any], list[Cell]]
    assign: Callable[[Any, Demand], Plan]
    draw: Callable[[Any, Brief, Rng], Draft | Dropped] | None = None
    talk: Callable[[Any, Brief, Rng], Talk] | None = None
    prompts: tuple[str, ...] = ()
    gold: Callable[[Tree, Any], Verifier]
    depth_is_level: bool = True  # effective depth must equal the slot's level


ANSWER_LINES = (
    "End with a line that starts with 'Answer:' followed by the answer alone.",
    "Put the final answer alone on the last line, after 'Answer:'.",
    "Finish with 'Answer:' and then nothing but the answer.",
)


def levels_field(last: int, wanted: int | None = None) -> Any:
    """Return the pydantic field of `levels`: a non-empty list of levels from 1 to last, by default the first ones."""
    return Field(
        default=tuple(range(1, (wanted or last) + 1)),
        min_length=1,
        description=f"Levels to fill evenly, each from 1 to {last}.",
    )


def check_levels(levels: tuple[int, ...], last: int) -> tuple[int, ...]:
    """Return the levels; raise ValueError when one is out of range or named twice."""
    for level in levels:
        if not 1 <= level <= last:
            raise ValueError(f"level {level} is not in 1 to {last}")
    if len(set(levels)) != len(levels):
        raise ValueError(f"a level is named twice in {list(levels)}")
    return levels


def level_cells(levels: Sequence[int]) -> list[Cell]:
    """Return one cell a level."""
    return [Cell(f"level={level}", level) for level in levels]
