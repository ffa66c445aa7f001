"""What a recipe is: how it plans cells and skills, draws a tree for a slot, says it, and what its gold answer is.

Adding a recipe is one file (docs/add-a-recipe.md) and its line in registry.py.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator

from factory.artifacts.digest import Rng, digest
from factory.gates.rubric import Rubric, load_rubric
from factory.skills.language.skill import LanguageSkill
from factory.skills.tree import Tree
from factory.teacher.protocol import Message, Reply, Role, Sampling


class JudgeSpec(BaseModel):
    """A rubric of prompts/rubrics by which rows of any recipe are judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rubric: str
    votes: int = Field(default=3, ge=1, le=9, description="Independent votes; more than half of them decide.")

    @field_validator("rubric")
    @classmethod
    def _of_rows(cls, name: str) -> str:
        rubric = load_rubric(name)
        if strange := sorted(set(rubric.inputs) - {"instruction", "response"}):
            raise ValueError(f"rubric {name} is about {strange[0]}, which not every recipe has; see its own recipe")
        return name


class RecipeParams(BaseModel):
    """What every entry of a job's `recipes` has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    share: float = Field(gt=0, le=1, description="Share of the job's rows.")
    cap: float = Field(
        default=0.02, gt=0, le=1, description="Largest share of this entry's rows with one topology and phrasing."
    )
    heldout: float = Field(default=0.1, ge=0, lt=1, description="Share of rows whose skills no train row uses.")
    judge: JudgeSpec | None = Field(
        default=None, description="{rubric, votes}: a judge must find the rubric met by the row's prompt and reply."
    )


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


@dataclass(frozen=True, slots=True)
class Document:
    """A text of the user's, or a passage of one."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Instruction:
    """Something that the user wants answered; its reference answer, if it came with one."""

    id: str
    text: str
    reference: str = ""


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Bank(Protocol[T_co]):
    """The usable seeds of one kind."""

    @property
    def identity(self) -> str:
        """Return the digest of the seeds."""
        ...

    def ids(self, split: str) -> Sequence[str]:
        """Return the ids of the seeds that a split may use, in a fixed order."""
        ...

    def get(self, id_: str) -> T_co:
        """Return the seed of an id."""
        ...


class SkillPool(Hashable, Protocol):
    """The language skills of a job."""

    @property
    def identity(self) -> str:
        """Return the digest of the skills, their splits and their weights."""
        ...

    @property
    def near(self) -> frozenset[frozenset[str]]:
        """Return the pairs that are too alike to be asked for together."""
        ...

    @property
    def weights(self) -> Mapping[str, float]:
        """Return how often each skill is wanted, relative to the others; empty for evenly."""
        ...

    def names(self, split: str) -> Sequence[str]:
        """Return the skills that a split may use, in a fixed order."""
        ...

    def get(self, name: str) -> LanguageSkill:
        """Return the skill of a name."""
        ...

    def split_of(self, name: str) -> str:
        """Return which rows may use a skill."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What a job builds on beside the executable skills; a dependency of the stages that make candidates."""

    problems: Bank[SeedProblem] | None = None
    skills: SkillPool | None = None
    documents: Bank[Document] | None = None
    instructions: Bank[Instruction] | None = None

    def __bool__(self) -> bool:
        return any(source is not None for source in self._all().values())

    def _all(self) -> dict[str, Bank[object] | SkillPool | None]:
        return {
            "problems": self.problems,
            "skills": self.skills,
            "documents": self.documents,
            "instructions": self.instructions,
        }

    @property
    def identity(self) -> str:
        """Return the digest of everything there is."""
        return digest(sources={name: source.identity for name, source in self._all().items() if source is not None})


PREMISE = "missing_premise"  # the flag of a row whose problem lacks something it needs
NOTHING = Sources()
Quotas = tuple[tuple[Cell, int], ...]


