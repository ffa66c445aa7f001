from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.errors import UserError
from factory.teacher.cache import CHUNK, Cache
from factory.teacher.fake import Fake
from factory.teacher.protocol import CONTENT, TRANSPORT, Failure, Reply, Request, Sampling, Teacher, Usage, no_reply
from factory.teacher.reply_store import ReplyStore, decode, encode
from factory.teacher.streams import closing


def ask(text: str, **changes: Any) -> Request:
    return Request(messages=({"role": "user", "content": text},), **changes)


def many(count: int) -> dict[str, Request]:
    return {f"id{i}": ask(f"question {i}") for i in range(count)}


def answer(request: Request) -> str:
    return f"answer to {request.messages[-1]['content']}"


def run(teacher: Teacher, requests: Mapping[str, Request]) -> dict[str, Reply]:
    """Return all replies; an id that comes twice is an error."""

    async def collect() -> dict[str, Reply]:
        got: dict[str, Reply] = {}
        async for id_, reply in teacher.complete(requests):
            assert id_ not in got
            got[id_] = reply
        return got

    return asyncio.run(collect())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReplyStore]:
    opened = ReplyStore(tmp_path / "cache" / "replies.sqlite")
    yield opened
    opened.close()


REPLIES = st.builds(
    Reply,
    text=st.text(),
    reasoning=st.none() | st.text(),
    finish=st.sampled_from(["stop", "length", ""]),
    usage=st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6)),
    latency=st.floats(0, 1e6),
    model=st.text(max_size=20),
    logprobs=st.none() | st.lists(st.tuples(st.text(max_size=5), st.floats(-100, 0))).map(tuple),
    failure=st.none() | st.builds(Failure, st.sampled_from(sorted(CONTENT)), st.text(max_size=20)),
)


@given(REPLIES)
def test_a_stored_reply_reads_back_the_same(reply: Reply) -> None:
    assert decode(encode(reply)) == reply


def test_the_parsed_value_is_not_stored(store: ReplyStore) -> None:
    store.put("k", "m", ask("q"), Reply(text="[1]", parsed=[1]))
    assert store.get("k") == Reply(text="[1]")


def test_a_second_run_asks_nothing_and_gets_the_same_replies(store: ReplyStore) -> None:
    requests, first, second = many(2 * CHUNK + 7), Fake(answer), Fake(answer)
    replies = run(Cache(first, store), requests)
    cache = Cache(second, store)
    assert run(cache, requests) == replies
    assert replies["id3"].text == "answer to question 3"
    assert (len(first.asked), second.calls) == (len(requests), 0)
    assert (cache.hits, cache.misses) == (len(requests), 0)


def test_only_the_missing_are_asked_for(store: ReplyStore) -> None:
    run(Cache(Fake(answer), store), many(4))
    inner = Fake(answer)
    cache = Cache(inner, store)
    assert set(run(cache, many(6))) == set(many(6))
    assert [r.messages[0]["content"] for r in inner.asked] == ["question 4", "question 5"]
    assert (cache.hits, cache.misses) == (4, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"messages": ({"role": "user", "content": "other"},)},
        {"prompt": "q"},
        {"sampling": Sampling(temperature=0.5)},
        {"sampling": Sampling(max_tokens=9)},
        {"sampling": Sampling(seed=1)},
        {"repeat": 1},
        {"schema": {"type": "object"}},
        {"logprobs": 1},
    ],
)
def test_a_request_that_differs_in_content_is_asked_anew(store: ReplyStore, change: dict[str, Any]) -> None:
    request, inner = ask("q"), Fake(lambda _: "answer")
    run(Cache(inner, store), {"a": request, "b": replace(request, **change)})
    assert len(inner.asked) == 2


@pytest.mark.parametrize("change", [{"role": "judge"}, {"example": "such"}])
def test_a_request_that_differs_in_no_content_is_the_same(store: ReplyStore, change: dict[str, Any]) -> None:
    request, inner = ask("q"), Fake(answer)
    run(Cache(inner, store), {"a": request, "b": replace(request, **change)})
    assert len(inner.asked) == 1


def test_another_model_has_replies_of_its_own(store: ReplyStore) -> None:
    run(Cache(Fake(lambda _: "one", model="one"), store), many(1))
    assert run(Cache(Fake(lambda _: "two", model="two"), store), many(1))["id0"].text == "two"


