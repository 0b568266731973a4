"""Counting what went over one connection, reported once a second rather than per message."""

from __future__ import annotations

from core.house_messages import (
    PeerTraffic,
)


class TrafficCount:
    """Plain counters since the last report; cheap enough for every message."""

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "errors",
        "messages_dropped",
        "messages_received",
        "messages_sent",
        "requests_received",
        "requests_sent",
    )

    def __init__(self) -> None:
        self._clear()

    def has_packets(self) -> bool:
        """Whether a message, a request or an error was counted that is not reported yet."""
        return bool(self.messages_received or self.requests_received or self.errors)

    def take(self) -> PeerTraffic | None:
        """What was counted since the last call; None if that is nothing."""
        counted = {name: getattr(self, name) for name in self.__slots__}
        if not any(counted.values()):
            return None
        self._clear()
        return PeerTraffic(**counted)

    def _clear(self) -> None:
        self.messages_received = 0
        self.messages_sent = 0
        self.messages_dropped = 0
        self.requests_received = 0
        self.requests_sent = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        self.errors = 0
