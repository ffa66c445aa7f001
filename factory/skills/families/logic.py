"""Logic: conditions, truth values and cases."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from factory.skills.domains import Booleans, Choice, Ints, Range, Texts, Wide
from factory.skills.skill import Skill, orjson_text, render

FAMILY = "logic"

TRUTH = Choice(("true", "false"))
Formula = Callable[[bool, bool, bool], bool]
FORMULAS: dict[str, Formula] = {
    "(P and Q) or R": lambda p, q, r: (p and q) or r,
    "P and (Q or R)": lambda p, q, r: p and (q or r),
    "not P and (Q or R)": lambda p, q, r: not p and (q or r),
    "(P or Q) and not R": lambda p, q, r: (p or q) and not r,
    "(not P or Q) and R": lambda p, q, r: (not p or q) and r,
    "not (P and Q) and not R": lambda p, q, r: not (p and q) and not r,
    "(P and not Q) or (Q and not P)": lambda p, q, _: p != q,
    "(P and Q) or (not P and R)": lambda p, q, r: q if p else r,
    "(not P and Q) or (P and R)": lambda p, q, r: r if p else q,
    "not (P or Q) or (P and R)": lambda p, q, r: not (p or q) or (p and r),
}


def formula_value(x: bool, formula: str, q: str, r: str) -> bool:
    """Return the value of a formula for P = x and the given truth values of Q and R."""
    return FORMULAS[formula](x, q == "true", r == "true")


def toggles(lamp: int, rounds: int) -> list[int]:
    """Return the rounds up to a last one in which a lamp's switch is pressed: those that divide its number."""
    return [k for k in range(1, rounds + 1) if lamp % k == 0]


def accepted(x: int, a: int, b: int) -> bool:
    """Return whether x passes the rule for its parity: even numbers are divisible by a, odd ones leave rest 1 or 2."""
    return x % a == 0 if x % 2 == 0 else x % b in (1, 2)


def counter(x: bool, start: int, up: int, down: int, rounds: int) -> int:
    """Return a counter after rounds that go up when a flag is set and down when not, the flag flipping each time."""
    ups = (rounds + x) // 2
    return start + ups * up - (rounds - ups) * down


def pairs_with_sum(x: list[int], total: int) -> list[tuple[int, int]]:
    """Return the pairs of two different members of a set that add up to a total."""
    return [(a, b) for a, b in combinations(x, 2) if a + b == total]


def _said(y: bool) -> str:
    return render(y, "boolean")


def _formula_steps(x: bool, y: bool, formula: str, q: str, r: str) -> str:
    put = formula.replace("P", _said(x)).replace("Q", q).replace("R", r)
    return f"Put in the values: {put}. This evaluates to {_said(y)}."


def _counter_steps(x: bool, y: int, start: int, up: int, down: int, rounds: int) -> str:
    value, values = start, [str(start)]
    for k in range(rounds):
        value += up if x == (k % 2 == 0) else -down
        values.append(str(value))
    return (
        f"The flag starts as {_said(x)} and flips every round, so the counter goes {', '.join(values)}. It ends at {y}."
    )


def _lamp_steps(x: int, y: bool, rounds: int) -> str:
    pressed = toggles(x, rounds)
    return (
        f"Of the numbers from 1 to {rounds}, these divide {x}: {', '.join(map(str, pressed))}. Their count, "
        f"{len(pressed)}, is {'odd' if y else 'even'}, so the answer is {_said(y)}."
    )


def _accepted_steps(x: int, y: bool, a: int, b: int) -> str:
    if x % 2 == 0:
        return f"{x} is even, and {x} mod {a} = {x % a}. Only the remainder 0 passes, so the answer is {_said(y)}."
    return f"{x} is odd, and {x} mod {b} = {x % b}. Only the remainders 1 and 2 pass, so the answer is {_said(y)}."


def _pair_steps(x: list[int], y: bool, total: int) -> str:
    pairs = pairs_with_sum(x, total)
    if pairs:
        return f"{pairs[0][0]} + {pairs[0][1]} = {total}, so the answer is {_said(y)}."
    partners = ", ".join(f"{a} needs {total - a}" for a in x)
    return f"To reach {total}, {partners}; no such partner is another member of the set. The answer is {_said(y)}."


