"""The prompt files: what is said to a teacher, versioned, with strict variables; data in them is never evaluated.

prompts/<recipe>/<name>.v<N>.md: YAML front matter (name, version, inputs, output, schema, system, notes) and a Jinja
body, the user's message. A released file is never edited; a new behaviour is a new file with the next number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from factory.artifacts.digest import text_digest
from factory.errors import MissingExtra, UserError, nearest
from factory.teacher.protocol import Message

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import ImmutableSandboxedEnvironment

FRONT = re.compile(r"---\n(.*?)\n---\n(.*)", re.DOTALL)
PLACE = re.compile(r"[a-z0-9\-]+/[a-z0-9\-]+\.v[1-9][0-9]*")


class Head(BaseModel):
    """The front matter of a prompt file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="<recipe>/<name>, as the file's path says.")
    version: int = Field(ge=1, description="The N of the file's name.")
    inputs: list[str] = Field(description="Every variable of the system text and the body, and no other.")
    output: Literal["text", "json"] = "text"
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema", description="What a reply must keep.")
    system: str | None = Field(default=None, description="The system message; a template like the body.")
    notes: str = Field(description="Why it is worded so, for the next author.")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file. `identity` is the digest of its bytes."""

    head: Head
    body: str
    identity: str

    @property
    def place(self) -> str:
        """Return the name that recipes call it by: name.vN."""
        return f"{self.head.name}.v{self.head.version}"

    def render(self, inputs: Mapping[str, Any]) -> list[Message]:
        """Return its messages; UserError when the inputs are not just the declared ones."""
        wrong = set(inputs) ^ set(self.head.inputs)
        if wrong:
            missing, extra = sorted(wrong - set(inputs)), sorted(wrong - set(self.head.inputs))
            said = [f"missing: {', '.join(missing)}"] if missing else []
            said += [f"not declared: {', '.join(extra)}"] if extra else []
            raise UserError(f"prompt {self.place} wants the inputs {', '.join(self.head.inputs)}; {'; '.join(said)}")
        system, body = _templates(self.head.system, self.body)
        messages = [{"role": "system", "content": self._fill(system, inputs)}] if system else []
        return [*messages, {"role": "user", "content": self._fill(body, inputs)}]

    def _fill(self, template: Template, inputs: Mapping[str, Any]) -> str:
        from jinja2 import TemplateError

        try:
            return template.render(inputs).strip()
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise UserError(f"prompt {self.place} cannot be rendered with these inputs: {error}") from None


def prompts_folder() -> Path:
    """Return the folder of the prompts: beside the code in a checkout, in factory/_data in a wheel."""
    here = Path(__file__).resolve().parent
    packaged = here / "_data" / "prompts"
    return packaged if packaged.is_dir() else here.parent / "prompts"


@cache
def all_prompts() -> Mapping[str, Prompt]:
    """Return every prompt by its place, checked."""
    found = [load_prompt(path) for path in sorted(prompts_folder().glob("*/*.md"))]
    return {prompt.place: prompt for prompt in found}


def find_prompt(place: str) -> Prompt:
    """Return a prompt by place, or by name alone in its newest version; UserError names the nearest."""
    prompts = all_prompts()
    if place in prompts:
        return prompts[place]
    versions = [prompt for prompt in prompts.values() if prompt.head.name == place]
    if not versions:
        raise UserError(f"there is no prompt '{place}'{nearest(place, prompts)}")
    return max(versions, key=lambda prompt: prompt.head.version)


def load_prompt(path: Path) -> Prompt:
    """Return the prompt of a file; UserError says what is wrong with it: front matter, name, variables, schema."""
    raw = path.read_bytes()
    try:
        found = FRONT.fullmatch(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"prompt {path.name} is not UTF-8 (byte {error.start})") from None
    if found is None:
        raise UserError(f"prompt {path.name} must start with YAML between two lines of ---")
    prompt = Prompt(_head(found[1], path), found[2], text_digest(raw))
    _check(prompt, path)
    return prompt


def _head(text: str, path: Path) -> Head:
    try:
        return Head.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"prompt {path.name}: front matter {place}: {first['msg']}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: such as a 13th month
        said = " ".join(str(error).split())
        raise UserError(f"prompt {path.name}: the front matter is not valid YAML ({said})") from None


def _check(prompt: Prompt, path: Path) -> None:
    head, file = prompt.head, f"{path.parent.name}/{path.stem}"
    if not PLACE.fullmatch(file) or prompt.place != file:
        raise UserError(f"prompt {file}.md says it is {prompt.place}; the path must be <recipe>/<name>.v<N>.md")
    if (head.output == "json") != (head.json_schema is not None):
        raise UserError(f"prompt {file}: output json and a schema go together")
    if head.json_schema is not None:
        _check_schema(head.json_schema, file)
    used = _variables(prompt)
    if undeclared := sorted(used - set(head.inputs)):
        raise UserError(
            f"prompt {file} uses {', '.join(undeclared)}, which its inputs do not declare (declared:"
            f" {', '.join(head.inputs) or 'none'}): add to inputs, or correct the template"
        )
    if unused := sorted(set(head.inputs) - used):
        raise UserError(f"prompt {file} declares the inputs {', '.join(unused)} and never uses them: remove them")


def _check_schema(schema: Mapping[str, Any], file: str) -> None:
    try:
        from factory.teacher.structured import bounded
    except ImportError:
        raise MissingExtra("prompts", "teacher") from None
    try:
        bounded(schema)
    except ValueError as error:
        raise UserError(f"prompt {file}: {error}") from None


def _variables(prompt: Prompt) -> set[str]:
    environment = _environment()  # first: it says which extra is missing
    from jinja2 import TemplateSyntaxError, meta

    used: set[str] = set()
    for source in (prompt.head.system or "", prompt.body):
        try:
            used |= meta.find_undeclared_variables(environment.parse(source))
        except TemplateSyntaxError as error:
            raise UserError(f"prompt {prompt.place}: line {error.lineno} of the template: {error.message}") from None
    return used


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    """Return the sandbox: values are put in as text, never evaluated, and cannot be reached into with side effects."""
    try:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise MissingExtra("prompts", "teacher") from None
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@cache
def _templates(system: str | None, body: str) -> tuple[Template | None, Template]:
    environment = _environment()
    return (environment.from_string(system) if system else None), environment.from_string(body)
