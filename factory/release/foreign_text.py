"""Text of strangers in Markdown: what it holds is shown, and acts on nothing around it."""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher

from factory.release.markdown import fence

# Marks that are not seen but move, hide or join what is: all format characters but the two joiners, which scripts and
# emoji need, C0 and C1 but tab and line feed, and the separators that some readers take for line ends.
_FORMAT = (
    "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
)
_PLANES = "\ufff9-\ufffb\U000110bd\U000110cd\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
UNSEEN = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_FORMAT}{_PLANES}]")
JOINERS = re.compile("(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])|[\u200c\u200d](?=[\u200c\u200d])")
# Of what works inside a line: code, emphasis, links, HTML, entities, formulas, strike-through, the border of a cell. An
# underscore inside a word is none of it.
MARKUP = re.compile(r"[\\`*\[\]<>|~$&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=:)/(?=/)")
PLAIN_NAME = re.compile(r"[A-Za-z0-9](?:[\w.:/@+\- ]*[\w@+])?", re.ASCII)
COMBINING = 4  # marks on one letter that a script may need; a pile of more runs over other lines


def visible(text: str) -> str:
    """Return a text whose unseen marks are shown by their code points; line ends are line feeds."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return _unpiled(JOINERS.sub(_code_point, UNSEEN.sub(_code_point, plain)))


def _code_point(found: re.Match[str]) -> str:
    return f"\u2039U+{ord(found[0]):04X}\u203a"


def _unpiled(text: str) -> str:
    if text.isascii():
        return text
    out, run = [], 0
    for letter in text:
        run = run + 1 if unicodedata.combining(letter) else 0
        if run <= COMBINING:
            out.append(letter)
    return "".join(out)


def cell(text: str) -> str:
    """Return a text as one line of Markdown that shows it and does nothing: no markup, link, HTML, end of a cell."""
    return MARKUP.sub(lambda found: f"&#{ord(found[0])};", " ".join(visible(text).split()))


def code(name: str) -> str:
    """Return a name in code style where it is a plain one, else as text."""
    return f"`{name}`" if PLAIN_NAME.fullmatch(name) else cell(name)


def fenced(text: str) -> str:
    """Return a text in a code fence, as it is but for unseen marks."""
    return fence(visible(text))


def cut(text: str, longest: int) -> str:
    """Return the beginning of a text, at most so many characters."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def side_by_side(left: str, right: str) -> tuple[str, str]:
    """Return two texts as cells, words that the other has not at that place in bold.

    Texts are some hundred characters: the comparison takes time with the square of their words.
    """
    a, b = visible(left).split(), visible(right).split()
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    of_a: list[str] = []
    of_b: list[str] = []
    for what, a_from, a_to, b_from, b_to in matcher.get_opcodes():
        of_a += _marked(a[a_from:a_to], what != "equal")
        of_b += _marked(b[b_from:b_to], what != "equal")
    return " ".join(of_a), " ".join(of_b)


def _marked(words: list[str], bold: bool) -> list[str]:
    if not words:
        return []
    text = cell(" ".join(words))
    return [f"**{text}**" if bold and text else text]
