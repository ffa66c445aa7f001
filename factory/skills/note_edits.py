"""Edits that make a note keep a constraint and leave the rest of the note alone as far as they can.

What an edit puts in (fillers, keywords, phrases) is short and holds no comma, j, k, q, v, x or z and no forbidden word,
and it takes out what another one may have put in only if it must, so that constraints applied in turn mostly all hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cache

from factory.skills.domains import word_list

NOUNS = (
    "harbor", "lantern", "window", "ladder", "button", "candle", "copper", "forest", "hammer", "island", "letter",
    "meadow", "mirror", "needle", "paper", "pebble", "pillow", "planet", "ribbon", "saddle", "shadow", "summer",
    "table", "tunnel", "winter", "wagon", "timber",
)  # fmt: skip
PHRASES = (
    "step by step", "rain or shine", "day after day", "once again", "side by side", "little by little",
    "sooner or later", "more or less", "bit by bit", "from time to time",
)  # fmt: skip
STARTS = ("Reminder:", "Please note:", "Update:", "Attention:", "Dear all:", "Hello everyone:")
ENDS = ("See you soon.", "All the best", "That is all.", "Regards", "Until then.", "The End")
LETTER_WORDS = {"j": "jar", "k": "desk", "q": "quiet", "v": "valley", "x": "box", "z": "zone"}
PLACEHOLDERS = ("[name]", "[date]", "[place]", "[time]", "[number]")
HASHTAGS = ("#news", "#team", "#plan", "#idea", "#home")
DIGITS = "4075316982"
FILLERS = (
    "today", "outside", "slowly", "later", "nearby", "gently", "almost", "inside", "around", "indeed", "early",
    "often", "perhaps",
)  # fmt: skip
TAILS = (
    "from morning to night", "with old friends", "until late at night", "all day long", "from start to finish",
    "despite some rain", "as so often before", "by noon at least",
)  # fmt: skip
INSTEAD = {
    "very": "highly", "really": "truly", "the": "one", "a": "one", "and": "plus", "but": "yet", "is": "remains",
    "are": "remain", "we": "they", "our": "their", "us": "them", "this": "each", "that": "which", "in": "during",
    "on": "upon", "good": "fine", "great": "fine", "nice": "fine",
}  # fmt: skip

_FIXED = "|".join(map(re.escape, (*PHRASES, *ENDS)))
_KEPT = frozenset({*NOUNS, *LETTER_WORDS.values()})
_CLOSERS = "\"'”’»)]*_`"  # what may follow the end of a sentence
_GAP = re.compile(rf"{_FIXED}|(?<=[A-Za-z]) (?=[A-Za-z])")
_NOUN_GAP = re.compile(rf"{_FIXED}|(?:(?<=\b[Tt]he)|(?<=\bold)) (?!old\b)(?=[A-Za-z])")
_CLOSE = re.compile(rf"{_FIXED}|(?<=[A-Za-z\]])(?=[.!?;]|\n|\Z)")
_FULL_STOP = re.compile(rf"{_FIXED}|(?<=[A-Za-z\]])[.!](?=\s|\Z|\")")
_LOOSE = re.compile(rf"{_FIXED}|(?<=[A-Za-z]) (?!{_FIXED})([a-z]{{2,}})(?=\s|\Z)")
_INNER = re.compile(rf"{_FIXED}|(?<=[A-Za-z]) (?!{_FIXED})([a-z]{{2,}})\b")
_WORD_END = re.compile(rf"{_FIXED}|(?<=[a-z])(?=\s|\Z)")
_FREE_SENTENCE = re.compile(rf" (?!{_FIXED})[A-Z][a-z ]*[.!](?=\s|\Z|\")")
_LITTLE = r" (?=(?:to|from|near|by|of|with|until|despite|around|outside|all|for|at|this|still|again)\b)"
_BREAKS = (
    re.compile(r"(?<=[A-Za-z\]][.!?]) (?=\w)"),
    re.compile(rf"(?<=[A-Za-z]){_LITTLE}"),
    re.compile(r"(?<=\w) (?=\w)"),
)
_PLACEHOLDER = re.compile(r"\[([^\[\]\n]+)\]")
_HASHTAG = re.compile(r"(?<![\w#])#(\w+)")
_CAPITALS = re.compile(r"\b[A-Z]{2,}\b")


def _filler(n: int) -> str:
    return FILLERS[n % len(FILLERS)]


def _spots(note: str, found: re.Pattern[str]) -> list[int]:
    """Return where a pattern matches, what is fixed left out."""
    return [match.start() for match in found.finditer(note) if len(match[0]) < 2]


def count_words(note: str) -> int:
    """Return the number of pieces between spaces that hold a letter or a digit."""
    return sum(any(map(str.isalnum, piece)) for piece in note.split())


def insert(note: str, pieces: Sequence[str], spots: Sequence[int] = ()) -> str:
    """Return the note with the pieces put at the spots, spread over them, or between words where there are none."""
    spots = spots or _spots(note, _GAP) or [len(note.rstrip('.!?"}]'))]
    for i in reversed(range(len(pieces))):
        at = spots[(2 * i + 1) * len(spots) // (2 * len(pieces))]
        note = f"{note[:at]} {pieces[i]}{note[at:]}"
    return note


def insert_nouns(note: str, nouns: Sequence[str]) -> str:
    """Return the note with nouns put in: one behind each article, the rest at the ends of sentences."""
    spots = _spots(note, _NOUN_GAP)
    note = insert(note, nouns[: len(spots)], spots)
    return insert_tails(note, [f"near the {noun}" for noun in nouns[len(spots) :]])


def insert_tails(note: str, tails: Sequence[str]) -> str:
    """Return the note with the pieces put where sentences and lines end."""
    return insert(note, tails, _spots(note, _CLOSE))


def drop(note: str, count: int, kept: frozenset[str] = _KEPT) -> str:
    """Return the note without `count` of its plain words, later ones first; fewer go where it has not so many."""
    spots = [found.span() for found in _LOOSE.finditer(note) if found[1] and found[1] not in kept]
    for start, end in spots[::-1][: max(count, 0)]:
        note = note[:start] + note[end:]
    return note


def _drop_sentence(note: str) -> str:
    """Return the note without its last sentence that is not the first of a line and holds nothing to keep."""
    for found in reversed([*_FREE_SENTENCE.finditer(note)]):
        inside = re.search(_FIXED, found[0]) or _KEPT.intersection(found[0][:-1].split())
        if not inside and note[: found.start()].endswith((".", "!", "?")):
            return note[: found.start()] + note[found.end() :]
    return note


def at_most_words(note: str, n: int) -> str:
    """Return the note cut to n words or fewer: by whole sentences where that can be, else word by word."""
    while count_words(note) > n and (shorter := _drop_sentence(note)) != note:
        note = shorter
    note = drop(note, count_words(note) - n)
    return drop(note, count_words(note) - n, frozenset())


def at_least_words(note: str, n: int) -> str:
    """Return the note filled up to n words where it has fewer."""
    lacking = n - count_words(note)
    pieces: list[str] = []
    while lacking > 0:
        tail = TAILS[(n + len(pieces)) % len(TAILS)]
        pieces.append(tail if lacking > tail.count(" ") else _filler(n + lacking))
        lacking -= pieces[-1].count(" ") + 1
    return insert_tails(note, pieces)


def _break(line: str) -> int:
    """Return the space at which a line is best broken in two: a sentence's end, else a small word, near the middle."""
    for found in _BREAKS:
        spots = [match.start() for match in found.finditer(line)]
        if spots:
            return min(spots, key=lambda at: abs(2 * at - len(line)))
    return len(line)


