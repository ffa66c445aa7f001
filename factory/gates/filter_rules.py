"""The filters: named rules over an instruction and its answer, each with a row that must fail it.

The rules of factory/gates/text.py, and what a scrape or a lazy writer leaves: texts of the wrong length, Gopher's
repetition and quality (arXiv 2112.11446, section A.1.1), mojibake, capitals, links, shirked answers. A rule
errs towards letting a row pass: tests/data/filters holds the rows that it must tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from factory.gates import filter_patterns as say
from factory.gates import text
from factory.gates.filter_limits import Limits, Part
from factory.gates.ngram_shares import AGAIN, TOP
from factory.gates.text_patterns import BEYOND_LATIN

BOTH: tuple[Part, ...] = ("instruction", "answer")


@dataclass(frozen=True, slots=True)
class FilterRule:
    """A rule: what it says must hold, of which fields, by which expression; what was found; a row that must fail it.

    `holds` (Boolean, never null), `shown` (String) and `doubt` read the columns of factory.gates.filters.read_rows;
    `doubt` is as in text.TextRule. A rule is off where the dataset has not all fields of `needs`; one of neither field
    is about the main text: the answer where there are answers, else the instruction.
    """

    name: str
    says: str
    needs: tuple[Part, ...]
    holds: pl.Expr
    shown: pl.Expr
    fails: Mapping[Part, str]
    doubt: pl.Expr | None = None
    default: bool = True


INSTRUCTION, ANSWER, MAIN = pl.col("prompt"), pl.col("response"), pl.col("main")
LINES, N_WORDS = pl.col("lines"), pl.col("main_words")
BEGINNING, CAPITALS_LEAST = 2_000, 40
ASKED = "What is the capital of France, and what is it known for?"
TOLD = "Paris is the capital of France. It is known for the Louvre and for the Eiffel Tower."
OVER_AND_OVER = "Paris is known for its fine art. " * 5  # too short for Gopher's rules
VARIED = (
    "The river rose in the night and took the old bridge with it, so that nobody from the farms came to market on "
    "Monday. By noon a ferry was tied up below the mill. Two brothers worked it with a rope, and asked a copper for "
    "each person and three for a cow. When the new bridge opened in spring they sold the boat and bought an orchard. "
)
SHORT_WORDS = (
    " ".join(f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}" for i in range(4_200))
    + " the end of it and that is that."
)
NAMES = "early late again alone empty twice there badly often north slowly midway utterly down"
VERBS = "rose sank turned left came stopped waited rocked leaked drifted crossed slowed failed burned"
DOMINATED = (
    "The ferry " + " the ferry ".join(f"{a} {b}," for a, b in zip(VERBS.split(), NAMES.split(), strict=True)) + " done."
)


# Of these the pair in text.py is long, or short, enough to break another rule.
FAILS: Mapping[str, Mapping[Part, str]] = {
    "not_repetitive": {"instruction": ASKED, "answer": OVER_AND_OVER},
    "no_shirking": {"instruction": "Explain why cities should plant more trees.", "answer": "They give shade."},
}


def _has(column: pl.Expr, pattern: str) -> pl.Expr:
    return column.str.contains(pattern)


def _either(pattern: str) -> pl.Expr:
    return _has(INSTRUCTION, pattern) | _has(ANSWER, pattern)


def _shown(pattern: str, column: pl.Expr = ANSWER) -> pl.Expr:
    return column.str.extract(f"({pattern})", 1).fill_null("").str.strip_chars().str.slice(0, 80)


def _percent(share: pl.Expr) -> pl.Expr:
    return (share * 100).round(1).cast(pl.String) + " %"


def _row(instruction: str = ASKED, answer: str = TOLD) -> dict[Part, str]:
    return {"instruction": instruction, "answer": answer}


def _text_rules() -> list[FilterRule]:
    """Return the rules of factory/gates/text.py but those on length, which have limits here."""
    both = {"not_an_echo", "no_shirking", "language_kept"}
    out = []
    for name, rule in text.RULES.items():
        needs: tuple[Part, ...] = BOTH if name in both else ("instruction",) if "prompt" in name else ("answer",)
        # The end of a clipped text is not its end.
        holds = rule.holds | pl.col("clipped") if name == "complete" else rule.holds
        fails = FAILS.get(name) or _row(*rule.fails)
        if "length" not in name:
            out.append(FilterRule(name, rule.about, needs, holds, rule.shown, fails, rule.doubt))
    return out


def _band(name: str, what: str, part: Part, band: tuple[int, int], fails: Mapping[Part, str]) -> FilterRule:
    """Return the rule that a count lies in a band; an empty text breaks another rule, not this one."""
    counted = pl.col(f"{part}_{what}")
    present = (INSTRUCTION if part == "instruction" else ANSWER) != ""
    says = f"the {part} has {band[0]:,} to {band[1]:,} {what}"
    return FilterRule(
        name, says, (part,), ~present | counted.is_between(*band), counted.cast(pl.String) + f" {what}", fails
    )


def _length_rules(at: Limits) -> list[FilterRule]:
    some = " ".join(f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}ation" for i in range(2_400))
    long = f"The end of it, and that is what we have to say: {some}."
    return [
        _band(
            "prompt_length",
            "characters",
            "instruction",
            at.instruction_characters,
            _row("Hi there", "Hello! Who is it?"),
        ),
        _band("response_length", "characters", "answer", at.answer_characters, _row(answer=long)),
        _band("instruction_words", "words", "instruction", at.instruction_words, _row("Photosynthesis!")),
        _band("answer_words", "words", "answer", at.answer_words, _row(answer=SHORT_WORDS)),
    ]


def _equal_share(rows: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return the share of a list's entries that repeat an earlier one, and that of its characters."""
    first = rows.list.unique()
    count = 1 - first.list.len() / rows.list.len()
    characters = 1 - first.list.join("").str.len_chars() / rows.list.join("").str.len_chars()
    return count.fill_nan(0).fill_null(0), characters.fill_nan(0).fill_null(0)