def test_the_same_request_under_two_ids_is_sent_once(store: ReplyStore) -> None:
    inner = Fake(answer)
    cache = Cache(inner, store)
    replies = run(cache, {"a": ask("q"), "b": ask("q"), "c": ask("r")})
    assert set(replies) == {"a", "b", "c"}
    assert replies["a"] == replies["b"]
    assert len(inner.asked) == 2
    assert (cache.hits, cache.misses) == (1, 2)


def test_the_same_request_of_two_calls_at_once_is_sent_once(store: ReplyStore) -> None:
    inner = Fake(answer, delay=0.001)
    caches = [Cache(inner, store), Cache(inner, store)]

    async def collect(cache: Cache, requests: Mapping[str, Request]) -> dict[str, Reply]:
        return {id_: reply async for id_, reply in cache.complete(requests)}

    async def both() -> tuple[dict[str, Reply], dict[str, Reply]]:
        backwards = dict(reversed(many(9).items()))
        async with asyncio.timeout(10):
            return await asyncio.gather(collect(caches[0], many(6)), collect(caches[1], backwards))

    first, second = asyncio.run(both())
    assert (len(first), len(second), len(inner.asked)) == (6, 9, 9)
    assert all(first[id_] == second[id_] for id_ in first)
    assert sum(cache.misses for cache in caches) == 9
    assert store.flights == {}


def test_a_call_that_is_left_early_hands_its_requests_to_the_call_that_waits(store: ReplyStore) -> None:
    inner = Fake(answer)
    cache = Cache(inner, store)

    async def waiting() -> dict[str, Reply]:
        return {id_: reply async for id_, reply in cache.complete(many(5))}

    async def leave() -> dict[str, Reply]:
        async with closing(cache.complete(many(5))) as stream:
            await anext(stream)
            other = asyncio.create_task(waiting())
            await asyncio.sleep(0.01)
            assert not other.done()
        async with asyncio.timeout(10):
            return await other

    assert len(asyncio.run(leave())) == 5
    assert len(inner.asked) == 5
    assert store.flights == {}


def test_a_call_that_fails_hands_its_requests_to_the_call_that_waits(store: ReplyStore) -> None:
    class Dead(Fake):
        async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
            await asyncio.sleep(0.01)
            raise UserError("no server")
            yield "", Reply()

    async def collect(cache: Cache) -> dict[str, Reply]:
        return {id_: reply async for id_, reply in cache.complete(many(3))}

    async def both() -> Any:
        async with asyncio.timeout(10):
            calls = collect(Cache(Dead(answer), store)), collect(Cache(Fake(answer), store))
            return await asyncio.gather(*calls, return_exceptions=True)

    failed, served = asyncio.run(both())
    assert isinstance(failed, UserError)
    assert len(served) == 3


@pytest.mark.parametrize("kind", sorted(CONTENT))
def test_a_failure_of_content_is_not_asked_again(store: ReplyStore, kind: str) -> None:
    failed = Reply(text="raw", usage=Usage(3, 4)).failed(kind, "why")
    run(Cache(Fake(lambda _: failed), store), many(1))
    again = Fake(answer)
    assert run(Cache(again, store), many(1)) == {"id0": failed}
    assert again.calls == 0


@pytest.mark.parametrize("kind", sorted(TRANSPORT))
def test_a_failure_of_transport_is_asked_again(store: ReplyStore, kind: str) -> None:
    assert run(Cache(Fake(lambda _: no_reply(kind, "why")), store), many(1))["id0"].failure == Failure(kind, "why")
    assert run(Cache(Fake(answer), store), many(1))["id0"].failure is None


def test_each_reply_is_stored_before_the_next_is_asked_for(store: ReplyStore) -> None:
    stored: list[int] = []

    class Watched(Fake):
        async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
            async for answered in super().complete(requests):
                stored.append(int(next(store.query("SELECT count(*) FROM replies"))[0]))
                yield answered

    run(Cache(Watched(answer), store), many(5))
    assert stored == [0, 1, 2, 3, 4]


