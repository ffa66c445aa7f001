from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow.parquet as pq
import pytest

from factory.artifacts.digest import canonical_json
from factory.errors import UserError
from factory.notebook import build
from factory.release import verify as module
from factory.release.verify import VerifyReport, verify_release
from factory.release.views import CURRICULUM, ROW_VIEWS, VIEWS
from factory.skills.tree import canonical, effective, topology

ROWS = 48
JOB = {
    "kind": "build",
    "name": "t",
    "seed": 1,
    "rows": ROWS,
    "recipes": [
        {"recipe": "chains", "levels": [1, 2, 3], "share": 0.4},
        {"recipe": "nested", "levels": [1, 2, 3], "share": 0.2},
        {"recipe": "nested", "levels": [2, 3], "share": 0.2, "definitions": "hidden"},
        {"recipe": "countdown", "share": 0.2},
    ],
}
Row = dict[str, Any]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(JOB, out=tmp_path_factory.mktemp("out"), mini={"rows": 0}).release


@pytest.fixture
def release(built: Path, tmp_path: Path) -> Path:
    """A copy to tamper with; its manifest is sealed anew by `seal`, so that only deeper checks can see it."""
    copy = tmp_path / "t"
    shutil.copytree(built, copy)
    return copy


def file_of(release: Path, config: str, split: str) -> Path:
    return release / config / f"{split}-00000-of-00001.parquet"


