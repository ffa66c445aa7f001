"""Many conversations as one: all ask side by side, turn by turn, and votes go round the judges whose votes count."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

from factory.jobs.talk import Judges
from factory.recipes.recipe import Ask
from factory.teacher.protocol import Reply

T = TypeVar("T")
Asking = Generator[list[Ask], list[Reply], T]
Start = list[Reply] | None


def together(talks: Sequence[Asking[T]]) -> Asking[list[T]]:
    """Return what each of many conversations comes to, in order; every turn asks for all that are still open."""
    ends: dict[int, T] = {}
    asks = dict.fromkeys(range(len(talks)), list[Ask]())
    heard: dict[int, Start] = dict.fromkeys(asks)
    while heard:
        for i, replies in heard.items():
            try:
                asks[i] = next(talks[i]) if replies is None else talks[i].send(replies)
            except StopIteration as end:
                ends[i] = end.value
                del asks[i]
        if asks:
            told = iter((yield [ask for mine in asks.values() for ask in mine]))
        heard = {i: [next(told) for _ in mine] for i, mine in asks.items()}
    return [ends[i] for i in range(len(talks))]


def seated(talk: Asking[T], judges: Judges) -> Asking[T]:
    """Return what a conversation comes to when its votes go round the judges whose votes count."""
    try:
        asks = next(talk)
        while True:
            asks = talk.send((yield [judges.seat(ask) for ask in asks]))
    except StopIteration as end:
        made: T = end.value
        return made
