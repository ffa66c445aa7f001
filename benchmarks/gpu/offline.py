"""The engine's own offline throughput, run by vLLM's Python: offline.py WARM ASKED RESULT [any argument of the engine].

WARM and ASKED are files of chat bodies in the OpenAI wire form, one a line. `LLM.chat` answers WARM, then ASKED against
the clock. RESULT is written last: {tokens, prompt_tokens, seconds, max_num_seqs, max_num_batched_tokens, vllm}.

It imports nothing of the factory, and vLLM by name, since the factory's own environment does not have it.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

Body = dict[str, Any]
DRAWN = ("temperature", "top_p", "max_tokens", "stop", "seed")  # what the factory says of sampling


def main(argv: list[str]) -> None:
    """Write the result once both files are answered."""
    warm, asked, result = (Path(place) for place in argv[:3])
    llm = _engine(argv[3:])
    _answer(llm, _bodies(warm))
    bodies = _bodies(asked)
    began = time.perf_counter()
    outputs = _answer(llm, bodies)
    seconds = time.perf_counter() - began
    scheduler = llm.llm_engine.vllm_config.scheduler_config
    found = {
        "tokens": sum(len(output.outputs[0].token_ids) for output in outputs),
        "prompt_tokens": sum(len(output.prompt_token_ids) for output in outputs),
        "seconds": seconds,
        "max_num_seqs": scheduler.max_num_seqs,
        "max_num_batched_tokens": scheduler.max_num_batched_tokens,
        "vllm": import_module("vllm").__version__,
    }
    made = result.with_suffix(".tmp")
    made.write_text(json.dumps(found), encoding="ascii")
    made.replace(result)


def _engine(arguments: list[str]) -> Any:
    known = import_module("vllm.engine.arg_utils").EngineArgs
    parser = known.add_cli_args(import_module("vllm.utils.argparse_utils").FlexibleArgumentParser())
    told = known.from_cli_args(parser.parse_args(arguments))
    told.disable_log_stats = True  # as LLM has it where nobody says otherwise; the command line's default is a server's
    return import_module("vllm").LLM.from_engine_args(told)


def _bodies(path: Path) -> list[Body]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _answer(llm: Any, bodies: list[Body]) -> list[Any]:
    """Return the outputs; what a body leaves out is drawn by the model's own defaults, as its server does."""
    sampling, defaults = import_module("vllm").SamplingParams, llm.model_config.get_diff_sampling_param()
    drawn = [{name: body[name] for name in DRAWN if name in body} for body in bodies]
    params = [sampling.from_optional(**{**defaults, **said}) for said in drawn]
    outputs: list[Any] = llm.chat([body["messages"] for body in bodies], params, use_tqdm=False)
    return outputs


if __name__ == "__main__":
    main(sys.argv[1:])
