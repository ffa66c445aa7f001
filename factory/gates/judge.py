"""The judge: a rubric's points by independent votes, and which of two responses is better whichever comes first.

Every vote is a request of its own: another repeat and seed, and another approach to the same points, as votes that read
alike overlook the same faults. A reply that fails, or does not name exactly the points asked for in their order, is a
vote that was not given; it never counts as a no.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from factory.artifacts.digest import digest
from factory.gates.reply import completion
from factory.gates.rubric import GoldRow, Rubric, check_inputs
from factory.gates.votes import majority, same_pairs
from factory.recipes.recipe import Ask, Asking, Draft, Dropped, Grade, Talk
from factory.teacher.protocol import Reply, Role, Sampling

GRADE, PREFER = "judge/grade.v1", "judge/prefer.v1"
PROMPTS = (GRADE,)  # what grading asks with: a recipe whose rows a judge grades names it
TEMPERATURE = 0.7  # of votes: at 0 they would be one vote
APPROACHES = 3  # ways to go through a row, which the prompts know by number
REASON = 400  # characters

Votes = tuple[bool | None, ...]
Grades = tuple[Grade, ...]
Grading = Asking[Grades]
Side = Literal["a", "b"]


# ------------------------------------------------------------------------------------------------------- point by point


def grade(rubric: Rubric, inputs: Mapping[str, str], votes: int = 3, least: int | None = None) -> Grading:
    """Return a Grade for each criterion of a rubric, by so many independent votes; more than half of them decide.

    `inputs` are the rubric's. A point has a value when `least` votes were given for it (default: more than half of
    those asked for) and they are no tie. UserError for inputs that the rubric does not have,
    ValueError for a rubric whose `each` has not been given the row's skills.
    """
    replies = yield [grading(rubric, inputs, i) for i in range(votes)]
    given = [read_points(rubric, reply) for reply in replies]
    needed = votes // 2 + 1 if least is None else least
    return tuple(_grade(name, tuple(vote[i] for vote in given), needed) for i, name in enumerate(rubric.names))


def _grade(name: str, votes: Votes, least: int) -> Grade:
    value = majority(votes, least)
    as_numbers = tuple(None if vote is None else float(vote) for vote in votes)
    return Grade(name, None if value is None else float(value), as_numbers, same_pairs(votes))


def grading(
    rubric: Rubric, inputs: Mapping[str, str], vote: int = 0, gold: GoldRow | None = None, role: Role = "judge"
) -> Ask:
    """Return what one vote asks. A gold row is asked in the same words; only the example, never sent, knows of it."""
    if rubric.each:
        raise ValueError(f"rubric {rubric.name} asks '{rubric.each.name}': give it the row's skills by with_skills")
    check_inputs(rubric, inputs, f"grading by rubric {rubric.name}")
    texts = [inputs[name] for name in rubric.inputs]
    given = {
        "about": rubric.about,
        "titles": list(rubric.inputs),
        "texts": texts,
        "points": list(rubric.names),
        "questions": [criterion.asks for criterion in rubric.criteria],
        "notes": [criterion.about for criterion in rubric.criteria],
        "mark": mark_of(texts),
        "approach": approach_of(vote),
    }
    met = gold.verdicts if gold else dict.fromkeys(rubric.names, True)
    return Ask(
        GRADE,
        given,
        {"points": [{"point": name, "reason": "As the text shows.", "met": met[name]} for name in rubric.names]},
        role=role,
        repeat=vote,
        sampling=Sampling(temperature=TEMPERATURE, max_tokens=400 + 150 * len(rubric.names), seed=vote),
        schema=points_schema(rubric.names),
    )


def approach_of(vote: int) -> int:
    """Return the number of the way in which a vote goes through a row, from 1: the votes take them in turn."""
    return vote % APPROACHES + 1


def mark_of(texts: Sequence[str]) -> str:
    """Return a word for the borders around texts that the texts themselves cannot foresee."""
    return digest(texts=list(texts))[:10]


def points_schema(names: Sequence[str]) -> dict[str, Any]:
    """Return the JSON Schema of a graded list: as many points as there are names, each with its reason first.

    It keeps to what every engine's grammar knows; that each name is there once, in order, is `read_points`' to see.
    """
    point = {
        "type": "object",
        "properties": {
            "point": {"type": "string", "enum": list(names)},
            "reason": {"type": "string", "maxLength": REASON},
            "met": {"type": "boolean"},
        },
        "required": ["point", "reason", "met"],
        "additionalProperties": False,
    }
    points = {"type": "array", "items": point, "minItems": len(names), "maxItems": len(names)}
    return {"type": "object", "properties": {"points": points}, "required": ["points"], "additionalProperties": False}


def read_points(rubric: Rubric, reply: Reply) -> Votes:
    """Return the vote of a reply for each criterion; all None when it failed or names other points or another order."""
    nothing: Votes = (None,) * len(rubric.names)
    if reply.failure or not isinstance(reply.parsed, dict):
        return nothing
    points = reply.parsed.get("points", ())
    if tuple(point["point"] for point in points) != rubric.names:
        return nothing
    return tuple(bool(point["met"]) for point in points)


# --------------------------------------------------------------------------------------------------------- what it says


def passes(rubric: Rubric, grades: Sequence[Grade]) -> bool | None:
    """Return whether a row has full marks by its rubric; None when points without a verdict could still decide it."""
    values = {grade.name: grade.value for grade in grades}
    found = [values.get(name) for name in rubric.names]
    needed = [value for name, value in zip(rubric.names, found, strict=True) if name in rubric.full.need]
    others = [value for name, value in zip(rubric.names, found, strict=True) if name not in rubric.full.need]
    wanted = len(others) if rubric.full.others is None else rubric.full.others
    yes, open_ = others.count(1.0), others.count(None)
    if 0.0 in needed or yes + open_ < wanted:
        return False
    return None if None in needed or yes < wanted else True


def failed_points(rubric: Rubric, grades: Sequence[Grade]) -> str:
    """Return the points that are not met, with the votes for them, for a person: 'concrete (1 of 3), correct (0 of 2)'.

    A point that got no verdict says so.
    """
    return ", ".join(_said(given) for given in grades if given.name in rubric.names and given.value != 1.0)


def _said(given: Grade) -> str:
    votes = [vote for vote in given.votes if vote is not None]
    said = f"{int(sum(votes))} of {len(votes)}"
    return f"{given.name} ({said}{', no verdict' if given.value is None else ''})"


# --------------------------------------------------------------------------------------------------- around any recipe


def prompt_and_response(draft: Draft) -> dict[str, str]:
    """Return the inputs `instruction` and `response` of a draft: its prompt, and its whole reply."""
    return {"instruction": draft.prompt, "response": completion(draft.steps, draft.verifier)}


def judged(
    talk: Talk,
    rubric: Rubric,
    inputs_of: Callable[[Draft], Mapping[str, str]] = prompt_and_response,
    votes: int = 3,
    least: int | None = None,
) -> Talk:
    """Hold a recipe's conversation and grade what it made: its draft with the grades, or why it leaves.

    Dropped as `rubric_met` names the points that are not met; as `undecided`, those without a verdict.
    """
    draft = yield from talk
    if isinstance(draft, Dropped):
        return draft
    grades = yield from grade(rubric, inputs_of(draft), votes, least)
    passed = passes(rubric, grades)
    if passed:
        there = {given.name for given in draft.grades}
        own = [replace(g, name=f"{rubric.name}/{g.name}") if g.name in there else g for g in grades]
        return replace(draft, grades=(*draft.grades, *own))
    detail = failed_points(rubric, grades)
    return Dropped("undecided" if passed is None else "rubric_met", f"{rubric.name} v{rubric.version}: {detail}")


# ------------------------------------------------------------------------------------------------------ which is better


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of two responses is better, None where the votes do not say, and each vote."""

    winner: Side | None
    votes: tuple[Side | None, ...]


