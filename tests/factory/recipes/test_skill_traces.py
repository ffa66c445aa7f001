"""Solutions whose every step names a basic skill of a closed list: the chain's skills, in order, with their values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from by_example import make
from by_hand import cases_of, ending, held, named
from nonsense import nonsense
from pydantic import ValidationError

from factory.artifacts.digest import row_rng
from factory.recipes import chains
from factory.recipes.recipe import NOTHING, Ask, Brief, Cell, Demand, Draft, Sources
from factory.recipes.skill_traces import TRACE, SkillTracesParams, assign, talk
from factory.recipes.trace_checks import closed_list, label, schema_of, steps_fault, trace_fault
from factory.skills.library import OPERATIONS, TASKS, held_out
from factory.skills.tree import edge, evaluate, leaf, node
from factory.teacher.structured import bounded

HAND = cases_of("skill-traces")
SKILLS = ["digit_sum", "next_multiple", "base_digits"]
FIRST = node(OPERATIONS["digit_sum"], {}, leaf(4967, "number"))
SECOND = node(OPERATIONS["next_multiple"], {"step": 7}, edge("affine", {"a": 3, "b": 4}, FIRST))
TREE = node(OPERATIONS["base_digits"], {"base": 6}, SECOND)
PROMPT = """Solve these linked problems in order; later ones use the answers of earlier ones.
Problem 1. What is the sum of the decimal digits of 4967? Call the answer A1.
Problem 2. Let B2 be 3 × A1 + 4. Which multiple of 7 is the first one greater than B2? Call the answer A2.
Problem 3. Write A2 in base 6 and list its digits, most significant first.
Report only the last answer. Finish with 'Answer:' and then nothing but the answer."""
CHAIN = Draft(TREE, chains.gold(TREE, [2, 2, 0]), "0.0.0.0", PROMPT, "1. 26\n2. 84\n3. [2, 2, 0]")
BRIEF = Brief(3, "train", SKILLS, [])


@pytest.fixture
def one_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chain is that of the hand-written cases."""
    assert [evaluate(FIRST), evaluate(SECOND), evaluate(TREE)] == [26, 84, [2, 2, 0]]
    monkeypatch.setattr(chains, "draw", lambda params, brief, rng: CHAIN)


def params(**said: Any) -> SkillTracesParams:
    return SkillTracesParams(recipe="skill-traces", share=1.0, **said)


def trace_of(case: dict[str, Any], other: str = "") -> Any:
    if "reply" in case:
        return case["reply"]
    steps = [
        {"skill": other if skill == "OTHER" else skill, "text": text}
        for skill, text in case.get("steps", HAND["steps"])
    ]
    return {"steps": steps, "answer": case.get("answer", HAND["answer"])}


def other_skill(ask: Ask) -> str:
    labels = [skill["name"] for skill in ask.inputs["skills"]]
    return next(name for name in labels if name.replace(" ", "_") not in SKILLS)


def told(case: dict[str, Any], stream: str = "x", **said: Any) -> Any:
    return held(talk(params(**said), BRIEF, row_rng(1, "draw", stream)), lambda ask: trace_of(case, other_skill(ask)))


@pytest.mark.usefixtures("one_chain")
@pytest.mark.parametrize("case", HAND["cases"], ids=named(HAND["cases"]))
def test_a_hand_written_reply_ends_as_it_must(case: dict[str, Any]) -> None:
    assert ending("skill-traces", 3, told(case)) == case["ends"]


@pytest.mark.usefixtures("one_chain")
def test_the_steps_of_a_row_begin_with_their_skill_once() -> None:
    for case in HAND["cases"]:
        if case["ends"] == "accepted":
            lines = told(case).steps.split("\n")
            assert all(line.startswith("[") and line.count("[") == 1 for line in lines)
            assert [line[1:].partition("] ")[0] for line in lines][0] == "digit sum"
            assert "] 4" in lines[0] or "] The" in lines[0]


@pytest.mark.usefixtures("one_chain")
def test_a_prompt_shows_the_closed_list_with_descriptions_or_none_of_it() -> None:
    shown, plain = told({}, show_skills=1.0), told({}, show_skills=0.0)
    assert shown.prompt.endswith(PROMPT)
    assert plain.prompt.endswith(PROMPT)
    for name in SKILLS:
        line = f"- {label(OPERATIONS[name])}: {OPERATIONS[name].about}"
        assert (line in shown.prompt, line in plain.prompt) == (True, False)
    assert (shown.phrasing.split(".")[0], plain.phrasing.split(".")[0]) == ("shown", "unnamed")
    assert "square brackets" in plain.prompt


