"""The records of a CSV or TSV file, one by one; a quote that is never closed costs one line, not the file."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import IO

from factory.errors import UserError

LONGEST = 64 << 20  # characters of a cell


def csv_names(label: str, stream: IO[bytes]) -> list[str] | None:
    """Return the names in the first line, or None for an empty file."""
    with closing(csv_records(label, stream)) as records:
        first = next(records, None)
    return first if isinstance(first, list) else None


def csv_records(label: str, stream: IO[bytes]) -> Generator[list[str] | str, None, None]:
    """Yield the names, then each record's cells or, as a string, what is wrong with it; blank lines are left out.

    UserError when the first line is no list of names that differ.
    """
    csv.field_size_limit(LONGEST)  # for the whole process; the module offers no other way
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _records(label, _Lines(text))
    finally:
        text.detach()  # the stream is its opener's to close


def _records(label: str, lines: _Lines) -> Iterator[list[str] | str]:
    # One reader for all: after an error it begins anew with the next line.
    reader = csv.reader(lines, delimiter="\t" if ".tsv" in label.lower()[-8:] else ",", strict=True)
    names = 0
    while True:
        record = _next_record(lines, reader)
        if record is None:
            return
        if not names:
            names = len(_require_names(label, record))
        elif isinstance(record, list) and len(record) != names:
            record = f"line {lines.first}: {len(record)} cells, the first line has {names}"
        yield record


def _next_record(lines: _Lines, reader: Iterator[list[str]]) -> list[str] | str | None:
    """Return the next record that is not blank, what is wrong with it, or None at the end."""
    while True:
        lines.begin()
        try:
            record = next(reader)
        except StopIteration:
            return None
        except csv.Error as error:
            lines.give_back()
            return f"line {lines.first}: not CSV ({error})"
        if not record or (len(record) == 1 and not record[0].strip()):
            continue
        if lines.suspect and not _is_text(record):
            return f"line {lines.first}: not UTF-8"
        return record


class _Lines:
    """The lines of a file; those of a record that was none are given back, all but its first."""

    def __init__(self, text: Iterator[str]) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._read = 0
        self.first = 0
        self.suspect = False

    def begin(self) -> None:
        """Forget the lines of the last record."""
        self._taken.clear()
        self.first = self._read + 1
        self.suspect = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._text)
        self._taken.append(line)
        self._read += 1
        self.suspect = self.suspect or not line.isascii()
        return line

    def give_back(self) -> None:
        """Let all lines of the record but its first be read again."""
        self._again.extendleft(reversed(self._taken[1:]))
        self._read -= len(self._taken) - 1


def _is_text(record: list[str]) -> bool:
    try:
        "".join(record).encode()
    except UnicodeEncodeError:
        return False
    return True


def _require_names(label: str, record: list[str] | str) -> list[str]:
    if isinstance(record, str) or not _is_text(record):
        raise UserError(f"{label}: the first line must name the columns; {record if isinstance(record, str) else ''}")
    if twice := next((name for name in record if record.count(name) > 1), None):
        raise UserError(f"{label}: the first line names the column '{twice}' twice; every column needs its own name")
    return record
