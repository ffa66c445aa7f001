"""Sets of whole numbers, written as sorted distinct numbers; a second set comes as a list of numbers."""

from __future__ import annotations

from math import gcd

from factory.skills.domains import Ints, Range, Wide
from factory.skills.skill import Skill, orjson_text, render

FAMILY = "sets"
HELD = Ints(1, 14, 0, 10_000, is_set=True)
SET = Wide(Ints(4, 8, 1, 24, is_set=True), HELD)
PAIRED = Wide(Ints(4, 8, 1, 24, is_set=True), Ints(2, 14, 0, 10_000, is_set=True))
OTHER = Ints(4, 8, 1, 24, is_set=True)


def _braces(values: list[int]) -> str:
    return render(values, "set")


def _common(x: list[int], other: list[int]) -> list[int]:
    return sorted(set(x) & set(other))


def _overlap(x: list[int], other: list[int]) -> str:
    both, either = len(set(x) & set(other)), len(set(x) | set(other))
    d = gcd(both, either)
    return f"{both // d}/{either // d}"


def _overlap_steps(x: list[int], y: str, other: list[int]) -> str:
    common, union = _common(x, other), sorted(set(x) | set(other))
    return (
        f"Common: {_braces(common)} ({len(common)}). Together: {_braces(union)} ({len(union)}). "
        f"{len(common)}/{len(union)} in lowest terms is {y}."
    )


def _union_steps(x: list[int], y: list[int], other: list[int]) -> str:
    new = [v for v in other if v not in x]
    return f"{orjson_text(other)} adds {_braces(new)} to {_braces(x)}, which makes {_braces(y)}."


def _odd_one_out_steps(x: list[int], y: list[int], other: list[int]) -> str:
    left = [v for v in x if v not in other]
    right = [v for v in other if v not in x]
    return f"Only in the first: {_braces(left)}; only in the second: {_braces(right)}. Together: {_braces(y)}."


def _missing(x: list[int]) -> int:
    """Return the sum of the whole numbers between the smallest and the largest that the set lacks."""
    lo, hi = min(x), max(x)
    return (lo + hi) * (hi - lo + 1) // 2 - sum(x)


def _missing_steps(x: list[int], y: int) -> str:
    lo, hi = min(x), max(x)
    every = (lo + hi) * (hi - lo + 1) // 2
    whole = f"All whole numbers from {lo} to {hi} add up to {every}"
    return f"{whole}; those in the set add up to {sum(x)}. {every} - {sum(x)} = {y}."


def _image(x: list[int], k: int, m: int) -> list[int]:
    return sorted({k * v % m for v in x})


def _image_steps(x: list[int], y: list[int], k: int, m: int) -> str:
    each = ", ".join(f"{v} → {k * v} → {k * v % m}" for v in x)
    return f"Times {k}, then modulo {m}: {each}. The set is {_braces(y)}."


def _gaps(x: list[int]) -> list[int]:
    return sorted((b - a for a, b in zip(x, x[1:], strict=False)), reverse=True)


def _gaps_steps(x: list[int], y: list[int]) -> str:
    pairs = ", ".join(f"{b} - {a} = {b - a}" for a, b in zip(x, x[1:], strict=False))
    return f"Each number minus the one below it: {pairs}. From largest to smallest: {orjson_text(y)}."


def _disjoint_steps(x: list[int], y: bool, other: list[int]) -> str:
    return f"The numbers in both are {_braces(_common(x, other))}. So the answer is {str(y).lower()}."


