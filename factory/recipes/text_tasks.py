"""Requests about a text: their kinds, how a prompt lays out text and request, and what a program can check of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from factory.artifacts.digest import Rng
from factory.recipes.lists import shipped_list

TASKS: Mapping[str, str] = {"reading": "reading-comprehension", "editing": "text-editing"}  # and their lists
COPIED = 8  # words in a row of a taxonomy's line that no request may have
LABELS = re.compile(r'"[^"]*"|\([^)]*\)|:[^.;]*')  # of its verdicts and options, which a request may have to name
GIVEN = 4  # words in a row of the evidence that only an answer would have
NUMBER = re.compile(r"\d[\d.,]*\d")  # digits alone number steps and turns
WORD = re.compile(r"\w+(?:['’]\w+)*")
TYPOGRAPHY = str.maketrans("‘’‚“”„–—\u00a0", "'''\"\"\"-- ")
RESULT = re.compile(
    r"\b(?:number|figure|sum|answer|verdict|result|key) (?:is |of |being )?"
    r"(?:\d|one\b|two\b|three\b|four\b|five\b|six\b|seven\b|eight\b|nine\b|ten\b|yes\b|no\b|true\b|false\b)"
    r"|\bnamely\b|\bthe answer is\b",
    re.IGNORECASE,
)
ORDERS = r"(?:instructions?|prompts?|guidelines)\b"
ADDRESSES_AI = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.!?\n]{0,30}\b(?:all|any|every|previous|prior|earlier|above|your|these)\b"
    rf"[^.!?\n]{{0,30}}\b{ORDERS}"
    rf"|\b(?:ignore|disregard|forget|override)\b[^.!?\n]{{0,30}}\b{ORDERS} (?:above|before|given|you)\b"
    r"|\b(?:attention|dear|hey|hello|note (?:to|for))\b[^.,;!?\n]{0,20}\b(?:AI|LLM|chatbots?|language models?)\b"
    r"|\byou are (?:now )?an? (?:AI|LLM|(?:AI |virtual )?assistant|chatbot|(?:large )?language model)\b"
    r"|\b(?:print|reveal|show|repeat|write out|output|tell me|give me) (?:your|the) system prompt\b",
    re.IGNORECASE,
)
SPEAKS = ("conversation", "meeting_transcript", "exchange_of_letters")  # forms in which people show who they are
ARGUES = ("argument_passage", "debate", "satire", "exchange_of_letters", "meeting_transcript")
COUNTS = ("news_report", "long_exposition", "meeting_transcript", "instructional_text", "conversation")
PROSE = (
    "news_report",
    "long_exposition",
    "instructional_text",
    "exchange_of_letters",
    "argument_passage",
    "meeting_transcript",
)
TELLING = ("literal", "inference", "comparison", "quantitative", "application")  # groups of questions for facts
OPEN = ("short answer", "short answer with evidence", "number with working", "paragraph")  # forms without given items
LACKING = "reading-unanswerable"  # beside a kind of request: its text does not hold what is asked
PEOPLE = ("point_of_view", "unstated_motive", "unstated_feeling", "attribution")
FORMS_OF: Mapping[str, tuple[str, ...]] = {
    "argument": ARGUES,
    "quantitative": COUNTS,
    "point_of_disagreement": ("debate", "exchange_of_letters", "meeting_transcript"),
    **dict.fromkeys(PEOPLE, SPEAKS),
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A kind of request about a text: a leaf of a taxonomy."""

    task: str
    name: str
    group: str
    asks: str
    answer_form: str

    @property
    def skill(self) -> str:
        """Return what rows of this kind are said to exercise."""
        return f"{self.task}-{self.name}"

    @property
    def may_lack(self) -> bool:
        """Return whether its requests can be made unanswerable: open questions about what a text tells can."""
        return self.task == "reading" and self.group in TELLING and self.answer_form in OPEN

    @property
    def suits_any(self) -> bool:
        """Return whether any text may do; what asks about arguments or speakers needs one that has them."""
        return self.group != "argument" and self.name not in PEOPLE

    @property
    def forms(self) -> tuple[str, ...]:
        """Return the forms of text that such requests suit."""
        every = tuple(form["name"] for form in shipped_list("transformations")["forms"] if form["name"] != "identity")
        of_group = FORMS_OF.get(self.group, every if self.task == "reading" else PROSE)
        return FORMS_OF.get(self.name, of_group)


@cache
def leaves() -> Mapping[str, Leaf]:
    """Return every kind of request by its name, in the order of the lists."""
    found = [Leaf(task, **leaf) for task, place in TASKS.items() for leaf in shipped_list(place)["leaves"]]
    return {leaf.name: leaf for leaf in found}


