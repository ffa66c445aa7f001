"""Instruct-SkillMix (arXiv 2408.14774): k language skills and a query type become an instruction and its response.

Author, critic and editor are requests of their own, and every reply with parts is JSON of a schema, so no residue of
parsing can exist (2.1 % of the released rows carry some). The final pair is that of the last complete turn. Judges then
say point by point whether the row is what it should be; the paper takes the teacher's word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, field_validator

from factory.artifacts.digest import Rng
from factory.gates.judge import PROMPTS as GRADING
from factory.gates.judge import judged, mark_of, prompt_and_response
from factory.gates.rubric import load_rubric
from factory.gates.text import first_fault
from factory.recipes.lists import QueryType, query_types, situation
from factory.recipes.mixing import mixed_skills
from factory.recipes.recipe import Ask, Asking, Brief, Cell, Demand, Draft, Dropped, Plan, Recipe, RecipeParams, Talk
from factory.skills.language.skill import LanguageSkill
from factory.teacher.protocol import Reply, Sampling

AUTHOR, CRITIC, EDITOR = "instruct-skillmix/author.v1", "instruct-skillmix/critic.v1", "instruct-skillmix/editor.v1"
RUBRIC = "instruction-response"
LONG = Sampling(max_tokens=4096)


class InstructSkillMixParams(RecipeParams):
    """What a job may say of Instruct-SkillMix."""

    recipe: Literal["instruct-skillmix"]
    k: tuple[int, ...] = Field(default=(2,), min_length=1, description="How many skills a row combines: 1, 2 and 3.")
    votes: int = Field(default=3, ge=0, le=9, description="Judges' votes on each row; 0 takes the editor's word.")
    critics: int = Field(default=1, ge=0, le=2, description="Rounds of criticism and editing.")
    query_types: tuple[QueryType, ...] | None = Field(
        default=None, min_length=1, description="{name, definition, examples} each; default: the 16 shipped ones."
    )

    @field_validator("k")
    @classmethod
    def _k(cls, k: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= n <= 3 for n in k) or len(set(k)) != len(k):
            raise ValueError(f"k is {list(k)}; it must be different numbers from 1 to 3")
        return k


def cells(params: InstructSkillMixParams) -> list[Cell]:
    """Return one cell for each k and query type: their quotas are exact."""
    return [Cell(f"k={k}, {name}", k) for k in params.k for name in query_types(params.query_types)]


def assign(params: InstructSkillMixParams, demand: Demand) -> Plan:
    """Plan k-tuples of skills, least-used-first over all query types, no near-synonyms together."""
    return Plan(mixed_skills(demand, "instruct-skillmix"))


def talk(params: InstructSkillMixParams, brief: Brief, rng: Rng) -> Talk:
    """Have a pair written, criticised, edited and judged; Dropped when none is complete or a point is not met."""
    pool = brief.sources.skills
    assert pool is not None
    skills = [pool.get(name) for name in brief.skills]
    written = _written(params, brief, skills, rng)
    if not params.votes:
        return (yield from written)
    asked = {"skills": "\n".join(f"- {skill.said}" for skill in skills)}
    return (
        yield from judged(written, load_rubric(RUBRIC), lambda draft: asked | prompt_and_response(draft), params.votes)
    )


def _written(params: InstructSkillMixParams, brief: Brief, skills: Sequence[LanguageSkill], rng: Rng) -> Talk:
    """Have a pair written, criticised and edited; the last complete turn is the row."""
    kind = brief.cell.partition(", ")[2]
    told = [{"name": s.label, "definition": s.definition, "positive": s.positive} for s in skills]
    about: dict[str, Any] = {"skills": told, "query_type": query_types(params.query_types)[kind]}
    drawn = situation(rng, brief.slot)
    about["length"] = drawn["length"]
    (first,) = yield [Ask(AUTHOR, {**about, **drawn}, example_of(skills, kind, drawn), sampling=LONG)]
    first.need()
    last = first
    for _ in range(params.critics):
        last = yield from _edited(last, about)
    instruction, response = said(last)
    if last is first and (fault := first_fault(instruction, response)):
        return Dropped(*fault)  # before any vote is paid for; an edited pair was looked at
    verifier = {"kind": "rubric", "gold": response, "args": {"rubric": RUBRIC}}
    flags = ["unedited"] if params.critics and last is first else []
    shape, reasoning = "+".join(sorted(brief.skills)), last.reasoning or ""
    return Draft({}, verifier, kind, instruction, "", flags=flags, shape=shape, reasoning=reasoning)


def said(reply: Reply) -> tuple[str, str]:
    """Return the instruction and the response of a complete turn."""
    return reply.parsed["instruction"].strip(), reply.parsed["response"].strip()


def _edited(last: Reply, about: Mapping[str, Any]) -> Asking[Reply]:
    """Return the reply with the edited pair, or the last one where criticism or editing gave nothing complete."""
    instruction, response = said(last)
    given = {**about, "instruction": instruction, "response": response, "mark": mark_of([instruction, response])}
    example = {"strengths": "It is particular.", "faults": [], "skills_missing": []}
    (critic,) = yield [Ask(CRITIC, given, example, sampling=Sampling(max_tokens=2048))]
    if critic.failure:
        return last
    same = {"instruction": "", "response": response}
    (editor,) = yield [Ask(EDITOR, {**given, **critic.parsed}, same, sampling=LONG)]
    if editor.failure:
        return last
    whole = {**editor.parsed, "instruction": editor.parsed["instruction"].strip() or instruction}
    better = replace(editor, parsed=whole)
    return last if first_fault(*said(better)) else better


def example_of(skills: Sequence[LanguageSkill], kind: str, drawn: Mapping[str, str]) -> dict[str, str]:
    """Return a reply of the right form, for estimates and for the teacher that is no model: nothing to train on."""
    names = " and ".join(skill.label for skill in skills)
    body = " ".join(f"{s.label.capitalize()} means this here: {s.definition or 'what its name says'}" for s in skills)
    return {
        "plan": f"A {kind} request in which {names} come in.",
        "instruction": f"{drawn['person'].capitalize()} has a question of the kind {kind.replace('_', ' ')}, since"
        f" {drawn['moment']}: how do {names} help to decide it before Friday?",
        "response": f"{body} For {drawn['person']} that comes to three things: take the first case as it is, write down"
        " what speaks against it, and decide before noon on Thursday, while there is still a day to change it.",
    }


INSTRUCT_SKILLMIX = Recipe(
    name="instruct-skillmix",
    version=1,
    about="k language skills and a query type become an instruction and a response: author, critic, editor, judges",
    paper="Instruct-SkillMix, arXiv 2408.14774",
    params=InstructSkillMixParams,
    cells=cells,
    assign=assign,
    talk=talk,
    prompts=(AUTHOR, CRITIC, EDITOR, *GRADING),
    needs=("skills",),
    rubrics=lambda params: [load_rubric(RUBRIC)] if params.votes else [],
    depth_is_level=False,
    copied="prompt",
)
