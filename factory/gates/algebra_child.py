"""A program that compares mathematics: reads lines [a, b], answers each with true, false or null (not to be parsed).

It imports nothing of the factory. Whoever starts it watches the clock; memory it limits itself.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from importlib import import_module
from typing import Any

MEMORY = 2 << 30  # bytes: 10^{10^10} written out has more


def parsed(library: Any, text: str) -> list[Any]:
    """Return what a text means, as the library's values; nothing where it means no mathematics."""
    source = text if "$" in text or "\\(" in text or "\\[" in text else f"${text}$"
    found: list[Any] = library.parse(source, fallback_mode="no_fallback", parsing_timeout=None)
    return found


def equal(library: Any, a: str, b: str) -> bool | None:
    """Return whether a equals b either way round, since the library's comparison has a direction."""
    left, right = parsed(library, a), parsed(library, b)
    if not left or not right:
        return None
    return any(bool(library.verify(*pair, timeout_seconds=None)) for pair in ((left, right), (right, left)))


def main() -> None:
    """Answer lines until there are no more."""
    try:
        import resource
    except ImportError:  # no such limits on this system
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is not an answer
    logging.disable(logging.CRITICAL)
    library = import_module("math_verify")
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        answers.write(json.dumps(equal(library, *json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
