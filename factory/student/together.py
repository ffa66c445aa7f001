"""Many conversations as one: all ask side by side, turn by turn, and votes go round the judges whose votes count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from factory.jobs.talk import Judges
from factory.recipes.recipe import Asking
from factory.recipes.sampling import changed
from factory.recipes.sampling import together as side_by_side
from factory.teacher.protocol import NoReply

T = TypeVar("T")


def together(talks: Sequence[Asking[T]]) -> Asking[list[T]]:
    """Return what each of many conversations comes to, in order; NoReply when one cannot go on."""
    ends = yield from side_by_side(talks)
    for end in ends:
        if isinstance(end, NoReply):
            raise end
    return [end for end in ends if not isinstance(end, NoReply)]


def seated(talk: Asking[T], judges: Judges) -> Asking[T]:
    """Return what a conversation comes to when its votes go round the judges whose votes count."""
    return changed(talk, judges.seat)
