"""Samples are asked at once, agreement is counted with care, and the best sound reply is chosen with its contrast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.prompts import find_prompt
from factory.recipes.recipe import Ask, Asking, Dropped, Grade
from factory.recipes.sampling import (
    ANSWER,
    SOLVE,
    Agreed,
    Chosen,
    agreed,
    best_of,
    mean_grade,
    samples,
    together,
)
from factory.teacher.protocol import NoReply, Reply, no_reply

T = TypeVar("T")
QUESTION = "What is seven times six, and why?"
GOOD = "It is 42, since six sevens are five sevens and one more."
BETTER = "It is 42: five sevens are 35, and one more seven makes 42."
WORSE = "It is about forty, as everybody knows from school."
REFUSAL = "I'm sorry, but I can't help with that."


def held(talk: Asking[T], reply: Callable[[Ask], Reply]) -> tuple[list[list[Ask]], T]:
    """Return what a sub-conversation asked, turn by turn, and what it ended with."""
    turns: list[list[Ask]] = []
    try:
        asks = next(talk)
        while True:
            turns.append(asks)
            asks = talk.send([reply(ask) for ask in asks])
    except StopIteration as end:
        made: T = end.value
        return turns, made


def graded_by(values: dict[str, float | None]) -> Callable[[str, str], Asking[tuple[Grade, ...]]]:
    """Return a grader that asks once and gives each text the value it is listed with."""

    def grade(prompt: str, response: str) -> Asking[tuple[Grade, ...]]:
        (reply,) = yield [Ask(ANSWER, {"instruction": response}, "fine", role="judge")]
        reply.need()
        return (Grade("sound", values[response]), Grade("clear", None))

    return grade


def chosen(replies: Sequence[Reply], values: dict[str, float | None], **said: Any) -> Chosen | Dropped:
    return held(best_of(QUESTION, replies, graded_by(values), **said), lambda ask: Reply(text="fine"))[1]


def replies(*texts: str) -> list[Reply]:
    return [Reply(text=text) for text in texts]


# ------------------------------------------------------------------------------------------------ samples, together


def test_samples_are_repeats_of_one_question_in_one_turn() -> None:
    ask = Ask(SOLVE, {"problem": QUESTION}, "Answer: 42", repeat=3)
    turns, got = held(samples(ask, 4), lambda ask: Reply(text=str(ask.repeat)))
    assert [[one.repeat for one in turn] for turn in turns] == [[3, 4, 5, 6]]
    assert [reply.text for reply in got] == ["3", "4", "5", "6"]


def test_no_samples_at_all_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least 1, found 0"):
        next(samples(Ask(SOLVE, {"problem": QUESTION}, "Answer: 42"), 0))


def countdown(name: str, turns: int, asks: int) -> Asking[list[str]]:
    """Ask so many things in so many turns, and return the replies."""
    heard: list[str] = []
    for turn in range(turns):
        got = yield [Ask(ANSWER, {"instruction": f"{name}{turn}.{i}"}, "") for i in range(asks)]
        heard += [reply.need() for reply in got]
    return heard


def echo(ask: Ask) -> Reply:
    return Reply(text=ask.inputs["instruction"])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=5))
def test_conversations_held_together_end_as_they_do_alone_in_as_many_turns_as_the_longest(
    sizes: list[tuple[int, int]],
) -> None:
    turns, ends = held(together([countdown(str(i), *size) for i, size in enumerate(sizes)]), echo)
    assert ends == [held(countdown(str(i), *size), echo)[1] for i, size in enumerate(sizes)]
    assert len(turns) == max((turn for turn, _ in sizes), default=0)


def test_one_conversation_that_breaks_off_leaves_the_others() -> None:
    def reply(ask: Ask) -> Reply:
        return no_reply("refused", "no") if ask.inputs["instruction"] == "b0.0" else echo(ask)

    _, ends = held(together([countdown(name, 2, 1) for name in "abc"]), reply)
    assert [ends[0], ends[2]] == [["a0.0", "a1.0"], ["c0.0", "c1.0"]]
    assert isinstance(ends[1], NoReply)


# --------------------------------------------------------------------------------------------------------- agreement


def test_the_majority_is_found_with_its_share_and_the_most_popular_other_answer() -> None:
    said = replies("So.\nAnswer: 41", "Answer: 42", "\\boxed{42.0}", "Answer: 40", "41", "Thus\n**Answer:** 42")
    made = agreed(said, "number", 2)
    assert isinstance(made, Agreed)
    assert (made.answer, made.share, made.other) == ("42", 0.5, "41")
    assert (made.members, made.others) == ((said[1], said[2], said[5]), (said[0], said[4]))


def test_all_in_one_voice_have_no_other_answer() -> None:
    made = agreed(replies("42", "42", "42"), "number", 3)
    assert isinstance(made, Agreed)
    assert (made.share, made.other, made.others) == (1.0, "", ())


def test_failed_replies_and_those_without_an_answer_count_in_the_share_only() -> None:
    cut = Reply(text="Answer: 42").failed("truncated", "cut")
    made = agreed([cut, *replies("I do not know", "I do not know", "42", "42")], "number", 2)
    assert isinstance(made, Agreed)
    assert (made.answer, made.share, made.other) == ("42", 0.4, "")


@pytest.mark.parametrize(
    ("texts", "at_least", "detail"),
    [
        (["41", "42", "43"], 2, "of 3 solutions, 3 give an answer and 1 agree; 2 must"),
        (["41", "42", "41", "42"], 2, "2 agree, but as many agree on another answer"),
        (["none", "what?"], 1, "0 give an answer and 0 agree; 1 must"),
        ([], 0, "of 0 solutions"),
    ],
)
def test_without_a_majority_the_row_is_dropped(texts: list[str], at_least: int, detail: str) -> None:
    made = agreed(replies(*texts), "number", at_least)
    assert isinstance(made, Dropped)
    assert made.code == "solutions_agree"
    assert detail in made.detail


def test_with_a_verifier_the_wrong_answers_are_told_apart() -> None:
    verifier = {"kind": "number", "gold": "42", "args": {}}
    made = agreed(replies("41", "42", "41.0", "42", "42", "40"), verifier, 3)
    assert isinstance(made, Agreed)
    assert (made.answer, made.other, len(made.others)) == ("42", "41", 2)


# ------------------------------------------------------------------------------------------------------------ best of


def test_the_best_reply_is_chosen_and_a_clearly_worse_one_is_its_contrast() -> None:
    made = chosen(replies(WORSE, GOOD, BETTER), {WORSE: 0.2, GOOD: 0.8, BETTER: 1.0})
    assert isinstance(made, Chosen)
    assert (made.text, made.rejected, made.mean) == (BETTER, WORSE, 1.0)
    assert made.grades == (Grade("sound", 1.0), Grade("clear", None))


def test_ties_go_to_the_earliest() -> None:
    made = chosen(replies(WORSE, GOOD, WORSE, BETTER), {WORSE: 0.5, GOOD: 1.0, BETTER: 1.0})
    assert isinstance(made, Chosen)
    assert made.text == GOOD


@pytest.mark.parametrize(("margin", "rejected"), [(0.2, ""), (0.1, GOOD)])
def test_a_reply_that_is_hardly_worse_is_no_contrast(margin: float, rejected: str) -> None:
    made = chosen(replies(GOOD, BETTER), {GOOD: 0.875, BETTER: 1.0}, margin=margin)
    assert isinstance(made, Chosen)
    assert made.rejected == rejected


def test_a_single_reply_is_never_its_own_contrast() -> None:
    made = chosen(replies(GOOD, f" {GOOD}\n"), {GOOD: 0.5}, margin=0.0)
    assert isinstance(made, Chosen)
    assert (made.text, made.rejected) == (GOOD, "")


def test_each_different_sound_text_is_graded_once_and_all_in_one_turn() -> None:
    said = [*replies(GOOD, f"{GOOD}\n", REFUSAL, BETTER), no_reply("truncated", "cut")]
    turns, _ = held(best_of(QUESTION, said, graded_by({GOOD: 1.0, BETTER: 0.5})), lambda ask: Reply(text="fine"))
    assert [[ask.inputs["instruction"] for ask in turn] for turn in turns] == [[GOOD, BETTER]]


def test_the_thinking_of_a_model_stays_apart_from_its_text() -> None:
    made = chosen([Reply(text=GOOD, reasoning="Hm, 7 x 6."), Reply(text=WORSE, reasoning="?")], {GOOD: 1.0, WORSE: 0.0})
    assert isinstance(made, Chosen)
    assert (made.text, made.reasoning, made.rejected) == (GOOD, "Hm, 7 x 6.", WORSE)


def test_when_no_reply_keeps_the_text_rules_the_first_fault_is_the_reason() -> None:
    made = chosen(replies(REFUSAL, f"Response: {GOOD}", "As the critic, no."), {})
    assert isinstance(made, Dropped)
    assert made.code == "no_refusal"
    assert made.detail.startswith("no reply passes (no_residue_in_response 2, no_refusal 1); the first: I'm sorry")


def test_when_no_reply_came_the_failure_is_the_reason() -> None:
    with pytest.raises(NoReply) as error:
        chosen([no_reply("refused", "no"), no_reply("empty", "")], {})
    assert error.value.failure.kind == "refused"
    with pytest.raises(NoReply) as error:
        chosen(replies(" "), {})
    assert error.value.failure.kind == "empty"


def test_a_reply_that_the_judges_cannot_decide_is_not_chosen() -> None:
    made = chosen(replies(BETTER, GOOD), {BETTER: None, GOOD: 0.1})
    assert isinstance(made, Chosen)
    assert made.text == GOOD
    undecided = chosen(replies(BETTER, GOOD), {BETTER: None, GOOD: None})
    assert undecided == Dropped("undecided", "none of 2 replies could be graded")


def test_a_reply_whose_judge_fails_is_not_chosen() -> None:
    def judge(ask: Ask) -> Reply:
        return no_reply("unparsable", "?") if ask.inputs["instruction"] == BETTER else Reply(text="fine")

    talk = best_of(QUESTION, replies(BETTER, GOOD), graded_by({BETTER: 1.0, GOOD: 0.5}))
    made = held(talk, judge)[1]
    assert isinstance(made, Chosen)
    assert made.text == GOOD


def test_the_mean_is_over_what_is_decided() -> None:
    assert mean_grade((Grade("a", 1.0), Grade("b", None), Grade("c", 0.5))) == 0.75
    assert mean_grade((Grade("a", None),)) is None
    assert mean_grade(()) is None


# ------------------------------------------------------------------------------------------------------------ prompts


@pytest.mark.parametrize(("place", "name"), [(ANSWER, "instruction"), (SOLVE, "problem")])
def test_the_prompts_show_the_text_once_between_marks(place: str, name: str) -> None:
    said = find_prompt(place).render({name: "{{ 7 }} times six?"})[-1]["content"]
    assert said.count("-----\n{{ 7 }} times six?\n-----") == 1
