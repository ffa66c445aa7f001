from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from factory.errors import UserError, Waiting
from factory.teacher import batch_file
from factory.teacher.batch_file import BatchFile
from factory.teacher.cache import Cache
from factory.teacher.protocol import Reply, Request, Sampling, Teacher, Usage
from factory.teacher.reply_store import ReplyStore
from factory.teacher.wire import batch_line


def ask(text: str) -> Request:
    return Request(messages=({"role": "user", "content": text},), sampling=Sampling(max_tokens=50))


def many(count: int) -> dict[str, Request]:
    return {f"id{i}": ask(f"question {i}") for i in range(count)}


def run(teacher: Teacher, requests: Mapping[str, Request]) -> dict[str, Reply]:
    async def collect() -> dict[str, Reply]:
        await teacher.start()
        got: dict[str, Reply] = {}
        async for id_, reply in teacher.complete(requests):
            assert id_ not in got
            got[id_] = reply
        await teacher.close()
        return got

    return asyncio.run(collect())


def kinds(replies: Mapping[str, Reply]) -> dict[str, str | None]:
    return {id_: reply.failure.kind if reply.failure else None for id_, reply in replies.items()}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def result(key: str, text: str = "the reply", **changes: Any) -> dict[str, Any]:
    """Return a line as a batch API writes it."""
    body = {
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        "model": "m",
    }
    return {"id": "r", "custom_id": key, "response": {"status_code": 200, "body": body}, "error": None} | changes


def put(folder: Path, name: str, *said: dict[str, Any] | str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in said)
    (folder / name).write_text(text)


def key_of(text: str, model: str = "m") -> str:
    return ask(text).key(BatchFile(Path(), model).identity)


def test_requests_without_a_result_are_pending_and_are_written(tmp_path: Path) -> None:
    teacher = BatchFile(tmp_path / "new" / "folder", "m")
    assert set(kinds(run(teacher, many(3))).values()) == {"pending"}
    waiting = teacher.flush()
    assert isinstance(waiting, Waiting)
    assert waiting.exit_code == 3
    written = lines(tmp_path / "new" / "folder" / "requests-001.jsonl")
    assert sorted(written, key=lambda line: str(line["body"])) == [
        batch_line(key_of(f"question {i}"), ask(f"question {i}"), "m") for i in range(3)
    ]


def test_what_is_waited_for_is_told_with_every_way_to_answer(tmp_path: Path) -> None:
    teacher = BatchFile(tmp_path, "m")
    run(teacher, many(3))
    told = str(teacher.flush())
    assert f"3 requests wait for replies, in {tmp_path}: 3 are new, in requests-001.jsonl." in told
    assert f"vllm run-batch -i {tmp_path / 'requests-001.jsonl'} -o {tmp_path / 'results-001.jsonl'} --model m" in told
    assert '{"custom_id": "...", "content": "..."}' in told
    assert "run the same command again" in told


def test_results_in_any_file_and_order_are_the_replies(tmp_path: Path) -> None:
    put(tmp_path, "b.jsonl", result(key_of("question 2"), "two"), "", result(key_of("question 0"), "zero"))
    put(tmp_path, "a.jsonl", result(key_of("question 1"), "one"))
    teacher = BatchFile(tmp_path, "m")
    replies = run(teacher, many(3))
    assert {id_: reply.text for id_, reply in replies.items()} == {"id0": "zero", "id1": "one", "id2": "two"}
    assert replies["id0"].usage == Usage(7, 3)
    assert teacher.flush() is None


def ask_again(folder: Path, count: int) -> tuple[set[str], str]:
    """Ask as a new run does; return the names of files written by it, and what it says that it waits for."""
    before = {path.name: path.read_bytes() for path in folder.glob("requests-*.jsonl") if path.is_file()}
    teacher = BatchFile(folder, "m")
    run(teacher, many(count))
    told = str(teacher.flush())
    after = {path.name: path.read_bytes() for path in folder.glob("requests-*.jsonl") if path.is_file()}
    assert before.items() <= after.items()
    return after.keys() - before.keys(), told


