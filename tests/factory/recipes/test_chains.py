from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from factory.artifacts.digest import row_rng
from factory.errors import UserError
from factory.jobs.model import parse_job
from factory.recipes.recipe import SeedProblem
from factory.score import score
from factory.skills.library import OPERATIONS, TASKS, held_out
from factory.skills.skill import render, verifier_of
from factory.skills.tree import UNDEFINED, OutsideDomain, Tree, effective, evaluate, literal, nodes

HORIZONS = range(1, 9)
MARKERS = ("Problem {i}. ", "Step {i}: ", "({i}) ")
CALLED = re.compile(r"(?:Call the answer|Let|The answer is) (A\d)(?: be the result)?\.$", re.M)
FACTORS = {
    ("minutes", "hours"): 60, ("hours", "days"): 24, ("days", "weeks"): 7, ("months", "years"): 12,
    ("inches", "feet"): 12, ("eggs", "dozen"): 12, ("metres", "kilometres"): 1000, ("grams", "kilograms"): 1000,
    ("cents", "dollars"): 100, ("millimetres", "centimetres"): 10,
}  # fmt: skip


@pytest.fixture(scope="module", params=[(h, split) for h in HORIZONS for split in ("train", "heldout")], ids=str)
def rows(request: Any, draw: Any) -> Any:
    horizon, split = request.param
    drawn = draw("chains", horizon, 24, split)
    assert len(drawn.rows) >= 10
    return drawn.rows


def tasks(row: Any) -> list[str]:
    """Return the tasks of a prompt, one a link, as its markers cut it."""
    prompt, horizon = row.draft.prompt, row.brief.level
    if horizon == 1:
        return [prompt]
    marker = next(m for m in MARKERS if f"\n{m.format(i=1)}" in prompt)
    places = [prompt.index(f"\n{marker.format(i=i)}") for i in range(1, horizon + 1)]
    assert places == sorted(places)
    assert f"\n{marker.format(i=horizon + 1)}" not in prompt
    *first, last = [prompt[a:b] for a, b in zip(places, [*places[1:], len(prompt)], strict=True)]
    return [*first, last.strip().rpartition("\n")[0]]


def links(tree: Tree) -> list[Tree]:
    """Return the skill nodes of a chain, the first one first."""
    return list(nodes(tree))


def test_a_prompt_holds_one_task_a_link(rows: Any) -> None:
    for row in rows:
        said = tasks(row)
        assert len(said) == row.brief.level == len(links(row.draft.tree))


def test_a_chain_goes_through_the_planned_skills_in_order(rows: Any) -> None:
    for row in rows:
        assert [link["skill"] for link in links(row.draft.tree)] == row.brief.skills


def test_train_rows_use_no_held_out_skill_and_held_out_rows_no_other(rows: Any) -> None:
    for row in rows:
        assert {name in held_out() for name in row.brief.skills} == {row.brief.split == "heldout"}


def test_every_answer_but_the_last_gets_a_name_and_is_used_by_the_next_task_alone(rows: Any) -> None:
    for row in rows:
        names = [f"A{i}" for i in range(1, row.brief.level)]
        assert CALLED.findall(row.draft.prompt) == names
        for i, task in enumerate(tasks(row), 1):
            used = set(re.findall(r"\bA\d\b", CALLED.sub("", task)))
            assert used == ({f"A{i - 1}"} if i > 1 else set())


def test_only_the_last_answer_is_asked_for(rows: Any) -> None:
    for row in rows:
        assert f"A{row.brief.level}" not in row.draft.prompt
        assert "'Answer:'" in row.draft.prompt.split("\n")[-1]
        if row.brief.level > 1:
            assert re.search(r"last (answer|one)|Give the last answer", row.draft.prompt.split("\n")[-1])


def test_every_edge_is_of_the_right_type(rows: Any) -> None:
    for row in rows:
        for link in links(row.draft.tree):
            below, takes = link["args"][0], OPERATIONS[link["skill"]].takes
            if "adapter" in below:
                assert takes == "number"
                below = below["args"][0]
            assert takes == (below["kind"] if "kind" in below else OPERATIONS[below["skill"]].gives)


def test_every_skill_gets_a_value_that_it_is_made_for(rows: Any) -> None:
    for row in rows:
        for link in links(row.draft.tree):
            skill, x = OPERATIONS[link["skill"]], evaluate(link["args"][0])
            assert skill.x.holds(x)
            assert skill.needs is None or skill.needs(x, **link["params"])
            skill.check_knobs(link["params"])


def recomputed(tree: Tree) -> dict[str, Any]:
    return verifier_of(OPERATIONS[tree["skill"]], evaluate(tree))


