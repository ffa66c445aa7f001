"""Answers to the user's own instructions: several samples each, of which agreement or a judge says what is good.

`agree` is for problems with a definite answer: enough independent solutions must reach the same one (self-consistency,
arXiv 2203.11171), and that of the instruction's reference, if it has one. `best` is for everything else: judges grade
each sample by a rubric (rejection sampling). Either way a clearly worse reply is kept as the rejected one of a pair.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Literal

import polars as pl
from pydantic import Field, field_validator, model_validator

from factory.artifacts.digest import Rng, permutation
from factory.errors import MissingExtra, QuotaUnmet
from factory.gates.judge import GRADE, PREFER
from factory.gates.rubric import Rubric, load_rubric
from factory.recipes.answering import Bar, best_answer, shared_answer
from factory.recipes.recipe import Brief, Cell, Demand, Dropped, JudgeSpec, Plan, Recipe, RecipeParams, Talk
from factory.recipes.sampling import ANSWER, MARGIN, SOLVE
from schemas.columns import STRINGS

SKILL_OF = {"agree": "definite_problem", "best": "open_instruction"}  # what a row is told to train


class AnswersParams(RecipeParams):
    """What a job may say of answers to instructions."""

    recipe: Literal["answers"]
    cap: float = Field(default=1.0, gt=0, le=1, description="Of no effect: each row has an instruction of its own.")
    how: Literal["agree", "best"] = Field(default="best", description="Who decides: other solutions, or judges.")
    n: int = Field(default=4, ge=1, le=32, description="Samples for each instruction.")
    take: Literal["all", "with_reference", "without_reference"] = Field(
        default="all", description="Which of the job's instructions."
    )
    kind: Literal["number", "text", "math", "reference"] = Field(
        default="text", description="agree: how answers are compared; `reference`: with the reference answer alone."
    )
    at_least: int = Field(default=3, ge=1, le=32, description="agree: so many of the n must give the answer.")
    votes: int = Field(default=3, ge=1, le=9, description="best: judges' votes on each sample.")
    rubric: str = Field(default="sound-response", description="best: what samples are graded by.")
    full_marks: bool = Field(default=True, description="best: the best sample must meet the rubric, too.")
    margin: float = Field(default=MARGIN, gt=0, le=1, description="best: how far below it a rejected one must be.")
    compare: int = Field(
        default=1, ge=0, le=5, description="best: pairwise votes that must prefer it; each in both orders."
    )

    @field_validator("rubric")
    @classmethod
    def _rubric(cls, name: str) -> str:
        return JudgeSpec(rubric=name).rubric

    @model_validator(mode="after")
    def _fit(self) -> AnswersParams:
        if self.how == "agree" and self.at_least > self.n:
            raise ValueError(f"at_least is {self.at_least}, but there are only {self.n} samples")
        if self.how == "agree" and self.kind == "reference" and self.take == "without_reference":
            raise ValueError("kind: reference compares with references, and take leaves out what has one")
        return self


def cells(params: AnswersParams) -> list[Cell]:
    """Return the one cell of an entry, named after what its instructions are taken for."""
    return [Cell("problem" if params.how == "agree" else "open", 1)]


def assign(params: AnswersParams, demand: Demand) -> Plan:
    """Give each slot an instruction of its own, later rounds those left over; QuotaUnmet where there are too few."""
    bank, wanted = demand.sources.instructions, sum(n for _, n in demand.planned) or demand.n
    assert bank is not None
    if params.how == "agree" and params.kind == "math" and find_spec("math_verify") is None:
        raise MissingExtra("comparing answers as mathematics", "math")
    take = "with_reference" if params.how == "agree" and params.kind == "reference" else params.take
    mine = [
        i for i in bank.ids(demand.split) if take == "all" or bool(bank.get(i).reference) == (take == "with_reference")
    ]
    if wanted > len(mine):
        which = "" if take == "all" else f" {take.replace('_', ' a ')} answer"
        raise QuotaUnmet(
            f"recipe 'answers', {demand.cell.name}, split {demand.split}: {wanted} rows are asked for, and there are"
            f" {len(mine)} instructions{which}. Ask for fewer rows, bring more instructions, or change heldout: one"
            " instruction in ten is held out"
        )
    order = permutation(demand.seed, f"answers/{demand.entry}/{demand.split}", len(mine))
    first = demand.round * wanted
    parents = [[mine[order[(first + i) % len(mine)]]] for i in range(demand.n)]
    skills = [[SKILL_OF[params.how]]] * demand.n
    return Plan(pl.Series(skills, dtype=STRINGS), pl.Series(parents, dtype=STRINGS))


def talk(params: AnswersParams, brief: Brief, rng: Rng) -> Talk:
    """Have an instruction answered n times; Dropped where too few agree, or the best is not good enough."""
    bank = brief.sources.instructions
    assert bank is not None
    given = bank.get(brief.parents[0])
    if params.how == "agree":
        made = yield from shared_answer(given, params.kind, params.n, params.at_least, rng)
    else:
        rubric = load_rubric(params.rubric)
        bar = Bar(params.votes, params.margin, params.full_marks, params.compare)
        made = yield from best_answer(given, rubric, params.n, bar)
    return made if isinstance(made, Dropped) else replace(made, parents=[given.id], phrasing=given.id)


def labels() -> dict[str, tuple[str, str]]:
    """Return what rows are told to train, with its family and meaning: no skill, so both splits have it."""
    return {
        SKILL_OF["agree"]: ("instructions", "Solving a problem that has one answer."),
        SKILL_OF["best"]: ("instructions", "Answering an instruction that can be answered well in many ways."),
    }


def rubrics(params: AnswersParams) -> list[Rubric]:
    """Return the rubric that samples are graded by, where they are."""
    return [load_rubric(params.rubric)] if params.how == "best" else []


ANSWERS = Recipe(
    name="answers",
    version=1,
    about="instructions of the user's, answered several times: the answer that most reach, or the best by a rubric",
    paper="Self-consistency, arXiv 2203.11171, and best-of-n sampling",
    params=AnswersParams,
    cells=cells,
    assign=assign,
    talk=talk,
    prompts=(ANSWER, SOLVE, GRADE, PREFER),
    needs=("instructions",),
    rubrics=rubrics,
    labels=labels,
    depth_is_level=False,
)
