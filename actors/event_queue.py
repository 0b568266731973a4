"""What was received and not yet handled: a bounded queue in front of a program's handlers, and of each event stream.

A program that is slower than its network must not make the node's memory grow. When the queue in front of the handlers
is half full, the peers whose events came are not read from any more, so that TCP slows them down, until it has fallen
to a quarter (:class:`actors.client.Client`). What was under way then may still fill it, and so may an event stream that
nobody reads, which must not hold up everything else: when a queue is full (by count or by bytes) the *oldest payload
event* goes; whatever waited longest is worth least, a request that old has mostly timed out at its sender. Everything
else (connections, bans, failures: what a program's picture of the network hangs on) is kept in order, so that no flood
of messages can push it out; it has a bound of its own, of the same count.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from actors.incoming import IncomingRequest
from core.events import Event, MessageReceived, RequestReceived

Item = Event | IncomingRequest
"""What handlers and streams get: an event, and for ``EVENT_REQUEST_RECEIVED`` the request object."""

PAYLOADS = frozenset({MessageReceived, IncomingRequest})
"""What holds bytes of a peer."""

MIN_QUEUE_BYTES = 64 * 1024 * 1024
"""Payload bytes that may wait; or room for two of the largest messages allowed, if that is more."""


class EventQueue:
    """A bounded first-in-first-out queue of items. Safe for several threads; it never blocks.

    ``on_drop`` is called, outside the lock, with each item that is thrown away; ``on_room`` when the queue was above
    its high water mark and has fallen to the low one.
    """

    def __init__(
        self,
        max_events: int,
        max_bytes: int,
        on_drop: Callable[[Item], None],
        on_room: Callable[[], None] | None = None,
    ) -> None:
        self.is_high = False
        """More than half of what may wait is waiting, or was and more than a quarter still is."""
        self._on_room = on_room
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._on_drop = on_drop
        self._lock = threading.Lock()
        self._items: deque[Item] = deque()
        self._spared: deque[Item] = deque()  # control events taken out of the way of a drop: older than all _items
        self._bytes = 0
        self.dropped_total = 0

    def __len__(self) -> int:
        return len(self._items) + len(self._spared)

    def put(self, items: Iterable[Item]) -> bool:
        """Append. True if the queue was empty before and is not now: the consumer needs to be woken."""
        dropped: list[Item] = []
        with self._lock:
            was_empty = not self._items and not self._spared
            for item in items:
                self._items.append(item)
                if type(item) in PAYLOADS and (data := item.data) is not None:  # type: ignore[union-attr]
                    self._bytes += len(data)
            while len(self._items) > self._max_events or (self._bytes > self._max_bytes and len(self._items) > 1):
                self._drop_oldest(dropped)
            if 2 * len(self._items) > self._max_events or 2 * self._bytes > self._max_bytes:
                self.is_high = True
            is_empty = not self._items and not self._spared
            self.dropped_total += len(dropped)
        for item in dropped:
            self._on_drop(item)
        return was_empty and not is_empty

    def take(self, limit: int) -> list[Item]:
        """Remove and return the oldest items, at most ``limit``; an empty list if there are none."""
        with self._lock:
            taken: list[Item] = []
            while self._spared and len(taken) < limit:
                taken.append(self._spared.popleft())
            while self._items and len(taken) < limit:
                item = self._items.popleft()
                if type(item) in PAYLOADS and (data := item.data) is not None:  # type: ignore[union-attr]
                    self._bytes -= len(data)
                taken.append(item)
            has_room = 4 * len(self._items) <= self._max_events and 4 * self._bytes <= self._max_bytes
            has_fallen = self.is_high and has_room
            if has_fallen:
                self.is_high = False
        if has_fallen and self._on_room is not None:
            self._on_room()
        return taken

    def _drop_oldest(self, dropped: list[Item]) -> None:
        item = self._items.popleft()
        if is_payload(item):
            self._bytes -= payload_size(item)
            dropped.append(item)
            return
        self._spared.append(item)
        if len(self._spared) > self._max_events:
            dropped.append(self._spared.popleft())


def is_payload(item: Item) -> bool:
    """Whether an item is a peer's message or request, of which peers can make as many as they like."""
    return type(item) is MessageReceived or type(item) is IncomingRequest


def is_from_peer(event: Event) -> bool:
    """Whether an event is a message or a request that a peer sent: its sender is that peer's actor."""
    return type(event) is MessageReceived or type(event) is RequestReceived


def payload_size(item: Item) -> int:
    """Bytes of payload that an item holds."""
    if type(item) is MessageReceived or type(item) is IncomingRequest:
        return len(item.data) if item.data is not None else 0
    return 0


def queue_bytes(ws_max_payload_bytes: int) -> int:
    """The byte bound of a queue for a node with this message limit."""
    return max(MIN_QUEUE_BYTES, 2 * ws_max_payload_bytes)
