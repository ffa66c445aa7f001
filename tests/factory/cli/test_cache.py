from __future__ import annotations

import errno
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result

from factory.jobs.talk import TALK
from factory.teacher import upkeep
from factory.teacher.fake import Fake
from factory.teacher.protocol import Reply, Request, Usage
from factory.teacher.reply_store import ReplyStore
from factory.teacher.session import BACK_ENDS
from schemas.turns import TURNS

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
        (json.dumps(GOOD), "line 2 is not an exported reply: it lacks 'reply'; a line must have key, model, created,"),
        ('{"key": "k", "reply": {}}', "it lacks 'model', 'created' and 'request'; a line must have"),
        (json.dumps(GOOD | {"reply": "t"}), "line 2 is not an exported reply: its reply is not JSON"),
        (json.dumps(GOOD | {"reply": {"text": "t"}}), "its reply lacks 'finish', 'usage', 'latency' and 'model'; a"),
        (json.dumps(GOOD | {"reply": REPLY | {"usage": {}}}), "its usage lacks 'prompt_tokens' and 'completion_tok"),
        (json.dumps(GOOD | {"reply": REPLY | {"usage": 3}}), "line 2 is not an exported reply: its usage is no obj"),
        (json.dumps(GOOD | {"reply": REPLY, "created": []}), "line 2 is not an exported reply (TypeError: "),
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


@pytest.mark.parametrize("name", ["none.jsonl", "bad.jsonl", "bad.parquet", "folder.jsonl", "bad.csv"])
def test_a_failed_import_leaves_no_empty_cache(factory: Factory, tmp_path: Path, name: str) -> None:
    for bad in ("bad.jsonl", "bad.parquet", "bad.csv"):
        (tmp_path / bad).write_text('{"key": "k"}\n')
    (tmp_path / "folder.jsonl").mkdir()
    assert factory("cache", "import", name).exit_code == 2
    assert not (tmp_path / "outputs").exists()


def test_an_export_makes_its_folder(factory: Factory, filled: ReplyStore, tmp_path: Path) -> None:
    assert factory("cache", "export", "new/deep/all.jsonl").exit_code == 0
    assert (tmp_path / "new" / "deep" / "all.jsonl").read_text().count("\n") == 8


