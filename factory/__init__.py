"""Skill Factory: skills in, verified, deduplicated, versioned training sets out.

In a notebook: `from factory import build, load, score`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from factory.score import score

if TYPE_CHECKING:
    from factory.notebook import build, load

__all__ = ["build", "load", "score"]


def __getattr__(name: str) -> Any:
    """Import the heavier functions when they are first used, so that the command line starts fast."""
    if name in ("build", "load"):
        from factory import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'factory' has no attribute '{name}'")
