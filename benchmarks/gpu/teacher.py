"""What the factory loses of an engine's throughput: python -m benchmarks.gpu.teacher [--model M] [-- engine args].

Output tokens a second of vLLM's own offline engine (LLM.chat), of kind vllm_server and of kind vllm_batch, both put
together as a run does, durable cache and all: the same requests, one engine process after the other, timed without its
start. Prints a table and, as its last line, one JSON object. benchmarks/gpu/README.md says what each line means.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase
from tempfile import mkdtemp
from typing import Any, Literal

from benchmarks.generate import Failed, machine
from factory.errors import FactoryError, UserError
from factory.teacher.child import Child
from factory.teacher.model import TeacherSpec
from factory.teacher.protocol import Reply, Request, Sampling
from factory.teacher.session import Session, open_session
from factory.teacher.streams import closing
from factory.teacher.vllm_engine import Engine, ended
from factory.teacher.wire import body_of
from tests.tiny_model import SPECIAL, TEMPLATE, build

OFFLINE = Path(__file__).with_name("offline.py")
AT_LEAST = 0.95  # of the offline engine's tokens a second
WARM = 64  # requests that are answered before the clock starts
KINDS: Mapping[str, Literal["vllm_server", "vllm_batch"]] = {"server": "vllm_server", "batch": "vllm_batch"}
ANSWERED = frozenset({"truncated", "empty"})  # failures of a reply that has its tokens: random weights seldom stop
# The shape of Qwen2-1.5B; its weights are the engine's to make up.
SHAPE: Mapping[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "vocab_size": 151_936,
    "hidden_size": 1_536,
    "intermediate_size": 8_960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32_768,
    "rope_theta": 1_000_000.0,
    "rms_norm_eps": 1e-06,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "bos_token_id": None,
    "eos_token_id": SPECIAL.index("<|im_end|>"),
    "pad_token_id": SPECIAL.index("<|endoftext|>"),
}
ASK = (
    "You write for a library of short texts. Write plainly, in whole sentences, and use every word that you are given"
    " at least once, in the order in which it stands. Begin at once, without a title."
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of whom: so many requests of so many tokens at most, of one model in one environment."""

    model: str
    python: str | None
    args: tuple[str, ...]
    requests: int
    tokens: int
    concurrency: int | Literal["auto"]

    def asked(self) -> dict[str, Request]:
        """Return the requests that are timed."""
        return {str(i): request(i, self.tokens) for i in range(self.requests)}

    def warm(self) -> dict[str, Request]:
        """Return the requests before the clock starts; none of them is timed again."""
        return {f"warm {i}": request(-1 - i, self.tokens) for i in range(min(WARM, self.requests))}


@dataclass(frozen=True, slots=True)
class Measured:
    """One measured side: tokens that came out, tokens of the prompts, seconds; `more` is what it says of itself."""

    name: str
    tokens: int
    prompt_tokens: int
    seconds: float
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Return the output tokens a second."""
        return self.tokens / self.seconds


def request(number: int, tokens: int) -> Request:
    """Return one request of its own: instructions that all share, then 48 words that no other has."""
    rng = random.Random(str(number))  # a number alone is one seed with its negative
    words = " ".join("".join(rng.choices(ascii_lowercase, k=rng.randint(3, 8))) for _ in range(48))
    messages = ({"role": "system", "content": ASK}, {"role": "user", "content": f"The words are: {words}."})
    return Request(messages, sampling=Sampling(max_tokens=tokens))


def make_shape(folder: Path) -> Path:
    """Write a model without weights into a folder and return it: the published shape, with a vocabulary as large.

    The vocabulary is letters, all pairs of letters, and pairs of those up to its size, so that a token of random
    weights costs as much to turn into text as one of a real vocabulary.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    level = pre_tokenizers.ByteLevel
    first = [*SPECIAL, *sorted(level.alphabet())]
    pairs = [(a, b) for a in ascii_lowercase for b in ascii_lowercase]
    joined = [a + b for a, b in pairs]
    fours = [(a, b) for a in joined for b in joined][: SHAPE["vocab_size"] - len(first) - len(pairs)]
    merges = pairs + fours
    vocabulary = {word: i for i, word in enumerate([*first, *(a + b for a, b in merges)])}
    words = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    words.pre_tokenizer, words.decoder = level(add_prefix_space=False), decoders.ByteLevel()
    words.add_special_tokens(SPECIAL)
    folder.mkdir()
    words.save(str(folder / "tokenizer.json"))
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(SHAPE), encoding="utf-8")
    return folder


