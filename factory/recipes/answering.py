"""The conversations of recipe answers: one answer that many solutions share, and the best of several replies.

Neither asks anything of a prompt that the text rules would turn away in the end, nor of a problem whose reference is no
answer that solutions could be compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from factory.artifacts.digest import Rng, text_digest
from factory.gates.equal import BRACKETS, LONGEST, groups, is_answer, same_answer
from factory.gates.judge import failed_points, grade, passes, prefer
from factory.gates.reply import completion
from factory.gates.rubric import Rubric
from factory.gates.text import first_fault, prompt_fault
from factory.recipes.recipe import ANSWER_LINES, Ask, Asking, Draft, Dropped, Grade, Instruction, Talk, Verifier
from factory.recipes.rephrased import steps_of
from factory.recipes.sampling import ANSWER, SOLVE, Agreed, agreed, best_of
from factory.score import final_answer, score, wrong_answers
from factory.teacher.protocol import Reply, Sampling

SHAPE = "answers"
SAMPLING = Sampling(temperature=0.8, max_tokens=4096)
NO_ANSWER = "cannot be determined"  # what the solver's prompt asks for where a problem cannot be solved


# ------------------------------------------------------------------------------------------- one answer, many solutions


def shared_answer(given: Instruction, kind: str, n: int, at_least: int, rng: Rng) -> Talk:
    """Return a problem with a solution whose answer at least so many of n reach; `rejected` is a solution that errs.

    Where there is a reference, it must be the answer; of kind `reference`, it alone decides what is right, and the most
    popular answer need not be it.
    """
    prompt, reference = with_answer_line(given.text, rng), bare(given.reference)
    same = kind_of(reference) if kind == "reference" else kind
    if fault := fault_of(prompt) or reference_fault(reference, same):
        return fault
    replies = yield [
        Ask(SOLVE, {"problem": given.text}, example, repeat=i, sampling=SAMPLING)
        for i, example in enumerate(example_solutions(given, same, n, at_least))
    ]
    if all(reply.failure for reply in replies):
        replies[0].need()  # its failure is the reason
    if kind == "reference":
        found = reaching(replies, reference, same, at_least)
    else:
        found = _of_reference(agreed(replies, same, at_least), reference, same)
    return found if isinstance(found, Dropped) else _solved(prompt, found, reference, same)


def bare(reference: str) -> str:
    """Return the answer of a reference, of which GSM8K's form `work #### answer` is one."""
    return final_answer(reference.rpartition("####")[2])


def with_answer_line(text: str, rng: Rng) -> str:
    """Return a problem with a line that asks for the answer in the scorer's form; as it is where it says so itself."""
    line = rng.pick(ANSWER_LINES)
    return text if "answer:" in text.lower() else f"{text}\n\n{line}"


def fault_of(prompt: str) -> Dropped | None:
    """Return which rule for texts a prompt breaks whatever is replied."""
    fault = prompt_fault(prompt)
    return Dropped(*fault) if fault else None


def kind_of(reference: str) -> str:
    """Return as what a reference is compared: a number where it is one, else a text. A time, 4:05, is no ratio."""
    return "number" if ":" not in reference and is_answer(reference, "number") else "text"


def reference_fault(reference: str, kind: str) -> Dropped | None:
    """Return why a reference cannot be compared with answers; None where it can, or where there is none."""
    if not reference:
        return None
    if len(reference) <= LONGEST and "\n" not in reference and is_answer(reference, kind):
        return None
    return Dropped("reference_agrees", f"the reference is no bare answer of kind {kind}: {reference[:80]!r}")


def reaching(replies: Sequence[Reply], reference: str, kind: str, at_least: int) -> Agreed | Dropped:
    """Return the replies that reach a reference, and the most popular other answer; Dropped where they are too few."""
    usable = [reply for reply in replies if reply.failure is None and is_answer(reply.text, kind)]
    same = [same_answer(reply.text, reference, kind) for reply in usable]
    right = tuple(reply for reply, is_same in zip(usable, same, strict=True) if is_same)
    if len(right) < at_least:
        detail = f"{len(right)} of {len(replies)} solutions reach {reference!r}; {at_least} must"
        return Dropped("reference_agrees", detail)
    wrong = [reply for reply, is_same in zip(usable, same, strict=True) if not is_same]
    others = tuple(wrong[place] for place in next(iter(groups([reply.text for reply in wrong], kind)), []))
    other = final_answer(others[0].text) if others else ""
    return Agreed(reference, right, len(right) / len(replies), other, others)


def _of_reference(found: Agreed | Dropped, reference: str, kind: str) -> Agreed | Dropped:
    if isinstance(found, Dropped):
        return found
    if not reference and same_answer(found.answer, NO_ANSWER, "text"):
        return Dropped("answerable", f"{len(found.members)} solutions agree that it {NO_ANSWER}")
    if reference and not same_answer(found.answer, reference, kind):
        detail = f"{len(found.members)} solutions agree on {found.answer!r}, the reference is {reference!r}"
        return Dropped("reference_agrees", detail)
    return found


