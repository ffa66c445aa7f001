"""How many requests one server may be given at once: found by doubling, by rejections, and by what more would bring.

Up: one level at a time, each judged by a round (as many replies as the level has requests, all sent at that level).
Down: a rejected request says how many others were on their way when it was sent; the server has room for no more.
In between it holds just at the limit it found and tries the next level rarely, less often when that fails: the plateau
and the back-off of CUBIC (Ha, Rhee and Xu 2008), with rounds in the place of its clock.
"""

from __future__ import annotations

from collections import Counter

START, CAP = 32, 1024
SAMPLES = 32  # replies that a comparison of two rates rests on
WORTH = 0.3  # share of the ideal gain that a higher level must bring, else the server only queues
MARGIN = 1.2  # held above the knee: too many only wait in the server's queue, too few leave it idle
TRY_AGAIN, TRY_RARELY = 4, 32  # rounds between attempts at the next level: after rejections, where rates say no
TRY_REPLIES = 64  # and at least so many replies: an attempt costs two rejections, however small the server
PAYBACK = 25.0  # an attempt that may cost a pause of p seconds is made only every 25 p
ALONE = 2  # requests on their way, itself included
ONE_IS_ENOUGH, TWO_SAY_SO = 1, 2  # rejections beyond a load, over those taken; where each costs a pause, one must do


class Limit:
    """The number of requests that may be on their way to one server; `now` is its present value.

    `seeks`: start low and find the limit; otherwise `start` is a ceiling that somebody chose, and only rejections lower
    it, for as long as the server has less room.
    """

    def __init__(self, start: int = START, cap: int = CAP, *, seeks: bool = True) -> None:
        self.now = min(start, cap)
        self._cap = cap
        self._seeks = seeks
        self._growing = seeks
        self._climbed = True  # the level below was worth it, so the knee is near; else it was held, with its margin
        self._doubted = False
        self._step = self.now
        self._before: tuple[int, float] | None = None  # the level below and its rate
        self._wait = 1  # rounds to hold before the next attempt
        self._held = 0
        self._not_before = 0.0
        self._tried: Counter[int] = Counter()  # requests of this round, or since the last pause, by load
        self._refused: Counter[int] = Counter()  # those of them that were rejected
        self._resuming = False  # a pause has begun: what is sent after it speaks for itself
        self._begin(0.0)

    def sent(self, load: int) -> None:
        """Note a request that leaves as the last of `load` requests on their way."""
        if self._resuming:
            self._tried.clear()
            self._refused.clear()
            self._resuming = False
        self._tried[load] += 1
        if load >= self.now:
            self._full = True

    def answered(self, at: float, sent_at: float, latency: float, tokens: int) -> None:
        """Note a reply; it may end a round, and with it raise the limit."""
        if sent_at < self._since:
            return
        self._replies += 1
        self._seconds += latency
        self._work += tokens or 1
        if self._replies >= self._round():
            if self._full:
                self._judge(at)
            self._begin(at)

    def rejected(self, at: float, sent_at: float, load: int, pause: float = 0.0) -> None:
        """Note a rejection of a request that left as the last of `load`; it costs a pause of so many seconds.

        A server that rejects a request which is all but alone limits its rate, not how many it takes at once.
        """
        self._resuming = self._resuming or pause > 0
        if sent_at < self._since or load <= (ALONE if pause > 0 else 1):
            return
        self._refused[load] += 1
        room, score = self._threshold()
        if score >= (ONE_IS_ENOUGH if pause > 0 else TWO_SAY_SO):
            self._cut(at, room, pause)

    def _threshold(self) -> tuple[int, int]:
        """Return the load above which rejections most outnumber the requests that were taken, and by how many.

        A server that is full rejects all beyond its room. Rejections that have nothing to do with the load are mixed
        with requests taken at the same loads, and weigh nothing.
        """
        score, best, room = 0, 0, self.now
        for load in sorted(self._tried, reverse=True):
            score += 2 * self._refused[load] - self._tried[load]
            if score > best:
                best, room = score, load - 1
        return room, best

    def _cut(self, at: float, room: int, pause: float) -> None:
        found = max(1, min(self.now, room))
        if self._growing:
            self._wait = min(self._wait * 2, max(TRY_AGAIN, TRY_REPLIES // found))
        elif found < self.now:
            self._wait = 1
        self.now = found
        self._growing, self._step, self._held, self._doubted = False, 1, 0, False
        self._not_before = max(self._not_before, at + PAYBACK * pause)
        self._begin(at)

    def _judge(self, at: float) -> None:
        rate = self.now * self._work / self._seconds if self._seconds else 0.0
        if self._growing and self._only_queues(rate):
            if self._doubted:
                self._settle(rate)
            self._doubted = not self._doubted  # measured twice: a stall of the machine looks the same once
        elif self._growing:
            self._wait, self._climbed = 1, True
            self._grow(rate)
        else:
            self._hold(at, rate)

    def _hold(self, at: float, rate: float) -> None:
        self._held += 1
        if self._held >= self._wait and at >= self._not_before:
            self._climbed = False
            self._grow(rate)

    def _grow(self, rate: float) -> None:
        self._held, self._doubted = 0, False
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
        self._growing, self._step, self._held = False, max(1, self.now // 4), 0
        self._wait = min(max(2 * TRY_AGAIN, 2 * self._wait), TRY_RARELY)

    def _round(self) -> int:
        by_rate = self._seeks and self.now >= START and self._step > self.now // 8
        return max(self.now, SAMPLES) if by_rate else self.now

    def _begin(self, at: float) -> None:
        """Begin a round: only what is sent from now on speaks for this level."""
        self._since = at
        self._replies = 0
        self._seconds = self._work = 0.0
        self._full = False
        self._tried.clear()
        self._refused.clear()
