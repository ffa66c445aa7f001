"""MetaMath's rephrasing (arXiv 2309.12284) of chains: a teacher says a problem anew, and solvers must reach its answer.

The tree and its gold are those of `chains`; only the words are the teacher's. That they still mean the same is shown
twice: by program, every number and quoted text is there, and by agreement, independent solutions of the new words give
the computed gold. The first of these solutions becomes the row's steps.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from pydantic import Field, model_validator

from factory.artifacts.digest import Rng
from factory.recipes import chains
from factory.recipes.recipe import (
    ANSWER_LINES,
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
from factory.score import final_answer, score
from factory.teacher.protocol import Reply, Sampling

FORMS = (
    "a short story about one or two people",
    "a note that somebody leaves for a colleague",
    "a dialogue between two speakers, of whom one needs the answer",
    "a plain, factual description without any setting",
    "a puzzle that a reader of a magazine could enjoy",
    "a customer's request to a clerk",
    "an entry in a logbook that ends with an open question",
    "a work order with its steps in running text",
)
REPHRASE, SOLVE = "rephrased/rephrase.v1", "rephrased/solve.v1"
MARKER = re.compile(r"^(?:Problem |Step |\()\d+[.:)]", re.MULTILINE)
LABEL = re.compile(r"\b[AB]\d\b")
# Numbers of one digit are not looked for: "3 × A1 - 1" may well become "triple it and take one away".
FACT = re.compile(r"\d+(?:[.:/-]\d+|,\d{3}(?!\d))+|\d{2,}|\"[^\"\n]+\"|(?<!\w)'[^'\n]+'(?!\w)")
ANSWER_LINE = re.compile(r"^[ \t>#*_]*(?:final[ \t]+)?answer[ \t]*[*_]*[ \t]*:", re.IGNORECASE | re.MULTILINE)


class RephrasedParams(chains.OnChainsParams):
    """What a job may say of rephrased chains."""

    recipe: Literal["rephrased"]
    votes: int = Field(default=2, ge=1, le=16, description="Independent solutions of each rewritten problem.")
    agree: int = Field(default=2, ge=1, le=16, description="How many of them must reach the computed answer.")

    @model_validator(mode="after")
    def _agree(self) -> RephrasedParams:
        if self.agree > self.votes:
            raise ValueError(f"agree is {self.agree}, but there are only {self.votes} votes")
        return self


def assign(params: RephrasedParams, demand: Demand) -> Plan:
    """Plan as chains do, on streams of their own."""
    return chains.assign(params.underneath, replace(demand, tag=f"rephrased/{demand.tag}"))


def talk(params: RephrasedParams, brief: Brief, rng: Rng) -> Talk:
    """Draw a chain, have it said anew, have it solved; Dropped when facts are lost or the solutions disagree."""
    drawn = chains.draw_sound(params.underneath, brief, rng)
    if isinstance(drawn, Dropped):
        return drawn
    original, _, end = drawn.prompt.rpartition("\n")
    close = next(line for line in (*ANSWER_LINES, *chains.BLOCK_LINES) if end.endswith(line))
    form = rng.below(len(FORMS))
    facts = facts_of(original)
    given = {"problem": original, "form": FORMS[form], "facts": facts}
    (said,) = yield [Ask(REPHRASE, given, {"problem": original}, sampling=Sampling(max_tokens=2048))]
    problem = str(said.need()["problem"]).strip()
    if lost := [fact for fact in facts if not _has(problem, fact)]:
        return Dropped("facts_kept", f"the rewritten problem lacks {', '.join(lost[:5])}")
    prompt = f"{problem}\n{close}"
    solved = f"{drawn.steps}\nAnswer: {drawn.verifier['gold']}"
    ask = Ask(SOLVE, {"problem": prompt}, solved, role="judge", sampling=Sampling(temperature=0.7, max_tokens=2048))
    votes = yield [replace(ask, repeat=i) for i in range(params.votes)]
    right = [vote for vote in votes if is_right(vote, drawn)]
    if len(right) < params.agree:
        return Dropped("solutions_agree", f"{len(right)} of {params.votes} solutions reach {drawn.verifier['gold']!r}")
    return replace(drawn, prompt=prompt, phrasing=f"rephrased.{form}", steps=steps_of(right, drawn))


def facts_of(problem: str) -> list[str]:
    """Return the numbers and quoted texts of a problem, each once, without its numbering and its labels."""
    plain = LABEL.sub(" ", MARKER.sub(" ", problem))
    return list(dict.fromkeys(FACT.findall(plain)))


def _has(text: str, fact: str) -> bool:
    """Return whether a fact stands in a text by itself; a quoted text may be quoted otherwise."""
    if not fact[0].isdigit():
        return fact[1:-1] in text
    return re.search(rf"(?<!\d)(?<!\d\.){re.escape(fact)}(?!\d)(?!\.\d)", text) is not None  # 12 is not in 12.5


def is_right(vote: Reply, drawn: Draft) -> bool:
    """Return whether a solution reaches the computed answer."""
    return vote.failure is None and score(vote.text, drawn.verifier).value == 1.0


def steps_of(right: list[Reply], drawn: Draft) -> str:
    """Return the first right solution that has steps, without its answer line; else those of the chain."""
    return next((steps for vote in right if (steps := _work(vote.text))), drawn.steps)


def _work(text: str) -> str:
    """Return what stands before the last answer line; nothing where the text is a bare answer."""
    marks = [mark.start() for mark in ANSWER_LINE.finditer(text)]
    if marks:
        return text[: marks[-1]].strip()
    return "" if final_answer(text) == text.strip() else text.strip()


def cells(params: RephrasedParams) -> list[Cell]:
    """Return one cell a horizon."""
    return level_cells(params.levels)


REPHRASED = Recipe(
    name="rephrased",
    version=2,
    about="chains in a teacher's words; every number kept, and independent solutions reach the computed answer",
    paper="MetaMath's rephrasing, arXiv 2309.12284, on chains",
    params=RephrasedParams,
    cells=cells,
    assign=assign,
    talk=talk,
    prompts=(REPHRASE, SOLVE),
    gold=chains.gold,
)
