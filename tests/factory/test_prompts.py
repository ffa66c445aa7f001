"""Prompt files: what is wrong with one is named, and data that is put into one is never evaluated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.errors import MissingExtra, UserError
from factory.prompts import Prompt, _environment, all_prompts, find_prompt, load_prompt, prompts_folder
from factory.recipes.registry import RECIPES
from factory.teacher.structured import bounded

HEAD: dict[str, str] = {"name": "r/say", "version": "1", "inputs": "[word, list]", "notes": "none"}
BODY = "{{ word }}: {{ list | join(', ') }}\n"


def write(folder: Path, body: str = BODY, file: str = "r/say.v1.md", **head: str) -> Path:
    """Write a prompt file; a head's value is its YAML text, "" leaves the key out."""
    lines = [f"{key}: {value}\n" for key, value in (HEAD | head).items() if value]
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\n{''.join(lines)}---\n{body}", encoding="utf-8")
    return path


def made(folder: Path, body: str, inputs: str = "[x]") -> Prompt:
    return load_prompt(write(folder, body, inputs=inputs))


def fault(path: Path) -> str:
    with pytest.raises(UserError) as error:
        load_prompt(path)
    return str(error.value)


def shipped() -> list[Path]:
    return sorted(prompts_folder().glob("**/*.v*.md"))


