"""Standing: who is connected, as the root of a node knows it, so that somebody can tell should the pool crash.

The pool's reports may overtake each other. Each is numbered by how much has happened before, and of what is said of one
connection the latest counts.
"""

from __future__ import annotations

from core.by_direction import ByDirection
from core.empty import NO_ITEMS
from core.house_messages import PoolCounts
from core.ids import Direction, Endpoint, PeerId

KEPT = 256
"""So many of those that went are remembered, for reports of their coming that are late."""


class Standing:
    """The connections that stand, by what the pool reports."""

    def __init__(self) -> None:
        self._latest: ByDirection[int] = ByDirection()
        """Number of the latest report, negative if the connection ended."""
        self._ended: list[tuple[int, Direction, Endpoint]] = NO_ITEMS

    def take(self, counts: PoolCounts) -> None:
        """What the pool reports."""
        if counts.changed is None or counts.direction is None:
            return
        number = counts.inbound_connects + counts.outbound_connects
        number += counts.inbound_disconnects + counts.outbound_disconnects
        latest = self._latest.of(counts.direction)
        if abs(latest.get(counts.changed, 0)) >= number:
            return
        latest[counts.changed] = number if counts.stands else -number
        if not counts.stands:
            if self._ended is NO_ITEMS:
                self._ended = []
            self._ended.append((number, counts.direction, counts.changed))
            if len(self._ended) > KEPT:
                self._forget(*self._ended.pop(0))

    def _forget(self, number: int, direction: Direction, endpoint: Endpoint) -> None:
        latest = self._latest.of(direction)
        if latest.get(endpoint) == -number:
            del latest[endpoint]

    def fall(self) -> list[PeerId]:
        """All connections are gone: the ids of their peers, one for each connection."""
        fallen = [endpoint.peer_id for (_, endpoint), number in self._latest.items() if number > 0]
        self._latest, self._ended = ByDirection(), NO_ITEMS
        return fallen
