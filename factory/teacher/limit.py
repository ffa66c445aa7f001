"""How many requests one server may be given at once: found by doubling, by rejections, and by what more would bring.

Up: one level at a time, each judged by a round (as many replies as the level has requests, all sent at that level).
Down: a rejected request says how many others were on their way when it was sent; the server has room for no more.
In between it holds just at the limit it found and tries the next level rarely, less often when that fails: the plateau
and the back-off of CUBIC (Ha, Rhee and Xu 2008), with rounds in the place of its clock.
"""

from __future__ import annotations

START, CAP = 16, 1024
SAMPLES = 32  # replies that a comparison of two rates rests on
WORTH = 0.3  # share of the ideal gain that a higher level must bring, else the server only queues
MARGIN = 1.2  # held above the knee: too many only wait in the server's queue, too few leave it idle
TOLERATED = 0.1  # share of a round that may be rejected at a level that has proven itself, before it counts as full
TRY_AGAIN, TRY_RARELY = 4, 32  # rounds between attempts at the next level: after rejections, where rates say no
PAYBACK = 25.0  # an attempt that may cost a pause of p seconds is made only every 25 p
ALONE = 2  # requests on their way, itself included


class Limit:
    """The number of requests that may be on their way to one server; `now` is its present value.

    `seeks`: start low and find the limit; otherwise `start` is a ceiling that somebody chose, taken as proven, and only
    rejections lower it for a while.
    """

    def __init__(self, start: int = START, cap: int = CAP, *, seeks: bool = True) -> None:
        self.now = min(start, cap)
        self._cap = cap
        self._seeks = seeks
        self._proven = 0 if seeks else self.now
        self._growing = seeks
        self._climbed = True  # the level below was worth it, so the knee is near; else it was held, with its margin
        self._step = self.now
        self._before: tuple[int, float] | None = None  # the level below and its rate
        self._wait = 1  # rounds to hold before the next attempt
        self._held = 0
        self._not_before = 0.0
        self._begin(0.0)

    def sent(self, load: int) -> None:
        """Note a request that left when `load` requests, itself included, were on their way."""
        self._sent += 1
        if load >= self.now:
            self._full = True

    def answered(self, at: float, sent_at: float, latency: float, tokens: int) -> None:
        """Note a reply; it may end a round, and with it raise the limit."""
        if sent_at < self._since:
            return
        self._replies += 1
        self._seconds += latency
        self._work += tokens or 1
        if self._full and self._replies >= self._round():
            self._judge(at)

    def rejected(self, at: float, load: int, pause: float = 0.0) -> None:
        """Note a rejection of a request that left with `load` on their way; it costs a pause of so many seconds.

        A server that rejects a request which is all but alone limits its rate, not how many it takes at once.
        """
        if pause > 0:
            if load > ALONE:
                self._cut(at, load - 1, pause)
            return
        self._loads.append(load)
        if load > self._proven:
            self._cut(at, load - 1, 0.0)
        elif len(self._loads) > max(1.0, TOLERATED * self._sent):
            # The median: a few rejections may have nothing to do with the load.
            self._cut(at, sorted(self._loads)[len(self._loads) // 2] - 1, 0.0)

    def _cut(self, at: float, room: int, pause: float) -> None:
        found = max(1, min(self.now, room))
        if self._growing:
            self._wait = min(self._wait * 2, TRY_AGAIN)
        elif found < self.now:
            self._wait = 1
        self.now = found
        self._proven = min(self._proven, found) or found
        self._growing, self._step, self._held = False, 1, 0
        self._not_before = max(self._not_before, at + PAYBACK * pause)
        self._begin(at)

    def _judge(self, at: float) -> None:
        rate = self.now * self._work / self._seconds if self._seconds else 0.0
        if self._growing and self._only_queues(rate):
            self._settle(rate)
        elif self._growing:
            self._wait, self._proven, self._climbed = 1, self.now, True
            self._grow(rate)
        else:
            self._hold(at, rate)
        self._begin(at)

    def _hold(self, at: float, rate: float) -> None:
        self._held += 1
        self._proven = max(self._proven, self.now)
        if self._held >= self._wait and at >= self._not_before:
            self._climbed = False
            self._grow(rate)

    def _grow(self, rate: float) -> None:
        self._held = 0
        self._before = (self.now, rate)
        higher = min(self._cap, self.now + self._step)
        self._growing = higher > self.now
        self._step = max(1, min(2 * self._step, higher))
        self.now = higher

    def _only_queues(self, rate: float) -> bool:
        """Return whether this level brings too little over the one below; a small step is too small to tell."""
        if not self._seeks or self._before is None:
            return False
        level, before = self._before
        more = self.now / level - 1
        return more >= 0.2 and before > 0 and rate / before - 1 < WORTH * more

    def _settle(self, rate: float) -> None:
        level, before = self._before or (self.now, rate)
        knee = (MARGIN if self._climbed else 1.0) * level * rate / before
        self.now = max(level, min(self.now, round(knee)))
        self._proven = max(self._proven, self.now)
        self._growing, self._step, self._held = False, max(1, self.now // 4), 0
        self._wait = min(max(2 * TRY_AGAIN, 2 * self._wait), TRY_RARELY)

    def _round(self) -> int:
        by_rate = self._seeks and self.now >= START and self._step > self.now // 8
        return max(self.now, SAMPLES) if by_rate else self.now

    def _begin(self, at: float) -> None:
        """Begin a round: only what is sent from now on speaks for this level."""
        self._since = at
        self._sent = self._replies = 0
        self._seconds = self._work = 0.0
        self._full = False
        self._loads: list[int] = []  # of the rejected
