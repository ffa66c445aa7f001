"""Texts, letters and words."""

from __future__ import annotations

from functools import cache

from factory.skills.domains import ALPHABET, Choice, Ints, Range, Texts, Wide, Words
from factory.skills.skill import Skill, orjson_text, render

FAMILY = "strings"

VOWELS = "aeiou"
ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ROMAN_DIGITS = ("", "{0}", "{0}{0}", "{0}{0}{0}", "{0}{1}", "{1}", "{1}{0}", "{1}{0}{0}", "{1}{0}{0}{0}", "{0}{2}")
# Bytes to letter values: a and A are 1, z and Z are 26, anything else 0.
LETTER_VALUES = bytes(ALPHABET.find(chr(b).lower()) + 1 if b < 128 and chr(b).isalpha() else 0 for b in range(256))


@cache
def shift_table(shift: int) -> dict[int, int]:
    """Return the translation that moves every letter a to z, A to Z forward in the alphabet, z before a."""
    moved = ALPHABET[shift % 26 :] + ALPHABET[: shift % 26]
    return str.maketrans(ALPHABET + ALPHABET.upper(), moved + moved.upper())


def growing_shift(x: str, shift: int) -> str:
    """Return a text whose k-th word is moved k times the shift forward in the alphabet."""
    return " ".join(w.translate(shift_table(k * shift)) for k, w in enumerate(x.split(), 1))


def backwards(x: str) -> str:
    """Return a text with every word spelled backwards, the words in their old order."""
    return " ".join(w[::-1] for w in x.split())


def initials(x: str) -> str:
    """Return the first letters of the words of a text, in capitals."""
    return "".join(w[0] for w in x.split()).upper()


def without_vowels(x: str) -> str:
    """Return a text without the letters a, e, i, o, u of either case."""
    return "".join(c for c in x if c not in "aeiouAEIOU")


def longest_word(x: str) -> str:
    """Return the first of a text's longest words."""
    return max(x.split(), key=len)


def letter_sum(x: str) -> int:
    """Return the sum of the letters' places in the alphabet, whatever their case."""
    return sum(x.encode().translate(LETTER_VALUES))


def letter_places(x: str) -> list[int]:
    """Return the places in the alphabet of the letters that occur, ascending, each once."""
    return sorted(set(x.encode().translate(LETTER_VALUES)) - {0})


def letters_of(x: list[int]) -> str:
    """Return one letter per number: 1 is a, 26 is z, 27 is a again, and so on."""
    return "".join(ALPHABET[(n - 1) % 26] for n in x)


