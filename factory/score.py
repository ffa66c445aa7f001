"""The scorer: one file, standard library only, so that a release can be scored without the factory that made it.

A verifier is a mapping {"kind", "gold", "args"}: a kind of the closed set KINDS (the end of this file), the gold answer
as text, and the kind's arguments as a JSON object (a mapping, its text, or nothing). `score` reads the final answer out
of a reply and compares it with the gold; it says None, never 0, where the verifier itself is broken.

    text         the very characters (NFC); quotes may be added; {"case": false} ignores case
    number       one number and nothing else: 1,234.50, 3/4, 2e3, $5, 40%; {"unit": "km", "tolerance": 0.01}
    list, set    JSON, Python or bare (a, b, c); a set forgets order and repeats
    table        CSV or a Markdown table with the same header; {"ordered": false} lets rows move
    json         equal by value: 1 is 1.0 and not true
    date         2024-03-03, 3 March 2024, March 3, 2024, 3 Mar 2024
    boolean      true or yes, false or no
    expression   {"numbers": [3, 8], "target": 24}: each number once, + - * / and brackets, any way to the target
    constraints  {"checks": [{"check": NAME, "skill": SKILL, ...}]}: all of CHECKS named; partial credit per skill
    rubric       a text that judges graded: the gold is a good reply; None for any other that breaks none of {"checks"}
    abstain      the reply says that something is missing, names one of {"names": [...]}, and gives no answer

    python score.py VERIFIERS.jsonl ANSWERS.jsonl     lines {"id", "verifier"} and {"id", "answer"}
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import Any
from unicodedata import normalize

Args = Mapping[str, Any]
Ratio = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Score:
    """What an answer is worth: `value` in [0, 1], None where the verifier cannot decide; `parts`: value per skill."""

    value: float | None
    reason: str
    parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind checks an answer, builds a wrong one, and how much of a reply it reads (`whole`: all of it)."""

    check: Callable[[str, str, Args], Score]
    breaker: Callable[[str, Args], str]
    multi_line: bool
    whole: bool = False


class Undecided(ValueError):
    """The verifier is broken, so that no answer can be judged by it."""


def score(answer: str, verifier: Mapping[str, Any]) -> Score:
    """Return what `answer` (a bare answer or a full reply) is worth; an unknown kind raises ValueError."""
    kind = _kind(verifier)
    gold = verifier.get("gold")
    try:
        if type(gold) is not str:
            raise Undecided(f"gold: text wanted, found {type(gold).__name__}")
        args = _read_args(verifier.get("args"))
        if kind.whole or answer == gold:
            text = answer.strip()
        else:
            text = final_answer(answer, kind.multi_line or "\n" in gold)
        judged = kind.check(text, gold, args)
        return judged if text else Score(0.0, "empty", dict.fromkeys(judged.parts, 0.0))
    except Undecided as problem:
        return Score(None, str(problem), {})


