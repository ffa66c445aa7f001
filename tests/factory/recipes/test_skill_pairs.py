from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from typing import Any

import pytest

from factory.artifacts.digest import row_rng
from factory.errors import UserError
from factory.jobs.model import parse_job
from factory.recipes.skill_pairs import allowed_pairs
from factory.score import Score, score, wrong_answers
from factory.skills.library import CONSTRAINTS, OPERATIONS, TASKS, held_out, side
from factory.skills.skill import BLOCKS
from factory.skills.tree import Tree, evaluate

CELLS = [(k, split) for k in (2, 3, 5) for split in ("train", "heldout")]
CONFLICTS = (
    ("lowercase", "uppercase"), ("lowercase", "title_case"), ("lowercase", "capital_words"), ("json_object", "csv"),
    ("json_object", "ends_with"), ("no_digits", "digit_count"), ("no_commas", "csv"), ("min_words", "max_words"),
    ("first_letters", "keyword"), ("no_digits", "numbered_list"), ("quoted", "starts_with"),
)  # fmt: skip


@pytest.fixture(scope="module", params=CELLS, ids=str)
def rows(request: Any, draw: Any) -> Any:
    k, split = request.param
    drawn = draw("skill-pairs", k, 30, split)
    assert len(drawn.rows) >= 20
    return drawn.rows


def judged(row: Any, reply: str) -> Score:
    return score(reply, row.draft.verifier)


def checks_of(row: Any) -> list[dict[str, Any]]:
    return list(row.draft.verifier["args"]["checks"])


def test_the_gold_shows_every_planned_skill(rows: Any) -> None:
    for row in rows:
        found = judged(row, row.gold)
        assert found.value == 1.0
        assert found.parts == dict.fromkeys(row.brief.skills, 1.0)


def test_a_reply_around_the_gold_scores_1_too(rows: Any) -> None:
    for row in rows:
        assert judged(row, f"{row.draft.steps}\nAnswer:\n{row.gold}").value == 1.0


def test_every_planned_skill_has_a_check_and_no_other_has(rows: Any) -> None:
    for row in rows:
        assert {check["skill"] for check in checks_of(row)} == set(row.brief.skills)
        assert len(set(row.brief.skills)) == row.brief.level


def test_a_wrong_part_loses_the_credit_of_its_own_skill_alone(rows: Any) -> None:
    for row in rows:
        for check in checks_of(row):
            if check["check"] != "field":
                continue
            line = next(line for line in row.gold.split("\n") if line.startswith(f"{check['label']}: "))
            wrong = f"{check['label']}: {wrong_answers(check['verifier'])['broken']}"
            for reply in (row.gold.replace(line, wrong, 1), row.gold.replace(line, "", 1).strip()):
                found = judged(row, reply)
                assert found.value == 0.0
                assert found.parts == {skill: float(skill != check["skill"]) for skill in row.brief.skills}


def without(note: Tree, skill: str) -> Tree:
    """Return a nest of constraints in which one was not applied."""
    if "x" in note:
        return note
    inner = without(note["args"][0], skill)
    return inner if note["skill"] == skill else {**note, "args": [inner]}


def alone(row: Any, skill: str, reply: str) -> float:
    """Return the credit of one skill when each of its checks is asked by itself."""
    own = [check for check in checks_of(row) if check["skill"] == skill]
    others = [
        {"check": "field", "label": c["label"], "verifier": c["verifier"]} for c in checks_of(row) if "label" in c
    ]
    passed = []
    for check in own:
        verifier = {"kind": "constraints", "gold": row.gold, "args": {"checks": [check, *others]}}
        name = check.get("skill", check["check"])
        passed.append(score(reply, verifier).parts[name])
    return sum(passed) / len(passed)


def test_a_constraint_that_is_not_kept_loses_its_own_credit(draw: Any) -> None:
    lost, others_kept = [], []
    for k, split in CELLS:
        for row in draw("skill-pairs", k, 35, split).rows:
            note = row.draft.tree["args"][-1]
            if note["skill"] not in CONSTRAINTS:
                continue
            whole = evaluate(note)
            for skill in [name for name in row.brief.skills if name in CONSTRAINTS]:
                reply = row.gold.replace(whole, evaluate(without(note, skill)))
                found = judged(row, reply)
                assert found.parts == {name: alone(row, name, reply) for name in row.brief.skills}
                assert (found.value == 1.0) == (set(found.parts.values()) == {1.0})
                lost.append(found.parts[skill] < 1.0)
                others_kept.append(all(found.parts[name] == 1.0 for name in row.brief.skills if name in TASKS))
    assert len(lost) > 60
    assert sum(lost) > len(lost) / 2  # some notes keep a constraint, such as no digits, without any edit
    assert all(others_kept)


def test_a_reply_without_its_note_keeps_the_credit_of_the_tasks(rows: Any) -> None:
    for row in rows:
        tasks = [name for name in row.brief.skills if name in TASKS]
        if 0 < len(tasks) < row.brief.level:
            found = judged(row, row.gold.partition("\nnote: ")[0])
            assert found.value == 0.0
            assert found.parts == {name: float(name in TASKS) for name in row.brief.skills}


