"""`factory skills extract` and `merge`: files whole or not at all, nothing paid for a mistake or paid twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from click.testing import Result

from factory.artifacts.digest import text_digest
from factory.cli import skills_extract
from factory.skills.language.extraction_folder import FILES
from factory.skills.language.lists import read_skills
from factory.skills.language.merge import Vectors
from schemas.skills import LABELS, MERGES

Factory = Callable[..., Result]
FAKE = ("--teacher", "fake")
DOMAIN = ("skills", "extract", "--domain", "Letters to authorities", *FAKE)
FOLDER = Path("outputs/skills/letters-to-authorities")


@pytest.fixture(autouse=True)
def _quick_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is loaded: a text is only like itself."""

    def by_label(texts: Sequence[str]) -> Vectors:
        seeds = [int(text_digest(text.partition(":")[0])[:8], 16) for text in texts]
        rows = np.stack([np.random.default_rng(seed).standard_normal(256) for seed in seeds])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)

    monkeypatch.setattr(skills_extract, "encode", by_label)
    monkeypatch.setattr(skills_extract, "require_embed", lambda what: None)


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    path = tmp_path / "requests.jsonl"
    rows = [
        {"instruction": f"Which of the plans {i} and {i + 1} is cheaper?", "output": "The first."} for i in range(6)
    ]
    path.write_text("\n".join(json.dumps(row) for row in [*rows, {"instruction": ""}]), encoding="utf-8")
    return path


def json_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def refusing(path: Path) -> str:
    line = {"contains": [], "reply": "not JSON"}
    path.write_text(json.dumps(line), encoding="utf-8")
    return f"fake:{path}"


def test_a_domain_gives_the_files(factory: Factory) -> None:
    done = factory(*DOMAIN)
    assert done.exit_code == 0, done.stderr
    assert {path.name for path in FOLDER.iterdir()} == set(FILES)
    assert len(read_skills(FOLDER / "skills.jsonl").skills) == 3
    kinds = yaml.safe_load((FOLDER / "query-types.yaml").read_text(encoding="utf-8"))["query_types"]
    assert all(set(kind) == {"name", "definition", "examples"} for kind in kinds)
    assert json.loads((FOLDER / "rounds.json").read_bytes())["origin"] == "domain:Letters to authorities"
    assert pl.read_csv(FOLDER / "merges.csv").columns == list(MERGES.columns)


def test_it_tells_families_rounds_merges_and_cost(factory: Factory) -> None:
    shown = factory(*DOMAIN).stdout
    for part in ("weighing options", "topics", "query_types", "kept 3", "nothing new", "replies used", str(FOLDER)):
        assert part in shown


def test_the_same_command_again_pays_nothing_and_writes_the_same_bytes(factory: Factory) -> None:
    first = json.loads(factory(*DOMAIN, "--json").stdout)
    before = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    second = json.loads(factory(*DOMAIN, "--json").stdout)
    assert first["cost"]["requests"] > 0
    assert (second["cost"]["requests"], second["cost"]["from_cache"]) == (0, first["cost"]["requests"])
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == before
    assert [path.name for path in FOLDER.parent.iterdir()] == [FOLDER.name]


def test_the_cost_tells_all_replies_and_those_of_this_run(factory: Factory) -> None:
    n = json.loads(factory(*DOMAIN, "--json").stdout)["cost"]["requests"]
    assert f"{n} replies used, 0 asked for now: 0 tokens" in factory(*DOMAIN).stdout


