from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.errors import UserError
from factory.skills.language.lists import CODES, MAX_DEFINITION, MAX_NAME, SUFFIXES, read_skills, write_skills
from factory.skills.language.skill import LanguageSkill

TABLE = 'skill,definition,family,count\n"Reading, closely",take all in,reading,3\nskimming,run over it,reading,\n'


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def names(path: Path) -> list[str]:
    return [skill.name for skill in read_skills(path).skills]


def test_headers_become_the_family_of_what_follows(tmp_path: Path) -> None:
    found = read_skills(put(tmp_path, "a.txt", "stray\nTopic 1: Logic\n- deduction\n# Writing\n1. clear prose\n"))
    assert [(s.name, s.family) for s in found.skills] == [
        ("stray", ""),
        ("deduction", "logic"),
        ("clear_prose", "writing"),
    ]
    assert found.rejects == [("Topic 1: Logic", "header"), ("# Writing", "header")]


def test_definition_on_the_line_of_a_name_is_kept(tmp_path: Path) -> None:
    (skill,) = read_skills(put(tmp_path, "a.md", "- **Clear writing**: say it once\n")).skills
    assert (skill.name, skill.definition) == ("clear_writing", "say it once")


def test_duplicates_collapse_and_their_counts_add_up(tmp_path: Path) -> None:
    rows = [{"name": "Tact", "count": 2}, {"name": "tact", "definition": "gentle truth", "count": 3}]
    found = read_skills(put(tmp_path, "a.json", json.dumps(rows)), origin="here")
    assert found.skills == [LanguageSkill("tact", "gentle truth", origin="here", count=5)]
    assert found.rejects == [("tact", "duplicate")]


def test_list_in_capitals_has_skills_not_headers(tmp_path: Path) -> None:
    assert names(put(tmp_path, "a.txt", "CLEAR WRITING\nCLOSE READING\n")) == ["clear_writing", "close_reading"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"name": "Writing:"}, "header"),
        ({"name": "  "}, "empty"),
        ({"definition": "of what"}, "empty"),
        ({"name": "skills"}, "empty"),
        ({"name": "fine"}, "duplicate"),
        ({"name": "x" * (MAX_NAME + 1)}, "too_long"),
        ({"name": "long", "definition": "x" * (MAX_DEFINITION + 1)}, "too_long"),
        ({"name": 7}, "not_text"),
        ({"name": "123"}, "not_text"),
        ({"name": "half", "definition": "\ud800"}, "not_text"),
        ({"name": "told", "positive": ["a list"]}, "not_text"),
        ({"name": "some", "count": 0}, "bad_count"),
        ({"name": "some", "count": "many"}, "bad_count"),
        ({"name": "some", "count": float("inf")}, "bad_count"),
    ],
)
def test_entry_that_is_no_skill_leaves_with_its_code(tmp_path: Path, row: dict[str, object], code: str) -> None:
    found = read_skills(put(tmp_path, "a.jsonl", json.dumps({"name": "fine"}) + "\n" + json.dumps(row)))
    assert [skill.name for skill in found.skills] == ["fine"]
    assert [reject[1] for reject in found.rejects] == [code]
    assert code in CODES


def test_name_with_a_comma_in_quotes_is_one_name(tmp_path: Path) -> None:
    first, second = read_skills(put(tmp_path, "a.csv", TABLE)).skills
    assert (first.name, first.definition, first.count) == ("reading_closely", "take all in", 3)
    assert (second.name, second.count, second.origin) == ("skimming", 1, "a.csv")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.tsv", "one craft\nother\n"),
        ("a.csv", "one craft\nother\n"),
        ("a.txt", "\ufeff* one craft\r\n* other\r\n"),
        ("a.jsonl", '"one craft"\n\n"other"\n'),
        ("a.json", '{"skills": ["one craft", {"label": "other"}]}'),
        ("a.json", '{"things": ["one craft", "other"]}'),
        ("a.yaml", "- one craft\n- name: other\n"),
        ("a.yml", "one craft: what it is\nother: what that is\n"),
    ],
)
def test_every_form_gives_the_same_names(tmp_path: Path, file: str, content: str) -> None:
    assert names(put(tmp_path, file, content)) == ["one_craft", "other"]


def test_parquet_is_read_by_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"skill": ["One craft", None], "count": [2, 1]}).write_parquet(path)
    found = read_skills(path)
    assert [(s.name, s.count) for s in found.skills] == [("one_craft", 2)]
    assert found.rejects == [("None", "empty")]


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("a.txt", b"\0\1\2", "binary"),
        ("a.txt", b"fine\nna\xefve\n", "not UTF-8: byte 0xef in line 2"),
        ("a.txt", "Topic 1: Logic\n", "no usable skill: 1 x header"),
        ("a.txt", "", "no usable skill: it is empty"),
        ("a.docx", "x", "suffix '.docx'"),
        ("a.csv", "nom,sens\na,b\n", "no column 'name'.*nom, sens"),
        ("a.jsonl", '{"nom": "a"}\n', "no column 'name'.*nom"),
        ("a.jsonl", '"a"\n{"name"\n', "line 2: not JSON"),
        ("a.json", "7", "one int"),
        ("a.yaml", "a: [b\n", "not YAML"),
        ("a.parquet", b"PAR1", "Parquet"),
    ],
)
def test_file_that_cannot_be_read_says_what_and_which(
    tmp_path: Path, file: str, content: str | bytes, says: str
) -> None:
    path = put(tmp_path, file, content)
    with pytest.raises(UserError, match=rf"(?s){path.name}.*{says}"):
        read_skills(path)


def test_missing_file_names_the_one_that_is_meant(tmp_path: Path) -> None:
    put(tmp_path, "skills.txt", "one\n")
    with pytest.raises(UserError, match=r"skils\.txt: no such file.*skills\.txt"):
        read_skills(tmp_path / "skils.txt")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_folder_is_no_list(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        read_skills(tmp_path / f"folder{suffix}")


TEXT = st.text("abc é,:\"'\n", max_size=12).map(lambda text: " ".join(text.split()))
SKILLS = st.builds(
    LanguageSkill,
    st.from_regex(r"[b-z]{2,8}_[b-z]{4,6}x", fullmatch=True),
    TEXT,
    TEXT,
    TEXT,
    TEXT,
    TEXT,
    st.integers(1, 9),
)


@given(skills=st.lists(SKILLS, min_size=1, unique_by=lambda skill: skill.name))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, skills: list[LanguageSkill]) -> None:
    path = tmp_path_factory.mktemp("lists") / "skills.jsonl"
    write_skills(skills, path)
    found = read_skills(path)
    assert (found.skills, found.rejects) == (skills, [])


@given(st.text(max_size=200))
def test_any_text_gives_names_that_are_not_too_long(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("lists") / "skills.txt"
    path.write_text(text.replace("\0", "") + "\nplain craft", encoding="utf-8", errors="replace")
    assert all(skill.name and len(skill.name) <= MAX_NAME for skill in read_skills(path).skills)
