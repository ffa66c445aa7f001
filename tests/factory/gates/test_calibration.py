"""Calibration: gold rows look like any row, a bad judge is void and a good one is not, drift is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from factory.artifacts.digest import Rng, row_rng
from factory.errors import UserError
from factory.gates.calibration import BAR, Calibration, calibrate, change, drift, gold_order
from factory.gates.judge import APPROACHES, grading, read_points
from factory.gates.rubric import Rubric, all_rubrics, load_rubric
from factory.jobs.talk import request_of
from factory.recipes.recipe import Ask
from factory.teacher.model import SamplingSpec
from factory.teacher.protocol import Reply, no_reply
from tests.by_example import reply_of

Judge = Callable[[Ask, list[bool]], list[bool]]


def points(ask: Ask, verdicts: list[bool]) -> Reply:
    names = ask.inputs["points"]
    said = [{"point": name, "reason": "So.", "met": met} for name, met in zip(names, verdicts, strict=True)]
    return Reply(parsed={"points": said})


def truth(ask: Ask) -> list[bool]:
    """Return the gold verdicts, which the example of a gold row's ask holds."""
    return [point["met"] for point in ask.example["points"]]


def right(ask: Ask, gold: list[bool]) -> list[bool]:
    return gold


def wrong(ask: Ask, gold: list[bool]) -> list[bool]:
    return [not verdict for verdict in gold]


def always(verdict: bool) -> Judge:
    return lambda ask, gold: [verdict] * len(gold)


def erring(error: float, rng: Rng) -> Judge:
    return lambda ask, gold: [verdict != rng.chance(error) for verdict in gold]


def calibrated(rubric: Rubric, **judges: Judge) -> Calibration:
    talk = calibrate(rubric, list(judges))
    asks = next(talk)
    try:
        talk.send([points(ask, judges[ask.role](ask, truth(ask))) for ask in asks])
    except StopIteration as end:
        made: Calibration = end.value
        return made
    raise AssertionError("calibration asks only once")


SHIPPED = [pytest.param(rubric, id=place) for place, rubric in sorted(all_rubrics().items())]

# ------------------------------------------------------------------------------------------------------------- hidden


@pytest.mark.parametrize("rubric", SHIPPED)
def test_a_gold_row_is_asked_as_a_real_row_with_its_texts_would_be(rubric: Rubric) -> None:
    [asks] = [next(calibrate(rubric, ["judge"]))]
    rows = {tuple(row.inputs.values()): row for row in rubric.gold}
    assert len(asks) == len(rubric.gold)
    for ask in asks:
        row = rows[tuple(dict(zip(ask.inputs["titles"], ask.inputs["texts"], strict=True))[n] for n in rubric.inputs)]
        real = grading(rubric.with_skills(row.skills), row.inputs, ask.inputs["approach"] - 1)
        gold_request, real_request = (request_of(asked, 0, SamplingSpec()) for asked in (ask, real))
        assert gold_request.key("m") == real_request.key("m")
        assert all(row.why not in said for said in gold_request.said)


def test_each_judge_sees_all_gold_rows_in_an_order_of_its_own() -> None:
    rubric = load_rubric("instruction-response")
    asks = next(calibrate(rubric, ["judge", "judge-2"], seed=5))
    orders = {who: [ask.inputs["mark"] for ask in asks if ask.role == who] for who in ("judge", "judge-2")}
    assert sorted(orders["judge"]) == sorted(orders["judge-2"])
    assert orders["judge"] != orders["judge-2"]
    assert gold_order(rubric, "judge", 5) != list(rubric.gold)
    assert gold_order(rubric, "judge", 5) == gold_order(rubric, "judge", 5) != gold_order(rubric, "judge", 6)


