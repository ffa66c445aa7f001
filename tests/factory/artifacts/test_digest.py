"""Names and randomness come from content alone; the known answers hold on every machine, for ever."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.artifacts.digest import (
    Rng,
    canonical_json,
    digest,
    hash_order,
    permutation,
    row_id,
    row_rng,
    text_digest,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)

TOLD_ELSEWHERE = """
from factory.artifacts.digest import digest, permutation, row_id, row_rng
from factory.jobs.draw import DRAW
from factory.jobs.model import parse_job
from factory.jobs.plan import plan, plan_key
from factory.recipes.recipe import NOTHING
from factory.skills.library import Library, held_out

entries = [{"recipe": "chains", "share": 0.5, "levels": [1, 2]}, {"recipe": "skill-pairs", "share": 0.5}]
job = parse_job({"kind": "build", "name": "elsewhere", "rows": 60, "recipes": entries}, "the job")
print(row_id("demo", 7, "0/level=2/train/5", 1), row_rng(7, "draw", "x").below(10**9), permutation(7, "x", 9).tolist())
print(DRAW.key(["a", "b"], {"seed": 1, "entries": entries}, {"library": Library()}), sorted(held_out()))
print(plan_key(job, NOTHING), digest(slots=plan(job, NOTHING).write_ndjson()))
"""


def test_names_and_plans_are_the_same_in_a_process_with_another_hash_seed() -> None:
    here = io.StringIO()
    with contextlib.redirect_stdout(here):
        exec(TOLD_ELSEWHERE, {})
    env = os.environ | {"PYTHONHASHSEED": "4711"}
    there = subprocess.run([sys.executable, "-c", TOLD_ELSEWHERE], env=env, capture_output=True, text=True, check=True)
    assert there.stdout == here.getvalue()


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_canonical_json_forgets_the_order_of_keys(value: dict[str, object]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_canonical_json_has_no_spaces_and_sorts_at_every_depth() -> None:
    assert (
        canonical_json({"b": [1, {"d": None, "c": "é"}], "a": True}) == '{"a":true,"b":[1,{"c":"é","d":null}]}'.encode()
    )


def test_what_is_not_json_has_no_digest() -> None:
    with pytest.raises(TypeError):
        digest(value={1, 2})


def test_the_names_of_the_parts_are_in_the_digest() -> None:
    assert len({digest(a=1, b=2), digest(a=2, b=1), digest(b=2), digest(a=[1, 2])}) == 4


def test_a_true_is_not_a_one() -> None:
    assert len({digest(a=1), digest(a=True), digest(a="1"), digest(a=1.0), digest(a=[1])}) == 5


def test_digests_are_known() -> None:
    assert digest(a=1, b=[1, 2.5, None, "é"]) == "6db90eff8b53c4d8441fbe1336d07463"
    assert text_digest("skill") == text_digest(b"skill") == "fdaa885857a0855c1120f42223de88e4"


def test_row_ids_are_known() -> None:
    assert row_id("demo", 7, "0/level=2/train/5", 0) == "efdce3de3fce7e3fa06a"
    assert row_id("demo", 7, "0/level=2/train/5", 1) == "84b29d74220cfeca1ac2"


def test_everything_a_row_descends_from_is_in_its_id() -> None:
    ids = {row_id("a", 1, "x/1", 0), row_id("b", 1, "x/1", 0), row_id("a", 2, "x/1", 0), row_id("a", 1, "x/2", 0)}
    assert len(ids | {row_id("a", 1, "x/1", 1)}) == 5


def test_draws_of_a_row_are_known() -> None:
    rng = row_rng(7, "draw", "abc")
    assert [rng.below(1000) for _ in range(5)] == [232, 163, 485, 509, 39]
    assert [rng.between(-3, 3) for _ in range(5)] == [3, -1, 1, -3, -1]
    assert rng.shuffled("abcdefg") == ["a", "c", "d", "f", "b", "e", "g"]
    assert rng.sample(range(20), 4) == [19, 14, 8, 17]
    assert rng.pick("xyz") == "x"
    assert [rng.chance(0.5) for _ in range(6)] == [True, False, False, True, False, False]


def test_hash_orders_and_permutations_are_known() -> None:
    assert hash_order(7, "slots", 4).tolist() == [
        6031791098349063835,
        6046924234461531944,
        215614548916987935,
        1065367647387471117,
    ]
    assert permutation(7, "slots", 10).tolist() == [2, 4, 3, 5, 7, 9, 0, 1, 6, 8]


def splitmix64(state: int, n: int) -> list[int]:
    """Return n numbers of Vigna's splitmix64, in whole numbers of any size."""
    out, word = [], 2**64
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) % word
        z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % word
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % word
        out.append(z ^ (z >> 31))
    return out


