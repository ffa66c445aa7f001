"""The program that runs inside vLLM's environment: loads the engine once, answers files of requests until stdin ends.

    python vllm_child.py READY --model MODEL [any argument of `vllm serve`]

READY is made once the engine is loaded, and says how many requests are in flight at most. Each line on stdin is
`{"requests": PATH, "replies": PATH}`: a file of OpenAI batch lines, and the file to which one result line is appended
as soon as its request is done, so that a kill loses only what was in flight (`vllm run-batch` writes results in the
order of the requests, in 0.32 all at the end). Requests go through the serving layer of vLLM's own server, so chat
templates, reasoning parsers, schemas, length checks and error messages are the same here and over HTTP. A file of
requests that is deleted is abandoned.

It imports nothing of the factory, and vLLM by name, since the factory's own environment does not have it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

ENGINE_DIED = 70  # exit status
Line = dict[str, Any]
Answer = Callable[[Line], Awaitable[Line]]
# What one request can be at fault for, beside vLLM's own errors; anything else ends the program, told in its log.
AT_FAULT = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, OverflowError)


class EngineDied(BaseException):
    """The engine is gone; what is in flight is lost. Not an Exception, so that no layer below turns it into a reply."""


def main(argv: list[str]) -> int:
    """Answer files of requests until stdin ends; returns the exit status."""
    ready, arguments = Path(argv[0]), argv[1:]
    known = _arguments()
    parser = known.make_arg_parser(import_module("vllm.utils.argparse_utils").FlexibleArgumentParser())
    args = parser.parse_args(arguments)
    known.validate_parsed_serve_args(args)
    try:
        asyncio.run(_serve(args, ready))
    except EngineDied:
        sys.stderr.write("the engine died\n")
        return ENGINE_DIED
    return 0


def _arguments() -> Any:
    """Return the module of the server's arguments, which moved between vLLM 0.32 and 0.33."""
    try:
        return import_module("vllm.entrypoints.common.cli_args")
    except ModuleNotFoundError:
        return import_module("vllm.entrypoints.launchers.cli_args")


async def _serve(args: Any, ready: Path) -> None:
    server = import_module("vllm.entrypoints.openai.api_server")
    plugin = args.reasoning_parser_plugin
    if plugin:
        import_module("vllm.reasoning").ReasoningParserManager.import_reasoning_parser(plugin)
    offline = import_module("vllm.usage.usage_lib").UsageContext.LLM_CLASS  # larger batches than a server's defaults
    async with server.build_async_engine_client(args, usage_context=offline) as engine:
        state = import_module("starlette.datastructures").State()
        await server.init_app_state(engine, state, args, await engine.get_supported_tasks())
        answer, places = _answerer(engine, state), _places(engine)
        _tell(ready, str(places))
        async for part in _parts():
            await answer_file(part, answer, places)


def _tell(path: Path, what: str) -> None:
    """Make a file that is whole as soon as it is there."""
    made = path.with_suffix(".tmp")
    made.write_text(what, encoding="ascii")
    made.replace(path)


def _places(engine: Any) -> int:
    """Return how many requests to submit at once: enough that the engine's own queue never runs dry."""
    config = engine.vllm_config
    at_once: int = config.scheduler_config.max_num_seqs * config.parallel_config.data_parallel_size
    return max(64, 2 * at_once)


async def _parts() -> AsyncIterator[dict[str, str]]:
    """Yield what is asked for on stdin, until it ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


async def answer_file(part: dict[str, str], answer: Answer, places: int) -> None:
    """Append a result line for each request of a file, in the order in which they are done."""
    requests = Path(part["requests"])
    if not requests.exists():
        return
    with requests.open(encoding="utf-8") as lines, open(part["replies"], "a", encoding="utf-8") as replies:
        waiting = (json.loads(line) for line in lines)
        takers = [asyncio.create_task(_take(waiting, requests, answer, replies)) for _ in range(places)]
        try:
            await asyncio.gather(*takers)
        finally:
            for taker in takers:
                taker.cancel()


async def _take(waiting: Iterator[Line], requests: Path, answer: Answer, replies: TextIO) -> None:
    for line in waiting:
        if not requests.exists():
            return
        replies.write(json.dumps(await answer(line)) + "\n")
        replies.flush()


def _answerer(engine: Any, state: Any) -> Answer:
    """Return the function that turns a batch line into its result line."""
    chat = import_module("vllm.entrypoints.openai.chat_completion.protocol").ChatCompletionRequest
    bare = import_module("vllm.entrypoints.openai.completion.protocol").CompletionRequest
    told = import_module("vllm.entrypoints.serve").create_error_response
    faults = (*AT_FAULT, import_module("vllm.exceptions").VLLMError, import_module("jinja2").TemplateError)

    async def respond(line: Line) -> Any:
        if line["url"].endswith("/chat/completions"):
            return await state.openai_serving_chat.create_chat_completion(chat.model_validate(line["body"]))
        return await state.openai_serving_completion.create_completion(bare.model_validate(line["body"]))

    async def answer(line: Line) -> Line:
        try:
            found = await respond(line)
        except faults as error:
            found = told(error)
        if engine.errored:
            raise EngineDied
        body = found.model_dump(mode="json", exclude_none=True)
        failed = body.get("error")
        status = int(failed.get("code") or 500) if failed else 200
        return {
            "custom_id": line["custom_id"],
            "response": {"status_code": status, "body": body},
            "error": failed,
        }

    return answer


if __name__ == "__main__":
    # This folder's names (model, wire, cache) must not hide modules that vLLM imports.
    sys.path[:] = [place for place in sys.path if place != os.path.dirname(os.path.abspath(__file__))]
    sys.exit(main(sys.argv[1:]))
