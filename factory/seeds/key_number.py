"""The number a composed problem substitutes, and the integer an answer stands for.

R-HORIZON (arXiv 2510.08189) links problems by replacing one number of the next problem by a quantity of the one before.
Here no model is asked which number that may be: a number in any setting where a name in its place would not read, or
would change what is asked, is left alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

MAX_DIGITS = 18
"""Longer integers are codes rather than quantities, and would not fit the 64-bit columns."""

WINDOW = 80
"""Characters of context read on either side of a number, which keeps the search linear in the length of the text."""

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)"
)
_ITEM = r"[-+−]?(?:[0-9]+(?:\.[0-9]+)?|[A-Za-z][0-9]?)"
_FUNCTION = r"(?:sqrt|log|ln|exp|sin|cos|tan|gcd|lcm|mod)"
_LABEL = (
    r"(?:(?i:problem|figure|fig\.|chapter|exercise|question|theorem|lemma|equation|eq\.|page|grade|version|appendix"
    r"|n[or]\.)"
    r"|Table|Step|Part|Case|Example|Box|Bus|Line|Team|Group|Train|Machine|Player|Type|Level|Round|Stage|Plan|Option"
    r"|Class|Car|Bag|Jar|Point|Number|Section|Room|Route|Highway|Flight|Gate|Platform)"
)
_UNIT = (
    r"(?:seconds|minutes|hours|days|weeks|months|inches|feet|centimet(?:er|re)s|met(?:er|re)s|grams|cents|cm|mm|m|g)"
)
_LARGER_UNIT = r"(?:minute|hour|day|week|month|year|foot|yard|met(?:er|re)|kilomet(?:er|re)|kilogram|dollar|euro|pound)"

_STANDS_AFTER = re.compile(r"""(?:\A|[\s("“‘«=<>+≤≥≈~×÷—$€£¥₹₩¢])\Z""")
_STANDS_BEFORE = re.compile(
    r"""\Z|\s|[.,:'’](?![0-9])|[-‐](?=[A-Za-z])|/(?=[A-Za-z]{2})|[;?)%°"”»=<>+≤≥≈~×÷—…$€£¥₹₩¢\\]"""
)

_NOT_AFTER: dict[str, re.Pattern[str]] = {
    "fraction, ratio": re.compile(r"[0-9]\s*[/⁄:]\s*\Z"),
    "range": re.compile(r"[0-9]\s*[–—]\s*\Z"),
    "exponent, subscript": re.compile(r"(?:\^|\*\*|_)\s*\Z"),
    "label": re.compile(rf"(?:\b{_LABEL}\s*|[#№]\s*)\Z"),
    "date": re.compile(rf"\b{_MONTH}\.?\s+(?:[0-9]{{1,2}},?\s+)?\Z"),
    "function": re.compile(rf"(?:[A-Za-z0-9]\(|\b{_FUNCTION}(?:[_^](?:\{{[^{{}}]*\}}|\w))?)\s*\(?\s*\Z"),
    "conversion": re.compile(r"\b1\s+[A-Za-z]+\s*=\s*\Z"),
    "rounding": re.compile(r"(?i)\bnearest\s+\Z"),
    "address": re.compile(r"://\S*\Z"),
}
_NOT_BEFORE: dict[str, re.Pattern[str]] = {
    "fraction, ratio": re.compile(r"\s*[/⁄:]\s*[0-9]"),
    "mixed number": re.compile(r"\s+[0-9]+\s*[/⁄]\s*[0-9]|\s*[¼-¾⅐-⅞]|\s*\\[dt]?frac"),
    "range": re.compile(r"\s*[–—]\s*[0-9]"),
    "exponent": re.compile(r"\s*(?:\^|\*\*)"),
    "thousands": re.compile(r"[ \u00a0\u2009\u202f][0-9]{3}(?![0-9])"),
    "time": re.compile(r"\s*(?:[ap]\.\s?m\.|[ap]m\b|[AP]M\b|o['’]clock)"),
    "date": re.compile(rf"(?:\s+of)?\s+{_MONTH}\b"),
    "conversion": re.compile(rf"\s+{_UNIT}\s+(?:in|to|make|=)\s+(?:an?|one|1|each|every)\s+{_LARGER_UNIT}\b"),
    "rounding": re.compile(r"\s+(?:decimal|significant)\b"),
}
_NOT_BETWEEN: dict[str, tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]] = {
    "thousands": (re.compile(r"(?<![0-9])[0-9]{1,3}[ \u00a0\u2009\u202f]\Z"), re.compile(r"[0-9]{3}"), re.compile("")),
    "year": (
        re.compile(r"(?i)\b(?:in|since|year|during|until)\s+\Z"),
        re.compile(r"1[6-9][0-9]{2}|20[0-9]{2}"),
        re.compile(""),
    ),
    "list marker": (re.compile(r"(?:\A|\n)[ \t]*\Z"), re.compile(r"[0-9]+"), re.compile(r"[.)]\s")),
    "coordinates": (
        re.compile(rf"[(\[{{]\s*(?:{_ITEM}\s*[,;]\s*)*\Z"),
        re.compile(r"[0-9]+"),
        re.compile(rf"\s*(?:[,;]\s*{_ITEM}\s*)*(?:\\right)?\\?[)\]}}]"),
    ),
}
"""What stands before, the number itself, what stands after: all three must match."""

_DIGITS = re.compile(r"[0-9]+")
_LATEX = re.compile(r"\\[dt]?frac\s*[0-9]\s*[0-9]|\\[A-Za-z]+\*?|[_^]")
_BRACKET = re.compile(r"[{}\[\]]")
_CLOSING = {"{": "}", "[": "]"}
_PLAIN_INTEGER = re.compile(r"([-−+]?)(?:\\?[$€£¥₹₩])?([-−+]?)([0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.0*)?")


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """A stand-alone positive integer and where it stands: `question[start:end]` is `str(value)`."""

    value: int
    start: int
    end: int


def key_number(question: str) -> KeyNumber | None:
    """Return the number of the question that a name may replace, or None when there is none.

    Left alone are numbers in decimals, fractions, ratios, ranges, exponents, times, dates, labels, coordinates,
    thousands-formatted numbers, LaTeX commands with their arguments, sub- and superscripts, unit conversions and
    rounding rules, and those glued to letters or to a minus sign. A currency sign before and a percent sign after are
    fine: "$B" and "B%" still read.

    Of the rest: a number from 2 on comes before a 1, since a 1 governs a singular; then one whose value stands
    only once comes before one that is said again elsewhere and could be read off there; then the last one, which most
    often belongs to what is asked rather than to the scene.
    """
    found = list(_candidates(question))
    times = Counter(key.value for key in found)
    return max(found, key=lambda key: (key.value >= 2, times[key.value] == 1, key.start), default=None)


def substitute(question: str, key: KeyNumber, name: str) -> str:
    """Return the question with its key number replaced by the name, and nothing else changed.

    Raises ValueError when the key is not one of this question.
    """
    if question[key.start : key.end] != str(key.value):
        raise ValueError(f"{key.value} does not stand at [{key.start}:{key.end}] of the question")
    return question[: key.start] + name + question[key.end :]


def numeric_answer(text: str) -> int | None:
    """Return the integer an answer stands for, or None when it is not exactly one integer.

    Read are what follows the last `####` (as in GSM8K), else what is in `\\boxed{}`, else the whole text. A currency
    sign, thousands commas, a fraction of zeros and surrounding dollar signs are understood; a percentage, a unit
    or a second number is not.
    """
    if "####" in text:
        text = text.rpartition("####")[2]
    if r"\boxed{" in text:
        values = {_plain_integer(content) for content in _boxed(text)}
        return values.pop() if len(values) == 1 else None
    return _plain_integer(text)


def _plain_integer(text: str) -> int | None:
    text = text.strip().replace("{,}", ",").replace(r"\!", "")
    for opening, closing in (("$$", "$$"), ("$", "$"), (r"\(", r"\)")):
        if len(text) > len(opening + closing) and text.startswith(opening) and text.endswith(closing):
            text = text[len(opening) : -len(closing)].strip()
    match = _PLAIN_INTEGER.fullmatch(text)
    if match is None or (match[1] and match[2]):
        return None
    digits = match[3].replace(",", "")
    if len(digits) > MAX_DIGITS:
        return None
    return -int(digits) if (match[1] or match[2]) in {"-", "−"} else int(digits)


def _boxed(text: str) -> Iterator[str]:
    start = text.find(r"\boxed{")
    while start >= 0:
        brace = start + len(r"\boxed")
        end = _group_end(text, brace)
        yield text[brace + 1 : end - 1] if end else ""
        start = text.find(r"\boxed{", end or len(text))


def _candidates(question: str) -> Iterator[KeyNumber]:
    latex = _latex_spans(question)
    span = next(latex, None)
    for match in _DIGITS.finditer(question):
        start, end = match.span()
        while span is not None and span[1] <= start:
            span = next(latex, None)
        if span is not None and span[0] < end:
            continue
        if match[0][0] != "0" and end - start <= MAX_DIGITS and _stands_alone(question, start, end):
            yield KeyNumber(int(match[0]), start, end)


def _stands_alone(text: str, start: int, end: int) -> bool:
    left, right = max(0, start - WINDOW), min(len(text), end + WINDOW)

    def before(pattern: re.Pattern[str]) -> bool:
        return pattern.search(text, left, start) is not None

    def after(pattern: re.Pattern[str]) -> bool:
        return pattern.match(text, end, right) is not None

    if not (before(_STANDS_AFTER) and after(_STANDS_BEFORE)):
        return False
    if any(before(pattern) for pattern in _NOT_AFTER.values()):
        return False
    if any(after(pattern) for pattern in _NOT_BEFORE.values()):
        return False
    return not any(
        number.fullmatch(text, start, end) and before(ahead) and after(behind)
        for ahead, number, behind in _NOT_BETWEEN.values()
    )


def _latex_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of environments, of commands with arguments, and of sub- and superscripts, in order and apart."""
    first, last = text.find(r"\begin{"), text.rfind(r"\end{")
    position = 0
    while match := _LATEX.search(text, position):
        start, position = match.span()
        if first >= 0 and start >= first and start < last:
            position = last
        elif match[0] in {"_", "^"} and text[position : position + 1] not in {"{", "\\"}:
            position = min(len(text), position + 1)
        else:
            position = _arguments_end(text, position)
        yield start, position


def _arguments_end(text: str, position: int) -> int:
    """Return where the bracketed arguments that follow a LaTeX command end."""
    end = position
    while text[position : position + 1] in {"{", "[", " "}:
        if text[position] != " ":
            end = position = _group_end(text, position) or len(text)
        else:
            position += 1
    return end


def _group_end(text: str, start: int) -> int | None:
    """Return the position after the bracket that closes the one at `start`, or None when it is left open."""
    closing = _CLOSING[text[start]]
    depth = 0
    for match in _BRACKET.finditer(text, start):
        depth += (match[0] == text[start]) - (match[0] == closing)
        if depth == 0:
            return match.end()
    return None