def _equal_rule(name: str, most: float, most_characters: float, at: Limits, answer: str) -> FilterRule:
    rows = pl.col(name)
    count, characters = _equal_share(rows)
    quiet = (N_WORDS < at.prose_words) | _has(INSTRUCTION, say.SONG_ASKED)
    return FilterRule(
        f"{name}_differ",
        f"at most {most:.0%} of the {name} repeat an earlier one, and {most_characters:.0%} of the characters",
        (),
        quiet | ((count <= most) & (characters <= most_characters)),
        _percent(count) + f" of the {name}, " + _percent(characters) + " of the characters",
        _row(answer=answer),
        doubt=rows.list.n_unique() < rows.list.len(),
    )


def _ngram_rule(name: str, about: str, sizes: Sequence[str], most: Sequence[float], answer: str) -> FilterRule:
    over = [pl.col(size) > limit for size, limit in zip(sizes, most, strict=True)]
    told = [
        pl.when(wrong).then(pl.lit(size.split("_")[1] + "-grams ") + _percent(pl.col(size)))
        for wrong, size in zip(over, sizes, strict=True)
    ]
    quiet = _has(INSTRUCTION, say.SONG_ASKED)
    shares = ", ".join(f"{limit:.0%}" for limit in most)
    says = f"{about} take at most {shares} of the characters"
    bad = pl.any_horizontal(over)
    return FilterRule(name, says, (), ~bad | quiet, pl.coalesce(told), _row(answer=answer), doubt=bad)


def _repetition_rules(at: Limits) -> list[FilterRule]:
    lines = VARIED.replace(". ", ".\n") + "No ferry.\n" * 4
    paragraphs = VARIED.replace(" and ", "\nand ").replace("By noon", "\n\nBy noon") + "\n\nClosed." * 3
    tops, again = [f"top_{n}" for n in TOP], [f"again_{n}" for n in AGAIN]
    about_tops, about_again = "the commonest 2-, 3- and 4-gram of words", "5- to 10-grams of words that come again"
    return [
        _equal_rule("lines", at.equal_lines, at.equal_line_characters, at, lines),
        _equal_rule("paragraphs", at.equal_paragraphs, at.equal_paragraph_characters, at, paragraphs),
        _ngram_rule("no_ngram_dominates", about_tops, tops, at.top_ngrams, DOMINATED),
        _ngram_rule("ngrams_differ", about_again, again, at.equal_ngrams, VARIED + VARIED[:110] + "."),
    ]


def _quality_rules(at: Limits) -> list[FilterRule]:
    """Return Gopher's rules on the quality of prose; most take code, sums, lists or other languages for noise."""
    quiet = N_WORDS < at.prose_words
    return [replace(rule, holds=quiet | rule.holds) for rule in (*_word_rules(at), *_line_rules(at))]


def _quality_rule(name: str, says: str, bad: pl.Expr, shown: pl.Expr, answer: str, default: bool = False) -> FilterRule:
    return FilterRule(name, says, (), ~bad.fill_null(False), shown, _row(answer=answer), default=default)


