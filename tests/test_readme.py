"""The README shows a row that the demo really has."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from factory import build, load

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.slow
def test_the_sample_row_is_a_row_of_the_demo(tmp_path: Path) -> None:
    shown = re.search(r"```text\nuser (.*?)\nassistant ", README.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    build("demo", out=tmp_path, mini={"rows": 0})
    rows = load("demo", "sft", "train", out=tmp_path).filter(pl.col("recipe") == "chains")
    prompts = {" ".join(messages[0]["content"].split()) for messages in rows["messages"].to_list()}
    assert " ".join(shown[1].split()) in prompts
