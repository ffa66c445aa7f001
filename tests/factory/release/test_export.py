from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import factory.jobs.build as build_module
from factory.errors import UserError
from factory.gates.verify import judge
from factory.notebook import build
from factory.release import export as export_module
from factory.release import parquet
from factory.release.export import Contents, export
from factory.release.folder import read_manifest, verify
from factory.release.parquet import SplitWriter, write_whole
from factory.release.reference import read_config
from factory.release.views import ROW_VIEWS, VIEWS
from factory.score import compute_score
from factory.skills.library import SKILLS, fingerprint, held_out
from factory.skills.tree import canonical, topology

SCORER = Path(sys.modules["factory.score"].__file__ or "")
JOB: dict[str, Any] = {
    "kind": "build",
    "name": "tiny",
    "seed": 3,
    "rows": 130,
    "mini": {"rows": 0},
    "recipes": [
        {"recipe": "chains", "share": 0.4, "levels": [1, 2, 3]},
        {"recipe": "nested", "share": 0.2, "levels": [1, 2]},
        {"recipe": "skill-pairs", "share": 0.2, "k": [2]},
        {"recipe": "countdown", "share": 0.1, "numbers": [3]},
        {"recipe": "lego", "share": 0.1, "levels": [2]},
    ],
    "release": {"title": 'Mixed | `odd`: "tiny" --- #1'},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Contents, Path]:
    """What a small build exported, and the release folder it made."""
    seen: list[Contents] = []

    def watched(contents: Contents, releases: Path) -> tuple[Path, bool]:
        seen.append(contents)
        return export(contents, releases)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "export", watched)
        folder = build(JOB, out=tmp_path_factory.mktemp("outputs")).release
    return seen[0], folder


@pytest.fixture(scope="module")
def contents(made: tuple[Contents, Path]) -> Contents:
    return made[0]


@pytest.fixture(scope="module")
def folder(made: tuple[Contents, Path]) -> Path:
    return made[1]


@pytest.fixture(scope="module")
def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_bytes()))


def rows_of(folder: Path, config: str) -> pl.DataFrame:
    return pl.concat([read_config(folder, config, split) for split in ("train", "heldout")])


def by_id(folder: Path, config: str) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in rows_of(folder, config).iter_rows(named=True)}


# ---------------------------------------------------------------------------------------- the folder and its manifest


def test_the_manifest_vouches_for_every_file(folder: Path) -> None:
    verify(folder, read_manifest(folder), "")
    assert {p.name for p in folder.iterdir() if p.is_file()} == {"README.md", "manifest.json", "score.py"}


def test_every_config_and_split_has_the_rows_that_the_manifest_says(folder: Path, manifest: dict[str, Any]) -> None:
    assert set(manifest["configs"]) == {*VIEWS, "curriculum", "skills", "rejects"}
    for config, splits in manifest["configs"].items():
        files = {p.name for p in (folder / config).iterdir()}
        assert files == {f"{split}-00000-of-00001.parquet" for split in splits}
        for split, rows in splits.items():
            assert read_config(folder, config, split).height == rows
            assert pq.read_metadata(folder / config / f"{split}-00000-of-00001.parquet").num_rows == rows


def test_the_rows_are_those_of_the_job(manifest: dict[str, Any]) -> None:
    lineage = manifest["configs"]["lineage"]
    assert sum(lineage.values()) == manifest["rows"] == JOB["rows"]
    assert all(cell["planned"] == cell["filled"] for cell in manifest["cells"])
    assert sum(cell["filled"] for cell in manifest["cells"]) == JOB["rows"]
    assert sum(manifest["effective_depth"].values()) == JOB["rows"]


