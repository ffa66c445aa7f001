"""The names of language skills: the canonical form of a label, the key of its spelling, and what is a header.

A label is not stemmed: "negotiating" and "negotiation" are left to meaning, since a stemmer would join siblings too.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MAX_LABEL_WORDS = 8

_BULLET = re.compile(
    r"^\s*(?:[-*+>#•‣▪◦●○■□–—·]+\s+|[•‣▪◦●○■□·]+|(?:\d+(?:\.\d+)*[.):]|[(\[]\d+[)\]]|[a-z][.)])\s+)+", re.I
)
_PARTING = re.compile(r"\s*:\s+|\s+(?:-{1,2}|[–—])\s+")
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_OPEN_BRACKET = re.compile(r"\s\([^()]*$")
_APOSTROPHES = re.compile(r"['’‘ʼ`´]")
_SIGNS = ((re.compile(r"\b([a-z])\+\+"), r"\1pp"), (re.compile(r"\b([a-z])#"), r"\1sharp"), (re.compile(r"&"), " and "))
_OPENINGS = tuple(
    tuple(words.split())
    for words in (
        "the",
        "ability to",
        "an ability to",
        "ability of",
        "able to",
        "being able to",
        "capacity to",
        "skill of",
        "skill in",
        "skill at",
        "skills of",
        "skills in",
        "skills at",
        "skilled in",
        "skilled at",
        "proficiency in",
        "competence in",
    )
)
_CLOSINGS = frozenset({"skill", "skills"})

_IRREGULAR = {
    "defence": "defense",
    "offence": "offense",
    "pretence": "pretense",
    "licence": "license",
    "practise": "practice",
    "programme": "program",
    "judgement": "judgment",
    "acknowledgement": "acknowledgment",
    "grey": "gray",
    "ageing": "aging",
    "sceptical": "skeptical",
    "scepticism": "skepticism",
    "artefact": "artifact",
    "enquiry": "inquiry",
    "skilful": "skillful",
    "fulfilment": "fulfillment",
    "enrolment": "enrollment",
    "mould": "mold",
    "plough": "plow",
    "children": "child",
    "people": "person",
    "criteria": "criterion",
    "phenomena": "phenomenon",
}
_SUFFIXES = (
    (re.compile(r"(?<=\w{2}[iy])z(?=e|a|i)"), "s"),  # organize, analyze, organization, organizing
    (re.compile(r"(?<=\w{3})our(?=(?:al|s|ed|ing|ful|ite|able|hood|less|ly)*$)"), "or"),  # behaviour; not source, four
    (re.compile(r"(?<=\w{4})ll(?=(?:ing|ed|er|or)$)"), "l"),  # modelling; not filling beside filing
    (re.compile(r"^(cent|theat|met|lit|calib|fib)re$"), r"\1er"),
    (re.compile(r"(?<=\w{3})ogue$"), "og"),  # dialogue
    (re.compile(r"(?<=\w{2}s)is$"), ""),  # analysis beside analyses
    (re.compile(r"(?<=\w{2}(?:s|x|z))e$|(?<=\w(?:ch|sh))e$"), ""),  # processes leaves processe
    (re.compile(r"(?<=\w)ie$"), "y"),
)

_TOPIC = re.compile(r"^(?:topic|category|section|part|chapter|unit|theme|domain|area|group)\s+(?:\d+|[ivx]+)\b", re.I)
_NAMED_TOPIC = re.compile(r"^(?:topic|category|section|theme|domain)\s*[:=]", re.I)
_FRAMED = re.compile(r"^(?:\*\*[^*]+\*\*:?|__[^_]+__:?|<h\d>.*|\[[^\]]+\]|[=~*_-]{2,}.*[=~*_-]{2,})$", re.I)


def skill_name(text: str) -> str:
    """Return the canonical name (lower_snake_case) of a label that a person or a model wrote; "" when nothing is left.

    Bullets, numbering, quotes, explanations in brackets, openings such as "the ability to" and a closing "skills" go.
    Letters of any script and digits stay, in the form of Unicode's compatibility decomposition, composed (NFKC).
    """
    tokens = _tokens(strip_bullet(unicodedata.normalize("NFKC", text).replace("_", " ")))
    return "_".join(_without_frame(tokens))


def strip_bullet(line: str) -> str:
    """Return the line without bullets, numbering and Markdown's marks of emphasis around it."""
    return _BULLET.sub("", line).replace("**", "").strip().strip("*").strip()


