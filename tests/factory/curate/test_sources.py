from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import factory.curate.read_rows as read_rows
import factory.curate.sources as sources
from factory.artifacts.store import Store
from factory.curate.columns import RowColumns
from factory.curate.read_rows import DataFile, read_blocks
from factory.curate.sources import ReadSource, RowSource, read_shards, read_sources
from factory.errors import UserError
from schemas.curation import ROWS

if TYPE_CHECKING:
    from hub_double import HubDouble

GOOD = b'{"instruction": "Say hi", "output": "Hi."}'


class Desk:
    """A folder with files, and what is read of them."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.store = Store(base / "artifacts")

    def write(self, name: str, data: bytes) -> str:
        path = self.base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return name

    def sources(self, *specs: RowSource | str) -> list[ReadSource]:
        asked = [RowSource(path=spec) if isinstance(spec, str) else spec for spec in specs]
        return read_sources(asked, self.base, self.store, self.base / "outputs")

    def rows(self, *specs: RowSource | str) -> pl.DataFrame:
        return pl.concat([a.read() for source in self.sources(*specs) for a in source.artifacts])

    def rejects(self, *specs: RowSource | str) -> list[str]:
        frames = [a.read_rejects() for source in self.sources(*specs) for a in source.artifacts]
        return [
            f"{reason['code']}: {reason['detail']}" for reasons in pl.concat(frames)["reasons"] for reason in reasons
        ]

    def refusal(self, *specs: RowSource | str) -> str:
        with pytest.raises(UserError) as caught:
            self.sources(*specs)
        return str(caught.value)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def lines(*rows: bytes) -> bytes:
    return b"".join(row + b"\n" for row in rows)


def numbered(n: int, **more: Any) -> bytes:
    return lines(*(orjson.dumps({"instruction": f"Question {i}", "output": f"Answer {i}"} | more) for i in range(n)))


def packed_zst(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(data)
    return bytes(sink.getvalue().to_pybytes())


def table_bytes(**columns: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue().to_pybytes())


# ------------------------------------------------------------------------------------------------------------- formats

SAME: dict[str, Callable[[], bytes]] = {
    "a.jsonl": lambda: numbered(20),
    "a.ndjson": lambda: numbered(20).replace(b"\n", b"\r\n"),
    "a.json": lambda: b"\xef\xbb\xbf" + numbered(20).replace(b"\n", b"\n\n  \n"),
    "a.jsonl.gz": lambda: gzip.compress(numbered(20)),
    "a.jsonl.zst": lambda: packed_zst(numbered(20)),
    "a.csv": lambda: (
        b"\xef\xbb\xbfinstruction,output\r\n" + b"".join(f'"Question {i}",Answer {i}\r\n'.encode() for i in range(20))
    ),
    "a.csv.zst": lambda: packed_zst(
        b"instruction,output\n" + b"".join(f"Question {i},Answer {i}\n\n".encode() for i in range(20))
    ),
    "a.tsv": lambda: b"instruction\toutput\n" + b"".join(f"Question {i}\tAnswer {i}\n".encode() for i in range(20)),
    "a.tsv.gz": lambda: gzip.compress(
        b"instruction\toutput\n" + b"".join(f"Question {i}\tAnswer {i}\n".encode() for i in range(20))
    ),
    "a.parquet": lambda: table_bytes(
        instruction=[f"Question {i}" for i in range(20)], output=[f"Answer {i}" for i in range(20)]
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_every_format_gives_the_same_rows(desk: Desk, name: str) -> None:
    rows = desk.rows(desk.write(name, SAME[name]()))
    ROWS.check(rows)
    assert rows["instruction"].to_list() == [f"Question {i}" for i in range(20)]
    assert rows["answer"].to_list() == [f"Answer {i}" for i in range(20)]
    assert rows["row"].to_list() == list(range(20))
    assert set(rows["source"]) == {"a"}
    assert rows["id"].n_unique() == 20


def test_folder_of_shards_is_read_in_the_order_of_names(desk: Desk) -> None:
    for name in ("b", "a", "c"):
        desk.write(f"data/{name}.jsonl", lines(orjson.dumps({"text": name})))
    desk.write("data/README.md", b"no rows")
    desk.write("data/empty.jsonl", b"")
    rows = desk.rows("data")
    assert rows["instruction"].to_list() == ["a", "b", "c"]
    assert rows["source"].unique().to_list() == ["data"]


def test_pattern_takes_the_files_that_match(desk: Desk) -> None:
    for name in ("a1", "a2", "b1"):
        desk.write(f"data/{name}.jsonl", lines(orjson.dumps({"text": name})))
    assert desk.rows("data/a*.jsonl")["instruction"].to_list() == ["a1", "a2"]


def test_split_of_a_folder_is_told_by_the_names(desk: Desk) -> None:
    for name in ("train", "test"):
        desk.write(f"data/{name}-00000-of-00001.jsonl", lines(orjson.dumps({"text": name})))
    assert desk.rows("data")["instruction"].to_list() == ["train"]
    assert desk.rows(RowSource(path="data", split="test"))["instruction"].to_list() == ["test"]
    assert "no split 'validation'" in desk.refusal(RowSource(path="data", split="validation"))


def release(desk: Desk, folder: str) -> None:
    messages = [[{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]]
    desk.write(f"{folder}/sft/train-00000-of-00001.parquet", table_bytes(id=["x"], messages=messages))
    rl = {"id": ["x"], "prompt": [messages[0][:1]], "reward_model": [{"style": "rule", "ground_truth": "A!"}]}
    desk.write(f"{folder}/rl/train-00000-of-00001.parquet", table_bytes(**rl))
    desk.write(f"{folder}/manifest.json", orjson.dumps({"configs": {"sft": {"train": 1}, "rl": {"train": 1}}}))


@pytest.mark.parametrize("path", ["mine", "mine@1.0.0", "outputs/releases/mine/1.0.0"])
def test_release_is_read_by_folder_or_by_name(desk: Desk, path: str) -> None:
    release(desk, "outputs/releases/mine/1.0.0")
    assert desk.rows(path).select("id", "instruction", "answer").rows() == [("x", "Q", "A")]
    assert desk.rows(RowSource(path=path, config="rl"))["answer"].to_list() == ["A!"]


def test_dataset_on_the_hub_is_read(desk: Desk, hub: HubDouble) -> None:
    files = {"main/train.jsonl": numbered(3), "main/test.jsonl": numbered(1), "other/train.jsonl": numbered(2)}
    hub.add_dataset("org/puzzles", files)
    [source] = desk.sources(RowSource(path="hub:org/puzzles", config="main"))
    assert (source.source.name, source.rows) == ("puzzles", 3)


# ---------------------------------------------------------------------------------------------------------------- ids


def test_ids_of_the_source_are_kept_when_they_name_each_row_once(desk: Desk) -> None:
    data = lines(b'{"uid": 7, "text": "a"}', b'{"uid": "eight", "text": "b"}')
    spec = RowSource(path=desk.write("a.jsonl", data), columns=RowColumns(id="uid"))
    assert desk.rows(spec)["id"].to_list() == ["7", "eight"]


@pytest.mark.parametrize("second", [b'{"id": 7, "text": "b"}', b'{"text": "b"}', b'{"id": "", "text": "b"}'])
def test_ids_that_name_no_row_or_two_are_made_anew_and_it_is_said(desk: Desk, second: bytes) -> None:
    [source] = desk.sources(desk.write("a.jsonl", lines(b'{"id": 7, "text": "a"}', second)))
    assert not source.own_ids
    assert "does not name each row once" in source.notes[1]
    assert source.artifacts[0].read()["id"].n_unique() == 2


def test_ids_are_distinct_over_all_sources(desk: Desk) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        desk.write(name, lines(b'{"id": 1, "text": "x"}', b'{"id": 2, "text": "y"}'))
    first, second = desk.sources("a.jsonl", "b.jsonl")
    assert (first.own_ids, second.own_ids) == (True, False)
    assert desk.rows("a.jsonl", "b.jsonl")["id"].n_unique() == 4


def test_twins_among_ids_are_found_across_shards(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SHARD_ROWS", 3)
    data = lines(*(orjson.dumps({"id": i % 7, "text": "x"}) for i in range(8)))
    [source] = desk.sources(desk.write("a.jsonl", data))
    assert not source.own_ids


def test_two_sources_of_one_name_are_refused(desk: Desk) -> None:
    desk.write("x/a.jsonl", numbered(1))
    desk.write("y/a.csv", SAME["a.csv"]())
    assert "two sources are called 'a'" in desk.refusal("x/a.jsonl", "y/a.csv")


# -------------------------------------------------------------------------------------------------------------- shards


def test_row_goes_on_from_source_to_source(desk: Desk) -> None:
    desk.write("a.jsonl", numbered(3))
    desk.write("b.jsonl", numbered(2))
    first, second = desk.sources("a.jsonl", "b.jsonl")
    assert (first.first, first.places, second.first, second.places) == (0, 3, 3, 2)
    assert desk.rows("a.jsonl", "b.jsonl")["row"].to_list() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_size_of_blocks_does_not_matter(desk: Desk, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write(name, SAME[name]())
    whole = desk.rows(name)
    monkeypatch.setattr(read_rows, "BLOCK", 50)
    monkeypatch.setattr(read_rows, "BATCH", 3)
    desk.store = Store(desk.base / "elsewhere")
    assert desk.rows(name).equals(whole)


def test_shards_have_a_fixed_number_of_places(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SHARD_ROWS", 4)
    data = lines(*[GOOD] * 5, b"{", *[GOOD] * 3, b"[]", *[GOOD] * 2)
    shards = list(read_shards([RowSource(path=desk.write("a.jsonl", data))], desk.base, desk.store, desk.base))
    assert [(shard.rows, shard.rejects) for shard in shards] == [(4, 0), (3, 1), (3, 1)]
    assert [row for shard in shards for row in shard.read()["row"]] == [0, 1, 2, 3, 4, 6, 7, 8, 10, 11]


def test_second_run_reads_no_rows(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    name = desk.write("a.jsonl", numbered(5))
    before = desk.sources(name)
    monkeypatch.setattr(sources, "read_blocks", None)
    after = desk.sources(name)
    assert [a.key for a in after[0].artifacts] == [a.key for a in before[0].artifacts]
    assert not any(a.made for a in after[0].artifacts)


def test_changed_bytes_are_read_even_when_size_and_time_are_the_same(desk: Desk) -> None:
    import os

    name = desk.write("a.jsonl", numbered(5))
    stat = (desk.base / name).stat()
    desk.sources(name)
    desk.write(name, numbered(5).replace(b"Question 3", b"Question X"))
    os.utime(desk.base / name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert desk.rows(name)["instruction"][3] == "Question X"


def test_shard_that_was_lost_is_read_again(desk: Desk) -> None:
    import shutil

    name = desk.write("a.jsonl", numbered(5))
    [source] = desk.sources(name)
    shutil.rmtree(source.artifacts[0].folder.parent)
    assert desk.rows(name).height == 5


@pytest.mark.parametrize("gap", [b"", b"\n", b"\n  "])
def test_one_json_array_is_read_like_lines(desk: Desk, gap: bytes) -> None:
    rows = [b'{"instruction": "Name a river.", "output": "The Loire."}', b"7", b'{"instruction": "And a lake."}']
    desk.write("a.json", b"[" + gap + (b"," + gap).join(rows) + gap + b"]\n")
    assert desk.rows("a.json")["instruction"].to_list() == ["Name a river.", "And a lake."]
    assert desk.rejects("a.json") == ["row_readable: a.json, element 1: a number, not an object"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_json_array_that_is_too_large_is_refused_with_the_way_to_make_lines_of_it(
    desk: Desk, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"[" + b",\n".join([GOOD] * 100) + b"]"
    name = desk.write("a.json" if pack is bytes else "a.json.gz", pack(data))
    monkeypatch.setattr(read_rows, "ARRAY_BYTES", len(data))
    assert desk.rows(name).height == 100
    monkeypatch.setattr(read_rows, "ARRAY_BYTES", len(data) - 1)
    said = desk.refusal(name)
    assert f"{name} is one JSON array of more than" in said
    assert f"{'cat' if pack is bytes else 'gzip -dc'} OLD | jq -cn --stream" in said


# ------------------------------------------------------------------------------------ columns that come later in a file


def later(desk: Desk, monkeypatch: pytest.MonkeyPatch, **more: Any) -> str:
    monkeypatch.setattr(read_rows, "BLOCK", 100)
    return desk.write("a.jsonl", numbered(5) + numbered(1, **more))


def test_column_that_comes_later_is_not_taken_and_it_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    [source] = desk.sources(later(desk, monkeypatch, input="This.", id="7", mood="good"))
    assert source.notes[1:] == ("'id', 'input' not taken: no row at the beginning has it; put one that has it first",)
    assert desk.sources("a.jsonl")[0].notes == source.notes  # as an earlier run read it


@pytest.mark.parametrize("more", [{"input": ""}, {"input": None}, {"mood": "good"}, {"question": "Why?"}])
def test_nothing_is_said_of_later_columns_that_change_nothing(
    desk: Desk, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    [source] = desk.sources(later(desk, monkeypatch, **more))
    assert source.notes[1:] == ()


def test_nothing_is_said_of_later_columns_where_the_job_tells_its_own(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = RowColumns(instruction="instruction", answer="output")
    [source] = desk.sources(RowSource(path=later(desk, monkeypatch, input="This."), columns=columns))
    assert source.notes[1:] == ()


# ----------------------------------------------------------------------------------------------------------- bad input

BAD_LINES = {
    b"{": "not JSON",
    b"[1, 2]": "an array, not an object",
    b'"text"': "a string, not an object",
    b"null": "null, not an object",
    b'{"instruction": "\xff"}': "not UTF-8 (byte 0xff at column 18)",
    b'{"instruction": "\\ud800"}': "half of a surrogate pair",
    b'{"instruction": ' + b"[" * 100_000: "JSON that cannot be read",
    b"\x00": "not JSON",
    b'{"a": 1} {"b": 2}': "Extra data",
}


@pytest.mark.parametrize("bad", BAD_LINES, ids=BAD_LINES.values())
def test_line_that_is_no_row_is_a_reject_with_its_place_and_the_rest_goes_on(desk: Desk, bad: bytes) -> None:
    name = desk.write("a.jsonl", lines(GOOD, b"", GOOD, bad, GOOD))
    [said] = desk.rejects(name)
    assert said.startswith("row_readable: a.jsonl, line 4: ")
    assert BAD_LINES[bad] in said
    assert desk.rows(name)["row"].to_list() == [0, 1, 3]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"only one", "line 4: 1 cells, the first line has 2"),
        (b"a,b,c", "line 4: 3 cells, the first line has 2"),
        (b"\xff,b", "line 4: not UTF-8"),
        (b'"never closed,b', "line 4: not CSV"),
        (b'"closed"too early,b', "line 4: not CSV"),
    ],
)
def test_record_that_is_none_is_a_reject_and_the_rest_goes_on(desk: Desk, bad: bytes, why: str) -> None:
    name = desk.write("a.csv", lines(b"instruction,output", b"q,a", b"q,a", bad, b"q,a", b"q,a"))
    [said] = desk.rejects(name)
    assert why in said
    assert desk.rows(name)["row"].to_list() == [0, 1, 3, 4]


def test_cell_of_csv_may_hold_lines_and_quotes(desk: Desk) -> None:
    data = b'instruction,output\n"two\nlines, ""quoted""",a\nb,c\n'
    assert desk.rows(desk.write("a.csv", data))["instruction"].to_list() == ['two\nlines, "quoted"', "b"]