def test_no_part_of_a_reply_scores_1(rows: Any) -> None:
    for row in rows:
        lines = row.gold.split("\n")
        cuts = [
            row.gold[: len(row.gold) // 2],
            row.gold[len(row.gold) // 2 :],
            "",
            *wrong_answers(row.draft.verifier).values(),
        ]
        if any(name in TASKS for name in row.brief.skills):
            cuts += ["\n".join(lines[:i]) for i in range(len(lines) - 1)]
        if row.passes:
            assert [cut for cut in cuts if judged(row, cut).value == 1.0] == []


def test_most_rows_pass_the_gate(rows: Any) -> None:
    assert sum(row.passes for row in rows) >= 0.7 * len(rows)


def test_the_prompt_asks_for_every_part_under_its_label(rows: Any) -> None:
    for row in rows:
        labels = [f"{line.partition(':')[0]}: ..." for line in row.gold.split("\n") if re.match(r"[a-z]+: ", line)]
        asked = [line for line in row.draft.prompt.split("\n") if line.endswith(": ...")]
        if any(name in TASKS for name in row.brief.skills):
            assert asked == [label for label in labels if label in asked]
            assert len(asked) == sum(n in TASKS for n in row.brief.skills) + any(
                n in CONSTRAINTS for n in row.brief.skills
            )
        else:
            assert asked == []


def test_every_table_and_grid_of_a_prompt_has_a_name_of_its_own(draw: Any) -> None:
    seen = Counter[int]()
    for row in draw("skill-pairs", 5, 120).rows:
        blocks = [name for name in row.brief.skills if name in TASKS and TASKS[name].takes in BLOCKS]
        names = re.findall(r"^- Here is a (?:table|grid) (T\d):$", row.draft.prompt, re.M)
        assert len(set(names)) == len(names) == len(blocks)
        assert all(len(re.findall(rf"\b{name}\b", row.draft.prompt)) >= 2 for name in names)
        seen[len(names)] += 1
    assert seen[2]


def test_a_row_stays_on_its_side(rows: Any) -> None:
    for row in rows:
        assert {name in held_out() for name in row.brief.skills} == {row.brief.split == "heldout"}


@pytest.mark.parametrize("share", [0.4, 1.3])
def test_pairs_are_planned_least_used_first(share: float, draw: Any) -> None:
    pairs = allowed_pairs("heldout")
    planned = draw("skill-pairs", 2, int(share * len(pairs)), "heldout").planned
    used = Counter(frozenset(names) for names in planned)
    assert set(used) <= pairs
    assert max(used[pair] for pair in pairs) - min(used[pair] for pair in pairs) <= 1


@pytest.mark.parametrize("k", [3, 5])
def test_larger_tuples_hold_only_allowed_pairs_and_spread_them(k: int, draw: Any) -> None:
    pairs = allowed_pairs("heldout")
    planned = draw("skill-pairs", k, 200, "heldout").planned
    assert all(len(set(names)) == k for names in planned)
    used = Counter(frozenset(pair) for names in planned for pair in combinations(names, 2))
    assert set(used) <= pairs
    assert max(used.values()) <= 200 * k * (k - 1) / 2 / len(pairs) + 3


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_every_skill_of_a_side_is_in_some_pair(split: str) -> None:
    pool = [s.name for s in side(TASKS, split) if s.gives not in BLOCKS] + [s.name for s in side(CONSTRAINTS, split)]
    assert {name for pair in allowed_pairs(split) for name in pair} == set(pool)


@pytest.mark.parametrize("pair", CONFLICTS, ids="+".join)
def test_constraints_that_exclude_each_other_are_never_planned_together(pair: tuple[str, str]) -> None:
    names = frozenset(f"note_{name}" for name in pair)
    assert names <= set(CONSTRAINTS)
    assert not any(names in allowed_pairs(split) for split in ("train", "heldout"))


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_constraints_that_are_planned_together_agree_on_most_notes(split: str, draw: Any) -> None:
    pairs = sorted(sorted(pair) for pair in allowed_pairs(split) if pair <= set(CONSTRAINTS))
    assert pairs
    agreed = 0
    for a, b in pairs:
        first, second = sorted((a, b), key=list(CONSTRAINTS).index)
        rng = row_rng(23, "agree", f"{a}+{b}")
        for _ in range(4):
            note, checks = (
                "The old bridge was quiet. We met our neighbours by the garden. A small dog waited there.",
                [],
            )
            for name in (first, second):
                params = {knob: domain.draw(rng) for knob, domain in CONSTRAINTS[name].knobs.items()}
                note = CONSTRAINTS[name].apply(note, **params)
                check = OPERATIONS[name].check
                assert check is not None
                checks.append(check(**params))
            agreed += score(note, {"kind": "constraints", "gold": note, "args": {"checks": checks}}).value == 1.0
    assert agreed > 0.8 * 4 * len(pairs)


@pytest.mark.parametrize("k", [[1], [6], [2, 2], []])
def test_sizes_outside_2_to_5_are_refused(k: list[int]) -> None:
    recipe = {"recipe": "skill-pairs", "share": 1.0, "k": k}
    with pytest.raises(UserError, match="k"):
        parse_job({"kind": "build", "name": "x", "rows": 10, "recipes": [recipe]}, "job")
