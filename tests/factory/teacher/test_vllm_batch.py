"""vLLM's offline engine as a teacher: one reply for each request, whatever happens to the child."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import fake_vllm
import psutil
import pytest
from fake_vllm import behave, interpreter, starts

from factory.errors import FactoryError, UserError
from factory.teacher.protocol import Reply, Request
from factory.teacher.vllm_batch import VllmBatch
from factory.teacher.vllm_engine import Engine


def chat(*said: str) -> dict[str, Request]:
    return {f"id-{text}": Request(messages=({"role": "user", "content": text},)) for text in said}


def engine(folder: Path, *args: str, **behaviour: object) -> Engine:
    return Engine("org/tiny", folder / "out", args, python=interpreter(folder, **behaviour), start_timeout=60)


async def asked(teacher: VllmBatch, requests: Mapping[str, Request]) -> list[tuple[str, Reply]]:
    return [pair async for pair in teacher.complete(requests)]


def answers(teacher: VllmBatch, *parts: Mapping[str, Request]) -> list[dict[str, Reply]]:
    """Return what came for each part; a request that is answered twice fails the test."""

    async def run() -> list[dict[str, Reply]]:
        found = []
        async with asyncio.timeout(60):
            await teacher.start()
            try:
                for part in parts:
                    pairs = await asked(teacher, part)
                    assert len(pairs) == len(dict(pairs))
                    found.append(dict(pairs))
            finally:
                await teacher.close()
        return found

    return asyncio.run(run())


def test_every_request_gets_its_own_reply(tmp_path: Path) -> None:
    [found] = answers(VllmBatch(engine(tmp_path)), chat("a", "b", "c"))
    assert {id_: reply.text for id_, reply in found.items()} == {f"id-{t}": f"echo: {t}" for t in "abc"}


def test_the_engine_is_loaded_once_for_many_calls(tmp_path: Path) -> None:
    first, second = answers(VllmBatch(engine(tmp_path)), chat("a"), chat("b", "c"))
    assert (list(first), sorted(second)) == (["id-a"], ["id-b", "id-c"])
    assert len(starts(tmp_path)) == 1


def test_nothing_is_loaded_for_nothing(tmp_path: Path) -> None:
    assert answers(VllmBatch(engine(tmp_path)), {}) == [{}]
    assert starts(tmp_path) == []


def test_arguments_pass_through_unchanged(tmp_path: Path) -> None:
    args = ("--max-num-seqs", "7", '--hf-overrides={"a": 1}')
    answers(VllmBatch(engine(tmp_path, *args)), chat("a"))
    argv = starts(tmp_path)[0]["argv"]
    assert argv[2:5] == list(args)
    assert argv[-2:] == ["--model", "org/tiny"]


def test_requests_that_begin_alike_are_neighbours(tmp_path: Path) -> None:
    [found] = answers(VllmBatch(engine(tmp_path)), chat("b 1", "a 1", "b 2", "a 2", "b 3"))
    assert list(found) == ["id-a 1", "id-a 2", "id-b 1", "id-b 2", "id-b 3"]


def test_one_request_under_two_ids_is_sent_once_and_answered_twice(tmp_path: Path) -> None:
    same = chat("a")["id-a"]
    [found] = answers(VllmBatch(engine(tmp_path, poison="never")), {"x": same, "y": same})
    assert [found["x"].text, found["y"].text] == ["echo: a", "echo: a"]


def test_a_prompt_that_is_too_long_fails_alone(tmp_path: Path) -> None:
    [found] = answers(VllmBatch(engine(tmp_path)), chat("a", "much too long", "z"))
    assert {i: r.failure.kind if r.failure else None for i, r in found.items()} == {
        "id-a": None,
        "id-much too long": "prompt_too_long",
        "id-z": None,
    }


def test_a_refusal_among_replies_is_that_requests_failure(tmp_path: Path) -> None:
    [found] = answers(VllmBatch(engine(tmp_path, refuses="bad")), chat("a bad one", "good"))
    assert found["id-good"].failure is None
    assert found["id-a bad one"].failure is not None
    assert found["id-a bad one"].failure.kind == "bad_request"


def test_an_engine_that_refuses_everything_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="refuses every request with: you must not say bad"):
        answers(VllmBatch(engine(tmp_path, refuses="bad")), chat("bad 1", "bad 2"))


def test_a_model_without_a_chat_template_stops_the_run_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)cannot chat with this model.*--chat-template=FILE"):
        answers(VllmBatch(engine(tmp_path, refuses="a chat template")), chat("no a chat template", "a chat template"))


def test_a_dead_engine_is_loaded_again_for_what_is_missing(tmp_path: Path) -> None:
    said = [str(n) for n in range(10)]
    [found] = answers(VllmBatch(engine(tmp_path, crashes=2, after=3)), chat(*said))
    assert sorted(reply.text for reply in found.values()) == [f"echo: {n}" for n in said]
    assert len(starts(tmp_path)) == 3


def test_a_request_that_kills_the_engine_does_not_block_the_others(tmp_path: Path) -> None:
    said = [f"a poison {n}" if n == 0 else f"b {n}" for n in range(20)]
    [found] = answers(VllmBatch(engine(tmp_path, poison="poison")), chat(*said))
    assert len(found) == 20
    failed = {id_: reply.failure for id_, reply in found.items() if reply.failure}
    assert set(failed) == {"id-a poison 0", *(f"id-b {n}" for n in (1, 10, 11))}  # what was in flight with it
    assert not any(failure.of_content for failure in failed.values())


def test_an_engine_that_dies_twice_without_a_reply_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(FactoryError, match="(?s)ended twice without a reply.*RuntimeError: the engine is gone"):
        answers(VllmBatch(engine(tmp_path, crashes=9)), chat("a", "b"))
    assert len(starts(tmp_path)) == 2


def test_an_engine_that_hangs_is_ended_like_one_that_died(tmp_path: Path) -> None:
    [found] = answers(VllmBatch(engine(tmp_path, pause=600), restarts=0, stall=0.5), chat("a", "b"))
    assert [reply.failure.kind for reply in found.values() if reply.failure] == ["server_error", "server_error"]


def test_an_engine_that_died_too_often_is_not_loaded_for_the_next_call(tmp_path: Path) -> None:
    teacher = VllmBatch(engine(tmp_path, crashes=9, after=1), restarts=1)
    with pytest.raises(FactoryError, match="ended too often"):
        answers(teacher, chat("a", "b", "c", "d"), chat("e"))
    assert len(starts(tmp_path)) == 2


def test_an_engine_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    broken = engine(tmp_path, dies="vllm_child.py: error: unrecognized arguments: --nonsense")
    with pytest.raises(
        UserError, match=r"(?s)unrecognized arguments: --nonsense.*vllm-tiny\.log.*correct teacher\.args"
    ):
        answers(VllmBatch(broken), chat("a"))


def test_work_files_are_removed_when_done(tmp_path: Path) -> None:
    answers(VllmBatch(engine(tmp_path)), chat("a", "b"))
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["vllm-tiny.log"]


def test_calls_at_once_take_turns(tmp_path: Path) -> None:
    async def run() -> list[list[tuple[str, Reply]]]:
        teacher = VllmBatch(engine(tmp_path))
        await teacher.start()
        try:
            async with asyncio.timeout(60):
                return await asyncio.gather(*(asked(teacher, chat(text)) for text in "abc"))
        finally:
            await teacher.close()

    assert [reply.text for [(_, reply)] in asyncio.run(run())] == ["echo: a", "echo: b", "echo: c"]
    assert len(starts(tmp_path)) == 1


def test_a_call_that_is_left_early_frees_the_engine_for_the_next(tmp_path: Path) -> None:
    async def run() -> tuple[str, list[str]]:
        teacher = VllmBatch(engine(tmp_path, pause=0.05))
        await teacher.start()
        try:
            async with asyncio.timeout(60):
                stream = teacher.complete(chat(*(f"n{i:03d}" for i in range(500))))
                id_, _ = await anext(aiter(stream))
                await close(stream)
                return id_, [id_ for id_, _ in await asked(teacher, chat("next"))]
        finally:
            await teacher.close()

    assert asyncio.run(run()) == ("id-n000", ["id-next"])
    assert len(starts(tmp_path)) == 1


async def close(stream: AsyncIterator[object]) -> None:
    await stream.aclose()  # type: ignore[attr-defined] - a generator


OWNER = """
import asyncio, sys, time
from pathlib import Path
root, python, out = sys.argv[1:4]
sys.path.insert(0, root)
from factory.teacher.protocol import Request
from factory.teacher.vllm_batch import VllmBatch
from factory.teacher.vllm_engine import Engine
requests = {f"id-{n}": Request(messages=({"role": "user", "content": f"{n:02d}"},)) for n in range(40)}
async def main():
    teacher = VllmBatch(Engine("org/tiny", Path(out), python=python))
    await teacher.start()
    async for id_, reply in teacher.complete(requests):
        print(id_, flush=True)
        time.sleep(600)
