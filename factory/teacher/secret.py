"""No key in what is kept or shown: some servers quote the Authorization header in what they answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

HIDDEN = "***"
LEAST = 8  # characters; a shorter key may be a part of any word
SURE = 16  # characters; a shorter key without a digit, such as not-needed, may be what a model says
# A word about keys after Bearer is no key: `Bearer token is missing`.
_ABOUT = r"(?!(?:tokens?|auth\w*|keys?|headers?|scheme|format|credentials?|realm)(?:[.,:;=]|\s|[\"']|$))"
_LIKE_A_KEY = re.compile(rf"\b(bearer(?:\s|%20|\+)+){_ABOUT}[\w.~+/=*-]{{4,}}|\bsk-[\w*-]{{4,}}", re.IGNORECASE)


def hide(text: str) -> str:
    """Return the text with *** for everything that looks like a key: what follows `Bearer`, and `sk-...`."""
    return _LIKE_A_KEY.sub(lambda found: (found[1] or "") + HIDDEN, text)


def without_key(raw: bytes, sent: Mapping[str, str], *, reply: bool = False) -> bytes:
    """Return what a server said with *** for the key among the headers that were `sent` to it.

    In a `reply` a short key that is an everyday word stays: servers that need no key get such a one, and there the word
    is the model's own.
    """
    key = sent.get("Authorization", "").removeprefix("Bearer ")
    if len(key) >= LEAST and (len(key) >= SURE or any(sign.isdigit() for sign in key)):
        for written in _writings(key):
            raw = raw.replace(written, HIDDEN.encode())
        return raw
    if reply or not key:
        return raw
    return re.sub(rb"(?<![A-Za-z0-9])%s(?![A-Za-z0-9])" % re.escape(key.encode()), HIDDEN.encode(), raw)


def _writings(key: str) -> tuple[bytes, ...]:
    """Return how a key may stand in a body: escaped as JSON allows, or as it is."""
    escaped = json.dumps(key)[1:-1]
    return escaped.replace("/", "\\/").encode(), escaped.encode(), key.encode()
