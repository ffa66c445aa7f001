"""The teachers of one run, put together: stored replies are not asked again, budgets hold over roles, all is closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from factory.errors import BudgetSpent, UserError, Waiting
from factory.jobs.model import parse_teacher
from factory.teacher.fake import Answer, Fake, answer_by_example
from factory.teacher.model import SamplingSpec
from factory.teacher.protocol import Reply, Request, Role, Sampling, no_reply
from factory.teacher.reply_store import PLACE
from factory.teacher.session import BACK_ENDS, Place, Session, back_end, open_session
from factory.teacher.streams import closing

AUTHOR: dict[str, Any] = {"kind": "fake", "model": "a"}
JUDGE: dict[str, Any] = {"kind": "fake", "model": "j"}
SCHEMA = {"type": "object", "required": ["x"], "additionalProperties": False, "properties": {"x": {"type": "integer"}}}
Sessions = Callable[..., Any]


def ask(text: str, role: Role = "author", schema: Mapping[str, Any] | None = None, example: str = "yes") -> Request:
    said = {"role": "user", "content": text}
    return Request((said,), role=role, schema=schema, example=example, sampling=Sampling(max_tokens=50))


def talk(session: Session, requests: Mapping[str, Request]) -> dict[str, Reply]:
    async def collect() -> dict[str, Reply]:
        async with closing(session.teacher.complete(requests)) as replies:
            return {id_: reply async for id_, reply in replies}

    return session.loop.run(collect())


@pytest.fixture
def opened(tmp_path: Path) -> Sessions:
    """Opens a session on this test's cache: `with opened(teacher, judge) as session`."""

    def open_(teacher: dict[str, Any] = AUTHOR, judge: dict[str, Any] | None = None, out: str = "out") -> Any:
        specs = parse_teacher(teacher), parse_teacher(judge) if judge else None
        return open_session(*specs, tmp_path, tmp_path / out)

    return open_


def fakes_of(monkeypatch: pytest.MonkeyPatch, answer: Answer | None = None) -> list[Fake]:
    """Let every fake that a session makes answer so, and be found here."""
    made: list[Fake] = []

    def make(spec: Any, *_: object) -> Fake:
        made.append(Fake(answer, model=spec.model))
        return made[-1]

    monkeypatch.setitem(BACK_ENDS, "fake", make)
    return made


def test_requests_of_both_roles_are_answered_side_by_side(opened: Sessions) -> None:
    with opened(AUTHOR, JUDGE) as session:
        replies = talk(session, {"1": ask("q"), "2": ask("q", "judge", example="no")})
    assert {id_: (reply.text, reply.model) for id_, reply in replies.items()} == {"1": ("yes", "a"), "2": ("no", "j")}


def test_without_a_judge_the_author_answers_for_it(opened: Sessions) -> None:
    with opened() as session:
        assert talk(session, {"1": ask("q", "judge")})["1"].model == "a"
        assert session.teacher.model == "a"
        assert set(session.caches) == {"author"}


def test_sampling_is_by_role_and_the_judge_s_is_the_teacher_s_where_there_is_none(opened: Sessions) -> None:
    author, judge = {**AUTHOR, "sampling": {"seed": 1}}, {**JUDGE, "sampling": {"seed": 2}}
    with opened(author, judge) as session:
        assert session.sampling == {"author": SamplingSpec(seed=1), "judge": SamplingSpec(seed=2)}
    with opened(author) as session:
        assert session.sampling == {"author": SamplingSpec(seed=1), "judge": SamplingSpec(seed=1)}


