from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from by_example import DOCUMENTS
from click.testing import Result

from factory.cli.why import steps_of, tree_lines
from factory.gates.reply import completion
from factory.notebook import build
from factory.release.reference import read_config
from factory.skills.families.operators import ADD
from factory.skills.library import SKILLS
from factory.skills.tree import edge, leaf, literal, node

Factory = Callable[..., Result]


def folder_of(outputs: Path) -> Path:
    return outputs / "releases" / "tiny" / "1.0.0"


def first(outputs: Path, config: str = "lineage") -> dict[str, Any]:
    return read_config(folder_of(outputs), config, "train").row(0, named=True)


def with_rejects(outputs: Path, rows: list[tuple[str, str, str, str | None]], detail: str | None = "") -> None:
    """The release has these rejects: id, stage, reason, twin; without a detail they are as older releases have them."""
    schema = {"id": pl.String(), "stage": pl.String(), "reason": pl.String(), "twin": pl.String()}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    if detail is not None:
        frame = frame.with_columns(detail=pl.lit(detail))
    frame.write_parquet(folder_of(outputs) / "rejects" / "rejects-00000-of-00001.parquet")


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_an_accepted_row_tells_all_it_was_made_from(factory: Factory, built: Path, split: str) -> None:
    row = read_config(folder_of(built), "lineage", split).row(-1, named=True)
    rl = read_config(folder_of(built), "rl", split).row(-1, named=True)
    done = factory("why", row["id"], out=built)
    assert done.exit_code == 0
    assert all(row[key] in done.stdout for key in ("id", "recipe", "cell", "digest", "slot_id"))
    assert f"skills    {', '.join(row['skills'])}\n" in done.stdout
    assert f"-- prompt\n{rl['prompt'][0]['content']}\n" in done.stdout
    assert done.stdout.endswith(f"-- gold ({rl['verifier']['kind']})\n{rl['verifier']['gold']}\n")


def test_a_prefix_of_six_characters_is_enough(factory: Factory, built: Path) -> None:
    id_ = first(built)["id"]
    assert factory("why", id_[:6], out=built).stdout == factory("why", id_, out=built).stdout


def test_a_shorter_prefix_is_refused(factory: Factory, built: Path) -> None:
    done = factory("why", first(built)["id"][:5], out=built)
    assert done.exit_code == 2
    assert "at least 6 characters" in done.stderr


def test_a_prefix_of_two_rows_is_refused_and_names_them(factory: Factory, outputs: Path) -> None:
    with_rejects(outputs, [("abcdef-1", "draw", "link_fits", None), ("abcdef-2", "draw", "link_fits", None)])
    done = factory("why", "abcdef", out=outputs)
    assert done.exit_code == 2
    assert "abcdef-1, abcdef-2" in done.stderr
    assert factory("why", "abcdef-2", out=outputs).exit_code == 0


def test_an_id_that_begins_another_is_itself(factory: Factory, outputs: Path) -> None:
    with_rejects(outputs, [("seed-1", "seeds", "answer_is_whole", None), ("seed-10", "seeds", "question_is_new", None)])
    assert "'answer_is_whole' does not hold" in factory("why", "seed-1", out=outputs).stdout


def test_an_unknown_row_is_told(factory: Factory, built: Path) -> None:
    done = factory("why", "0" * 20, out=built)
    assert done.exit_code == 2
    assert "none of 1 releases knows a row" in done.stderr


def test_without_any_release_it_says_how_to_make_one(factory: Factory, tmp_path: Path) -> None:
    done = factory("why", "0" * 20, out=tmp_path)
    assert done.exit_code == 2
    assert "factory run" in done.stderr


def test_a_rejected_row_tells_stage_reason_and_its_kept_twin(factory: Factory, outputs: Path) -> None:
    kept = first(outputs)
    with_rejects(outputs, [("feedfacefeed", "dedupe", "problem_is_new", kept["id"])])
    shown = factory("why", "feedfa", out=outputs).stdout
    assert "rejected  by dedupe: 'problem_is_new' does not hold" in shown
    assert f"twin      {kept['id']}, which was kept: {kept['recipe']}, {kept['cell']}" in shown
    assert first(outputs, "sft")["messages"][0]["content"] in shown


