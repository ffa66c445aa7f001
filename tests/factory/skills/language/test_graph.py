from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from factory.errors import UserError
from factory.jobs.talk import request_of
from factory.recipes.recipe import Ask
from factory.skills.language import picture
from factory.skills.language.graph import Judgement, acyclic, edges, gini, graph_tables, rows_of_labels
from factory.skills.language.picture import SHOWN, choose, draw
from factory.skills.language.prerequisites import AT_ONCE, judge_prerequisites, worth_judging
from factory.skills.language.skill import LanguageSkill
from factory.teacher.model import SamplingSpec
from factory.teacher.protocol import Reply, no_reply
from schemas.skills import EDGES, LABELS, ROW_SKILLS

SETS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=4), max_size=20)


def rows_of(*sets: str) -> pl.DataFrame:
    """Rows whose skills are the letters of a text."""
    return ROW_SKILLS.frame({"row": [str(i) for i in range(len(sets))], "skills": [list(letters) for letters in sets]})


def skills_of(names: str) -> list[LanguageSkill]:
    return [LanguageSkill(name) for name in names]


def test_labels_become_the_different_skills_of_each_row() -> None:
    told = [("2", "b"), ("1", "b"), ("1", "a"), ("1", "b"), ("3", None)]
    labels = LABELS.frame(
        {
            "row": [row for row, _ in told],
            "label": ["said"] * 5,
            "skill": [skill for _, skill in told],
            "how": ["exact"] * 5,
            "similarity": [None] * 5,
        }
    )
    rows = rows_of_labels(labels)
    ROW_SKILLS.check(rows)
    assert rows.rows() == [("1", ["a", "b"]), ("2", ["b"])]


@given(SETS)
def test_every_pair_that_stands_in_a_row_is_one_edge_with_its_rows(sets: list[list[str]]) -> None:
    found = edges(rows_of(*("".join(letters) for letters in sets)))
    EDGES.check(found)
    counted = {
        pair: n for pair in combinations("abcdef", 2) if (n := sum(set(pair) <= set(letters) for letters in sets))
    }
    assert {(a, b): n for a, b, n in found.select("source", "target", "rows").iter_rows()} == counted


@given(SETS)
def test_the_weight_is_the_normalised_mutual_information(sets: list[list[str]]) -> None:
    sets = [letters for letters in sets if letters]
    for a, b, _, weight, n in edges(rows_of(*("".join(letters) for letters in sets))).iter_rows():
        p, chance = n / len(sets), math.prod(sum(x in letters for letters in sets) / len(sets) for x in (a, b))
        expected = 1.0 if p == 1 else math.log(p / chance) / -math.log(p)
        assert weight == pytest.approx(expected, abs=1e-9)


def test_skills_that_only_come_together_have_the_weight_one() -> None:
    found = edges(rows_of("ab", "ab", "c", "d"))
    assert found.row(0) == ("a", "b", "together", 1.0, 2)


def test_skills_that_meet_by_chance_have_the_weight_zero() -> None:
    found = edges(rows_of("ab", "a", "b", "c"))
    assert found["weight"].to_list() == pytest.approx([0.0])


def test_a_pair_seen_once_comes_after_those_seen_more_often() -> None:
    found = edges(rows_of("xy", "ab", "ab", "ac", "b", "d"))
    assert found.select("source", "target").row(0) == ("a", "b")
    assert found.filter(pl.col("source") == "x")["weight"].to_list() == [1.0]


def test_edges_do_not_depend_on_the_order_of_rows() -> None:
    sets = ["abc", "ab", "cd", "ad", "bd", "abd"]
    assert_frame_equal(edges(rows_of(*sets)), edges(rows_of(*reversed(sets))))


def test_judgements_become_edges_with_their_share_and_the_rows_that_show_both() -> None:
    found = edges(rows_of("ab", "ab", "c"), [Judgement("b", "a", 3, 4), Judgement("c", "a", 1, 1)])
    before = found.filter(pl.col("kind") == "before")
    assert before.rows() == [("c", "a", "before", 1.0, 0), ("b", "a", "before", 0.75, 2)]


def test_the_weakest_edge_of_a_cycle_is_dropped_and_the_way_is_told() -> None:
    ring = [Judgement("a", "b", 4, 4), Judgement("b", "c", 2, 4), Judgement("c", "a", 3, 4)]
    kept, dropped = acyclic(ring)
    assert kept == [ring[0], ring[2]]
    assert [(edge.judgement, edge.way) for edge in dropped] == [(ring[1], ("c", "a", "b"))]


@given(st.lists(st.builds(Judgement, *[st.sampled_from("abcdef")] * 2, st.integers(1, 5), st.just(5)), max_size=20))
def test_what_is_kept_has_no_cycle_and_what_is_dropped_closes_a_stronger_one(told: list[Judgement]) -> None:
    kept, dropped = acyclic(told)
    order = {name: 0 for name in "abcdef"}
    for _ in order:
        for j in kept:
            order[j.target] = max(order[j.target], order[j.source] + 1)
    assert all(order[j.target] > order[j.source] for j in kept)
    share = {(j.source, j.target): j.share for j in kept}
    for edge in dropped:
        assert (edge.way[0], edge.way[-1]) == (edge.judgement.target, edge.judgement.source)
        assert all(share[step] >= edge.judgement.share for step in zip(edge.way, edge.way[1:], strict=False))