def _word_rules(at: Limits) -> list[FilterRule]:
    mean = (MAIN.str.len_chars() - MAIN.str.count_matches(r"\s")) / N_WORDS
    symbols = (MAIN.str.count_matches("#") + MAIN.str.count_matches(r"\.\.\.|…")) / N_WORDS
    lettered = MAIN.str.count_matches(r"\S*\p{L}\S*") / N_WORDS
    stop = MAIN.str.count_matches(say.STOP_WORDS)
    foreign = _has(MAIN, BEYOND_LATIN)
    strange = " ".join(f"internationalisation{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(80))
    figures = " ".join(str(7 * i) for i in range(60))
    return [
        _quality_rule(
            "mean_word_length",
            f"a word has {at.mean_word[0]:g} to {at.mean_word[1]:g} characters on average",
            ~mean.is_between(*at.mean_word) & ~foreign,
            mean.round(2).cast(pl.String) + " characters",
            VARIED + strange + ".",
        ),
        _quality_rule(
            "few_symbols",
            f"at most {at.symbols:g} hash signs and ellipses for each word",
            symbols > at.symbols,
            symbols.round(2).cast(pl.String) + " for each word",
            VARIED.replace(" a ", " #a ").replace(" the ", " #the ").replace(" and ", " #and "),
        ),
        _quality_rule(
            "words_have_letters",
            f"{at.lettered_words:.0%} of the words have a letter",
            lettered < at.lettered_words,
            _percent(lettered) + " of the words",
            VARIED + figures + ".",
        ),
        _quality_rule(
            "has_stop_words",
            f"an English text has {at.stop_words} stop words",
            (stop < at.stop_words) & ~foreign,
            stop.cast(pl.String) + " stop words",
            " ".join(
                w for w in VARIED.split() if w.lower() not in {"the", "be", "to", "of", "and", "that", "have", "with"}
            )
            + " Full stop.",
        ),
    ]


def _line_rules(at: Limits) -> list[FilterRule]:
    n_lines = LINES.list.len()
    few = n_lines < 5
    bullets = LINES.list.eval(_has(pl.element(), say.BULLET)).list.sum() / n_lines
    unended = LINES.list.eval(_has(pl.element(), say.ELLIPSIS_END)).list.sum() / n_lines
    tidy = VARIED.split(". ")
    return [
        _quality_rule(
            "few_bullet_lines",
            f"at most {at.bullet_lines:.0%} of the lines are list entries",
            (bullets > at.bullet_lines) & ~few,
            _percent(bullets) + " of the lines",
            "".join(f"- {part.strip().rstrip('.')}.\n" for part in [*tidy[:-1], tidy[-1], "Nobody came"] if part),
        ),
        _quality_rule(
            "lines_end",
            f"at most {at.unended_lines:.0%} of the lines end in an ellipsis",
            (unended > at.unended_lines) & ~few,
            _percent(unended) + " of the lines",
            VARIED.replace(" and ", "...\nand ").replace(", ", "...\n"),
            default=True,
        ),
    ]


def _same(column: pl.Expr) -> pl.Expr:
    """Return whether a text of ten characters and more is one character, other than a digit, over and over."""
    packed = column.str.replace_all(r"\s+", "")
    first = packed.str.slice(0, 1)
    many = packed.str.len_chars() >= 10
    return many & ~_has(first, r"^\d") & (packed.str.strip_chars(first) == "")


def _character_rules(at: Limits) -> list[FilterRule]:
    where = (
        pl.when(_has(INSTRUCTION, say.CONTROL)).then(pl.lit("in the instruction")).otherwise(pl.lit("in the answer"))
    )
    upper = MAIN.str.slice(0, BEGINNING).str.count_matches("[A-ZÀ-ÖØ-ÞА-Я]")
    lower = MAIN.str.slice(0, BEGINNING).str.count_matches("[a-zß-öø-ÿа-я]")
    shouted = (upper >= CAPITALS_LEAST) & (upper > (upper + lower) * at.capitals) & (N_WORDS >= 8)
    linked = ANSWER.str.len_chars() - ANSWER.str.replace_all(say.URL, "").str.len_chars()
    ends_alike = pl.any_horizontal(
        (column.str.slice(0, 1) == column.str.slice(-1)) & (column.str.len_bytes() >= 10)
        for column in (INSTRUCTION, ANSWER)
    )
    return [
        FilterRule(
            "not_one_character",
            "no text is one character over and over, nor has one letter 40 times in a row",
            (),
            ~(_same(INSTRUCTION) | _same(ANSWER) | _either(say.RUN)),
            pl.coalesce(_shown(say.RUN).replace("", None), ANSWER.str.slice(0, 20)),
            _row(answer="Paris, oh " + "a" * 60 + "."),
            doubt=ends_alike | _either(say.RUN),
        ),
        FilterRule(
            "no_control_characters",
            "no text has control characters but tabs and line ends",
            (),
            ~_either(say.CONTROL),
            where,
            _row(answer="Paris is known for\x00 the Louvre."),
        ),
        FilterRule(
            "no_mojibake",
            "no text was decoded by the wrong table",
            (),
            ~_either(say.MOJIBAKE) | _has(INSTRUCTION, say.ENCODING_ASKED),
            pl.coalesce(_shown(say.MOJIBAKE).replace("", None), _shown(say.MOJIBAKE, INSTRUCTION)),
            _row(answer="Paris is known for the MusÃ©e dâ€™Orsay."),
            doubt=_either(say.MOJIBAKE),
        ),
        FilterRule(
            "not_all_capitals",
            f"at most {at.capitals:.0%} of the letters are capitals",
            (),
            ~shouted | _has(INSTRUCTION, say.CAPITALS_ASKED) | _has(MAIN, r"(?m);\s*$"),
            upper.cast(pl.String) + " capitals, " + lower.cast(pl.String) + " small letters",
            _row(answer=TOLD.upper()),
            doubt=upper >= CAPITALS_LEAST,
        ),
        FilterRule(
            "not_mostly_links",
            f"at most {at.links:.0%} of the answer is web addresses",
            ("answer",),
            (linked <= ANSWER.str.len_chars() * at.links) | _has(INSTRUCTION, say.URL_ASKED),
            linked.cast(pl.String) + " characters of web addresses",
            _row(answer="See https://en.wikipedia.org/wiki/Paris and https://www.paris.fr/en."),
            doubt=_has(ANSWER, "://|www"),
        ),
    ]


def _shirking_rules(at: Limits) -> list[FilterRule]:
    words, lines = pl.col("answer_words"), ANSWER.str.count_matches(r"\n")
    shirked = (words < at.long_form_words) & (lines < 2) & _has(INSTRUCTION, say.LONG_FORM)
    phrases, sentences = ANSWER.str.count_matches(say.VAGUE), ANSWER.str.count_matches(r"[.!?](?:\s|\z)")
    many = (phrases >= at.vague_phrases) & (phrases * 2 >= sentences)
    nothing_else = _has(ANSWER, rf"\A\W*(?:{say.VAGUE})") & (sentences <= 1) & (words < 15) & ~_has(ANSWER, "[:,]")
    return [
        FilterRule(
            "long_form_is_long",
            f"an essay, report or story that is asked for is more than a paragraph of {at.long_form_words} words",
            BOTH,
            ~shirked | _has(INSTRUCTION, say.LENGTH_SAID),
            words.cast(pl.String) + " words in a paragraph",
            _row(
                "Write a persuasive essay about why cities should plant more trees.",
                "Trees make a city better to live in. They give shade in summer, clean the air that people breathe, "
                "and make streets nicer to walk along. That is why every city should plant many of them.",
            ),
            doubt=(words < at.long_form_words) & (words > 0),
        ),
        FilterRule(
            "not_vague",
            "the answer is not made of phrases that commit to nothing",
            ("answer",),
            ~((many | nothing_else) & ~_has(ANSWER, say.SPECIFIC)),
            phrases.cast(pl.String) + " such phrases, among them: " + _shown(say.VAGUE),
            _row(
                "How can I lower my heating bill?",
                "It depends on many factors. There are many different ways to look at this, and everyone is different. "
                "It is important to do your research and consult an expert.",
            ),
            doubt=~_has(ANSWER, say.SPECIFIC),
        ),
        FilterRule(
            "no_boilerplate_opening",
            "the answer does not open with stock phrases",
            ("answer",),
            ~_has(ANSWER, say.BOILERPLATE) | _has(INSTRUCTION, say.THANKS_ASKED),
            _shown(say.BOILERPLATE),
            _row(answer=f"Thank you for your question! {TOLD}"),
        ),
        FilterRule(
            "input_is_there",
            "an instruction that speaks of the following text has one",
            ("instruction",),
            ~_has(INSTRUCTION, say.INPUT_MISSING),
            pl.lit("it ends: ") + INSTRUCTION.str.slice(-60),
            _row("Summarize the following article in plain words:", "The article is about Paris, the French capital."),
            doubt=INSTRUCTION.str.ends_with(":"),
        ),
    ]


def rules_of(limits: Limits) -> dict[str, FilterRule]:
    """Return every rule by name, with the limits that a job gives, in the order in which reasons are told."""
    rules = (
        *_text_rules(),
        *_length_rules(limits),
        *_repetition_rules(limits),
        *_quality_rules(limits),
        *_character_rules(limits),
        *_shirking_rules(limits),
    )
    return {rule.name: rule for rule in rules}


FILTERS: Mapping[str, FilterRule] = rules_of(Limits())