def measure_offline(plan: Plan, out: Path) -> Measured:
    """Return what the engine does by itself, in a process of vLLM's own environment."""
    say("offline: LLM.chat ...")
    engine = Engine(plan.model, out / "vllm", plan.args, plan.python)
    out.mkdir()
    warm, asked, result = (out / name for name in ("warm.jsonl", "asked.jsonl", "result.json"))
    write_bodies(warm, plan.warm(), engine.name)
    write_bodies(asked, plan.asked(), engine.name)
    command = [str(engine.interpreter()), str(OFFLINE), str(warm), str(asked), str(result), *engine.arguments()]
    child = Child(command, engine.log, engine.environment())
    try:
        child.start()
        while child.running:
            time.sleep(0.2)
    finally:
        child.stop()
    if not result.exists():
        raise ended(engine, "did not answer offline", child.written())
    found = json.loads(result.read_text(encoding="ascii"))
    tokens, prompt_tokens, seconds = (found.pop(name) for name in ("tokens", "prompt_tokens", "seconds"))
    return Measured("offline", tokens, prompt_tokens, seconds, found)


def write_bodies(path: Path, requests: Mapping[str, Request], model: str) -> None:
    """Write the bodies of requests, one a line."""
    path.write_text("".join(json.dumps(body_of(asked, model)) + "\n" for asked in requests.values()), encoding="utf-8")


def measure_factory(name: str, plan: Plan, out: Path) -> Measured:
    """Return what comes through the factory: the teacher of a job, with a fresh durable cache."""
    say(f"{name}: kind {KINDS[name]} ...")
    spec = TeacherSpec(
        kind=KINDS[name], model=plan.model, python=plan.python, args=list(plan.args), concurrency=plan.concurrency
    )
    with open_session(spec, None, Path(), out, say) as session:
        ask(session, plan.warm())
        asked = plan.asked()
        began = time.perf_counter()
        replies = ask(session, asked)
        seconds = time.perf_counter() - began
        if hits := session.caches["author"].hits:
            raise Failed(f"{hits} replies of the side '{name}' came from its cache, which was to be fresh")
    tokens = sum(reply.usage.completion_tokens for reply in replies)
    return Measured(name, tokens, sum(reply.usage.prompt_tokens for reply in replies), seconds)


def ask(session: Session, requests: Mapping[str, Request]) -> list[Reply]:
    """Return the reply to each request; Failed when one has no tokens."""

    async def all_of_them() -> list[Reply]:
        async with closing(session.teacher.complete(requests)) as replies:
            return [reply async for _, reply in replies]

    found = session.loop.run(all_of_them())
    lost = [reply.failure for reply in found if reply.failure and reply.failure.kind not in ANSWERED]
    if lost:
        raise Failed(f"{len(lost)} of {len(requests)} requests had no reply: {lost[0].kind}: {lost[0].detail}")
    return found


def say(line: str) -> None:
    """Tell a person what goes on."""
    print(line, file=sys.stderr, flush=True)


def tell(runs: Sequence[Measured]) -> None:
    """Print one line for each side."""
    offline = runs[0]
    print(f"{'side':<10}{'prompt tokens':>14}{'output tokens':>15}{'seconds':>9}{'tokens/s':>10}{'of offline':>12}")
    for run in runs:
        share = run.rate / offline.rate
        print(
            f"{run.name:<10}{run.prompt_tokens:>14,}{run.tokens:>15,}{run.seconds:>9.1f}{run.rate:>10,.0f}{share:>12.3f}"
        )
    print("(timed without the engine's start, after warm-up requests)")


