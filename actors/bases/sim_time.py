"""Virtual time: a clock that stands still until somebody moves it, and everything that will happen, in order.

All instants are whole multiples of :data:`TICK_S`, a power of two. Sums and differences of such numbers are exact in
floating point (for Unix times too, for the next 270 years), so that a ban of 24 hours ends after 24 hours and not one
rounding error earlier, and a last digit in which two machines' logarithms differ does not change a simulation.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from heapq import heappush
from math import ceil
from typing import TYPE_CHECKING, Any

from actors.bases.timers import TimerHeap

if TYPE_CHECKING:
    from random import Random

    from actors.bases.cell import ActorCell

TICKS_PER_S = 1 << 20
TICK_S = 1.0 / TICKS_PER_S
"""A little less than a microsecond."""

_COMPACT_ABOVE = 64


def round_up(seconds: float) -> float:
    """The first tick that is not before ``seconds``: a timer must not fire early."""
    return math.ceil(seconds * TICKS_PER_S) / TICKS_PER_S


class VirtualClock:
    """Seconds since the simulation began. Whoever runs the events sets ``now``; it never goes back."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = 0.0


class EventHeap(TimerHeap):
    """Timers and whatever else is to happen: (due, lot, number, function, two arguments).

    Events of one instant come in the order of a seeded lot, so that no result rests on the order in which things
    happened to be scheduled; another seed tries another order.
    """

    def __init__(self, clock: VirtualClock, rng: Random, fire: Callable[[ActorCell, Any], None]) -> None:
        """``fire`` is called with (actor, message) when a timer is due."""
        super().__init__()
        self._clock = clock
        self._lot = rng.random
        self._fire = fire
        self._events: list[tuple[float, float, int, Callable[[Any, Any], None], Any, Any]] = []
        self._event_numbers = itertools.count()
        self._lost = 0
        self.happened = 0
        """Events so far."""

    def __len__(self) -> int:
        return len(self._events)

    @property
    def next_due(self) -> float | None:
        return self._events[0][0] if self._events else None

    def call_at(self, due: float, function: Callable[[Any, Any], None], first: Any = None, second: Any = None) -> None:
        """Have ``function(first, second)`` called at the first tick that is not before ``due``, nor before now."""
        due = ceil(due * TICKS_PER_S) * TICK_S  # exact: a tick is a power of two
        now = self._clock.now
        if due < now:
            due = now
        heappush(self._events, (due, self._lot(), next(self._event_numbers), function, first, second))

    @staticmethod
    def after(last: float | None, due: float) -> float:
        """The first tick that is neither before ``due`` nor the instant ``last``, nor before that."""
        due = round_up(due)
        return due if last is None or due > last else last + TICK_S

    def add(self, due: float, cell: ActorCell, message: Any) -> None:
        self.call_at(due, self._fire, cell, message)
        cell.timer_count += 1

    def run_next(self, end: float = math.inf) -> bool:
        """Move the clock to the next event and let it happen. False if there is none up to ``end``."""
        events = self._events
        if not events or events[0][0] > end:
            return False
        due, _, _, function, first, second = heapq.heappop(events)
        self.happened += 1
        self._clock.now = due
        if function is self._fire:
            if first.is_dead:
                self._lost -= 1
                return True
            first.timer_count -= 1
        function(first, second)
        return True

    def pop_due(self, now: float) -> list[tuple[ActorCell, Any]]:
        raise NotImplementedError("events of a simulation are run one at a time")

    def forget(self, cell: ActorCell) -> None:
        self._lost += cell.timer_count
        cell.timer_count = 0
        if self._lost > max(_COMPACT_ABOVE, len(self._events) // 2):
            fire = self._fire
            self._events = [event for event in self._events if event[3] is not fire or not event[4].is_dead]
            heapq.heapify(self._events)
            self._lost = 0

    def of(self, cell: ActorCell) -> list[tuple[float, Any]]:
        mine = [event for event in self._events if event[3] is self._fire and event[4] is cell]
        return [(event[0], event[5]) for event in sorted(mine, key=lambda event: event[:3])]
