"""Semantic soft bootstrapping (arXiv 2512.05105) on chains: a right and a popular wrong attempt become one solution.

Only problems that the author sometimes solves and sometimes does not are kept. It then sees a right attempt and one
with its most popular wrong answer, not told which is which, and writes a solution that stands alone. The program's
gold decides what is right, so nobody judges. The wrong attempt stays as the rejected reply of a preference pair.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from factory.artifacts.digest import Rng
from factory.gates.equal import groups
from factory.gates.reply import completion
from factory.recipes import chains
from factory.recipes.recipe import (
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
from factory.recipes.rephrased import steps_of
from factory.recipes.trace_checks import steps_fault
from factory.score import score, wrong_answers
from factory.teacher.protocol import Reply, Sampling

ATTEMPT, WRITE = "contrastive-solution/attempt.v1", "contrastive-solution/write.v1"
ROLLOUT = Sampling(temperature=0.8, max_tokens=2048)
WRITING = Sampling(temperature=0.4, max_tokens=2048)
_TRY = r"(?:attempt|solution|approach|version|draft|student|solver)"
_WHICH = r"(?:first|second|other|previous|earlier|given|wrong|incorrect|correct|right|two|both|either|one)"
OTHERS = re.compile(
    rf"\b{_TRY}s?\s+(?:[AB]|[12]|one|two)\b|\b{_WHICH}(?:\s+of\s+the)?\s+{_TRY}s?\b|\bhints?\b"
    r"|\b(?:unlike|contrary to|as opposed to) the (?:other|first|second)\b",
    re.IGNORECASE,
)


class ContrastiveSolutionParams(chains.OnChainsParams):
    """What a job may say of contrastive solutions."""

    recipe: Literal["contrastive-solution"]
    rollouts: int = Field(default=4, ge=2, le=32, description="Attempts of the author at each problem.")


def assign(params: ContrastiveSolutionParams, demand: Demand) -> Plan:
    """Plan as chains do, of skills or of the job's seeds, on streams of their own."""
    return chains.assign(params.underneath, replace(demand, tag=f"contrastive-solution/{demand.tag}"))


def talk(params: ContrastiveSolutionParams, brief: Brief, rng: Rng) -> Talk:
    """Have a chain attempted, and a solution written from a right and a wrong attempt; Dropped where all are alike."""
    drawn = chains.draw_sound(params.underneath, brief, rng)
    if isinstance(drawn, Dropped):
        return drawn
    attempts = yield [
        Ask(ATTEMPT, {"problem": drawn.prompt}, _example(drawn, i + 1 < params.rollouts), repeat=i, sampling=ROLLOUT)
        for i in range(params.rollouts)
    ]
    pair = right_and_wrong(attempts, drawn, rng)
    if isinstance(pair, Dropped):
        return pair
    first, second = rng.shuffled(pair)
    given = {"problem": drawn.prompt, "first": first, "second": second}
    (reply,) = yield [Ask(WRITE, given, _example(drawn, True), sampling=WRITING)]
    return _finished(str(reply.need()).strip(), replace(drawn, reasoning=reply.reasoning or "", rejected=pair[1]))


def _example(drawn: Draft, right: bool) -> str:
    answer = drawn.verifier["gold"] if right else wrong_answers(drawn.verifier)["broken"]
    return completion(drawn.steps, {**drawn.verifier, "gold": answer})


def right_and_wrong(attempts: Sequence[Reply], drawn: Draft, rng: Rng) -> tuple[str, str] | Dropped:
    """Return a right attempt and the first with the most popular wrong answer; Dropped unless there are both."""
    texts = [reply.text.strip() for reply in attempts if reply.failure is None and reply.text.strip()]
    values = [score(text, drawn.verifier).value for text in texts]
    right, wrong = ([text for text, v in zip(texts, values, strict=True) if v == wanted] for wanted in (1.0, 0.0))
    if right and wrong:
        return rng.pick(right), wrong[groups(wrong, drawn.verifier)[0][0]]
    counts = (
        f"{len(right)} of {len(attempts)} attempts are right, {len(wrong)} wrong, {len(attempts) - len(texts)} failed"
    )
    return Dropped("pass_rate_inside", counts)


def _finished(text: str, drawn: Draft) -> Draft | Dropped:
    """Return the row of a written solution, or why it is none: wrong, about other attempts, bare, or faulty."""
    found = score(text, drawn.verifier)
    if found.value != 1.0:
        return Dropped("solution_verifies", f"the solution's answer is not {drawn.verifier['gold']!r}: {found.reason}")
    if told := next((m[0] for m in OTHERS.finditer(text) if m[0].lower() not in drawn.prompt.lower()), ""):
        return Dropped("stands_alone", f"the solution speaks of other attempts: {told!r}")
    steps = steps_of([Reply(text=text)], replace(drawn, steps=""))
    if not steps:
        return Dropped("solution_shown", "it is a bare answer")
    if fault := steps_fault(drawn.prompt, completion(steps, drawn.verifier)):
        return Dropped(*fault)
    return replace(drawn, steps=steps, phrasing=f"contrastive.{drawn.phrasing}")


def cells(params: ContrastiveSolutionParams) -> list[Cell]:
    """Return one cell a horizon."""
    return level_cells(params.levels)


CONTRASTIVE_SOLUTION = Recipe(
    name="contrastive-solution",
    version=1,
    about="chains that are solved only sometimes; a right and a popular wrong attempt become one robust solution",
    paper="Semantic Soft Bootstrapping, arXiv 2512.05105, on chains",
    params=ContrastiveSolutionParams,
    cells=cells,
    assign=assign,
    talk=talk,
    prompts=(ATTEMPT, WRITE),
    gold=chains.gold,
)