def benchmark(plan: Plan, scratch: Path, gpu: str | None) -> dict[str, Any]:
    """Return the summary, after the table was printed."""
    offline = measure_offline(plan, scratch / "offline")
    server, batch = (measure_factory(name, plan, scratch / name) for name in KINDS)
    runs = (offline, server, batch)
    tell(runs)
    of_offline = {run.name: round(run.rate / offline.rate, 3) for run in (server, batch)}
    bars = {f"{name}_of_offline": {"at_least": AT_LEAST, "found": found} for name, found in of_offline.items()}
    same = len({run.prompt_tokens for run in runs}) == 1
    return {
        "bench": "gpu_teacher",
        "value": round(batch.rate),
        "unit": "output tokens/s",
        "ratios": {"offline": of_offline["batch"]},
        "bars": bars,
        "ok": gpu is not None and same and all(bar["found"] >= bar["at_least"] for bar in bars.values()),
        "same_prompts": same,
        "rates": {run.name: round(run.rate) for run in runs},
        "model": Path(plan.model).name,
        "requests": plan.requests,
        "max_tokens": plan.tokens,
        "concurrency": plan.concurrency,
        "args": list(plan.args),
        "machine": {**machine(os.cpu_count() or 1), "gpu": gpu, **offline.more},
    }


def gpus() -> str | None:
    """Return the names of the GPUs, None where the driver's tool is absent or finds none."""
    if shutil.which("nvidia-smi") is None:
        return None
    found = subprocess.run(
        ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, check=False
    )
    names = found.stdout.split("\n") if found.returncode == 0 else []
    return ", ".join(name.strip() for name in names if name.strip()) or None


@contextmanager
def kept_on_failure() -> Iterator[Path]:
    """Yield a fresh folder; it is removed after it, unless an engine failed: its log says why."""
    folder = Path(mkdtemp(prefix="factory-bench-"))
    keep = False
    try:
        yield folder
    except (Failed, FactoryError):
        keep = any(folder.rglob("*.log"))
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def plan_of(given: argparse.Namespace, args: Sequence[str], scratch: Path, gpu: str | None) -> Plan:
    """Return what will be asked; a model is made where none was named."""
    requests, tokens = given.requests or (10_000 if gpu else 200), given.tokens or (256 if gpu else 64)
    if given.model:
        model, ours = given.model, []
    elif gpu:
        model, ours = str(make_shape(scratch / "qwen2-1.5b-shape")), ["--load-format=dummy"]
    else:
        model, ours = str(build(scratch / "tiny")), ["--max-model-len=1024", "--enforce-eager"]
    return Plan(model, given.python, (*ours, *args), requests, tokens, given.concurrency)


def read_arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the arguments of the command line, and those for the engine, which follow a `--`."""
    cut = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.teacher",
        description="Tokens a second through the factory, beside the engine's own.",
        epilog="What follows a -- goes to the engine, on all three sides.",
    )
    parser.add_argument("--model", help="folder or name on the Hub; default: one of a published shape, without weights")
    parser.add_argument("--requests", type=positive, help="requests of each side: 10000, without a GPU 200")
    parser.add_argument("--tokens", type=positive, help="most tokens of a reply: 256, without a GPU 64")
    parser.add_argument("--concurrency", type=in_flight, default="auto", help="of the server: a number, or auto")
    parser.add_argument("--python", help="Python of the environment that has vLLM")
    parser.add_argument("--anyway", action="store_true", help="without a GPU: try it with a tiny model on the CPU")
    return parser.parse_args(argv[:cut]), list(argv[cut + 1 :])


def positive(text: str) -> int:
    """Return a number from 1 on; ValueError for anything else."""
    if (found := int(text)) < 1:
        raise ValueError(text)
    return found


def in_flight(text: str) -> int | Literal["auto"]:
    """Return auto or a number from 1 on; ValueError for anything else."""
    return "auto" if text == "auto" else positive(text)


def main() -> int:
    """Return the exit code: 0 when everything was measured, whether or not the bars are met; 2 without a GPU."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that engines are ended and folders removed
    given, args = read_arguments(sys.argv[1:])
    gpu = gpus()
    if gpu is None:
        if not given.anyway:
            say("benchmarks.gpu.teacher: nvidia-smi finds no GPU; --anyway tries the script with the CPU")
            return 2
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    try:
        with kept_on_failure() as scratch:
            summary = benchmark(plan_of(given, args, scratch, gpu), scratch, gpu)
    except KeyboardInterrupt:
        say("stopped; nothing was left behind")
        return 130
    except (Failed, FactoryError) as problem:
        say(f"benchmarks.gpu.teacher: {problem}")
        return 2 if isinstance(problem, UserError) else 1
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
