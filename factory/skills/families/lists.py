"""Lists of whole numbers: sums, order, positions, filters. Positions are counted from 1."""

from __future__ import annotations

from itertools import accumulate

from factory.skills.domains import Choice, Ints, Range, Wide
from factory.skills.skill import Skill, orjson_text

FAMILY = "lists"
LIST = Wide(Ints(4, 9, 1, 99), Ints(1, 12, 0, 10**6))
LONG = Wide(Ints(4, 9, 1, 99), Ints(2, 12, 0, 10**6))


def _sum_steps(x: list[int], y: int) -> str:
    totals = ", ".join(str(t) for t in accumulate(x))
    return f"Adding the numbers one by one gives the running totals {totals}. The sum is {y}."


def _above(x: list[int], limit: int) -> int:
    return sum(v for v in x if v > limit)


def _above_steps(x: list[int], y: int, limit: int) -> str:
    kept = " + ".join(str(v) for v in x if v > limit)
    return f"The numbers greater than {limit}, added up: {kept or 0} = {y}."


def _weighted(x: list[int]) -> int:
    return sum(i * v for i, v in enumerate(x, 1))


def _weighted_steps(x: list[int], y: int) -> str:
    products = ", ".join(f"{i} × {v} = {i * v}" for i, v in enumerate(x, 1))
    return f"Position times number: {products}. The sum of these products is {y}."


def _kth_steps(x: list[int], y: int, k: int) -> str:
    return f"In ascending order the list is {orjson_text(sorted(x))}. Number {k} in this order is {y}."


def _first_place(x: list[int]) -> int:
    return x.index(max(x)) + 1


def _place_sum(x: list[int]) -> int:
    """Return the largest number times its first position."""
    top = max(x)
    return top * (x.index(top) + 1)


def _totals_steps(x: list[int], y: list[int]) -> str:
    sums = "".join(f" {a} + {v} = {b}." for a, v, b in zip(y, x[1:], y[1:], strict=False))
    return f"Start with {x[0]}.{sums} The running totals are {orjson_text(y)}."


def _gaps(x: list[int]) -> list[int]:
    return [abs(b - a) for a, b in zip(x, x[1:], strict=False)]


def _gaps_steps(x: list[int], y: list[int]) -> str:
    pairs = ", ".join(f"{max(a, b)} - {min(a, b)} = {d}" for a, b, d in zip(x, x[1:], y, strict=False))
    return f"Larger minus smaller for each pair of neighbours: {pairs}. The list is {orjson_text(y)}."


def _rotate(x: list[int], n: int) -> list[int]:
    n %= len(x)
    return x[n:] + x[:n]


def _rotate_steps(x: list[int], y: list[int], n: int) -> str:
    n %= len(x)
    return f"The first {n} numbers, {orjson_text(x[:n])}, go behind the rest, {orjson_text(x[n:])}: {orjson_text(y)}."


def _sort_last_steps(x: list[int], y: list[int]) -> str:
    digits = ", ".join(f"{v} ends in {v % 10}" for v in x)
    return f"The last digits: {digits}. Ordered by them the list is {orjson_text(y)}."


def _remainders_steps(x: list[int], y: list[int], m: int) -> str:
    rests = ", ".join(f"{v} leaves {v % m}" for v in x)
    return f"Divided by {m}: {rests}. The distinct remainders are {{{', '.join(map(str, y))}}}."


def _joined(x: list[int], mark: str) -> str:
    return mark.join(map(str, reversed(x)))


def _half_above_steps(x: list[int], y: bool, limit: int) -> str:
    n = sum(v > limit for v in x)
    verdict = f"{n} + {n} = {2 * n} is {'more' if y else 'not more'} than {len(x)}"
    return f"{n} of the {len(x)} numbers are greater than {limit}; {verdict}. The answer is {str(y).lower()}."


