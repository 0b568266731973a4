"""The events of a simulation come in the order of their instants, wherever they waited."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.bases.sim_time import SPAN_S, TICK_S, EventHeap, VirtualClock

DELAYS_S = st.one_of(
    st.just(0.0), st.floats(0.0, 2.0 * SPAN_S), st.floats(0.0, 100.0), st.integers(0, 5).map(lambda n: n * SPAN_S)
)


def make_heap() -> tuple[VirtualClock, EventHeap, list[Any]]:
    fired: list[Any] = []
    clock = VirtualClock()
    return clock, EventHeap(clock, Random(7), lambda cell, message: fired.append((cell.name, message))), fired


def actor(name: str) -> Any:
    return SimpleNamespace(name=name, instance=name, is_dead=False, timer_count=0)


@given(st.lists(st.tuples(DELAYS_S, st.lists(DELAYS_S, max_size=3)), max_size=40))
def test_events_come_in_order_although_they_make_others(plan: list[tuple[float, list[float]]]) -> None:
    clock, heap, _ = make_heap()
    seen: list[float] = []
    expected: list[float] = []

    def happen(due: float, more: list[float]) -> None:
        assert clock.now - TICK_S < due <= clock.now, "the first tick that is not before"
        seen.append(clock.now)
        for delay in more:
            expected.append(clock.now + delay)
            heap.call_at(clock.now + delay, happen, clock.now + delay, [])

    for delay, more in plan:
        expected.append(delay)
        heap.call_at(delay, happen, delay, more)
    while (due := heap.next_due) is not None:
        before = len(heap)
        assert heap.run_next()
        assert clock.now == due
        assert len(heap) >= before - 1
    assert seen == sorted(seen)
    assert len(seen) == len(expected) == heap.happened
    assert not len(heap)
    assert not heap.run_next()


def test_nothing_happens_after_the_end_that_was_given() -> None:
    clock, heap, _ = make_heap()
    heap.call_at(3.0, lambda _, __: None)
    assert not heap.run_next(2.9)
    assert clock.now == 0.0
    heap.call_at(2.5, lambda _, __: None)  # although the span of the other was looked at
    assert heap.next_due == 2.5
    assert heap.run_next(2.9)
    assert clock.now == 2.5


def test_timers_of_the_dead_are_dropped_from_near_and_far_and_the_count_is_kept() -> None:
    clock, heap, fired = make_heap()
    living, dead = actor("living"), actor("dead")
    for number in range(100):
        heap.add(0.001 * number, dead, number)
        heap.add(10.0 * number, dead, number)
    heap.add(500.0, living, "far")
    heap.add(0.0005, living, "near")
    assert heap.run_next()  # the present span is being worked on
    dead.instance, dead.is_dead = None, True
    heap.forget(dead)
    assert len(heap) == 2
    assert heap.of(dead) == []
    assert [message for _, message in heap.of(living)] == ["near", "far"]
    while heap.run_next():
        pass
    assert [message for name, message in fired if name == "living"] == ["near", "far"]
    assert clock.now == 500.0
