"""Many conversations as one: replies find their way back, and votes go round the judges that count."""

from __future__ import annotations

from collections.abc import Generator

from hypothesis import given
from hypothesis import strategies as st

from factory.jobs.talk import Judges
from factory.recipes.recipe import Ask, Asking
from factory.student.together import seated, together
from factory.teacher.protocol import Reply


def talker(name: str, turns: list[int], role: str = "author") -> Generator[list[Ask], list[Reply], list[str]]:
    heard = []
    for turn, asks in enumerate(turns):
        replies = yield [Ask(f"{name}/{turn}/{i}", {}, "", role=role, repeat=i) for i in range(asks)]
        heard += [reply.text for reply in replies]
    return heard


def held(talk: Asking[list[list[str]]] | Asking[list[str]]) -> tuple[list[list[Ask]], list[str] | list[list[str]]]:
    """Return what is asked in each turn, and what it comes to when each reply is the ask's own name."""
    asked: list[list[Ask]] = []
    try:
        asks = next(talk)
        while True:
            asked.append(asks)
            asks = talk.send([Reply(text=ask.prompt) for ask in asks])
    except StopIteration as end:
        return asked, end.value


@given(st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=5))
def test_everybody_hears_what_they_asked_in_order(turns: list[list[int]]) -> None:
    asked, made = held(together([talker(str(i), mine) for i, mine in enumerate(turns)]))
    assert made == [
        [f"{i}/{turn}/{n}" for turn, asks in enumerate(mine) for n in range(asks)] for i, mine in enumerate(turns)
    ]
    assert len(asked) == max(map(len, turns), default=0)


def test_a_turn_asks_for_all_who_are_still_open() -> None:
    asked, _ = held(together([talker("a", [1, 1, 1]), talker("b", [2])]))
    assert [[ask.prompt for ask in asks] for asks in asked] == [["a/0/0", "b/0/0", "b/0/1"], ["a/1/0"], ["a/2/0"]]


def test_votes_go_round_the_judges() -> None:
    judges = Judges(("judge", "judge-2"))
    asked, _ = held(seated(talker("a", [3], role="judge"), judges))
    assert [(ask.role, ask.repeat) for ask in asked[0]] == [("judge", 0), ("judge-2", 0), ("judge", 1)]


def test_a_void_judge_is_not_asked_and_the_others_vote_in_its_place() -> None:
    judges = Judges(("judge", "judge-2", "judge-3"), frozenset({"judge-2"}))
    asked, made = held(seated(talker("a", [4], role="judge"), judges))
    assert [(ask.role, ask.repeat) for ask in asked[0]] == [("judge", 0), ("judge-3", 0), ("judge", 1), ("judge-3", 1)]
    assert made == ["a/0/0", "a/0/1", "a/0/2", "a/0/3"]


def test_the_student_is_seated_nowhere_else() -> None:
    asked, _ = held(seated(talker("a", [2]), Judges(("judge", "judge-2"))))
    assert [ask.role for ask in asked[0]] == ["author", "author"]