SKILLS = (
    Skill(
        name="list_sum",
        family=FAMILY,
        takes="list",
        gives="number",
        about="the sum of a list",
        x=LIST,
        apply=sum,
        phrasings=(
            "What is the sum of the numbers in the list {x}?",
            "The list {x} says how many loaves a bakery sold on each day. How many loaves did it sell in all?",
            "Add up all the numbers of the list {x}.",
            "A walker noted the minutes of each stage in the list {x}. How many minutes did the whole walk take?",
        ),
        steps=_sum_steps,
    ),
    Skill(
        name="list_range",
        family=FAMILY,
        takes="list",
        gives="number",
        about="the largest number of a list minus the smallest",
        x=LONG,
        apply=lambda x: max(x) - min(x),
        phrasings=(
            "By how much is the largest number of the list {x} greater than its smallest number?",
            "The list {x} holds the heights of some plants in cm. What is the difference between the tallest and the "
            "shortest plant, in cm?",
            "Find the range (largest minus smallest) of the list {x}.",
            "Subtract the smallest number of the list {x} from its largest number.",
        ),
        steps=lambda x, y: f"The largest number is {max(x)}, the smallest is {min(x)}; {max(x)} - {min(x)} = {y}.",
    ),
    Skill(
        name="list_sum_above",
        family=FAMILY,
        takes="list",
        gives="number",
        about="the sum of the numbers of a list that are greater than a limit",
        x=LIST,
        knobs={"limit": Range(5, 70)},
        needs=lambda x, limit: min(x) <= limit < max(x),
        apply=_above,
        phrasings=(
            "What do the numbers of the list {x} that are greater than {limit} add up to?",
            "The list {x} holds the weights of some parcels in kg. Only parcels heavier than {limit} kg go by truck. "
            "How many kg go by truck in all?",
            "Add up only those numbers of the list {x} that are greater than {limit}; leave out the rest.",
            "Ignore every number of the list {x} that is {limit} or less. What is the sum of the others?",
        ),
        steps=_above_steps,
    ),
    Skill(
        name="list_position_sum",
        family=FAMILY,
        takes="list",
        gives="number",
        about="the sum of each number times its position",
        x=LIST,
        apply=_weighted,
        phrasings=(
            "Multiply each number of the list {x} by its position (the first number has position 1) and add up the "
            "products. What is the total?",
            "In the list {x} the first number counts once, the second twice, the third three times, and so on. What is "
            "the weighted sum?",
            "The list {x} shows the points of each round; round 1 counts once, round 2 counts double, round 3 triple, "
            "and so on. What is the final score?",
        ),
        steps=_weighted_steps,
    ),
    Skill(
        name="list_kth_smallest",
        family=FAMILY,
        takes="list",
        gives="number",
        about="the k-th smallest number of a list, repeats counted",
        x=LONG,
        knobs={"k": Range(2, 5)},
        needs=lambda x, k: k <= len(x),
        apply=lambda x, k: sorted(x)[k - 1],
        phrasings=(
            "Sort the list {x} in ascending order and keep repeats. Which number is at position {k}, counting from 1?",
            "The list {x} holds running times in seconds. Ranked from the fastest, with equal times taking a rank "
            "each, which time has rank {k}?",
            "Which number comes at place {k} when the numbers of the list {x} stand from smallest to largest, "
            "repeats included?",
        ),
        steps=_kth_steps,
    ),
    Skill(
        name="list_top_times_place",
        family=FAMILY,
        takes="list",
        gives="number",
        about="the largest number of a list times its position",
        x=LIST,
        apply=_place_sum,
        phrasings=(
            "Find the largest number of the list {x} and multiply it by its position, counted from 1 (the first "
            "position if it occurs more than once). What do you get?",
            "The list {x} gives the visitors of day 1, day 2, and so on. Multiply the visitors of the busiest day by "
            "the number of that day (the earliest such day if days tie).",
            "What is the product of the largest number of the list {x} and the 1-based position where it first stands?",
        ),
        steps=lambda x, y: (
            f"The largest number is {max(x)}, first at position {_first_place(x)}; {max(x)} × {_first_place(x)} = {y}."
        ),
    ),
    Skill(
        name="list_sort_descending",
        family=FAMILY,
        takes="list",
        gives="list",
        about="a list from largest to smallest",
        x=LONG,
        needs=lambda x: x != sorted(x, reverse=True),
        apply=lambda x: sorted(x, reverse=True),
        phrasings=(
            "Sort the list {x} from largest to smallest, keeping repeats. Give the list.",
            "The list {x} holds the scores of some players. Write the scores from best to worst, as a list with all "
            "repeats.",
            "Put the numbers of the list {x} in descending order and give the whole list; equal numbers all stay.",
        ),
        steps="Taking the largest remaining number each time turns {x} into {y}.",
    ),
    Skill(
        name="list_sort_by_last_digit",
        family=FAMILY,
        takes="list",
        gives="list",
        about="a list ordered by last digit, ties in their old order",
        x=LONG,
        needs=lambda x: x != sorted(x, key=lambda v: v % 10),
        apply=lambda x: sorted(x, key=lambda v: v % 10),
        phrasings=(
            "Sort the list {x} by the last digit of each number, smallest digit first. Numbers with the same last "
            "digit keep their order. Give the list.",
            "Tickets with the numbers of the list {x} are filed by their final digit, from 0 to 9; tickets with the "
            "same final digit stay in their given order. In which order are they filed? Answer with a list.",
            "Reorder the list {x} so that the units digits go up; where units digits are equal, keep the original "
            "order. Give the new list.",
        ),
        steps=_sort_last_steps,
    ),
    Skill(
        name="list_running_totals",
        family=FAMILY,
        takes="list",
        gives="list",
        about="the running totals of a list",
        x=LONG,
        apply=lambda x: list(accumulate(x)),
        phrasings=(
            "Give the running totals of the list {x} as a list: the first number, the sum of the first two, the sum "
            "of the first three, and so on.",
            "The list {x} holds the litres poured into an empty tank at each step. List the litres in the tank after "
            "each step.",
            "Replace each number of the list {x} by the sum of itself and all numbers before it. Give the new list.",
        ),
        steps=_totals_steps,
    ),
    Skill(
        name="list_gaps",
        family=FAMILY,
        takes="list",
        gives="list",
        about="the absolute differences of neighbours in a list",
        x=LONG,
        apply=_gaps,
        phrasings=(
            "List the absolute differences between neighbouring numbers of the list {x}, from left to right.",
            "The list {x} holds the water level in cm on successive days. By how many cm did the level change, up or "
            "down, from each day to the next? Answer with a list of numbers without signs.",
            "For each pair of neighbours in the list {x}, subtract the smaller from the larger. Give the results as a "
            "list, in order.",
        ),
        steps=_gaps_steps,
    ),
    Skill(
        name="list_rotate",
        family=FAMILY,
        takes="list",
        gives="list",
        about="a list with its first numbers moved to the end",
        x=LONG,
        knobs={"n": Range(2, 5)},
        needs=lambda x, n: n < len(x),
        apply=_rotate,
        phrasings=(
            "Move the first number of the list {x} to the end, and do this {n} times in all. Give the list.",
            "Rotate the list {x} to the left by {n}. Give the resulting list.",
            "Cards with the numbers of the list {x} lie in a row. Taking one card at a time from the front and putting "
            "it at the back, {n} cards are moved. What is the row now? Answer with a list.",
        ),
        steps=_rotate_steps,
    ),
    Skill(
        name="list_remainders",
        family=FAMILY,
        takes="list",
        gives="set",
        about="the set of distinct remainders of a list's numbers",
        x=LIST,
        knobs={"m": Range(6, 13)},
        apply=lambda x, m: sorted({v % m for v in x}),
        phrasings=(
            "Which distinct remainders do the numbers of the list {x} leave when divided by {m}? Give them as a set.",
            "Players wearing the numbers of the list {x} sit at {m} tables labelled from 0 on: each one goes to the "
            "table labelled with the remainder of their number divided by {m}. Give the set of tables that are used.",
            "Take every number of the list {x} modulo {m} and give the set of the results.",
        ),
        steps=_remainders_steps,
    ),
    Skill(
        name="list_join_reversed",
        family=FAMILY,
        takes="list",
        gives="text",
        about="the numbers from last to first, joined by a mark",
        x=LIST,
        knobs={"mark": Choice(("-", "/", "+", ":", "_"))},
        apply=_joined,
        phrasings=(
            'Write the numbers of the list {x} from last to first, joined by "{mark}" without spaces.',
            'A code is made of the numbers of the list {x} in reverse order with a "{mark}" between neighbours and no '
            "spaces. What is the code?",
            'Reverse the list {x} and join its numbers with the character "{mark}" into one text, without spaces.',
        ),
        steps=lambda x, y, mark: f'From last to first: {orjson_text(x[::-1])}. Joined by "{mark}": "{y}".',
    ),
    Skill(
        name="list_mostly_above",
        family=FAMILY,
        takes="list",
        gives="boolean",
        about="whether more than half of a list is greater than a limit",
        x=LIST,
        knobs={"limit": Range(30, 70)},
        apply=lambda x, limit: 2 * sum(v > limit for v in x) > len(x),
        phrasings=(
            "Are more than half of the numbers in the list {x} greater than {limit}? Answer true or false.",
            "The list {x} holds the marks of a class; a mark above {limit} is a pass. Did more than half of the class "
            "pass? Answer true or false.",
            "True or false: over half of the numbers of the list {x} exceed {limit}.",
        ),
        steps=_half_above_steps,
    ),
)
