"""Outflow: what waits to be read by the remote, and for how long it has read nothing.

Threats: a remote that reads slowly, for which memory would fill, and one that reads nothing at all and so holds what is
queued, and a slot, for ever. The queue itself is bounded by bytes (``max_send_queue_bytes``); above the high water mark
whoever wants to know that its message has gone is kept waiting, until the queue has fallen to the low water mark.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

HIGH_WATER_BYTES = 1024 * 1024
LOW_WATER_BYTES = 256 * 1024
"""Far enough below for a sender that waits to find room for more than one message when it goes on."""


class _Terms(NamedTuple):
    """What all connections of a node have in common."""

    stall_timeout_s: float
    high: int
    low: int


@lru_cache(maxsize=64)
def _terms(stall_timeout_s: float, max_queued_bytes: int) -> _Terms:
    return _Terms(
        stall_timeout_s, min(HIGH_WATER_BYTES, max_queued_bytes // 2), min(LOW_WATER_BYTES, max_queued_bytes // 8)
    )


class Outflow:
    """The send queue of one connection as its mind sees it. Times in monotonic seconds."""

    __slots__ = ("_sent", "_terms", "is_high", "stalls_at")

    def __init__(self, stall_timeout_s: float, max_queued_bytes: int) -> None:
        self._terms = _terms(stall_timeout_s, max_queued_bytes)
        self._sent = 0
        self.is_high = False
        """More was queued than the high water mark, and it has not fallen to the low one since."""
        self.stalls_at: float | None = None
        """When the remote will have read nothing for too long; None while nothing waits for it."""

    def note(self, queued_bytes: int, sent_bytes: int, now: float) -> None:
        """``queued_bytes`` wait now; ``sent_bytes`` grows whenever the network takes some of what waits."""
        if queued_bytes <= self._terms.low:
            self.is_high = False
        elif queued_bytes > self._terms.high:
            self.is_high = True
        if queued_bytes == 0:
            self.stalls_at = None
        elif self.stalls_at is None or sent_bytes != self._sent:
            self.stalls_at = now + self._terms.stall_timeout_s
        self._sent = sent_bytes

    @property
    def is_free(self) -> bool:
        """Nothing waits, and nobody has to."""
        return self.stalls_at is None and not self.is_high


FREE = Outflow(0.0, 0)
"""For a connection whose remote keeps up, as nearly all do; never to be noted in."""
