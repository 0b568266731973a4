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
        counted = {name: getattr(self, name) for name in self.__struct_fields__}
        if not any(counted.values()):
            return None
        self._clear()
        return PeerTraffic(**counted)

    def _clear(self) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, 0)
