"""Python's collector of cycles, kept from looking at everything again and again.

A simulation of a thousand nodes is some millions of objects, nearly all of which live as long as their connection. The
collector would look at all of them each time that their number has grown by a quarter, and at the young ones all the
time: 10 to 25 % of a run. What it is there to find are the cycles of actors that are gone, so it is asked when as many
have been born as there are.
"""

from __future__ import annotations

import gc

BIRTHS_PER_COLLECTION = 10_000
"""At least so many actors are born between two collections; each leaves a few kilobytes behind."""


class QuietCollector:
    """While a simulation runs (``with``), cycles are collected on demand only. May be nested."""

    def __init__(self) -> None:
        self._was_enabled: list[bool] = []

    def __enter__(self) -> QuietCollector:
        self._was_enabled.append(gc.isenabled())
        gc.disable()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._was_enabled.pop():
            gc.enable()

    def collect(self, living: int) -> int:
        """Collect, and return how many births may follow until the next time."""
        if self._was_enabled and self._was_enabled[0]:
            gc.collect()
        return max(BIRTHS_PER_COLLECTION, living)
