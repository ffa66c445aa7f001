"""Domains: what a skill's input and knobs may be. Each draws a value and says whether a given value belongs.

A domain's `level` is 1 to 4: the share of its range that is open (4 = all of it).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from math import gcd
from typing import Any, Protocol

from factory.artifacts.digest import Rng

TOP_LEVEL = 4
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
CITIES = ("Lima", "Oslo", "Kyoto", "Accra", "Quito", "Hanoi", "Turin", "Perth")


@cache
def word_list() -> tuple[str, ...]:
    """Return the common lowercase English words that texts are drawn from."""
    return tuple(files("factory.skills").joinpath("words.txt").read_text("utf-8").split())


def _top(lo: int, hi: int, level: int) -> int:
    return hi if level >= TOP_LEVEL else max(lo + (hi - lo) * level // TOP_LEVEL, min(hi, lo + 1))


class Domain(Protocol):
    """A set of values that can be drawn from."""

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> Any:
        """Return a value of the domain."""
        ...

    def holds(self, value: Any) -> bool:
        """Return whether a value belongs to the domain."""
        ...

    def about(self) -> str:
        """Return the domain in words, for people."""
        ...


@dataclass(frozen=True, slots=True)
class Range:
    """Whole numbers from lo to hi."""

    lo: int
    hi: int

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> int:
        """Return a number in the range."""
        return rng.between(self.lo, _top(self.lo, self.hi, level))

    def holds(self, value: Any) -> bool:
        """Return whether a value is a whole number in the range."""
        return type(value) is int and self.lo <= value <= self.hi

    def about(self) -> str:
        """Return the domain in words."""
        return f"{self.lo} to {self.hi}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few given values."""

    values: tuple[Any, ...]

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> Any:
        """Return one of the values."""
        return rng.pick(self.values)

    def holds(self, value: Any) -> bool:
        """Return whether a value is one of the choices."""
        return value in self.values

    def about(self) -> str:
        """Return the domain in words."""
        return "one of " + ", ".join(str(v) for v in self.values)


@dataclass(frozen=True, slots=True)
class Booleans:
    """True or false."""

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> bool:
        """Return true or false."""
        return rng.chance(0.5)

    def holds(self, value: Any) -> bool:
        """Return whether a value is a truth value."""
        return value is True or value is False

    def about(self) -> str:
        """Return the domain in words."""
        return "true or false"


@dataclass(frozen=True, slots=True)
class Letters:
    """A random string of lowercase letters; `holds` takes any string of such a length."""

    lo: int
    hi: int

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> str:
        """Return a string of lo to hi letters."""
        return "".join(rng.pick(ALPHABET) for _ in range(rng.between(self.lo, _top(self.lo, self.hi, level))))

    def holds(self, value: Any) -> bool:
        """Return whether a value is a string of a length of the domain."""
        return isinstance(value, str) and self.lo <= len(value) <= self.hi

    def about(self) -> str:
        """Return the domain in words."""
        return f"{self.lo} to {self.hi} lowercase letters"


@dataclass(frozen=True, slots=True)
class Texts:
    """A text of common words, one space apart; `holds` takes any one-line text up to max_chars."""

    lo: int = 1
    hi: int = 1
    max_chars: int = 80

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> str:
        """Return lo to hi words."""
        words = word_list()
        return " ".join(rng.pick(words) for _ in range(rng.between(self.lo, _top(self.lo, self.hi, level))))

    def holds(self, value: Any) -> bool:
        """Return whether a value is a one-line, non-empty text that is short enough and has enough words."""
        return (
            isinstance(value, str)
            and 0 < len(value) <= self.max_chars
            and "\n" not in value
            and self.lo <= value.count(" ") + 1
        )

    def about(self) -> str:
        """Return the domain in words."""
        return f"{self.lo} to {self.hi} words" if self.hi > 1 else "a word"


@dataclass(frozen=True, slots=True)
class Ints:
    """A list of n_lo to n_hi whole numbers from lo to hi; sorted and distinct if it is a set."""

    n_lo: int
    n_hi: int
    lo: int
    hi: int
    is_set: bool = False

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> list[int]:
        """Return a list of numbers."""
        n = rng.between(self.n_lo, _top(self.n_lo, self.n_hi, level))
        values = [rng.between(self.lo, self.hi) for _ in range(n)]
        if not self.is_set:
            return values
        distinct = set(values)
        while len(distinct) < self.n_lo:
            distinct.add(rng.between(self.lo, self.hi))
        return sorted(distinct)

    def holds(self, value: Any) -> bool:
        """Return whether a value is a list of such numbers."""
        return (
            isinstance(value, list)
            and self.n_lo <= len(value) <= self.n_hi
            and (not value or (set(map(type, value)) == {int} and self.lo <= min(value) and max(value) <= self.hi))
        )

    def about(self) -> str:
        """Return the domain in words."""
        kind = "a set" if self.is_set else "a list"
        return f"{kind} of {self.n_lo} to {self.n_hi} numbers from {self.lo} to {self.hi}"


