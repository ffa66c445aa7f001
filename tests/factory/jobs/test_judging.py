"""Who judges: gold rows before votes, void judges not asked, votes shared by the trusted, drift between versions."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from factory.errors import UserError, Waiting
from factory.gates.rubric import Rubric, load_rubric
from factory.gates.votes import krippendorff_alpha
from factory.jobs import converse, talk
from factory.jobs.build import Built, run_build
from factory.jobs.engine import InProcess
from factory.jobs.judging import last_judging
from factory.jobs.model import JobFile, parse_job
from factory.jobs.talk import REPEATS, Judges
from factory.notebook import load
from factory.recipes.recipe import Ask
from factory.release.verify import verify_release
from factory.teacher.fake import Answer, Fake, answer_by_example
from factory.teacher.protocol import JUDGE, Request
from factory.teacher.session import BACK_ENDS

ROWS, VOTES = 8, 3
RUBRIC = "sound-response"
JUDGED: dict[str, Any] = {
    "recipe": "chains", "share": 1, "levels": [1, 2], "heldout": 0, "judge": {"rubric": RUBRIC, "votes": VOTES},
}  # fmt: skip
TEACHER: dict[str, Any] = {"kind": "openai_http", "model": "author", "base_url": "http://127.0.0.1:9/v1"}
JOB: dict[str, Any] = {
    "kind": "build", "name": "judged", "seed": 7, "rows": ROWS, "mini": {"rows": 0}, "recipes": [JUDGED],
    "teacher": TEACHER,
}  # fmt: skip


def judge(name: str) -> dict[str, Any]:
    return {**TEACHER, "model": name}


def is_gold(request: Request) -> bool:
    """A gold row's repeat comes from the job's name and version: no attempt has so large a one."""
    return request.repeat >= 100 * REPEATS


def inverted(request: Request) -> str:
    """Answer each point with the opposite of the example, which for a gold row is the truth."""
    said = orjson.loads(request.example)
    points = [{**point, "met": not point["met"]} for point in said["points"]]
    return orjson.dumps({"points": points}).decode()


def wrong_about_gold(request: Request) -> Any:
    return inverted(request) if is_gold(request) else answer_by_example(request)


class Court:
    """An outputs root with fakes in the place of the author and the judges, by model."""

    def __init__(self, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.out = out
        self.fakes: dict[str, Fake] = {}
        self.order: list[tuple[str, Request]] = []
        self._patch = monkeypatch

    def run(self, answers: dict[str, Answer] | None = None, version: str = "1.0.0", **keys: Any) -> Built:
        """Build the job; a model without an answer of its own goes by the examples."""
        job = parse_job({**JOB, "release": {"version": version}, **keys}, "the job")
        self.order = []
        answers = answers or {}
        self.fakes = {
            spec.model: Fake(self._noting(spec.model, answers.get(spec.model, answer_by_example)), model=spec.model)
            for spec in job.models.values()
        }
        self._patch.setitem(BACK_ENDS, "openai_http", lambda spec, *_: self.fakes[spec.model])
        with InProcess(1) as engine:
            return run_build(JobFile(job, self.out), self.out, engine)

    def _noting(self, model: str, answer: Answer) -> Answer:
        def reply(request: Request) -> Any:
            self.order.append((model, request))
            return answer(request)

        return reply

    def gold(self, model: str) -> list[Request]:
        return [request for name, request in self.order if name == model and is_gold(request)]

    def votes(self, model: str) -> list[Request]:
        return [request for name, request in self.order if name == model and not is_gold(request)]


@pytest.fixture
def court(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Court:
    return Court(tmp_path / "out", monkeypatch)


@pytest.fixture(scope="module")
def rubric() -> Rubric:
    return load_rubric(RUBRIC)


def manifest_of(built: Built) -> dict[str, Any]:
    return dict(json.loads((built.release / "manifest.json").read_bytes()))


def standings_of(built: Built) -> dict[str, dict[str, Any]]:
    [told] = manifest_of(built)["judging"]
    return {standing["judge"]: standing for standing in told["judges"]}


# ------------------------------------------------------------------------------------------------------- gold rows


def test_every_gold_row_is_asked_before_any_vote(court: Court, rubric: Rubric) -> None:
    court.run(judge=judge("j"))
    asked = [is_gold(request) for name, request in court.order if name == "j"]
    assert len(rubric.gold) > 5
    assert asked == [True] * len(rubric.gold) + [False] * ROWS * VOTES
    assert not court.votes("author")


def test_a_gold_row_looks_like_a_vote(court: Court) -> None:
    court.run(judge=judge("j"))
    gold = court.gold("j")[0]
    vote = next(vote for vote in court.votes("j") if vote.sampling.seed == gold.sampling.seed)
    assert (gold.role, gold.schema, gold.sampling) == (vote.role, vote.schema, vote.sampling)
    assert gold.messages[0] == vote.messages[0]
    assert len(gold.messages) == len(vote.messages)


def test_the_release_tells_how_the_judge_did_and_what_it_gave(court: Court, rubric: Rubric) -> None:
    built = court.run(judge=judge("j"))
    standing = standings_of(built)[JUDGE]
    decisions = sum(len(row.verdicts) for row in rubric.gold)
    assert (standing["decisions"], standing["given"], standing["right"]) == (decisions,) * 3
    assert standing["void"] == ""
    assert {(g["point"], g["rows"], g["mean"]) for g in manifest_of(built)["grades"]} == {
        (name, ROWS, 1.0) for name in rubric.names
    }
    lineage = load(built.release, "lineage", "train")
    assert all(len(grade["votes"]) == VOTES for row in lineage["grades"].to_list() for grade in row)
    assert "## Judges" in (built.release / "README.md").read_text("utf-8")


def test_rows_that_a_program_drew_and_a_judge_graded_are_verified_and_told_as_such(court: Court) -> None:
    built = court.run(judge=judge("j"))
    report = verify_release(built.release)
    assert report.problems == []
    assert report.checks["turns_agree"] == ROWS
    text = (built.release / "README.md").read_text("utf-8")
    assert "drawn by program, graded by `j`" in text
    assert "worded with" not in text


def test_the_agreement_of_votes_stands_beside_each_point(court: Court, rubric: Rubric) -> None:
    """A judge whose third vote on each row misses one point."""
    missed = rubric.names[0]

    def doubting(request: Request) -> str:
        said = json.loads(request.example)
        if not is_gold(request) and request.sampling.seed == VOTES - 1:
            said["points"][0]["met"] = False
        return json.dumps(said)

    told = {g["point"]: g for g in manifest_of(court.run({"j": doubting}, judge=judge("j")))["grades"]}
    units = [(1.0,) * (VOTES - 1) + (0.0,)] * ROWS
    assert told[missed]["alpha"] == round(krippendorff_alpha(units) or 0, 4) < 0
    assert [told[name]["alpha"] for name in rubric.names[1:]] == [None] * (len(rubric.names) - 1)


def test_without_a_judge_the_author_must_pass_the_gold_rows(court: Court, rubric: Rubric) -> None:
    built = court.run()
    assert len(court.gold("author")) == len(rubric.gold)
    assert set(standings_of(built)) == {JUDGE}
    with pytest.raises(UserError, match="no judge can be trusted"):
        court.run({"author": wrong_about_gold}, version="1.0.1")


# ------------------------------------------------------------------------------------------------------ void judges


def test_a_void_judge_is_named_and_never_asked_for_a_vote(court: Court) -> None:
    built = court.run({"bad": wrong_about_gold}, judge=[judge("good"), judge("bad"), judge("third")])
    found = standings_of(built)
    assert court.gold("bad")
    assert not court.votes("bad")
    assert len(court.votes("good")) + len(court.votes("third")) == ROWS * VOTES
    assert (found["judge"]["void"], found["judge-3"]["void"]) == ("", "")
    assert found["judge-2"]["void"]
    assert "| judge-2 |" in (card := (built.release / "README.md").read_text("utf-8"))
    assert f"void: {found['judge-2']['void']}" in card


def test_a_first_judge_that_is_void_hands_its_seat_to_the_others(court: Court) -> None:
    court.run({"bad": wrong_about_gold}, judge=[judge("bad"), judge("good")])
    assert not court.votes("bad")
    assert len(court.votes("good")) == ROWS * VOTES
    assert len({request.key("good") for request in court.votes("good")}) == ROWS * VOTES


def test_when_all_are_void_nobody_votes_and_the_user_is_told(court: Court) -> None:
    with pytest.raises(UserError, match="no judge can be trusted") as error:
        court.run({"one": wrong_about_gold, "two": inverted}, judge=[judge("one"), judge("two")])
    said = str(error.value)
    assert f"rubric {RUBRIC}.v1, bar 67%" in said
    assert "judge: 0 of" in said
    assert "judge-2: 0 of" in said
    assert "judge_bar: 0" in said
    assert not any(court.votes(name) for name in court.fakes)
    assert not (court.out / "releases").exists()


def test_a_judge_without_verdicts_on_gold_rows_is_void(court: Court) -> None:
    with pytest.raises(UserError, match="judge: no verdict on"):
        court.run({"j": lambda request: "I would rather not say."}, judge=judge("j"))


def test_a_bar_of_0_lets_every_vote_count(court: Court) -> None:
    built = court.run({"j": wrong_about_gold}, judge=judge("j"), judge_bar=0)
    assert built.rows == ROWS
    assert standings_of(built)[JUDGE]["right"] == 0
    assert len(court.votes("j")) == ROWS * VOTES


# -------------------------------------------------------------------------------------------------- votes go round


@pytest.mark.parametrize("judges", [1, 2, 3, 4])
def test_votes_go_round_the_judges_of_every_row(court: Court, judges: int) -> None:
    names = [f"j{i}" for i in range(judges)]
    built = court.run(judge=[judge(name) for name in names])
    shares = [len(range(i, VOTES, judges)) for i in range(judges)]  # vote i goes to judge i mod n
    assert [len(court.votes(name)) for name in names] == [share * ROWS for share in shares]
    turns = load(built.release, "turns", "turns")
    by_row = turns.filter("accepted").group_by("id").agg(pl.col("model").sort())
    wanted = sorted(name for name, share in zip(names, shares, strict=True) for _ in range(share))
    assert all(models == wanted for models in by_row["model"].to_list())


def test_seats_are_taken_by_judges_only_and_repeats_stay_apart() -> None:
    bench = Judges(("judge", "judge-2", "judge-3"), frozenset({"judge-2"}))
    asks = [Ask("judge/grade.v1", {}, "", role="judge", repeat=i) for i in range(6)]
    seated = [(ask.role, ask.repeat) for ask in map(bench.seat, asks)]
    assert seated == [("judge", 0), ("judge-3", 0), ("judge", 1), ("judge-3", 1), ("judge", 2), ("judge-3", 2)]
    author = Ask("judge/grade.v1", {}, "", repeat=5)
    assert bench.seat(author) is author


# ------------------------------------------------------------------------------------------- what is kept, and drift


def test_a_second_run_asks_nobody_and_gives_the_same_release(court: Court) -> None:
    first = court.run(judge=[judge("a"), judge("b")])
    digest = manifest_of(first)["digest"]
    again = court.run(judge=[judge("a"), judge("b")])
    assert court.order == []
    assert manifest_of(again)["digest"] == digest
    assert again.judging is not None
    assert first.judging is not None
    assert again.judging["gold_rows"] == first.judging["gold_rows"]


def test_a_new_version_asks_the_gold_rows_anew_and_no_vote(court: Court, rubric: Rubric) -> None:
    court.run(judge=judge("j"))
    court.run(judge=judge("j"), version="1.0.1")
    assert len(court.gold("j")) == len(rubric.gold)
    assert court.votes("j") == []


def worse(request: Request) -> Any:
    """Say no to everything of a gold row but its first points, which keeps the judge above a low bar."""
    if not is_gold(request):
        return answer_by_example(request)
    said = orjson.loads(request.example)
    return orjson.dumps({"points": [{**point, "met": False} for point in said["points"]]}).decode()


def test_a_judge_that_moved_since_the_last_version_is_flagged(court: Court) -> None:
    first = court.run(judge=[judge("j"), judge("k")], judge_bar=0.1)
    assert first.judging is not None
    assert first.judging["drift"] == []  # there is nothing before it
    then = court.run({"j": worse}, judge=[judge("j"), judge("k")], judge_bar=0.1, version="1.0.1")
    assert then.judging is not None
    flags = {change["what"]: change["flagged"] for change in then.judging["drift"]}
    assert flags["judge: points met"]
    assert flags["judge: accuracy"]
    assert not flags["judge-2: accuracy"]
    assert not flags["judge-2: points met"]
    assert last_judging("judged", court.out) == orjson.loads(orjson.dumps(then.judging["gold_rows"]))


def test_what_was_judged_before_is_read_past_records_that_cannot_be_read(tmp_path: Path) -> None:
    assert last_judging("judged", tmp_path) == []
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "20260101T000000Z-judged-a.json").write_text(json.dumps({"name": "judged", "judging": {"gold_rows": [1]}}))
    (runs / "20260102T000000Z-judged-b.json").write_text("{")
    (runs / "20260103T000000Z-judged-c.json").write_text(json.dumps({"name": "judged", "ending": "stopped"}))
    (runs / "20260104T000000Z-judged-too-d.json").write_text(
        json.dumps({"name": "judged-too", "judging": {"gold_rows": [2]}})
    )
    assert last_judging("judged", tmp_path) == [1]


# ----------------------------------------------------------------------------------------------------- batches of files

EXAMPLES: dict[str, str] = {}


@pytest.fixture
def _examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember the example of each request, for those who answer files by hand."""
    real = talk.request_of

    def remembering(*given: Any) -> Request:
        request = real(*given)
        EXAMPLES[request.messages[-1]["content"]] = request.example
        return request

    monkeypatch.setattr(talk, "request_of", remembering)
    monkeypatch.setattr(converse, "request_of", remembering)


