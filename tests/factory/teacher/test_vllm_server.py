"""A vLLM server of our own: started late, kept alive, stopped with us; a small script stands in for vLLM."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from fake_vllm import interpreter, starts

from factory.errors import FactoryError, UserError
from factory.teacher.protocol import Reply, Request
from factory.teacher.vllm_engine import Engine
from factory.teacher.vllm_server import VllmServer


def chat(*said: str) -> dict[str, Request]:
    return {f"id-{text}": Request(messages=({"role": "user", "content": text},)) for text in said}


def server(folder: Path, *args: str, start_timeout: float = 60, restarts: int = 3, **behaviour: object) -> VllmServer:
    python = interpreter(folder, **behaviour)
    engine = Engine("org/tiny", folder / "out", args, python=python, start_timeout=start_timeout)
    return VllmServer(engine, patience=30, restarts=restarts)


async def asked(teacher: VllmServer, requests: Mapping[str, Request]) -> dict[str, Reply]:
    return {id_: reply async for id_, reply in teacher.complete(requests)}


def answers(teacher: VllmServer, requests: Mapping[str, Request]) -> dict[str, Reply]:
    async def run() -> dict[str, Reply]:
        async with asyncio.timeout(60):
            await teacher.start()
            try:
                return await asked(teacher, requests)
            finally:
                await teacher.close()

    return asyncio.run(run())


def still_running() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if "fake_vllm.py" in str(child.cmdline())]


def test_requests_are_answered_by_a_server_of_our_own(tmp_path: Path) -> None:
    found = answers(server(tmp_path), chat("a", "b"))
    assert {id_: reply.text for id_, reply in found.items()} == {"id-a": "echo: a", "id-b": "echo: b"}


def test_nothing_is_started_before_the_first_request(tmp_path: Path) -> None:
    teacher = server(tmp_path)
    assert answers(teacher, {}) == {}
    assert len(teacher.identity) == 32
    assert starts(tmp_path) == []


def test_calls_at_once_share_one_server(tmp_path: Path) -> None:
    async def run() -> list[dict[str, Reply]]:
        teacher = server(tmp_path)
        await teacher.start()
        try:
            async with asyncio.timeout(60):
                return await asyncio.gather(*(asked(teacher, chat(text)) for text in "abc"))
        finally:
            await teacher.close()

    assert [reply.text for found in asyncio.run(run()) for reply in found.values()] == ["echo: a", "echo: b", "echo: c"]
    assert len(starts(tmp_path)) == 1


def test_the_server_listens_on_this_machine_under_a_key_and_gets_our_arguments_unchanged(tmp_path: Path) -> None:
    args = ("--max-num-seqs", "7", "--data-parallel-size=2", '--hf-overrides={"a": 1}')
    teacher = server(tmp_path, *args)
    answers(teacher, chat("a"))
    [start] = starts(tmp_path)
    argv = start["argv"]
    assert argv[:2] == ["-m", "vllm.entrypoints.openai.api_server"]
    assert argv[2 : 2 + len(args)] == list(args)
    port = teacher.url.rpartition(":")[2]
    ours = ["--served-model-name", "org/tiny", "--enable-prefix-caching", "--generation-config", "vllm"]
    ours += ["--model", "org/tiny"]
    assert argv[2 + len(args) :] == [*ours, "--host", "127.0.0.1", "--port", port]
    assert len(start["key"]) >= 32
    assert start["key"] not in repr(teacher) + str(argv) + (tmp_path / "out" / "vllm-tiny.log").read_text()


def test_where_vllm_is_installed_by_its_own_name_its_command_serves(tmp_path: Path) -> None:
    answers(server(tmp_path, probe="serve"), chat("a"))
    assert starts(tmp_path)[0]["argv"][:4] == ["-m", "vllm.entrypoints.cli.main", "serve", "org/tiny"]


def test_a_server_that_dies_is_started_again_and_every_request_answered(tmp_path: Path) -> None:
    said = [str(n) for n in range(30)]
    found = answers(server(tmp_path, crashes=2, after=8), chat(*said))
    assert sorted(reply.text for reply in found.values()) == sorted(f"echo: {n}" for n in said)
    one, *others = starts(tmp_path)
    assert [(start["argv"], start["key"]) for start in others] == [(one["argv"], one["key"])] * 2


def test_a_server_that_dies_too_often_ends_the_run_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(FactoryError, match="(?s)ended too often.*RuntimeError: the engine is gone"):
        answers(server(tmp_path, crashes=99, restarts=1), chat("a"))
    assert len(starts(tmp_path)) == 2


@pytest.mark.parametrize(
    ("stamp", "written", "remedy"),
    [
        ("", "ModuleNotFoundError: No module named 'vllm'", "factory teacher install-vllm"),
        ("", "api_server.py: error: unrecognized arguments: --nonsense", "correct teacher.args"),
        ("(APIServer pid=1) ", "hub.LocalEntryNotFoundError: Cannot find it", "correct teacher.model, or download"),
        ("", "RuntimeError: Failed to infer device type, please set more", "vLLM sees no GPU"),
        ("(EngineCore pid=7) ERROR 11-21 12:00:21 [core.py:7] ", "OutOfMemoryError: CUDA out of memory", "free memory"),
    ],
)
def test_a_server_that_does_not_start_says_why_and_what_to_do(
    tmp_path: Path, stamp: str, written: str, remedy: str
) -> None:
    with pytest.raises(UserError) as told:
        answers(server(tmp_path, dies=f"noise\n{stamp}{written}"), chat("a"))
    first, second, *_, last = str(told.value).split("\n  ")
    assert first == "vLLM with org/tiny did not start:"
    assert second == written
    assert last.startswith(remedy) or remedy in last
    assert len(starts(tmp_path)) == 1


def test_an_interpreter_that_cannot_run_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "python").touch()
    teacher = VllmServer(Engine("org/tiny", tmp_path / "out", python=str(tmp_path / "python")))
    with pytest.raises(UserError, match=r"(?s)cannot be started: Permission denied.*correct teacher\.python"):
        answers(teacher, chat("a"))


def test_an_unknown_end_is_ours_and_shows_the_log(tmp_path: Path) -> None:
    with pytest.raises(FactoryError, match=r"(?s)did not start.*gremlins.*vllm-tiny\.log") as told:
        answers(server(tmp_path, dies="gremlins"), chat("a"))
    assert told.value.exit_code == 1


def test_a_server_that_is_never_ready_is_given_up_and_stopped(tmp_path: Path) -> None:
    teacher = server(tmp_path, start_timeout=1, hangs=True)
    with pytest.raises(UserError, match="not ready after 1 s"):
        answers(teacher, chat("a"))
    assert [
        child for child in psutil.Process().children(recursive=True) if "fake_vllm.py" in str(child.cmdline())
    ] == []


def test_close_leaves_nothing_running(tmp_path: Path) -> None:
    answers(server(tmp_path), chat("a"))
    assert [
        child for child in psutil.Process().children(recursive=True) if "fake_vllm.py" in str(child.cmdline())
    ] == []
