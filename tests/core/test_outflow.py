"""What waits for a remote, and for how long it reads nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.outflow import HIGH_WATER_BYTES, LOW_WATER_BYTES, Outflow

MIB = 1024 * 1024


def test_time_runs_only_while_something_waits_and_nothing_is_read() -> None:
    flow = Outflow(30.0, 16 * MIB)
    assert flow.stalls_at is None
    flow.note(1000, 0, 10.0)
    assert flow.stalls_at == 40.0
    flow.note(2000, 0, 20.0)
    assert flow.stalls_at == 40.0, "more to read is no sign of reading"
    flow.note(1900, 100, 30.0)
    assert flow.stalls_at == 60.0
    flow.note(0, 2000, 50.0)
    assert flow.stalls_at is None
    flow.note(10, 2000, 100.0)
    assert flow.stalls_at == 130.0


def test_the_marks_are_apart() -> None:
    flow = Outflow(30.0, 16 * MIB)
    seen = []
    for queued in (HIGH_WATER_BYTES, HIGH_WATER_BYTES + 1, LOW_WATER_BYTES + 1, LOW_WATER_BYTES, HIGH_WATER_BYTES):
        flow.note(queued, 0, 0.0)
        seen.append(flow.is_high)
    assert seen == [False, True, True, False, False]


def test_a_small_queue_has_lower_marks() -> None:
    flow = Outflow(30.0, 8000)
    flow.note(4001, 0, 0.0)
    assert flow.is_high
    flow.note(1001, 0, 0.0)
    assert flow.is_high
    flow.note(1000, 0, 0.0)
    assert not flow.is_high


@given(st.lists(st.tuples(st.integers(0, 2 * MIB), st.integers(0, 1000), st.floats(0.0, 10.0)), max_size=60))
def test_it_agrees_with_the_plain_account(steps: list[tuple[int, int, float]]) -> None:
    flow, now, sent = Outflow(30.0, 16 * MIB), 0.0, 0
    since: float | None = None
    for queued, progress, pause in steps:
        now += pause
        sent += progress
        since = None if queued == 0 else now if since is None or progress else since
        flow.note(queued, sent, now)
        assert flow.stalls_at == (None if since is None else since + 30.0)
