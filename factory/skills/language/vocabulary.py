"""A closed vocabulary of skills: a label becomes one of them or is rejected, and says how.

A label that is not there by its spelling may be a slip of one that is: a letter wrong, a word more or out of order.
Siblings are nearer to each other than most slips are, so words.py has its say before any likeness counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from factory.skills.language.names import skill_name, spelling_key
from factory.skills.language.skill import LanguageSkill
from factory.skills.language.words import kept_apart, tells_same

MIN_LETTERS = 0.88
"""Share of matching letters (Ratcliff and Obershelp) from which a label is a slip of a name."""
ONE_WORD = 0.8
"""How alike two words must be in letters to be one word with a slip in it."""


@dataclass(frozen=True, slots=True)
class Match:
    """What became of a label: the skill's name, or None where it was rejected; `similarity` where it is not exact.

    The similarity is the share of matching letters. Of a rejected label it is that of the skill that came closest, None
    when nothing came near.
    """

    skill: str | None
    how: Literal["exact", "nearest", "rejected"]
    similarity: float | None = None


class Vocabulary:
    """A list of skills, to which labels are matched; the first of two skills with one spelling counts."""

    def __init__(self, skills: Iterable[LanguageSkill]) -> None:
        self._exact = {name: name for skill in skills if (name := skill_name(skill.name))}
        self._keys: dict[str, str] = {}
        self._words: dict[str, list[str]] = {}
        for name in self._exact:
            self._keys.setdefault(spelling_key(name), name)
            for piece in _pieces(spelling_key(name)):
                self._words.setdefault(piece, []).append(name)

    def match(self, label: str) -> Match:
        """Return what the label is: exact (by canonical name or spelling), nearest, or rejected."""
        name = skill_name(label)
        key = spelling_key(name)
        exact = self._exact.get(name) or self._keys.get(key)
        if exact is not None:
            return Match(exact, "exact")
        best, nearest = 0.0, None
        for other in self._candidates(key):
            likeness = _likeness(name, other)
            if likeness > best:
                best, nearest = likeness, other
        if nearest is None or best < MIN_LETTERS:
            return Match(None, "rejected", round(best, 4) if best else None)
        return Match(nearest, "nearest", round(best, 4))

    def _candidates(self, key: str) -> list[str]:
        """Return the names that share a piece of spelling, in the vocabulary's order."""
        shared = {name for piece in _pieces(key) for name in self._words.get(piece, ())}
        return [name for name in self._exact if name in shared]


def _pieces(key: str) -> set[str]:
    """Return the runs of three letters in a key: a slip leaves most of them whole."""
    return {key[start : start + 3] for start in range(max(1, len(key) - 2))}


def _likeness(name: str, other: str) -> float:
    """Return how alike two names are in [0, 1]: 1 for the same words in another order, 0 for different words."""
    if tells_same(name, other):
        return 1.0
    first, second = name.split("_"), other.split("_")
    if not _slipped(first, second) and not _slipped(["".join(first)], ["".join(second)]):
        return 0.0
    matcher = SequenceMatcher(None, name.replace("_", " "), other.replace("_", " "), autojunk=False)
    return matcher.ratio()


def _slipped(first: Sequence[str], second: Sequence[str]) -> bool:
    """Return whether each word stands for the one in its place, give or take a slip, and none is its opposite."""
    if len(first) != len(second):
        return False
    return all(
        one == two
        or (
            kept_apart(one, two) is None
            and one[:1] == two[:1]
            and SequenceMatcher(None, one, two, autojunk=False).ratio() >= ONE_WORD
        )
        for one, two in zip(first, second, strict=True)
    )
