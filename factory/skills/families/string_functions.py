"""String functions for nested problems f(g(x)) (arXiv 2509.25123): each is Python that is shown, and a skill.

A function's own source, without annotations, is what a student reads, so it holds no comment, docstring, import or
helper. No two behave alike, none leaves typical text as it is, and none makes a text of LEAF longer than four times
itself. The leaves of nested problems are drawn from LEAF; any text of up to 200 characters is a welcome input.
"""
# ruff: noqa: D103 - a docstring would be shown to the student

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import cache

from factory.errors import UserError, nearest
from factory.skills.domains import Choice, Domain, Letters, Range, Wide
from factory.skills.skill import Skill

FAMILY = "string_functions"
LEAF = Letters(3, 10)
TEXT = Wide(LEAF, Letters(1, 200))


def repeat_text(s: str, n: int) -> str:
    out = ""
    for _ in range(n):
        out += s
    return out


def drop_vowels(s: str) -> str:
    kept = "".join(c for c in s if c not in "aeiouAEIOU")
    return kept + str(len(s) - len(kept))


def sort_characters(s: str) -> str:
    return "".join(sorted(s))


def put_before(s: str, affix: str) -> str:
    return affix + s


def put_after(s: str, affix: str) -> str:
    return s + affix


def rotate_left(s: str, n: int) -> str:
    while n > 0:
        s = s[1:] + s[0]
        n -= 1
    return s


def mirror(s: str) -> str:
    return s + s[::-1]


def alternate_case(s: str) -> str:
    return "".join(s[i].upper() if i % 2 else s[i].lower() for i in range(len(s)))


def shift_letters(s: str, k: int) -> str:
    out = ""
    for c in s:
        if "a" <= c <= "z":
            out += chr((ord(c) - ord("a") + k) % 26 + ord("a"))
        elif "A" <= c <= "Z":
            out += chr((ord(c) - ord("A") + k) % 26 + ord("A"))
        else:
            out += c
    return out


def letters_to_digits(s: str) -> str:
    out = ""
    for c in s:
        place = "abcdefghi".find(c.lower())
        out += str(place + 1) if place >= 0 else c
    return out


def put_between(s: str, mark: str) -> str:
    return mark.join(s)


def double_characters(s: str) -> str:
    if len(s) < 2:
        return s + s
    half = len(s) // 2
    return double_characters(s[:half]) + double_characters(s[half:])


def bracket_characters(s: str) -> str:
    return "".join(["<" + c + ">" for c in s])


def count_runs(s: str) -> str:
    out = ""
    i = 0
    while i < len(s):
        j = i
        while j < len(s) and s[j] == s[i]:
            j += 1
        out += s[i] + str(j - i)
        i = j
    return out


def reverse_text(s: str) -> str:
    if len(s) < 2:
        return s
    half = len(s) // 2
    return reverse_text(s[half:]) + reverse_text(s[:half])


def keep_even_places(s: str) -> str:
    return s[1::2] if len(s) > 1 else s


def swap_pairs(s: str) -> str:
    out = ""
    for i in range(0, len(s), 2):
        out += s[i : i + 2][::-1]
    return out


def swap_halves(s: str) -> str:
    half = len(s) // 2
    return s[half:] + s[:half]


def even_then_odd_places(s: str) -> str:
    return s[1::2] + s[::2]


def grow_to_multiple(s: str, n: int) -> str:
    s += "+"
    while len(s) % n != 0:
        s += "+"
    return s


def append_length(s: str) -> str:
    return s + str(len(s))


