"""What must hold of every skill of the library, whoever adds it."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from fractions import Fraction
from string import Formatter
from typing import Any

import orjson
import pytest

from factory.artifacts.digest import Rng, row_rng
from factory.errors import UserError
from factory.score import score, wrong_answers
from factory.skills.domains import Choice, Range
from factory.skills.library import CONSTRAINTS, FUNCTIONS, SKILLS, TASKS, find_skill
from factory.skills.skill import Skill, gold_text, render, verifier_of

SAMPLES = 6
OTHER = "qrst"  # the second text of skills that take two
PLACEHOLDER = re.compile(r"\{[a-z_]+\}")
NOTE = "The old harbour was quiet this morning. We walked from the harbour to the bridge. It smells of bread."

SkillTest = Callable[[Skill], None]


def each(pool: Mapping[str, Skill]) -> Callable[[SkillTest], Callable[[str], None]]:
    """Run a test on every skill of a pool, a family at a time; a failure names its skill."""
    families = list(dict.fromkeys(skill.family for skill in pool.values()))

    def decorate(test: SkillTest) -> Callable[[str], None]:
        @pytest.mark.parametrize("family", families)
        def run(family: str) -> None:
            for skill in pool.values():
                if skill.family == family:
                    try:
                        test(skill)
                    except BaseException as error:
                        error.add_note(f"skill {skill.name}")
                        raise

        return run

    return decorate


every_skill, every_task, every_constraint = each(SKILLS), each({**TASKS, **FUNCTIONS}), each(CONSTRAINTS)


def rng_of(skill: Skill, tag: object) -> Rng:
    return row_rng(11, "test", f"{skill.name}/{tag}")


def answer(skill: Skill, x: Any, params: dict[str, Any]) -> Any:
    return skill.apply(x, *[OTHER] * (skill.arity - 1), **params)


def problems(skill: Skill, n: int = SAMPLES) -> Iterator[tuple[Any, dict[str, Any], Any]]:
    """Yield (x, params, answer) of the well-posed ones among n draws."""
    drawn = [skill.draw(rng_of(skill, i)) for i in range(n)]
    found = [d for d in drawn if d]
    assert len(found) * 2 >= n, f"only {len(found)} of {n} draws of {skill.name} were well posed"
    return ((x, params, answer(skill, x, params)) for x, params in found)


def is_fraction(value: Any) -> bool:
    return isinstance(value, str) and str(Fraction(value)) == value


def is_day(value: Any) -> bool:
    return isinstance(value, str) and date.fromisoformat(value).isoformat() == value


def is_list(value: Any, of: type) -> bool:
    return type(value) is list and all(type(v) is of for v in value)


def is_table(value: Any) -> bool:
    return list(value) == ["columns", "rows"] and all(len(row) == len(value["columns"]) for row in value["rows"])


KINDS: dict[str, Callable[[Any], bool]] = {
    "number": lambda v: type(v) is int,
    "fraction": is_fraction,
    "text": lambda v: type(v) is str and v != "",
    "list": lambda v: is_list(v, int),
    "words": lambda v: is_list(v, str),
    "set": lambda v: is_list(v, int) and v == sorted(set(v)),
    "table": is_table,
    "date": is_day,
    "grid": lambda v: is_list(v, str) and len({len(row) for row in v}) == 1 and not "".join(v).strip(".#"),
    "boolean": lambda v: type(v) is bool,
}


@every_skill
def test_draws_are_well_posed_at_every_level(skill: Skill) -> None:
    drawn = [d for i in range(4 * SAMPLES) if (d := skill.draw(rng_of(skill, i), level=i % 4 + 1))]
    assert len(drawn) >= 2 * SAMPLES
    for x, params in drawn:
        assert KINDS[skill.takes](x)
        assert skill.x.holds(x)
        assert set(params) == set(skill.knobs)
        skill.check_knobs(params)
        assert skill.needs is None or skill.needs(x, **params)


@every_skill
def test_the_answer_is_of_the_kind_that_the_skill_gives(skill: Skill) -> None:
    assert all(KINDS[skill.gives](y) for _, _, y in problems(skill, 3 * SAMPLES))


@every_skill
def test_the_same_generator_makes_the_same_problem_and_it_survives_json(skill: Skill) -> None:
    made = [list(problem) for problem in problems(skill)]
    assert made == [list(problem) for problem in problems(skill)]
    assert orjson.loads(orjson.dumps(made)) == made


@every_skill
def test_apply_leaves_its_arguments_alone(skill: Skill) -> None:
    for x, params, y in problems(skill):
        before = copy.deepcopy((x, params))
        assert answer(skill, x, params) == y
        assert (x, params) == before


@every_task
def test_answers_differ_from_problem_to_problem(skill: Skill) -> None:
    assert len({str(y) for _, _, y in problems(skill, 16)}) > 1


@every_skill
def test_every_phrasing_says_the_input_and_every_knob(skill: Skill) -> None:
    wanted = set(skill.knobs) | (set() if skill.check else {"x"})
    assert len(set(skill.phrasings)) == len(skill.phrasings) >= 2
    for phrasing in skill.phrasings:
        assert {field for _, field, _, _ in Formatter().parse(phrasing) if field} == wanted


@every_skill
def test_phrasings_read_with_a_value_and_with_a_name(skill: Skill) -> None:
    for x, params, _ in problems(skill, 2):
        for pick in range(len(skill.phrasings)):
            for shown in (render(x, skill.takes), "B3"):
                said = skill.say(shown, params, pick)
                assert not PLACEHOLDER.search(said)
                assert skill.check is not None or shown in said


@every_task
def test_no_phrasing_holds_a_name_that_chains_give_to_answers(skill: Skill) -> None:
    assert not any(re.search(r"\b[AB][1-8]\b", phrasing) for phrasing in skill.phrasings)


@every_task
def test_the_steps_are_one_line_and_contain_the_answer(skill: Skill) -> None:
    for x, params, y in problems(skill):
        said = skill.trace(x, y, params)
        assert "\n" not in said
        assert not PLACEHOLDER.search(said)
        assert render(y, skill.gives) in said


@every_task
def test_only_the_right_answer_scores_1(skill: Skill) -> None:
    for x, params, y in problems(skill):
        verifier = verifier_of(skill, y)
        separator = "\n" if "\n" in verifier["gold"] else " "
        for right in (verifier["gold"], f"{skill.trace(x, y, params)}\nAnswer:{separator}{verifier['gold']}"):
            assert score(right, verifier).value == 1.0
        wrong = wrong_answers(verifier)
        assert set(wrong) == {"broken", "empty", "cut", "number_spam"}
        assert wrong["broken"] != ""
        assert [name for name, text in wrong.items() if score(text, verifier).value == 1.0] == []


@every_task
def test_the_answer_to_another_problem_does_not_score_1(skill: Skill) -> None:
    answers = {gold_text(y, skill.gives): y for _, _, y in problems(skill, 12)}
    for text in answers:
        for gold, y in answers.items():
            if gold != text:
                assert score(text, verifier_of(skill, y)).value == 0.0


@every_constraint
def test_a_note_that_was_edited_keeps_its_constraint(skill: Skill) -> None:
    assert skill.check is not None
    for i, (x, params, _) in enumerate(problems(skill, 12)):
        for note in (x, NOTE, f"{NOTE} {x}"):
            edited = skill.apply(note, **params)
            verifier = {"kind": "constraints", "gold": edited, "args": {"checks": [skill.check(**params)]}}
            assert score(edited, verifier).value == 1.0, (i, params, edited)


@every_constraint
def test_a_constraint_is_broken_by_some_note(skill: Skill) -> None:
    assert skill.check is not None
    _, params, gold = next(problems(skill))
    verifier = {"kind": "constraints", "gold": gold, "args": {"checks": [skill.check(**params)]}}
    assert score(wrong_answers(verifier)["broken"], verifier).value == 0.0


@every_skill
def test_an_unknown_knob_is_refused_with_the_nearest_one(skill: Skill) -> None:
    for knob in skill.knobs:
        with pytest.raises(UserError, match=rf"'{skill.name}' has no knob '{knob}x' \(did you mean '\w+'\?\)"):
            skill.check_knobs({f"{knob}x": 1})
    if not skill.knobs:
        with pytest.raises(UserError, match=rf"'{skill.name}' has no knob 'size' \(there are none\)"):
            skill.check_knobs({"size": 1})


@every_skill
def test_a_knob_outside_its_range_is_refused_with_the_range(skill: Skill) -> None:
    for knob, domain in skill.knobs.items():
        bad: list[Any] = [None, 1.5, {}]
        if isinstance(domain, Range):
            bad += [domain.lo - 1, domain.hi + 1, str(domain.lo), True]
        if isinstance(domain, Choice):
            bad += ["no such choice"]
        for value in bad:
            with pytest.raises(UserError, match=re.escape(f"it must be {domain.about()}")):
                skill.check_knobs({knob: value})


@every_skill
def test_a_fixed_knob_is_kept(skill: Skill) -> None:
    _, params, _ = next(problems(skill))
    for knob, value in params.items():
        drawn = [skill.draw(rng_of(skill, i), fixed={knob: value}) for i in range(SAMPLES)]
        assert any(drawn)
        assert {str(d[1][knob]) for d in drawn if d} == {str(value)}


@every_skill
def test_fitting_parameters_make_a_well_posed_problem_of_a_given_input(skill: Skill) -> None:
    inputs = [x for x, _, _ in problems(skill)]
    fitted = [skill.fit(rng_of(skill, "fit"), x) for x in inputs]
    assert any(params is not None for params in fitted)
    for x, params in zip(inputs, fitted, strict=True):
        assert params is None or skill.needs is None or skill.needs(x, **params)


@every_skill
def test_nothing_fits_an_input_outside_the_domain(skill: Skill) -> None:
    outside: list[Any] = [None, 0.5, {"no": "such"}, []]
    assert all(skill.fit(rng_of(skill, "none"), x) is None for x in outside)


def test_an_unknown_skill_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UserError, match=r"there is no skill 'list_summ' \(did you mean 'list_sum'\?\)"):
        find_skill("list_summ")
