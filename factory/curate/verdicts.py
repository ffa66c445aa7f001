"""A teacher's word on rows that only mean what a benchmark means: whether it is the same question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory.artifacts.digest import digest
from factory.artifacts.stage import execute
from factory.artifacts.store import NO_REJECTS, Artifact, Store
from factory.curate.job import CurateFile
from factory.errors import MissingExtra
from factory.gates.benchmarks_read import Book
from factory.gates.decontaminate import DECONTAMINATE, Hits
from factory.gates.same_question import verdict_requests, with_verdicts
from factory.jobs.converse import require_all
from factory.jobs.record import paid_by
from factory.jobs.report import Report

if TYPE_CHECKING:
    from factory.teacher.protocol import Reply, Request
    from factory.teacher.session import Session

STAGE = "judged_hits"


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Asks a job's teacher; `paid` is told what that cost, also when it ends early."""

    file: CurateFile
    book: Book
    store: Store
    out: Path
    report: Report
    paid: dict[str, Any]

    def judged(self, shards: Sequence[Artifact], hits: Sequence[Artifact]) -> tuple[list[Artifact], list[Artifact]]:
        """Return (hits as the verdicts leave them, what the gate then lets pass), shard by shard.

        Every reply is kept, so a run that is repeated asks nothing. Waiting when batch files wait for their results.
        """
        try:
            from factory.teacher.session import open_session
        except ImportError:
            raise MissingExtra("a verdict of a teacher", "teacher") from None
        job, left, passed = self.file.job, list[Artifact](), list[Artifact]()
        assert job.teacher is not None, "the job is refused without"
        assert job.decontaminate is not None, "there are no hits without"
        params, say = job.decontaminate.params(), self.report.watcher.remark
        asked = [verdict_requests(h.read(), s.read(), self.book) for s, h in zip(shards, hits, strict=True)]
        self.report.begin("verdicts", sum(map(len, asked)))
        with open_session(job.teacher, None, self.file.base, self.out, say) as session, self.report.timed("verdicts"):
            try:
                for shard, made, requests in zip(shards, hits, asked, strict=True):
                    left.append(self._judged(made, self._ask(session, requests)))
                    passed.append(execute(DECONTAMINATE, [shard], params, self.store, hits=Hits(left[-1])))
            finally:
                self.paid["actual"] = paid_by(session)
        return left, passed

    def _ask(self, session: Session, requests: Mapping[str, Request]) -> dict[str, Reply]:
        replies = session.loop.run(_complete(session, requests, self.report)) if requests else {}
        require_all(list(replies.values()), session, flush=True)
        return replies

    def _judged(self, made: Artifact, replies: Mapping[str, Reply]) -> Artifact:
        frame = with_verdicts(made.read(), replies)
        stay = frame.select("row", "field", "against", "place", "part", "level").rows()
        key = digest(hits=made.digest, stay=stay)
        return self.store.find(STAGE, key) or self.store.commit(STAGE, key, frame, NO_REJECTS, {"stage": STAGE})


async def _complete(session: Session, requests: Mapping[str, Request], report: Report) -> dict[str, Reply]:
    from factory.teacher.streams import closing

    found: dict[str, Reply] = {}
    async with closing(session.teacher.complete(requests)) as stream:
        async for id_, reply in stream:
            found[id_] = reply
            report.watcher.advance("verdicts", int(reply.failure is None), int(reply.failure is not None))
    return found
