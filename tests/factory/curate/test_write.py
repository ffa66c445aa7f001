from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import factory.curate.read_rows as read_rows
import factory.curate.sources as sources
import factory.curate.write as write
from factory.artifacts.store import Store
from factory.curate.columns import RowColumns
from factory.curate.sources import ReadSource, RowSource, read_sources
from factory.curate.write import Kept, Written, write_kept
from factory.errors import FactoryError, UserError


def put(path: Path, *rows: Any) -> None:
    path.write_bytes(b"".join((row if isinstance(row, bytes) else orjson.dumps(row)) + b"\n" for row in rows))


def read(base: Path, *specs: RowSource | str) -> list[ReadSource]:
    asked = [RowSource(path=spec) if isinstance(spec, str) else spec for spec in specs]
    return read_sources(asked, base, Store(base / "artifacts"), base / "outputs")


def kept(found: list[ReadSource], drop: set[int] | None = None, **more: Any) -> Kept:
    rows = pl.concat([a.read(["id", "row"]) for source in found for a in source.artifacts])
    rows = rows.filter(~pl.col("row").is_in(list(drop or ())))
    return Kept(rows["row"].to_numpy(), rows["id"], **more)


def written(base: Path, found: list[ReadSource], stay: Kept) -> tuple[Written, dict[str, pl.DataFrame]]:
    told = write_kept(found, stay, base / "release")
    return told, {
        f"{config}/{split}": pl.read_parquet(base / "release" / config / f"{split}-*.parquet")
        for config, splits in told.rows.items()
        for split in splits
    }


