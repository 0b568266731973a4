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
from functools import partial
from heapq import heappop, heappush
from math import ceil
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from actors.bases.timers import TimerHeap

if TYPE_CHECKING:
    from random import Random

    from actors.bases.cell import ActorCell

TICKS_PER_S = 1 << 20
TICK_S = 1.0 / TICKS_PER_S
"""A little less than a microsecond."""

SPANS_PER_S = 32
SPAN_S = 1.0 / SPANS_PER_S
"""How far ahead events are kept in order: 90 of them in a network of 1,000 nodes."""

_COMPACT_ABOVE = 64

_Event: TypeAlias = tuple[float, float, Callable[[Any, Any], None], Any, Any]


def round_up(seconds: float) -> float:
    """The first tick that is not before ``seconds``: a timer must not fire early."""
    return math.ceil(seconds * TICKS_PER_S) / TICKS_PER_S


class VirtualClock:
    """Seconds since the simulation began. Whoever runs the events sets ``now``; it never goes back."""

    __slots__ = ("now", "read")

    def __init__(self) -> None:
        self.now = 0.0
        self.read: Callable[[], float] = partial(attrgetter("now"), self)
        """Returns ``now``. C all the way: actors ask with every message."""


class EventHeap(TimerHeap):
    """Timers and whatever else is to happen: (due, lot, function, two arguments).

    Events of one instant come in the order of a seeded lot, so that no result rests on the order in which things
    happened to be scheduled; another seed tries another order. Nothing decides between equal lots: of two events of an
    instant they are the same once in 2 ** 53 times.

    Only those of the present span of :data:`SPAN_S` are in order; later ones wait in a list for each span. Of the tens
    of thousands of timers of a large network nearly all are far away: one heap of all takes 16 comparisons of entries
    all over the memory for each event. A span is sorted when its time comes, in half the time that a heap of it takes;
    what is added to the present one is in a small heap of its own.
    """

    def __init__(self, clock: VirtualClock, rng: Random, fire: Callable[[ActorCell, Any], None]) -> None:
        """``fire`` is called with (actor, message) when a timer is due."""
        super().__init__()
        self._clock = clock
        self._lot = rng.random
        self._fire = fire
        self._near: list[_Event] = []  # the present span, the last event first
        self._late: list[_Event] = []  # a heap: what was added to it when its time had come
        self._near_until = 0.0  # all that is due before is in one of the two
        self._spans: dict[int, list[_Event]] = {}
        self._span_numbers: list[int] = []  # of those lists: a heap
        self._added = 0
        self._lost = 0
        self._dropped = 0
        self.happened = 0
        """Events so far."""

    def __len__(self) -> int:
        return self._added - self.happened - self._dropped

    @property
    def next_due(self) -> float | None:
        event = self._next()
        return None if event is None else event[0]

    def call_at(self, due: float, function: Callable[[Any, Any], None], first: Any = None, second: Any = None) -> None:
        """Have ``function(first, second)`` called at the first tick that is not before ``due``, nor before now."""
        due = ceil(due * TICKS_PER_S) * TICK_S  # exact: a tick is a power of two
        now = self._clock.now
        if due < now:
            due = now
        self._added += 1
        lot = self._lot
        event = (due, lot(), function, first, second)
        if due < self._near_until:
            heappush(self._late, event)
            return
        span = int(due * SPANS_PER_S)
        waiting = self._spans.get(span)
        if waiting is None:
            self._spans[span] = [event]
            heappush(self._span_numbers, span)
        else:
            waiting.append(event)

    def _next(self) -> _Event | None:
        """The next event, which stays; None if nothing is left to happen."""
        near, late = self._near, self._late
        if late:
            return late[0] if not near or late[0] < near[-1] else near[-1]
        if not near and not self._draw_near():
            return None
        return self._near[-1]

    def _draw_near(self) -> bool:
        """The present span is over: take the next that has something. False: nothing is left to happen."""
        if not self._span_numbers:
            return False
        span = heappop(self._span_numbers)
        self._near = self._spans.pop(span)
        self._near.sort(reverse=True)
        self._near_until = (span + 1) / SPANS_PER_S
        return True

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
        near, late = self._near, self._late
        if not near and not late:
            if not self._draw_near():
                return False
            near = self._near
        if late and (not near or late[0] < near[-1]):
            if late[0][0] > end:
                return False
            event = heappop(late)
        elif near[-1][0] > end:
            return False
        else:
            event = near.pop()
        self._clock.now, _, function, first, second = event
        self.happened += 1
        if function is self._fire:
            if first.instance is None and first.is_dead:
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
        if self._lost > max(_COMPACT_ABOVE, len(self) // 2):
            self._compact()

    def _compact(self) -> None:
        fire = self._fire
        for events in (self._near, self._late, *self._spans.values()):
            before = len(events)
            events[:] = [event for event in events if event[2] is not fire or not event[3].is_dead]
            self._dropped += before - len(events)
        heapq.heapify(self._late)
        self._spans = {span: events for span, events in self._spans.items() if events}
        self._span_numbers = sorted(self._spans)
        self._lost = 0

    def of(self, cell: ActorCell) -> list[tuple[float, Any]]:
        everything = itertools.chain(self._near, self._late, *self._spans.values())
        mine = [event for event in everything if event[2] is self._fire and event[3] is cell]
        return [(event[0], event[4]) for event in sorted(mine, key=lambda event: event[:2])]