@pytest.mark.usefixtures("one_chain")
def test_about_the_wanted_share_of_prompts_shows_the_skills() -> None:
    rows = [told({}, str(i), show_skills=0.25) for i in range(80)]
    assert 8 < sum(row.phrasing.startswith("shown") for row in rows) < 34


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_the_closed_list_holds_the_chains_skills_and_distractors_of_the_same_split(split: str) -> None:
    pool = [name for name in TASKS if (name in held_out()) == (split == "heldout")]
    brief = Brief(3, split, [pool[0], pool[1], pool[0]], [])
    names = [skill.name for skill in closed_list(brief, 4, row_rng(1, "draw", "x"))]
    assert set(pool[:2]) < set(names) <= set(pool)
    assert len(names) == len(set(names)) == 6
    assert [skill.name for skill in closed_list(brief, 0, row_rng(1, "draw", "x"))] in ([*pool[:2]], [*pool[1::-1]])


def test_names_of_skills_are_told_apart_and_schemas_are_bounded() -> None:
    assert len({label(skill) for skill in TASKS.values()}) == len(TASKS)
    bounded(schema_of(["a", "b"]))


def test_a_skill_outside_of_the_list_is_known_even_without_a_schema() -> None:
    trace = trace_of({})
    assert trace_fault(trace, CHAIN, ["digit sum", "base digits"]) == (
        "skills_known", "there is no skill 'next multiple' in the list",
    )  # fmt: skip
    assert trace_fault(trace, CHAIN, ["digit sum", "next multiple", "base digits"]) is None


def test_a_skill_that_is_used_twice_in_a_row_may_be_told_in_one_run() -> None:
    tree = node(OPERATIONS["digit_sum"], {}, node(OPERATIONS["digit_sum"], {}, leaf(4989, "number")))
    twice = replace(CHAIN, tree=tree, verifier=chains.gold(tree, 3))
    steps = [{"skill": "digit sum", "text": "4 + 9 + 8 + 9 = 30."}, {"skill": "digit sum", "text": "3 + 0 = 3."}]
    assert trace_fault({"steps": steps, "answer": "3"}, twice, ["digit sum"]) is None
    found = trace_fault({"steps": steps[1:], "answer": "3"}, twice, ["digit sum"])
    assert found == ("step_values", "digit sum gives 30, which its steps do not say")


@pytest.mark.parametrize("text", ["1,234 in all", "it is 1234.", "(1234)", "-1234", "1 234 pens"])
def test_a_value_is_found_however_it_is_written(text: str) -> None:
    assert value_fault(text) is None


@pytest.mark.parametrize("text", ["12345", "11234", "1234.5", "0.1234", "1,2345"])
def test_another_number_is_not_the_value(text: str) -> None:
    assert value_fault(text) is not None


def value_fault(text: str) -> tuple[str, str] | None:
    tree = node(OPERATIONS["reverse_digits"], {}, leaf(4321, "number"))
    one = replace(CHAIN, tree=tree, verifier=chains.gold(tree, 1234))
    return trace_fault(
        {"steps": [{"skill": "reverse digits", "text": text}], "answer": "1234"}, one, ["reverse digits"]
    )


def test_the_example_replies_make_accepted_rows() -> None:
    ends = []
    for level in (1, 2, 4):
        demand = Demand(Cell(f"level={level}", level), "train", 14, 3, "t")
        for i, skills in enumerate(assign(params(), demand).skills.to_list()):
            row = make("skill-traces", params(), Brief(level, "train", skills, []), row_rng(3, "draw", f"{i}"))
            ends.append(ending("skill-traces", level, row))
    assert ends.count("accepted") > 33
    assert set(ends) <= {"accepted", "link_fits", "input_matters", "depth_is_level"}


def test_calculations_may_repeat_their_words_but_no_sentence_may_come_again_and_again() -> None:
    sums = "\n".join(
        f"{i}. Take the number {i} from the row and put the number {i * i} in its place." for i in range(9)
    )
    assert steps_fault("What comes out?", f"{sums}\nAnswer: 64") is None
    looping = "The number is taken and put back in its place. " * 9
    fault = steps_fault("What comes out?", f"{looping}\nAnswer: 64")
    assert fault is not None
    assert fault[0] == "not_repetitive"


def test_seeds_are_not_used() -> None:
    demand = Demand(Cell("level=2", 2), "train", 3, 3, "t", Sources(problems=object()))  # type: ignore[arg-type]
    assert assign(params(), demand).parents is None
    assert (
        assign(params(), demand).skills.to_list() == assign(params(), replace(demand, sources=NOTHING)).skills.to_list()
    )


@pytest.mark.usefixtures("one_chain")
@pytest.mark.parametrize("seed", range(40))
def test_nonsense_of_the_right_form_never_crashes(seed: int) -> None:
    rng = row_rng(seed, "nonsense", "skill-traces")

    def answer(ask: Ask) -> Any:
        assert ask.prompt == TRACE
        assert ask.schema is not None
        return nonsense(ask.schema, rng)

    assert ending("skill-traces", 3, held(talk(params(), BRIEF, rng), answer)) != "accepted"


def test_numbers_of_params_have_bounds() -> None:
    for said in ({"levels": (0,)}, {"distractors": 13}, {"show_skills": 1.5}):
        with pytest.raises(ValidationError):
            params(**said)
