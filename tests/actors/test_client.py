"""The half of the API that threads and asyncio share, by itself: calls, queue, back-pressure, incoming requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thespian.actors import ActorExitRequest, ChildActorExited, PoisonMessage

import actors
from actors.client import Calls, Client, ClientCounters, SendWindow
from actors.event_queue import EventQueue, Item, is_payload, payload_size, queue_bytes
from actors.incoming import IncomingRequest
from actors.listeners import Listeners
from core import messages as m
from core.config import NodeConfig
from core.errors import EnsembleError, NotActive, ResponseAlreadySent
from core.events import BanPeer, MessageReceived, RequestReceived
from tests.actors.fake_node import PEER, request_event


def message(size: int = 0) -> MessageReceived:
    return MessageReceived(peer_id=PEER, event="e", data=bytes(size))


def ban() -> BanPeer:
    return BanPeer(peer_id=PEER, ip_address="1.1.1.1", until=1.0, reason="")


# ---- Calls


def test_an_answer_ends_its_call_and_no_other() -> None:
    calls = Calls()
    first: Future[Any] = Future()
    second: Future[Any] = Future()
    numbers = calls.open(first), calls.open(second)
    assert 0 not in numbers  # which means that nobody waits
    assert calls.resolve(m.Done(numbers[1]))
    assert not first.done()
    assert second.result(0) == m.Done(numbers[1])
    assert not calls.resolve(m.Done(numbers[1]))
    assert not calls.resolve(m.Done(999))


def test_a_failure_is_raised_at_the_caller() -> None:
    calls = Calls()
    call: Future[Any] = Future()
    calls.resolve(m.Failed(calls.open(call), NotActive("text")))
    with pytest.raises(NotActive, match="text"):
        call.result(0)


def test_a_call_that_was_given_up_is_not_touched() -> None:
    calls = Calls()
    call: Future[Any] = Future()
    number = calls.open(call)
    assert calls.forget(number)
    assert not calls.forget(number)
    assert not calls.resolve(m.Done(number))
    assert not calls.fail(number, NotActive())
    assert not call.done()


def test_a_call_cancelled_a_moment_ago_is_no_error() -> None:
    calls = Calls()
    for end in (lambda number: calls.resolve(m.Done(number)), lambda number: calls.fail(number, NotActive())):
        call: Future[Any] = Future()
        number = calls.open(call)
        call.cancel()
        assert not end(number)


def test_all_calls_end_with_errors_of_their_own() -> None:
    calls = Calls()
    futures: list[Future[Any]] = [Future(), Future()]
    for future in futures:
        calls.open(future)
    calls.fail_all(lambda: NotActive("over"))
    errors = [future.exception(0) for future in futures]
    assert all(isinstance(error, NotActive) for error in errors)
    assert errors[0] is not errors[1]
    assert len(calls) == 0


# ---- SendWindow


@given(st.lists(st.integers(0, 300_000), max_size=2000))
def test_never_too_much_goes_unacknowledged(sizes: list[int]) -> None:
    window = SendWindow()
    messages = size_sum = 0
    for size in sizes:
        messages, size_sum = messages + 1, size_sum + size
        foreseen = window.will_be_due(size)
        assert window.will_be_due(size) is foreseen  # asking changes nothing
        if window.is_due(size):
            assert foreseen
            messages = size_sum = 0
        else:
            assert not foreseen
        assert messages < SendWindow.MARK_MESSAGES
        assert size_sum < SendWindow.MARK_BYTES


# ---- EventQueue


class _Silent:
    """A way back that leads nowhere."""

    def encode(self, data: object) -> bytes | None:
        return None

    def reply(self, address: Any, message: m.ActorMessage) -> None:
        return None

    def abandon(self, address: Any, message: m.ActorMessage) -> None:
        return None


def incoming(size: int) -> IncomingRequest:
    return IncomingRequest(request_event("p", bytes(size)), None, _Silent())


_ITEMS: dict[str, Callable[[int], Item]] = {"message": message, "request": incoming, "ban": lambda size: ban()}


@given(
    st.lists(
        st.one_of(
            st.lists(st.tuples(st.sampled_from(sorted(_ITEMS)), st.integers(0, 60)), max_size=12),
            st.integers(1, 8),
        ),
        max_size=40,
    ),
    st.integers(1, 6),
)
def test_the_queue_keeps_its_bounds_order_and_control_events(
    steps: list[list[tuple[str, int]] | int], max_events: int
) -> None:
    dropped: list[Item] = []
    queue = EventQueue(max_events, 100, dropped.append)
    given_in: list[Item] = []
    taken: list[Item] = []
    for step in steps:
        if isinstance(step, int):
            taken += queue.take(step)
            continue
        items = [_ITEMS[kind](size) for kind, size in step]
        given_in += items
        had_none = len(queue) == 0
        assert queue.put(items) == (had_none and len(queue) > 0)
        waiting = [item for item in given_in if not _among(item, taken) and not _among(item, dropped)]
        assert sum(map(is_payload, waiting)) <= max_events
        assert len(queue) == len(waiting) <= 2 * max_events
        assert sum(map(payload_size, waiting)) <= 100 or sum(map(is_payload, waiting)) == 1
    taken += queue.take(10_000)
    assert queue.dropped_total == len(dropped)
    assert [id(item) for item in taken] == [id(item) for item in given_in if not _among(item, dropped)]
    if len(given_in) - len(taken) and not any(map(is_payload, given_in)):
        assert len(dropped) <= max(0, len(given_in) - max_events)


def _among(item: Item, items: list[Item]) -> bool:
    return any(item is other for other in items)


def test_a_flood_of_messages_cannot_push_out_a_ban() -> None:
    queue = EventQueue(10, 1000, lambda item: None)
    first = ban()
    queue.put([first])
    for _ in range(100):
        queue.put([message(10)] * 7)
    assert queue.take(1) == [first]


def test_the_byte_bound_has_room_for_the_largest_message() -> None:
    assert queue_bytes(1024) == 64 * 1024 * 1024
    assert queue_bytes(1 << 30) == 2 << 30
    queue = EventQueue(10, 10, lambda item: None)
    queue.put([message(50)])
    assert len(queue.take(5)) == 1


# ---- IncomingRequest


class Port:
    """Keeps what a request sends back."""

    def __init__(self) -> None:
        self.sent: list[m.ActorMessage] = []
        self.abandoned: list[m.ActorMessage] = []

    def encode(self, data: object) -> bytes | None:
        return None if data is None else str(data).encode()

    def reply(self, address: Any, message: m.ActorMessage) -> None:
        self.sent.append(message)

    def abandon(self, address: Any, message: m.ActorMessage) -> None:
        self.abandoned.append(message)


def test_of_many_threads_one_answers() -> None:
    port = Port()
    request = IncomingRequest(request_event("p", call_id=4), None, port)
    barrier = threading.Barrier(8)
    refused: list[ResponseAlreadySent] = []

    def answer(number: int) -> None:
        barrier.wait(10)
        try:
            request.end(number)
        except ResponseAlreadySent as error:
            refused.append(error)

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(port.sent) == 1
    assert len(refused) == 7


def test_an_open_request_that_goes_away_is_refused_and_an_answered_one_is_not() -> None:
    port = Port()
    request = IncomingRequest(request_event("p", call_id=4), None, port)
    assert "open" in repr(request)
    del request
    assert port.abandoned == [m.RefuseCall(4, "the request 'p' was not answered")]
    request = IncomingRequest(request_event("p", b"xy", call_id=5), None, port)
    request.end()
    assert "2 bytes, answered" in repr(request)
    del request
    IncomingRequest(request_event("p", call_id=None), None, port)
    assert len(port.abandoned) == 1
    assert port.sent == [m.AnswerCall(5, None)]


def test_cleaning_up_disturbs_nobody() -> None:
    class Closed(Port):
        def reply(self, address: Any, message: m.ActorMessage) -> None:
            raise NotActive("stopped")

    request = IncomingRequest(request_event("p"), None, Closed())
    request.refuse_if_open("x")
    request.refuse_if_open("y")
    assert request.answered


# ---- Client


class Session:
    """Keeps what is sent to the node."""

    def __init__(self) -> None:
        self.to_node: list[m.ActorMessage] = []
        self.to_peers: list[m.ActorMessage] = []
        self.flow: list[tuple[Any, type]] = []

    def tell_node(self, message: m.ActorMessage) -> None:
        self.to_node.append(message)

    def tell(self, address: Any, message: m.ActorMessage) -> None:
        if isinstance(message, m.HoldReading | m.ResumeReading):
            self.flow.append((address, type(message)))
            return
        assert isinstance(message, m.PeerCommands)
        self.to_peers += message.commands

    def soon(self, call: Callable[[], None]) -> None:
        call()

    def hurry(self, call: Callable[[], None], again: bool) -> bool:
        return False

    def hand(self, to: Any, message: m.ActorMessage, again: bool) -> bool:
        return False

    def expect(self, remote: Hashable) -> None:
        pass


def make_client() -> tuple[Client, Session, Listeners, ClientCounters]:
    listeners, counters, session = Listeners(), ClientCounters(), Session()
    client = Client(NodeConfig(), listeners, counters, lambda: None)
    client.attach(session)
    return client, session, listeners, counters


def test_a_call_is_numbered_and_sent() -> None:
    client, session, _, _ = make_client()
    call: Future[Any] = Future()
    number = client.call(m.UnbanAddress(0, "1.2.3.4"), call)
    assert session.to_node == [m.UnbanAddress(number, "1.2.3.4")]
    client.on_message(m.Done(number), None)
    assert call.done()


def test_a_closed_client_takes_no_calls_and_leaves_none_open() -> None:
    client, session, _, _ = make_client()
    call: Future[Any] = Future()
    client.call(m.GetBans(0), call)
    client.close()
    assert isinstance(call.exception(0), NotActive)
    with pytest.raises(NotActive):
        client.call(m.GetBans(0), Future())
    assert len(client.calls) == 0
    assert len(session.to_node) == 1


def test_a_call_that_crosses_with_the_close_does_not_hang() -> None:
    client, session, _, _ = make_client()

    class ClosesMeanwhile(Session):
        def tell_node(self, message: m.ActorMessage) -> None:
            client.is_open = False  # the other thread is past its fail_all by now

    client.attach(ClosesMeanwhile())
    with pytest.raises(NotActive):
        client.call(m.GetBans(0), Future())
    assert session.to_node == []


def test_the_subscription_only_grows() -> None:
    client, session, listeners, _ = make_client()
    client.subscribe()
    listeners.add("EVENT_BAN_PEER", print)
    client.subscribe()
    client.subscribe()
    listeners.remove("EVENT_BAN_PEER", print)
    listeners.add("EVENT_MESSAGE_RECEIVED", print)
    client.subscribe()
    assert session.to_node == [
        m.Subscribe(0, frozenset({"EVENT_REQUEST_RECEIVED"})),  # from the start: none is to be lost
        m.Subscribe(0, frozenset({"EVENT_REQUEST_RECEIVED", "EVENT_BAN_PEER"})),
        m.Subscribe(0, frozenset({"EVENT_REQUEST_RECEIVED", "EVENT_BAN_PEER", "EVENT_MESSAGE_RECEIVED"})),
    ]


def test_the_crash_of_the_node_ends_all_calls() -> None:
    client, _, _, _ = make_client()
    call: Future[Any] = Future()
    client.call(m.GetBans(0), call)
    client.on_message(ChildActorExited(None), None)
    with pytest.raises(EnsembleError, match="crashed"):
        call.result(0)


def test_a_poisoned_message_that_is_no_call_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    client, _, _, counters = make_client()
    client.on_message(PoisonMessage(m.AnswerCall(1, None), "details of it"), None)
    assert "details of it" in caplog.text
    client.on_message(ActorExitRequest(), None)
    assert counters.unknown_messages_total == 0


def test_answers_that_nobody_waits_for_are_counted_unless_they_are_expected() -> None:
    client, _, _, counters = make_client()
    client.on_message(m.Done(0), None)
    assert counters.late_answers_total == 0
    client.on_message(m.Done(77), None)
    assert counters.late_answers_total == 1


def test_several_answers_at_once_end_their_calls() -> None:
    client, _, _, counters = make_client()
    first: Future[Any] = Future()
    second: Future[Any] = Future()
    numbers = [client.call(m.GetBans(0), call) for call in (first, second)]
    failed = m.Failed(numbers[1], NotActive("text"))
    client.on_message(m.Answers((m.Done(numbers[0]), failed, m.Done(numbers[0]))), "peer")
    assert first.result(0) == m.Done(numbers[0])
    assert isinstance(second.exception(0), NotActive)
    assert counters.late_answers_total == 1


def test_an_abandoned_request_of_a_stopped_node_is_nobodys_concern() -> None:
    client, session, listeners, counters = make_client()
    listeners.add(RequestReceived.NAME, print)
    client.on_message(m.EventBatch((request_event("p"), request_event("q"))), "peer")
    (first, second) = client.queue.take(2)
    del first
    assert session.to_peers == [m.RefuseCall(1, "the request 'p' was not answered")]
    client.close()
    del second
    assert len(session.to_peers) == 1
    assert counters.requests_unhandled_total == 2


# ---- the package


def test_the_package_offers_its_names_on_first_use() -> None:
    for name in actors.__all__:
        assert getattr(actors, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'P3P'"):
        _ = actors.P3P  # type: ignore[attr-defined]


# ---- a program that is slower than its peers


def test_peers_are_held_when_half_of_the_queue_is_used_and_go_on_at_a_quarter() -> None:
    listeners, session = Listeners(), Session()
    client = Client(NodeConfig(max_subscriber_queue_events=100), listeners, ClientCounters(), lambda: None)
    client.attach(session)
    listeners.add("EVENT_MESSAGE_RECEIVED", print)
    listeners.add("EVENT_BAN_PEER", print)
    client.on_message(m.EventBatch((message(),) * 50), "peer 1")
    assert session.flow == []
    client.on_message(m.EventBatch((ban(),)), "the node")
    client.on_message(m.EventBatch((message(),)), "peer 1")
    client.on_message(m.EventBatch((message(),)), "peer 2")
    client.on_message(m.EventBatch((message(),)), "peer 1")
    client.on_message(m.EventBatch((ban(),)), "the node")
    assert session.flow == [("peer 1", m.HoldReading), ("peer 2", m.HoldReading)]
    session.flow.clear()
    client.queue.take(29)
    assert len(client.queue) == 26
    assert session.flow == []
    client.queue.take(1)
    assert session.flow == [("peer 1", m.ResumeReading), ("peer 2", m.ResumeReading)]
    client.queue.take(100)
    client.on_message(m.EventBatch((message(),) * 60), "peer 2")
    assert session.flow[2:] == [("peer 2", m.HoldReading)]


def test_the_bytes_of_payloads_count_as_well() -> None:
    room: list[int] = []
    queue = EventQueue(1000, 100, lambda item: None, lambda: room.append(len(queue)))
    queue.put([message(50)])
    assert not queue.is_high
    queue.put([message(20), message(10)])
    assert queue.is_high
    queue.take(1)
    assert queue.is_high
    queue.take(1)
    assert not queue.is_high
    assert room == [1]