def test_the_counts_of_the_manifest_are_those_of_the_rows(folder: Path, manifest: dict[str, Any]) -> None:
    rows = rows_of(folder, "lineage")
    skills = Counter(name for names in rows["skills"].to_list() for name in set(names) if name in SKILLS)
    assert manifest["skills"] == {**manifest["skills"], "used": len(skills), "counts": dict(skills)}
    cells = Counter(zip(rows["recipe"], rows["cell"], rows["split"], strict=True))
    assert {(c["recipe"], c["cell"], c["split"]): c["filled"] for c in manifest["cells"]} == cells
    reasons = Counter(zip(*(read_config(folder, "rejects", "rejects")[c] for c in ("stage", "reason")), strict=True))
    assert {(r["stage"], r["reason"]): r["rows"] for r in manifest["reject_reasons"]} == reasons


def test_rejects_of_the_stages_are_the_rows_of_the_config(folder: Path, manifest: dict[str, Any]) -> None:
    told = sum(stage["rejects"] for stage in manifest["stages"])
    assert read_config(folder, "rejects", "rejects")["id"].n_unique() == told > 0


def test_the_manifest_is_canonical_json(folder: Path, manifest: dict[str, Any]) -> None:
    text = (folder / "manifest.json").read_text("utf-8")
    assert text == json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_readme_tells_the_configs_of_the_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    front = yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n")[1])
    assert {c["config_name"]: {f["split"] for f in c["data_files"]} for c in front["configs"]} == {
        config: set(splits) for config, splits in manifest["configs"].items()
    }
    for config in front["configs"]:
        for files in config["data_files"]:
            found = [p.relative_to(folder).as_posix() for p in folder.glob(files["path"])]
            assert found == [f"{config['config_name']}/{files['split']}-00000-of-00001.parquet"]


def test_a_released_folder_holds_no_time_and_no_place(folder: Path, tmp_path: Path) -> None:
    told = (folder / "manifest.json").read_text() + (folder / "README.md").read_text()
    assert str(folder.parent.parent.parent) not in told
    assert not re.search(r'20\d\d-\d\d-\d\dT\d|"(seconds|time|host|cached)":', told)


# ---------------------------------------------------------------------------------------------------------- the views


def test_the_same_ids_are_in_every_view(folder: Path) -> None:
    ids = {view: set(by_id(folder, view)) for view in VIEWS}
    assert all(found == ids["lineage"] for found in ids.values())
    assert len(ids["lineage"]) == JOB["rows"]


def test_no_skill_of_a_heldout_row_is_in_a_train_row(folder: Path) -> None:
    used = {
        split: {name for names in read_config(folder, "lineage", split)["skills"] for name in names}
        for split in ("train", "heldout")
    }
    assert not used["train"] & used["heldout"]
    assert {n for n in used["heldout"] if n in SKILLS} <= held_out()
    assert not {fingerprint(n) for n in used["train"] if n in SKILLS} & {
        fingerprint(n) for n in used["heldout"] if n in SKILLS
    }


def test_sft_rows_are_chat_messages(folder: Path) -> None:
    verifiers = by_id(folder, "rl")
    for id_, row in by_id(folder, "sft").items():
        assert [set(message) for message in row["messages"]] == [{"role", "content"}] * 2
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        gold = verifiers[id_]["verifier"]["gold"]
        said = row["messages"][1]["content"]
        assert said.endswith(f"Answer:\n{gold}" if "\n" in gold else f"Answer: {gold}")
        assert all(message["content"].strip() for message in row["messages"])


def test_prompt_completion_rows_are_the_messages_cut_in_two(folder: Path) -> None:
    messages = by_id(folder, "sft")
    for id_, row in by_id(folder, "prompt_completion").items():
        assert row["prompt"] + row["completion"] == messages[id_]["messages"]


def test_rl_rows_have_the_columns_that_trainers_read(folder: Path) -> None:
    frame = rows_of(folder, "rl")
    wanted = ["id", "data_source", "prompt", "ability", "reward_model", "extra_info", "verifier"]
    assert frame.columns == wanted
    messages = by_id(folder, "sft")
    for row in frame.iter_rows(named=True):
        assert row["data_source"] == f"skill-factory/{row['ability']}"
        assert row["prompt"] == messages[row["id"]]["messages"][:1]
        assert row["reward_model"]["style"] == "rule"
        assert json.loads(row["reward_model"]["ground_truth"]) == row["verifier"]
        assert row["extra_info"]["id"] == row["id"]
        assert row["extra_info"]["split"] in ("train", "heldout")


