from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from factory.teacher.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


async def add(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


def test_what_a_coroutine_returns_comes_back(loop: Loop) -> None:
    assert [loop.run(add(i, 1)) for i in range(3)] == [1, 2, 3]


def test_what_a_coroutine_raises_comes_back(loop: Loop) -> None:
    async def fail() -> None:
        raise LookupError("so it is")

    with pytest.raises(LookupError, match="so it is"):
        loop.run(fail())
    assert loop.run(add(1, 1)) == 2


def test_all_coroutines_share_one_loop_in_one_other_thread(loop: Loop) -> None:
    async def where() -> tuple[int, int]:
        return id(asyncio.get_running_loop()), threading.get_ident()

    first, second = loop.run(where()), loop.run(where())
    assert first == second
    assert first[1] != threading.get_ident()


def test_plain_code_inside_another_running_loop_can_wait(loop: Loop) -> None:
    async def outer() -> int:
        return loop.run(add(2, 3))

    assert asyncio.run(outer()) == 5


def test_a_task_that_was_left_goes_on_until_the_loop_is_closed() -> None:
    ended: list[str] = []

    async def linger(name: str) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(name)

    tasks: list[asyncio.Task[None]] = []

    async def leave() -> None:
        tasks.extend(asyncio.create_task(linger(name)) for name in "ab")
        await asyncio.sleep(0)

    loop = Loop()
    loop.run(leave())
    assert ended == []
    loop.close()
    assert sorted(ended) == ["a", "b"]
    assert all(task.cancelled() for task in tasks)


def test_no_thread_is_left_when_the_loop_is_closed() -> None:
    before = threading.active_count()
    loop = Loop()
    assert threading.active_count() == before + 1
    loop.close()
    assert threading.active_count() == before


def test_ctrl_c_ends_the_wait_and_the_coroutine(loop: Loop) -> None:
    ended = threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    async def wait() -> None:
        await asyncio.sleep(0.2)  # by then the other thread waits
        signal.pthread_kill(main, signal.SIGINT)
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        loop.run(wait())
    assert ended.wait(10)
    assert time.monotonic() - start < 60
    assert loop.run(add(1, 2)) == 3
