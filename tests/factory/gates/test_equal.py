"""Two answers are the same or not, by kind; what is no answer is the same as nothing; groups are a partition."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.errors import MissingExtra, UserError
from factory.gates import equal
from factory.gates.equal import Algebra, groups, is_answer, same_answer

NUMBERS = [
    ("1,000", "1000", True),
    ("Answer: 42", "So it is \\boxed{42}.", True),
    ("**Answer:** $5", "5", True),
    ("$5$", "5.0", True),
    ("\\(5\\)", "5", True),
    ("50%", "0.5", True),
    ("50%", "50", True),
    ("3/4", "0.75", True),
    ("5 km", "5", True),
    ("5 cm", "5 m", False),
    ("42", "43", False),
    ("-3", "3", False),
    ("0.5", "50", False),
    ("about 42 or so", "42", None),
    ("", "42", None),
    ("", "", None),
]
TEXTS = [
    ("Paris", "paris.", True),
    ("Answer: “Paris”", "PARIS", True),
    ("the  red\tfox", "The red fox!", True),
    ("ﬁne", "fine", True),
    ("Straße", "STRASSE", True),
    ("-5", "5", False),
    ("(B)", "b", True),
    ("(0, 1]", "[0, 1)", False),
    ("Paris", "London", False),
    ("", "Paris", None),
    ("...", "...", None),
]
MATHS = [
    (r"\frac{1}{2}", "0.5", True),
    (r"Answer: \frac{1}{2}", r"\boxed{\tfrac12}", True),
    ("x^2+2x+1", "(x+1)^2", True),
    (r"3\sqrt{2}", r"\sqrt{18}", True),
    ("sqrt(2)/2", "1/sqrt(2)", True),
    ("sin^2(x)+cos^2(x)", "1", True),
    (r"\{1, 2\}", "{2, 1}", True),
    ("[0,1)", "[0, 1)", True),
    ("[0,1)", "(0,1]", False),
    ("2x+1", "2y+1", False),
    ("0.333", "1/3", False),
    ("3!", "6", True),
    ("3!", "3", False),
    ("5x", "6x", False),
    ("x=5", "5", True),
    ("(B)", "B", True),
    ("1 2", "12", False),
]
WORDY = [
    ("Tuesday", "tuesday.", True),
    ("listen", "silent", False),
    ("Tuesday", "Wednesday", False),
    ("no solution", "5", False),
    (r"\text{even}", "Even", True),
    ("0.333", "1/3", False),
    ("50%", "1/2", True),
    ("5 cm", "5 m", False),
    ("12", "13", False),
    ("9^{9^{9^9}}", "5x", None),
    ("99999!", "x", None),
    ("x" * 201, "x", None),
    ("x\ny", "x+y", None),
    ("", "x", None),
]


@pytest.mark.parametrize(("a", "b", "same"), NUMBERS)
def test_numbers_are_compared_as_the_scorer_reads_them(a: str, b: str, same: bool | None) -> None:
    assert same_answer(a, b, "number") is same is same_answer(b, a, "number")


@pytest.mark.parametrize(("a", "b", "same"), TEXTS)
def test_texts_are_compared_by_their_words(a: str, b: str, same: bool | None) -> None:
    assert same_answer(a, b, "text") is same is same_answer(b, a, "text")


@pytest.mark.parametrize(("a", "b", "same"), MATHS)
def test_mathematics_is_compared_by_value(a: str, b: str, same: bool | None) -> None:
    assert same_answer(a, b, "math") is same is same_answer(b, a, "math")


@pytest.mark.parametrize(("a", "b", "same"), WORDY)
def test_words_numbers_and_monsters_need_no_algebra(
    a: str, b: str, same: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equal, "find_spec", lambda name: None)
    assert same_answer(a, b, "math") is same is same_answer(b, a, "math")


def test_without_the_library_mathematics_asks_for_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equal, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="'math'"):
        same_answer("17x+1", "1+17x", "math")


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no kind of answer 'maths' \(did you mean 'math'"):
        same_answer("1", "1", "maths")


def test_a_comparison_that_takes_too_long_is_undecided_and_the_next_one_works() -> None:
    algebra = Algebra()
    try:
        assert algebra.equal("9^{9^{9^{9}}}", "5", seconds=0.3) is None
        assert algebra.equal("2x", "x+x") is True
    finally:
        algebra.close()


def test_mathematics_is_compared_in_any_thread() -> None:
    found: list[bool | None] = []

    def compare(n: int) -> None:
        found.append(same_answer(f"{n}x", f"x*{n}", "math"))

    threads = [threading.Thread(target=compare, args=(n,)) for n in (3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True, True]


# ---------------------------------------------------------------------------------------------------------- verifiers

NUMBER = {"kind": "number", "gold": "42", "args": {}}
LIST = {"kind": "list", "gold": "[1, 2]", "args": {}}
COUNTDOWN = {"kind": "expression", "gold": "8*3", "args": {"numbers": [3, 8], "target": 24}}


@pytest.mark.parametrize(
    ("a", "b", "verifier", "same"),
    [
        ("Answer: 42", "42.0", NUMBER, True),
        ("Answer: 42", "43", NUMBER, False),
        ("Answer: 43", "43.0", NUMBER, True),
        ("43", "44", NUMBER, False),
        ("no idea", "No idea.", NUMBER, True),
        ("[1, 2]", "1, 2", LIST, True),
        ("[2, 1]", "2, 1", LIST, True),
        ("[2, 1]", "[3]", LIST, False),
        ("3*8", "8 * 3 = 24", COUNTDOWN, True),
        ("3+8", "8+3", COUNTDOWN, False),
        ("42", "42", {"kind": "number", "gold": "many", "args": {}}, None),
    ],
)
def test_a_verifier_tells_right_answers_from_wrong_ones_and_wrong_ones_from_each_other(
    a: str, b: str, verifier: dict[str, Any], same: bool | None
) -> None:
    assert same_answer(a, b, verifier) is same is same_answer(b, a, verifier)


# ------------------------------------------------------------------------------------------------------------- groups


def test_the_largest_group_comes_first_and_ties_go_to_the_earliest() -> None:
    assert groups(["7", "8", "8.0", "9", "7.0", "8"], "number") == [[1, 2, 5], [0, 4], [3]]
    assert groups(["7", "8", "8", "7"], "number") == [[0, 3], [1, 2]]
    assert groups([], "number") == []


def test_what_is_no_answer_is_alone() -> None:
    assert groups(["none", "none", "5", "", ""], "number") == [[0], [1], [2], [3], [4]]
    assert [is_answer(text, "number") for text in ("none", "5", "", "Answer: 5 km")] == [False, True, False, True]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["1", "1.0", "2", "Answer: 2", "x", "", "3/3"]), max_size=12))
def test_groups_are_a_partition_in_which_all_are_equal_to_the_first(answers: list[str]) -> None:
    found = groups(answers, "number")
    assert sorted(place for group in found for place in group) == list(range(len(answers)))
    assert all(same_answer(answers[group[0]], answers[i], "number") for group in found for i in group[1:])
    assert all(not same_answer(answers[a[0]], answers[b[0]], "number") for a in found for b in found if a is not b)
    assert [len(group) for group in found] == sorted(map(len, found), reverse=True)