def test_an_export_to_where_no_folder_can_be_is_told(factory: Factory, filled: ReplyStore, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    done = factory("cache", "export", "taken/deep/all.jsonl")
    assert done.exit_code == 2
    assert "taken/deep/all.jsonl cannot be written (Not a directory): name a file in a folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["stats"], ["export", "all.jsonl"]])
def test_looking_at_a_cache_writes_nothing_and_waits_for_nobody(
    factory: Factory, filled: ReplyStore, command: list[str]
) -> None:
    list(filled.query("PRAGMA wal_checkpoint(TRUNCATE)"))
    before = filled.path.read_bytes()
    list(filled.query("BEGIN IMMEDIATE"))  # as a writer holds it
    done = factory("cache", *command)
    list(filled.query("ROLLBACK"))
    assert done.exit_code == 0
    assert "8 replies" in done.stdout
    assert filled.path.read_bytes() == before


def refuse_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite behave as it does in a folder where it can make no files."""
    real = ReplyStore._reading

    def reading(store: ReplyStore, how: str) -> sqlite3.Connection:
        if "immutable" not in how:
            raise sqlite3.OperationalError("unable to open database file")
        return real(store, how)

    monkeypatch.setattr(ReplyStore, "_reading", reading)


def test_a_cache_in_a_folder_that_takes_no_files_can_be_read(
    factory: Factory, filled: ReplyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.close()
    refuse_logs(monkeypatch)
    assert json.loads(factory("cache", "stats", "--json").stdout)["replies"] == 8


def test_a_log_that_cannot_be_read_is_told_rather_than_left_out(
    factory: Factory, filled: ReplyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_logs(monkeypatch)
    done = factory("cache", "stats")
    assert done.exit_code == 2
    assert "unable to open database file; make it readable and its folder writable" in done.stderr


def test_stats_of_another_programs_database_are_refused(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "outputs" / "cache").mkdir(parents=True)
    with closing(sqlite3.connect(tmp_path / "outputs" / "cache" / "replies.sqlite")) as other:
        other.execute("CREATE TABLE theirs (a)")
    done = factory("cache", "stats")
    assert done.exit_code == 2
    assert "is a database of another program" in done.stderr


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


def made_of_replies(out: Path) -> list[Path]:
    """Make artifacts as runs leave them; returns the folders of those that hold what came of replies."""
    for stage in ("draw", TALK.name, TURNS.name):
        (out / "artifacts" / stage / "k" / "parts").mkdir(parents=True)
        (out / "artifacts" / stage / "k" / "manifest.json").write_text("{}")
    return [out / "artifacts" / TALK.name, out / "artifacts" / TURNS.name]


def test_prune_forgets_what_came_of_replies(factory: Factory, filled: ReplyStore, tmp_path: Path) -> None:
    made = made_of_replies(tmp_path / "outputs")
    factory("cache", "prune", "--failures")
    assert all(folder.is_dir() for folder in made)
    shown = factory("cache", "prune", "--failures", "--yes").stdout
    assert "removed outputs/artifacts/talk and outputs/artifacts/turns too, which held what came of them" in shown
    assert [path.name for path in (tmp_path / "outputs" / "artifacts").iterdir()] == ["draw"]


def test_prune_that_removes_nothing_forgets_nothing(factory: Factory, filled: ReplyStore, tmp_path: Path) -> None:
    made = made_of_replies(tmp_path / "outputs")
    done = json.loads(factory("cache", "prune", "--model", "two", "--failures", "--yes", "--json").stdout)
    assert (done["removed"], done["forgotten"]) == (0, [])
    assert all((folder / "k" / "manifest.json").is_file() for folder in made)


def test_prune_finishes_a_removal_that_was_interrupted(factory: Factory, filled: ReplyStore, tmp_path: Path) -> None:
    talk = made_of_replies(tmp_path / "outputs")[0]
    talk.rename(talk.with_name(".talk.pruned"))
    made_of = json.loads(factory("cache", "prune", "--failures", "--yes", "--json").stdout)
    assert made_of["forgotten"] == ["outputs/artifacts/turns"]
    assert [path.name for path in talk.parent.iterdir()] == ["draw"]


def test_artifacts_that_cannot_be_removed_keep_the_replies(
    factory: Factory, filled: ReplyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_of_replies(tmp_path / "outputs")

    def refuse(path: Path, to: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "rename", refuse)
    done = factory("cache", "prune", "--failures", "--yes")
    assert done.exit_code == 2
    assert "outputs/artifacts/talk cannot be removed (Permission denied), so nothing was pruned" in done.stderr
    assert len(replies(filled)) == 8


def test_a_run_after_a_prune_asks_again_for_what_failed(
    factory: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "job.yaml").write_text(
        "kind: build\nname: spoken\nrows: 4\nmini: {rows: 0}\n"
        "recipes: [{recipe: rephrased, share: 1, levels: [1]}]\nteacher: {kind: fake, model: m}\n"
    )
    failing = Fake(lambda request: Reply(text="x").failed("refused", "no"), model="m")
    monkeypatch.setitem(BACK_ENDS, "fake", lambda *_: failing)
    assert factory("run", "job.yaml").exit_code != 0
    willing = Fake(model="m")
    monkeypatch.setitem(BACK_ENDS, "fake", lambda *_: willing)
    assert factory("run", "job.yaml").exit_code != 0
    assert willing.asked == []
    factory("cache", "prune", "--failures", "--yes")
    assert factory("run", "job.yaml").exit_code == 0
    assert len(willing.asked) > 0


def test_the_help_of_prune_says_what_goes_too(factory: Factory) -> None:
    assert "artifacts/talk and artifacts/turns" in " ".join(factory("cache", "prune", "--help").stdout.split())
