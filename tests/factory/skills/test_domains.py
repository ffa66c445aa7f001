from __future__ import annotations

from typing import Any

import orjson
import pytest

from factory.artifacts.digest import row_rng
from factory.skills.domains import (
    Booleans,
    Choice,
    Dates,
    Domain,
    Fractions,
    Grids,
    Ints,
    Letters,
    Notes,
    Range,
    Tables,
    Texts,
    Wide,
    Words,
    word_list,
)

STOCK = {"columns": ["item", "city", "count", "price"], "rows": []}
DOMAINS: dict[str, tuple[Domain, list[Any]]] = {  # and what does not belong to it
    "range": (Range(3, 90), [2, 91, 4.0, "4", True, None]),
    "choice": (Choice((2, 5, "a")), [3, "b", None]),
    "booleans": (Booleans(), [0, 1, "true", None]),
    "letters": (Letters(3, 10), ["ab", "a" * 11, 7, None]),
    "texts": (Texts(2, 4, max_chars=30), ["one", "", "two\nlines", "w " * 16, 7, None]),
    "list": (Ints(3, 8, 1, 50), [[1, 2], [1] * 9, [0, 1, 2], [1, 2, 51], [1, 2, "3"], [1, 2, True], "1, 2, 3", None]),
    "set": (Ints(3, 8, 1, 30, is_set=True), [[1, 2], [0, 1, 2], None]),
    "words": (Words(3, 6), [["a", "b"], ["a"] * 7, ["a", "b", ""], ["a", "b", 3], "abc", None]),
    "dates": (Dates(2000, 2009), ["1999-12-31", "2010-01-01", "2005-1-1", 2005, None]),
    "fractions": (Fractions(), ["3", "1/0", "-1/2", "a/b", "1/1000", 0.5, None]),
    "tables": (Tables(), [{}, STOCK, {**STOCK, "columns": ["item"]}, {**STOCK, "rows": [[]] * 8}, None]),
    "grids": (Grids(), [[], [".#", "."], [".x"], ["." * 7], ["."] * 7, "..", None]),
    "wide": (Wide(Range(3, 9), Range(1, 99)), [0, 100, None]),
    "notes": (Notes(6, 30, max_chars=200), ["", " \n ", "x" * 201, 7, None]),
}
every_domain = pytest.mark.parametrize("name", DOMAINS)


@every_domain
@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_what_is_drawn_belongs_at_every_level(name: str, level: int) -> None:
    domain, _ = DOMAINS[name]
    drawn = [domain.draw(row_rng(5, name, str(i)), level) for i in range(40)]
    assert all(domain.holds(value) for value in drawn)
    assert orjson.loads(orjson.dumps(drawn)) == drawn
    assert len({str(value) for value in drawn}) > 1


@every_domain
def test_what_does_not_belong_is_told_from_what_does(name: str) -> None:
    domain, outside = DOMAINS[name]
    assert [value for value in outside if domain.holds(value)] == []


@every_domain
def test_a_domain_says_in_words_what_belongs(name: str) -> None:
    domain, _ = DOMAINS[name]
    assert domain.about()
    assert "object at" not in domain.about()


def test_a_lower_level_opens_a_smaller_part_of_a_range() -> None:
    highest = [max(Range(0, 100).draw(row_rng(5, "level", str(i)), level) for i in range(200)) for level in (1, 2, 4)]
    assert highest[0] <= 25 < highest[1] <= 50 < highest[2] <= 100


def test_both_ends_of_a_range_are_drawn() -> None:
    assert {Range(4, 6).draw(row_rng(5, "ends", str(i))) for i in range(60)} == {4, 5, 6}


def test_a_narrow_range_has_two_values_even_at_the_lowest_level() -> None:
    assert {Range(2, 4).draw(row_rng(5, "narrow", str(i)), 1) for i in range(60)} == {2, 3}


def test_sets_are_sorted_and_distinct() -> None:
    for i in range(60):
        value = Ints(4, 9, 1, 12, is_set=True).draw(row_rng(5, "set", str(i)))
        assert value == sorted(set(value))
        assert len(value) >= 4


def test_words_of_a_list_are_all_different() -> None:
    assert all(len(set(Words(6, 6).draw(row_rng(5, "words", str(i))))) == 6 for i in range(60))


def test_a_wide_domain_takes_more_than_it_draws() -> None:
    domain = Wide(Range(3, 9), Range(1, 99))
    assert domain.holds(50)
    assert all(3 <= domain.draw(row_rng(5, "wide", str(i))) <= 9 for i in range(60))


def test_the_word_list_holds_distinct_lowercase_words() -> None:
    words = word_list()
    assert len(set(words)) == len(words) >= 100
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)
