"""Skill-Mix's task and its points (arXiv 2310.17567): a short text on a topic that shows k skills, and k + 3 points.

Judges vote on every point. Two things a program knows better, and it has the last word on them: the number of
sentences, and whether a skill is named, which costs that skill its point. A point without a verdict is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from typing import Any

import orjson

from factory.artifacts.digest import digest
from factory.gates.judge import Grades, Grading, grade, mark_of
from factory.gates.rubric import Criterion, GoldRow, Rubric, load_rubric
from factory.prompts import find_prompt
from factory.recipes.recipe import Ask, Asking, Grade
from factory.score import CHECKS
from factory.skills.language.lists import shipped_skills
from factory.skills.language.skill import LanguageSkill
from factory.teacher.protocol import Sampling

WRITE, REVISE = "skill-mix/write.v1", "skill-mix/revise.v1"
LIMIT = "within_limit"
OTHERS = ("on_topic", "makes_sense", LIMIT)
TEMPERATURE = 0.7
LONGEST = 1024  # tokens: a text of five sentences and its explanation
NUMBERS = ("no", "one", "two", "three", "four", "five")
DASHES = str.maketrans({"\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "_": " "})

# ----------------------------------------------------------------------------------------------------------- the task


@dataclass(frozen=True, slots=True)
class Task:
    """One combination: the skills to show and the topic."""

    skills: tuple[LanguageSkill, ...]
    topic: str

    @property
    def limit(self) -> int:
        """Return how many sentences the text may have."""
        return max(1, len(self.skills) - 1)

    @property
    def limit_said(self) -> str:
        """Return the limit in words: 'a single sentence', 'at most two sentences'."""
        return "a single sentence" if self.limit == 1 else f"at most {NUMBERS[self.limit]} sentences"

    @property
    def rubric(self) -> Rubric:
        """Return what its texts are graded by: a point for each skill, then OTHERS."""
        return rubric().with_skills({skill.name: meant_by(skill) for skill in self.skills})

    def forms(self, skill: LanguageSkill) -> list[str]:
        """Return the words by which a text would name the skill; those that the topic itself needs are free."""
        found = dict.fromkeys([*forms_of(skill.name.replace("_", " ")), *forms_of(skill.label)])
        return [form for form in found if not _says(self.topic, [form])]


def forms_of(label: str) -> list[str]:
    """Return a skill's name in singular and plural, with its gaps written as spaces, hyphens, or closed."""
    *first, last = label.lower().split()
    found: dict[str, None] = {}
    for word in _numbers(last):
        words = [*first, word]
        gaps = len(first)
        hyphens = [range(0), range(gaps), *((i,) for i in range(gaps))]  # in no gap, in all, in one
        for places in hyphens:
            found[_spelled(words, places)] = None
        if gaps == 1:
            found["".join(words)] = None
    return list(found)


def _numbers(word: str) -> list[str]:
    """Return a word with its plural, or its singular."""
    if word.endswith("man"):
        return [word, f"{word[:-3]}men"]
    if word.endswith("ies"):
        return [word, f"{word[:-3]}y"]
    if word.endswith("is"):
        return [word, f"{word[:-2]}es"]
    if word.endswith(("s", "x", "z", "ch", "sh")):
        plural = word.endswith("s") and not word.endswith(("ss", "us", "as"))
        return [word, word[:-1] if plural else f"{word}es"]
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return [word, f"{word[:-1]}ies"]
    return [word, f"{word}s"]


def _spelled(words: Sequence[str], hyphens: Sequence[int]) -> str:
    joints = ("-" if i in hyphens else " " for i in range(len(words) - 1))
    return "".join(f"{word}{joint}" for word, joint in zip(words, (*joints, ""), strict=True))


def _says(text: str, forms: list[str]) -> bool:
    plain = " ".join(text.translate(DASHES).split())
    return not CHECKS["forbidden"][1](plain, {"words": forms})