def prefer(instruction: str, a: str, b: str, votes: int = 2, least: int = 1) -> Asking[Preference]:
    """Return which of two responses is better: each vote is asked in both orders and counts when both name one text.

    Two equal texts are compared by nobody.
    """
    if a == b:
        return Preference(None, (None,) * votes)
    asks = [_comparing(instruction, a, b, i, swapped) for i in range(votes) for swapped in (False, True)]
    replies = yield asks
    sides = [_side(reply, swapped) for reply, swapped in zip(replies, (False, True) * votes, strict=True)]
    given = tuple(one if one == other else None for one, other in zip(sides[::2], sides[1::2], strict=True))
    ahead = majority([None if side is None else side == "a" for side in given], least)
    return Preference(None if ahead is None else "a" if ahead else "b", given)


def _comparing(instruction: str, a: str, b: str, vote: int, swapped: bool) -> Ask:
    first, second = (b, a) if swapped else (a, b)
    given = {
        "instruction": instruction,
        "first": first,
        "second": second,
        "mark": mark_of([instruction, *sorted((a, b))]),
        "approach": approach_of(vote),
    }
    example = {"first": "Exact.", "second": "Vague.", "better": "second" if swapped else "first"}
    sampling = Sampling(temperature=TEMPERATURE, max_tokens=800, seed=vote)
    return Ask(PREFER, given, example, role="judge", repeat=vote, sampling=sampling)


def _side(reply: Reply, swapped: bool) -> Side | None:
    """Return the text that a reply prefers; None for neither, and for a reply that failed."""
    better = None if reply.failure or not isinstance(reply.parsed, dict) else reply.parsed.get("better")
    if better not in ("first", "second"):
        return None
    return "b" if (better == "first") == swapped else "a"
