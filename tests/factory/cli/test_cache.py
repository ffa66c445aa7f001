from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result

from factory.teacher import upkeep
from factory.teacher.protocol import Reply, Request, Usage
from factory.teacher.reply_store import ReplyStore

Factory = Callable[..., Result]
DAY = 86_400


def key_of(number: int) -> str:
    return f"{number:032x}"


def fill(store: ReplyStore, count: int, model: str = "one", first: int = 0, failing: int = 0) -> None:
    """Put replies into a store, the first ones of which failed."""
    for i in range(count):
        reply = Reply(text=f"reply {i} ÿ", usage=Usage(10, 3), model=model)
        reply = reply.failed("refused", "no") if i < failing else reply
        store.put(key_of(first + i), model, Request(prompt=f"prompt {i}", repeat=i), reply)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReplyStore]:
    opened = ReplyStore(tmp_path / "outputs" / "cache" / "replies.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def filled(store: ReplyStore) -> ReplyStore:
    """Five replies of the model one, two of them failures, and three of the model two, 40 days old."""
    fill(store, 5, failing=2)
    fill(store, 3, "two", first=100)
    store.change("UPDATE replies SET created = ? WHERE model = 'two'", [(int(time.time()) - 40 * DAY,)])
    return store


def replies(store: ReplyStore) -> dict[str, bytes]:
    return dict(store.query("SELECT key, reply FROM replies"))


def rows(store: ReplyStore) -> list[tuple[object, ...]]:
    return list(store.query("SELECT * FROM replies ORDER BY key"))


def test_stats_tell_replies_tokens_and_failures_of_each_model(factory: Factory, filled: ReplyStore) -> None:
    found = json.loads(factory("cache", "stats", "--json").stdout)
    assert found["replies"] == 8
    assert found["bytes"] >= filled.path.stat().st_size
    one, two = found["models"]
    assert (one["model"], one["replies"], one["prompt_tokens"], one["completion_tokens"]) == ("one", 5, 50, 15)
    assert one["failures"] == {"refused": 2}
    assert two["failures"] == {}
    assert one["first"] - two["last"] >= 39 * DAY


def test_stats_are_a_table_for_people(factory: Factory, filled: ReplyStore) -> None:
    shown = factory("cache", "stats").stdout.splitlines()
    assert shown[0].split() == [
        "model",
        "replies",
        "prompt",
        "tokens",
        "completion",
        "tokens",
        "failures",
        "first",
        "last",
    ]
    assert shown[1].split()[:6] == ["one", "5", "50", "15", "refused", "2"]
    assert shown[-1].startswith("8 replies, ")


@pytest.mark.parametrize("command", [["stats"], ["export", "x.jsonl"], ["prune", "--failures"]])
def test_a_cache_that_is_not_there_is_told_with_a_remedy(factory: Factory, command: list[str]) -> None:
    done = factory("cache", *command)
    assert done.exit_code == 2
    assert "there is no reply cache outputs/cache/replies.sqlite" in done.stderr
    assert "--out DIR" in done.stderr


@pytest.mark.parametrize("name", ["all.jsonl", "all.parquet"])
def test_an_export_that_is_imported_elsewhere_is_the_same_cache(
    factory: Factory, filled: ReplyStore, tmp_path: Path, name: str
) -> None:
    assert factory("cache", "export", name).stdout == f"exported 8 replies to {name}\n"
    done = factory("cache", "import", name, "--json", out=tmp_path / "elsewhere")
    assert json.loads(done.stdout) == {"added": 8, "present": 0}
    other = ReplyStore(tmp_path / "elsewhere" / "cache" / "replies.sqlite")
    assert rows(other) == rows(filled)
    other.close()


def test_an_export_says_request_and_reply_in_full(factory: Factory, filled: ReplyStore, tmp_path: Path) -> None:
    factory("cache", "export", "all.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == sorted(line["key"] for line in lines)
    assert lines[2]["request"]["prompt"] == "prompt 2"
    assert lines[2]["request"]["sampling"]["max_tokens"] == 1024
    assert lines[2]["reply"]["text"] == "reply 2 ÿ"
    assert lines[0]["reply"]["failure"] == {"kind": "refused", "detail": "no"}
    factory("cache", "export", "all.parquet")
    frame = pl.read_parquet(tmp_path / "all.parquet")
    assert [json.loads(text) for text in frame["reply"]] == [line["reply"] for line in lines]


def test_an_import_keeps_what_is_there(factory: Factory, store: ReplyStore) -> None:
    fill(store, 3)
    factory("cache", "export", "three.jsonl")
    store.change("UPDATE replies SET reply = ? WHERE key = ?", [(b'{"kept": 1}', key_of(1))])
    store.change("DELETE FROM replies WHERE key = ?", [(key_of(2),)])
    assert factory("cache", "import", "three.jsonl").stdout == "added 1 replies; 2 were here already\n"
    assert replies(store)[key_of(1)] == b'{"kept": 1}'


def test_an_export_does_not_replace_a_file(factory: Factory, filled: ReplyStore, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("mine")
    done = factory("cache", "export", "mine.jsonl")
    assert done.exit_code == 2
    assert "mine.jsonl exists already; choose another name" in done.stderr
    assert (tmp_path / "mine.jsonl").read_text() == "mine"


@pytest.mark.parametrize("command", ["export", "import"])
def test_a_file_of_another_form_is_told(factory: Factory, filled: ReplyStore, command: str) -> None:
    done = factory("cache", command, "all.csv")
    assert done.exit_code == 2
    assert "all.csv must end in .jsonl or .parquet, which says its form; found '.csv'" in done.stderr


GOOD = {"key": key_of(1), "model": "m", "created": 1, "request": {"prompt": "p"}}
REPLY = {
    "text": "t",
    "finish": "stop",
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    "latency": 0,
    "model": "m",
}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2 is not JSON"),
        ("[]", "line 2 is not an exported reply"),
        (json.dumps(GOOD), "line 2 is not an exported reply (KeyError: 'reply')"),
        (json.dumps(GOOD | {"reply": {"text": "t"}}), "line 2 is not an exported reply (KeyError: 'usage')"),
        (json.dumps(GOOD | {"reply": REPLY, "key": "short"}), "line 2 is not an exported reply (key 'short'"),
        (
            json.dumps(GOOD | {"reply": REPLY | {"failure": {"kind": "timeout", "detail": ""}}}),
            "line 2 is not an exported reply (key '00000000000000000000000000000001', failure timeout)",
        ),
    ],
)
def test_a_bad_line_of_an_import_is_named(factory: Factory, tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "bad.jsonl").write_text(f"{json.dumps(GOOD | {'reply': REPLY})}\n{line}\n")
    done = factory("cache", "import", "bad.jsonl")
    assert done.exit_code == 2
    assert told in done.stderr


def test_a_damaged_parquet_file_is_told(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no more PAR1")
    done = factory("cache", "import", "bad.parquet")
    assert done.exit_code == 2
    assert "bad.parquet is not a Parquet file that can be read" in done.stderr


def test_a_file_to_import_that_is_not_there_is_told(factory: Factory) -> None:
    done = factory("cache", "import", "none.jsonl")
    assert done.exit_code == 2
    assert "there is no file none.jsonl to import" in done.stderr


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--failures"], 6),
        (["--model", "two"], 5),
        (["--older-than", 30], 5),
        (["--older-than", 50], 8),
        (["--older-than", 0.5, "--model", "one"], 8),
        (["--model", "one", "--failures"], 6),
        (["--model", "two", "--failures"], 8),
    ],
)
def test_prune_removes_what_all_options_fit_and_only_with_yes(
    factory: Factory, filled: ReplyStore, options: list[object], left: int
) -> None:
    before = replies(filled)
    assert json.loads(factory("cache", "prune", *options, "--json").stdout)["would_remove"] == 8 - left
    assert replies(filled) == before
    done = json.loads(factory("cache", "prune", *options, "--yes", "--json").stdout)
    assert (done["removed"], done["replies"]) == (8 - left, left)
    assert len(replies(filled)) == left
    assert replies(filled).items() <= before.items()