SKILLS = (
    Skill(
        name="divisible_but_not",
        family=FAMILY,
        takes="number",
        gives="boolean",
        about="whether a number is divisible by one number and not by another",
        x=Wide(Range(2, 9999), Range(-9999, 999_999)),
        knobs={"a": Choice((2, 3, 5)), "b": Choice((4, 6, 7, 9, 10, 11))},
        apply=lambda x, a, b: x % a == 0 and x % b != 0,
        phrasings=(
            "Is {x} divisible by {a} but not by {b}? Answer true or false.",
            "A door opens for ticket numbers that are multiples of {a} and not multiples of {b}. True or false: it "
            "opens for number {x}.",
            "True or false: the number {x} is a multiple of {a} and is not a multiple of {b}.",
        ),
        steps=lambda x, y, a, b: (
            f"{x} mod {a} = {x % a} and {x} mod {b} = {x % b}. The first must be 0 and the second must not: {_said(y)}."
        ),
    ),
    Skill(
        name="exactly_one_holds",
        family=FAMILY,
        takes="number",
        gives="boolean",
        about="whether exactly one of two conditions on a number holds",
        x=Wide(Range(1, 5000), Range(-9999, 999_999)),
        knobs={"limit": Range(40, 4000), "divisor": Range(2, 4)},
        needs=lambda x, limit, divisor: x != limit,
        apply=lambda x, limit, divisor: (x > limit) != (x % divisor == 0),
        phrasings=(
            "Consider two statements: {x} is greater than {limit}; {x} is divisible by {divisor}. Is exactly one of "
            "them true? Answer true or false.",
            "A prize goes to a score of more than {limit} or to one divisible by {divisor}, but not to one that is "
            "both. True or false: the score {x} wins the prize.",
            "True or false: either {x} > {limit} or {x} is a multiple of {divisor}, and not both.",
        ),
        steps=lambda x, y, limit, divisor: (
            f"{x} > {limit} is {_said(x > limit)}, and since {x} mod {divisor} = {x % divisor}, divisibility is "
            f"{_said(x % divisor == 0)}. Exactly one being true is {_said(y)}."
        ),
    ),
    Skill(
        name="lamp_is_on",
        family=FAMILY,
        takes="number",
        gives="boolean",
        about="whether a lamp is on after rounds of switching",
        x=Range(2, 99_999),
        knobs={"rounds": Range(3, 9)},
        apply=lambda x, rounds: len(toggles(x, rounds)) % 2 == 1,
        phrasings=(
            "Many lamps, numbered 1, 2, 3 and so on, are off. In round k, for k = 1 to {rounds}, the switch of every "
            "lamp whose number is a multiple of k is pressed. Is lamp number {x} on at the end? Answer true or false.",
            "Count the whole numbers from 1 to {rounds} that divide {x}. True or false: the count is odd.",
            "A switch is pressed once for each whole number from 1 to {rounds} that divides {x}; each press turns the "
            "light on if it is off, and off if it is on. It starts off. Is it on in the end? Answer true or false.",
        ),
        steps=_lamp_steps,
    ),
    Skill(
        name="accepted_by_parity",
        family=FAMILY,
        takes="number",
        gives="boolean",
        about="whether a number passes a rule that depends on its parity",
        x=Range(1, 999_999),
        knobs={"a": Choice((3, 4, 6)), "b": Range(3, 6)},
        apply=accepted,
        phrasings=(
            "A filter accepts an even number if it is divisible by {a}, and an odd number if it leaves remainder 1 or "
            "2 when divided by {b}. Does it accept {x}? Answer true or false.",
            "Apply this rule to {x}: if the number is even, the answer is whether {a} divides it; if it is odd, the "
            "answer is whether its remainder modulo {b} is 1 or 2. Answer true or false.",
            "House numbers on the even side get a flag if they are multiples of {a}, and those on the odd side if they "
            "leave 1 or 2 when divided by {b}. True or false: house number {x} gets a flag.",
        ),
        steps=_accepted_steps,
    ),
    Skill(
        name="formula_value",
        family=FAMILY,
        takes="boolean",
        gives="boolean",
        about="the value of a formula in three statements",
        x=Booleans(),
        knobs={"formula": Choice(tuple(FORMULAS)), "q": TRUTH, "r": TRUTH},
        needs=lambda x, formula, q, r: formula_value(True, formula, q, r) != formula_value(False, formula, q, r),
        apply=formula_value,
        phrasings=(
            "Let P be {x}, Q be {q} and R be {r}. What is the truth value of {formula}? Answer true or false.",
            "A program sets P to {x}, Q to {q} and R to {r} and prints the value of {formula}. Does it print true or "
            "false?",
            "Evaluate {formula} for P = {x}, Q = {q}, R = {r}. The answer is true or false.",
        ),
        steps=_formula_steps,
    ),
    Skill(
        name="islander_says_yes",
        family=FAMILY,
        takes="boolean",
        gives="boolean",
        about="whether an islander who tells the truth or lies says yes to a question",
        x=Booleans(),
        knobs={"number": Range(20, 999), "divisor": Choice((2, 3, 4))},
        apply=lambda x, number, divisor: x == (number % divisor == 0),
        phrasings=(
            "An islander always tells the truth if the value {x} is true and always lies if it is false. Asked whether "
            "{number} is divisible by {divisor}, does the islander say yes? Answer true or false.",
            "Does the statement that {number} is a multiple of {divisor} have the truth value {x}? Answer true or "
            "false.",
            "A device is honest when its flag is true; when the flag is false it reports the opposite of the truth. "
            "The flag is {x}. It is asked whether {divisor} divides {number}. Does it report true or false?",
        ),
        steps=lambda x, y, number, divisor: (
            f"{number} mod {divisor} = {number % divisor}, so divisibility is {_said(number % divisor == 0)}. "
            f"The given value is {_said(x)}, so this is {'kept' if x else 'turned around'}: {_said(y)}."
        ),
    ),
    Skill(
        name="product_or_sum",
        family=FAMILY,
        takes="boolean",
        gives="number",
        about="a product if a statement is true, a sum otherwise",
        x=Booleans(),
        knobs={"a": Range(3, 60), "b": Range(3, 60)},
        apply=lambda x, a, b: a * b if x else a + b,
        phrasings=(
            "Let P be {x}. If P is true, compute {a} × {b}; otherwise compute {a} + {b}. What is the result?",
            "A switch is {x}. When it is true a machine multiplies {a} and {b}; when it is false it adds them. Which "
            "number does the machine print?",
            "What is the value of the expression: {a} times {b} if the flag is true, else {a} plus {b}, where the flag "
            "is {x}?",
        ),
        steps=lambda x, y, a, b: f"The condition is {_said(x)}, so the answer is {a} {'×' if x else '+'} {b} = {y}.",
    ),
    Skill(
        name="flipping_counter",
        family=FAMILY,
        takes="boolean",
        gives="number",
        about="a counter that goes up or down with a flag that flips",
        x=Booleans(),
        knobs={
            "start": Range(50, 400),
            "up": Range(3, 40),
            "down": Range(2, 9),
            "rounds": Choice((3, 5, 7)),
        },
        apply=counter,
        phrasings=(
            "A counter starts at {start} and a flag is {x}. Do this {rounds} times: if the flag is true add {up}, "
            "otherwise subtract {down}; then flip the flag. What is the counter at the end?",
            "A sign says in or out; it says in at first if the value {x} is true and out otherwise, and it changes "
            "after every hour. In an hour with in, {up} people enter a hall; in an hour with out, {down} leave. The "
            "hall starts with {start} people. How many are there after {rounds} hours?",
            "Begin with the number {start} and set a flag to {x}. In each of {rounds} steps add {up} if the flag is "
            "true or take away {down} if it is false, and then negate the flag. Which number results?",
        ),
        steps=_counter_steps,
    ),
    Skill(
        name="joined_by_flag",
        family=FAMILY,
        takes="boolean",
        gives="text",
        about="two words joined in an order that a flag decides",
        x=Booleans(),
        knobs={"first": Texts(1, 1), "second": Texts(1, 1)},
        needs=lambda x, first, second: first != second,
        apply=lambda x, first, second: first + second[::-1] if x else second + first[::-1],
        phrasings=(
            'Let P be {x}. If P is true, write "{first}" followed by "{second}" spelled backwards; if P is false, '
            'write "{second}" followed by "{first}" spelled backwards. Use no space in between.',
            'The flag is {x}. When it is true, the code is the word "{first}" joined to the reversal of "{second}"; '
            'when it is false, it is the word "{second}" joined to the reversal of "{first}". What is the code, '
            "without a space?",
            'A switch is {x}. It puts "{first}" in front of "{second}" if it is true, and "{second}" in front of '
            '"{first}" if it is false; the word that comes last is written backwards, directly after the other one. '
            "What is written?",
        ),
        steps=lambda x, y, first, second: (
            f"The flag is {_said(x)}, so {first if x else second} comes first and {second if x else first} is reversed "
            f'to {second[::-1] if x else first[::-1]}. The result is "{y}".'
        ),
    ),
    Skill(
        name="sorted_by_flag",
        family=FAMILY,
        takes="boolean",
        gives="list",
        about="a list sorted up or down as a flag says",
        x=Booleans(),
        knobs={"numbers": Ints(4, 8, 1, 99)},
        needs=lambda x, numbers: len(set(numbers)) > 1,
        apply=lambda x, numbers: sorted(numbers, reverse=not x),
        phrasings=(
            "Let P be {x}. Sort the list {numbers} in ascending order if P is true and in descending order if P is "
            "false.",
            "The flag UP is {x}. A program sorts {numbers} from smallest to largest when UP is true, else from largest "
            "to smallest. Which list does it print?",
            "Arrange the numbers {numbers} in a list that rises if the value {x} is true and falls if it is false, "
            "keeping repeats.",
        ),
        steps=lambda x, y, numbers: (
            f"The flag is {_said(x)}, so the order is {'ascending' if x else 'descending'}: {orjson_text(y)}."
        ),
    ),
    Skill(
        name="enough_above",
        family=FAMILY,
        takes="list",
        gives="boolean",
        about="whether enough numbers of a list are above a limit",
        x=Wide(Ints(3, 12, 1, 999), Ints(3, 16, -9999, 999_999)),
        knobs={"needed": Range(2, 5), "limit": Choice((2, 4, 7, 12, 20, 35, 120, 300, 450, 600, 750, 900))},
        needs=lambda x, needed, limit: len(x) >= needed and min(x) <= limit < max(x),
        apply=lambda x, needed, limit: sum(v > limit for v in x) >= needed,
        phrasings=(
            "Are at least {needed} numbers of the list {x} strictly greater than {limit}? Repeated numbers count each "
            "time. Answer true or false.",
            "The list {x} holds the points from the rounds of a game. A player advances with more than {limit} points "
            "in at least {needed} rounds. True or false: the player advances.",
            "True or false: {needed} or more entries of the list {x} exceed {limit}.",
        ),
        steps=lambda x, y, needed, limit: (
            f"The entries above {limit} are {orjson_text([v for v in x if v > limit])}, which makes "
            f"{sum(v > limit for v in x)}. At least {needed} are needed, so the answer is {_said(y)}."
        ),
    ),
    Skill(
        name="pair_has_sum",
        family=FAMILY,
        takes="set",
        gives="boolean",
        about="whether two different members of a set add up to a total",
        x=Wide(Ints(4, 9, 1, 24, is_set=True), Ints(3, 12, 0, 99, is_set=True)),
        knobs={"total": Choice(tuple(range(6, 60)))},
        needs=lambda x, total: x[0] + x[1] <= total <= x[-1] + x[-2],
        apply=lambda x, total: bool(pairs_with_sum(x, total)),
        phrasings=(
            "Are there two different members of the set {x} whose sum is {total}? Answer true or false.",
            "The set {x} holds the weights of some parcels, one of each. True or false: two of the parcels weigh "
            "exactly {total} together.",
            "True or false: some pair of distinct numbers from the set {x} adds up to {total}.",
        ),
        steps=_pair_steps,
    ),
    Skill(
        name="one_letter_only",
        family=FAMILY,
        takes="text",
        gives="boolean",
        about="whether a text contains exactly one of two letters",
        x=Texts(1, 3, max_chars=60),
        knobs={"first": Choice(tuple("aeor")), "second": Choice(tuple("intsl"))},
        apply=lambda x, first, second: (first in x.lower()) != (second in x.lower()),
        phrasings=(
            "Does the text {x} contain exactly one of the two letters {first} and {second}, that is, one of them but "
            "not the other? Ignore case. Answer true or false.",
            "True or false: of the letters {first} and {second}, in either case, one occurs in the text {x} and the "
            "other does not.",
            "A word game is won if the text {x} has the letter {first} or the letter {second} in it, but not both "
            "(case is ignored). Is it won? Answer true or false.",
        ),
        steps=lambda x, y, first, second: (
            f"Containing {first} is {_said(first in x.lower())} and containing {second} is "
            f"{_said(second in x.lower())}. Exactly one of the two is {_said(y)}."
        ),
    ),
)