asyncio.run(main())
"""


def wait_for(what: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.02)


def test_what_a_killed_run_paid_for_is_used_by_the_next(tmp_path: Path) -> None:
    python, out = interpreter(tmp_path, pause=0.02), tmp_path / "out"
    root = str(Path(fake_vllm.__file__).parents[1])
    owner = subprocess.Popen([sys.executable, "-c", OWNER, root, python, str(out)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "id-0\n"
    wait_for(lambda: sum(path.read_text().count("\n") for path in out.rglob("*.replies.jsonl")) >= 5)
    child = psutil.Process(owner.pid).children(recursive=True)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    wait_for(lambda: not any(process.is_running() for process in child))
    behave(tmp_path, poison="00")  # the first one would end the engine, were it sent again
    requests = chat(*(f"{n:02d}" for n in range(5)))
    [found] = answers(VllmBatch(Engine("org/tiny", out, python=python)), requests)
    assert [found[id_].text for id_ in requests] == [f"echo: {n:02d}" for n in range(5)]
    assert len(starts(tmp_path)) == 1
    assert not list((out / "batches").iterdir())


def test_replies_of_a_run_that_still_lives_are_left_alone(tmp_path: Path) -> None:
    async def run() -> list[str]:
        one, other = (VllmBatch(engine(tmp_path)) for _ in range(2))
        await asyncio.gather(one.start(), other.start())
        try:
            async with asyncio.timeout(60):
                stream = one.complete(chat("a", "b"))
                await anext(aiter(stream))
                found = [reply.text for _, reply in await asked(other, chat("a", "b"))]
                await close(stream)
                return found
        finally:
            await one.close()
            await other.close()

    assert asyncio.run(run()) == ["echo: a", "echo: b"]
    assert len(starts(tmp_path)) == 2