def change(release: Path, config: str, split: str, how: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """One table is another, and the manifest says so."""
    path = file_of(release, config, split)
    how(pl.read_parquet(path)).write_parquet(path, mkdir=True)
    seal(release)


def seal(release: Path) -> None:
    facts = json.loads((release / "manifest.json").read_bytes())
    facts["files"], facts["configs"] = {}, {}
    for path in sorted(p for p in release.rglob("*") if p.is_file() and p.name != "manifest.json"):
        content, name = path.read_bytes(), path.relative_to(release).as_posix()
        facts["files"][name] = {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
        if path.suffix == ".parquet" and content.endswith(b"PAR1"):
            config, _, file = name.partition("/")
            rows = pq.read_metadata(path).num_rows
            facts["configs"].setdefault(config, {})[file.partition("-")[0]] = rows
    facts["rows"] = sum(facts["configs"]["lineage"].values())
    (release / "manifest.json").write_text(json.dumps(facts))


def samples(release: Path, split: str) -> list[Row]:
    lineage, rl, sft = (pl.read_parquet(file_of(release, c, split)) for c in ("lineage", "rl", "sft"))
    rows = []
    for row, task, chat in zip(*(f.iter_rows(named=True) for f in (lineage, rl, sft)), strict=True):
        steps = chat["messages"][1]["content"].rpartition("\nAnswer:")[0]
        row |= {"prompt": task["prompt"][0]["content"], "verifier": task["verifier"], "steps": steps}
        rows.append({**row, "reasoning": chat["reasoning"], "rejected": ""})
    return rows


def write(release: Path, split: str, rows: list[Row]) -> None:
    """Every config of a split says the same of other samples: a release that agrees with itself."""
    lineage = pl.read_parquet_schema(file_of(release, "lineage", split))
    verifier = pl.read_parquet_schema(file_of(release, "rl", split))["verifier"]
    schema: dict[str, Any] = {**lineage, "prompt": pl.String, "verifier": verifier, "steps": pl.String}
    schema |= {"reasoning": pl.String, "rejected": pl.String}
    frame = pl.DataFrame(rows, schema=schema)
    for config, view in VIEWS.items():
        frame.select(view).write_parquet(file_of(release, config, split))
    for path in (release / CURRICULUM).glob("*.parquet") if split == "train" else ():
        level = int(path.name[1])
        of_level = frame.filter((pl.col("recipe") == "chains") & (pl.col("level") == level))
        of_level.select(VIEWS["sft"]).write_parquet(path)
    seal(release)


def tamper(release: Path, recipe: str, how: Callable[[Row], Row], split: str = "train", hidden: bool = False) -> Row:
    """One row of a recipe is another in every config; the row that was is returned."""
    rows = samples(release, split)
    at = next(i for i, r in enumerate(rows) if r["recipe"] == recipe and bool(r["flags"]) == hidden)
    was = rows[at]
    rows[at] = {**was, **how(was)}
    write(release, split, rows)
    return was


def only_problem(release: Path) -> str:
    problems = verify_release(release).problems
    assert len(problems) == 1, problems
    return problems[0]


def retold(tree: Any) -> Row:
    """What lineage says of a tree, told truly."""
    return {"tree": canonical_json(tree).decode(), "digest": canonical(tree), "topology": topology(tree)}


def test_a_release_as_it_was_built_has_no_problem(built: Path) -> None:
    report = verify_release(built)
    assert report.problems == []
    assert report.rows == ROWS
    assert report.checks["gold_recomputed"] == report.checks["only_gold_scores_1"] == ROWS
    assert report.checks["views_agree"] == ROWS * len(VIEWS)
    assert report.checks["printed_functions"] == sum(r["recipe"] == "nested" for r in all_rows(built))


def all_rows(release: Path) -> list[Row]:
    return [*samples(release, "train"), *samples(release, "heldout")]


def test_rewriting_a_release_unchanged_is_no_problem(release: Path) -> None:
    write(release, "train", samples(release, "train"))
    assert verify_release(release).problems == []


def test_progress_is_told_the_rows_so_far(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.release.stored_files.WINDOW", 16)
    told: list[int] = []
    assert verify_release(built, told.append).problems == []
    assert told == sorted(told)
    assert len(told) > 3
    assert told[-1] == ROWS


def test_a_folder_without_a_manifest_is_the_user_s_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no manifest\.json"):
        verify_release(tmp_path)


def test_a_changed_byte_is_a_problem_of_checksums(release: Path) -> None:
    (release / "README.md").write_text("another card")
    assert "README.md" in only_problem(release)


def test_a_file_beside_the_manifest_is_a_problem(release: Path) -> None:
    (release / "run.sh").write_text("echo")
    assert "not in the manifest: run.sh" in only_problem(release)


def test_a_listed_file_that_no_release_has_is_a_problem(release: Path) -> None:
    (release / "run.sh").write_text("echo")
    seal(release)
    assert "'run.sh' is no file of a release" in only_problem(release)


def test_a_link_is_not_followed(release: Path) -> None:
    target = file_of(release, "sft", "train")
    target.rename(release.parent / "elsewhere.parquet")
    target.symlink_to(release.parent / "elsewhere.parquet")
    report = verify_release(release)
    assert "is a link" in report.problems[0]
    assert report.rows == 0


# ---------------------------------------------------------------------------------------------------------- tables


def test_another_dtype_is_named_with_both_types(release: Path) -> None:
    change(release, "sft", "train", lambda f: f.with_columns(pl.col("level").cast(pl.Int32)))
    problems = verify_release(release).problems
    assert problems[0] == "contract: column 'level' of sft/train must be Int64, found Int32"
    assert problems[-1].endswith("rows were not checked")


@pytest.mark.parametrize("config", ["lineage", "skills", CURRICULUM])
def test_a_column_more_in_any_config_is_named(release: Path, config: str) -> None:
    split = {"skills": "skills", CURRICULUM: "h1"}.get(config, "heldout")
    change(release, config, split, lambda f: f.with_columns(extra=pl.lit(1)))
    assert f"column 'extra' of {config}/{split} must be absent" in verify_release(release).problems[0]


def test_a_config_that_is_missing_is_named(release: Path) -> None:
    shutil.rmtree(release / "rl")
    seal(release)
    assert "config 'rl' must have the splits" in verify_release(release).problems[0]


def test_a_config_that_no_release_has_is_named(release: Path) -> None:
    shutil.copytree(release / "sft", release / "other")
    seal(release)
    assert "no config 'other'" in verify_release(release).problems[0]


def test_a_count_that_is_not_the_manifest_s_is_named(release: Path) -> None:
    facts = json.loads((release / "manifest.json").read_bytes())
    facts["configs"]["rl"]["train"] += 1
    (release / "manifest.json").write_text(json.dumps(facts))
    assert only_problem(release).startswith("row_count: rl/train")


@pytest.mark.parametrize("told", [None, {"sft": 3, "rl": {"train": "many"}}])
def test_counts_that_are_none_are_problems(release: Path, told: object) -> None:
    facts = json.loads((release / "manifest.json").read_bytes())
    facts["configs"] = told
    (release / "manifest.json").write_text(json.dumps(facts))
    report = verify_release(release)
    assert all(p.startswith("row_count") for p in report.problems)
    assert report.problems


@pytest.mark.parametrize("keep", [4, 2000])
def test_a_file_that_is_cut_is_a_problem(release: Path, keep: int) -> None:
    path = file_of(release, "sft", "train")
    content = path.read_bytes()
    path.write_bytes(content[:keep] + content[keep + 500 :])
    seal(release)
    assert any("cannot be read" in p for p in verify_release(release).problems)


def test_a_file_that_would_unpack_to_too_much_is_not_read(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.release.stored_files.MAX_GROUP", 1000)
    report = verify_release(release)
    assert "would unpack" in report.problems[0]
    assert report.rows == 0


# ------------------------------------------------------------------------------------------------------------- ids


def test_a_row_that_one_config_lacks_is_named(release: Path) -> None:
    id_ = samples(release, "train")[3]["id"]
    change(release, "sft", "train", lambda f: f.filter(pl.col("id") != id_))
    problems = verify_release(release).problems
    assert any(p.startswith("ids_agree: sft/train") and id_ in p for p in problems)
    assert {p.partition(":")[0] for p in problems} <= {"ids_agree", "copies_agree"}


def test_a_row_that_one_config_adds_is_named(release: Path) -> None:
    change(release, "rl", "train", lambda f: pl.concat([f, f[:1].with_columns(id=pl.lit("stranger"))]))
    assert "adds stranger" in only_problem(release)


@pytest.mark.parametrize("config", ["lineage", "sft"])
def test_rows_in_another_order_are_joined_by_id(release: Path, config: str) -> None:
    change(release, config, "train", lambda f: f.reverse())
    report = verify_release(release)
    assert report.problems == []
    assert report.checks["gold_recomputed"] == ROWS


def test_an_id_that_is_there_twice_is_named(release: Path) -> None:
    rows = samples(release, "train")
    rows[0]["id"] = rows[1]["id"]
    write(release, "train", rows)
    assert any(p.startswith("id_distinct") and rows[1]["id"] in p for p in verify_release(release).problems)


def test_rows_without_an_id_are_counted(release: Path) -> None:
    tamper(release, "countdown", lambda row: {"id": None})
    assert any("1 rows could not be joined" in p for p in verify_release(release).problems)


def test_a_prompt_that_is_there_twice_is_named(release: Path) -> None:
    other = next(r for r in samples(release, "heldout") if r["recipe"] == "countdown")
    was = tamper(release, "countdown", lambda row: {"prompt": other["prompt"]})
    problem = only_problem(release)
    assert problem.startswith("prompt_distinct")
    assert was["id"] in problem
    assert other["id"] in problem


def test_a_problem_in_other_words_is_still_the_same_problem(release: Path) -> None:
    rows = samples(release, "train")
    rows.append({**rows[0], "id": "again", "prompt": rows[0]["prompt"] + " "})
    write(release, "train", rows)
    assert any(p.startswith("digest_distinct") for p in verify_release(release).problems)


def with_mini(release: Path) -> None:
    for config in ROW_VIEWS:
        file_of(release, config, "mini").write_bytes(file_of(release, config, "train").read_bytes())
        change(release, config, "mini", lambda f: f[3:9])


def test_a_mini_split_of_train_rows_is_no_problem(release: Path) -> None:
    with_mini(release)
    assert verify_release(release).problems == []


def test_a_mini_split_with_another_id_is_a_problem(release: Path) -> None:
    with_mini(release)
    for config in ROW_VIEWS:
        change(release, config, "mini", lambda f: pl.concat([f, f[:1].with_columns(id=pl.lit("stranger"))]))
    assert {p.partition(":")[0] for p in verify_release(release).problems} == {"copies_agree"}


@pytest.mark.parametrize(("config", "split"), [("sft", "mini"), (CURRICULUM, "h2")])
def test_a_copy_that_says_something_else_than_train_is_a_problem(release: Path, config: str, split: str) -> None:
    with_mini(release)
    change(release, config, split, lambda f: f.with_columns(flags=pl.lit(["odd"])))
    assert only_problem(release).startswith(f"copies_agree: {config}/{split}")


# ------------------------------------------------------------------------------------------------------------ rows


def test_a_changed_gold_is_recomputed(release: Path) -> None:
    was = tamper(release, "nested", lambda row: {"verifier": {**row["verifier"], "gold": "wrong"}})
    assert f"row {was['id']}: gold_recomputed" in only_problem(release)


def test_changed_arguments_of_a_verifier_are_recomputed(release: Path) -> None:
    tamper(release, "countdown", lambda row: {"verifier": {**row["verifier"], "args": '{"numbers":[1],"target":1}'}})
    assert "gold_recomputed: the tree gives another verifier" in only_problem(release)


def test_a_changed_tree_gives_another_gold(release: Path) -> None:
    def other_input(row: Row) -> Row:
        tree = orjson.loads(row["tree"])
        leaf = tree
        while "args" in leaf:
            leaf = leaf["args"][0]
        leaf["x"] = leaf["x"][::-1] + "q"
        return retold(tree) | {"effective_depth": effective(tree)[1]}

    tamper(release, "nested", other_input)
    assert "gold_recomputed" in only_problem(release)


def test_a_tree_that_is_not_the_digest_s_is_a_problem(release: Path) -> None:
    tamper(release, "countdown", lambda row: {"digest": "0" * 32})
    assert "the digest is not its own" in only_problem(release)


def test_another_depth_is_a_problem(release: Path) -> None:
    tamper(release, "nested", lambda row: {"effective_depth": row["effective_depth"] + 1})
    assert "effective_depth: it is" in only_problem(release)


def test_a_recipe_that_there_is_not_is_a_problem(release: Path) -> None:
    tamper(release, "nested", lambda row: {"recipe": "alchemy"})
    assert "no recipe 'alchemy'" in only_problem(release)


@pytest.mark.parametrize("recipe", ["chains", "countdown"])
def test_a_tree_of_another_recipe_is_a_problem(release: Path, recipe: str) -> None:
    tamper(release, "nested", lambda row: {"recipe": recipe, "level": 2})
    assert "skills_told: recipe" in only_problem(release)


def test_steps_that_give_another_answer_are_a_problem(release: Path) -> None:
    tamper(release, "countdown", lambda row: {"steps": "Answer: 1\n\\boxed{7"})
    assert verify_release(release).problems == []  # the last answer counts
    tamper(release, "nested", lambda row: {"verifier": {**row["verifier"], "kind": "number"}})
    assert "gold_recomputed" in only_problem(release)


CHATS = {
    "prompt of sft": ("sft", lambda m: [{**m[0], "content": "another"}, m[1]]),
    "answer of sft": ("sft", lambda m: [m[0], {**m[1], "content": m[1]["content"] + "1"}]),
    "role of sft": ("sft", lambda m: [{**m[0], "role": "system"}, m[1]]),
    "no turn of sft": ("sft", lambda m: []),
    "prompt": ("prompt_completion", lambda m: [{**m[0], "content": "another"}]),
}


@pytest.mark.parametrize(("config", "how"), CHATS.values(), ids=CHATS.keys())
def test_messages_that_differ_from_the_other_configs_are_named(
    release: Path, config: str, how: Callable[[list[Row]], list[Row]]
) -> None:
    column = "messages" if config == "sft" else "prompt"

    def first_row(frame: pl.DataFrame) -> pl.DataFrame:
        rows = frame[column].to_list()
        return frame.with_columns(pl.Series(column, [how(rows[0]), *rows[1:]], frame.schema[column]))

    change(release, config, "heldout", first_row)
    problems = verify_release(release).problems
    assert any(p.startswith("views_agree") for p in problems)
    assert all(str(samples_id(release)) in p for p in problems)


def samples_id(release: Path) -> str:
    return str(pl.read_parquet(file_of(release, "lineage", "heldout"))["id"][0])


def test_a_ground_truth_that_is_not_the_verifier_is_named(release: Path) -> None:
    truth = pl.struct(style=pl.lit("rule"), ground_truth=pl.lit('{"kind":"text","gold":"x","args":"{}"}'))
    change(release, "rl", "heldout", lambda f: f.with_columns(reward_model=truth))
    problems = verify_release(release).problems
    assert len(problems) == len(samples(release, "heldout"))
    assert all("reward_model is not what the other configs give" in p for p in problems)


@pytest.mark.parametrize("column", ["tree", "skills", "level"])
def test_a_value_that_is_missing_is_a_problem(release: Path, column: str) -> None:
    was = tamper(release, "countdown", lambda row: {column: None})
    assert any(was["id"] in p and "lacks a value" in p for p in verify_release(release).problems)


@pytest.mark.parametrize("verifier", [None, {"kind": None, "gold": None, "args": None}])
def test_a_verifier_that_is_missing_is_a_problem(release: Path, verifier: object) -> None:
    tamper(release, "countdown", lambda row: {"verifier": verifier})
    assert verify_release(release).problems


def test_a_row_that_is_too_long_is_a_problem(release: Path) -> None:
    tamper(release, "countdown", lambda row: {"skills": ["x" * 200_000]})
    assert any("more than 100000 bytes" in p for p in verify_release(release).problems)


def test_a_rule_of_the_samples_holds_for_a_release(release: Path) -> None:
    tamper(release, "countdown", lambda row: {"prompt": "x" * 9000})
    assert "breaks the rule prompt_not_too_long" in only_problem(release)


# --------------------------------------------------------------------------------------------------------- heldout


def test_a_heldout_skill_in_train_is_named(release: Path) -> None:
    held = next(r for r in samples(release, "heldout") if r["recipe"] == "nested")
    write(release, "train", [*samples(release, "train"), {**held, "id": "leak", "split": "train"}])
    problems = verify_release(release).problems
    assert {f"heldout_apart: skill '{name}' of heldout is in train too" for name in held["skills"]} <= {*problems}


def test_a_heldout_pattern_in_train_is_named(release: Path) -> None:
    held = next(r for r in samples(release, "heldout") if r["recipe"] == "countdown")
    write(release, "train", [*samples(release, "train"), {**held, "id": "leak", "split": "train"}])
    assert any(f"skill '{held['skills'][0]}' of heldout" in p for p in verify_release(release).problems)


@pytest.mark.parametrize(("recipe", "name"), [("nested", "mirror"), ("countdown", "countdown((n/n)-n)")])
def test_skills_that_the_tree_does_not_use_are_a_problem(release: Path, recipe: str, name: str) -> None:
    rows = samples(release, "train")
    row = next(r for r in rows if r["recipe"] == recipe and name not in r["skills"])
    row["skills"] = [name]
    write(release, "train", rows)
    assert any(f"row {row['id']}: skills_told" in p for p in verify_release(release).problems)


def test_a_parent_of_heldout_in_train_is_named(release: Path) -> None:
    for split in ("train", "heldout"):
        tamper(release, "chains", lambda row: {"parents": ["seed-7"]}, split)
    assert only_problem(release) == "heldout_apart: parent 'seed-7' of heldout is in train too"


def test_a_row_of_another_split_is_a_problem(release: Path) -> None:
    tamper(release, "chains", lambda row: {"split": "heldout"})
    assert "of another split" in only_problem(release)


# ------------------------------------------------------------------------------------------------ trees and prompts


HOSTILE_TREES = {
    "huge knob": '{"args":[{"kind":"text","x":"a"}],"params":{"n":999999999999},"skill":"repeat_text"}',
    "not JSON": "__import__('os')",
}


@pytest.mark.parametrize("tree", HOSTILE_TREES.values(), ids=HOSTILE_TREES.keys())
def test_a_hostile_tree_is_a_problem_and_is_not_evaluated(release: Path, tree: str) -> None:
    tamper(release, "nested", lambda row: {"tree": tree})
    assert "tree_is_known" in only_problem(release)


def test_a_changed_definition_in_a_prompt_is_found_by_running_it(release: Path) -> None:
    body = "def func_{}({}):\n    return 'x'"

    def other_definition(row: Row) -> Row:
        code, _, rest = row["prompt"].partition("\n\n")
        head = code.partition("\n")[2].partition("(")
        name, arguments = head[0].removeprefix("def func_"), head[2].partition(")")[0]
        return {"prompt": f"```python\n{body.format(name, arguments)}\n\n{rest}"}

    tamper(release, "nested", other_definition)
    assert "printed_functions: the prompt's code returns" in only_problem(release)


def test_a_changed_call_of_a_hidden_definition_is_found_by_running_it(release: Path) -> None:
    tamper(release, "nested", lambda row: {"prompt": row["prompt"].replace("(x", "(x + 'q'", 2)}, hidden=True)
    assert "printed_functions" in only_problem(release)


HOSTILE_CODE = {
    "import": "import os\n    os.system('touch {marker}')\n    return s",
    "class": "return s.__class__.__base__.__subclasses__()",
    "open": "return str(open('{marker}', 'w'))",
    "loop": "while True:\n        s = s",
    "bomb": "return s * 900000000",
}


@pytest.mark.parametrize("body", HOSTILE_CODE.values(), ids=HOSTILE_CODE.keys())
def test_hostile_code_in_a_prompt_is_a_problem_and_does_nothing(release: Path, tmp_path: Path, body: str) -> None:
    marker = tmp_path / "marker"

    def with_code(row: Row) -> Row:
        code = f"def func_1(s):\n    {body.format(marker=marker)}\n\ndef main_solution(x):\n    return func_1(x)"
        return {"prompt": f'```python\n{code}\n```\nWhat does main_solution("abc") return?'}

    tamper(release, "nested", with_code)
    assert "printed_functions" in only_problem(release)
    assert not marker.exists()


# ---------------------------------------------------------------------------------------------------------- report


def test_many_problems_are_cut_with_their_count(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHOWN", 5)
    rows = [{**row, "tree": "{}"} for row in samples(release, "train")]
    write(release, "train", rows)
    problems = verify_release(release).problems
    assert len(problems) == 5
    assert problems[-1] == f"and {len(rows) - 4} more problems"


def test_a_stranger_s_text_cannot_move_the_cursor(release: Path) -> None:
    tamper(release, "nested", lambda row: {"recipe": "\x1b[2J", "id": "\x1b[31m\n"})
    assert all(problem.isprintable() for problem in verify_release(release).problems)


def test_a_report_is_plain_data(built: Path) -> None:
    report = verify_release(built)
    assert isinstance(report, VerifyReport)
    json.dumps([report.rows, report.problems, report.checks, report.seconds])
