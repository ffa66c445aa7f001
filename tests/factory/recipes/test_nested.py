"""Nested functions: one test for each thing that the paper's released generator gets wrong, and a few more."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import Any

import pytest

from factory.artifacts.digest import row_id, row_rng, text_digest
from factory.errors import UserError
from factory.jobs.draw import draft_columns
from factory.jobs.model import Job, parse_job
from factory.jobs.plan import plan
from factory.recipes import nested
from factory.recipes.nested import MAX_OUTPUT, NAMES, definition
from factory.score import score
from factory.skills.domains import Letters
from factory.skills.library import FUNCTIONS, fingerprint, held_out
from factory.skills.skill import verifier_of
from factory.skills.tree import Tree, canonical, effective, evaluate, nodes, topology

LEVELS = range(1, 9)
CELLS = [(level, split) for level in LEVELS for split in ("train", "heldout")]
INPUTS = [Letters(3, 10).draw(row_rng(19, "inputs", str(i))) for i in range(8)]
FENCE = re.compile(r"```python\n(.*?)\n```\n(.*)", re.DOTALL)


@pytest.fixture(scope="module", params=CELLS, ids=str)
def rows(request: Any, draw: Any) -> Any:
    level, split = request.param
    drawn = draw("nested", level, 30, split)
    assert len(drawn.rows) >= 20
    return drawn.rows


def printed(row: Any) -> tuple[str, str, str]:
    """Return a prompt's code, its question and the input in it."""
    found = FENCE.match(row.draft.prompt)
    assert found
    call = re.search(r"main_solution\((\"[a-z]+\")\)", found[2])
    assert call
    return found[1], found[2], ast.literal_eval(call[1])


def run(code: str) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    exec(compile(code, "printed", "exec"), scope)
    return scope


def definitions() -> str:
    return "\n\n".join(definition(name) for name in FUNCTIONS)


# ------------------------------------------------------------------------------ what the released generator gets wrong


def test_the_input_is_used(rows: Any) -> None:
    for row in rows:
        code, _, given = printed(row)
        main = ast.parse(code).body[-1]
        assert isinstance(main, ast.FunctionDef)
        assert [part.id for part in ast.walk(main) if isinstance(part, ast.Name)].count("x") == 1
        innermost = next(nodes(row.draft.tree))
        assert innermost["args"][0] == {"x": given, "kind": "text"}


def test_the_output_follows_the_input(rows: Any) -> None:
    for row in rows:
        main = run(printed(row)[0])["main_solution"]
        assert len({main(x) for x in INPUTS}) >= 3


def test_the_level_is_the_effective_depth_on_the_row_s_own_input(rows: Any) -> None:
    for row in rows:
        assert effective(row.draft.tree) == (row.gold, row.brief.level)


def test_no_node_leaves_its_input_as_it_is(rows: Any) -> None:
    for row in rows:
        for part in nodes(row.draft.tree):
            assert evaluate(part) != evaluate(part["args"][0])


def test_every_node_is_a_function_of_the_library_and_there_are_as_many_as_the_level_says(rows: Any) -> None:
    for row in rows:
        used = [part["skill"] for part in nodes(row.draft.tree)]
        assert used == row.brief.skills
        assert set(used) <= set(FUNCTIONS)
        assert len(used) == row.brief.level


def test_a_row_never_uses_a_function_of_the_other_side(rows: Any) -> None:
    for row in rows:
        assert {name in held_out() for name in row.brief.skills} == {row.brief.split == "heldout"}


def test_no_behaviour_is_in_train_and_held_out_rows_alike(draw: Any) -> None:
    used = {
        split: {fingerprint(name) for names in draw("nested", 2, 60, split).planned for name in names}
        for split in ("train", "heldout")
    }
    assert not used["train"] & used["heldout"]
    assert len(used["train"]) + len(used["heldout"]) == len(FUNCTIONS)