def test_prune_says_what_it_would_do_and_what_it_did(factory: Factory, filled: ReplyStore) -> None:
    assert factory("cache", "prune", "--failures").stdout == "would remove 2 of 8 replies; add --yes to remove them\n"
    assert factory("cache", "prune", "--failures", "--yes").stdout.startswith("removed 2 replies; 6 are left, ")


def test_prune_without_a_wish_removes_nothing(factory: Factory, filled: ReplyStore) -> None:
    done = factory("cache", "prune", "--yes")
    assert done.exit_code == 2
    assert "say which replies to remove: --older-than DAYS, --model NAME or --failures" in done.stderr
    assert len(replies(filled)) == 8
    assert upkeep.prune(filled, upkeep.Unwanted(), dry=False) == 0


def test_prune_names_the_nearest_model(factory: Factory, filled: ReplyStore) -> None:
    done = factory("cache", "prune", "--model", "twoo")
    assert done.exit_code == 2
    assert "no replies of a model 'twoo' (did you mean 'two'?)" in done.stderr


def test_prune_makes_the_file_smaller(factory: Factory, store: ReplyStore) -> None:
    for i in range(50):
        store.put(key_of(i), "m", Request(prompt="p" * 10_000), Reply(text="t"))
    before = upkeep.size_of(store.path)
    factory("cache", "prune", "--model", "m", "--yes")
    assert upkeep.size_of(store.path) < before / 4
