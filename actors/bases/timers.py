"""Wake-ups in order of expiry, then of request."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Any

from thespian.actors import WakeupMessage  # type: ignore[import-untyped, unused-ignore]

if TYPE_CHECKING:
    from actors.bases.cell import ActorCell


def wakeup_of(kept: Any) -> WakeupMessage:
    """The message that a timer brings: the one that is kept, or, kept as its delay only, one without payload.

    That is what nearly every timer brings, and a connection always has one: 130 bytes less for each.
    """
    return kept if type(kept) is WakeupMessage else WakeupMessage(kept)


_COMPACT_ABOVE = 64
"""Below this many abandoned entries a clean-up costs more than it frees."""


class TimerHeap:
    """A heap of (due, number, actor, message). Adding and firing cost O(log n).

    Thespian's timers cannot be cancelled, but those of an exited actor are forgotten: a node whose peers come and go
    would otherwise hold every long timer of every peer it ever had.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, ActorCell, Any]] = []
        self._numbers = itertools.count()
        self._abandoned = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due(self) -> float | None:
        """When the next entry is due, in the clock's seconds; None if there is none."""
        return self._heap[0][0] if self._heap else None

    def add(self, due: float, cell: ActorCell, message: Any) -> None:
        heapq.heappush(self._heap, (due, next(self._numbers), cell, message))
        cell.timer_count += 1

    def pop_due(self, now: float) -> list[tuple[ActorCell, Any]]:
        """Take out what is due at ``now``. What is added meanwhile, even without delay, waits for the next call."""
        fired: list[tuple[ActorCell, Any]] = []
        while self._heap and self._heap[0][0] <= now:
            _, _, cell, message = heapq.heappop(self._heap)
            if cell.is_dead:
                self._abandoned -= 1
            else:
                cell.timer_count -= 1
                fired.append((cell, message))
        return fired

    def forget(self, cell: ActorCell) -> None:
        """The owner died: drop its entries, at once or together with others later."""
        self._abandoned += cell.timer_count
        cell.timer_count = 0
        if self._abandoned > max(_COMPACT_ABOVE, len(self._heap) // 2):
            self._heap = [entry for entry in self._heap if not entry[2].is_dead]
            heapq.heapify(self._heap)
            self._abandoned = 0

    def of(self, cell: ActorCell) -> list[tuple[float, Any]]:
        """Return (due, message) of every entry of ``cell``, in order; for status answers only, it looks at all."""
        return [(due, message) for due, _, owner, message in sorted(self._heap, key=lambda e: e[:2]) if owner is cell]
