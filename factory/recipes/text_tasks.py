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
NUMBER = re.compile(r"\d[\d.,]*\d")  # digits alone number steps and turns
WORD = re.compile(r"\w+(?:['’]\w+)*")
TYPOGRAPHY = str.maketrans("‘’‚“”„–—\u00a0", "'''\"\"\"-- ")
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
FORMS_OF: Mapping[str, tuple[str, ...]] = {"argument": ARGUES, "quantitative": COUNTS}


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
        """Return whether its requests can be made unanswerable: questions about what a text tells can."""
        return self.task == "reading" and self.group in TELLING

    @property
    def forms(self) -> tuple[str, ...]:
        """Return the forms of text that such requests suit."""
        every = tuple(form["name"] for form in shipped_list("transformations")["forms"] if form["name"] != "identity")
        return FORMS_OF.get(self.group, every if self.task == "reading" else PROSE)


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
    """How a prompt holds a request and its text; `fence` is what the text itself must not contain."""

    name: str
    form: str
    fence: str = ""


LAYOUTS = (
    Layout("request_first", "{request}\n\n{text}"),
    Layout("text_first", "{text}\n\n{request}"),
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
    """Return the first COPIED words in a row that a request has from a taxonomy's line; nothing where it has none."""
    said, line = _words(request), _words(asks)
    known = {tuple(line[i : i + COPIED]) for i in range(len(line) - COPIED + 1)}
    runs = (tuple(said[i : i + COPIED]) for i in range(len(said) - COPIED + 1))
    return " ".join(next((run for run in runs if run in known), ()))


def _words(text: str) -> list[str]:
    return [word.casefold() for word in WORD.findall(text)]


def names_of(missing: Sequence[str], text: str) -> list[str]:
    """Return the names, each once, that a text does not use: only these tell a reply that names a gap in it."""
    inside = " ".join(_words(text))
    names = dict.fromkeys(" ".join(name.split()).strip("\"'“”.,") for name in missing)
    return [name for name in names if (said := " ".join(_words(name))) and f" {said} " not in f" {inside} "]
