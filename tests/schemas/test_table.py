"""A contract: wrong columns raise and say which; a split loses no row."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.candidates import CANDIDATES
from schemas.columns import REASONS, STRINGS
from schemas.slots import SLOTS
from schemas.table import SchemaMismatch, Table
from schemas.verdicts import VERDICTS

PETS = Table(
    name="pets",
    version=3,
    columns={"id": pl.String(), "legs": pl.Int64(), "names": STRINGS},
    rules={"has_legs": pl.col("legs") > 0, "has_names": pl.col("names").list.len() > 0},
)
CAT = {"id": "cat", "legs": 4, "names": ["Tom"]}
REASON = {"gate": "vet", "code": "ill", "detail": "a cold", "twin": None}


def pets(*rows: dict[str, object], **types: pl.DataType) -> pl.DataFrame:
    return pl.DataFrame(list(rows or (CAT,)), schema={**PETS.columns, **types})


def test_a_frame_that_keeps_its_contract_passes() -> None:
    PETS.check(pets())


def test_the_reserved_column_of_reasons_may_be_there() -> None:
    PETS.check(pets().with_columns(reasons=pl.lit([], dtype=REASONS)))


def test_columns_may_stand_in_any_order() -> None:
    PETS.check(pets().select("names", "legs", "id"))


def test_a_wrong_type_names_table_version_column_and_both_types() -> None:
    with pytest.raises(SchemaMismatch) as caught:
        PETS.check(pets().with_columns(pl.col("legs").cast(pl.Float32)))
    assert str(caught.value) == "table 'pets' v3: column 'legs' must be Int64, found Float32"


def test_a_wrong_type_inside_a_list_names_both_types() -> None:
    with pytest.raises(SchemaMismatch, match=r"'names' must be List\(String\), found List\(Int64\)"):
        PETS.check(pets().with_columns(names=pl.Series([[1]])))


def test_a_missing_column_is_named_with_its_type_and_with_those_found() -> None:
    with pytest.raises(SchemaMismatch) as caught:
        PETS.check(pets().drop("legs"))
    assert str(caught.value) == "table 'pets' v3: column 'legs' (Int64) is missing; found id, names"


def test_a_column_too_many_is_named_with_its_type() -> None:
    with pytest.raises(SchemaMismatch) as caught:
        PETS.check(pets().with_columns(tail=pl.lit(value=True)))
    assert str(caught.value) == "table 'pets' v3: column 'tail' (Boolean) is not part of the contract"


def test_a_split_checks_the_contract_first() -> None:
    with pytest.raises(SchemaMismatch, match="'legs'"):
        PETS.split(pets().drop("legs"))


@given(
    st.lists(
        st.tuples(st.integers(-1, 2), st.lists(st.just("Tom"), max_size=1), st.lists(st.just(REASON), max_size=2)),
        max_size=12,
    )
)
def test_rows_and_rejects_are_the_input_each_once_and_in_order(given_rows: list[tuple[int, list[str], list]]) -> None:
    frame = pl.DataFrame(
        [
            {"id": str(i), "legs": legs, "names": names, "reasons": reasons}
            for i, (legs, names, reasons) in enumerate(given_rows)
        ],
        schema={**PETS.columns, "reasons": REASONS},
    )
    rows, rejects = PETS.split(frame)
    sound = [legs > 0 and bool(names) and not reasons for legs, names, reasons in given_rows]
    assert rows.schema == pl.Schema(PETS.columns)
    assert rejects.schema == {"id": pl.String(), "reasons": REASONS}
    assert rows["id"].to_list() == [str(i) for i, ok in enumerate(sound) if ok]
    assert rejects["id"].to_list() == [str(i) for i, ok in enumerate(sound) if not ok]


def test_a_row_that_brings_a_reason_leaves_with_that_reason_alone() -> None:
    sick = pets({"id": "cat", "legs": 0, "names": []}).with_columns(reasons=pl.lit([REASON], dtype=REASONS))
    assert PETS.split(sick)[1]["reasons"].to_list() == [[REASON]]


def test_a_row_that_breaks_two_rules_leaves_with_the_first() -> None:
    _, rejects = PETS.split(pets({"id": "eel", "legs": 0, "names": []}))
    assert rejects["reasons"][0].struct.field("code").to_list() == ["has_legs"]


def test_a_split_of_no_rows_gives_typed_nothing() -> None:
    rows, rejects = PETS.split(pets()[:0])
    assert (rows.height, rejects.height) == (0, 0)


@pytest.mark.parametrize("table", [CANDIDATES, VERDICTS, SLOTS], ids=lambda table: table.name)
def test_a_frame_of_empty_lists_keeps_the_contract(table: Table) -> None:
    table.check(table.frame({name: [] for name in table.columns}))


def test_a_frame_from_lists_takes_the_order_and_the_types_of_the_contract() -> None:
    frame = PETS.frame({"names": [["Tom"], None], "legs": [4, None], "id": ["cat", "eel"]})
    assert frame.schema == pl.Schema(PETS.columns)
    assert frame.rows() == [("cat", 4, ["Tom"]), ("eel", None, None)]


def test_a_frame_from_lists_takes_reasons_and_structs() -> None:
    verifier = {"kind": "text", "gold": "7", "args": "{}"}
    empty: dict[str, list[object]] = {name: [None] for name in CANDIDATES.columns}
    frame = CANDIDATES.frame({**empty, "verifier": [verifier], "split": ["heldout"], "reasons": [[REASON]]})
    assert frame.schema == {**CANDIDATES.columns, "reasons": REASONS}
    assert frame.select("verifier", "split", "reasons").rows(named=True) == [
        {"verifier": verifier, "split": "heldout", "reasons": [REASON]}
    ]
