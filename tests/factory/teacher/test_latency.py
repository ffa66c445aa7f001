from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factory.teacher.latency import Latency

SECONDS = st.floats(0.001, 500)


def measured(samples: list[float], tokens: int = 0) -> Latency:
    latency = Latency()
    for seconds in samples:
        latency.add(seconds, tokens)
    return latency


def test_until_something_was_measured_the_ceiling_is_allowed() -> None:
    assert Latency().allowed(64, floor=5, ceiling=600) == 600


def test_a_fast_server_is_still_given_the_floor() -> None:
    assert measured([0.1] * 50).allowed(64, floor=5, ceiling=600) == 5


@given(st.lists(SECONDS, min_size=1), st.integers(1, 100_000))
def test_no_less_than_the_floor_and_the_usual_latency_is_ever_allowed(samples: list[float], max_tokens: int) -> None:
    latency = measured(samples, tokens=16)
    allowed = latency.allowed(max_tokens, floor=5, ceiling=600)
    assert allowed >= 5
    assert allowed >= latency.smoothed


@given(st.lists(SECONDS, min_size=1, max_size=40))
def test_the_smoothed_latency_lies_between_the_samples(samples: list[float]) -> None:
    smoothed = measured(samples).smoothed
    assert min(samples) * 0.999 <= smoothed <= max(samples) * 1.001


def test_a_request_for_a_long_reply_is_given_the_time_its_tokens_take() -> None:
    latency = measured([0.5] * 100, tokens=20)  # 25 ms a token
    assert latency.allowed(20, floor=1, ceiling=600) < 5
    assert latency.allowed(4096, floor=1, ceiling=600) > 4096 * 0.025


def test_a_server_that_is_slower_than_the_ceiling_is_waited_for() -> None:
    assert measured([900.0] * 30).allowed(64, floor=5, ceiling=600) > 900


def test_replies_that_differ_much_are_waited_for_longer_than_replies_that_do_not() -> None:
    steady, wild = measured([10.0] * 60), measured([1.0, 19.0] * 30)
    assert wild.allowed(1, 1, 6000) > 1.5 * steady.allowed(1, 1, 6000)
