from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.teacher.secret import hide, without_key

KEY = "planted/key+4f1d"


def sent(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("got Authorization: Bearer abcd1234.", "got Authorization: Bearer ***"),
        ("'bearer abcd1234'", "'bearer ***'"),
        ("Bearer%20abcd1234", "Bearer%20***"),
        ("Incorrect API key provided: sk-proj-ab***wxyz.", "Incorrect API key provided: ***."),
        ("Bearer token is missing", "Bearer token is missing"),
        ("no bearer key, no bearer", "no bearer key, no bearer"),
        ("Bearer token-abc123", "Bearer ***"),
        ("task-force and disk-space are full", "task-force and disk-space are full"),
    ],
)
def test_what_looks_like_a_key_is_hidden_and_words_about_keys_are_not(said: str, shown: str) -> None:
    assert hide(said) == shown


@pytest.mark.parametrize("reply", [True, False])
@pytest.mark.parametrize("written", [KEY, KEY.replace("/", "\\/")])
def test_the_key_is_hidden_however_json_writes_it(written: str, reply: bool) -> None:
    raw = b'{"text": "you sent %s, I think"}' % written.encode()
    assert json.loads(without_key(raw, sent(KEY), reply=reply)) == {"text": "you sent ***, I think"}


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=16), st.booleans())
def test_no_long_key_comes_through_json(key: str, reply: bool) -> None:
    raw = json.dumps({"text": f"<{key}>"}).encode()
    assert json.loads(without_key(raw, sent(key), reply=reply)) == {"text": "<***>"}


def test_an_everyday_word_as_the_key_is_hidden_in_an_error_and_kept_in_what_a_model_says() -> None:
    raw = b"a lm-studio user, and lm-studios"
    assert without_key(raw, sent("lm-studio")) == b"a *** user, and lm-studios"
    assert without_key(raw, sent("lm-studio"), reply=True) == raw


def test_without_a_key_nothing_changes() -> None:
    assert without_key(b"as it is", {}) == b"as it is"
