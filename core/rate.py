"""Counting over time: what a peer may do, what exceeding it costs, and how often we do something ourselves.

LIP 0004, "Penalties and bans": windows are counters cleared at fixed intervals, no sliding window is needed to judge
others. The functions are told the time, so a day of traffic is tested in microseconds.
"""

from __future__ import annotations

LONG_AGO = float("-inf")
"""One object for all: there is a counter in each connection."""


class WindowCounter:
    """Counts events in consecutive windows of ``window_s`` seconds that begin with the first event after a pause."""

    __slots__ = ("_count", "_ends_at", "window_s")

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self._count = 0
        self._ends_at = LONG_AGO

    def add(self, now: float) -> int:
        """Count one event and return how many this window has seen, the new one included."""
        if now >= self._ends_at:
            self._count = 0
            self._ends_at = now + self.window_s
        self._count += 1
        return self._count

    def is_over(self, now: float) -> bool:
        """The window has ended: a new counter would count the same."""
        return now >= self._ends_at


class AddressRate:
    """Counts events by address, in windows of ``window_s`` seconds that all addresses share.

    One window for all: what has to be remembered is what happened in the last ``window_s`` seconds, whoever it was.
    """

    __slots__ = ("_counts", "_ends_at", "window_s")

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self._counts: dict[str, int] = {}
        self._ends_at = LONG_AGO

    def add(self, ip: str, now: float) -> int:
        """Count one event of an address and return how many of it this window has seen, the new one included."""
        if now >= self._ends_at:
            self._counts.clear()
            self._ends_at = now + self.window_s
        count = self._counts[ip] = self._counts.get(ip, 0) + 1
        return count


def pace(times: tuple[float, ...], limit: int, window_s: float, now: float) -> tuple[tuple[float, ...], float | None]:
    """Allow ``limit`` actions of ours in *any* ``window_s`` seconds; ``times`` are the last ones.

    Returns the times with one more, now, and None; or the same times, and when the action may be done.

    Others judge us by windows of theirs, and we do not know where those begin: two fixed windows of our own could put
    twice the limit into one of theirs.
    """
    if len(times) == limit:
        allowed_at = times[0] + window_s
        if now < allowed_at:
            return times, allowed_at
    return (*times, now)[-limit:], None
