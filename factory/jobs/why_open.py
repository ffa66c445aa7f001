"""Why slots stayed open, and what to do about it, in a sentence for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from factory.teacher.protocol import CONTENT

FEW_REPLANS = 10
TEACHER_REMEDIES = {
    "truncated": "Raise teacher.sampling.max_tokens.",
    "prompt_too_long": "Start the server with a larger --max-model-len, or use a model with a longer context.",
    "unparsable": "Use a server that keeps response_format (factory teacher check), with a reasoning parser if the"
    " model thinks first, or a stronger model.",
    "refused": "Use another model, or look at what it refuses (factory cache export FILE).",
    "empty": "Look at the server: its replies have no text. A reasoning model may need a larger max_tokens.",
    "bad_request": "The server does not take these requests as they are: see its words.",
}


def what_did_not_hold(reasons: Sequence[Mapping[str, Any]], replans: int) -> str:
    """Return the most frequent reasons, an instance of the first, and what to do."""
    counts = Counter(reason["code"] for reason in reasons).most_common(3)
    why = f"What did not hold: {', '.join(f'{code}: {count}' for code, count in counts)}."
    said = next((r["detail"] for r in reasons if counts and r["code"] == counts[0][0] and r["detail"]), "")
    if counts and counts[0][0] in CONTENT:
        return f"{why} The teacher's replies are the cause, such as: {said[:200]!r}. {TEACHER_REMEDIES[counts[0][0]]}"
    again = "" if replans > FEW_REPLANS else f" raise replans (now {replans}), which plans such slots anew;"
    instance = f" Such as: {said[:200]!r}." if said else ""
    return f"{why}{instance} What helps:{again} fewer rows there, a higher cap, more levels, or more seeds."