def digests(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.*")}


def one(base: Path, stay: Mapping[str, Any] | None = None, **spec: Any) -> pl.DataFrame:
    found = read(base, RowSource(path="a.jsonl", **spec))
    return written(base, found, kept(found, **(stay or {})))[1]["rows/train"]


def test_kept_rows_have_all_their_columns_in_input_order(tmp_path: Path) -> None:
    rows = [{"instruction": f"Q{i}", "output": f"A{i}", "n": i, "tags": ["x"] * i, "m": {"k": i}} for i in range(6)]
    put(tmp_path / "a.jsonl", *rows[:2], b"{broken", *rows[2:])
    frame = one(tmp_path, {"drop": {1, 4}})
    assert frame.columns == ["id", "instruction", "output", "n", "tags", "m"]
    assert frame.drop("id").to_dicts() == [rows[0], rows[2], rows[4], rows[5]]


def test_ids_and_further_columns_come_first(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", {"text": "a", "flag": 1}, {"text": "b", "flag": 2})
    frame = one(tmp_path, {"extra": pl.DataFrame({"flag": ["x", "y"]})})
    assert frame.columns == ["id", "flag", "text", "source_flag"]
    assert frame.select("flag", "source_flag").rows() == [("x", 1), ("y", 2)]


def test_id_of_its_own_that_names_the_rows_is_there_once(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", {"id": "x", "text": "a"}, {"id": "y", "text": "b"})
    assert one(tmp_path).rows() == [("x", "a"), ("y", "b")]


def test_id_of_its_own_that_does_not_stays_under_another_name(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", {"id": "x", "text": "a", "source_id": 1}, {"id": "x", "text": "b", "source_id": 2})
    frame = one(tmp_path)
    assert frame.columns == ["id", "source_source_id", "text", "source_id"]
    assert frame["source_source_id"].to_list() == ["x", "x"]


def test_id_of_another_name_stays_beside_the_ids(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", {"uid": 1, "text": "a"}, {"uid": 2, "text": "b"})
    assert one(tmp_path, columns=RowColumns(id="uid")).rows() == [("1", 1, "a"), ("2", 2, "b")]


def test_values_of_several_types_become_json_texts_and_it_is_said(tmp_path: Path) -> None:
    values: list[Any] = [1, "a", None, {"k": [1]}, True]
    put(tmp_path / "a.jsonl", *({"text": "t", "v": value} for value in values))
    found = read(tmp_path, "a.jsonl")
    told, frames = written(tmp_path, found, kept(found))
    assert [None if v is None else orjson.loads(v) for v in frames["rows/train"]["v"]] == values
    assert told.notes == ("a: values of several types, as JSON texts: 'v'",)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2.5, None], pl.Float64),
        ([2**60 + 1, 0.5], pl.Float64),
        ([None, None], pl.String),
        ([[], []], pl.List(pl.String)),
        ([{}, {}], pl.String),
        ([{"a": 1}, {"b": "x"}], pl.Struct({"a": pl.Int64, "b": pl.String})),
        ([{"a": 1}, {"a": "x"}], pl.String),
        ([2**70, 1], pl.Float64),
        ([{f"k{i}": i for i in range(200)}, None], pl.String),
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_types_are_those_of_all_rows_however_they_are_read(
    tmp_path: Path, values: list[Any], dtype: pl.DataType, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_rows, "BLOCK", block)
    put(tmp_path / "a.jsonl", *(f'{{"text": "t", "v": {_json(value)}}}'.encode() for value in values))
    assert one(tmp_path)["v"].dtype == dtype


def _json(value: Any) -> str:
    return str(value) if isinstance(value, int) else orjson.dumps(value).decode()


def test_csv_stays_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,n\nhi,007\n")
    found = read(tmp_path, "a.csv")
    assert written(tmp_path, found, kept(found))[1]["rows/train"]["n"].to_list() == ["007"]


def test_types_of_parquet_stay(tmp_path: Path) -> None:
    import datetime as dt
    from decimal import Decimal

    frame = pl.DataFrame(
        {
            "text": ["a", "b"],
            "day": [dt.date(2026, 1, 1), None],
            "price": [Decimal("1.50"), Decimal("2.25")],
            "raw": [b"\xff", b""],
            "deep": [[{"x": [1]}], []],
        }
    )
    frame.with_columns(kind=pl.Series(["u", "v"], dtype=pl.Categorical)).write_parquet(tmp_path / "a.parquet")
    found = read(tmp_path, "a.parquet")
    back = written(tmp_path, found, kept(found))[1]["rows/train"]
    assert back.select(frame.columns).equals(frame)
    assert back["kind"].to_list() == ["u", "v"]


def test_sources_with_the_same_columns_make_one_config(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", {"question": "q1", "answer": "a1"})
    pl.DataFrame({"answer": ["a2"], "question": ["q2"]}).write_parquet(tmp_path / "b.parquet")
    found = read(tmp_path, "a.jsonl", "b.parquet")
    _, frames = written(tmp_path, found, kept(found))
    assert frames["rows/train"].select("question", "answer").rows() == [("q1", "a1"), ("q2", "a2")]


def test_sources_with_other_columns_make_one_each(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", {"question": "q1", "answer": "a1"})
    put(tmp_path / "b.jsonl", {"prompt": "p", "chosen": "c", "rejected": "r"})
    found = read(tmp_path, "a.jsonl", "b.jsonl")
    told, frames = written(tmp_path, found, kept(found))
    assert told.rows == {"a": {"train": 1}, "b": {"train": 1}}
    assert frames["b/train"].columns == ["id", "prompt", "chosen", "rejected"]


def test_held_out_rows_make_a_split(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", *({"text": str(i)} for i in range(4)))
    found = read(tmp_path, "a.jsonl")
    told, frames = written(tmp_path, found, kept(found, heldout=np.array([False, True, False, True])))
    assert told.rows == {"rows": {"train": 2, "heldout": 2}}
    assert frames["rows/heldout"]["text"].to_list() == ["1", "3"]


def test_source_of_which_nothing_stays_keeps_its_columns(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", {"text": "a", "n": 1})
    found = read(tmp_path, "a.jsonl")
    told, frames = written(tmp_path, found, kept(found, drop={0}))
    assert (told.total, frames["rows/train"].columns) == (0, ["id", "text", "n"])


ANSWERED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"question": "q", "answer": "old"}, {"question": "q", "answer": "new"}),
    ({"question": "q", "answer": 42}, {"question": "q", "answer": "new"}),
    (
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "old"}]},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "new"}]},
    ),
    (
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "old"}]},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "new"}]},
    ),
    (
        {"prompt": "q", "reward_model": {"style": "rule", "ground_truth": "old"}},
        {"prompt": "q", "reward_model": {"style": "rule", "ground_truth": "new"}},
    ),
]


