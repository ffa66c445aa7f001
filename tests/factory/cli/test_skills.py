from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from factory.cli.skills import draw_problems
from factory.score import score
from factory.skills.library import CONSTRAINTS, FUNCTIONS, SKILLS, TASKS, fingerprint, held_out
from factory.skills.skill import verifier_of

Factory = Callable[..., Result]
FEW = [*list(TASKS)[::15], *list(CONSTRAINTS)[::15], *list(FUNCTIONS)[::15]]


def test_list_has_every_skill_with_its_split(factory: Factory) -> None:
    rows = json.loads(factory("skills", "list", "--json").stdout)
    assert [row["name"] for row in rows] == list(SKILLS)
    assert {row["name"] for row in rows if row["split"] == "heldout"} == held_out()


def test_list_can_be_narrowed_to_a_family(factory: Factory) -> None:
    rows = json.loads(factory("skills", "list", "--family", "logic", "--json").stdout)
    assert [row["name"] for row in rows] == [s.name for s in SKILLS.values() if s.family == "logic"]
    shown = factory("skills", "list", "--family", "logic").stdout
    assert shown.splitlines()[-1] == f"{len(rows)} skills"


def test_an_unknown_family_names_the_nearest(factory: Factory) -> None:
    done = factory("skills", "list", "--family", "logics")
    assert done.exit_code == 2
    assert "did you mean 'logic'?" in done.stderr


@pytest.mark.parametrize("name", FEW)
def test_show_tells_types_knobs_phrasings_and_fingerprint(factory: Factory, name: str) -> None:
    skill = SKILLS[name]
    shown = factory("skills", "show", name).stdout
    assert shown.startswith(f"{name}: {skill.about}\n")
    assert fingerprint(name) in shown
    assert all(f"  {phrasing}\n" in shown for phrasing in skill.phrasings)
    assert all(f"  {knob}: {domain.about()}\n" in shown for knob, domain in skill.knobs.items())


@pytest.mark.parametrize("command", ["show", "sample"])
def test_an_unknown_skill_names_the_nearest(factory: Factory, command: str) -> None:
    done = factory("skills", command, "digit_summ")
    assert done.exit_code == 2
    assert "did you mean 'digit_sum'?" in done.stderr


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("level", [1, 4])
def test_every_kind_of_skill_can_be_sampled_at_every_level(factory: Factory, name: str, level: int) -> None:
    shown = factory("skills", "sample", name, "-n", 2, "--level", level).stdout
    assert shown.count("-- steps\n") == shown.count("-- gold\n") == 2


def test_the_same_seed_draws_the_same_problems_and_another_seed_others(factory: Factory) -> None:
    first = factory("skills", "sample", "digit_sum").stdout
    assert factory("skills", "sample", "digit_sum").stdout == first
    assert factory("skills", "sample", "digit_sum", "--seed", 1).stdout != first


def test_the_phrasings_come_by_turns() -> None:
    skill = SKILLS["digit_sum"]
    problems = list(draw_problems(skill, 4, 0, {}, 2 * len(skill.phrasings)))
    for problem, phrasing in zip(problems, skill.phrasings * 2, strict=True):
        assert problem.prompt.startswith(phrasing.partition("{")[0])


def test_a_sampled_gold_is_right_by_the_scorer() -> None:
    skill = SKILLS["gcd_with"]
    for problem in draw_problems(skill, 4, 0, {"other": 30}, 5):
        verifier = verifier_of(skill, int(problem.gold))
        assert "30" in problem.prompt
        assert score(problem.gold, verifier).value == 1


@pytest.mark.parametrize(
    ("knob", "wanted"),
    [
        ("othr=30", "has no knob 'othr' (did you mean 'other'?)"),
        ("other=3", "it must be 24 to 2000"),
        ("other=many", "it must be 24 to 2000"),
        ("other", "--knob wants KNOB=VALUE"),
        ("other=[", "is not valid YAML"),
    ],
)
def test_a_bad_knob_is_told(factory: Factory, knob: str, wanted: str) -> None:
    done = factory("skills", "sample", "gcd_with", "--knob", knob)
    assert done.exit_code == 2
    assert wanted in done.stderr


@pytest.mark.parametrize("level", ["0", "5", "high"])
def test_a_bad_level_is_a_usage_error(factory: Factory, level: str) -> None:
    assert factory("skills", "sample", "gcd_with", "--level", level).exit_code == 2
