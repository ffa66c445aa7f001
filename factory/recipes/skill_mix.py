"""Skill-Mix as training data (arXiv 2310.17567, 2409.19808): short texts that show k skills on a topic, kept by grade.

The author writes in two turns, a draft and its revision. Judges vote on k + 3 points; a program has the last word on
the number of sentences and on skills that are named. Topics are split between train and heldout as skills are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Literal

import polars as pl
from pydantic import Field, field_validator

from factory.artifacts.digest import Rng, row_rng, text_digest
from factory.gates.judge import GRADE, failed_points
from factory.gates.rubric import Rubric
from factory.gates.skill_points import (
    REVISE,
    WRITE,
    Mark,
    Task,
    all_skills,
    by_program,
    checks,
    faults,
    full_marks,
    graded,
    points_of,
    rubric,
    written,
)
from factory.gates.text import first_fault
from factory.recipes.lists import shipped_list
from factory.recipes.mixing import mixed_skills
from factory.recipes.recipe import Brief, Cell, Demand, Draft, Dropped, Plan, Recipe, RecipeParams, Talk
from factory.recipes.skill_mix_wording import WORDINGS, asked
from factory.recipes.skill_tuples import spread
from schemas.columns import STRINGS

MAX_K = 6
HELD_TOPICS = 0.2  # of the groups of topics: those that only heldout rows are about
TOPIC = "topic:"  # before a topic among a row's parents, by which releases check that the splits share none
KEEP: dict[str, Mark | None] = {"full": full_marks, "all-skills": all_skills, "none": None}


class SkillMixParams(RecipeParams):
    """What a job may say of Skill-Mix."""

    recipe: Literal["skill-mix"]
    k: tuple[int, ...] = Field(
        default=(2, 3), min_length=1, description=f"How many skills a text shows: numbers from 1 to {MAX_K}."
    )
    votes: int = Field(default=3, ge=1, le=9, description="Independent votes on each point; more than half decide.")
    keep: Literal["full", "all-skills", "none"] = Field(
        default="full",
        description="Which texts stay: full marks; all skills and two of the other three points; or every one.",
    )

    @field_validator("k")
    @classmethod
    def _k(cls, k: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= n <= MAX_K for n in k) or len(set(k)) != len(k):
            raise ValueError(f"k is {list(k)}; it must be different numbers from 1 to {MAX_K}")
        return k


def cells(params: SkillMixParams) -> list[Cell]:
    """Return one cell a number of skills."""
    return [Cell(f"k={k}", k) for k in params.k]


@cache
def topics(split: str) -> tuple[str, ...]:
    """Return the topics of a split, all of them for 'all': whole groups are held out, in hash order."""
    listed = shipped_list("topics")["topics"]
    groups = sorted({topic["group"] for topic in listed}, key=text_digest)
    held = groups[: round(HELD_TOPICS * len(groups))]
    return tuple(t["name"] for t in listed if split == "all" or (t["group"] in held) == (split == "heldout"))


def assign(params: SkillMixParams, demand: Demand) -> Plan:
    """Plan tuples of skills least-used-first, and every topic as often as every other (give or take one), over all k.

    A later round spreads its own slots evenly again.
    """
    quotas = demand.open or demand.planned or ((demand.cell, demand.n),)
    tuples = [(cell, mixed_skills(replace(demand, cell=cell), "skill-mix").to_list()) for cell, _ in quotas]
    rng = row_rng(demand.seed, "skill-mix topics", f"{demand.entry}/{demand.split}/{demand.round}")
    about = iter(spread(topics(demand.split), [members for _, mine in tuples for members in mine], rng))
    planned = {cell.name: [(members, [f"{TOPIC}{next(about)}"]) for members in mine] for cell, mine in tuples}
    skills, parents = zip(*planned[demand.cell.name], strict=True)
    return Plan(pl.Series(skills, dtype=STRINGS), pl.Series(parents, dtype=STRINGS))


def talk(params: SkillMixParams, brief: Brief, rng: Rng) -> Talk:
    """Have a text drafted, revised and graded; Dropped when it does not reach what `keep` asks for, or nobody knows."""
    pool = brief.sources.skills
    assert pool is not None
    [parent] = brief.parents
    task = Task(tuple(map(pool.get, brief.skills)), parent.removeprefix(TOPIC))
    wording = rng.below(len(WORDINGS))
    prompt = asked(task, wording)
    found = yield from written(task, told=True)
    if fault := first_fault(prompt, found.text):
        return Dropped(*fault)
    mark = KEEP[params.keep]
    if mark and mark(points_of(task, by_program(task, found.text)))[1] < 1:  # before votes are paid for
        return Dropped("rubric_met", " ".join(faults(task, found.text)))
    grades = yield from graded(task, found.text, params.votes)
    low, high = mark(points_of(task, {g.name: g.value for g in grades})) if mark else (1.0, 1.0)
    if low < 1:
        return Dropped("undecided" if high == 1 else "rubric_met", failed_points(task.rubric, grades))
    return Draft(
        tree={},
        verifier={"kind": "rubric", "gold": found.text, "args": {"checks": checks(task, found.text)}},
        phrasing=f"skill-mix.{wording}",
        prompt=prompt,
        steps="",
        shape=task.topic,
        parents=[parent],
        rejected=found.draft if faults(task, found.draft) and not faults(task, found.text) else "",
        grades=grades,
    )  # the author's reasoning is about a draft that no reader sees, so it is not kept


def rubrics(params: SkillMixParams) -> Sequence[Rubric]:
    """Return the rubric whose gold rows the judges must pass."""
    return [rubric()]


SKILL_MIX = Recipe(
    name="skill-mix",
    version=1,
    about="very short texts that show k language skills on a topic, graded point by point",
    paper="Skill-Mix, arXiv 2310.17567 and 2409.19808",
    params=SkillMixParams,
    cells=cells,
    assign=assign,
    talk=talk,
    prompts=(WRITE, REVISE, GRADE),
    needs=("skills",),
    rubrics=rubrics,
    depth_is_level=False,
    copied="reply",
)
