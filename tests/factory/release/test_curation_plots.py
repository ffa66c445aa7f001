from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from factory.release.curation_plots import PICTURES, plots, short

REPORT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "curation-report.json").read_bytes())


def report(**changed: Any) -> dict[str, Any]:
    return REPORT | {"curation": REPORT["curation"] | changed}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("plots") / "deep" / "er"
    assert plots(REPORT, folder) == [f"er/{name}" for name in PICTURES]
    return folder


def test_every_picture_is_a_png(drawn: Path) -> None:
    for name in PICTURES:
        assert (drawn / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_the_same_figures_give_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    plots(REPORT, tmp_path)
    for name in PICTURES:
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes(), name


def test_no_picture_names_the_time_or_the_software(drawn: Path) -> None:
    for name in PICTURES:
        content = (drawn / name).read_bytes()
        assert not any(mark in content for mark in (b"Software", b"tIME", b"Creation"))


def test_other_figures_give_other_pictures(drawn: Path, tmp_path: Path) -> None:
    plots(report(rows_out=5), tmp_path)
    assert (tmp_path / "funnel.png").read_bytes() != (drawn / "funnel.png").read_bytes()


def test_what_was_not_measured_is_not_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    one = [{"language": "en", "in": 5, "out": 5}]
    found = report(lengths={}, languages=one, similarities={}, difficulty=None)
    assert plots(found, tmp_path / "plots") == ["plots/funnel.png"]


def test_empty_and_hostile_figures_can_be_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    name = "$\\frac{a} \u202e\U0001f600\x00\n" * 5
    lengths = {name: {"edges": [0, 1], "in": [0], "out": [0], "in_median": None, "out_median": None}}
    stage = {"stage": name, "rows_in": 0, "rows_out": 0, "rejects": 0, "reasons": []}
    found = report(
        rows_in=0,
        rows_out=0,
        funnel=[stage],
        lengths=lengths,
        languages=[{"language": name, "in": 0, "out": 0}] * 30,
        similarities={name: {"threshold": 1.0, "edges": [0.95, 1.0], "rows": [0]}},
        difficulty={
            "model": name,
            "known": 0,
            "unknown": 0,
            "unknown_out": 0,
            "bins": [{"rate": 0.0, "in": 0, "out": 0}],
        },
    )
    assert len(plots(found, tmp_path)) == len(PICTURES)


def test_without_the_extra_nothing_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert plots(REPORT, tmp_path / "plots") == []
    assert not (tmp_path / "plots").exists()


@pytest.mark.parametrize(("value", "said"), [(0, "0"), (9_000, "9,000"), (12_500, "12.5k"), (1_500_000, "1.5 M")])
def test_large_counts_are_written_short(value: float, said: str) -> None:
    assert short(value) == said
