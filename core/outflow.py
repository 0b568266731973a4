"""Outflow: what waits to be read by the remote, and for how long it has read nothing.

Threats: a remote that reads slowly, for which memory would fill, and one that reads nothing at all and so holds what is
queued, and a slot, for ever. The queue itself is bounded by bytes (``max_send_queue_bytes``); above the high water mark
whoever wants to know that its message has gone is kept waiting, until the queue has fallen to the low water mark.
"""

from __future__ import annotations

HIGH_WATER_BYTES = 1024 * 1024
LOW_WATER_BYTES = 256 * 1024
"""Far enough below for a sender that waits to find room for more than one message when it goes on."""


class Outflow:
    """The send queue of one connection as its mind sees it. Times in monotonic seconds."""

    __slots__ = ("_high", "_low", "_sent", "_stall_timeout_s", "is_high", "stalls_at")

    def __init__(self, stall_timeout_s: float, max_queued_bytes: int) -> None:
        self._stall_timeout_s = stall_timeout_s
        self._high = min(HIGH_WATER_BYTES, max_queued_bytes // 2)
        self._low = min(LOW_WATER_BYTES, max_queued_bytes // 8)
        self._sent = 0
        self.is_high = False
        """More was queued than the high water mark, and it has not fallen to the low one since."""
        self.stalls_at: float | None = None
        """When the remote will have read nothing for too long; None while nothing waits for it."""

    def note(self, queued_bytes: int, sent_bytes: int, now: float) -> None:
        """``queued_bytes`` wait now, ``sent_bytes`` have ever been taken by the network."""
        if queued_bytes <= self._low:
            self.is_high = False
        elif queued_bytes > self._high:
            self.is_high = True
        if queued_bytes == 0:
            self.stalls_at = None
        elif self.stalls_at is None or sent_bytes != self._sent:
            self.stalls_at = now + self._stall_timeout_s
        self._sent = sent_bytes
