"""Counting over time: windows, the packet limit, and our own pace."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.rate import AddressRate, WindowCounter, pace


def test_addresses_are_counted_apart_in_windows_that_they_share() -> None:
    rate = AddressRate(1.0)
    assert [rate.add(ip, now) for ip, now in (("a", 5.0), ("a", 5.9), ("b", 5.9), ("b", 6.0), ("a", 6.0))] == [
        1,
        2,
        1,
        1,
        1,
    ]


def test_nothing_is_remembered_of_addresses_that_fell_silent() -> None:
    rate = AddressRate(1.0)
    for number in range(1000):
        rate.add(f"10.0.{number // 256}.{number % 256}", 0.0)
    rate.add("10.9.9.9", 1.0)
    assert len(rate._counts) == 1


def test_a_window_begins_with_its_first_event() -> None:
    counter = WindowCounter(10.0)
    assert [counter.add(now) for now in (100.0, 105.0, 109.9)] == [1, 2, 3]
    assert [counter.add(now) for now in (110.0, 119.9, 120.0)] == [1, 2, 1]


def test_so_many_at_once_are_allowed_and_then_one_for_each_that_leaves_the_window() -> None:
    times: tuple[float, ...] = ()
    answers = []
    for now in (0.0, 1.0, 2.0, 3.0, 10.0, 10.0):
        times, allowed_at = pace(times, 3, 10.0, now)
        answers.append(allowed_at)
    assert answers == [None, None, None, 10.0, None, 11.0]


@given(st.lists(st.floats(0.0, 5.0), max_size=100))
def test_no_window_of_the_remote_sees_more_than_the_limit_wherever_it_begins(pauses: list[float]) -> None:
    times: tuple[float, ...] = ()
    now, done = 0.0, list[float]()
    for pause in pauses:
        now += pause
        times, allowed_at = pace(times, 3, 10.0, now)
        if allowed_at is None:
            done.append(now)
        else:
            assert now < allowed_at <= now + 10.0
    assert all(later - earlier >= 10.0 for earlier, later in zip(done, done[3:], strict=False))
    assert all(later >= earlier for earlier, later in pairwise(done))