def test_the_reward_of_every_completion_is_1_and_of_anothers_is_not(folder: Path) -> None:
    rewards = {id_: row["reward_model"]["ground_truth"] for id_, row in by_id(folder, "rl").items()}
    said = {id_: row["messages"][1]["content"] for id_, row in by_id(folder, "sft").items()}
    assert {compute_score("x", said[id_], truth) for id_, truth in rewards.items()} == {1.0}
    assert {compute_score("x", "", truth) for truth in rewards.values()} == {0.0}
    shifted = dict(zip(rewards, [*list(said.values())[1:], "nothing"], strict=True))
    assert sum(compute_score("x", shifted[id_], truth) for id_, truth in rewards.items()) < len(rewards) / 10


def test_lineage_is_enough_to_check_every_row_again(folder: Path) -> None:
    verifiers, said = by_id(folder, "rl"), by_id(folder, "sft")
    for id_, row in by_id(folder, "lineage").items():
        tree = orjson.loads(row["tree"])
        assert (row["topology"], row["digest"]) == (topology(tree), canonical(tree))
        steps = said[id_]["messages"][1]["content"].rpartition("\nAnswer:")[0]
        found = judge(row["recipe"], row["level"], tree, verifiers[id_]["verifier"], steps)
        assert found == row["effective_depth"]


def test_no_problem_and_no_prompt_is_there_twice(folder: Path) -> None:
    assert rows_of(folder, "lineage")["digest"].is_unique().all()
    prompts = [row["messages"][0]["content"] for row in by_id(folder, "sft").values()]
    assert len(set(prompts)) == len(prompts)


def test_the_curriculum_holds_the_train_chains_horizon_by_horizon(folder: Path, manifest: dict[str, Any]) -> None:
    train = read_config(folder, "sft", "train").filter(pl.col("recipe") == "chains")
    assert list(manifest["configs"]["curriculum"]) == ["h1", "h2", "h3"]
    for level in (1, 2, 3):
        rows = read_config(folder, "curriculum", f"h{level}")
        assert rows.equals(train.filter(pl.col("level") == level))


def test_every_skill_is_listed_with_its_side_and_the_rows_that_use_it(folder: Path) -> None:
    used = Counter(name for row in by_id(folder, "lineage").values() for name in set(row["skills"]))
    listed = read_config(folder, "skills", "skills")
    assert set(listed["name"]) == set(SKILLS) | set(used)
    for row in listed.iter_rows(named=True):
        assert row["rows"] == used[row["name"]]
        if row["name"] in SKILLS:
            assert row["split"] == ("heldout" if row["name"] in held_out() else "train")
            assert row["fingerprint"] == fingerprint(row["name"])


def test_rejects_carry_no_prompt_or_steps_of_the_rows_that_left(folder: Path) -> None:
    rejects = read_config(folder, "rejects", "rejects")
    assert rejects.columns == ["id", "stage", "reason", "detail", "twin"]
    known = set(by_id(folder, "lineage"))
    for id_, stage, reason, detail, twin in rejects.iter_rows():
        assert len(detail) <= 200
        assert "\n" not in detail
        assert re.fullmatch(r"[0-9a-f]{20}", id_)
        assert id_ not in known
        assert re.fullmatch(r"[a-z]+ [a-z_0-9]+", f"{stage} {reason}")
        assert twin is None or twin in known


def test_columns_have_types_that_every_reader_knows(folder: Path) -> None:
    def plain(dtype: pa.DataType) -> bool:
        if pa.types.is_list(dtype):
            return plain(dtype.value_type)
        if pa.types.is_struct(dtype):
            return all(plain(dtype.field(i).type) for i in range(dtype.num_fields))
        return bool(pa.types.is_string(dtype) or pa.types.is_int64(dtype) or pa.types.is_float64(dtype))

    for path in folder.rglob("*.parquet"):
        assert all(plain(field.type) for field in pq.read_schema(path)), path