def test_the_detail_of_a_reason_is_told_where_the_release_has_it(factory: Factory, outputs: Path) -> None:
    left = [("feedfacefeed", "talk", "rubric_met", None)]
    with_rejects(outputs, left, "concrete (1 of 3)")
    said = "rejected  by talk: 'rubric_met' does not hold"
    assert f"{said}: concrete (1 of 3)\n" in factory("why", "feedfa", out=outputs).stdout
    with_rejects(outputs, left, None)
    assert f"{said}\n" in factory("why", "feedfa", out=outputs).stdout


def test_a_rejected_seed_names_the_seed_it_repeats(factory: Factory, outputs: Path) -> None:
    with_rejects(outputs, [("seed-2", "seeds", "question_is_new", "seed-1")])
    assert "twin      seed-1, an earlier seed" in factory("why", "seed-2", out=outputs).stdout


def test_the_newest_release_that_knows_the_row_is_told(factory: Factory, outputs: Path) -> None:
    older = folder_of(outputs)
    newer = older.with_name("1.0.1")
    shutil.copytree(older, newer)
    os.utime(older / "manifest.json", (1, 1))
    id_ = first(outputs)["id"]
    assert f"release   {newer}\n" in factory("why", id_, out=outputs).stdout
    os.utime(newer / "manifest.json", (0, 0))
    assert f"release   {older}\n" in factory("why", id_, out=outputs).stdout


@pytest.mark.parametrize("steps", ["One step.", "Two\nsteps.", "Ends in Answer: 4"])
@pytest.mark.parametrize("gold", ["4", "a,b\n1,2", "Answer:"])
def test_the_steps_are_what_stands_before_the_answer_line(steps: str, gold: str) -> None:
    assert steps_of(completion(steps, {"kind": "text", "gold": gold}), gold) == steps


def test_a_tree_is_told_from_the_last_step_to_the_input() -> None:
    added = node(ADD, {}, leaf(5, "number"), literal(1, "number"))
    tree = node(SKILLS["gcd_with"], {"other": 30}, edge("affine", {"a": 2, "b": -4}, added))
    assert list(tree_lines(tree)) == [
        "gcd_with(other=30)",
        "  by affine(a=2, b=-4)",
        "    add",
        "      input 5 (number)",
        "      value 1 (number)",
    ]


def test_a_row_of_a_teacher_shows_its_conversation_also_where_nothing_was_rejected(factory: Factory) -> None:
    job = {"kind": "build", "name": "told", "rows": 6, "recipes": [{"recipe": "rephrased", "share": 1, "levels": [1]}]}
    Path("told.json.yaml").write_text(json.dumps(job))
    factory("run", "told.json.yaml", "--teacher", "fake", "--set", "mini.rows=0")
    folder = Path("outputs/releases/told/1.0.0")
    facts = json.loads((folder / "manifest.json").read_bytes())
    facts["configs"].pop("rejects", None)
    (folder / "manifest.json").write_text(json.dumps(facts))
    row = read_config(folder, "lineage", "train").row(0, named=True)
    told = factory("why", row["id"])
    assert told.exit_code == 0
    assert "-- author fake, asked with rephrased/rephrase.v1 (" in told.stdout
    assert told.stdout.count("-- judge fake, asked with rephrased/solve.v1") == 2


def test_a_row_whose_reply_is_a_text_shows_it_whole_with_what_judges_gave(factory: Factory, tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    for document in DOCUMENTS.texts:
        (documents / f"{document.title}.md").write_text(document.text, encoding="utf-8")
    job: dict[str, Any] = {"kind": "build", "name": "texts", "rows": 4, "seed": 3, "mini": {"rows": 0}}
    job["teacher"] = {"kind": "fake", "model": "fake"}
    job["recipes"] = [{"recipe": "agent-instruct", "share": 1, "heldout": 0, "leaves": ["stated_fact"]}]
    job["documents"] = {"path": str(documents)}
    made = build(job, out=tmp_path / "outputs").release
    row = read_config(made, "rl", "train").row(0, named=True)
    done = factory("why", row["id"], out=tmp_path / "outputs")
    assert done.exit_code == 0
    assert "-- tree" not in done.stdout
    assert "-- steps" not in done.stdout
    assert f"-- gold ({row['verifier']['kind']})\n{row['verifier']['gold']}\n" in done.stdout
    assert "met (3 of 3 votes)" in done.stdout