@dataclass(frozen=True, slots=True)
class Words:
    """A list of n_lo to n_hi common words, all different."""

    n_lo: int
    n_hi: int

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> list[str]:
        """Return a list of different words."""
        words = word_list()
        chosen: dict[str, None] = {}
        n = rng.between(self.n_lo, _top(self.n_lo, self.n_hi, level))
        while len(chosen) < n:
            chosen[rng.pick(words)] = None
        return list(chosen)

    def holds(self, value: Any) -> bool:
        """Return whether a value is a list of that many words."""
        return (
            isinstance(value, list)
            and self.n_lo <= len(value) <= self.n_hi
            and all(isinstance(v, str) and 0 < len(v) <= 24 for v in value)
        )

    def about(self) -> str:
        """Return the domain in words."""
        return f"a list of {self.n_lo} to {self.n_hi} words"


@dataclass(frozen=True, slots=True)
class Dates:
    """A calendar day of the years first to last, as ISO text (YYYY-MM-DD)."""

    first: int = 1990
    last: int = 2039

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> str:
        """Return a day as ISO text."""
        start = date(self.first, 1, 1)
        return (start + timedelta(days=rng.below((date(self.last, 12, 31) - start).days + 1))).isoformat()

    def holds(self, value: Any) -> bool:
        """Return whether a value is such a day."""
        if not isinstance(value, str) or len(value) != 10:
            return False
        try:
            return self.first <= date.fromisoformat(value).year <= self.last
        except ValueError:
            return False

    def about(self) -> str:
        """Return the domain in words."""
        return f"a date of the years {self.first} to {self.last}"


@dataclass(frozen=True, slots=True)
class Fractions:
    """A fraction in lowest terms as text, such as '3/4'."""

    max_denominator: int = 20

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> str:
        """Return a fraction between 0 and 3 that is not whole."""
        d = rng.between(2, _top(2, self.max_denominator, level))
        n = rng.between(1, 3 * d - 1)
        while gcd(n, d) != 1:
            n = rng.between(1, 3 * d - 1)
        return f"{n}/{d}"

    def holds(self, value: Any) -> bool:
        """Return whether a value is such a fraction."""
        if not isinstance(value, str):
            return False
        n, slash, d = value.partition("/")
        return bool(slash) and n.isdigit() and d.isdigit() and 0 < int(d) <= 999 and int(n) <= 9999

    def about(self) -> str:
        """Return the domain in words."""
        return f"a fraction with a denominator up to {self.max_denominator}"


@dataclass(frozen=True, slots=True)
class Tables:
    """A table of stock: columns item, city, count, price; the items are all different."""

    n_lo: int = 3
    n_hi: int = 7

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> dict[str, Any]:
        """Return {'columns': [...], 'rows': [[item, city, count, price], ...]}."""
        items = Words(self.n_lo, self.n_hi).draw(rng, level)
        rows = [[item, rng.pick(CITIES), rng.between(1, 60), rng.between(2, 99)] for item in items]
        return {"columns": ["item", "city", "count", "price"], "rows": rows}

    def holds(self, value: Any) -> bool:
        """Return whether a value is such a table with at least one row."""
        return (
            isinstance(value, dict)
            and value.get("columns") == ["item", "city", "count", "price"]
            and 1 <= len(value["rows"]) <= self.n_hi
        )

    def about(self) -> str:
        """Return the domain in words."""
        return f"a table of {self.n_lo} to {self.n_hi} rows with the columns item, city, count, price"


@dataclass(frozen=True, slots=True)
class Grids:
    """A grid as a list of equally long rows; '.' is free, '#' is a wall."""

    lo: int = 3
    hi: int = 6
    wall: float = 0.25

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> list[str]:
        """Return the rows of a grid whose first and last cells are free."""
        height, width = (rng.between(self.lo, _top(self.lo, self.hi, level)) for _ in range(2))
        rows = [["#" if rng.chance(self.wall) else "." for _ in range(width)] for _ in range(height)]
        rows[0][0] = rows[-1][-1] = "."
        return ["".join(row) for row in rows]

    def holds(self, value: Any) -> bool:
        """Return whether a value is a grid of free cells and walls."""
        return (
            isinstance(value, list)
            and 1 <= len(value) <= self.hi
            and all(isinstance(r, str) and len(r) == len(value[0]) <= self.hi and not r.strip(".#") for r in value)
        )

    def about(self) -> str:
        """Return the domain in words."""
        return f"a grid of {self.lo} to {self.hi} rows and columns with walls (#)"


@dataclass(frozen=True, slots=True)
class Wide:
    """Values drawn from one domain; a wider one says what belongs, so that chains may hand over larger values."""

    drawn: Domain
    held: Domain

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> Any:
        """Return a value of the narrow domain."""
        return self.drawn.draw(rng, level)

    def holds(self, value: Any) -> bool:
        """Return whether a value belongs to the wide domain."""
        return self.held.holds(value)

    def about(self) -> str:
        """Return the wide domain in words."""
        return self.held.about()


@dataclass(frozen=True, slots=True)
class Notes:
    """A note: drawn as lo to hi common words; any text of up to max_chars belongs, line breaks included."""

    lo: int
    hi: int
    max_chars: int = 2000

    def draw(self, rng: Rng, level: int = TOP_LEVEL) -> str:
        """Return lo to hi words."""
        return str(Texts(self.lo, self.hi, self.max_chars).draw(rng, level))

    def holds(self, value: Any) -> bool:
        """Return whether a value is a text that says something and is short enough."""
        return isinstance(value, str) and len(value) <= self.max_chars and bool(value.strip())

    def about(self) -> str:
        """Return the domain in words."""
        return f"a note of up to {self.max_chars} characters"
