"""Python's collector of cycles, kept from looking at everything again and again.

A simulation of a thousand nodes is some millions of objects, nearly all of which live as long as their connection. The
collector would look at all of them each time that their number has grown by a quarter, and at the young ones all the
time: 10 to 25 % of a run. What it is there to find are the cycles of actors that are gone, so it is asked when as many
have been born as there are.
"""

from __future__ import annotations

import gc

BIRTHS_PER_LOOK = 10_000
"""So many actors are born until somebody looks whether to collect; each leaves a few kilobytes behind."""

MANY_YOUNG = 20_000
"""Objects that a run has left behind, nearly all of them alive; to look at so many takes 2 ms."""


class QuietCollector:
    """While a simulation runs (``with``), cycles are collected on demand only. May be nested."""

    def __init__(self) -> None:
        self._was_enabled: list[bool] = []
        self._births = 0  # since the last collection, as far as they have been told

    def __enter__(self) -> QuietCollector:
        self._was_enabled.append(gc.isenabled())
        gc.disable()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._was_enabled.pop():
            if gc.get_count()[0] >= MANY_YOUNG and not gc.get_freeze_count():
                # They are old by now: the first collection would look at all of them, after each run.
                gc.freeze()
                gc.unfreeze()
            gc.enable()

    def look(self, living: int) -> int:
        """After so many births as were returned the last time (the first: :data:`BIRTHS_PER_LOOK`): collect if there
        have been as many as actors are ``living``, and return how many may follow until the next look."""
        self._births += BIRTHS_PER_LOOK
        if self._births >= living:
            self._births = 0
            if self._was_enabled and self._was_enabled[0]:
                gc.collect()
        return BIRTHS_PER_LOOK
