"""Paraphrases by program: other words and other clauses for what a text says, to plant leaks that hide."""

from __future__ import annotations

import re

from factory.artifacts.digest import Rng

# Word: what may stand for it. A paraphrase has to keep the sense well enough for a reader, not for a grammarian.
WORDS = {
    "buy": "purchase", "buys": "purchases", "bought": "purchased", "sell": "vend", "sells": "vends", "sold": "vended",
    "give": "hand", "gives": "hands", "gave": "handed", "make": "produce", "makes": "produces", "made": "produced",
    "get": "obtain", "gets": "obtains", "got": "obtained", "need": "require", "needs": "requires", "use": "employ",
    "uses": "employs", "used": "employed", "has": "owns", "have": "own", "had": "owned", "find": "determine",
    "calculate": "work out", "compute": "work out", "explain": "describe", "describe": "explain", "write": "compose",
    "show": "demonstrate", "start": "begin", "starts": "begins", "started": "began", "end": "finish", "big": "large",
    "small": "little", "large": "big", "quick": "fast", "fast": "rapid", "many": "numerous", "often": "frequently",
    "each": "every", "every": "each", "total": "sum", "altogether": "in all", "day": "24 hours", "week": "seven days",
    "begin": "start", "friends": "pals", "friend": "pal", "children": "kids", "child": "kid", "shop": "store",
    "store": "shop", "house": "home", "home": "house", "money": "cash", "price": "cost", "cost": "price",
    "costs": "is priced at", "car": "vehicle", "work": "labour", "job": "occupation", "street": "road",
    "important": "significant", "difficult": "hard", "easy": "simple", "main": "principal", "because": "since",
    "before": "prior to", "after": "following", "during": "in the course of", "between": "among", "about": "concerning",
    "then": "afterwards", "also": "in addition", "but": "yet", "if": "provided that", "when": "once", "while": "as",
    "people": "persons", "person": "individual", "city": "town", "town": "city", "country": "nation", "world": "globe",
    "earth": "planet", "animal": "creature", "animals": "creatures", "plant": "crop", "plants": "crops",
    "happens": "occurs", "cause": "reason", "causes": "brings about", "effect": "consequence", "help": "assist",
    "helps": "assists", "kind": "sort", "type": "kind", "way": "manner", "part": "portion", "number": "count",
    "same": "identical", "different": "distinct", "new": "fresh", "old": "aged", "first": "initial", "last": "final",
}  # fmt: skip

TURNS = (
    (
        re.compile(r"\bhow many ([\w-]+(?: [\w-]+)?) (?:do|does|did|are|were|will)\b", re.I),
        r"what is the count of \1 that",
    ),
    (re.compile(r"\bhow much ([\w-]+) (?:do|does|did)\b", re.I), r"what amount of \1 would"),
    (re.compile(r"\bhow much\b", re.I), "what amount"),
    (re.compile(r"\bwhat is the\b", re.I), "could you name the"),
    (re.compile(r"\bwhich of the\b", re.I), "out of the following, what"),
    (re.compile(r"\bwhy (?:do|does|did)\b", re.I), "for what reason would"),
    (re.compile(r"\bwho\b", re.I), "which person"),
    (re.compile(r"\bin order to\b", re.I), "so as to"),
    (re.compile(r"\bthere (?:is|are|was|were)\b", re.I), "one finds"),
    (re.compile(r"\bas well as\b", re.I), "and"),
)

_WORD = re.compile(r"[A-Za-z]+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def paraphrase(text: str, rng: Rng) -> str | None:
    """Return the text in other words, its question first; None where nothing in it can be said otherwise."""
    said = text
    for pattern, other in TURNS:
        said = pattern.sub(other, said)
    said = _WORD.sub(lambda found: _other_word(found[0], rng), said)
    if said == text:
        return None
    sentences = _SENTENCE.split(said)
    return " ".join([*sentences[-1:], *sentences[:-1]])


def _other_word(word: str, rng: Rng) -> str:
    other = WORDS.get(word.lower())
    if other is None or rng.chance(0.1):
        return word
    return other.capitalize() if word[0].isupper() else other
