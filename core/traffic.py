"""Counting what went over one connection, reported once a second rather than per message."""

from __future__ import annotations

import msgspec

from core.house_messages import (
    PeerTraffic,
)


class TrafficCount(msgspec.Struct, gc=False):
    """Plain counters since the last report; cheap enough for every message."""

    messages_received: int = 0
    messages_sent: int = 0
    messages_dropped: int = 0
    requests_received: int = 0
    requests_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    errors: int = 0

    def has_packets(self) -> bool:
        """Whether a message, a request or an error was counted that is not reported yet."""
        return bool(self.messages_received or self.requests_received or self.errors)

    def take(self) -> PeerTraffic | None:
        """What was counted since the last call; None if that is nothing."""
        if not any(msgspec.structs.astuple(self)):
            return None
        report = PeerTraffic(
            messages_received=self.messages_received,
            messages_sent=self.messages_sent,
            messages_dropped=self.messages_dropped,
            requests_received=self.requests_received,
            requests_sent=self.requests_sent,
            bytes_received=self.bytes_received,
            bytes_sent=self.bytes_sent,
            errors=self.errors,
        )
        self.messages_received = self.messages_sent = self.messages_dropped = 0
        self.requests_received = self.requests_sent = 0
        self.bytes_received = self.bytes_sent = self.errors = 0
        return report