def test_another_session_finds_the_replies(opened: Sessions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fakes = fakes_of(monkeypatch)
    requests = {str(i): ask(str(i)) for i in range(9)}
    with opened() as session:
        first = talk(session, requests)
    with opened() as session:
        assert talk(session, requests) == first
        assert session.ledger.snapshot().requests == 0
        assert session.caches["author"].hits == 9
    assert [len(fake.asked) for fake in fakes] == [9, 0]
    assert (tmp_path / "out" / PLACE).is_file()


def test_what_the_author_was_asked_is_no_reply_of_another_model(
    opened: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes = fakes_of(monkeypatch)
    with opened(AUTHOR, JUDGE) as session:
        talk(session, {"1": ask("q"), "2": ask("q", "judge")})
        talk(session, {"1": ask("q"), "2": ask("q", "judge")})
    assert [len(fake.asked) for fake in fakes] == [1, 1]


def test_a_judge_that_is_the_same_model_shares_its_replies(opened: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = fakes_of(monkeypatch)
    with opened(AUTHOR, AUTHOR) as session:
        talk(session, {"1": ask("q")})
        talk(session, {"2": ask("q", "judge")})
    assert sum(len(fake.asked) for fake in fakes) == 1


def test_a_reply_off_its_schema_is_repaired_once_and_both_are_stored(
    opened: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes = fakes_of(monkeypatch, lambda r: '{"x": 1}' if len(r.messages) > 1 else "no JSON")
    for _ in range(2):
        with opened() as session:
            assert talk(session, {"1": ask("q", schema=SCHEMA)})["1"].parsed == {"x": 1}
    assert [len(fake.asked) for fake in fakes] == [2, 0]


def test_failures_of_transport_are_asked_again_and_those_of_content_are_not(
    opened: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes = fakes_of(
        monkeypatch, lambda r: no_reply("timeout" if r.messages[0]["content"] == "slow" else "refused", "")
    )
    for _ in range(2):
        with opened() as session:
            kinds = {
                k: r.failure and r.failure.kind for k, r in talk(session, {"1": ask("slow"), "2": ask("x")}).items()
            }
            assert kinds == {"1": "timeout", "2": "refused"}
    assert [len(fake.asked) for fake in fakes] == [2, 1]


def test_what_both_roles_cost_adds_up(opened: Sessions) -> None:
    author, judge = {**AUTHOR, "price": {"input": 1e6}}, {**JUDGE, "price": {"output": 1e6}}
    with opened(author, judge) as session:
        replies = talk(session, {"1": ask("four"), "2": ask("many words", "judge", example="an answer")})
        spent = session.ledger.snapshot()
    assert spent.usd == replies["1"].usage.prompt_tokens + replies["2"].usage.completion_tokens == 1 + 3
    assert spent.requests == 2


def test_a_budget_of_one_role_counts_what_the_other_took(opened: Sessions) -> None:
    with opened({**AUTHOR, "budget": {"tokens": 70}}, JUDGE) as session:
        assert talk(session, {"1": ask("q")})["1"].text == "yes"
        talk(session, {str(i): ask(str(i), "judge", example="x" * 80) for i in range(3)})
        with pytest.raises(BudgetSpent):
            talk(session, {"2": ask("other")})
        assert talk(session, {"1": ask("q")})["1"].text == "yes"  # what is stored is free


# ------------------------------------------------------------------------------------------------- start and close


def test_everything_is_started_once_and_closed(opened: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes, before = fakes_of(monkeypatch), threading.active_count()
    with opened(AUTHOR, JUDGE):
        assert [(fake.started, fake.closed) for fake in fakes] == [(True, False)] * 2
    assert [fake.closed for fake in fakes] == [True, True]
    assert threading.active_count() == before


def test_everything_is_closed_when_the_work_fails(opened: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes, before = fakes_of(monkeypatch), threading.active_count()
    with pytest.raises(LookupError), opened():
        raise LookupError
    assert fakes[0].closed
    assert threading.active_count() == before


def test_everything_is_closed_when_a_teacher_cannot_start(opened: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes, before = fakes_of(monkeypatch), threading.active_count()

    async def fail(self: Fake) -> None:
        raise UserError("nobody is there")

    monkeypatch.setattr(Fake, "start", fail)
    with pytest.raises(UserError, match="nobody is there"), opened():
        pytest.fail("it was opened")
    assert fakes[0].closed
    assert threading.active_count() == before


def test_nothing_is_left_behind_when_a_teacher_cannot_be_made(opened: Sessions) -> None:
    before = threading.active_count()
    with pytest.raises(UserError, match=r"no\.jsonl cannot be read"), opened({**AUTHOR, "replies": "no.jsonl"}):
        pytest.fail("it was opened")
    assert threading.active_count() == before


def test_a_session_can_be_opened_inside_a_running_loop(opened: Sessions) -> None:
    async def outer() -> str:
        with opened() as session:
            return talk(session, {"1": ask("q")})["1"].text

    assert asyncio.run(outer()) == "yes"


# ---------------------------------------------------------------------------------------------------------- back ends


@pytest.mark.parametrize(
    "said",
    [
        {"model": "m", "base_url": "http://127.0.0.1:9/v1"},
        {"model": "m", "base_urls": ["http://127.0.0.1:9/v1", "http://127.0.0.1:10/v1"]},
        {"kind": "vllm_server", "model": "m"},
        {"kind": "vllm_server", "model": "m", "base_url": "http://127.0.0.1:9/v1"},
        {"kind": "vllm_batch", "model": "m"},
        {"kind": "batch_file", "model": "m", "folder": "f"},
        {"kind": "fake", "model": "m"},
    ],
    ids=lambda said: f"{said.get('kind', 'openai_http')}-{len(said)}",
)
def test_every_kind_has_a_back_end_that_starts_nothing_by_being_made(said: dict[str, Any], tmp_path: Path) -> None:
    end = back_end(parse_teacher(said), Place(tmp_path, tmp_path / "out"))
    assert end.model == "m"
    assert list(tmp_path.iterdir()) == []


def test_relative_paths_start_at_the_job(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"reply": "from the script"}')
    spec = parse_teacher({**AUTHOR, "replies": "r.jsonl"})
    with open_session(spec, None, tmp_path, tmp_path / "out") as session:
        assert talk(session, {"1": ask("q")})["1"].text == "from the script"


def test_only_engines_of_batches_want_all_at_once(opened: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"kind": "batch_file", "model": "m", "folder": "files"}
    for teacher, judge, wanted in ((AUTHOR, JUDGE, False), (files, None, True), (AUTHOR, files, True)):
        with opened(teacher, judge) as session:
            assert session.takes_batches is wanted


def test_files_wait_only_for_what_was_asked(opened: Sessions, tmp_path: Path) -> None:
    files = {"kind": "batch_file", "model": "m", "folder": "files"}
    with opened(AUTHOR, files) as session:
        assert session.waiting() is None
        talk(session, {"1": ask("q")})
        assert session.waiting() is None
        failure = talk(session, {"2": ask("q", "judge")})["2"].failure
        assert failure is not None
        assert failure.kind == "pending"
        assert isinstance(session.waiting(), Waiting)
    assert (tmp_path / "files" / "requests-001.jsonl").is_file()


class Rooted(Fake):
    """A fake that knows what its server says the model is."""

    root = "the-weights"


def test_what_a_server_says_its_model_is_is_remembered_for_the_next_run(
    opened: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered: list[str | None] = []

    def make(spec: Any, place: Place) -> Fake:
        remembered.append(place.remembered)
        return Rooted(answer_by_example, model=spec.model)

    monkeypatch.setitem(BACK_ENDS, "openai_http", make)
    here = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}
    for said in (here, here, {**here, "model": "n"}, {**here, "base_url": "http://127.0.0.1:10/v1"}):
        with opened(said):
            pass
    assert remembered == [None, "the-weights", None, None]