def test_judgements_in_any_order_lose_the_same_edges() -> None:
    told = [Judgement(a, b, 1 + (ord(a) * 7 + ord(b)) % 4, 4) for a in "abcd" for b in "abcd" if a != b]
    assert acyclic(told) == acyclic(told[::-1])


def test_tables_count_rows_partners_and_edges_of_each_skill() -> None:
    rows = rows_of("ab", "ab", "ac", "a", "a")
    tables = graph_tables(skills_of("abcd"), edges(rows, [Judgement("d", "a", 1, 1)]), rows)
    assert tables.skills.drop("family", "weight").rows() == [
        ("a", 5, 2, 3, "b", False),
        ("b", 2, 1, 1, "a", False),
        ("c", 1, 1, 1, "a", False),
        ("d", 0, 0, 1, None, True),
    ]


def test_coverage_names_the_skills_that_no_row_shows() -> None:
    rows = rows_of("ab", "ab")
    coverage = graph_tables(skills_of("abzc"), edges(rows), rows).coverage
    assert (coverage.unused, coverage.least, coverage.most) == (("c", "z"), 0, 2)
    assert (coverage.rows, coverage.skills, coverage.pairs, coverage.possible_pairs) == (2, 4, 1, 6)


def test_skills_that_the_list_lacks_are_in_the_tables() -> None:
    rows = rows_of("ax")
    assert graph_tables(skills_of("a"), edges(rows), rows).skills["skill"].to_list() == ["a", "x"]


def test_a_list_alone_counts_what_its_skills_say() -> None:
    skills = [LanguageSkill("a", count=3), LanguageSkill("b", count=7)]
    assert graph_tables(skills, edges(rows_of())).skills.select("skill", "rows").rows() == [("b", 7), ("a", 3)]


@pytest.mark.parametrize(
    ("counts", "expected"), [([], 0.0), ([0, 0], 0.0), ([5, 5, 5], 0.0), ([0, 0, 0, 8], 0.75), ([1, 3], 0.25)]
)
def test_gini_says_how_unevenly_skills_are_used(counts: list[int], expected: float) -> None:
    assert gini(counts) == pytest.approx(expected)


def pairs_of(names: str) -> list[tuple[LanguageSkill, LanguageSkill]]:
    return [(LanguageSkill(a, f"what {a} is"), LanguageSkill(b)) for a, b in combinations(names, 2)]


def judged(names: str, verdict_of: dict[tuple[str, str], str], votes: int = 2) -> list[Judgement]:
    """What comes of it when the judge answers by the names that it is shown."""
    talk = judge_prerequisites(pairs_of(names), votes)
    asks = next(talk)
    with pytest.raises(StopIteration) as end:
        talk.send([answer(ask, verdict_of) for ask in asks])
    found: list[Judgement] = end.value.value
    return found


def answer(ask: Ask, verdict_of: dict[tuple[str, str], str]) -> Reply:
    told = []
    for i, pair in enumerate(ask.inputs["pairs"]):
        first, second = pair["first"].split(":")[0], pair["second"].split(":")[0]
        told.append({"pair": i + 1, "reason": "so", "verdict": verdict_of.get((first, second), "neither")})
    return Reply(parsed={"judgements": told})


def test_a_judge_who_sees_the_same_order_both_ways_makes_an_edge() -> None:
    says = {("b", "a"): "first_before_second", ("a", "b"): "second_before_first"}
    assert judged("abc", says) == [Judgement("b", "a", 2, 2)]


def test_a_judge_who_prefers_the_first_place_makes_no_edge() -> None:
    always = {(a, b): "first_before_second" for a in "abc" for b in "abc"}
    assert judged("abc", always) == []


def test_an_order_that_less_than_half_the_votes_name_makes_no_edge() -> None:
    assert judged("ab", {("b", "a"): "first_before_second"}, votes=3) == []  # only the turned vote says so


def test_many_pairs_are_asked_in_few_requests_each_in_both_orders() -> None:
    asks = next(judge_prerequisites(pairs_of("abcdefg")))  # 21 pairs
    assert [len(ask.inputs["pairs"]) for ask in asks] == [AT_ONCE, AT_ONCE, AT_ONCE, AT_ONCE, 1, 1]
    assert {ask.role for ask in asks} == {"judge"}
    assert asks[0].inputs["pairs"][0] == {"first": "a: what a is", "second": "b"}
    assert asks[1].inputs["pairs"][0] == {"first": "b", "second": "a: what a is"}


