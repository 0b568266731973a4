"""Lookout: whether to go on looking for what comes next, instead of sleeping until it comes.

A loop that sleeps has to be woken, and that takes 20 to 60 us: as long as all the work of a request. Where an answer is
on its way, or whoever was answered is about to ask again, looking for it spares that time; everywhere else it wastes a
processor. So this decides by what was seen, separately for everybody from whom something is expected:

* A loop looks only after it has asked or answered somebody (:meth:`Lookout.expect`), so never while a node is at rest,
  and never for messages that nobody waits for.
* Only where the last waits were short: one that sleeps measures them too. Then it tries; a look that finds nothing in
  time counts as much as four that do, and two in a row end it for a while that doubles each time.
* Only where it helps: one wait in 64 is slept through, and looking must be the shorter by a tenth. It is not where both
  sides have to share one processor: there the other side cannot answer before this one sleeps.
* Never at the price of more than a hundredth of one processor for looks in vain, whatever remotes do to provoke them.

Linux has the same between hosts and guests (haltpoll, ``Documentation/virt/guest-halt-polling.rst``) and for sockets
(``net.core.busy_poll``).
"""

from __future__ import annotations

from collections.abc import Hashable

TRUST = 8
"""Most points that short waits can earn; each earns one."""

TRUSTED = 4
"""Points from which on looking is tried."""

LOSS = 4
"""Points that a look in vain costs."""

PATIENCE = 2.0
"""A wait of so many longest looks, slept through on both sides, may be short enough once nobody sleeps."""

GAIN = 0.9
"""The mean wait of looks must be below this share of the mean wait of sleeps."""

COMPARED = 16
"""Looks before their mean says something: one in sixteen may have been held up by something else."""

SLEPT_EVERY = 64
"""One wait of so many is slept through, so that what sleeping costs is known as it is now."""

SLEPT_WEIGHT = 1 / 8
LOOKED_WEIGHT = 1 / 64
"""Of a new wait in a mean: both means tell of the last few hundred waits."""

FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 10.0

VAIN_SHARE = 0.01
"""Of the time may be spent on looks in vain, in the long run."""

VAIN_BURST_S = 0.003
"""And so much at once: bursts of requests end, and each end is a look in vain."""

MAX_PROSPECTS = 64
"""Remotes remembered; the one that came first goes first."""


class Prospect:
    """What waiting for one remote was like. Times in seconds."""

    __slots__ = ("_looked_s", "_looks", "_pause_s", "_points", "_resume_at", "_slept_s", "_waits")

    def __init__(self) -> None:
        self._points = 0
        self._slept_s = 0.0
        self._looked_s = 0.0
        self._looks = 0
        self._waits = 0
        self._pause_s = FIRST_PAUSE_S
        self._resume_at = float("-inf")

    def is_good(self, now: float) -> bool:
        """Whether to look for it now."""
        self._waits += 1
        return self._points >= TRUSTED and now >= self._resume_at and self._waits % SLEPT_EVERY != 0

    def slept(self, wait_s: float, longest_s: float) -> None:
        """It came after so long, and had to wake us."""
        if wait_s > PATIENCE * longest_s:
            self._points = 0
            return
        self._points = min(TRUST, self._points + 1)
        self._slept_s += (wait_s - self._slept_s) * (SLEPT_WEIGHT if self._slept_s else 1.0)

    def found(self, wait_s: float, now: float) -> None:
        """It came after so long, and we were looking."""
        self._points = min(TRUST, self._points + 1)
        self._looks += 1
        self._looked_s += (wait_s - self._looked_s) * max(LOOKED_WEIGHT, 1.0 / self._looks)
        if self._looks < COMPARED:
            return
        if self._looked_s > GAIN * self._slept_s:
            self._give_up(now)
        elif self._looks == SLEPT_EVERY:
            self._pause_s = FIRST_PAUSE_S  # it has gone well for long enough

    def missed(self, now: float) -> None:
        """It did not come as long as we looked."""
        self._points -= LOSS
        if self._points < TRUSTED:
            self._give_up(now)

    def _give_up(self, now: float) -> None:
        self._points = 0
        self._looks = 0
        self._looked_s = 0.0
        self._resume_at = now + self._pause_s
        self._pause_s = min(2.0 * self._pause_s, LONGEST_PAUSE_S)


class Lookout:
    """Decides for one loop; see the module. ``longest_s`` is the longest time to look at a stretch, 0 for never.

    The loop calls :meth:`rest` when it has nothing left to do, and then one of :meth:`woken`, :meth:`missed`,
    :meth:`acted`. Times are monotonic seconds.
    """

    __slots__ = ("_credit_s", "_credited_at", "_expected", "_is_looking", "_longest_s", "_prospect", "_prospects",
                 "_rested_at")  # fmt: skip

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._expected: Hashable | None = None
        self._prospects: dict[Hashable, Prospect] = {}
        self._prospect: Prospect | None = None  # of the wait that goes on
        self._rested_at = 0.0
        self._is_looking = False
        self._credit_s = VAIN_BURST_S
        self._credited_at: float | None = None

    @property
    def is_expecting(self) -> bool:
        """Something was expected since the last rest: :meth:`rest` has something to say."""
        return self._expected is not None

    def expect(self, remote: Hashable) -> None:
        """``remote`` was asked, or answered and may ask again: a name of its own for each, if they differ in that."""
        if self._longest_s:
            self._expected = remote

    def rest(self, now: float) -> float | None:
        """Nothing is left to do: when to stop looking and sleep; None: at once."""
        remote, self._expected = self._expected, None
        if remote is None:
            self._prospect = None
            return None
        self._prospect = prospect = self._prospects.get(remote) or self._remember(remote)
        self._rested_at = now
        self._is_looking = prospect.is_good(now) and self._has_credit(now)
        return now + self._longest_s if self._is_looking else None

    def woken(self, now: float) -> None:
        """Something has come from outside."""
        prospect, self._prospect = self._prospect, None
        if prospect is None:
            return
        wait_s = now - self._rested_at
        if not self._is_looking:
            prospect.slept(wait_s, self._longest_s)
        elif wait_s <= self._longest_s:
            prospect.found(wait_s, now)
        else:  # somebody else had the processor meanwhile
            self._credit_s -= self._longest_s
            prospect.missed(now)

    def missed(self, now: float) -> None:
        """The time to look is over."""
        prospect, self._prospect = self._prospect, None
        if prospect is not None:
            self._credit_s -= now - self._rested_at
            prospect.missed(now)

    def acted(self) -> None:
        """The program did something itself: how long the wait would have been is not known."""
        self._prospect = None

    def _remember(self, remote: Hashable) -> Prospect:
        if len(self._prospects) >= MAX_PROSPECTS:
            del self._prospects[next(iter(self._prospects))]
        prospect = self._prospects[remote] = Prospect()
        return prospect

    def _has_credit(self, now: float) -> bool:
        if self._credited_at is not None:
            self._credit_s = min(VAIN_BURST_S, self._credit_s + (now - self._credited_at) * VAIN_SHARE)
        self._credited_at = now
        return self._credit_s >= self._longest_s