def test_the_gold_is_the_value_of_the_tree(rows: Any) -> None:
    for row in rows:
        assert row.draft.verifier == recomputed(row.draft.tree)
        assert score(row.gold, row.draft.verifier).value == 1.0


def works(row: Any) -> list[str]:
    lines = row.draft.steps.split("\n")
    return lines if row.brief.level == 1 else [line.removeprefix(f"{i}. ") for i, line in enumerate(lines, 1)]


def test_the_steps_show_the_answer_of_every_link(rows: Any) -> None:
    for row in rows:
        lines = works(row)
        assert len(lines) == row.brief.level
        for line, link in zip(lines, links(row.draft.tree), strict=True):
            assert render(evaluate(link), OPERATIONS[link["skill"]].gives) in line


def calculate(said: str) -> int:
    """Work out what an adapter says, word by word."""
    if found := re.fullmatch(r"the number of (\w+) in (-?\d+) (\w+)", said):
        return int(found[2]) * FACTORS[(found[1], found[3])]
    if found := re.fullmatch(r"\(the remainder when (-?\d+) is divided by (\d+)\) \+ (\d+)", said):
        return int(found[1]) % int(found[2]) + int(found[3])
    found = re.fullmatch(r"(?:(\d+) × )?(-?\d+)(?: ([-+]) (\d+))?", said)
    assert found, said
    return int(found[1] or 1) * int(found[2]) + int(f"{found[3] or '+'}{found[4] or 0}")


def test_an_adapter_does_what_the_prompt_and_the_steps_say(rows: Any) -> None:
    for row in rows:
        for i, (task, work, link) in enumerate(zip(tasks(row), works(row), links(row.draft.tree), strict=True), 1):
            said = re.search(rf"Let B{i} be (.+?)\. ", task)
            assert bool(said) == ("adapter" in link["args"][0])
            if not said:
                assert not re.search(r"\bB\d\b", task + work)
                continue
            before, given = evaluate(link["args"][0]["args"][0]), evaluate(link["args"][0])
            assert calculate(said[1].replace(f"A{i - 1}", str(before))) == given
            shown = re.match(rf"B{i} = (.+?) = (-?\d+)\. ", work)
            assert shown
            assert calculate(shown[1]) == int(shown[2]) == given
            assert f"B{i}" in task[said.end() :]


def test_every_link_changes_its_input_so_that_the_depth_is_the_horizon(rows: Any) -> None:
    assert [effective(row.draft.tree)[1] for row in rows] == [row.brief.level for row in rows]


def test_most_chains_pass_the_gate(rows: Any) -> None:
    assert sum(row.passes for row in rows) * 2 >= len(rows)


def other_values(link: Tree, tag: str) -> Iterator[Any]:
    """Yield answers of a link's own task for other inputs."""
    skill = OPERATIONS[link["skill"]]
    for i in range(8):
        if drawn := skill.draw(row_rng(13, "upstream", f"{tag}/{i}"), fixed=link["params"]):
            yield skill.apply(drawn[0], **drawn[1])


def replaced(tree: Tree, part: Tree, value: Any) -> Tree:
    if tree is part:
        return literal(value, OPERATIONS[part["skill"]].gives)
    return {**tree, "args": [replaced(arg, part, value) for arg in tree["args"]]} if "args" in tree else tree


def follows(tree: Tree, link: Tree, tag: str) -> bool:
    """Whether another answer of one link changes the last answer, or leaves it without one."""
    last = evaluate(tree)
    for value in other_values(link, tag):
        try:
            if evaluate(replaced(tree, link, value)) != last:
                return True
        except OutsideDomain:
            continue
        except UNDEFINED:
            return True
    return False


def test_the_last_answer_follows_every_link(draw: Any) -> None:
    followed = []
    for horizon in (2, 4, 6, 8):
        for i, row in enumerate(draw("chains", horizon, 24).rows):
            if row.passes:
                tree = row.draft.tree
                followed += [follows(tree, link, f"{horizon}/{i}/{j}") for j, link in enumerate(links(tree)[:-1])]
    assert len(followed) > 150
    assert sum(followed) / len(followed) > 0.85


def test_the_same_slot_makes_the_same_chain(draw: Any) -> None:
    assert draw("chains", 4, 6).rows == draw("chains", 4, 6).rows


def test_a_fixed_knob_is_the_same_in_every_chain(draw: Any) -> None:
    split = "heldout" if "remainder" in held_out() else "train"
    drawn = draw("chains", 1, 200, split, knobs={"remainder": {"divisor": 77}})
    found = [row.draft.tree["params"] for row in drawn.rows if row.brief.skills == ["remainder"]]
    assert found
    assert all(params == {"divisor": 77} for params in found)