def _solved(prompt: str, found: Agreed, reference: str, kind: str) -> Draft | Dropped:
    """Return the row of the first right solution that shows its work in a sound text."""
    fault = Dropped("solution_shown", f"all {len(found.members)} solutions are bare answers")
    for reply in found.members:
        verifier = verifier_of(reference or final_answer(reply.text), kind)
        steps = work_of(reply)
        if not steps:
            continue
        if broken := first_fault(prompt, completion(steps, verifier)):
            fault = Dropped(*broken)
            continue
        rejected = wrong_solution(found, verifier)
        return Draft({}, verifier, "", prompt, steps, shape=SHAPE, reasoning=reply.reasoning or "", rejected=rejected)
    return fault


def work_of(reply: Reply) -> str:
    """Return what a solution says before its answer line; nothing where that is all."""
    return steps_of([reply], Draft({}, {}, "", "", ""))


def verifier_of(answer: str, kind: str) -> Verifier:
    """Return the verifier of an answer: a number where it is compared as one, else a text whose case does not count."""
    gold = BRACKETS.sub("", answer.strip(" *`")).strip()
    if kind == "number" or (kind == "math" and is_answer(gold, "number")):
        return {"kind": "number", "gold": gold, "args": {}}
    return {"kind": "text", "gold": gold, "args": {} if kind == "math" else {"case": False}}


def wrong_solution(found: Agreed, verifier: Verifier) -> str:
    """Return the first solution with the most popular other answer, in the form of the right one; "" without any.

    An answer that may be the right one in more or fewer words is none, nor is a solution that breaks off.
    """
    other = verifier_of(found.other, verifier["kind"])
    said, wanted = ({*one["gold"].casefold().split()} for one in (other, verifier))
    alike = verifier["kind"] == "text" and (said <= wanted or wanted <= said)
    if not found.other or alike or score(other["gold"], verifier).value != 0.0:
        return ""
    return next((completion(work, other) for reply in found.others if (work := work_of(reply))), "")


def example_solutions(given: Instruction, kind: str, n: int, at_least: int) -> list[str]:
    """Return replies for estimates and the teacher that is no model: right ones, and a wrong one where it may be."""
    right = bare(given.reference) or str(100 + int(text_digest(given.text)[:6], 16) % 900)
    wrong = wrong_answers(verifier_of(right, kind))["broken"]
    answers = [right] * (n - 1) + [wrong if n > at_least else right]
    return [f"What is given is put in its order first.\nStep by step it leads to this.\nAnswer: {a}" for a in answers]


# --------------------------------------------------------------------------------------------- the best of some replies


@dataclass(frozen=True, slots=True)
class Bar:
    """What the best of n replies must be: by how many votes, how far above a rejected one, and preferred how often.

    With `full` it must meet the whole rubric. `compare` pairwise votes, each in both orders, must prefer it to the
    rejected one; 0 asks none.
    """

    votes: int
    margin: float
    full: bool
    compare: int


def best_answer(given: Instruction, rubric: Rubric, n: int, bar: Bar) -> Talk:
    """Return an instruction with the best graded of n replies; `rejected` is the worst, where it is clearly worse."""
    if fault := fault_of(given.text):
        return fault
    replies = yield [
        Ask(ANSWER, {"instruction": given.text}, example_reply(given, i), repeat=i, sampling=SAMPLING) for i in range(n)
    ]

    def graded(instruction: str, response: str) -> Asking[tuple[Grade, ...]]:
        texts = {"instruction": instruction, "response": response}
        return grade(rubric, {name: texts[name] for name in rubric.inputs}, bar.votes)

    chosen = yield from best_of(given.text, replies, graded, bar.margin)
    if isinstance(chosen, Dropped):
        return chosen
    if bar.full and not (passed := passes(rubric, chosen.grades)):
        return Dropped("undecided" if passed is None else "rubric_met", failed_points(rubric, chosen.grades))
    rejected = chosen.rejected
    if rejected and bar.compare:
        preferred = yield from prefer(given.text, chosen.text, rejected, bar.compare)
        rejected = rejected if preferred.winner == "a" else ""
    verifier = {"kind": "rubric", "gold": chosen.text, "args": {"rubric": rubric.name}}
    return Draft(
        {}, verifier, "", given.text, "", shape=SHAPE, reasoning=chosen.reasoning, rejected=rejected,
        grades=chosen.grades,
    )  # fmt: skip


def example_reply(given: Instruction, i: int) -> str:
    """Return a reply for estimates and the teacher that is no model: nothing to train on."""
    number = 100 + int(text_digest(given.text)[:6], 16) % 900
    return (
        f"Begin with what is certain: matter {number} has {i + 2} parts, and each of them is settled by Friday. The"
        " first takes an hour and needs nobody else. The second waits for an answer, so ask for it today, in one"
        " sentence that names the day by which you need it. What then remains is short enough to be ticked off."
    )