def test_a_request_without_a_reply_counts_for_nothing() -> None:
    talk = judge_prerequisites(pairs_of("ab"), votes=2)
    asks = next(talk)
    with pytest.raises(StopIteration) as end:
        talk.send([answer(asks[0], {("a", "b"): "first_before_second"}), no_reply("refused", "no")])
    assert end.value.value == [Judgement("a", "b", 1, 1)]


def test_no_pairs_ask_nothing() -> None:
    with pytest.raises(StopIteration) as end:
        next(judge_prerequisites([]))
    assert end.value.value == []


def test_the_example_keeps_the_schema_that_is_asked_for() -> None:
    from factory.teacher.structured import bounded, compiled

    for ask in next(judge_prerequisites(pairs_of("abcdefg"))):
        request = request_of(ask, 0, SamplingSpec())
        assert request.schema is not None
        bounded(request.schema)
        assert not list(compiled(request.schema).iter_errors(orjson.loads(request.example)))


def test_pairs_worth_judging_are_the_strongest_that_more_than_one_row_shows() -> None:
    found = edges(rows_of("ab", "ab", "cd", "cd", "ce", "ce", "xy", "a"))
    pairs = worth_judging(skills_of("abcdexy"), found, 2)
    assert [(a.name, b.name) for a, b in pairs] == [("a", "b"), ("c", "d")]


def many(n: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables of n skills in three families, each in rows with its neighbours."""
    names = [f"skill_{i:03d}" for i in range(n)]
    sets = [[names[i], names[(i + 1) % n], names[(i * 7) % n]] for i in range(n)] + [names[:2]] * 3
    rows = pl.DataFrame({"row": [str(i) for i in range(len(sets))], "skills": sets})
    found = edges(rows, [Judgement(names[0], names[2], 2, 2)])
    skills = [LanguageSkill(name, family=f"family {i % 13}" if i % 5 else "") for i, name in enumerate(names)]
    return graph_tables(skills, found, rows).skills, found


def test_a_page_shows_the_most_used_skills_and_says_that_there_are_more() -> None:
    table, found = many(SHOWN + 30)
    drawn = choose(table, found)
    assert len(drawn.names) == SHOWN
    assert drawn.is_part
    assert {*drawn.names} >= {"skill_000", "skill_001"}


def test_the_legend_has_ten_families_and_the_others() -> None:
    drawn = choose(*many(60))
    assert len(drawn.families) == 12
    assert drawn.families[-2:] == [picture.OTHERS, picture.NO_FAMILY]
    assert set(drawn.family) == set(drawn.families)


def test_lines_of_a_node_are_bounded() -> None:
    names = [f"s{i:02d}" for i in range(40)]
    rows = ROW_SKILLS.frame({"row": ["1", "2", "3"], "skills": [names, names, ["other"]]})
    found = edges(rows)
    drawn = choose(graph_tables([], found, rows).skills, found)
    assert found.height == 40 * 39 // 2
    assert len(drawn.lines) <= 40 * 3 * picture.LINES


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_same_graph_is_the_same_picture(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("networkx")
    pytest.importorskip("matplotlib")
    paths = [tmp_path / f"{name}.{suffix}" for name in ("first", "second")]
    for path in paths:
        draw(*many(20), path, "Skills")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes()[:5] == {"png": b"\x89PNG\r", "svg": b"<?xml"}[suffix]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_skills_are_drawn_too(tmp_path: Path, n: int) -> None:
    pytest.importorskip("networkx")
    pytest.importorskip("matplotlib")
    rows = rows_of("ab"[:n])
    found = edges(rows)
    drawn = draw(graph_tables(skills_of("ab"[:n]), found, rows).skills, found, tmp_path / "few.png", "Few $a_b$")
    assert len(drawn.names) == n
    assert (tmp_path / "few.png").is_file()


def test_any_names_are_drawn_with_a_mark_for_letters_that_the_font_lacks(tmp_path: Path) -> None:
    pytest.importorskip("networkx")
    pytest.importorskip("matplotlib")
    rows = ROW_SKILLS.frame({"row": ["1"], "skills": [["日本語_要約", "résumé_écrit", "cost_in_$_or_$"]]})
    found, skills = edges(rows), [LanguageSkill("résumé_écrit", family="$\\frac$ 家族")]
    draw(graph_tables(skills, found, rows).skills, found, tmp_path / "names.png", "$\\x$ 図\n")  # a warning is an error
    assert picture.written("résumé_écrit 家\t$") == "résumé écrit ? $"


def test_no_two_names_share_a_place() -> None:
    page, nodes = np.array([0.0, 0.0, 200.0, 60.0]), np.zeros((0, 4))
    taken: list[picture.Points] = []
    for _ in range(20):
        found = picture._spot(np.array([100.0, 30.0]), 4.0, (50.0, 10.0), nodes, taken, page)
        if found is None:
            break
        taken.append(found)
    assert 2 <= len(taken) <= 8
    for a, b in combinations(taken, 2):
        assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"drawn as \.png or \.svg; found graph\.gif"):
        draw(*many(3), tmp_path / "graph.gif", "Skills")