def test_a_lower_atom_level_makes_smaller_numbers(draw: Any) -> None:
    def largest(level: int) -> int:
        split = "heldout" if "remainder" in held_out() else "train"
        rows = draw("chains", 1, 300, split, atom_level=level).rows
        return max(int(row.draft.tree["params"]["divisor"]) for row in rows if row.brief.skills == ["remainder"])

    assert largest(1) <= 35 < largest(4)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"knobs": {"remaindr": {}}}, "there is no skill 'remaindr' (did you mean 'remainder'?)"),
        ({"knobs": {"remainder": {"divisr": 9}}}, "no knob 'divisr' (did you mean 'divisor'?)"),
        ({"knobs": {"remainder": {"divisor": 5}}}, "knob 'divisor' of skill 'remainder' is 5; it must be 7 to 120"),
        ({"levels": [9]}, "level 9 is not in 1 to 8"),
        ({"levels": [2, 2]}, "a level is named twice"),
        ({"atom_level": 5}, "atom_level"),
        ({"seed_share": 0}, "seed_share"),
        ({"level": [1]}, "unknown key 'level' (did you mean 'levels'?)"),
    ],
)
def test_a_mistake_in_the_recipe_is_told_in_one_sentence(bad: dict[str, Any], says: str) -> None:
    recipe = {"recipe": "chains", "share": 1.0, **bad}
    with pytest.raises(UserError, match=re.escape(says)):
        parse_job({"kind": "build", "name": "x", "rows": 10, "recipes": [recipe]}, "job")


# ------------------------------------------------------------------------------------------- chains of a user's seeds


@dataclass(frozen=True)
class FewSeeds:
    problems: dict[str, SeedProblem]

    @property
    def identity(self) -> str:
        return "few"

    def ids(self, split: str) -> list[str]:
        return list(self.problems)

    def get(self, id_: str) -> SeedProblem:
        return self.problems[id_]


def seed(name: str, key: int, answer: int) -> SeedProblem:
    question = f"A box of {name} holds {key} pieces. How many pieces are in some boxes?"
    start = question.index(str(key))
    work = f"Count the {name}."
    return SeedProblem(name, question, answer, work, key, start, start + len(str(key)))


SEEDS = FewSeeds(
    {p.id: p for p in (seed("nails", 12, 96), seed("pens", 7, 21), seed("cups", 30, 60), seed("caps", 9, 5))}
)


@pytest.fixture(scope="module", params=[1, 2, 3, 4])
def seeded(request: Any, draw: Any) -> Any:
    return draw("chains", request.param, 12, seeds=SEEDS).rows


def test_a_chain_of_seeds_keeps_the_answer_of_its_last_seed(seeded: Any) -> None:
    for row in seeded:
        assert row.gold == str(SEEDS.get(row.brief.parents[-1]).answer)
        assert row.draft.verifier == recomputed(row.draft.tree)
        assert row.passes


def test_the_key_number_of_every_seed_but_the_first_is_replaced_by_a_relation(seeded: Any) -> None:
    for row in seeded:
        assert row.draft.parents == row.brief.parents
        problems = [SEEDS.get(id_) for id_ in row.brief.parents]
        assert problems[0].question in row.draft.prompt
        for i, (before, problem) in enumerate(zip(problems, problems[1:], strict=False), 2):
            said = re.search(rf"Let B{i} be (.+?)\. (A box of {problem.id} holds B{i} pieces\.)", row.draft.prompt)
            assert said
            assert calculate(said[1].replace(f"A{i - 1}", str(before.answer))) == problem.key
            assert problem.question not in row.draft.prompt


def test_no_seed_occurs_twice_in_a_chain(seeded: Any) -> None:
    assert all(len(set(row.draft.parents)) == row.brief.level for row in seeded)


def test_the_shortcut_of_a_constant_difference_is_flagged(seeded: Any) -> None:
    for row in seeded:
        assert row.draft.flags == (["const_diff"] if row.brief.level > 1 else [])


def test_links_may_be_skills_whose_answers_follow(draw: Any) -> None:
    rows = draw("chains", 4, 20, seeds=SEEDS, seed_share=0.3).rows
    mixed = [row for row in rows if any(name in TASKS for name in row.draft.skills)]
    assert len(mixed) > len(rows) / 2
    for row in mixed:
        assert len(row.draft.skills) == 4
        assert len(row.draft.parents) == row.draft.skills.count("seed_problem")
        assert row.draft.verifier == recomputed(row.draft.tree)
        assert row.draft.flags == (["const_diff"] if len(row.draft.parents) > 1 else [])


def test_without_usable_seeds_nothing_is_planned(draw: Any) -> None:
    assert draw("chains", 2, 5, seeds=FewSeeds({})).planned == []