def test_only_what_was_not_handed_out_goes_into_the_next_file(tmp_path: Path) -> None:
    assert ask_again(tmp_path, 5)[0] == {"requests-001.jsonl"}
    put(tmp_path, "results-001.jsonl", *(result(key_of(f"question {i}")) for i in range(3)))
    written, told = ask_again(tmp_path, 6)
    assert written == {"requests-002.jsonl"}
    assert [line["custom_id"] for line in lines(tmp_path / "requests-002.jsonl")] == [key_of("question 5")]
    assert "3 requests wait for replies" in told
    assert "1 are new, in requests-002.jsonl; 2 were handed out earlier and have no reply yet, in" in told
    assert "requests-001.jsonl (delete such a file to have its requests written anew)." in told
    assert f"-i {tmp_path / 'requests-002.jsonl'} -o {tmp_path / 'results-002.jsonl'}" in told


def test_what_was_handed_out_is_not_written_again(tmp_path: Path) -> None:
    ask_again(tmp_path, 3)
    written, told = ask_again(tmp_path, 3)
    assert written == set()
    assert ": 3 were handed out earlier and have no reply yet, in requests-001.jsonl (delete" in told
    assert f"-i {tmp_path / 'requests-001.jsonl'} -o {tmp_path / 'results-001.jsonl'}" in told


def test_no_command_is_told_that_would_write_over_results(tmp_path: Path) -> None:
    ask_again(tmp_path, 3)
    put(tmp_path, "results-001.jsonl", result(key_of("question 0")))
    told = ask_again(tmp_path, 3)[1]
    assert "2 were handed out earlier" in told
    assert "run-batch" not in told


def test_a_file_of_requests_that_is_deleted_is_written_anew(tmp_path: Path) -> None:
    ask_again(tmp_path, 3)
    put(tmp_path, "results-001.jsonl", result(key_of("question 0")))
    (tmp_path / "requests-001.jsonl").unlink()
    assert ask_again(tmp_path, 3)[0] == {"requests-002.jsonl"}
    assert len(lines(tmp_path / "requests-002.jsonl")) == 2


def test_two_models_in_one_folder_write_files_of_their_own(tmp_path: Path) -> None:
    for name in "mn":
        teacher = BatchFile(tmp_path, name)
        run(teacher, many(2))
        teacher.flush()
    assert {line["body"]["model"] for line in lines(tmp_path / "requests-001.jsonl")} == {"m"}
    assert {line["body"]["model"] for line in lines(tmp_path / "requests-002.jsonl")} == {"n"}


def fail(folder: Path, name: str, seconds: int) -> None:
    """Put a result of a bad moment there, as if so many seconds from now."""
    put(folder, name, result(key_of("question 0"), response={"status_code": 500, "body": {"error": "oops"}}))
    when = time.time() + seconds
    os.utime(folder / name, (when, when))


def test_a_request_that_came_back_from_a_bad_moment_is_written_again_once(tmp_path: Path) -> None:
    ask_again(tmp_path, 1)
    fail(tmp_path, "results-001.jsonl", 60)
    assert ask_again(tmp_path, 1)[0] == {"requests-002.jsonl"}
    assert ask_again(tmp_path, 1)[0] == set()
    fail(tmp_path, "results-002.jsonl", 120)
    assert ask_again(tmp_path, 1)[0] == {"requests-003.jsonl"}


def test_a_bad_moment_of_a_deleted_file_does_not_count_for_the_next(tmp_path: Path) -> None:
    fail(tmp_path, "results-001.jsonl", -60)
    assert ask_again(tmp_path, 1)[0] == {"requests-002.jsonl"}
    assert ask_again(tmp_path, 1)[0] == set()


def test_a_reply_may_be_written_by_hand_as_text_or_as_json(tmp_path: Path) -> None:
    put(
        tmp_path,
        "by hand.jsonl",
        {"custom_id": key_of("question 0"), "content": "a text"},
        {"custom_id": key_of("question 1"), "content": {"answer": [1]}},
        {"custom_id": key_of("question 2"), "content": " "},
    )
    replies = run(BatchFile(tmp_path, "m"), many(3))
    assert (replies["id0"].text, replies["id1"].text) == ("a text", '{"answer":[1]}')
    assert kinds(replies)["id2"] == "empty"