def sentences(text: str) -> int:
    """Return how many sentences a text has; a line without a full stop is one too."""
    fits = CHECKS["max_sentences"][1]
    return sum(next(n for n in count() if fits(line, {"n": n})) for line in text.splitlines())


def named(task: Task, text: str) -> list[LanguageSkill]:
    """Return the skills that a text calls by their names."""
    return [skill for skill in task.skills if _says(text, task.forms(skill))]


def faults(task: Task, text: str) -> list[str]:
    """Return in words what a program finds wrong with a text: too many sentences, and skills that are named."""
    found, said = [], sentences(text)
    if said > task.limit:
        found.append(f"It has {said} sentences; {task.limit_said} may be used.")
    return found + [f"It names {skill.label}, and must not." for skill in named(task, text)]


# -------------------------------------------------------------------------------------------------------- the writing


@dataclass(frozen=True, slots=True)
class Written:
    """What an author made of a task: the draft, and the text after their own revision."""

    draft: str
    text: str


def written(task: Task, repeat: int = 0, *, told: bool = False) -> Asking[Written]:
    """Return an author's text in two turns: a draft, then its revision and shortening by the same author.

    `told` lets the author know what a program found in the draft; who is being examined is not told. Raises NoReply
    where a turn came to nothing.
    """
    shown = [_shown(skill) for skill in task.skills]
    mark = mark_of([task.topic, *(said for skill in shown for said in skill.values())])
    given = {"topic": task.topic, "skills": shown, "limit": task.limit_said, "mark": mark}
    sampling = Sampling(temperature=TEMPERATURE, max_tokens=LONGEST)  # a seed would make a second attempt the first
    (first,) = yield [Ask(WRITE, given, _example(task, "draft"), repeat=repeat, sampling=sampling)]
    draft = first.need()
    answered = {"role": "assistant", "content": orjson.dumps(draft).decode()}
    revision = Ask(
        REVISE,
        {
            "topic": task.topic,
            "labels": [skill.label for skill in task.skills],
            "limit": task.limit_said,
            "faults": faults(task, draft["text"]) if told else [],
        },
        _example(task, "revision"),
        repeat=repeat,
        history=(*find_prompt(WRITE).render(given), answered),
        sampling=sampling,
    )
    (last,) = yield [revision]
    return Written(draft["text"].strip(), last.need()["text"].strip())


def _shown(skill: LanguageSkill) -> dict[str, str]:
    texts = {"definition": skill.definition, "positive": skill.positive, "negative": skill.negative}
    return {"label": skill.label} | {name: " ".join(text.split()) for name, text in texts.items()}


def _example(task: Task, turn: str) -> dict[str, str]:
    winters = int(digest(skills=[skill.name for skill in task.skills], topic=task.topic, turn=turn)[:6], 16)
    text = f"Whoever has spent {winters} evenings on {task.topic} still learns something on the next."
    return {"text": text, "explanation": "Each skill is shown by the whole of the text."}


# -------------------------------------------------------------------------------------------------------- the grading


@cache
def rubric() -> Rubric:
    """Return the rubric skill-shown with the point that a program decides, its gold rows included."""
    shown = load_rubric("skill-shown.v1")
    within = Criterion(
        LIMIT,
        "Has the text no more sentences than its limit allows?",
        "Count what ends in a full stop, a question mark or an exclamation mark; a semicolon or a dash ends none.",
    )
    return replace(
        shown,
        name="skill-mix",
        version=1,
        inputs=(*shown.inputs, "limit"),
        criteria=(*shown.criteria, within),
        full=replace(shown.full, need=(shown.each.name, *OTHERS) if shown.each else OTHERS),
        gold=tuple(map(_limited, shown.gold)),
    )


def _limited(row: GoldRow) -> GoldRow:
    """Return a gold row of skill-shown with its limit, and the verdict that a count gives."""
    task = Task(tuple(LanguageSkill(name, said) for name, said in row.skills.items()), row.inputs["topic"])
    within = sentences(row.inputs["text"]) <= task.limit
    known = _known()
    skills = {name: meant_by(known[name]) if name in known else said for name, said in row.skills.items()}
    inputs = {**row.inputs, "limit": task.limit_said}
    return replace(row, inputs=inputs, skills=skills, verdicts={**row.verdicts, LIMIT: within})


