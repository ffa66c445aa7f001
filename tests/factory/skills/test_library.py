"""What the library says of itself: behaviours, not names, tell skills apart and put them on a side."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, permutations, product
from typing import Any

import pytest

from factory.artifacts.digest import row_rng
from factory.skills import library
from factory.skills.domains import Choice, Domain, Letters, Range
from factory.skills.library import (
    CONSTRAINTS,
    FUNCTIONS,
    HELD_OUT_FAMILIES,
    SKILLS,
    TASKS,
    behaviour,
    fingerprint,
    held_out,
    side,
)
from factory.skills.skill import Skill

JOINT = 8  # probes that two skills must share before they are called alike
PROBES = 400
NOTES = (
    "Eva, aged 7, said that the ZEBRA is in the zone, and that we are very late? It is 9 o'clock, she added!",
    "in june the box office opens at 10, or so; see Room 204 on Main Street, near the really great old gate.",
)
FAMILIES = sorted({skill.family for skill in SKILLS.values()})
SOME = ("remainder", "list_sum", "next_multiple", "reverse_text", "note_no_commas", "collatz_count", "grid_transpose")


def test_there_are_at_least_60_skills_to_compose() -> None:
    assert len(TASKS) + len(FUNCTIONS) >= 60
    assert len(SKILLS) == len(TASKS) + len(FUNCTIONS) + len(CONSTRAINTS)


def test_names_are_unique_across_families() -> None:
    assert all(name == skill.name for name, skill in library.OPERATIONS.items())
    assert len(library.OPERATIONS) == len(SKILLS) + 8


def test_no_two_skills_share_a_fingerprint() -> None:
    assert len({fingerprint(name) for name in SKILLS}) == len(SKILLS)


def outputs(a: Skill, b: Skill) -> Iterator[tuple[Any, Any]]:
    """Yield what both make of inputs that both take."""
    for i in range(PROBES):
        rng = row_rng(17, "joint", f"{a.name}/{b.name}/{i}")
        x = NOTES[i] if a.takes == "text" and i < len(NOTES) else (a, b)[i % 2].x.draw(rng)
        other = [Letters(3, 6).draw(rng)] * (a.arity - 1)
        one, two = a.fit(rng, x), b.fit(rng, x)
        if one is not None and two is not None:
            yield a.apply(x, *other, **one), b.apply(x, *other, **two)


def test_no_two_skills_of_the_same_types_agree_on_every_probe_that_both_take() -> None:
    alike = []
    for a, b in combinations(SKILLS.values(), 2):
        if (a.takes, a.gives, a.arity) != (b.takes, b.gives, b.arity):
            continue
        joint = 0
        for one, two in outputs(a, b):
            joint += 1
            if one != two:
                break
        else:
            alike.append((a.name, b.name, joint))
    assert alike == []


def arguments(skill: Skill) -> list[Domain]:
    return [skill.x, *skill.knobs.values(), *[Letters(3, 6)] * (skill.arity - 1)]


def call(skill: Skill, values: list[Any]) -> Any:
    x, *rest = values
    params = dict(zip(skill.knobs, rest, strict=False))
    return skill.apply(x, *rest[len(params) :], **params)


def is_renamed(a: Skill, b: Skill) -> bool:
    """Return whether b does to a's arguments, in some order, just what a does."""
    rng = row_rng(17, "renamed", a.name)
    drawn = [d for _ in range(3 * JOINT) if (d := a.draw(rng))]
    given = [[x, *params.values(), *[Letters(3, 6).draw(rng)] * (a.arity - 1)] for x, params in drawn]
    for order in permutations(range(len(arguments(b)))):
        moved = [[values[i] for i in order] for values in given]
        pairs = [
            (values, again)
            for values, again in zip(given, moved, strict=True)
            if all(d.holds(v) for d, v in zip(arguments(b), again, strict=True))
            and (b.needs is None or b.needs(again[0], **dict(zip(b.knobs, again[1:], strict=False))))
        ]
        if len(pairs) >= JOINT and all(call(a, values) == call(b, again) for values, again in pairs):
            return True
    return False


def test_no_skill_is_another_one_with_its_arguments_renamed() -> None:
    groups = defaultdict(list)
    for skill in [*TASKS.values(), *FUNCTIONS.values()]:
        groups[(skill.gives, len(arguments(skill)))].append(skill)
    renamed = [(a.name, b.name) for g in groups.values() for a in g for b in g if a is not b and is_renamed(a, b)]
    assert renamed == []


def test_a_renamed_copy_is_noticed() -> None:
    original = TASKS["gcd_with"]
    copy = replace(original, name="copy", knobs={"other": original.x}, x=next(iter(original.knobs.values())))
    swapped = replace(copy, apply=lambda x, other: original.apply(other, **{next(iter(original.knobs)): x}))
    assert is_renamed(original, swapped)