def split_label(line: str) -> tuple[str, str]:
    """Return (label, definition) of a line such as "- **Name**: what it means"; the definition may be empty.

    A colon or a dash between spaces parts them, where what stands before it is short enough to be a label.
    """
    text = strip_bullet(unicodedata.normalize("NFKC", line))
    found = _PARTING.search(text)
    if found is None or found.start() == 0 or len(text[: found.start()].split()) > MAX_LABEL_WORDS:
        return text, ""
    return text[: found.start()].strip(), text[found.end() :].strip()


def title_of(text: str) -> str:
    """Return a label as it is written, where that is more than the words of its canonical name; else ""."""
    title = " ".join(strip_bullet(unicodedata.normalize("NFKC", text)).split()).strip(" \"'.,;:*`")
    same = title.casefold() in (skill_name(text), skill_name(text).replace("_", " "))
    return "" if same else title


def spelling_key(name: str) -> str:
    """Return what all spellings of a canonical name have in common; names that differ in it are different words.

    Folds plurals, British and American suffixes, and whether words are joined, hyphenated or apart. Order matters.
    """
    return "".join(_folded(token) for token in name.split("_"))


def is_header(line: str, *, capitals: bool = True) -> bool:
    """Return True for a line that names a topic of a list rather than a skill.

    These are lines that end in a colon, Markdown headings, "Topic 3: ...", framed lines and, unless `capitals` is
    False, short lines all in capitals. A line with a bullet is never one unless it ends in a colon. A topic written
    just as the skills are cannot be told from them by its form.
    """
    text = line.strip()
    if text.startswith("#"):
        return len(text.lstrip("#").strip()) > 0
    if text.rstrip("*_ ").endswith((":", "：")) or _TOPIC.match(text) or _NAMED_TOPIC.match(text):
        return len(text) > 1
    return bool(_FRAMED.match(text)) or (capitals and _in_capitals(text))


def _in_capitals(text: str) -> bool:
    letters = [character for character in text if character.isalpha()]
    words = text.split()
    shout = len(letters) >= 4 and all(character.isupper() for character in letters) and len(text) <= 60
    return shout and "_" not in text and (len(words) > 1 or len(letters) > 5) and not _BULLET.match(text)


def _tokens(text: str) -> list[str]:
    """Return the words, folded to lower case, of what is left outside brackets."""
    bare = _OPEN_BRACKET.sub("", _BRACKETS.sub(" ", text))
    folded = _APOSTROPHES.sub("", _casefold(bare if any(map(str.isalnum, bare)) else text))
    for sign, word in _SIGNS:
        folded = sign.sub(word, folded)
    kept = (
        c if unicodedata.category(c)[0] in "LMN" else "" if unicodedata.category(c) == "Cf" else " " for c in folded
    )
    return _casefold("".join(kept)).split()


def _casefold(text: str) -> str:
    """Return the text in folded case; again and again, since folding and composing undo each other now and then."""
    folded = unicodedata.normalize("NFKC", text.casefold())
    return folded if folded == text else _casefold(folded)


def _without_frame(tokens: list[str]) -> list[str]:
    while tokens and tokens[-1] in _CLOSINGS:
        tokens = tokens[:-1]
    for opening in _OPENINGS:
        if tuple(tokens[: len(opening)]) == opening:
            return _without_frame(tokens[len(opening) :])
    return tokens


@lru_cache(maxsize=65_536)
def _folded(token: str) -> str:
    word = _IRREGULAR.get(token, token)
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    word = _IRREGULAR.get(word, word)
    for suffix, common in _SUFFIXES:
        word = suffix.sub(common, word)
    return word