def meant_by(skill: LanguageSkill) -> str:
    """Return what a judge is told of a skill: its definition, and what looks like it and is not."""
    near = f" What looks like it and is not: {skill.negative}" if skill.negative else ""
    return f"{skill.definition or skill.label}{near}"


@cache
def _known() -> dict[str, LanguageSkill]:
    return {skill.name: skill for skill in shipped_skills().skills}


def graded(task: Task, text: str, votes: int) -> Grading:
    """Return the k + 3 grades of a text by so many independent votes, with the program's word on what it knows."""
    inputs = {"topic": task.topic, "text": text, "limit": task.limit_said}
    grades = yield from grade(task.rubric, inputs, votes)
    return settled(task, text, grades)


def settled(task: Task, text: str, grades: Sequence[Grade]) -> Grades:
    """Return grades with the values that a program decides; every vote stays as it was given."""
    decided = by_program(task, text)
    return tuple(replace(g, value=decided[g.name]) if g.name in decided else g for g in grades)


def by_program(task: Task, text: str) -> dict[str, float]:
    """Return the points that no judge decides: the limit always, and 0 for each skill that is named."""
    points = {_point(skill.name): 0.0 for skill in named(task, text)}
    return points | {LIMIT: float(sentences(text) <= task.limit)}


def _point(skill: str) -> str:
    each = rubric().each
    return skill if each is None else each.name.replace("{skill}", skill)


# ---------------------------------------------------------------------------------------------------------- the marks

Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Points:
    """The points of one text: one for each skill, and those of OTHERS; None has no verdict."""

    skills: tuple[float | None, ...]
    others: tuple[float | None, ...]

    @property
    def undecided(self) -> int:
        """Return how many points have no verdict."""
        return (*self.skills, *self.others).count(None)


def points_of(task: Task, values: Mapping[str, float | None]) -> Points:
    """Return the points of a text by the names of its rubric; one that is not there has no verdict."""
    return Points(
        tuple(values.get(_point(skill.name)) for skill in task.skills), tuple(values.get(name) for name in OTHERS)
    )


def full_marks(points: Points) -> Bounds:
    """Return 1 for all k + 3 points, else 0: the least and the most that points without a verdict leave open."""
    return _between(points, lambda skills, others: float(all((*skills, *others))))


def all_skills(points: Points) -> Bounds:
    """Return 1 for all k skills and at least two of the other three points, else 0, as the least and the most."""
    return _between(points, lambda skills, others: float(all(skills) and sum(others) >= 2))


def skill_fraction(points: Points) -> Bounds:
    """Return the share of skills that are shown where the other three points are met, else 0, as least and most."""
    return _between(points, lambda skills, others: sum(skills) / len(skills) if all(others) else 0.0)


Mark = Callable[[Points], Bounds]
MARKS: Mapping[str, Mark] = {"full_marks": full_marks, "all_skills": all_skills, "skill_fraction": skill_fraction}


def _between(points: Points, mark: Callable[[list[float], list[float]], float]) -> Bounds:
    """Return a mark with every open point at 0 and at 1; marks never fall when a point is gained."""

    def filled(values: Sequence[float | None], by: float) -> list[float]:
        return [by if value is None else value for value in values]

    low, high = (mark(filled(points.skills, by), filled(points.others, by)) for by in (0.0, 1.0))
    return low, high


def checks(task: Task, text: str) -> list[dict[str, Any]]:
    """Return what any text for this task must keep by program, as far as this one does."""
    forms = [form for skill in task.skills for form in task.forms(skill)]
    wanted: list[dict[str, Any]] = [
        {"check": "max_sentences", "n": task.limit},
        {"check": "forbidden", "words": forms},
    ]
    return [check for check in wanted if CHECKS[check["check"]][1](text, check)]
