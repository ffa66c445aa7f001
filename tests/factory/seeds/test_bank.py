"""The seeds of a job: which rows are usable and why not, the bank's two sides, and the chains built on them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from factory.artifacts.digest import row_rng
from factory.artifacts.store import Artifact, Store
from factory.errors import UserError
from factory.jobs.engine import InProcess
from factory.jobs.model import SeedSource, parse_job
from factory.jobs.report import Report
from factory.jobs.waves import Filling, sample_shards
from factory.recipes.recipe import Brief, Draft, Sources
from factory.recipes.registry import RECIPES
from factory.seeds.bank import SCREEN, SeedBank, import_seeds, worked_solution
from factory.skills.library import TASKS, held_out
from factory.skills.tree import OutsideDomain, Tree, effective, evaluate, nodes
from schemas.seeds import RAW_SEEDS

GOOD = [
    (f"A box holds {i + 3} pens and a shop has {i + 2} boxes. How many pens?", f"{(i + 3) * (i + 2)}")
    for i in range(30)
]
Write = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("os.fsync", lambda handle: None)
    return Store(tmp_path / "artifacts")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes problems as JSON lines and returns the file."""

    def put(problems: list[tuple[str | None, str | None]], file: str = "seeds.jsonl", **more: list[Any]) -> Path:
        rows = [{"question": q, "answer": a} for q, a in problems]
        rows = [row | {key: values[i] for key, values in more.items()} for i, row in enumerate(rows)]
        (tmp_path / file).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path / file

    return put


def imported(file: Path, store: Store, **keys: Any) -> Artifact:
    return import_seeds(SeedSource(path=file.name, **keys), file.parent, store)


def test_usable_rows_keep_their_place_number_and_key(write: Write, store: Store) -> None:
    seeds = imported(
        write([("Ann has 5 apples and buys 13 pears. How many?", "5 + 13 = <<5+13=18>>18.\n\n#### 18")]), store
    )
    row = seeds.read().row(0, named=True)
    question = row["question"]
    assert (row["row"], row["answer"], row["work"]) == (0, 18, "5 + 13 = 18.")
    assert question[row["start"] : row["end"]] == str(row["key"])


REJECTS: dict[str, tuple[str | None, str | None]] = {
    "question_present": ("  ", "4"),
    "answer_numeric": ("Bo has 5 hens. How many legs?", "ten"),
    "key_number_present": ("How many legs has a dog?", "4"),
    "question_not_too_long": (f"{'la ' * 700} Bo has 5 hens. How many legs?", "10"),
}


@pytest.mark.parametrize("code", REJECTS)
def test_a_row_that_cannot_be_used_leaves_with_its_reason_and_row_number(write: Write, store: Store, code: str) -> None:
    seeds = imported(write([*GOOD[:4], REJECTS[code], *GOOD[4:6]]), store)
    assert (seeds.rows, seeds.rejects) == (6, 1)
    [(_, reasons)] = seeds.read_rejects().rows()
    assert reasons == [{"gate": "seeds", "code": code, "detail": "row 4", "twin": None}]


def test_a_question_that_was_asked_before_leaves_and_names_the_first_row_that_asked_it(
    write: Write, store: Store
) -> None:
    seeds = imported(write([GOOD[0], GOOD[1], GOOD[0], GOOD[0]]), store)
    assert seeds.read()["row"].to_list() == [0, 1]
    reasons = [row[0] for row in seeds.read_rejects()["reasons"].to_list()]
    assert [(r["code"], r["detail"]) for r in reasons] == [("question_is_new", "row 2"), ("question_is_new", "row 3")]
    assert {r["twin"] for r in reasons} == {seeds.read()["id"][0]}


def test_a_row_that_cannot_be_used_is_no_twin(write: Write, store: Store) -> None:
    seeds = imported(write([(GOOD[0][0], "some"), GOOD[0]]), store)
    assert seeds.read()["row"].to_list() == [1]


def test_ids_of_the_file_are_kept(write: Write, store: Store) -> None:
    columns = {"question": "question", "answer": "answer", "id": "name"}
    seeds = imported(write(GOOD[:2], name=["pens", "more pens"]), store, columns=columns)
    assert seeds.read()["id"].to_list() == ["pens", "more pens"]