def test_text_of_parquet_that_is_no_utf8_is_a_reject(desk: Desk) -> None:
    raw = pa.array([b"good", b"\xff\xfe", b"fine"], type=pa.binary())
    bad = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    name = desk.write("a.parquet", table_bytes(text=bad))
    assert desk.rejects(name) == ["row_readable: a.parquet, row 1, column 'text': not UTF-8"]
    assert desk.rows(name)["instruction"].to_list() == ["good", "fine"]


ODD = {
    "10 MB": "x" * 10_000_000,
    "one character": "a" * 100_000,
    "emoji": "👩‍👩‍👧‍👦" * 10,
    "right to left": "שלום עולם",
    "control": "\x00\x01\x1b[31m\u2028",
    "empty": "",
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_odd_texts_come_through_as_they_are(desk: Desk, kind: str, suffix: str) -> None:
    texts = ["before", ODD[kind], "after"]
    frame = pl.DataFrame({"instruction": texts, "output": ["a", "b", "c"]})
    writer = {".jsonl": frame.write_ndjson, ".csv": frame.write_csv, ".parquet": frame.write_parquet}[suffix]
    writer(desk.base / f"a{suffix}")
    assert desk.rows(f"a{suffix}")["instruction"].to_list() == texts


def test_nan_as_python_writes_it_is_read(desk: Desk) -> None:
    row = json.dumps({"text": "a", "score": float("nan")}).encode()
    name = desk.write("a.jsonl", lines(row, b'{"text": "b", "score": 1}'))
    rows = desk.rows(RowSource(path=name, columns=RowColumns(quality="score")))
    assert rows["quality"].to_list() == [None, 1.0]


LINE = st.sampled_from([GOOD, b"", b"  ", b"{", b"[]", b'{"output": 3}', b"\xff", b"\r", b'{"instruction": null}'])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(LINE, min_size=1, max_size=30), st.integers(1, 40))
def test_rows_and_rejects_are_the_lines_that_are_not_blank(desk: Desk, some: list[bytes], block: int) -> None:
    some = [GOOD] * 40 + some
    path = desk.base / desk.write("a.jsonl", b"\n".join(some))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_rows, "BLOCK", block * 20)
        blocks = list(read_blocks(DataFile("a.jsonl", path), ["instruction"]))
    assert sum(b.height for b in blocks) == sum(1 for line in some if line.strip())
    for b in blocks:
        assert len(b.columns["instruction"]) + len(b.faults) == b.height


