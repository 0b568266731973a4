"""How often a crashed actor is replaced, and when."""

from __future__ import annotations

MAX_CRASHES = 5
CRASH_WINDOW_S = 60.0
FIRST_PAUSE_S = 0.05
MAX_PAUSE_S = 1.5
"""So that a server listens again within 2 s, whichever restart it is."""


class RestartBudget:
    """At most ``max_crashes`` of one actor within ``window_s`` are forgiven, each with a longer pause.

    An actor that crashes at once on every start (a hostile file, a defect) must not keep the node busy for ever.
    """

    def __init__(self, max_crashes: int = MAX_CRASHES, window_s: float = CRASH_WINDOW_S) -> None:
        self._max_crashes = max_crashes
        self._window_s = window_s
        self._crashes: dict[str, list[float]] = {}
        self._due_at: dict[str, float] = {}

    def crashed(self, name: str, now: float) -> bool:
        """Record a crash and plan the replacement; False if there have been too many. Told twice, it counts once."""
        if name in self._due_at:
            return True
        recent = [at for at in self._crashes.get(name, ()) if now - at < self._window_s] + [now]
        self._crashes[name] = recent
        if len(recent) > self._max_crashes:
            return False
        self._due_at[name] = now + min(MAX_PAUSE_S, FIRST_PAUSE_S * 4.0 ** (len(recent) - 1))
        return True

    def next_due(self) -> float | None:
        """When the next replacement is due."""
        return min(self._due_at.values(), default=None)

    def due(self, now: float) -> list[str]:
        """The actors to replace now."""
        due = [name for name, at in self._due_at.items() if at <= now]
        for name in due:
            del self._due_at[name]
        return due
