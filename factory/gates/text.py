"""Rules for a prompt and its response as texts: named, each with a pair that must fail it, over Polars expressions.

They find what a writing model leaves behind (labels, refusals, cut ends, placeholders), not whether a text is good. A
rule errs towards letting a row pass: tests/data/replies/text-rules.yaml holds the pairs that it must tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from factory.gates import text_patterns as say

PROMPT_LENGTH = (10, 8_000)  # characters
RESPONSE_LONGEST = 20_000
TRIGRAMS, TRIGRAM_SHARE = 20, 0.6  # of so many groups of three words, this share must differ
TAIL_TRIGRAMS, TAIL_SHARE = 25, 0.5  # and of the last ones, where a loop begins late
TOP_SHARE = 0.12  # of the commonest one; Gopher (arXiv 2112.11446, table A1) allows 0.18 of the characters
LINE, LINE_TIMES = 25, 5  # a line or sentence of so many characters may not come so often
ECHO = 10
FEW, VERY_FEW = 25, 12  # words
LETTERS = 20
BEGINNING = 400  # characters, by which a script is told


class Rule(Protocol):
    """What is needed of a rule to judge rows by it; TextRule says what each part means."""

    @property
    def holds(self) -> pl.Expr: ...  # noqa: D102
    @property
    def shown(self) -> pl.Expr: ...  # noqa: D102
    @property
    def doubt(self) -> pl.Expr | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class TextRule:
    """A rule: what it is about, what holds of a pair that keeps it, what to show of one that does not.

    `holds` (Boolean, never null) and `shown` (String) read the columns of `read`; `fails` is a (prompt, response) that
    breaks this rule and no other. `doubt`, where there is one, is cheap and true of every pair that breaks the rule, so
    that `holds` is worked out for the doubtful pairs alone.
    """

    name: str
    about: str
    holds: pl.Expr
    shown: pl.Expr
    fails: tuple[str, str]
    doubt: pl.Expr | None = None


PROMPT = pl.col("prompt").fill_null("").str.strip_chars()
RESPONSE = pl.col("response").fill_null("").str.strip_chars()
# Of these many rules have need: `read` works each out once.
PROSE, PROMPT_PROSE, LAST, PLAIN, RUNNING = (
    pl.col(name) for name in ("prose", "prompt_prose", "last", "plain", "running")
)
WORDS = RESPONSE.str.slice(0, 600).str.count_matches(say.WORDS)  # only a few are counted


def _has(text: pl.Expr, pattern: str) -> pl.Expr:
    return text.str.contains(pattern)


def _found(text: pl.Expr, pattern: str) -> pl.Expr:
    return text.str.extract(f"({pattern})", 1).fill_null("").str.strip_chars().str.slice(0, 80)


def _first(*found: pl.Expr) -> pl.Expr:
    return pl.coalesce(*(pl.when(one != "").then(one) for one in found), pl.lit(""))


def _size(text: pl.Expr) -> pl.Expr:
    return text.str.len_chars().cast(pl.String) + " characters"


def _without_code(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(say.FENCED, "\n").str.replace_all(say.CODE, " ")


def read(pairs: pl.LazyFrame) -> pl.LazyFrame:
    """Return (prompt, response) with what the rules read of them: stripped texts, prose without code, the last line."""
    stripped = pairs.with_columns(prompt=PROMPT, response=RESPONSE)
    parts = stripped.with_columns(
        prose=_without_code(pl.col("response")),
        prompt_prose=_without_code(pl.col("prompt")),
        last=pl.col("response").str.extract(r"([^\n]*)\z", 1).fill_null(""),
    )
    running = PROSE.str.replace_all(say.MATHS, " ").str.to_lowercase()
    return parts.with_columns(plain=LAST.str.replace_all(say.EMPHASIS, ""), running=running)


def _end(text: pl.Expr) -> pl.Expr:
    return "it ends: " + text.str.slice(-60)


# -------------------------------------------------------------------------------------------------------- is it whole

ENDING = RESPONSE.str.slice(-400)
LINES = RESPONSE.str.count_matches("\n")
OPEN_FENCE = (RESPONSE.str.count_matches(r"(?m)^\s*```") % 2) == 1
OPEN_MATHS = (PROSE.str.count_matches(r"\\begin\{") != PROSE.str.count_matches(r"\\end\{")) | (
    PROSE.str.count_matches(r"(?m)(?:^|[^\\])\\\[") > PROSE.str.count_matches(r"\\\]")
)
BROKEN_OFF = _has(PLAIN, say.CUT_END) & ~_has(PLAIN, say.CLOSING) & ~_has(PLAIN, r"^\s*(?:[#|]|\S+\z)")
UNCLOSED_PROSE = (
    _has(PLAIN, say.CUT_END_PROSE)
    & ~_has(PLAIN, say.UNENDED_LINE)
    & ~_has(LAST, say.LIST_ITEM)
    & ~_has(PLAIN, say.CLOSING)
    & (
        (_has(PLAIN, say.MANY_WORDS) & (PROSE.str.count_matches(say.UNPUNCTUATED) < 3))
        | _has(PLAIN, say.SENTENCE_INSIDE)
    )
)
UNCLOSED_ITEM = (
    _has(LAST, say.LIST_ITEM)
    & _has(PLAIN, say.CUT_END_PROSE)
    & (PROSE.str.count_matches(say.ANY_ITEM) >= 4)
    & (PROSE.str.count_matches(say.CLOSED_ITEM) == PROSE.str.count_matches(say.ANY_ITEM) - 1)
)
DANGLING = (LINES > 0) & (_has(ENDING, say.EMPTY_ITEM) | _has(ENDING, say.HEADING))
MAY_BE_CUT = (
    RESPONSE.str.contains_any(["```", r"\begin{", r"\end{", r"\["])
    | _has(RESPONSE, r"[\p{L},:;(\[{–—*_-]\z")
    | _has(LAST, r"^\s*(?:#|[-*+•]\z|\d{1,3}[.)]\z)")
)
COMPLETE = ~(OPEN_FENCE | OPEN_MATHS | BROKEN_OFF | UNCLOSED_PROSE | UNCLOSED_ITEM | DANGLING)

# ------------------------------------------------------------------------------------------------------- repetition

THREE = r"[^\s\d|=]+[ \t]+[^\s\d|=]+[ \t]+[^\s\d|=]+"
THREES = RUNNING.str.extract_all(THREE)  # side by side: every third group of all, which is enough to tell


def _varied() -> pl.Expr:
    """Return whether the groups of three words differ: all of them, those at the end, and none too common.

    One pass over the list, since what is found twice in an expression is worked out twice.
    """
    three = pl.element()
    n, end = three.len(), three.tail(TAIL_TRIGRAMS)
    differ = three.n_unique() >= n * TRIGRAM_SHARE
    no_loop = (n < TAIL_TRIGRAMS) | (end.n_unique() >= TAIL_TRIGRAMS * TAIL_SHARE)
    none_common = (n < TAIL_TRIGRAMS) | (three.unique_counts().max() <= n * TOP_SHARE)
    return THREES.list.agg((n < TRIGRAMS) | (differ & no_loop & none_common)).fill_null(True)


SENTENCES = RUNNING.str.extract_all(rf"[^\n.!?。！？]{{{LINE},}}").list.eval(pl.element().str.strip_chars(" -*•\t>"))
TOP_SENTENCE = SENTENCES.list.agg(pl.element().unique_counts().max()).fill_null(0)
NOT_REPETITIVE = _varied() & (TOP_SENTENCE < LINE_TIMES)
MAY_REPEAT = RUNNING.str.len_bytes() >= min(TRIGRAMS * 5, LINE_TIMES * LINE)

# -------------------------------------------------------------------------------------- shirking, echo, language

CODE_OR_SUM = _has(RESPONSE, r"```|=|\|")
SHIRKED = (
    ~_has(PROMPT, say.SHORT_ASKED)
    & ~CODE_OR_SUM
    & ((_has(PROMPT, say.WRITING) & (WORDS < FEW)) | (_has(PROMPT, say.EXPLAINING) & (WORDS < VERY_FEW)))
)


def _folded(text: pl.Expr) -> pl.Expr:
    return text.str.slice(0, 2_000).str.to_lowercase().str.replace_all(r"\s\s+|[\t\n]", " ")


ECHOED = (PROMPT.str.len_chars() >= ECHO) & _folded(RESPONSE).str.starts_with(_folded(PROMPT))


def _letters(text: pl.Expr) -> list[pl.Expr]:
    """Return about how many letters a text has of each script; of Latin the words are counted, which is faster."""
    latin = text.str.count_matches(say.LATIN) * 5
    return [latin, *(text.str.count_matches(f"[{script}]") for script in say.SCRIPTS)]


MAY_DIFFER = _has(PROMPT.str.slice(0, BEGINNING), say.BEYOND_LATIN) | _has(
    RESPONSE.str.slice(0, BEGINNING), say.BEYOND_LATIN
)


def _in_other_script() -> pl.Expr:
    counts = pl.concat_list(_letters(PROMPT.str.slice(0, BEGINNING)) + _letters(RESPONSE.str.slice(0, BEGINNING)))
    asked, said = pl.element().head(len(say.SCRIPTS) + 1), pl.element().tail(len(say.SCRIPTS) + 1)
    other = (said.max() * 2 > said.sum()) & (asked.get(said.arg_max()) * 10 < asked.sum())
    enough = (asked.sum() >= LETTERS // 2) & (said.sum() >= LETTERS)
    return counts.list.agg(enough & other) & ~_has(PROMPT, say.LANGUAGE_ASKED)


# -------------------------------------------------------------------------------------------------------------- rules

OPEN_TEXT = PROSE.str.replace_all(say.LINK, " ").str.replace_all(say.OPEN_NAME, " ")
LEFT_OPEN = (_has(OPEN_TEXT, say.PLACEHOLDER) | _has(RESPONSE, say.CODE_PLACEHOLDER)) & ~_has(
    PROMPT, say.PLACEHOLDER_ASKED
)
RESIDUE = (
    _has(PROSE, say.RESIDUE)
    | (_has(RESPONSE, say.JSON_RESIDUE) & ~_has(PROMPT, say.JSON_ASKED) & ~_has(RESPONSE, r"\\n\\n.*```|```.*\\n\\n"))
    | (_has(RESPONSE, say.JSON_TAIL) & ~_has(RESPONSE, r"\{"))
    | (_has(PROSE, say.COUNTED) & ~_has(PROMPT, say.COUNT_ASKED))
    | (_has(PROSE, say.REVISED) & ~_has(PROMPT, say.REVISION_ASKED))
)
PROMPT_JSON = r'(?i)\A\s*\{\s*"(?:\w+_)?(?:instruction|query|prompt)"\s*:'
ASKED = "What is the capital of France, and what is it known for?"
ESSAY = "Write a persuasive essay about why cities should plant more trees."
LONG = (
    "".join(f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}o " for i in range(4_100))
).strip() + "."

_RULES = (
    TextRule("prompt_present", "the prompt says something", PROMPT != "", pl.lit("no text"), ("  \n", "Paris.")),
    TextRule("response_present", "the response says something", RESPONSE != "", pl.lit("no text"), (ASKED, " \n")),
    TextRule(
        "prompt_length",
        f"the prompt has {PROMPT_LENGTH[0]} to {PROMPT_LENGTH[1]:,} characters",
        (PROMPT == "") | PROMPT.str.len_chars().is_between(*PROMPT_LENGTH),
        _size(PROMPT),
        ("Hi", "Hello! What are you working on today?"),
    ),
    TextRule(
        "response_length",
        f"the response has at most {RESPONSE_LONGEST:,} characters",
        RESPONSE.str.len_chars() <= RESPONSE_LONGEST,
        _size(RESPONSE),
        (ASKED, LONG),
    ),
    TextRule(
        "no_residue_in_prompt",
        "the prompt carries no label or remark of the conversation that made it",
        ~_has(PROMPT_PROSE, say.RESIDUE) & ~_has(PROMPT, PROMPT_JSON),
        _first(_found(PROMPT_PROSE, say.RESIDUE), _found(PROMPT, PROMPT_JSON)),
        (f"Improved instruction: {ASKED}", "Paris, known for the Louvre."),
    ),
    TextRule(
        "no_residue_in_response",
        "the response carries no label or remark of the conversation that made it",
        ~RESIDUE,
        _first(
            *(_found(PROSE, p) for p in (say.RESIDUE, say.REVISED, say.COUNTED)), _found(RESPONSE, say.JSON_RESIDUE)
        ),
        (ASKED, "### Response:\nParis, known for the Louvre."),
    ),
    TextRule(
        "no_refusal",
        "the response does not begin by declining",
        ~_has(RESPONSE, say.REFUSAL) | _has(PROMPT, say.REFUSAL_ASKED),
        _found(RESPONSE, say.REFUSAL),
        (ASKED, "I'm sorry, but I can't help with that."),
    ),
    TextRule(
        "no_preamble",
        "the response does not open with chat about itself",
        ~_has(RESPONSE, say.PREAMBLE),
        _found(RESPONSE, say.PREAMBLE),
        (ASKED, "Sure! Here is the answer: Paris, known for the Louvre."),
    ),
    TextRule(
        "not_an_echo",
        "the response does not repeat the prompt",
        ~ECHOED,
        pl.lit("it begins with the prompt"),
        (ASKED, f"{ASKED} Paris, known for the Louvre."),
    ),
    TextRule(
        "complete",
        "the response is not cut off",
        COMPLETE,
        _end(RESPONSE),
        (ASKED, "The capital of France is Paris. It is known for the Louvre, the"),
        MAY_BE_CUT,
    ),
    TextRule(
        "not_repetitive",
        "no line, sentence or group of three words comes again and again",
        NOT_REPETITIVE,
        _end(RESPONSE),
        (ASKED, "Paris is known for the Louvre and its art. " * 12),
        MAY_REPEAT,
    ),
    TextRule(
        "no_shirking",
        f"what asks for a longer text gets {FEW} words, an explanation {VERY_FEW}",
        ~SHIRKED,
        WORDS.cast(pl.String) + " words",
        (ESSAY, "Trees are good because they give shade."),
        WORDS < FEW,
    ),
    TextRule(
        "no_placeholder",
        "nothing is left for the reader to fill in but a name, a date or an address",
        ~LEFT_OPEN,
        _first(_found(OPEN_TEXT, say.PLACEHOLDER), _found(RESPONSE, say.CODE_PLACEHOLDER)),
        (ASKED, "Paris, known for [insert landmark here]."),
    ),
    TextRule(
        "language_kept",
        "the response is in the script of the prompt, unless another language is spoken of",
        ~_in_other_script(),
        pl.lit("mostly in another script than the prompt"),
        (ASKED, "Париж, столица Франции, известен Лувром."),
        MAY_DIFFER,
    ),
)
RULES: Mapping[str, TextRule] = {rule.name: rule for rule in _RULES}

OF_PROMPT = ("prompt_present", "prompt_length", "no_residue_in_prompt")  # rules that read nothing else

FAULTS = pl.List(pl.Struct({"code": pl.String, "detail": pl.String}))


def faults(frame: pl.DataFrame) -> pl.Series:
    """Return for each row of (prompt, response) the rules that it breaks, in the order of RULES: List[{code, detail}].

    A null is an empty text. Details are worked out for the rows that break a rule only.
    """
    pairs = evaluate(read(frame.lazy().select(pl.col("prompt", "response").cast(pl.String))))
    return in_places(find_broken(pairs, RULES), frame.height, FAULTS)


def in_places(found: Mapping[int, Sequence[Mapping[str, str | None]]], height: int, dtype: pl.DataType) -> pl.Series:
    """Return what was found at some places as a series of lists, empty elsewhere."""
    which = np.zeros(height, dtype=np.int64)
    which[list(found)] = np.arange(1, len(found) + 1)
    return pl.Series("faults", [[], *found.values()], dtype=dtype).gather(which)


def find_broken(texts: pl.DataFrame, rules: Mapping[str, Rule]) -> dict[int, list[dict[str, str]]]:
    """Return by place, for the rows of what `read` gave that break a rule, each such rule and what was found."""
    if not rules:
        return {}
    kept = keep(texts, rules)
    bad = ~kept.select(pl.all_horizontal(pl.all())).to_series()
    if not bad.any():
        return {}
    shown = [rule.shown.fill_null("").alias(name) for name, rule in rules.items()]
    # What is shown may be one literal: added to columns, it is as long as they are.
    wrong = evaluate(texts.filter(bad).lazy().with_columns(shown).select(list(rules)))
    rows = zip(bad.arg_true().to_list(), kept.filter(bad).rows(), wrong.iter_rows(), strict=True)
    return {
        place: [
            {"code": name, "detail": detail} for name, held, detail in zip(rules, holds, said, strict=True) if not held
        ]
        for place, holds, said in rows
    }


def keep(texts: pl.DataFrame, rules: Mapping[str, Rule]) -> pl.DataFrame:
    """Return a Boolean column for each rule: does it hold of each row of what `read` gave."""
    first = {name: rule.holds if rule.doubt is None else ~rule.doubt for name, rule in rules.items()}
    held = evaluate(texts.lazy().select([expression.alias(name) for name, expression in first.items()]))
    looked = []
    for name, rule in rules.items():
        if rule.doubt is not None and not held[name].all():
            doubtful = held[name].not_().arg_true()
            again = evaluate(texts[doubtful].lazy().select(rule.holds.alias(name))).to_series()
            looked.append(held[name].scatter(doubtful, again))
    return held.with_columns(looked)


def first_fault(prompt: str, response: str) -> tuple[str, str] | None:
    """Return (rule, detail) of the first rule that one pair breaks; None where it keeps them all."""
    return _first_of(RULES, prompt, response)


def prompt_fault(prompt: str) -> tuple[str, str] | None:
    """Return (rule, detail) of the first rule that a prompt breaks whatever is replied; None where it keeps them."""
    return _first_of(OF_PROMPT, prompt, "")


def _first_of(names: Iterable[str], prompt: str, response: str) -> tuple[str, str] | None:
    pair = evaluate(read(pl.LazyFrame({"prompt": [prompt], "response": [response]})))
    rules = (RULES[name] for name in names)
    broken = next((rule for rule in rules if not pair.select(rule.holds).item()), None)
    return (broken.name, pair.select(broken.shown).item() or "") if broken else None


def evaluate(frame: pl.LazyFrame) -> pl.DataFrame:
    """Return the frame, worked out without the search for common parts, which makes many rules ten times slower."""
    return frame.collect(optimizations=pl.QueryOptFlags.none())