class Part(str):
    """A text that is an object, too: each of its attributes is a text that begins with it."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Part:
        if name.startswith("_"):
            raise AttributeError(name)
        return Part(f"{self}.{name}")


LISTS = ("skills_missing", "known", "vocabulary")  # beside those whose names are plurals


def dummy(name: str) -> Any:
    return [Part("one"), Part("two")] if name.endswith("s") or name in LISTS else Part(f"<{name}>")


# ----------------------------------------------------------------------------------------------- the shipped prompts


@pytest.mark.parametrize("path", shipped(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_shipped_prompt_loads_renders_and_asks_for_replies_that_end(path: Path) -> None:
    prompt = load_prompt(path)
    inputs = {name: dummy(name) for name in prompt.head.inputs}
    said = prompt.render(inputs)
    assert [message["role"] for message in said] == [*["system"] * (prompt.head.system is not None), "user"]
    assert all(message["content"].strip() == message["content"] != "" for message in said)
    text = "\n".join(message["content"] for message in said)
    for value in inputs.values():
        assert all(part in text for part in ([value] if isinstance(value, str) else value))
    if prompt.head.json_schema is not None:
        bounded(prompt.head.json_schema)


def test_every_prompt_file_is_found_by_its_place() -> None:
    assert sorted(all_prompts()) == [f"{path.parent.name}/{path.stem}" for path in shipped()]
    assert {place for recipe in RECIPES.values() for place in recipe.prompts} <= set(all_prompts())


def test_a_name_alone_means_its_newest_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write(tmp_path, file=f"r/say.v{n}.md", version=str(n)) for n in (2, 10, 9)]
    prompts = [load_prompt(path) for path in paths]
    monkeypatch.setattr("factory.prompts.all_prompts", lambda: {prompt.place: prompt for prompt in prompts})
    assert find_prompt("r/say").head.version == 10
    assert find_prompt("r/say.v9").head.version == 9


def test_an_unknown_prompt_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no prompt 'rephrased/solv\.v1' \(did you mean 'rephrased/solve\.v1'\?\)"):
        find_prompt("rephrased/solv.v1")


# ------------------------------------------------------------------------------------------------- what can be wrong

BAD_HEADS = {
    "undeclared variable": (
        {"body": "{{ word }} {{ list }} {{ wrod }}"},
        "prompt r/say.v1 uses wrod, which its inputs do not declare (declared: word, list)",
    ),
    "undeclared variable of the system text": ({"system": "be {{ how }}"}, "prompt r/say.v1 uses how, which"),
    "unused input": (
        {"body": "{{ word }}"},
        "prompt r/say.v1 declares the inputs list and never uses them: remove them",
    ),
    "another name": ({"name": "r/tell"}, "prompt r/say.v1.md says it is r/tell.v1; the path must be"),
    "another version": ({"version": "2"}, "prompt r/say.v1.md says it is r/say.v2"),
    "a path without a version": ({"file": "r/say.md"}, "the path must be <recipe>/<name>.v<N>.md"),
    "a path of other letters": ({"file": "r/Say.v1.md", "name": "r/Say"}, "the path must be <recipe>/<name>.v<N>.md"),
    "json without a schema": ({"output": "json"}, "prompt r/say.v1: output json and a schema go together"),
    "a schema without json": ({"schema": "{type: boolean}"}, "prompt r/say.v1: output json and a schema go together"),
    "a schema without a bound": (
        {"output": "json", "schema": "{type: string}"},
        "prompt r/say.v1: the schema has no bound at $: a string needs maxLength",
    ),
    "an invalid schema": ({"output": "json", "schema": "{type: strong}"}, "prompt r/say.v1: the schema is invalid"),
    "a key too many": ({"temperature": "1"}, "prompt say.v1.md: front matter temperature: Extra inputs"),
    "a key too few": ({"notes": ""}, "prompt say.v1.md: front matter notes: Field required"),
    "version zero": ({"version": "0"}, "prompt say.v1.md: front matter version:"),
    "malformed YAML": ({"inputs": "[word, list"}, "prompt say.v1.md: the front matter is not valid YAML"),
    "a date that is none": ({"notes": "2024-13-01"}, "prompt say.v1.md: the front matter is not valid YAML"),
    "an object of Python's": ({"notes": "!!python/name:os.system"}, "the front matter is not valid YAML"),
    "broken Jinja": ({"body": "{{ word }}\n{% for x in list %}"}, "prompt r/say.v1: line 2 of the template: "),
    "an unknown filter": ({"body": "{{ word }}\n\n{{ list | joinn }}"}, "prompt r/say.v1: line 3 of the template: "),
}


@pytest.mark.parametrize("what", BAD_HEADS)
def test_what_is_wrong_with_a_prompt_is_one_line_that_names_it(what: str, tmp_path: Path) -> None:
    how, told = BAD_HEADS[what]
    said = fault(write(tmp_path, **how))
    assert told in said
    assert "\n" not in said


@pytest.mark.parametrize("content", [b"", b"Hello {{ word }}", b"---\nname: r/say\n", b"name: r/say\n---\n"])
def test_a_file_without_front_matter_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "say.v1.md"
    path.write_bytes(content)
    assert fault(path) == "prompt say.v1.md must start with YAML between two lines of ---"


@pytest.mark.parametrize("head", [b"- a\n- b", b"text", b"null"])
def test_front_matter_that_is_no_mapping_is_named(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "say.v1.md"
    path.write_bytes(b"---\n" + head + b"\n---\n")
    assert fault(path).startswith("prompt say.v1.md: front matter")


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "say.v1.md"
    path.write_bytes(b"---\nname: \xff\n---\n")
    assert fault(path) == "prompt say.v1.md is not UTF-8 (byte 10)"


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"word": "w"}, "missing: list"),
        ({"word": "w", "list": [], "lits": []}, "not declared: lits"),
        ({"words": "w", "list": []}, "missing: word; not declared: words"),
    ],
)
def test_inputs_must_be_those_that_are_declared(inputs: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_prompt(write(tmp_path)).render(inputs)
    assert str(error.value) == f"prompt r/say.v1 wants the inputs word, list; {told}"


# ----------------------------------------------------------------------------------------------------- data stays data

TRICKS = [
    "{{ 7*7 }}",
    "{% include 'x' %}",
    "{% for x in range(10**9) %}x{% endfor %}",
    "{{ x.__class__.__mro__ }}",
    "{# a comment #}",
    "{{ self.__init__.__globals__ }}",
    "${7*7} #{7*7} <%= 7*7 %> %s {0.__class__}",
    "<b>&amp;</b>",
    "\\n \\u0041 \u202e",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_a_template_in_the_data_is_only_text(trick: str, tmp_path: Path) -> None:
    prompt = load_prompt(write(tmp_path, system="You see {{ word }}."))
    system, user = prompt.render({"word": trick, "list": [trick, trick]})
    assert system == {"role": "system", "content": f"You see {trick}."}
    assert user == {"role": "user", "content": f"{trick}: {trick}, {trick}"}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r")))
def test_any_text_is_put_in_as_it_is(text: str) -> None:
    prompt = all_prompts()["rephrased/rephrase.v1"]
    said = prompt.render({"problem": text, "form": "-", "facts": []})[-1]["content"]
    assert f"-----\n{text}\n-----" in said


UNSAFE = {
    "the class of a value": "{{ x.__class__ }}",
    "by subscript": "{{ x['__class__'] }}",
    "by a filter": "{{ (x | attr('__class__')) ~ '' }}",
    "subclasses": "{{ x.__class__.__base__.__subclasses__() }}",
    "by a format": "{{ '{0.__class__}'.format(x) }}",
    "a change of the data": "{{ x.append(1) }}",
    "another file": "{% include x %}",
    "an endless loop": "{% for i in range(10**8) %}{{ x }}{% endfor %}",
    "a name that the value lacks": "{{ x.nowhere }}",
    "a sum of unlike things": "{{ x + 1 }}",
}


@pytest.mark.parametrize("what", UNSAFE)
def test_a_template_that_reaches_out_is_stopped_with_one_line(what: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        made(tmp_path, UNSAFE[what]).render({"x": ["data"]})
    assert str(error.value).startswith("prompt r/say.v1 cannot be rendered with these inputs: ")
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------------------ identity


@pytest.mark.parametrize("how", [{"body": BODY + "\n"}, {"body": BODY.replace(":", ";")}, {"notes": "nonE"}])
def test_one_other_byte_of_the_file_is_another_identity(how: dict[str, str], tmp_path: Path) -> None:
    before = load_prompt(write(tmp_path / "one")).identity
    assert load_prompt(write(tmp_path / "two")).identity == before
    assert load_prompt(write(tmp_path / "two", **how)).identity != before


def test_without_the_extra_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for found in (all_prompts, _environment):
        found.cache_clear()
    with pytest.raises(MissingExtra, match="prompts needs the extra 'teacher'"):
        all_prompts()
    for found in (all_prompts, _environment):
        found.cache_clear()
