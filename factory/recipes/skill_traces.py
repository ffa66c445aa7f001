"""Skills-in-Context (arXiv 2308.00304) on chains: every step of a solution names the basic skill that it uses.

The teacher picks each step's skill from a closed list, in which the chain's own skills stand among others. Checked by
program: the named skills are those of the chain in its order, the value of every problem of the chain that is a number
stands in its steps, and the final answer is the computed one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from factory.artifacts.digest import Rng
from factory.gates.reply import completion
from factory.recipes import chains
from factory.recipes.recipe import (
    NOTHING,
    Ask,
    Brief,
    Cell,
    Demand,
    Draft,
    Dropped,
    Plan,
    Recipe,
    Talk,
    level_cells,
)
from factory.recipes.trace_checks import closed_list, label, schema_of, steps_fault, trace_fault
from factory.skills.library import OPERATIONS
from factory.skills.tree import evaluate, nodes
from factory.teacher.protocol import Sampling

TRACE = "skill-traces/trace.v1"
LEADING = re.compile(r"^\s*(?:\[[^\]\n]*\]\s*|\(?\d{1,2}[.)]\s+)+")
NUMBERED = re.compile(r"\n(?=\d+\. )")
NAMING = (
    "Solve it in steps, and begin each step with the name of the basic skill it uses, in square brackets.",
    "Before each step of your solution, name the basic skill that it applies in square brackets.",
    "Show your steps. Each starts with the skill behind it in square brackets, such as [long division].",
)
LISTED = ("These are the basic skills you may build on:", "Basic skills:", "Use these skills, each for what it says:")


class SkillTracesParams(chains.OnChainsParams):
    """What a job may say of skill traces."""

    recipe: Literal["skill-traces"]
    distractors: int = Field(
        default=4, ge=0, le=12, description="Skills of the closed list that a chain has no use for."
    )
    show_skills: float = Field(default=1.0, ge=0, le=1, description="Share of rows whose prompt lists the skills.")


def assign(params: SkillTracesParams, demand: Demand) -> Plan:
    """Plan chains of skills on streams of their own, also in a job with seeds: those have no named skills."""
    return chains.assign(params.underneath, replace(demand, tag=f"skill-traces/{demand.tag}", sources=NOTHING))


def talk(params: SkillTracesParams, brief: Brief, rng: Rng) -> Talk:
    """Have a chain solved in steps that name their skills; Dropped where skills, values or answer are wrong."""
    drawn = chains.draw_sound(params.underneath, replace(brief, sources=NOTHING), rng)
    if isinstance(drawn, Dropped):
        return drawn
    listed = closed_list(brief, params.distractors, rng)
    shown, naming, heading = rng.chance(params.show_skills), rng.pick(NAMING), rng.pick(LISTED)
    told = [{"name": label(skill), "about": skill.about} for skill in listed]
    ask = Ask(
        TRACE,
        {"problem": drawn.prompt, "skills": told},
        _example(drawn),
        sampling=Sampling(temperature=0.7, max_tokens=3072),
        schema=schema_of([skill["name"] for skill in told]),
    )
    (reply,) = yield [ask]
    trace = reply.need()
    if fault := trace_fault(trace, drawn, [skill["name"] for skill in told]):
        return Dropped(*fault)
    texts = [LEADING.sub("", step["text"]).strip() for step in trace["steps"]]
    lines = [f"- {skill['name']}: {skill['about']}" for skill in told]
    before = "\n".join((heading, *lines, "", naming)) if shown else naming
    prompt, phrasing = f"{before}\n\n{drawn.prompt}", f"{'shown' if shown else 'unnamed'}.{drawn.phrasing}"
    if fault := steps_fault(prompt, completion("\n".join(texts), drawn.verifier)):  # names in brackets look left open
        return Dropped(*fault)
    steps = "\n".join(f"[{step['skill']}] {text}" for step, text in zip(trace["steps"], texts, strict=True))
    return replace(drawn, prompt=prompt, steps=steps, phrasing=phrasing, reasoning=reply.reasoning or "")


def _example(drawn: Draft) -> dict[str, Any]:
    """Return a right trace: the work of each skill as the program does it."""
    parts = list(nodes(drawn.tree))
    works = NUMBERED.split(drawn.steps) if len(parts) > 1 else [drawn.steps]
    steps = [
        {"skill": label(OPERATIONS[part["skill"]]), "text": f"{work} The result is {evaluate(part)}."[:1200]}
        for part, work in zip(parts, works, strict=False)
    ]
    return {"steps": steps, "answer": drawn.verifier["gold"]}


def cells(params: SkillTracesParams) -> list[Cell]:
    """Return one cell a horizon."""
    return level_cells(params.levels)


SKILL_TRACES = Recipe(
    name="skill-traces",
    version=1,
    about="chains whose solutions name the basic skill of each step, from a closed list that the prompt may show",
    paper="Skills-in-Context, arXiv 2308.00304, on chains",
    params=SkillTracesParams,
    cells=cells,
    assign=assign,
    talk=talk,
    prompts=(TRACE,),
    gold=chains.gold,
)
