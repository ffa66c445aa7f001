"""Instruct-SkillMix by hand-written replies: what each gate catches, whose pair stays, what is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from by_example import POOL, make, reply_of, skills_and_parents, sources_of
from nonsense import nonsense
from pydantic import ValidationError

from factory.artifacts.digest import canonical_json, row_rng
from factory.gates.judge import GRADE
from factory.gates.reply import completion
from factory.gates.text import first_fault
from factory.gates.verify import judge_text
from factory.prompts import find_prompt
from factory.recipes.instruct_skillmix import AUTHOR, CRITIC, EDITOR, INSTRUCT_SKILLMIX, InstructSkillMixParams, talk
from factory.recipes.recipe import Ask, Brief, Draft, Dropped
from factory.teacher.protocol import NoReply, Reply, no_reply
from factory.teacher.structured import bounded, parse

FILE = Path(__file__).parents[2] / "data" / "replies" / "instruct-skillmix.yaml"
TOLD: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = TOLD["cases"]
TURNS = {AUTHOR: "author", CRITIC: "critic", EDITOR: "editor"}


def params(**said: Any) -> InstructSkillMixParams:
    return InstructSkillMixParams(recipe="instruct-skillmix", share=1.0, **said)


def brief(skills: list[str], kind: str) -> Brief:
    cell = f"k={len(skills)}, {kind}"
    return Brief(len(skills), "train", skills, [], sources_of("instruct-skillmix"), cell)


WAITER = brief(["prioritising", "gentle_feedback"], "feedback_seeking")


@dataclass
class Held:
    """A conversation that was held to its end: what was asked, and what came of it."""

    asks: list[Ask] = field(default_factory=list)
    made: Draft | Dropped | None = None

    @property
    def draft(self) -> Draft:
        assert isinstance(self.made, Draft), self.made
        return self.made

    @property
    def end(self) -> str:
        """What came of it when the gate after the conversation has seen it, too."""
        if isinstance(self.made, Dropped):
            return self.made.code
        made = self.draft
        fault = first_fault(made.prompt, completion(made.steps, made.verifier))
        stored = {**made.verifier, "args": canonical_json(made.verifier["args"]).decode()}
        found = judge_text(fault, stored, made.steps, made.rejected)
        return "accepted" if found == 0 else str(found[0])

    @property
    def prompts(self) -> list[str]:
        return [ask.prompt for ask in self.asks]


def hold(slot: Brief, reply: Callable[[Ask], Reply], of: InstructSkillMixParams | None = None, row: str = "0") -> Held:
    held, speaking = Held(), talk(of or params(), slot, row_rng(1, "draw", row))
    try:
        asks = next(speaking)
        while True:
            held.asks += asks
            asks = speaking.send([reply(ask) for ask in asks])
    except StopIteration as end:
        held.made = end.value
    except NoReply as why:  # as the driver ends a conversation
        held.made = Dropped(why.failure.kind, why.failure.detail)
    return held


def parsed(ask: Ask, text: str) -> Reply:
    """Return a reply as the layer of schemas hands it on."""
    schema = ask.schema or find_prompt(ask.prompt).head.json_schema
    assert schema is not None
    value, error = parse(schema, text)
    return no_reply("unparsable", error) if error else Reply(text=text, parsed=value)


class Case:
    """A case of the file: how each ask of its conversation is answered."""

    def __init__(self, told: dict[str, Any]) -> None:
        base = TOLD["bases"][told["base"]]
        self.told = told
        self.slot = brief(base["skills"], base["kind"])
        self.turns = {turn: self._turn(base[turn], told.get(turn)) for turn in ("author", "critic", "editor")}
        if self.turns["editor"] == "same":
            self.turns["editor"] = {k: v for k, v in self.turns["author"].items() if k != "plan"}

    @staticmethod
    def _turn(base: Any, changed: Any) -> Any:
        if isinstance(base, dict) and isinstance(changed, dict) and "failure" not in changed:
            return base | changed
        return base if changed is None else changed

    def reply(self, ask: Ask) -> Reply:
        if ask.prompt == GRADE:
            return self._vote(ask)
        said = self.turns[TURNS[ask.prompt]]
        if isinstance(said, dict) and "failure" in said:
            return no_reply(said["failure"], "none")
        return parsed(ask, said if isinstance(said, str) else canonical_json(said).decode())

    def _vote(self, ask: Ask) -> Reply:
        i, given = ask.repeat, self.told.get("judge", {})
        if i in self.told.get("lost", ()):
            return no_reply("truncated", "no verdict")
        points = [{**p, "met": self._met(given.get(p["point"], True), i)} for p in ask.example["points"]]
        points = points[::-1] if i in self.told.get("muddled", ()) else points
        return parsed(ask, canonical_json({"points": points}).decode())

    @staticmethod
    def _met(said: Any, i: int) -> bool:
        return bool(said[i] if isinstance(said, list) else said)

    def pair(self, turn: str) -> tuple[str, str]:
        said = self.turns[turn]
        if isinstance(said, str):
            said = parse(find_prompt(EDITOR).head.json_schema or {}, said)[0]
        return said["instruction"].strip(), said["response"].strip()


@pytest.mark.parametrize("told", CASES, ids=[case["what"] for case in CASES])
def test_a_reply_of_the_file_ends_as_it_says(told: dict[str, Any]) -> None:
    case = Case(told)
    held = hold(case.slot, case.reply)
    assert held.end == told["ends"], held.made
    if told["ends"] == "accepted":
        turn = told.get("turn", "editor")
        assert (held.draft.prompt, held.draft.verifier["gold"]) == case.pair(turn)
        assert held.draft.flags == ([] if turn == "editor" else ["unedited"])


def test_the_file_has_cases_enough_for_every_gate_that_it_names() -> None:
    ends = Counter(case["ends"] for case in CASES)
    assert len(CASES) >= 25
    assert ends["accepted"] >= 7
    head = FILE.read_text(encoding="utf-8").split("\nbases:")[0]
    assert all(end in head for end in ends)
    named = [line[4:].partition("  ")[0] for line in head.splitlines() if line.startswith("#   ")]
    assert {code for names in named for code in names.split(", ")} <= set(ends)


def test_nobody_is_asked_on_once_the_row_is_lost() -> None:
    refuses = hold(WAITER, lambda ask: no_reply("refused", "no"))
    assert refuses.prompts == [AUTHOR]
    faulty = next(Case(case) for case in CASES if case["ends"] == "no_refusal")
    assert hold(faulty.slot, faulty.reply).prompts == [AUTHOR, CRITIC, EDITOR]  # no vote was paid for


def test_without_a_critic_s_word_the_editor_is_not_asked() -> None:
    held = hold(WAITER, lambda ask: no_reply("truncated", "") if ask.prompt == CRITIC else reply_of(ask))
    assert held.prompts == [AUTHOR, CRITIC, GRADE, GRADE, GRADE]


@pytest.mark.parametrize("critics", [0, 1, 2])
@pytest.mark.parametrize("votes", [0, 1, 3])
def test_as_many_critics_and_votes_are_asked_as_the_job_wants(critics: int, votes: int) -> None:
    held = hold(WAITER, reply_of, params(critics=critics, votes=votes))
    assert held.prompts == [AUTHOR, *[CRITIC, EDITOR] * critics, *[GRADE] * votes]
    assert [ask.repeat for ask in held.asks if ask.prompt == GRADE] == list(range(votes))
    assert bool(held.draft.grades) == bool(votes)
    assert held.draft.flags == []


def test_a_second_critic_sees_what_the_first_editor_left() -> None:
    case = Case(CASES[0])
    held = hold(case.slot, case.reply, params(critics=2))
    first, second = (ask.inputs for ask in held.asks if ask.prompt == CRITIC)
    assert (first["instruction"], first["response"]) == case.pair("author")
    assert (second["instruction"], second["response"]) == case.pair("editor")


def test_an_editor_who_fails_the_second_time_leaves_the_first_edit() -> None:
    case, heard = Case(CASES[0]), Counter[str]()

    def reply(ask: Ask) -> Reply:
        heard[ask.prompt] += 1
        return no_reply("truncated", "") if ask.prompt == EDITOR and heard[EDITOR] == 2 else case.reply(ask)

    held = hold(case.slot, reply, params(critics=2))
    assert (held.draft.prompt, held.draft.verifier["gold"]) == case.pair("editor")
    assert held.draft.flags == []


def test_the_editor_is_told_the_critic_s_words_and_the_critic_not_the_author_s_plan() -> None:
    case = Case(CASES[0])
    held = hold(case.slot, case.reply)
    by_prompt = {ask.prompt: ask for ask in held.asks}
    editor = find_prompt(EDITOR).render(by_prompt[EDITOR].inputs)[-1]["content"]
    assert case.turns["critic"]["faults"][0]["mend"] in editor
    critic = find_prompt(CRITIC).render(by_prompt[CRITIC].inputs)[-1]["content"]
    assert "Lazy would be" not in critic
    assert by_prompt[CRITIC].history == by_prompt[EDITOR].history == ()


def test_judges_see_the_skills_and_the_pair_that_stays() -> None:
    case = Case(CASES[0])
    held = hold(case.slot, case.reply)
    votes = [ask.inputs for ask in held.asks if ask.prompt == GRADE]
    assert {tuple(vote["texts"][1:]) for vote in votes} == {case.pair("editor")}
    assert all(POOL.get(name).said in votes[0]["texts"][0] for name in case.slot.skills)


def test_a_row_keeps_every_vote_on_every_point() -> None:
    held = hold(*(lambda case: (case.slot, case.reply))(Case(CASES[5])))
    grades = {grade.name: grade for grade in held.draft.grades}
    assert grades["concrete"].votes == (1.0, 0.0, 1.0)
    assert grades["concrete"].value == 1.0
    assert len(grades) == 7


def test_what_the_model_thought_before_it_answered_is_kept_apart() -> None:
    case = Case(CASES[0])

    def reply(ask: Ask) -> Reply:
        return replace(case.reply(ask), reasoning=f"thinking of {TURNS.get(ask.prompt, 'a vote')}")

    held = hold(case.slot, reply)
    assert held.draft.reasoning == "thinking of editor"
    assert "thinking" not in held.draft.prompt + held.draft.verifier["gold"]


def test_other_rows_with_the_same_skills_are_other_instructions() -> None:
    rows = [make("instruct-skillmix", params(), replace(WAITER, slot=i), row_rng(1, "draw", str(i))) for i in range(40)]
    prompts = {row.prompt for row in rows if isinstance(row, Draft)}
    assert len(prompts) > 30


def test_all_cells_ask_for_their_kind_with_as_many_skills_as_their_k() -> None:
    of = params(k=(1, 3))
    for cell in INSTRUCT_SKILLMIX.cells(of):
        [(skills, _)] = skills_and_parents("instruct-skillmix", of, cell, "train", 1)
        slot = Brief(cell.level, "train", skills, [], sources_of("instruct-skillmix"), cell.name)
        held = hold(slot, reply_of, of)
        assert len(skills) == cell.level
        assert held.asks[0].inputs["query_type"]["name"] == cell.name.partition(", ")[2].replace("_", " ")
        assert held.end == "accepted"


def test_a_job_s_own_query_types_stand_for_the_shipped_ones() -> None:
    of = params(query_types=[{"name": "complaint", "definition": "Something went wrong and should be put right."}])
    assert [cell.name for cell in INSTRUCT_SKILLMIX.cells(of)] == ["k=2, complaint"]
    held = hold(brief(WAITER.skills, "complaint"), reply_of, of)
    assert "put right" in find_prompt(AUTHOR).render(held.asks[0].inputs)[-1]["content"]


@pytest.mark.parametrize("k", [(), (0,), (4,), (2, 2)])
def test_a_k_that_cannot_be_is_refused(k: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        params(k=k)


def test_every_form_that_is_asked_for_is_bounded() -> None:
    for ask in hold(WAITER, reply_of).asks:
        schema = ask.schema or find_prompt(ask.prompt).head.json_schema
        assert schema is not None
        bounded(schema)  # ValueError names the place that is not


@pytest.mark.parametrize("row", range(60))
def test_nonsense_of_the_right_form_never_breaks_a_conversation(row: int) -> None:
    rng = row_rng(1, "nonsense", str(row))

    def reply(ask: Ask) -> Reply:
        if rng.chance(0.4):
            return reply_of(ask)
        schema = ask.schema or find_prompt(ask.prompt).head.json_schema
        return Reply(parsed=nonsense(schema or {}, rng))

    assert hold(WAITER, reply, row=str(row)).end
