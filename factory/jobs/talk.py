"""The talk: conversations with a teacher, one for each open slot of the recipes that need one, held side by side.

A shard's conversations go on turn by turn; several shards are under way at once, so that the teacher is busy while one
comes to its end. A shard whose every request got a reply is committed; one with a request that got none is not, and the
next run asks only for what is missing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import orjson
import polars as pl

from factory.artifacts.digest import digest
from factory.artifacts.stage import Stage, apply
from factory.artifacts.store import Artifact, Store
from factory.errors import FactoryError
from factory.jobs.draw import Attempt, attempts, candidates_of, made_columns
from factory.prompts import find_prompt
from factory.recipes.recipe import Ask, Draft, Dropped, Talk
from factory.recipes.registry import RECIPES
from factory.seeds.bank import SeedBank
from factory.skills.library import Library
from factory.teacher.model import SamplingSpec
from factory.teacher.protocol import Failure, NoReply, Reply, Request, Sampling, Teacher
from factory.teacher.streams import closing
from schemas.candidates import CANDIDATES
from schemas.slots import SLOTS
from schemas.turns import TURNS

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


def request_of(ask: Ask, attempt: int, wanted: SamplingSpec) -> Request:
    """Return the request of an ask: the rendered prompt after its history; the job's sampling wins."""
    prompt = find_prompt(ask.prompt)
    return Request(
        messages=(*ask.history, *prompt.render(ask.inputs)),
        sampling=_sampling(ask.sampling, wanted),
        repeat=attempt * REPEATS + ask.repeat,
        schema=prompt.head.json_schema,
        role=ask.role,
        example=ask.example if isinstance(ask.example, str) else orjson.dumps(ask.example).decode(),
    )


@cache
def _sampling(needed: Sampling, wanted: SamplingSpec) -> Sampling:
    """Return what a method needs with what the job says put over it; a job has few different ones."""
    return replace(needed, **wanted.model_dump(exclude_none=True))


def conversations(frame: pl.DataFrame, params: Mapping[str, Any], seeds: SeedBank | None) -> list[Conversation]:
    """Return a conversation for each of SLOTS, each with its first asks."""
    out = []
    for attempt in attempts(frame, params, seeds):
        by_talk = RECIPES[attempt.recipe].talk
        assert by_talk is not None
        conversation = Conversation(attempt, by_talk(attempt.params, attempt.brief, attempt.rng))
        conversation.go_on()
        out.append(conversation)
    return out


async def hold(
    held: Sequence[Conversation], teacher: Teacher, sampling: Mapping[str, SamplingSpec], attempt: int, ended: Ended
) -> None:
    """Hold conversations turn by turn until each has made something or lacks a reply; `ended` hears of each end."""
    for conversation in held:
        if not conversation.is_open:
            ended(conversation)
    while speaking := [c for c in held if c.is_open]:
        requests = {
            f"{i}/{part}": request_of(ask, attempt, sampling[ask.role])
            for i, c in enumerate(speaking)
            for part, ask in enumerate(c.asks)
        }
        async with closing(teacher.complete(requests)) as replies:
            async for id_, reply in replies:
                i, _, part = id_.partition("/")
                conversation = speaking[int(i)]
                if conversation.hear(int(part), reply):
                    conversation.go_on()
                    if not conversation.is_open:
                        ended(conversation)


class Told:
    """What conversations made, as a dependency of the stage that writes it down; its identity is who was asked what."""

    def __init__(self, identity: str, held: Sequence[Conversation] = ()) -> None:
        self.identity = identity
        self.held = held


def write_down(
    frame: pl.DataFrame, params: Mapping[str, Any], *, teacher: Told, library: Library, seeds: SeedBank | None = None
) -> pl.DataFrame:
    """Return a candidate for each slot; those whose conversation came to nothing carry their reason."""
    made = {c.attempt.slot: made_columns(c.attempt, c.made) for c in teacher.held if c.made is not None}
    return candidates_of(frame, [made[slot] for slot in frame["slot"].to_list()], params["attempt"])


TALK = Stage("talk", 1, SLOTS, CANDIDATES, write_down)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a shard of slots came to: its artifacts, or the failures of the requests that got no reply."""

    slots: Artifact
    candidates: Artifact | None
    turns: Artifact | None
    unanswered: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Talker:
    """Talks to a teacher about shards of slots. `sampling` is by role; `ended` hears of every conversation's end."""

    teacher: Teacher
    sampling: Mapping[str, SamplingSpec]
    takes_batches: bool
    store: Store
    seeds: SeedBank | None
    ended: Ended

    async def shards(self, shards: Sequence[Artifact], params: Mapping[str, Any]) -> list[Spoken]:
        """Return what each shard came to, in order; those found in the store cost nothing."""
        size, at_once = (AT_ONCE_BATCH, 1) if self.takes_batches else (1, AT_ONCE)
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
        held = {s.key: conversations(s.read(), params, self.seeds) for s in shards if found[s.key] is None}
        everyone = [c for shard in held.values() for c in shard]
        await hold(everyone, self.teacher, self.sampling, params["attempt"], self.ended)
        return [found[s.key] or self._commit(s, params, held[s.key]) for s in shards]

    def _deps(self, params: Mapping[str, Any], held: Sequence[Conversation] = ()) -> dict[str, Any]:
        prompts = {p: find_prompt(p).identity for e in params["entries"] for p in RECIPES[e["recipe"]].prompts}
        sampling = {role: spec.model_dump() for role, spec in self.sampling.items()}
        identity = digest(teacher=self.teacher.identity, prompts=prompts, sampling=sampling)
        seeds = {"seeds": self.seeds} if self.seeds else {}
        return {"teacher": Told(identity, held), "library": Library(), **seeds}

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
