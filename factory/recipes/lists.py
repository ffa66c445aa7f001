"""The shipped lists that language recipes are fed with: prompts/lists/<name>.yaml."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml

from factory.prompts import prompts_folder


@cache
def shipped_list(name: str) -> dict[str, Any]:
    """Return a shipped list as it stands in its file: a mapping with `version` and the entries under their name."""
    found: dict[str, Any] = yaml.safe_load((prompts_folder() / "lists" / f"{name}.yaml").read_text(encoding="utf-8"))
    return found
