"""Fractions and percent."""

from __future__ import annotations

from math import gcd

from factory.skills.domains import Choice, Fractions, Ints, Range, Texts, Wide
from factory.skills.skill import Skill, orjson_text

FAMILY = "fractions_percent"

SIMPLE = Choice(("1/2", "1/3", "2/3", "1/4", "3/4", "2/5", "3/5", "1/6", "5/6", "3/8", "5/8", "4/9", "3/10", "5/12"))
VOWELS = "aeiou"


def terms(fraction: str) -> tuple[int, int]:
    """Return the numerator and denominator of a fraction as text; a whole number has denominator 1."""
    n, _, d = fraction.partition("/")
    return int(n), int(d or 1)


def lowest(n: int, d: int) -> str:
    """Return n/d in lowest terms as text; a whole number has no slash."""
    g = gcd(n, d)
    return str(n // g) if d == g else f"{n // g}/{d // g}"


def proper(fraction: str) -> bool:
    """Return whether a result is a fraction that is small enough to go on with and not a whole number."""
    n, d = terms(fraction)
    return 1 < d <= 999 and n <= 9999


def plus(x: str, other: str) -> str:
    """Return the sum of two fractions in lowest terms."""
    (a, b), (c, d) = terms(x), terms(other)
    return lowest(a * d + c * b, b * d)


def times(x: str, other: str) -> str:
    """Return the product of two fractions in lowest terms."""
    (a, b), (c, d) = terms(x), terms(other)
    return lowest(a * c, b * d)


def part_rounded_down(x: str, whole: int) -> int:
    """Return x times a whole number, rounded down."""
    n, d = terms(x)
    return n * whole // d


def terms_total(x: str, factor: int) -> int:
    """Return p + q where p/q is x times a whole number in lowest terms."""
    n, d = terms(x)
    g = gcd(n * factor, d)
    return (n * factor + d) // g


def rounded_decimal(x: str, places: int) -> str:
    """Return a fraction as a decimal with a number of places, halves rounded up."""
    n, d = terms(x)
    digits = str((2 * n * 10**places + d) // (2 * d)).zfill(places + 1)
    return f"{digits[:-places]}.{digits[-places:]}"


def exceeds(x: str, other: str) -> bool:
    """Return whether a fraction is greater than another."""
    (a, b), (c, d) = terms(x), terms(other)
    return a * d > c * b


def partial_quotients(x: str) -> list[int]:
    """Return the partial quotients of a fraction's continued fraction; the last is at least 2 unless it is alone."""
    n, d = terms(x)
    quotients = []
    while d:
        quotients.append(n // d)
        n, d = d, n % d
    return quotients


def vowel_share(x: str) -> str:
    """Return the share of vowels among the letters a to z of a text; 0 if it has no letters."""
    letters = [c for c in x.lower() if "a" <= c <= "z"]
    return lowest(sum(c in VOWELS for c in letters), len(letters) or 1)


def _common(x: str, other: str) -> tuple[int, int, int]:
    """Return both fractions' numerators over their common denominator, and that denominator."""
    (a, b), (c, d) = terms(x), terms(other)
    common = b * d // gcd(b, d)
    return a * common // b, c * common // d, common


def _plus_steps(x: str, y: str, other: str) -> str:
    a, b, d = _common(x, other)
    return f"Over the common denominator {d}: {x} + {other} = {a}/{d} + {b}/{d} = {a + b}/{d}. In lowest terms: {y}."


def _exceeds_steps(x: str, y: bool, other: str) -> str:
    a, b, d = _common(x, other)
    sign = ">" if a > b else "<" if a < b else "="
    return f"Over the common denominator {d}: {x} = {a}/{d} and {other} = {b}/{d}. {a} {sign} {b}, so {str(y).lower()}."


def _times_steps(x: str, y: str, other: str) -> str:
    (a, b), (c, d) = terms(x), terms(other)
    return f"{x} × {other} = ({a} × {c}) / ({b} × {d}) = {a * c}/{b * d}. In lowest terms: {y}."


def _part_steps(x: str, y: int, whole: int) -> str:
    n, d = terms(x)
    product = n * whole
    return (
        f"{whole} × {n} = {product}, and {product} / {d} is {product // d} with remainder {product % d}. That is {y}."
    )


def _terms_steps(x: str, y: int, factor: int) -> str:
    n, d = terms(x)
    g = gcd(n * factor, d)
    p, q = n * factor // g, d // g
    return f"{x} × {factor} = {n * factor}/{d}, in lowest terms {p}/{q}. {p} + {q} = {y}."


def _decimal_steps(x: str, y: str, places: int) -> str:
    n, d = terms(x)
    digits = n * 10 ** (places + 2) // d
    shown = f"{digits // 10 ** (places + 2)}.{digits % 10 ** (places + 2):0{places + 2}d}"
    return f'{n} divided by {d} starts with {shown}. Rounded to {places} decimals that is "{y}".'


def _quotients_steps(x: str, y: list[int]) -> str:
    n, d = terms(x)
    lines = []
    while d:
        lines.append(f"{n} = {n // d} × {d} + {n % d}")
        n, d = d, n % d
    return f"Divide with remainder again and again: {', '.join(lines)}. The quotients are {orjson_text(y)}."


def _mean_steps(x: list[int], y: str) -> str:
    total = f"{' + '.join(map(str, x))} = {sum(x)}"
    return f"The sum is {total}. There are {len(x)} numbers, so the mean is {sum(x)}/{len(x)}, in lowest terms {y}."


def _vowel_steps(x: str, y: str) -> str:
    letters = [c for c in x.lower() if "a" <= c <= "z"]
    vowels = [c for c in letters if c in VOWELS]
    return (
        f"The text has {len(letters)} letters, of which {len(vowels)} are vowels ({', '.join(vowels) or 'none'}). "
        f"{len(vowels)}/{len(letters)} = {y}."
    )


SKILLS = (
    Skill(
        name="percent_of",
        family=FAMILY,
        takes="number",
        gives="number",
        about="a percentage of a number that comes out whole",
        x=Range(10, 20_000),
        knobs={"percent": Choice((5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 80))},
        needs=lambda x, percent: x * percent % 100 == 0,
        apply=lambda x, percent: x * percent // 100,
        phrasings=(
            "What is {percent}% of {x}?",
            "A school has {x} pupils, and {percent}% of them come by bicycle. How many pupils come by bicycle?",
            "Out of {x} seeds, {percent}% sprout. How many seeds sprout?",
            "Take the number {x} and compute {percent} percent of it.",
        ),
        steps="{percent}% of {x} is {x} × {percent} / 100 = {y}.",
    ),
    Skill(
        name="grown_by_percent",
        family=FAMILY,
        takes="number",
        gives="number",
        about="a number after it grows by a percentage each year, rounded down every year",
        x=Range(50, 100_000),
        knobs={"first": Choice((5, 8, 10, 12, 15, 20, 25, 30, 40)), "second": Choice((3, 4, 6, 10, 15, 20, 25, 50))},
        apply=lambda x, first, second: (x + x * first // 100) * (100 - second) // 100,
        phrasings=(
            "Increase {x} by {first}% and round down to a whole number; then decrease the result by {second}% and "
            "round down again. What number do you get?",
            "A town has {x} inhabitants. In the first year the number grows by {first}%, in the second it falls by "
            "{second}% of what it then is. After each year it is rounded down to a whole number. How many inhabitants "
            "are there in the end?",
            "A farm sold {x} eggs last month. It hopes to sell {first}% more this month (rounded down to whole eggs) "
            "and {second}% less than that next month (rounded down again). How many eggs does it hope to sell next "
            "month?",
        ),
        steps=lambda x, y, first, second: (
            f"{x} × {100 + first} / 100, rounded down, is {x + x * first // 100}. "
            f"{x + x * first // 100} × {100 - second} / 100, rounded down, is {y}."
        ),
    ),
    Skill(
        name="quotient_fraction",
        family=FAMILY,
        takes="number",
        gives="fraction",
        about="a number divided by another as a fraction in lowest terms",
        x=Range(1, 9999),
        knobs={"divisor": Range(6, 96)},
        needs=lambda x, divisor: x % divisor != 0,
        apply=lambda x, divisor: lowest(x, divisor),
        phrasings=(
            "Write {x} divided by {divisor} as a fraction in lowest terms.",
            "{divisor} friends share {x} litres of juice equally. How many litres does each get? Answer with a "
            "fraction in lowest terms.",
            "A rope of {x} metres is cut into {divisor} equal pieces. How long is one piece in metres, as a fraction "
            "in lowest terms?",
            "Reduce the fraction with numerator {x} and denominator {divisor} to lowest terms.",
        ),
        steps=lambda x, y, divisor: (
            f"The greatest common divisor of {x} and {divisor} is {gcd(x, divisor)}. Dividing both by it gives {y}."
        ),
    ),
    Skill(
        name="add_fraction",
        family=FAMILY,
        takes="fraction",
        gives="fraction",
        about="the sum of two fractions",
        x=Fractions(),
        knobs={"other": SIMPLE},
        needs=lambda x, other: proper(plus(x, other)),
        apply=plus,
        phrasings=(
            "What is {x} + {other}? Give a fraction in lowest terms.",
            "A jug holds {x} litres of water, and {other} of a litre is poured in. How many litres are in it now? "
            "Answer with a fraction in lowest terms.",
            "Add the fractions {x} and {other} and reduce the result to lowest terms.",
            "A hiker walks {x} km before lunch and {other} km after it. How many km is that, as a fraction in lowest "
            "terms?",
        ),
        steps=_plus_steps,
    ),
    Skill(
        name="times_fraction",
        family=FAMILY,
        takes="fraction",
        gives="fraction",
        about="the product of two fractions",
        x=Fractions(),
        knobs={"other": SIMPLE},
        needs=lambda x, other: proper(times(x, other)),
        apply=times,
        phrasings=(
            "What is {x} × {other}? Give a fraction in lowest terms.",
            "A recipe needs {x} cups of flour, and only {other} of the recipe is made. How many cups of flour are "
            "needed? Answer with a fraction in lowest terms.",
            "Multiply the fraction {x} by {other} and reduce the result to lowest terms.",
        ),
        steps=_times_steps,
    ),
    Skill(
        name="fraction_of",
        family=FAMILY,
        takes="fraction",
        gives="number",
        about="a fraction of a whole number, rounded down",
        x=Fractions(),
        knobs={"whole": Range(20, 900)},
        apply=part_rounded_down,
        phrasings=(
            "What is {x} of {whole}, rounded down to a whole number?",
            "A machine fills {x} boxes a minute. How many boxes has it filled completely after {whole} minutes?",
            "Multiply {whole} by the fraction {x} and drop whatever comes after the decimal point.",
            "One lap takes {x} litres of fuel. How many full litres do {whole} laps use, rounded down?",
        ),
        steps=_part_steps,
    ),
    Skill(
        name="terms_total",
        family=FAMILY,
        takes="fraction",
        gives="number",
        about="numerator plus denominator of a multiple of a fraction in lowest terms",
        x=Fractions(),
        knobs={"factor": Range(2, 40)},
        apply=terms_total,
        phrasings=(
            "Let p/q be {x} times {factor} in lowest terms (q is 1 if it is a whole number). What is p + q?",
            "Multiply the fraction {x} by {factor} and reduce it to lowest terms, with denominator 1 for a whole "
            "number. What is the sum of the numerator and the denominator?",
            "One batch of paint takes {x} litres of blue. Write the litres for {factor} batches as p/q in lowest "
            "terms, with q = 1 if they are whole, and give p + q.",
        ),
        steps=_terms_steps,
    ),
    Skill(
        name="rounded_decimal",
        family=FAMILY,
        takes="fraction",
        gives="text",
        about="a fraction as a decimal with a fixed number of places",
        x=Fractions(),
        knobs={"places": Choice((2, 3, 4))},
        apply=rounded_decimal,
        phrasings=(
            "Write {x} as a decimal with exactly {places} digits after the point, halves rounded up.",
            "A scale shows {places} digits after the decimal point and rounds halves up. What does it show for {x} kg? "
            "Give the number alone.",
            "Convert the fraction {x} to a decimal, round it (halves up) and keep exactly {places} decimal places, "
            "zeros included.",
        ),
        steps=_decimal_steps,
    ),
    Skill(
        name="exceeds_fraction",
        family=FAMILY,
        takes="fraction",
        gives="boolean",
        about="whether a fraction is greater than another",
        x=Fractions(),
        knobs={"other": Choice(("2/3", "3/4", "4/5", "5/6", "6/5", "5/4", "4/3", "7/5", "3/2", "8/5", "5/3", "7/4"))},
        apply=exceeds,
        phrasings=(
            "Is {x} strictly greater than {other}? Answer true or false.",
            "Anna ran {x} miles and Ben ran {other} miles. Did Anna run farther than Ben? Answer true or false.",
            "True or false: the fraction {x} is larger than {other}.",
        ),
        steps=_exceeds_steps,
    ),
    Skill(
        name="continued_fraction",
        family=FAMILY,
        takes="fraction",
        gives="list",
        about="the partial quotients of a continued fraction",
        x=Fractions(60),
        apply=partial_quotients,
        phrasings=(
            "Write {x} as a continued fraction a0 + 1/(a1 + 1/(a2 + ...)) whose last term is at least 2, and list the "
            "terms a0, a1, a2 and so on.",
            "List, in order, the whole quotients that Euclid's algorithm gives when the numerator of {x} is divided by "
            "its denominator, then the denominator by the remainder, and so on until the remainder is 0.",
            "What is the list of partial quotients of the continued fraction of {x}? Start with the whole part, even "
            "if it is 0, and let the last entry be at least 2.",
        ),
        steps=_quotients_steps,
    ),
    Skill(
        name="exact_mean",
        family=FAMILY,
        takes="list",
        gives="fraction",
        about="the mean of a list as a fraction",
        x=Wide(Ints(3, 12, 1, 200), Ints(2, 12, 0, 800)),
        needs=lambda x: sum(x) % len(x) != 0,
        apply=lambda x: lowest(sum(x), len(x)),
        phrasings=(
            "What is the exact mean of the list {x}? Give a fraction in lowest terms.",
            "The list {x} holds the minutes that a swimmer trained each day. What is the average per day, as a "
            "fraction in lowest terms?",
            "Divide the sum of the list {x} by how many numbers it has, and reduce the fraction to lowest terms.",
        ),
        steps=_mean_steps,
    ),
    Skill(
        name="vowel_share",
        family=FAMILY,
        takes="text",
        gives="fraction",
        about="the share of vowels among the letters of a text",
        x=Texts(1, 4, max_chars=60),
        needs=lambda x: proper(vowel_share(x)),
        apply=vowel_share,
        phrasings=(
            "What fraction of the letters in the text {x} are vowels (a, e, i, o, u)? Give it in lowest terms.",
            "One letter of the text {x} is picked at random; spaces and other signs are left out. What is the "
            "probability that it is one of a, e, i, o, u? Answer with a fraction in lowest terms.",
            "Count the vowels (a, e, i, o, u) and all the letters of the text {x}, and give vowels divided by letters "
            "as a fraction in lowest terms.",
        ),
        steps=_vowel_steps,
    ),
)
