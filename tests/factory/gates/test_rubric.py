"""Rubrics: the shipped ones are balanced, skills fill a rubric, and a mistake in a file is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from factory.errors import UserError
from factory.gates.rubric import (
    Criterion,
    Full,
    GoldRow,
    Rubric,
    all_rubrics,
    check_rubric,
    load_rubric,
    read_rubric,
)

Said = dict[str, Any]


def good() -> Said:
    return {
        "name": "tidy",
        "version": 1,
        "about": "A text.",
        "inputs": ["text"],
        "criteria": [
            {"name": "short", "asks": "Is the text short?"},
            {"name": "kind", "asks": "Is the text kind?", "about": "Irony is not."},
        ],
        "full": {"need": ["short"], "others": 1},
        "gold": [{"inputs": {"text": "Hi."}, "verdicts": {"short": True, "kind": False}, "why": "Two letters."}],
    }


def write(folder: Path, said: Said, file: str = "tidy.v1.yaml") -> Path:
    path = folder / file
    path.write_text(yaml.safe_dump(said), encoding="utf-8")
    return path


def fault(path: Path) -> str:
    with pytest.raises(UserError) as error:
        read_rubric(path)
    return str(error.value)


# ----------------------------------------------------------------------------------------------------- shipped rubrics


def test_the_shipped_rubrics_are_found_by_name() -> None:
    shipped = {"instruction-response.v1", "sound-response.v1", "skill-shown.v1", "grounded-answer.v1"}
    assert shipped <= set(all_rubrics())
    assert load_rubric("skill-shown") == load_rubric("skill-shown.v1")
    with pytest.raises(UserError, match=r"no rubric 'skill-showm' \(did you mean 'skill-shown\.v1'\?\)"):
        load_rubric("skill-showm")


def verdicts_of(rubric: Rubric) -> dict[str, Counter[bool]]:
    """Return how often each criterion is yes and no in the gold rows; those of skills count as one."""
    out: dict[str, Counter[bool]] = {}
    for row in rubric.gold:
        for name, verdict in row.verdicts.items():
            kind = name if rubric.each is None or name in rubric.names else rubric.each.name
            out.setdefault(kind, Counter())[verdict] += 1
    return out


@pytest.mark.parametrize("place", sorted(all_rubrics()))
def test_a_judge_that_always_says_the_same_is_right_half_of_the_time_at_each_criterion(place: str) -> None:
    found = verdicts_of(all_rubrics()[place])
    assert set(found) >= set(all_rubrics()[place].names)
    assert all(counts[True] == counts[False] for counts in found.values())
    assert sum(counts.total() for counts in found.values()) >= 60


@pytest.mark.parametrize("place", sorted(all_rubrics()))
def test_no_two_gold_rows_are_the_same_and_each_has_a_text_for_each_input(place: str) -> None:
    gold = all_rubrics()[place].gold
    assert len({tuple(sorted(row.inputs.items())) for row in gold}) == len(gold)
    assert all(text.strip() for row in gold for text in row.inputs.values())
    assert len({tuple(row.verdicts.values()) for row in gold}) > len(gold) / 2


def test_two_rubrics_that_ask_the_same_point_ask_it_in_the_same_words() -> None:
    with_skills, without = load_rubric("instruction-response"), load_rubric("sound-response")
    assert [c for c in with_skills.criteria if not c.name.endswith("_skills")] == list(without.criteria)
    pairs = {row.inputs["instruction"]: row for row in with_skills.gold}
    for row in without.gold:
        same = pairs[row.inputs["instruction"]]
        assert row.inputs["response"] == same.inputs["response"]
        assert row.verdicts.items() <= same.verdicts.items()


def test_what_the_instruction_needs_and_what_the_response_shows_are_two_points() -> None:
    rubric = load_rubric("instruction-response")
    assert rubric.names.index("shows_skills") == rubric.names.index("needs_skills") + 1
    found = {(row.verdicts["needs_skills"], row.verdicts["shows_skills"]) for row in rubric.gold}
    assert len(found) == 4


# ---------------------------------------------------------------------------------------------------------- of skills


SHOWN = Rubric(
    name="shown",
    version=1,
    about="A text.",
    inputs=("text",),
    criteria=(Criterion("sensible", "Does it make sense?"),),
    each=Criterion("shows_{skill}", "Does it show {skill}?", "{skill}: {definition}"),
    full=Full(need=("shows_{skill}",)),
)


def test_each_skill_of_a_row_is_a_criterion_before_the_others() -> None:
    made = SHOWN.with_skills({"red_herring": "leading away", "irony": ""})
    assert made.names == ("shows_red_herring", "shows_irony", "sensible")
    assert made.criteria[0] == Criterion("shows_red_herring", "Does it show red herring?", "red herring: leading away")
    assert made.criteria[1].about == "irony: irony"
    assert made.full.need == ("shows_red_herring", "shows_irony")
    assert made.each is None


def test_a_rubric_without_each_needs_no_skills() -> None:
    plain = load_rubric("grounded-answer")
    assert plain.with_skills({"irony": "x"}) is plain


def test_braces_in_a_definition_are_text() -> None:
    made = SHOWN.with_skills({"irony": "{skill} {0} {{ x }}"})
    assert made.criteria[0].about == "irony: {skill} {0} {{ x }}"


def test_a_skill_that_makes_a_doubled_or_spaced_name_is_refused() -> None:
    clash = replace(SHOWN, criteria=(Criterion("shows_irony", "Is it so?"),))
    with pytest.raises(UserError, match="criterion 'shows_irony' is there twice"):
        clash.with_skills({"irony": ""})
    with pytest.raises(UserError, match="'shows_two words' is no name of a criterion"):
        SHOWN.with_skills({"two words": ""})


def test_another_word_anywhere_is_another_identity() -> None:
    rubric = load_rubric("skill-shown")
    others = [
        replace(rubric, about="x"),
        replace(rubric, full=Full()),
        replace(rubric, gold=rubric.gold[1:]),
        replace(rubric, criteria=(replace(rubric.criteria[0], about="x"), *rubric.criteria[1:])),
        rubric.with_skills({"irony": "x"}),
        rubric.with_skills({"irony": "y"}),
    ]
    assert len({made.identity for made in [rubric, *others]}) == 7
    assert replace(rubric).identity == rubric.identity


# --------------------------------------------------------------------------------------------------- mistakes in files


def test_a_rubric_file_says_what_it_holds(tmp_path: Path) -> None:
    rubric = read_rubric(write(tmp_path, good()))
    assert rubric.criteria[1] == Criterion("kind", "Is the text kind?", "Irony is not.")
    assert rubric.full == Full(("short",), 1)
    assert rubric.gold == (GoldRow({"text": "Hi."}, {"short": True, "kind": False}, "Two letters.", {}),)


def change(place: list[Any], value: Any) -> Callable[[Said], None]:
    def edit(said: Said) -> None:
        found: Any = said
        for key in place[:-1]:
            found = found[key]
        found[place[-1]] = value

    return edit


MISTAKES = {
    "another name": (change(["name"], "neat"), "tidy.v1.yaml says it is neat.v1; the file must be <name>.v<N>.yaml"),
    "another version": (change(["version"], 2), "says it is tidy.v2"),
    "a key too many": (change(["votes"], 3), "rubric tidy.v1.yaml: votes: Extra inputs"),
    "no criteria": (change(["criteria"], []), "rubric tidy.v1.yaml: criteria: List should have"),
    "a doubled criterion": (change(["criteria", 1, "name"], "short"), "the criterion 'short' is there twice"),
    "a doubled input": (change(["inputs"], ["text", "text"]), "the input 'text' is there twice"),
    "a name with a space": (change(["criteria", 1, "name"], "very kind"), "'very kind' is no name of a criterion"),
    "an unknown need": (change(["full", "need"], ["shrt"]), "full needs 'shrt', which is no criterion (did you mean"),
    "too many others": (change(["full", "others"], 2), "full wants 2 other criteria, there are 1"),
    "a verdict too few": (
        change(["gold", 0, "verdicts"], {"short": True}),
        "rubric tidy, gold row 1: verdicts lack 'kind' (wanted: short, kind)",
    ),
    "a verdict too many": (
        change(["gold", 0, "verdicts", "knd"], True),
        "gold row 1: verdicts have 'knd', which the rubric does not know (did you mean 'kind'?)",
    ),
    "a verdict that is none": (change(["gold", 0, "verdicts", "kind"], "perhaps"), "gold.0.verdicts.kind: "),
    "another input": (change(["gold", 0, "inputs"], {"txt": "x"}), "gold row 1: inputs lack 'text'"),
    "skills without each": (change(["gold", 0, "skills"], {"x": "y"}), "gold row 1: skills and 'each' go together"),
    "each without a place": (
        change(["each"], {"name": "shows", "asks": "Does it show {skill}?"}),
        "'each' needs {skill} in its name",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_in_a_rubric_is_named(what: str, tmp_path: Path) -> None:
    edit, told = MISTAKES[what]
    said = good()
    edit(said)
    assert told in fault(write(tmp_path, said))


@pytest.mark.parametrize("raw", [b"name: [", b"- 1\n", b"\xff\xfe", b""])
def test_a_file_that_is_no_rubric_is_one_line(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tidy.v1.yaml"
    path.write_bytes(raw)
    said = fault(path)
    assert said.startswith("rubric tidy.v1.yaml")
    assert "\n" not in said


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "cannot be read" in fault(tmp_path / "tidy.v1.yaml")


def test_a_rubric_made_at_run_time_is_checked_in_the_same_way() -> None:
    check_rubric(SHOWN)
    wrong = replace(SHOWN, gold=(GoldRow({"text": "x"}, {"sensible": True}, "It is so.", {"irony": ""}),))
    with pytest.raises(UserError, match=r"gold row 1: verdicts lack 'shows_irony'"):
        check_rubric(wrong)
