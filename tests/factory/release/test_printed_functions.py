from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from factory.artifacts.digest import Rng
from factory.recipes.nested import NESTED, NestedParams
from factory.recipes.recipe import Brief, Draft
from factory.release import printed_functions, run_printed
from factory.release.printed_functions import Refused, Runner, read_prompt
from factory.skills.library import FUNCTIONS

MAIN = "def main_solution(x):\n    return func_1(x)"


def prompt_of(body: str, main: str = MAIN, asked: str = 'main_solution("abc")', head: str = "def func_1(s):") -> str:
    code = f"{head}\n    {body}\n\n{main}" if body else main
    return f"```python\n{code}\n```\nWhat does {asked} return?\nPut it after 'Answer:'."


def draft_of(skills: list[str], definitions: str) -> Draft:
    params = NestedParams(recipe="nested", share=1, definitions=definitions)  # type: ignore[arg-type]
    for seed in range(40):
        made = NESTED.draw(params, Brief(len(skills), "train", skills, []), Rng(seed))
        if isinstance(made, Draft):
            return made
    raise AssertionError(f"no draft of {skills}")


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner() as made:
        yield made


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_as_printed_returns_the_gold_of_its_row(name: str, runner: Runner) -> None:
    draft = draft_of([name], "shown")
    assert runner.run(read_prompt(draft.prompt, hidden=False)) == draft.verifier["gold"]


def test_hidden_definitions_are_the_library_s_own(runner: Runner) -> None:
    names = list(FUNCTIONS)[:3]
    draft = draft_of(names, "hidden")
    assert draft.prompt.count("def ") == 1
    assert runner.run(read_prompt(draft.prompt, hidden=True)) == draft.verifier["gold"]


def test_a_changed_definition_returns_something_else(runner: Runner) -> None:
    draft = draft_of(["mirror"], "shown")
    changed = draft.prompt.replace("s[::-1]", "s[::-2]")
    assert changed != draft.prompt
    assert runner.run(read_prompt(changed, hidden=False)) != draft.verifier["gold"]


def test_definitions_under_a_flag_that_hides_them_are_refused() -> None:
    with pytest.raises(Refused, match="hidden"):
        read_prompt(draft_of(["mirror"], "shown").prompt, hidden=True)


HOSTILE = {
    "import": "import os",
    "import from": "from os import system",
    "dunder attribute": "return s.__class__",
    "attribute chain": "return ().__class__.__base__.__subclasses__()",
    "attribute outside the list": "return s.encode()",
    "format string": "return '{0.__class__}'.format(s)",
    "f-string": "return f'{s}'",
    "dunder name": "return __builtins__",
    "open": "return str(open('/etc/passwd'))",
    "eval": "return eval(s)",
    "getattr": "return getattr(s, 'upper')()",
    "type": "return type(s)",
    "lambda": "return (lambda: s)()",
    "default": "return s\n\ndef func_2(s=[]):\n    return s",
    "decorator": "return s\n\n@func_1\ndef func_2(s):\n    return s",
    "annotation": "return s\n\ndef func_2(s: str):\n    return s",
    "star arguments": "return s\n\ndef func_2(*s):\n    return s",
    "class": "class A:\n        pass",
    "try": "try:\n        return s\n    except ValueError:\n        return s",
    "with": "with s:\n        return s",
    "raise": "raise s",
    "global": "global len",
    "delete": "del s",
    "generator": "yield s",
    "async": "return s\n\nasync def func_2(s):\n    return s",
    "walrus": "return (y := s)",
    "power": "return str(9 ** 9)",
    "shift": "return str(1 << 9)",
    "float": "return str(1.5)",
    "bytes": "return b's'",
    "large constant": "return s * 10000000000",
    "starred": "return max(*s)",
    "keyword expansion": "return dict(**s)",
    "backslash": "return '\\x41'",
    "not ascii": "return ｌｅｎ(s)",
    "function inside": "def func_2(s):\n        return s\n    return s",
    "code outside": "return s\n\nfunc_1('abc')",
    "another name": "return s\n\ndef helper(s):\n    return s",
    "the same name twice": "return s\n\ndef func_1(s):\n    return s",
    "shadowed function": "func_2 = len\n    return func_2(s)",
    "no Python": "return s s",
    "null byte": "return 'a\0b'",
    "deep brackets": f"return {'(' * 300}s{')' * 300}",
    "deep signs": "return s + (" + "\n".join(["-" * 900] * 8) + "1)",
    "long line": f"return s + {'s + ' * 400}s",
    "long code": "return s\n" + "    s = s\n" * 900,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_code_outside_the_subset_is_refused(body: str) -> None:
    with pytest.raises(Refused):
        read_prompt(prompt_of(body), hidden=False)


@pytest.mark.parametrize(
    "prompt",
    [
        "no code at all",
        prompt_of("return s", asked="main_solution(x)"),
        prompt_of("return s", asked='main_solution("a") or main_solution("b")'),
        prompt_of("return s", main="def func_2(x):\n    return func_1(x)"),
        prompt_of("return s") + "\n```python\nimport os\n```",
        "Please run this.\n" + prompt_of("return s"),
    ],
)
def test_a_prompt_of_another_form_is_refused(prompt: str) -> None:
    with pytest.raises(Refused):
        read_prompt(prompt, hidden=False)


BROKEN = {
    "an unknown function": ("return func_99(s)", "NameError"),
    "no text": ("return len(s)", "no text"),
    "a long text": ("return s * 4000", "no text"),
    "endless recursion": ("return func_1(s)", "RecursionError"),
    "a bad index": ("return s[99]", "IndexError"),
    "a text bomb": ("return s * 900000000", "MemoryError"),
    "a list bomb": ("while True:\n        s = [s] * 900000000", "MemoryError"),
    "an endless loop": ("while True:\n        s = s", "more than 1 s"),
}


@pytest.mark.parametrize(("body", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_code_that_gives_no_answer_is_refused_with_its_reason(body: str, reason: str, runner: Runner) -> None:
    with pytest.raises(Refused, match=reason):
        runner.run(read_prompt(prompt_of(body), hidden=False))


def test_a_loop_that_hears_no_signal_ends_with_its_process_and_the_next_call_has_a_new_one(runner: Runner) -> None:
    with pytest.raises(Refused, match="ended"):
        runner.run(read_prompt(prompt_of("return str(sum(range(1000000000)))"), hidden=False))
    assert runner.run(read_prompt(prompt_of("return s + 'd'"), hidden=False)) == "abcd"


def test_after_too_many_overruns_no_more_calls_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printed_functions, "GIVE_UP", 1)
    with Runner() as mine:
        with pytest.raises(Refused, match="MemoryError"):
            mine.run(read_prompt(prompt_of("return s * 900000000"), hidden=False))
        with pytest.raises(Refused, match="not run"):
            mine.run(read_prompt(prompt_of("return s"), hidden=False))


def test_one_call_leaves_nothing_for_the_next(runner: Runner) -> None:
    runner.run(read_prompt(prompt_of("return s", head="def func_2(s):", main=MAIN.replace("1", "2")), hidden=False))
    with pytest.raises(Refused, match="NameError"):
        runner.run(read_prompt(prompt_of("return func_2(s)"), hidden=False))


def test_the_process_can_open_no_file() -> None:
    code = (
        f"import runpy, sys; space = runpy.run_path({str(run_printed.__file__)!r}); space['_limit']()\n"
        "try:\n    open('/etc/hostname')\nexcept OSError as error:\n    sys.exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-I", "-S", "-c", code], check=False).returncode == 7
