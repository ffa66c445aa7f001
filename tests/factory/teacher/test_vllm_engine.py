"""What may be said of an engine, which interpreter has it, and when it is the same model."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.artifacts.digest import digest
from factory.errors import UserError
from factory.teacher.vllm_engine import OWNED, PIECE, WHOLE, Engine


def engine(model: str, *args: str, **more: str) -> Engine:
    return Engine(model, Path("out"), args, **more)


@pytest.mark.parametrize("flag", sorted(OWNED))
def test_arguments_that_are_ours_are_refused(flag: str) -> None:
    for args in ([flag, "x"], [f"{flag}=x"], ["--seed", "1", flag.replace("-", "_").replace("__", "--", 1), "x"]):
        with pytest.raises(UserError, match=f"must not hold {flag}: "):
            engine("m", *args)


@pytest.mark.parametrize("wrong", ["--max-num-seqs 256", "other-model"])
def test_what_is_no_single_argument_is_refused(wrong: str) -> None:
    with pytest.raises(UserError, match="write each argument as one text"):
        engine("m", wrong)


def test_an_argument_may_have_spaces_in_its_value() -> None:
    assert engine("m", '--hf-overrides={"a": 1}', "--lora-modules", "a=b c").args


@pytest.mark.parametrize(
    ("args", "same"),
    [
        (("--max-num-seqs=8", "--tensor-parallel-size", "2", "--no-enable-prefix-caching"), True),
        (("--quantization=fp8",), False),
        (("--chat_template", "other.jinja"), False),
        (("--revision", "abc"), False),
    ],
)
def test_arguments_are_part_of_the_identity_only_where_they_change_replies(args: tuple[str, ...], same: bool) -> None:
    assert (engine("m", *args).identity() == engine("m").identity()) is same


def test_a_value_is_told_apart_however_it_is_written() -> None:
    one = engine("m", "--quantization", "fp8").identity()
    assert engine("m", "--quantization=fp8").identity() == one != engine("m", "--quantization=awq").identity()


def test_a_model_of_the_hub_is_the_same_here_and_behind_a_server_of_that_name() -> None:
    assert engine("org/m", revision="2").identity() == digest(name="org/m", root="org/m", revision="2")


def folder_with(path: Path, **files: bytes) -> Path:
    path.mkdir(parents=True)
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def test_a_model_folder_is_known_by_its_content_not_by_its_place(tmp_path: Path) -> None:
    one = folder_with(tmp_path / "a" / "tiny", config=b"1", weights=b"2")
    moved = folder_with(tmp_path / "b" / "tiny", config=b"1", weights=b"2")
    other = folder_with(tmp_path / "c" / "tiny", config=b"1", weights=b"3")
    identity = engine(str(one)).identity()
    assert identity == engine(str(moved)).identity()
    assert identity != engine(str(other)).identity()


def test_the_middle_of_large_weights_is_looked_at(tmp_path: Path) -> None:
    digests = []
    for at in (None, 0, (WHOLE + PIECE) // 2, WHOLE):
        path = tmp_path / "weights"
        with path.open("wb") as file:
            file.truncate(WHOLE + PIECE)
            if at is not None:
                file.seek(at)
                file.write(b"x")
        digests.append(engine(str(path)).identity())
    assert len(set(digests)) == 4


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        engine(str(tmp_path / "none")).identity()


def test_the_interpreter_is_the_one_named(tmp_path: Path) -> None:
    (tmp_path / "python").touch()
    assert engine("m", python=str(tmp_path / "python")).interpreter() == tmp_path / "python"


def test_without_one_it_is_the_installed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORY_VLLM_ENV", str(tmp_path))
    with pytest.raises(UserError, match="run `factory teacher install-vllm`"):
        engine("m").interpreter()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    assert engine("m").interpreter() == tmp_path / "bin" / "python"


def test_a_named_interpreter_that_is_not_there_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        engine("m", python=str(tmp_path / "none")).interpreter()


@pytest.mark.parametrize("told", ["--enable-prefix-caching", "--no-enable-prefix-caching"])
def test_prefix_caching_is_on_unless_the_user_says(told: str) -> None:
    assert engine("m", told).arguments().count(told) == 1
    assert sum("prefix-caching" in word for word in engine("m", told).arguments()) == 1
    assert "--enable-prefix-caching" in engine("m").arguments()


def test_the_child_has_no_telemetry_and_the_tools_beside_its_interpreter(tmp_path: Path) -> None:
    (tmp_path / "python").touch()
    env = engine("m", python=str(tmp_path / "python")).environment(MORE="x")
    assert (env["VLLM_NO_USAGE_STATS"], env["DO_NOT_TRACK"], env["MORE"]) == ("1", "1", "x")
    assert env["PATH"].startswith(f"{tmp_path}:")