def test_a_file_without_a_usable_row_is_the_users_to_mend(write: Write, store: Store) -> None:
    file = write([REJECTS["answer_numeric"], REJECTS["answer_numeric"], REJECTS["key_number_present"]])
    with pytest.raises(UserError) as caught:
        imported(file, store)
    assert str(caught.value) == (
        "seeds seeds.jsonl: none of 3 rows can be used (answer_numeric: 2, key_number_present: 1); a row needs a"
        " question with a stand-alone whole number and an answer that is one whole number"
    )


def test_the_same_rows_are_not_screened_twice_and_other_rows_are(write: Write, store: Store) -> None:
    first, again = (imported(write(GOOD[:5]), store) for _ in range(2))
    assert (first.made, again.made) == (True, False)
    assert imported(write(GOOD[:5], file="copy.jsonl"), store).key == first.key
    assert imported(write(GOOD[:6]), store).key != first.key


@pytest.mark.parametrize(
    ("answer", "work"),
    [
        ("2 * 3 = <<2*3=6>>6 pens.\nSo 6.\n#### 6", "2 * 3 = 6 pens. So 6."),
        ("6", ""),
        ("#### 6", ""),
        ("a #### b #### 6", "a #### b"),
    ],
)
def test_a_worked_solution_is_what_stands_before_the_last_mark(answer: str, work: str) -> None:
    assert worked_solution(answer) == work


def test_the_screening_loses_no_row() -> None:
    problems = [*GOOD[:3], *REJECTS.values(), GOOD[0], (None, None)]
    raw = pl.DataFrame(
        [(f"s{i}", i, q, a) for i, (q, a) in enumerate(problems)], schema=dict(RAW_SEEDS.columns), orient="row"
    )
    rows, rejects = SCREEN.writes.split(SCREEN.run(raw, {}))
    assert sorted([*rows["id"], *rejects["id"]]) == raw["id"].to_list()


@pytest.fixture
def bank(write: Write, store: Store) -> SeedBank:
    return SeedBank(imported(write(GOOD), store))


def test_one_seed_of_ten_is_held_out_and_no_seed_is_on_both_sides(bank: SeedBank) -> None:
    train, heldout = bank.ids("train"), bank.ids("heldout")
    assert (len(train), len(heldout)) == (27, 3)
    assert not set(train) & set(heldout)


def test_the_sides_do_not_depend_on_the_order_of_the_file(write: Write, store: Store) -> None:
    names = [f"n{i}" for i in range(30)]
    columns = {"question": "question", "answer": "answer", "id": "id"}
    one = SeedBank(imported(write(GOOD, id=names), store, columns=columns))
    two = SeedBank(imported(write(GOOD[::-1], file="b.jsonl", id=names[::-1]), store, columns=columns))
    assert one.ids("heldout") == two.ids("heldout")
    assert one.identity != two.identity


def test_a_seed_is_found_by_its_id(bank: SeedBank) -> None:
    seed = bank.get(bank.ids("train")[5])
    assert seed.id == bank.ids("train")[5]
    assert (seed.question, str(seed.answer)) in GOOD
    assert seed.question[seed.start : seed.end] == str(seed.key)