@pytest.mark.parametrize(
    "changes",
    [
        {"response": {"status_code": 500, "body": {"error": {"message": "oops"}}}},
        {"response": {"status_code": 429, "body": {"error": {"message": "slow down"}}}},
        {"response": None, "error": {"code": "batch_expired", "message": "the window has passed"}},
        {"response": {"status_code": 200, "body": {"choices": []}}},
    ],
)
def test_a_result_of_a_bad_moment_counts_as_not_answered(tmp_path: Path, changes: dict[str, Any]) -> None:
    put(tmp_path, "results.jsonl", result(key_of("question 0"), **changes))
    teacher = BatchFile(tmp_path, "m")
    assert kinds(run(teacher, many(1))) == {"id0": "pending"}
    assert teacher.flush() is not None


def test_a_later_result_answers_what_a_bad_moment_did_not(tmp_path: Path) -> None:
    failed = result(key_of("question 0"), response={"status_code": 500, "body": {"error": "oops"}})
    put(tmp_path, "results-001.jsonl", failed)
    put(tmp_path, "results-002.jsonl", result(key_of("question 0"), "at last"))
    assert run(BatchFile(tmp_path, "m"), many(1))["id0"].text == "at last"


def test_of_two_results_to_one_request_the_first_counts(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", result(key_of("question 0"), "first"), result(key_of("question 0"), "second"))
    put(tmp_path, "b.jsonl", result(key_of("question 0"), "third"))
    assert run(BatchFile(tmp_path, "m"), many(1))["id0"].text == "first"


@pytest.mark.parametrize(
    ("message", "kind"),
    [("maximum context length is 2048 tokens", "prompt_too_long"), ("bad parameter", "bad_request")],
)
def test_a_request_that_was_refused_for_its_content_is_answered_so(tmp_path: Path, message: str, kind: str) -> None:
    response = {"status_code": 400, "body": {"error": {"message": message}}}
    put(tmp_path, "results.jsonl", result(key_of("question 0"), response=response))
    teacher = BatchFile(tmp_path, "m")
    assert kinds(run(teacher, many(1))) == {"id0": kind}
    assert teacher.flush() is None


def test_results_for_other_requests_are_counted_and_told(tmp_path: Path) -> None:
    put(tmp_path, "results.jsonl", *(result(key_of("another", model=name)) for name in "abc"))
    teacher = BatchFile(tmp_path, "m")
    run(teacher, many(2))
    assert teacher.unknown == 3
    assert "3 results in the folder answer other requests than these." in str(teacher.flush())


def test_results_to_requests_of_an_earlier_round_are_not_unknown(tmp_path: Path) -> None:
    ask_again(tmp_path, 3)
    put(tmp_path, "results-001.jsonl", *(result(key_of(f"question {i}")) for i in range(3)), result("k"))
    teacher = BatchFile(tmp_path, "m")
    run(teacher, {"new": ask("another")})
    assert teacher.unknown == 1


@pytest.mark.parametrize("line", ["{", "[]", '"text"', "{}"])
def test_a_file_of_requests_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    put(tmp_path, "requests-001.jsonl", line)
    teacher = BatchFile(tmp_path, "m")
    run(teacher, many(1))
    with pytest.raises(UserError, match=r"requests-001\.jsonl, line 1 is not a request .* delete the file to have"):
        teacher.flush()


def test_folders_that_are_named_like_files_are_no_files(tmp_path: Path) -> None:
    for name in ("results.jsonl", "requests-007.jsonl"):
        (tmp_path / name).mkdir()
    assert ask_again(tmp_path, 1)[0] == {"requests-008.jsonl"}


def test_what_the_disk_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = BatchFile(tmp_path, "m")
    run(teacher, many(1))

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(batch_file, "_replace", full)
    with pytest.raises(UserError, match=r"requests-001\.jsonl: No space left on device; .* teacher\.folder"):
        teacher.flush()


def test_a_result_file_that_goes_away_during_the_run_is_told(tmp_path: Path) -> None:
    put(tmp_path, "results.jsonl", result(key_of("question 0")))

    async def go() -> None:
        teacher = BatchFile(tmp_path, "m")
        await teacher.start()
        (tmp_path / "results.jsonl").unlink()
        async for _ in teacher.complete(many(1)):
            pass

    with pytest.raises(UserError, match=r"results\.jsonl: No such file or directory"):
        asyncio.run(go())


@pytest.mark.parametrize("line", ["{", "[]", '"text"', '{"content": "x"}', '{"custom_id": "k", "response": "x"}'])
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    put(tmp_path, "results.jsonl", result("k"), line)
    with pytest.raises(UserError, match=r"results\.jsonl, line 2 is not the result of a request"):
        run(BatchFile(tmp_path, "m"), {})


def test_files_of_requests_are_not_read_as_results(tmp_path: Path) -> None:
    put(tmp_path, "requests-001.jsonl", result(key_of("question 0")))
    put(tmp_path, "requests of mine.jsonl", "not even JSON")
    assert kinds(run(BatchFile(tmp_path, "m"), many(1))) == {"id0": "pending"}


def test_requests_are_split_by_lines_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_file, "MOST_LINES", 4)
    teacher = BatchFile(tmp_path, "m")
    run(teacher, many(10))
    assert "requests-001.jsonl to requests-003.jsonl" in str(teacher.flush())
    sizes = [len(lines(tmp_path / f"requests-{i:03}.jsonl")) for i in (1, 2, 3)]
    assert sizes == [4, 4, 2]
    for path in tmp_path.iterdir():
        path.unlink()
    longest = max(len(json.dumps(batch_line(key_of("q"), r, "m"))) for r in many(10).values())
    monkeypatch.setattr(batch_file, "MOST_BYTES", 3 * longest)
    teacher.flush()
    files = sorted(tmp_path.glob("requests-*.jsonl"))
    assert len(files) == 4
    assert all(path.stat().st_size <= 3 * longest for path in files)
    assert len({line["custom_id"] for path in files for line in lines(path)}) == 10


