"""Heartbeat: is the remote still there, and how far away is it?

Two layers, as in lisk-p2p: SocketCluster's ``#1``/``#2`` (listener asks every 8 s, opener answers at once; 20 s of
silence end the connection), and the application ping, a call that the listener makes 20 to 60 s after the last answer,
at random so that a network does not beat in step. Latency is the *smallest* round trip seen: a remote can delay an
answer but cannot hasten one (Bitcoin Core protects inbound peers by minimum ping for this reason).

A dialect without the first layer makes do with the second, and rests longer after the first answer: an idle connection
costs two packets every 60 to 120 s then, instead of some eighteen a minute, and a dead peer is noticed within 130 s (an
opener) or 140 s (a listener).
"""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random

from core.ids import Direction
from core.link_settings import LinkSettings


@lru_cache(maxsize=64, typed=True)
def _shared(seconds: float) -> float:
    """One object for equal times: nearly all connections have the same."""
    return seconds


class Heartbeat:
    """Deadlines in monotonic seconds; ``direction`` INBOUND: the remote opened, so we are the listener that asks.

    The innermost layer of a link, which is one object: each of its parts on its own would take 50 bytes more, and
    another cache line for each packet.
    """

    __slots__ = (
        "_rng",
        "_settings",
        "beat_at",
        "direction",
        "heard_at",
        "latency_ms",
        "ping_at",
        "timeout_s",
    )

    def __init__(self, direction: Direction, settings: LinkSettings, rng: Random) -> None:
        self.direction = direction
        self._settings = settings
        self._rng = rng
        self.timeout_s = settings.keep_alive_timeout_s
        """Silence after which the other side is given up; a listener tells the opener in its acknowledgement."""
        self.heard_at = 0.0
        """When something last arrived that counts as a sign of life."""
        self.beat_at: float | None = None
        self.ping_at: float | None = None
        self.latency_ms: float | None = None

    def start_heartbeat(self, now: float, timeout_s: float | None = None, *, beats: bool = True) -> None:
        """Begin. ``timeout_s``: how long the listener promised to be silent at most (its ack's ``pingTimeout``).

        ``beats`` False: the dialect has no ``#1``, pings are all there is.
        """
        settings = self._settings
        self.heard_at = now
        if timeout_s is not None:
            self.timeout_s = _shared(timeout_s)
        elif not beats:
            self.timeout_s = _shared(settings.native_ping_interval_max_s + settings.keep_alive_timeout_s)
        if self.direction is Direction.INBOUND:
            self.beat_at = now + settings.keep_alive_interval_s if beats else None
            longest = math.inf if beats else settings.native_ping_interval_max_s
            self._schedule_ping(
                now, min(settings.ping_interval_min_s, longest), min(settings.ping_interval_max_s, longest)
            )

    def silent_at(self) -> float:
        """When the remote will have been silent for too long."""
        return self.heard_at + self.timeout_s

    def beaten(self, now: float) -> None:
        """A ``#1`` was sent."""
        self.beat_at = now + self._settings.keep_alive_interval_s

    def pinged(self) -> None:
        """An application ping is under way; the next waits for its answer."""
        self.ping_at = None

    def ponged(self, round_trip_s: float, now: float) -> None:
        """The application ping was answered after ``round_trip_s`` seconds."""
        self.measured(round_trip_s)
        self.put_off(now)

    def put_off(self, now: float) -> None:
        """The next ping comes as long after ``now`` as after an answer."""
        settings = self._settings
        if self.beat_at is not None:
            self._schedule_ping(now, settings.ping_interval_min_s, settings.ping_interval_max_s)
        else:
            self._schedule_ping(now, settings.native_ping_interval_min_s, settings.native_ping_interval_max_s)

    def measured(self, round_trip_s: float) -> None:
        """Record a round trip."""
        round_trip_ms = round_trip_s * 1000.0
        if self.latency_ms is None or round_trip_ms < self.latency_ms:
            self.latency_ms = round_trip_ms

    def next_beat(self) -> float:
        """The earliest of: beat, ping, silence."""
        deadline = self.heard_at + self.timeout_s
        if self.beat_at is not None and self.beat_at < deadline:
            deadline = self.beat_at
        if self.ping_at is not None and self.ping_at < deadline:
            deadline = self.ping_at
        return deadline

    def _schedule_ping(self, now: float, soonest_s: float, latest_s: float) -> None:
        self.ping_at = now + self._rng.uniform(soonest_s, latest_s)
