"""When a feeler is sent out: a short connection to an address that we know only by hearsay.

Heilman et al. 2015, countermeasure 4; Bitcoin Core, PR #8282 (`src/net.h`: one at a time, on average every 2 minutes).
Against the attacker who fills `new` with addresses at which nobody answers, and then waits for `tried` to die out:
feelers find the honest ones among them while there is no need, so that there are living tried addresses when slots
become free, and clear the dead ones out. The moments are random, or whoever watches could answer only when he is asked.
"""

from __future__ import annotations

from random import Random

ANSWER_TIME_S = 60.0
"""An answer of the book that comes later is not used: a restarted book has lost the question."""


class Feelers:
    """The next moment, and the open question to the book. ``mean_s`` 0: never. Times are monotonic seconds."""

    __slots__ = ("_asked_at", "_mean_s", "_next_at", "_question", "_rng")

    def __init__(self, mean_s: float, rng: Random) -> None:
        self._mean_s = mean_s
        self._rng = rng
        self._next_at: float | None = None
        self._question = 0
        self._asked_at: float | None = None

    def start(self, now: float) -> None:
        """Plan the first one."""
        self._plan(now)

    def next_deadline(self) -> float | None:
        """When :meth:`is_due` will be True next."""
        return self._next_at

    def is_due(self, now: float) -> bool:
        """Whether the moment has come; True once for each."""
        if self._next_at is None or now < self._next_at:
            return False
        self._plan(now)
        return True

    def ask(self, now: float) -> int:
        """The number of a new question to the book; earlier ones count no more."""
        self._question += 1
        self._asked_at = now
        return self._question

    def accepts(self, request_id: int, now: float) -> bool:
        """Whether this answers the open question, in time; True once."""
        if request_id != self._question or self._asked_at is None or now - self._asked_at > ANSWER_TIME_S:
            return False
        self._asked_at = None
        return True

    def _plan(self, now: float) -> None:
        if self._mean_s > 0:
            self._next_at = now + self._rng.expovariate(1.0 / self._mean_s)
