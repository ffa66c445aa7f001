"""Personal data and secrets are found where they check, examples are left alone, and no value is ever told."""

from __future__ import annotations

import re

import polars as pl
import pytest

from factory.gates.pii import FINDERS, PHONE, PiiSpec, find_pii, measure_pii, pii_faults

SPEC = PiiSpec()
KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
TRUE = {
    "email": ["anna.huber@posteo.de", "j+spam@mail.ox.ac.uk"],
    "phone": ["(415) 867-4321", "+49 30 901820", "650-253-0000", "+44 20 7946 0018"],
    "credit_card": ["4539 1488 0343 6467", "6011-5940-8352-5911"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819"],
    "ip": ["81.2.69.142", "2001:4860:4860:0000:0000:0000:0000:8888"],
    "us_ssn": ["536-90-4399"],
    "secret_key": [KEY, "AKIA2E0A8F3B7C4D9G1H", "-----BEGIN RSA PRIVATE KEY-----"],
}
FALSE = [
    "anna@example.com", "you@company.com", "192.168.0.1 and 127.0.0.1", "198.51.100.7", "version 1.2.3.4.5, 1.2.3.4",
    "4111 1111 1111 1111", "1234 5678 9012 3456", "000-12-3456", "DE00 3704 0044 0532 0130 00", "(415) 555-0132",
    "AKIAIOSFODNN7EXAMPLE", "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "12,345,678.90", "3.14159 26535 89793",
    "1984-2024", "2024-05-17 10:30:00", "100 200 300 400", "f(x) = 2x @ 3", "@handle", "ISBN 978-3-16-148410-0",
    "The answer is 123456789.", "5 + 7 = 12, 12 * 34 = 408",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in TRUE.items() for value in values])
def test_a_value_is_found_at_its_place(kind: str, value: str) -> None:
    found = find_pii(f"Mine is {value}, thanks.", SPEC)
    assert (kind, 8, 8 + len(value)) in found


@pytest.mark.parametrize("text", FALSE)
def test_examples_and_plain_numbers_are_left_alone(text: str) -> None:
    assert find_pii(f"So: {text} and so on.", SPEC) == []


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in TRUE.items() for value in values])
def test_a_row_is_rejected_without_its_value_being_told(kind: str, value: str) -> None:
    frame = pl.DataFrame({"instruction": ["Where?", "Who?"], "answer": [f"It is {value}.", "Nobody."]})
    faults = pii_faults(frame, PiiSpec(find=[kind]))
    assert list(faults) == [0]
    assert faults[0]["code"] == ("no_secret" if kind == "secret_key" else "no_personal_data")
    assert faults[0]["detail"] == f"{kind} in the answer at 6-{6 + len(value)}"


def test_rows_are_counted_by_kind_and_nulls_hold_nothing() -> None:
    frame = pl.DataFrame(
        {"instruction": [TRUE["email"][0], None, "hi"], "answer": [TRUE["ip"][0], KEY, TRUE["email"][1]]}
    )
    found = measure_pii(frame, PiiSpec(find=["email", "ip", "secret_key", "iban"], act="report"))
    assert found == {"email": 2, "ip": 1, "secret_key": 1, "iban": 0}


def test_many_findings_are_told_in_short() -> None:
    frame = pl.DataFrame({"instruction": ["a.b@posteo.de " * 9], "answer": [""]})
    detail = pii_faults(frame, SPEC)[0]["detail"]
    assert detail.endswith("and 4 more")
    assert "posteo" not in detail


def test_patterns_mean_the_same_to_polars_and_to_python() -> None:
    texts = [*FALSE, *(value for values in TRUE.values() for value in values)]
    for pattern in [PHONE, *(finder.pattern for finder in FINDERS.values())]:
        assert pl.Series(texts).str.contains(pattern).to_list() == [bool(re.search(pattern, text)) for text in texts]