@cache
def leaf_of(skill: str) -> Leaf:
    """Return the kind of request by its skill."""
    return leaves()[skill.partition("-")[2]]


def refinements(leaf: Leaf, lacking: bool) -> list[dict[str, Any]]:
    """Return the ways to refine a request of a kind so that the text still answers it, or no longer does."""
    effect = "removes" if lacking else "keeps"
    every: list[dict[str, Any]] = shipped_list("refinements")["refinements"]
    fit = [one for one in every if one["answerability"] == effect]
    return fit if leaf.task == "reading" else [one for one in fit if one["name"] in ("add_a_constraint", "add_a_step")]


# -------------------------------------------------------------------------------------------------------------- layout


class Layout(NamedTuple):
    """How a prompt holds a request and its text, set apart; `fence` is what the text itself must not contain."""

    name: str
    form: str
    fence: str = ""


LAYOUTS = (
    Layout("line", "{request}\n\n***\n\n{text}", "***"),
    Layout("line_first", "{text}\n\n***\n\n{request}", "***"),
    Layout("quotes", '{request}\n\n"""\n{text}\n"""', '"""'),
    Layout("quotes_first", 'Read the text below.\n\n"""\n{text}\n"""\n\n{request}', '"""'),
    Layout("rules", "{request}\n\n---\n{text}\n---", "---"),
    Layout("rules_first", "A text first, then what I want with it.\n\n---\n{text}\n---\n\n{request}", "---"),
    Layout("tags", "{request}\n\n<text>\n{text}\n</text>", "</text>"),
    Layout("tags_first", "<text>\n{text}\n</text>\n\n{request}", "</text>"),
    Layout("block", "{request}\n\n{quoted}"),
    Layout("block_first", "This is what I have in front of me:\n\n{quoted}\n\n{request}"),
    Layout("label", "{request}\n\nText:\n{text}"),
)


def lay_out(request: str, text: str, rng: Rng) -> tuple[str, str]:
    """Return a prompt of a request and its text, and the name of its layout: one whose border is not in the text."""
    layout = rng.pick([one for one in LAYOUTS if not one.fence or one.fence not in text])
    quoted = "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
    return layout.form.format(request=request, text=text, quoted=quoted), layout.name


# -------------------------------------------------------------------------------------------------------------- checks


def folded(text: str) -> str:
    """Return a text with white space folded and quotation marks and dashes as a keyboard has them."""
    return " ".join(text.translate(TYPOGRAPHY).split())


def not_quoted(pieces: Iterable[str], text: str) -> list[str]:
    """Return the pieces that do not stand in the text; quotation marks around a piece do not count."""
    inside = folded(text)
    return [piece for piece in pieces if (said := folded(piece).strip("\"'")) not in inside or not said]


def added_numbers(passage: str, document: str) -> list[str]:
    """Return the numbers of two or more digits that a passage has and its document has not."""
    known = set(_numbers(document))
    return [number for number in dict.fromkeys(_numbers(passage)) if number not in known]


def _numbers(text: str) -> list[str]:
    return [found.replace(",", "") for found in NUMBER.findall(text)]


def copied_words(request: str, asks: str) -> str:
    """Return the first COPIED words in a row that a request has from a taxonomy's line; nothing where it has none.

    What the line quotes, lists after a colon or has in brackets are verdicts and options: a request may name them.
    """
    known = {run for part in LABELS.split(asks) for run in _runs(part, COPIED)}
    return " ".join(next((run for run in _runs(request, COPIED) if run in known), ()))


def _runs(text: str, n: int) -> list[tuple[str, ...]]:
    words = _words(text)
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def gives_away(reply_form: str, request: str, text: str, evidence: Iterable[str] = ()) -> bool:
    """Return whether what is said of a reply's form holds a result, or a number or words that the text alone has."""
    asked = set(_numbers(request))
    if RESULT.search(reply_form) or (set(_numbers(reply_form)) & set(_numbers(text))) - asked:
        return True
    told = {run for piece in evidence for run in _runs(piece, GIVEN)} - set(_runs(request, GIVEN))
    return any(run in told for run in _runs(reply_form, GIVEN))


def addresses_ai(text: str) -> bool:
    """Return whether a text talks to a language model: it may try to give it orders."""
    return bool(ADDRESSES_AI.search(text))


def _words(text: str) -> list[str]:
    return [word.casefold() for word in WORD.findall(text)]


def names_of(missing: Sequence[str], text: str) -> list[str]:
    """Return the names, each once, that a text does not use: only these tell a reply that names a gap in it."""
    inside = " ".join(_words(text))
    names = dict.fromkeys(" ".join(name.split()).strip("\"'“”.,") for name in missing)
    return [name for name in names if (said := " ".join(_words(name))) and f" {said} " not in f" {inside} "]
