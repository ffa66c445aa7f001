"""The dry run of a job that talks: what it will ask, and what that costs, before anybody is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from factory.errors import UserError
from factory.gates.rubric import load_rubric
from factory.jobs.build import run_build
from factory.jobs.engine import InProcess
from factory.jobs.estimate import SAMPLED, Estimate, counter, estimate, sampled
from factory.jobs.model import Job, JobFile, parse_job
from factory.recipes.recipe import NOTHING
from factory.teacher.model import TeacherSpec

FAKE: dict[str, Any] = {"kind": "fake", "model": "fake"}


def job_of(rows: int, *entries: dict[str, Any], **keys: Any) -> Job:
    recipes = [
        {"recipe": "rephrased", "share": 1 / len(entries or "1"), "levels": [1, 2], **e} for e in entries or [{}]
    ]
    job = {"kind": "build", "name": "dry", "seed": 5, "rows": rows, "mini": {"rows": 0}, "teacher": FAKE, **keys}
    return parse_job({**job, "recipes": recipes}, "the job")


def asked(job: Job, base: Path = Path()) -> Estimate:
    return estimate(job, NOTHING, base)


@pytest.mark.parametrize("rows", [1, 5, 16, 17, 100, 12_345])
@pytest.mark.parametrize("votes", [2, 3])
def test_each_row_asks_once_and_is_solved_as_often_as_it_has_votes(rows: int, votes: int) -> None:
    found = asked(job_of(rows, {"votes": votes}))
    assert {role: a.requests for role, a in found.asked.items()} == {"author": rows, "judge": rows * votes}
    assert found.requests == rows * (1 + votes)


def test_lines_of_the_job_are_asked_for_in_their_shares_and_those_by_program_not_at_all() -> None:
    lines: list[dict[str, Any]] = [
        {"recipe": "chains", "share": 0.5},
        {"share": 0.3, "votes": 2},
        {"share": 0.2, "votes": 4},
    ]
    assert asked(job_of(100, *lines)).requests == 30 * 3 + 20 * 5


@pytest.mark.parametrize("judges", [1, 2])
def test_the_judges_gold_rows_are_asked_for_once_a_judge(judges: int) -> None:
    judge = [{**FAKE, "model": f"j{n}"} for n in range(judges)]
    line = {"judge": {"rubric": "sound-response", "votes": 1}, "votes": 2}
    plain, judged = (asked(job_of(40, entry, judge=judge)) for entry in ({"votes": 2}, line))
    gold = len(load_rubric("sound-response").gold)
    assert gold > 0
    assert judged.requests == plain.requests + 40 + judges * gold


def test_a_job_by_program_asks_nothing() -> None:
    found = asked(job_of(100, {"recipe": "chains"}))
    assert (found.requests, found.usage.tokens, found.most_tokens, found.spread) == (0, 0, 0, 0)


def test_the_same_job_has_the_same_estimate() -> None:
    assert asked(job_of(50)).as_json() == asked(job_of(50)).as_json()


def test_tokens_grow_with_the_rows() -> None:
    one, ten = asked(job_of(100)), asked(job_of(1_000))
    assert ten.usage.prompt_tokens == pytest.approx(10 * one.usage.prompt_tokens, rel=0.1)
    assert ten.usage.completion_tokens == pytest.approx(10 * one.usage.completion_tokens, rel=0.1)
    assert ten.spread == pytest.approx(one.spread, rel=0.5)


def test_a_build_with_example_replies_asks_what_was_estimated(tmp_path: Path) -> None:
    job = job_of(SAMPLED)
    found = asked(job)
    with InProcess(1) as engine:
        built = run_build(JobFile(job, Path()), tmp_path, engine)
    assert built.teacher is not None
    assert built.teacher["planned"] == found.as_json()
    actual = built.teacher["actual"]
    assert actual["requests"] == found.requests
    spent = actual["prompt_tokens"] + actual["completion_tokens"]
    assert spent == pytest.approx(found.usage.tokens, rel=max(2 * found.spread, 0.02))


def test_nothing_is_written_and_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked(job_of(50, teacher={"model": "m", "base_url": "http://127.0.0.1:9/v1"}))
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------------------------------------------- money


@pytest.mark.parametrize("max_tokens", [None, 64, 4096])
def test_the_most_is_at_least_what_is_expected_where_examples_fit(max_tokens: int | None) -> None:
    price = {"input": 1.0, "output": 4.0}
    found = asked(job_of(40, teacher={**FAKE, "price": price, "sampling": {"max_tokens": max_tokens or 2048}}))
    usd, most = found.usd(), found.usd(most=True)
    assert usd is not None
    assert most is not None
    assert found.most_tokens == found.usage.prompt_tokens + found.requests * (max_tokens or 2048)
    if max_tokens != 64:
        assert most >= usd
        assert found.most_tokens >= found.usage.tokens


def test_money_is_tokens_times_the_price_of_each_role() -> None:
    author = {**FAKE, "price": {"input": 2.0, "output": 8.0}}
    judge = {**FAKE, "model": "j", "price": {"input": 0.5, "output": 1.0}}
    found = asked(job_of(1_000, teacher=author, judge=judge))
    a, j = found.asked["author"].usage, found.asked["judge"].usage
    wanted = (2 * a.prompt_tokens + 8 * a.completion_tokens + 0.5 * j.prompt_tokens + j.completion_tokens) / 1e6
    assert found.usd() == pytest.approx(wanted)


def test_without_any_price_no_money_is_told() -> None:
    found = asked(job_of(20))
    assert found.usd() is found.usd(most=True) is None
    assert found.as_json()["usd"] is None


@pytest.mark.parametrize("judge", [{**FAKE, "model": "j"}, {**FAKE, "model": "j", "price": {"gpu_hour": 2}}])
def test_the_money_is_that_of_the_roles_with_a_price_per_token(judge: dict[str, Any]) -> None:
    found = asked(job_of(20, teacher={**FAKE, "price": {"input": 1, "output": 1}}, judge=judge))
    assert found.usd() == pytest.approx(found.asked["author"].usage.tokens / 1e6)


def test_the_job_s_limit_is_the_largest_reply() -> None:
    small, large = (asked(job_of(10, teacher={**FAKE, "sampling": {"max_tokens": n}})) for n in (100, 1_000))
    assert large.most_tokens - small.most_tokens == 900 * 30


# ------------------------------------------------------------------------------------------------------------ counting


def write_tokenizer(folder: Path) -> None:
    """A tokenizer of a folder that knows no word: each word and each sign is one token."""
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))


def test_the_tokenizer_of_a_model_that_is_a_folder_counts(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tiny")
    spec = TeacherSpec(kind="vllm_batch", model="tiny")
    count, name = counter(spec, tmp_path)
    assert name == "the model's tokenizer"
    assert (count("one two, three"), count("")) == (4, 0)
    absolute = TeacherSpec(kind="vllm_batch", model=str(tmp_path / "tiny"))
    assert counter(absolute, Path("elsewhere"))[0]("one two") == 2
    found = asked(job_of(20, teacher={"kind": "vllm_batch", "model": "tiny"}), tmp_path)
    assert found.counted == "the model's tokenizer"
    assert found.usage.prompt_tokens != asked(job_of(20)).usage.prompt_tokens


def test_without_a_tokenizer_four_characters_are_a_token(tmp_path: Path) -> None:
    for spec in (None, TeacherSpec(kind="fake", model="no-such-folder")):
        count, name = counter(spec, tmp_path)
        assert name == "4 characters a token"
        assert [count(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]


def test_a_tokenizer_that_cannot_be_read_is_the_user_s_to_mend(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "tokenizer.json").write_text(json.dumps({"version": "1.0"}))
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        counter(TeacherSpec(kind="vllm_batch", model="tiny"), tmp_path)


def test_sampled_conversations_are_unanswered_and_belong_to_their_line() -> None:
    held = sampled(job_of(500, {"votes": 2}, {"levels": [3]}), 1, 6, NOTHING)
    assert len(held) == 6
    assert all(not conversation.turns for conversation in held)
    assert {conversation.attempt.brief.level for conversation in held} == {3}
