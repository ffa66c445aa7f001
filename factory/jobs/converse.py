"""One conversation outside of a job: a generator that asks, held with a session's teacher to its end.

Every reply goes through the session's cache, so a second run of the same conversation pays for nothing, and one that
was stopped asks on from where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from factory.errors import FactoryError, Waiting
from factory.jobs.report import Nobody, Watcher
from factory.jobs.talk import request_of
from factory.recipes.recipe import Ask, Asking
from factory.teacher.protocol import Failure, NoReply, Reply, Request
from factory.teacher.streams import closing as closing_stream

if TYPE_CHECKING:
    from factory.teacher.session import Session

T = TypeVar("T")


def converse(
    talk: Asking[T],
    session: Session,
    attempt: int = 0,
    watcher: Watcher | None = None,
    *,
    flush: bool = True,
) -> T:
    """Return what a conversation comes to, after each of its turns was asked and answered.

    Failures of content are replies like others. Waiting when batch files wait for their results, FactoryError when a
    request got no reply or the conversation cannot go on without one; what was answered is kept. The watcher sees a
    stage for each prompt and its replies as rows, those that failed as rejects. Without `flush` the batch files are not
    written yet: more is to be asked.
    """
    with closing(talk):
        try:
            asks = next(talk)
            while True:
                replies = session.loop.run(_ask(asks, session, attempt, watcher or Nobody()))
                require_all(replies, session, flush)
                asks = talk.send(replies)
        except StopIteration as end:
            made: T = end.value
            return made
        except NoReply as why:
            raise FactoryError(f"the conversation cannot go on without a reply ({why})") from None


async def _ask(asks: Sequence[Ask], session: Session, attempt: int, watcher: Watcher) -> list[Reply]:
    """Return the replies in the order of the asks."""
    requests: dict[str, Request] = {
        str(i): request_of(ask, attempt, session.sampling[ask.role]) for i, ask in enumerate(asks)
    }
    for step, total in Counter(map(_step, asks)).items():
        watcher.stage(step, total)
    found: dict[str, Reply] = {}
    async with closing_stream(session.teacher.complete(requests)) as stream:
        async for id_, reply in stream:
            found[id_] = reply
            watcher.advance(_step(asks[int(id_)]), int(reply.failure is None), int(reply.failure is not None))
    return [found[id_] for id_ in requests]


def _step(ask: Ask) -> str:
    """Return what a watcher calls an ask: its prompt's name without folder and version."""
    return ask.prompt.partition("/")[2].partition(".")[0]


def require_all(replies: Sequence[Reply], session: Session, flush: bool) -> None:
    """Raise Waiting when batch files wait for results, FactoryError when any request got no reply at all."""
    lost = [reply.failure for reply in replies if reply.failure and not reply.failure.of_content]
    if lost and not flush and all(failure.kind == "pending" for failure in lost):
        raise Waiting(f"{len(lost)} requests wait for replies")
    if lost:
        raise session.waiting() or _unanswered(lost, len(replies))


def _unanswered(lost: Sequence[Failure], asked: int) -> FactoryError:
    kinds = ", ".join(f"{kind}: {n}" for kind, n in Counter(failure.kind for failure in lost).most_common())
    return FactoryError(
        f"{len(lost)} of {asked} requests got no reply from the teacher after every retry ({kinds}; the last:"
        f" {lost[-1].detail}). All other replies are kept: run the same command again, and only the missing ones are"
        " asked for"
    )
