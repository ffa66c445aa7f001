"""Which columns of a dataset hold the instruction, the answer and what else is known; ROWS made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
from pydantic import Field, model_validator

from factory.artifacts.digest import hash_order
from factory.curate.turns import answer_text, as_text, prompt_text, question_and_answer, truth_text, turns_of
from factory.errors import UserError, nearest
from factory.seeds.parse import SHOWN
from factory.strict import Strict
from schemas.curation import ROWS

Values = pl.Series | list[Any]

MESSAGES = ("messages", "conversations", "conversation")
ANSWERS = ("completion", "chosen", "output", "response", "answer", "solution", "reward_model")
PAIRS = (
    ("prompt", ("completion", "chosen", "reward_model", "response", "answer", "output", "solution")),
    ("instruction", ("output", "response", "answer", "completion", "solution")),
    ("question", ("answer", "solution", "response", "output")),
    ("problem", ("solution", "answer", "response", "output")),
)
ALONE = ("prompt", "instruction", "question", "problem", "text")
INPUT = "input"  # of Alpaca: what the instruction is about
USUAL = tuple(dict.fromkeys(("id", INPUT, *MESSAGES, *ANSWERS, *ALONE)))  # names that are known
COUNTS = ("weak_right", "weak_tries", "strong_right", "strong_tries")
RATES = {"weak_right": "weak_rate", "strong_right": "strong_rate"}  # shares of the tries, where a source has these
NUMBERS = ("quality", *COUNTS)
TOLD_NUMBERS = (*NUMBERS, *RATES.values())
TEXTS = ("template", "signature")
YES_NO = {"true": "1", "false": "0"}


class RowColumns(Strict):
    """Which columns of a source are what; those not told are found by their usual names, or are not there."""

    instruction: str | None = Field(default=None, description="Column of the instruction: text, or a list of messages.")
    answer: str | None = Field(default=None, description="Column of the answer: text, or a list of messages.")
    messages: str | None = Field(default=None, description="Column of whole conversations.")
    id: str | None = Field(default=None, description="Column that names a row; taken if it names each row once.")
    template: str | None = Field(default=None, description="Column that says what a row was made by.")
    signature: str | None = Field(default=None, description="Column that says the way of its solution.")
    quality: str | None = Field(default=None, description="Column of a number: the higher, the better.")
    weak_right: str | None = Field(default=None, description="Column: how many answers of a weak model were right.")
    weak_tries: str | int | None = Field(default=None, description="Column, or the number: of how many answers.")
    strong_right: str | None = Field(default=None, description="Column: how many answers of a strong model were right.")
    strong_tries: str | int | None = Field(default=None, description="Column, or the number: of how many answers.")

    weak_rate: str | None = Field(default=None, description="Column: the share of right answers; needs weak_tries.")
    strong_rate: str | None = Field(default=None, description="Column: the share of right answers; needs strong_tries.")

    @model_validator(mode="after")
    def _rates_of_tries(self) -> RowColumns:
        for right, rate in RATES.items():
            tries = right.replace("right", "tries")
            if getattr(self, rate) is not None and (getattr(self, right) is not None or getattr(self, tries) is None):
                raise ValueError(f"{rate} is a share of {tries}: tell both, and leave {right} out")
        return self

    def __contains__(self, name: object) -> bool:
        """Return whether a column was told."""
        return isinstance(name, str) and getattr(self, name, None) is not None

    def told(self) -> dict[str, str]:
        """Return the columns by what they hold."""
        return {ours: theirs for ours, theirs in self if isinstance(theirs, str)}


@dataclass(frozen=True, slots=True)
class Taken:
    """What a source's columns were taken for. `constants` are counts that the job itself says."""

    instruction: tuple[str, ...] = ()
    answer: str | None = None
    messages: str | None = None
    id: str | None = None
    known: Mapping[str, str] = field(default_factory=dict)  # template, signature, quality, weak_right, ...
    constants: Mapping[str, int] = field(default_factory=dict)
    unused: tuple[str, ...] = ()  # columns that are there and hold none of it

    @property
    def columns(self) -> list[str]:
        """Return the columns that must be read, each once."""
        named = [*self.instruction, self.answer, self.messages, self.id, *self.known.values()]
        return list(dict.fromkeys(name for name in named if name is not None))

    @property
    def answered_in(self) -> str | None:
        """Return the column that the answer stands in."""
        return self.answer or self.messages

    @property
    def content(self) -> list[Any]:
        """Return it as JSON, for keys."""
        return [list(self.instruction), self.answer, self.messages, self.id, dict(self.known), dict(self.constants)]

    def describe(self) -> str:
        """Return in words what was taken."""
        parts = [f"id from '{self.id}'"] if self.id else []
        if self.messages:
            parts.append(f"instruction and answer from the turns of '{self.messages}'")
        if self.instruction:
            parts.append("instruction from " + " and ".join(f"'{name}'" for name in self.instruction))
        if self.answer:
            parts.append(f"answer from '{self.answer}'")
        parts += [f"{ours} from '{theirs}'" for ours, theirs in self.known.items()]
        said = ", ".join(parts)
        if self.answered_in is not None or not self.unused:
            return said
        return f"{said}; NO ANSWER: no other column is known to hold one; not used: {', '.join(self.unused[:SHOWN])}"


