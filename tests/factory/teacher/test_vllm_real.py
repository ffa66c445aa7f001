"""The real vLLM, its CPU build with a tiny random model: what it writes is nonsense, how it is spoken to is not."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson
import psutil
import pytest
import tiny_model
from jsonschema import Draft202012Validator

from factory.errors import UserError
from factory.teacher.install import python_of
from factory.teacher.loop import Loop
from factory.teacher.protocol import Reply, Request, Sampling, Teacher
from factory.teacher.vllm_batch import VllmBatch
from factory.teacher.vllm_engine import Engine
from factory.teacher.vllm_server import VllmServer
from factory.teacher.wire import batch_line, batch_reply

pytestmark = pytest.mark.slow

ARGS = ("--max-model-len=1024", "--enforce-eager", "--max-num-seqs=8")
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "marks": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "maxItems": 3},
    },
    "required": ["name", "marks"],
    "additionalProperties": False,
}
LONG = {"type": "string", "minLength": 400, "maxLength": 800}  # a free reply may end at its first token: none is left


@pytest.fixture(scope="module")
def python() -> Iterator[str]:
    """The Python that has vLLM; a machine without it fails, for a lane that skips its tests proves nothing."""
    told = os.environ.get("FACTORY_VLLM_ENV")
    env = Path(told) if told else Path(__file__).parents[3] / ".venv-vllm"
    if not python_of(env).exists():
        pytest.fail(f"{env} has no Python with vLLM: `make slow` installs it, FACTORY_VLLM_ENV names another place")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        yield str(python_of(env))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


KINDS: dict[str, type[VllmServer] | type[VllmBatch]] = {"server": VllmServer, "batch": VllmBatch}
VICTIMS = {"server": "EngineCore", "batch": "vllm_child.py"}


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    """One kind after the other, so that two engines never share the machine."""
    return str(request.param)


@pytest.fixture(scope="module")
def engine(kind: str, python: str, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(str(tiny), tmp_path_factory.mktemp(kind), ARGS, python=python)


@pytest.fixture(scope="module")
def teacher(kind: str, engine: Engine, loop: Loop) -> Iterator[VllmServer | VllmBatch]:
    made = KINDS[kind](engine)
    loop.run(made.start())
    yield made
    loop.run(made.close())


def chat(text: str, schema: Mapping[str, object] | None = None, max_tokens: int = 128, **more: int) -> Request:
    return Request(
        ({"role": "user", "content": text},), sampling=Sampling(max_tokens=max_tokens), schema=schema, **more
    )


def pairs(loop: Loop, teacher: Teacher, requests: Mapping[str, Request], kill: str = "") -> dict[str, Reply]:
    """Ask for replies; with `kill`, a process of that name is killed when the third has come."""
    found: list[tuple[str, Reply]] = []

    async def run() -> None:
        async for pair in teacher.complete(requests):
            found.append(pair)
            if kill and len(found) == 3:
                process_named(kill).kill()

    loop.run(run())
    assert Counter(id_ for id_, _ in found) == Counter(list(requests))
    return dict(found)


def process_named(part: str) -> psutil.Process:
    """Return the youngest process of ours with these words in its command line."""
    found = [child for child in psutil.Process().children(recursive=True) if part in " ".join(child.cmdline())]
    return max(found, key=lambda child: (child.create_time(), child.pid))


def check_schema(reply: Reply) -> None:
    assert reply.failure is None
    Draft202012Validator(SCHEMA).validate(orjson.loads(reply.text))


def test_replies_keep_the_schema_and_a_prompt_that_is_too_long_fails_alone(loop: Loop, teacher: Teacher) -> None:
    requests = {f"q{n}": chat(f"a question {n}", SCHEMA) for n in range(12)} | {"long": chat("word " * 5_000)}
    found = pairs(loop, teacher, requests)
    failure = found.pop("long").failure
    assert failure is not None
    assert failure.kind == "prompt_too_long"
    for reply in found.values():
        check_schema(reply)
        assert reply.model == teacher.model == "tiny"
        assert reply.usage.prompt_tokens > 5
        assert reply.usage.completion_tokens > 5


def test_logprobs_and_a_bare_prompt(loop: Loop, teacher: Teacher) -> None:
    bare = Request(prompt="once upon", sampling=Sampling(max_tokens=6), logprobs=0)
    found = pairs(loop, teacher, {"chat": chat("a question", logprobs=1, max_tokens=6), "bare": bare})
    for reply in found.values():
        assert reply.logprobs is not None
        assert len(reply.logprobs) == reply.usage.completion_tokens
        assert all(value <= 0 for _, value in reply.logprobs)


def test_a_killed_engine_is_started_again_and_every_request_answered(
    kind: str, engine: Engine, loop: Loop, teacher: Teacher
) -> None:
    requests = {f"k{n}": chat(f"tell me {n}", LONG, max_tokens=300) for n in range(40)}
    found = pairs(loop, teacher, requests, kill=VICTIMS[kind])
    kinds = {reply.failure.kind for reply in found.values() if reply.failure}
    assert kinds <= {"truncated", "empty"}
    assert engine.log.read_text().count("guard: the command ended") == 1


def test_nothing_is_left_running(loop: Loop, teacher: Teacher) -> None:
    loop.run(teacher.close())
    ours = psutil.Process().children(recursive=True)
    assert [child for child in ours if "vllm" in " ".join(child.cmdline()).lower()] == []


def test_batch_files_go_through_vllms_own_batch_runner(python: str, tiny: Path, tmp_path: Path) -> None:
    requests = {f"b{n}": chat(f"question {n}", SCHEMA) for n in range(6)}
    lines = [json.dumps(batch_line(key, asked, "tiny")) for key, asked in requests.items()]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n")
    command = [python, "-m", "vllm.entrypoints.openai.run_batch", "-i", "in.jsonl", "-o", "out.jsonl"]
    engine = Engine(str(tiny), tmp_path, ARGS, python=python)
    subprocess.run(
        [*command, *engine.arguments()], cwd=tmp_path, env=engine.environment(), check=True, capture_output=True
    )
    results = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {line["custom_id"] for line in results} == set(requests)
    for line in results:
        check_schema(batch_reply(line))


def refused(model: str, folder: Path, python: str, *args: str) -> str:
    teacher = VllmBatch(Engine(model, folder, (*ARGS, *args), python=python))
    loop = Loop()
    try:
        loop.run(teacher.start())
        with pytest.raises(UserError) as told:
            loop.run(ask_one(teacher))
    finally:
        loop.run(teacher.close())
        loop.close()
    return str(told.value)


async def ask_one(teacher: Teacher) -> list[tuple[str, Reply]]:
    return [pair async for pair in teacher.complete({"a": chat("a question")})]


def test_a_model_that_is_not_there_and_an_unknown_argument_are_the_users_to_mend(
    python: str, tiny: Path, tmp_path: Path
) -> None:
    assert "correct teacher.model, or download" in refused("nobody/nothing", tmp_path, python)
    said = refused(str(tiny), tmp_path, python, "--nonsense=3")
    assert "unrecognized arguments: --nonsense" in said
    assert said.endswith("correct teacher.args")
