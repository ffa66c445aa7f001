"""The assistant's turn: what a reply to a row's prompt is, from its steps and its verifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WHOLE_REPLY = ("rubric", "abstain")  # kinds of verifiers whose gold is all of the assistant's turn


def completion(steps: str, verifier: Mapping[str, Any]) -> str:
    """Return the assistant's turn: the solver's steps and the answer line, or the reply that is the gold itself."""
    gold: str = verifier["gold"]
    if verifier["kind"] in WHOLE_REPLY:
        return gold
    separator = "\n" if "\n" in gold else " "
    return f"{steps}\nAnswer:{separator}{gold}"
