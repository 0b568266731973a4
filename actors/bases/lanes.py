"""One message on its way to each receiver, and everything that waits for the same receiver in one bundle behind it.

Between processes a message costs Thespian about half a millisecond at each end, whatever is in it; several messages on
their way to one receiver make it slower, and out of order; many unread ones stop the sender (docs/multiprocess.md).
Lanes make of this: order from each sender to each receiver, never more than one unacknowledged packet for each
receiver, and batches that grow with the load. The actors notice nothing.
"""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from core.messages import ActorMessage

log = logging.getLogger("ensemble.multiprocess")

MAX_BUNDLE_MESSAGES = 1_000
MAX_BUNDLE_BYTES = 1024 * 1024
"""Of payload, about. One message may be larger and then travels alone."""

MAX_WAITING_MESSAGES = 100_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""For one receiver. It has stopped reading long ago when so much waits."""


class Bundle:
    """Several messages of one sender to one receiver, in order."""

    __slots__ = ("messages",)

    def __init__(self, messages: tuple[Any, ...]) -> None:
        self.messages = messages

    def __reduce__(self) -> tuple[Any, tuple[tuple[Any, ...]]]:
        return Bundle, (self.messages,)


Done = Callable[[bool], None]
Transmit = Callable[[Any, Any, Done], None]
"""Takes an address, a message and what to call, once, when it has arrived (True) or cannot (False)."""


class _Lane:
    __slots__ = ("address", "is_busy", "is_sending", "waiting", "waiting_bytes")

    def __init__(self, address: Any) -> None:
        self.address = address
        self.is_busy = False  # a packet is on its way
        self.is_sending = False  # and is being handed to the transport at this moment
        self.waiting: deque[tuple[Any, int]] = deque()
        self.waiting_bytes = 0


class Lanes:
    """What one process has to send. ``key`` names a receiver; ``address`` is where Thespian finds it."""

    def __init__(self, transmit: Transmit) -> None:
        self._transmit = transmit
        self._lanes: dict[Hashable, _Lane] = {}
        self.dropped_total = 0

    def is_idle(self, key: Hashable) -> bool:
        """Whether nothing is on its way to this receiver."""
        return key not in self._lanes

    @property
    def is_empty(self) -> bool:
        """Whether everything has been received, or lost."""
        return not self._lanes

    def send(self, key: Hashable, address: Any, message: Any) -> None:
        """Send, or keep until what went before has been received."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(address)
        size = payload_bytes(message)
        if len(lane.waiting) >= MAX_WAITING_MESSAGES or lane.waiting_bytes + size > MAX_WAITING_BYTES:
            self._drop(message)
            return
        lane.waiting.append((message, size))
        lane.waiting_bytes += size
        if not lane.is_busy:
            self._next(key, lane)

    def _next(self, key: Hashable, lane: _Lane) -> None:
        # A loop, not a recursion: a receiver that is known to be dead ends every transmission at once.
        while not lane.is_busy:
            if not lane.waiting:
                if self._lanes.get(key) is lane:
                    del self._lanes[key]
                return
            lane.is_busy = lane.is_sending = True
            self._transmit(lane.address, self._take(lane), functools.partial(self._done, key, lane))
            lane.is_sending = False

    def _done(self, key: Hashable, lane: _Lane, is_received: bool) -> None:
        lane.is_busy = False
        if not lane.is_sending:
            self._next(key, lane)

    def _take(self, lane: _Lane) -> Any:
        """The next message, or the next few of those that may travel together."""
        taken: list[Any] = []
        taken_bytes = 0
        while lane.waiting and len(taken) < MAX_BUNDLE_MESSAGES:
            message, size = lane.waiting[0]
            is_single = not isinstance(message, ActorMessage)
            if taken and (is_single or taken_bytes + size > MAX_BUNDLE_BYTES):
                break
            lane.waiting.popleft()
            lane.waiting_bytes -= size
            taken_bytes += size
            taken.append(message)
            if is_single:
                break
        return taken[0] if len(taken) == 1 else Bundle(tuple(taken))

    def _drop(self, message: Any) -> None:
        self.dropped_total += 1
        if self.dropped_total & (self.dropped_total - 1) == 0:
            kind = type(message).__name__
            log.warning("a receiver does not read: %d messages dropped, the last a %s", self.dropped_total, kind)


def payload_bytes(message: Any) -> int:
    """About how many bytes a message holds: those of its payloads. Everything else about a message is small."""
    data = getattr(message, "data", None)
    if type(data) is bytes:
        return len(data)
    inner = getattr(message, "message", None)
    if isinstance(inner, ActorMessage):
        return payload_bytes(inner)
    parts = getattr(message, "events", None) or getattr(message, "messages", None) or ()
    return sum(payload_bytes(part) for part in parts)