def options(domain: Domain) -> list[Any]:
    if isinstance(domain, Range):
        return list(range(domain.lo, domain.hi + 1))
    return list(domain.values) if isinstance(domain, Choice) else ["ab", "cde", "ffff"]


def test_no_train_function_does_what_a_held_out_one_does_with_any_parameters() -> None:
    texts = [Letters(3, 10).draw(row_rng(17, "text", str(i))) for i in range(24)] + ["aAbBcC", "a1b2", "x-y_z", "zzz+"]
    by_output = defaultdict(set)
    for name, skill in FUNCTIONS.items():
        for values in product(*(options(d) for d in arguments(skill)[1:])):
            by_output[tuple(call(skill, [text, *values]) for text in texts)].add(name)
    assert [names for names in by_output.values() if len({n in held_out() for n in names}) > 1] == []


def test_a_fingerprint_does_not_depend_on_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    copies = {f"copy_of_{name}": replace(skill, name=f"copy_of_{name}") for name, skill in SKILLS.items()}
    monkeypatch.setattr(library, "SKILLS", {**SKILLS, **copies})
    assert [n for n in SKILLS if fingerprint.__wrapped__(f"copy_of_{n}") != fingerprint(n)] == []


def test_a_fingerprint_follows_what_a_skill_does(monkeypatch: pytest.MonkeyPatch) -> None:
    skill = TASKS["digit_sum"]
    changed = replace(skill, apply=lambda x: skill.apply(x) + (x > 1000))
    monkeypatch.setattr(library, "SKILLS", {**SKILLS, "digit_sum": changed})
    assert behaviour(changed) != behaviour(skill)
    assert fingerprint.__wrapped__("digit_sum") != fingerprint("digit_sum")


def renamed_library(names: tuple[str, ...]) -> dict[str, Skill]:
    new = {name: f"z{i}_renamed" for i, name in enumerate(names)}
    return {new.get(n, n): replace(s, name=new.get(n, n)) for n, s in SKILLS.items()}


@pytest.mark.parametrize("names", [*[(name,) for name in SOME], tuple(SKILLS)], ids=[*SOME, "all of them"])
def test_renaming_a_skill_does_not_change_its_side(names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = renamed_library(names)
    before = {name: name in held_out() for name in SKILLS}
    monkeypatch.setattr(library, "SKILLS", renamed)
    monkeypatch.setattr(library, "fingerprint", lambda name: fingerprint.__wrapped__(name))
    after = held_out.__wrapped__()
    assert {old: new in after for old, new in zip(before, renamed, strict=True)} == before


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_is_held_out_entirely_or_in_part(family: str) -> None:
    members = {s.name for s in SKILLS.values() if s.family == family}
    if family in HELD_OUT_FAMILIES:
        assert members <= held_out()
    else:
        assert 0.1 < len(members & held_out()) / len(members) < 0.45


def test_a_whole_family_is_held_out() -> None:
    assert set(HELD_OUT_FAMILIES) & set(FAMILIES)


@pytest.mark.parametrize("pool", [TASKS, FUNCTIONS, CONSTRAINTS], ids=["tasks", "functions", "constraints"])
def test_the_two_sides_share_neither_skill_nor_behaviour_and_miss_none(pool: dict[str, Skill]) -> None:
    train, heldout = ([s.name for s in side(pool, split)] for split in ("train", "heldout"))
    assert sorted(train + heldout) == sorted(pool)
    assert not {fingerprint(n) for n in train} & {fingerprint(n) for n in heldout}
    assert [n for n in pool if n in train] == train


def test_no_phrasing_is_used_on_both_sides() -> None:
    sides = defaultdict(set)
    for skill in SKILLS.values():
        for phrasing in skill.phrasings:
            sides[re.sub(r"\{\w+\}", "{}", phrasing)].add(skill.name in held_out())
    assert [phrasing for phrasing, both in sides.items() if len(both) > 1] == []


@pytest.mark.parametrize("change", ["version", "behaviour"])
def test_the_identity_of_the_library_follows_versions_and_behaviours(
    change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    skill = TASKS["digit_sum"]
    changed = replace(skill, version=2) if change == "version" else replace(skill, apply=lambda x: -1)
    monkeypatch.setattr(library, "fingerprint", lambda name: fingerprint.__wrapped__(name))
    before = library._identity.__wrapped__()
    assert before == library.Library().identity
    monkeypatch.setattr(library, "SKILLS", {**SKILLS, "digit_sum": changed})
    assert library._identity.__wrapped__() != before
