"""A curation from end to end: nothing is lost, every reason is on disk, the same job gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory.curate import copies, sources
from factory.dedupe.index import Index
from factory.errors import UserError
from factory.jobs.engine import InProcess
from factory.jobs.kinds import any_job, run_job
from factory.jobs.record import Built
from factory.release.folder import read_manifest
from factory.release.reference import read_config, read_facts
from factory.release.verify_curated import verify_curated

TOPICS = "tides glaciers bees bridges vaccines chess violins comets orchids locks mosaics kilns ferries lichens".split()
FACTS = (
    "They were first described in detail by travellers who wrote long letters home about what they had seen.",
    "Most of what we know about them today comes from patient measurements repeated over several decades.",
    "Small changes in temperature make a larger difference to them than most people would expect at first.",
    "In older towns you can still find workshops whose owners have looked after them for five generations.",
    "Engineers borrow from them whenever a thing has to be light and strong at the very same time.",
    "Children usually ask about their colour, while their parents tend to ask about what they cost.",
    "Nobody has yet explained why some of them last for centuries and others fail within a single winter.",
)
QUESTION = "A farmer has 48 hens and sells 19 of them at the market on Friday. How many hens does the farmer have left?"


def good_rows() -> list[dict[str, Any]]:
    """Return rows that keep every rule, no two alike."""
    rows = []
    for i, topic in enumerate(TOPICS):
        said = [FACTS[(i * 3 + j * (1 + i % 5)) % len(FACTS)].replace("They", topic.title(), 1) for j in range(3)]
        answer = f"The short answer for {topic} is that they differ from place to place. " + " ".join(
            dict.fromkeys(said)
        )
        rows.append({"instruction": f"What should a curious visitor know about {topic}?", "answer": answer})
    return rows


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def curated(folder: Path, out: str = "out", workers: int = 1, **keys: Any) -> Built:
    job = {"kind": "curate", "name": "small", "sources": [{"path": "rows.jsonl"}], **keys}
    with InProcess(workers) as engine:
        return run_job(any_job(job, "the job", folder), folder / out, engine)


def reasons_of(built: Built) -> dict[str, set[tuple[str, str]]]:
    """Return the (stage, reason) of every reject, by id."""
    found: dict[str, set[tuple[str, str]]] = {}
    if "rejects" in read_facts(built.release)["configs"]:
        for row in read_config(built.release, "rejects", "rejects").iter_rows(named=True):
            found.setdefault(row["id"], set()).add((row["stage"], row["reason"]))
    return found


def test_good_rows_stay_with_all_their_columns(tmp_path: Path) -> None:
    rows = [{**row, "made_by": f"hand {i}", "score": i} for i, row in enumerate(good_rows())]
    write_rows(tmp_path / "rows.jsonl", rows)
    built = curated(tmp_path)
    kept = read_config(built.release, "rows", "train")
    assert reasons_of(built) == {}
    assert kept.drop("id").to_dicts() == rows
    assert built.rows == len(rows)


def test_copies_leave_for_a_row_that_stays_and_nothing_is_lost(tmp_path: Path) -> None:
    rows = [{"id": f"r{i}", **row} for i, row in enumerate(good_rows())]
    near = rows[3]["answer"].replace("larger", "bigger").replace("patient", "careful")
    rows += [
        {"id": "exact", **{k: rows[0][k].title() + " " for k in ("instruction", "answer")}},
        {"id": "near", "instruction": rows[3]["instruction"], "answer": near},
    ]
    write_rows(tmp_path / "rows.jsonl", rows)
    built = curated(tmp_path)
    assert reasons_of(built) == {"exact": {("exact", "text_is_new")}, "near": {("minhash", "not_nearly_a_copy")}}
    twins = dict(read_config(built.release, "rejects", "rejects").select("id", "twin").iter_rows())
    assert twins == {"exact": "r0", "near": "r3"}
    report = verify_curated(built.release)
    assert report.problems == []
    assert report.checks["nothing_lost"] == len(rows)


def test_a_leak_leaves_with_a_receipt_and_the_card_tells_of_the_benchmark(tmp_path: Path) -> None:
    rows = [{"id": f"r{i}", **row} for i, row in enumerate(good_rows())]
    rows.append(
        {"id": "leak", "instruction": f"Please help me with this. {QUESTION}", "answer": "48 - 19 = 29. Answer: 29"}
    )
    write_rows(tmp_path / "rows.jsonl", rows)
    write_rows(tmp_path / "bench.jsonl", [{"question": QUESTION, "answer": "29"}])
    benchmark = {"name": "hens", "path": "bench.jsonl", "columns": ["question", "answer"]}
    built = curated(tmp_path, decontaminate={"benchmarks": [benchmark]})
    assert {stage for stage, _ in reasons_of(built)["leak"]} == {"decontaminate"}
    hit = read_config(built.release, "hits", "hits").filter(pl.col("level") == "ngram").row(0, named=True)
    assert (hit["id"], hit["against"], hit["place"], hit["field"]) == ("leak", "hens", "0", "instruction")
    assert hit["span"] == rows[-1]["instruction"][hit["start"] : hit["end"]]
    assert "hens" in (built.release / "README.md").read_text()
    assert built.curation is not None
    assert {told["kind"] for told in built.curation["selftest"]} >= {"verbatim", "reordered", "paraphrased"}


def test_a_line_that_is_no_row_is_a_reject_and_the_rest_goes_on(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in good_rows()]
    (tmp_path / "rows.jsonl").write_text("\n".join([*lines[:5], '{"instruction": "cut', *lines[5:]]) + "\n")
    built = curated(tmp_path)
    assert built.rows == len(lines)
    assert [stage for found in reasons_of(built).values() for stage, _ in found] == ["rows"]
    assert verify_curated(built.release).problems == []


@pytest.mark.parametrize("shard_rows", [1, 5, 1000])
def test_the_same_bytes_whatever_the_shards_and_the_workers(
    shard_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = good_rows()
    rows += [{**row, "answer": row["answer"].replace("first", "1st")} for row in rows[::2]]
    write_rows(tmp_path / "rows.jsonl", [{"id": f"r{i}", **row} for i, row in enumerate(rows)])
    whole = curated(tmp_path, "one")
    monkeypatch.setattr(sources, "SHARD_ROWS", shard_rows)
    cut = curated(tmp_path, "two")
    files = [{path: told for path, told in read_manifest(b.release).files.items()} for b in (whole, cut)]
    assert files[0] == files[1]


def test_a_run_that_died_goes_on_where_it_was_and_a_second_one_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "rows.jsonl", good_rows())

    def die(*_: object, **__: object) -> pl.DataFrame:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(copies, "near_duplicates", die)
        with pytest.raises(KeyboardInterrupt):
            curated(tmp_path)
    told = [json.loads(path.read_text())["ending"] for path in (tmp_path / "out" / "runs").iterdir()]
    assert told == ["stopped"]
    cached = {stage["name"]: stage["cached"] for stage in curated(tmp_path).stages}
    assert cached["rows"]
    assert cached["gates"]
    assert not cached["minhash"]
    assert all(stage["cached"] for stage in curated(tmp_path).stages)


def test_the_best_or_the_longest_of_several_copies_can_stay(tmp_path: Path) -> None:
    row = good_rows()[0]
    longer = row["answer"] + " It is as simple as that."
    rows = [
        {"id": "first", **row, "worth": 0.2},
        {"id": "longest", **row, "answer": longer, "worth": 0.5},
        {"id": "best", **row, "answer": row["answer"].replace("short", "brief"), "worth": 0.9},
    ]
    write_rows(tmp_path / "rows.jsonl", rows)
    for keep, stays in (("first", "first"), ("longest", "longest"), ("best", "best")):
        source = {"path": "rows.jsonl", "columns": {"quality": "worth"}}
        built = curated(tmp_path, keep, sources=[source], dedupe={"keep": keep})
        assert read_config(built.release, "rows", "train")["id"].to_list() == [stays]


def test_spoilt_answers_are_exactly_the_share_and_the_card_says_so_loudly(tmp_path: Path) -> None:
    rows = good_rows()[:10]
    write_rows(tmp_path / "rows.jsonl", rows)
    built = curated(tmp_path, corrupt={"share": 0.2})
    kept = read_config(built.release, "rows", "train")
    changed = [old for old, new in zip(rows, kept["answer"], strict=True) if old["answer"] != new]
    assert len(changed) == 2
    assert "orrupted on purpose" in (built.release / "README.md").read_text()[:2500]
    originals = read_config(built.release, "corrupted", "corrupted")["original"].to_list()
    assert sorted(originals) == sorted(row["answer"] for row in changed)


def test_rows_held_out_are_a_split_and_do_not_depend_on_their_neighbours(tmp_path: Path) -> None:
    rows = good_rows()
    write_rows(tmp_path / "rows.jsonl", rows)
    both = curated(tmp_path, heldout={"share": 0.4})
    held = set(read_config(both.release, "rows", "heldout")["instruction"])
    assert 0 < len(held) < len(rows)
    write_rows(tmp_path / "rows.jsonl", [row for row in rows if row["instruction"] in held])
    alone = curated(tmp_path, "alone", heldout={"share": 0.4})
    assert read_facts(alone.release)["configs"]["rows"] == {"heldout": len(held)}


def test_a_version_never_changes(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", good_rows())
    curated(tmp_path)
    write_rows(tmp_path / "rows.jsonl", good_rows()[:-1])
    with pytest.raises(UserError, match=r"release.version=1\.0\.1"):
        curated(tmp_path)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"sources": []}, "sources"),
        ({"sources": [{"path": "rows.jsonl"}, {"path": "rows.jsonl"}]}, "two sources are called 'rows'"),
        ({"sources": [{"path": "rows.json1"}]}, "rows.jsonl"),
        ({"sources": [{"path": "rows.jsonl", "columns": {"answer": "anwser"}}]}, "did you mean 'answer'"),
        ({"dedup": {}}, "did you mean 'dedupe'"),
        ({"sources": [{"path": "rows.jsonl", "colums": {}}]}, "did you mean 'columns'"),
        ({"difficulty": {"band": {}}}, "difficulty needs pass rates"),
        ({"decontaminate": {"benchmarks": [{"name": "b", "path": "."}]}}, "the benchmark rows '.' are a folder"),
        ({"dedupe": {"keep": "best"}}, "quality"),
        ({"decontaminate": {"benchmarks": [{"name": "b", "path": "none.jsonl"}]}}, "none.jsonl"),
        ({"against": {}}, "index"),
    ],
)
def test_what_is_wrong_with_a_job_is_told_in_one_sentence(keys: dict[str, Any], said: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", good_rows())
    with pytest.raises(UserError, match=said):
        curated(tmp_path, **keys)


def test_no_secret_and_nobodys_address_is_in_a_release(tmp_path: Path) -> None:
    key, mail = "AKIA4QXP7ZWTN2MB6RKD", "jane.roe@harbourmail.net"
    counts = {"weak_right": 8, "weak_tries": 8, "strong_right": 0, "strong_tries": 8}
    fair = {"weak_right": 2, "weak_tries": 8, "strong_right": 6, "strong_tries": 8}
    rows = [{"id": f"r{i}", **row, **(counts if i < 3 else fair)} for i, row in enumerate(good_rows())]
    rows[0]["answer"] += f" Use the key {key} for that."
    rows[1]["answer"] += f" Write to {mail} for more."
    rows[2]["answer"] += f" Write to {mail} for more."
    rows.append({**rows[2], "id": "copy"})
    write_rows(tmp_path / "rows.jsonl", rows)
    source = {"path": "rows.jsonl", "columns": {name: name for name in counts}}
    keys: dict[str, Any] = {"sources": [source], "difficulty": {"on_unknown": "keep"}}
    rejecting = curated(tmp_path, "reject", filters={"pii": {}}, **keys)
    for path in rejecting.release.rglob("*.parquet"):
        told = pl.read_parquet(path).write_json()
        assert key not in told
        assert mail not in told
    keys["difficulty"] = None
    reporting = curated(tmp_path, "report", filters={"pii": {"act": "report", "find": ["email"]}}, **keys)
    card = (reporting.release / "README.md").read_text()
    assert mail not in card
    assert "Personal data was found and left in" in card
    assert reporting.curation is not None
    assert mail not in json.dumps(reporting.curation)


def test_a_release_is_not_held_against_itself_and_a_rebuild_uses_its_pins(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", good_rows())
    index = Index.create(tmp_path / "out" / "index")
    other = curated(tmp_path, name="other", sources=[{"path": "rows.jsonl"}])
    first = curated(tmp_path, against={})
    assert first.rows == len(good_rows())
    index = index.add(first.release).add(other.release)
    again = curated(tmp_path, against={})
    assert (again.release, again.rows) == (first.release, first.rows)
    rows = [*good_rows(), {"instruction": "Which is the longest river of Asia?", "answer": "The Yangtze."}]
    write_rows(tmp_path / "rows.jsonl", rows)
    later = curated(tmp_path, against={}, release={"version": "1.0.1"}, filters=None)
    assert later.rows == 1
    assert set(read_facts(later.release)["against"]) == {"other@1.0.0", "small@1.0.0"}


def test_where_no_row_stays_there_is_no_release(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "rows.jsonl", [{"instruction": "Write an essay on tides.", "answer": "I can't help with that."}]
    )
    with pytest.raises(UserError, match=r"none of 1 rows stays.*filters: no_refusal \(1\)"):
        curated(tmp_path)
    assert not (tmp_path / "out" / "releases" / "small").exists()


def test_rows_to_choose_checkpoints_with_are_never_spoilt(tmp_path: Path) -> None:
    rows = good_rows()
    write_rows(tmp_path / "rows.jsonl", rows)
    built = curated(tmp_path, corrupt={"share": 1.0}, heldout={"share": 0.4})
    answers = {row["instruction"]: row["answer"] for row in rows}
    held, train = (read_config(built.release, "rows", split) for split in ("heldout", "train"))
    assert all(answers[asked] == said for asked, said in held.select("instruction", "answer").iter_rows())
    assert all(answers[asked] != said for asked, said in train.select("instruction", "answer").iter_rows())


def test_a_curated_release_is_a_source_of_its_rows_and_never_of_its_rejects(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", good_rows() + good_rows()[:2])
    first = curated(tmp_path, corrupt={"share": 0.1})
    again = curated(tmp_path, name="again", sources=[{"path": "small@1.0.0"}], filters=None)
    assert again.rows == first.rows
    write_rows(
        tmp_path / "other.jsonl", [{"question": "Which is the longest river of Asia?", "answer": "The Yangtze."}]
    )
    curated(tmp_path, name="two", sources=[{"path": "rows.jsonl"}, {"path": "other.jsonl"}])
    with pytest.raises(UserError, match=r"2 configs of rows \(other, rows\): name one with `config`"):
        curated(tmp_path, name="third", sources=[{"path": "two@1.0.0"}])


def test_a_teachers_verdict_lets_a_row_stay_and_what_it_cost_is_told(tmp_path: Path) -> None:
    rows = [{"id": f"r{i}", **row} for i, row in enumerate(good_rows()[:3])]
    write_rows(tmp_path / "rows.jsonl", rows)
    asked = rows[0]["instruction"].replace("a curious visitor", "someone who visits")
    write_rows(tmp_path / "bench.jsonl", [{"question": asked}])
    meaning = {"embedder": "minilm", "threshold": 0.8}
    leaks = {"benchmarks": [{"name": "b", "path": "bench.jsonl"}], "containment": None, "semantic": meaning}
    strict = curated(tmp_path, "strict", decontaminate=leaks)
    assert "r0" in reasons_of(strict)
    leaks["semantic"] = {**meaning, "verdict": True}
    told = curated(tmp_path, "asked", decontaminate=leaks, teacher={"kind": "fake", "model": "fake"})
    assert "r0" not in reasons_of(told)
    assert told.teacher is not None
    assert told.teacher["actual"]["requests"] > 0
    with pytest.raises(UserError, match="names none"):
        curated(tmp_path, "none", decontaminate=leaks)