@pytest.mark.parametrize("rubric", SHIPPED)
def test_gold_rows_take_every_approach_about_equally_often(rubric: Rubric) -> None:
    asks = next(calibrate(rubric, ["judge"]))
    counts = Counter(ask.inputs["approach"] for ask in asks)
    assert len(counts) == APPROACHES
    assert max(counts.values()) - min(counts.values()) <= 1


def test_every_judge_takes_the_same_approach_to_a_gold_row_whatever_the_seed() -> None:
    rubric = load_rubric("instruction-response")
    asks = [ask for seed in (1, 2) for ask in next(calibrate(rubric, ["judge", "judge-2"], seed=seed))]
    taken = {(ask.inputs["mark"], ask.inputs["approach"]) for ask in asks}
    assert len(taken) == len(rubric.gold)


def test_examples_alone_are_a_judge_that_is_always_right() -> None:
    talk = calibrate(load_rubric("grounded-answer"), ["judge"])
    asks = next(talk)
    with pytest.raises(StopIteration) as end:
        talk.send([reply_of(ask) for ask in asks])
    assert end.value.value.standings[0].accuracy == 1.0


# --------------------------------------------------------------------------------------------------------------- void


@pytest.mark.parametrize("rubric", SHIPPED)
def test_a_judge_that_does_not_read_is_void_and_one_that_does_is_not(rubric: Rubric) -> None:
    judges: dict[str, Judge] = {"good": right, "yes": always(True), "no": always(False), "inverted": wrong}
    found = calibrated(rubric, **judges)
    assert found.void == {"yes", "no", "inverted"}
    accuracy = {standing.judge: standing.accuracy for standing in found.standings}
    assert accuracy == {"good": 1.0, "yes": 0.5, "no": 0.5, "inverted": 0.0}
    assert [standing.yes / standing.given for standing in found.standings] == [0.5, 1.0, 0.0, 0.5]


@pytest.mark.parametrize("rubric", SHIPPED)
def test_judges_with_errors_are_told_from_coins(rubric: Rubric) -> None:
    good = {f"good-{i}": erring(0.1, row_rng(i, "good", "")) for i in range(50)}
    coins = {f"coin-{i}": erring(0.5, row_rng(i, "coin", "")) for i in range(50)}
    void = calibrated(rubric, **good, **coins).void
    assert not void & set(good)
    assert len(void & set(coins)) >= 47


def test_a_judge_that_gives_no_verdicts_is_void_and_one_that_misses_a_few_is_not() -> None:
    rubric = load_rubric("instruction-response")
    for missing, void in ((2, False), (9, True), (16, True)):
        talk = calibrate(rubric, ["judge"])
        asks = next(talk)
        replies = [no_reply("unparsable", "x") if i < missing else reply_of(ask) for i, ask in enumerate(asks)]
        with pytest.raises(StopIteration) as end:
            talk.send(replies)
        [standing] = end.value.value.standings
        assert standing.nulls == 7 * missing
        assert standing.accuracy == (None if missing == 16 else 1.0)
        assert bool(standing.void) is void


def test_a_bar_of_zero_trusts_anybody() -> None:
    talk = calibrate(load_rubric("grounded-answer"), ["judge", "judge-2"], bar=0.0)
    asks = next(talk)
    with pytest.raises(StopIteration) as end:
        talk.send(
            [no_reply("empty", "x") if ask.role == "judge" else points(ask, wrong(ask, truth(ask))) for ask in asks]
        )
    assert end.value.value.void == frozenset()
    assert "no verdict on 112 decisions" in end.value.value.report()


def test_a_missing_verdict_is_neither_right_nor_wrong() -> None:
    rubric = load_rubric("grounded-answer")
    talk = calibrate(rubric, ["judge"])
    asks = next(talk)
    with pytest.raises(StopIteration) as end:
        talk.send([no_reply("empty", "x"), points(asks[1], wrong(asks[1], truth(asks[1]))), *map(reply_of, asks[2:])])
    [standing] = end.value.value.standings
    assert (standing.decisions, standing.given, standing.right) == (112, 105, 98)
    assert standing.low < 98 / 105 < standing.high
    assert {sum(counts) for counts in zip(*standing.points.values(), strict=True)} == {98, 105}


