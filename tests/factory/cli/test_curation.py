"""The commands on a curation: a new job file, plan, preview, run, rows, why, verify; with wrong input too."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import yaml
from click.testing import CliRunner, Result

from factory.cli.main import cli
from factory.release.reference import read_config


def call(*args: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs with the release of the shipped curation in it."""
    folder = tmp_path_factory.mktemp("curation") / "out"
    told = call("run", "curate-demo", "--out", str(folder), "--workers", "1").output
    assert "minhash" in told
    assert "kept" in told
    return folder


def release(out: Path) -> Path:
    return out / "releases" / "curate-demo" / "1.0.0"


def test_a_new_curation_is_checked_by_its_schema_and_its_keys_are_all_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jsonschema import Draft202012Validator

    monkeypatch.chdir(tmp_path)
    call("new", "mine", "--kind", "curate")
    job = yaml.safe_load(Path("mine.yaml").read_text())
    Draft202012Validator(json.loads(Path("mine.schema.json").read_text())).validate(job)
    (tmp_path / "rows.jsonl").write_text('{"instruction": "Name a river in France, please.", "answer": "The Loire."}\n')
    told = json.loads(call("plan", "mine.yaml", "--json").stdout)
    assert told["trial"]["rows_in"] == told["trial"]["rows_out"] == 1


def test_a_plan_shows_the_funnel_of_the_first_rows_and_writes_nothing(tmp_path: Path) -> None:
    told = call("plan", "curate-demo", "--out", str(tmp_path / "out")).output
    assert "filters" in told
    assert "decontaminate" in told
    assert not (tmp_path / "out" / "releases").exists()


def test_a_preview_says_of_each_row_whether_it_stays(tmp_path: Path) -> None:
    told = call("preview", "curate-demo", "-n", "40", "--out", str(tmp_path / "out")).output
    heads = [line for line in told.splitlines() if line.startswith("== ")]
    assert len(heads) == 40
    assert any(line.endswith(": stays") for line in heads)
    assert any("filters: " in line for line in heads)


def test_jobs_are_listed_with_their_kind() -> None:
    line = next(line for line in call("jobs").output.splitlines() if line.startswith("curate-demo"))
    assert "curate" in line.split()
    assert "mixed_rows" in line


def test_rows_verify_and_card_know_a_curated_release(out: Path) -> None:
    assert "id: mixed-" in call("rows", str(release(out)), "-n", "1").output
    assert "everything holds" in call("verify", str(release(out))).output
    assert "Funnel" in call("card", str(release(out))).output


def test_a_changed_file_of_a_curated_release_is_found(out: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(release(out), copy)
    rejects = next((copy / "rejects").iterdir())
    pl.read_parquet(rejects)[1:].write_parquet(rejects)
    told = call("verify", str(copy), code=2).output
    assert "checksums" in told
    assert "row_count" in told


def test_why_tells_of_a_row_that_stayed_and_of_a_copy_with_its_twin(out: Path) -> None:
    kept = read_config(release(out), "rows", "train")["id"][0]
    told = call("why", kept, "--out", str(out)).output
    assert "stayed" in told
    copies = read_config(release(out), "rejects", "rejects").filter(pl.col("stage") == "minhash")
    told = call("why", copies["id"][0], "--out", str(out)).output
    assert "'not_nearly_a_copy' does not hold: Jaccard" in told
    assert f"twin      {copies['twin'][0]}, which stayed" in told


def test_a_copy_of_a_copy_is_followed_to_the_row_that_stayed(tmp_path: Path) -> None:
    answer = "The tide rises and falls twice a day because the moon pulls the water of the sea towards itself. "
    rows = [
        {"id": "row-one", "instruction": "Why are there tides in the sea?", "answer": answer * 2, "worth": 3},
        {"id": "row-two", "instruction": "Why are there tides in the sea?", "answer": answer * 2 + "So.", "worth": 1},
        {"id": "row-three", "instruction": "why are there tides in the SEA?", "answer": answer * 2 + "So.", "worth": 0},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = {"kind": "curate", "name": "chain", "sources": [{"path": "rows.jsonl"}], "filters": None}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    call("run", str(tmp_path / "job.yaml"), "--out", str(tmp_path / "out"), "--workers", "1")
    told = call("why", "row-three", "--out", str(tmp_path / "out")).output
    assert "row-two, which left itself" in told
    assert "row-one, which stayed" in told


def test_json_of_a_run_has_the_funnel(out: Path) -> None:
    told = json.loads(call("run", "curate-demo", "--out", str(out), "--workers", "1", "--json").stdout)
    assert told["ending"] == "curated"
    assert [stage["stage"] for stage in told["curation"]["funnel"]] == ["filters", "decontaminate", "exact", "minhash"]
    assert all(stage["cached"] for stage in told["stages"])


def test_a_command_for_builds_says_what_a_curation_is_not_for() -> None:
    told = call("teacher", "check", "curate-demo", code=2).output
    assert "kind: curate" in told


def test_a_misspelt_key_of_a_curation_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("kind: curate\nname: x\nsource: [{path: a.jsonl}]\n")
    assert "did you mean 'sources'" in call("run", str(tmp_path / "job.yaml"), code=2).output


def test_a_trial_tells_two_equal_sources_apart_counts_bad_lines_and_reads_the_last_one(tmp_path: Path) -> None:
    rows = [
        json.dumps({"instruction": f"Name the {n}th largest river of the world.", "answer": "The Loire."})
        for n in range(9)
    ]
    for name in ("one", "two"):
        (tmp_path / f"{name}.jsonl").write_text("\n".join([*rows[:4], "{", *rows[4:]]))
    job = {"kind": "curate", "name": "both", "sources": [{"path": "one.jsonl"}, {"path": "two.jsonl"}], "filters": None}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    told = json.loads(call("plan", str(tmp_path / "job.yaml"), "--json", "--out", str(tmp_path / "out")).stdout)[
        "trial"
    ]
    assert [source["unreadable"] for source in told["sources"]] == [1, 1]
    assert told["rows_in"] == 18
    assert told["rows_out"] == 9


def test_a_folder_that_cannot_be_written_is_the_users_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = call("run", "curate-demo", "--out", str(tmp_path / "file" / "out"), code=2).output
    assert "--out" in told


def test_why_tells_of_an_answer_that_was_spoilt_and_the_card_of_linked_copies(tmp_path: Path) -> None:
    call("run", "curate-demo", "--set", "corrupt.share=1.0", "--set", "dedupe.group=components", "--out", str(tmp_path))
    made = tmp_path / "releases" / "curate-demo" / "1.0.0"
    kept = read_config(made, "corrupted", "corrupted")["id"][0]
    assert "stayed, with an answer that was spoilt on purpose (" in call("why", kept, "--out", str(tmp_path)).output
    assert "linked to its twin by near copies" in (made / "README.md").read_text()
