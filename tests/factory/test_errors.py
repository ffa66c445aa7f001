from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.errors import FactoryError, MissingExtra, QuotaUnmet, UserError, nearest

NAMES = ["chains", "countdown", "lego", "nested", "skill-pairs"]


@pytest.mark.parametrize(
    ("written", "meant"), [("chain", "chains"), ("nestd", "nested"), ("skillpairs", "skill-pairs"), ("lego", "lego")]
)
def test_a_near_name_is_asked_for(written: str, meant: str) -> None:
    assert nearest(written, NAMES) == f" (did you mean '{meant}'?)"


def test_a_name_near_nothing_lists_what_there_is() -> None:
    assert nearest("xyzzy", reversed(NAMES)) == " (one of: chains, countdown, lego, nested, skill-pairs)"


def test_nothing_at_all_is_said_too() -> None:
    assert nearest("xyzzy", []) == " (there are none)"


@given(st.text(max_size=12), st.lists(st.sampled_from(NAMES)))
def test_only_names_that_are_valid_are_proposed(written: str, valid: list[str]) -> None:
    said = nearest(written, valid)
    assert {name for name in NAMES if f"'{name}'" in said} <= set(valid)
    assert said.startswith(" (")


@pytest.mark.parametrize(("error", "code"), [(FactoryError, 1), (UserError, 2), (QuotaUnmet, 2), (MissingExtra, 2)])
def test_a_user_s_mistake_exits_with_2_and_ours_with_1(error: type[FactoryError], code: int) -> None:
    assert error.exit_code == code


@pytest.mark.parametrize("error", [QuotaUnmet, MissingExtra])
def test_what_a_user_can_mend_is_a_user_error(error: type[Exception]) -> None:
    assert issubclass(error, UserError)
    assert issubclass(UserError, FactoryError)


def test_a_missing_library_names_the_extra_and_the_command() -> None:
    told = str(MissingExtra("publishing", "hub"))
    assert told.startswith("publishing needs the extra 'hub', which is not installed: ")
    assert told.endswith("pip install -e '.[hub]'")
