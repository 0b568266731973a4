"""The heap of wake-ups on its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.bases.timers import TimerHeap


def owner() -> Any:
    """What the heap sees of an actor's cell."""
    return SimpleNamespace(timer_count=0, is_dead=False)


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 6))
def test_entries_fire_when_due_in_order_of_expiry_then_of_request(dues: list[int], now: int) -> None:
    heap, cell = TimerHeap(), owner()
    for number, due in enumerate(dues):
        heap.add(float(due), cell, number)
    expected = sorted(range(len(dues)), key=lambda number: dues[number])
    fired = [message for _, message in heap.pop_due(float(now))]
    assert fired == [number for number in expected if dues[number] <= now]
    assert len(heap) == cell.timer_count == len(dues) - len(fired)
    assert [message for _, message in heap.of(cell)] == [number for number in expected if dues[number] > now]
    assert heap.next_due == min((float(due) for due in dues if due > now), default=None)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=300), st.sets(st.integers(0, 3)))
def test_the_dead_never_fire_and_are_cleared_out(entries: list[tuple[int, int]], dying: set[int]) -> None:
    heap, cells = TimerHeap(), [owner() for _ in range(4)]
    for due, number in entries:
        heap.add(float(due), cells[number], number)
    for number in dying:
        cells[number].is_dead = True
        heap.forget(cells[number])
    living = [number for _, number in entries if number not in dying]
    abandoned = len(heap) - len(living)
    assert abandoned <= max(64, len(heap) // 2)
    assert sorted(message for _, message in heap.pop_due(3.0)) == sorted(living)
    assert len(heap) == 0
