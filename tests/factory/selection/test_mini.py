from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.artifacts.digest import row_rng
from factory.selection.mini import SELECT_MINI, against_random, choose, cluster, coverage
from schemas.release import MINI, POOL

SKILLS = tuple("abcdefgh")
pools = st.lists(st.tuples(st.integers(0, 5), st.lists(st.sampled_from(SKILLS), min_size=1, max_size=3)), max_size=40)


def parts(pool: list[tuple[int, list[str]]]) -> tuple[list[int], list[list[str]]]:
    return [c for c, _ in pool], [skills for _, skills in pool]


@settings(max_examples=40)
@given(pools, st.integers(0, 50))
def test_a_choice_has_the_size_asked_for_and_no_row_twice(pool: list[tuple[int, list[str]]], n: int) -> None:
    chosen = choose(*parts(pool), n)
    assert len(chosen) == min(n, len(pool))
    assert chosen == sorted(set(chosen))
    assert all(0 <= row < len(pool) for row in chosen)


@settings(max_examples=40)
@given(pools, st.integers(0, 50))
def test_where_all_show_the_same_skills_clusters_are_filled_in_turn(pool: list[tuple[int, list[str]]], n: int) -> None:
    clusters, skills = [c for c, _ in pool], [["same"]] * len(pool)
    sizes, taken = Counter(clusters), Counter(clusters[row] for row in choose(clusters, skills, n))
    fullest = max(taken.values(), default=0)
    assert all(taken[c] == sizes[c] or taken[c] >= fullest - 1 for c in sizes)


@settings(max_examples=40)
@given(pools)
def test_every_skill_is_shown_when_there_is_room(pool: list[tuple[int, list[str]]]) -> None:
    clusters, skills = parts(pool)
    every = {s for row in skills for s in row}
    chosen = choose(clusters, skills, len(every))
    assert {s for row in chosen for s in skills[row]} == every


def test_the_names_of_clusters_do_not_matter() -> None:
    pool = toy_pool()
    clusters, skills = pool["cluster"].to_list(), pool["skills"].to_list()
    renamed = [sorted(set(clusters)).index(c) + 10 for c in clusters]
    assert choose(clusters, skills, 20) == choose(renamed, skills, 20)


def test_in_a_cluster_the_row_with_the_rarest_skill_goes_first() -> None:
    skills = [["common"], ["common"], ["rare"], ["common"], ["other"]]
    assert choose([0, 0, 0, 0, 0], skills, 3) == [0, 2, 4]


def toy_pool() -> pl.DataFrame:
    """200 rows in 12 clusters of very unequal sizes, whose skills are as unequal."""
    rng = row_rng(1, "toy", "pool")
    clusters = [min(rng.below(100) // (1 + rng.below(30)), 11) for _ in range(200)]
    skills = [[SKILLS[min(c // 2 + rng.below(3), 7)], SKILLS[rng.below(rng.between(1, 8))]] for c in clusters]
    rows = {"id": [f"{i:04d}" for i in range(200)], "cluster": clusters, "skills": skills}
    return pl.DataFrame(rows).with_columns(prompt=pl.lit(""), recipe=pl.lit(""))


@pytest.mark.parametrize("n", [12, 24, 48, 100])
def test_a_choice_covers_at_least_as_much_as_random_ones_do(n: int) -> None:
    pool = toy_pool()
    chosen = set(choose(pool["cluster"].to_list(), pool["skills"].to_list(), n))
    mini = pool.select("cluster", chosen=pl.Series([i in chosen for i in range(200)]))
    found = against_random(pool.select(*POOL.columns), mini, seed=7)
    for figure in ("clusters", "skills", "evenness"):
        assert found["mini"][figure] >= found["random"][figure]
    assert found["mini"]["clusters"] == 1.0
    assert found == against_random(pool.select(*POOL.columns), mini, seed=7)


def test_coverage_counts_clusters_skills_and_evenness() -> None:
    clusters, skills = [0, 0, 1, 2], [["a"], ["a", "b"], ["c"], ["a"]]
    assert coverage(clusters, skills, [0, 2, 3]) == {"clusters": 1.0, "skills": 2.0, "evenness": 1.0}
    assert coverage(clusters, skills, [0, 1]) == {"clusters": 0.3333, "skills": 2.0, "evenness": 0.0}
    uneven = coverage(clusters, skills, [0, 1, 2])
    assert uneven["clusters"] == 0.6667
    assert 0 < uneven["evenness"] < 1


def blobs() -> npt.NDArray[np.float32]:
    """60 points around five corners, one after the other."""
    centres = np.eye(5, 16) * 9
    noise = np.array([[row_rng(2, "blob", f"{i}/{j}").below(100) / 100 for j in range(16)] for i in range(60)])
    return np.asarray(centres[np.arange(60) % 5] + noise, dtype=np.float32)


def test_clusters_are_found_and_are_the_same_each_time() -> None:
    found = cluster(blobs(), 5, seed=3)
    assert [len(set(found[i::5].tolist())) for i in range(5)] == [1] * 5
    assert len(set(found.tolist())) == 5
    assert found.tolist() == cluster(blobs(), 5, seed=3).tolist()


def test_a_large_seed_is_taken() -> None:
    assert len(cluster(blobs(), 5, seed=2**62)) == 60


class Given:
    """Vectors that are already there."""

    identity = "given"

    def matrix(self) -> npt.NDArray[np.float32]:
        return blobs()


@pytest.mark.parametrize(("asked", "got"), [(20, 20), (5, 5), (500, 60)])
def test_the_mini_stage_marks_the_rows_it_chooses(asked: int, got: int) -> None:
    pool = POOL.frame(
        {
            "id": [f"{i:03d}" for i in range(60)],
            "prompt": [f"prompt {i}" for i in range(60)],
            "skills": [[SKILLS[i % 8]] for i in range(60)],
            "recipe": ["chains"] * 60,
        }
    )
    made = SELECT_MINI.run(pool, {"rows": asked, "seed": 3}, vectors=Given())
    MINI.check(made)
    assert made["id"].to_list() == pool["id"].to_list()
    assert made["chosen"].sum() == got
    assert made.equals(SELECT_MINI.run(pool, {"rows": asked, "seed": 3}, vectors=Given()))