def test_what_the_teacher_said_of_pairs_is_kept_in_a_file(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    def alike(texts: Sequence[str]) -> Vectors:
        return np.asarray([[np.sqrt(0.5), *np.sqrt(0.5) * np.eye(99)[i]] for i in range(len(texts))], dtype=np.float32)

    monkeypatch.setattr(skills_extract, "encode", alike)
    told = json.loads(factory(*DOMAIN, "--json").stdout)
    said = json_lines(FOLDER / "confirmations.jsonl")
    assert (said[0]["first"], said[0]["second"], said[0]["relation"]) == ("analogy", "concession", "siblings")
    assert said[0]["reason"]
    assert told["confirmations"] == {"siblings": len(said)}


def test_json_says_what_the_table_says(factory: Factory) -> None:
    told = json.loads(factory(*DOMAIN, "--json").stdout)
    assert told["skills"] == sum(told["families"].values()) == told["merges"]["kept"] == 3
    assert [r["step"] for r in told["rounds"]] == ["topics", "topics", "skills", "skills", "query_types", "query_types"]


def test_rows_give_labels_and_rejects(factory: Factory, requests: Path) -> None:
    done = factory("skills", "extract", "--from", requests, "--answer-column", "output", *FAKE)
    assert done.exit_code == 0, done.stderr
    folder = Path("outputs/skills/requests")
    labels = json_lines(folder / "labels.jsonl")
    assert {row["row"] for row in labels} == {f"requests.jsonl:{i}" for i in range(6)}
    assert list(labels[0]) == list(LABELS.columns)
    assert [(row["subject"], row["code"]) for row in json_lines(folder / "rejects.jsonl")] == [
        ("requests.jsonl:6", "text_present")
    ]


def test_rows_can_be_labelled_with_a_list(factory: Factory, requests: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("irony\ncost comparison\n", encoding="utf-8")
    args = ("skills", "extract", "--from", requests, "--vocabulary", "list.txt", "--out", "mine", *FAKE, "--json")
    told = json.loads(factory(*args).stdout)
    assert told["labels"] == {"exact": 12}
    assert {row["name"]: row["count"] for row in json_lines(Path("mine/skills.jsonl"))} == {
        "irony": 6, "cost_comparison": 6,
    }  # fmt: skip


def test_documents_give_skills(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "rules.md").write_text("Bicycles are kept in the yard.", encoding="utf-8")
    told = json.loads(factory("skills", "extract", "--documents", "house", *FAKE, "--json").stdout)
    assert told["skills"] == 2
    assert told["origin"] == "documents:house"


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ((), "one of --domain, --from and --documents; found none"),
        (("--domain", "x", "--from", "y"), "found --domain and --from"),
        (("--domain", " ?! "), "--domain wants a few words"),
        (("--domain", "x", "--column", "y"), "--column goes with --from or --documents"),
        (("--documents", "x", "--answer-column", "y"), "--answer-column goes with --from"),
        (("--from", "nothing.jsonl"), "there are no seeds 'nothing.jsonl'"),
    ],
)
def test_what_does_not_fit_together_is_told_before_anything_is_asked(
    factory: Factory, args: Sequence[str], match: str
) -> None:
    done = factory("skills", "extract", *args, *FAKE)
    assert done.exit_code == 2
    assert match in done.stderr
    assert not Path("outputs").exists()


def test_no_teacher_is_told_with_what_to_do(factory: Factory) -> None:
    done = factory("skills", "extract", "--domain", "letters")
    assert done.exit_code == 2
    assert "--teacher URL --model NAME" in done.stderr


def test_a_folder_with_other_files_is_not_written_into(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x", encoding="utf-8")
    done = factory(*DOMAIN, "--out", "mine")
    assert done.exit_code == 2
    assert "holds thesis.txt" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_what_lies_beside_an_earlier_extraction_stays(factory: Factory) -> None:
    factory(*DOMAIN)
    (FOLDER / "graph.png").write_bytes(b"a picture")
    assert factory(*DOMAIN).exit_code == 0
    assert {path.name for path in FOLDER.iterdir()} == {*FILES, "graph.png"}


def test_an_extraction_that_fails_leaves_the_earlier_one_as_it_was(factory: Factory, tmp_path: Path) -> None:
    factory(*DOMAIN)
    before = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    args = ("skills", "extract", "--domain", "Letters to authorities", "--teacher", refusing(tmp_path / "no.jsonl"))
    done = factory(*args)
    assert done.exit_code == 2
    assert "step 'topics': 1 asked, all failed (unparsable: 1" in done.stderr
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == before


def test_the_teacher_of_a_job_can_be_asked(factory: Factory, tmp_path: Path) -> None:
    job = {
        "kind": "build", "name": "j", "rows": 10, "recipes": [{"recipe": "countdown", "share": 1}],
        "teacher": {"kind": "fake", "model": "m", "price": {"input": 1.0, "output": 2.0}},
    }  # fmt: skip
    (tmp_path / "j.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
    told = json.loads(factory("skills", "extract", "--domain", "letters", "--job", "j.yaml", "--json").stdout)
    assert told["cost"]["usd"] > 0


def test_a_batch_teacher_is_waited_for(factory: Factory) -> None:
    done = factory("skills", "extract", "--domain", "letters", "--teacher", "batch:sent", "--model", "m")
    assert done.exit_code == 3
    assert "waiting" in done.stderr


def test_merging_a_list_needs_no_teacher(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("trade-offs\ntrade off\nirony\nTopic 2: Style\nIrony\n", encoding="utf-8")
    done = factory("skills", "merge", "list.txt", "--out", "merged.jsonl")
    assert done.exit_code == 0, done.stderr
    assert "spelling" in done.stdout
    assert "3 skills read, 2 after merging (left out: header 1, duplicate 1)" in done.stdout
    assert {skill.name for skill in read_skills(tmp_path / "merged.jsonl").skills} > {"irony"}


def test_merging_says_what_every_label_became(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("trade-offs\ntrade off\nirony\n", encoding="utf-8")
    told = json.loads(factory("skills", "merge", "list.txt", "--json").stdout)
    assert {row["label"] for row in told["merges"]} == {"trade_offs", "trade_off", "irony"}
    assert (told["read"], told["skills"]) == (3, 2)


def test_a_list_is_written_as_json_lines_only(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("irony\n", encoding="utf-8")
    done = factory("skills", "merge", "list.txt", "--out", "merged.csv")
    assert done.exit_code == 2
    assert "--out wants FILE.jsonl" in done.stderr


def test_a_list_that_is_not_there_is_told(factory: Factory) -> None:
    done = factory("skills", "merge", "nothing.txt")
    assert done.exit_code == 2
    assert "nothing.txt" in done.stderr