# --------------------------------------------------------------------------------------------------------- the scorer


def test_the_scorer_is_a_copy_that_works_alone(folder: Path, tmp_path: Path) -> None:
    assert (folder / "score.py").read_bytes() == SCORER.read_bytes()
    rows, said = by_id(folder, "rl"), by_id(folder, "sft")
    verifiers, answers = tmp_path / "verifiers.jsonl", tmp_path / "answers.jsonl"
    verifiers.write_text("".join(json.dumps({"id": i, "verifier": row["verifier"]}) + "\n" for i, row in rows.items()))
    answers.write_text(
        "".join(json.dumps({"id": i, "answer": row["messages"][1]["content"]}) + "\n" for i, row in said.items())
    )
    command = [sys.executable, "-I", str(folder / "score.py"), str(verifiers), str(answers)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    n = JOB["rows"]
    assert json.loads(ran.stdout) == {"n": n, "scored": n, "missing": 0, "undecided": 0, "accuracy": 1.0}


# ------------------------------------------------------------------------------------------- versions that never change


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_ino) for p in [folder, *folder.rglob("*")]}


def test_the_same_content_is_not_written_again(contents: Contents, folder: Path) -> None:
    before = stamps(folder)
    assert export(contents, folder.parent.parent) == (folder, False)
    assert stamps(folder) == before


def test_the_same_content_has_the_same_bytes_anywhere(contents: Contents, folder: Path, tmp_path: Path) -> None:
    target, fresh = export(contents, tmp_path)
    assert fresh
    files = [p.relative_to(folder) for p in folder.rglob("*") if p.is_file()]
    assert sorted(files) == sorted(p.relative_to(target) for p in target.rglob("*") if p.is_file())
    assert all((folder / f).read_bytes() == (target / f).read_bytes() for f in files)


def fewer_rejects(contents: Contents) -> Contents:
    return replace(contents, rejects=contents.rejects[:-1])


def versioned(contents: Contents, version: str) -> Contents:
    release = contents.job.release.model_copy(update={"version": version})
    return replace(contents, job=contents.job.model_copy(update={"release": release}))


@pytest.mark.parametrize(("version", "following"), [("1.0.0", "1.0.1"), ("0.3.9", "0.3.10")])
def test_other_content_under_the_same_version_is_refused_with_the_version_to_set(
    version: str, following: str, contents: Contents, tmp_path: Path
) -> None:
    target, _ = export(versioned(contents, version), tmp_path)
    before = stamps(target)
    with pytest.raises(
        UserError, match=rf"tiny {version} exists with other content .* --set release.version={following}"
    ):
        export(fewer_rejects(versioned(contents, version)), tmp_path)
    assert stamps(target) == before
    assert [p.name for p in target.parent.iterdir()] == [version]
    again, fresh = export(fewer_rejects(versioned(contents, following)), tmp_path)
    assert (again.name, fresh) == (following, True)
    assert read_manifest(again).digest != read_manifest(target).digest


def test_a_release_that_was_cut_short_leaves_nothing_behind(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: Any) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(export_module, "card", cut)
        with pytest.raises(KeyboardInterrupt):
            export(contents, tmp_path)
    assert list((tmp_path / "tiny").iterdir()) == []
    assert export(contents, tmp_path)[1]


@pytest.mark.parametrize(
    "changed", ["job", "rejects", "mini", "stages", "variety", "seeds"], ids=lambda name: f"other {name}"
)
def test_the_identity_follows_everything_that_a_release_is_made_from(changed: str, contents: Contents) -> None:
    others: dict[str, Any] = {
        "job": contents.job.model_copy(update={"seed": 4}),
        "rejects": contents.rejects[:-1],
        "mini": frozenset({"a"}),
        "stages": contents.stages[:-1],
        "variety": {"pool": 1},
        "seeds": {"path": "x"},
    }
    assert replace(contents, **{changed: others[changed]}).identity != contents.identity
    assert replace(contents).identity == contents.identity


