from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.teacher.streams import Merge, closing


class Source:
    """Counts to a number; knows how often it was asked for a value and whether it was closed."""

    def __init__(self, name: str, values: int, *, fails: bool = False) -> None:
        self.name, self.values, self.fails = name, values, fails
        self.asked = 0
        self.closed = False

    async def stream(self) -> AsyncIterator[tuple[str, int]]:
        try:
            for value in range(self.values):
                self.asked += 1
                await asyncio.sleep(0)
                yield self.name, value
            if self.fails:
                raise ConnectionError(self.name)
        finally:
            self.closed = True


@given(st.lists(st.integers(0, 6), max_size=6))
def test_a_merge_yields_every_value_of_every_stream_in_its_order(sizes: list[int]) -> None:
    sources = [Source(str(i), size) for i, size in enumerate(sizes)]

    async def run() -> list[tuple[str, int]]:
        return [value async for value in Merge(source.stream() for source in sources).values()]

    got = asyncio.run(run())
    for source in sources:
        assert [n for name, n in got if name == source.name] == list(range(source.values))
    assert len(got) == sum(sizes)
    assert all(source.closed for source in sources)


def test_a_merge_lets_short_streams_through_beside_a_long_one() -> None:
    async def run() -> list[str]:
        sources = [Source("long", 100), Source("short", 3)]
        return [name async for name, _ in Merge(source.stream() for source in sources).values()]

    assert "short" not in asyncio.run(run())[20:]


def test_a_stream_is_asked_for_its_next_value_only_when_the_reader_comes_back() -> None:
    async def run() -> None:
        source = Source("a", 5)
        async with closing(Merge([source.stream()]).values()) as values:
            for read in range(1, 6):
                await anext(values)
                for _ in range(10):
                    await asyncio.sleep(0)
                assert source.asked == read

    asyncio.run(run())


def test_streams_can_be_added_while_the_merge_is_read() -> None:
    async def run() -> list[str]:
        merge: Merge[tuple[str, int]] = Merge([Source("first", 1).stream()])
        names = []
        async for name, _ in merge.values():
            names.append(name)
            if name == "first":
                merge.add(Source("second", 2).stream())
        return names

    assert asyncio.run(run()) == ["first", "second", "second"]


def test_the_error_of_one_stream_ends_the_merge_and_closes_the_others() -> None:
    good, bad = Source("good", 1_000), Source("bad", 2, fails=True)

    async def run() -> None:
        async for _ in Merge([good.stream(), bad.stream()]).values():
            pass

    with pytest.raises(ConnectionError, match="bad"):
        asyncio.run(run())
    assert good.closed
    assert good.asked < 1_000


def test_a_merge_that_is_left_early_closes_its_streams() -> None:
    sources = [Source("a", 9), Source("b", 9)]

    async def run() -> None:
        async with closing(Merge(source.stream() for source in sources).values()) as values:
            await anext(values)
        assert all(source.closed for source in sources)

    asyncio.run(run())


def test_closing_takes_a_stream_that_has_nothing_to_close() -> None:
    class Plain:
        def __aiter__(self) -> Plain:
            return self

        async def __anext__(self) -> int:
            raise StopAsyncIteration

    async def run() -> list[int]:
        async with closing(Plain()) as values:
            return [value async for value in values]

    assert asyncio.run(run()) == []