def roman(n: int) -> str:
    """Return a number from 1 to 3999 as a Roman numeral."""
    return "M" * (n // 1000) + "".join(
        ROMAN_DIGITS[n // unit % 10].format(*symbols) for unit, symbols in ((100, "CDM"), (10, "XLC"), (1, "IVX"))
    )


def below_thousand(n: int) -> list[str]:
    """Return the English words of a number from 1 to 999."""
    words = [ONES[n // 100], "hundred"] if n >= 100 else []
    rest = n % 100
    if rest >= 20:
        words.append(TENS[rest // 10] + (f"-{ONES[rest % 10]}" if rest % 10 else ""))
    elif rest:
        words.append(ONES[rest])
    return words


def in_words(n: int) -> str:
    """Return a number from 0 to 999,999 in English, without 'and': 1042 is 'one thousand forty-two'."""
    words = [*below_thousand(n // 1000), "thousand"] if n >= 1000 else []
    return " ".join(words + below_thousand(n % 1000)) or "zero"


def _shift_steps(x: str, y: str, shift: int) -> str:
    moves = "; ".join(
        f"{w} moved by {k * shift} is {w.translate(shift_table(k * shift))}" for k, w in enumerate(x.split(), 1)
    )
    return f'Word by word: {moves}. The text becomes "{y}".'


def _sum_steps(x: str, y: int) -> str:
    totals = [letter_sum(w) for w in x.split()]
    words = "; ".join(
        f"{w}: {' + '.join(str(letter_sum(c)) for c in w if letter_sum(c)) or 0} = {t}"
        for w, t in zip(x.split(), totals, strict=True)
    )
    total = f"{' + '.join(map(str, totals))} = {y}" if len(totals) > 1 else y
    return f"Letter values: {words}. The total is {total}."


def _places_steps(x: str, y: list[int]) -> str:
    letters = sorted({c for c in x.lower() if c in ALPHABET})
    return f"The different letters are {', '.join(letters)}. Their places in the alphabet are {render(y, 'set')}."


def _lengths(words: list[str]) -> str:
    return ", ".join(f"{w} {len(w)}" for w in words)


def _roman_steps(x: int, y: str) -> str:
    parts = [int(d) * 10**k for k, d in zip(range(len(str(x)) - 1, -1, -1), str(x), strict=True) if d != "0"]
    return f'{", ".join(f"{p} is {roman(p)}" for p in parts)}. Written together that is "{y}".'


def _words_steps(x: int, y: str) -> str:
    return f'{x} has {x // 1000} thousands and {x % 1000} ones, so it is written "{y}".'


SKILLS = (
    Skill(
        name="count_letters",
        family=FAMILY,
        takes="text",
        gives="number",
        about="how many characters of a text are one of two letters",
        x=Texts(1, 6, max_chars=80),
        knobs={"first": Choice(tuple("aeio")), "second": Choice(tuple("rstnlcpm"))},
        apply=lambda x, first, second: x.lower().count(first) + x.lower().count(second),
        phrasings=(
            "How many letters of the text {x} are {first} or {second}? Capital letters count too.",
            "A printer needs one tile for each letter {first} and each letter {second} in the text {x}, capital or "
            "not. How many tiles are these together?",
            "Add how often the letter {first} and how often the letter {second} occurs in the text {x}, ignoring case. "
            "What is the sum?",
        ),
        steps=lambda x, y, first, second: (
            f"Count of {first}: {x.lower().count(first)}; count of {second}: {x.lower().count(second)}. "
            f"{x.lower().count(first)} + {x.lower().count(second)} = {y}."
        ),
    ),
    Skill(
        name="reverse_each_word",
        family=FAMILY,
        takes="text",
        gives="text",
        about="every word spelled backwards, the words in their old order",
        x=Texts(2, 5, max_chars=60),
        needs=lambda x: backwards(x) != x,
        apply=backwards,
        phrasings=(
            "Spell every word of the text {x} backwards and keep the order of the words.",
            "In a game each word is said from its last letter to its first, but the words stay in order. How is the "
            "text {x} said? Write it down.",
            "Reverse the characters within each word of the text {x}; words are separated by spaces and stay where "
            "they are.",
        ),
        steps=lambda x, y: f'{", ".join(f"{w} becomes {w[::-1]}" for w in x.split())}. In the old order this is "{y}".',
    ),
    Skill(
        name="growing_shift",
        family=FAMILY,
        takes="text",
        gives="text",
        about="letters moved forward in the alphabet, farther in every further word",
        x=Texts(2, 4, max_chars=60),
        knobs={"shift": Range(1, 12)},
        needs=lambda x, shift: growing_shift(x, shift) != x,
        apply=growing_shift,
        phrasings=(
            "Move the letters of the text {x} forward in the alphabet (z is followed by a, case is kept, only letters "
            "change): those of the first word by {shift} places, and those of each further word by {shift} places more "
            "than in the word before.",
            "A spy writes the text {x} with a Caesar cipher that grows: word number k is shifted forward by k times "
            "{shift} places, with a after z. Case and other characters stay. What does the spy write?",
            "For the text {x}, multiply the number of each word (1, 2, 3, ...) by {shift} and move the letters of that "
            "word forward by so many places, starting again at a after z. Keep the case and all other characters. What "
            "is the new text?",
        ),
        steps=_shift_steps,
    ),
    Skill(
        name="initials",
        family=FAMILY,
        takes="text",
        gives="text",
        about="the first letters of the words in capitals",
        x=Texts(3, 7, max_chars=80),
        apply=initials,
        phrasings=(
            "Write the first character of every word of the text {x} in capitals, without spaces.",
            "A club takes its short name from the text {x}: the first characters of the words, joined, in capitals. "
            "What is it?",
            "Form the acronym of the text {x}: the first character of each word, in capitals, without any spaces.",
        ),
        steps=lambda x, y: f'The words are {", ".join(x.split())}. Their first characters in capitals give "{y}".',
    ),
    Skill(
        name="without_vowels",
        family=FAMILY,
        takes="text",
        gives="text",
        about="the text without its vowels",
        x=Texts(1, 4, max_chars=60),
        needs=lambda x: without_vowels(x) == " ".join(without_vowels(x).split()) not in ("", x),
        apply=without_vowels,
        phrasings=(
            "Remove the vowels a, e, i, o, u (capitals too) from the text {x}. What is left?",
            "A broken keyboard does not type the letters a, e, i, o and u. Someone types the text {x} on it. What "
            "appears?",
            "Write the text {x} without the letters a, e, i, o, u of either case. Keep everything else, spaces "
            "included.",
        ),
        steps=lambda x, y: (
            f'The vowels to drop are {", ".join(c for c in x if c in "aeiouAEIOU")}. What is left is "{y}".'
        ),
    ),
    Skill(
        name="longest_word",
        family=FAMILY,
        takes="text",
        gives="text",
        about="the longest word of a text, the first one in a tie",
        x=Texts(3, 7, max_chars=80),
        needs=lambda x: len({len(w) for w in x.split()}) > 1,
        apply=longest_word,
        phrasings=(
            "Which is the longest word of the text {x}? In a tie, take the one that comes first.",
            "A crossword needs the word with the most characters from the text {x}. If several are equally long, it "
            "takes the first of them. Which word is it?",
            "Find the longest word in the text {x}; words are separated by spaces, and the earliest wins a tie.",
        ),
        steps=lambda x, y: f'Word lengths: {_lengths(x.split())}. The first one with {len(y)} characters is "{y}".',
    ),
    Skill(
        name="words_by_length",
        family=FAMILY,
        takes="text",
        gives="words",
        about="the words of a text sorted by length",
        x=Texts(3, 6, max_chars=80),
        apply=lambda x: sorted(x.split(), key=len),
        phrasings=(
            "List the words of the text {x} from shortest to longest; words of equal length keep their order.",
            "Split the text {x} at the spaces and sort the words by length, shortest first. Ties keep the order they "
            "have in the text. Give the list of words.",
            "The words of the text {x} line up by length, the shortest in front, and equally long ones as they stand "
            "in the text. List them.",
        ),
        steps=lambda x, y: f"Word lengths: {_lengths(x.split())}. Sorted by length: {orjson_text(y)}.",
    ),
    Skill(
        name="word_lengths",
        family=FAMILY,
        takes="text",
        gives="list",
        about="the lengths of the words of a text",
        x=Texts(2, 6, max_chars=80),
        apply=lambda x: [len(w) for w in x.split()],
        phrasings=(
            "List the number of characters of each word in the text {x}, in order.",
            "A poet checks the text {x} word by word and notes how long each word is. Which list of numbers results?",
            "Split the text {x} at its spaces and give the list of the word lengths.",
        ),
        steps=lambda x, y: f"Word lengths: {_lengths(x.split())}. The list is {orjson_text(y)}.",
    ),
    Skill(
        name="letter_sum",
        family=FAMILY,
        takes="text",
        gives="number",
        about="the sum of the letters' places in the alphabet",
        x=Texts(1, 3, max_chars=60),
        needs=lambda x: letter_sum(x) > 0,
        apply=letter_sum,
        phrasings=(
            "With a = 1, b = 2, up to z = 26, what is the sum of the letters of the text {x}? Ignore case and all "
            "other characters.",
            "In a game each letter is worth its place in the alphabet (a is 1, z is 26, capitals the same), and other "
            "characters are worth 0. What is the text {x} worth?",
            "Add up the alphabet positions of all letters in the text {x}, where a or A is 1 and z or Z is 26. Skip "
            "everything that is not a letter.",
        ),
        steps=_sum_steps,
    ),
    Skill(
        name="letter_places",
        family=FAMILY,
        takes="text",
        gives="set",
        about="the set of the alphabet places of a text's letters",
        x=Texts(1, 2, max_chars=60),
        needs=lambda x: 0 < len(letter_places(x)) <= 12,
        apply=letter_places,
        phrasings=(
            "Give the set of the alphabet positions (a = 1 to z = 26, case ignored) of the letters in the text {x}.",
            "Each different letter of the text {x} is turned into its place in the alphabet (a or A is 1, z or Z is "
            "26). Which set of numbers results?",
            "Which set of numbers do you get if every letter in the text {x} is replaced by its position in the "
            "alphabet? Ignore case and other characters.",
        ),
        steps=_places_steps,
    ),
    Skill(
        name="roman_numeral",
        family=FAMILY,
        takes="number",
        gives="text",
        about="a number as a Roman numeral",
        x=Range(1, 3999),
        apply=roman,
        phrasings=(
            "Write {x} as a Roman numeral.",
            "A clock tower shows its number {x} in Roman numerals. What does it show?",
            "Convert the number {x} to a standard Roman numeral (4 is IV, 9 is IX), in capitals.",
        ),
        steps=_roman_steps,
    ),
    Skill(
        name="number_words",
        family=FAMILY,
        takes="number",
        gives="text",
        about="a number in English words",
        x=Range(0, 99_999),
        apply=in_words,
        phrasings=(
            "Write {x} in English words, in lowercase, with hyphens as in forty-two and without the word and.",
            "A cheque is made out for {x} dollars. Spell out the number alone in lowercase English, with hyphens as in "
            "sixty-one and without the word and.",
            "Spell the number {x} in lowercase English. Use hyphens as in thirty-five, no commas and no and.",
        ),
        steps=_words_steps,
    ),
    Skill(
        name="last_letters",
        family=FAMILY,
        takes="words",
        gives="text",
        about="the last letters of a list of words, joined",
        x=Words(3, 8),
        apply=lambda x: "".join(w[-1] for w in x),
        phrasings=(
            "Join the last letters of the words in the list {x}, in order and without spaces.",
            "A password is made of the final letter of each word in the list {x}. What is the password?",
            "Take the last character of every word in the list {x} and write them one after another as one text.",
        ),
        steps=lambda x, y: f'The last letters are {", ".join(w[-1] for w in x)}. Joined they give "{y}".',
    ),
    Skill(
        name="letters_of",
        family=FAMILY,
        takes="list",
        gives="text",
        about="the letters that a list of numbers stands for",
        x=Wide(Ints(2, 12, 1, 60), Ints(2, 16, 1, 999_999)),
        apply=letters_of,
        phrasings=(
            "Turn the list {x} into lowercase letters and join them: 1 is a, 2 is b, up to 26 is z, then 27 is a "
            "again, and so on.",
            "The list {x} is a secret message: each number stands for a letter (1 = a, 26 = z, and after 26 the "
            "alphabet starts again, so 27 = a). What does it say, in lowercase?",
            "Replace each number n of the list {x} by the lowercase letter you reach when counting n letters from a, "
            "going round from z to a. Write the letters as one text.",
        ),
        steps=lambda x, y: (
            f'{", ".join(f"{n} is {c}" for n, c in zip(x, y, strict=True))}. Joined, the letters give "{y}".'
        ),
    ),
    Skill(
        name="comes_before",
        family=FAMILY,
        takes="text",
        gives="boolean",
        about="whether a text comes before a word in alphabetical order",
        x=Texts(1, 2, max_chars=60),
        knobs={"word": Texts(1, 1)},
        needs=lambda x, word: x.replace(" ", "").isalpha() and x.lower() != word,
        apply=lambda x, word: x.lower() < word,
        phrasings=(
            'Does the text {x} come before "{word}" in alphabetical order, ignoring case? Answer true or false.',
            "In a dictionary sorted letter by letter (case ignored, a space before any letter), does the text {x} "
            'stand before "{word}"? Answer true or false.',
            'True or false: sorted alphabetically without regard to case, the text {x} is placed ahead of "{word}".',
        ),
        steps=lambda x, y, word: (
            f'Compare "{x.lower()}" with "{word}" letter by letter: "{min(x.lower(), word)}" comes first, '
            f"so the answer is {str(y).lower()}."
        ),
    ),
)
