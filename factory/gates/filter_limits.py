"""The numbers that the filters go by, as a person writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from factory.gates import text
from factory.strict import Strict

Part = Literal["instruction", "answer"]
Share = Annotated[float, Field(ge=0, le=1)]
Band = Annotated[tuple[int, int], Field(description="least and most")]


class Limits(Strict):
    """The numbers that the rules go by. Shares are of characters unless they say otherwise."""

    instruction_characters: Band = Field(
        default=text.PROMPT_LENGTH, description="Fewest and most characters of an instruction."
    )
    answer_characters: Band = Field(
        default=(1, text.RESPONSE_LONGEST), description="Fewest and most characters of an answer."
    )
    instruction_words: Band = Field(default=(2, 2_000), description="Fewest and most words of an instruction.")
    answer_words: Band = Field(default=(1, 4_000), description="Fewest and most words of an answer.")
    prose_words: int = Field(
        default=50, ge=1, description="Gopher's rules leave shorter texts alone (its own least length)."
    )
    equal_lines: Share = Field(
        default=0.30, description="Greatest share of lines that repeat an earlier one (of lines)."
    )
    equal_line_characters: Share = Field(
        default=0.20, description="Greatest share in lines that repeat an earlier one."
    )
    equal_paragraphs: Share = Field(
        default=0.30, description="Greatest share of paragraphs that repeat an earlier one."
    )
    equal_paragraph_characters: Share = Field(
        default=0.20, description="Greatest share in paragraphs that repeat an earlier one."
    )
    top_ngrams: tuple[Share, Share, Share] = Field(
        default=(0.20, 0.18, 0.16), description="Greatest share of the commonest 2-, 3- and 4-gram of words."
    )
    equal_ngrams: tuple[Share, Share, Share, Share, Share, Share] = Field(
        default=(0.15, 0.14, 0.13, 0.12, 0.11, 0.10), description="Greatest share in 5- to 10-grams that come again."
    )
    mean_word: tuple[float, float] = Field(default=(3.0, 10.0), description="Least and greatest mean length of a word.")
    symbols: float = Field(default=0.10, ge=0, description="Most hash signs and ellipses for each word (Gopher).")
    lettered_words: Share = Field(
        default=0.80, description="Least share of words with a letter in them (Gopher; of words)."
    )
    stop_words: int = Field(default=2, ge=0, description="Fewest stop words of an English text (Gopher).")
    bullet_lines: Share = Field(
        default=0.90, description="Greatest share of lines that are list entries (Gopher; of lines)."
    )
    unended_lines: Share = Field(
        default=0.30, description="Greatest share of lines that end in an ellipsis (Gopher; of lines)."
    )
    capitals: Share = Field(
        default=0.70, description="Greatest share of capitals among 40 letters and more (of letters)."
    )
    links: Share = Field(default=0.50, description="Greatest share of an answer that is web addresses.")
    long_form_words: int = Field(
        default=100, ge=0, description="Fewest words of one paragraph where a long text is asked for."
    )
    vague_phrases: int = Field(
        default=3, ge=1, description="From so many non-committal phrases an answer may be vague."
    )
