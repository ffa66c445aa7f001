"""Jobs that talk to a teacher: every row accounted for, nothing asked twice, the same bytes however replies come."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from factory.artifacts.digest import row_id
from factory.errors import BudgetSpent, FactoryError, QuotaUnmet, UserError, Waiting
from factory.jobs import talk
from factory.jobs.build import Built, run_build
from factory.jobs.engine import InProcess
from factory.jobs.model import JobFile, parse_job
from factory.jobs.report import Nobody, Report
from factory.jobs.talk import REPEATS, request_of
from factory.notebook import load
from factory.prompts import all_prompts, find_prompt
from factory.recipes.recipe import Ask
from factory.recipes.rephrased import REPHRASE, SOLVE
from factory.teacher.fake import Answer, Fake, answer_by_example
from factory.teacher.model import SamplingSpec
from factory.teacher.protocol import Reply, Request, Sampling, no_reply
from factory.teacher.session import BACK_ENDS
from schemas.turns import TURNS

ROWS = 24
REPHRASED: dict[str, Any] = {"recipe": "rephrased", "share": 1, "levels": [1, 2], "votes": 2, "agree": 2}
TEACHER: dict[str, Any] = {"kind": "openai_http", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
JOB: dict[str, Any] = {
    "kind": "build", "name": "spoken", "seed": 7, "rows": ROWS, "mini": {"rows": 0},
    "recipes": [REPHRASED], "teacher": TEACHER,
}  # fmt: skip
REFUSED = no_reply("refused", "I will not")


class Place:
    """An outputs root, and the fakes that were put in the place of the job's teachers, by model."""

    def __init__(self, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.out = out
        self.fakes: dict[str, Fake] = {}
        self.report = Report()
        self._patch = monkeypatch

    def run(self, reply: Answer | None = None, *, judging: Answer | None = None, shuffle: int | None = None,
            watcher: Any = None, **keys: Any) -> Built:  # fmt: skip
        """Build the job, answered by examples or by functions."""
        job = parse_job({**JOB, **keys}, "the job")
        answers = [(job.teacher, reply), (job.judge, judging or reply)]
        self.fakes = {s.model: Fake(answer, model=s.model, shuffle=shuffle) for s, answer in answers if s}
        self._patch.setitem(BACK_ENDS, "openai_http", lambda spec, *_: self.fakes[spec.model])
        self.report = Report(watcher or Nobody())
        with InProcess(1) as engine:
            return run_build(JobFile(job, self.out), self.out, engine, self.report)

    @property
    def asked(self) -> list[Request]:
        return [request for fake in self.fakes.values() for request in fake.asked]

    def tables(self, stage: str) -> Iterator[pl.DataFrame]:
        """Yield the rows of every committed artifact of a stage."""
        for manifest in sorted((self.out / "artifacts" / stage).glob("*/manifest.json")):
            yield pl.read_parquet(manifest.parent / json.loads(manifest.read_bytes())["parts"] / "rows.parquet")

    def keys(self, stage: str) -> set[str]:
        return {manifest.parent.name for manifest in (self.out / "artifacts" / stage).glob("*/manifest.json")}


MakePlace = Callable[[str], Place]


@pytest.fixture
def make_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePlace:
    return lambda name: Place(tmp_path / name, monkeypatch)


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    return make_place("out")


def is_solving(request: Request) -> bool:
    return request.schema is None


def by_attempt(attempts: int, answer: Answer) -> Answer:
    """Answer the first attempts in one way, and later ones by example."""
    return lambda r: answer(r) if r.repeat < attempts * REPEATS else answer_by_example(r)


def key_of(request: Request) -> str:
    return request.key("m")


def some(share: int, answer: Answer) -> Answer:
    """Answer one in so many requests in one way, and the others by example; which ones depends on them alone."""
    return lambda r: answer(r) if int(key_of(r)[:8], 16) % share == 0 else answer_by_example(r)


def data_of(release: Path) -> dict[str, bytes]:
    return {p.relative_to(release).as_posix(): p.read_bytes() for p in sorted(release.rglob("*")) if p.is_file()}


def manifest_of(built: Built) -> dict[str, Any]:
    return dict(json.loads((built.release / "manifest.json").read_bytes()))


def rejects_of(built: Built) -> pl.DataFrame:
    return load(built.release, "rejects", "rejects") if (built.release / "rejects").exists() else pl.DataFrame()


# ------------------------------------------------------------------------------------------------- rows are accounted


def test_a_job_that_talks_fills_every_slot_once(place: Place) -> None:
    built = place.run()
    lineage = pl.concat([load(built.release, "lineage", split) for split in ("train", "heldout")])
    assert lineage.height == built.rows == ROWS
    assert lineage["id"].is_unique().all()
    assert sorted(Counter(r.role for r in place.asked).items()) == [("author", ROWS), ("judge", 2 * ROWS)]


def test_chains_by_program_and_by_talk_fill_their_shares_exactly(place: Place) -> None:
    halves = [{"recipe": "chains", "share": 0.5, "levels": [1, 2]}, {**REPHRASED, "share": 0.5}]
    built = place.run(by_attempt(1, some(3, lambda _: REFUSED)), recipes=halves, rows=30)
    told = {(c["recipe"], c["cell"], c["split"]): (c["planned"], c["filled"]) for c in manifest_of(built)["cells"]}
    assert all(planned == filled for planned, filled in told.values())
    assert sum(filled for (recipe, *_), (_, filled) in told.items() if recipe == "rephrased") == 15
    assert sum(filled for _, filled in told.values()) == 30


def test_two_lines_of_the_same_recipe_that_talks_are_kept_apart(place: Place) -> None:
    lines = [{**REPHRASED, "share": 0.5, "levels": [1]}, {**REPHRASED, "share": 0.5, "levels": [2], "votes": 3}]
    built = place.run(recipes=lines)
    assert {(c["cell"], c["filled"]) for c in manifest_of(built)["cells"]} == {
        ("level=1", 11), ("level=1", 1), ("level=2", 11), ("level=2", 1)
    }  # fmt: skip
    assert Counter(r.role for r in place.asked) == {"author": 24, "judge": 12 * 2 + 12 * 3}


def test_every_conversation_that_left_has_the_reason_why(place: Place) -> None:
    def answer(request: Request) -> str | Reply:
        kind = int(key_of(request)[:8], 16) % 6
        if is_solving(request):
            return "Answer: none" if kind == 0 else answer_by_example(request)
        if kind == 1:
            return REFUSED
        if kind == 2:
            return orjson.dumps({"problem": "a story that has lost all of its numbers"}).decode()
        return answer_by_example(request)

    built = place.run(answer)
    left = rejects_of(built)
    talked = left.filter(pl.col("stage") == "talk")
    assert {"refused", "facts_kept", "solutions_agree"} <= set(talked["reason"])
    slots, rows = sum(f.height for f in place.tables("open") if f.height), sum(f.height for f in place.tables("talk"))
    stage = place.report.stages["talk"]
    assert stage.rows_in == stage.rows_out + stage.rejects
    assert (stage.rows_out, stage.rejects) == (rows, talked.height)
    assert stage.rows_in <= slots
    assert built.rows == ROWS


def test_a_rewriting_that_is_no_json_leaves_as_unparsable_after_one_repair(place: Place) -> None:
    built = place.run(by_attempt(1, lambda r: answer_by_example(r) if is_solving(r) else "no JSON"))
    assert set(rejects_of(built)["reason"]) == {"unparsable"}
    first = [r for r in place.asked if not is_solving(r) and r.repeat < REPEATS]
    assert len(first) == 2 * ROWS  # each once more, with the error


def test_the_turns_hold_every_request_those_of_rows_that_left_among_them(place: Place) -> None:
    built = place.run(some(4, lambda _: REFUSED))
    turns = load(built.release, "turns", "turns")
    assert turns.columns == [*TURNS.columns, "accepted"]
    assert turns.height == len(place.asked) == len({key_of(r) for r in place.asked})
    assert Counter(turns["role"]) == Counter(r.role for r in place.asked)
    assert Counter(turns["prompt"]) == Counter({"author": REPHRASE, "judge": SOLVE}[r.role] for r in place.asked)
    assert turns["failure"].drop_nulls().unique().to_list() == ["refused"]
    lineage = pl.concat([load(built.release, "lineage", split) for split in ("train", "heldout")])
    assert set(turns.filter("accepted")["id"]) == set(lineage["id"])
    assert set(turns.filter(~pl.col("accepted"))["id"]) == set(rejects_of(built)["id"])
    assert turns.group_by("id", "turn", "part").len()["len"].max() == 1


def test_a_row_s_turns_are_its_conversation(place: Place) -> None:
    built = place.run()
    turns = load(built.release, "turns", "turns")
    prompts = load(built.release, "rl", "train").select("id", pl.col("prompt").list.first().struct.field("content"))
    for id_, prompt in prompts.iter_rows():
        mine = turns.filter(pl.col("id") == id_)
        assert mine["turn"].to_list() == [0, 1, 1]
        assert mine["part"].to_list() == [0, 0, 1]
        assert json.loads(mine["text"][0])["problem"] in prompt


# --------------------------------------------------------------------------------------------------- another attempt


def test_a_later_attempt_asks_anew_with_repeats_of_its_own(place: Place) -> None:
    refused: set[str] = set()

    def answer(request: Request) -> str | Reply:
        if request.repeat < REPEATS and not is_solving(request):
            refused.add(key_of(request))
            return REFUSED
        return answer_by_example(request)

    built = place.run(answer, max_attempts=3)
    lineage = load(built.release, "lineage", "train")
    assert len(refused) == ROWS
    assert {r.repeat for r in place.asked} == {0, REPEATS, REPEATS + 1}
    assert len(place.asked) == ROWS + 3 * ROWS
    slots = {f.row(i, named=True)["id"] for f in place.tables("plan") for i in range(f.height)}
    attempts = {row_id("spoken", 7, slot, attempt): attempt for slot in slots for attempt in range(3)}
    assert {attempts[id_] for id_ in lineage["id"]} == {1}


def test_a_repeat_of_an_attempt_is_never_one_of_another() -> None:
    ask = Ask(SOLVE, {"problem": "p"}, "x")
    repeats = [
        request_of(replace(ask, repeat=i), attempt, SamplingSpec()).repeat for attempt in range(4) for i in range(16)
    ]
    assert len(set(repeats)) == len(repeats)


UNWILLING: dict[str, tuple[Answer, str]] = {
    "refuses": (lambda _: REFUSED, r"refused: \d+"),
    "says one text": (lambda _: "All is well.", r"unparsable: \d+"),
    "tells one problem": (
        lambda r: answer_by_example(r) if is_solving(r) else '{"problem": "Somebody has some things and wants more."}',
        r"facts_kept: \d+",
    ),
    "solves all alike": (
        lambda r: "Answer: nothing" if is_solving(r) else answer_by_example(r),
        r"solutions_agree: \d+",
    ),
}


@pytest.mark.parametrize("what", UNWILLING)
def test_a_teacher_of_no_use_ends_the_job_with_the_reason(what: str, place: Place) -> None:
    answer, told = UNWILLING[what]
    with pytest.raises(QuotaUnmet, match=told) as error:
        place.run(answer, rows=12, replans=1, max_attempts=2)
    assert re.search(r"^\d+ of 12 slots could not be filled in 4 attempts; .*recipe 'rephrased'", str(error.value))
    assert not (place.out / "releases").exists()


def test_a_large_wave_of_no_use_is_the_last_one(place: Place) -> None:
    with pytest.raises(QuotaUnmet, match="in 1 attempts"):
        place.run(lambda _: REFUSED, rows=220)
    assert 200 < len(place.asked) <= 220  # a few chains leave before anybody is asked


# -------------------------------------------------------------------------------------------- what is kept of a run


def test_a_second_run_asks_nothing_and_gives_the_same_bytes(place: Place) -> None:
    first = place.run(some(4, lambda _: REFUSED))
    before = data_of(first.release)
    again = place.run(lambda _: pytest.fail("nobody was to be asked"))
    assert place.asked == []
    assert data_of(again.release) == before
    assert all(stage["cached"] for stage in again.stages)
    assert again.teacher is not None
    assert again.teacher["actual"]["requests"] == again.teacher["actual"]["from_cache"] == 0


def test_replies_that_are_stored_are_not_asked_again_when_the_artifacts_are_gone(place: Place) -> None:
    first = place.run()
    (place.out / "artifacts").rename(place.out / "gone")
    (place.out / "releases").rename(place.out / "gone too")
    again = place.run(lambda _: pytest.fail("nobody was to be asked"))
    assert again.teacher is not None
    assert again.teacher["actual"]["from_cache"] == 3 * ROWS
    assert data_of(place.out / "gone too" / "spoken" / "1.0.0") == data_of(again.release)
    assert first.release == again.release


def test_the_run_record_tells_what_was_planned_and_what_was_paid(place: Place) -> None:
    built = place.run(teacher={**TEACHER, "price": {"input": 2, "output": 10}})
    [record] = (place.out / "runs").glob("*.json")
    told = json.loads(record.read_bytes())["teacher"]
    assert told["planned"]["requests"] == told["actual"]["requests"] == 3 * ROWS
    tokens = pl.concat(place.tables("turns")).select("prompt_tokens", "completion_tokens").sum().row(0)
    assert (told["actual"]["prompt_tokens"], told["actual"]["completion_tokens"]) == tokens
    assert told["actual"]["usd"] == pytest.approx((tokens[0] * 2 + tokens[1] * 10) / 1e6)
    assert built.as_json()["teacher"] == told


# ------------------------------------------------------------------------------------------------ requests that fail


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.jobs.waves.TALK_ROWS", 4)
    monkeypatch.setattr(talk, "AT_ONCE", 2)


def test_a_request_without_a_reply_leaves_its_shard_open_and_the_rest_committed(
    place: Place, small_shards: None
) -> None:
    lost: list[str] = []

    def answer(request: Request) -> str | Reply:
        if is_solving(request) and len(lost) < 2 and request.repeat == 1:
            lost.append(key_of(request))
            return no_reply(("timeout", "server_error")[len(lost) - 1], f"so it was {len(lost)}")
        return answer_by_example(request)

    with pytest.raises(FactoryError, match=r"2 rows got no reply") as error:
        place.run(answer)
    assert error.value.exit_code == 1
    assert "timeout: 1" in str(error.value)
    assert "server_error: 1" in str(error.value)
    assert "run the same command again" in str(error.value)
    first, committed = place.asked, len(place.keys("talk"))
    assert 4 <= committed < 6 == ROWS / 4
    assert place.keys("talk") == place.keys("turns")
    assert not (place.out / "releases").exists()

    built = place.run()
    assert sorted(key_of(r) for r in place.asked) == sorted(lost)
    assert len(place.keys("talk")) == 6
    assert len(first) == 3 * ROWS
    assert built.rows == ROWS


def test_a_run_after_failures_makes_what_a_quiet_run_makes(make_place: MakePlace) -> None:
    quiet = make_place("quiet").run()
    place = make_place("troubled")
    with pytest.raises(FactoryError, match="got no reply"):
        place.run(some(5, lambda _: no_reply("connection", "reset")))
    with pytest.raises(FactoryError, match="got no reply"):
        place.run(some(7, lambda _: no_reply("rate_limited", "slow down")))
    assert data_of(place.run().release) == data_of(quiet.release)


def test_of_a_failed_vote_its_kind_is_kept_nowhere(place: Place) -> None:
    with pytest.raises(FactoryError, match="got no reply"):
        place.run(lambda _: no_reply("timeout", "slow"))
    built = place.run()
    assert load(built.release, "turns", "turns")["failure"].null_count() == 3 * ROWS
    assert rejects_of(built).height == 0


# ---------------------------------------------------------------------------------------------------- the same bytes


@pytest.fixture
def quiet(make_place: MakePlace) -> dict[str, bytes]:
    """The release of the job with an imperfect teacher, replies in order."""
    return data_of(make_place("quiet").run(some(4, lambda _: REFUSED)).release)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_replies_does_not_change_a_byte(seed: int, quiet: dict[str, bytes], make_place: MakePlace) -> None:
    assert data_of(make_place("other").run(some(4, lambda _: REFUSED), shuffle=seed).release) == quiet


@pytest.mark.parametrize(
    "how",
    [
        {"base_url": "http://elsewhere.example/v1"},
        {"base_url": None, "base_urls": ["http://a.example/v1", "http://b.example/v1"]},
        {"concurrency": 3, "patience": 1.5},
        {"api_key_env": "NO_MATTER"},
        {"budget": {"tokens": 10_000_000}},
    ],
    ids=lambda how: "-".join(how),
)
def test_where_and_how_fast_is_asked_does_not_change_a_byte(
    how: dict[str, Any], quiet: dict[str, bytes], make_place: MakePlace
) -> None:
    built = make_place("other").run(some(4, lambda _: REFUSED), teacher={**TEACHER, **how})
    assert data_of(built.release) == quiet


def test_where_shards_are_cut_does_not_change_the_rows(
    quiet: dict[str, bytes], make_place: MakePlace, small_shards: None
) -> None:
    here = data_of(make_place("other").run(some(4, lambda _: REFUSED)).release)
    data = [path for path in quiet if path.endswith(".parquet") and not path.startswith(("rejects/", "turns/"))]
    assert len(data) > 5
    assert all(here[path] == quiet[path] for path in data)


def test_an_engine_that_takes_batches_gets_all_shards_at_once_and_makes_the_same(
    make_place: MakePlace, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    piecemeal, batches = make_place("piecemeal"), make_place("batches")
    one = data_of(piecemeal.run().release)
    monkeypatch.setattr(Fake, "batches", True, raising=False)
    assert data_of(batches.run().release) == one
    assert piecemeal.fakes["m"].calls == 2 * ROWS / 4
    assert batches.fakes["m"].calls == 2


# --------------------------------------------------------------------------------------------------- what is in a key


def test_another_prompt_file_is_another_key(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.run()
    before = place.keys("talk")
    changed = {**all_prompts(), SOLVE: replace(find_prompt(SOLVE), identity="another")}
    monkeypatch.setattr("factory.prompts.all_prompts", lambda: changed)
    place.run(release={"version": "1.0.1"})
    assert len(place.keys("talk") - before) == len(before) == 1


@pytest.mark.parametrize(
    "how",
    [{"teacher": {**TEACHER, "model": "other"}}, {"teacher": {**TEACHER, "sampling": {"temperature": 0.3}}},
     {"judge": {**TEACHER, "model": "j"}}],
    ids=["model", "sampling", "judge"],
)  # fmt: skip
def test_another_teacher_is_another_key(how: dict[str, Any], place: Place) -> None:
    place.run()
    before = place.keys("talk")
    place.run(release={"version": "1.0.1"}, **how)
    assert len(place.keys("talk") - before) == len(before) == 1


def test_the_job_s_sampling_wins_over_the_recipe_s_key_by_key() -> None:
    ask = Ask(SOLVE, {"problem": "p"}, "x", sampling=Sampling(temperature=0.7, max_tokens=2048))
    assert request_of(ask, 0, SamplingSpec()).sampling == ask.sampling
    wanted = SamplingSpec(temperature=0.0, stop=["\n\n"])
    assert request_of(ask, 0, wanted).sampling == replace(ask.sampling, temperature=0.0, stop=("\n\n",))
    every = SamplingSpec(temperature=1.5, top_p=0.9, max_tokens=9, stop=[], seed=3)
    assert request_of(ask, 0, every).sampling == Sampling(1.5, 0.9, 9, (), 3)


def test_a_request_is_the_rendered_prompt_after_its_history() -> None:
    history = ({"role": "user", "content": "before"}, {"role": "assistant", "content": "yes"})
    request = request_of(Ask(SOLVE, {"problem": "p?"}, {"a": 1}, role="judge", history=history), 2, SamplingSpec())
    assert request.messages == (*history, *find_prompt(SOLVE).render({"problem": "p?"}))
    assert (request.role, request.example, request.repeat) == ("judge", '{"a":1}', 2 * REPEATS)


# ----------------------------------------------------------------------------------------------------------- the judge


def test_what_is_asked_of_the_judge_goes_to_the_judge_with_its_sampling(place: Place) -> None:
    author = {**TEACHER, "sampling": {"max_tokens": 777}}
    built = place.run(teacher=author, judge={**TEACHER, "model": "j", "sampling": {"temperature": 0.1}})
    assert {(r.role, r.sampling.max_tokens, r.sampling.temperature) for r in place.fakes["m"].asked} == {
        ("author", 777, 1.0)
    }
    assert {(r.role, r.sampling.max_tokens, r.sampling.temperature) for r in place.fakes["j"].asked} == {
        ("judge", 2048, 0.1)
    }
    assert len(place.fakes["j"].asked) == 2 * len(place.fakes["m"].asked) == 2 * ROWS
    turns = load(built.release, "turns", "turns")
    assert set(turns.select("role", "model").unique().rows()) == {("author", "m"), ("judge", "j")}


def test_without_a_judge_the_teacher_judges_with_its_own_sampling(place: Place) -> None:
    place.run(teacher={**TEACHER, "sampling": {"temperature": 0.2}})
    assert {(r.role, r.sampling.temperature) for r in place.asked} == {("author", 0.2), ("judge", 0.2)}


def test_a_judge_that_agrees_with_nothing_ends_the_job_though_the_author_is_fine(place: Place) -> None:
    with pytest.raises(QuotaUnmet, match="solutions_agree"):
        place.run(judging=lambda _: "Answer: nothing", judge={**TEACHER, "model": "j"}, rows=12, replans=0)


# --------------------------------------------------------------------------------------------------- before and around


def test_a_job_that_talks_without_a_teacher_is_refused_with_the_remedy(place: Place) -> None:
    with pytest.raises(UserError, match=r"recipe 'rephrased' talks to a teacher, .* --teacher URL --model NAME") as e:
        place.run(teacher=None)
    assert "--teacher fake" in str(e.value)
    assert not (place.out / "artifacts").exists()


def test_a_job_that_does_not_talk_never_starts_its_teacher(place: Place) -> None:
    built = place.run(recipes=[{"recipe": "chains", "share": 1, "levels": [1, 2]}])
    assert not place.fakes["m"].started
    assert built.teacher is None
    assert not (place.out / "cache").exists()
    assert "turns" not in manifest_of(built)["configs"]


def test_the_teacher_is_closed_after_the_talk_however_it_ends(place: Place) -> None:
    place.run()
    assert place.fakes["m"].closed
    with pytest.raises(QuotaUnmet):
        place.run(lambda _: REFUSED, rows=12, seed=8, replans=0, release={"version": "1.0.1"})
    assert place.fakes["m"].closed


class Listener(Nobody):
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.rows = self.rejects = 0
        self.notes: list[str] = []

    def advance(self, name: str, rows: int, rejects: int) -> None:
        if name == "talk":
            self.rows += rows
            self.rejects += rejects

    def note(self, name: str, text: str) -> None:
        self.notes.append(text)


def test_a_watcher_hears_of_each_row_once_and_of_what_was_paid(place: Place) -> None:
    listener = Listener()
    place.run(some(4, lambda _: REFUSED), watcher=listener, teacher={**TEACHER, "price": {"input": 1e4, "output": 0}})
    stage = place.report.stages["talk"]
    assert (listener.rows, listener.rejects) == (stage.rows_out, stage.rejects)
    assert re.fullmatch(r"[\d,]+ requests, [\d,]+ tokens \([\d,]+/s\), [\d.,]+ USD", listener.notes[-1])
    found = Listener()
    place.run(watcher=found, teacher={**TEACHER, "price": {"input": 1e4, "output": 0}})
    assert (found.rows, found.rejects, found.notes) == (stage.rows_out, stage.rejects, [])


# -------------------------------------------------------------------------------------------------------------- budget


def test_a_spent_budget_stops_the_run_and_a_larger_one_asks_only_for_the_rest(place: Place) -> None:
    with pytest.raises(BudgetSpent, match=r"budget of 20,000 tokens .* raise teacher\.budget") as error:
        place.run(teacher={**TEACHER, "budget": {"tokens": 20_000}})
    assert error.value.exit_code == 2
    first = [key_of(r) for r in place.asked]
    assert 0 < len(first) < 3 * ROWS
    assert not (place.out / "releases").exists()
    place.run(teacher={**TEACHER, "budget": {"tokens": 1_000_000}})
    then = [key_of(r) for r in place.asked]
    assert len(first) + len(then) == len({*first, *then}) == 3 * ROWS


def test_runs_with_a_small_budget_come_to_the_same_end(place: Place, quiet: dict[str, bytes]) -> None:
    asked: list[str] = []
    for _ in range(20):
        try:
            built = place.run(some(4, lambda _: REFUSED), teacher={**TEACHER, "budget": {"tokens": 12_000}})
            break
        except BudgetSpent:
            asked += [key_of(r) for r in place.asked]
    assert len(asked) == len(set(asked))
    assert data_of(built.release) == quiet


def test_what_other_shards_have_in_flight_is_kept_when_the_budget_is_spent(
    place: Place, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = Fake.complete

    async def slow(self: Fake, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        self._delay = 0.002
        async for answered in complete(self, requests):
            yield answered

    monkeypatch.setattr(Fake, "complete", slow)
    with pytest.raises(BudgetSpent):
        place.run(teacher={**TEACHER, "budget": {"tokens": 20_000}})
    first = [key_of(r) for r in place.asked]
    place.run()
    then = [key_of(r) for r in place.asked]
    assert len(first) + len(then) == len({*first, *then}) == 3 * ROWS


def test_a_budget_smaller_than_one_request_asks_nothing(place: Place) -> None:
    with pytest.raises(BudgetSpent, match="smaller than one request"):
        place.run(teacher={**TEACHER, "budget": {"tokens": 500}})
    assert place.asked == []


# ----------------------------------------------------------------------------------------------------- batches of files


def test_a_job_on_batch_files_waits_and_goes_on_when_the_replies_lie_there(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "batch"
    on_files = {"kind": "batch_file", "model": "m", "folder": str(folder)}
    asked: dict[str, int] = {}
    for turn in range(3):
        try:
            built = place.run(teacher=on_files, rows=10)
            break
        except Waiting:
            newest = folder / f"requests-{turn + 1:03}.jsonl"
            lines = [orjson.loads(line) for line in newest.read_bytes().splitlines()]
            asked |= {line["custom_id"]: turn for line in lines}
            replies = [{"custom_id": line["custom_id"], "content": by_hand(line["body"])} for line in lines]
            (folder / f"results-{turn}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, replies)))
    assert Counter(asked.values()) == {0: 10, 1: 20}
    assert built.rows == 10


def by_hand(body: dict[str, Any]) -> str:
    """Answer a line of a batch: the problem as it was, and its solution as the request of the same text has it."""
    said = body["messages"][-1]["content"]
    if "response_format" in body:
        return orjson.dumps({"problem": said.split("-----\n")[1].strip()}).decode()
    return SOLUTIONS[said]


SOLUTIONS: dict[str, str] = {}


@pytest.fixture(autouse=True)
def _solutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember the example of each request for solutions, for those who answer by hand."""
    real = talk.request_of

    def remembering(ask: Ask, attempt: int, wanted: SamplingSpec) -> Request:
        request = real(ask, attempt, wanted)
        SOLUTIONS[request.messages[-1]["content"]] = request.example
        return request

    monkeypatch.setattr(talk, "request_of", remembering)


def test_a_run_that_ends_early_leaves_a_record_of_what_it_paid(place: Place) -> None:
    with pytest.raises(QuotaUnmet):
        place.run(lambda _: REFUSED, rows=220)
    [record] = [json.loads(path.read_bytes()) for path in (place.out / "runs").iterdir()]
    assert record["ending"] == "stalled"
    assert record["teacher"]["actual"]["requests"] == len(place.asked)
    assert "refused" in record["error"]
