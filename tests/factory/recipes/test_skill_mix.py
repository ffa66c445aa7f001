"""Skill-Mix as training data: what its gates let through, what rows look like, how skills and topics are planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from by_example import make
from hypothesis import given
from hypothesis import strategies as st
from nonsense import nonsense
from pydantic import ValidationError

from factory.artifacts.digest import Rng, canonical_json, row_rng
from factory.errors import UserError
from factory.gates.judge import GRADE
from factory.gates.skill_points import REVISE, WRITE, Task
from factory.gates.text import first_fault
from factory.gates.verify import judge_text
from factory.jobs.talk import request_of
from factory.prompts import find_prompt, prompts_folder
from factory.recipes.recipe import Ask, Brief, Cell, Demand, Draft, Dropped, Sources
from factory.recipes.registry import RECIPES
from factory.recipes.skill_mix import KEEP, TOPIC, SkillMixParams, assign, cells, talk, topics
from factory.recipes.skill_mix_wording import WORDINGS, asked
from factory.score import score
from factory.skills.language.skill import LanguageSkill
from factory.teacher.model import SamplingSpec
from factory.teacher.protocol import NoReply, Reply, no_reply

SAID = yaml.safe_load(Path(__file__).parents[2].joinpath("data", "replies", "skill-mix.yaml").read_text("utf-8"))


@cache
def shipped() -> dict[str, LanguageSkill]:
    listed = yaml.safe_load((prompts_folder() / "lists" / "skills.yaml").read_text("utf-8"))["skills"]
    return {row["name"]: LanguageSkill(**row) for row in listed}


@dataclass(frozen=True)
class Pool:
    """The shipped skills, the last two families held out."""

    near: frozenset[frozenset[str]] = frozenset()
    weights: Mapping[str, float] = field(default_factory=dict, hash=False)
    limit: int = 1_000
    identity: str = "pool"

    def names(self, split: str) -> Sequence[str]:
        return sorted(name for name in shipped() if self.split_of(name) == split)[: self.limit]

    def get(self, name: str) -> LanguageSkill:
        return shipped()[name]

    def split_of(self, name: str) -> str:
        return "heldout" if list(shipped()).index(name) >= 100 else "train"


def params(**said: Any) -> SkillMixParams:
    return SkillMixParams(recipe="skill-mix", share=1.0, **said)


def brief(skills: Sequence[str], topic: str) -> Brief:
    return Brief(len(skills), "train", list(skills), [f"{TOPIC}{topic}"], Sources(skills=Pool()), f"k={len(skills)}")


class Held:
    """A case's conversation, held to its end."""

    def __init__(self, case: Mapping[str, Any], seed: int = 0) -> None:
        self.case = case
        self.asked: list[Ask] = []
        self.made: Draft | Dropped
        of = brief(case["skills"], case["topic"])
        task = Task(tuple(shipped()[name] for name in case["skills"]), case["topic"])
        self.prompt = asked(task, Rng(seed).below(len(WORDINGS)))
        talking = talk(params(**case.get("params", {})), of, Rng(seed))
        try:
            asks = next(talking)
            while True:
                self.asked += asks
                asks = talking.send([self.reply(ask) for ask in asks])
        except StopIteration as end:
            self.made = end.value
        except NoReply as why:
            self.made = Dropped(why.failure.kind, why.failure.detail)

    def reply(self, ask: Ask) -> Reply:
        if ask.prompt == GRADE:
            return self.vote(ask)
        said = self.case["draft" if ask.prompt == WRITE else "revision"]
        if isinstance(said, dict):
            return no_reply(said["failure"], "as the case says")
        return Reply(parsed={"text": said.replace("{prompt}", self.prompt), "explanation": "See above."})

    def vote(self, ask: Ask) -> Reply:
        if ask.repeat in self.case.get("lost", ()):
            return no_reply("truncated", "as the case says")
        votes = self.case.get("votes", {})
        points = [
            {"point": name, "reason": "So it is.", "met": votes.get(name, "yyy")[ask.repeat] == "y"}
            for name in ask.inputs["points"]
        ]
        return Reply(parsed={"points": points[::-1] if ask.repeat in self.case.get("disordered", ()) else points})

    @property
    def draft(self) -> Draft:
        assert isinstance(self.made, Draft), self.made
        return self.made

    @property
    def end(self) -> str:
        return "accepted" if isinstance(self.made, Draft) else self.made.code


def case(name: str) -> dict[str, Any]:
    [found] = [one for one in SAID["cases"] if one["name"] == name]
    return dict(found)


GOOD = case("two skills in one sentence")

# ---------------------------------------------------------------------------------------------------- what passes


@pytest.mark.parametrize("said", SAID["cases"], ids=lambda said: said["name"])
def test_a_conversation_ends_as_its_case_says(said: dict[str, Any]) -> None:
    held = Held(said)
    assert held.end == said["ends"], held.made
    if "paid" in said:
        assert any(ask.prompt == GRADE for ask in held.asked) is said["paid"]
    if "pair" in said:
        assert (held.draft.rejected == said["draft"]) is said["pair"]


