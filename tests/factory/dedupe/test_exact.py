"""The dedupe keeps what a slow and obvious one keeps, and every copy names the kept, earlier row it is a copy of."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.artifacts.digest import text_digest
from factory.artifacts.stage import apply
from factory.artifacts.store import Artifact, Store
from factory.dedupe.earlier import Earlier
from factory.dedupe.exact import DEDUPE

CAPS = [1, 3]


@dataclass(frozen=True, slots=True)
class Row:
    """A verdict in short: which problem, which prompt, which shape; shape 0 belongs to entry 0 and has cap 1."""

    problem: int
    prompt: int
    shape: int


ROWS = st.builds(Row, st.integers(0, 9), st.integers(0, 9), st.integers(0, 3))
SHARDS = st.lists(st.lists(ROWS, max_size=8), max_size=4)


def entry_of(row: Row) -> int:
    return min(row.shape, 1)


def verdicts(rows: list[Row], first: int = 0) -> pl.DataFrame:
    """Return the rows as VERDICTS, with slots from `first` and ids `r<slot>`."""
    columns = {
        "id": [f"r{first + i}" for i in range(len(rows))],
        "slot": range(first, first + len(rows)),
        "attempt": [0] * len(rows),
        "digest": [text_digest(f"problem {r.problem}") for r in rows],
        "prompt_digest": [text_digest(f"prompt {r.prompt}") for r in rows],
        "cap_key": [text_digest(f"shape {r.shape}") for r in rows],
        "entry": [entry_of(r) for r in rows],
        "effective_depth": [1] * len(rows),
    }
    return pl.DataFrame(columns, schema=dict(DEDUPE.reads.columns))


@dataclass(slots=True)
class Greedy:
    """The obvious dedupe: one row at a time, against the rows kept so far."""

    problems: dict[int, str] = field(default_factory=dict)
    prompts: dict[int, str] = field(default_factory=dict)
    shapes: Counter[int] = field(default_factory=Counter)

    def judge(self, id_: str, row: Row) -> tuple[str, str | None]:
        """Return (code, twin) of a row; the code is `kept` when it stays."""
        if row.problem in self.problems:
            return "problem_is_new", self.problems[row.problem]
        if row.prompt in self.prompts:
            return "prompt_is_new", self.prompts[row.prompt]
        if self.shapes[row.shape] >= CAPS[entry_of(row)]:
            return "within_cap", None
        self.problems[row.problem] = self.prompts[row.prompt] = id_
        self.shapes[row.shape] += 1
        return "kept", None


def judgements(kept: Artifact) -> dict[str, tuple[str, str | None]]:
    out: dict[str, tuple[str, str | None]] = dict.fromkeys(kept.read()["id"], ("kept", None))
    for id_, reasons in kept.read_rejects().rows():
        assert len(reasons) == 1
        out[id_] = (reasons[0]["code"], reasons[0]["twin"])
    return out


def dedupe_shards(shards: list[list[Row]]) -> dict[str, tuple[str, str | None]]:
    """Return what became of each row when the shards are deduped one after the other."""
    earlier, first, out = Earlier(), 0, {}
    with tempfile.TemporaryDirectory() as root:
        for i, shard in enumerate(shards):
            kept = apply(DEDUPE, verdicts(shard, first), {"caps": CAPS}, Store(Path(root)), f"k{i}", earlier=earlier)
            earlier.add(kept)
            out |= judgements(kept)
            first += len(shard)
    return out


@pytest.fixture(scope="module", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: None)
        yield


@settings(max_examples=40, deadline=None)
@given(SHARDS)
def test_every_row_is_judged_as_the_obvious_dedupe_judges_it(shards: list[list[Row]]) -> None:
    obvious = Greedy()
    rows = [row for shard in shards for row in shard]
    expected = {f"r{i}": obvious.judge(f"r{i}", row) for i, row in enumerate(rows)}
    assert dedupe_shards(shards) == expected


@settings(max_examples=25, deadline=None)
@given(SHARDS)
def test_every_twin_is_a_kept_earlier_row_that_is_really_the_same(shards: list[list[Row]]) -> None:
    rows = [row for shard in shards for row in shard]
    judged = dedupe_shards(shards)
    for id_, (code, twin) in judged.items():
        if twin is None:
            assert code in ("kept", "within_cap")
            continue
        copy, original = rows[int(id_[1:])], rows[int(twin[1:])]
        assert int(twin[1:]) < int(id_[1:])
        assert judged[twin][0] == "kept"
        assert (copy.problem == original.problem) if code == "problem_is_new" else (copy.prompt == original.prompt)


@settings(max_examples=25, deadline=None)
@given(st.lists(ROWS, max_size=12), st.data())
def test_where_the_shards_are_cut_changes_nothing(rows: list[Row], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    assert dedupe_shards([rows]) == dedupe_shards([rows[:cut], rows[cut:]])


@settings(max_examples=30, deadline=None)
@given(st.lists(ROWS, max_size=8), st.randoms(use_true_random=False))
def test_slots_decide_the_order_and_not_the_place_in_the_frame(rows: list[Row], random: object) -> None:
    frame = verdicts(rows)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    expected = DEDUPE.run(frame, {"caps": CAPS}, earlier=Earlier())
    assert DEDUPE.run(frame[order], {"caps": CAPS}, earlier=Earlier()).equals(expected)


def test_a_copy_says_what_it_copies() -> None:
    rows = [Row(1, 1, 2), Row(1, 2, 2), Row(2, 1, 2)]
    reasons = DEDUPE.run(verdicts(rows), {"caps": CAPS}, earlier=Earlier())["reasons"].to_list()
    copy = {"gate": "dedupe", "detail": "similarity 1", "twin": "r0"}
    assert reasons == [[], [{**copy, "code": "problem_is_new"}], [{**copy, "code": "prompt_is_new"}]]


def test_a_row_over_its_cap_says_the_cap() -> None:
    rows = [Row(1, 1, 0), Row(2, 2, 0)]
    reasons = DEDUPE.run(verdicts(rows), {"caps": CAPS}, earlier=Earlier())["reasons"].to_list()
    assert reasons == [[], [{"gate": "dedupe", "code": "within_cap", "detail": "cap 1", "twin": None}]]


def test_a_copy_takes_no_place_under_the_cap() -> None:
    rows = [Row(1, 1, 1), Row(1, 1, 1), Row(2, 2, 1), Row(3, 3, 1)]
    codes = DEDUPE.run(verdicts(rows), {"caps": CAPS}, earlier=Earlier())["reasons"].list.len().to_list()
    assert codes == [0, 1, 0, 0]


@pytest.mark.parametrize("n", [0, 1])
def test_very_few_rows_are_kept(n: int) -> None:
    out = DEDUPE.run(verdicts([Row(1, 1, 1)] * n), {"caps": CAPS}, earlier=Earlier())
    assert out["reasons"].list.len().to_list() == [0] * n
