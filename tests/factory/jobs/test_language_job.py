"""A whole job of language skills: read, merged, mixed, talked about, judged, released; stopped anywhere, paid once."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from by_example import SKILLS, by_words

from factory.artifacts.digest import Rng
from factory.artifacts.store import Artifact, Store
from factory.errors import BudgetSpent, FactoryError, UserError
from factory.jobs.build import run_build
from factory.jobs.engine import InProcess
from factory.jobs.model import JobFile, parse_job
from factory.jobs.record import Built
from factory.notebook import load
from factory.prompts import all_prompts, find_prompt
from factory.recipes.instruct_skillmix import AUTHOR, CRITIC, EDITOR
from factory.release.verify import verify_release
from factory.skills.language import bank
from factory.teacher.fake import Answer, Fake, answer_by_example
from factory.teacher.protocol import Request, no_reply
from factory.teacher.session import BACK_ENDS

ROWS = 20
MIX: dict[str, Any] = {"recipe": "instruct-skillmix", "share": 1, "k": [1, 2], "votes": 2, "heldout": 0.2, "cap": 1}
TEACHER: dict[str, Any] = {"kind": "openai_http", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
JOB: dict[str, Any] = {
    "kind": "build", "name": "mixed", "seed": 7, "rows": ROWS, "mini": {"rows": 0}, "recipes": [MIX],
    "teacher": TEACHER, "skills": {"path": "skills.jsonl", "heldout": 0.2}, "max_attempts": 3,
}  # fmt: skip


class Workshop:
    """An outputs root with a list of skills, and the fake in the place of the teacher."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.out = root, root / "out"
        self.asked: list[Request] = []
        self._patch = monkeypatch
        root.mkdir(exist_ok=True)
        lines = [json.dumps(skill.as_row()) for skill in SKILLS]
        (root / "skills.jsonl").write_text("\n".join(lines), encoding="utf-8")

    def run(self, answer: Answer = answer_by_example, **keys: Any) -> Built:
        fake = Fake(answer, model="m")
        self._patch.setitem(BACK_ENDS, "openai_http", lambda spec, *_: fake)
        self.asked = fake.asked
        with InProcess(1) as engine:
            return run_build(JobFile(parse_job({**JOB, **keys}, "the job"), self.root), self.out, engine)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(bank, "encode", by_words)
    monkeypatch.setattr("os.fsync", lambda handle: None)
    return Workshop(tmp_path / "shop", monkeypatch)


def data_of(release: Path) -> dict[str, bytes]:
    return {p.relative_to(release).as_posix(): p.read_bytes() for p in sorted(release.rglob("*")) if p.is_file()}


def both(built: Built, config: str) -> pl.DataFrame:
    return pl.concat([load(built.release, config, split) for split in ("train", "heldout")])


def key_of(request: Request) -> str:
    return request.key("m")


def some_fail(request: Request) -> Any:
    """Refuse one request in nine; which ones depends on them alone."""
    return no_reply("refused", "no") if int(key_of(request)[:8], 16) % 9 == 0 else answer_by_example(request)


# -------------------------------------------------------------------------------------------------------- the whole


def test_every_cell_of_both_splits_is_filled_with_skills_of_its_side(workshop: Workshop) -> None:
    built = workshop.run()
    manifest = json.loads((built.release / "manifest.json").read_bytes())
    assert all(cell["planned"] == cell["filled"] for cell in manifest["cells"])
    assert sum(cell["filled"] for cell in manifest["cells"]) == ROWS
    sides = {split: set(load(built.release, "lineage", split)["skills"].explode()) for split in ("train", "heldout")}
    assert not sides["train"] & sides["heldout"]
    told = load(built.release, "skills", "skills")
    language = dict(told.filter(pl.col("takes") == "language").select("name", "split").rows())
    assert all(language[name] == split for split, names in sides.items() for name in names)


def test_a_release_of_texts_is_verified_and_its_judged_points_are_kept(workshop: Workshop) -> None:
    built = workshop.run()
    report = verify_release(built.release)
    assert report.problems == []
    assert report.rows == ROWS
    grades = both(built, "lineage")["grades"].to_list()
    assert all({grade["value"] for grade in row} == {1.0} for row in grades)
    rl = both(built, "rl")
    assert {verifier["kind"] for verifier in rl["verifier"].to_list()} == {"rubric"}
    replies = dict(zip(rl["id"], (v["gold"] for v in rl["verifier"].to_list()), strict=True))
    assert {row["id"]: row["messages"][1]["content"] for row in both(built, "sft").to_dicts()} == replies


def test_the_card_of_a_job_of_skills_tells_of_them_and_claims_no_computed_answer(workshop: Workshop) -> None:
    text = (workshop.run().release / "README.md").read_text(encoding="utf-8")
    assert "of 15 language skills" in text
    assert "Every answer was computed" not in text
    assert "[reply, rubric]" in text