@pytest.mark.parametrize("said", [s for s in SAID["cases"] if s["ends"] == "accepted"], ids=lambda said: said["name"])
def test_an_accepted_row_passes_the_gate_of_texts(said: dict[str, Any]) -> None:
    made = Held(said).draft
    stored = {**made.verifier, "args": canonical_json(made.verifier["args"]).decode()}
    fault = first_fault(made.prompt, made.verifier["gold"])
    assert judge_text(fault, stored, made.steps, made.rejected) == 0


def test_every_end_that_is_told_apart_has_its_case() -> None:
    ends = Counter(said["ends"] for said in SAID["cases"])
    assert ends["accepted"] >= 10
    assert {"rubric_met", "undecided", "no_refusal", "complete", "truncated", "not_an_echo"} < ends.keys()


# -------------------------------------------------------------------------------------------- what is asked, and kept


def test_the_revision_goes_on_from_the_draft_and_the_votes_follow() -> None:
    write, revise, *votes = Held(GOOD).asked
    assert (write.prompt, revise.prompt, {vote.prompt for vote in votes}) == (WRITE, REVISE, {GRADE})
    assert [message["role"] for message in revise.history] == ["system", "user", "assistant"]
    assert GOOD["draft"] in revise.history[-1]["content"]
    assert [(vote.role, vote.repeat, vote.sampling.seed) for vote in votes] == [("judge", i, i) for i in range(3)]


def test_the_author_is_told_what_a_program_found_in_the_draft() -> None:
    said = case("a faulty draft that its revision mends becomes the worse reply")
    revise = Held(said).asked[1]
    assert revise.inputs["faults"] == [
        "It has 3 sentences; a single sentence may be used.",
        "It names metaphor, and must not.",
    ]


def test_the_judge_sees_the_text_and_not_its_explanation() -> None:
    vote = Held(GOOD).asked[-1]
    assert GOOD["revision"] in vote.inputs["texts"]
    assert "See above." not in "\n".join(request_of(vote, 0, SamplingSpec()).said)


def test_a_row_has_a_grade_for_each_of_its_k_and_three_points() -> None:
    draft = Held(GOOD).draft
    names = ["shows_metaphor", "shows_self_serving_bias", "on_topic", "makes_sense", "within_limit"]
    assert [grade.name for grade in draft.grades] == names
    assert all(grade.votes == (1.0, 1.0, 1.0) for grade in draft.grades)


def test_a_judge_who_cannot_count_is_overruled_and_its_votes_are_kept() -> None:
    within = Held(case("a judge who cannot count does not decide the limit")).draft.grades[-1]
    assert (within.name, within.value, within.votes) == ("within_limit", 1.0, (0.0, 0.0, 0.0))


def test_a_kept_text_that_names_a_skill_has_a_0_for_it_whatever_the_votes() -> None:
    draft = Held(case("where all texts are kept, a bad one stays with its grades")).draft
    values = {grade.name: grade.value for grade in draft.grades}
    assert values == {
        "shows_metaphor": 0.0, "shows_self_serving_bias": 0.0, "on_topic": 0.0, "makes_sense": 1.0, "within_limit": 0.0
    }  # fmt: skip
    assert draft.grades[0].votes == (1.0, 1.0, 1.0)


def test_the_verifier_scores_the_text_1_a_breach_0_and_any_other_not_at_all() -> None:
    verifier = Held(GOOD).draft.verifier
    assert score(verifier["gold"], verifier).value == 1.0
    assert score("It rose. It fell.", verifier).value == 0.0
    assert score("Self-serving bias made the bread.", verifier).value == 0.0
    assert score("The dough rose like a balloon.", verifier).value is None


def test_a_row_carries_its_topic_where_releases_look_for_what_the_splits_share() -> None:
    draft = Held(GOOD).draft
    assert draft.parents == ["topic:sourdough starters"]
    assert draft.shape == "sourdough starters"


@given(seed=st.integers(0, 2**32), k=st.integers(1, 6))
def test_the_prompt_names_each_skill_with_its_definition_the_topic_and_the_limit(seed: int, k: int) -> None:
    rng = Rng(seed)
    skills = rng.sample(sorted(shipped()), k)
    topic = rng.pick(topics("all"))
    draft = make("skill-mix", params(k=(k,)), brief(skills, topic), rng)
    assert isinstance(draft, Draft)
    assert topic in draft.prompt
    assert all(f"- {shipped()[name].label}: {shipped()[name].definition}" in draft.prompt for name in skills)
    assert (
        "single sentence" if k < 3 else f"at most {('two', 'three', 'four', 'five')[k - 3]} sentences"
    ) in draft.prompt


def test_a_row_by_examples_is_accepted_whatever_is_wanted_of_it() -> None:
    for keep in KEEP:
        made = [
            make("skill-mix", params(keep=keep), brief(names, topic), Rng(7))
            for names in (["metaphor", "simile"], ["triage", "litotes", "pastiche"])
            for topic in topics("train")[:3]
        ]
        drafts = [draft for draft in made if isinstance(draft, Draft)]
        assert len({draft.verifier["gold"] for draft in drafts}) == len(made)
        assert all(first_fault(draft.prompt, draft.verifier["gold"]) is None for draft in drafts)