def test_outputs_and_prompts_stay_short_at_every_level(rows: Any) -> None:
    for row in rows:
        assert all(0 < len(evaluate(part)) <= MAX_OUTPUT for part in nodes(row.draft.tree))
        assert len(row.draft.prompt) <= 700 + 200 * row.brief.level


def test_a_nest_that_would_grow_too_long_is_drawn_anew(draw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nested, "MAX_OUTPUT", 18)
    drawn = draw("nested", 4, 60)
    assert drawn.rows
    assert drawn.dropped
    assert all(len(evaluate(part)) <= 18 for row in drawn.rows for part in nodes(row.draft.tree))


def nested_job(**params: Any) -> Job:
    entry = {"recipe": "nested", "share": 1.0, "levels": [1, 2], "heldout": 0.5, **params}
    return parse_job({"kind": "build", "name": "nests", "seed": 5, "rows": 400, "recipes": [entry]}, "job")


def test_train_and_held_out_rows_draw_from_separate_random_streams() -> None:
    job = nested_job()
    slots = plan(job, None)
    streams: dict[str, set[tuple[int, ...]]] = {"train": set(), "heldout": set()}
    for slot, split in zip(slots["id"], slots["split"], strict=True):
        for attempt in range(3):
            rng = row_rng(job.seed, "draw", row_id(job.name, job.seed, slot, attempt))
            streams[split].add(tuple(rng.below(2**53) for _ in range(3)))
    assert len(streams["train"]) == len(streams["heldout"]) == 600
    assert not streams["train"] & streams["heldout"]
    draws = [{draw for stream in streams[split] for draw in stream} for split in streams]
    assert not draws[0] & draws[1]


def test_the_two_splits_of_a_pool_would_be_planned_in_different_orders(draw: Any) -> None:
    slots = plan(nested_job(levels=[1]), None)
    tags = {slot.rpartition("/")[0] for slot in slots["id"]}
    assert len(tags) == 2
    assert all(any(split in tag for tag in tags) for split in ("train", "heldout"))


def test_the_same_problem_in_other_words_is_one_problem(draw: Any) -> None:
    rows = draw("nested", 1, 1500).rows
    by_problem: dict[str, list[Any]] = {}
    for row in rows:
        by_problem.setdefault(canonical(row.draft.tree), []).append(row)
    repeated = [same for same in by_problem.values() if len({row.draft.prompt for row in same}) > 1]
    columns = [[draft_columns(row.draft, 0)["digest"] for row in same] for same in repeated or [rows[:1]]]
    assert all(len(set(digests)) == 1 for digests in columns)
    assert len({draft_columns(same[0].draft, 0)["digest"] for same in by_problem.values()}) == len(by_problem)


def test_the_digest_of_a_problem_forgets_its_phrasing_and_the_cap_does_not(draw: Any) -> None:
    row = draw("nested", 2, 1).rows[0]
    other = type(row.draft)(row.draft.tree, row.draft.verifier, "9.9", f"Please. {row.draft.prompt}", row.draft.steps)
    one, two = draft_columns(row.draft, 0), draft_columns(other, 0)
    assert one["digest"] == two["digest"] == canonical(row.draft.tree)
    assert one["cap_key"] != two["cap_key"]
    assert text_digest(one["prompt"]) != text_digest(two["prompt"])


# -------------------------------------------------------------------------------------------- what is printed is true


def test_running_the_printed_code_gives_the_gold(rows: Any) -> None:
    for row in rows:
        code, _, given = printed(row)
        assert run(code)["main_solution"](given) == row.gold


def test_every_step_says_what_its_call_returns(rows: Any) -> None:
    scope = run(definitions())
    for row in rows:
        lines = row.draft.steps.split("\n")
        assert len(lines) == row.brief.level
        said = [re.fullmatch(r"(func_\d+\(.*\)) returns (.*)\.", line) for line in lines]
        results = [(eval(m[1], scope), ast.literal_eval(m[2])) for m in said if m]
        assert all(made == told for made, told in results)
        assert [told for _, told in results][-1] == row.gold
        assert len(results) == row.brief.level


