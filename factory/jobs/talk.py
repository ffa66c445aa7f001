"""The talk: conversations with a teacher, one for each open slot of the recipes that need one, held side by side.

A shard's conversations go on turn by turn; several shards are under way at once, so that the teacher is busy while one
comes to its end. A shard whose every request got a reply is committed; one with a request that got none is not, and the
next run asks only for what is missing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from factory.artifacts.digest import canonical_json, digest
from factory.artifacts.stage import Stage, apply
from factory.artifacts.store import Artifact, Store
from factory.errors import FactoryError
from factory.gates.judge import PROMPTS as GRADING
from factory.gates.judge import judged
from factory.gates.rubric import load_rubric
from factory.jobs.draw import Attempt, attempts, candidates_of, made_columns, params_of
from factory.prompts import find_prompt
from factory.recipes.recipe import NOTHING, Ask, Draft, Dropped, Sources, Talk
from factory.recipes.registry import RECIPES
from factory.skills.library import Library
from factory.teacher.model import SamplingSpec
from factory.teacher.protocol import JUDGE, Failure, NoReply, Reply, Request, Role, Sampling, Teacher, no_reply
from factory.teacher.streams import closing
from schemas.candidates import CANDIDATES
from schemas.slots import SLOTS
from schemas.turns import TURNS

if TYPE_CHECKING:
    from factory.teacher.session import Session

TALK_ROWS = 1_000  # slots of a shard
REPEATS = 1_000  # repeats that one attempt may ask for
AT_ONCE, AT_ONCE_BATCH = 4, 50  # shards under way; an engine that takes batches wants all it can get


@dataclass(slots=True)
class Conversation:
    """One attempt's talk: what it asks now, and in the end what it made or which request got no reply."""

    attempt: Attempt
    talk: Talk
    asks: list[Ask] = field(default_factory=list)
    replies: list[Reply | None] = field(default_factory=list)
    turn: int = -1
    made: Draft | Dropped | None = None
    lost: Failure | None = None  # a reply that this turn did not get
    unanswered: Failure | None = None  # why it ended: set once the others of the turn were heard
    turns: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Return whether it asks something."""
        return self.made is None and self.unanswered is None

    def go_on(self) -> None:
        """Hand the replies over and take what is asked next, or what was made; a lost reply ends it."""
        if self.lost:
            self.unanswered = self.lost
            return
        try:
            self.asks = self.talk.send(self.replies) if self.turn >= 0 else next(self.talk)  # type: ignore[arg-type]
        except StopIteration as end:
            self.made = end.value
        except NoReply as why:
            self.made = Dropped(why.failure.kind, why.failure.detail)
        self.turn += 1
        self.replies = [None] * len(self.asks)

    def hear(self, part: int, reply: Reply) -> bool:
        """Take a reply; return whether it was the last of the turn."""
        if reply.failure and not reply.failure.of_content:
            self.lost = self.lost or reply.failure
        self.replies[part] = reply
        self.turns.append(self._row(part, reply))
        return None not in self.replies

    def _row(self, part: int, reply: Reply) -> dict[str, Any]:
        ask = self.asks[part]
        return {
            "id": self.attempt.id, "slot": self.attempt.slot, "turn": self.turn, "part": part,
            "prompt": ask.prompt, "role": ask.role, "model": reply.model, "text": reply.text,
            "reasoning": reply.reasoning, "finish": reply.finish,
            "failure": reply.failure.kind if reply.failure else None,
            "prompt_tokens": reply.usage.prompt_tokens, "completion_tokens": reply.usage.completion_tokens,
        }  # fmt: skip


Ended = Callable[[Conversation], None]


@dataclass(frozen=True, slots=True)
class Judges:
    """Who judges: all roles, and those whose votes would be void: the votes go round the others.

    `pending` judges wait for their gold rows in batch files: nothing is asked of them yet.
    """

    roles: tuple[Role, ...] = (JUDGE,)
    void: frozenset[Role] = frozenset()
    pending: bool = False

    def seat(self, ask: Ask) -> Ask:
        """Return a judge's ask with the judge who answers it: vote i goes to judge i mod the number of judges."""
        trusted = [role for role in self.roles if role not in self.void]
        if ask.role != JUDGE or trusted == [JUDGE]:
            return ask
        turn, who = divmod(ask.repeat, len(trusted))
        return replace(ask, role=trusted[who], repeat=turn)

    def instead(self, ask: Ask) -> Reply | None:
        """Return what stands in for the reply of a judge who cannot be asked yet; None for everybody else."""
        waits = self.pending and ask.role in self.roles
        return no_reply("pending", f"{ask.role} has not judged its gold rows yet") if waits else None


