"""Sequences: arithmetic, geometric and recursive ones, their terms, sums and limits. The starting number is term 1."""

from __future__ import annotations

from factory.skills.domains import Ints, Range, Wide
from factory.skills.skill import Skill, orjson_text

FAMILY = "sequences"
START = Wide(Range(1, 60), Range(0, 20_000))
WHOLE = Wide(Range(2, 90), Range(1, 20_000))
LIST = Wide(Ints(3, 5, 1, 30), Ints(2, 7, 0, 20_000))


def _arithmetic(x: int, d: int, n: int) -> list[int]:
    return list(range(x, x + n * d, d))


def _chain(values: list[int]) -> str:
    return ", ".join(map(str, values))


def _sum_steps(x: int, y: int, d: int, n: int) -> str:
    last = x + (n - 1) * d
    return f"Term {n} is {x} + {n - 1} × {d} = {last}. The sum is {n} × ({x} + {last}) / 2 = {y}."


def _geometric_steps(x: int, y: int, r: int, n: int) -> str:
    return f"Multiplying by {r} each time: {_chain([x * r**i for i in range(n)])}. Term {n} is {y}."


def _linear(x: int, a: int, b: int, n: int) -> list[int]:
    terms = [x]
    for _ in range(n - 1):
        terms.append(a * terms[-1] + b)  # noqa: PERF401 - each term needs the one before
    return terms


def _linear_term(x: int, a: int, b: int, n: int) -> int:
    for _ in range(n - 1):
        x = a * x + b
    return x


def _linear_steps(x: int, y: int, a: int, b: int, n: int) -> str:
    terms = _linear(x, a, b, n)
    steps = "; ".join(f"{a} × {u} + {b} = {v}" for u, v in zip(terms, terms[1:], strict=False))
    return f"{steps}. Term {n} is {y}."


def _additive(x: int, b: int, n: int) -> list[int]:
    terms = [x, b]
    while len(terms) < n:
        terms.append(terms[-2] + terms[-1])
    return terms


def _additive_steps(x: int, y: list[int], b: int, n: int) -> str:
    sums = ", ".join(f"{u} + {v} = {u + v}" for u, v in zip(y, y[1:-1], strict=False))
    return f"{sums}. The first {n} terms are {orjson_text(y)}."


def _below_steps(x: int, y: int, d: int, bound: int) -> str:
    n = (y - x) // d
    room = f"From {x} to {bound - 1} it is {bound - 1 - x}, which has room for {n} whole steps of {d}"
    return f"{room}. The last term below {bound} is {x} + {n} × {d} = {y}."


def _first_over(x: int, r: int, bound: int) -> int:
    if x < 1:
        raise ValueError("the terms never grow")
    while x <= bound:
        x *= r
    return x


def _first_over_steps(x: int, y: int, r: int, bound: int) -> str:
    terms = [x]
    while terms[-1] < y:
        terms.append(terms[-1] * r)  # noqa: PERF401 - each term needs the one before
    return f"The terms are {_chain(terms)}. The first one greater than {bound} is {y}."


def _collatz_count(x: int) -> int:
    if x < 1:
        raise ValueError("only positive numbers reach 1")
    steps = 0
    while x != 1:
        x = 3 * x + 1 if x % 2 else x // 2
        steps += 1
    return steps


def _collatz_count_steps(x: int, y: int) -> str:
    terms = [x]
    for _ in range(y):
        x = 3 * x + 1 if x % 2 else x // 2
        terms.append(x)
    return f"The numbers are {_chain(terms)}. The number of steps is {y}."


def _digit_squares(x: int, n: int) -> int:
    for _ in range(n):
        x = sum(int(d) ** 2 for d in str(x))
    return x


def _digit_squares_steps(x: int, y: int, n: int) -> str:
    steps = []
    for _ in range(n):
        after = _digit_squares(x, 1)
        steps.append(f"{' + '.join(d + '²' for d in str(x))} = {after}")
        x = after
    return f"{'; '.join(steps)}. After {n} steps the number is {y}."


def _extended(x: list[int], n: int) -> list[int]:
    terms = list(x)
    for _ in range(n):
        terms.append(terms[-2] + terms[-1])  # noqa: PERF401 - each term needs the ones before
    return terms


def _extended_steps(x: list[int], y: list[int], n: int) -> str:
    sums = ", ".join(f"{y[i - 2]} + {y[i - 1]} = {y[i]}" for i in range(len(x), len(y)))
    return f"{sums}. The list is then {orjson_text(y)}."


def _cycled(x: list[int], n: int) -> int:
    whole, rest = divmod(n, len(x))
    return whole * sum(x) + sum(x[:rest])


def _cycled_steps(x: list[int], y: int, n: int) -> str:
    whole, rest = divmod(n, len(x))
    total, tail = sum(x), sum(x[:rest])
    return (
        f"{n} terms are {whole} whole rounds of {len(x)} terms and {rest} more. A round adds up to {total}, "
        f"the first {rest} terms to {tail}. {whole} × {total} + {tail} = {y}."
    )


def _hits(x: int, d: int, target: int) -> bool:
    return target >= x and (target - x) % d == 0