def test_the_identity_of_a_bank_is_that_of_its_seeds(write: Write, store: Store) -> None:
    identities = {SeedBank(imported(write(rows), store)).identity for rows in (GOOD, GOOD, GOOD[1:], GOOD[:-1])}
    assert len(identities) == 3


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain on seeds, and the ids it was planned on."""

    draft: Draft
    planned: list[str]

    @property
    def tree(self) -> Tree:
        return self.draft.tree


def chains(bank: SeedBank, level: int, n: int = 20, **settings: Any) -> list[Chain]:
    params = RECIPES["chains"].params.model_validate({"recipe": "chains", "share": 1, **settings})
    out, ids = [], bank.ids("train")
    for i in range(n):
        planned = row_rng(1, "planned", str(i)).sample(ids, level)
        brief = Brief(level, "train", ["seed_problem"] * level, planned, Sources(bank))
        draft = RECIPES["chains"].draw(params, brief, row_rng(1, "draw", str(i)))
        if isinstance(draft, Draft):
            out.append(Chain(draft, planned))
    assert len(out) > n / 2
    return out


def test_a_chain_of_seeds_is_built_on_the_planned_seeds_and_ends_in_the_last_answer(bank: SeedBank) -> None:
    for chain in chains(bank, 3):
        assert chain.draft.parents == chain.planned
        assert chain.draft.verifier["gold"] == str(bank.get(chain.planned[-1]).answer)
        assert effective(chain.tree) == (bank.get(chain.planned[-1]).answer, 3)
        assert chain.draft.skills == ["seed_problem"] * 3


def test_only_chains_with_a_linked_seed_are_flagged(bank: SeedBank) -> None:
    assert {tuple(chain.draft.flags) for chain in chains(bank, 2)} == {("const_diff",)}
    assert {tuple(chain.draft.flags) for chain in chains(bank, 1)} == {()}


def test_a_prompt_defines_each_variable_and_asks_the_substituted_question(bank: SeedBank) -> None:
    for chain in chains(bank, 3):
        seeds = [bank.get(id_) for id_ in chain.planned]
        assert seeds[0].question in chain.draft.prompt
        for j, (before, seed) in enumerate(zip(seeds, seeds[1:], strict=False), 1):
            asked = f"{seed.question[: seed.start]}B{j + 1}{seed.question[seed.end :]}"
            by = seed.key - before.answer
            definition = f"Let B{j + 1} be A{j} {'+' if by >= 0 else '-'} {abs(by)}."
            assert f"{definition} {asked}" in chain.draft.prompt
            assert seed.question not in chain.draft.prompt
            assert re.search(
                rf"Call the answer A{j}\.|Let A{j} be the result\.|The answer is A{j}\.", chain.draft.prompt
            )


def test_the_steps_say_every_number_and_the_answer_of_every_seed(bank: SeedBank) -> None:
    for chain in chains(bank, 3):
        lines = chain.draft.steps.splitlines()
        for j, (line, id_) in enumerate(zip(lines, chain.planned, strict=True)):
            seed = bank.get(id_)
            assert line.endswith(f"The answer to this problem is {seed.answer}.")
            if j:
                before = bank.get(chain.planned[j - 1]).answer
                by = seed.key - before
                assert f"B{j + 1} = {before} {'+' if by >= 0 else '-'} {abs(by)} = {seed.key}." in line


def test_a_changed_first_number_leaves_the_last_problem_without_an_answer(bank: SeedBank) -> None:
    for chain in chains(bank, 3):
        key = bank.get(chain.planned[0]).key
        assert evaluate(chain.tree, key) == bank.get(chain.planned[-1]).answer
        with pytest.raises((OutsideDomain, ValueError)):
            evaluate(chain.tree, key + 1)


def test_a_seed_share_below_1_mixes_in_skills_that_follow_their_input(bank: SeedBank) -> None:
    mixed = chains(bank, 4, n=40, seed_share=0.5)
    links = [part["skill"] for chain in mixed for part in list(nodes(chain.tree))[1:]]
    share = links.count("seed_problem") / len(links)
    assert 0.3 < share < 0.7
    skills = set(links) - {"seed_problem"}
    assert skills <= set(TASKS) - held_out()
    for chain in mixed:
        used = [part["skill"] for part in nodes(chain.tree)]
        assert chain.draft.skills == used
        assert used[0] == "seed_problem"
        assert len(chain.draft.parents) == used.count("seed_problem")
        assert set(chain.draft.parents) <= set(chain.planned)
        assert chain.draft.flags == (["const_diff"] if "seed_problem" in used[1:] else [])


def test_samples_on_seeds_keep_their_sides_and_name_their_parents(write: Write, store: Store) -> None:
    bank = SeedBank(imported(write(GOOD), store))
    entry = {"recipe": "chains", "share": 1, "levels": [1, 2, 3], "heldout": 0.1, "cap": 0.5}
    job = parse_job({"kind": "build", "name": "seeded", "rows": 60, "recipes": [entry], "mini": {"rows": 0}}, "the job")
    engine, report = InProcess(1), Report()
    made = Filling(job, store, engine, report, Sources(bank)).run()
    samples = pl.concat([s.read() for s in sample_shards(made, 60, store, engine, report)])
    assert samples.height == 60
    for split in ("train", "heldout"):
        mine = samples.filter(pl.col("split") == split)
        assert set(mine["parents"].explode()) <= set(bank.ids(split))
        assert mine.height
    for tree, parents in samples.select("tree", "parents").iter_rows():
        assert [part["params"]["seed"] for part in nodes(orjson.loads(tree))] == parents