@pytest.mark.parametrize(("row", "retold"), ANSWERED, ids=lambda row: "+".join(row))
@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_another_answer_stands_where_the_first_one_did(
    tmp_path: Path, row: dict[str, Any], retold: dict[str, Any], suffix: str
) -> None:
    put(tmp_path / "a.jsonl", row, row)
    if suffix == "parquet":
        pl.DataFrame([row, row]).write_parquet(tmp_path / "a.parquet")
    found = read(tmp_path, f"a.{suffix}")
    frame = written(tmp_path, found, kept(found, answers={1: "new"}))[1]["rows/train"].drop("id")
    first = {name: str(value) if isinstance(value, int) else value for name, value in row.items()}
    assert frame.to_dicts() == [first, retold]


def test_source_without_answers_cannot_get_others(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", {"text": "a"})
    found = read(tmp_path, "a.jsonl")
    with pytest.raises(UserError, match="source 'a' has no column of answers"):
        write_kept(found, kept(found, answers={0: "new"}), tmp_path / "release")


def test_source_that_changed_after_it_was_read_is_not_written(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", {"text": "a"})
    found = read(tmp_path, "a.jsonl")
    put(tmp_path / "a.jsonl", {"text": "b"})
    with pytest.raises(UserError, match="a.jsonl was changed after it was read"):
        write_kept(found, kept(found), tmp_path / "release")


def test_row_that_could_not_be_read_cannot_be_kept(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", {"text": "a"}, b"{", {"text": "b"})
    found = read(tmp_path, "a.jsonl")
    with pytest.raises(FactoryError, match="is no row"):
        write_kept(found, Kept(np.array([1]), pl.Series(["x"])), tmp_path / "release")


def test_bytes_do_not_depend_on_the_run_or_on_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.jsonl", *({"text": f"t{i}", "v": i if i % 3 else str(i)} for i in range(50)))
    found = read(tmp_path, "a.jsonl")
    write_kept(found, kept(found, drop={3, 4}), tmp_path / "one")
    monkeypatch.setattr(sources, "SHARD_ROWS", 7)
    monkeypatch.setattr(read_rows, "BLOCK", 100)
    (tmp_path / "artifacts").rename(tmp_path / "gone")
    found = read(tmp_path, RowSource(path="a.jsonl"))
    write_kept(found, kept(found, drop={3, 4}), tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 29)), st.integers(1, 40), st.integers(1, 8))
def test_any_choice_of_rows_is_written_as_it_was(tmp_path: Path, drop: set[int], block: int, flush: int) -> None:
    rows = [{"text": f"t{i}", "n": i} if i % 9 else b"oops" for i in range(30)]
    put(tmp_path / "a.jsonl", {"text": "first", "n": -1}, *rows)
    found = read(tmp_path, "a.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_rows, "BLOCK", 1000)
        patch.setattr(write, "FLUSH_ROWS", flush)
        _, frames = written(tmp_path, found, kept(found, drop={i + 1 for i in drop}))
    wanted = [-1] + [row["n"] for i, row in enumerate(rows) if isinstance(row, dict) and i not in drop]
    assert frames["rows/train"]["n"].to_list() == wanted


def test_one_odd_value_does_not_make_json_of_a_column_of_texts(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", {"text": "a", "v": 'say "hi"'}, {"text": "b", "v": 7}, {"text": "c", "v": None})
    assert one(tmp_path)["v"].to_list() == ['say "hi"', "7", None]


def test_a_row_that_left_has_no_say_in_the_type_of_a_column(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", {"text": "a", "v": [1]}, {"text": "b", "v": "odd"}, {"text": "c", "v": [2, 3]})
    found = read(tmp_path, "a.jsonl")
    _, frames = written(tmp_path, found, kept(found, drop={1}))
    assert frames["rows/train"]["v"].to_list() == [[1], [2, 3]]