def test_hash_orders_are_splitmix64_from_a_hashed_state() -> None:
    assert splitmix64(1234567, 2) == [6457827717110365317, 3203168211198807973]  # the published check values
    state = int.from_bytes(blake2b(b"7\x1fslots", digest_size=8).digest(), "little")
    assert hash_order(7, "slots", 50).tolist() == splitmix64(state, 50)


@given(st.integers(0, 300), st.integers(0, 40))
def test_a_longer_hash_order_begins_with_the_shorter_one(n: int, more: int) -> None:
    assert hash_order(3, "x", n + more)[:n].tolist() == hash_order(3, "x", n).tolist()


@given(st.integers(0, 2**63 - 1), st.integers(0, 200))
def test_a_permutation_has_every_number_once(seed: int, n: int) -> None:
    assert sorted(permutation(seed, "x", n).tolist()) == list(range(n))


def test_3000_neighbouring_rows_draw_3000_different_numbers() -> None:
    ids = [row_id("demo", 7, f"0/level=1/train/{i}", 0) for i in range(3000)]
    assert len({row_rng(7, "draw", id_).below(2**53) for id_ in ids}) == 3000


def test_3000_neighbouring_run_seeds_draw_3000_different_numbers() -> None:
    assert len({row_rng(seed, "draw", "x").below(2**53) for seed in range(3000)}) == 3000


def test_streams_of_neighbouring_rows_share_no_draw() -> None:
    draws = [row_rng(7, "draw", str(i)) for i in range(60)]
    seen = [rng.below(2**53) for rng in draws for _ in range(50)]
    assert len(set(seen)) == len(seen)


def test_each_stage_has_a_stream_of_its_own() -> None:
    assert len({row_rng(7, stage, "x").below(2**53) for stage in ("draw", "verify", "plan", "mini")}) == 4


@given(st.integers(0, 2**64 - 1), st.integers(1, 10**9))
def test_a_number_below_n_is_below_n(seed: int, n: int) -> None:
    assert 0 <= Rng(seed).below(n) < n


@given(st.integers(0, 2**64 - 1), st.integers(-(10**9), 10**9), st.integers(0, 10**9))
def test_a_number_between_two_is_between_them(seed: int, low: int, width: int) -> None:
    assert low <= Rng(seed).between(low, low + width) <= low + width


@given(st.integers(0, 2**64 - 1))
def test_both_ends_of_a_range_are_drawn(seed: int) -> None:
    rng = Rng(seed)
    assert {rng.between(1, 3) for _ in range(100)} == {1, 2, 3}


@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 5), max_size=9), st.integers(0, 9))
def test_shuffles_and_samples_keep_what_they_are_given(seed: int, values: list[int], k: int) -> None:
    assert sorted(Rng(seed).shuffled(values)) == sorted(values)
    sample = Rng(seed).sample(range(len(values)), k)
    assert len(set(sample)) == len(sample) == min(k, len(values))


def test_a_shuffle_leaves_its_input_alone() -> None:
    values = list(range(20))
    Rng(1).shuffled(values)
    assert values == list(range(20))


def test_a_chance_of_nothing_never_comes_and_a_certain_one_always() -> None:
    rng = Rng(5)
    assert not any(rng.chance(0.0) for _ in range(500))
    assert all(rng.chance(1.0) for _ in range(500))
