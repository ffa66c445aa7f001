"""Skill tuples of all cells of an entry together: coverage does not stop at the border of a cell, nor of a round."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest
from by_example import POOL, SKILLS, Pool

from factory.errors import UserError
from factory.recipes.mixing import dealt, marked, mixed_skills
from factory.recipes.recipe import Cell, Demand, Quotas, Sources

CELLS = tuple(Cell(f"k={k}, kind {i}", k) for k in (1, 2, 3) for i in range(4))


def quotas(n: int, cells: tuple[Cell, ...] = CELLS) -> Quotas:
    return tuple((cell, n) for cell in cells)


def mixed(planned: Quotas, pool: Pool = POOL, seed: int = 7, split: str = "train", **more: object) -> list[list[str]]:
    """Return the tuples of every cell, one after the other."""
    sources, out = Sources(skills=pool), list[list[str]]()
    for cell, n in planned:
        demand = Demand(cell, split, n, seed, cell.name, sources, planned=planned, open=planned)
        out += mixed_skills(replace(demand, **more), "toy").to_list()  # type: ignore[arg-type]
    return out


def test_each_slot_has_as_many_different_skills_of_its_split_as_its_level() -> None:
    for split in ("train", "heldout"):
        rows, planned = mixed(quotas(3), split=split), quotas(3)
        assert [len(row) for row in rows] == [cell.level for cell, n in planned for _ in range(n)]
        assert all(len(set(row)) == len(row) and set(row) <= set(POOL.names(split)) for row in rows)


def test_skills_are_used_evenly_over_all_cells_though_a_cell_has_few_slots() -> None:
    rows = mixed(quotas(3, tuple(c for c in CELLS if c.level < 3)))
    counts = Counter(name for row in rows for name in row)
    assert set(counts) == set(POOL.names("train"))
    assert max(counts.values()) - min(counts.values()) <= 1


def test_no_pair_comes_twice_over_all_cells_while_there_is_an_unused_one() -> None:
    pairs = Counter(frozenset(row) for row in mixed(quotas(13, tuple(c for c in CELLS if c.level == 2))))
    assert sum(pairs.values()) == 52 < 12 * 11 / 2
    assert set(pairs.values()) == {1}


def test_skills_do_not_keep_to_a_cell() -> None:
    twos = tuple(cell for cell in CELLS if cell.level == 2)
    rows = mixed(quotas(12, twos))
    for i in range(len(twos)):
        assert len({name for row in rows[12 * i : 12 * i + 12] for name in row}) >= 9


def test_skills_that_are_near_are_not_asked_for_together() -> None:
    near = frozenset(frozenset(pair) for pair in combinations([s.name for s in SKILLS if s.family == "logic"], 2))
    rows = mixed(quotas(12), Pool(SKILLS, near=near))
    assert not [row for row in rows if any(frozenset(pair) in near for pair in combinations(row, 2))]


def test_a_profile_says_how_often_a_skill_comes_and_0_leaves_it_out() -> None:
    weights = {name: 1.0 for name in POOL.names("train")} | {"metaphor": 5.0, "estimation": 3.0, "delegation": 0.0}
    rows = mixed(quotas(21, CELLS[:4]), Pool(SKILLS, profile=tuple(weights.items())))
    counts = Counter(name for row in rows for name in row)
    assert counts["delegation"] == counts["metaphor"] == 0  # the one by its weight, the other by its split
    assert counts["estimation"] == pytest.approx(3 * counts["summarising"], abs=3)


def test_the_plan_is_the_same_again_and_another_with_another_seed_or_entry() -> None:
    assert mixed(quotas(5)) == mixed(quotas(5))
    assert mixed(quotas(5)) != mixed(quotas(5), seed=8)
    assert mixed(quotas(5)) != mixed(quotas(5), entry=1)


def test_a_later_round_goes_on_where_the_plan_ended() -> None:
    twos = tuple(cell for cell in CELLS if cell.level == 2)
    planned, left = quotas(12, twos), quotas(4, twos[:2])
    first = mixed(planned)
    then = [
        row
        for cell, n in left
        for row in mixed_skills(
            Demand(cell, "train", n, 7, cell.name, Sources(skills=POOL), 0, 1, planned, left), "toy"
        ).to_list()
    ]
    pairs = Counter(frozenset(row) for row in first + then)
    assert len(then) == 8
    assert set(pairs.values()) == {1}  # 56 of 66 pairs: the later round takes what is unused
    counts = Counter(name for row in first + then for name in row)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_a_cell_alone_is_planned_without_the_others() -> None:
    demand = Demand(CELLS[5], "train", 9, 7, "alone", Sources(skills=POOL))
    assert [len(row) for row in mixed_skills(demand, "toy").to_list()] == [2] * 9


@pytest.mark.parametrize("skills", [SKILLS[:1], SKILLS[-2:], ()], ids=["one", "only held out", "none"])
def test_too_few_skills_are_the_user_s_to_mend(skills: tuple[object, ...]) -> None:
    with pytest.raises(UserError, match=r"'toy', split train: .* The job has \d skills for it: bring more") as error:
        mixed(quotas(2), Pool(skills))  # type: ignore[arg-type]
    assert "heldout: 0" in str(error.value)


# --------------------------------------------------------------------------------------------------- seeds, and marks

IDS = tuple(f"d{i}" for i in range(7))


def demands(planned: Quotas, **more: object) -> list[Demand]:
    asked = [Demand(cell, "train", n, 3, cell.name, planned=planned, open=planned) for cell, n in planned]
    return [replace(one, **more) for one in asked]  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 2, 5, 7, 9])
def test_seeds_are_used_evenly_over_all_cells(n: int) -> None:
    deals = [dealt(one, IDS, "toy") for one in demands(quotas(n))]
    counts = Counter(id_ for cell in deals for id_ in cell)
    assert [len(cell) for cell in deals] == [n] * len(CELLS)
    assert max(counts.values()) - min(counts[id_] for id_ in IDS) <= 1


@pytest.mark.parametrize("n", [4, 6, 7])
def test_a_cell_takes_no_seed_twice_while_it_can_take_another(n: int) -> None:
    assert all(len(set(dealt(one, IDS, "toy"))) == n for one in demands(quotas(n)))


def test_cells_of_one_size_do_not_share_the_same_part_of_the_seeds() -> None:
    deals = {frozenset(dealt(one, IDS[:6], "toy")) for one in demands(quotas(3))}
    assert len(deals) > 4


def test_a_later_round_begins_with_the_seeds_that_the_plan_used_least() -> None:
    planned: Quotas = ((CELLS[0], 5),)
    [first] = (dealt(one, IDS, "toy") for one in demands(planned))
    [again] = (dealt(one, IDS, "toy") for one in demands(planned, open=((CELLS[0], 2),), n=2, round=1))
    assert set(first) | set(again) == set(IDS)


def test_no_seeds_give_no_slots_and_a_demand_may_stand_alone() -> None:
    alone = Demand(CELLS[0], "train", 3, 3, "x")
    assert dealt(alone, (), "toy") == []
    assert len(set(dealt(alone, IDS, "toy"))) == 3


@pytest.mark.parametrize("share", [0.01, 0.15, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 3, 10])
def test_a_share_of_the_slots_that_may_be_is_marked_exactly_and_at_least_one(share: float, n: int) -> None:
    found = {one.cell: marked(one, share, lambda cell: cell.level > 1, "toy") for one in demands(quotas(n))}
    assert all(len(marks) == n for marks in found.values())
    assert not any(any(marks) for cell, marks in found.items() if cell.level == 1)
    assert sum(map(sum, found.values())) == max(1, int(8 * n * share + 0.5))
    assert max(map(sum, found.values())) <= n * share + 1


def test_nothing_is_marked_where_nothing_may_be_or_shall_be() -> None:
    [one, *_] = demands(quotas(4))
    assert marked(one, 0.0, lambda cell: True, "toy") == [False] * 4
    assert marked(one, 0.5, lambda cell: False, "toy") == [False] * 4