def test_a_reply_that_another_process_stored_first_wins(store: ReplyStore, tmp_path: Path) -> None:
    other = ReplyStore(store.path)
    inner = Fake(answer)

    async def overtaken() -> dict[str, Reply]:
        cache = Cache(inner, store)
        got = {}
        async for id_, reply in cache.complete(many(2)):
            got[id_] = reply
            other.put(many(2)["id1"].key(inner.identity), "fake", many(2)["id1"], Reply(text="the other's"))
        return got

    assert asyncio.run(overtaken())["id1"] == Reply(text="the other's")
    other.close()


WRITER = """
import sys
from pathlib import Path
from factory.teacher.protocol import Reply, Request
from factory.teacher.reply_store import ReplyStore
store = ReplyStore(Path(sys.argv[1]))
for i in range(200):
    kept = store.put(f"{i:032}", "m", Request(prompt=str(i)), Reply(text=sys.argv[2]))
    print(kept.text)
store.close()
"""


def test_processes_that_write_at_once_all_see_the_same_replies(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "replies.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "abc"]
    told = [writer.communicate(timeout=60)[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    store = ReplyStore(path)
    kept = [store.decode(row[0]).text for row in store.query("SELECT reply FROM replies ORDER BY key")]
    store.close()
    assert len(kept) == 200
    assert told == [kept, kept, kept]


def test_replies_outlive_a_process_that_never_closes_the_store(tmp_path: Path) -> None:
    died = WRITER.replace("store.close()", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    path = tmp_path / "replies.sqlite"
    assert subprocess.run([sys.executable, "-c", died, str(path), "a"], capture_output=True).returncode == -9
    store = ReplyStore(path)
    assert len(store.find([f"{i:032}" for i in range(200)])) == 200
    store.close()


def test_sync_puts_the_log_on_the_disk_once_after_each_change(
    store: ReplyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    store.put("k", "m", ask("q"), Reply(text="a"))
    store.sync()
    store.sync()
    assert len(synced) == 1


def test_the_root_of_a_model_is_remembered_for_its_name_and_place(store: ReplyStore) -> None:
    store.remember("m", "http://a", "org/m")
    store.remember("m", "http://a", "org/m-2")
    assert store.recall("m", "http://a") == "org/m-2"
    assert store.recall("m", "http://b") is None
    assert store.recall("n", "http://a") is None


def test_a_file_that_is_no_database_is_told_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "replies.sqlite"
    path.write_bytes(b"not a database at all " * 100)
    with pytest.raises(UserError, match=r"replies\.sqlite: file is not a database; move it away"):
        ReplyStore(path)


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "replies.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(UserError, match="is a database of another program"):
        ReplyStore(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_refused(store: ReplyStore) -> None:
    store.query("PRAGMA user_version = 99")
    with pytest.raises(UserError, match=r"newer version of the factory \(form 99, this one reads 1\)"):
        ReplyStore(store.path)


def test_a_damaged_reply_is_told_with_a_remedy(store: ReplyStore) -> None:
    inner = Fake(answer)
    run(Cache(inner, store), many(1))
    store.change("UPDATE replies SET reply = ?", [(b'{"text": "no more than that"}',)])
    with pytest.raises(UserError, match="holds a reply that cannot be read"):
        run(Cache(inner, store), many(1))


def test_a_full_disk_is_told_with_a_remedy(store: ReplyStore) -> None:
    store.query("PRAGMA max_page_count = 8")
    with pytest.raises(UserError, match="full; free some space, then run the same command again"):
        store.put("k", "m", ask("q" * 100_000), Reply(text="a"))


def test_a_store_can_be_closed_twice_and_says_when_it_is_used_after(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "replies.sqlite")
    store.close()
    store.close()
    with pytest.raises(UserError, match="it was closed before its last use"):
        store.get("k")


def test_a_failed_change_changes_nothing(store: ReplyStore) -> None:
    with pytest.raises(UserError):
        store.change("INSERT INTO models VALUES (?, 'w', 'r', 0)", [("a",), (None,)])
    assert store.recall("a", "w") is None
    store.remember("a", "w", "r")


def test_a_cache_starts_and_closes_its_teacher_and_has_its_name(store: ReplyStore) -> None:
    inner = Fake(answer, model="its name")
    cache = Cache(inner, store)
    asyncio.run(cache.start())
    asyncio.run(cache.close())
    assert (inner.started, inner.closed) == (True, True)
    assert (cache.model, cache.identity) == ("its name", inner.identity)