def wrong_answers(verifier: Mapping[str, Any]) -> dict[str, str]:
    """Return answers that a sane verifier must not score 1: broken, empty, cut and number_spam.

    `cut` is the first half of the gold, halved again while it is still right (half of "8*3 = 24" is).
    """
    kind = _kind(verifier)
    gold = str(verifier.get("gold") or "").strip()
    try:
        broken = kind.breaker(gold, _read_args(verifier.get("args")))
    except Undecided:
        broken = gold + "?"
    cut = gold[: len(gold) // 2]
    while cut and score(cut, verifier).value == 1.0:
        cut = cut[: len(cut) // 2]
    return {"broken": broken, "empty": "", "cut": cut, "number_spam": _SPAM + _NON_DIGITS.sub("", gold)}


def compute_score(
    data_source: str, solution_str: str, ground_truth: str | Mapping[str, Any], extra_info: object = None
) -> float:
    """Return the reward of a reply: verl's custom reward signature, with the verifier (or its JSON) as ground truth.

    A reply that cannot be judged earns 0.0, since a trainer has no word for "undecided".
    """
    verifier = json.loads(ground_truth) if isinstance(ground_truth, str) else ground_truth
    return score(solution_str, verifier).value or 0.0


_SPAM = " ".join(map(str, range(21))) + " "
_NON_DIGITS = re.compile(r"[^0-9]+")


def _kind(verifier: Mapping[str, Any]) -> Kind:
    name = verifier.get("kind")
    kind = KINDS.get(name) if type(name) is str else None
    if kind is None:
        raise ValueError(f"unknown verifier kind {name!r}{_nearest(str(name), KINDS)}")
    return kind


def _nearest(name: str, valid: Mapping[str, Any]) -> str:
    import difflib  # only mistakes pay for it

    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.0)
    return f", did you mean {close[0]!r}?" if close else ""


def _read_args(args: object) -> Args:
    if not args:
        return _NO_ARGS
    if type(args) is str:
        return _load_args(args)
    if not isinstance(args, Mapping):
        raise Undecided(f"args: an object wanted, found {type(args).__name__}")
    return args


_NO_ARGS: Args = {}
_dump = json.JSONEncoder(ensure_ascii=False).encode


@lru_cache(maxsize=1024)
def _load_args(text: str) -> Args:
    try:
        args = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Undecided(f"args: not JSON: {error}") from None
    if not isinstance(args, dict):
        raise Undecided(f"args: an object wanted, found {type(args).__name__}")
    return args


def _right() -> Score:
    return Score(1.0, "", {})


def _wrong(reason: str) -> Score:
    return Score(0.0, reason, {})


# ------------------------------------------------------------------------------------------------ the final answer

_MARKER = re.compile(
    r"[ \t>#]*(\*{1,3}|__?)?(?:final[ \t]+)?answer[ \t]*(?(1)(?:(\1)[ \t]*:|:[ \t]*(\1)|:)|:)[ \t]*", re.IGNORECASE
)
_SKIPPED = re.compile(r"(?:```[^`]*|\$\$|\\\[)?")
_BRACES = re.compile(r"\\boxed\s*\{|\\.|[{}]", re.DOTALL)
_HEADS = frozenset("`*_$\\")
_TEXT_WRAPS = (("**", "**"), ("`", "`"))
_WRAPS = (*_TEXT_WRAPS, ("__", "__"), ("*", "*"), ("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))


def final_answer(text: str, multi_line: bool = False) -> str:
    """Return the stripped text after the last line-start "Answer:", else in the last \\boxed{...}, else all of it.

    After the marker it runs to the end of the line (the next one that says something, where that is empty), or with
    `multi_line` to the end of the text.
    """
    marker = _last_marker(text)
    if marker is None:
        span = _boxed(text) if "\\boxed" in text else None
        return text[span[0] : span[1]].strip() if span else text.strip()
    rest = text[marker.end() :].strip()
    if not multi_line:
        rest = next((line for line in rest.split("\n") if not _SKIPPED.fullmatch(line.strip())), "").strip()
    if marker[1] and not (marker[2] or marker[3]):
        rest = rest.removesuffix(marker[1]).rstrip()
    if "\\boxed" in rest and (span := _boxed(rest)):
        outside = rest[: span[0]].rpartition("\\boxed")[0] + rest[span[1] + 1 :]
        return rest if outside.strip(" $()[]\\.*") else rest[span[0] : span[1]].strip()
    return rest


def _last_marker(text: str) -> re.Match[str] | None:
    # Only the dotted capital I changes its length when lowered, which would shift every place after it.
    lowered = text.lower() if text.isascii() else text.replace("\u0130", "I").lower()
    end = len(lowered)
    while (at := lowered.rfind("answer", 0, end)) >= 0:
        end = lowered.rfind("\n", 0, at) + 1
        if marker := _MARKER.match(text, end):
            return marker
    return None


def _boxed(text: str) -> tuple[int, int] | None:
    opened: list[int] = []
    best: tuple[int, int] | None = None
    for brace in _BRACES.finditer(text):
        token = brace[0]
        if token == "}":
            start = opened.pop() if opened else -1
            if start >= 0 and (best is None or start > best[0]):
                best = (start, brace.start())
        elif token[-1] == "{" and token != "\\{":
            opened.append(brace.end() if len(token) > 1 else -1)
    return best


def _unwrap(text: str, wraps: tuple[tuple[str, str], ...] = _WRAPS, stop: bool = True) -> str:
    for _ in range(6):
        if stop and text[-1:] == ".":
            text, stop = text[:-1].rstrip(), False
        if text[:1] not in _HEADS:
            return text
        inner = _unfence(text)
        for left, right in wraps:
            if inner.startswith(left) and inner.endswith(right) and len(inner) > len(left) + len(right):
                inner = inner[len(left) : -len(right)].strip()
                break
        if inner == text:
            return text
        text = inner
    return text


def _unfence(text: str) -> str:
    if len(text) > 6 and text.startswith("```") and text.endswith("```"):
        info, newline, body = text[3:-3].partition("\n")
        return (body if newline else info).strip()
    return text


# ---------------------------------------------------------------------------------------------- text and boolean

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»"}
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


def _check_text(text: str, gold: str, args: Args) -> Score:
    wanted = gold.strip()
    if not wanted:
        raise Undecided("gold: empty text")
    if text == wanted:
        return _right()
    if args.get("case") is False:
        text, gold, wanted = (normalize("NFC", part).casefold() for part in (text, gold, wanted))
    elif not (text.isascii() and gold.isascii()):
        text, gold, wanted = (normalize("NFC", part) for part in (text, gold, wanted))
    bare = _unwrap(text, _TEXT_WRAPS, stop=False)
    if wanted in (text, bare):
        return _right()
    quoted = len(bare) > 1 and _QUOTES.get(bare[0]) == bare[-1] and not (gold[0] == bare[0] and gold[-1] == bare[-1])
    # Inside quotes an outer space is said on purpose: there the gold is compared unstripped.
    return _right() if quoted and bare[1:-1] == gold else _wrong("other text")


def _break_text(gold: str, args: Args) -> str:
    return ("y" if gold[:1] in ("x", "X") else "x") + gold[1:]


def _check_boolean(text: str, gold: str, args: Args) -> Score:
    wanted = _BOOLEANS.get(gold.strip().lower())
    if wanted is None:
        raise Undecided(f"gold: not a boolean: {gold!r}")
    found = _BOOLEANS.get(_unwrap(text).lower())
    if found is None:
        return _wrong("not a boolean")
    return _right() if found is wanted else _wrong("other boolean")


def _break_boolean(gold: str, args: Args) -> str:
    return "false" if _BOOLEANS.get(gold.lower()) else "true"


# ------------------------------------------------------------------------------------------------------- number

_CORE = (
    r"((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)"
    r"(?:[eE]([-+]?[0-9]{1,3}))?(?:\s*/\s*([0-9]+))?"
)
_VALUE = re.compile(r"([-+−]?)" + _CORE)
_NUMBER = re.compile(r"([-+−]?)\s*([$€£]?)\s*([-+−]?)" + _CORE + r"\s*([^\s0-9].*)?")
_FRACTION = re.compile(r"\\[dt]?frac\{([0-9]+)\}\{([0-9]+)\}")
_WRAPPED_WORD = re.compile(r"\\(?:text|mathrm|operatorname)\{([^{}]*)\}")
_LATEX = {"{,}": ",", "\\$": "$", "\\%": "%", "\\times": "*", "\\cdot": "*", "\\div": "/", "\\left": "", "\\right": ""}
_LATEX |= {"\\,": " ", "\\;": " ", "\\ ": " ", "\\!": "", "~": " "}
_UNITS = {"percent": "%", "dollar": "$", "dollars": "$", "usd": "$", "euro": "€", "euros": "€", "eur": "€", "gbp": "£"}
_LONGEST = 200  # characters of a number or an expression: longer ones only cost time


def _plain_latex(text: str, fraction: str) -> str:
    text = _WRAPPED_WORD.sub(r"\1", _FRACTION.sub(fraction, text))
    for latex, plain in _LATEX.items():
        text = text.replace(latex, plain)
    return text


def _ratio(sign: str, digits: str, exponent: str | None, denominator: str | None) -> Ratio | None:
    whole, _, decimals = digits.partition(".")
    top, bottom = int(whole.replace(",", "") + decimals), 10 ** len(decimals)
    if exponent:
        top, bottom = top * 10 ** max(int(exponent), 0), bottom * 10 ** max(-int(exponent), 0)
    if denominator:
        bottom *= int(denominator)
    if not bottom:
        return None
    shared = gcd(top, bottom) if bottom > 1 else 1
    return (-top if sign in ("-", "−") else top) // shared, bottom // shared


def _value(text: str) -> Ratio | None:
    """Return a number without sign of money or unit as a reduced (numerator, denominator)."""
    if len(text) > _LONGEST:
        return None
    if text.isdecimal() and text.isascii():
        return int(text), 1
    match = _VALUE.fullmatch(text)
    return _ratio(*match.groups()) if match else None


def _quantity(text: str) -> tuple[Ratio, str] | None:
    """Return (number, unit) of a text that is one number; the unit is "" where none is said."""
    if len(text) > _LONGEST:
        return None
    if text.isdecimal() and text.isascii():
        return (int(text), 1), ""
    if "\\" in text or "{" in text:
        text = _plain_latex(text, r"\1/\2").strip()
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, money, inner_sign, *core, after = match.groups()
    unit = _unit(after) if after else ""
    value = _ratio(sign or inner_sign, *core)
    if value is None or (sign and inner_sign) or (money and unit and unit != money):
        return None
    return value, money or unit


@lru_cache(maxsize=1024)
def _unit(text: str) -> str:
    text = text.strip()
    # Case tells mW from MW, a final s tells ms from m: only words are read loosely.
    loose = text.lower().removesuffix("s") if len(text) > 3 and text.isalpha() else text
    return _UNITS.get(text.lower(), loose)


@lru_cache(maxsize=4096)
def _gold_quantity(gold: str, unit: str, tolerance: str) -> tuple[Ratio, str, Ratio]:
    quantity, allowed = _quantity(gold.strip()), _value(tolerance)
    if quantity is None:
        raise Undecided(f"gold: not a number: {gold!r}")
    if unit and quantity[1] not in ("", _unit(unit)):
        raise Undecided(f"gold: {gold!r} is not in {unit!r}")
    if allowed is None or allowed[0] < 0:
        raise Undecided(f"args: tolerance is not a number >= 0: {tolerance!r}")
    return quantity[0], _unit(unit) if unit else quantity[1], allowed


def _check_number(text: str, gold: str, args: Args) -> Score:
    unit, tolerance = (str(args.get("unit") or ""), str(args.get("tolerance") or "0")) if args else ("", "0")
    wanted, unit, (allowed, scale) = _gold_quantity(gold, unit, tolerance)
    found = _quantity(_unwrap(text))
    if found is None:
        return _wrong("not one number")
    value, said = found
    if said and said != unit:
        if unit or said not in ("%", "$", "€", "£"):
            return _wrong("other unit")
        # No unit was asked for. Up to 1 the gold is a share, and a percent sign means hundredths; above, it is a label.
        if said == "%" and abs(wanted[0]) <= wanted[1]:
            value = (value[0], value[1] * 100)
    gap, both = abs(value[0] * wanted[1] - wanted[0] * value[1]), value[1] * wanted[1]
    return _wrong("other number") if gap and gap * scale > allowed * both else _right()


def _break_number(gold: str, args: Args) -> str:
    unit, tolerance = str(args.get("unit") or ""), str(args.get("tolerance") or "0")
    (top, bottom), _, (allowed, scale) = _gold_quantity(gold, unit, tolerance)
    top += bottom * (1 - (-allowed // scale))
    return str(top) if bottom == 1 else f"{top}/{bottom}"


# ------------------------------------------------------------------------------------------------- list and set

_ITEM = re.compile(
    r"""\s*(?:"([^"\\]*(?:\\.[^"\\]*)*)"\s*|'([^'\\]*(?:\\.[^'\\]*)*)'\s*|([^\s,\[\]{}"'][^,\[\]{}]*))(,|\Z)""",
    re.DOTALL,
)
_CLOSING = {"[": "]", "{": "}"}


def _items(text: str, brackets: str) -> list[str] | None:
    """Return the elements as text, or None where the text is not one flat list."""
    text = _unwrap(text)
    if text.startswith("\\{") and text.endswith("\\}"):
        text = "{" + text[2:-2] + "}"
    if not text or (text[0] in brackets and (len(text) < 2 or text[-1] != _CLOSING[text[0]])):
        return None
    if text[0] in brackets:
        text = text[1:-1]
        if not text or text.isspace():
            return []
    if '"' in text or "'" in text:
        return _quoted_items(text)
    if "[" in text or "]" in text or "{" in text or "}" in text:
        return None
    items = [item.strip() for item in text.split(",")]
    return items if all(items) else None


def _quoted_items(text: str) -> list[str] | None:
    items, at, more = [], 0, ","
    while more:
        match = _ITEM.match(text, at)
        if match is None:
            return None
        double, single, bare, more = match.groups()
        if bare is None:
            body = double if double is not None else single.replace("\\'", "'").replace('"', '\\"')
            try:
                bare = json.loads(f'"{body}"', strict=False) if "\\" in body else body
            except ValueError:
                return None
        items.append(bare if match[3] is None else bare.rstrip())
        at = match.end()
    return items


def _exact(text: str) -> Ratio:
    value = _value(text)
    if value is None:
        raise ValueError(f"not a number that can be compared: {text[:40]!r}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


# Numbers become (numerator, denominator), so that 1 equals 1.0 exactly and neither equals true.
_EXACT = json.JSONDecoder(parse_int=_exact, parse_float=_exact, parse_constant=_exact, object_pairs_hook=_unique)


@lru_cache(maxsize=1024)
def _gold_json(gold: str) -> object:
    try:
        return _EXACT.decode(gold.strip())
    except (ValueError, RecursionError) as error:
        raise Undecided(f"gold: not JSON: {error}") from None


def _listed(gold: str) -> str:
    """Return the gold of a list or a set as a JSON array: a set may be written in braces."""
    gold = gold.strip()
    return f"[{gold[1:-1]}]" if gold.startswith("{") and gold.endswith("}") else gold


def _gold_items(gold: str) -> list[str | Ratio]:
    items = _gold_json(_listed(gold))
    if not isinstance(items, list) or not all(isinstance(item, str | tuple) for item in items):
        raise Undecided("gold: not a JSON array of numbers and strings")
    return items


def _is_item(found: str, wanted: str | Ratio) -> bool:
    if type(wanted) is str:
        return found == wanted or normalize("NFC", found) == normalize("NFC", wanted)
    return _value(found) == wanted


def _check_list(text: str, gold: str, args: Args) -> Score:
    wanted = _gold_items(gold)
    found = _items(text, "[")
    if found is None:
        return _wrong("not a list")
    if len(found) != len(wanted):
        return _wrong("other length")
    return _right() if all(map(_is_item, found, wanted)) else _wrong("other element")


def _check_set(text: str, gold: str, args: Args) -> Score:
    wanted = {normalize("NFC", item) if type(item) is str else item for item in _gold_items(gold)}
    found = _items(text, "[{")
    if found is None:
        return _wrong("not a set")
    missed = set(wanted)
    for item in found:
        # Unquoted, 7 may be the number or the string: it stands for whichever the gold has.
        meant = {normalize("NFC", item), _value(item)} & wanted
        if not meant:
            return _wrong("other elements")
        missed -= meant
    return _wrong("missing elements") if missed else _right()


def _break_list(gold: str, args: Args) -> str:
    wanted = _gold_items(gold)
    items = json.loads(_listed(gold))[:-1]
    # Longer than the longest, larger than the largest: no element of the set equals it.
    if wanted and isinstance(wanted[-1], str):
        items.append(max((item for item in wanted if isinstance(item, str)), key=len) + "x")
    else:
        items.append(max((item[0] // item[1] for item in wanted if isinstance(item, tuple)), default=-1) + 1)
    return _dump(items)


# ----------------------------------------------------------------------------------------------- table and json


def _table(text: str) -> list[list[str]]:
    """Return the header and rows of a CSV or Markdown table, blank lines left out; csv.Error where it is neither."""
    text = _unfence(text)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(lines) > 1 and "-" in lines[1] and "|" in lines[0] and set(lines[1]) <= set("|:- \t"):
        return [_pipe_cells(line) for line in (lines[0], *lines[2:])]
    return _csv_rows(text)


def _csv_rows(text: str) -> list[list[str]]:
    # Line ends stay in the lines, since a quoted cell may hold one.
    rows = csv.reader((line + "\n" for line in text.split("\n")), strict=True, skipinitialspace=True)
    return [[cell.strip() for cell in row] for row in rows if row]


def _pipe_cells(line: str) -> list[str]:
    line = line.removeprefix("|")
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _PIPE.split(line)]


_PIPE = re.compile(r"(?<!\\)\|")
_Cells = tuple[tuple[str | Ratio, ...], ...]


@lru_cache(maxsize=256)
def _gold_table(gold: str) -> tuple[tuple[str, ...], _Cells]:
    try:
        rows = _table(gold.strip())
    except csv.Error as error:
        raise Undecided(f"gold: not a table: {error}") from None
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise Undecided("gold: not a table with a header and rows of its width")
    return tuple(rows[0]), _cells(rows)


def _cells(rows: list[list[str]]) -> _Cells:
    return tuple(tuple(_value(cell) or cell for cell in row) for row in rows[1:])


def _check_table(text: str, gold: str, args: Args) -> Score:
    header, wanted = _gold_table(gold)
    try:
        rows = _table(text)
    except csv.Error:
        return _wrong("not a table")
    if not rows or tuple(rows[0]) != header:
        return _wrong("other header")
    found = _cells(rows)
    if args.get("ordered") is False:
        found, wanted = tuple(sorted(found, key=repr)), tuple(sorted(wanted, key=repr))
    return _right() if found == wanted else _wrong("other cells")


def _break_table(gold: str, args: Args) -> str:
    _gold_table(gold)
    rows = _table(gold)
    rows[-1][-1] += "9" if _value(rows[-1][-1]) != (0, 1) else "1"
    return "\n".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)


def _check_json(text: str, gold: str, args: Args) -> Score:
    wanted = _gold_json(gold)
    try:
        return _right() if _EXACT.decode(_unfence(text)) == wanted else _wrong("other value")
    except (ValueError, RecursionError):
        return _wrong("not JSON")


def _break_json(gold: str, args: Args) -> str:
    _gold_json(gold)
    return _dump(_altered(json.loads(gold)))


def _altered(value: Any) -> Any:
    """Return the JSON value with its last leaf changed."""
    if isinstance(value, dict | list) and value:
        last = list(value)[-1] if isinstance(value, dict) else len(value) - 1
        value[last] = _altered(value[last])
        return value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return -value if value else 1
    return value + "x" if isinstance(value, str) else [value]


# --------------------------------------------------------------------------------------------------------- date

_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = {name[:short]: at for at, name in enumerate(_MONTHS, 1) for short in (3, len(name))} | {"sept": 9}
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ISO = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_WRITTEN = re.compile(
    r"(?:([0-9]{1,2})(?:st|nd|rd|th)?\s+([a-z]+)\.?,?|([a-z]+)\.?\s+([0-9]{1,2})(?:st|nd|rd|th)?,?)\s+([0-9]{4})", re.I
)


def _date(text: str) -> tuple[int, int, int] | None:
    if len(text) > _LONGEST:
        return None
    if match := _ISO.fullmatch(text):
        year, month, day = map(int, match.groups())
    elif match := _WRITTEN.fullmatch(text):
        year, month, day = int(match[5]), _MONTH.get((match[2] or match[3]).lower(), 0), int(match[1] or match[4])
    else:
        return None
    return (year, month, day) if year and 1 <= month <= 12 and 1 <= day <= _last_day(year, month) else None


def _last_day(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else _DAYS[month - 1]


def _gold_date(gold: str) -> tuple[int, int, int]:
    date = _date(gold) if _ISO.fullmatch(gold) else None
    if date is None:
        raise Undecided(f"gold: not an ISO date: {gold!r}")
    return date


def _check_date(text: str, gold: str, args: Args) -> Score:
    wanted, found = _gold_date(gold.strip()), _date(_unwrap(text))
    if found is None:
        return _wrong("not a date")
    return _right() if found == wanted else _wrong("other date")


def _break_date(gold: str, args: Args) -> str:
    year, month, day = _gold_date(gold)
    if day < _last_day(year, month):
        return f"{gold[:8]}{day + 1:02d}"
    if month < 12:
        return f"{gold[:5]}{month + 1:02d}-01"
    return f"{year + 1:04d}-01-01" if year < 9999 else "9999-12-30"


# --------------------------------------------------------------------------------------------------- expression

_TOKEN = re.compile(r"[0-9]+|[-+*/()]")
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})
_DEEPEST = 40


def _evaluate(text: str) -> tuple[Ratio, list[int]]:
    """Return the exact value and the numbers used; ValueError where the text is not one expression."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != "".join(text.split()) or text.count("(") > _DEEPEST:
        raise ValueError("not an expression")
    tokens.append("")
    tokens.reverse()
    used: list[int] = []
    value = _sum(tokens, used)
    if len(tokens) > 1:
        raise ValueError("not one expression")
    return value, used


def _sum(tokens: list[str], used: list[int]) -> Ratio:
    top, bottom = _product(tokens, used)
    while (sign := tokens[-1]) == "+" or sign == "-":
        tokens.pop()
        more, under = _product(tokens, used)
        top, bottom = top * under + (more if sign == "+" else -more) * bottom, bottom * under
    return top, bottom


def _product(tokens: list[str], used: list[int]) -> Ratio:
    top, bottom = _factor(tokens, used)
    while (sign := tokens[-1]) == "*" or sign == "/":
        tokens.pop()
        more, under = _factor(tokens, used)
        if sign == "/":
            more, under = under, more
        if not under:
            raise ValueError("division by zero")
        top, bottom = top * more, bottom * under
    return top, bottom


def _factor(tokens: list[str], used: list[int]) -> Ratio:
    token = tokens.pop()
    if token != "(":
        if not token.isdigit():
            raise ValueError("not an expression")
        used.append(int(token))
        return used[-1], 1
    value = _sum(tokens, used)
    if tokens.pop() != ")":
        raise ValueError("a bracket is not closed")
    return value


def _expression_fault(text: str, numbers: list[int], target: Ratio) -> str:
    """Return what is wrong with an expression, "" where it is right."""
    if len(text) > _LONGEST:
        return "too long"
    if "\\" in text:
        text = _plain_latex(text, r"(\1/\2)")
    left, equals, right = text.translate(_SIGNS).partition("=")
    try:
        (top, bottom), used = _evaluate(left)
    except ValueError as error:
        return str(error)
    if sorted(used) != numbers:
        return "other numbers"
    if top * target[1] != target[0] * bottom or (equals and _value(right.strip()) != target):
        return "other value"
    return ""


def _countdown(args: Args) -> tuple[list[int], Ratio]:
    numbers, target = args.get("numbers"), _value(str(args.get("target")))
    if not isinstance(numbers, list | tuple) or not numbers or any(type(number) is not int for number in numbers):
        raise Undecided("args: numbers is not a list of integers")
    if target is None:
        raise Undecided(f"args: target is not a number: {args.get('target')!r}")
    return sorted(numbers), target


@lru_cache(maxsize=4096)
def _require_expression(gold: str, numbers: tuple[int, ...], target: Ratio) -> None:
    if fault := _expression_fault(gold.strip(), list(numbers), target):
        raise Undecided(f"gold: {fault}: {gold!r}")


def _check_expression(text: str, gold: str, args: Args) -> Score:
    numbers, target = _countdown(args)
    _require_expression(gold, tuple(numbers), target)
    fault = _expression_fault(_unwrap(text), numbers, target)
    return _wrong(fault) if fault else _right()


def _break_expression(gold: str, args: Args) -> str:
    numbers, target = _countdown(args)
    total = " + ".join(map(str, numbers))
    if sum(numbers) * target[1] != target[0]:
        return total
    # The largest comes last, and taking it away changes the sum unless all are 0 or there is but one.
    return " - ".join(total.rsplit(" + ", 1)) if len(numbers) > 1 and numbers[-1] else f"{gold} + 1"


# -------------------------------------------------------------------------------------------------- constraints

_LETTER = re.compile(r"[^\W\d_]")
_ALNUM = re.compile(r"[^\W_]")
_CLOSERS = "\"'”’»)]*_`"
_ONE_CLOSED = re.compile(r"\[[^\[\]\n]+\]")
_HASHTAG = re.compile(r"(?<![\w#])#\w+")
_CAPITAL = re.compile(r"\b[^\W\d_]{2,}\b")
_NUMBERED = re.compile(r"[ \t]*([0-9]+)\. ")


def _words(text: str) -> list[str]:
    """Return the pieces between spaces that hold a letter or a digit, from that one on."""
    return [word[found.start() :] for word in text.split() if (found := _ALNUM.search(word))]


def _sentences(text: str) -> int:
    """Count the pieces with a word that end in . ! ? or with the text."""
    count, open_ = 0, False
    for word in text.split():
        open_ = open_ or _ALNUM.search(word) is not None
        if open_ and word.rstrip(_CLOSERS)[-1:] in (".", "!", "?"):
            count, open_ = count + 1, False
    return count + open_


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _paragraphs(text: str) -> int:
    lines = ["", *map(str.strip, text.split("\n"))]
    return sum(1 for before, line in zip(lines, lines[1:], strict=False) if line and not before)


@lru_cache(maxsize=1024)
def _whole_word(word: str, flags: int) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", flags)


def _times(text: str, word: str, flags: int = re.I) -> int:
    return sum(1 for _ in _whole_word(word, flags).finditer(text))


def _is_title(initials: list[str]) -> bool:
    return any(map(str.isupper, initials)) and not any(map(str.islower, initials))


def _json_object(text: str) -> dict[str, Any] | None:
    text = _unfence(text)
    if not text.startswith("{"):
        return None
    try:
        return dict(json.loads(text, object_pairs_hook=_unique))
    except (ValueError, RecursionError):
        return None


def _is_csv(text: str, columns: list[str], rows: int) -> bool:
    try:
        found = _csv_rows(_unfence(text))
    except csv.Error:
        return False
    return len(found) == rows + 1 and found[0] == columns and all(len(row) == len(columns) for row in found)


def _parts_between(text: str, separator: str) -> list[str]:
    parts = [""]
    for line in text.split("\n"):
        if line.strip() == separator:
            parts.append("")
        else:
            parts[-1] += line.strip()
    return parts


def _is_nested_right(text: str, verifier: Mapping[str, Any]) -> bool:
    if not _reads_on(verifier):
        text = text.partition("\n")[0]
    nested = score(text, verifier)
    if nested.value is None:
        raise Undecided(nested.reason)
    return nested.value == 1.0


def _reads_on(verifier: Mapping[str, Any]) -> bool:
    return _kind(verifier).multi_line or "\n" in str(verifier.get("gold"))


Passes = Callable[[str, Args], bool]
CHECKS: dict[str, tuple[tuple[str, ...], Passes]] = {
    "field": (("label", "verifier"), lambda t, p: _is_nested_right(t, p["verifier"])),
    "word_count": (("n",), lambda t, p: len(_words(t)) == p["n"]),
    "min_words": (("n",), lambda t, p: len(_words(t)) >= p["n"]),
    "max_words": (("n",), lambda t, p: len(_words(t)) <= p["n"]),
    "max_sentences": (("n",), lambda t, p: _sentences(t) <= p["n"]),
    "sentence_count": (("n",), lambda t, p: _sentences(t) == p["n"]),
    "line_count": (("n",), lambda t, p: len(_lines(t)) == p["n"]),
    "paragraph_count": (("n",), lambda t, p: _paragraphs(t) == p["n"]),
    "keyword": (("word", "n"), lambda t, p: _times(t, p["word"]) == p["n"]),
    "min_keyword": (("word", "n"), lambda t, p: _times(t, p["word"]) >= p["n"]),
    "forbidden": (("words",), lambda t, p: not any(_times(t, word) for word in p["words"])),
    "lowercase": ((), lambda t, p: t.islower()),
    "uppercase": ((), lambda t, p: t.isupper()),
    "title_case": ((), lambda t, p: _is_title([word[0] for word in _words(t)])),
    "starts_with": (("text",), lambda t, p: t.startswith(p["text"])),
    "ends_with": (("text",), lambda t, p: t.endswith(p["text"])),
    "no_commas": ((), lambda t, p: "," not in t),
    "bullet_count": (("n",), lambda t, p: sum(line.startswith(("- ", "* ")) for line in _lines(t)) == p["n"]),
    "json_object": (("keys",), lambda t, p: (found := _json_object(t)) is not None and list(found) == p["keys"]),
    "csv": (("columns", "rows"), lambda t, p: _is_csv(t, p["columns"], p["rows"])),
    "letter_count": (("letter", "n"), lambda t, p: t.lower().count(p["letter"].lower()) == p["n"]),
    "no_digits": ((), lambda t, p: not any(map(str.isdigit, t))),
    "digit_count": (("n",), lambda t, p: sum(map(str.isdigit, t)) == p["n"]),
    "quoted": ((), lambda t, p: len(t) > 1 and t[0] + t[-1] in ('""', "“”")),
    "placeholder_count": (("n",), lambda t, p: len(_ONE_CLOSED.findall(t)) == p["n"]),
    "hashtag_count": (("n",), lambda t, p: len(_HASHTAG.findall(t)) == p["n"]),
    "capital_words": (("n",), lambda t, p: sum(map(str.isupper, _CAPITAL.findall(t))) == p["n"]),
    "numbered_list": (
        ("n",),
        lambda t, p: (
            [found[1] for line in t.split("\n") if (found := _NUMBERED.match(line))]
            == [str(number + 1) for number in range(p["n"])]
        ),
    ),
    "separator": (
        ("text", "n"),
        lambda t, p: len(parts := _parts_between(t, p["text"].strip())) == p["n"] and all(parts),
    ),
    "word_length_max": (
        ("n",),
        lambda t, p: 0 < max((len(_LETTER.findall(w)) for w in _words(t)), default=0) <= p["n"],
    ),
    "first_letters": (("letter",), lambda t, p: {word[0].lower() for word in _words(t)} == {p["letter"].lower()}),
    "question_count": (("n",), lambda t, p: len(re.findall(r"\?+", t)) == p["n"]),
    "repeat_phrase": (("text", "n"), lambda t, p: _times(t, p["text"], 0) == p["n"]),
}
_COUNT = ("a whole number >= 0", lambda value: type(value) is int and value >= 0)
_TEXT = ("a text", lambda value: isinstance(value, str) and value != "")
_TEXTS = ("a list of texts", lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value))
_PARAMS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("n", "rows"), _COUNT),
    **dict.fromkeys(("word", "text", "letter", "label", "of", "skill"), _TEXT),
    **dict.fromkeys(("words", "keys", "columns"), _TEXTS),
    "verifier": ("a verifier", lambda value: isinstance(value, Mapping)),
}


def _checks(args: Args) -> list[dict[str, Any]]:
    checks = args.get("checks")
    if not isinstance(checks, list) or not checks:
        raise Undecided("args: checks is not a list of checks")
    for check in checks:
        if fault := _check_fault(check):
            raise Undecided(f"args: {fault}")
    return checks


def _check_fault(check: Any) -> str:
    name = check.get("check") if isinstance(check, dict) else None
    if not isinstance(name, str) or name not in CHECKS:
        return f"unknown check {name!r}{_nearest(str(name), CHECKS)}"
    for need in (*CHECKS[name][0], *(check.keys() & {"of", "skill"})):
        wanted, is_it = _PARAMS[need]
        if not is_it(check.get(need)):
            return f"{name}: {need} is not {wanted}: {check.get(need)!r}"
    odd = check.keys() - {"check", "skill", "of", *CHECKS[name][0]}
    return f"{name}: unknown parameter {min(odd)!r}" if odd else ""


def _labels(checks: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label.lower() for check in checks if (label := check.get("label") or check.get("of"))))


@lru_cache(maxsize=1024)
def _label_line(labels: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(map(re.escape, labels))
    return re.compile(rf"^[ \t]*(\*\*)?({names})(?(1)(?:\*\*[ \t]*:|:\*\*)|[ \t]*:)[ \t]*", re.I | re.M)


def _sections(text: str, labels: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """Return (label, start, end) of what follows each label line, up to the next one."""
    found = list(_label_line(labels).finditer(text)) if labels else []
    ends = [match.start() for match in found[1:]] + [len(text)]
    return [(match[2].lower(), match.end(), end) for match, end in zip(found, ends, strict=False)]


def _labelled(text: str, labels: tuple[str, ...]) -> dict[str, str]:
    """Return the value of each label that is said exactly once: by a line, or by a key of a JSON object."""
    if labels and (found := _json_object(text)) is not None:
        pairs = [(key.lower(), value if isinstance(value, str) else _dump(value)) for key, value in found.items()]
    else:
        pairs = [(label, text[start:end].strip()) for label, start, end in _sections(text, labels)]
    said = Counter(label for label, _ in pairs)
    return {label: value for label, value in pairs if said[label] == 1}


def _check_constraints(text: str, gold: str, args: Args) -> Score:
    checks = _checks(args)
    labels = _labels(checks)
    if text != gold and not {"answer", "final answer"} & {*labels} and (marker := _last_marker(text)):
        text = text[marker.end() :].strip()
    text = _unfence(text)
    values = _labelled(text, labels)
    by_skill: dict[str, list[bool]] = {}
    failed = ""
    for check in checks:
        label = check.get("label") or check.get("of")
        part = values.get(label.lower(), "") if label else text
        passed = CHECKS[check["check"]][1](part, check) and bool(part)
        by_skill.setdefault(check.get("skill", check["check"]), []).append(passed)
        if not passed and not failed:
            failed = f"{check['check']} of {label}" if label else check["check"]
    parts = {skill: sum(passed) / len(passed) for skill, passed in by_skill.items()}
    return Score(0.0 if failed else 1.0, failed, parts)


def _break_constraints(gold: str, args: Args) -> str:
    for wrong in map(str.strip, _violations(gold, args)):
        if wrong and _check_constraints(wrong, "", args).value != 1.0:
            return wrong
    return ""


def _violations(gold: str, args: Args) -> Iterator[str]:
    """Yield replies near the gold that break one check or another: a wrong field, then noise, then next to nothing."""
    checks = _checks(args)
    sections = _sections(gold, _labels(checks))
    for check in checks:
        if check["check"] != "field":
            continue
        wrong, label = wrong_answers(check["verifier"])["broken"], check["label"]
        if (found := _json_object(gold)) is not None:
            yield _dump(found | {label: wrong})
        for name, start, end in sections:
            if name == label.lower():
                rest = "" if _reads_on(check["verifier"]) else gold[start:end].partition("\n")[2]
                yield gold[:start] + wrong + "\n" + rest + gold[end:]
    words = [
        word for check in checks for word in (*check.get("words", ()), check.get("word", ""), check.get("text", ""))
    ]
    noise = f"\n\n- {' '.join(words)} Noise, [noise]? 7 #x LOUD alphabetical,\n"
    for end in [end for _, _, end in reversed(sections)] or [len(gold)]:
        yield gold[:end] + noise + gold[end:]
    yield "0"


# ------------------------------------------------------------------------------------- texts that no gold decides


def _check_rubric(text: str, gold: str, args: Args) -> Score:
    found = _check_constraints(text, text, args) if args.get("checks") else _right()
    if not text or found.value != 1.0:
        return found if text else _wrong("empty")
    if text == gold.strip():
        return _right()
    raise Undecided("only a judge can tell what this text is worth")


def _break_rubric(gold: str, args: Args) -> str:
    return _break_constraints(gold, args) if args.get("checks") else ""


_NOT = r"(?:can(?:not|'t|’t| not)|could ?n[o'’]t|unable|impossible|no way|not possible|isn['’]t possible|not able)"
_ABSTAINS = re.compile(
    _NOT + r"\b[^.!?\n]{0,80}\b(?:determin|answer|solv|comput|know|say|tell|calculat|work|find|decid|establish|figure)"
    r"|\b(?:not|never|n['’]t)\s+(?:\w+\s+){0,2}(?:given|stated|specified|provided|mentioned|enough|sufficient|defined|said|"
    r"say|state|give|tell|specify|provide|mention|define)\b"
    r"|\bthere (?:is|was|are|were) (?:no|not)\b"
    r"|\b(?:missing|insufficient|undetermined|indeterminate|unspecified|lacks?|without knowing|no information)\b",
    re.I,
)


def _check_abstain(text: str, gold: str, args: Args) -> Score:
    names = args.get("names", [])
    if not _TEXTS[1](names):
        raise Undecided(f"args: names is not {_TEXTS[0]}: {names!r}")
    marker = _last_marker(text)
    if not _ABSTAINS.search(text[marker.end() :] if marker else text):
        return _wrong("it gives an answer" if marker else "it does not say that something is missing")
    if names and not any(_times(text, name) for name in names):
        return _wrong("it does not name what is missing")
    return _right()


def _break_abstain(gold: str, args: Args) -> str:
    return f"{gold}\nAnswer: 42"


# ----------------------------------------------------------------------------------------------------- the kinds

KINDS: dict[str, Kind] = {
    "text": Kind(_check_text, _break_text, False),
    "number": Kind(_check_number, _break_number, False),
    "list": Kind(_check_list, _break_list, False),
    "set": Kind(_check_set, _break_list, False),
    "table": Kind(_check_table, _break_table, True),
    "json": Kind(_check_json, _break_json, True),
    "date": Kind(_check_date, _break_date, False),
    "boolean": Kind(_check_boolean, _break_boolean, False),
    "expression": Kind(_check_expression, _break_expression, False),
    "constraints": Kind(_check_constraints, _break_constraints, True, whole=True),
    "rubric": Kind(_check_rubric, _break_rubric, True, whole=True),
    "abstain": Kind(_check_abstain, _break_abstain, True, whole=True),
}


def _read(path: str, field: str, wanted: type) -> dict[str, Any]:
    """Return {id: field} of a JSONL file; ValueError names the line that has no such thing."""
    found: dict[str, Any] = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.isspace():
                continue
            row = _json_object(line.strip()) or {}
            if "id" not in row or not isinstance(row.get(field), wanted):
                raise ValueError(f'{path}, line {number}: wanted {{"id": ..., "{field}": ...}}, found {line[:60]!r}')
            if str(row["id"]) in found:
                raise ValueError(f"{path}, line {number}: the id {row['id']!r} is there twice")
            found[str(row["id"])] = row[field]
    return found


def main(argv: list[str]) -> int:
    """Write {n, scored, missing, undecided, accuracy} of an answers file; 2 where the files are not as they should be.

    A missing answer counts as 0, an undecided one does not count; accuracy is None where none counts.
    """
    if len(argv) != 2:
        sys.stderr.write("usage: python score.py VERIFIERS.jsonl ANSWERS.jsonl\n")
        return 2
    try:
        verifiers, answers = _read(argv[0], "verifier", dict), _read(argv[1], "answer", str)
        values = [score(answers[name], verifiers[name]).value for name in verifiers if name in answers]
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    decided = [value for value in values if value is not None]
    missing = len(verifiers) - len(values)
    counted = len(decided) + missing
    report = {"n": len(verifiers), "scored": len(decided), "missing": missing, "undecided": len(values) - len(decided)}
    accuracy = sum(decided) / counted if counted else None
    sys.stdout.write(json.dumps(report | {"accuracy": accuracy}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