def test_skills_count_as_one_point() -> None:
    rubric = load_rubric("skill-shown")
    [standing] = calibrated(rubric, judge=right).standings
    assert standing.points == {"shows_{skill}": (36, 36), "on_topic": (12, 12), "makes_sense": (12, 12)}


@pytest.mark.parametrize("verdicts", [None, True, False])
def test_a_rubric_that_nobody_could_fail_is_refused(verdicts: bool | None) -> None:
    rubric = load_rubric("grounded-answer")
    told = dict.fromkeys(rubric.names, bool(verdicts))
    gold = tuple(replace(row, verdicts=told) for row in rubric.gold if verdicts is not None)
    with pytest.raises(UserError, match="no judge can be judged by it"):
        next(calibrate(replace(rubric, gold=gold), ["judge"]))


def test_the_report_names_the_void_judge_and_why() -> None:
    weak: Judge = lambda ask, gold: [False, *gold[1:]]  # noqa: E731 - one judge of one test
    report = calibrated(load_rubric("instruction-response"), judge=right, weak=weak, yes=always(True)).report()
    lines = report.split("\n")
    assert lines[0] == f"rubric instruction-response.v1, bar {BAR:.0%}:"
    assert lines[1] == "  judge: 112 of 112 right, 100% (97% to 100%), 0 without a verdict"
    assert lines[2].endswith("weakest at natural (8 of 16)")
    assert lines[3].endswith("VOID: accuracy 50% is below 67%")


# -------------------------------------------------------------------------------------------------------------- drift


def test_two_runs_of_the_same_judge_are_no_drift() -> None:
    found = calibrated(load_rubric("skill-shown"), judge=right)
    changes = drift(found, found)
    assert [made.what for made in changes] == ["judge: accuracy", "judge: points met"]
    assert not any(made.flagged for made in changes)
    assert all(made.low < 0 < made.high for made in changes)


def test_a_judge_that_got_worse_or_milder_is_flagged() -> None:
    rubric = load_rubric("skill-shown")
    before = calibrated(rubric, judge=right)
    accuracy, yes = drift(calibrated(rubric, judge=always(True)), before)
    assert (accuracy.before, accuracy.now, yes.before, yes.now) == (1.0, 0.5, 0.5, 1.0)
    assert accuracy.flagged
    assert accuracy.high < 0
    assert yes.flagged
    assert yes.low > 0


def test_a_judge_of_only_one_run_has_no_drift() -> None:
    rubric = load_rubric("skill-shown")
    now = calibrated(rubric, judge=right, other=right)
    assert {made.what for made in drift(now, calibrated(rubric, judge=right, gone=wrong))} == {
        "judge: accuracy",
        "judge: points met",
    }


def test_runs_by_different_gold_rows_are_not_compared() -> None:
    rubric = load_rubric("skill-shown")
    before = calibrated(replace(rubric, gold=rubric.gold[:-1]), judge=right)
    with pytest.raises(UserError, match="whose texts or gold rows differ"):
        drift(calibrated(rubric, judge=right), before)


def test_the_share_of_real_rows_that_meet_a_point_can_be_compared_too() -> None:
    assert change("concrete", (800, 1000), (700, 1000)).flagged
    assert not change("concrete", (8, 10), (7, 10)).flagged
    nothing: Any = change("concrete", (0, 0), (7, 10))
    assert (nothing.now, nothing.flagged) == (None, False)


def test_reading_a_gold_reply_is_reading_any_reply() -> None:
    rubric = load_rubric("grounded-answer")
    ask = next(calibrate(rubric, ["judge"]))[0]
    assert read_points(rubric, reply_of(ask)) == tuple(truth(ask))