def test_the_verifier_takes_the_gold_and_nothing_near_it(rows: Any) -> None:
    for row in rows:
        assert row.draft.verifier == verifier_of(FUNCTIONS[row.brief.skills[-1]], evaluate(row.draft.tree))
        assert score(row.gold, row.draft.verifier).value == 1.0
        assert score(row.gold.swapcase() + "x", row.draft.verifier).value == 0.0
        assert row.passes


def test_functions_are_anonymous(rows: Any) -> None:
    for row in rows:
        code, question, _ = printed(row)
        assert not [name for name in FUNCTIONS if re.search(rf"\b{name}\b", code + question + row.draft.steps)]


def test_only_the_functions_that_are_called_are_defined(rows: Any) -> None:
    for row in rows:
        defined = [part.name for part in ast.parse(printed(row)[0]).body if isinstance(part, ast.FunctionDef)]
        assert sorted(defined[:-1]) == sorted(NAMES[name] for name in row.brief.skills)
        assert defined[-1] == "main_solution"


def test_every_definition_is_the_function_of_the_library() -> None:
    scope = run(definitions())
    for name, skill in FUNCTIONS.items():
        for i in range(10):
            if drawn := skill.draw(row_rng(19, "definition", f"{name}/{i}")):
                other = ["qrst"] * (skill.arity - 1)
                assert scope[NAMES[name]](drawn[0], *other, **drawn[1]) == skill.apply(drawn[0], *other, **drawn[1])


def test_definitions_hold_code_alone() -> None:
    for name in FUNCTIONS:
        source = definition(name)
        function = ast.parse(source).body
        assert len(function) == 1
        assert "#" not in source
        assert not any(isinstance(part, ast.Import | ast.ImportFrom) for part in ast.walk(function[0]))
        assert ast.get_docstring(function[0]) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [1, 2, 5])
def test_hidden_definitions_leave_main_solution_alone_above_level_1(level: int, draw: Any) -> None:
    for row in draw("nested", level, 20, definitions="hidden").rows:
        code, _, given = printed(row)
        defined = [part.name for part in ast.parse(code).body if isinstance(part, ast.FunctionDef)]
        if level == 1:
            assert defined == [NAMES[row.brief.skills[0]], "main_solution"]
            assert row.draft.flags == []
        else:
            assert defined == ["main_solution"]
            assert row.draft.flags == ["definitions_hidden"]
        assert run(f"{definitions()}\n\n{code}")["main_solution"](given) == row.gold


def test_shown_definitions_carry_no_flag(rows: Any) -> None:
    assert all(row.draft.flags == [] for row in rows)


# ------------------------------------------------------------------------------------------------------------- mixture


@pytest.mark.parametrize(("level", "split"), CELLS)
def test_functions_are_used_evenly(level: int, split: str, draw: Any) -> None:
    planned = draw("nested", level, 120, split).planned
    innermost = Counter(names[0] for names in planned)
    assert max(innermost.values()) - min(innermost.values()) <= 1
    used = Counter(name for names in planned for name in names)
    assert max(used.values()) < 2 * min(used.values())
    assert all(len(set(names)) == level for names in planned)


def test_a_topology_abstracts_the_literals_of_a_nest(draw: Any) -> None:
    def bare(tree: Tree) -> str:
        return topology(tree).replace("_", "").replace(",", "")

    for row in draw("nested", 3, 20).rows:
        expected = "x"
        for name in row.brief.skills:
            expected = f"{name}({expected})"
        assert bare(row.draft.tree) == expected.replace("_", "")


@pytest.mark.parametrize("bad", [{"levels": [0]}, {"levels": [9]}, {"levels": []}, {"definitions": "none"}])
def test_levels_and_modes_that_do_not_exist_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(bad))):
        nested_job(**bad)
