from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.seeds.key_number import MAX_DIGITS, KeyNumber, key_number, numeric_answer, substitute

WORDS = st.text(st.characters(exclude_characters="0123456789"), max_size=40)
MATHS_TEXT = st.lists(
    st.sampled_from(
        ["12", "7", "1", "0", " ", ".", ",", "/", ":", "-", "–", "^", "_", "{", "}", "[", "]", "(", ")", "$", "%", "a"]
        + ["\\frac", "\\boxed{", "####", "\\begin{array}", "\\end{array}", "May", "Figure", "\n", "½", "²", "km", "é"]
    ),
    max_size=30,
).map("".join)


def key_value(question: str) -> int | None:
    found = key_number(question)
    return None if found is None else found.value


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("She has 5 apples.", 5),
        ("She has 5, he has none", 5),
        ("How many in (12 boxes of tea)?", 12),
        ("It costs $5", 5),
        ("It costs £40 to enter", 40),
        ("It grew by 30%.", 30),
        (r"It grew by $30\%$.", 30),
        ("A 12-inch ruler is cut in half", 12),
        ("A rate of 60 km/h", 60),
        ("They earn 15/hour", 15),
        ("Solve x = 9 for x", 9),
        (r"Compute $17 \times y$", 17),
        ("Is it 8?", 8),
        ("At 20°C it melts", 20),
        ("“9 lives” has a cat", 9),
    ],
)
def test_stand_alone_positive_integer_is_found(question: str, value: int) -> None:
    assert key_value(question) == value


@pytest.mark.parametrize(
    "question",
    [
        "It weighs 3.5 kg",
        "It weighs .5 kg",
        "Pay 1,234 dollars",
        "Pay 12 000 dollars",
        "Pay 12 345 dollars",
        "Pay 12\u00a0000 dollars",
        "Pay 1'234 francs",
        "Take 3/4 of it",
        "Take 3 / 4 of it",
        "Take 2 1/2 cups",
        "Take 2½ cups",
        "Take 2 ½ cups",
        r"Take 2\frac{x}{y} cups",
        "Take x/5 of it",
        "Take 5/x of it",
        "The 3rd of them",
        "It leaves at 7:30",
        "It leaves at 7 pm",
        "It leaves at 7 a.m. sharp",
        "It leaves at 7 o'clock",
        "A ratio of 3:4",
        "A ratio of 3 : 4",
        "Born on 5 March",
        "Born on the 5 of March",
        "Born on March 5",
        "Born on May 5, 2021",
        "Born on 2021-03-05",
        "Born in 1987",
        "Evaluate x^5",
        "Evaluate x^ 5",
        "Evaluate x^{5}",
        "Evaluate x ** 5",
        "Evaluate 5^n",
        "Evaluate 5 ^ n",
        "Evaluate m²5",
        "Evaluate a_5",
        "Evaluate a_{15}",
        r"Evaluate \frac{3}{4}",
        r"Evaluate \dfrac34",
        r"Evaluate \frac{ x + \sqrt{8} }{4}",
        r"Evaluate \sqrt{16}",
        r"Evaluate \sqrt[3]{x}",
        r"Evaluate \sqrt 5",
        r"Evaluate \log_2 8",
        r"Evaluate \binom{5}{2}",
        r"Evaluate \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
        "Evaluate log 100",
        "Evaluate sin(30)",
        "Evaluate f(5)",
        "Evaluate gcd(12, 18)",
        "Evaluate 5!",
        "Evaluate 2(x + y)",
        "Solve Problem 3",
        "Look at Figure 2",
        "Look at figure 2",
        "Item No. 5",
        "Take bus #5",
        "The point (3, 4)",
        "The point (3, y)",
        r"The point \left(3, -4\right)",
        "The set {1, 2, 3}",
        "The case (2)",
        "1. Solve the equation",
        "Pages 3-5",
        "Pages 3–5",
        "Pages 3 – 5",
        "It is -5 outside",
        "It is −5 outside",
        "It weighs 5kg",
        "The number 2x",
        "The B-52 bomber",
        "The agent 007",
        "Round to the nearest 10",
        "Round to 2 decimal places",
        "There are 60 minutes in an hour",
        "See https://example.org/?q= or https://example.org/a=5",
        "Nothing here",
        "Zero is 0",
        "Eastern Arabic ٤٢ digits",
        "9" * (MAX_DIGITS + 1),
        "",
    ],
)
def test_number_in_a_special_setting_is_left_alone(question: str) -> None:
    assert key_value(question) is None


def test_last_number_is_preferred() -> None:
    assert key_value("Ann has 4 pens and Bo has 9 pens") == 9


def test_number_that_states_a_conversion_is_not_preferred() -> None:
    assert key_value("How many eggs are 5 dozen (1 dozen = 12)?") == 5