@pytest.mark.usefixtures("_examples")
def test_on_batch_files_gold_rows_and_what_authors_are_asked_lie_in_the_same_file(
    court: Court, tmp_path: Path, rubric: Rubric
) -> None:
    folder = tmp_path / "batch"
    job: dict[str, Any] = {
        "teacher": {"kind": "batch_file", "model": "m", "folder": str(folder)},
        "recipes": [
            {
                "recipe": "rephrased",
                "share": 1,
                "levels": [1],
                "heldout": 0,
                "judge": {"rubric": RUBRIC, "votes": VOTES},
            }
        ],
    }
    asked: list[Counter[str]] = []
    for turn in range(9):
        try:
            built = court.run(**job)
            break
        except Waiting:
            lines = [
                orjson.loads(line) for line in (folder / f"requests-{turn + 1:03}.jsonl").read_bytes().splitlines()
            ]
            replies = [
                {"custom_id": line["custom_id"], "content": EXAMPLES[line["body"]["messages"][-1]["content"]]}
                for line in lines
            ]
            (folder / f"results-{turn}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, replies)))
            asked.append(Counter("points" if '"points"' in reply["content"] else "other" for reply in replies))
    assert asked == [
        Counter(points=len(rubric.gold), other=ROWS),  # gold rows and rewritings
        Counter(other=2 * ROWS),  # solutions
        Counter(points=VOTES * ROWS),  # votes
    ]
    assert built.rows == ROWS


@pytest.mark.usefixtures("_examples")
def test_on_batch_files_no_vote_is_asked_before_the_gold_rows_came_back(court: Court, tmp_path: Path) -> None:
    folder = tmp_path / "batch"
    with pytest.raises(Waiting):
        court.run(teacher={"kind": "batch_file", "model": "m", "folder": str(folder)})
    [file] = folder.glob("requests-*.jsonl")
    assert len(file.read_bytes().splitlines()) == len(load_rubric(RUBRIC).gold)
    with pytest.raises(Waiting):
        court.run(teacher={"kind": "batch_file", "model": "m", "folder": str(folder)})
    assert len(list(folder.glob("requests-*.jsonl"))) == 1
