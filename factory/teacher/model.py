"""What a user may write about a teacher, in a job file: `teacher: {kind, model, ...}` and `judge: {...}`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from factory.errors import UserError
from factory.strict import Strict
from factory.teacher.protocol import AUTHOR, JUDGE, Role, Usage


class SamplingSpec(Strict):
    """How replies are drawn. A key that is set wins over what a recipe asks for; the others are the recipe's."""

    temperature: float | None = Field(default=None, ge=0, le=2, description="Randomness of the replies.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="Share of the likeliest tokens to draw from.")
    max_tokens: int | None = Field(default=None, ge=1, description="Largest reply; reasoning models need thousands.")
    stop: tuple[str, ...] | None = Field(default=None, description="Texts that end a reply.")
    seed: int | None = Field(default=None, ge=0, lt=2**31, description="For engines that honour one.")


class Price(Strict):
    """What the model costs: per million tokens, or per GPU-hour."""

    input: float | None = Field(default=None, ge=0, description="USD per million prompt tokens.")
    output: float | None = Field(default=None, ge=0, description="USD per million completion tokens.")
    gpu_hour: float | None = Field(default=None, ge=0, description="USD per hour of one GPU.")
    gpus: int = Field(default=1, ge=1, description="GPUs that the model runs on.")

    @model_validator(mode="after")
    def _one_kind(self) -> Price:
        per_token = self.input is not None or self.output is not None
        if per_token == (self.gpu_hour is not None):
            raise ValueError("a price is either input and output (USD per million tokens) or gpu_hour (USD)")
        return self

    def of(self, usage: Usage) -> float | None:
        """Return what tokens cost in USD; None for a price per GPU-hour, which depends on time."""
        if self.gpu_hour is not None:
            return None
        return (usage.prompt_tokens * (self.input or 0.0) + usage.completion_tokens * (self.output or 0.0)) / 1e6


class Budget(Strict):
    """Where a run must stop; what was answered until then is kept, and a later run goes on from there."""

    tokens: int | None = Field(default=None, ge=1, description="Prompt and completion tokens that one run may pay for.")
    usd: float | None = Field(default=None, gt=0, description="Money that one run may spend; needs a price.")


class TeacherSpec(Strict):
    """A model to ask, and how to reach it."""

    kind: Literal["openai_http", "vllm_server", "vllm_batch", "batch_file", "fake"] = Field(
        default="openai_http", description="How the model is reached."
    )
    model: str = Field(min_length=1, description="Name of the model as its server knows it, or a folder for vLLM.")
    base_url: str | None = Field(default=None, description="Where it answers, such as http://localhost:8000/v1.")
    base_urls: list[str] | None = Field(default=None, min_length=1, description="Several replicas of the same model.")
    api_key_env: str | None = Field(
        default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Environment variable that holds the key."
    )
    revision: str | None = Field(default=None, description="Anything that tells versions of the model apart.")
    sampling: SamplingSpec = Field(
        default=SamplingSpec(),
        description="temperature, top_p, max_tokens, stop, seed; what is set wins over a recipe.",
    )
    concurrency: int | Literal["auto"] = Field(
        default="auto", description="Requests in flight: a ceiling to start at, or auto to find the server's limit."
    )
    patience: float = Field(default=120.0, gt=0, le=86_400, description="Seconds to wait for a server that is away.")
    price: Price | None = Field(
        default=None, description="{input, output} in USD per million tokens, or {gpu_hour, gpus}."
    )
    budget: Budget | None = Field(default=None, description="{tokens} or {usd} that one run may not pass.")
    python: str | None = Field(default=None, description="Python of the environment that has vLLM.")
    args: list[str] = Field(default=[], description="Arguments for the vLLM engine, such as --max-num-seqs=256.")
    folder: str | None = Field(default=None, description="Where batch files are written and their results looked for.")
    replies: str | None = Field(
        default=None, description="JSONL of scripted replies; without it the recipes' examples."
    )

    @model_validator(mode="after")
    def _fits_kind(self) -> TeacherSpec:
        if isinstance(self.concurrency, int) and not 1 <= self.concurrency <= 10_000:
            raise ValueError("concurrency must be auto or a number from 1 to 10000")
        if self.base_url and self.base_urls:
            raise ValueError("give base_url or base_urls, not both")
        for name, kinds in OWN_KEYS.items():
            if getattr(self, name) and self.kind not in kinds:
                raise ValueError(f"'{name}' belongs to kind {' or '.join(kinds)}, not to {self.kind}")
        if self.kind == "openai_http" and not self.urls:
            raise ValueError("kind openai_http needs base_url, such as http://localhost:8000/v1")
        if self.kind == "batch_file" and not self.folder:
            raise ValueError("kind batch_file needs a folder for its files")
        if self.budget and self.budget.usd and not self.price:
            raise ValueError("a budget in usd needs a price")
        for url in self.urls:
            _check_url(url)
        return self

    def content(self) -> dict[str, Any]:
        """Return what replies depend on, and what a release says of the teacher: no address, no path, no speed."""
        said = self.model_dump(mode="json", include={"revision", "sampling", "price"})
        return {"model": self.name} | said | ({"kind": "fake"} if self.kind == "fake" else {})

    @property
    def name(self) -> str:
        """Return the model's name for people; of a folder its last part, since where it lies is nobody's business."""
        return PurePath(self.model).name if self.model.startswith((".", "/", "~")) else self.model

    @property
    def urls(self) -> tuple[str, ...]:
        """Return every base URL."""
        return tuple(self.base_urls or ([self.base_url] if self.base_url else []))

    def key(self) -> str | None:
        """Return the API key; UserError when its variable is not set. It is read when needed and kept nowhere."""
        if self.api_key_env is None:
            return None
        if not (found := os.environ.get(self.api_key_env, "").strip()):
            raise UserError(
                f"the environment variable {self.api_key_env} (api_key_env of the model {self.name}) is not set:"
                f" export {self.api_key_env}=... and run again, or remove api_key_env if the server wants no key"
            )
        return found


def by_role(teacher: TeacherSpec | None, judge: TeacherSpec | Sequence[TeacherSpec] | None) -> dict[Role, TeacherSpec]:
    """Return who answers in which role: author, judge, judge-2, ...; a role that is not there is the author's."""
    judges = [judge] if isinstance(judge, TeacherSpec) else list(judge or ())
    author = {AUTHOR: teacher} if teacher else {}
    return author | {JUDGE if i == 0 else f"{JUDGE}-{i + 1}": spec for i, spec in enumerate(judges)}


OWN_KEYS = {
    "base_url": ("openai_http", "vllm_server"),
    "base_urls": ("openai_http",),
    "api_key_env": ("openai_http", "vllm_server"),
    "python": ("vllm_server", "vllm_batch"),
    "args": ("vllm_server", "vllm_batch"),
    "folder": ("batch_file",),
    "replies": ("fake",),
}


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        found = "one with a key in it" if "@" in url or "?" in url else repr(url)
        raise ValueError(f"a base URL looks like http://localhost:8000/v1, found {found}")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("a base URL must not hold a key; put its variable's name in api_key_env")


def redirected(raw: object, to: str | None, model: str | None) -> dict[str, Any]:
    """Return a job's `teacher` with another place to ask (a URL, batch:DIR, fake or fake:FILE) or another model."""
    said = dict(raw) if isinstance(raw, dict) else {}
    if to is not None:
        said = {key: value for key, value in said.items() if key not in OWN_KEYS and key != "kind"} | place_of(to)
    if model is not None:
        said["model"] = model
    elif "model" not in said and said.get("kind") == "fake":
        said["model"] = "fake"
    if "model" not in said:
        raise UserError(f"say which model to ask at {to}: --model NAME, as its server knows it")
    return said


def place_of(to: str) -> dict[str, Any]:
    """Return the keys of a place: http://HOST:PORT/v1, batch:DIR, fake or fake:FILE."""
    kind, _, rest = to.partition(":")
    if kind in {"http", "https"}:
        return {"kind": "openai_http", "base_url": to}
    if kind == "batch" and rest:
        return {"kind": "batch_file", "folder": os.path.abspath(rest)}
    if kind == "fake":
        return {"kind": "fake"} | ({"replies": os.path.abspath(rest)} if rest else {})
    raise UserError(
        f"--teacher wants a base URL such as http://localhost:8000/v1, batch:DIR, fake or fake:FILE; found {to!r}"
    )
