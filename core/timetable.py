"""When the pool acts by itself: the populator's tick, the seeds' tick, and the shuffling that nobody can foresee."""

from __future__ import annotations

from random import Random

from core.deadlines import earliest
from core.pool_settings import PoolSettings


class Timetable:
    """Three recurring appointments; each ``..._is_due`` answers True once per appointment. Monotonic seconds."""

    __slots__ = ("_populate_at", "_rng", "_seeds_at", "_settings", "_shuffle_at", "_shuffle_window_ends_at")

    def __init__(self, settings: PoolSettings, rng: Random) -> None:
        self._settings = settings
        self._rng = rng
        self._populate_at: float | None = None
        self._seeds_at: float | None = None
        self._shuffle_at: float | None = None
        self._shuffle_window_ends_at = 0.0

    def start(self, now: float) -> None:
        """Populating is due at once, the seeds are after one interval, shuffling is within the first."""
        self._populate_at = now
        self._seeds_at = now + self._settings.seed_interval_s
        self._shuffle_window_ends_at = now
        self._plan_shuffle(now)

    def next_deadline(self) -> float | None:
        """The next appointment; None before :meth:`start`."""
        return earliest(self._populate_at, self._seeds_at, self._shuffle_at)

    def populating_is_due(self, now: float) -> bool:
        """Free outbound slots are to be filled."""
        if self._populate_at is None or now < self._populate_at:
            return False
        self._populate_at = now + self._settings.populator_interval_s
        return True

    def seeds_are_due(self, now: float) -> bool:
        """The seeds may be asked again."""
        if self._seeds_at is None or now < self._seeds_at:
            return False
        self._seeds_at = now + self._settings.seed_interval_s
        return True

    def shuffling_is_due(self, now: float) -> bool:
        """One outbound connection is to be replaced."""
        if self._shuffle_at is None or now < self._shuffle_at:
            return False
        self._plan_shuffle(now)
        return True

    def _plan_shuffle(self, now: float) -> None:
        """A random moment inside each interval (LIP 0004): a fixed tick can be learned and waited for.

        By option its end, as in lisk-p2p; not at all in a node that keeps to its fixed peers.
        """
        if self._settings.fixed_only:
            return
        starts_at = max(now, self._shuffle_window_ends_at)
        ends_at = self._shuffle_window_ends_at = starts_at + self._settings.shuffle_interval_s
        self._shuffle_at = ends_at if self._settings.shuffle_at_tick else self._rng.uniform(starts_at, ends_at)
