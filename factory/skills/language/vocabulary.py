"""A closed vocabulary of skills: a label becomes one of them or is rejected, and says how.

A label that is not there by its spelling may be a slip of one that is: a letter wrong, a word more or out of order.
Siblings are nearer to each other than most slips are, so words.py has its say before any likeness counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

import numpy as np
import numpy.typing as npt

from factory.selection.embed import encode
from factory.skills.language.names import skill_name, spelling_key
from factory.skills.language.skill import LanguageSkill
from factory.skills.language.words import kept_apart, tells_same

MIN_LETTERS = 0.88
"""Share of matching letters (Ratcliff and Obershelp) from which a label is a slip of a name."""
MIN_COSINE = 0.75
"""Cosine of label and name from which a label means a skill."""
ONE_WORD = 0.8
"""How alike two words must be in letters to be one word with a slip in it."""


@dataclass(frozen=True, slots=True)
class Match:
    """What became of a label: the skill's name, or None where it was rejected; `similarity` where it is not exact.

    The similarity is the share of matching letters or, where the meaning decided, the cosine. Of a rejected label it is
    that of the skill that came closest, None when nothing came near.
    """

    skill: str | None
    how: Literal["exact", "nearest", "rejected"]
    similarity: float | None = None


class Vocabulary:
    """A list of skills, to which labels are matched; the first of two skills with one spelling counts.

    `vectors`, unit vectors of the skills' labels (not of their definitions) row by row, lets meaning decide where
    spelling does not; labels are then embedded too, which needs the extra `embed`.
    """

    def __init__(self, skills: Iterable[LanguageSkill], vectors: npt.NDArray[np.float32] | None = None) -> None:
        self._names = [skill_name(skill.name) for skill in skills]
        self._exact = {name: name for name in self._names if name}
        self._keys: dict[str, str] = {}
        self._words: dict[str, list[str]] = {}
        for name in self._exact:
            self._keys.setdefault(spelling_key(name), name)
            for piece in _pieces(spelling_key(name)):
                self._words.setdefault(piece, []).append(name)
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._exact)

    def __contains__(self, name: object) -> bool:
        return name in self._exact

    def match(self, label: str) -> Match:
        """Return what the label is: exact (by canonical name or spelling), nearest, or rejected."""
        return self.match_all([label])[0]

    def match_all(self, labels: Sequence[str]) -> list[Match]:
        """Return a match for each label, in order; a label's match does not depend on the others."""
        found = {label: self._by_spelling(skill_name(label)) for label in dict.fromkeys(labels)}
        if self._vectors is not None:
            open_ = [label for label, match in found.items() if match.skill is None and skill_name(label)]
            found |= {label: self._by_meaning(label, found[label]) for label in open_}
        return [found[label] for label in labels]

    def _by_spelling(self, name: str) -> Match:
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

    def _by_meaning(self, label: str, spelled: Match) -> Match:
        """Return the skill whose label means the same, else what spelling came to."""
        name = skill_name(label)
        # One label at a time: the bits of an embedding depend on what stands beside it in its batch.
        vector = encode([name.replace("_", " ")])[0]
        cosines = np.round(np.asarray(self._vectors, dtype=np.float64) @ vector.astype(np.float64), 4)
        for row in np.argsort(-cosines, kind="stable"):
            cosine, other = float(cosines[row]), self._names[row]
            if cosine < MIN_COSINE:
                return spelled
            if other and kept_apart(name, other) is None:
                return Match(other, "nearest", cosine)
        return spelled

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