def test_a_turn_is_there_for_each_request_and_no_label_of_it_is_in_a_row(workshop: Workshop) -> None:
    built = workshop.run(some_fail)
    turns = load(built.release, "turns", "turns")
    gold = len(workshop.asked) - turns.height  # they are asked before, and about no row
    assert gold > 5
    assert {AUTHOR, CRITIC, EDITOR} < set(turns["prompt"])
    rows = both(built, "sft")
    assert rows.height == ROWS
    flags = Counter(flag for row in both(built, "lineage")["flags"].to_list() for flag in row)
    assert flags["unedited"] > 0


def test_a_job_of_skills_without_any_that_can_be_used_says_so(workshop: Workshop) -> None:
    (workshop.root / "skills.jsonl").write_text(json.dumps({"name": "irony"}), encoding="utf-8")
    with pytest.raises(UserError, match=r"recipe 'instruct-skillmix', split \w+: "):
        workshop.run()
    assert workshop.asked == []


def test_a_profile_that_is_no_profile_is_the_user_s_to_mend(workshop: Workshop) -> None:
    for text, said in (
        ("[1]", "holds a list"),
        ("{", "is not JSON"),
        ('{"irony": -1}', "the weight -1"),
        ('{"no_such_skill": 1}', "which is no skill"),
    ):
        (workshop.root / "profile.json").write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=said):
            workshop.run(skills={"path": "skills.jsonl", "profile": "profile.json"})
    assert workshop.asked == []


# ----------------------------------------------------------------------------------------------- stopped and resumed


@pytest.fixture
def whole(tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, bytes], int]:
    """The release of a run that nobody stopped, and how many requests it took."""
    calm = Workshop(tmp_path / "calm", monkeypatch)
    built = calm.run(some_fail)
    return data_of(built.release), len(calm.asked)


def test_a_second_run_asks_nothing_and_gives_the_same_bytes(workshop: Workshop) -> None:
    first = data_of(workshop.run(some_fail).release)
    again = workshop.run(lambda request: pytest.fail("nobody was to be asked"))
    assert workshop.asked == []
    assert data_of(again.release) == first


def test_a_teacher_that_dies_again_and_again_is_paid_for_no_request_twice(
    workshop: Workshop, whole: tuple[dict[str, bytes], int]
) -> None:
    paid: list[str] = []
    rng = Rng(5)

    def dying(after: int) -> Answer:
        left = iter(range(after))

        def reply(request: Request) -> Any:
            if next(left, None) is None:
                return no_reply("connection", "the server is gone")
            paid.append(key_of(request))
            return some_fail(request)

        return reply

    deaths = 0
    for _ in range(60):
        try:
            built = workshop.run(dying(rng.between(5, 40)))
            break
        except FactoryError:
            deaths += 1
    assert deaths >= 3
    assert len(paid) == len(set(paid)) == whole[1]
    assert data_of(built.release) == whole[0]


@pytest.mark.parametrize("stage", ["skills", "plan", "verify", "dedupe", "samples"])
def test_a_run_that_died_at_a_commit_goes_on_without_a_repeated_request(
    stage: str, workshop: Workshop, whole: tuple[dict[str, bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Store.commit

    def die(self: Store, name: str, *args: Any) -> Artifact:
        if name == stage:
            raise KeyboardInterrupt
        return commit(self, name, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit", die)
        with pytest.raises(KeyboardInterrupt):
            workshop.run(some_fail)
    first = [key_of(request) for request in workshop.asked]
    built = workshop.run(some_fail)
    then = [key_of(request) for request in workshop.asked]
    assert len(first) + len(then) == len({*first, *then}) == whole[1]
    assert data_of(built.release) == whole[0]


def test_small_budgets_come_to_the_same_end_without_a_repeated_request(
    workshop: Workshop, whole: tuple[dict[str, bytes], int]
) -> None:
    asked: list[str] = []
    for _ in range(60):
        try:
            built = workshop.run(some_fail, teacher={**TEACHER, "budget": {"tokens": 60_000}})
            break
        except BudgetSpent:
            asked += [key_of(request) for request in workshop.asked]
    asked += [key_of(request) for request in workshop.asked]
    assert len(asked) == len(set(asked)) == whole[1]
    assert data_of(built.release) == whole[0]


def test_another_prompt_file_talks_anew(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.run()
    changed = {**all_prompts(), EDITOR: replace(find_prompt(EDITOR), identity="another")}
    monkeypatch.setattr("factory.prompts.all_prompts", lambda: changed)
    before = len(list((workshop.out / "artifacts" / "talk").glob("*/manifest.json")))
    workshop.run(release={"version": "1.0.1"})
    assert len(list((workshop.out / "artifacts" / "talk").glob("*/manifest.json"))) > before