def choose_columns(label: str, names: Iterable[str], told: RowColumns | None = None) -> Taken:
    """Return which of the names hold what: as told, and where nothing is told by the names that datasets use.

    The order: messages, conversations, conversation; prompt with completion, chosen or reward_model; instruction (and
    input) with output, response or answer; question with answer or solution; prompt, text. UserError when a told column
    is not there, with the nearest, and when no column is known.
    """
    told, there = told or RowColumns(), list(dict.fromkeys(names))
    for ours, theirs in told.told().items():
        _require(label, ours, theirs, there)
    known = {name: theirs for name, theirs in told.told().items() if name in (*TEXTS, *TOLD_NUMBERS)}
    constants = {name: count for name in COUNTS if isinstance(count := getattr(told, name), int)}
    instruction, answer, messages = _texts(told, there)
    if not instruction and answer is None and messages is None:
        raise UserError(
            f"{label} has no column that is known to hold an instruction; its columns: {_listed(there)}; say which: "
            "`columns: {instruction: YOUR_COLUMN, answer: YOUR_COLUMN}`, in a command --instruction and --answer"
        )
    id_ = told.id or ("id" if "id" in there else None)
    taken = Taken(instruction, answer, messages, id_, known, constants)
    return replace(taken, unused=tuple(name for name in there if name not in taken.columns))


def _texts(told: RowColumns, there: Sequence[str]) -> tuple[tuple[str, ...], str | None, str | None]:
    """Return the columns of the instruction, of the answer and of whole conversations."""
    if told.messages:
        return ((told.instruction,) if told.instruction else ()), told.answer, told.messages
    if told.instruction:
        return (told.instruction,), told.answer or _first(there, ANSWERS, but=told.instruction), None
    if told.answer is None:
        if messages := _first(there, MESSAGES):
            return (), None, messages
        for asked, answers in PAIRS:
            if asked in there and (answer := _first(there, answers)):
                return _with_input(asked, there), answer, None
    asked = _first(there, ALONE, but=told.answer) or ""
    return _with_input(asked, there) if asked else (), told.answer, None


def _with_input(asked: str, there: Sequence[str]) -> tuple[str, ...]:
    return (asked, INPUT) if asked == "instruction" and INPUT in there else (asked,)


def _first(there: Sequence[str], names: Sequence[str], but: str | None = None) -> str | None:
    return next((name for name in names if name in there and name != but), None)


def _require(label: str, ours: str, theirs: str, there: Sequence[str]) -> None:
    if theirs not in there:
        hint = nearest(theirs, there)
        option = f", in a command --{ours}" if ours in ("instruction", "answer") else ""
        raise UserError(
            f"{label} has no column '{theirs}'{hint if 'did you mean' in hint else ''}; its columns: {_listed(there)}; "
            f"say in the job which one holds the {ours}: `columns: {{{ours}: YOUR_COLUMN}}`{option}"
        )


def _listed(names: Sequence[str]) -> str:
    return (", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")) or "none"


def require_numbers(label: str, taken: Taken, columns: Mapping[str, Values]) -> None:
    """Raise UserError for a told column of numbers whose first rows hold texts, none of them a number."""
    for ours, theirs in taken.known.items():
        if ours not in TOLD_NUMBERS or theirs not in columns:
            continue
        texts = text_series(columns[theirs])
        if (texts.str.strip_chars() != "").any() and _number(texts).is_null().all():
            shown = texts.filter(texts.str.strip_chars() != "")[0]
            raise UserError(f"{label}: column '{theirs}' holds no number for {ours}; the first is '{shown[:40]}'")


def rows_of(frame: pl.DataFrame, columns: RowColumns | None = None, *, source: str = "frame") -> pl.DataFrame:
    """Return ROWS of a frame, its columns found as those of a file; `row` is the place in the frame.

    Ids are the frame's own if they name each row once, else made from the source's name and the place.
    """
    taken = choose_columns(source, frame.columns, columns)
    require_numbers(source, taken, {name: frame[name] for name in taken.known.values()})
    rows = rows_from(taken, {name: frame[name] for name in taken.columns}, source)
    if taken.id is None or (rows["id"] == "").any() or rows["id"].is_duplicated().any():
        rows = rows.with_columns(id=made_ids(source, 0, frame.height))
    row = pl.int_range(frame.height, dtype=pl.Int64, eager=True).alias("row")
    return rows.with_columns(row).select(*ROWS.columns)


