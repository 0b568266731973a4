"""When to dial the fixed peers again: for ever, with growing pauses (LIP 0004, "Static lists")."""

from __future__ import annotations

from collections.abc import Sequence

from core.ids import Endpoint

MAX_PAUSE_S = 60.0
"""LIP 0004: exponential back-off, never waiting longer than 1 minute."""

FIRST_PAUSE_S = 1.0
MAX_DOUBLINGS = 16
"""Far beyond the greatest pause; keeps the power finite for a peer that is never there."""


class Redial:
    """Back-off of each fixed peer. ``first_pause_s`` at most: the populator's interval where that is shorter.

    A fixed peer is *waiting* (it has a time to be dialled at), or it was handed out by :meth:`due` and is dialled or
    connected, in either direction, until :meth:`lost` says that it is not.
    """

    __slots__ = ("_due_at", "_first_pause_s", "_losses")

    def __init__(self, endpoints: Sequence[Endpoint], first_pause_s: float) -> None:
        self._first_pause_s = min(FIRST_PAUSE_S, first_pause_s)
        self._due_at: dict[Endpoint, float] = {endpoint: float("-inf") for endpoint in endpoints}
        self._losses: dict[Endpoint, int] = dict.fromkeys(endpoints, 0)

    def next_deadline(self) -> float | None:
        """When the next fixed peer is to be dialled."""
        return min(self._due_at.values()) if self._due_at else None

    def waiting(self) -> int:
        """How many fixed peers are neither connected nor being dialled."""
        return len(self._due_at)

    def due(self, now: float) -> list[Endpoint]:
        """The fixed peers to dial now; each is asked for again only after :meth:`lost`."""
        if not self._due_at:
            return []  # most nodes have no fixed peers
        due = [endpoint for endpoint, at in self._due_at.items() if at <= now]
        for endpoint in due:
            del self._due_at[endpoint]
        return due

    def succeeded(self, endpoint: Endpoint) -> None:
        """A fixed peer is connected, in whichever direction: it needs no dialling, and its pauses begin anew."""
        if endpoint in self._losses:
            self._losses[endpoint] = 0
            self._due_at.pop(endpoint, None)

    def losses(self, endpoint: Endpoint) -> int:
        """How often it was lost since it was last connected."""
        return self._losses[endpoint]

    def lost(self, endpoint: Endpoint, now: float) -> float:
        """A dial failed or a connection was lost; returns the pause until it is dialled again, in seconds."""
        losses = self._losses[endpoint]
        pause_s = min(MAX_PAUSE_S, self._first_pause_s * 2.0 ** min(losses, MAX_DOUBLINGS))
        self._losses[endpoint] = losses + 1
        self._due_at[endpoint] = now + pause_s
        return pause_s
