"""Arithmetic and number theory on whole numbers."""

from __future__ import annotations

from math import gcd, isqrt, lcm

from factory.skills.domains import Choice, Ints, Range, Wide
from factory.skills.skill import Skill, orjson_text, render

FAMILY = "arithmetic"


def factorize(n: int) -> list[tuple[int, int]]:
    """Return the (prime, exponent) pairs of n >= 1, primes ascending."""
    pairs = []
    d = 2
    while d * d <= n:
        if n % d == 0:
            e = 0
            while n % d == 0:
                n //= d
                e += 1
            pairs.append((d, e))
        d += 1 if d == 2 else 2
    if n > 1:
        pairs.append((n, 1))
    return pairs


def divisors(n: int) -> list[int]:
    """Return the positive divisors of n >= 1, ascending."""
    low = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    return low + [n // d for d in reversed(low) if d * d != n]


def divisor_count(n: int) -> int:
    """Return how many positive divisors n >= 1 has."""
    count = 1
    for _, e in factorize(n):
        count *= e + 1
    return count


def digits_in_base(n: int, base: int) -> list[int]:
    """Return the digits of n >= 0 in a base, most significant first."""
    digits = [n % base]
    while n := n // base:
        digits.append(n % base)
    return digits[::-1]


def from_base(digits: list[int], base: int) -> int:
    """Return the number whose digits in a base are given, most significant first."""
    n = 0
    for d in digits:
        n = n * base + d
    return n


def _factored(n: int) -> str:
    return " × ".join(f"{p}^{e}" if e > 1 else str(p) for p, e in factorize(n)) or "1"


def _euclid(a: int, b: int) -> str:
    lines = []
    while b:
        lines.append(f"{a} = {a // b} × {b} + {a % b}")
        a, b = b, a % b
    return ", ".join(lines)


def _divisor_count_steps(x: int, y: int) -> str:
    product = " × ".join(f"({e} + 1)" for _, e in factorize(x))
    return f"The prime factorization is {x} = {_factored(x)}, so the number of divisors is {product} = {y}."


def _divisors_steps(x: int, y: list[int]) -> str:
    pairs = ", ".join(f"{d} × {x // d}" for d in y if d * d <= x)
    return f"The ways to write {x} as a product of two factors are {pairs}. Sorted, the divisors are {orjson_text(y)}."


def _base_steps(x: int, y: list[int], base: int) -> str:
    lines, n = [], x
    while n:
        lines.append(f"{n} = {n // base} × {base} + {n % base}")
        n //= base
    return (
        f"Divide by {base} again and again: {', '.join(lines)}. The remainders from last to first are {orjson_text(y)}."
    )


def _from_base_steps(x: list[int], y: int, base: int) -> str:
    n, lines = x[0], [f"start with {x[0]}"]
    for d in x[1:]:
        lines.append(f"{n} × {base} + {d} = {n * base + d}")
        n = n * base + d
    return f"Take the digits from left to right: {', '.join(lines)}. The number is {y}."


def _power_steps(x: int, y: int, exponent: int, modulus: int) -> str:
    base, value = x % modulus, x % modulus
    lines = [f"{x} leaves {base}"]
    for k in range(2, exponent + 1):
        lines.append(f"power {k}: {value} × {base} = {value * base} leaves {value * base % modulus}")
        value = value * base % modulus
    return f"Keep only remainders after division by {modulus}: {'; '.join(lines)}. The result is {y}."


def _either_steps(x: int, y: int, a: int, b: int) -> str:
    both = lcm(a, b)
    return (
        f"There are {x // a} multiples of {a}, {x // b} multiples of {b} and {x // both} multiples of both "
        f"(that is, of {both}). {x // a} + {x // b} - {x // both} = {y}."
    )


SKILLS = (
    Skill(
        name="remainder",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the remainder of a division",
        x=Range(2, 100_000),
        knobs={"divisor": Range(7, 120)},
        needs=lambda x, divisor: x >= divisor,
        apply=lambda x, divisor: x % divisor,
        phrasings=(
            "What is the remainder when {x} is divided by {divisor}?",
            "A baker packs {x} rolls into boxes of {divisor} and fills every box before starting the next. How many "
            "rolls are left once no further box can be filled?",
            "Find the value of {x} modulo {divisor}.",
            "From the number {x}, subtract {divisor} again and again until what is left is smaller than {divisor}. "
            "What is left?",
        ),
        steps=lambda x, y, divisor: (
            f"{divisor} fits into {x} {x // divisor} times: {x // divisor} × {divisor} = {x - y}. {x} - {x - y} = {y}."
        ),
    ),
    Skill(
        name="digit_sum",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the sum of the decimal digits",
        x=Wide(Range(10, 99_999), Range(10, 999_999_999)),
        apply=lambda x: sum(map(int, str(x))),
        phrasings=(
            "What is the sum of the decimal digits of {x}?",
            "Add up all the digits of the number {x}. What do you get?",
            "A lock opens with the sum of the digits of {x}. Which number opens it?",
            "Write the number {x} in base 10 and add its digits together. What is the total?",
        ),
        steps=lambda x, y: f"The digits of {x} add up to {' + '.join(str(x))} = {y}.",
    ),
    Skill(
        name="gcd_with",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the greatest common divisor with a given number",
        x=Range(2, 20_000),
        knobs={"other": Range(24, 2000)},
        needs=lambda x, other: x != other and gcd(x, other) > 1,
        apply=lambda x, other: gcd(x, other),
        phrasings=(
            "What is the greatest common divisor of {x} and {other}?",
            "Two ribbons are {x} cm and {other} cm long. They are cut into pieces that all have the same whole number "
            "of centimetres, with nothing left over. How long, in cm, can the pieces be at most?",
            "Which is the largest whole number that divides both {x} and {other} without a remainder?",
            "A florist has {x} roses and {other} tulips and makes identical bouquets that use up all the flowers. What "
            "is the largest possible number of bouquets?",
        ),
        steps=lambda x, y, other: (
            f"By Euclid's algorithm: {_euclid(max(x, other), min(x, other))}. The last divisor is {y}."
        ),
    ),
    Skill(
        name="lcm_with",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the least common multiple with a given number",
        x=Range(2, 20_000),
        knobs={"other": Range(4, 60)},
        needs=lambda x, other: x % other != 0,
        apply=lambda x, other: lcm(x, other),
        phrasings=(
            "What is the least common multiple of {x} and {other}?",
            "Two lights flash together now. One flashes every {x} seconds, the other every {other} seconds. After how "
            "many seconds do they next flash together?",
            "Find the smallest positive number that both {x} and {other} divide.",
            "Two drum patterns are {x} and {other} beats long. They start together and repeat without a break. After "
            "how many beats do they start together again for the first time?",
        ),
        steps=lambda x, y, other: (
            f"The greatest common divisor of {x} and {other} is {gcd(x, other)}, so the least common multiple is "
            f"{x} × {other} / {gcd(x, other)} = {y}."
        ),
    ),
    Skill(
        name="next_multiple",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the smallest multiple of a number that is strictly greater than x",
        x=Range(1, 200_000),
        knobs={"step": Range(6, 75)},
        apply=lambda x, step: (x // step + 1) * step,
        phrasings=(
            "What is the smallest multiple of {step} that is strictly greater than {x}?",
            "A bus leaves whenever the number of minutes since midnight on Monday is a multiple of {step}. Someone "
            "arrives just after minute {x}. At which minute does the next bus leave?",
            "Counting up in steps of {step} from 0, what is the first number you reach that is larger than {x}?",
            "Round the number {x} up to a multiple of {step}; if it already is one, take the next multiple. What do "
            "you get?",
        ),
        steps=lambda x, y, step: (
            f"{x // step} × {step} = {x // step * step} is not greater than {x}, so the next multiple is "
            f"{x // step + 1} × {step} = {y}."
        ),
    ),
    Skill(
        name="divisor_count",
        family=FAMILY,
        takes="number",
        gives="number",
        about="how many positive divisors a number has",
        x=Range(2, 5000),
        apply=divisor_count,
        phrasings=(
            "How many positive divisors does {x} have, counting 1 and the number itself?",
            "In how many ways can {x} chairs be set up in equal rows with none left over? One single row and rows of "
            "one chair both count.",
            "Count the whole numbers from 1 up to {x} that divide {x} without a remainder. How many are there?",
            "What is the number of positive factors of the number {x}, with 1 and the number itself included?",
        ),
        steps=_divisor_count_steps,
    ),
    Skill(
        name="divisors",
        family=FAMILY,
        takes="number",
        gives="list",
        about="the positive divisors in ascending order",
        x=Range(2, 5000),
        needs=lambda x: divisor_count(x) <= 12,
        apply=divisors,
        phrasings=(
            "List all positive divisors of {x} in ascending order, with 1 and the number itself.",
            "Which positive whole numbers divide {x} without a remainder? Answer with a list sorted from smallest to "
            "largest.",
            "A coach splits {x} players into equal groups. List every possible group size, from 1 player to all of "
            "them, in ascending order.",
            "Give the sorted list (ascending) of all factors of the number {x}.",
        ),
        steps=_divisors_steps,
    ),
    Skill(
        name="prime_factors",
        family=FAMILY,
        takes="number",
        gives="set",
        about="the set of distinct prime factors",
        x=Range(2, 9999),
        apply=lambda x: [p for p, _ in factorize(x)],
        phrasings=(
            "What is the set of distinct prime factors of {x}?",
            "Which prime numbers divide {x}? Answer with a set.",
            "Factorize the number {x} into primes and give the set of the different primes that occur.",
            "Find all primes p such that {x} is a multiple of p, and answer with the set of them.",
        ),
        steps=lambda x, y: f"The prime factorization of {x} is {_factored(x)}, so the set is {render(y, 'set')}.",
    ),
    Skill(
        name="base_digits",
        family=FAMILY,
        takes="number",
        gives="list",
        about="the digits in another base, most significant first",
        x=Range(2, 20_000),
        knobs={"base": Range(3, 9)},
        needs=lambda x, base: x >= base,
        apply=digits_in_base,
        phrasings=(
            "Write {x} in base {base} and list its digits, most significant first.",
            "Convert the number {x} from base 10 to base {base}. Answer with a list of its digits from left to right.",
            "An abacus counts in base {base}. Which digits show the number {x}? List them, the most significant first.",
        ),
        steps=_base_steps,
    ),
    Skill(
        name="from_base_digits",
        family=FAMILY,
        takes="list",
        gives="number",
        about="the number whose digits in a base are given",
        x=Ints(2, 7, 0, 9),
        knobs={"base": Choice((4, 5, 6, 7, 8, 9, 11, 12, 16))},
        needs=lambda x, base: x[0] > 0 and max(x) < base,
        apply=from_base,
        phrasings=(
            "The list {x} holds the base {base} digits of a number, most significant first. What is the number in base "
            "10?",
            "Read the list {x} as digits in base {base}, the first entry being the most significant. Give the value in "
            "base 10.",
            "A counter that counts in base {base} shows {x}, one entry per wheel from left to right. Which number, in "
            "base 10, is that?",
        ),
        steps=_from_base_steps,
    ),
    Skill(
        name="reverse_digits",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the number with its decimal digits in reverse order",
        x=Range(10, 999_999),
        needs=lambda x: str(x) != str(x)[::-1],
        apply=lambda x: int(str(x)[::-1]),
        phrasings=(
            "Write the digits of {x} in reverse order. Which number is that, without leading zeros?",
            "Read the number {x} from right to left and drop any zeros at the front. What number do you get?",
            "A mirror turns the digits of the number {x} around, so that the last one comes first. Which number does "
            "it show, leading zeros left out?",
        ),
        steps="Read from right to left and without leading zeros, the digits of {x} give {y}.",
    ),
    Skill(
        name="power_mod",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the remainder of a power",
        x=Range(2, 50_000),
        knobs={"exponent": Range(2, 7), "modulus": Range(11, 150)},
        needs=lambda x, exponent, modulus: x % modulus > 1,
        apply=lambda x, exponent, modulus: pow(x, exponent, modulus),
        phrasings=(
            "What is the remainder when {x} to the power {exponent} is divided by {modulus}?",
            "Compute {x}^{exponent} mod {modulus}.",
            "The number {x} is raised to the power {exponent}, and the result is divided by {modulus}. Which remainder "
            "is left?",
        ),
        steps=_power_steps,
    ),
    Skill(
        name="multiples_of_either",
        family=FAMILY,
        takes="number",
        gives="number",
        about="how many numbers from 1 to x are multiples of one or both of two numbers",
        x=Range(20, 100_000),
        knobs={"a": Range(2, 9), "b": Range(3, 16)},
        needs=lambda x, a, b: b % a != 0 and a % b != 0,
        apply=lambda x, a, b: x // a + x // b - x // lcm(a, b),
        phrasings=(
            "How many whole numbers from 1 to {x} (both included) are divisible by {a} or by {b} or by both?",
            "Visitors are numbered from 1 to {x}. Every visitor whose number is a multiple of {a} or a multiple of {b} "
            "gets a gift, and nobody gets two. How many gifts are handed out?",
            "Count the positive whole numbers not greater than {x} that are multiples of at least one of {a} and {b}.",
        ),
        steps=_either_steps,
    ),
    Skill(
        name="distance_to",
        family=FAMILY,
        takes="number",
        gives="number",
        about="the distance between two numbers, scaled",
        x=Range(-200, 100_000),
        knobs={"mark": Range(-40, 900), "factor": Range(2, 9)},
        needs=lambda x, mark, factor: x != mark,
        apply=lambda x, mark, factor: abs(x - mark) * factor,
        phrasings=(
            "What is {factor} times the distance between {x} and {mark} on the number line?",
            "A robot at {x} on a number line shuttles to {mark} and back, and makes {factor} trips in all, each way "
            "counted as one trip. How many units does it travel?",
            "Take the absolute difference of {x} and {mark} and multiply it by {factor}. What is the result?",
        ),
        steps=lambda x, y, mark, factor: (
            f"The distance between {x} and {mark} is {abs(x - mark)}. {abs(x - mark)} × {factor} = {y}."
        ),
    ),
)