def at_least_lines(note: str, n: int) -> list[str]:
    """Return the lines of a note that say something, the longest ones broken in two until there are n."""
    lines = [line for line in note.split("\n") if line.strip()] or [_filler(n)]
    while len(lines) < n:
        i = max(range(len(lines)), key=lambda at: (bool(_BREAKS[0].search(lines[at])), len(lines[at])))
        at = _break(lines[i])
        lines[i : i + 1] = [lines[i][:at], lines[i][at + 1 :] or _filler(i)]
    return lines


def groups(pieces: Sequence[str], n: int) -> list[Sequence[str]]:
    """Return the pieces in n groups of about the same size; fillers make up for missing pieces."""
    pieces = [*pieces, *(_filler(i) for i in range(n - len(pieces)))]
    return [pieces[i * len(pieces) // n : (i + 1) * len(pieces) // n] for i in range(n)]


def in_lines(x: str, n: int) -> str:
    """Return the note in n lines."""
    lines = at_least_lines(x, n)
    return "\n".join(lines if len(lines) == n else at_least_lines(" ".join(lines), n))


def in_paragraphs(x: str, n: int) -> str:
    """Return the note in n paragraphs, its lines kept."""
    return "\n\n".join("\n".join(group) for group in groups(at_least_lines(x, n), n))


def in_parts(x: str, text: str, n: int) -> str:
    """Return the note in n parts with a line that says `text` between them."""
    said = "\n".join(line for line in x.split("\n") if line.strip() != text)
    return f"\n{text}\n".join("\n".join(group) for group in groups(at_least_lines(said, n), n))


def _with_marked_lines(x: str, marks: Sequence[str]) -> str:
    """Return the note with the marks in front of its last lines that have none yet."""
    lines, more = at_least_lines(x, len(marks)), 0
    while len(free := [i for i, line in enumerate(lines) if line[0].isalpha()]) < len(marks) and more < len(marks):
        more += 1
        lines = at_least_lines("\n".join(lines), len(lines) + 1)
    for i, mark in zip(free[::-1], marks[::-1], strict=False):
        lines[i] = mark + lines[i]
    return "\n".join(lines)


def with_bullets(x: str, n: int) -> str:
    """Return the note with n bulleted lines."""
    return _with_marked_lines(re.sub("^- ", "", x, flags=re.M), ["- "] * n)


def with_numbers(x: str, n: int) -> str:
    """Return the note with n lines numbered from 1."""
    return _with_marked_lines(re.sub(r"^\d+\. ", "", x, flags=re.M), [f"{i + 1}. " for i in range(n)])


def as_json(x: str, keys: list[str]) -> str:
    """Return the words of the note as the values of a JSON object."""
    lines = at_least_lines(" ".join(x.replace('"', "").split()), len(keys))
    values = (" ".join(group) for group in groups(lines, len(keys)))
    return json.dumps(dict(zip(keys, values, strict=True)), ensure_ascii=False)


def as_csv(x: str, columns: list[str], rows: int) -> str:
    """Return the words of the note as the cells of CSV lines below a header."""
    lines = at_least_lines(" ".join(re.sub(r'[",]', "", x).split()), rows * len(columns))
    cells = [" ".join(group) for group in groups(lines, rows * len(columns))]
    return "\n".join(",".join(line) for line in [columns, *groups(cells, rows)])


def _exactly(note: str, found: re.Pattern[str], n: int, less: Callable[[re.Match[str]], str]) -> tuple[str, int]:
    """Return (the note without more than n matches, how many are missing); surplus ones are rewritten by `less`."""
    have = len(found.findall(note))
    return (found.sub(less, note, count=have - n), 0) if have > n else (note, n - have)


def _by_filler(found: re.Match[str]) -> str:
    return _filler(found.start())


@cache
def _whole(text: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)", flags)


def with_keyword(x: str, word: str, n: int) -> str:
    """Return the note with a word in it n times."""
    note, missing = _exactly(x, _whole(word, re.I), n, _by_filler)
    return insert_nouns(note, [word] * missing)


def with_min_keyword(x: str, word: str, n: int) -> str:
    """Return the note with a word in it n times and once more, or as often as it was there."""
    return insert_nouns(x, [word] * (n + 1 - len(_whole(word, re.I).findall(x))))


def without_words(x: str, words: list[str]) -> str:
    """Return the note with forbidden words replaced by others."""

    def other(found: re.Match[str]) -> str:
        word = INSTEAD.get(found[0].lower(), _by_filler(found))
        return word.capitalize() if found[0][0].isupper() else word

    for word in words:
        x = _whole(word, re.I).sub(other, x)
    return x


def with_phrase(x: str, text: str, n: int) -> str:
    """Return the note with a phrase in it n times."""
    note, missing = _exactly(x, _whole(text), n, _by_filler)
    return insert_tails(note, [text] * missing)


def with_placeholders(x: str, n: int) -> str:
    """Return the note with n placeholders in square brackets."""
    note, missing = _exactly(x, _PLACEHOLDER, n, lambda found: found[1])
    return insert_nouns(note, PLACEHOLDERS[:missing])


def with_hashtags(x: str, n: int) -> str:
    """Return the note with n hashtags."""
    note, missing = _exactly(x, _HASHTAG, n, lambda found: found[1])
    return insert_tails(note, HASHTAGS[:missing])


def with_questions(x: str, n: int) -> str:
    """Return the note with n question marks, in place of full stops where there are enough of them."""
    note = x.replace("?", "")
    stops, ends = _spots(note, _FULL_STOP), _spots(note, _WORD_END)
    if len(stops) >= n:
        for at in stops[:n]:
            note = f"{note[:at]}?{note[at + 1 :]}"
        return note
    for i in sorted({(i + 1) * len(ends) // n - 1 for i in range(n if ends else 0)}, reverse=True):
        note = f"{note[: ends[i]]}?{note[ends[i] :]}"
    return note


def _count_sentences(note: str) -> int:
    count, open_ = 0, False
    for piece in note.split():
        open_ = open_ or any(map(str.isalnum, piece))
        if open_ and piece.rstrip(_CLOSERS).endswith((".", "!", "?")):
            count, open_ = count + 1, False
    return count + open_


def in_sentences(x: str, n: int) -> str:
    """Return the note in n sentences, its questions kept: some are joined by a semicolon or broken in two."""
    note, have = x, _count_sentences(x)
    for at in _spots(x, _FULL_STOP)[:-1][: max(have - n, 0)]:
        note = f"{note[:at]};{note[at + 1 :]}"
    while have < n:
        lines = re.split(r"([.!?]\s+|\n)", note)
        i = max(range(0, len(lines), 2), key=lambda at: len(lines[at]))
        at, have = _break(lines[i]), have + 1
        lines[i] = f"{lines[i][:at]}. {lines[i][at + 1 : at + 2].upper()}{lines[i][at + 2 :]}"
        note = "".join(lines)
    return note if note[-1] in f".!?{_CLOSERS}}}" or note.endswith(ENDS) else f"{note}."


def without_digits(x: str) -> str:
    """Return the note without digits."""
    return " ".join(re.sub(r"\d", "", x).split(" "))


def with_digits(x: str, n: int) -> str:
    """Return the note with n digits in it."""
    have = len(re.findall(r"\d", x))
    if have > n:
        return re.sub(r"\d", "", x, count=have - n)
    return insert_tails(x, [DIGITS[: n - have]]) if have < n else x


def with_letter(x: str, letter: str, n: int) -> str:
    """Return the note with a letter in it n times; words that hold it make room for fillers."""
    x = re.sub(rf"[a-z]*{letter}[a-z]*", _by_filler, x, flags=re.I)
    return insert_nouns(x, [LETTER_WORDS[letter]] * n)


def with_first_letter(x: str, letter: str) -> str:
    """Return the note with every word replaced by one that begins with a letter, capitals kept."""
    pool = _beginning_with(letter)

    def other(found: re.Match[str]) -> str:
        word = pool[sum(map(ord, found[0])) % len(pool)]
        return word.capitalize() if found[0][0].isupper() else word

    return re.sub(r"[A-Za-z]+", other, x)


@cache
def _beginning_with(letter: str) -> tuple[str, ...]:
    return tuple(word for word in word_list() if word.startswith(letter)) or (letter,)


def with_short_words(x: str, n: int) -> str:
    """Return the note with words of more than n letters replaced by short fillers."""
    short = [filler for filler in FILLERS if len(filler) <= n]
    return re.sub(rf"\b[A-Za-z]{{{n + 1},}}\b", lambda found: short[found.start() % len(short)], x)


def with_capitals(x: str, n: int) -> str:
    """Return the note with n words in capitals."""
    note = _CAPITALS.sub(lambda found: found[0].lower(), x)
    spots = [found.span(1) for found in _INNER.finditer(note) if found[1]]
    for i in range(min(n, len(spots))):
        start, end = spots[i * len(spots) // n]
        note = note[:start] + note[start:end].upper() + note[end:]
    return note


def in_title_case(x: str) -> str:
    """Return the note with a capital letter at the start of every word."""
    return re.sub(r"(?<!\S)([^\w\s]*)([^\W_])", lambda found: found[1] + found[2].upper(), x)


def with_start(x: str, text: str) -> str:
    """Return the note with `text` in front; a marked first line stays a line of its own."""
    return x if x.startswith(text) else f"{text}{' ' if x[0].isalpha() else chr(10)}{x}"


def with_end(x: str, text: str) -> str:
    """Return the note with `text` behind it."""
    return x if x.endswith(text) else f"{x} {text}"
