"""Personal data and secrets in a row: addresses, numbers that check, keys of well-known shapes.

A cheap pattern finds the rows that could hold one; python-stdnum and phonenumbers decide on those. What was found is
never told, only its kind, field and place.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
from pydantic import Field

from factory.errors import MissingExtra
from factory.strict import Strict

Kind = Literal["email", "phone", "credit_card", "iban", "ip", "us_ssn", "secret_key"]
LIBRARIES = ("phonenumbers", "python-stdnum")
CLIP = 200_000  # characters of a text that are looked at
SHOWN = 5  # findings of a row that its reason names


class PiiSpec(Strict):
    """Which personal data and secrets are looked for, and what becomes of rows that hold them."""

    find: list[Kind] = Field(
        default=["email", "phone", "credit_card", "iban", "ip", "us_ssn", "secret_key"],
        min_length=1,
        description="What is looked for.",
    )
    act: Literal["reject", "report"] = Field(
        default="reject", description="Rows that hold one are rejected, or only counted."
    )
    region: str = Field(
        default="US", pattern="^[A-Z]{2}$", description="Country of phone numbers without a country code (ISO 3166)."
    )


@dataclass(frozen=True, slots=True)
class Finder:
    """A kind of data: a pattern (of Rust's regex and of Python's `re`) and whether a match of it is one."""

    pattern: str
    is_one: Callable[[str], bool]


def _digits(found: str) -> str:
    return re.sub(r"\D", "", found)


def _stdnum(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise MissingExtra("checking numbers", "curate") from None


# Names and addresses that are kept for examples (RFC 2606, RFC 5737, RFC 3849) are nobody's.
EXAMPLE_HOST = re.compile(r"(?i)(?:^|\.)(?:example(?:\.(?:com|org|net|edu))?|test|invalid|localhost|local)$")
COMMON_HOST = re.compile(
    r"(?i)^(?:(?:your|my|the)?[-_]?(?:company|domain|email|website|site|store|mail)\.(?:com|org|net))$"
)
TEST_CARDS = frozenset(
    """4111111111111111 4242424242424242 4012888888881881 5555555555554444 5105105105105100 378282246310005
    371449635398431 6011111111111117 6011000990139424 30569309025904 38520000023237 3530111333300000
    3566002020360505 4000056655665556 5200828282828210 4000000000000002""".split()
)


def _is_email(found: str) -> bool:
    host = found.rpartition("@")[2]
    return not EXAMPLE_HOST.search(host) and not COMMON_HOST.match(host)


def _is_card(found: str) -> bool:
    number = _digits(found)
    if not 13 <= len(number) <= 19 or number in TEST_CARDS or len(set(number)) < 4:
        return False
    return bool(_stdnum("stdnum.luhn").is_valid(number))


def _is_iban(found: str) -> bool:
    return bool(_stdnum("stdnum.iban").is_valid(found))


def _is_ip(found: str) -> bool:
    if re.fullmatch(r"(?:[0-2]?\d\.)+[0-2]?\d", found):  # more likely the number of a version
        return False
    try:
        return ipaddress.ip_address(found).is_global
    except ValueError:
        return False


def _is_ssn(found: str) -> bool:
    return bool(_stdnum("stdnum.us.ssn").is_valid(found))


def _is_secret(found: str) -> bool:
    body = found.rsplit("_", 1)[-1]
    return "example" not in found.lower() and len(set(body)) >= 6 and not re.search(r"(?i)x{6}|0123456|abcdef", body)


SECRETS = "|".join(
    [
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",  # Amazon
        r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
        r"\bgithub_pat_[A-Za-z0-9_]{60,}\b",
        r"\bglpat-[A-Za-z0-9_-]{20}\b",
        r"\bxox[abprs]-[A-Za-z0-9-]{20,}\b",  # Slack
        r"\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}\b",
        r"\b[sr]k_live_[A-Za-z0-9]{20,}\b",  # Stripe
        r"\bAIza[A-Za-z0-9_-]{35}\b",  # Google
        r"\bhf_[A-Za-z0-9]{34}\b",
        r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}\b",  # JSON web token
        r"-----BEGIN (?:[A-Z]{2,10} )?PRIVATE KEY-----",
    ]
)
FINDERS: Mapping[str, Finder] = {
    "email": Finder(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b", _is_email),
    "credit_card": Finder(r"\b\d(?:[ -]?\d){12,18}\b", _is_card),
    "iban": Finder(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b", _is_iban),
    "ip": Finder(r"\b(?:\d{1,3}\.){3,}\d{1,3}\b|\b(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b", _is_ip),
    "us_ssn": Finder(r"\b\d{3}-\d{2}-\d{4}\b", _is_ssn),
    "secret_key": Finder(SECRETS, _is_secret),
}
PHONE = r"\+\d[\d ().-]{7,}\d|\(?\b\d{2,5}\)?[ ./-]?\d{2,4}[ ./-]\d{2,}"


def find_pii(text: str, spec: PiiSpec) -> list[tuple[str, int, int]]:
    """Return (kind, start, end) of what a text holds of what is looked for, by place; places are in characters."""
    text = text[:CLIP]
    found: list[tuple[str, int, int]] = []
    for kind in spec.find:
        if kind == "phone":
            found.extend(("phone", start, end) for start, end in _phones(text, spec.region))
        else:
            finder = FINDERS[kind]
            spots = (m.span() for m in re.finditer(finder.pattern, text) if finder.is_one(m.group()))
            found.extend((kind, start, end) for start, end in spots)
    return sorted(found, key=lambda spot: spot[1:])


def _phones(text: str, region: str) -> Iterator[tuple[int, int]]:
    if not re.search(PHONE, text):
        return
    try:
        import phonenumbers
    except ImportError:
        raise MissingExtra("finding phone numbers", "curate") from None
    for match in phonenumbers.PhoneNumberMatcher(text, region):
        national = str(match.number.national_number)
        if match.number.country_code == 1 and national[3:8] == "55501":  # set aside for fiction
            continue
        if len(_digits(match.raw_string)) >= 9 or match.raw_string.startswith("+"):
            yield match.start, match.end


def pii_faults(frame: pl.DataFrame, spec: PiiSpec) -> dict[int, dict[str, str]]:
    """Return the fault of each row, by place, that holds personal data or a secret.

    The code is `no_secret` where there is a secret, else `no_personal_data`.
    """
    faults = {}
    for place, spots in _spots(frame, spec):
        secret = any(kind == "secret_key" for _, kind, _, _ in spots)
        told = [f"{kind} in the {field} at {start}-{end}" for field, kind, start, end in spots]
        more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        code = "no_secret" if secret else "no_personal_data"
        faults[place] = {"code": code, "detail": ", ".join(told[:SHOWN]) + more}
    return faults


def measure_pii(frame: pl.DataFrame, spec: PiiSpec) -> dict[str, int]:
    """Return for each kind that is looked for in how many rows it is found."""
    rows = [{kind for _, kind, _, _ in spots} for _, spots in _spots(frame, spec)]
    return {kind: sum(kind in kinds for kinds in rows) for kind in spec.find}


def _spots(frame: pl.DataFrame, spec: PiiSpec) -> Iterator[tuple[int, list[tuple[str, str, int, int]]]]:
    patterns = [PHONE if kind == "phone" else FINDERS[kind].pattern for kind in spec.find]
    texts = frame.select(pl.col("instruction", "answer").cast(pl.String).fill_null("").str.head(CLIP))
    doubtful = texts.select(
        pl.any_horizontal(pl.col(field).str.contains(pattern) for field in texts.columns for pattern in patterns)
    ).to_series()
    for place, row in zip(doubtful.arg_true().to_list(), texts.filter(doubtful).iter_rows(named=True), strict=True):
        spots = [(field, *spot) for field, said in row.items() for spot in find_pii(said, spec)]
        if spots:
            yield place, spots
