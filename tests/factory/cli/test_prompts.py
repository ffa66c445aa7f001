from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from factory.prompts import all_prompts, find_prompt

Factory = Callable[..., Result]
SOLVE = "rephrased/solve.v1"


def error_of(done: Result) -> str:
    """Return the one line that a failed command left on stderr."""
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_every_prompt_is_listed_with_its_identity_and_inputs(factory: Factory) -> None:
    shown = factory("prompts", "list").stdout
    for place, prompt in all_prompts().items():
        [line] = [line for line in shown.splitlines() if line.startswith(f"{place} ")]
        assert prompt.identity[:12] in line
        assert ", ".join(prompt.head.inputs) in line
    assert f"{len(all_prompts())} prompts" in shown


def test_the_list_as_json_holds_the_same(factory: Factory) -> None:
    told = json.loads(factory("prompts", "list", "--json").stdout)
    assert {row["prompt"]: row["identity"] for row in told} == {p: x.identity for p, x in all_prompts().items()}


def test_a_prompt_is_shown_with_its_template_and_notes(factory: Factory) -> None:
    prompt = find_prompt("rephrased/rephrase.v1")
    shown = factory("prompts", "show", "rephrased/rephrase.v1").stdout
    assert prompt.body.strip() in shown
    assert prompt.identity in shown
    assert prompt.head.notes.strip() in shown
    assert '"maxLength": 6000' in shown


def test_a_name_without_a_version_shows_the_newest(factory: Factory) -> None:
    assert factory("prompts", "show", "rephrased/solve").stdout == factory("prompts", "show", SOLVE).stdout


def test_a_prompt_as_json_is_its_file(factory: Factory) -> None:
    told, prompt = json.loads(factory("prompts", "show", SOLVE, "--json").stdout), find_prompt(SOLVE)
    assert (told["body"], told["system"], told["schema"]) == (prompt.body, prompt.head.system, None)


@pytest.mark.parametrize("name", ["row.json", "row.jsonl"])
def test_a_row_s_values_give_the_messages_that_would_be_sent(name: str, factory: Factory, tmp_path: Path) -> None:
    line = json.dumps({"problem": "What is {{ 7*7 }}?"})
    (tmp_path / name).write_text(line if name.endswith("json") else f"\n{line}\n{{broken")
    shown = factory("prompts", "show", SOLVE, "--row", name).stdout
    assert "== system\nYou solve problems" in shown
    assert "== user\nWhat is {{ 7*7 }}?\n" in shown
    told = json.loads(factory("prompts", "show", SOLVE, "--row", name, "--json").stdout)
    assert told["messages"] == find_prompt(SOLVE).render({"problem": "What is {{ 7*7 }}?"})


BAD_ROWS: dict[str, tuple[bytes | None, str]] = {
    "no file": (None, "--row row.json cannot be read: "),
    "no JSON": (b"{problem: 1}", "--row row.json is not JSON: "),
    "empty": (b"", "--row row.json is not JSON: "),
    "a list": (b'["a"]', "must hold an object with the prompt's inputs, found list"),
    "a text": (b'"a"', "must hold an object with the prompt's inputs, found str"),
    "not UTF-8": (b'{"problem": "\xff"}', "--row row.json cannot be read: "),
    "nested too deeply": (b"[" * 100_000, "--row row.json is not JSON: "),
    "an input too few": (b"{}", "prompt rephrased/solve.v1 wants the inputs problem; missing: problem"),
    "an input too many": (b'{"problem": "p", "form": "f"}', "wants the inputs problem; not declared: form"),
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_a_bad_row_is_one_line_and_exit_code_2(what: str, factory: Factory, tmp_path: Path) -> None:
    content, told = BAD_ROWS[what]
    if content is not None:
        (tmp_path / "row.json").write_bytes(content)
    done = factory("prompts", "show", SOLVE, "--row", "row.json")
    assert told in error_of(done)
    assert done.stdout == ""


def test_a_value_that_the_template_cannot_use_is_one_line(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "row.json").write_text(json.dumps({"problem": "p", "form": "f", "facts": 7}))
    done = factory("prompts", "show", "rephrased/rephrase", "--row", "row.json")
    assert "prompt rephrased/rephrase.v1 cannot be rendered with these inputs" in error_of(done)


def test_an_unknown_prompt_is_told_with_the_nearest(factory: Factory) -> None:
    told = error_of(factory("prompts", "show", "rephrased/sovle.v1"))
    assert "there is no prompt 'rephrased/sovle.v1' (did you mean 'rephrased/solve.v1'?)" in told


def test_a_broken_prompt_file_is_one_line(factory: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prompts" / "r").mkdir(parents=True)
    (tmp_path / "prompts" / "r" / "say.v1.md").write_text("Hello")
    monkeypatch.setattr("factory.prompts.prompts_folder", lambda: tmp_path / "prompts")
    all_prompts.cache_clear()
    try:
        assert "prompt say.v1.md must start with YAML" in error_of(factory("prompts", "list"))
    finally:
        all_prompts.cache_clear()
