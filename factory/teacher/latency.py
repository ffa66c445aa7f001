"""How long a server takes: smoothed latency and deviation, and from them how long to wait for a reply."""

from __future__ import annotations

# Gains of the round-trip estimator of TCP (RFC 6298): old samples fade within a few dozen replies.
GAIN, DEVIATION_GAIN = 1 / 8, 1 / 4
# A reply later than this many times what is usual (smoothed + 4 deviations) is not going to come.
LATE = 8.0
# A request may ask for a far longer reply than those seen: at the measured pace, twice what its tokens would take.
SLACK = 2.0


class Latency:
    """Smoothed latency in seconds, its mean deviation, and the tokens of a reply; 0 until something was measured."""

    __slots__ = ("count", "deviation", "smoothed", "tokens")

    def __init__(self) -> None:
        self.count = 0
        self.smoothed = 0.0
        self.deviation = 0.0
        self.tokens = 0.0

    def add(self, seconds: float, tokens: int = 0) -> None:
        """Take in one reply."""
        if self.count == 0:
            self.smoothed, self.deviation, self.tokens = seconds, seconds / 2, float(tokens)
        else:
            self.deviation += (abs(seconds - self.smoothed) - self.deviation) * DEVIATION_GAIN
            self.smoothed += (seconds - self.smoothed) * GAIN
            self.tokens += (tokens - self.tokens) * GAIN
        self.count += 1

    def allowed(self, max_tokens: int, floor: float, ceiling: float) -> float:
        """Return the seconds after which a request for up to `max_tokens` tokens is given up.

        Until anything was measured that is `ceiling`: a server that compiles its first batch can take minutes.
        """
        if self.count == 0:
            return ceiling
        usual = LATE * (self.smoothed + 4 * self.deviation)
        whole = SLACK * max_tokens * self.smoothed / self.tokens if self.tokens >= 1 else 0.0
        return max(floor, min(max(usual, whole), max(ceiling, 3 * self.smoothed)))
