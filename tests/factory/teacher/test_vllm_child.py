"""The program inside vLLM's environment, with a function in the engine's place: files of requests in, lines out."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from factory.teacher import vllm_child
from factory.teacher.vllm_child import answer_file

PLACES = 4


def part(folder: Path, count: int) -> dict[str, str]:
    lines = (json.dumps({"custom_id": str(n)}) + "\n" for n in range(count))
    (folder / "in").write_text("".join(lines))
    return {"requests": str(folder / "in"), "replies": str(folder / "out")}


def written(folder: Path) -> list[str]:
    return [json.loads(line)["custom_id"] for line in (folder / "out").read_text().splitlines()]


def test_each_reply_is_written_when_its_request_is_done_whatever_the_order(tmp_path: Path) -> None:
    async def answer(line: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0 if line["custom_id"] != "0" else 0.05)
        return line

    asyncio.run(answer_file(part(tmp_path, 9), answer, PLACES))
    assert sorted(written(tmp_path)) == [str(n) for n in range(9)]
    assert written(tmp_path)[-1] == "0"


def test_only_so_many_requests_are_in_flight_and_as_many_when_there_are(tmp_path: Path) -> None:
    now = most = 0

    async def answer(line: dict[str, Any]) -> dict[str, Any]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return line

    asyncio.run(answer_file(part(tmp_path, 20), answer, PLACES))
    assert most == PLACES


def test_a_file_that_is_deleted_is_abandoned(tmp_path: Path) -> None:
    async def answer(line: dict[str, Any]) -> dict[str, Any]:
        (tmp_path / "in").unlink(missing_ok=True)
        return line

    asyncio.run(answer_file(part(tmp_path, 50), answer, 1))
    assert written(tmp_path) == ["0"]
    asyncio.run(answer_file({"requests": str(tmp_path / "in"), "replies": str(tmp_path / "none")}, answer, 1))
    assert not (tmp_path / "none").exists()


def test_what_was_done_is_on_disk_when_the_engine_dies(tmp_path: Path) -> None:
    async def answer(line: dict[str, Any]) -> dict[str, Any]:
        if line["custom_id"] == "7":
            raise vllm_child.EngineDied
        return line

    with pytest.raises(vllm_child.EngineDied):
        asyncio.run(answer_file(part(tmp_path, 20), answer, 1))
    assert written(tmp_path) == [str(n) for n in range(7)]


VLLM = """
import importlib.util, sys
for name in ("cache", "guard", "model", "wire"):
    assert importlib.util.find_spec(name) is None, name
print("unhidden", flush=True)
sys.exit(0)
"""


def test_the_modules_beside_it_hide_none_of_vllms(tmp_path: Path) -> None:
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm" / "__init__.py").write_text(VLLM)
    command = [sys.executable, vllm_child.__file__, str(tmp_path / "ready")]
    ran = subprocess.run(command, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert ran.stdout == "unhidden\n"
