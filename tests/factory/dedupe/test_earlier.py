"""What was kept before is counted and found again, whatever the prefixes have in common."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from factory.artifacts.digest import text_digest
from factory.artifacts.store import Artifact, Store
from factory.dedupe.earlier import MANY, Earlier, PrefixMap, prefixes
from schemas.columns import REASONS

NONE = pl.DataFrame(schema={"id": pl.String(), "reasons": REASONS})
LARGEST = 2**60 - 1
KEYS = st.one_of(st.integers(0, 5), st.integers(LARGEST - 2, LARGEST))


def array(keys: list[int]) -> np.ndarray:
    return np.array(keys, dtype=np.int64)


@given(st.lists(st.lists(KEYS, max_size=8), max_size=6), st.lists(KEYS, max_size=8))
def test_counts_are_those_of_a_counter(added: list[list[int]], asked: list[int]) -> None:
    counts, expected = PrefixMap(), Counter[int]()
    for keys in added:
        counts.count(array(keys))
        expected.update(keys)
    assert counts.get(array(asked)).tolist() == [expected[key] for key in asked]


@given(st.lists(st.lists(KEYS, max_size=8), max_size=6), st.lists(KEYS, max_size=8))
def test_a_key_has_the_value_it_was_given_or_many(added: list[list[int]], asked: list[int]) -> None:
    values, expected = PrefixMap(), dict[int, int]()
    for value, keys in enumerate(added, 1):
        values.put(array(keys), value)
        for key in set(keys):
            expected[key] = MANY if key in expected else value
    assert values.get(array(asked)).tolist() == [expected.get(key, 0) for key in asked]


@given(st.lists(st.text("0123456789abcdef", min_size=32, max_size=32), max_size=5))
def test_a_prefix_is_the_first_60_bits(digests: list[str]) -> None:
    series = pl.Series(digests, dtype=pl.String)
    assert prefixes(series).tolist() == [int(digest[:15], 16) for digest in digests]


def kept(store: Store, *ids: str) -> Artifact:
    """Commit rows as kept: their digests are made of their ids, their shapes of the first letters."""
    columns = {
        "id": ids,
        "digest": [text_digest(f"problem {id_}") for id_ in ids],
        "prompt_digest": [text_digest(f"prompt {id_}") for id_ in ids],
        "cap_key": [text_digest(f"shape {id_[0]}") for id_ in ids],
    }
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    return store.commit("dedupe", " ".join(ids) or "none", frame, NONE, {})


def problems(*ids: str) -> list[str]:
    return [text_digest(f"problem {id_}") for id_ in ids]


def test_nothing_is_suspect_before_anything_was_kept() -> None:
    earlier = Earlier()
    values = pl.Series(problems("a", "b"))
    assert earlier.suspects("digest", values).to_list() == [False, False]
    assert earlier.used(values).tolist() == [0, 0]
    assert earlier.find("digest", values.to_list()) == {}


def test_kept_rows_are_found_by_their_digests_and_no_others(tmp_path: Path) -> None:
    store, earlier = Store(tmp_path), Earlier()
    for ids in (("a1", "b1"), (), ("a2",)):
        earlier.add(kept(store, *ids))
    asked = problems("a1", "a2", "c1")
    assert earlier.suspects("digest", pl.Series(asked)).to_list() == [True, True, False]
    assert earlier.find("digest", asked) == dict(zip(asked, ["a1", "a2"], strict=False))
    assert earlier.find("prompt_digest", asked) == {}


def test_a_digest_that_shares_only_its_prefix_is_suspect_and_not_found(tmp_path: Path) -> None:
    earlier = Earlier()
    earlier.add(kept(Store(tmp_path), "a1"))
    lookalike = problems("a1")[0][:15] + "0" * 17
    assert earlier.suspects("digest", pl.Series([lookalike])).to_list() == [True]
    assert earlier.find("digest", [lookalike]) == {}


def test_kept_rows_of_a_shape_are_counted_over_all_shards(tmp_path: Path) -> None:
    store, earlier = Store(tmp_path), Earlier()
    earlier.add(kept(store, "a1", "a2", "b1"))
    earlier.add(kept(store, "a3"))
    shapes = pl.Series([text_digest(f"shape {letter}") for letter in "abc"])
    assert earlier.used(shapes).tolist() == [3, 1, 0]


def test_the_identity_follows_what_was_kept_and_its_order(tmp_path: Path) -> None:
    store = Store(tmp_path)
    a, b = kept(store, "a1"), kept(store, "b1")
    identities = set()
    for order in ([], [a], [b], [a, b], [b, a], [a, a]):
        earlier = Earlier()
        for artifact in order:
            earlier.add(artifact)
        identities.add(earlier.identity)
    assert len(identities) == 6
