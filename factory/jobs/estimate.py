"""The dry run of a job that talks: requests, tokens and money, from a few conversations held with example replies.

Prompts are rendered as they would be sent. A reply is taken to be as long as the example that the recipe gives of it,
and every attempt to pass; rows that a gate sends back cost the same again. Tokens are counted with the model's own
tokenizer where the model is a folder with its `tokenizer.json`, else at four characters a token, which suits English.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from factory.errors import UserError
from factory.gates.calibration import calibrate
from factory.jobs.judging import rubrics_of
from factory.jobs.model import Job
from factory.jobs.plan import apportion, plan
from factory.jobs.talk import Conversation, Judges, conversations, request_of
from factory.recipes.recipe import Sources
from factory.teacher.model import Price, SamplingSpec, TeacherSpec
from factory.teacher.protocol import AUTHOR, CHARACTERS, Reply, Request, Role, Usage, rough_tokens

SAMPLED = 16  # conversations of each recipe that talks

Count = Callable[[str], int]


@dataclass(slots=True)
class Asked:
    """What one conversation asks of one role."""

    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    most: int = 0  # completion tokens if every reply grew to its limit

    def scaled(self, by: float) -> Asked:
        """Return so many times as much."""
        usage = Usage(round(self.usage.prompt_tokens * by), round(self.usage.completion_tokens * by))
        return Asked(round(self.requests * by), usage, round(self.most * by))

    def add(self, other: Asked) -> None:
        """Add another's."""
        self.requests += other.requests
        self.usage += other.usage
        self.most += other.most


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job will ask, by role; `spread` is the half-width of the 95 % interval of its tokens, as a share."""

    asked: dict[Role, Asked]
    prices: dict[Role, Price | None]
    spread: float
    counted: str

    @property
    def requests(self) -> int:
        """Return the requests of all roles."""
        return sum(asked.requests for asked in self.asked.values())

    @property
    def usage(self) -> Usage:
        """Return the tokens of all roles."""
        return sum((asked.usage for asked in self.asked.values()), Usage())

    @property
    def most_tokens(self) -> int:
        """Return the tokens if every reply grew to its limit."""
        return sum(asked.usage.prompt_tokens + asked.most for asked in self.asked.values())

    def usd(self, *, most: bool = False) -> float | None:
        """Return the money of the roles with a price per token, as expected or at most; None without any."""
        parts = [p.of(self._usage(role, most=most)) if (p := self.prices[role]) else None for role in self.asked]
        found = [part for part in parts if part is not None]
        return round(sum(found), 6) if found else None

    def _usage(self, role: Role, *, most: bool) -> Usage:
        asked = self.asked[role]
        return Usage(asked.usage.prompt_tokens, asked.most) if most else asked.usage

    def as_json(self) -> dict[str, Any]:
        """Return what plans and run records keep."""
        return {
            "requests": self.requests,
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "most_tokens": self.most_tokens,
            "usd": self.usd(),
            "most_usd": self.usd(most=True),
            "spread": round(self.spread, 4),
            "counted": self.counted,
        }


def estimate(job: Job, sources: Sources, base: Path) -> Estimate:
    """Return what a job will ask of its teachers; nothing is asked for it."""
    specs = {role: job.teacher_of(role) for role in (AUTHOR, *job.judges)}
    counts = {role: counter(spec, base) for role, spec in specs.items()}
    total: dict[Role, Asked] = {}
    variance = 0.0
    for entry, rows in enumerate(apportion(job.rows, [e.share for e in job.recipes])):
        if rows and job.asks(entry):
            held = [_converse(c, job, counts) for c in sampled(job, entry, SAMPLED, sources)]
            variance += rows**2 * _variance([sum(a.usage.tokens for a in one.values()) for one in held])
            for role, asked in _together(held).items():
                total.setdefault(role, Asked()).add(asked.scaled(rows / len(held)))
    for role, asked in _gold_rows(job, counts).items():
        total.setdefault(role, Asked()).add(asked)
    tokens = sum(asked.usage.tokens for asked in total.values())
    spread = 1.96 * math.sqrt(variance) / tokens if tokens else 0.0
    prices = {role: spec.price if spec else None for role, spec in specs.items()}
    return Estimate(total, prices, spread, counts["author"][1])


def _gold_rows(job: Job, counts: dict[Role, tuple[Count, str]]) -> dict[Role, Asked]:
    """Return what the judges are asked before any of their votes counts."""
    out: dict[Role, Asked] = {}
    for rubric in rubrics_of(job):
        for ask in next(calibrate(rubric, job.judges, job.seed, job.judge_bar)) if rubric.gold else ():
            spec = job.teacher_of(ask.role)
            request = request_of(ask, 0, spec.sampling if spec else SamplingSpec())
            out.setdefault(ask.role, Asked()).add(_asked(request, counts[ask.role][0]))
    return out


def _together(held: list[dict[Role, Asked]]) -> dict[Role, Asked]:
    """Return what conversations ask together: summed before it is scaled, so that no rounding adds up."""
    out: dict[Role, Asked] = {}
    for one in held:
        for role, asked in one.items():
            out.setdefault(role, Asked()).add(asked)
    return out


def sampled(job: Job, entry: int, rows: int, sources: Sources) -> list[Conversation]:
    """Return conversations about a few slots of one line of `recipes`, at most as many as it has; none is answered."""
    alone = job.recipes[entry].model_copy(update={"share": 1.0})
    has = apportion(job.rows, [e.share for e in job.recipes])[entry]
    slots = plan(job.model_copy(update={"recipes": [alone], "rows": max(1, min(rows, has))}), sources)
    params = {"name": job.name, "seed": job.seed, "attempt": 0, "entries": [alone.model_dump(mode="json")]}
    return conversations(slots, params, sources)


def _variance(values: list[int]) -> float:
    """Return the variance of the mean of some values."""
    mean = sum(values) / len(values)
    return sum((v - mean) ** 2 for v in values) / max(len(values) - 1, 1) / len(values)


def _converse(conversation: Conversation, job: Job, counts: dict[Role, tuple[Count, str]]) -> dict[Role, Asked]:
    """Return what one conversation asks when every reply is as its example."""
    out: dict[Role, Asked] = {}
    judges = Judges(job.judges)
    while conversation.is_open:
        conversation.asks = [judges.seat(ask) for ask in conversation.asks]
        for part, ask in enumerate(list(conversation.asks)):
            spec = job.teacher_of(ask.role)
            request = request_of(ask, 0, spec.sampling if spec else SamplingSpec())
            out.setdefault(ask.role, Asked()).add(_asked(request, counts[ask.role][0]))
            parsed = orjson.loads(request.example) if request.schema is not None else None
            conversation.hear(part, Reply(text=request.example, parsed=parsed))
        conversation.go_on()
    return out


def _asked(request: Request, count: Count) -> Asked:
    said = sum(map(count, request.said))
    return Asked(1, Usage(said, count(request.example)), request.sampling.max_tokens)


def counter(spec: TeacherSpec | None, base: Path) -> tuple[Count, str]:
    """Return how to count tokens for a model, and what to call it."""
    found = _tokenizer_file(spec.model, base) if spec else None
    if found is None:
        return (lambda text: rough_tokens(len(text))), f"{CHARACTERS} characters a token"
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(found))
    except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
        raise UserError(f"{found} cannot be read ({error}): correct the model's folder in teacher.model") from None
    return (lambda text: len(tokenizer.encode(text).ids)), "the model's tokenizer"


def _tokenizer_file(model: str, base: Path) -> Path | None:
    """Return the tokenizer of a model that is a folder here; nothing is fetched."""
    local = base / model / "tokenizer.json"
    return local if local.is_file() and find_spec("tokenizers") else None
