"""`factory skills`: the executable skills, one by one and by trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import click
import yaml

from factory.artifacts.digest import Rng, row_rng
from factory.cli.console import emit, say, say_table
from factory.cli.options import json_option
from factory.cli.skills_extract import extract, merge
from factory.cli.skills_graph import graph
from factory.errors import UserError, nearest
from factory.skills.domains import TOP_LEVEL, Letters
from factory.skills.library import CONSTRAINTS, SKILLS, find_skill, fingerprint, held_out
from factory.skills.skill import BLOCKS, Skill, block, gold_text, render

TURNS = 20  # draws for each wanted problem before giving up
SECOND = Letters(3, 6)  # the second text of string functions that take two


@click.group()
def skills() -> None:
    """List, show and sample the executable skills."""


skills.add_command(extract)
skills.add_command(merge)
skills.add_command(graph)


@skills.command("list")
@click.option("--family", help="Only the skills of one family.")
@json_option
def list_(family: str | None, as_json: bool) -> None:
    """List the skills: what each takes and gives, and whether train or only heldout rows use it."""
    families = {skill.family for skill in SKILLS.values()}
    if family is not None and family not in families:
        raise UserError(f"there is no family '{family}'{nearest(family, families)}")
    rows = [_facts(skill) for skill in SKILLS.values() if family in (None, skill.family)]
    if as_json:
        emit(rows)
        return
    keys = ("family", "name", "takes", "gives", "split", "about")
    say_table(keys, [[row[key] for key in keys] for row in rows])
    say(f"{len(rows)} skills")


def _facts(skill: Skill) -> dict[str, Any]:
    return {
        "name": skill.name,
        "family": skill.family,
        "version": skill.version,
        "takes": skill.takes,
        "gives": skill.gives,
        "about": skill.about,
        "split": "heldout" if skill.name in held_out() else "train",
        "fingerprint": fingerprint(skill.name),
    }


@skills.command()
@click.argument("name")
def show(name: str) -> None:
    """Show a skill: types, knobs with their ranges, phrasings, fingerprint, split."""
    skill = find_skill(name)
    facts = _facts(skill)
    say(f"{skill.name}: {skill.about}")
    say(f"family       {skill.family}, version {skill.version}")
    say(f"takes        {skill.takes}: {skill.x.about()}{', and a second text' if skill.arity > 1 else ''}")
    say(f"gives        {skill.gives}{f', in {skill.unit}' if skill.unit else ''}")
    say(f"split        {facts['split']}")
    say(f"fingerprint  {facts['fingerprint']}")
    say("knobs" if skill.knobs else "knobs        none")
    for knob, domain in skill.knobs.items():
        say(f"  {knob}: {domain.about()}")
    say("phrasings")
    for phrasing in skill.phrasings:
        say(f"  {phrasing}")


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of one skill: the prompt, the solver's steps, the gold answer."""

    prompt: str
    steps: str
    gold: str


@skills.command()
@click.argument("name")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=3, show_default=True, help="How many problems.")
@click.option(
    "--level",
    type=click.IntRange(1, TOP_LEVEL),
    default=TOP_LEVEL,
    show_default=True,
    help="How much of each range is open; 4 is all of it.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed draws other problems.")
@click.option("--knob", "knobs", multiple=True, metavar="KNOB=VALUE", help="Fix a knob; can be repeated.")
def sample(name: str, count: int, level: int, seed: int, knobs: tuple[str, ...]) -> None:
    """Draw problems of a skill and solve them."""
    skill = find_skill(name)
    fixed = dict(_split_knob(text) for text in knobs)
    skill.check_knobs(fixed)
    found = 0
    for problem in draw_problems(skill, level, seed, fixed, count):
        found += 1
        say(f"{problem.prompt}\n-- steps\n{problem.steps}\n-- gold\n{problem.gold}\n")
    if not found:
        raise UserError(
            f"skill '{name}' has no well-posed problem with {', '.join(knobs)} at level {level}; change one"
        )


def _split_knob(text: str) -> tuple[str, Any]:
    knob, equals, value = text.partition("=")
    if not equals or not knob:
        raise UserError(f"--knob wants KNOB=VALUE, such as n=3; found {text!r}")
    try:
        return knob, yaml.safe_load(value)
    except yaml.YAMLError:
        raise UserError(f"--knob {knob}: the value {value!r} is not valid YAML") from None


def draw_problems(skill: Skill, level: int, seed: int, fixed: Mapping[str, Any], count: int) -> Iterator[Problem]:
    """Yield `count` problems, or as many as were found in TURNS draws each; phrasings come by turns."""
    found = 0
    for turn in range(count * TURNS):
        rng = row_rng(seed, "sample", f"{skill.name}/{turn}")
        drawn = skill.draw(rng, level, fixed)
        if drawn is not None:
            yield _problem(skill, *drawn, found % len(skill.phrasings), rng)
            found += 1
        if found == count:
            return


def _problem(skill: Skill, x: Any, params: dict[str, Any], phrasing: int, rng: Rng) -> Problem:
    others = [SECOND.draw(rng) for _ in range(skill.arity - 1)]
    y = skill.apply(x, *others, **params)
    lead = "".join(f'The second text is "{other}". ' for other in others)
    shown = render(x, skill.takes)
    if skill.name in CONSTRAINTS:
        lead, shown = "Write a short note. ", "the note"
    elif skill.takes in BLOCKS:
        lead, shown = f"Here is a {skill.takes} T:\n{block(x, skill.takes)}\n", "T"
    return Problem(lead + skill.say(shown, params, phrasing), skill.trace(x, y, params), gold_text(y, skill.gives))