def request_of(ask: Ask, attempt: int, wanted: SamplingSpec) -> Request:
    """Return the request of an ask: the rendered prompt after its history; the job's sampling wins."""
    prompt = find_prompt(ask.prompt)
    return Request(
        messages=(*ask.history, *prompt.render(ask.inputs)),
        sampling=_sampling(ask.sampling, wanted),
        repeat=attempt * REPEATS + ask.repeat,
        schema=ask.schema or prompt.head.json_schema,
        role=ask.role,
        example=ask.example if isinstance(ask.example, str) else orjson.dumps(ask.example).decode(),
        about=ask.prompt,
    )


@cache
def _sampling(needed: Sampling, wanted: SamplingSpec) -> Sampling:
    """Return what a method needs with what the job says put over it; a job has few different ones."""
    return replace(needed, **wanted.model_dump(exclude_none=True))


def conversations(frame: pl.DataFrame, params: Mapping[str, Any], sources: Sources) -> list[Conversation]:
    """Return a conversation for each of SLOTS, each with its first asks."""
    out = []
    for attempt in attempts(frame, params, sources):
        conversation = Conversation(attempt, talk_of(attempt))
        conversation.go_on()
        out.append(conversation)
    return out


def talk_of(attempt: Attempt) -> Talk:
    """Return the conversation of an attempt: its recipe's, then that with the judge whom the job wants."""
    recipe, params = RECIPES[attempt.recipe], attempt.params
    if recipe.converses(params):
        assert recipe.talk is not None
        talk = recipe.talk(params, attempt.brief, attempt.rng)
    else:
        talk = _drawn(attempt)
    if params.judge is None:
        return talk
    return judged(talk, load_rubric(params.judge.rubric), votes=params.judge.votes)


def _drawn(attempt: Attempt) -> Talk:
    """Return the conversation of a row that a program draws: nothing is asked."""
    by_program = RECIPES[attempt.recipe].draw
    assert by_program is not None
    return by_program(attempt.params, attempt.brief, attempt.rng)
    yield []


async def hold(held: Sequence[Conversation], session: Session, judges: Judges, attempt: int, ended: Ended) -> None:
    """Hold conversations turn by turn until each has made something or lacks a reply; `ended` hears of each end."""
    for conversation in held:
        if not conversation.is_open:
            ended(conversation)
    while speaking := [c for c in held if c.is_open]:
        requests: dict[str, Request] = {}
        for i, conversation in enumerate(speaking):
            conversation.asks = [judges.seat(ask) for ask in conversation.asks]
            for part, ask in enumerate(conversation.asks):
                if judges.instead(ask) is None:
                    requests[f"{i}/{part}"] = request_of(ask, attempt, session.sampling[ask.role])
        async with closing(_replies(speaking, requests, session.teacher, judges)) as replies:
            async for conversation, part, reply in replies:
                if conversation.hear(part, reply):
                    conversation.go_on()
                    if not conversation.is_open:
                        ended(conversation)


async def _replies(
    speaking: Sequence[Conversation], requests: Mapping[str, Request], teacher: Teacher, judges: Judges
) -> AsyncIterator[tuple[Conversation, int, Reply]]:
    """Yield each reply with its conversation and part; a pending judge's at once, the others as they come."""
    for conversation in speaking:
        for part, ask in enumerate(conversation.asks):
            if (reply := judges.instead(ask)) is not None:
                yield conversation, part, reply
    if not requests:
        return
    async with closing(teacher.complete(requests)) as replies:
        async for id_, reply in replies:
            i, _, part_ = id_.partition("/")
            yield speaking[int(i)], int(part_), reply


