from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from factory.errors import UserError
from factory.teacher.fake import Fake
from factory.teacher.protocol import Reply, Request
from factory.teacher.router import Router


def ask(text: str, judge: bool = False) -> Request:
    return Request(prompt=text, role="judge" if judge else "author")


def mixed(count: int) -> dict[str, Request]:
    return {f"id{i}": ask(str(i), judge=i % 3 == 0) for i in range(count)}


def run(router: Router, requests: Mapping[str, Request]) -> list[tuple[str, Reply]]:
    async def collect() -> list[tuple[str, Reply]]:
        async with asyncio.timeout(10):
            return [answered async for answered in router.complete(requests)]

    return asyncio.run(collect())


def test_each_request_goes_to_the_teacher_of_its_role() -> None:
    author, judge = Fake(lambda _: "by the author"), Fake(lambda _: "by the judge")
    got = run(Router({"author": author, "judge": judge}), mixed(30))
    assert len(got) == len(dict(got)) == 30
    for id_, reply in got:
        assert reply.text == ("by the judge" if int(id_[2:]) % 3 == 0 else "by the author")
    assert (len(author.asked), len(judge.asked)) == (20, 10)


def test_a_role_without_a_teacher_falls_back_to_the_author() -> None:
    author = Fake(lambda _: "by the author")
    assert len(run(Router({"author": author}), mixed(9))) == 9
    assert len(author.asked) == 9


def test_a_slow_teacher_does_not_hold_up_the_other() -> None:
    router = Router({"author": Fake(lambda _: "a", delay=0.02), "judge": Fake(lambda _: "j")})
    order = [reply.text for _, reply in run(router, mixed(12))]
    assert order[:4] == ["j"] * 4


def test_neither_of_two_teachers_is_heard_only_after_the_other() -> None:
    order = [r.text for _, r in run(Router({"author": Fake(lambda _: "a"), "judge": Fake(lambda _: "j")}), mixed(30))]
    assert {"a", "j"} == set(order[:6])


def test_an_author_is_needed() -> None:
    with pytest.raises(ValueError, match="needs a teacher for the role 'author'"):
        Router({"judge": Fake()})


def test_no_requests_have_no_replies() -> None:
    assert run(Router({"author": Fake()}), {}) == []


def test_identity_depends_on_who_answers_in_which_role() -> None:
    a, b = Fake(model="a"), Fake(model="b")
    routers = [
        Router({"author": a}),
        Router({"author": a, "judge": a}),
        Router({"author": a, "judge": b}),
        Router({"author": b, "judge": a}),
    ]
    assert len({router.identity for router in routers}) == len(routers)
    assert Router({"judge": b, "author": a}).identity == routers[2].identity
    assert [router.model for router in routers] == ["a", "a", "a, b", "b, a"]


def test_all_teachers_are_started_and_closed() -> None:
    fakes = Fake(), Fake()
    router = Router({"author": fakes[0], "judge": fakes[1]})
    asyncio.run(router.start())
    assert all(fake.started for fake in fakes)
    asyncio.run(router.close())
    assert all(fake.closed for fake in fakes)


def test_a_teacher_that_cannot_close_does_not_keep_the_others_open() -> None:
    class Stuck(Fake):
        async def close(self) -> None:
            raise UserError("stuck")

    judge = Fake()
    with pytest.raises(UserError, match="stuck"):
        asyncio.run(Router({"author": Stuck(), "judge": judge}).close())
    assert judge.closed


def test_the_error_of_one_teacher_ends_the_call() -> None:
    class Dead(Fake):
        async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
            raise UserError("no server")
            yield "", Reply()

    with pytest.raises(UserError, match="no server"):
        run(Router({"author": Fake(lambda _: "a", delay=0.01), "judge": Dead()}), mixed(9))


def test_the_role_is_not_changed_on_the_way() -> None:
    author = Fake(lambda _: "a")
    request = replace(ask("q"), role="judge")
    run(Router({"author": author}), {"id": request})
    assert author.asked == [request]
