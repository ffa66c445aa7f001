"""The errors of the factory: what went wrong, which thing, what was found, what to do.

FactoryError              ours: exit code 1
├── Waiting               not done yet, and nothing is wrong: exit code 3
└── UserError             the user can mend it: exit code 2
    ├── QuotaUnmet        a cell of the plan cannot be filled
    ├── BudgetSpent       a teacher may not be asked any more
    ├── MissingColumn     a table has no column of that name
    └── MissingExtra      an optional library is not installed

A frame that does not keep its contract is schemas.table.SchemaMismatch: always our mistake.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FactoryError(Exception):
    """Something of ours went wrong."""

    exit_code = 1


class Waiting(FactoryError):
    """The run goes on when somebody else has done their part; the message says what, and how to go on."""

    exit_code = 3


class UserError(FactoryError):
    """The user can mend it: the message says what, which, what was found and what to do."""

    exit_code = 2


class QuotaUnmet(UserError):
    """A cell of the plan could not be filled within the attempts the job allows."""


class BudgetSpent(UserError):
    """The budget of a run has no room for the next request; every reply so far is kept."""


class MissingColumn(UserError):
    """A table has no column of that name; how to name another depends on where it was asked for."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"{found}; {remedy}")
        self._found = found

    def with_remedy(self, remedy: str) -> UserError:
        """Return the same finding with another way out."""
        return UserError(f"{self._found}; {remedy}")


class MissingExtra(UserError):
    """An optional library is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}', which is not installed: pip install -e '.[{extra}]'")
        self._said = (what, extra)

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        """Let a worker send it home: an exception is rebuilt from what it was made with."""
        return MissingExtra, self._said


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ' (did you mean X?)' for the closest valid name, else the list of valid names."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f" (did you mean '{close[0]}'?)"
    return f" (one of: {', '.join(names)})" if names else " (there are none)"
