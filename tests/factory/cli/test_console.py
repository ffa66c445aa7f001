from __future__ import annotations

import json
import unicodedata

import click
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from factory.cli.console import clean, emit, say_table

HOSTILE = st.text(alphabet=st.characters(), max_size=40)


@given(HOSTILE)
def test_cleaned_text_has_no_control_character_but_tab_and_line_feed(text: str) -> None:
    assert all(unicodedata.category(c) not in {"Cc", "Cs"} or c in "\t\n" for c in clean(text))


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=40))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


@given(st.dictionaries(st.text(max_size=5), HOSTILE, max_size=3))
def test_json_is_one_clean_line_that_reads_back_the_same(value: dict[str, str]) -> None:
    @click.command()
    def command() -> None:
        emit(value)

    line = CliRunner().invoke(command).stdout
    assert line.count("\n") == 1
    assert clean(line) == line
    assert json.loads(line) == value


def test_numbers_of_a_table_stand_under_each_other() -> None:
    @click.command()
    def command() -> None:
        say_table(("name", "rows"), [("a", 5), ("longer", 12345)], right=frozenset({"rows"}))

    assert CliRunner().invoke(command).stdout == "name      rows\na            5\nlonger  12,345\n"