def prompts_of(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the prompt files that lines of `recipes` may ask with."""
    own = {place for entry in entries for place in RECIPES[entry["recipe"]].prompts}
    return sorted(own.union(GRADING) if any(entry.get("judge") for entry in entries) else own)


def rubric_names(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the identities of the rubrics that lines of `recipes` judge by."""
    found = [r for e in entries for r in RECIPES[e["recipe"]].judges_by(params_of(canonical_json(e)))]
    return sorted({rubric.identity for rubric in found})


class Told:
    """What conversations made, as a dependency of the stage that writes it down; its identity is who was asked what."""

    def __init__(self, identity: str, held: Sequence[Conversation] = ()) -> None:
        self.identity = identity
        self.held = held


def write_down(
    frame: pl.DataFrame, params: Mapping[str, Any], *, teacher: Told, library: Library, sources: Sources = NOTHING
) -> pl.DataFrame:
    """Return a candidate for each slot; those whose conversation came to nothing carry their reason."""
    made = {c.attempt.slot: made_columns(c.attempt, c.made) for c in teacher.held if c.made is not None}
    return candidates_of(frame, [made[slot] for slot in frame["slot"].to_list()], params["attempt"])


TALK = Stage("talk", 2, SLOTS, CANDIDATES, write_down)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a shard of slots came to: its artifacts, or the failures of the requests that got no reply."""

    slots: Artifact
    candidates: Artifact | None
    turns: Artifact | None
    unanswered: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Talker:
    """Talks to a teacher about shards of slots; `ended` hears of every conversation's end."""

    session: Session
    judges: Judges
    store: Store
    sources: Sources
    ended: Ended

    async def shards(self, shards: Sequence[Artifact], params: Mapping[str, Any]) -> list[Spoken]:
        """Return what each shard came to, in order; those found in the store cost nothing."""
        size, at_once = (AT_ONCE_BATCH, 1) if self.session.takes_batches else (1, AT_ONCE)
        turnstile = asyncio.Semaphore(at_once)
        groups = [shards[i : i + size] for i in range(0, len(shards), size)]

        async def under_way(group: Sequence[Artifact]) -> list[Spoken]:
            async with turnstile:
                return await self._group(group, params)

        tasks = [asyncio.create_task(under_way(group)) for group in groups]
        try:
            return [spoken for task in tasks for spoken in await task]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _group(self, shards: Sequence[Artifact], params: Mapping[str, Any]) -> list[Spoken]:
        found = {shard.key: self._find(shard, params) for shard in shards}
        held = {s.key: conversations(s.read(), params, self.sources) for s in shards if found[s.key] is None}
        everyone = [c for shard in held.values() for c in shard]
        await hold(everyone, self.session, self.judges, params["attempt"], self.ended)
        return [found[s.key] or self._commit(s, params, held[s.key]) for s in shards]

    def _deps(self, params: Mapping[str, Any], held: Sequence[Conversation] = ()) -> dict[str, Any]:
        prompts = {place: find_prompt(place).identity for place in prompts_of(params["entries"])}
        sampling = {role: spec.model_dump() for role, spec in self.session.sampling.items()}
        judging = {"void": sorted(self.judges.void), "rubrics": rubric_names(params["entries"])}
        identity = digest(teacher=self.session.teacher.identity, prompts=prompts, sampling=sampling, judging=judging)
        sources = {"sources": self.sources} if self.sources else {}
        return {"teacher": Told(identity, held), "library": Library(), **sources}

    def _find(self, slots: Artifact, params: Mapping[str, Any]) -> Spoken | None:
        key = TALK.key([slots.digest], params, self._deps(params))
        candidates, turns = self.store.find(TALK.name, key), self.store.find(TURNS.name, key)
        return Spoken(slots, candidates, turns) if candidates and turns else None

    def _commit(self, slots: Artifact, params: Mapping[str, Any], held: Sequence[Conversation]) -> Spoken:
        unanswered = tuple(c.unanswered for c in held if c.unanswered)
        if unanswered:
            return Spoken(slots, None, None, unanswered)
        deps = self._deps(params, held)
        key = TALK.key([slots.digest], params, deps)
        rows = [row for c in held for row in c.turns]
        turns = TURNS.frame({name: [row[name] for row in rows] for name in TURNS.columns}).sort("slot", "turn", "part")
        told = self.store.commit(TURNS.name, key, turns, pl.DataFrame(), {"stage": TURNS.name})
        return Spoken(slots, apply(TALK, slots.read(), params, self.store, key, **deps), told)


def unanswered(spoken: Sequence[Spoken]) -> FactoryError:
    """Return the error of a run in which requests got no reply."""
    failures = [failure for shard in spoken for failure in shard.unanswered]
    kinds = ", ".join(f"{kind}: {n}" for kind, n in Counter(f.kind for f in failures).most_common())
    return FactoryError(
        f"{len(failures)} rows got no reply from the teacher after every retry ({kinds}; the last:"
        f" {failures[-1].detail}). All other replies are kept: run the same command again, and only the missing ones"
        " are asked for"
    )
