"""Requests that wait for an answer, ours and the remote's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.calls import OpenCalls, PendingRequests, ResponseRate


def test_call_ids_count_from_one() -> None:
    pending = PendingRequests()
    assert [pending.add("p", None, 2.0, 0.0).cid for _ in range(3)] == [1, 2, 3]
    assert len(pending) == 3


def test_a_request_is_taken_once() -> None:
    pending = PendingRequests()
    request = pending.add("echo", 5, 2.0, 10.0)
    assert (request.procedure, request.ask_id, request.sent_at, request.deadline) == ("echo", 5, 10.0, 12.0)
    assert pending.take(1) is request
    assert pending.take(1) is None
    assert pending.take(99) is None


def test_requests_expire_at_their_deadline_and_earliest_first() -> None:
    pending = PendingRequests()
    for timeout_s in (3.0, 1.0, 2.0):
        pending.add("p", None, timeout_s, 0.0)
    assert pending.next_deadline() == 1.0
    assert pending.take_expired(0.999) == []
    assert [request.cid for request in pending.take_expired(2.0)] == [2, 3]
    assert pending.next_deadline() == 3.0


def test_an_answered_request_has_no_deadline_any_more() -> None:
    pending = PendingRequests()
    pending.add("p", None, 1.0, 0.0)
    pending.add("p", None, 2.0, 0.0)
    pending.take(1)
    assert pending.next_deadline() == 2.0
    pending.take(2)
    assert pending.next_deadline() is None


def test_all_are_taken_in_order_at_the_end() -> None:
    pending = PendingRequests()
    for timeout_s in (3.0, 1.0):
        pending.add("p", None, timeout_s, 0.0)
    assert [request.cid for request in pending.take_all()] == [1, 2]
    assert len(pending) == 0
    assert pending.next_deadline() is None


def test_one_slow_request_does_not_keep_the_deadlines_of_all_later_ones() -> None:
    pending = PendingRequests()
    pending.add("slow", None, 3600.0, 0.0)
    for number in range(10_000):
        pending.take(pending.add("quick", None, 7200.0, float(number)).cid)
    assert len(pending._deadlines) < 200
    assert pending.next_deadline() == 3600.0


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "expire"]), st.integers(1, 30)), max_size=200))
def test_deadlines_agree_with_a_plain_dictionary(steps: list[tuple[str, int]]) -> None:
    pending, twin, now = PendingRequests(), dict[int, float](), 0.0
    for step, number in steps:
        if step == "add":
            request = pending.add("p", None, float(number), now)
            twin[request.cid] = now + number
        elif step == "take":
            assert (pending.take(number) is None) == (twin.pop(number, None) is None)
        else:
            now += number / 10
            expired = {request.cid for request in pending.take_expired(now)}
            assert expired == {cid for cid, deadline in twin.items() if deadline <= now}
            twin = {cid: deadline for cid, deadline in twin.items() if deadline > now}
        assert len(pending) == len(twin)
        assert pending.next_deadline() == min(twin.values(), default=None)


def test_an_open_call_is_answered_once() -> None:
    calls = OpenCalls(2, 60.0)
    assert calls.open(1, 0.0)
    assert calls.close(1)
    assert not calls.close(1)
    assert not calls.close(2)


def test_open_calls_are_capped_and_expire_when_room_is_needed() -> None:
    calls = OpenCalls(2, 60.0)
    assert calls.open(1, 0.0)
    assert calls.open(2, 30.0)
    assert not calls.open(3, 59.9)
    assert calls.open(4, 60.0)
    assert not calls.close(1)
    assert calls.close(2)
    assert calls.close(4)
    assert len(calls) == 0


def test_all_expired_calls_make_room() -> None:
    calls = OpenCalls(2, 60.0)
    calls.open(1, 0.0)
    calls.open(2, 0.0)
    assert calls.open(3, 100.0)
    assert len(calls) == 1


def test_a_repeated_id_replaces_the_earlier_call_even_when_full() -> None:
    calls = OpenCalls(2, 60.0)
    calls.open(1, 0.0)
    calls.open(2, 1.0)
    assert calls.open(1, 50.0)
    assert len(calls) == 2
    # Call 2 is the oldest now and goes first; the renewed one must not stand in its way.
    assert calls.open(3, 61.0)
    assert not calls.close(2)
    assert calls.close(1)


def test_the_response_rate_is_unknown_before_the_first_request_is_settled() -> None:
    rate = ResponseRate()
    assert rate.share() is None
    rate.answered += 3
    assert rate.share() == 1.0
    rate.unanswered += 1
    assert rate.share() == 0.75
