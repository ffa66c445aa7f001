from __future__ import annotations

import polars as pl
import pytest

from factory.curate.columns import RowColumns, rows_of
from factory.curate.heldout import heldout_rows


def rows(texts: list[str], template: str = "") -> pl.DataFrame:
    return rows_of(pl.DataFrame({"text": texts, "t": [template] * len(texts)}), RowColumns(template="t"))


def test_copies_fall_on_one_side() -> None:
    texts = [f"Question {i} and so on" for i in range(200)]
    sides = heldout_rows(rows(texts), 0.5)
    assert heldout_rows(rows([f"  {text.upper()}\n" for text in texts]), 0.5).to_list() == sides.to_list()


def test_side_of_a_row_does_not_depend_on_the_others() -> None:
    texts = [f"Question {i}" for i in range(200)]
    assert heldout_rows(rows(texts), 0.3)[50:].to_list() == heldout_rows(rows(texts[50:]), 0.3).to_list()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_about_that_share_is_held_out(share: float) -> None:
    assert heldout_rows(rows([f"Question {i}" for i in range(4000)]), share).mean() == pytest.approx(share, abs=0.03)


def test_larger_share_holds_out_the_same_rows_and_more() -> None:
    frame = rows([f"Question {i}" for i in range(500)])
    assert not (heldout_rows(frame, 0.1) & ~heldout_rows(frame, 0.3)).any()


def test_template_stays_together() -> None:
    frame = pl.concat([rows([f"{t} {i}" for i in range(20)], t) for t in "abcdefgh"])
    sides = frame.select("template").with_columns(heldout_rows(frame, 0.5, "template").alias("out"))
    assert sides.group_by("template").agg(pl.col("out").n_unique())["out"].to_list() == [1] * 8


def test_rows_without_instruction_do_not_all_fall_on_one_side() -> None:
    frame = rows([f"x {i}" for i in range(100)]).with_columns(instruction=pl.lit(""))
    assert heldout_rows(frame, 0.5).n_unique() == 2