REFUSED: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.jsonl", b"", "a.jsonl has no rows: nothing to curate"),
    "blank": ("a.jsonl", b"\n \n", "no rows"),
    "empty csv": ("a.csv", b"", "no rows"),
    "header alone": ("a.csv", b"instruction,output\n", "no rows"),
    "empty parquet": ("a.parquet", table_bytes(text=pa.array([], pa.string())), "no rows"),
    "array": ("a.json", b'[\n{"a": 1},\n{"a": 2\n', "JSON array"),
    "noise": ("a.jsonl", bytes(range(256)) * 9, "cannot be read"),
    "utf-16": ("a.csv", "instruction,output\na,b\n".encode("utf-16"), "the first line must name the columns"),
    "half bad": ("a.jsonl", lines(GOOD, b"{", b"}"), "2 of its first 3 rows cannot be read; line 2"),
    "no parquet": ("a.parquet", b"PAR1 no", "cannot be read as parquet"),
    "cut gz": ("a.jsonl.gz", gzip.compress(numbered(5000))[:-2000], "breaks off"),
    "no gz": ("a.jsonl.gz", numbered(3), "cannot be read"),
    "no zst": ("a.jsonl.zst", numbered(3), "cannot be read"),
    "twice": ("a.csv", b"text,text\na,b\n", "names the column 'text' twice"),
    "no known column": ("a.csv", b"foo,bar\na,b\n", "its columns: foo, bar; say which"),
    "ending": ("a.xml", b"<a/>", "'a.xml' ends in '.xml'; those that can be read: .jsonl"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_file_that_cannot_be_curated_is_the_users_mistake_in_one_sentence(desk: Desk, kind: str) -> None:
    name, data, said = REFUSED[kind]
    message = desk.refusal(desk.write(name, data))
    assert said in message
    assert "\n" not in message


def test_zst_that_breaks_off_is_not_taken_for_whole(desk: Desk) -> None:
    noise = lines(*(orjson.dumps({"text": str(i * 7919 % 104729)}) for i in range(20_000)))
    assert "big.jsonl.zst" in desk.refusal(desk.write("big.jsonl.zst", packed_zst(noise)[:-3000]))


def test_missing_file_is_named_with_the_nearest(desk: Desk) -> None:
    desk.write("rows.jsonl", numbered(1))
    assert "did you mean 'rows.jsonl'?" in desk.refusal("row.jsonl")


def test_name_that_looks_like_a_dataset_says_how_the_hub_is_written(desk: Desk) -> None:
    assert "hub:org/data" in desk.refusal("org/data")


def test_folder_without_data_says_what_it_holds(desk: Desk) -> None:
    desk.write("data/notes.txt", b"x")
    assert "it holds: notes.txt" in desk.refusal("data")


def test_folder_of_several_formats_is_refused(desk: Desk) -> None:
    desk.write("data/a.jsonl", numbered(1))
    desk.write("data/b.csv", SAME["a.csv"]())
    assert "holds files of csv and json" in desk.refusal("data")


def test_later_file_without_a_column_is_named(desk: Desk) -> None:
    desk.write("data/a.csv", b"text,id\na,1\n")
    desk.write("data/b.csv", b"text\nb\n")
    assert desk.refusal("data") == "data/b.csv has no column 'id', which data/a.csv has"


def test_pattern_without_match_is_refused(desk: Desk) -> None:
    assert "no file matches '*.jsonl'" in desk.refusal("*.jsonl")


def test_key_that_a_source_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="colums"):
        RowSource.model_validate({"path": "a.jsonl", "colums": {}})


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("data/My rows.jsonl.gz", "My-rows"),
        ("hub:org/name@main", "name"),
        ("hub:org/name/folder", "name"),
        ("mine@1.0.0", "mine"),
        ("data/", "data"),
        ("*.jsonl", "rows"),
    ],
)
def test_source_is_called_by_its_path_when_nobody_says(path: str, label: str) -> None:
    assert RowSource(path=path).label == label