@given(seed=st.integers(0, 2**32))
def test_nonsense_that_keeps_the_schemas_ends_in_a_row_or_a_reason(seed: int) -> None:
    rng = Rng(seed)
    keep = rng.pick(sorted(KEEP))
    talking = talk(params(keep=keep), brief(["metaphor", "red_herring"], "tide pools"), rng)
    made: Draft | Dropped | None = None
    try:
        asks = next(talking)
        while True:
            schemas = [ask.schema or find_prompt(ask.prompt).head.json_schema for ask in asks]
            asks = talking.send([Reply(parsed=nonsense(schema or {}, rng)) for schema in schemas])
    except StopIteration as end:
        made = end.value
    assert made is not None


# ------------------------------------------------------------------------------------------------------ what is planned


def demands(quotas: Sequence[tuple[int, int]], split: str = "train", round_: int = 0, **pool: Any) -> list[Demand]:
    planned = tuple((Cell(f"k={k}", k), n) for k, n in quotas)
    sources = Sources(skills=Pool(**pool))
    return [Demand(cell, split, n, 5, "t", sources, 0, round_, planned, planned) for cell, n in planned]


def planned(found: Sequence[Demand]) -> tuple[list[list[str]], list[str]]:
    plans = [assign(params(), demand) for demand in found]
    skills = [row for plan in plans for row in plan.skills.to_list()]
    return skills, [row[0] for plan in plans if plan.parents is not None for row in plan.parents.to_list()]


def test_every_slot_has_as_many_different_skills_as_its_cell_says() -> None:
    for demand in demands([(1, 7), (2, 31), (3, 20), (6, 4)]):
        rows = assign(params(), demand).skills.to_list()
        assert [len(set(row)) for row in rows] == [demand.cell.level] * demand.n


def test_topics_are_used_evenly_over_all_cells() -> None:
    _, parents = planned(demands([(2, 131), (3, 70)]))
    counts = Counter(parents)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(counts) == len(topics("train"))


def test_skills_are_used_evenly_and_no_pair_comes_twice() -> None:
    skills, _ = planned(demands([(2, 120), (3, 60)]))
    counts = Counter(name for row in skills for name in row)
    assert max(counts.values()) - min(counts.values()) <= 1
    pairs = Counter(frozenset((a, b)) for row in skills for a in row for b in row if a < b)
    assert max(pairs.values()) == 1


def test_skills_that_are_near_each_other_are_never_asked_for_together() -> None:
    near = frozenset({frozenset({"metaphor", "simile"})})
    skills, _ = planned(demands([(2, 400)], near=near))
    assert not [row for row in skills if {"metaphor", "simile"} <= set(row)]


def test_train_and_heldout_share_neither_skills_nor_topics() -> None:
    train, held = (planned(demands([(2, 200)], split)) for split in ("train", "heldout"))
    assert not {n for row in train[0] for n in row} & {n for row in held[0] for n in row}
    assert not set(train[1]) & set(held[1])
    assert set(topics("train")) | set(topics("heldout")) == set(topics("all"))


def test_the_plan_depends_on_nothing_but_the_demand() -> None:
    assert planned(demands([(2, 50), (3, 50)])) == planned(demands([(2, 50), (3, 50)]))


def test_a_later_round_plans_other_combinations() -> None:
    first, later = (planned(demands([(2, 40)], round_=number)) for number in (0, 3))
    assert len(later[0]) == 40
    assert not {frozenset(row) for row in first[0]} & {frozenset(row) for row in later[0]}


def test_too_few_skills_for_k_is_said_with_what_to_do() -> None:
    [demand] = demands([(6, 3)], limit=4)
    with pytest.raises(UserError, match=r"'skill-mix', split train: .*skills\.path"):
        assign(params(k=(6,)), demand)


@pytest.mark.parametrize("k", [(), (0,), (7,), (2, 2)])
def test_impossible_numbers_of_skills_are_refused(k: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        params(k=k)


def test_by_default_there_is_a_cell_for_two_skills_and_one_for_three() -> None:
    assert [(cell.name, cell.level) for cell in cells(params())] == [("k=2", 2), ("k=3", 3)]


def test_judges_are_examined_by_the_rubric_that_rows_are_graded_by() -> None:
    recipe = RECIPES["skill-mix"]
    [rubric] = recipe.judges_by(params())
    vote = Held(GOOD).asked[-1]
    named = [name for name in vote.inputs["points"] if not name.startswith("shows_")]
    assert list(rubric.names) == named
    assert rubric.inputs == tuple(vote.inputs["titles"])


def test_the_prompts_of_a_conversation_are_those_that_the_recipe_tells_of() -> None:
    assert {ask.prompt for ask in Held(GOOD).asked} == set(RECIPES["skill-mix"].prompts)


def test_the_same_slot_is_worded_the_same_again() -> None:
    of = brief(["metaphor", "triage"], "tide pools")
    first, again = (make("skill-mix", params(), of, row_rng(1, "draw", "x")) for _ in range(2))
    assert first == again