def swap_late_case(s: str) -> str:
    return s[: len(s) // 2] + s[len(s) // 2 :].swapcase()


def step_shuffle(s: str) -> str:
    step = 3
    while len(s) > 2 and any(step % d == 0 and len(s) % d == 0 for d in range(2, step + 1)):
        step += 2
    return "".join(s[i * step % len(s)] for i in range(len(s)))


def outside_in(s: str) -> str:
    if len(s) < 2:
        return s
    return s[0] + s[-1] + outside_in(s[1:-1])


def shift_by_place(s: str) -> str:
    out = ""
    for i in range(len(s)):
        c = s[i]
        if c.islower():
            c = chr((ord(c) - 97 + i + 1) % 26 + 97)
        elif c.isdigit():
            c = str((int(c) + i + 1) % 10)
        out += c
    return out


def upper_consonants(s: str) -> str:
    return "".join(c if c in "aeiou" else c.upper() for c in s)


def stretch(s: str) -> str:
    return "".join(s[i] * (i % 3 + 1) for i in range(len(s)))


def reverse_blocks(s: str, n: int) -> str:
    if len(s) <= n:
        return s[::-1]
    return s[:n][::-1] + reverse_blocks(s[n:], n)


def drop_every(s: str, n: int) -> str:
    return "".join(s[i] for i in range(len(s)) if (i + 1) % n != 0)


def mask_first(s: str, mark: str) -> str:
    return mark + s[1:].replace(s[0], mark)


def cut_into_groups(s: str, n: int, mark: str) -> str:
    groups = []
    while s:
        groups.append(s[:n])
        s = s[n:]
    return mark.join(groups)


def move_to_vowel(s: str) -> str:
    moved = ""
    while s and s[0] not in "aeiou":
        moved += s[0]
        s = s[1:]
    return s + moved + "ay"


def digits_up(s: str) -> str:
    if any(c.isdigit() for c in s):
        return "".join(str((int(c) + 1) % 10) if c.isdigit() else c for c in s)
    return s[-1] + s + str(len(s) % 10)


def drop_shared(s: str, other: str) -> str:
    return "".join(c for c in s if c not in other) + other


def interlace(s: str, other: str) -> str:
    out = ""
    for i in range(max(len(s), len(other))):
        out += s[i : i + 1] + other[i : i + 1]
    return out


def insert_in_middle(s: str, other: str) -> str:
    half = len(s) // 2
    return s[:half] + other + s[half:]


def _skill(function: Callable[..., str], task: str, **knobs: Domain) -> Skill:
    """Return the skill of a function; the task is an imperative over {x} and the knobs, and maybe `the second text`."""
    arity = 2 if "the second text" in task else 1
    bare = task.replace(" {x}", "").replace("{", "").replace("}", "")

    def changes(x: str, **params: object) -> bool:
        return function(x, **params) != x

    return Skill(
        name=function.__name__,
        family=FAMILY,
        takes="text",
        gives="text",
        about=bare,
        x=TEXT,
        knobs=knobs,
        needs=changes if arity == 1 else None,
        apply=function,
        phrasings=(task[0].upper() + task[1:] + ".", f"What do you get when you {task}?", f"Give the result: {task}."),
        steps="From {x} this makes {y}." if arity == 1 else "From {x} and the second text this makes {y}.",
        arity=arity,
    )


REPEATS, AFFIX, MARK = Range(2, 4), Letters(2, 4), Choice(("-", "_", "|"))

SKILLS = (
    _skill(repeat_text, "write the text {x} {n} times in a row, with nothing in between", n=REPEATS),
    _skill(
        drop_vowels, "remove a, e, i, o and u, small or capital, from the text {x} and append how many were removed"
    ),
    _skill(sort_characters, "sort the characters of the text {x} by their ASCII codes, smallest first"),
    _skill(put_before, 'put "{affix}" directly before the text {x}', affix=AFFIX),
    _skill(put_after, 'put "{affix}" directly after the text {x}', affix=AFFIX),
    _skill(
        rotate_left,
        "rotate the text {x} left by {n}, each character that leaves in front coming back at the end",
        n=Range(1, 3),
    ),
    _skill(mirror, "append to the text {x} its own reversal"),
    _skill(
        alternate_case,
        "put the 1st, 3rd, 5th, ... character of the text {x} in lower and the 2nd, 4th, ... in upper case",
    ),
    _skill(
        shift_letters,
        "move each letter of the text {x} on by {k} in the alphabet, from z back to a, keeping its case",
        k=Range(1, 5),
    ),
    _skill(letters_to_digits, "replace the letters a to i of the text {x}, small or capital, by the digits 1 to 9"),
    _skill(put_between, 'put "{mark}" between all neighbouring characters of the text {x}', mark=MARK),
    _skill(double_characters, "write every character of the text {x} twice in a row"),
    _skill(bracket_characters, "wrap each character of the text {x} in angle brackets, so that a becomes <a>"),
    _skill(
        count_runs,
        "follow each run of equal characters in the text {x}, cut to one character, by its length, so that aab "
        "becomes a2b1",
    ),
    _skill(reverse_text, "reverse the text {x}"),
    _skill(
        keep_even_places,
        "keep only the 2nd, 4th, 6th, ... character of the text {x}, or all of it if there is only one",
    ),
    _skill(
        swap_pairs,
        "swap the 1st and 2nd character of the text {x}, the 3rd and 4th, and so on, a lone last one staying put",
    ),
    _skill(
        swap_halves, "put the second half of the text {x} before the first, a middle character counting as second half"
    ),
    _skill(
        even_then_odd_places,
        "write the characters at even places of the text {x}, counted from 1, and then those at odd places",
    ),
    _skill(
        grow_to_multiple,
        'append "+" to the text {x} once, and then again until its length is a multiple of {n}',
        n=Range(3, 6),
    ),
    _skill(append_length, "append to the text {x} the number of its characters"),
    _skill(
        swap_late_case,
        "swap small and capital letters in the second half of the text {x}, a middle character counting as second half",
    ),
    _skill(
        step_shuffle,
        "read the text {x} as a ring in steps of m from its first character, as many characters as it has, where "
        "m is the smallest odd number above 1 that shares no divisor above 1 with its length",
    ),
    _skill(
        outside_in,
        "read the characters of the text {x} from the outside in: first, last, second, second to last, and so on",
    ),
    _skill(
        shift_by_place,
        "move each small letter of the text {x} on in the alphabet, from z back to a, and each digit up, from 9 "
        "back to 0, by its place, where the first place is 1",
    ),
    _skill(upper_consonants, "put every character of the text {x} except a, e, i, o and u in upper case"),
    _skill(
        stretch, "write the characters of the text {x} once, twice, three times, once, twice, three times, and so on"
    ),
    _skill(
        reverse_blocks,
        "cut the text {x} into blocks of {n} characters, the last maybe shorter, and reverse each one in its place",
        n=Range(3, 4),
    ),
    _skill(
        drop_every, "drop the characters of the text {x} whose place, counted from 1, is a multiple of {n}", n=REPEATS
    ),
    _skill(mask_first, 'replace the first character of the text {x}, wherever it occurs, by "{mark}"', mark=MARK),
    _skill(
        cut_into_groups,
        'put "{mark}" after every {n} characters of the text {x}, but not at its end',
        n=REPEATS,
        mark=MARK,
    ),
    _skill(
        move_to_vowel,
        "move what stands before the first a, e, i, o or u of the text {x}, or all if there is none, to the end "
        'and append "ay"',
    ),
    _skill(
        digits_up,
        "raise each digit of the text {x} by 1, 9 becoming 0, or, if it has none, put its last character in front"
        " and the last digit of its length behind",
    ),
    _skill(
        drop_shared,
        "remove every character that occurs in the second text from the text {x} and append the second text",
    ),
    _skill(
        interlace,
        "take characters from the text {x} and the second text by turns, the rest of the longer one at the end",
    ),
    _skill(
        insert_in_middle, "put the second text after the first half of the text {x}, a middle character going behind it"
    ),
)


@cache
def source_of(name: str) -> str:
    """Return the Python source of a function of this family, as it is shown: without annotations.

    Raises UserError when there is no function of that name.
    """
    functions = {s.name: s.apply for s in SKILLS}
    if name not in functions:
        raise UserError(f"there is no string function '{name}'{nearest(name, functions)}")
    tree = ast.parse(inspect.getsource(functions[name]))
    for part in ast.walk(tree):
        if isinstance(part, ast.FunctionDef):
            part.returns = None
        elif isinstance(part, ast.arg):
            part.annotation = None
    return ast.unparse(tree)