# ----------------------------------------------------------------------------------------------------- the mini split


def test_the_mini_split_is_in_the_configs_of_rows_and_only_there(contents: Contents, tmp_path: Path) -> None:
    train = contents.samples[0].read().filter(pl.col("split") == "train")["id"].to_list()
    chosen = frozenset(train[::7])
    target, _ = export(replace(contents, mini=chosen, variety=VARIETY), tmp_path)
    configs = json.loads((target / "manifest.json").read_bytes())["configs"]
    for config, splits in configs.items():
        assert ("mini" in splits) == (config in ROW_VIEWS)
        if config in ROW_VIEWS:
            mini = read_config(target, config, "mini")
            assert set(mini["id"]) == chosen
            assert set(mini["id"]) < set(read_config(target, config, "train")["id"])
    assert "| clusters covered | 90.0% | 70.0% |" in (target / "README.md").read_text("utf-8")


COVERED = {"clusters": 0.9, "skills": 40.0, "evenness": 0.95}
VARIETY = {
    "pool": 100,
    "clusters": 20,
    "chosen": 15,
    "random_draws": 20,
    "coverage": {"mini": COVERED, "random": {**COVERED, "clusters": 0.7}},
    "similarity": {"median": 0.1, "p95": 0.5, "share_at_0.8": 0.02},
}


# ------------------------------------------------------------------------------------------------------------ parquet


@pytest.fixture
def numbers() -> pl.DataFrame:
    return pl.DataFrame({"id": [f"{i:03d}" for i in range(95)], "n": range(95), "words": [["a", "b"]] * 95})


def pieces(frame: pl.DataFrame, size: int) -> Iterator[pl.DataFrame]:
    yield from (frame[i : i + size] for i in range(0, frame.height, size))


@pytest.mark.parametrize("size", [1, 7, 30, 95])
def test_files_are_cut_by_rows_and_not_by_shards(
    size: int, numbers: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "FILE_ROWS", 30)
    writer = SplitWriter(tmp_path, "train", 95)
    for piece in pieces(numbers, size):
        writer.write(piece)
    writer.close()
    files = sorted(tmp_path.iterdir())
    assert [p.name for p in files] == [f"train-{i:05d}-of-00004.parquet" for i in range(4)]
    assert [pl.read_parquet(p).height for p in files] == [30, 30, 30, 5]
    assert pl.concat([pl.read_parquet(p) for p in files]).equals(numbers)
    assert writer.rows == 95


def test_row_groups_are_small_and_have_a_page_index(numbers: pl.DataFrame, tmp_path: Path) -> None:
    many = pl.concat([numbers] * 25)
    assert write_whole(tmp_path, "all", many) == many.height
    told = pq.read_metadata(tmp_path / "all-00000-of-00001.parquet")
    assert [told.row_group(i).num_rows for i in range(told.num_row_groups)] == [1000, 1000, 375]
    assert told.row_group(0).column(0).has_offset_index


def test_a_split_without_rows_keeps_its_columns(numbers: pl.DataFrame, tmp_path: Path) -> None:
    assert write_whole(tmp_path, "none", numbers[:0]) == 0
    assert pl.read_parquet(tmp_path / "none-00000-of-00001.parquet").schema == numbers.schema


# ----------------------------------------------------------------------------------------------------- other libraries

LOAD = """
import json, sys
from datasets import load_dataset
told = {}
for config, splits in json.loads(sys.argv[2]).items():
    data = load_dataset(sys.argv[1], config)
    told[config] = {split: rows.num_rows for split, rows in data.items()}
print(json.dumps(told))
"""


@pytest.mark.slow
def test_datasets_loads_every_config_without_a_network(folder: Path, manifest: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    env = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    command = [sys.executable, "-c", LOAD, str(folder), json.dumps(manifest["configs"])]
    ran = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert json.loads(ran.stdout.splitlines()[-1]) == manifest["configs"]
