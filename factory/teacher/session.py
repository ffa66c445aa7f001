"""The teachers of one run, put together: repair around roles around cache around meter around a back end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from factory.errors import MissingExtra, Waiting
from factory.teacher.batch_file import BatchFile
from factory.teacher.cache import Cache
from factory.teacher.fake import Fake, read_script
from factory.teacher.ledger import Ledger
from factory.teacher.loop import Loop
from factory.teacher.meter import Meter
from factory.teacher.model import SamplingSpec, TeacherSpec, by_role
from factory.teacher.protocol import JUDGE, Role, Teacher
from factory.teacher.reply_store import PLACE, ReplyStore
from factory.teacher.router import Router
from factory.teacher.structured import Structured

if TYPE_CHECKING:
    from factory.teacher.vllm_engine import Engine


@dataclass(slots=True)
class Session:
    """A teacher that is ready to be asked, with its event loop and what it has cost so far."""

    teacher: Teacher
    sampling: Mapping[str, SamplingSpec]
    ledger: Ledger
    loop: Loop
    caches: Mapping[Role, Cache]
    back_ends: Sequence[Teacher]

    @property
    def takes_batches(self) -> bool:
        """Return whether a back end wants as many requests at once as it can get."""
        return any(getattr(end, "batches", False) for end in self.back_ends)

    @property
    def from_cache(self) -> int:
        """Return how many replies were there already."""
        return sum(cache.hits for cache in self.caches.values())

    def waiting(self) -> Waiting | None:
        """Return what batch files wait for, after their requests are written; None when nothing is waited for."""
        found = [end.flush() for end in self.back_ends if isinstance(end, BatchFile)]
        said = [str(waiting) for waiting in found if waiting]
        return Waiting("; ".join(said)) if said else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a back end is made: relative paths start at `base`, logs and work files go under `out`.

    A remembered root lets a run go on without its server when every reply is stored. `tell` hears what takes long.
    """

    base: Path
    out: Path
    remembered: str | None = None
    tell: Callable[[str], None] = lambda line: None


@contextmanager
def open_session(
    teacher: TeacherSpec,
    judge: TeacherSpec | Sequence[TeacherSpec] | None,
    base: Path,
    out: Path,
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[Session]:
    """Yield the session of a job's teacher and judges; relative paths start at `base`, the cache lies under `out`."""
    specs = by_role(teacher, judge)
    with ExitStack() as stack:
        store, ledger, loop = stack.enter_context(closing(ReplyStore(out / PLACE))), Ledger(), Loop()
        stack.callback(loop.close)
        places = {r: Place(base, out, store.recall(spec.model, _where(spec)), tell) for r, spec in specs.items()}
        ends = {role: back_end(spec, places[role]) for role, spec in specs.items()}
        caches = {r: Cache(Meter(ends[r], spec.price, spec.budget, ledger), store) for r, spec in specs.items()}
        whole = Structured(Router(caches))
        stack.callback(lambda: loop.run(whole.close()))
        loop.run(whole.start())
        for role, spec in specs.items():
            if isinstance(root := getattr(ends[role], "root", None), str):
                store.remember(spec.model, _where(spec), root)
        sampling = {JUDGE: teacher.sampling} | {role: spec.sampling for role, spec in specs.items()}
        yield Session(whole, sampling, ledger, loop, caches, list(ends.values()))


def back_end(spec: TeacherSpec, place: Place) -> Teacher:
    """Return the back end of a kind, not started; MissingExtra without the libraries it needs."""
    try:
        return BACK_ENDS[spec.kind](spec, place)
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        raise MissingExtra("talking to a teacher", "teacher") from None


def _where(spec: TeacherSpec) -> str:
    return " ".join(spec.urls) or spec.kind


def _http(spec: TeacherSpec, place: Place) -> Teacher:
    from factory.teacher.openai_http import OpenAIHttp

    return OpenAIHttp(
        spec.urls,
        spec.model,
        key=spec.key,
        key_name=spec.api_key_env,
        revision=spec.revision,
        concurrency=spec.concurrency,
        patience=spec.patience,
        remembered=place.remembered,
    )


def _engine(spec: TeacherSpec, place: Place) -> Engine:
    from factory.teacher.vllm_engine import Engine

    here = place.base / spec.model  # a folder beside the job
    model = str(here) if here.is_dir() else spec.model
    return Engine(model, place.out / "vllm", tuple(spec.args), spec.python, spec.revision)


def _vllm_server(spec: TeacherSpec, place: Place) -> Teacher:
    from factory.teacher.vllm_server import VllmServer

    if spec.urls:  # one that runs already
        return _http(spec, place)
    return VllmServer(_engine(spec, place), concurrency=spec.concurrency, patience=spec.patience, say=place.tell)


def _vllm_batch(spec: TeacherSpec, place: Place) -> Teacher:
    from factory.teacher.vllm_batch import VllmBatch

    return VllmBatch(_engine(spec, place), say=place.tell)


def _fake(spec: TeacherSpec, place: Place) -> Teacher:
    return Fake(read_script(place.base / spec.replies) if spec.replies else None, model=spec.model)


def _batch_file(spec: TeacherSpec, place: Place) -> Teacher:
    assert spec.folder is not None
    return BatchFile(place.base / spec.folder, spec.model, revision=spec.revision)


BACK_ENDS: Mapping[str, Callable[[TeacherSpec, Place], Teacher]] = {
    "openai_http": _http,
    "vllm_server": _vllm_server,
    "vllm_batch": _vllm_batch,
    "batch_file": _batch_file,
    "fake": _fake,
}
