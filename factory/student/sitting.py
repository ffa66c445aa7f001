"""Skill-Mix as an examination: every combination in several generations, each drafted, revised, and graded by votes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from factory.artifacts.digest import row_rng
from factory.artifacts.store import Store
from factory.errors import UserError
from factory.gates.judge import Grades
from factory.gates.skill_points import Points, Task, graded, points_of, written
from factory.recipes.recipe import Asking, SkillPool
from factory.recipes.skill_mix import topics
from factory.recipes.skill_tuples import plan_tuples, spread
from factory.skills.language.bank import SkillBank, import_skills
from factory.skills.language.lists import SkillList
from factory.student.skill_mix import GradedText, of_grades
from factory.student.together import together
from factory.teacher.protocol import Failure, NoReply

SPLITS = ("heldout", "train", "all")
OWN = frozenset({"truncated", "refused", "empty", "unparsable"})  # failures that are the student's doing


@dataclass(frozen=True, slots=True)
class Sheet:
    """One text of a combination: what the student wrote, or why there is none, and its grades."""

    task: Task
    combination: int
    generation: int
    draft: str = ""
    text: str = ""
    failure: Failure | None = None
    grades: Grades = ()

    @property
    def points(self) -> Points:
        """Return its points: all 0 where the student gave no text, without a verdict where that was not its doing."""
        values: dict[str, float | None] = {grade.name: grade.value for grade in self.grades}
        if self.failure and self.failure.kind in OWN:
            values = dict.fromkeys(self.task.rubric.names, 0.0)
        return points_of(self.task, values)

    def graded(self) -> GradedText:
        """Return what the metrics see of it."""
        names = [grade.name for grade in self.grades]
        votes = of_grades(names, {grade.name: grade.votes for grade in self.grades})
        missing = self.failure is not None
        return GradedText(len(self.task.skills), self.combination, self.points, votes, missing)


@contextmanager
def pool_of(found: SkillList, heldout: float) -> Iterator[SkillPool]:
    """Yield the skills of a list as a job would have them: merged, split by family, with the pairs that are near."""
    with TemporaryDirectory(prefix="factory-") as folder:
        yield SkillBank.of(import_skills(found, None, heldout, Store(Path(folder))))


def names_of(pool: SkillPool, split: str) -> list[str]:
    """Return the skills of a split; 'all' has both sides."""
    return sorted(name for side in ("train", "heldout") if split in (side, "all") for name in pool.names(side))


def combinations(pool: SkillPool, split: str, k: int, n: int, seed: int) -> list[Task]:
    """Return n combinations of k skills and a topic: skills least-used-first, every topic as often as the others.

    UserError where the split has too few skills.
    """
    names, rng = names_of(pool, split), row_rng(seed, "skill-mix combinations", f"{split}/{k}")
    try:
        tuples = plan_tuples(names, [k] * n, pool.near, rng)
    except ValueError as error:
        raise UserError(
            f"k={k} cannot be asked of the split '{split}', which has {len(names)} skills: {error}."
            " Take a smaller --k, --split all, or a longer list (--skills)"
        ) from None
    about = spread(topics(split), tuples, rng)
    return [Task(tuple(map(pool.get, found)), topic) for found, topic in zip(tuples, about, strict=True)]


def sit(tasks: Sequence[Task], generations: int, votes: int) -> Asking[list[Sheet]]:
    """Return the sheets of a student: each combination so many times, all of them at once in each turn."""
    return together([_sheet(Sheet(t, i, g), votes) for i, t in enumerate(tasks) for g in range(generations)])


def _sheet(sheet: Sheet, votes: int) -> Asking[Sheet]:
    try:
        made = yield from written(sheet.task, sheet.generation)
    except NoReply as why:
        return replace(sheet, failure=why.failure)
    if not made.text:
        return replace(sheet, draft=made.draft, failure=Failure("empty", "the text is blank"))
    grades = yield from graded(sheet.task, made.text, votes)
    return replace(sheet, draft=made.draft, text=made.text, grades=grades)


def regrade(sheets: Sequence[Sheet], votes: int) -> Asking[list[Sheet]]:
    """Return the sheets with new grades; nothing is asked of the student."""
    return together([_again(sheet, votes) for sheet in sheets])


def _again(sheet: Sheet, votes: int) -> Asking[Sheet]:
    if sheet.failure:
        return sheet
    grades = yield from graded(sheet.task, sheet.text, votes)
    return replace(sheet, grades=grades)