def rows_from(taken: Taken, columns: Mapping[str, Values], source: str) -> pl.DataFrame:
    """Return the columns of ROWS but `row`; `id` is that of the source, empty where it has none."""
    height = len(next(iter(columns.values()))) if columns else 0
    empty = pl.repeat("", height, dtype=pl.String, eager=True)
    asked, answered = _pair(taken, columns, empty)
    cells = {"source": pl.repeat(source, height, dtype=pl.String, eager=True), "instruction": asked, "answer": answered}
    for name in TEXTS:
        cells[name] = text_series(columns[taken.known[name]]) if name in taken.known else empty
    cells["id"] = text_series(columns[taken.id]) if taken.id else empty
    for name in NUMBERS:
        cells[name] = _numbers(name, taken, columns, height)
    return pl.DataFrame(cells)


def _pair(taken: Taken, columns: Mapping[str, Values], empty: pl.Series) -> tuple[pl.Series, pl.Series]:
    asked, answered = empty, empty
    if taken.messages:
        cells = columns[taken.messages]
        pairs = [_from_messages(cell) for cell in (cells.to_list() if isinstance(cells, pl.Series) else cells)]
        asked, answered = (pl.Series([pair[i] for pair in pairs], dtype=pl.String) for i in (0, 1))
    if taken.instruction:
        asked = _joined([text_series(columns[name], prompt_text) for name in taken.instruction])
    if taken.answer:
        answered = text_series(columns[taken.answer], truth_text if taken.answer == "reward_model" else answer_text)
    return asked, answered


def _joined(parts: list[pl.Series]) -> pl.Series:
    """Return the instruction, with its input below where there is one."""
    if len(parts) == 1:
        return parts[0]
    asked, about = pl.col("asked"), pl.col("about")
    both = pl.DataFrame({"asked": parts[0], "about": parts[1]})
    bare = about.str.strip_chars() == ""
    return both.select(pl.when(bare).then(asked).otherwise(asked + "\n\n" + about).alias("asked")).to_series()


def _from_messages(value: object) -> tuple[str, str]:
    turns = turns_of(value)
    return (as_text(value), "") if turns is None else question_and_answer(turns)


def text_series(values: Values, say: Callable[[object], str] = as_text) -> pl.Series:
    """Return the values as texts, none of them null; `say` turns one that is no text into one."""
    if isinstance(values, pl.Series):
        if values.dtype == pl.String:
            return values.fill_null("")
        if not values.dtype.is_nested() and values.dtype not in (pl.Object, pl.Binary):
            return values.cast(pl.String).fill_null("")
        return pl.Series([say(value) for value in values.to_list()], dtype=pl.String)
    try:
        return pl.Series(values, dtype=pl.String).fill_null("")
    except TypeError:
        return pl.Series([value if isinstance(value, str) else say(value) for value in values], dtype=pl.String)


def _number(texts: pl.Series) -> pl.Series:
    plain = texts.str.strip_chars().replace(YES_NO).cast(pl.Float64, strict=False)
    return plain.to_frame("n").select(pl.when(pl.col("n").is_finite()).then("n")).to_series()


def _numbers(name: str, taken: Taken, columns: Mapping[str, Values], height: int) -> pl.Series:
    """Return a column of numbers; what is no number is null: it is not known."""
    dtype = pl.Int64 if name in COUNTS else pl.Float64
    if name in taken.constants:
        return pl.repeat(taken.constants[name], height, dtype=dtype, eager=True)
    if (rate := RATES.get(name)) in taken.known:
        tries = _numbers(name.replace("right", "tries"), taken, columns, height)
        return (_number(text_series(columns[taken.known[str(rate)]])) * tries).round().cast(pl.Int64)
    if name not in taken.known:
        return pl.repeat(None, height, dtype=dtype, eager=True)
    found = _number(text_series(columns[taken.known[name]])).to_frame("n")
    whole = (pl.col("n") == pl.col("n").round()) & (pl.col("n").abs() < 2**53) if name in COUNTS else pl.lit(True)
    return found.select(pl.when(whole).then("n").cast(dtype)).to_series()


def made_ids(source: str, first: int, n: int) -> pl.Series:
    """Return ids (20 hex digits) for n places of a source from `first` on, a function of its name and the place."""
    digits: list[str] = []
    block, skip = divmod(first, IDS_AT_ONCE)
    while len(digits) < skip + n:
        many = min(IDS_AT_ONCE, skip + n - len(digits))
        halves = [hash_order(0, f"{source}\x1f{block}\x1f{half}", many) for half in "ab"]
        first_half, second_half = (half.astype(">u8").tobytes().hex() for half in halves)
        digits += [first_half[i : i + 16] + second_half[i : i + 4] for i in range(0, 16 * many, 16)]
        block += 1
    return pl.Series(digits[skip:], dtype=pl.String)


IDS_AT_ONCE = 50_000
