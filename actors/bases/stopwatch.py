"""Real time and processor time, for whoever reports how long something took. Nothing is decided by it."""

from __future__ import annotations

import time


class Stopwatch:
    """Runs from the moment it is made."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = time.process_time()

    @property
    def wall_s(self) -> float:
        """Real seconds since it was made."""
        return time.monotonic() - self._wall

    @property
    def cpu_s(self) -> float:
        """Processor seconds of this process since then."""
        return time.process_time() - self._cpu


def unix_now() -> float:
    """What the calendar says: for the dates in reports."""
    return time.time()