@dataclass(frozen=True, slots=True)
class Demand:
    """Skills wanted for n slots of one cell and split. `tag` names the stream of random orders.

    A recipe whose coverage goes beyond a cell sees all cells of its entry and split: `planned` are their quotas, `open`
    those of this round (0 is the first plan; later ones plan anew what stayed open).
    """

    cell: Cell
    split: str
    n: int
    seed: int
    tag: str
    sources: Sources = NOTHING
    entry: int = 0
    round: int = 0
    planned: Quotas = ()
    open: Quotas = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The skills, and the seeds to build on if there are any, of each of n slots: lists of text.

    `pairs` names the pair of twins that a slot belongs to: twins share their random numbers, and stay or leave
    together.
    """

    skills: pl.Series
    parents: pl.Series | None = None
    pairs: pl.Series | None = None


@dataclass(frozen=True, slots=True)
class Brief:
    """One slot as its recipe sees it."""

    level: int
    split: str
    skills: list[str]
    parents: list[str]
    sources: Sources = NOTHING
    cell: str = ""
    slot: int = 0  # its place in the release


Verifier = dict[str, Any]  # {kind, gold, args}


@dataclass(frozen=True, slots=True)
class Grade:
    """What judges gave for one point: every vote in [0, 1] or None, their majority, and how far they agree.

    `agreement` is the share of equal pairs of votes: Krippendorff's alpha is not defined on one point of one row, it is
    told over all rows.
    """

    name: str
    value: float | None
    votes: tuple[float | None, ...] = ()
    agreement: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What an attempt made: a tree, its verifier, how it is said. The gate recomputes the verifier from the tree.

    A row without a tree has the kinds `rubric` or `abstain`, whose gold is the whole reply, and a `shape`, which with
    the phrasing is what the cap counts. `rejected` is a worse reply to the same prompt: a preference pair.
    """

    tree: Tree  # empty where no program computes the answer
    verifier: Verifier
    phrasing: str
    prompt: str
    steps: str
    parents: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    skills: list[str] | None = None  # where they are not the planned ones
    shape: str = ""
    reasoning: str = ""
    rejected: str = ""
    grades: tuple[Grade, ...] = ()


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
    what the job says wins. `schema` stands for the prompt's own where the reply's form depends on the inputs (so many
    points, one of these labels).
    """

    prompt: str
    inputs: Mapping[str, Any]
    example: Any
    role: Role = "author"
    repeat: int = 0
    history: tuple[Message, ...] = ()
    sampling: Sampling = Sampling()
    schema: Mapping[str, Any] | None = None


# A conversation yields what it asks next, all at once, gets the replies in the same order, and ends with a value.
Asking: TypeAlias = Generator[list[Ask], list[Reply], T]
Talk: TypeAlias = Asking[Draft | Dropped]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A published method. `gold(tree, value)` is the verifier of a stored tree and the value it evaluates to.

    It draws a row by program (`draw`) or talks to a teacher (`talk`), with the named files of `prompts`; one that can
    do both says by `talks(params)` which. `gold` is None where rows have no tree. `needs` names the sources it cannot
    do without; with `twins` it plans pairs that stay or leave together; `rubrics(params)` are those it judges by;
    `labels()` are names in its rows' `skills` that are kinds of tasks, with family and meaning: both splits use them.
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
    gold: Callable[[Tree, Any], Verifier] | None = None
    talks: Callable[[Any], bool] | None = None
    needs: tuple[str, ...] = ()
    twins: bool = False
    rubrics: Callable[[Any], Sequence[Rubric]] | None = None
    labels: Callable[[], Mapping[str, tuple[str, str]]] | None = None
    depth_is_level: bool = True  # effective depth must equal the slot's level
    copied: Literal["prompt", "reply"] | None = None  # what of a row may not be nearly that of another

    def converses(self, params: RecipeParams) -> bool:
        """Return whether these params make rows by talking to a teacher."""
        return self.talk is not None and (self.draw is None or (self.talks is not None and self.talks(params)))

    def asks(self, params: RecipeParams) -> bool:
        """Return whether these params need a teacher, be it as a judge."""
        return params.judge is not None or self.converses(params)

    def judges_by(self, params: RecipeParams) -> list[Rubric]:
        """Return the rubrics that rows are judged by: those of the method, and the one that the job asks for."""
        own = list(self.rubrics(params)) if self.rubrics else []
        return [*own, load_rubric(params.judge.rubric)] if params.judge else own


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