def _hits_steps(x: int, y: bool, d: int, target: int) -> str:
    if target < x:
        return f"{target} is less than the first term {x}, and the terms only grow. So: {str(y).lower()}."
    rest = (target - x) % d
    return (
        f"{target} - {x} = {target - x}, which leaves the remainder {rest} when divided by {d}. So: {str(y).lower()}."
    )


SKILLS = (
    Skill(
        name="sequence_arithmetic_term",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the n-th term of an arithmetic sequence",
        x=START,
        knobs={"d": Range(2, 25), "n": Range(5, 40)},
        apply=lambda x, d, n: x + (n - 1) * d,
        phrasings=(
            "An arithmetic sequence starts with {x}, and each term is {d} more than the one before. What is term "
            "{n}, if {x} is term 1?",
            "The first row of a theatre has {x} seats and each further row has {d} seats more than the row in front of "
            "it. How many seats does row {n} have?",
            "On day 1 a runner covers {x} metres; every day she adds {d} metres. How many metres does she cover on day "
            "{n}?",
            "Start at {x} and count up in steps of {d}. Which number comes at place {n}, if the start is at place 1?",
        ),
        steps=lambda x, y, d, n: (
            f"Term {n} is {n - 1} steps after term 1: {x} + {n - 1} × {d} = {x} + {(n - 1) * d} = {y}."
        ),
    ),
    Skill(
        name="sequence_arithmetic_sum",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the sum of the first n terms of an arithmetic sequence",
        x=START,
        knobs={"d": Range(2, 12), "n": Range(4, 15)},
        apply=lambda x, d, n: n * (2 * x + (n - 1) * d) // 2,
        phrasings=(
            "An arithmetic sequence starts with {x} and grows by {d} from term to term. What is the sum of its first "
            "{n} terms?",
            "A saver puts {x} coins into a jar in week 1 and in each later week {d} coins more than the week before. "
            "How many coins are in the jar after {n} weeks?",
            "Add up the first {n} numbers that you get by starting at {x} and counting up in steps of {d}. The start "
            "counts as the first number.",
        ),
        steps=_sum_steps,
    ),
    Skill(
        name="sequence_arithmetic_terms",
        family=FAMILY,
        takes="number",
        gives="list",
        about="the first n terms of an arithmetic sequence",
        x=START,
        knobs={"d": Range(2, 30), "n": Range(4, 8)},
        apply=_arithmetic,
        phrasings=(
            "List the first {n} terms of the arithmetic sequence that starts with {x} and grows by {d} each time.",
            "A bus leaves {x} minutes after opening time and then every {d} minutes. After how many minutes do the "
            "first {n} buses leave? Answer with a list.",
            "Start with {x} and keep adding {d} until you have {n} numbers, the start included. Give them as a list.",
        ),
        steps="Adding {d} each time gives {n} terms: {y}.",
    ),
    Skill(
        name="sequence_geometric_term",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the n-th term of a geometric sequence",
        x=WHOLE,
        knobs={"r": Range(2, 4), "n": Range(3, 7)},
        apply=lambda x, r, n: x * r ** (n - 1),
        phrasings=(
            "A geometric sequence starts with {x} as term 1, and each term is {r} times the one before. What is term "
            "{n}?",
            "A rumour is known to {x} people on day 1, and each day the number of people who know it is multiplied by "
            "{r}. How many know it on day {n}?",
            "Write {x} as the first number and make each next number {r} times as large. What is the number at place "
            "{n}?",
        ),
        steps=_geometric_steps,
    ),
    Skill(
        name="sequence_linear_term",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the n-th term of u' = a·u + b",
        x=WHOLE,
        knobs={"a": Range(2, 3), "b": Range(2, 15), "n": Range(3, 6)},
        apply=_linear_term,
        phrasings=(
            "In a sequence, each term is {a} times the previous term plus {b}. Term 1 is {x}. What is term {n}?",
            "A tank holds {x} fish in year 1. Each year their number is multiplied by {a}, and then {b} more are put "
            "in. How many fish are there in year {n}?",
            "Let the first term be {x} and let u(k + 1) = {a} × u(k) + {b}. What is u({n}), if u(1) is the first term?",
        ),
        steps=_linear_steps,
    ),
    Skill(
        name="sequence_additive_terms",
        family=FAMILY,
        takes="number",
        gives="list",
        about="the first n terms when each is the sum of the two before",
        x=WHOLE,
        knobs={"b": Range(1, 40), "n": Range(5, 9)},
        apply=_additive,
        phrasings=(
            "A sequence starts with {x} and {b}; from the third term on, each term is the sum of the two terms before "
            "it. Give the first {n} terms as a list.",
            "Begin with the numbers {x} and {b} in this order and keep appending the sum of the last two numbers until "
            "there are {n} numbers. Give the list.",
            "List the first {n} terms of the Fibonacci-like sequence whose first term is {x} and whose second term is "
            "{b}.",
        ),
        steps=_additive_steps,
    ),
    Skill(
        name="sequence_last_below",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the last term of an arithmetic sequence below a bound",
        x=Wide(Range(1, 60), Range(0, 2_900)),
        knobs={"d": Range(2, 15), "bound": Range(100, 3_000)},
        needs=lambda x, d, bound: x + d < bound,
        apply=lambda x, d, bound: x + max(0, (bound - 1 - x) // d) * d,
        phrasings=(
            "An arithmetic sequence starts with {x} and grows by {d} each time. What is its largest term that is less "
            "than {bound}?",
            "Posts stand along a road, the first at metre {x} and then one every {d} metres. At which metre stands the "
            "last post before metre {bound} (a post exactly there does not count)?",
            "Counting up from {x} in steps of {d}, what is the last number smaller than {bound} that you say?",
        ),
        steps=_below_steps,
    ),
    Skill(
        name="sequence_first_over",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the first term of a geometric sequence above a bound",
        x=WHOLE,
        knobs={"r": Range(2, 4), "bound": Range(200, 50_000)},
        needs=lambda x, r, bound: x <= bound,
        apply=_first_over,
        phrasings=(
            "A geometric sequence starts with {x}, and each term is {r} times the one before. What is its first term "
            "that is greater than {bound}?",
            "A colony begins with {x} cells, and each hour the number of cells is multiplied by {r}. How many cells "
            "are there at the first hourly count above {bound}?",
            "Start with {x} and keep multiplying by {r} until the number exceeds {bound}. Which number is that?",
        ),
        steps=_first_over_steps,
    ),
    Skill(
        name="collatz_count",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the number of Collatz steps down to 1",
        x=Wide(Range(3, 400), Range(2, 20_000)),
        needs=lambda x: _collatz_count(x) <= 40,
        apply=_collatz_count,
        phrasings=(
            "Start with {x}. If the number is even, halve it; if it is odd, triple it and add 1. After how many such "
            "steps is the number 1 for the first time?",
            "How many steps of the Collatz rule (n → n/2 for even n, n → 3n + 1 for odd n) lead from {x} to 1?",
            "A counter shows {x}. An even number is replaced by its half, an odd number n by 3n + 1, until the counter "
            "shows 1. How many replacements are made?",
        ),
        steps=_collatz_count_steps,
    ),
    Skill(
        name="digit_square_steps",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the number after n replacements by the sum of the squares of its digits",
        x=Wide(Range(12, 2_000), Range(2, 100_000_000)),
        knobs={"n": Range(2, 4)},
        apply=_digit_squares,
        phrasings=(
            "Replace {x} by the sum of the squares of its digits, and do this {n} times in all, each time with the "
            "latest number. What is the result?",
            "In a sequence, each term is the sum of the squared digits of the term before. The first term is {x}. "
            "Which number do you have after {n} such steps?",
            "A machine turns a number into the sum of the squares of its decimal digits. {x} is put through the "
            "machine, the result is put through again, and so on, {n} passes in all. What comes out at the end?",
        ),
        steps=_digit_squares_steps,
    ),
    Skill(
        name="sequence_extend",
        family=FAMILY,
        takes="list",
        gives="list",
        about="a list made longer by sums of its last two numbers",
        x=LIST,
        knobs={"n": Range(2, 4)},
        apply=_extended,
        phrasings=(
            "Append the sum of the last two numbers to the list {x}, and do so {n} times in all. Give the whole list.",
            "The list {x} is continued: each new number is the sum of the two numbers right before it. Write the list "
            "with {n} new numbers at its end.",
            "Extend the list {x} by {n} numbers, each the sum of the two directly in front of it. Give the full list.",
        ),
        steps=_extended_steps,
    ),
    Skill(
        name="sequence_cycle_sum",
        family=FAMILY,
        takes="list",
        gives="number",
        about="the sum of the first n terms of a sequence that repeats a list",
        x=Wide(Ints(3, 6, 1, 30), Ints(1, 10, 0, 20_000)),
        knobs={"n": Range(11, 60)},
        apply=_cycled,
        phrasings=(
            "A sequence repeats the list {x} over and over. What is the sum of its first {n} terms?",
            "A light blinks in the pattern of the list {x}, which tells the seconds of each blink; after the last "
            "blink the pattern starts again. How many seconds do the first {n} blinks last in all?",
            "Go round and round the list {x}, taking {n} numbers in all and starting with the first. What do they add "
            "up to?",
        ),
        steps=_cycled_steps,
    ),
    Skill(
        name="sequence_hits",
        family=FAMILY,
        takes="number",
        gives="boolean",
        about="whether a number is a term of an arithmetic sequence",
        x=Wide(Range(1, 60), Range(0, 950)),
        knobs={"d": Range(2, 5), "target": Range(80, 1_000)},
        needs=lambda x, d, target: x < target,
        apply=_hits,
        phrasings=(
            "Is {target} a term of the arithmetic sequence that starts with {x} and grows by {d}? Answer true or "
            "false.",
            "A frog starts at mark {x} and jumps forward {d} marks at a time. Does it ever land on mark {target}? "
            "Answer true or false.",
            "True or false: counting up from {x} in steps of {d}, you say the number {target}.",
        ),
        steps=_hits_steps,
    ),
)