def test_one_gives_way_to_a_number_that_governs_a_plural() -> None:
    assert key_value("Ann has 4 pens and 1 book") == 4


def test_one_is_taken_when_there_is_no_other() -> None:
    assert key_value("Ann has 1 book") == 1


def test_number_said_twice_gives_way_to_one_said_once() -> None:
    assert key_value("Of the 30 pupils 12 walk. How many of the 30 ride?") == 12


def test_number_said_twice_is_taken_when_there_is_no_other() -> None:
    assert key_number("12 rows of 12 seats") == KeyNumber(12, 11, 13)


def test_numbers_between_latex_spans_are_still_found() -> None:
    assert key_value(r"With $a_1 = 4$ and $\frac{1}{2}$ of 8 boxes, find \sqrt{9}.") == 8


@given(st.one_of(st.text(), MATHS_TEXT))
def test_key_number_stands_where_it_says(question: str) -> None:
    key = key_number(question)
    if key is not None:
        assert key.value >= 1
        assert question[key.start : key.end] == str(key.value)


@given(WORDS, st.integers(2, 10**MAX_DIGITS - 1), WORDS, st.text(min_size=1, max_size=8))
def test_substitute_changes_nothing_outside_the_key_number(before: str, value: int, after: str, name: str) -> None:
    question = f"{before} {value} {after}"
    start = len(before) + 1
    key = KeyNumber(value, start, start + len(str(value)))
    assert substitute(question, key, name) == f"{before} {name} {after}"


@given(MATHS_TEXT, st.text(max_size=8))
def test_substitution_can_be_undone(question: str, name: str) -> None:
    key = key_number(question)
    if key is not None:
        changed = substitute(question, key, name)
        assert changed[: key.start] + str(key.value) + changed[key.start + len(name) :] == question


def test_braces_of_the_question_survive_substitution() -> None:
    question = "Print {x} and {0} for 6 cats: {{}} %s"
    key = key_number(question)
    assert key is not None
    assert substitute(question, key, "{B}") == "Print {x} and {0} for {B} cats: {{}} %s"


def test_key_of_another_question_is_refused() -> None:
    with pytest.raises(ValueError, match=r"7 does not stand at \[0:1\]"):
        substitute("8 cats", KeyNumber(7, 0, 1), "B")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        (" 42 \n", 42),
        ("-7", -7),
        ("−7", -7),
        ("+7", 7),
        ("0", 0),
        ("042", 42),
        ("42.0", 42),
        ("42.", 42),
        ("1,234", 1234),
        ("$1,234", 1234),
        ("-$5", -5),
        ("$-5", -5),
        (r"\$5", 5),
        ("€9", 9),
        ("$42$", 42),
        ("$$42$$", 42),
        (r"\(42\)", 42),
        (r"10{,}000", 10000),
        (r"\boxed{7}", 7),
        (r"So the answer is $\boxed{-1,234}$.", -1234),
        (r"\boxed{7} as said: \boxed{7.0}", 7),
        ("He has 3 + 4 = 7 pens.\n#### 7", 7),
        ("first #### 5\nno, #### 6\n", 6),
        ("#### $1,000", 1000),
        (r"#### \boxed{8}", 8),
        ("3 * <<3*4=12>>4\n####12", 12),
    ],
)
def test_integer_answer_is_read(text: str, value: int) -> None:
    assert numeric_answer(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "####",
        "forty-two",
        "42 apples",
        "x = 42",
        "4.2",
        "42.01",
        "1/2",
        "1e3",
        "25%",
        "3 and 4",
        "3, 4",
        "1 234",
        "1,23",
        "--5",
        "-$-5",
        "inf",
        "nan",
        "٤٢",
        "$",
        "#### 3 4",
        "#### 7\nbecause",
        "The answer is 42",
        "He has 3 + 4 = 7 pens, so the answer is 7.",
        r"\boxed{x}",
        r"\boxed{\frac{1}{2}}",
        r"\boxed{42",
        r"\boxed{3} or \boxed{4}",
        "9" * (MAX_DIGITS + 1),
    ],
)
def test_answer_that_is_not_one_integer_is_none(text: str) -> None:
    assert numeric_answer(text) is None


@given(st.integers(-(10**MAX_DIGITS) + 1, 10**MAX_DIGITS - 1), st.text())
def test_any_integer_is_read_however_it_is_written(value: int, reasoning: str) -> None:
    forms = [str(value), f"{value:,}", f"{value}.00", rf"\boxed{{{value}}}", f"{reasoning}\n#### {value}"]
    assert {numeric_answer(form) for form in forms} == {value}


@given(st.one_of(st.text(), MATHS_TEXT))
def test_any_text_has_an_answer_or_none(text: str) -> None:
    found = numeric_answer(text)
    assert found is None or any(digit in text for digit in str(abs(found)))