def test_files_of_earlier_rounds_and_other_files_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_file, "MOST_LINES", 1)
    put(tmp_path, "requests-mine.jsonl", {"custom_id": key_of("question 2")})
    assert ask_again(tmp_path, 3)[0] == {"requests-001.jsonl", "requests-002.jsonl"}
    put(tmp_path, "results.jsonl", *(result(key_of(f"question {i}")) for i in range(3)))
    assert ask_again(tmp_path, 3) == (set(), "None")


def test_the_order_of_asking_does_not_change_the_files(tmp_path: Path) -> None:
    for name, order in (("a", many(9)), ("b", dict(reversed(many(9).items())))):
        teacher = BatchFile(tmp_path / name, "m")
        run(teacher, order)
        teacher.flush()
    one, two = ((tmp_path / name / "requests-001.jsonl").read_bytes() for name in "ab")
    assert one == two


def test_the_same_request_is_written_once(tmp_path: Path) -> None:
    teacher = BatchFile(tmp_path, "m")
    assert len(run(teacher, {"a": ask("q"), "b": ask("q")})) == 2
    teacher.flush()
    assert len(lines(tmp_path / "requests-001.jsonl")) == 1


def test_pending_is_not_cached_and_results_are(tmp_path: Path) -> None:
    folder, store = tmp_path / "batch", ReplyStore(tmp_path / "replies.sqlite")
    first = BatchFile(folder, "m")
    run(Cache(first, store), many(2))
    first.flush()
    written = lines(folder / "requests-001.jsonl")
    put(folder, "results.jsonl", *(result(line["custom_id"]) for line in written))
    second = BatchFile(folder, "m")
    assert set(kinds(run(Cache(second, store), many(2))).values()) == {None}
    (folder / "results.jsonl").unlink()
    third = BatchFile(folder, "m")
    assert set(kinds(run(Cache(third, store), many(2))).values()) == {None}
    assert third.flush() is None
    store.close()


def test_another_model_or_revision_is_another_identity(tmp_path: Path) -> None:
    teachers = [BatchFile(tmp_path, "m"), BatchFile(tmp_path, "n"), BatchFile(tmp_path, "m", revision="2")]
    assert len({teacher.identity for teacher in teachers}) == 3


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "deeper"):
        with pytest.raises(UserError, match="is no folder: teacher.folder must name one"):
            run(BatchFile(folder, "m"), {})
