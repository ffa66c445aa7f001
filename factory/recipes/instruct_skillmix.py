"""Instruct-SkillMix (arXiv 2408.14774): k language skills and a query type become an instruction and its response.

Author, critic and editor are requests of their own, and every reply with parts is JSON of a schema, so no residue of
parsing can exist (2.1 % of the released rows carry some). The final pair is that of the last complete turn. Judges then
say point by point whether the row is what it should be; the paper takes the teacher's word.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from factory.artifacts.digest import Rng
from factory.gates.judge import PROMPTS as GRADING
from factory.gates.judge import failed_points, grade, mark_of, passes
from factory.gates.rubric import Rubric, load_rubric
from factory.gates.text import first_fault
from factory.recipes.lists import shipped_list
from factory.recipes.mixing import mixed_skills
from factory.recipes.recipe import Ask, Brief, Cell, Demand, Draft, Dropped, Plan, Recipe, RecipeParams, Talk
from factory.skills.language.skill import LanguageSkill
from factory.teacher.protocol import Reply, Sampling

AUTHOR, CRITIC, EDITOR = "instruct-skillmix/author.v1", "instruct-skillmix/critic.v1", "instruct-skillmix/editor.v1"
RUBRIC = "instruction-response"
LONG = Sampling(max_tokens=4096)


class QueryType(BaseModel):
    """A kind of request, as prompts tell of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=60)
    definition: str = Field(max_length=600)
    examples: tuple[str, ...] = Field(default=(), max_length=4)


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


class Pair(NamedTuple):
    """An instruction and its response, and which turn wrote them."""

    instruction: str
    response: str
    turn: str
    reasoning: str


def query_types(params: InstructSkillMixParams) -> dict[str, dict[str, Any]]:
    """Return the query types by name, each as prompts are told of it."""
    given = [one.model_dump() for one in params.query_types or ()] or shipped_list("query-types")["query_types"]
    return {entry["name"]: {**entry, "name": entry["name"].replace("_", " ")} for entry in given}


def cells(params: InstructSkillMixParams) -> list[Cell]:
    """Return one cell for each k and query type: their quotas are exact."""
    return [Cell(f"k={k}, {name}", k, name) for k in params.k for name in query_types(params)]


def assign(params: InstructSkillMixParams, demand: Demand) -> Plan:
    """Plan k-tuples of skills, least-used-first over all query types, no near-synonyms together."""
    return Plan(mixed_skills(demand, "instruct-skillmix"))


def talk(params: InstructSkillMixParams, brief: Brief, rng: Rng) -> Talk:
    """Have a pair written, criticised and edited; Dropped when none is complete or the judges find a point unmet."""
    pool = brief.sources.skills
    assert pool is not None
    skills = [pool.get(name) for name in brief.skills]
    kind = brief.cell.partition(", ")[2]
    about = {"skills": told(skills), "query_type": query_types(params)[kind]}
    situation = shipped_list("situations")
    drawn = {one: rng.pick(situation[many]) for one, many in SITUATION.items()}
    (reply,) = yield [Ask(AUTHOR, {**about, **drawn}, example_of(skills, kind, drawn), sampling=LONG)]
    pair = pair_of(reply, "author")
    if pair is None:
        reply.need()  # raises: its failure is the reason
        return Dropped("complete_turn", "the author's reply has no instruction or no response")
    for _ in range(params.critics):
        pair = yield from _edited(pair, about)
    if pair.turn == "author" and (fault := first_fault(pair.instruction, pair.response)):
        return Dropped(*fault)  # before any vote is paid for; an edited pair was looked at
    verifier = {"kind": "rubric", "gold": pair.response, "args": {"rubric": RUBRIC}}
    flags = [] if pair.turn == "editor" or not params.critics else ["unedited"]
    shape = "+".join(sorted(brief.skills))
    draft = Draft({}, verifier, kind, pair.instruction, "", flags=flags, shape=shape, reasoning=pair.reasoning)
    return draft if not params.votes else (yield from _judged(draft, skills, params.votes))


SITUATION = {"person": "people", "moment": "moments", "shape": "shapes", "register": "registers"}


def told(skills: Sequence[LanguageSkill]) -> list[dict[str, str]]:
    """Return skills as prompts are given them."""
    return [{"name": s.label, "definition": s.definition, "positive": s.positive} for s in skills]


def _edited(pair: Pair, about: Mapping[str, Any]) -> Generator[list[Ask], list[Reply], Pair]:
    """Return the pair after a criticism and its editing, or as it was where either gave nothing complete."""
    given = {**about, "instruction": pair.instruction, "response": pair.response}
    given["mark"] = mark_of([pair.instruction, pair.response])
    example = {"strengths": "It is particular.", "faults": [], "skills_missing": []}
    (reply,) = yield [Ask(CRITIC, given, example, sampling=Sampling(max_tokens=2048))]
    if reply.failure:
        return pair
    same = {"instruction": pair.instruction, "response": pair.response}
    (edited,) = yield [Ask(EDITOR, {**given, **reply.parsed}, same, sampling=LONG)]
    better = pair_of(edited, "editor")
    return pair if better is None or first_fault(better.instruction, better.response) else better


def pair_of(reply: Reply, turn: str) -> Pair | None:
    """Return the pair of a complete turn; None where the reply failed or a part is empty."""
    if reply.failure or not isinstance(reply.parsed, dict):
        return None
    instruction, response = (str(reply.parsed[part]).strip() for part in ("instruction", "response"))
    return Pair(instruction, response, turn, reply.reasoning or "") if instruction and response else None


def _judged(draft: Draft, skills: Sequence[LanguageSkill], votes: int) -> Talk:
    rubric = load_rubric(RUBRIC)
    asked = "\n".join(f"- {skill.said}" for skill in skills)
    inputs = {"skills": asked, "instruction": draft.prompt, "response": draft.verifier["gold"]}
    grades = yield from grade(rubric, inputs, votes)
    if passed := passes(rubric, grades):
        return replace(draft, grades=grades)
    return Dropped("undecided" if passed is None else "rubric_met", failed_points(rubric, grades))


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


def rubrics(params: InstructSkillMixParams) -> list[Rubric]:
    """Return the rubric that rows are judged by."""
    return [load_rubric(RUBRIC)] if params.votes else []


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
    rubrics=rubrics,
    depth_is_level=False,
)