SKILLS = (
    Skill(
        name="set_union",
        family=FAMILY,
        takes="set",
        gives="set",
        about="the union with a second set",
        x=Wide(Ints(4, 8, 1, 24, is_set=True), Ints(1, 8, 0, 10_000, is_set=True)),
        knobs={"other": Ints(2, 4, 1, 24, is_set=True)},
        needs=lambda x, other: not set(other) <= set(x),
        apply=lambda x, other: sorted({*x, *other}),
        phrasings=(
            "Give the union of the set {x} and the set of the numbers in {other}, as a set.",
            "Ana has the stamps with the numbers of the set {x}; Ben has those numbered {other}. Which stamp numbers "
            "are in at least one of the two collections? Answer with a set.",
            "Put all numbers of {other} into the set {x}; a number that is there already is not added again. Give the "
            "resulting set.",
        ),
        steps=_union_steps,
    ),
    Skill(
        name="set_intersection",
        family=FAMILY,
        takes="set",
        gives="set",
        about="the intersection with a second set",
        x=SET,
        knobs={"other": Ints(6, 10, 1, 24, is_set=True)},
        needs=lambda x, other: bool(set(x) & set(other)),
        apply=_common,
        phrasings=(
            "Which numbers are both in the set {x} and among {other}? Answer with a set.",
            "The library is open on the days of the month in the set {x}, the café on the days {other}. On which days "
            "are both open? Answer with a set.",
            "Give the intersection of the set {x} and the set of the numbers in {other}, as a set.",
        ),
        steps=lambda x, y, other: (
            f"Going through {_braces(x)} and keeping what is also in {orjson_text(other)} leaves {_braces(y)}."
        ),
    ),
    Skill(
        name="set_difference",
        family=FAMILY,
        takes="set",
        gives="set",
        about="the members that a second set lacks",
        x=PAIRED,
        knobs={"other": OTHER},
        needs=lambda x, other: 0 < len(set(x) & set(other)) < len(x),
        apply=lambda x, other: sorted(set(x) - set(other)),
        phrasings=(
            "Remove from the set {x} every number that is among {other}. Give the remaining set.",
            "Seats with the numbers of the set {x} were free; then the seats {other} were booked. Which of the free "
            "seats are still free? Answer with a set.",
            "Which numbers of the set {x} do not occur in {other}? Answer with a set.",
        ),
        steps=lambda x, y, other: (
            f"Of {_braces(x)}, the numbers {_braces(_common(x, other))} occur in {orjson_text(other)}; "
            f"taking them out leaves {_braces(y)}."
        ),
    ),
    Skill(
        name="set_symmetric_difference",
        family=FAMILY,
        takes="set",
        gives="set",
        about="the numbers that are in exactly one of two sets",
        x=Wide(Ints(4, 8, 1, 24, is_set=True), Ints(1, 10, 0, 10_000, is_set=True)),
        knobs={"other": Ints(3, 6, 1, 24, is_set=True)},
        needs=lambda x, other: set(x) != set(other),
        apply=lambda x, other: sorted(set(x) ^ set(other)),
        phrasings=(
            "Which numbers are in exactly one of the two: the set {x} or the numbers {other}? Answer with a set.",
            "Lamps with the numbers of the set {x} are on, all others are off. The switches {other} are then pressed "
            "once each, and each switch toggles the lamp with its number. Which lamps are on now? Answer with a set.",
            "Give the symmetric difference of the set {x} and the set of the numbers in {other}, as a set.",
        ),
        steps=_odd_one_out_steps,
    ),
    Skill(
        name="set_complement",
        family=FAMILY,
        takes="set",
        gives="set",
        about="the numbers from 1 to n that a set lacks",
        x=Wide(Ints(4, 8, 1, 16, is_set=True), HELD),
        knobs={"n": Range(10, 18)},
        needs=lambda x, n: any(1 <= v <= n for v in x) and not set(range(1, n + 1)) <= set(x),
        apply=lambda x, n: sorted(set(range(1, n + 1)) - set(x)),
        phrasings=(
            "Which whole numbers from 1 to {n} are missing from the set {x}? Answer with a set.",
            "Lockers are numbered 1 to {n}. A locker is taken if its number is in the set {x}. Give the set of lockers "
            "that are not taken.",
            "Within the whole numbers from 1 to {n}, give the complement of the set {x}.",
        ),
        steps="Counting from 1 to {n} and leaving out every number in {x} gives {y}.",
    ),
    Skill(
        name="set_image",
        family=FAMILY,
        takes="set",
        gives="set",
        about="the set of k·v mod m for the members v",
        x=SET,
        knobs={"k": Range(2, 7), "m": Range(9, 19)},
        apply=_image,
        phrasings=(
            "Multiply every number of the set {x} by {k} and take the remainder when dividing by {m}. Give the set of "
            "the distinct results.",
            "A dial has {m} positions, numbered from 0. Each number v of the set {x} marks the position {k}·v mod {m}. "
            "Give the set of marked positions.",
            "Give the set of all values of {k}v mod {m} where v runs through the set {x}.",
        ),
        steps=_image_steps,
    ),
    Skill(
        name="set_missing_sum",
        family=FAMILY,
        takes="set",
        gives="number",
        about="the sum of the numbers missing between the smallest and the largest member",
        x=PAIRED,
        apply=_missing,
        phrasings=(
            "Some whole numbers between the smallest and the largest number of the set {x} are not in it. What is the "
            "sum of these missing numbers?",
            "The pages with the numbers of the set {x} have been read. Add up the numbers of the unread pages that lie "
            "between the first and the last page read.",
            "Take all whole numbers from the smallest to the largest member of the set {x} and add up those that are "
            "not members. What is the sum?",
        ),
        steps=_missing_steps,
    ),
    Skill(
        name="set_gaps",
        family=FAMILY,
        takes="set",
        gives="list",
        about="the gaps between neighbours of a set, largest first",
        x=PAIRED,
        apply=_gaps,
        phrasings=(
            "Put the numbers of the set {x} in ascending order, take the gaps (larger minus smaller) between "
            "neighbours and list these gaps from largest to smallest, equal ones each time.",
            "Trees stand at the metre marks of the set {x} along a road. List the distances in metres between each "
            "tree and the next one, the longest first and with all repeats.",
            "Sort the numbers of the set {x}, subtract each one from the next, and give the list of the differences in "
            "descending order, repeats included.",
        ),
        steps=_gaps_steps,
    ),
    Skill(
        name="set_overlap",
        family=FAMILY,
        takes="set",
        gives="fraction",
        about="the size of the intersection over the size of the union",
        x=SET,
        knobs={"other": OTHER},
        needs=lambda x, other: 0 < len(set(x) & set(other)) < len(set(x) | set(other)),
        apply=_overlap,
        phrasings=(
            "Divide the number of members that the set {x} and the set of the numbers in {other} have in common by "
            "the number of members of their union. Give a fraction in lowest terms.",
            "One club meets on the days of the set {x}, another on the days {other}. On what fraction of the days on "
            "which at least one club meets do both meet? Answer in lowest terms, such as 2/7.",
            "What is the Jaccard similarity of the set {x} and the set of the numbers in {other}, as a fraction in "
            "lowest terms?",
        ),
        steps=_overlap_steps,
    ),
    Skill(
        name="set_disjoint",
        family=FAMILY,
        takes="set",
        gives="boolean",
        about="whether a set and a second one have no number in common",
        x=SET,
        knobs={"other": Ints(2, 5, 1, 24, is_set=True)},
        apply=lambda x, other: set(x).isdisjoint(other),
        phrasings=(
            "Do the set {x} and the numbers {other} have no number in common? Answer true or false.",
            "Room 1 is booked on the days of the set {x}, and the caretaker is away on the days {other}. Is it true "
            "that the caretaker is never away on a booked day? Answer true or false.",
            "True or false: none of the numbers {other} is in the set {x}.",
        ),
        steps=_disjoint_steps,
    ),
)
