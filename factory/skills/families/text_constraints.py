"""Verifiable constraints on a note that a student writes (IFEval, arXiv 2311.07911): a skill says and checks each one.

`apply` builds a gold note from x by an edit of factory/skills/note_edits.py; `check` names the scorer's check. Several
are applied in the order of SKILLS: structure, content, what stands first and last, counts, casing, quotes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from factory.skills import note_edits as edits
from factory.skills.domains import Choice, Domain, Notes, Range
from factory.skills.skill import Skill

FAMILY = "text_constraints"
NOTE = Notes(6, 30)
FEW, SOME = Range(2, 4), Range(3, 6)
NOUN = Choice(edits.NOUNS)
FORBIDDEN = (
    ["very", "really"], ["the", "a"], ["and", "but"], ["is", "are"], ["we", "our", "us"], ["this", "that"],
    ["in", "on"], ["good", "great", "nice"],
)  # fmt: skip
COLUMNS = (
    ["item", "note"], ["day", "plan"], ["name", "role"], ["place", "time", "detail"], ["topic", "owner", "status"],
    ["room", "guest"],
)  # fmt: skip
KEYS = (
    ["title", "body"], ["subject", "message"], ["topic", "summary", "sender"], ["headline", "details", "author"],
    ["place", "time", "reason"], ["name", "note"],
)  # fmt: skip


def _skill(check: str, apply: Callable[..., str], phrasings: tuple[str, ...], done: str, **knobs: Domain) -> Skill:
    def named(**params: Any) -> dict[str, Any]:
        return {"check": check, **params}

    return Skill(
        name=f"note_{check}",
        family=FAMILY,
        takes="text",
        gives="text",
        about=f"a note that keeps the constraint {check}",
        x=NOTE,
        knobs=knobs,
        apply=apply,
        phrasings=phrasings,
        steps=done,
        check=named,
    )


SKILLS = (
    _skill(
        "json_object",
        edits.as_json,
        (
            "Write the note as one JSON object with exactly the keys {keys}, in this order, and nothing around it.",
            "The note must be valid JSON: a single object whose keys are, in this order, {keys}.",
            "Format the note as a JSON object that has the keys {keys} in the given order and no others.",
        ),
        "The words of the note are shared out over the keys {keys}.",
        keys=Choice(KEYS),
    ),
    _skill(
        "csv",
        edits.as_csv,
        (
            "Write the note as CSV with a header line of the columns {columns}, in this order, and exactly {rows} rows "
            "below it.",
            "Format the note as comma-separated values: first the column names {columns}, then {rows} lines of data.",
            "The note must be a CSV table with the columns {columns} and {rows} data rows, without any other text.",
        ),
        "The words of the note become {rows} rows below the header {columns}.",
        columns=Choice(COLUMNS),
        rows=Range(2, 4),
    ),
    _skill(
        "separator",
        edits.in_parts,
        (
            "Divide the note into {n} parts with the line {text} between one part and the next.",
            "Give the note {n} sections; a line of just {text} stands between two sections.",
            "The note consists of {n} parts, and lines that hold nothing but {text} separate them.",
        ),
        "The note is cut into {n} parts with {text} between them.",
        text=Choice(("***", "---", "===", "~~~", "+++")),
        n=FEW,
    ),
    _skill(
        "line_count",
        edits.in_lines,
        (
            "Write the note in exactly {n} lines; empty lines do not count.",
            "The note has {n} lines of text, no more and no fewer (blank lines are not counted).",
            "Spread the note over {n} lines, leaving blank lines out of the count.",
        ),
        "The note is broken into {n} lines.",
        n=SOME,
    ),
    _skill(
        "bullet_count",
        edits.with_bullets,
        (
            'Put exactly {n} bullet points in the note, each on its own line that starts with "- ".',
            'The note must contain {n} bulleted lines, where a bulleted line begins with "- ".',
            'Use {n} bullets in the note, no more and no fewer. Every bullet is a line beginning with "- ".',
        ),
        "{n} lines of the note become bullets.",
        n=FEW,
    ),
    _skill(
        "numbered_list",
        edits.with_numbers,
        (
            'Include a numbered list of exactly {n} lines in the note, which start with "1. ", "2. " and so on.',
            "The note has {n} numbered lines, starting with 1., 2., and so on up to {n}.",
            'Number {n} lines of the note from 1 to {n}; each of them starts with its number, as in "1. ".',
        ),
        "{n} lines of the note get the numbers from 1 on.",
        n=FEW,
    ),
    _skill(
        "paragraph_count",
        edits.in_paragraphs,
        (
            "Write the note in exactly {n} paragraphs, with a blank line between paragraphs.",
            "The note consists of {n} paragraphs; paragraphs are separated by an empty line.",
            "Divide the note into {n} paragraphs by leaving a blank line between one and the next.",
        ),
        "The note is divided into {n} paragraphs.",
        n=FEW,
    ),
    _skill(
        "first_letters",
        edits.with_first_letter,
        (
            'Every word of the note must begin with the letter "{letter}" (small or capital).',
            'Use only words that start with "{letter}" in the note; capitals are fine.',
            'The note is an alliteration: all of its words begin with "{letter}".',
        ),
        'Every word is replaced by one that begins with "{letter}".',
        letter=Choice(tuple("bcdmprst")),
    ),
    _skill(
        "word_length_max",
        edits.with_short_words,
        (
            "Use no word of more than {n} letters in the note.",
            "Each word of the note has at most {n} letters.",
            "Keep the words of the note short: {n} letters or fewer each.",
        ),
        "Words of more than {n} letters are replaced by shorter ones.",
        n=Range(7, 9),
    ),
    _skill(
        "letter_count",
        edits.with_letter,
        (
            'The letter "{letter}" occurs exactly {n} times in the note, small and capital ones together.',
            'Write the note so that it contains the letter "{letter}" exactly {n} times (case does not matter).',
            'Use the letter "{letter}" {n} times in the note, no more and no fewer, counting both cases.',
        ),
        'Words with "{letter}" are chosen so that it occurs {n} times.',
        letter=Choice(tuple(edits.LETTER_WORDS)),
        n=FEW,
    ),
    _skill(
        "keyword",
        edits.with_keyword,
        (
            'Use the word "{word}" exactly {n} times in the note.',
            'The word "{word}" must appear in the note {n} times, no more and no fewer.',
            'Mention "{word}" exactly {n} times in the note, as a whole word; case does not matter.',
        ),
        'The word "{word}" is worked in so that it occurs {n} times.',
        word=NOUN,
        n=FEW,
    ),
    _skill(
        "min_keyword",
        edits.with_min_keyword,
        (
            'Use the word "{word}" at least {n} times in the note.',
            'The word "{word}" must occur {n} times or more in the note.',
            'Mention "{word}" in the note no fewer than {n} times, as a whole word.',
        ),
        'The word "{word}" is worked in more than {n} times.',
        word=NOUN,
        n=FEW,
    ),
    _skill(
        "forbidden",
        edits.without_words,
        (
            "Do not use any of the words {words} in the note.",
            "The words {words} are not allowed in the note, whatever their case.",
            "Write the note without these words: {words}.",
        ),
        "The words {words} are left out.",
        words=Choice(FORBIDDEN),
    ),
    _skill(
        "repeat_phrase",
        edits.with_phrase,
        (
            'Use the phrase "{text}" exactly {n} times in the note, written just like this.',
            'The note contains the phrase "{text}" {n} times, no more and no fewer, in small letters as shown here.',
            'Repeat the phrase "{text}", without changing its letters, so that the note has it exactly {n} times.',
        ),
        'The phrase "{text}" is worked in {n} times.',
        text=Choice(edits.PHRASES),
        n=FEW,
    ),
    _skill(
        "placeholder_count",
        edits.with_placeholders,
        (
            "Put exactly {n} placeholders in square brackets, such as [name], into the note.",
            "The note must contain {n} placeholders, each in square brackets like [date].",
            "Leave {n} gaps to fill in: the note has exactly {n} expressions in square brackets, such as [place].",
        ),
        "{n} placeholders in square brackets are put in.",
        n=FEW,
    ),
    _skill(
        "hashtag_count",
        edits.with_hashtags,
        (
            "Use exactly {n} hashtags, such as #example, in the note.",
            "The note must contain {n} hashtags (# directly followed by a word), no more and no fewer.",
            "Tag the note with {n} hashtags; there are no others in it.",
        ),
        "{n} hashtags are put in.",
        n=FEW,
    ),
    _skill(
        "no_commas",
        lambda x: x.replace(",", ""),
        (
            "Do not use any commas in the note.",
            "The note must not contain a comma.",
            "Write the note without a single comma.",
        ),
        "There are no commas in the note.",
    ),
    _skill(
        "no_digits",
        edits.without_digits,
        (
            "Do not use any digits in the note.",
            "The note must not contain the digits 0 to 9.",
            "Write the note without digits; spell numbers out if you need them.",
        ),
        "There are no digits in the note.",
    ),
    _skill(
        "digit_count",
        edits.with_digits,
        (
            "Use exactly {n} digits (0 to 9) in the whole note; 2025 would count as four.",
            "The note contains {n} digit characters in all, no more and no fewer.",
            "Count every character from 0 to 9 in the note: there must be exactly {n} of them.",
        ),
        "A number is put in so that the note has {n} digits.",
        n=Range(3, 7),
    ),
    _skill(
        "question_count",
        edits.with_questions,
        (
            "Use exactly {n} question marks in the note.",
            "The note must ask {n} questions, each ending in one question mark, and contain no other question mark.",
            "Put {n} question marks in the note, no more and no fewer.",
        ),
        "{n} question marks are set.",
        n=Range(2, 3),
    ),
    _skill(
        "starts_with",
        edits.with_start,
        (
            'Begin the note with "{text}".',
            'The very first characters of the note must be "{text}", written just like this.',
            'Start the note with exactly this text: "{text}".',
        ),
        'The note is made to begin with "{text}".',
        text=Choice(edits.STARTS),
    ),
    _skill(
        "ends_with",
        edits.with_end,
        (
            'End the note with "{text}" and nothing after it.',
            'The very last characters of the note must be "{text}", written just like this.',
            'Finish the note with exactly this text: "{text}".',
        ),
        'The note is made to end with "{text}".',
        text=Choice(edits.ENDS),
    ),
    _skill(
        "min_words",
        lambda x, n: edits.at_least_words(edits.at_most_words(x, n + n // 3), n + 1),  # half of it must not do
        (
            "Use at least {n} words in the note.",
            "The note must have {n} words or more.",
            "Write a note of no fewer than {n} words.",
        ),
        "The note is brought to a little more than {n} words.",
        n=Range(8, 35),
    ),
    _skill(
        "max_words",
        edits.at_most_words,
        (
            "Use at most {n} words in the note.",
            "The note must not have more than {n} words.",
            "Keep the note to {n} words or fewer.",
        ),
        "The note is cut to at most {n} words.",
        n=Range(10, 25),
    ),
    _skill(
        "word_count",
        lambda x, n: edits.at_least_words(edits.at_most_words(x, n), n),
        (
            "Use exactly {n} words in the note.",
            "The note must be {n} words long, no more and no fewer (words are what spaces separate).",
            "Write a note of exactly {n} words.",
        ),
        "Words are put in or left out until there are {n}.",
        n=Range(8, 35),
    ),
    _skill(
        "sentence_count",
        edits.in_sentences,
        (
            "Write the note in exactly {n} sentences; each sentence ends with . or ! or ?",
            "The note consists of {n} sentences, each closed by a full stop, an exclamation mark or a question mark.",
            "Use {n} sentences in the note, no more and no fewer.",
        ),
        "Full stops are set so that there are {n} sentences.",
        n=Range(2, 5),
    ),
    _skill(
        "capital_words",
        edits.with_capitals,
        (
            "Write exactly {n} words of the note in capital letters, such as WORD; one-letter words do not count.",
            "The note must contain {n} words that are all capitals (of two letters or more), no more and no fewer.",
            "Stress exactly {n} words of the note, each of at least two letters, by writing them in ALL CAPITALS.",
        ),
        "{n} words are put in capitals.",
        n=FEW,
    ),
    _skill(
        "title_case",
        edits.in_title_case,
        (
            "Begin every word of the note with a capital letter.",
            "Write the note In Title Case: no word starts with a small letter.",
            "Each word of the note must start with a capital letter (or a digit).",
        ),
        "Every word gets a capital letter in front.",
    ),
    _skill(
        "lowercase",
        str.lower,
        (
            "Write the note in small letters only, without any capital.",
            "Use no capital letters in the note.",
            "The whole note must be in lower case.",
        ),
        "All letters are made small.",
    ),
    _skill(
        "uppercase",
        str.upper,
        (
            "Write the note in capital letters only.",
            "Use no small letters in the note.",
            "The whole note must be in upper case.",
        ),
        "All letters are made capitals.",
    ),
    _skill(
        "quoted",
        lambda x: '"' + x.strip('"') + '"',
        (
            "Put the whole note in double quotation marks.",
            'The note must start and end with a double quotation mark (").',
            "Wrap the note, from its first to its last character, in double quotes.",
        ),
        "The note is put in double quotation marks.",
    ),
)
