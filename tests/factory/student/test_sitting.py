"""The examination: which combinations are asked, whose failure is whose, and texts that are graded anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from factory.errors import UserError
from factory.gates.judge import GRADE
from factory.gates.skill_points import REVISE, WRITE, Points, Task
from factory.prompts import prompts_folder
from factory.recipes.recipe import Ask, Asking
from factory.recipes.skill_mix import topics
from factory.skills.language.lists import read_skills
from factory.skills.language.skill import LanguageSkill
from factory.student.results import place_of_results, read_results, write_results
from factory.student.sitting import Sheet, combinations, names_of, pool_of, regrade, sit
from factory.teacher.protocol import Reply, no_reply

Answer = Callable[[Ask], Reply]
TASKS = [
    Task((LanguageSkill("metaphor", "a likeness"), LanguageSkill("triage", "who first")), "tide pools"),
    Task((LanguageSkill("litotes"), LanguageSkill("simile")), "cable cars"),
]


@dataclass(frozen=True)
class Pool:
    """Skills a to j in train, x to z held out."""

    near: frozenset[frozenset[str]] = frozenset({frozenset({"a", "b"})})
    weights: Mapping[str, float] = field(default_factory=dict)
    identity: str = "pool"

    def names(self, split: str) -> Sequence[str]:
        return list({"train": "abcdefghij", "heldout": "xyz"}[split])

    def get(self, name: str) -> LanguageSkill:
        return LanguageSkill(name)

    def split_of(self, name: str) -> str:
        return "heldout" if name in "xyz" else "train"


def by_example(ask: Ask) -> Reply:
    return Reply(parsed=ask.example)


def held(talk: Asking[list[Sheet]], answer: Answer = by_example) -> tuple[list[list[Ask]], list[Sheet]]:
    asked: list[list[Ask]] = []
    try:
        asks = next(talk)
        while True:
            asked.append(asks)
            asks = talk.send([answer(ask) for ask in asks])
    except StopIteration as end:
        return asked, end.value


def failing(prompt: str, kind: str) -> Answer:
    return lambda ask: no_reply(kind, "as the test says") if ask.prompt == prompt else by_example(ask)


# -------------------------------------------------------------------------------------------------- the combinations


@pytest.mark.parametrize(("split", "names"), [("train", "abcdefghij"), ("heldout", "xyz"), ("all", "abcdefghijxyz")])
def test_combinations_are_of_the_skills_and_topics_of_their_split(split: str, names: str) -> None:
    tasks = combinations(Pool(), split, 2, 60, 0)
    assert {skill.name for task in tasks for skill in task.skills} == set(names)
    assert {task.topic for task in tasks} <= set(topics(split))
    assert names_of(Pool(), split) == list(names)


def test_topics_and_skills_come_evenly() -> None:
    tasks = combinations(Pool(), "train", 2, 100, 0)
    for counts in (Counter(t.topic for t in tasks), Counter(s.name for t in tasks for s in t.skills)):
        assert max(counts.values()) - min(counts.values()) <= 1


def test_skills_that_are_near_are_not_combined() -> None:
    assert not [t for t in combinations(Pool(), "train", 3, 80, 0) if {"a", "b"} <= {s.name for s in t.skills}]


def test_another_seed_asks_for_other_combinations() -> None:
    first, again, other = (combinations(Pool(), "train", 2, 20, seed) for seed in (0, 0, 1))
    assert first == again != other


def test_too_few_skills_are_told_with_their_number() -> None:
    with pytest.raises(UserError, match=r"k=4 .* split 'heldout', which has 3 skills: .*--split all"):
        combinations(Pool(), "heldout", 4, 5, 0)


# -------------------------------------------------------------------------------------------------- the examination


def test_every_combination_is_drafted_revised_and_judged_all_at_once() -> None:
    asked, sheets = held(sit(TASKS, generations=3, votes=2))
    assert [Counter(ask.prompt for ask in asks) for asks in asked] == [{WRITE: 6}, {REVISE: 6}, {GRADE: 12}]
    assert [(sheet.combination, sheet.generation) for sheet in sheets] == [(i, g) for i in range(2) for g in range(3)]


def test_generations_are_requests_of_their_own() -> None:
    asked, _ = held(sit(TASKS[:1], generations=3, votes=1))
    assert [ask.repeat for ask in asked[0]] == [ask.repeat for ask in asked[1]] == [0, 1, 2]


def test_the_student_is_not_told_what_a_program_found() -> None:
    wordy = {"text": "A metaphor. Two. Three.", "explanation": ""}
    asked, _ = held(sit(TASKS, 1, 1), lambda ask: Reply(parsed=wordy if ask.prompt == WRITE else ask.example))
    assert all(ask.inputs["faults"] == [] for ask in asked[1])


@pytest.mark.parametrize("prompt", [WRITE, REVISE])
@pytest.mark.parametrize("kind", ["refused", "truncated", "unparsable", "empty"])
def test_who_gives_no_text_shows_nothing(prompt: str, kind: str) -> None:
    _, [sheet] = held(sit(TASKS[:1], 1, 3), failing(prompt, kind))
    assert sheet.failure is not None
    assert sheet.failure.kind == kind
    assert sheet.points == Points((0.0, 0.0), (0.0, 0.0, 0.0))
    assert sheet.graded().missing


def test_a_blank_text_is_no_text() -> None:
    blank = {"text": " \n", "explanation": "None."}
    _, [sheet] = held(sit(TASKS[:1], 1, 3), lambda ask: Reply(parsed=blank if ask.prompt == REVISE else ask.example))
    assert (sheet.failure and sheet.failure.kind, sheet.points.undecided) == ("empty", 0)


def test_what_the_server_would_not_take_is_not_held_against_the_student() -> None:
    _, [sheet] = held(sit(TASKS[:1], 1, 3), failing(WRITE, "prompt_too_long"))
    assert sheet.points.undecided == 5


def test_a_judge_without_a_verdict_is_not_held_against_the_student() -> None:
    _, [sheet] = held(sit(TASKS[:1], 1, 3), failing(GRADE, "unparsable"))
    assert sheet.points == Points((None, None), (None, None, 1.0))  # the limit is counted


def test_one_failure_does_not_touch_the_other_texts() -> None:
    def answer(ask: Ask) -> Reply:
        return no_reply("refused", "") if ask.prompt == WRITE and ask.repeat == 1 else by_example(ask)

    _, sheets = held(sit(TASKS, 2, 1), answer)
    assert [sheet.failure is not None for sheet in sheets] == [False, True, False, True]
    assert all(grade.value == 1.0 for sheet in sheets[::2] for grade in sheet.grades)


def test_grading_anew_asks_the_judges_alone_and_skips_what_has_no_text() -> None:
    _, sheets = held(sit(TASKS, 2, 1), lambda ask: failing(WRITE, "refused")(ask) if ask.repeat else by_example(ask))
    asked, again = held(regrade(sheets, 3))
    assert [{ask.prompt for ask in asks} for asks in asked] == [{GRADE}]
    assert [len(grade.votes) for sheet in again for grade in sheet.grades] == [3] * 10
    assert [sheet.text for sheet in again] == [sheet.text for sheet in sheets]


# ------------------------------------------------------------------------------------------------------- the results


ABOUT: dict[str, Any] = {"suite": "skill-mix", "model": "m", "student": {"model": "m"}, "asked": {"k": [2]}}


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = place_of_results(tmp_path, "m", "skill-mix")
    _, sheets = held(
        sit(TASKS, 2, 3), lambda ask: failing(WRITE, "refused")(ask) if ask.repeat == 1 else by_example(ask)
    )
    write_results(path, ABOUT | {"results": []}, sheets)
    assert read_results(path) == (ABOUT, sheets)
    assert [found.name for found in path.parent.iterdir()] == ["skill-mix.json"]


@pytest.mark.parametrize("model", ["Qwen/Qwen3-8B", "..", "../../etc", "a b", "/models/x", "ü" * 300, "."])
def test_results_lie_under_the_outputs_whatever_the_model_is_called(tmp_path: Path, model: str) -> None:
    path = place_of_results(tmp_path, model, "skill-mix")
    assert path.resolve().parent.parent == (tmp_path / "student").resolve()
    assert len(path.parent.name) < 120


def test_models_of_different_names_share_no_file(tmp_path: Path) -> None:
    assert len({place_of_results(tmp_path, model, "skill-mix") for model in ("a/b", "a-b", "a b", "-a-b")}) == 4


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"version": 9}', '{"version": 1, "skills": {}, "texts": [{}]}', "3"])
def test_a_file_that_holds_no_results_is_refused(tmp_path: Path, said: str) -> None:
    path = tmp_path / "skill-mix.json"
    path.write_text(said)
    with pytest.raises(UserError, match=r"skill-mix\.json"):
        read_results(path)


# ------------------------------------------------------------------------------------------------------- the real list


@pytest.mark.slow
def test_the_shipped_list_has_enough_heldout_skills_for_six_in_one_text() -> None:
    listed = read_skills(prompts_folder() / "lists" / "skills.yaml", "shipped")
    with pool_of(listed, 0.1) as pool:
        tasks = combinations(pool, "heldout", 6, 20, 0)
        families = {side: {pool.get(name).family for name in pool.names(side)} for side in ("train", "heldout")}
    assert all(len({skill.name for skill in task.skills}) == 6 for task in tasks)
    assert not families["train"] & families["heldout"]
