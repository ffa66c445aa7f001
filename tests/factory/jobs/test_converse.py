"""A conversation outside of a job: replies in order, paid once, and an end with a cause where replies are missing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from factory.errors import FactoryError, UserError, Waiting
from factory.jobs.converse import converse
from factory.recipes.recipe import Ask
from factory.recipes.rephrased import SOLVE
from factory.teacher.fake import Answer, Fake
from factory.teacher.model import TeacherSpec
from factory.teacher.protocol import Reply, no_reply
from factory.teacher.session import BACK_ENDS, open_session

Talk = Generator[list[Ask], list[Reply], list[str]]
Hold = Callable[..., tuple[list[str], Fake]]


def counting(turns: int) -> Talk:
    said = []
    for turn in range(turns):
        replies = yield [Ask(SOLVE, {"problem": f"{turn}.{i}"}, f"done {turn}.{i}") for i in range(3)]
        said += [reply.text for reply in replies]
    return said


@pytest.fixture
def hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hold:
    """Holds a conversation with a fake that is made anew, over the cache of the ones before."""

    def held(talk: Talk, answer: Answer | None = None, **how: object) -> tuple[list[str], Fake]:
        fake = Fake(answer, shuffle=3)
        monkeypatch.setitem(BACK_ENDS, "fake", lambda *_: fake)
        with open_session(TeacherSpec(kind="fake", model="m"), None, tmp_path, tmp_path) as session:
            return converse(talk, session, **how), fake  # type: ignore[arg-type]

    return held


def test_replies_come_back_in_the_order_of_the_asks(hold: Hold) -> None:
    said, fake = hold(counting(2))
    assert said == [f"done {turn}.{i}" for turn in range(2) for i in range(3)]
    assert fake.calls == 2


def test_a_second_run_asks_nothing(hold: Hold) -> None:
    first, _ = hold(counting(2))
    second, fake = hold(counting(2))
    assert second == first
    assert fake.asked == []


def test_another_attempt_is_another_question(hold: Hold) -> None:
    hold(counting(1))
    _, fake = hold(counting(1), attempt=1)
    assert len(fake.asked) == 3


def test_failures_of_content_are_replies(hold: Hold) -> None:
    def lenient() -> Talk:
        (reply,) = yield [Ask(SOLVE, {"problem": "p"}, "x")]
        return [reply.failure.kind if reply.failure else "none"]

    assert hold(lenient(), lambda _: no_reply("refused", "no"))[0] == ["refused"]


def test_a_reply_that_is_needed_and_failed_ends_it_with_the_cause(hold: Hold) -> None:
    def strict() -> Talk:
        (reply,) = yield [Ask(SOLVE, {"problem": "p"}, "x")]
        return [reply.need()]

    with pytest.raises(FactoryError, match="refused: not this one"):
        hold(strict(), lambda _: no_reply("refused", "not this one"))


def test_requests_without_a_reply_end_it_and_the_others_are_kept(hold: Hold) -> None:
    def shaky(request: object) -> str | Reply:
        return no_reply("timeout", "too slow") if "0.1" in str(request) else "fine"

    with pytest.raises(FactoryError, match="1 of 3 requests got no reply.*timeout: 1.*too slow.*same command again"):
        hold(counting(1), shaky)
    said, fake = hold(counting(1), lambda _: "fine")
    assert said == ["fine"] * 3
    assert len(fake.asked) == 1


def test_batch_files_are_waited_for(tmp_path: Path) -> None:
    spec = TeacherSpec(kind="batch_file", model="m", folder=str(tmp_path / "batch"))
    with open_session(spec, None, tmp_path, tmp_path) as session, pytest.raises(Waiting, match="3"):
        converse(counting(1), session)
    assert list((tmp_path / "batch").rglob("*.jsonl"))


def test_a_talk_is_closed_when_it_is_broken_off(hold: Hold) -> None:
    closed = []

    def tidy() -> Talk:
        try:
            yield [Ask(SOLVE, {"problem": "p"}, "x")]
        finally:
            closed.append(True)
        return []

    with pytest.raises(FactoryError):
        hold(tidy(), lambda _: no_reply("timeout", "too slow"))
    assert closed == [True]


def test_errors_of_the_talk_itself_come_through(hold: Hold) -> None:
    def wrong() -> Talk:
        yield [Ask(SOLVE, {"problem": "p"}, "x")]
        raise UserError("enough")

    with pytest.raises(UserError, match="enough"):
        hold(wrong())
