"""The user's instructions, answered several times: who gets which, what agreement and judges let through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from by_example import Texts, make
from by_hand import as_reply, cases_of, ending, held, named
from hypothesis import given, settings
from hypothesis import strategies as st
from nonsense import nonsense
from pydantic import ValidationError

from factory.artifacts.digest import Rng, row_rng
from factory.artifacts.store import Store
from factory.errors import MissingExtra, QuotaUnmet, UserError
from factory.gates.judge import GRADE, PREFER
from factory.gates.reply import completion
from factory.jobs.model import load_job, parse_job
from factory.jobs.plan import plan
from factory.jobs.talk import request_of
from factory.recipes import answers
from factory.recipes.answering import fault_of, kind_of, verifier_of, with_answer_line
from factory.recipes.answers import ANSWERS, SKILL_OF, AnswersParams, assign, cells, talk
from factory.recipes.recipe import Ask, Brief, Cell, Demand, Draft, Dropped, Instruction, Sources
from factory.score import score
from factory.seeds.texts import import_instructions, instruction_bank
from factory.teacher.model import SamplingSpec
from factory.teacher.protocol import Reply

CASES: list[dict[str, Any]] = cases_of("answers")["cases"]
OF_JOB = ("how", "kind", "n", "at_least", "full_marks")
MET = {"y": True, "n": False}


def params(**said: Any) -> AnswersParams:
    return AnswersParams(recipe="answers", share=1.0, **said)


def bank(n: int, references: int = 0) -> Texts[Instruction]:
    """Return n instructions for train rows, of which the first so many have a reference, and one that is held out."""
    made = [
        Instruction(f"i{i}", f"How many legs have {i + 2} hens?", str(2 * (i + 2)) if i < references else "")
        for i in range(n + 1)
    ]
    return Texts(tuple(made))


def rng(i: int = 0) -> Rng:
    return row_rng(5, "draw", str(i))


def brief_of(instruction: Instruction, how: str) -> Brief:
    other = Instruction("held", "Nobody asks this.")
    cell = "problem" if how == "agree" else "open"
    return Brief(1, "train", [cell], [instruction.id], Sources(instructions=Texts((instruction, other))), cell)


# --------------------------------------------------------------------------------------------- replies as models write


@dataclass
class Held:
    """A case of the file, held to its end."""

    case: Mapping[str, Any]
    asks: list[Ask] = field(default_factory=list)

    def made(self) -> Draft | Dropped:
        said = {name: self.case[name] for name in OF_JOB if name in self.case}
        of = params(**({"n": len(self.case["replies"]) or 4, "compare": 0} | said))
        given = Instruction("x1", self.case["instruction"].strip(), self.case.get("reference", ""))
        return held(talk(of, brief_of(given, of.how), rng()), self._answer)

    def _answer(self, ask: Ask) -> Any:
        self.asks.append(ask)
        if ask.prompt == GRADE:
            return self._grades(ask)
        reply = self.case["replies"][ask.repeat]
        if (
            self.case["how"] == "best"
            or not isinstance(reply, str)
            or "\n" in reply
            or ":" in reply
            or not reply.strip()
        ):
            return reply
        return f"It follows from what is given.\nAnswer: {reply}"

    def _grades(self, ask: Ask) -> Any:
        replies = [reply.strip() if isinstance(reply, str) else reply for reply in self.case["replies"]]
        given = self.case["grades"][replies.index(ask.inputs["texts"][1])]
        if "-" in given:
            return {"failure": "refused"}
        points = zip(ask.inputs["points"], given, strict=True)
        return {"points": [{"point": name, "reason": "So it is.", "met": MET[met]} for name, met in points]}


@pytest.mark.parametrize("case", CASES, ids=named(CASES))
def test_a_row_ends_as_its_replies_deserve(case: dict[str, Any]) -> None:
    told = Held(case)
    made = told.made()
    assert ending("answers", 1, made) == case["ends"], made
    if "asks" in case:
        assert len(told.asks) == case["asks"]
    if isinstance(made, Draft):
        assert case.get("gold", made.verifier["gold"]) == made.verifier["gold"]
        assert case.get("rejected", made.rejected) == made.rejected


@pytest.mark.parametrize(("better", "kept"), [("first", False), ("mine", True), ("theirs", False)])
def test_a_rejected_answer_stays_only_where_both_orders_prefer_the_chosen_one(better: str, kept: bool) -> None:
    """`first` is a judge that likes what comes first; the others look at the text."""
    (case,) = [c for c in CASES if c["name"] == "the best of four, with the worst rejected"]
    told = Held(case)

    def answer(ask: Ask) -> Any:
        if ask.prompt != PREFER:
            return told._answer(ask)
        mine = "first" if ask.inputs["first"] == case["gold"].strip() else "second"
        other = {"first": "second", "second": "first"}[mine]
        return {"first": "So.", "second": "So.", "better": {"first": "first", "mine": mine, "theirs": other}[better]}

    given = Instruction("x1", case["instruction"].strip())
    made = held(talk(params(how="best", n=len(case["replies"]), compare=1), brief_of(given, "best"), rng()), answer)
    assert isinstance(made, Draft)
    assert bool(made.rejected) == kept


def test_the_cases_reach_every_code_of_the_recipe() -> None:
    ends = {case["ends"] for case in CASES}
    assert {"solutions_agree", "reference_agrees", "answerable", "solution_shown", "rubric_met", "undecided"} <= ends


@pytest.mark.parametrize("how", ["agree", "best"])
def test_thinking_is_kept_apart_from_the_answer(how: str) -> None:
    def thinking(ask: Ask) -> Reply:
        text = request_of(ask, 0, SamplingSpec()).example
        return as_reply(ask, ask.example) if ask.prompt == GRADE else Reply(text=text, reasoning=f"Hm {ask.repeat}.")

    speaking = talk(params(how=how), brief_of(bank(1).get("i0"), how), rng())
    asks = next(speaking)
    try:
        while True:
            asks = speaking.send([thinking(ask) for ask in asks])
    except StopIteration as end:
        made = end.value
    assert isinstance(made, Draft)
    assert made.reasoning == "Hm 0."
    assert "Hm" not in completion(made.steps, made.verifier) + made.rejected


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(["agree", "best"]), st.sampled_from(["text", "number", "reference"]))
def test_nonsense_becomes_a_row_or_leaves_with_a_code(seed: int, how: str, kind: str) -> None:
    chance = rng(seed)

    def answer(ask: Ask) -> Any:
        schema = request_of(ask, 0, SamplingSpec()).schema
        return nonsense(schema or {"type": "string", "maxLength": 2_000}, chance)

    of = params(how=how, kind=kind, at_least=1, full_marks=False)
    made = held(talk(of, brief_of(bank(1, 1).get("i0"), how), rng()), answer)
    assert ending("answers", 1, made)


# ----------------------------------------------------------------------------------------------------- what a row holds


@pytest.mark.parametrize("how", ["agree", "best"])
def test_example_replies_make_rows_that_pass_and_differ(how: str) -> None:
    of, prompts = params(how=how, take="with_reference"), set()
    shelf = bank(8, 9)
    for i in shelf.ids("train"):
        made = make("answers", of, brief_of(shelf.get(i), how), rng())
        assert ending("answers", 1, made) == "accepted", made
        assert isinstance(made, Draft)
        assert (made.parents, made.phrasing, made.shape, made.tree) == ([i], i, "answers", {})
        prompts.add(made.prompt)
    assert len(prompts) == 8


def test_examples_of_agreement_give_a_pair_whose_rejected_answer_is_wrong() -> None:
    made = make("answers", params(how="agree"), brief_of(bank(1).get("i0"), "agree"), rng())
    assert isinstance(made, Draft)
    assert score(completion(made.steps, made.verifier), made.verifier).value == 1.0
    assert score(made.rejected, made.verifier).value == 0.0


def test_judges_grades_stay_with_the_best_reply() -> None:
    made = make("answers", params(votes=2), brief_of(bank(1).get("i0"), "best"), rng())
    assert isinstance(made, Draft)
    assert [grade.votes for grade in made.grades] == [(1.0, 1.0)] * 5
    assert made.verifier["kind"] == "rubric"


def test_a_problem_gets_an_answer_line_unless_it_has_one() -> None:
    assert with_answer_line("What is 2 + 3?", rng()).startswith("What is 2 + 3?\n\n")
    assert "Answer:" in with_answer_line("What is 2 + 3?", rng())
    assert with_answer_line("What is 2 + 3? End with 'Answer: N'.", rng()) == "What is 2 + 3? End with 'Answer: N'."


@pytest.mark.parametrize(
    ("answer", "kind", "verifier"),
    [
        ("**18**", "number", {"kind": "number", "gold": "18", "args": {}}),
        ("\\(18\\)", "number", {"kind": "number", "gold": "18", "args": {}}),
        ("1,800 kg", "math", {"kind": "number", "gold": "1,800 kg", "args": {}}),
        ("x^2 + 1", "math", {"kind": "text", "gold": "x^2 + 1", "args": {}}),
        ("Lima", "text", {"kind": "text", "gold": "Lima", "args": {"case": False}}),
        ("007", "text", {"kind": "text", "gold": "007", "args": {"case": False}}),
    ],
)
def test_an_answer_is_stored_as_the_scorer_reads_it(answer: str, kind: str, verifier: dict[str, Any]) -> None:
    assert verifier_of(answer, kind) == verifier
    assert score(verifier["gold"], verifier).value == 1.0


@pytest.mark.parametrize(
    ("reference", "kind"), [("12", "number"), ("1/11", "number"), ("July", "text"), ("4:05", "text")]
)
def test_a_reference_is_compared_as_what_it_is(reference: str, kind: str) -> None:
    assert kind_of(reference) == kind


def test_expressions_that_are_equal_agree_as_mathematics() -> None:
    pytest.importorskip("math_verify")
    case = {
        "how": "agree",
        "kind": "math",
        "instruction": "Multiply out and simplify: (x + 1)(x - 1) + 2.",
        "replies": ["x^2 + 1", "1 + x^2", "$x^2+1$", "x^2 - 1"],
    }
    made = Held(case).made()
    assert isinstance(made, Draft)
    assert made.verifier == {"kind": "text", "gold": "x^2 + 1", "args": {}}
    assert made.rejected.endswith("Answer: x^2 - 1")


# ------------------------------------------------------------------------------------------------------------ the plan


def parents_of(of: AnswersParams, shelf: Texts[Instruction], n: int, split: str = "train", **more: Any) -> list[str]:
    (cell,) = cells(of)
    planned = assign(of, Demand(cell, split, n, 3, "t", Sources(instructions=shelf), **more))
    assert planned.parents is not None
    assert planned.skills.to_list() == [[SKILL_OF[of.how]]] * n
    assert ANSWERS.labels is not None
    assert SKILL_OF[of.how] in ANSWERS.labels()  # both splits have it
    return [one for (one,) in planned.parents.to_list()]


@given(st.integers(1, 40), st.data())
def test_no_instruction_is_used_twice(size: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, size))
    found = parents_of(params(), bank(size), n)
    assert len(set(found)) == n
    assert "i" + str(size) not in found  # it is held out
    assert parents_of(params(), bank(size), 1, "heldout") == [f"i{size}"]


@given(st.integers(2, 30))
def test_a_second_round_begins_with_what_the_first_left_over(size: int) -> None:
    n = -(-size // 2)
    quota = ((Cell("open", 1), n),)
    first = parents_of(params(), bank(size), n, planned=quota)
    second = parents_of(params(), bank(size), size - n, planned=quota, round=1) if size > n else []
    assert sorted(first + second) == sorted(bank(size).ids("train"))


@pytest.mark.parametrize(("take", "wanted"), [("with_reference", {"i0", "i1"}), ("without_reference", {"i2", "i3"})])
def test_a_line_takes_the_instructions_it_asks_for(take: str, wanted: set[str]) -> None:
    assert set(parents_of(params(take=take), bank(4, 2), 2)) == wanted


def test_answers_by_reference_take_what_has_one() -> None:
    assert set(parents_of(params(how="agree", kind="reference"), bank(4, 2), 2)) == {"i0", "i1"}


def test_more_rows_than_instructions_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(QuotaUnmet, match=r"5 rows are asked for, and there are 4 instructions\. Ask for fewer rows"):
        parents_of(params(), bank(4), 5)
    with pytest.raises(QuotaUnmet, match=r"3 rows .* 2 instructions with a reference answer\."):
        parents_of(params(take="with_reference"), bank(4, 2), 3)


def test_mathematics_without_its_library_is_refused_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="math"):
        parents_of(params(how="agree", kind="math"), bank(4), 2)


# ----------------------------------------------------------------------------------------------------- what may be said


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"how": "agree", "n": 2}, "at_least is 3, but there are only 2 samples"),
        ({"how": "agree", "kind": "reference", "take": "without_reference"}, "compares with references"),
        ({"rubric": "grounded-answer"}, "is about"),
        ({"n": 0}, "greater than or equal"),
        ({"how": "vote"}, "agree"),
    ],
)
def test_params_that_cannot_be_are_refused(said: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        params(**said)


def test_judges_are_calibrated_only_where_they_judge() -> None:
    assert ANSWERS.rubrics is not None
    assert [rubric.name for rubric in ANSWERS.judges_by(params())] == ["sound-response"]
    assert ANSWERS.judges_by(params(how="agree")) == []


def test_the_recipe_asks_with_the_prompts_it_names() -> None:
    asked = {ask.prompt for case in CASES for told in [Held(case)] if told.made() for ask in told.asks}
    assert asked == set(ANSWERS.prompts) - {PREFER}  # asked where a rejected answer is compared with the chosen one


# ---------------------------------------------------------------------------------------------------- the shipped job


@cache
def shipped() -> tuple[Any, Path]:
    file = load_job("answers")
    return file.job, file.base


def test_the_shipped_job_has_an_instruction_for_each_row(tmp_path: Path) -> None:
    job, base = shipped()
    found = import_instructions(job.instructions, base, Store(tmp_path))
    assert found.rows == 40
    slots = plan(job, Sources(instructions=instruction_bank(found)))
    parents = [one for (one,) in slots["parents"].to_list()]
    assert len(set(parents)) == len(parents) == job.rows
    for text in found.read()["text"]:
        assert fault_of(text) is None


def test_an_unknown_key_of_the_recipe_names_the_nearest() -> None:
    entry = {"recipe": "answers", "share": 1.0, "at_leats": 2}
    with pytest.raises(UserError, match="at_least"):
        parse_job({"kind": "build", "name": "x", "rows": 2, "recipes": [entry]}, "x.yaml")
