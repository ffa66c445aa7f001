"""The solver's steps are what a student learns from: every claim in them that can be checked is true."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from fractions import Fraction

import pytest

from factory.artifacts.digest import row_rng
from factory.skills.families.string_functions import SKILLS as FUNCTIONS
from factory.skills.library import CONSTRAINTS, TASKS
from factory.skills.skill import Skill, render, shown

DAY = r"(\d{4}-\d\d-\d\d)"
TERM = r"\(*-?\d+(?:[./]\d+|\^\d+)?\)*"
SIDE = rf"{TERM}(?: [-+×/] {TERM})*"
EQUATION = re.compile(rf"(?<![^\s(])({SIDE}(?: = {SIDE})+)")
FAMILIES = sorted({skill.family for skill in TASKS.values()})
every_family = pytest.mark.parametrize("family", FAMILIES)


def steps_of(family: str) -> Iterator[str]:
    return (text for skill in TASKS.values() if skill.family == family for text in steps(skill))


def steps(skill: Skill, n: int = 8) -> Iterator[str]:
    for i in range(n):
        if drawn := skill.draw(row_rng(29, "steps", f"{skill.name}/{i}")):
            x, params = drawn
            yield skill.trace(x, skill.apply(x, **params), params)


def calculate(side: str) -> Fraction:
    """Return the value of numbers, fractions and powers joined by + - × / and brackets, exactly."""
    exact = re.sub(r"\d+(?:\.\d+)?", lambda n: f"Fraction('{n[0]}')", side.replace("×", "*"))
    return Fraction(eval(exact.replace("^", "**"), {"Fraction": Fraction}))


def equations(text: str) -> Iterator[list[str]]:
    """Yield the sides of each equation between numbers that stands by itself."""
    for found in EQUATION.finditer(text):
        sides = found[1].split(" = ")
        continues = re.search(r"(mod|[-+×/=])$", text[: found.start()].rstrip())
        if not continues and all(side.count("(") == side.count(")") for side in sides):
            yield sides


@every_family
def test_every_equation_of_the_steps_holds(family: str) -> None:
    for text in steps_of(family):
        for sides in equations(text):
            assert len({calculate(side) for side in sides}) == 1, text


def test_equations_are_found_in_the_steps_of_many_skills() -> None:
    found = Counter({name: sum(1 for text in steps(s) for _ in equations(text)) for name, s in TASKS.items()})
    assert sum(found.values()) > 800
    assert sum(n > 0 for n in found.values()) > len(TASKS) / 3


@every_family
def test_every_remainder_of_the_steps_is_right(family: str) -> None:
    for text in steps_of(family):
        for a, m, rest in re.findall(r"(\d+) mod (\d+) = (\d+)", text):
            assert int(a) % int(m) == int(rest), text


def dated() -> list[str]:
    return [text for s in TASKS.values() if s.family == "calendars" for text in steps(s, 30)]


def test_every_day_of_a_year_in_the_steps_is_that_day() -> None:
    claims = [c for text in dated() for c in re.findall(rf"Day (\d+) of (\d{{4}}) is {DAY}", text)]
    claims += [
        (n, year, day) for text in dated() for day, n, year in re.findall(rf"{DAY} is day (\d+) of (\d{{4}})", text)
    ]
    assert len(claims) > 200
    for n, year, day in claims:
        assert (date.fromisoformat(day) - date(int(year), 1, 1)).days + 1 == int(n)


def test_every_weekday_in_the_steps_is_that_of_its_day() -> None:
    claims = [c for text in dated() for c in re.findall(rf"{DAY} (?:is|was) a ([A-Z][a-z]+day)", text)]
    assert len(claims) > 50
    for day, name in claims:
        assert date.fromisoformat(day).strftime("%A") == name


@pytest.mark.parametrize("skill", FUNCTIONS, ids=lambda skill: skill.name)
def test_the_steps_of_a_function_go_from_its_input_to_its_output(skill: Skill) -> None:
    drawn = skill.draw(row_rng(29, "function", skill.name))
    assert drawn
    x, params = drawn
    y = skill.apply(x, *["qrst"] * (skill.arity - 1), **params)
    said = skill.trace(x, y, params)
    assert said.index(render(x, "text")) < said.index(render(y, "text"))


def test_parameters_are_said_as_json() -> None:
    assert shown({"keys": ["title", "it's"], "n": 3, "word": "sun"}) == {
        "keys": '["title", "it\'s"]',
        "n": 3,
        "word": "sun",
    }
    said = CONSTRAINTS["note_forbidden"].say("the note", {"words": ["very", "really"]}, 0)
    assert '["very", "really"]' in said
