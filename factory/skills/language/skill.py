"""A language skill: something an answer must show, told by a name, a definition and illustrations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FIELDS = ("name", "definition", "positive", "negative", "family", "origin", "count", "title")


@dataclass(frozen=True, slots=True)
class LanguageSkill:
    """A skill that a model understands. `name` is canonical (lower_snake_case, see names.py).

    `positive` shows the skill; `negative` is a hard negative: it looks like the skill and does not show it. `origin`
    says where it comes from (shipped, a file, domain:TEXT, rows:FILE, documents:FILE); `count` how many labels or rows
    named it. `title` is how people write the name where that is more than its words (hyphens, apostrophes). All but the
    name may be empty.
    """

    name: str
    definition: str = ""
    positive: str = ""
    negative: str = ""
    family: str = ""
    origin: str = ""
    count: int = 1
    title: str = ""

    @property
    def label(self) -> str:
        """Return the name as people write it."""
        return self.title or self.name.replace("_", " ")

    @property
    def said(self) -> str:
        """Return what is embedded: the name and, where there is one, the definition."""
        return f"{self.label}: {self.definition}" if self.definition else self.label

    def as_row(self) -> dict[str, Any]:
        """Return the row of the table of language skills."""
        return asdict(self)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> LanguageSkill:
        """Return the skill of a row of that table."""
        return cls(**{name: row[name] for name in FIELDS})
