"""AgentInstruct (arXiv 2407.03502): a document becomes a passage, the passage a request, and that a harder request.

Taxonomies plan the rows, leaf by leaf. Growth is bounded, every version of a request stays as a turn, quotations are
looked up in the passage, and whether the passage answers the request is said by the author and found by judges of their
own; where it does not, the target names what is missing. The paper takes all of this on trust.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import polars as pl
from pydantic import Field, field_validator, model_validator

from factory.artifacts.digest import Rng
from factory.errors import nearest
from factory.gates.judge import PROMPTS as GRADING
from factory.gates.rubric import Rubric, load_rubric
from factory.recipes import text_turns as turns
from factory.recipes.mixing import dealt, marked
from factory.recipes.recipe import Brief, Cell, Demand, Dropped, Plan, Recipe, RecipeParams, Talk
from factory.recipes.text_tasks import LACKING, Leaf, leaf_of, leaves
from schemas.columns import STRINGS

NAME = "agent-instruct"
GAP = {LACKING: ("reading", "Asks for what the text does not hold: the right reply says so and names what is missing.")}


class AgentInstructParams(RecipeParams):
    """What a job may say of AgentInstruct."""

    recipe: Literal["agent-instruct"]
    heldout: float = Field(default=0.1, ge=0, lt=1, description="Share of rows on documents that no train row uses.")
    tasks: tuple[Literal["reading", "editing"], ...] = Field(
        default=("reading", "editing"), min_length=1, description="Questions about a text, changes to one."
    )
    leaves: tuple[str, ...] = Field(default=(), description="Kinds of requests, by name; default: all of the tasks.")
    rounds: int = Field(default=1, ge=0, le=2, description="How often a request is made harder.")
    unanswerable: float = Field(
        default=0.15, ge=0, le=0.5, description="Share of open questions that their text does not answer."
    )
    as_is: float = Field(default=0.25, ge=0, le=1, description="Share of passages that are the document word for word.")
    votes: int = Field(default=3, ge=1, le=9, description="Judges' votes on each row.")

    @field_validator("leaves")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in leaves():
                raise ValueError(f"there is no kind of request '{name}'{nearest(name, leaves())}")
        if len(set(names)) != len(names):
            raise ValueError(f"a kind of request is named twice in {list(names)}")
        return names

    @model_validator(mode="after")
    def _of_tasks(self) -> AgentInstructParams:
        if len(set(self.tasks)) != len(self.tasks):
            raise ValueError(f"a task is named twice in {list(self.tasks)}")
        for name in self.leaves:
            if (task := leaves()[name].task) not in self.tasks:
                raise ValueError(f"'{name}' is of the task {task}; tasks is {list(self.tasks)}")
        return self


def cells(params: AgentInstructParams) -> list[Cell]:
    """Return one cell for each kind of request: their quotas are exact."""
    every = [leaf for leaf in leaves().values() if leaf.task in params.tasks]
    return [Cell(leaf.skill, 1) for leaf in every if leaf.name in (params.leaves or leaves())]


def assign(params: AgentInstructParams, demand: Demand) -> Plan:
    """Give each slot a passage, evenly over all cells, and say which slots get a request that it does not answer."""
    bank = demand.sources.documents
    assert bank is not None
    parents = dealt(demand, bank.ids(demand.split), NAME)
    lacks = marked(demand, params.unanswerable, lambda cell: leaf_of(cell.name).may_lack, NAME)
    skills = [[demand.cell.name, *([LACKING] if lack else [])] for lack in lacks[: len(parents)]]
    return Plan(pl.Series(skills, dtype=STRINGS), pl.Series([[one] for one in parents], dtype=STRINGS))


def talk(params: AgentInstructParams, brief: Brief, rng: Rng) -> Talk:
    """Have a document retold, asked about, made harder and answered; Dropped when a check or the judges say no."""
    bank, leaf = brief.sources.documents, leaf_of(brief.skills[0])
    assert bank is not None
    lacking = LACKING in brief.skills
    form = form_of(params, leaf, rng)
    try:
        passage = yield from turns.passage_of(bank.get(brief.parents[0]), form)
        work = yield from turns.asked(leaf, passage, rng)
        for removes in [False] * (params.rounds - lacking) + [True] * lacking:
            work = yield from turns.refined(work, removes, rng)
        draft = yield from turns.answered(work, f"{leaf.skill}.{form}", rng)
        grades = yield from turns.graded(work, draft.verifier["gold"], params.votes)
    except turns.Off as off:
        return Dropped(*off.args)
    return replace(draft, parents=list(brief.parents), grades=grades)


def form_of(params: AgentInstructParams, leaf: Leaf, rng: Rng) -> str:
    """Return the form that a passage gets. What asks about arguments or speakers gets a text that has them."""
    as_is = rng.chance(params.as_is) and leaf.suits_any
    return turns.AS_IS if as_is else rng.pick(leaf.forms)


def rubrics(params: AgentInstructParams) -> list[Rubric]:
    """Return the rubric that rows are judged by."""
    return [load_rubric(turns.RUBRIC)]


AGENT_INSTRUCT = Recipe(
    name=NAME,
    version=1,
    about="documents become passages, passages requests, requests harder ones; answers rest on the passage, or abstain",
    paper="AgentInstruct, arXiv 2407.03502",
    params=AgentInstructParams,
    cells=cells,
    assign=assign,
    talk=talk,
    prompts=(
        turns.TRANSFORM,
        turns.ASK,
        turns.ASK_EDIT,
        turns.SUGGEST,
        turns.EDIT,
        turns.ANSWER,
        turns.ABSTAIN,
        *GRADING,
    ),
    needs=("documents",),
    rubrics=rubrics,
    labels=lambda: {leaf.skill: (leaf.group, leaf.asks) for leaf in leaves().values()} | GAP,
    depth_is_level=False,
)
