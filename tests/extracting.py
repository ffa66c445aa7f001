"""Skill extraction in tests: conversations with a fake teacher, what it answers, and vectors that need no model."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
import orjson

from factory.jobs.converse import converse
from factory.recipes.recipe import Asking
from factory.skills.language.extract import Extracted, Limits, Vectors
from factory.skills.language.from_domain import from_domain
from factory.skills.language.from_rows import Source
from factory.skills.language.merge import LOW, SURE
from factory.teacher.fake import Answer, Fake, answer_by_example
from factory.teacher.ledger import Ledger
from factory.teacher.loop import Loop
from factory.teacher.model import SamplingSpec
from factory.teacher.protocol import Request, no_reply
from factory.teacher.session import Session
from factory.teacher.structured import Structured

T = TypeVar("T")
DOMAIN = "letters to authorities"
REFUSED = no_reply("refused", "I will not do that")
LONG = "A sentence that is long enough to stand where a definition or an illustration is wanted."


def by_word(texts: Sequence[str]) -> Vectors:
    """Labels of the same words are alike, all others are not."""
    rows = []
    for text in texts:
        words = text.partition(":")[0].split()
        seeds = [int.from_bytes(blake2b(word.encode(), digest_size=4).digest(), "big") for word in words]
        total = np.sum([np.random.default_rng(seed).standard_normal(256) for seed in seeds], axis=0)
        rows.append(total / np.linalg.norm(total))
    return np.asarray(rows, dtype=np.float32)


class Held:
    """Holds conversations with a fake teacher; `fake.asked` has what it was asked."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.fake = Fake()

    def __call__(self, talk: Asking[T], answer: Answer = answer_by_example) -> T:
        self.fake = Fake(answer)
        session = Session(Structured(self.fake), {"author": SamplingSpec()}, Ledger(), self._loop, {}, [self.fake])
        return converse(talk, session)

    def said(self, part: str) -> list[str]:
        """Return the texts of the requests that contain a part."""
        return [text for r in self.fake.asked if part in (text := "\n".join(r.said))]


def step(request: Request) -> str:
    """Return what a request asks for."""
    keys = set(request.schema["properties"]) if request.schema else set()
    if keys == {"skills"}:
        return "define" if "Below are labels" in request.said[1] else "skills"
    return "labels" if "demands" in keys else next(iter(keys))


def by_step(**answers: Answer) -> Answer:
    """Answer each step by a function of its own, and the others by example."""
    return lambda request: answers.get(step(request), answer_by_example)(request)


def says(value: Any) -> Answer:
    return lambda request: orjson.dumps(value).decode()


def labelled(*labels: str) -> Answer:
    return says({"demands": "It asks for a good answer.", "skills": list(labels)})


def skills_of(*names: str) -> dict[str, Any]:
    entries = [{"name": n, "definition": f"{n}: {LONG}", "positive": LONG, "negative": LONG} for n in names]
    return {"skills": entries}


def names(found: Extracted) -> list[str]:
    return [skill.name for skill in found.skills]


def rows(n: int) -> list[Source]:
    return [Source(f"r{i}", f"Please compare plan {i} with its rival and tell me which to take.") for i in range(n)]


def domain(limits: Limits | None = None) -> Asking[Extracted]:
    return from_domain(DOMAIN, limits or Limits(), by_word)


def alike(texts: Sequence[str], cosine: float = (LOW + SURE) / 2) -> Vectors:
    """Vectors that all have this cosine to each other; by default it decides nothing."""
    rows = np.zeros((len(texts), 64), dtype=np.float32)
    rows[:, 0] = np.sqrt(cosine)
    for i in range(len(texts)):
        rows[i, 1 + i] = np.sqrt(1 - cosine)
    return rows


def verdict(relation: str, keep: str = "first") -> Answer:
    return says({"verdicts": [{"pair": 1, "reason": "There can be none.", "relation": relation, "keep": keep}]})
